//! Which columns each of the API's lists has on a terminal, and how single things read. Values in, text out; the
//! printing itself is in `table.rs`, and JSON never passes through here.

use crate::table::{Rows, bad, duration, good, heading, or_dash, pairs, plural, render, size};
use stele_common::api::*;
use stele_common::{TabletStatus, status::Level};

macro_rules! rows {
    ($shape:ty, $empty:literal, [$($column:literal),+ $(,)?], $list:tt, |$item:ident| [$($cell:expr),+ $(,)?]) => {
        impl Rows for $shape {
            fn columns(&self) -> Vec<&'static str> {
                vec![$($column),+]
            }
            fn rows(&self) -> Vec<Vec<String>> {
                self.$list.iter().map(|$item| vec![$($cell),+]).collect()
            }
            fn empty(&self) -> &'static str {
                $empty
            }
        }
    };
}

mod balance;
mod lists;
mod operate;
mod plans;
pub mod settings;
mod why;

pub use balance::{balance, line as balance_line};
pub use operate::{
    blockers, certificate, drain, drain_item, drained, evacuation, group, lease, lease_line, node_replicas, removal,
};

pub use plans::{plan, plan_line};
pub use why::{explanation, node_explanation, whatif};

/// The copies of one tablet.
struct Copies<'a>(&'a [ReplicaInfo]);

rows!(
    Copies<'_>,
    "no replica",
    [
        "REPLICA",
        "??NODE",
        "HOST",
        "?DISK",
        "STATE",
        ">VERSION",
        "ALIVE",
        "COMPLETE",
        "?>SIZE",
        "??>VERIFIED",
        "WHY",
        "DIRECTORY"
    ],
    0,
    |replica| [
        replica.id.to_string(),
        replica.node.to_string(),
        replica.host.clone(),
        replica.disk.to_string(),
        replica.state.to_string(),
        replica.version.to_string(),
        yes_no(replica.alive),
        yes_no(replica.complete),
        size(replica.size),
        replica.verified_s.map_or_else(|| "-".to_string(), ago),
        replica.bad.clone().or_else(|| replica.why.clone()).unwrap_or_default(),
        replica.dir.clone(),
    ]
);

/// `stele status`.
pub fn status(status: &Status) -> String {
    let count = |counts: &[(&str, u64)]| {
        let shown = counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}"));
        let text = shown.collect::<Vec<_>>().join(", ");
        if text.is_empty() { "none".to_string() } else { text }
    };
    let verdicts: Vec<_> = status.verdicts.iter().map(|(verdict, count)| (verdict.as_str(), *count)).collect();
    let copies: Vec<_> = status.copies.iter().map(|(copies, tablets)| format!("{copies}: {tablets}")).collect();
    let level = match (&status.level, &status.level_cause) {
        (level @ (Level::Stopped | Level::Blind | Level::Freezed | Level::Steady | Level::Lively), Some(cause)) => {
            format!("{level} ({cause})")
        }
        (level, None) => level.to_string(),
    };
    let (nodes, disks) = (&status.nodes, &status.disks);
    let mut text = pairs(&[
        ("cluster", format!("{}  version {}  epoch {}", status.cluster, status.version, status.epoch)),
        (
            "health",
            match status.problems.len() {
                0 => good("OK"),
                1 => bad("1 problem"),
                more => bad(&format!("{more} problems")),
            },
        ),
        ("level", level),
        ("limits", settings::limits_line(&status.limits)),
        ("leases", status.leases.iter().map(lease_line).collect::<Vec<_>>().join("\n")),
        ("up", duration(status.uptime_s * 1000)),
        ("nodes", count(&[("ALIVE", nodes.alive), ("SILENT", nodes.silent), ("LOST", nodes.lost)])),
        ("disks", count(&[("ONLINE", disks.online), ("SUSPECT", disks.suspect), ("UNAVAILABLE", disks.unavailable)])),
        ("tablets", format!("{} of {}: {}", status.tablets, plural(status.tables, "table"), count(&verdicts))),
        ("copies", copies.join("   ")),
        ("margin", status.margin.as_ref().map(margin).unwrap_or_default()),
        ("oldest", status.oldest.as_ref().map(oldest).unwrap_or_default()),
        ("used", format!("{} of {}", size(status.bytes_used), size(status.bytes_total))),
        ("tasks", format!("{} pending, {} running", status.tasks_pending, status.tasks_running)),
        ("balance", status.balance.as_ref().map(balance::line).unwrap_or_default()),
        ("loads", format!("{} open", status.loads_open)),
        ("strays", if status.strays == 0 { String::new() } else { status.strays.to_string() }),
    ]);
    for problem in &status.problems {
        text += &format!("\n{} {}\n", bad(&problem.code), problem.subject);
        text += &pairs(&[
            ("  cause", problem.cause.clone()),
            ("  effect", problem.effect.clone()),
            ("  next", problem.next.clone()),
        ]);
    }
    text
}

