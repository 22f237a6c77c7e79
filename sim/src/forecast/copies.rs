//! Copies under way and how fast each is: every disk and every network link shares its bandwidth evenly among the
//! copies that use it, and a copy runs at its slowest share. Integers only. Knows bytes, not what they mean.

use std::collections::BTreeMap;
use stele_common::{CloneOrder, DiskId, NodeId, ReplicaId, TaskId};

/// One copy.
#[derive(Clone, Debug)]
pub struct Copying {
    pub order: CloneOrder,
    /// The agent that receives, in this life.
    pub node: NodeId,
    /// Whom it reads from: its place in the order's list, and where that lies.
    pub source: usize,
    pub from: (NodeId, DiskId, ReplicaId),
    pub total: u64,
    pub done: u64,
    rate: u64,
}

impl Copying {
    pub fn new(
        order: CloneOrder,
        node: NodeId,
        source: usize,
        from: (NodeId, DiskId, ReplicaId),
        total: u64,
    ) -> Copying {
        Copying { order, node, source, from, total, done: 0, rate: 0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shared {
    Disk(DiskId),
    Net(NodeId),
}

/// All of them.
#[derive(Debug)]
pub struct Copies {
    running: BTreeMap<TaskId, Copying>,
    /// Bytes a millisecond.
    disk_rate: u64,
    net_rate: u64,
    /// Progress is reckoned up to here.
    reckoned: u64,
    /// Grows whenever rates change.
    pub generation: u64,
    /// Bytes moved so far, up to the last reckoning.
    pub moved: u64,
}

impl Copies {
    pub fn new(disk_mbps: u64, net_mbps: u64) -> Copies {
        let rate = |mbps: u64| mbps.max(1) * 1_000;
        Copies {
            running: BTreeMap::new(),
            disk_rate: rate(disk_mbps),
            net_rate: rate(net_mbps),
            reckoned: 0,
            generation: 0,
            moved: 0,
        }
    }

    pub fn get(&self, task: TaskId) -> Option<&Copying> {
        self.running.get(&task)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Copying> {
        self.running.values()
    }

    pub fn start(&mut self, now: u64, copy: Copying) {
        self.reckon(now);
        self.running.insert(copy.order.task, copy);
        self.share();
    }

    pub fn end(&mut self, now: u64, task: TaskId) -> Option<Copying> {
        self.reckon(now);
        let ended = self.running.remove(&task);
        if ended.is_some() {
            self.share();
        }
        ended
    }

    /// Moves every copy forward to `now`.
    pub fn reckon(&mut self, now: u64) {
        let ms = now.saturating_sub(self.reckoned);
        self.reckoned = self.reckoned.max(now);
        for copy in self.running.values_mut() {
            let step = (copy.rate * ms).min(copy.total - copy.done);
            copy.done += step;
            self.moved += step;
        }
    }

    /// Copies that have all their bytes.
    pub fn finished(&self) -> Vec<TaskId> {
        self.running.values().filter(|copy| copy.done >= copy.total).map(|copy| copy.order.task).collect()
    }

    /// When the next one will have all its bytes, if nothing changes.
    pub fn next_end(&self) -> Option<u64> {
        let left = |copy: &Copying| (copy.total - copy.done).div_ceil(copy.rate.max(1));
        self.running.values().map(left).min().map(|left| self.reckoned + left)
    }

    fn share(&mut self) {
        self.generation += 1;
        let mut users: BTreeMap<Shared, u64> = BTreeMap::new();
        for copy in self.running.values() {
            for shared in uses(copy).into_iter().flatten() {
                *users.entry(shared).or_default() += 1;
            }
        }
        for copy in self.running.values_mut() {
            let share = |shared: Shared| {
                let whole = match shared {
                    Shared::Disk(_) => self.disk_rate,
                    Shared::Net(_) => self.net_rate,
                };
                whole / users.get(&shared).copied().unwrap_or(1)
            };
            copy.rate = uses(copy).into_iter().flatten().map(share).min().unwrap_or(self.disk_rate).max(1);
        }
    }
}

/// Both disks, and both networks unless it stays on one host.
fn uses(copy: &Copying) -> [Option<Shared>; 4] {
    let (node, disk, _) = copy.from;
    let travels = node != copy.node;
    [
        Some(Shared::Disk(copy.order.disk)),
        (disk != copy.order.disk).then_some(Shared::Disk(disk)),
        travels.then_some(Shared::Net(node)),
        travels.then_some(Shared::Net(copy.node)),
    ]
}
