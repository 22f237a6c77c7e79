//! What was moved for evenness rests (decision 0008): it is neither moved again nor sent back to the disk it left.
//!
//! In: moves that have landed; at the beginning of a leadership the ended tasks on record. Out: what rests now. A copy
//! has only the newest version, so it may be smaller than what it replaces: a plan that saw that at once would move it
//! on or back, for a gain that the next loads undo. It must never hold back repair: only balance asks.
//!
//! With a new version of its tablet a replica rests for an hour. Without one its bytes are what they were, and only disks
//! that are uneven a day later are a reason to move it again. Another set of disks ends all rests at once. A new leadership
//! does not know how long has passed: what moved since the youngest disk came rests anew.

use crate::World;
use crate::balance::moves::{Scope, takes_part};
use crate::balance::spread::spreads;
use crate::world::{Outcome, Task, Work};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskId, ReplicaId, TabletId, TaskType, Tick, Version};

const REST_MS: u64 = 3_600_000;
const REST_MAX_MS: u64 = 24 * REST_MS;

/// By the replica that a move has made.
#[derive(Clone, Debug, Default)]
pub struct Rests {
    moved: BTreeMap<ReplicaId, Moved>,
    /// The disks that took part when it was last looked; `None`: this leadership has not looked yet.
    disks: Option<BTreeSet<DiskId>>,
}

#[derive(Clone, Copy, Debug)]
struct Moved {
    tablet: TabletId,
    from: DiskId,
    version: Version,
    at: Tick,
}

impl Rests {
    /// A move has landed.
    pub fn begin(&mut self, task: &Task, at: Tick) {
        self.moved.extend(landed(task, at));
    }

    /// Ends those whose time has come.
    pub fn look(&mut self, world: &World, at: Tick) {
        let scope = Scope::all(at);
        let disks = world.disks.values().filter(|disk| takes_part(world, &scope, disk).is_ok());
        let disks: BTreeSet<DiskId> = disks.map(|disk| disk.id).collect();
        match &self.disks {
            None => self.recall(world, &disks, at),
            Some(known) if *known != disks => self.moved.clear(),
            Some(_) => {}
        }
        self.disks = Some(disks);
        let is_uneven = self.moved.values().any(|moved| at.since(moved.at) >= REST_MAX_MS)
            && spreads(world, at).values().any(|of| of.spread.width() >= world.knobs.balance_threshold);
        self.moved.retain(|_, moved| {
            let rested = at.since(moved.at);
            let is_same = world.tablets.get(moved.tablet).is_some_and(|tablet| tablet.committed <= moved.version);
            rested < REST_MS || (is_same && (rested < REST_MAX_MS || !is_uneven))
        });
    }

    /// From what is on record. Ids are given in order, so a disk with a later one than a move came after it.
    fn recall(&mut self, world: &World, disks: &BTreeSet<DiskId>, at: Tick) {
        let youngest = disks.last().map_or(0, |disk| disk.0);
        let finished = world.history.iter().filter(|past| matches!(past.outcome, Outcome::Finished { .. }));
        let since = finished.filter(|past| past.task.id.0 > youngest && past.task.task_type == TaskType::Balance);
        self.moved.extend(since.filter_map(|past| landed(&past.task, at)));
    }

    /// What rests, and where it may not return to.
    pub fn scope(&self, at: Tick) -> Scope {
        let resting = self.moved.keys().copied().collect();
        let left = self.moved.values().map(|moved| (moved.tablet, moved.from)).collect();
        Scope { resting, left, ..Scope::all(at) }
    }
}

