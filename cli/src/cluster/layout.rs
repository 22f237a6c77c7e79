//! What a local cluster consists of: its configuration files, read where they exist and written where they do not.
//!
//! Ports are chosen once and stay in the files, so that every restart uses the same. An agent that exists is never
//! changed, and its disks are never made again: a directory that is missing may be an unmounted disk.

use crate::cmd::config as files;
use crate::exit::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use stele_common::config::{AgentConfig, CoordinatorConfig};

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Agents in all; `None`: as many as there are, or four.
    pub agents: Option<usize>,
    /// Data directories of each new agent.
    pub disks: usize,
    /// Failure domains that new agents are spread over; `None`: one each.
    pub hosts: Option<usize>,
    /// Wait from LOST to a new copy, milliseconds; `None`: as it is, or five seconds.
    pub assign_delay_ms: Option<u64>,
}

/// A cluster's directory.
#[derive(Clone, Debug)]
pub struct Layout {
    pub dir: PathBuf,
    /// The coordinator's configuration file and addresses.
    pub config: PathBuf,
    pub http: String,
    /// `None`: its configuration leaves it out.
    pub sql: Option<String>,
    pub agents: Vec<AgentPlace>,
}

/// One agent's place in it.
#[derive(Clone, Debug)]
pub struct AgentPlace {
    pub name: String,
    pub host: String,
    pub config: PathBuf,
    pub http: String,
    pub peer: String,
    pub disks: Vec<PathBuf>,
}

/// Without `--agents`.
const AGENTS: usize = 4;
/// Local clusters do not wait five minutes for a host to come back.
const ASSIGN_DELAY_MS: u64 = 5_000;

impl Layout {
    /// Reads what is in `dir` and adds what is wanted and missing.
    pub fn prepare(dir: &Path, wanted: &Wanted) -> Result<Layout, Failure> {
        std::fs::create_dir_all(dir)
            .map_err(|error| Failure::io(format_args!("cannot make {}", dir.display()), error))?;
        let dir =
            dir.canonicalize().map_err(|error| Failure::io(format_args!("cannot open {}", dir.display()), error))?;
        make_dirs(&dir.join("logs"))?;
        let mut ports = Ports::default();
        let config = dir.join("coordinator/coordinator.toml");
        if !config.exists() {
            make_dirs(&dir.join("coordinator"))?;
            write(&config, &coordinator_text(&dir, wanted.assign_delay_ms.unwrap_or(ASSIGN_DELAY_MS), &mut ports)?)?;
        } else if let Some(delay) = wanted.assign_delay_ms {
            set_assign_delay(&config, delay)?;
        }
        let coordinator: CoordinatorConfig = files::parse(&files::read(&config)?, &config, &BTreeMap::new())?;
        let mut agents = existing(&dir)?;
        let target = wanted.agents.unwrap_or(if agents.is_empty() { AGENTS } else { agents.len() });
        let mut number = 0;
        while agents.len() < target {
            let (host, name) = host_and_name(number, wanted.hosts.unwrap_or(target.max(1)));
            number += 1;
            let home = dir.join("agents").join(&name);
            if !home.join("agent.toml").exists() {
                agents.push(add(&home, &host, &name, wanted.disks, &coordinator.coordinator.agents, &mut ports)?);
            }
        }
        agents.sort_by_key(|agent| natural(&agent.name));
        let sql = Some(coordinator.coordinator.sql).filter(|address| !address.is_empty());
        Ok(Layout { dir, config, http: coordinator.coordinator.http, sql, agents })
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }
}

/// The `number`th agent's host and its own name: agents of one host are told apart by their names.
fn host_and_name(number: usize, hosts: usize) -> (String, String) {
    let host = format!("host-{}", number % hosts + 1);
    match number / hosts {
        0 => (host.clone(), host),
        more => (host.clone(), format!("{host}-{}", more + 1)),
    }
}

/// Orders `host-2` before `host-10`.
fn natural(name: &str) -> Vec<(u64, String)> {
    name.split('-').map(|part| (part.parse().unwrap_or(0), part.to_string())).collect()
}

fn add(
    home: &Path,
    host: &str,
    name: &str,
    disks: usize,
    coordinator: &str,
    ports: &mut Ports,
) -> Result<AgentPlace, Failure> {
    let disks: Vec<PathBuf> = (1..=disks).map(|disk| home.join(format!("disk-{disk}"))).collect();
    disks.iter().try_for_each(|disk| make_dirs(disk))?;
    let (http, peer) = (ports.free()?, ports.free()?);
    let mut text = String::from("# Written by `stele up`, which leaves it as it is from now on.\n");
    let quoted = |text: &str| toml::Value::String(text.to_string()).to_string();
    for (key, value) in [("coordinator", coordinator), ("host", host), ("name", name), ("peer", &peer), ("http", &http)]
    {
        text += &format!("{key} = {}\n", quoted(value));
    }
    for disk in &disks {
        text += &format!("\n[[disk]]\npath = {}\nmedium = \"HDD\"\n", quoted(&disk.to_string_lossy()));
    }
    let config = home.join("agent.toml");
    write(&config, &text)?;
    Ok(AgentPlace { name: name.into(), host: host.into(), config, http, peer, disks })
}

