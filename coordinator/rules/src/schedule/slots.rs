//! Permission to run a copy on a disk, and the bytes promised to it.
//!
//! In: the world's running tasks and the proposals in flight. Out: free slots, promised bytes. The ledger is counted
//! anew for every round and stored nowhere, so a slot frees itself: no crash, timeout or change of the limit can make
//! it go wrong.

use crate::World;
use crate::world::{Tablet, Work};
use std::collections::BTreeMap;
use stele_common::{DiskId, NodeId, TabletId};

/// What one copy takes: a slot at either end, and room at its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub source_disk: DiskId,
    pub node: NodeId,
    pub disk: DiskId,
    pub bytes: u64,
}

/// Slots and bytes as they stand.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    limit: u32,
    used: BTreeMap<DiskId, u32>,
    /// Copies under way to a disk, and their bytes.
    incoming: BTreeMap<DiskId, (u32, u64)>,
    /// Disks that share a file system share one reservation.
    by_device: BTreeMap<(NodeId, u64), u64>,
}

impl Ledger {
    /// Counts running tasks and the grants of proposals that the world does not show yet.
    pub fn of<'a>(world: &World, in_flight: impl Iterator<Item = (TabletId, &'a Grant)>) -> Ledger {
        let elsewhere = world.disks.values().filter(|disk| disk.slots_elsewhere.repair > 0);
        let used = elsewhere.map(|disk| (disk.id, disk.slots_elsewhere.repair)).collect();
        let mut ledger = Ledger { limit: world.knobs.schedule_slot_num_per_path, used, ..Ledger::default() };
        for task in world.tasks.values() {
            let Work::Clone { node, disk, source_disk, .. } = &task.work else { continue };
            let bytes = world.tablets.get(task.tablet).map_or(0, size_of).max(task.bytes_total);
            let grant = Grant { source_disk: *source_disk, node: *node, disk: *disk, bytes };
            ledger.promise(world, &grant);
            // Done by the agent's own word: nothing moves any more, its slots are free. The report decides the rest.
            if !task.agent_done {
                ledger.take_slots(&grant);
            }
        }
        for (tablet, grant) in in_flight {
            if !world.tasks.contains_key(&tablet) {
                ledger.take(world, grant);
            }
        }
        ledger
    }

    /// Takes both slots and the bytes.
    pub fn take(&mut self, world: &World, grant: &Grant) {
        self.take_slots(grant);
        self.promise(world, grant);
    }

    fn take_slots(&mut self, grant: &Grant) {
        *self.used.entry(grant.source_disk).or_default() += 1;
        *self.used.entry(grant.disk).or_default() += 1;
    }

    fn promise(&mut self, world: &World, grant: &Grant) {
        let incoming = self.incoming.entry(grant.disk).or_default();
        incoming.0 += 1;
        incoming.1 = incoming.1.saturating_add(grant.bytes);
        if let Some(disk) = world.disks.get(&grant.disk) {
            let device = self.by_device.entry((disk.node, disk.device)).or_default();
            *device = device.saturating_add(grant.bytes);
        }
    }

    /// Slots left on a disk. None, never less, after the limit was lowered below what runs.
    pub fn free(&self, disk: DiskId) -> u32 {
        self.limit.saturating_sub(self.used(disk))
    }

    /// Slots taken on a disk.
    pub fn used(&self, disk: DiskId) -> u32 {
        self.used.get(&disk).copied().unwrap_or(0)
    }

    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Copies under way to a disk, and their bytes.
    pub fn incoming(&self, disk: DiskId) -> (u32, u64) {
        self.incoming.get(&disk).copied().unwrap_or((0, 0))
    }

    /// Bytes promised on the file system of a disk.
    pub fn reserved(&self, node: NodeId, device: u64) -> u64 {
        self.by_device.get(&(node, device)).copied().unwrap_or(0)
    }
}

/// Bytes that a copy of this tablet may need: the largest replica seen.
pub fn size_of(tablet: &Tablet) -> u64 {
    tablet.replicas.iter().filter_map(|replica| replica.seen.as_ref()).map(|seen| seen.size).max().unwrap_or(0)
}
