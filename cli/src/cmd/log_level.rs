//! `stele log-level`: what the coordinator, or an agent, writes to its log.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use clap::Args;
use stele_common::api::{LogLevel, NodeInfo};

#[derive(Debug, Args)]
#[command(after_help = "An agent's is changed on its own host only.

Examples:
  stele log-level
  stele log-level debug
  stele log-level info,stele_coordinator::actors=debug
  stele log-level --node host-1 info,stele_agent=debug")]
pub struct LogLevelArgs {
    /// A level (error, warn, info, debug, trace), or levels by module; without it, what is written now is shown
    filter: Option<String>,
    /// The agent of this node (id, name or host), in place of the coordinator
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
}

pub fn run(global: &Global, args: &LogLevelArgs) -> Outcome {
    let coordinator = global.face();
    let face = match &args.node {
        None => coordinator,
        Some(name) => {
            let id = super::node::find(&coordinator, name)?;
            let node: NodeInfo = coordinator.get(&format!("/v1/nodes/{id}"), &[])?;
            if node.http.is_empty() {
                return Err(Failure::error(format!("node {id} has not said where its HTTP face is"))
                    .next("is its agent running? see 'stele node list'"));
            }
            coordinator.agent_at(&node.http)
        }
    };
    let level: LogLevel = match &args.filter {
        None => face.get("/v1/log-level", &[])?,
        Some(filter) => face.put("/v1/log-level", &LogLevel { filter: filter.clone() })?,
    };
    global.printer().one(&level, |level| format!("{}\n", level.filter))?;
    Ok(Exit::Done)
}
