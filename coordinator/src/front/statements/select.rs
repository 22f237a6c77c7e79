//! The family of SELECT: what clients ask about their session.

use super::fault::Fault;
use super::rows::{Column, Kind, Rows, Value};
use super::stmt::{Function, Item, Select};
use super::{Engine, Session, format, variables};
use crate::front::sql_version;

/// What stands in `information_schema`.
pub const TABLES: &[&str] = &[];

pub async fn select(engine: &Engine, session: &Session, select: Select) -> Result<Rows, Fault> {
    let Some(from) = select.from else { return about_session(engine, session, &select.items) };
    let db = from.db.or_else(|| session.db.clone()).ok_or_else(Fault::no_database)?;
    Err(Fault::unknown_table(&db, &from.name))
}

/// A row without a table.
fn about_session(engine: &Engine, session: &Session, items: &[Item]) -> Result<Rows, Fault> {
    let (mut columns, mut row) = (Vec::new(), Vec::new());
    for item in items {
        let (name, value) = match item {
            Item::Variable { name, alias } => {
                (alias, variables::value(session, name).ok_or_else(|| Fault::unknown_variable(name))?)
            }
            Item::Function { of, alias } => (alias, function(engine, session, *of)),
            Item::Literal { value, alias } => (alias, value.clone()),
            Item::Column { name, .. } => return Err(Fault::unknown_column(name, "none without FROM")),
            Item::All | Item::Count { .. } => return Err(Fault::syntax("* needs FROM and a table")),
        };
        let kind = match value {
            Value::Whole(_) => Kind::Whole,
            Value::Real(_) => Kind::Real,
            Value::Null | Value::Text(_) => Kind::Text,
        };
        columns.push(Column { name: name.clone().into(), kind });
        row.push(value);
    }
    Ok(Rows { columns, rows: vec![row] })
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
