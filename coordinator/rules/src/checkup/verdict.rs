//! The ladder: one status, one priority, one wait for a tablet. The first rung that matches wins.
//!
//! | rung | status | priority |
//! |---|---|---|
//! | nothing alive, or nothing complete | UNRECOVERABLE | none: nothing to copy from |
//! | every live host holds one of its replicas and one of them is useless | FORCE_REDUNDANT | VERY_HIGH |
//! | alive < n | REPLICA_MISSING | HIGH below a majority, else NORMAL |
//! | complete < n | VERSION_INCOMPLETE | HIGH below a majority, else NORMAL |
//! | complete > n, or replicas > n | REDUNDANT | VERY_HIGH: quickly done, and it frees space |
//! | otherwise | HEALTHY | none |
//!
//! A pure function of world, tablet and time; it must stay cheap, for a full check asks it of every tablet.

use super::count::{Counts, Flaw, count, host_of};
use super::waits;
use crate::World;
use crate::world::Tablet;
use stele_common::{Liveness, Priority, TabletStatus, Tick};

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
    /// All of them, whatever they are worth.
    pub replicas: u32,
}

/// Judges a tablet.
pub fn verdict(world: &World, tablet: &Tablet, at: Tick) -> Verdict {
    verdict_on(world, tablet, &count(world, tablet), at)
}

/// Judges a tablet whose replicas have been counted.
pub fn verdict_on(world: &World, tablet: &Tablet, counts: &Counts, at: Tick) -> Verdict {
    let (wanted, majority) = (tablet.wanted, tablet.wanted / 2 + 1);
    let replicas = tablet.replicas.len() as u32;
    let by_majority = |have: u32| if have < majority { Priority::High } else { Priority::Normal };
    let (status, priority, ready_in_ms) = if counts.alive == 0 || counts.complete == 0 {
        (TabletStatus::Unrecoverable, None, 0)
    } else if is_covering(world, tablet, counts) {
        (TabletStatus::ForceRedundant, Some(Priority::VeryHigh), 0)
    } else if counts.alive < wanted {
        let missing = waits::missing_in(world, tablet, counts, at);
        // One that is alive but behind is mended whatever the missing one waits for.
        let ready = waits::behind_in(world, tablet, counts, at).map_or(missing, |behind| behind.min(missing));
        (TabletStatus::ReplicaMissing, Some(by_majority(counts.alive)), ready)
    } else if counts.complete < wanted {
        let ready = waits::behind_in(world, tablet, counts, at).unwrap_or(0);
        (TabletStatus::VersionIncomplete, Some(by_majority(counts.complete)), ready)
    } else if counts.complete > wanted || replicas > wanted {
        (TabletStatus::Redundant, Some(Priority::VeryHigh), waits::surplus_in(world, tablet, counts, at))
    } else {
        (TabletStatus::Healthy, None, 0)
    };
    let Counts { alive, complete, .. } = *counts;
    Verdict { status, priority, ready_in_ms, wanted, alive, complete, replicas }
}

/// A copy is missing, but every live host holds a replica already and one of these is useless for good: it must leave
/// before a good one can come. One on a merely silent node is not useless.
fn is_covering(world: &World, tablet: &Tablet, counts: &Counts) -> bool {
    let is_useless = |flaw| matches!(flaw, Some(Flaw::Bad | Flaw::NodeUnknown | Flaw::SameHost));
    if counts.alive >= tablet.wanted || tablet.wanted <= 1 || !counts.judged.iter().any(|j| is_useless(j.why)) {
        return false;
    }
    let mut live_nodes = 0;
    for node in world.nodes.values().filter(|node| node.liveness == Liveness::Alive) {
        // Ends at the first free host: a few steps in any house larger than the tablet.
        if !tablet.replicas.iter().any(|replica| host_of(world, replica) == Some(&node.host)) {
            return false;
        }
        live_nodes += 1;
    }
    live_nodes >= tablet.wanted
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
    let Verdict { wanted, alive, complete, replicas, .. } = verdict;
    match verdict.status {
        TabletStatus::Unrecoverable if alive == 0 => "no replica is alive".into(),
        TabletStatus::Unrecoverable => "no alive replica is complete".into(),
        TabletStatus::ForceRedundant => {
            "every live host holds a replica and one of them is useless: it leaves first, to make room".into()
        }
        TabletStatus::ReplicaMissing => format!("{alive} of {wanted} replicas are alive"),
        TabletStatus::VersionIncomplete => format!("{complete} of {wanted} replicas are complete"),
        TabletStatus::Redundant if complete > wanted => format!("{complete} complete replicas, {wanted} wanted"),
        TabletStatus::Redundant => format!("{replicas} replicas, {wanted} wanted"),
        TabletStatus::Healthy => format!("{complete} of {wanted} replicas are complete"),
    }
}