fn existing(dir: &Path) -> Result<Vec<AgentPlace>, Failure> {
    let home = dir.join("agents");
    make_dirs(&home)?;
    let mut agents = Vec::new();
    let failed = |error| Failure::io(format_args!("cannot read {}", home.display()), error);
    for entry in std::fs::read_dir(&home).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let config = entry.path().join("agent.toml");
        if !config.exists() {
            continue;
        }
        let agent: AgentConfig = files::parse(&files::read(&config)?, &config, &BTreeMap::new())?;
        let name = if agent.name.is_empty() { agent.host.clone() } else { agent.name };
        let disks = agent.disks.into_iter().map(|disk| disk.path).collect();
        agents.push(AgentPlace { name, host: agent.host, config, http: agent.http, peer: agent.peer, disks });
    }
    Ok(agents)
}

fn coordinator_text(dir: &Path, assign_delay_ms: u64, ports: &mut Ports) -> Result<String, Failure> {
    let store = toml::Value::String(dir.join("coordinator").to_string_lossy().into_owned());
    Ok(format!(
        "# Written by `stele up`, which leaves it as it is from now on.\n[coordinator]\ndir = {store}\nagents = \"{}\"\n\
         http = \"{}\"\nsql = \"{}\"\n\n[repair]\nassign_delay_ms = {assign_delay_ms}\n",
        ports.free()?,
        ports.free()?,
        ports.free()?
    ))
}

fn set_assign_delay(config: &Path, delay: u64) -> Result<(), Failure> {
    let text = files::read(config)?;
    let bad = |error: toml::de::Error| Failure::refused(format!("{}: {error}", config.display()));
    let mut root: toml::Table = toml::from_str(&text).map_err(bad)?;
    let repair = root.entry("repair").or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let Some(repair) = repair.as_table_mut() {
        let delay = i64::try_from(delay).map_err(|_| Failure::usage("the delay is too long"))?;
        repair.insert("assign_delay_ms".into(), toml::Value::Integer(delay));
    }
    write(config, &root.to_string())
}

fn make_dirs(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|error| Failure::io(format_args!("cannot make {}", dir.display()), error))
}

/// Whole or not at all: a half-written configuration must never be started.
fn write(place: &Path, text: &str) -> Result<(), Failure> {
    let part = place.with_extension("toml.part");
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, place))
        .map_err(|error| Failure::io(format_args!("cannot write {}", place.display()), error))
}

/// Chooses ports, each once.
#[derive(Default)]
struct Ports {
    taken: BTreeSet<u16>,
}

impl Ports {
    /// A free address on loopback, outside the range that the kernel hands to outgoing connections: a process that
    /// was killed must find its port free when it comes back.
    fn free(&mut self) -> Result<String, Failure> {
        let low = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
            .ok()
            .and_then(|text| text.split_whitespace().next().and_then(|low| low.parse::<u16>().ok()))
            .unwrap_or(32_768);
        let span = u64::from(low.saturating_sub(10_000));
        for _ in 0..200 {
            let random = crate::beneath::salt()?;
            // Where the range leaves no room below it the kernel chooses.
            let wanted = random.checked_rem(span).map_or(0, |offset| 10_000 + offset as u16);
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", wanted))
                && let Ok(address) = listener.local_addr()
                && self.taken.insert(address.port())
            {
                return Ok(address.to_string());
            }
        }
        Err(Failure::error("found no free port on 127.0.0.1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(agents: usize, hosts: Option<usize>) -> Wanted {
        Wanted { agents: Some(agents), disks: 2, hosts, assign_delay_ms: None }
    }

    /// A second look at the same directory finds the same ports, agents and disks.
    #[test]
    fn a_cluster_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = Layout::prepare(dir.path(), &wanted(3, None)).unwrap();
        let again = Wanted { agents: None, disks: 9, hosts: None, assign_delay_ms: Some(7) };
        let second = Layout::prepare(dir.path(), &again).unwrap();
        assert_eq!(first.http, second.http);
        let shown = |layout: &Layout| {
            layout
                .agents
                .iter()
                .map(|a| (a.name.clone(), a.http.clone(), a.peer.clone(), a.disks.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(&first), shown(&second));
        assert_eq!(first.agents[0].disks[1], first.dir.join("agents/host-1/disk-2"));
        let config: CoordinatorConfig =
            files::parse(&files::read(&second.config).unwrap(), &second.config, &BTreeMap::new()).unwrap();
        assert_eq!(config.repair.assign_delay_ms, 7);
        assert!(files::coordinator_faults(&config).is_empty());
    }

    /// More agents are added behind those that exist; a disk that vanished is not made again.
    #[test]
    fn a_cluster_grows() {
        let dir = tempfile::tempdir().unwrap();
        let first = Layout::prepare(dir.path(), &wanted(2, None)).unwrap();
        std::fs::remove_dir(&first.agents[0].disks[0]).unwrap();
        let second = Layout::prepare(dir.path(), &wanted(11, None)).unwrap();
        let names: Vec<_> = second.agents.iter().map(|agent| agent.name.as_str()).collect();
        assert_eq!((names[0], names[1], names[9], names[10]), ("host-1", "host-2", "host-10", "host-11"));
        assert!(!first.agents[0].disks[0].exists());
        let config: AgentConfig =
            files::parse(&files::read(&second.agents[2].config).unwrap(), Path::new("x"), &BTreeMap::new()).unwrap();
        assert!(files::agent_faults(&config).is_empty());
    }

    /// With fewer hosts than agents several share one, under names of their own.
    #[test]
    fn agents_share_hosts() {
        let names: Vec<_> = (0..5).map(|number| host_and_name(number, 2)).collect();
        let shown: Vec<_> = names.iter().map(|(host, name)| format!("{host}/{name}")).collect();
        assert_eq!(shown, ["host-1/host-1", "host-2/host-2", "host-1/host-1-2", "host-2/host-2-2", "host-1/host-1-3"]);
    }
}
