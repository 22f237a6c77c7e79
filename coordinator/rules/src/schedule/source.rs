//! Where a copy comes from: the newest whole replica on the least busy disk, another than the last time if that failed.
//!
//! In: a tablet with its counts, the ledger. Out: one replica, or why none. It must never give from a replica that is
//! bad or below the visible version.

use super::slots::Ledger;
use crate::checkup::{Counts, Judged};
use crate::world::{Outcome, Replica, Tablet, Work};
use crate::{Reason, World, pause};
use stele_common::{DiskId, DiskState, Liveness, ReplicaId, ReplicaState, TabletId, TaskType};

/// Why there is no source now, and the disks whose slots would change that.
pub struct NoSource {
    pub reason: Reason,
    pub busy: Vec<DiskId>,
}

/// Chooses the source of a copy to `except`'s place (or to a new one).
pub fn choose_source<'a>(
    world: &World,
    ledger: &Ledger,
    tablet: &'a Tablet,
    counts: &Counts,
    except: Option<ReplicaId>,
) -> Result<&'a Replica, NoSource> {
    let all = givers(world, tablet, counts, except);
    let (held, free): (Vec<_>, Vec<_>) =
        all.iter().map(|replica| (*replica, pause::holds_replica(world, replica))).partition(|(_, why)| why.is_some());
    // Where nobody else has it, a paused place is read all the same.
    let givers: Vec<&Replica> = match held.into_iter().next() {
        Some((_, Some(reason))) if free.is_empty() && counts.complete > 1 => {
            return Err(NoSource { reason, busy: Vec::new() });
        }
        Some(_) if free.is_empty() => all,
        Some(_) | None => free.into_iter().map(|(replica, _)| replica).collect(),
    };
    let Some(first) = givers.first() else {
        return Err(NoSource { reason: Reason::NoSource { tablet: tablet.id }, busy: Vec::new() });
    };
    // Newest first; only among equals does the less busy disk win. Whoever was asked first by a copy that failed may have
    // been silent: the others were then waited for in vain, or not at all.
    let failed = if givers.len() > 1 { failed_source(world, tablet.id) } else { None };
    let free = |replica: &&&Replica| ledger.free(replica.disk, TaskType::Repair) > 0;
    let best = givers.iter().filter(free).min_by_key(|replica| {
        (rank(replica), failed == Some(replica.id), ledger.used(replica.disk, TaskType::Repair), replica.id)
    });
    best.copied().ok_or_else(|| NoSource {
        reason: no_slot(first.disk),
        busy: givers.iter().map(|replica| replica.disk).collect(),
    })
}

/// The source of the tablet's latest copy, if that failed.
fn failed_source(world: &World, tablet: TabletId) -> Option<ReplicaId> {
    let past = world.history.of(tablet).next()?;
    match (&past.outcome, &past.task.work) {
        (Outcome::Cancelled { .. }, Work::Clone { source, .. }) => Some(*source),
        (Outcome::Cancelled { .. }, Work::Delete { .. }) | (Outcome::Finished { .. }, _) => None,
    }
}

/// It could give, but its disk has no free slot.
pub fn no_slot(disk: DiskId) -> Reason {
    Reason::NoSourceSlot { disk }
}

/// Every replica that may give: the complete ones; only without any, those that are merely not counted.
pub fn givers<'a>(world: &World, tablet: &'a Tablet, counts: &Counts, except: Option<ReplicaId>) -> Vec<&'a Replica> {
    let others = || tablet.replicas.iter().zip(&counts.judged).filter(|(replica, _)| Some(replica.id) != except);
    let complete = |(replica, judged): (&'a Replica, &Judged)| judged.complete.then_some(replica);
    let givers: Vec<&Replica> = others().filter_map(complete).collect();
    if !givers.is_empty() {
        return givers;
    }
    others().map(|(replica, _)| replica).filter(|replica| may_give(world, tablet, replica)).collect()
}

/// Its bytes can be read and are whole, though it may not count as a copy: on its way out, second on its host, or on a
/// disk that takes nothing new.
pub fn may_give(world: &World, tablet: &Tablet, replica: &Replica) -> bool {
    let Some(node) = world.nodes.get(&replica.node) else { return false };
    let is_there = node.liveness == Liveness::Alive && node.reported;
    let is_readable = world.disks.get(&replica.disk).is_some_and(|disk| match disk.state {
        DiskState::Online | DiskState::Suspect => true,
        DiskState::Unavailable => false,
    });
    let is_whole = match replica.state {
        ReplicaState::Normal | ReplicaState::Decommission => replica.bad.is_none(),
        ReplicaState::Clone => false,
    };
    let seen = replica.seen.as_ref().filter(|seen| Some(seen.boot) == node.boot);
    is_there && is_readable && is_whole && seen.is_some_and(|seen| seen.version >= tablet.visible)
}

/// Smaller is newer.
fn rank(replica: &Replica) -> u64 {
    replica.seen.as_ref().map_or(u64::MAX, |seen| u64::MAX - seen.version.0)
}
