//! Emptying nodes and disks: `/v1/nodes/drain`, `/v1/disks/drain`, how far it is, its certificate, and removal.
//!
//! A wish that a check refuses is answered with 409: a problem whose members are also those of the answer, so that every
//! blocker is named.

use super::{Front, Problem, body};
use crate::front::ask::Sorry;
use crate::front::view::operate;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Payload, Query};
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use stele_common::api::{DrainAsk, DrainProgress, Refusal, TaskInfo, Undrained};
use stele_common::{DiskId, NodeId, TabletId, api};
use stele_coordinator_rules::evacuation::{progress, proof};
use stele_coordinator_rules::world::{Drain, Leaver};
use stele_coordinator_rules::{Answer, EventBody, World};

/// Tablets that are left are asked for their reasons one by one; more than these are told by their verdict alone.
const EXPLAINED_MAX: usize = 8;

#[post("/v1/nodes/drain")]
pub async fn drain_nodes(front: Data<Front>, payload: Payload) -> Result<HttpResponse, Problem> {
    drain(front, body::read(payload).await?).await
}

#[post("/v1/disks/drain")]
pub async fn drain_disks(front: Data<Front>, payload: Payload) -> Result<HttpResponse, Problem> {
    drain(front, body::read(payload).await?).await
}

async fn drain(front: Data<Front>, ask: DrainAsk) -> Result<HttpResponse, Problem> {
    let (is_forced, is_check) = (ask.force, ask.check);
    let Answer::Evacuation(answer) = front.ask.catalog(EventBody::Drain(ask)).await? else {
        return Err(Sorry::Ending.into());
    };
    if answer.fits || is_forced || (answer.begun && !is_check) {
        return Ok(HttpResponse::Ok().json(answer));
    }
    let detail = match answer.blockers.first() {
        Some(first) => {
            let what = first.tablet.map(|tablet| format!("tablet {tablet}: ")).unwrap_or_default();
            format!("{} of {} tablets find no place; {what}{}", answer.blocked, answer.tablets, first.detail)
        }
        None => "something finds no place".to_string(),
    };
    let problem = Problem::new(StatusCode::CONFLICT, "does_not_fit", detail);
    Ok(refused(problem.next("add hosts or disks with room, or begin all the same with force"), &answer))
}

/// A problem that carries an answer.
fn refused<T: Serialize>(problem: Problem, answer: &T) -> HttpResponse {
    let mut body = json!(problem.0);
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), json!(answer)) {
        body.extend(more);
    }
    HttpResponse::build(StatusCode::CONFLICT).content_type("application/problem+json").body(body.to_string())
}

#[post("/v1/nodes/undrain")]
pub async fn undrain_nodes(front: Data<Front>, payload: Payload) -> Result<Json<Undrained>, Problem> {
    undrain(front, body::read(payload).await?).await
}

#[post("/v1/disks/undrain")]
pub async fn undrain_disks(front: Data<Front>, payload: Payload) -> Result<Json<Undrained>, Problem> {
    undrain(front, body::read(payload).await?).await
}

async fn undrain(front: Data<Front>, ask: DrainAsk) -> Result<Json<Undrained>, Problem> {
    let Answer::Undrained(undrained) = front.ask.catalog(EventBody::Undrain(ask)).await? else {
        return Err(Sorry::Ending.into());
    };
    Ok(Json(undrained))
}

#[get("/v1/nodes/{id}/drain")]
pub async fn node_progress(front: Data<Front>, id: Path<NodeId>) -> Result<Json<DrainProgress>, Problem> {
    progress_of(&front, Leaver::Node(*id)).await.map(Json)
}

#[get("/v1/disks/{id}/drain")]
pub async fn disk_progress(front: Data<Front>, id: Path<DiskId>) -> Result<Json<DrainProgress>, Problem> {
    progress_of(&front, Leaver::Disk(*id)).await.map(Json)
}

async fn progress_of(front: &Front, of: Leaver) -> Result<DrainProgress, Problem> {
    let published = front.ask.now();
    let drain = published.world.drains.get(&of).ok_or_else(|| no_drain(of))?;
    how_far(front, &published.world, drain).await
}

/// How far a drain is, with the reasons of the first that are left.
pub async fn how_far(front: &Front, world: &World, drain: &Drain) -> Result<DrainProgress, Problem> {
    let at = front.ask.clock().tick();
    let progress = progress::of(world, drain, at, front.ask.clock().wall_ms());
    let mut reasons: BTreeMap<TabletId, Refusal> = BTreeMap::new();
    for tablet in progress.left.iter().take(EXPLAINED_MAX) {
        if let Some(why) = front.ask.explain(*tablet).await? {
            let running = why.task.as_ref().filter(|task| task.id.is_some()).map(under_way);
            let reason = running.or_else(|| why.waits_for.into_iter().next());
            reasons.extend(reason.map(|reason| (*tablet, reason)));
        }
    }
    Ok(operate::drain(world, drain, &progress, |tablet| reasons.get(&tablet).cloned(), at))
}

