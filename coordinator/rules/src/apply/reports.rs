//! Changes about what agents report: nothing of this is stored, and nothing of it outlives a leadership.

use crate::Change;
use crate::world::{Naming, SeenReplica, Tablet, Trashed, VersionRecord, World};
use stele_common::{BootId, ReplicaFact, ReplicaId, Tick, Version};

pub(super) fn apply(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        ReportTaken { .. } | ReportsBroken { .. } | NamingBegan { .. } | Named { .. } | FullReportTaken { .. } => {
            sessions(world, change)
        }
        ReplicaSeen { fact, boot, seq, at, .. } => {
            let scrub_ms = world.knobs.scrub_period_ms;
            // Most full reports repeat what is known, and writing copies a chunk that snapshots share.
            if world.tablets.get(fact.tablet).is_some_and(|tablet| is_known(tablet, fact, *boot, *at, scrub_ms)) {
                return;
            }
            let Some(tablet) = world.tablets.get_mut(fact.tablet) else { return };
            let session = (*boot, *seq);
            seen(tablet, fact, session, *at, scrub_ms);
        }
        ReplicaUnseen { tablet, replica } => {
            let Some(tablet) = world.tablets.get_mut(*tablet) else { return };
            let Some(replica) = tablet.replicas.iter_mut().find(|other| other.id == *replica) else { return };
            if replica.seen.take().is_some() {
                tablet.revision += 1;
            }
        }
        ReplicaConfirmed { tablet, replica, nonce, version, hash, at } => {
            let Some(tablet) = world.tablets.get_mut(*tablet) else { return };
            let Some(replica) = tablet.replicas.iter_mut().find(|other| other.id == *replica) else { return };
            if let Some(seen) = &mut replica.seen {
                seen.confirmed = Some((*nonce, *at, *version, *hash));
            }
        }
        FurtherRepairMarked { tablet, replica, at } => {
            let Some(tablet) = world.tablets.get_mut(*tablet) else { return };
            let Some(replica) = tablet.replicas.iter_mut().find(|other| other.id == *replica) else { return };
            replica.further_repair = Some(*at);
            tablet.revision += 1;
        }
        StraySeen { tablet, replica, stray } => {
            let since = world.strays.get(&(*tablet, *replica)).map_or(stray.since, |known| known.since);
            let stray = crate::world::Stray { since, ..stray.clone() };
            world.strays.insert((*tablet, *replica), stray);
        }
        StrayGone { tablet, replica } => {
            world.strays.remove(&(*tablet, *replica));
        }
        TrashSeen { node, fact, at } => {
            let trashed = Trashed { node: *node, fact: fact.clone(), seen: *at };
            let before = world.trash.insert(fact.replica, trashed);
            weigh(world, before, u64::saturating_sub);
            weigh(world, world.trash.get(&fact.replica).cloned(), u64::saturating_add);
        }
        TrashGone { replica } => {
            forget_trash(world, *replica);
        }
        _ => unreachable!("{change:?} is not about reports"),
    }
}

pub(super) fn forget_trash(world: &mut World, replica: ReplicaId) {
    let before = world.trash.remove(&replica);
    weigh(world, before, u64::saturating_sub);
}

/// Keeps the sum of a disk's trash.
fn weigh(world: &mut World, trashed: Option<Trashed>, with: fn(u64, u64) -> u64) {
    let Some(trashed) = trashed else { return };
    if let Some(disk) = world.disks.get_mut(&trashed.fact.disk) {
        disk.trash = with(disk.trash, trashed.fact.bytes);
    }
}

fn sessions(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        ReportTaken { node, boot, seq } => {
            if let Some(node) = world.nodes.get_mut(node).filter(|node| node.boot == Some(*boot)) {
                node.seq = node.seq.max(*seq);
            }
        }
        ReportsBroken { node } => {
            if let Some(node) = world.nodes.get_mut(node) {
                (node.reported, node.naming) = (false, None);
            }
        }
        NamingBegan { node } => {
            if let Some(node) = world.nodes.get_mut(node) {
                node.naming = Some(Naming::default());
            }
        }
        Named { node, replica, load, task, trash, disk } => {
            let Some(naming) = world.nodes.get_mut(node).and_then(|node| node.naming.as_mut()) else { return };
            naming.replicas.extend(replica);
            naming.loads.extend(load);
            naming.tasks.extend(task);
            naming.trash.extend(trash);
            naming.disks.extend(disk);
        }
        FullReportTaken { node } => {
            if let Some(node) = world.nodes.get_mut(node) {
                (node.reported, node.naming) = (true, None);
            }
        }
        _ => unreachable!("{change:?} is not about sessions"),
    }
}

