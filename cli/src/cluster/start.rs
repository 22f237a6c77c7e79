//! Bringing a whole local cluster up, until every agent is ALIVE, and down again.
//!
//! What already runs is left running, so `up` on a cluster with a dead agent starts that one only. When it cannot come
//! up, everything that was started just now is ended again.

use crate::bar;
use crate::cluster::layout::{AgentPlace, Layout, Wanted};
use crate::cluster::process::{self, Bond, Part, Running, command_line, stop_all};
use crate::cluster::{AgentEntry, ClusterFile, CoordinatorEntry};
use crate::exit::{Failure, Origin};
use crate::http::Face;
use crate::stop;
use std::path::Path;
use std::time::{Duration, Instant};
use stele_common::api::{NodeInfo, Nodes};
use stele_common::{DiskState, Liveness};

/// All agents are ALIVE within this, or something is wrong.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Disks of a fresh cluster are formatted and reported within this after their agent is ALIVE.
const DISKS_WITHIN: Duration = Duration::from_secs(5);
/// A part that was asked to end gets this long.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A cluster that is up.
#[derive(Debug)]
pub struct Cluster {
    pub file: ClusterFile,
    pub layout: Layout,
    /// The coordinator first, then the agents in the order of `file.agents`.
    pub parts: Vec<Running>,
}

impl Cluster {
    /// Starts what does not run and waits until all is ready.
    pub fn up(dir: &Path, wanted: &Wanted, bond: Bond) -> Result<Cluster, Failure> {
        let layout = Layout::prepare(dir, wanted)?;
        let mut parts = Vec::new();
        match Cluster::bring_up(&layout, bond, &mut parts) {
            Ok(file) => Ok(Cluster { file, layout, parts }),
            Err(failure) => {
                let mut fresh: Vec<Running> = parts.into_iter().filter(Running::is_fresh).collect();
                stop_all(&mut fresh, STOP_WITHIN);
                Err(failure)
            }
        }
    }

    fn bring_up(layout: &Layout, bond: Bond, parts: &mut Vec<Running>) -> Result<ClusterFile, Failure> {
        let log = layout.log("coordinator");
        parts.push(Running::start(Part::Coordinator, "coordinator", &layout.config, log, bond)?);
        for agent in &layout.agents {
            let log = layout.log(&format!("agent-{}", agent.name));
            parts.push(Running::start(Part::Agent, &agent.name, &agent.config, log, bond)?);
        }
        if parts.iter().any(Running::is_fresh) {
            ClusterFile::remove(&layout.dir)?;
        }
        let nodes = wait_ready(layout, parts)?;
        let agents = layout.agents.iter().zip(&parts[1..]);
        let agents = agents.map(|(agent, running)| entry(agent, running, &nodes)).collect::<Result<_, _>>()?;
        let command = command_line(Part::Coordinator, &layout.config)?;
        let coordinator = CoordinatorEntry { pid: parts[0].pid, command };
        let file = ClusterFile { http: layout.http.clone(), sql: layout.sql.clone(), coordinator, agents };
        file.write(&layout.dir)?;
        Ok(file)
    }

    /// Starts the agent of a host again, after it has ended.
    pub fn restart(&mut self, host: &str, bond: Bond) -> Result<(), Failure> {
        let index = self.file.agents.iter().position(|agent| agent.host == host);
        let index = index.ok_or_else(|| Failure::not_found(format!("the cluster has no host {host}")))?;
        let agent = &self.layout.agents[index];
        let log = self.layout.log(&format!("agent-{}", agent.name));
        let running = Running::start(Part::Agent, &agent.name, &agent.config, log, bond)?;
        self.file.agents[index].pid = running.pid;
        self.parts[index + 1] = running;
        self.file.write(&self.layout.dir)
    }

    /// Adds an agent with as many disks on a host of its own, and waits until it is ready.
    pub fn grow(&mut self, disks: usize, bond: Bond) -> Result<AgentEntry, Failure> {
        let agents = Some(self.layout.agents.len() + 1);
        let layout = Layout::prepare(&self.layout.dir, &Wanted { agents, disks, hosts: None, assign_delay_ms: None })?;
        let is_new = |place: &AgentPlace| self.layout.agents.iter().all(|known| known.name != place.name);
        let index = layout.agents.iter().position(is_new).ok_or_else(|| Failure::error("no agent was added"))?;
        let place = &layout.agents[index];
        let log = layout.log(&format!("agent-{}", place.name));
        self.parts.insert(index + 1, Running::start(Part::Agent, &place.name, &place.config, log, bond)?);
        let nodes = wait_ready(&layout, &mut self.parts)?;
        let entry = entry(place, &self.parts[index + 1], &nodes)?;
        self.file.agents.insert(index, entry.clone());
        self.layout = layout;
        self.file.write(&self.layout.dir)?;
        Ok(entry)
    }

    pub fn face(&self) -> Face {
        Face::coordinator(&self.file.http)
    }

