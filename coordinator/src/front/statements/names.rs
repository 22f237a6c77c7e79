//! The family of names: databases and tables, listed and found.

use super::compare::Pattern;
use super::fault::Fault;
use super::rows::{Column, Kind, Row, Table as Listed, row};
use super::stmt::TableName;
use super::{Session, info};
use stele_coordinator_rules::World;
use stele_coordinator_rules::world::Table;

/// The read-only database of what is known about everything.
pub const INFORMATION_SCHEMA: &str = "information_schema";

/// The database of this name; StarRocks' clients may say `default_cluster:name`.
pub fn database(world: &World, name: &str) -> Result<String, Fault> {
    let bare = name.strip_prefix("default_cluster:").unwrap_or(name);
    if bare.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
        return Ok(INFORMATION_SCHEMA.into());
    }
    world
        .databases
        .get_key_value(bare)
        .map(|(name, _)| name.clone())
        .ok_or_else(|| Fault::unknown_database(world, name))
}

/// The database that is meant: the one that is named, or the one in use.
pub fn database_of(world: &World, session: &Session, named: Option<&str>) -> Result<String, Fault> {
    match (named, &session.db) {
        (Some(name), _) => database(world, name),
        (None, Some(db)) => Ok(db.clone()),
        (None, None) => Err(Fault::no_database()),
    }
}

/// The table that is meant.
pub fn table<'a>(world: &'a World, session: &Session, name: &TableName) -> Result<&'a Table, Fault> {
    let db = database_of(world, session, name.db.as_deref())?;
    let found = world.tables.values().find(|table| table.db == db && table.name == name.name);
    found.map(|table| &**table).ok_or_else(|| Fault::unknown_table(world, &db, &name.name))
}

pub fn databases<'a>(world: &World, like: Option<&str>) -> Listed<'a> {
    let names = std::iter::once(INFORMATION_SCHEMA).chain(world.databases.keys().map(String::as_str));
    Listed::of(&["Database"], rows(names, like))
}

pub fn tables<'a>(
    world: &World,
    session: &Session,
    db: Option<&str>,
    full: bool,
    like: Option<&str>,
) -> Result<Listed<'a>, Fault> {
    let db = database_of(world, session, db)?;
    let (mut names, kind): (Vec<&str>, _) = match db.as_str() {
        INFORMATION_SCHEMA => (info::names().collect(), "SYSTEM VIEW"),
        db => (world.tables.values().filter(|table| table.db == db).map(|table| &*table.name).collect(), "BASE TABLE"),
    };
    names.sort_unstable();
    let mut rows = rows(names.into_iter(), like);
    let text = |name: String| Column { name: name.into(), kind: Kind::Text };
    let mut columns = vec![text(format!("Tables_in_{db}"))];
    if full {
        columns.push(text("Table_type".into()));
        rows.iter_mut().for_each(|row| row.push(kind.into()));
    }
    Ok(Listed::whole(columns, rows.into_iter()))
}

/// Those of `information_schema`; tables of files have none.
pub fn columns<'a>(
    world: &World,
    session: &Session,
    name: &TableName,
    like: Option<&str>,
) -> Result<Listed<'a>, Fault> {
    let db = database_of(world, session, name.db.as_deref())?;
    if db == INFORMATION_SCHEMA {
        return info::describe(&name.name, like).ok_or_else(|| Fault::unknown_table(world, &db, &name.name));
    }
    table(world, session, name)?;
    Ok(Listed::of(&["Field", "Type", "Null", "Key", "Default", "Extra"], vec![]))
}

fn rows<'a>(names: impl Iterator<Item = &'a str>, like: Option<&str>) -> Vec<Row> {
    let pattern = like.map(Pattern::of);
    names.filter(|name| pattern.as_ref().is_none_or(|pattern| pattern.fits(name))).map(|name| row![name]).collect()
}
