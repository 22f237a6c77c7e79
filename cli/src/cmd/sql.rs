//! `stele sql`: statements as a `mysql` client takes them, through the API.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::table::{self, Rows};
use clap::Args;
use std::io::Read;
use stele_common::api::{SqlAnswer, SqlAsk, SqlResult, SqlValue};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stele sql \"SHOW PROC '/statistic'\"
  stele sql --db d 'ADMIN SHOW REPLICA STATUS FROM t WHERE STATUS != \"OK\"'
  stele sql -o json 'SELECT COUNT(*) FROM information_schema.tablets'
  stele sql \"HELP 'contents'\"")]
pub struct SqlArgs {
    /// Statements, `;` between them; read from standard input unless given
    statement: Option<String>,
    /// The database in use
    #[arg(long, value_name = "DB")]
    db: Option<String>,
}

pub fn run(global: &Global, args: &SqlArgs) -> Outcome {
    let statement = match &args.statement {
        Some(statement) => statement.clone(),
        None => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Failure::io("cannot read the statement", error))?;
            text
        }
    };
    let answer: SqlAnswer = global.face().post("/v1/sql", &SqlAsk { statement, db: args.db.clone() })?;
    global.printer().one(&answer, |answer| answer.results.iter().map(shown).collect::<Vec<_>>().join("\n"))?;
    Ok(Exit::Done)
}

fn shown(result: &SqlResult) -> String {
    match (result.columns.is_empty(), result.message.is_empty()) {
        (false, _) => table::render(&Shown(result)),
        (true, false) => result.message.clone(),
        (true, true) => format!("done, {} affected", result.affected),
    }
}

struct Shown<'a>(&'a SqlResult);

impl Rows for Shown<'_> {
    fn columns(&self) -> Vec<&str> {
        self.0.columns.iter().map(String::as_str).collect()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let text = |value: &SqlValue| match value {
            SqlValue::Null => "NULL".to_string(),
            SqlValue::Whole(number) => number.to_string(),
            SqlValue::Real(number) => number.to_string(),
            SqlValue::Text(text) => text.clone(),
        };
        self.0.rows.iter().map(|row| row.iter().map(text).collect()).collect()
    }

    fn empty(&self) -> &'static str {
        "no rows"
    }
}
