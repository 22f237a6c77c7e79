//! The ladder: one status, one priority, one wait for a tablet. The first rung that matches wins.
//!
//! | rung | status | priority |
//! |---|---|---|
//! | nothing alive, or nothing complete | UNRECOVERABLE | none: nothing to copy from |
//! | alive < n, every live host that may hold one does, and one of them is useless | FORCE_REDUNDANT | VERY_HIGH |
//! | alive < n | REPLICA_MISSING | HIGH below a majority, else NORMAL |
//! | complete < n | VERSION_INCOMPLETE | HIGH below a majority, else NORMAL |
//! | complete > n | REDUNDANT | VERY_HIGH: quickly done, and it frees space |
//! | stable < n, every other host that may hold one does | FORCE_REDUNDANT | VERY_HIGH |
//! | stable < n | REPLICA_RELOCATING | NORMAL below a majority, else LOW |
//! | with the table's tag < n | REPLICA_MISSING_IN_CLUSTER | LOW |
//! | one on a disk that is being drained | DISK_MIGRATION | NORMAL |
//! | replicas > n, unless one of them only moves so that hosts are even | REDUNDANT | VERY_HIGH |
//! | otherwise | HEALTHY | none |
//!
//! While a replica that was marked for further repair is behind, for 20 minutes from its mark, NEED_FURTHER_REPAIR
//! (HIGH) stands in place of REDUNDANT and FORCE_REDUNDANT. Tablets of a colocation group have a ladder of their own,
//! [`super::colocate`]. Somebody's wish for urgency lifts whatever can be queued to VERY_HIGH.
//!
//! A pure function of world, tablet and time; it must stay cheap, for a full check asks it of every tablet.

use super::count::{Counts, Flaw, Judged, count, host_of};
use super::waits;
use crate::World;
use crate::world::{Replica, Tablet};
use stele_common::{Liveness, Priority, TabletStatus, TaskType, Tick};

/// What is wrong with a tablet, and what was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub status: TabletStatus,
    /// `None`: not to be queued.
    pub priority: Option<Priority>,
    /// 0: now.
    pub ready_in_ms: u64,
    pub wanted: u32,
    pub alive: u32,
    pub complete: u32,
    pub stable: u32,
    pub in_tag: u32,
    /// All of them, whatever they are worth.
    pub replicas: u32,
}

/// Judges a tablet.
pub fn verdict(world: &World, tablet: &Tablet, at: Tick) -> Verdict {
    verdict_on(world, tablet, &count(world, tablet), at)
}

/// Judges a tablet whose replicas have been counted.
pub fn verdict_on(world: &World, tablet: &Tablet, counts: &Counts, at: Tick) -> Verdict {
    let found = match world.bucket_nodes(tablet) {
        Some(nodes) => super::colocate::ladder(world, tablet, nodes, counts, at),
        None => ladder(world, tablet, counts, at),
    };
    let Found { status, mut priority, ready_in_ms } = found;
    if priority.is_some() && !world.leases.is_empty() && world.is_urgent(tablet, at) {
        priority = Some(Priority::VeryHigh);
    }
    let Counts { alive, complete, stable, in_tag, .. } = *counts;
    let (wanted, replicas) = (tablet.wanted, tablet.replicas.len() as u32);
    Verdict { status, priority, ready_in_ms, wanted, alive, complete, stable, in_tag, replicas }
}

/// A rung of a ladder.
pub(super) struct Found {
    pub status: TabletStatus,
    pub priority: Option<Priority>,
    pub ready_in_ms: u64,
}

impl Found {
    pub fn now(status: TabletStatus, priority: Priority) -> Found {
        Found { status, priority: Some(priority), ready_in_ms: 0 }
    }

    pub fn none(status: TabletStatus) -> Found {
        Found { status, priority: None, ready_in_ms: 0 }
    }
}

