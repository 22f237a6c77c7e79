//! `/livez`, `/readyz`, `/metrics`: for supervisors and scrapers.

use super::{Front, Problem, events};
use crate::front::figures;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get};
use serde_json::{Value, json};

/// The Catalog publishes with every tick, ten times a second; a stuck store stops it.
const STALE_MS: u64 = 5_000;

/// The process answers.
#[get("/livez")]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// It leads, and its store takes commits.
#[get("/readyz")]
pub async fn readyz(front: Data<Front>) -> Result<Json<Value>, Problem> {
    let published = front.ask.now();
    let age_ms = front.ask.clock().tick().since(published.at);
    if published.number == 0 || age_ms > STALE_MS {
        let detail = format!("the newest snapshot is {age_ms} ms old");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail)
            .next("see the log: the store may be stuck"));
    }
    Ok(Json(
        json!({"leader": true, "store": "ok", "epoch": published.world.epoch, "level": stele_coordinator_rules::level::in_force(&published.world)}),
    ))
}

/// Prometheus text.
#[get("/metrics")]
pub async fn metrics(front: Data<Front>) -> Result<HttpResponse, Problem> {
    let (pending, silences) = (front.ask.pending().await?, front.ask.silences().await?);
    let published = front.ask.now();
    let (tally, at) = (front.tally(&published), front.ask.clock().tick());
    figures::set(&published, &tally, &pending, &silences, at);
    let readers = events::SEATS - front.seats.available_permits();
    ::metrics::gauge!("stele_event_readers").set(readers as f64);
    front.metrics.run_upkeep();
    let text = front.metrics.render() + &figures::series::text(&published, &tally, &pending, &silences, at);
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text))
}
