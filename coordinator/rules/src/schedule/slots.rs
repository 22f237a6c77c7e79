//! Permission to run a copy on a disk, and the bytes promised to it.
//!
//! In: the world's running tasks and the proposals in flight. Out: free slots, promised bytes. The ledger is counted
//! anew for every round and stored nowhere, so a slot frees itself: no crash, timeout or change of the limit can make
//! it go wrong. Repair and balance have slots apart: neither can take the other's.

use crate::World;
use crate::world::{Disk, Tablet, Task, Work};
use std::collections::BTreeMap;
use stele_common::config::RepairKnobs;
use stele_common::{DiskId, NodeId, TabletId, TaskType};

/// What one copy takes: a slot at either end, and room at its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub task_type: TaskType,
    pub source_disk: DiskId,
    pub node: NodeId,
    pub disk: DiskId,
    pub bytes: u64,
    /// Where as much leaves once the copy counts: of a move.
    pub leaves: Option<DiskId>,
}

/// Slots and bytes as they stand.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    limits: PerType<u32>,
    used: PerType<BTreeMap<DiskId, u32>>,
    /// Copies under way to a disk, and their bytes.
    incoming: BTreeMap<DiskId, (u32, u64)>,
    /// Repair copies under way to a node.
    coming: BTreeMap<NodeId, u32>,
    /// Bytes of replicas that are on their way out, or will be once the move that replaces them has landed.
    leaving: BTreeMap<DiskId, u64>,
    /// Tablets of which a replica moves: from where to where.
    moving: BTreeMap<TabletId, (DiskId, DiskId)>,
    /// Disks that share a file system share one reservation.
    by_device: BTreeMap<(NodeId, u64), u64>,
}

#[derive(Clone, Debug, Default)]
struct PerType<T> {
    repair: T,
    balance: T,
}

impl<T> PerType<T> {
    fn of(&self, task_type: TaskType) -> &T {
        match task_type {
            TaskType::Repair => &self.repair,
            TaskType::Balance => &self.balance,
        }
    }

    fn of_mut(&mut self, task_type: TaskType) -> &mut T {
        match task_type {
            TaskType::Repair => &mut self.repair,
            TaskType::Balance => &mut self.balance,
        }
    }
}

/// Slots that a disk has for tasks of a type.
pub fn limit(knobs: &RepairKnobs, task_type: TaskType) -> u32 {
    match task_type {
        TaskType::Repair => knobs.schedule_slot_num_per_path,
        TaskType::Balance => knobs.balance_slot_num_per_path,
    }
}

