//! `/v1/tables`.

use super::{Front, Page, Problem, body, first};
use crate::front::ask::Sorry;
use crate::front::{near, view};
use actix_web::web::{Data, Json, Path, Payload, Query};
use actix_web::{delete, get, patch, post};
use serde_json::{Value, json};
use std::time::Duration;
use stele_common::api;
use stele_coordinator_rules::{Answer, EventBody, World};

/// How long a creation waits for the agents to report their empty replicas, so that a load right after it works.
/// A table whose agents need longer is there all the same.
const REPORTED_WITHIN: Duration = Duration::from_secs(10);

#[get("/v1/tables")]
pub async fn list(front: Data<Front>, page: Query<Page<String>>) -> Result<Json<api::Tables>, Problem> {
    let published = front.ask.now();
    let tally = front.tally(&published);
    let after = page.after.as_deref().map(|after| after.split_once('.').unwrap_or((after, "")));
    let mut found: Vec<_> = published.world.tables.values().map(|table| ((&*table.db, &*table.name), table)).collect();
    found.retain(|(name, _)| after.is_none_or(|after| *name > after));
    found.sort_unstable_by_key(|(name, _)| *name);
    let (found, is_more) = first(page.limit, found.into_iter());
    let next = found.last().filter(|_| is_more).map(|((db, name), _)| format!("{db}.{name}"));
    let tables = found.into_iter().map(|(_, table)| view::table(table, &tally)).collect();
    Ok(Json(api::Tables { tables, next }))
}

#[post("/v1/tables")]
pub async fn create(front: Data<Front>, payload: Payload) -> Result<Json<api::TableInfo>, Problem> {
    let create: api::TableCreate = body::read(payload).await?;
    let Answer::Table(id) = front.ask.catalog(EventBody::CreateTable(create)).await? else {
        return Err(Sorry::Ending.into());
    };
    let reported = front.ask.until(REPORTED_WITHIN, |published| {
        // Dropped meanwhile counts as over.
        let table = published.world.tables.get(&id);
        table.is_none_or(|table| view::is_all_reported(&published.world, table)).then_some(())
    });
    if reported.await.is_none() {
        tracing::warn!(table = %id, "table created, but not all its replicas have been reported");
    }
    let published = front.ask.now();
    let tally = front.tally(&published);
    match published.world.tables.get(&id) {
        Some(table) => Ok(Json(view::table(table, &tally))),
        None => Err(Problem::not_found("no_such_table", "the table was dropped right after it was created")),
    }
}

#[get("/v1/tables/{db}/{name}")]
pub async fn show(front: Data<Front>, path: Path<(String, String)>) -> Result<Json<api::TableInfo>, Problem> {
    let (db, name) = path.into_inner();
    let published = front.ask.now();
    let tally = front.tally(&published);
    let table = view::find_table(&published.world, &db, &name).ok_or_else(|| absent(&published.world, &db, &name))?;
    Ok(Json(view::table(table, &tally)))
}

#[patch("/v1/tables/{db}/{name}")]
pub async fn set(
    front: Data<Front>,
    path: Path<(String, String)>,
    payload: Payload,
) -> Result<Json<api::TableInfo>, Problem> {
    let ((db, name), wish) = (path.into_inner(), body::read(payload).await?);
    front.ask.catalog(EventBody::SetTable { db: db.clone(), name: name.clone(), wish }).await?;
    let published = front.ask.now();
    let tally = front.tally(&published);
    let table = view::find_table(&published.world, &db, &name).ok_or_else(|| absent(&published.world, &db, &name))?;
    Ok(Json(view::table(table, &tally)))
}

#[delete("/v1/tables/{db}/{name}")]
pub async fn drop(front: Data<Front>, path: Path<(String, String)>) -> Result<Json<Value>, Problem> {
    let (db, name) = path.into_inner();
    front.ask.catalog(EventBody::DropTable { db, name }).await?;
    Ok(Json(json!({})))
}

pub fn absent(world: &World, db: &str, name: &str) -> Problem {
    let full = format!("{db}.{name}");
    Problem::not_found("no_such_table", format!("there is no table {full}"))
        .next("see `stele table list`")
        .maybe_next(near::table(world, &full))
}
