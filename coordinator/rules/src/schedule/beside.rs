//! Where a copy goes that moves within a host: off a disk that is being drained, to another node of a host whose first
//! one drains or has another tag, to the node that a colocation group wants.
//!
//! In: the replica to be replaced, the ledger. Out: a disk of its host, or why none. The old one is not in the way of
//! its own successor; any other replica on the host is. Order: what a running plan names; its own node; then as in [`super::target`] the tablet's
//! medium with a free slot, then any with one; lowest used part, fewest copies under way, lowest id.

use super::slots::Ledger;
use super::target::{NoTarget, Tally, beside_refusal, no_slot, seat_at};
use crate::checkup::count::host_of;
use crate::world::{Replica, Tablet};
use crate::{Reason, World};
use stele_common::{DiskId, NodeId, TaskType};

/// Chooses the disk for the successor of `old`.
pub fn choose_beside(
    world: &World,
    ledger: &Ledger,
    tablet: &Tablet,
    old: &Replica,
    bytes: u64,
) -> Result<(NodeId, DiskId), NoTarget> {
    let host = host_of(world, old);
    let is_here = |node: &NodeId| world.nodes.get(node).map(|node| node.host.as_str()) == host;
    let planned = world.plans.targets_of(tablet.id);
    let (mut best, mut busy, mut why) = (None, Vec::new(), Tally::default());
    for disk in world.disks.values().filter(|disk| disk.id != old.disk && is_here(&disk.node)) {
        if let Some(reason) = beside_refusal(world, ledger, tablet, old, disk, bytes) {
            why.count(&reason);
        } else if ledger.free(disk.id, TaskType::Repair) == 0 {
            busy.push(disk.id);
        } else {
            let rank = (
                !planned.contains(&disk.id),
                disk.node != old.node,
                disk.medium != tablet.medium,
                seat_at(ledger, disk, 0),
            );
            best = best.into_iter().chain([(rank, (disk.node, disk.id))]).min();
        }
    }
    match best {
        Some((_, place)) => Ok(place),
        None if busy.is_empty() => {
            let reason = Reason::NoOtherDisk { node: old.node, disk: old.disk, why: why.text() };
            Err(NoTarget { reason, busy })
        }
        None => Err(no_slot(busy)),
    }
}
