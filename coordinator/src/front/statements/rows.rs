//! What a statement answers: columns and rows. Rows come one after the other, so that a filter or a limit over a large
//! house never holds all of it.

use std::borrow::Cow;

/// What a column holds; decides only how it is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Whole,
    Real,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: Cow<'static, str>,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    Whole(i64),
    Real(f64),
}

pub type Row = Vec<Value>;

/// Rows that are still to be made.
pub struct Table<'a> {
    pub columns: Vec<Column>,
    pub rows: Box<dyn Iterator<Item = Row> + 'a>,
}

/// All that a statement answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

/// Columns that are announced as text, as all SHOWs are.
pub fn texts(names: &[&'static str]) -> Vec<Column> {
    names.iter().map(|name| Column { name: Cow::Borrowed(name), kind: Kind::Text }).collect()
}

impl<'a> Table<'a> {
    pub fn new(names: &[&'static str], rows: impl Iterator<Item = Row> + 'a) -> Table<'a> {
        Table { columns: texts(names), rows: Box::new(rows) }
    }

    pub fn of(names: &[&'static str], rows: Vec<Row>) -> Table<'a> {
        Table::new(names, rows.into_iter())
    }
}

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// What is not there, as the originals write it.
    pub fn absent() -> Value {
        Value::Text("N/A".into())
    }

    /// The number, if it is one or reads like one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Null => None,
            Value::Whole(number) => Some(*number as f64),
            Value::Real(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        }
    }

    /// As it is shown; nothing for NULL.
    pub fn shown(&self) -> Cow<'_, str> {
        match self {
            Value::Null => Cow::Borrowed(""),
            Value::Text(text) => Cow::Borrowed(text),
            Value::Whole(number) => Cow::Owned(number.to_string()),
            Value::Real(number) => Cow::Owned(number.to_string()),
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        // Numbers beyond are shown as they are, and compared as they read.
        i64::try_from(number).map_or_else(|_| Value::Text(number.to_string()), Value::Whole)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Whole(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Whole(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::from(number as u64)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Real(number)
    }
}

impl From<bool> for Value {
    fn from(is: bool) -> Value {
        Value::text(if is { "true" } else { "false" })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

/// A row out of whatever can be a value.
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::front::statements::rows::Value::from($value)),*] };
}
pub(crate) use row;
