//! Which replicas of a tablet are alive, complete and proven: defined here once, used by the ladder and by every guard.
//!
//! In: the world, a tablet. Out: a judgement per replica and the numbers. No waits and no clock in here: whether
//! something that is not alive may come back is [`super::waits`]'s business. It must never count a replica of which
//! this epoch has no report: unknown is not there.

use crate::World;
use crate::world::{Replica, SeenReplica, Tablet, VersionRecord};
use std::collections::BTreeSet;
use stele_common::{DiskState, Liveness, ReplicaState, Tick, Version};

/// One replica, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Counts as a copy (DESIGN 6.1).
    pub alive: bool,
    /// Alive, at the visible version or above, and no committed version passed it by.
    pub complete: bool,
    /// Complete, on a node that is not being drained.
    pub stable: bool,
    /// Complete, on a node with the table's tag.
    pub in_tag: bool,
    /// Complete, on a disk that is being drained.
    pub must_move: bool,
    /// Why it is not alive, or not complete.
    pub why: Option<Flaw>,
}

/// What is wrong with a replica; the first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Its node is not in the catalog.
    NodeUnknown,
    Bad,
    /// A copy in the making.
    Clone,
    /// On its way out.
    Decommission,
    NodeLost,
    NodeSilent,
    /// Its node has not sent a full report in this session: unknown, not missing.
    NodeUnheard,
    /// Its disk is SUSPECT, UNAVAILABLE or not registered: unknown, not gone.
    DiskNotOnline,
    /// Its node has reported, but this epoch has not heard of it.
    NotSeen,
    /// An earlier alive replica is on the same host.
    SameHost,
    /// Alive, but below the visible version.
    Behind,
    /// Alive and at the visible version, but a version was committed without it.
    MissedCommit,
}

impl Flaw {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Flaw::NodeUnknown => "its node is not registered",
            Flaw::Bad => "it is bad",
            Flaw::Clone => "it is a copy in the making",
            Flaw::Decommission => "it is on its way out",
            Flaw::NodeLost => "its node is lost",
            Flaw::NodeSilent => "its node is silent",
            Flaw::NodeUnheard => "its node has not reported since it connected",
            Flaw::DiskNotOnline => "its disk is not online",
            Flaw::NotSeen => "its node has not named it yet",
            Flaw::SameHost => "its host holds another copy",
            Flaw::Behind => "it is behind the visible version",
            Flaw::MissedCommit => "a version was committed without it",
        }
    }

    /// It may come back by itself: its bytes are out of sight, not known to be gone.
    pub fn may_return(self) -> bool {
        match self {
            Flaw::NodeLost | Flaw::NodeSilent | Flaw::NodeUnheard | Flaw::DiskNotOnline | Flaw::NotSeen => true,
            Flaw::NodeUnknown
            | Flaw::Bad
            | Flaw::Clone
            | Flaw::Decommission
            | Flaw::SameHost
            | Flaw::Behind
            | Flaw::MissedCommit => false,
        }
    }
}

/// A tablet's replicas, judged, in the order of the tablet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    pub alive: u32,
    pub complete: u32,
    pub stable: u32,
    pub in_tag: u32,
    pub must_move: u32,
    /// Same order and length as the tablet's replicas.
    pub judged: Vec<Judged>,
}

/// Judges every replica: the first alive one on a host counts, later ones on that host do not.
pub fn count(world: &World, tablet: &Tablet) -> Counts {
    let judged = Vec::with_capacity(tablet.replicas.len());
    let mut counts = Counts { alive: 0, complete: 0, stable: 0, in_tag: 0, must_move: 0, judged };
    let mut hosts = Hosts::default();
    for replica in &tablet.replicas {
        let judged = judge_with(world, tablet, replica, |host| !hosts.insert(host));
        counts.alive += u32::from(judged.alive);
        counts.complete += u32::from(judged.complete);
        counts.stable += u32::from(judged.stable);
        counts.in_tag += u32::from(judged.in_tag);
        counts.must_move += u32::from(judged.must_move);
        counts.judged.push(judged);
    }
    counts
}

/// The hosts of a tablet's replicas: a handful. Without an allocation for the usual few, for a full check asks this of
/// every tablet.
#[derive(Default)]
pub(crate) struct Hosts<'a> {
    few: [&'a str; 6],
    more: Vec<&'a str>,
    len: usize,
}

impl<'a> Hosts<'a> {
    /// False: it was there.
    pub fn insert(&mut self, host: &'a str) -> bool {
        let few = self.len.min(self.few.len());
        if self.few[..few].contains(&host) || self.more.contains(&host) {
            return false;
        }
        match self.few.get_mut(self.len) {
            Some(place) => *place = host,
            None => self.more.push(host),
        }
        self.len += 1;
        true
    }