fn landed(task: &Task, at: Tick) -> Option<(ReplicaId, Moved)> {
    let Work::Clone { replica, source_disk, version, .. } = &task.work else { return None };
    Some((*replica, Moved { tablet: task.tablet, from: *source_disk, version: *version, at }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::TaskEnd;
    use crate::sample::Sample;
    use crate::{Change, Reason};
    use std::sync::Arc;
    use stele_common::{Priority, TabletStatus, TaskId};

    /// A task that moves, or repairs, from the second disk.
    fn task(sample: &Sample, id: u64, tablet: TabletId, task_type: TaskType) -> Task {
        let known = sample.tablet(tablet);
        let replica = &known.replicas[0];
        let source_disk = *sample.world.disks.keys().nth(1).expect("three of them");
        let work = Work::Clone {
            replica: replica.id,
            node: replica.node,
            disk: replica.disk,
            fresh: true,
            source: replica.id,
            source_node: sample.world.disks[&source_disk].node,
            source_disk,
            version: known.committed,
            replaces: None,
        };
        let (status, priority, at) = (TabletStatus::Healthy, Priority::Low, sample.at);
        let (bytes_done, bytes_total, agent_done, timeout_ms) = (0, 0, true, 0);
        let (started, progressed) = (at, at);
        Task {
            id: TaskId(id),
            tablet,
            status,
            priority,
            task_type,
            work,
            started,
            bytes_done,
            bytes_total,
            progressed,
            agent_done,
            timeout_ms,
        }
    }

    /// Three hosts, a tablet that was just loaded, empty disks.
    fn quiet() -> (Sample, TabletId) {
        let mut sample = Sample::new(3, 1);
        Arc::make_mut(&mut sample.world.knobs).balance_threshold = 0.1;
        let tablet = sample.table(1, 1)[0];
        sample.load_all(tablet);
        let disks: Vec<DiskId> = sample.world.disks.keys().copied().collect();
        disks.iter().for_each(|disk| sample.fill(*disk, 0, 1_000));
        (sample, tablet)
    }

    /// What was moved rests: with a new version for an hour; without one its bytes are what they were, and after a day
    /// only disks that are uneven are a reason to move it again. Another set of disks ends all rests.
    #[test]
    fn who_rests_for_how_long() {
        let cases = [
            ("an hour, nothing loaded, uneven", REST_MS, false, true, true),
            ("less than an hour, loaded", REST_MS - 1, true, true, true),
            ("an hour, loaded", REST_MS, true, true, false),
            ("a day, nothing loaded, even", REST_MAX_MS, false, false, true),
            ("less than a day, nothing loaded, uneven", REST_MAX_MS - 1, false, true, true),
            ("a day, nothing loaded, uneven", REST_MAX_MS, false, true, false),
        ];
        for (name, ms, is_loaded, is_uneven, rests) in cases {
            let (mut sample, tablet) = quiet();
            let mut resting = Rests::default();
            resting.look(&sample.world, sample.at);
            resting.begin(&task(&sample, 1 << 40, tablet, TaskType::Balance), sample.at);
            if is_loaded {
                sample.load_all(tablet);
            }
            let first = *sample.world.disks.keys().next().expect("three of them");
            sample.fill(first, if is_uneven { 500 } else { 0 }, 1_000);
            resting.look(&sample.world, sample.at.plus(ms));
            assert_eq!(!resting.moved.is_empty(), rests, "{name}");
            sample.host(1);
            resting.look(&sample.world, sample.at.plus(ms));
            assert!(resting.moved.is_empty(), "{name}");
        }
    }

    /// A new leadership reads from the record what has landed since the youngest disk came, and it rests anew.
    #[test]
    fn a_restart_forgets_no_rest() {
        let finished = || Outcome::Finished { evidence: None };
        let cancelled = Outcome::Cancelled { cause: Reason::BalanceDisabled };
        let cases = [
            ("a move", TaskType::Balance, 1 << 40, finished(), true),
            ("a move that failed", TaskType::Balance, 1 << 40, cancelled, false),
            ("a repair", TaskType::Repair, 1 << 40, finished(), false),
            ("a move before the youngest disk came", TaskType::Balance, 1, finished(), false),
        ];
        for (name, task_type, id, outcome, rests) in cases {
            let (mut sample, tablet) = quiet();
            let task = task(&sample, id, tablet, task_type);
            let (replica, from) = (sample.replicas(tablet)[0], *sample.world.disks.keys().nth(1).expect("three"));
            let (id, end) = (task.id, TaskEnd::default());
            sample.apply(Change::TaskStarted { task });
            sample.apply(Change::TaskEnded { tablet, task: id, outcome, end });
            let mut resting = Rests::default();
            resting.look(&sample.world, sample.at);
            let scope = resting.scope(sample.at);
            assert_eq!(
                (scope.resting.contains(&replica), scope.left.contains(&(tablet, from))),
                (rests, rests),
                "{name}"
            );
            resting.look(&sample.world, sample.at.plus(REST_MAX_MS - 1));
            assert_eq!(!resting.moved.is_empty(), rests, "{name}: it has only begun");
        }
    }
}
