//! What a statement answers: columns and rows. Rows come one after the other and are made cell by cell as somebody looks,
//! so that a filter, an order or a limit over a large house makes what it compares and no more, and holds none of it.

use super::fault::Fault;
use std::borrow::Cow;
use std::future::Future;
use std::rc::Rc;

/// What a column holds; decides only how it is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Whole,
    /// A whole number of any length, written as a text.
    Decimal,
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

/// A row that is made cell by cell.
pub trait Cells {
    fn cell(&self, place: usize) -> Value;
}

impl Cells for Row {
    fn cell(&self, place: usize) -> Value {
        self[place].clone()
    }
}

/// Rows that are still to be made.
pub type Coming<'a> = Box<dyn Iterator<Item = Box<dyn Cells + 'a>> + 'a>;

pub struct Table<'a> {
    pub columns: Vec<Column>,
    pub rows: Coming<'a>,
}

/// Makes one cell of a row out of an `R`.
type Make<R> = fn(&R) -> Value;

/// A column of rows that are made out of `R`s.
pub struct Col<R> {
    pub column: Column,
    make: Make<R>,
}

/// `#` before the name: a whole number, `%`: a real one, else it is announced as text, as all SHOWs are.
pub fn col<R>(name: &'static str, make: Make<R>) -> Col<R> {
    Col { column: Column::of(name), make }
}

impl Column {
    pub fn of(name: &'static str) -> Column {
        let (kind, name) = match name.split_at(1) {
            ("#", name) => (Kind::Whole, name),
            ("%", name) => (Kind::Real, name),
            _ => (Kind::Text, name),
        };
        Column { name: Cow::Borrowed(name), kind }
    }
}

struct Lazy<R> {
    of: R,
    makes: Rc<[Make<R>]>,
}

impl<R> Cells for Lazy<R> {
    fn cell(&self, place: usize) -> Value {
        self.makes[place](&self.of)
    }
}

impl<'a> Table<'a> {
    /// Rows that are made whole, one after the other.
    pub fn whole(columns: Vec<Column>, rows: impl Iterator<Item = Row> + 'a) -> Table<'a> {
        Table { columns, rows: Box::new(rows.map(|row| Box::new(row) as Box<dyn Cells>)) }
    }

    pub fn new(names: &[&'static str], rows: impl Iterator<Item = Row> + 'a) -> Table<'a> {
        Table::whole(names.iter().map(|name| Column::of(name)).collect(), rows)
    }

    pub fn of(names: &[&'static str], rows: Vec<Row>) -> Table<'a> {
        Table::new(names, rows.into_iter())
    }

    /// Rows that are made cell by cell.
    pub fn lazy<R: 'a>(columns: Vec<Col<R>>, rows: impl Iterator<Item = R> + 'a) -> Table<'a> {
        let (columns, makes): (Vec<_>, Vec<_>) = columns.into_iter().map(|col| (col.column, col.make)).unzip();
        let makes: Rc<[Make<R>]> = makes.into();
        let lazy = move |of| Box::new(Lazy { of, makes: makes.clone() }) as Box<dyn Cells + 'a>;
        Table { columns, rows: Box::new(rows.map(lazy)) }
    }
}

/// Takes an answer while it is made. What it returns ends the answer: whoever asked is gone, or has enough.
pub trait Sink {
    /// First, once.
    fn columns(&mut self, columns: &[Column]) -> impl Future<Output = Result<(), Fault>>;
    fn row(&mut self, row: Row) -> impl Future<Output = Result<(), Fault>>;
}

/// All that a statement answers, for those who want to hold it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

impl Sink for Rows {
    async fn columns(&mut self, columns: &[Column]) -> Result<(), Fault> {
        self.columns = columns.to_vec();
        Ok(())
    }

    async fn row(&mut self, row: Row) -> Result<(), Fault> {
        self.rows.push(row);
        Ok(())
    }
}

/// Takes the columns, and ends the answer there.
#[derive(Debug, Default)]
pub struct Heads(pub Vec<Column>);

impl Sink for Heads {
    async fn columns(&mut self, columns: &[Column]) -> Result<(), Fault> {
        self.0 = columns.to_vec();
        Err(Fault::ending())
    }

    async fn row(&mut self, _: Row) -> Result<(), Fault> {
        Err(Fault::ending())
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

    /// The whole number that it comes nearest to, if it is a number.
    pub fn whole(&self) -> Option<i64> {
        match self {
            Value::Whole(number) => Some(*number),
            value => value.number().map(|number| number as i64),
        }
    }

    /// What it holds, roughly.
    pub fn bytes(&self) -> usize {
        size_of::<Value>() + if let Value::Text(text) = self { text.len() } else { 0 }
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