/// The same in numbers alone.
pub fn at_a_glance(front: &Front, world: &World, of: Leaver) -> Option<DrainProgress> {
    let (drain, at) = (world.drains.get(&of)?, front.ask.clock().tick());
    let mut progress = progress::of(world, drain, at, front.ask.clock().wall_ms());
    progress.left.clear();
    Some(operate::drain(world, drain, &progress, |_| None, at))
}

fn under_way(task: &TaskInfo) -> Refusal {
    let to = task.dest_node.map(|node| format!(" to node {node}")).unwrap_or_default();
    let detail = match task.kind {
        Some(api::TaskKind::Delete) => "its replica leaves as soon as the others have confirmed theirs".to_string(),
        Some(api::TaskKind::Clone | api::TaskKind::Migrate) | None => {
            format!("a copy{to} is under way, {} of {} bytes", task.bytes_done, task.bytes_total)
        }
    };
    Refusal { code: "under_way".into(), detail }
}

fn no_drain(of: Leaver) -> Problem {
    Problem::not_found("no_drain", format!("{} is not being drained", proof::subject(of)))
        .next("see `stele node list`, `stele disk list`")
}

#[derive(Deserialize)]
pub struct CertificateQuery {
    /// Without its tablets; the digest is of all of it.
    #[serde(default)]
    brief: bool,
}

#[get("/v1/nodes/{id}/certificate")]
pub async fn certificate(
    front: Data<Front>,
    id: Path<NodeId>,
    query: Query<CertificateQuery>,
) -> Result<HttpResponse, Problem> {
    let published = front.ask.now();
    let (world, at, of) = (&*published.world, front.ask.clock().tick(), Leaver::Node(*id));
    let node = world.nodes.get(&id).ok_or_else(|| no_node(*id))?;
    let drain = world.drains.get(&of).ok_or_else(|| no_drain(of))?;
    let proof = proof::recount(world, drain, at);
    if proof.missing == 0 && drain.done_wall_ms.is_some() {
        let mut certificate = operate::certificate(&published, node, drain, &proof, at);
        if query.brief {
            certificate.proven.clear();
        }
        return Ok(HttpResponse::Ok().json(certificate));
    }
    let detail = match proof.blockers.first() {
        Some(first) => format!("{} tablets are in the way; {}", proof.missing, first.detail),
        None => "its end is about to be recorded".to_string(),
    };
    let problem = Problem::new(StatusCode::CONFLICT, "not_drained", format!("node {id} is not drained: {detail}"));
    let missing = json!({ "missing": proof.missing, "blockers": proof.blockers });
    Ok(refused(problem.next(format!("wait for it: `stele node show {id}`")), &missing))
}

fn no_node(id: NodeId) -> Problem {
    Problem::not_found("no_such_node", format!("there is no node {id}")).next("see `stele node list`")
}

#[post("/v1/nodes/{id}/remove")]
pub async fn remove(front: Data<Front>, id: Path<NodeId>, payload: Payload) -> Result<HttpResponse, Problem> {
    let ask: api::RemoveAsk = body::read(payload).await?;
    let (node, is_check) = (*id, ask.check);
    let Answer::Removal(answer) = front.ask.catalog(EventBody::RemoveNode { node, ask }).await? else {
        return Err(Sorry::Ending.into());
    };
    if answer.removed || (is_check && answer.safe) {
        return Ok(HttpResponse::Ok().json(answer));
    }
    let (code, detail, next) = if answer.last > 0 {
        let detail = format!("node {node} may hold the last complete copy of {} tablets", answer.last);
        ("last_complete", detail, "drain it, bring another copy back, or drop the tables".to_string())
    } else if answer.tablets > 0 {
        let detail = format!("{} tablets would lose a copy, {} the majority", answer.tablets, answer.below_majority);
        ("node_not_empty", detail, format!("drain it first: `stele node drain {node}`"))
    } else {
        let detail = format!("not everything that node {node} held is proven elsewhere yet");
        ("not_drained", detail, format!("wait for it: `stele node show {node}`"))
    };
    Ok(refused(Problem::new(StatusCode::CONFLICT, code, detail).next(next), &answer))
}

#[post("/v1/nodes/admit")]
pub async fn admit(front: Data<Front>, payload: Payload) -> Result<Json<Value>, Problem> {
    front.ask.catalog(EventBody::AdmitNode(body::read(payload).await?)).await?;
    Ok(Json(json!({})))
}