/// What more may be lost before data is.
pub fn margin(margin: &Margin) -> String {
    let racks = margin.racks.map(|racks| format!(", {}", plural(racks.into(), "more rack"))).unwrap_or_default();
    let (hosts, disks) = (plural(margin.hosts.into(), "more host"), plural(margin.disks.into(), "more disk"));
    let more = format!("{hosts}, {disks}{racks}");
    format!("{more}; weakest: tablet {} of {}", margin.weakest, margin.table)
}

/// The tablet that has waited for longest.
fn oldest(sick: &Sick) -> String {
    let why = sick.reason.as_ref().map(|reason| format!(": {}", refusal(reason))).unwrap_or_default();
    format!("tablet {} {} for {}{why}", sick.tablet, sick.status, duration(sick.for_ms))
}

pub fn node(node: &NodeInfo) -> String {
    let mut text = pairs(&[
        ("node", node.id.to_string()),
        ("host", node.host.clone()),
        ("name", node.name.clone()),
        ("rack", node.rack.clone()),
        ("tag", node.tag.clone()),
        ("state", node.liveness.to_string()),
        ("maintained", node.maintenance_until.as_ref().map(|at| format!("until {at}")).unwrap_or_default()),
        ("silent", node.silent_ms.map(duration).unwrap_or_default()),
        ("http", node.http.clone()),
        ("peer", node.peer.clone()),
        ("build", node.build.clone()),
        ("replicas", node.replicas.to_string()),
        ("figures", node.host_figures.as_ref().map(figures).unwrap_or_default()),
    ]);
    text += &format!("\n{}", render(&Disks { disks: node.disks.clone() }));
    if let Some(progress) = &node.drain_progress {
        text += &format!("\n\n{}", drain(progress));
    }
    text
}

/// Whether something is wanted empty, and how far that is.
pub fn leaving(state: Option<DrainState>, progress: Option<&DrainProgress>) -> String {
    match (state, progress) {
        (None, _) => "-".to_string(),
        (Some(DrainState::Draining), Some(drain)) => {
            format!("DRAINING {}/{}", drain.tablets_moved, drain.tablets)
        }
        (Some(state), _) => state.as_str().to_string(),
    }
}

fn figures(fact: &stele_common::report::HostFact) -> String {
    format!(
        "{} CPUs, {} of {} memory free, load {:.2}, up {}",
        fact.cpus,
        size(fact.memory_available),
        size(fact.memory_total),
        fact.load_average_1m,
        duration(fact.uptime_s * 1000)
    )
}

pub fn table(table: &TableInfo) -> String {
    let partitions = table.partitions.iter().map(|partition| {
        format!(
            "{}  replication {}  {}  {} tablets",
            partition.name,
            partition.replication,
            upper(&partition.medium),
            partition.tablets
        )
    });
    pairs(&[
        ("table", format!("{}.{}", table.db, table.name)),
        ("id", table.id.to_string()),
        ("replication", table.replication.to_string()),
        ("buckets", table.buckets.to_string()),
        ("medium", upper(&table.medium)),
        ("tag", table.tag.clone()),
        ("colocated", table.colocate.clone().unwrap_or_default()),
        ("partitions", partitions.collect::<Vec<_>>().join("\n")),
        ("tablets", format!("{} of {} healthy", table.healthy, table.tablets)),
        ("files", table.files.to_string()),
        ("bytes", size(table.bytes)),
    ])
}

