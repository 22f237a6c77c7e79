//! The family of DDL: databases, tables, partitions. Columns are taken and kept as a comment: what is replicated here
//! are files.

use super::admin::Properties;
use super::fault::Fault;
use super::kept::Kept;
use super::reader::quoted;
use super::rows::{Table as Listed, row};
use super::stmt::{CreateTable, NewPartition, TableName};
use super::{Engine, Moment, Outcome, Session, names, replica};
use std::time::Duration;
use stele_common::api::{PartitionAdd, TableCreate, TableSet};
use stele_common::{Medium, TableId};
use stele_coordinator_rules::world::Table;
use stele_coordinator_rules::{Answer, EventBody};

/// How long a creation waits for the agents to report their empty replicas, so that a load right after it works.
const REPORTED_WITHIN: Duration = Duration::from_secs(10);
/// Buckets of a table that does not say.
const BUCKETS: u32 = 16;
/// Copies of a table that does not say.
const COPIES: u32 = 3;

pub async fn create_database(engine: &Engine, name: &str, if_not_exists: bool) -> Result<Outcome, Fault> {
    if name.eq_ignore_ascii_case(names::INFORMATION_SCHEMA) || engine.ask.now().world.databases.contains_key(name) {
        return if if_not_exists { Ok(Outcome::done()) } else { Err(Fault::database_exists(name)) };
    }
    engine.ask.catalog(EventBody::CreateDatabase { name: name.into() }).await?;
    Ok(Outcome::Done { affected: 1, message: String::new() })
}

/// With FORCE its tables go first; else one with tables stays.
pub async fn drop_database(
    engine: &Engine,
    session: &mut Session,
    name: &str,
    if_exists: bool,
    force: bool,
) -> Result<Outcome, Fault> {
    let published = engine.ask.now();
    if !published.world.databases.contains_key(name) {
        return if if_exists { Ok(Outcome::done()) } else { Err(Fault::unknown_database(&published.world, name)) };
    }
    if force {
        for table in published.world.tables.values().filter(|table| table.db == name) {
            engine.ask.catalog(EventBody::DropTable { db: name.into(), name: table.name.clone() }).await?;
        }
    }
    engine.ask.catalog(EventBody::DropDatabase { name: name.into() }).await?;
    if session.db.as_deref() == Some(name) {
        session.db = None;
    }
    Ok(Outcome::Done { affected: 1, message: String::new() })
}

/// In a database that is there: one that is misspelt is not made by the way.
pub async fn create_table(engine: &Engine, session: &Session, create: &CreateTable) -> Result<Outcome, Fault> {
    let published = engine.ask.now();
    let db = names::database_of(&published.world, session, create.table.db.as_deref())?;
    if db == names::INFORMATION_SCHEMA {
        return Err(Fault::read_only(&db));
    }
    let name = create.table.name.clone();
    if create.if_not_exists && published.world.tables.values().any(|table| table.db == db && table.name == name) {
        return Ok(Outcome::done());
    }
    let properties = Properties(&create.properties);
    properties.only(&["replication_num", "storage_medium", "colocate_with", "tag"])?;
    let wish = TableCreate {
        db: db.clone(),
        name: name.clone(),
        replication: copies(&properties)?.unwrap_or(COPIES),
        buckets: create.buckets.unwrap_or(BUCKETS),
        medium: medium(&properties)?.unwrap_or_default(),
        partitions: create.partitions.clone(),
        tag: properties.get("tag").map(String::from),
        colocate: properties.get("colocate_with").map(String::from),
    };
    let Answer::Table(id) = engine.ask.catalog(EventBody::CreateTable(wish)).await? else {
        return Err(Fault::ending());
    };
    let kept = create.kept.text();
    if !kept.is_empty() {
        let wish = TableSet { columns: Some(kept), ..TableSet::default() };
        engine.ask.catalog(EventBody::SetTable { db, name, wish }).await?;
    }
    until_reported(engine, id).await;
    Ok(Outcome::done())
}

async fn until_reported(engine: &Engine, id: TableId) {
    let reported = engine.ask.until(REPORTED_WITHIN, |published| {
        let table = published.world.tables.get(&id);
        table.is_none_or(|table| crate::front::view::is_all_reported(&published.world, table)).then_some(())
    });
    if reported.await.is_none() {
        tracing::warn!(table = %id, "not all replicas of the table have been reported yet");
    }
}

fn copies(properties: &Properties<'_>) -> Result<Option<u32>, Fault> {
    let one = |text: &str| {
        text.parse().map_err(|_| Fault::syntax(format!("\"replication_num\" = \"{text}\" is not a number of copies")))
    };
    properties.get("replication_num").map(one).transpose()
}

fn medium(properties: &Properties<'_>) -> Result<Option<Medium>, Fault> {
    let one = |text: &str| {
        let found = [Medium::Hdd, Medium::Ssd];
        let found = found.into_iter().find(|medium| super::proc::medium(*medium).eq_ignore_ascii_case(text));
        found.ok_or_else(|| Fault::syntax(format!("\"storage_medium\" is HDD or SSD, not \"{text}\"")))
    };
    properties.get("storage_medium").map(one).transpose()
}

pub async fn drop_table(
    engine: &Engine,
    session: &Session,
    name: &TableName,
    if_exists: bool,
) -> Result<Outcome, Fault> {
    let published = engine.ask.now();
    match names::table(&published.world, session, name) {
        Ok(table) => {
            let (db, name) = (table.db.clone(), table.name.clone());
            engine.ask.catalog(EventBody::DropTable { db, name }).await?;
            Ok(Outcome::Done { affected: 1, message: String::new() })
        }
        Err(_) if if_exists => Ok(Outcome::done()),
        Err(fault) => Err(fault),
    }
}

