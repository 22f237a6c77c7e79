//! How drains, certificates, removals, leases and groups read on a terminal.

use crate::table::{Rows, bad, duration, good, heading, or_dash, pairs, plural, render, size};
use stele_common::api::*;

/// Blockers on a terminal; JSON has more.
const SHOWN_MAX: usize = 20;

struct Blockers<'a>(&'a [Blocker]);

rows!(Blockers<'_>, "nothing is in the way", ["TABLET", "?TABLE", "CODE", "WHY"], 0, |blocker| [
    or_dash(blocker.tablet),
    or_dash(blocker.table.clone()),
    blocker.code.clone(),
    blocker.detail.clone(),
]);

struct Items<'a>(&'a [DrainItem]);

rows!(Items<'_>, "nothing is left", ["TABLET", "?TABLE", "STATUS", "WHY NOT YET"], 0, |item| [
    item.tablet.to_string(),
    item.table.clone(),
    item.status.to_string(),
    format!("{}: {}", item.why.code, item.why.detail),
]);

rows!(
    Groups,
    "no table is colocated; make one with 'stele table create d.t --colocate g'",
    ["GROUP", "STABLE", ">UNSTABLE", "?>BUCKETS", "?>COPIES", "EVENNESS", "TABLES"],
    groups,
    |group| [
        group.name.clone(),
        super::yes_no(group.stable),
        group.unstable.to_string(),
        group.buckets.to_string(),
        group.replication.to_string(),
        group.idle.as_ref().map_or("changes".to_string(), |idle| idle.code.clone()),
        group.tables.join(","),
    ]
);

struct Buckets<'a>(&'a [Vec<stele_common::NodeId>]);

rows!(Buckets<'_>, "no bucket", ["NODES"], 0, |nodes| [nodes
    .iter()
    .map(ToString::to_string)
    .collect::<Vec<_>>()
    .join(", ")]);

/// What is in the way, named as far as it was told.
pub fn blockers(list: &[Blocker], all: u64) -> String {
    let list = &list[..list.len().min(SHOWN_MAX)];
    let more = all.saturating_sub(list.len() as u64);
    let rest = if more > 0 { format!("\nand {more} more") } else { String::new() };
    format!("{}{rest}", render(&Blockers(list)))
}

pub fn evacuation(found: &Evacuation) -> String {
    let ids = |what: &str, ids: Vec<String>| match ids.len() {
        0 => String::new(),
        _ => format!("{what} {}", ids.join(", ")),
    };
    let of = [
        ids("node", found.nodes.iter().map(ToString::to_string).collect()),
        ids("disk", found.disks.iter().map(ToString::to_string).collect()),
    ];
    let of: Vec<String> = of.into_iter().filter(|text| !text.is_empty()).collect();
    let fullest =
        found.fullest.as_ref().map(|disk| format!("{}:{} at {:.1} %", disk.host, disk.path, disk.used_percent));
    let mut text = pairs(&[
        ("drain", of.join("; ")),
        (
            "moves",
            format!("{}: {}, {}", plural(found.tablets, "tablet"), plural(found.copies, "copy"), size(found.bytes)),
        ),
        ("fits", if found.fits { good("yes") } else { bad(&format!("no: {} tablets find no place", found.blocked)) }),
        ("fullest", fullest.map(|text| format!("{text} afterwards")).unwrap_or_default()),
        ("begun", super::yes_no(found.begun)),
        ("next", if found.begun { following(found) } else { String::new() }),
    ]);
    if !found.blockers.is_empty() {
        text += &format!("\n{}", blockers(&found.blockers, found.blocked));
    }
    text
}

/// What shows how far it is, and what takes it back.
fn following(found: &Evacuation) -> String {
    let of = |what: &str, id: String| format!("stele {what} show {id} --watch   stele {what} undrain {id}");
    let node = found.nodes.first().map(|id| of("node", id.to_string()));
    let disk = found.disks.first().map(|id| format!("stele disk list --watch   stele disk undrain {id}"));
    node.or(disk).unwrap_or_default()
}