pub fn tablet(tablet: &TabletInfo) -> String {
    let verdict = match tablet.status {
        TabletStatus::Healthy => good(tablet.status.as_str()),
        _ => bad(tablet.status.as_str()),
    };
    let mut text = pairs(&[
        ("tablet", tablet.id.to_string()),
        ("of", format!("{}.{}/{} bucket {}", tablet.db, tablet.table, tablet.partition, tablet.bucket)),
        ("status", verdict),
        ("priority", tablet.priority.map(|priority| priority.to_string()).unwrap_or_default()),
        ("reason", tablet.reason.clone()),
        ("version", format!("visible {}, committed {}", tablet.visible_version, tablet.committed_version)),
        ("hash", tablet.version_hash.to_string()),
        ("ballot", format!("{}, primary {}", tablet.ballot, or_dash(tablet.primary))),
    ]);
    text += &format!("\n{}", render(&Copies(&tablet.replicas)));
    text
}

pub fn verification(found: &Verification) -> String {
    let mut text = format!(
        "read {} replicas, {}: {} clean, {} damaged, {} could not be read",
        found.replicas,
        size(found.bytes_done),
        found.clean,
        found.found.len(),
        found.unreachable.len()
    );
    if found.left > 0 {
        text += &format!("\n{} left the catalog before they were read: they moved, or were dropped", found.left);
    }
    for finding in &found.found {
        text += &format!("\n{}", bad(&finding_line("damaged", finding)));
    }
    for finding in &found.unreachable {
        text += &format!("\n{}", finding_line("unreadable", finding));
    }
    text
}

fn finding_line(what: &str, finding: &VerifyFinding) -> String {
    format!("{what}: tablet {} replica {} on {}: {}", finding.tablet, finding.replica, finding.host, finding.cause)
}

fn refusal(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.code, refusal.detail)
}

fn done(task: &TaskInfo) -> String {
    match task.bytes_total {
        0 => "-".to_string(),
        total => format!("{} of {}", size(task.bytes_done), size(total)),
    }
}

/// A host with the disk there; a node that is not known any more is named by its id.
pub fn place(host: Option<&String>, node: Option<stele_common::NodeId>, disk: Option<stele_common::DiskId>) -> String {
    let Some(node) = node else { return "-".to_string() };
    let host = host.cloned().unwrap_or_else(|| node.to_string());
    disk.map_or(host.clone(), |disk| format!("{host}/{disk}"))
}

fn ago(seconds: u64) -> String {
    if seconds == 0 { "just now".to_string() } else { format!("{} ago", duration(seconds * 1000)) }
}

/// A copy in one word: its id, where it is, its version.
fn replica_place(replica: &ReplicaInfo) -> String {
    format!("{}@{}/{}:v{}", replica.id, replica.node, replica.disk, replica.version)
}

fn yes_no(value: bool) -> String {
    if value { "yes".to_string() } else { "no".to_string() }
}

/// The name that JSON has for a state, which is how people see it too.
pub fn upper<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(_) | Err(_) => "-".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::{Liveness, NodeId};

    /// A list of nodes reads as one line each, with the figures of its disks added up.
    #[test]
    fn nodes_read_as_lines() {
        let node = NodeInfo {
            id: NodeId(10001),
            host: "host-1".into(),
            name: "host-1".into(),
            rack: String::new(),
            tag: "default".into(),
            liveness: Liveness::Alive,
            silent_ms: Some(40),
            peer: "127.0.0.1:2".into(),
            http: "127.0.0.1:1".into(),
            build: "0.1.0".into(),
            drain: None,
            drain_progress: None,
            maintenance_until: None,
            replicas: 3,
            disks: vec![],
            host_figures: None,
        };
        let text = render(&Nodes { nodes: vec![node], next: None });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("ID"), "{text}");
        assert!(lines[1].contains("10001") && lines[1].contains("ALIVE") && lines[1].contains("40 ms"), "{text}");
        assert!(render(&Nodes { nodes: vec![], next: None }).contains("stele agent"));
    }
}
