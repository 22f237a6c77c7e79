//! `stele sim run FILE`: what the coordinator would do with a world, in virtual time. Reads the file and the events, asks
//! [`stele_sim::forecast`], prints a timeline and two curves. Nothing outside this process is touched.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::{table, world};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use stele_common::{DiskId, Medium, NodeId, ReplicaId};
use stele_coordinator_rules::worldfile::Reading;
use stele_coordinator_rules::worldfile::format::{FileNode, Id};
use stele_coordinator_rules::worldfile::names::Kind;
use stele_sim::forecast::{
    Forecast, Happening, NewDisk, NewNode, Plan, Sample, Scheduled, Told, duration_ms, scheduled, sparkline,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Events, each with the moment after the beginning at which it comes:
  kill:NODE@10s            its agent dies with the host
  revive:NODE@5m           it comes back with all it held
  drain:NODE[,NODE]@1m     empty these nodes; undrain:NODE takes it back
  drain-disk:NODE/PATH@1m  empty one disk; undrain-disk:NODE/PATH takes it back
  add-node:FILE@1m         a node joins, written as in a world file
  bad-replica:ID@1m        a file of the replica is found damaged
  disk-full:NODE/PATH@1m   no byte more fits
PATH is a disk's path or path_hash. Copies share disks and networks evenly.

In the answer, `moves` counts finished copies that made a replica where there was none, and `healthy_at_ms` is the
moment since which every tablet has been HEALTHY, null when one is not at the end.

Examples:
  stele sim run world.json.zst --event kill:10001@10s --for 1h
  stele sim run world.json --event drain:10001,10002@0s --for 6h --disk-mbps 120 --net-mbps 1000 -o json")]
pub struct RunArgs {
    /// World file (JSON, or zstd of it); - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// WHAT:WHOM@WHEN, such as kill:10001@10s; may be given often
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// Virtual time to run for
    #[arg(long = "for", value_name = "TIME", default_value = "1h")]
    duration: String,
    /// The same seed gives the same answer
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What each disk reads and writes in all, megabytes (10^6 bytes) a second
    #[arg(long, value_name = "M", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    disk_mbps: u64,
    /// What each host's network carries, megabytes (10^6 bytes) a second
    #[arg(long, value_name = "M", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    net_mbps: u64,
}

pub fn run(global: &Global, args: &RunArgs) -> Outcome {
    let mut reading = world::read(&args.file)?;
    let for_ms = duration_ms(&args.duration).map_err(|error| Failure::usage(format!("--for: {error}")))?;
    let mut happenings = Vec::new();
    let mut joined = Vec::new();
    for text in &args.events {
        let (at_ms, event) = scheduled(text).map_err(|error| Failure::usage(format!("--event: {error}")))?;
        let found = resolve(&mut reading, &mut joined, event).map_err(|error| error_in(text, error))?;
        happenings.extend(found.into_iter().map(|happening| (at_ms, happening)));
    }
    happenings.sort_by_key(|(at_ms, _)| *at_ms);
    let Reading { world, at, names, .. } = reading;
    let (seed, disk_mbps, net_mbps) = (args.seed, args.disk_mbps, args.net_mbps);
    let told = Forecast::new(world, at, Plan { happenings, for_ms, seed, disk_mbps, net_mbps }).run();
    let answer = Answer::of(told, |text| names.say(text), |id| names.outside(id));
    global.printer().one(&answer, Answer::text)?;
    Ok(Exit::Done)
}

fn error_in(text: &str, error: String) -> Failure {
    Failure::error(format!("--event {text}: {error}"))
}

/// The event in the world's ids; of a file of nodes one each.
fn resolve(reading: &mut Reading, joined: &mut Vec<NewNode>, event: Scheduled) -> Result<Vec<Happening>, String> {
    let node = |reading: &mut Reading, id: NodeId| {
        let node = NodeId(reading.names.inside(Kind::Node, Id::from(id.0)));
        let is_there = reading.world.nodes.contains_key(&node) || joined.iter().any(|new| new.id == node);
        if is_there { Ok(node) } else { Err(format!("there is no node {id} in the world file")) }
    };
    let nodes = |reading: &mut Reading, ids: Vec<NodeId>| -> Result<Vec<NodeId>, String> {
        ids.into_iter().map(|id| node(reading, id)).collect()
    };
    Ok(vec![match event {
        Scheduled::Kill(id) => Happening::Kill(nodes(reading, vec![id])?[0]),
        Scheduled::Revive(id) => Happening::Revive(nodes(reading, vec![id])?[0]),
        Scheduled::Drain(ids) => Happening::Drain(nodes(reading, ids)?),
        Scheduled::Undrain(ids) => Happening::Undrain(nodes(reading, ids)?),
        Scheduled::BadReplica(id) => Happening::BadReplica(replica(reading, id)?),
        Scheduled::DiskFull(id, path) => {
            let node = nodes(reading, vec![id])?[0];
            Happening::DiskFull(disk(reading, joined, node, &path)?)
        }
        Scheduled::DrainDisk(id, path, on) => {
            let node = nodes(reading, vec![id])?[0];
            Happening::DrainDisk(disk(reading, joined, node, &path)?, on)
        }
        Scheduled::AddNode(file) => {
            let new = new_nodes(reading, Path::new(&file))?;
            joined.extend(new.iter().cloned());
            return Ok(new.into_iter().map(Happening::AddNode).collect());
        }
    }])
}

fn replica(reading: &mut Reading, id: ReplicaId) -> Result<ReplicaId, String> {
    let replica = ReplicaId(reading.names.inside(Kind::Replica, Id::from(id.0)));
    let mut all = reading.world.tablets.iter().flat_map(|tablet| &tablet.replicas);
    if all.any(|known| known.id == replica) {
        Ok(replica)
    } else {
        Err(format!("there is no replica {id} in the world file"))
    }
}

/// By its path, or by its path hash.
fn disk(reading: &mut Reading, joined: &[NewNode], node: NodeId, path: &str) -> Result<DiskId, String> {
    let known = reading.world.disks.values().find(|disk| disk.node == node && disk.path == path).map(|disk| disk.id);
    let new = joined.iter().filter(|new| new.id == node).flat_map(|new| &new.disks);
    let known = known.or_else(|| new.clone().find(|disk| disk.path == path).map(|disk| disk.id));
    let by_hash = || {
        let disk = reading.names.disk(node, Id(path.parse().ok()?));
        let is_there = reading.world.disks.contains_key(&disk) || new.clone().any(|new| new.id == disk);
        is_there.then_some(disk)
    };
    let found = known.or_else(by_hash);
    found.ok_or_else(|| format!("node {} has no disk `{path}`", node.0))
}

/// A node as a world file writes it, or an object with `nodes`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Joining {
    Many { nodes: Vec<FileNode> },
    One(Box<FileNode>),
}