    /// Ends all parts and takes `cluster.json` away.
    pub fn down(&mut self) -> Result<Vec<String>, Failure> {
        // A part that somebody killed and started again by its command is not our child, but it is ours.
        for part in &mut self.parts {
            if !part.is_alive()
                && let Some(pid) = process::find(part.part, &part.config).first().copied()
            {
                *part = process::adopt(part.part, &part.name, &part.config, pid, part.log.clone());
            }
        }
        let forced = stop_all(&mut self.parts, STOP_WITHIN);
        ClusterFile::remove(&self.layout.dir)?;
        Ok(forced)
    }
}

fn entry(agent: &AgentPlace, running: &Running, nodes: &[NodeInfo]) -> Result<AgentEntry, Failure> {
    let node = nodes.iter().find(|node| node.peer == agent.peer && node.name == agent.name);
    let node = node.ok_or_else(|| Failure::error(format!("agent {} went away again", agent.name)))?;
    Ok(AgentEntry {
        node_id: node.id,
        host: agent.host.clone(),
        pid: running.pid,
        command: command_line(Part::Agent, &agent.config)?,
        http: agent.http.clone(),
        peer: agent.peer.clone(),
        disks: agent.disks.clone(),
    })
}

/// Waits until every agent is ALIVE, and shortly for its disks.
fn wait_ready(layout: &Layout, parts: &mut [Running]) -> Result<Vec<NodeInfo>, Failure> {
    let progress = bar::spinner("start");
    let face = Face::coordinator(&layout.http);
    let began = Instant::now();
    let mut alive_since = None;
    loop {
        stop::check()?;
        if let Some(dead) = parts.iter_mut().find_map(|part| (!part.is_alive()).then_some(part)) {
            return Err(Failure::error(format!("{} ended while starting: {}", dead.name, dead.last_words()))
                .next(format!("see {}", dead.log.display())));
        }
        let nodes = match face.list::<Nodes>("/v1/nodes", &[]) {
            Ok(nodes) => nodes.nodes,
            // It is there, and wants to know who asks: no waiting helps.
            Err(failure) if matches!(failure.origin, Origin::Problem { status: 401 | 403, .. }) => return Err(failure),
            Err(_) => Vec::new(),
        };
        let (alive, disks) = ready(layout, &nodes);
        progress.set_message(format!("{alive} of {} agents", layout.agents.len()));
        if alive == layout.agents.len() {
            let since = *alive_since.get_or_insert_with(Instant::now);
            if disks || since.elapsed() > DISKS_WITHIN {
                progress.finish_and_clear();
                return Ok(nodes);
            }
        }
        if began.elapsed() > READY_WITHIN {
            let what =
                format!("{alive} of {} agents are ALIVE after {} s", layout.agents.len(), READY_WITHIN.as_secs());
            return Err(Failure::timeout(what).next(format!("see {}", layout.dir.join("logs").display())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many of our agents are ALIVE, and whether all their disks are ONLINE.
fn ready(layout: &Layout, nodes: &[NodeInfo]) -> (usize, bool) {
    let mut alive = 0;
    let mut disks = true;
    for agent in &layout.agents {
        let node = nodes.iter().find(|node| node.name == agent.name && node.liveness == Liveness::Alive);
        let Some(node) = node else { continue };
        alive += 1;
        let online = node.disks.iter().filter(|disk| disk.state == DiskState::Online && disk.total > 0).count();
        disks &= online >= agent.disks.len();
    }
    (alive, disks)
}

/// Ends every process of the cluster in `dir`: those that `cluster.json` names and those of its configuration files.
/// Answers how many there were and which had to be forced.
pub fn down(dir: &Path) -> Result<(usize, Vec<String>), Failure> {
    let dir = dir.canonicalize().map_err(|error| {
        let next = "name the directory that 'stele up' was given with --dir";
        match error.kind() {
            std::io::ErrorKind::NotFound => Failure::not_found(format!("there is no {}", dir.display())).next(next),
            _ => Failure::io(format_args!("cannot open {}", dir.display()), &error),
        }
    })?;
    if !dir.join("coordinator/coordinator.toml").exists() {
        return Err(Failure::not_found(format!("{} is not a directory of 'stele up'", dir.display()))
            .next("name the one that it was given with --dir"));
    }
    let nothing_new = Wanted { agents: Some(0), disks: 0, hosts: None, assign_delay_ms: None };
    let layout = Layout::prepare(&dir, &nothing_new)?;
    let mut parts = Vec::new();
    let mut add = |part, name: &str, config: &Path| {
        for pid in process::find(part, config) {
            parts.push(process::adopt(part, name, config, pid, layout.log(name)));
        }
    };
    // Agents first, so that nobody is missed while the rest goes.
    layout.agents.iter().for_each(|agent| add(Part::Agent, &agent.name, &agent.config));
    add(Part::Coordinator, "coordinator", &layout.config);
    let forced = stop_all(&mut parts, STOP_WITHIN);
    ClusterFile::remove(&dir)?;
    Ok((parts.len(), forced))
}
