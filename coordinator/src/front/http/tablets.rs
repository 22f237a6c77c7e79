//! `/v1/tablets`.

use super::{Front, Problem, body, tables};
use crate::front::view;
use actix_web::web::{Data, Json, Path, Payload, Query};
use actix_web::{get, post};
use serde::Deserialize;
use stele_common::{ReplicaId, TabletId, TabletStatus, api};
use stele_coordinator_rules::{EventBody, checkup, explain as law};

/// Which tablets; what is not given does not restrict.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `db.table`.
    table: Option<String>,
    partition: Option<String>,
    status: Option<TabletStatus>,
    limit: Option<usize>,
}

#[get("/v1/tablets")]
pub async fn list(front: Data<Front>, filter: Query<Filter>) -> Result<Json<api::Tablets>, Problem> {
    let published = front.ask.now();
    let at = front.ask.clock().tick();
    let world = &*published.world;
    let limit = filter.limit.unwrap_or(usize::MAX);
    let has_status = |id: &TabletId| {
        let tablet = world.tablets.get(*id)?;
        let fits = filter.status.is_none_or(|status| checkup::verdict(world, tablet, at).status == status);
        fits.then(|| law::tablet_info(world, tablet, at))
    };
    let tablets = match &filter.table {
        Some(full) => {
            let (db, name) =
                full.split_once('.').ok_or_else(|| Problem::bad_request("`table` is of the form db.table"))?;
            let table = view::find_table(world, db, name).ok_or_else(|| tables::absent(db, name))?;
            let partitions = table.partitions.iter();
            let partitions = partitions.filter(|p| filter.partition.as_ref().is_none_or(|name| *name == p.name));
            partitions.flat_map(|partition| &partition.tablets).filter_map(has_status).take(limit).collect()
        }
        None if filter.partition.is_some() => return Err(Problem::bad_request("`partition` needs `table`")),
        None => world.tablets.iter().map(|tablet| &tablet.id).filter_map(has_status).take(limit).collect(),
    };
    Ok(Json(api::Tablets { tablets }))
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
