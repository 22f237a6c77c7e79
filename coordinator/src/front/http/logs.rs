//! `/v1/log-level`: how much this coordinator writes to its log, changed while it runs.

use super::{Problem, body};
use actix_web::http::StatusCode;
use actix_web::web::{Json, Payload};
use actix_web::{get, put};
use stele_common::api::LogLevel;
use stele_logs::Stays;

#[get("/v1/log-level")]
pub async fn show() -> Result<Json<LogLevel>, Problem> {
    now()
}

#[put("/v1/log-level")]
pub async fn set(payload: Payload) -> Result<Json<LogLevel>, Problem> {
    let wish: LogLevel = body::read(payload).await?;
    stele_logs::set(&wish.filter).map_err(problem)?;
    now()
}

fn now() -> Result<Json<LogLevel>, Problem> {
    stele_logs::filter().map(|filter| Json(LogLevel { filter })).ok_or_else(|| problem(Stays::NotOurs))
}

fn problem(stays: Stays) -> Problem {
    let detail = stays.to_string();
    match stays {
        Stays::NoFilter(..) => Problem::bad_request(detail)
            .next("write a level (error, warn, info, debug, trace), or levels by module: info,stele_coordinator=debug"),
        Stays::NotOurs | Stays::Refused(_) => Problem::new(StatusCode::CONFLICT, "log_not_ours", detail),
    }
}