fn new_nodes(reading: &mut Reading, file: &Path) -> Result<Vec<NewNode>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let joining: Joining = serde_json::from_str(&text).map_err(|_| {
        format!(
            "{}: a node as in a world file is wanted, with id, host and disks, or an object with `nodes`",
            file.display()
        )
    })?;
    let nodes = match joining {
        Joining::Many { nodes } => nodes,
        Joining::One(node) => vec![*node],
    };
    nodes.into_iter().map(|node| new_node(reading, node)).collect()
}

fn new_node(reading: &mut Reading, node: FileNode) -> Result<NewNode, String> {
    let id = NodeId(reading.names.inside(Kind::Node, node.id));
    if reading.world.nodes.contains_key(&id) {
        return Err(format!("node {} is in the world file already", node.id));
    }
    let mut disks = Vec::new();
    for disk in node.disks.unwrap_or_default() {
        let medium = match disk.medium.as_deref().map(str::to_ascii_uppercase).as_deref() {
            Some("SSD") => Medium::Ssd,
            Some("HDD") | None => Medium::Hdd,
            Some(other) => return Err(format!("`{other}` is no medium: SSD or HDD")),
        };
        let path = disk.path.unwrap_or_else(|| disk.path_hash.to_string());
        let id = reading.names.disk(id, disk.path_hash);
        disks.push(NewDisk { id, path, medium, total: disk.total, used: disk.used });
    }
    let (rack, tag) = (node.rack.unwrap_or_default(), node.tag.unwrap_or_else(|| "default".to_string()));
    Ok(NewNode { id, host: node.host, rack, tag, disks })
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Answer {
    healthy_at_ms: Option<u64>,
    bytes_copied: u64,
    moves: u64,
    min_complete_copies: u32,
    violations: Vec<String>,
    /// Tablets that are not healthy at the end: some of them, with why.
    ill: Vec<Ill>,
    timeline: Vec<Moment>,
    curve: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Ill {
    tablet: i128,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Moment {
    at_ms: u64,
    what: String,
}

#[derive(Debug, Serialize)]
struct Point {
    at_ms: u64,
    healthy: u64,
    tablets: u64,
    bytes: u64,
}

impl Answer {
    fn of(told: Told, say: impl Fn(String) -> String, outside: impl Fn(u64) -> i128) -> Answer {
        let point = |sample: Sample| {
            let Sample { at_ms, healthy, tablets, bytes } = sample;
            Point { at_ms, healthy, tablets, bytes }
        };
        let moment = |(at_ms, what)| Moment { at_ms, what: say(what) };
        Answer {
            healthy_at_ms: told.healthy_at_ms,
            bytes_copied: told.bytes_copied,
            moves: told.moves,
            min_complete_copies: told.min_complete_copies,
            violations: told.violations.into_iter().map(&say).collect(),
            ill: told.ill.into_iter().map(|(id, reason)| Ill { tablet: outside(id.0), reason: say(reason) }).collect(),
            timeline: told.timeline.into_iter().map(moment).collect(),
            curve: told.curve.into_iter().map(point).collect(),
        }
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> =
            self.timeline.iter().map(|moment| format!("{:>10}  {}", clock(moment.at_ms), moment.what)).collect();
        let tablets = self.curve.iter().map(|point| point.tablets).max().unwrap_or(0);
        let healthy: Vec<u64> = self.curve.iter().map(|point| point.healthy).collect();
        let least = healthy.iter().min().copied().unwrap_or(0);
        let pairs = self.curve.iter().zip(self.curve.iter().skip(1));
        let bytes: Vec<u64> = pairs.map(|(before, after)| after.bytes.saturating_sub(before.bytes)).collect();
        let most = bytes.iter().max().copied().unwrap_or(0);
        lines.push(String::new());
        lines.push(format!("healthy  {}  {least} to {tablets} tablets", sparkline(&healthy, least, tablets)));
        lines.push(format!(
            "bytes    {}  at most {} between two points",
            sparkline(&bytes, 0, most),
            table::size(most)
        ));
        lines.push(String::new());
        let healthy_at = match self.healthy_at_ms {
            Some(ms) => format!("after {}", clock(ms)),
            None => "not within this time".to_string(),
        };
        lines.push(table::pairs(&[
            ("healthy", healthy_at),
            ("bytes copied", table::size(self.bytes_copied)),
            ("moves", self.moves.to_string()),
            ("fewest complete copies", self.min_complete_copies.to_string()),
            ("violations", self.violations.len().to_string()),
        ]));
        lines.extend(self.violations.iter().map(|violation| format!("VIOLATION {violation}")));
        lines.extend(self.ill.iter().map(|ill| format!("tablet {}: {}", ill.tablet, ill.reason)));
        lines.join("\n")
    }
}

/// Hours, minutes, seconds with tenths.
fn clock(ms: u64) -> String {
    let seconds = ms / 1_000;
    format!("{}:{:02}:{:02}.{}", seconds / 3_600, seconds / 60 % 60, seconds % 60, ms / 100 % 10)
}