fn ladder(world: &World, tablet: &Tablet, counts: &Counts, at: Tick) -> Found {
    let (wanted, majority) = (tablet.wanted, tablet.wanted / 2 + 1);
    let replicas = tablet.replicas.len() as u32;
    let by_majority = |have: u32| if have < majority { Priority::High } else { Priority::Normal };
    let surplus = |status| match further_repair(tablet, counts, at) {
        true => Found::now(TabletStatus::NeedFurtherRepair, Priority::High),
        false => Found::now(status, Priority::VeryHigh),
    };
    if counts.alive == 0 || counts.complete == 0 {
        Found::none(TabletStatus::Unrecoverable)
    } else if is_covering(world, tablet, counts) {
        surplus(TabletStatus::ForceRedundant)
    } else if counts.alive < wanted {
        let missing = waits::missing_in(world, tablet, counts, at);
        // One that is alive but behind is mended whatever the missing one waits for.
        let ready_in_ms = waits::behind_in(world, tablet, counts, at).map_or(missing, |behind| behind.min(missing));
        Found { status: TabletStatus::ReplicaMissing, priority: Some(by_majority(counts.alive)), ready_in_ms }
    } else if counts.complete < wanted {
        let ready_in_ms = waits::behind_in(world, tablet, counts, at).unwrap_or(0);
        Found { status: TabletStatus::VersionIncomplete, priority: Some(by_majority(counts.complete)), ready_in_ms }
    } else if counts.complete > wanted {
        surplus(TabletStatus::Redundant)
    } else if counts.stable < wanted {
        if wanted > 1 && all_hosts_taken(world, tablet, 0) {
            surplus(TabletStatus::ForceRedundant)
        } else {
            let priority = if counts.stable < majority { Priority::Normal } else { Priority::Low };
            Found::now(TabletStatus::ReplicaRelocating, priority)
        }
    } else if counts.in_tag < wanted {
        Found::now(TabletStatus::ReplicaMissingInCluster, Priority::Low)
    } else if counts.must_move > 0 {
        Found::now(TabletStatus::DiskMigration, Priority::Normal)
    } else if replicas > wanted && !is_moved_for_evenness(world, tablet) {
        Found { ready_in_ms: waits::surplus_in(world, tablet, counts, at), ..surplus(TabletStatus::Redundant) }
    } else {
        Found::none(TabletStatus::Healthy)
    }
}

/// What is beyond n comes or leaves with a move that nothing but evenness asked for: nobody need see to it.
fn is_moved_for_evenness(world: &World, tablet: &Tablet) -> bool {
    world.tasks.get(&tablet.id).is_some_and(|task| task.task_type == TaskType::Balance)
}

/// A mark holds this long: long enough for two full copies of the largest tablet to fail, short enough that a surplus
/// does not stay for a replica that never catches up (the originals' 20 minutes).
const FURTHER_REPAIR_MS: u64 = 20 * 60_000;

/// A replica is marked for further repair, the mark is fresh, and it is behind.
fn further_repair(tablet: &Tablet, counts: &Counts, at: Tick) -> bool {
    tablet.replicas.iter().zip(&counts.judged).any(|(replica, judged)| is_marked(replica, judged, at))
}

/// Whether this replica is helped before any surplus is judged.
pub fn is_marked(replica: &Replica, judged: &Judged, at: Tick) -> bool {
    let is_behind = matches!(judged.why, Some(Flaw::Behind | Flaw::MissedCommit));
    is_behind && replica.further_repair.is_some_and(|since| at.since(since) < FURTHER_REPAIR_MS)
}

/// A copy is missing, but every live host that may hold one holds a replica already and one of these is useless for
/// good: it must leave before a good one can come. One on a merely silent node is not useless.
fn is_covering(world: &World, tablet: &Tablet, counts: &Counts) -> bool {
    let is_useless = |flaw| matches!(flaw, Some(Flaw::Bad | Flaw::NodeUnknown | Flaw::SameHost));
    counts.alive < tablet.wanted
        && tablet.wanted > 1
        && counts.judged.iter().any(|judged| is_useless(judged.why))
        && all_hosts_taken(world, tablet, tablet.wanted)
}

