//! `stele coordinator` and `stele agent`: the two long-lived processes, linked into this binary.
//!
//! The only commands that are not clients. Configuration: file, then `STELE__SECTION__KEY`, then flags.

use crate::cmd::config::{self, agent_faults, coordinator_faults};
use crate::exit::{Exit, Failure, Outcome};
use clap::Args;
use std::path::{Path, PathBuf};
use stele_common::config::{AgentConfig, CoordinatorConfig, DiskConfig};

/// Set by a parent that wants its children to end with it, however it ends.
pub const WITH_PARENT: &str = "STELE_END_WITH_PARENT";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stele coordinator --dir /var/lib/stele
  stele coordinator --config /etc/stele/coordinator.toml")]
pub struct CoordinatorArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the coordinator's store
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Address that agents dial
    #[arg(long, value_name = "IP:PORT")]
    agents: Option<String>,
    /// Address of the HTTP face
    #[arg(long, value_name = "IP:PORT")]
    http: Option<String>,
    /// Address of the MySQL port; empty: none
    #[arg(long, value_name = "IP:PORT")]
    sql: Option<String>,
    /// File of users; without it only root, from this machine
    #[arg(long, value_name = "FILE")]
    users_file: Option<PathBuf>,
    /// File with the cluster's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stele agent --config /etc/stele/agent.toml
  stele agent --dial 10.0.0.1:7400 --disk /data/1 --disk /data/2 --token-file /etc/stele/token")]
pub struct AgentArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the coordinator's agent port
    #[arg(long, value_name = "IP:PORT")]
    dial: Option<String>,
    /// A data directory; may be given several times
    #[arg(long, value_name = "DIR")]
    disk: Vec<PathBuf>,
    /// Failure domain; the machine's host name unless given
    #[arg(long)]
    host: Option<String>,
    /// Address that other agents fetch from
    #[arg(long, value_name = "IP:PORT")]
    peer: Option<String>,
    /// Address of the HTTP face
    #[arg(long, value_name = "IP:PORT")]
    http: Option<String>,
    /// File with the cluster's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub fn coordinator(args: &CoordinatorArgs) -> Outcome {
    let mut config: CoordinatorConfig = configured(args.config.as_deref())?;
    let place = &mut config.coordinator;
    place.dir = args.dir.clone().unwrap_or_else(|| place.dir.clone());
    place.agents = args.agents.clone().unwrap_or_else(|| place.agents.clone());
    place.http = args.http.clone().unwrap_or_else(|| place.http.clone());
    place.sql = args.sql.clone().unwrap_or_else(|| place.sql.clone());
    place.users_file = args.users_file.clone().or_else(|| place.users_file.clone());
    place.token_file = args.token_file.clone().or_else(|| place.token_file.clone());
    config.repair = config.repair.settled();
    sound(coordinator_faults(&config))?;
    end_with_parent()?;
    ended("coordinator", stele_coordinator::run(config))
}

pub fn agent(args: &AgentArgs) -> Outcome {
    let mut config: AgentConfig = configured(args.config.as_deref())?;
    config.coordinator = args.dial.clone().unwrap_or(config.coordinator);
    config.host = args.host.clone().unwrap_or(config.host);
    config.peer = args.peer.clone().unwrap_or(config.peer);
    config.http = args.http.clone().unwrap_or(config.http);
    config.token_file = args.token_file.clone().or(config.token_file);
    if !args.disk.is_empty() {
        let disk = |path: &PathBuf| DiskConfig { path: path.clone(), medium: None, capacity_bytes: None };
        config.disks = args.disk.iter().map(disk).collect();
    }
    sound(agent_faults(&config))?;
    end_with_parent()?;
    ended("agent", stele_agent::run(config))
}

fn configured<T: serde::de::DeserializeOwned>(file: Option<&Path>) -> Result<T, Failure> {
    let environment = stele_common::config::environment(std::env::vars());
    match file {
        Some(file) => config::parse(&config::read(file)?, file, &environment),
        None => config::parse("", Path::new("the environment"), &environment),
    }
}

fn sound(faults: Vec<String>) -> Result<(), Failure> {
    if faults.is_empty() { Ok(()) } else { Err(Failure::refused(format!("configuration: {}", faults.join("; ")))) }
}

fn ended(what: &str, result: anyhow::Result<()>) -> Outcome {
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(Failure::error(format!("the {what} ended: {error:#}"))),
    }
}

/// Where the parent asked for it, the kernel terminates this process when the parent is gone.
fn end_with_parent() -> Result<(), Failure> {
    let Some(parent) = std::env::var_os(WITH_PARENT) else { return Ok(()) };
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .map_err(|error| Failure::io("cannot ask to end with the parent", error))?;
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if now.as_deref().map(std::ffi::OsStr::new) != Some(parent.as_os_str()) {
        return Err(Failure::error("the process that started this one has ended already"));
    }
    Ok(())
}
