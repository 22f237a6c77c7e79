//! `/v1/leases`: what holds for a time, and ends by itself.

use super::{Front, Problem, body};
use crate::front::ask::Sorry;
use crate::front::view::operate;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{delete, get, post};
use serde_json::{Value, json};
use stele_common::api;
use stele_coordinator_rules::{Answer, EventBody};

#[get("/v1/leases")]
pub async fn list(front: Data<Front>) -> Result<Json<api::Leases>, Problem> {
    Ok(Json(operate::leases(&front.ask.now().world, front.ask.clock().tick())))
}

#[post("/v1/leases")]
pub async fn grant(front: Data<Front>, payload: Payload) -> Result<Json<api::LeaseInfo>, Problem> {
    let Answer::Lease(id) = front.ask.catalog(EventBody::GrantLease(body::read(payload).await?)).await? else {
        return Err(Sorry::Ending.into());
    };
    let published = front.ask.now();
    let lease = published.world.leases.get(&id);
    let lease = lease.ok_or_else(|| Problem::not_found("no_such_lease", format!("lease {id} is over already")))?;
    Ok(Json(operate::lease(&published.world, lease, front.ask.clock().tick())))
}

#[delete("/v1/leases/{id}")]
pub async fn end(front: Data<Front>, id: Path<u64>) -> Result<Json<Value>, Problem> {
    front.ask.catalog(EventBody::EndLease { id: *id }).await?;
    Ok(Json(json!({})))
}
