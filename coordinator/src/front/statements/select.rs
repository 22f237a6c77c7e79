//! The family of SELECT: what clients ask about their session, and the tables of `information_schema`.

use super::fault::Fault;
use super::group::{self, Grouping};
use super::rows::{Column, Kind, Sink, Table, Value};
use super::stmt::{Function, Item, Select};
use super::tail::{Fitting, Pick, Picks, Tail};
use super::{Engine, Session, format, info, names, tail, variables};
use crate::front::sql_version;

pub async fn select(engine: &Engine, session: &Session, mut select: Select, sink: &mut impl Sink) -> Result<(), Fault> {
    let Some(from) = select.from.take() else { return about_session(engine, session, &select.items, sink).await };
    let moment = engine.moment();
    let db = names::database_of(moment.world(), session, from.db.as_deref())?;
    let table = match db.as_str() {
        names::INFORMATION_SCHEMA => info::table(engine, &moment, &from.name).await?,
        db if moment.world().tables.values().any(|table| table.db == db && table.name == from.name) => {
            let text =
                format!("'{db}.{}' holds files: read them with `stele get`, list them with `stele ls`", from.name);
            return Err(Fault::refused(text));
        }
        _ => None,
    };
    let table = table.ok_or_else(|| Fault::unknown_table(moment.world(), &db, &from.name))?;
    answer(table, select, sink).await
}

/// What is asked of a table: rows as they are, or groups of them. All that can be wrong is told before the columns are.
pub async fn answer(table: Table<'_>, mut select: Select, sink: &mut impl Sink) -> Result<(), Fault> {
    select.items = expanded(&table.columns, select.items)?;
    if !group::is_asked(&select) {
        let picks = picks(&table.columns, &select.items)?;
        return select.tail.pour(table, picks, sink).await;
    }
    let filter = select.tail.filter.take().map(|filter| filter.on(&table.columns)).transpose()?;
    let grouping = Grouping::of(&table.columns, &mut select)?;
    let picks = picks(grouping.columns(), &select.items)?;
    let tail = Tail { filter: select.having, ..select.tail };
    let places = tail.places(grouping.columns(), &picks)?;
    sink.columns(&picks.columns).await?;
    let groups = grouping.groups(&table.columns, Fitting::of(table.rows, filter)).await?;
    tail.send(groups, places, &picks, sink).await
}

/// As many columns as MySQL has: a `*` is short, a row of ten thousand of them is not.
const COLUMNS_MAX: usize = 4_096;

/// Each `*` as the columns that it stands for.
fn expanded(known: &[Column], items: Vec<Item>) -> Result<Vec<Item>, Fault> {
    let mut expanded = Vec::new();
    for item in items {
        match item {
            Item::All => expanded
                .extend(known.iter().map(|column| Item::Column { name: column.name.clone().into(), alias: None })),
            item => expanded.push(item),
        }
        if expanded.len() > COLUMNS_MAX {
            return Err(Fault::too_many_columns(COLUMNS_MAX));
        }
    }
    Ok(expanded)
}

/// The columns that are asked for, and where each comes from.
fn picks(known: &[Column], items: &[Item]) -> Result<Picks, Fault> {
    let (mut columns, mut picks) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Column { name, alias } => {
                let place = tail::place(known, name)?;
                let shown = alias.clone().map_or_else(|| known[place].name.clone(), Into::into);
                columns.push(Column { name: shown, kind: known[place].kind });
                picks.push(Pick::Place(place));
            }
            Item::Literal { value, alias } => {
                columns.push(Column { name: alias.clone().into(), kind: kind_of(value) });
                picks.push(Pick::Literal(value.clone()));
            }
            Item::Measure { measure, alias } => {
                let place = tail::place(known, &measure.to_string())?;
                columns.push(Column { name: alias.clone().into(), kind: known[place].kind });
                picks.push(Pick::Place(place));
            }
            Item::All | Item::Variable { .. } | Item::Function { .. } => {
                return Err(Fault::syntax("variables and functions are asked without FROM"));
            }
        }
    }
    Ok(Picks::new(columns, picks))
}

fn kind_of(value: &Value) -> Kind {
    match value {
        Value::Whole(_) => Kind::Whole,
        Value::Real(_) => Kind::Real,
        Value::Null | Value::Text(_) => Kind::Text,
    }
}

/// A row without a table.
async fn about_session(engine: &Engine, session: &Session, items: &[Item], sink: &mut impl Sink) -> Result<(), Fault> {
    let (mut columns, mut row) = (Vec::new(), Vec::new());
    for item in items {
        let (name, value) = match item {
            Item::Variable { name, alias } => {
                (alias, variables::value(session, name).ok_or_else(|| Fault::unknown_variable(name))?)
            }
            Item::Function { of, alias } => (alias, function(engine, session, *of)),
            Item::Literal { value, alias } => (alias, value.clone()),
            Item::Column { name, .. } => return Err(Fault::syntax(format!("column '{name}' needs FROM and a table"))),
            Item::All | Item::Measure { .. } => return Err(Fault::syntax("* needs FROM and a table")),
        };
        columns.push(Column { name: name.clone().into(), kind: kind_of(&value) });
        row.push(value);
    }
    sink.columns(&columns).await?;
    sink.row(row).await
}

fn function(engine: &Engine, session: &Session, function: Function) -> Value {
    match function {
        Function::Database => session.db.clone().map_or(Value::Null, Value::Text),
        Function::User => Value::Text(format!("{}@{}", session.user, session.host)),
        Function::Version => Value::text(sql_version()),
        Function::ConnectionId => Value::from(session.connection),
        Function::Now => format::time(engine.ask.clock().wall_ms()),
    }
}
