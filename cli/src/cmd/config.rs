//! `stele config`: the words; and `check`: whether a coordinator or an agent would start with this file, and what it would then use.

use super::knobs;
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use stele_common::config::{self, AgentConfig, CoordinatorConfig, CoordinatorSection};
use stele_common::handshake;
use stele_coordinator::front::users::Users;

#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// All knobs: value, default, unit, range, and where each comes from
    List(knobs::ListArgs),
    /// One knob
    Get(knobs::GetArgs),
    /// Set a knob while the coordinator runs
    Set(knobs::SetArgs),
    /// Who set what, newest first
    History(knobs::HistoryArgs),
    /// Check a file, with the environment's overrides, and show what is in force
    Check(CheckArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 sound, 2 refused.\n\nExample:\n  stele config check agent.toml")]
pub struct CheckArgs {
    /// The file
    file: PathBuf,
    /// Whose file it is; told by its keys unless given
    #[arg(long, value_enum)]
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Coordinator,
    Agent,
}

pub fn run(global: &Global, verb: &ConfigVerb) -> Outcome {
    match verb {
        ConfigVerb::List(args) => knobs::list(global, args),
        ConfigVerb::Get(args) => knobs::get(global, args),
        ConfigVerb::Set(args) => knobs::set(global, args),
        ConfigVerb::History(args) => knobs::history(global, args),
        ConfigVerb::Check(args) => check(global, args),
    }
}

fn check(global: &Global, args: &CheckArgs) -> Outcome {
    let environment = config::environment(std::env::vars());
    let text = read(&args.file)?;
    let kind = match args.kind {
        Some(kind) => kind,
        None => kind_of(&text, &args.file)?,
    };
    match kind {
        Kind::Coordinator => {
            let mut config: CoordinatorConfig = parse(&text, &args.file, &environment)?;
            config.repair = config.repair.settled();
            say(global, &args.file, &config, coordinator_faults(&config))
        }
        Kind::Agent => {
            let config: AgentConfig = parse(&text, &args.file, &environment)?;
            say(global, &args.file, &config, agent_faults(&config))
        }
    }
}

/// Reads a configuration file of either kind.
pub fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        let failure = Failure::io(format_args!("cannot read {}", file.display()), &error);
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.with_exit(Exit::NotFound),
            _ => failure,
        }
    })
}

