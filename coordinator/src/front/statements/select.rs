//! The family of SELECT: what clients ask about their session, and the tables of `information_schema`.

use super::fault::Fault;
use super::rows::{Column, Kind, Sink, Value};
use super::stmt::{Function, Item, Select};
use super::tail::{Pick, Picks};
use super::{Engine, Session, format, info, names, tail, variables};
use crate::front::sql_version;

pub async fn select(engine: &Engine, session: &Session, select: Select, sink: &mut impl Sink) -> Result<(), Fault> {
    let Some(from) = select.from else { return about_session(engine, session, &select.items, sink).await };
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
    if let [Item::Count { alias }] = select.items.as_slice() {
        let count = select.tail.count(table).await?;
        sink.columns(&[Column { name: alias.clone().into(), kind: Kind::Whole }]).await?;
        return sink.row(vec![Value::from(count)]).await;
    }
    let picks = picks(&table.columns, &select.items)?;
    select.tail.pour(table, picks, sink).await
}

/// The columns that are asked for, and where each comes from.
fn picks(known: &[Column], items: &[Item]) -> Result<Picks, Fault> {
    let (mut columns, mut picks) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::All => {
                columns.extend(known.iter().cloned());
                picks.extend((0..known.len()).map(Pick::Place));
            }
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
            Item::Count { .. } => return Err(Fault::syntax("COUNT(*) stands alone: there is no GROUP BY")),
            Item::Variable { .. } | Item::Function { .. } => {
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
            Item::Column { name, .. } => return Err(Fault::unknown_column(name, "none without FROM")),
            Item::All | Item::Count { .. } => return Err(Fault::syntax("* needs FROM and a table")),
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
