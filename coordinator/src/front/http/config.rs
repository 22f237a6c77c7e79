//! `/v1/config`: knobs with their values, sources and history; some may be set.

use super::{Front, Problem, body};
use crate::front::near;
use crate::front::view::settings;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{get, put};
use stele_common::api;
use stele_common::config::knobs;
use stele_coordinator_rules::EventBody;

#[get("/v1/config")]
pub async fn list(front: Data<Front>) -> Result<Json<api::Knobs>, Problem> {
    Ok(Json(settings::knobs(&front.ask.now().world, knobs::all())))
}

/// Stands before [`show`]: no knob is called so.
#[get("/v1/config/history")]
pub async fn history(front: Data<Front>) -> Result<Json<api::KnobHistory>, Problem> {
    Ok(Json(settings::history(&front.ask.now().world)))
}

/// One of the originals' names may stand for two knobs, so this is a list too.
#[get("/v1/config/{name}")]
pub async fn show(front: Data<Front>, name: Path<String>) -> Result<Json<api::Knobs>, Problem> {
    named(&front, &name)
}

#[put("/v1/config/{name}")]
pub async fn set(front: Data<Front>, name: Path<String>, payload: Payload) -> Result<Json<api::Knobs>, Problem> {
    let ask: api::KnobAsk = body::read(payload).await?;
    front.ask.catalog(EventBody::SetKnob { name: name.clone(), ask }).await?;
    named(&front, &name)
}

fn named(front: &Front, name: &str) -> Result<Json<api::Knobs>, Problem> {
    let found = settings::knobs(&front.ask.now().world, knobs::named(name).into_iter().map(|(knob, _)| knob));
    if found.knobs.is_empty() {
        let detail = format!("there is no knob `{name}`");
        return Err(Problem::not_found("no_such_knob", detail)
            .next("see `stele config list`")
            .maybe_next(near::knob(name)));
    }
    Ok(Json(found))
}
