//! Where a copy goes that moves within a host: off a disk that is being drained, or to the node of its host that its
//! colocation group wants.
//!
//! In: the replica to be replaced, the node, the ledger. Out: a disk of that node, or why none. The old one is not in
//! the way of its own successor; any other replica on the host is. Order as in [`super::target`]: the tablet's medium
//! with a free slot, then any with one; lowest used part, fewest copies under way, lowest id.

use super::slots::Ledger;
use super::target::{NoTarget, Tally, beside_refusal, no_slot, seat_at};
use crate::world::{Replica, Tablet};
use crate::{Reason, World};
use stele_common::{DiskId, NodeId};

/// Chooses the disk of `node` for the successor of `old`.
pub fn choose_beside(
    world: &World,
    ledger: &Ledger,
    tablet: &Tablet,
    old: &Replica,
    node: NodeId,
    bytes: u64,
) -> Result<DiskId, NoTarget> {
    let (mut best, mut busy, mut why) = (None, Vec::new(), Tally::default());
    for disk in world.disks.values().filter(|disk| disk.node == node && disk.id != old.disk) {
        if let Some(reason) = beside_refusal(world, ledger, tablet, old, disk, bytes) {
            why.count(&reason);
        } else if ledger.free(disk.id) == 0 {
            busy.push(disk.id);
        } else {
            let rank = (disk.medium != tablet.medium, seat_at(ledger, disk));
            best = best.into_iter().chain([(rank, disk.id)]).min();
        }
    }
    match best {
        Some((_, disk)) => Ok(disk),
        None if busy.is_empty() => {
            let reason = Reason::NoOtherDisk { node, disk: old.disk, why: why.text() };
            Err(NoTarget { reason, busy })
        }
        None => Err(no_slot(busy)),
    }
}
