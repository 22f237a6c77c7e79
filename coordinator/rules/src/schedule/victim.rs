//! Whom to delete, when there are too many replicas or one blocks the way. A wish only: the Catalog's guard counts
//! again and asks for evidence.
//!
//! In: a tablet with its counts. Out: one replica, or none. It must never name a replica that is merely out of sight,
//! nor one that is of use unless n others are complete without it.
//!
//! The seed's order, made complete; among equals of a rank the lowest version, or the fullest disk, then the fullest
//! node, then the highest id:
//!
//! | rank | its node or disk, or itself |
//! |---|---|
//! | 1 | node dropped from the catalog |
//! | 2 | bad |
//! | 3 | node lost, disk away for as long; then: node or disk being drained |
//! | 4 | CLONE or DECOMMISSION without a task |
//! | 5 | a committed version passed it by; then: below the committed version |
//! | 6 | one of two on a host |
//! | 7 | node without the table's tag |
//! | 8 | replaced by a move that has landed |
//! | 9 | comes and goes so often that it is not relied on |
//! | 10 | the most loaded node, by its score on the tablet's medium; then the fullest disk |

use super::statistics::Scores;
use super::target::{place_refusal, takes_nothing_new, used_ppb};
use crate::World;
use crate::catalog::deletion::{holders_allow, is_spared};
use crate::catalog::evidence::complete_others;
use crate::checkup::count::host_of;
use crate::checkup::{Counts, Flaw, Judged, waits};
use crate::world::{Replica, Tablet};
use std::cmp::Reverse;
use stele_common::{Liveness, NodeId, ReplicaId, ReplicaState, Tick};

/// Why something is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// More than wanted.
    Surplus,
    /// A useless one stands where a good one could be made.
    Unblock,
    /// No further surplus is allowed before one of these has left: only what is of no use.
    MakeRoom,
    /// No host is free, but one that is there holds only a useless one: without it a good one could be made there.
    FreeHost,
    /// Outside the bucket of its colocation group, or bad inside it.
    Colocate,
}

/// The first goes first; declaration order is the law's (the seed's list).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NodeDropped,
    Bad,
    Gone,
    Draining,
    Leftover,
    MissedVersion,
    LowerVersion,
    SameHost,
    OtherTag,
    Replaced,
    Restless,
    MostLoaded,
}

/// Chooses the replica that should leave.
pub fn choose_victim(
    world: &World,
    tablet: &Tablet,
    counts: &Counts,
    at: Tick,
    purpose: Purpose,
    scores: &Scores,
) -> Option<ReplicaId> {
    let bucket = world.bucket_nodes(tablet);
    let ranked = tablet.replicas.iter().zip(&counts.judged).filter_map(|(replica, judged)| {
        let rank = rank(world, tablet, replica, judged, at)?;
        let is_inside = bucket.is_some_and(|bucket| bucket.contains(&replica.node));
        // The second on a host is that, whatever else is wrong with it.
        let is_second = judged.why == Some(Flaw::SameHost) && serves(Rank::SameHost, purpose, is_inside);
        let serves = (is_second || serves(rank, purpose, is_inside))
            && (purpose != Purpose::FreeHost || host_takes(world, replica));
        serves.then(|| (is_inside, rank, tie(world, tablet, replica, rank, scores), Reverse(replica.id)))
    });
    ranked.min().map(|(.., id)| id.0)
}

fn rank(world: &World, tablet: &Tablet, replica: &Replica, judged: &Judged, at: Tick) -> Option<Rank> {
    let Some(node) = world.nodes.get(&replica.node) else { return Some(Rank::NodeDropped) };
    if replica.bad.is_some() {
        return Some(Rank::Bad);
    }
    let unseen = judged.why.filter(|flaw| flaw.may_return());
    if node.liveness == Liveness::Lost || unseen.is_some_and(|flaw| waits::is_given_up(world, replica, flaw, at)) {
        // One that the Catalog must keep, for it may be the second that holds a version, is not in another's way.
        return holders_allow(tablet, replica.id).is_ok().then_some(Rank::Gone);
    }
    if replica.state == ReplicaState::Clone {
        return Some(Rank::Leftover);
    }
    // It is whole, or may be: it leaves only where enough others are.
    if unseen.is_some() || !is_spared(world, tablet, replica) {
        return None;
    }
    let disk = world.disks.get(&replica.disk);
    let seen = replica.seen.as_ref();
    let is_behind = seen.is_some_and(|seen| seen.version < tablet.committed);
    Some(if disk.is_some_and(|disk| takes_nothing_new(world, disk).is_some()) {
        Rank::Draining
    } else if replica.state == ReplicaState::Decommission {
        Rank::Leftover
    } else if seen.is_some_and(|seen| seen.failed.is_some()) {
        Rank::MissedVersion
    } else if is_behind {
        Rank::LowerVersion
    } else if has_fellow(world, tablet, replica, judged) {
        Rank::SameHost
    } else if node.tag != world.tag_of(tablet) {
        Rank::OtherTag
    } else if is_replaced(tablet, replica) {
        Rank::Replaced
    } else if node.flaps.is_spent(at) {
        Rank::Restless
    } else {
        Rank::MostLoaded
    })
}

