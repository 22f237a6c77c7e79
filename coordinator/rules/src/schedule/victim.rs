//! Whom to delete, when there are too many replicas or one blocks the way. A wish only: the Catalog's guard counts
//! again and asks for evidence.
//!
//! In: a tablet with its counts. Out: one replica, or none. It must never name a replica that is merely out of sight,
//! nor a complete one unless more than n are complete.

use super::target::{place_refusal, used_ppb};
use crate::World;
use crate::checkup::count::host_of;
use crate::checkup::{Counts, Flaw, Judged, waits};
use crate::world::{Replica, Tablet};
use stele_common::{ReplicaId, Tick};

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
}

/// The first goes first; declaration order is the law's (the seed's list).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NodeDropped,
    Bad,
    NodeGone,
    /// CLONE or DECOMMISSION without a task.
    Leftover,
    LowerVersion,
    SameHost,
    FullestDisk,
}

/// Chooses the replica that should leave.
pub fn choose_victim(world: &World, tablet: &Tablet, counts: &Counts, at: Tick, purpose: Purpose) -> Option<ReplicaId> {
    let ranked = tablet.replicas.iter().zip(&counts.judged).filter_map(|(replica, judged)| {
        let rank = rank(world, tablet, counts, replica, judged, at)?;
        let serves = serves(rank, purpose) && (purpose != Purpose::FreeHost || host_has_a_disk(world, replica));
        serves.then(|| (rank, tie(world, replica, rank), replica.id))
    });
    ranked.min().map(|(_, _, id)| id)
}

fn rank(world: &World, tablet: &Tablet, counts: &Counts, replica: &Replica, judged: &Judged, at: Tick) -> Option<Rank> {
    let Some(flaw) = judged.why else {
        return (counts.complete > tablet.wanted).then_some(Rank::FullestDisk);
    };
    match flaw {
        Flaw::NodeUnknown => Some(Rank::NodeDropped),
        Flaw::Bad => Some(Rank::Bad),
        Flaw::Clone | Flaw::Decommission => Some(Rank::Leftover),
        Flaw::NodeLost | Flaw::NodeSilent | Flaw::NodeUnheard | Flaw::DiskNotOnline | Flaw::NotSeen => {
            waits::is_given_up(world, replica, flaw, at).then_some(Rank::NodeGone)
        }
        Flaw::Behind | Flaw::MissedCommit => Some(Rank::LowerVersion),
        Flaw::SameHost => Some(Rank::SameHost),
    }
}

fn serves(rank: Rank, purpose: Purpose) -> bool {
    match purpose {
        Purpose::Surplus => true,
        Purpose::Unblock => match rank {
            Rank::NodeDropped | Rank::Bad | Rank::SameHost => true,
            Rank::NodeGone | Rank::Leftover | Rank::LowerVersion | Rank::FullestDisk => false,
        },
        Purpose::MakeRoom => match rank {
            Rank::NodeDropped | Rank::Bad | Rank::NodeGone | Rank::Leftover | Rank::SameHost => true,
            Rank::LowerVersion | Rank::FullestDisk => false,
        },
        Purpose::FreeHost => match rank {
            Rank::Bad | Rank::NodeGone | Rank::Leftover => true,
            Rank::NodeDropped | Rank::LowerVersion | Rank::SameHost | Rank::FullestDisk => false,
        },
    }
}

fn host_has_a_disk(world: &World, replica: &Replica) -> bool {
    let host = host_of(world, replica);
    let mut disks = world.disks.values().filter(|disk| place_refusal(world, disk).is_none());
    disks.any(|disk| world.nodes.get(&disk.node).map(|node| node.host.as_str()) == host)
}

/// Among equals: the lowest version, or the fullest disk, first.
fn tie(world: &World, replica: &Replica, rank: Rank) -> u64 {
    match rank {
        Rank::LowerVersion => replica.seen.as_ref().map_or(0, |seen| seen.version.0),
        Rank::NodeDropped | Rank::Bad | Rank::NodeGone | Rank::Leftover | Rank::SameHost | Rank::FullestDisk => {
            u64::MAX - world.disks.get(&replica.disk).map_or(u64::MAX, |disk| used_ppb(disk, 0))
        }
    }
}
