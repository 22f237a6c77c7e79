//! `/v1/verify`: reading every copy anew, and what came of it.

use super::{Front, Problem, body};
use crate::front::ask::Sorry;
use crate::front::view;
use crate::published::Published;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{get, post};
use stele_common::api;
use stele_coordinator_rules::{Answer, EventBody};

#[post("/v1/verify")]
pub async fn start(front: Data<Front>, payload: Payload) -> Result<Json<api::Verification>, Problem> {
    let start: api::VerifyStart = body::read(payload).await?;
    let Answer::Verification(id) = front.ask.catalog(EventBody::Verify(start)).await? else {
        return Err(Sorry::Ending.into());
    };
    result(&front.ask.now(), id)
}

#[get("/v1/verify/{id}")]
pub async fn show(front: Data<Front>, id: Path<u64>) -> Result<Json<api::Verification>, Problem> {
    result(&front.ask.now(), *id)
}

fn result(published: &Published, id: u64) -> Result<Json<api::Verification>, Problem> {
    let verification = published.world.verifications.get(&id).ok_or_else(|| {
        Problem::not_found("no_such_verification", format!("there is no verification {id}"))
            .next("start one with `stele verify`; a coordinator's restart forgets them")
    })?;
    Ok(Json(view::verification(&published.world, verification)))
}