/// How far a drain is.
pub fn drain(drain: &DrainProgress) -> String {
    let share = |part: u64, of: u64| part.saturating_mul(100).checked_div(of).unwrap_or(100);
    let eta = drain.eta_s.map(|(from, to)| format!("{} to {}", duration(from * 1000), duration(to * 1000)));
    let ended = drain.ended.clone().map(|at| format!(", ended {at}")).unwrap_or_default();
    let mut text = pairs(&[
        ("drain", drain.state.as_str().to_string()),
        ("asked by", drain.owner.clone()),
        ("reason", drain.reason.clone()),
        ("began", format!("{}{ended}", drain.began)),
        (
            "tablets",
            format!(
                "{} of {} moved ({} %), {} left",
                drain.tablets_moved,
                drain.tablets,
                share(drain.tablets_moved, drain.tablets),
                drain.tablets_left
            ),
        ),
        (
            "bytes",
            format!("{} of {} moved, {} left", size(drain.bytes_moved), size(drain.bytes), size(drain.bytes_left)),
        ),
        (
            "rate",
            match drain.copies_running {
                0 => String::new(),
                copies => {
                    let made = size(drain.bytes_running);
                    format!("{}/s in {copies} copies, {made} of what is left", size(drain.bytes_per_s))
                }
            },
        ),
        ("stuck", drain.stuck.as_ref().map(super::refusal).unwrap_or_default()),
        ("time left", eta.unwrap_or_default()),
        (
            "next",
            match (drain.state, drain.node) {
                (DrainState::Drained, Some(node)) => format!("stele node remove {node}   stele node undrain {node}"),
                (DrainState::Drained | DrainState::Draining, _) => String::new(),
            },
        ),
    ]);
    if !drain.left.is_empty() {
        text += &format!("\n{}\n{}", heading("left"), render(&Items(&drain.left)));
    }
    text
}

/// One line for a tablet that is left.
pub fn drain_item(item: &DrainItem) -> String {
    format!("tablet {} of {} is {}: {}", item.tablet, item.table, item.status, item.why.detail)
}

/// One line for a drain that has ended.
pub fn drained(drain: &DrainProgress) -> String {
    let of = match (drain.node, drain.disk) {
        (_, Some(disk)) => format!("disk {disk}"),
        (Some(node), None) => format!("node {node}"),
        (None, None) => "it".to_string(),
    };
    let certificate = match (drain.node, drain.disk) {
        (Some(node), None) => format!("; see 'stele node certificate {node}'"),
        (_, _) => String::new(),
    };
    format!(
        "{of} is {}: {} tablets, {} moved{certificate}",
        good("DRAINED"),
        drain.tablets_moved,
        size(drain.bytes_moved)
    )
}

pub fn certificate(of: &Certificate) -> String {
    let because = if of.reason.is_empty() { String::new() } else { format!(": {}", of.reason) };
    let dropped = if of.dropped == 0 { String::new() } else { format!(", {} dropped with their tables", of.dropped) };
    let mut text = format!("{}\n", heading(&format!("Node {} on {} may be removed", of.node, of.host)));
    text += &pairs(&[
        ("cluster", of.cluster.clone()),
        ("node", format!("{}, agent {} on host {}", of.node, of.name, of.host)),
        ("disks", of.disks.join("\n")),
        ("asked by", format!("{}{because}", of.owner)),
        ("drained", format!("{} to {}", of.began, of.drained)),
        ("left it", format!("{} tablets, {}{dropped}", of.tablets, size(of.bytes))),
        (
            "proven",
            format!("{} tablets, each with all its copies on other hosts, at least {}", of.proven.len(), of.copies_min),
        ),
        ("issued", format!("{} from revision {} of epoch {}", of.issued, of.revision, of.epoch)),
        ("digest", of.digest.clone()),
    ]);
    text
}

pub fn removal(removal: &Removal) -> String {
    let state = match (removal.removed, removal.safe) {
        (true, _) => good("removed"),
        (false, true) => "may be removed".to_string(),
        (false, false) => bad("not removed"),
    };
    let mut text = pairs(&[
        ("node", format!("{} on host {}", removal.node, removal.host)),
        ("state", state),
        ("holds", format!("{} tablets, {}", removal.tablets, size(removal.bytes))),
        (
            "thinned",
            if removal.tablets == 0 { String::new() } else { format!("{} tablets lose a copy", removal.tablets) },
        ),
        (
            "below",
            match removal.below_majority {
                0 => String::new(),
                tablets => format!("{tablets} tablets fall below a majority of their copies"),
            },
        ),
        (
            "last",
            if removal.last == 0 { String::new() } else { bad(&format!("{} tablets would be lost", removal.last)) },
        ),
    ]);
    if !removal.blockers.is_empty() {
        text += &format!("\n{}", blockers(&removal.blockers, removal.tablets));
    }
    text
}

struct Counts<'a>(&'a [NodeReplicaCount]);