/// The configuration in a text, with the environment over it.
pub fn parse<T: serde::de::DeserializeOwned>(
    text: &str,
    file: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<T, Failure> {
    config::parse(text, &file.display().to_string(), environment)
        .map_err(|error| Failure::refused(error.to_string().trim_end().to_string()))
}

fn kind_of(text: &str, file: &Path) -> Result<Kind, Failure> {
    let root: toml::Table =
        toml::from_str(text).map_err(|error| Failure::refused(format!("{}: {error}", file.display())))?;
    let of_coordinator = root.contains_key("repair") || root.get("coordinator").is_some_and(toml::Value::is_table);
    let of_agent = ["disk", "host", "peer", "http", "scrub", "limits"].iter().any(|key| root.contains_key(*key))
        || root.get("coordinator").is_some_and(toml::Value::is_str);
    match (of_coordinator, of_agent) {
        (true, false) => Ok(Kind::Coordinator),
        (false, true) => Ok(Kind::Agent),
        (true, true) | (false, false) => Err(Failure::usage(format!("cannot tell whose file {} is", file.display()))
            .next("say --kind coordinator or --kind agent")),
    }
}

fn say<T: Serialize>(global: &Global, file: &Path, config: &T, faults: Vec<String>) -> Outcome {
    if !faults.is_empty() {
        return Err(Failure::refused(format!("{}: {}", file.display(), faults.join("; "))));
    }
    let text = toml::to_string(config).map_err(|error| Failure::io("cannot show the configuration", error))?;
    global.printer().one(config, |_| format!("# {} is sound; in force:\n{text}", file.display()))?;
    Ok(Exit::Done)
}

/// What a coordinator would stumble over, beyond unknown keys.
pub fn coordinator_faults(config: &CoordinatorConfig) -> Vec<String> {
    let (place, knobs) = (&config.coordinator, &config.repair);
    let mut faults = Vec::new();
    address(&mut faults, "coordinator.agents", &place.agents, place.token_file.as_deref());
    address(&mut faults, "coordinator.http", &place.http, place.token_file.as_deref());
    sql(&mut faults, place);
    token(&mut faults, place.token_file.as_deref());
    faults.extend(knobs.faults().into_iter().map(|fault| format!("[repair] {fault}")));
    faults
}

/// What an agent would stumble over, beyond unknown keys.
pub fn agent_faults(config: &AgentConfig) -> Vec<String> {
    let mut faults = Vec::new();
    if config.coordinator.parse::<SocketAddr>().is_err() && !config.coordinator.contains(':') {
        faults.push(format!("coordinator = {:?} is not ip:port", config.coordinator));
    }
    address(&mut faults, "peer", &config.peer, config.token_file.as_deref());
    address(&mut faults, "http", &config.http, config.token_file.as_deref());
    token(&mut faults, config.token_file.as_deref());
    if config.disks.is_empty() {
        faults.push("no [[disk]]: an agent without a data directory holds nothing".to_string());
    }
    for (index, disk) in config.disks.iter().enumerate() {
        if config.disks[..index].iter().any(|other| other.path == disk.path) {
            faults.push(format!("disk {} is named twice", disk.path.display()));
        }
    }
    faults
}

fn address(faults: &mut Vec<String>, key: &str, text: &str, token: Option<&Path>) {
    match text.parse::<SocketAddr>() {
        Err(_) => faults.push(format!("{key} = {text:?} is not ip:port")),
        Ok(address) if !address.ip().is_loopback() && token.is_none() => faults.push(format!(
            "{key} = {text:?} is outside loopback and there is no token_file; make one with 'stele token FILE'"
        )),
        Ok(_) => {}
    }
}

/// The MySQL port: outside loopback only with users.
fn sql(faults: &mut Vec<String>, place: &CoordinatorSection) {
    let parsed = (!place.sql.is_empty()).then(|| place.sql.parse::<SocketAddr>());
    match parsed.transpose() {
        Err(_) => faults.push(format!("coordinator.sql = {:?} is not ip:port", place.sql)),
        Ok(Some(address)) if !address.ip().is_loopback() && place.users_file.is_none() => faults.push(format!(
            "coordinator.sql = {:?} is outside loopback and there is no users_file; make one with 'stele user add'",
            place.sql
        )),
        Ok(_) => {}
    }
    if let Err(fault) = Users::open(place.users_file.clone()) {
        faults.push(fault);
    }
    if place.sql_certificate.is_some() != place.sql_key.is_some() {
        faults.push("coordinator.sql_certificate and coordinator.sql_key go together".to_string());
    }
}

fn token(faults: &mut Vec<String>, file: Option<&Path>) {
    let Some(file) = file else { return };
    match std::fs::read_to_string(file) {
        Err(error) => faults.push(format!("cannot read token_file {}: {error}", file.display())),
        Ok(text) if handshake::token_from_text(&text).is_none() => {
            faults.push(format!("token_file {} does not hold 64 hex digits", file.display()));
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults are sound, except that an agent needs a disk.
    #[test]
    fn defaults_are_sound() {
        assert_eq!(coordinator_faults(&CoordinatorConfig::default()), Vec::<String>::new());
        assert_eq!(agent_faults(&AgentConfig::default()).len(), 1);
    }

    /// A bind outside loopback without a token, and knobs that contradict each other, are named.
    #[test]
    fn faults_are_named() {
        let mut config = CoordinatorConfig::default();
        config.coordinator.http = "0.0.0.0:7401".into();
        config.repair.task_timeout_min_ms = u64::MAX;
        let faults = coordinator_faults(&config).join("\n");
        assert!(faults.contains("stele token") && faults.contains("task_timeout_min_ms"), "{faults}");
    }

    /// Shortening `lost_ms` alone gives a sound configuration, down to silly values.
    #[test]
    fn times_follow_lost_ms() {
        for lost_ms in [3_000, 3_500, 100, 1_000_000] {
            let mut config = CoordinatorConfig::default();
            config.repair.lost_ms = lost_ms;
            config.repair = config.repair.settled();
            assert_eq!(coordinator_faults(&config), Vec::<String>::new(), "{lost_ms}");
        }
    }

    /// Whose file it is can be told by its keys.
    #[test]
    fn kinds_are_told_apart() {
        let kind = |text: &str| kind_of(text, Path::new("f")).map_err(|failure| failure.exit);
        assert_eq!(kind("[repair]\nbeat_ms = 1"), Ok(Kind::Coordinator));
        assert_eq!(kind("[coordinator]\ndir = 'x'"), Ok(Kind::Coordinator));
        assert_eq!(kind("coordinator = '1.2.3.4:5'"), Ok(Kind::Agent));
        assert_eq!(kind("[[disk]]\npath = '/x'"), Ok(Kind::Agent));
        assert_eq!(kind(""), Err(Exit::Usage));
    }
}
