//! The family of names: databases and tables, listed and found.

use super::compare::Pattern;
use super::fault::Fault;
use super::kept::Kept;
use super::rows::{Column, Kind, Row, Table as Listed, Value, row};
use super::stmt::TableName;
use super::{Moment, Session, info};
use stele_coordinator_rules::World;
use stele_coordinator_rules::world::Table;

/// What clients are told that tables are made by, and how texts are compared.
pub const ENGINE: &str = "Stele";
pub const COLLATION: &str = "utf8mb4_general_ci";

const TABLE_STATUS: &[&str] = &[
    "Name",
    "Engine",
    "Version",
    "Row_format",
    "Rows",
    "Avg_row_length",
    "Data_length",
    "Max_data_length",
    "Index_length",
    "Data_free",
    "Auto_increment",
    "Create_time",
    "Update_time",
    "Check_time",
    "Collation",
    "Checksum",
    "Create_options",
    "Comment",
];
/// What is told of a column; with FULL, and without.
pub const FIELDS_IN_FULL: &[&str] =
    &["Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"];
pub const FIELDS: &[&str] = &["Field", "Type", "Null", "Key", "Default", "Extra"];
const INDEXES: &[&str] = &[
    "Table",
    "Non_unique",
    "Key_name",
    "Seq_in_index",
    "Column_name",
    "Collation",
    "Cardinality",
    "Sub_part",
    "Packed",
    "Null",
    "Index_type",
    "Comment",
    "Index_comment",
];

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
    if db == INFORMATION_SCHEMA && info::is_there(&name.name) {
        return Err(Fault::view(&name.name));
    }
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

/// As far as it means something here: `Rows` are files.
pub fn table_status<'a>(
    moment: &Moment,
    session: &Session,
    db: Option<&str>,
    like: Option<&str>,
) -> Result<Listed<'a>, Fault> {
    let db = database_of(moment.world(), session, db)?;
    let pattern = like.map(Pattern::of);
    let fits = |table: &Table| table.db == db && pattern.as_ref().is_none_or(|pattern| pattern.fits(&table.name));
    let mut tables: Vec<&Table> = moment.world().tables.values().map(|table| &**table).filter(|t| fits(t)).collect();
    tables.sort_unstable_by_key(|table| &table.name);
    let rows = tables.into_iter().map(|table| {
        let sums = moment.tally().tables.get(&table.id).copied().unwrap_or_default();
        let none = || Value::Null;
        row![
            table.name.as_str(),
            ENGINE,
            none(),
            none(),
            sums.files,
            none(),
            sums.bytes,
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
            COLLATION,
            none(),
            "",
            Kept::of(&table.columns).shown_comment(),
        ]
    });
    Ok(Listed::of(TABLE_STATUS, rows.collect()))
}

/// There are none.
pub fn indexes<'a>(world: &World, session: &Session, name: &TableName) -> Result<Listed<'a>, Fault> {
    columns(world, session, name, false, None)?;
    Ok(Listed::of(INDEXES, vec![]))
}

/// Those of `information_schema`; of a table of files, those that were written down when it was made.
pub fn columns<'a>(
    world: &World,
    session: &Session,
    name: &TableName,
    full: bool,
    like: Option<&str>,
) -> Result<Listed<'a>, Fault> {
    let db = database_of(world, session, name.db.as_deref())?;
    if db == INFORMATION_SCHEMA {
        return info::describe(&name.name, full, like).ok_or_else(|| Fault::unknown_table(world, &db, &name.name));
    }
    let fields = Kept::of(&table(world, session, name)?.columns).fields();
    let pattern = like.map(Pattern::of);
    let shown = fields.iter().filter(|field| pattern.as_ref().is_none_or(|like| like.fits(&field.name)));
    Ok(Listed::of(if full { FIELDS_IN_FULL } else { FIELDS }, shown.map(|field| field.row(full)).collect()))
}

fn rows<'a>(names: impl Iterator<Item = &'a str>, like: Option<&str>) -> Vec<Row> {
    let pattern = like.map(Pattern::of);
    names.filter(|name| pattern.as_ref().is_none_or(|pattern| pattern.fits(name))).map(|name| row![name]).collect()
}