/// A move has made another in its place, and that one is still there.
fn is_replaced(tablet: &Tablet, replica: &Replica) -> bool {
    replica.replaced_by.is_some_and(|by| tablet.replicas.iter().any(|other| other.id == by))
}

/// Whether another that counts, or would without it, stands on its host: either of the two may be the second.
fn has_fellow(world: &World, tablet: &Tablet, replica: &Replica, judged: &Judged) -> bool {
    let host = host_of(world, replica);
    let others = complete_others(world, tablet, Some(replica.id));
    judged.why == Some(Flaw::SameHost) || others.iter().any(|other| host_of(world, other) == host)
}

fn serves(rank: Rank, purpose: Purpose, is_inside: bool) -> bool {
    use Rank::*;
    match purpose {
        Purpose::Surplus => true,
        Purpose::Unblock => match rank {
            NodeDropped | Bad | Leftover | SameHost => true,
            Gone | Draining | MissedVersion | LowerVersion | OtherTag | Replaced | Restless | MostLoaded => false,
        },
        Purpose::MakeRoom => match rank {
            NodeDropped | Bad | Gone | Leftover | SameHost => true,
            Draining | MissedVersion | LowerVersion | OtherTag | Replaced | Restless | MostLoaded => false,
        },
        Purpose::FreeHost => match rank {
            Bad | Gone | Leftover => true,
            NodeDropped | Draining | MissedVersion | LowerVersion | SameHost | OtherTag | Replaced | Restless
            | MostLoaded => false,
        },
        Purpose::Colocate => match rank {
            Bad | SameHost => true,
            NodeDropped | Gone | Draining | Leftover | MissedVersion | LowerVersion | OtherTag | Replaced
            | Restless | MostLoaded => !is_inside,
        },
    }
}

/// Without the replica its host could take a new one.
fn host_takes(world: &World, replica: &Replica) -> bool {
    let host = host_of(world, replica);
    world.disks.values().any(|disk| {
        let is_here = world.nodes.get(&disk.node).map(|node| node.host.as_str()) == host;
        is_here && place_refusal(world, disk).is_none() && takes_nothing_new(world, disk).is_none()
    })
}

/// Among equals, smallest first: version and failed version, or what is left free of its disk and of its node.
fn tie(world: &World, tablet: &Tablet, replica: &Replica, rank: Rank, scores: &Scores) -> (u64, u64) {
    match rank {
        Rank::MissedVersion | Rank::LowerVersion => replica.seen.as_ref().map_or((0, 0), |seen| {
            let failed = seen.failed.map_or(u64::MAX, |version| version.0);
            (seen.version.0, failed)
        }),
        Rank::NodeDropped
        | Rank::Bad
        | Rank::Gone
        | Rank::Draining
        | Rank::Leftover
        | Rank::SameHost
        | Rank::OtherTag
        | Rank::Replaced
        | Rank::Restless => {
            let disk = world.disks.get(&replica.disk).map_or(u64::MAX, |disk| used_ppb(disk, 0));
            (u64::MAX - disk, u64::MAX - node_used_ppb(world, replica.node))
        }
        Rank::MostLoaded => {
            let disk = world.disks.get(&replica.disk).map_or(u64::MAX, |disk| used_ppb(disk, 0));
            (u64::MAX - scores.on(replica.node, tablet.medium), u64::MAX - disk)
        }
    }
}

/// Used part of all disks of a node, in parts per billion.
fn node_used_ppb(world: &World, node: NodeId) -> u64 {
    let disks = || world.disks.values().filter(|disk| disk.node == node);
    let used: u128 = disks().map(|disk| u128::from(disk.space.used)).sum();
    let total: u128 = disks().map(|disk| u128::from(disk.space.total)).sum();
    (used * 1_000_000_000).checked_div(total).map_or(0, |ppb| ppb as u64)
}
