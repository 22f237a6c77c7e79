//! `/v1/log-level`: how much this agent writes to its log, changed while it runs. Everybody may look; only this machine
//! itself may change it, and no page that a browser has open: this face knows no users.

use crate::net::problem::Problem;
use actix_web::http::header::ORIGIN;
use actix_web::{HttpRequest, HttpResponse, web};
use stele_common::api::LogLevel;
use stele_logs::Stays;

pub async fn show() -> Result<HttpResponse, Problem> {
    now()
}

pub async fn set(request: HttpRequest, wish: web::Json<LogLevel>) -> Result<HttpResponse, Problem> {
    let is_here = request.peer_addr().is_some_and(|peer| peer.ip().is_loopback());
    if !is_here || request.headers().contains_key(ORIGIN) {
        let detail = "an agent's log level is changed from its own machine only";
        return Err(Problem::new(403, "not_here", detail).next("run `stele log-level --node ...` on the agent's host"));
    }
    stele_logs::set(&wish.filter).map_err(problem)?;
    now()
}

fn now() -> Result<HttpResponse, Problem> {
    let filter = stele_logs::filter().ok_or_else(|| problem(Stays::NotOurs))?;
    Ok(HttpResponse::Ok().json(LogLevel { filter }))
}

fn problem(stays: Stays) -> Problem {
    let detail = stays.to_string();
    match stays {
        Stays::NoFilter(..) => Problem::new(400, "bad_request", detail)
            .next("write a level (error, warn, info, debug, trace), or levels by module: info,stele_agent=debug"),
        Stays::NotOurs | Stays::Refused(_) => Problem::new(409, "log_not_ours", detail),
    }
}
