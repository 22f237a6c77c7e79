//! `/v1/loads`: opening, committing and aborting a load, and its result. Files go to the agents, never through here.

use super::{Front, Problem, body};
use crate::front::ask::Sorry;
use crate::front::view;
use crate::published::Published;
use actix_web::web::{Data, Json, Path, Payload, Query};
use actix_web::{delete, get, post};
use serde::Deserialize;
use std::time::Duration;
use stele_common::{LoadKey, api};
use stele_coordinator_rules::world::LoadPhase;
use stele_coordinator_rules::{Answer, EventBody, Reason};

/// A poll may wait this long, milliseconds.
const WAIT_MS_MAX: u64 = 30_000;

#[post("/v1/loads")]
pub async fn open(front: Data<Front>, payload: Payload) -> Result<Json<api::LoadOpened>, Problem> {
    let open: api::LoadOpen = body::read(payload).await?;
    match front.ask.catalog(EventBody::OpenLoad(open)).await? {
        Answer::Load(opened) => Ok(Json(opened)),
        Answer::Handshake(_)
        | Answer::Table(_)
        | Answer::Verification(_)
        | Answer::Evacuation(_)
        | Answer::Undrained(_)
        | Answer::Removal(_)
        | Answer::Lease(_)
        | Answer::Plan(_)
        | Answer::Started(_) => Err(Sorry::Ending.into()),
        Answer::Done | Answer::Refused(_) => Err(Sorry::Ending.into()),
    }
}

#[derive(Deserialize)]
pub struct Wait {
    #[serde(default)]
    wait_ms: u64,
}

/// Commits as soon as a quorum of every tablet has it, and waits for that; the answer tells how far it is.
#[post("/v1/loads/{key}/commit")]
pub async fn commit(
    front: Data<Front>,
    key: Path<LoadKey>,
    wait: Query<Wait>,
) -> Result<Json<api::LoadResult>, Problem> {
    let key = key.into_inner();
    match front.ask.catalog(EventBody::CommitLoad { key: key.clone() }).await {
        // Committed before, by an earlier poll: there is only the end to wait for.
        Ok(_) | Err(Sorry::Refused { reason: Reason::AlreadyCommitted { .. }, .. }) => {}
        Err(sorry) => return Err(sorry.into()),
    }
    let patience = Duration::from_millis(wait.wait_ms.min(WAIT_MS_MAX));
    let ended = front.ask.until(patience, |published| {
        let phase = published.world.loads.get(&key).map(|load| &load.phase);
        match phase {
            Some(LoadPhase::Open | LoadPhase::Committed) => None,
            Some(LoadPhase::Visible | LoadPhase::Aborted { .. }) | None => Some(()),
        }
    });
    ended.await;
    result(&front.ask.now(), &key)
}

#[get("/v1/loads/{key}")]
pub async fn show(front: Data<Front>, key: Path<LoadKey>) -> Result<Json<api::LoadResult>, Problem> {
    result(&front.ask.now(), &key)
}

#[delete("/v1/loads/{key}")]
pub async fn abort(front: Data<Front>, key: Path<LoadKey>) -> Result<Json<api::LoadResult>, Problem> {
    let key = key.into_inner();
    front.ask.catalog(EventBody::AbortLoad { key: key.clone() }).await?;
    result(&front.ask.now(), &key)
}

fn result(published: &Published, key: &LoadKey) -> Result<Json<api::LoadResult>, Problem> {
    let load = published.world.loads.get(key);
    let load = load.ok_or_else(|| Problem::not_found("no_such_load", format!("there is no load `{key}`")))?;
    Ok(Json(view::load(&published.world, load)))
}
