//! `stele-agent`: the slim binary that runs one agent. In: a configuration file, variables, flags. Out: the agent, until
//! SIGTERM; exit code 0 done, 1 error, 64 usage.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use stele_common::config::{self, AgentConfig, DiskConfig};

/// Runs one storage agent of a Stele cluster.
#[derive(Debug, Parser)]
#[command(
    name = "stele-agent",
    version,
    after_help = "Example:\n  stele-agent --config agent.toml\n  stele-agent --coordinator 10.0.0.1:7400 --disk /data/1 --disk /data/2"
)]
struct Flags {
    /// Configuration file (TOML); `STELE__SECTION__KEY` overrides it, flags come last.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the coordinator's agent port.
    #[arg(long, value_name = "IP:PORT")]
    coordinator: Option<String>,
    /// The failure domain; default: the machine's host name.
    #[arg(long)]
    host: Option<String>,
    /// Names the agent among those of its host; default: the host.
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    rack: Option<String>,
    #[arg(long)]
    tag: Option<String>,
    /// Where other agents fetch files; port 0 picks one.
    #[arg(long, value_name = "IP:PORT")]
    peer: Option<String>,
    /// Where files are read and loads are sent; port 0 picks one.
    #[arg(long, value_name = "IP:PORT")]
    http: Option<String>,
    /// File with the cluster's token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A data directory; may be given several times. Replaces those of the file.
    #[arg(long = "disk", value_name = "DIR")]
    disks: Vec<PathBuf>,
}

impl Flags {
    fn config(self) -> anyhow::Result<AgentConfig> {
        let environment = config::environment(std::env::vars());
        let (text, origin) = match &self.config {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| anyhow::anyhow!("cannot read the configuration {}: {error}", file.display()))?;
                (text, file.display().to_string())
            }
            None => (String::new(), "the environment".to_string()),
        };
        let mut config: AgentConfig = config::parse(&text, &origin, &environment)?;
        let set = |slot: &mut String, flag: Option<String>| {
            if let Some(value) = flag {
                *slot = value;
            }
        };
        set(&mut config.coordinator, self.coordinator);
        set(&mut config.host, self.host);
        set(&mut config.name, self.name);
        set(&mut config.rack, self.rack);
        set(&mut config.tag, self.tag);
        set(&mut config.peer, self.peer);
        set(&mut config.http, self.http);
        config.token_file = self.token_file.or(config.token_file);
        if !self.disks.is_empty() {
            let disk = |path| DiskConfig { path, medium: None, capacity_bytes: None };
            config.disks = self.disks.into_iter().map(disk).collect();
        }
        Ok(config)
    }
}

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => {
            // A closed pipe behind `--help` is no trouble of ours.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    match flags.config().and_then(stele_agent::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    /// Flags come last: they win over the file.
    #[test]
    fn flags_win() {
        Flags::command().debug_assert();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "host = \"a\"\nrack = \"r1\"\n[[disk]]\npath = \"/x\"\n").unwrap();
        let path = file.path().to_str().unwrap();
        let flags = Flags::try_parse_from(["stele-agent", "--config", path, "--host", "b", "--disk", "/y"]).unwrap();
        let config = flags.config().unwrap();
        assert_eq!((config.host.as_str(), config.rack.as_str()), ("b", "r1"));
        assert_eq!(config.disks.len(), 1);
        assert_eq!(config.disks[0].path, PathBuf::from("/y"));
    }
}
