//! `stele log-level`: what the coordinator writes to its log.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use clap::Args;
use stele_common::api::LogLevel;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stele log-level
  stele log-level debug
  stele log-level info,stele_coordinator::actors=debug")]
pub struct LogLevelArgs {
    /// A level (error, warn, info, debug, trace), or levels by module; without it, what is written now is shown
    filter: Option<String>,
}

pub fn run(global: &Global, args: &LogLevelArgs) -> Outcome {
    let level: LogLevel = match &args.filter {
        None => global.face().get("/v1/log-level", &[])?,
        Some(filter) => global.face().put("/v1/log-level", &LogLevel { filter: filter.clone() })?,
    };
    global.printer().one(&level, |level| format!("{}\n", level.filter))?;
    Ok(Exit::Done)
}