/// A receipt later than the known one by at most this is the same one, told again over a slower wire. Longer, and a
/// `verify` soon after a load would not see its own reading; shorter, and every full report would change every tablet.
const SAME_RECEIPT_MS: u64 = 20;

/// Whether a fact says what was known of the replica already.
pub(crate) fn is_known(tablet: &Tablet, fact: &ReplicaFact, boot: BootId, at: Tick, scrub_ms: u64) -> bool {
    let replica = tablet.replicas.iter().find(|replica| replica.id == fact.replica);
    let Some(known) = replica.and_then(|replica| replica.seen.as_ref()) else { return false };
    let same_receipt = match (known.verified, receipt(fact, at, scrub_ms)) {
        (Some(known), Some(told)) => told <= known.plus(SAME_RECEIPT_MS),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    same_receipt
        && (known.boot, known.version, known.hash, known.pending) == (boot, fact.version, fact.hash, fact.pending)
        && (known.size, known.files, known.oldest, &known.bad) == (fact.size, fact.files, fact.oldest, &fact.bad)
}

/// When the content was last held against its digests, on our clock. A receipt from before our clock began is put at
/// its beginning; one that is too old to prove anything is none, so that this can never make an old one look fresh.
fn receipt(fact: &ReplicaFact, at: Tick, scrub_ms: u64) -> Option<Tick> {
    let age = fact.verified_age_ms.filter(|age| *age <= scrub_ms.saturating_mul(2))?;
    Some(Tick(at.0.saturating_sub(age)))
}

fn seen(tablet: &mut Tablet, fact: &ReplicaFact, (boot, seq): (BootId, u64), at: Tick, scrub_ms: u64) {
    let committed = tablet.committed;
    let failed = missed_commit(&tablet.versions, fact.replica, fact.version, fact.pending);
    let Some(replica) = tablet.replicas.iter_mut().find(|replica| replica.id == fact.replica) else { return };
    let before = replica.seen.take();
    let known = before.as_ref();
    let rose = known.is_none_or(|known| known.version < fact.version);
    let behind =
        (fact.version < committed).then(|| known.and_then(|known| known.behind).filter(|_| !rose).unwrap_or(at));
    let after = SeenReplica {
        boot,
        seq,
        version: fact.version,
        hash: fact.hash,
        pending: fact.pending,
        failed,
        size: fact.size,
        files: fact.files,
        oldest: fact.oldest,
        verified: receipt(fact, at, scrub_ms),
        // A confirmation is the word of one life about one head.
        confirmed: known
            .filter(|known| known.boot == boot && known.version == fact.version && known.hash == fact.hash)
            .and_then(|known| known.confirmed),
        bad: fact.bad.clone(),
        behind,
    };
    if after.failed.is_none() && after.version >= tablet.visible {
        replica.further_repair = None;
    }
    let same = known.is_some_and(|known| {
        (known.boot, known.version, known.hash, known.pending) == (boot, after.version, after.hash, after.pending)
            && known.bad == after.bad
    });
    replica.seen = Some(after);
    tablet.revision += u64::from(!same);
}

/// The lowest committed version above a replica's head that it neither waits to install nor held at the commit. Below
/// the one that it waits with there may be a hole: that is what it waits for. One that came to it late, after a quorum
/// had it, passes for a hole until it is installed, which decides nothing: the replica is behind as long.
fn missed_commit(versions: &[VersionRecord], replica: ReplicaId, head: Version, pending: Version) -> Option<Version> {
    let above = versions.iter().filter(|record| record.version > head && record.version != pending);
    above.filter(|record| !record.holders.contains(&replica)).map(|record| record.version).min()
}