/// A default is for partitions to come. None is kept: taken for the property itself it would delete copies.
fn for_future_partitions(properties: &[(String, String)]) -> Result<(), Fault> {
    let prefixed = |name: &str| name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("default."));
    let Some((name, value)) = properties.iter().find(|(name, _)| prefixed(name)) else { return Ok(()) };
    let bare = &name[8..];
    Err(Fault::refused(format!(
        "\"{name}\" is about future partitions only, and no default is kept here: a new partition is as the first one, or \
         as ADD PARTITION p (\"{bare}\" = ..) says; SET (\"{bare}\" = \"{value}\") changes those that are there"
    )))
}

/// ALTER TABLE t `[MODIFY] [PARTITION p]` SET (...).
pub async fn set(
    engine: &Engine,
    session: &Session,
    name: &TableName,
    partitions: &[String],
    properties: &[(String, String)],
) -> Result<Outcome, Fault> {
    let published = engine.ask.now();
    let table = names::table(&published.world, session, name)?;
    replica::partitions(table, partitions)?;
    for_future_partitions(properties)?;
    let properties = Properties(properties);
    properties.only(&["replication_num", "storage_medium", "colocate_with", "tag"])?;
    let wish = TableSet {
        partition: None,
        replication: copies(&properties)?,
        medium: medium(&properties)?,
        tag: properties.get("tag").map(String::from),
        colocate: properties.get("colocate_with").map(String::from),
        columns: None,
    };
    let wishes = match partitions {
        [] => vec![wish],
        some => some.iter().map(|name| TableSet { partition: Some(name.clone()), ..wish.clone() }).collect(),
    };
    for wish in wishes {
        engine.ask.catalog(EventBody::SetTable { db: table.db.clone(), name: table.name.clone(), wish }).await?;
    }
    Ok(Outcome::done())
}

pub async fn add_partition(
    engine: &Engine,
    session: &Session,
    name: &TableName,
    wanted: &NewPartition,
) -> Result<Outcome, Fault> {
    let published = engine.ask.now();
    let table = names::table(&published.world, session, name)?;
    let NewPartition { name: partition, if_not_exists, properties } = wanted;
    if *if_not_exists && table.partitions.iter().any(|known| known.name == *partition) {
        return Ok(Outcome::done());
    }
    let properties = Properties(properties);
    properties.only(&["replication_num", "storage_medium"])?;
    let wish =
        PartitionAdd { name: partition.clone(), replication: copies(&properties)?, medium: medium(&properties)? };
    let (db, name) = (table.db.clone(), table.name.clone());
    engine.ask.catalog(EventBody::AddPartition { db, name, wish }).await?;
    until_reported(engine, table.id).await;
    Ok(Outcome::done())
}

pub async fn drop_partition(
    engine: &Engine,
    session: &Session,
    name: &TableName,
    partition: &str,
    if_exists: bool,
) -> Result<Outcome, Fault> {
    let published = engine.ask.now();
    let table = names::table(&published.world, session, name)?;
    if if_exists && replica::partitions(table, &[partition.to_string()]).is_err() {
        return Ok(Outcome::done());
    }
    let (db, name, partition) = (table.db.clone(), table.name.clone(), partition.to_string());
    engine.ask.catalog(EventBody::DropPartition { db, name, partition }).await?;
    Ok(Outcome::Done { affected: 1, message: String::new() })
}

/// SHOW CREATE TABLE: a statement that would make it.
pub fn show_create<'a>(moment: &Moment, session: &Session, name: &TableName) -> Result<Listed<'a>, Fault> {
    let table = names::table(moment.world(), session, name)?;
    let row = row![table.name.as_str(), statement(table)];
    Ok(Listed::of(&["Table", "Create Table"], vec![row]))
}

pub fn show_create_database<'a>(moment: &Moment, name: &str) -> Result<Listed<'a>, Fault> {
    let db = names::database(moment.world(), name)?;
    let made = format!("CREATE DATABASE `{db}`;");
    Ok(Listed::of(&["Database", "Create Database"], vec![row![db, made]]))
}

fn statement(table: &Table) -> String {
    let mut text = format!("CREATE TABLE `{}`", table.name);
    let kept = Kept::of(&table.columns);
    if !kept.columns.is_empty() {
        text += &format!(" ({})", kept.columns);
    }
    text.extend(kept.key.map(|key| format!("\n{key}")));
    text.extend(kept.comment.map(|comment| format!("\nCOMMENT {}", quoted(&comment))));
    let partitions: Vec<String> = table.partitions.iter().map(|partition| format!("`{}`", partition.name)).collect();
    text += &format!("\nPARTITION BY ({})", partitions.join(", "));
    let by = kept.distribution.as_deref().unwrap_or("HASH");
    text += &format!("\nDISTRIBUTED BY {by} BUCKETS {}", table.buckets);
    text.extend(kept.order.map(|columns| format!("\nORDER BY {columns}")));
    let mut properties = Vec::new();
    if let Some(first) = table.partitions.first() {
        properties.push(format!("\"replication_num\" = \"{}\"", first.replication));
        properties.push(format!("\"storage_medium\" = \"{}\"", super::proc::medium(first.medium)));
    }
    properties.push(format!("\"tag\" = \"{}\"", table.tag));
    properties.extend(table.group.iter().map(|group| format!("\"colocate_with\" = \"{group}\"")));
    text + &format!("\nPROPERTIES ({});", properties.join(", "))
}
