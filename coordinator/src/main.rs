//! `stele-coordinator`: the slim binary. Reads its file, the environment and flags, in this order, and runs.

use anyhow::Context;
use clap::Parser;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use stele_common::config::{self, CoordinatorConfig};

/// Decides where replicas go; agents dial in, people ask over HTTP.
#[derive(Parser)]
#[command(version, after_help = "Example:\n  stele-coordinator --config /etc/stele/coordinator.toml")]
struct Flags {
    /// TOML file; STELE__SECTION__KEY variables override it, flags come last
    #[arg(long)]
    config: Option<PathBuf>,
    /// Directory of the store
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Address for agents, ip:port; port 0 picks one and logs it
    #[arg(long)]
    agents: Option<String>,
    /// Address for HTTP, ip:port
    #[arg(long)]
    http: Option<String>,
    /// File with the cluster's token
    #[arg(long)]
    token_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    match configured(Flags::parse()).and_then(stele_coordinator::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn configured(flags: Flags) -> anyhow::Result<CoordinatorConfig> {
    let (text, origin) = match &flags.config {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            (text, path.display().to_string())
        }
        None => (String::new(), "flags and environment".to_string()),
    };
    let environment: BTreeMap<String, String> = config::environment(std::env::vars());
    let mut config: CoordinatorConfig = config::parse(&text, &origin, &environment)?;
    config.repair = config.repair.settled();
    let section = &mut config.coordinator;
    section.dir = flags.dir.unwrap_or(std::mem::take(&mut section.dir));
    section.agents = flags.agents.unwrap_or(std::mem::take(&mut section.agents));
    section.http = flags.http.unwrap_or(std::mem::take(&mut section.http));
    section.token_file = flags.token_file.or(section.token_file.take());
    Ok(config)
}
