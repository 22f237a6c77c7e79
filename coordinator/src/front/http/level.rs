//! `/v1/level`: how much may be done, and why not more.

use super::{Front, Problem, body};
use crate::front::view::settings;
use actix_web::web::{Data, Json, Payload};
use actix_web::{get, put};
use stele_common::api;
use stele_coordinator_rules::EventBody;

#[get("/v1/level")]
pub async fn show(front: Data<Front>) -> Result<Json<api::LevelInfo>, Problem> {
    Ok(Json(settings::level(&front.ask.now().world)))
}

#[put("/v1/level")]
pub async fn set(front: Data<Front>, payload: Payload) -> Result<Json<api::LevelInfo>, Problem> {
    let ask: api::LevelAsk = body::read(payload).await?;
    front.ask.catalog(EventBody::SetLevel(ask)).await?;
    Ok(Json(settings::level(&front.ask.now().world)))
}
