//! `/v1/tablets`.

use super::{Front, Problem, body, first, tables};
use crate::front::view;
use actix_web::web::{Data, Json, Path, Payload, Query};
use actix_web::{get, post};
use serde::Deserialize;
use stele_common::near::{did_you_mean, nearest};
use stele_common::{DiskId, NodeId, ReplicaId, TabletId, TabletStatus, Tick, api};
use stele_coordinator_rules::world::{Partition, Replica, Table, Tablet};
use stele_coordinator_rules::{EventBody, World, checkup, explain as law};

/// Which tablets; what is not given does not restrict.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `db.table`.
    table: Option<String>,
    partition: Option<String>,
    status: Option<TabletStatus>,
    /// With a replica on this node, this disk.
    node: Option<NodeId>,
    disk: Option<DiskId>,
    limit: Option<usize>,
    /// Those with higher ids.
    after: Option<TabletId>,
}

impl Filter {
    fn fits(&self, world: &World, tablet: &Tablet, at: Tick) -> bool {
        let stands = |replica: &Replica| {
            self.node.is_none_or(|node| replica.node == node) && self.disk.is_none_or(|disk| replica.disk == disk)
        };
        let is_there = (self.node.is_none() && self.disk.is_none()) || tablet.replicas.iter().any(stands);
        is_there && self.status.is_none_or(|status| checkup::verdict(world, tablet, at).status == status)
    }
}

#[get("/v1/tablets")]
pub async fn list(front: Data<Front>, filter: Query<Filter>) -> Result<Json<api::Tablets>, Problem> {
    let published = front.ask.now();
    let at = front.ask.clock().tick();
    let world = &*published.world;
    let ids: Box<dyn Iterator<Item = TabletId>> = match &filter.table {
        Some(full) => {
            let (db, name) =
                full.split_once('.').ok_or_else(|| Problem::bad_request("`table` is of the form db.table"))?;
            let table = view::find_table(world, db, name).ok_or_else(|| tables::absent(world, db, name))?;
            let mut ids: Vec<TabletId> = match &filter.partition {
                Some(name) => partition(table, name)?.tablets.to_vec(),
                None => table.partitions.iter().flat_map(|partition| partition.tablets.iter().copied()).collect(),
            };
            ids.sort_unstable();
            Box::new(ids.into_iter().filter(|id| filter.after.is_none_or(|after| *id > after)))
        }
        None if filter.partition.is_some() => return Err(Problem::bad_request("`partition` needs `table`")),
        None => {
            let first = filter.after.map_or(TabletId(0), |after| TabletId(after.0.saturating_add(1)));
            Box::new(world.tablets.iter_from(first).map(|tablet| tablet.id))
        }
    };
    let found = ids.filter_map(|id| world.tablets.get(id)).filter(|tablet| filter.fits(world, tablet, at));
    let (found, is_more) = first(filter.limit, found);
    let next = found.last().filter(|_| is_more).map(|last| last.id);
    let tablets = found.into_iter().map(|tablet| law::tablet_info(world, tablet, at)).collect();
    Ok(Json(api::Tablets { tablets, next }))
}

fn partition<'a>(table: &'a Table, name: &str) -> Result<&'a Partition, Problem> {
    table.partitions.iter().find(|partition| partition.name == name).ok_or_else(|| {
        let names: Vec<&str> = table.partitions.iter().map(|partition| &*partition.name).collect();
        Problem::not_found("no_such_partition", format!("table {}.{} has no partition {name}", table.db, table.name))
            .next(format!("it has {}", names.join(", ")))
            .maybe_next(nearest(name, names).map(did_you_mean))
    })
}

#[get("/v1/tablets/{id}")]
pub async fn show(front: Data<Front>, id: Path<TabletId>) -> Result<Json<api::TabletInfo>, Problem> {
    let published = front.ask.now();
    let tablet = published.world.tablets.get(*id).ok_or_else(|| absent(*id))?;
    Ok(Json(law::tablet_info(&published.world, tablet, front.ask.clock().tick())))
}

#[get("/v1/tablets/{id}/explain")]
pub async fn explain(front: Data<Front>, id: Path<TabletId>) -> Result<Json<api::Explanation>, Problem> {
    front.ask.explain(*id).await?.map(Json).ok_or_else(|| absent(*id))
}

#[post("/v1/tablets/{tablet}/replicas/{replica}")]
pub async fn set_replica(
    front: Data<Front>,
    path: Path<(TabletId, ReplicaId)>,
    payload: Payload,
) -> Result<Json<api::TabletInfo>, Problem> {
    let ((tablet, replica), wish) = (path.into_inner(), body::read(payload).await?);
    front.ask.catalog(EventBody::SetReplica { tablet, replica, wish }).await?;
    let published = front.ask.now();
    let found = published.world.tablets.get(tablet).ok_or_else(|| absent(tablet))?;
    Ok(Json(law::tablet_info(&published.world, found, front.ask.clock().tick())))
}

fn absent(id: TabletId) -> Problem {
    Problem::not_found("no_such_tablet", format!("there is no tablet {id}")).next("see `stele tablet list`")
}
