//! The family of SELECT: what clients ask about their session, and the tables of `information_schema`.

use super::fault::Fault;
use super::rows::{Column, Kind, Rows, Value};
use super::stmt::{Function, Item, Select};
use super::{Engine, Session, format, info, names, tail, variables};
use crate::front::sql_version;

pub async fn select(engine: &Engine, session: &Session, select: Select) -> Result<Rows, Fault> {
    let Some(from) = select.from else { return about_session(engine, session, &select.items) };
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
        let count = select.tail.count(table)?;
        let columns = vec![Column { name: alias.clone().into(), kind: Kind::Whole }];
        return Ok(Rows { columns, rows: vec![vec![Value::from(count)]] });
    }
    let (columns, chosen) = chosen(&table.columns, &select.items)?;
    let rows = select.tail.of(table)?.rows;
    let project = |row: Vec<Value>| {
        let one = |choice: &Choice| match choice {
            Choice::Place(place) => row[*place].clone(),
            Choice::Literal(value) => value.clone(),
        };
        chosen.iter().map(one).collect()
    };
    Ok(Rows { columns, rows: rows.into_iter().map(project).collect() })
}

enum Choice {
    Place(usize),
    Literal(Value),
}

/// The columns that are asked for, and where each comes from.
fn chosen(known: &[Column], items: &[Item]) -> Result<(Vec<Column>, Vec<Choice>), Fault> {
    let (mut columns, mut choices) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::All => {
                columns.extend(known.iter().cloned());
                choices.extend((0..known.len()).map(Choice::Place));
            }
            Item::Column { name, alias } => {
                let place = tail::place(known, name)?;
                let shown = alias.clone().map_or_else(|| known[place].name.clone(), Into::into);
                columns.push(Column { name: shown, kind: known[place].kind });
                choices.push(Choice::Place(place));
            }
            Item::Literal { value, alias } => {
                columns.push(Column { name: alias.clone().into(), kind: kind_of(value) });
                choices.push(Choice::Literal(value.clone()));
            }
            Item::Count { .. } => return Err(Fault::syntax("COUNT(*) stands alone: there is no GROUP BY")),
            Item::Variable { .. } | Item::Function { .. } => {
                return Err(Fault::syntax("variables and functions are asked without FROM"));
            }
        }
    }
    Ok((columns, choices))
}

fn kind_of(value: &Value) -> Kind {
    match value {
        Value::Whole(_) => Kind::Whole,
        Value::Real(_) => Kind::Real,
        Value::Null | Value::Text(_) => Kind::Text,
    }
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
        columns.push(Column { name: name.clone().into(), kind: kind_of(&value) });
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
