//! Shapes of statements over HTTP.

use serde::{Deserialize, Serialize};

/// `POST /v1/sql`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlAsk {
    /// One statement, or several with `;` between them; the first that fails ends them.
    pub statement: String,
    /// The database in use.
    #[serde(default)]
    pub db: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SqlAnswer {
    /// By statement.
    pub results: Vec<SqlResult>,
}

/// Rows, or what a statement without rows has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SqlResult {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<SqlValue>>,
    pub affected: u64,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SqlValue {
    Null,
    Whole(i64),
    Real(f64),
    Text(String),
}