rows!(
    Counts<'_>,
    "there is no node",
    ["ADDRESS", "STATUS", ">REPLICA_COUNT", ">PRIMARY_COUNT", ">SECONDARY_COUNT"],
    0,
    |node| [
        node.address.clone(),
        node.status.clone(),
        node.replica_count.to_string(),
        node.primary_count.to_string(),
        node.secondary_count.to_string(),
    ]
);

/// `stele node list --replicas`.
pub fn node_replicas(found: &NodeReplicas) -> String {
    let sums = pairs(&[
        ("total_node_count", found.total_node_count.to_string()),
        ("alive_node_count", found.alive_node_count.to_string()),
        ("unalive_node_count", found.unalive_node_count.to_string()),
        ("primary_replica_count_stddev", format!("{:.2}", found.primary_replica_count_stddev)),
        ("total_replica_count_stddev", format!("{:.2}", found.total_replica_count_stddev)),
    ]);
    format!("{}\n\n{sums}", render(&Counts(&found.nodes)))
}

/// What a lease is about.
pub fn lease_on(on: &LeaseOn) -> String {
    match on {
        LeaseOn::Maintenance { node } => format!("maintenance of node {node}"),
        LeaseOn::Urgent { table, partition } => {
            let partition = partition.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
            format!("{table}{partition} first")
        }
        LeaseOn::UrgentTablet { tablet } => format!("tablet {tablet} first"),
        LeaseOn::Pause { what, node, disk, table } => {
            let what = match what {
                PauseWhat::Balance => "balance",
                PauseWhat::Repair => "repair",
            };
            match (node, disk, table) {
                (Some(node), _, _) => format!("{what} paused on node {node}"),
                (_, Some(disk), _) => format!("{what} paused on disk {disk}"),
                (_, _, Some(table)) => format!("{what} of {table} paused"),
                (None, None, None) => format!("{what} paused everywhere"),
            }
        }
    }
}

pub fn lease(lease: &LeaseInfo) -> String {
    pairs(&[
        ("lease", lease.id.to_string()),
        ("for", lease_on(&lease.on)),
        ("owner", lease.owner.clone()),
        ("reason", lease.reason.clone()),
        ("until", lease.until.clone().unwrap_or_else(|| "it is taken back".to_string())),
    ])
}

/// One line of `stele status`.
pub fn lease_line(lease: &LeaseInfo) -> String {
    let left = lease.ends_in_ms.map(|ms| format!(", {} left", duration(ms))).unwrap_or_default();
    let reason = if lease.reason.is_empty() { String::new() } else { format!(": {}", lease.reason) };
    let id = if matches!(lease.on, LeaseOn::Pause { .. }) { format!(" ({})", lease.id) } else { String::new() };
    format!("{}{id} by {}{left}{reason}", lease_on(&lease.on), lease.owner)
}

pub fn group(group: &GroupInfo) -> String {
    let mut text = pairs(&[
        ("group", group.name.clone()),
        ("tables", group.tables.join(", ")),
        ("stable", if group.stable { good("yes") } else { bad(&format!("no: {} tablets", group.unstable)) }),
        ("buckets", group.buckets.to_string()),
        ("copies", group.replication.to_string()),
        (
            "evenness",
            group.idle.as_ref().map_or("its sequence is about to change".to_string(), |idle| idle.detail.clone()),
        ),
    ]);
    text += &format!("\n{}", render(&Buckets(&group.sequence)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::TabletId;

    /// What finds no place is named with its rule, and what is not shown is counted.
    #[test]
    fn blockers_are_named_and_counted() {
        let one = |tablet| Blocker {
            code: "disk_would_overfill".into(),
            tablet: Some(TabletId(tablet)),
            table: Some("d.t/p0".into()),
            detail: "7 bytes are needed".into(),
        };
        let found =
            Evacuation { tablets: 40, blocked: 40, blockers: (1..31).map(one).collect(), ..Evacuation::default() };
        let text = anstream::adapter::strip_str(&evacuation(&found)).to_string();
        assert!(text.contains("no: 40 tablets find no place") && text.contains("and 20 more"), "{text}");
        assert!(text.contains("disk_would_overfill") && text.contains("7 bytes are needed"), "{text}");
    }

    /// A lease reads as who wants what for how long.
    #[test]
    fn leases_read_as_a_line() {
        let on = LeaseOn::Urgent { table: "d.t".into(), partition: Some("p0".into()) };
        let (owner, reason) = ("ann".to_string(), "release".to_string());
        let lease = LeaseInfo { id: 1, on, owner, reason, until: None, ends_in_ms: Some(61_000) };
        assert_eq!(lease_line(&lease), "d.t/p0 first by ann, 1 min 1 s left: release");
    }
}
