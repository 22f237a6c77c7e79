//! `/v1/status`, `/v1/nodes`, `/v1/disks`, `/v1/tasks`.

use super::{Front, PAGE, Page, Problem, body, drains, first};
use crate::actors::words::TaskFilter;
use crate::front::view::{self, Placements};
use actix_web::web::{Data, Json, Path, Payload, Query};
use actix_web::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use stele_common::{NodeId, api};
use stele_coordinator_rules::EventBody;
use stele_coordinator_rules::world::Leaver;

#[get("/v1/status")]
pub async fn status(front: Data<Front>) -> Result<Json<api::Status>, Problem> {
    let (pending, balance) = (front.ask.pending().await?, front.ask.balance().await?);
    let published = front.ask.now();
    let tally = front.tally(&published);
    let status = view::status(&published, &tally, pending, front.ask.clock().tick());
    Ok(Json(api::Status { balance: Some(view::balance::line(&balance)), ..status }))
}

#[get("/v1/nodes")]
pub async fn nodes(front: Data<Front>, page: Query<Page<NodeId>>) -> Result<Json<api::Nodes>, Problem> {
    let silences = front.ask.silences().await?;
    let published = front.ask.now();
    let world = &*published.world;
    let placements = Placements::of(world);
    let found = world.nodes.values().filter(|one| page.after.is_none_or(|after| one.id > after));
    let (found, is_more) = first(page.limit, found);
    let next = found.last().filter(|_| is_more).map(|one| one.id);
    let nodes = found.into_iter().map(|one| {
        let drain_progress = drains::at_a_glance(&front, world, Leaver::Node(one.id));
        api::NodeInfo { drain_progress, ..view::node(world, &placements, one, silences.get(&one.id).copied()) }
    });
    Ok(Json(api::Nodes { nodes: nodes.collect(), next }))
}

/// Stands before [`node`]: no id is called so.
#[get("/v1/nodes/replicas")]
pub async fn node_replicas(front: Data<Front>) -> Result<Json<api::NodeReplicas>, Problem> {
    Ok(Json(view::replicas::of_nodes(&front.ask.now().world)))
}

#[get("/v1/nodes/{id}")]
pub async fn node(front: Data<Front>, id: Path<NodeId>) -> Result<Json<api::NodeInfo>, Problem> {
    let silences = front.ask.silences().await?;
    let published = front.ask.now();
    let world = &*published.world;
    let found = world.nodes.get(&id).ok_or_else(|| no_such_node(*id))?;
    let drain_progress = match world.drains.get(&Leaver::Node(*id)) {
        Some(drain) => Some(drains::how_far(&front, world, drain).await?),
        None => None,
    };
    let info = view::node(world, &Placements::of(world), found, silences.get(&id).copied());
    Ok(Json(api::NodeInfo { drain_progress, ..info }))
}

fn no_such_node(id: NodeId) -> Problem {
    Problem::not_found("no_such_node", format!("there is no node {id}")).next("see `stele node list`")
}

#[get("/v1/nodes/{id}/explain")]
pub async fn explain_node(front: Data<Front>, id: Path<NodeId>) -> Result<Json<api::NodeExplanation>, Problem> {
    front.ask.explain_node(*id).await?.map(Json).ok_or_else(|| no_such_node(*id))
}

#[get("/v1/disks")]
pub async fn disks(front: Data<Front>) -> Result<Json<api::Disks>, Problem> {
    let published = front.ask.now();
    let world = &*published.world;
    let placements = Placements::of(world);
    let disks = view::in_use(world).map(|disk| view::disk(world, &placements, disk));
    Ok(Json(api::Disks { disks: disks.collect() }))
}

#[post("/v1/disks/init")]
pub async fn init_disk(front: Data<Front>, payload: Payload) -> Result<Json<Value>, Problem> {
    let init: api::DiskInit = body::read(payload).await?;
    front.ask.catalog(EventBody::InitDisk(init)).await?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
pub struct TaskQuery {
    #[serde(default)]
    state: TaskFilter,
    limit: Option<usize>,
    /// How many of them to pass over.
    #[serde(default)]
    after: usize,
}

#[get("/v1/tasks")]
pub async fn tasks(front: Data<Front>, query: Query<TaskQuery>) -> Result<Json<api::Tasks>, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    let mut tasks = front.ask.some_tasks(query.state, query.after, limit.saturating_add(1)).await?;
    let next = (tasks.len() > limit).then_some(query.after.saturating_add(limit) as u64);
    tasks.truncate(limit);
    Ok(Json(api::Tasks { tasks, next }))
}