    pub fn len(&self) -> usize {
        self.len
    }
}

/// Judges one replica, given the hosts of the alive replicas before it.
pub fn judge(world: &World, tablet: &Tablet, replica: &Replica, earlier_hosts: &BTreeSet<&str>) -> Judged {
    judge_with(world, tablet, replica, |host| earlier_hosts.contains(host))
}

/// `host_taken` is asked last: the replica is alive but for its host.
fn judge_with<'a>(
    world: &'a World,
    tablet: &Tablet,
    replica: &Replica,
    host_taken: impl FnOnce(&'a str) -> bool,
) -> Judged {
    let mut judged =
        Judged { alive: false, complete: false, stable: false, in_tag: false, must_move: false, why: None };
    judged.why = flaw_of_life(world, replica, host_taken);
    judged.alive = judged.why.is_none();
    if judged.alive {
        judged.why = flaw_of_version(tablet, replica);
        judged.complete = judged.why.is_none();
    }
    if judged.complete {
        let node = world.nodes.get(&replica.node);
        judged.stable = node.is_some_and(|node| !node.draining);
        judged.in_tag = node.is_some_and(|node| node.tag == world.tag_of(tablet));
        judged.must_move = world.disks.get(&replica.disk).is_some_and(|disk| disk.draining);
    }
    judged
}

fn flaw_of_life<'a>(world: &'a World, replica: &Replica, host_taken: impl FnOnce(&'a str) -> bool) -> Option<Flaw> {
    let Some(node) = world.nodes.get(&replica.node) else { return Some(Flaw::NodeUnknown) };
    if replica.bad.is_some() {
        return Some(Flaw::Bad);
    }
    match replica.state {
        ReplicaState::Normal => {}
        ReplicaState::Clone => return Some(Flaw::Clone),
        ReplicaState::Decommission => return Some(Flaw::Decommission),
    }
    match node.liveness {
        Liveness::Alive => {}
        Liveness::Silent => return Some(Flaw::NodeSilent),
        Liveness::Lost => return Some(Flaw::NodeLost),
    }
    if !node.reported {
        return Some(Flaw::NodeUnheard);
    }
    if world.disks.get(&replica.disk).is_none_or(|disk| disk.state != DiskState::Online) {
        return Some(Flaw::DiskNotOnline);
    }
    if replica.seen.as_ref().is_none_or(|seen| Some(seen.boot) != node.boot) {
        return Some(Flaw::NotSeen);
    }
    host_taken(&node.host).then_some(Flaw::SameHost)
}

fn flaw_of_version(tablet: &Tablet, replica: &Replica) -> Option<Flaw> {
    let Some(seen) = &replica.seen else { return Some(Flaw::NotSeen) };
    if seen.version < tablet.visible {
        return Some(Flaw::Behind);
    }
    seen.failed.map(|_| Flaw::MissedCommit)
}

/// Complete at the *committed* version with the recorded hash; its content was held against its digests within two
/// scrub periods; and its presence is vouched for: by its answer to the confirmation `nonce`, or, without a nonce,
/// by a report of the present session.
///
/// The second-on-its-host rule is the caller's to apply (witnesses must be on different hosts).
pub fn proven(world: &World, tablet: &Tablet, replica: &Replica, at: Tick, nonce: Option<u64>) -> bool {
    let judged = judge_with(world, tablet, replica, |_| false);
    let Some(seen) = &replica.seen else { return false };
    if !judged.complete || seen.version < tablet.committed || !hash_is_recorded(tablet, seen) {
        return false;
    }
    let has_receipt = seen.version == Version::EMPTY
        || seen.verified.is_some_and(|verified| at.since(verified) <= world.knobs.scrub_period_ms.saturating_mul(2));
    let is_present = match nonce {
        None => true,
        Some(nonce) => seen.confirmed.is_some_and(|(answered, _, version, hash)| {
            answered == nonce && version == seen.version && hash == seen.hash
        }),
    };
    has_receipt && is_present
}

/// The head's hash is the one of the commit; the empty version has no record and no content.
fn hash_is_recorded(tablet: &Tablet, seen: &SeenReplica) -> bool {
    match record_of(tablet, seen.version) {
        Some(record) => record.hash == seen.hash,
        None => seen.version == Version::EMPTY,
    }
}

/// The record of a committed version, if it is still kept.
pub fn record_of(tablet: &Tablet, version: Version) -> Option<&VersionRecord> {
    tablet.versions.iter().rev().find(|record| record.version == version)
}

/// The host that a replica is on; `None` when its node is not registered.
pub fn host_of<'a>(world: &'a World, replica: &Replica) -> Option<&'a str> {
    world.nodes.get(&replica.node).map(|node| node.host.as_str())
}