/// Every live and not draining host that the table may use holds one of its replicas, and at least `least` nodes live.
/// Ends at the first free host: a few steps in any house larger than the tablet.
pub fn all_hosts_taken(world: &World, tablet: &Tablet, least: u32) -> bool {
    let tag = world.tag_of(tablet);
    let mut live_nodes = 0;
    for node in world.nodes.values().filter(|node| node.liveness == Liveness::Alive) {
        let may_take = !node.draining && node.tag == tag;
        if may_take && !tablet.replicas.iter().any(|replica| host_of(world, replica) == Some(&node.host)) {
            return false;
        }
        live_nodes += 1;
    }
    live_nodes >= least
}

/// Sentences in the order of the ladder: what was counted and what followed.
pub fn because(world: &World, tablet: &Tablet, at: Tick) -> Vec<String> {
    let counts = count(world, tablet);
    let verdict = verdict_on(world, tablet, &counts, at);
    let mut said = vec![format!(
        "wanted {}, replicas {}, alive {}, complete {} (visible version {}, committed {})",
        verdict.wanted, verdict.replicas, verdict.alive, verdict.complete, tablet.visible, tablet.committed
    )];
    for (replica, judged) in tablet.replicas.iter().zip(&counts.judged) {
        if let Some(flaw) = judged.why {
            said.push(format!("replica {} on node {}: {}", replica.id, replica.node, flaw_text(flaw, replica)));
        }
    }
    said.push(format!("{}: {}", verdict.status, rung(verdict)));
    if verdict.ready_in_ms > 0 {
        said.push(format!("repair begins in {} ms, unless it comes back by itself", verdict.ready_in_ms));
    }
    said
}

/// Why a replica does not count, with its cause where there is one.
pub fn flaw_text(flaw: Flaw, replica: &crate::world::Replica) -> String {
    match (&replica.bad, flaw) {
        (Some(cause), Flaw::Bad) => format!("{}: {cause}", flaw.text()),
        _ => flaw.text().into(),
    }
}

/// The rung in words.
pub fn rung(verdict: Verdict) -> String {
    let Verdict { wanted, alive, complete, stable, in_tag, replicas, .. } = verdict;
    match verdict.status {
        TabletStatus::Unrecoverable if alive == 0 => "no replica is alive".into(),
        TabletStatus::Unrecoverable => "no alive replica is complete".into(),
        TabletStatus::ForceRedundant if complete >= wanted => {
            "a replica must leave a draining node, and every other host holds one already".into()
        }
        TabletStatus::ForceRedundant => {
            "every live host holds a replica and one of them is useless: it leaves first, to make room".into()
        }
        TabletStatus::ReplicaMissing => format!("{alive} of {wanted} replicas are alive"),
        TabletStatus::VersionIncomplete => format!("{complete} of {wanted} replicas are complete"),
        TabletStatus::NeedFurtherRepair => {
            "a copy that landed behind is brought up before any surplus is judged".into()
        }
        TabletStatus::ReplicaRelocating => {
            format!("{stable} of {wanted} complete replicas are on nodes that are not being drained")
        }
        TabletStatus::ReplicaMissingInCluster => {
            format!("{in_tag} of {wanted} complete replicas are on nodes with the table's tag")
        }
        TabletStatus::DiskMigration => "a replica is on a disk that is being drained".into(),
        TabletStatus::ColocateMismatch => "a node of the group's bucket sequence has no replica".into(),
        TabletStatus::ColocateRedundant => "a replica is outside the group's bucket sequence, or bad inside it".into(),
        TabletStatus::Redundant if complete > wanted => format!("{complete} complete replicas, {wanted} wanted"),
        TabletStatus::Redundant => format!("{replicas} replicas, {wanted} wanted"),
        TabletStatus::Healthy => format!("{complete} of {wanted} replicas are complete"),
    }
}