impl Ledger {
    /// Counts running tasks and the grants of proposals that the world does not show yet.
    pub fn of<'a>(world: &World, in_flight: impl Iterator<Item = (TabletId, &'a Grant)>) -> Ledger {
        let mut ledger = Ledger::default();
        for task_type in [TaskType::Repair, TaskType::Balance] {
            *ledger.limits.of_mut(task_type) = limit(&world.knobs, task_type);
        }
        for disk in world.disks.values() {
            let elsewhere = disk.slots_elsewhere;
            for (task_type, used) in [(TaskType::Repair, elsewhere.repair), (TaskType::Balance, elsewhere.balance)] {
                if used > 0 {
                    ledger.used.of_mut(task_type).insert(disk.id, used);
                }
            }
        }
        world.tasks.values().for_each(|task| ledger.count(world, task));
        for (tablet, grant) in in_flight {
            if !world.tasks.contains_key(&tablet) {
                ledger.take(world, grant);
                ledger.moves(tablet, grant);
            }
        }
        ledger
    }

    fn count(&mut self, world: &World, task: &Task) {
        let tablet = world.tablets.get(task.tablet);
        let stands_on = |replica| {
            let known = tablet.and_then(|tablet| tablet.replicas.iter().find(|known| known.id == replica));
            known.map(|known| known.disk)
        };
        let bytes = tablet.map_or(0, size_of);
        match &task.work {
            Work::Clone { node, disk, source_disk, replaces, .. } => {
                let (source_disk, node, disk, leaves) = (*source_disk, *node, *disk, replaces.and_then(stands_on));
                let (task_type, bytes) = (task.task_type, bytes.max(task.bytes_total));
                let grant = Grant { task_type, source_disk, node, disk, bytes, leaves };
                self.promise(world, &grant);
                self.moves(task.tablet, &grant);
                // Done by the agent's own word: nothing moves any more, its slots are free. The report decides the rest.
                if !task.agent_done {
                    self.take_slots(&grant);
                }
            }
            Work::Delete { replica, .. } => {
                if let Some(disk) = stands_on(*replica) {
                    self.leave(disk, bytes);
                }
            }
        }
    }

    /// Takes both slots and the bytes.
    pub fn take(&mut self, world: &World, grant: &Grant) {
        self.take_slots(grant);
        self.promise(world, grant);
    }

    fn take_slots(&mut self, grant: &Grant) {
        let used = self.used.of_mut(grant.task_type);
        *used.entry(grant.source_disk).or_default() += 1;
        *used.entry(grant.disk).or_default() += 1;
    }

    fn promise(&mut self, world: &World, grant: &Grant) {
        if grant.task_type == TaskType::Repair {
            *self.coming.entry(grant.node).or_default() += 1;
        }
        let incoming = self.incoming.entry(grant.disk).or_default();
        incoming.0 += 1;
        incoming.1 = incoming.1.saturating_add(grant.bytes);
        if let Some(disk) = world.disks.get(&grant.disk) {
            let device = self.by_device.entry((disk.node, disk.device)).or_default();
            *device = device.saturating_add(grant.bytes);
        }
        if let Some(disk) = grant.leaves {
            self.leave(disk, grant.bytes);
        }
    }

    fn moves(&mut self, tablet: TabletId, grant: &Grant) {
        if let Some(from) = grant.leaves {
            self.moving.insert(tablet, (from, grant.disk));
        }
    }

    fn leave(&mut self, disk: DiskId, bytes: u64) {
        let leaving = self.leaving.entry(disk).or_default();
        *leaving = leaving.saturating_add(bytes);
    }

    /// The disks between which a replica of the tablet moves.
    pub fn moving(&self, tablet: TabletId) -> Option<(DiskId, DiskId)> {
        self.moving.get(&tablet).copied()
    }

    /// Slots left on a disk. None, never less, after the limit was lowered below what runs.
    pub fn free(&self, disk: DiskId, task_type: TaskType) -> u32 {
        self.limit(task_type).saturating_sub(self.used(disk, task_type))
    }

    /// Slots taken on a disk.
    pub fn used(&self, disk: DiskId, task_type: TaskType) -> u32 {
        self.used.of(task_type).get(&disk).copied().unwrap_or(0)
    }

    pub fn limit(&self, task_type: TaskType) -> u32 {
        *self.limits.of(task_type)
    }

    /// Repair copies under way to a node.
    pub fn coming_to(&self, node: NodeId) -> u32 {
        self.coming.get(&node).copied().unwrap_or(0)
    }

    /// Copies under way to a disk, and their bytes.
    pub fn incoming(&self, disk: DiskId) -> (u32, u64) {
        self.incoming.get(&disk).copied().unwrap_or((0, 0))
    }

    /// Bytes that are on their way out of a disk.
    pub fn leaving(&self, disk: DiskId) -> u64 {
        self.leaving.get(&disk).copied().unwrap_or(0)
    }

    /// Bytes that a disk will hold once everything under way has ended and its trash is gone: what balance reckons with.
    /// Trash is used for a day after a move; counted as used, the next moves would leave the same disk in vain.
    pub fn settled(&self, disk: &Disk) -> u64 {
        let kept = disk.space.used.saturating_sub(disk.trash);
        kept.saturating_add(self.incoming(disk.id).1).saturating_sub(self.leaving(disk.id))
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
