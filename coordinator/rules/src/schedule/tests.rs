//! Tables of worlds and what the desk proposes. The Catalog is played by [`Shop`]: it takes every proposal.

use super::queue::Place;
use super::*;
use crate::change::Change;
use crate::event::Target;
use crate::sample::{REPLICA_BYTES, Sample};
use crate::world::Work;
use stele_common::status::Level;
use stele_common::{DiskState, Liveness, LoadId, NodeId, ReplicaId, ReplicaState, TabletStatus, Version};

/// A sample, a desk, and a Catalog that says yes.
pub struct Shop {
    pub sample: Sample,
    pub desk: Desk,
}

impl Shop {
    /// A table of `tablets` tablets, three replicas each, all at version 1.
    pub fn new(hosts: u64, disks: u64, tablets: u32) -> (Shop, Vec<TabletId>) {
        let mut sample = Sample::new(hosts, disks);
        let ids = sample.table(3, tablets);
        ids.iter().for_each(|tablet| _ = sample.load_all(*tablet));
        (Shop { sample, desk: Desk::new() }, ids)
    }

    pub fn step(&mut self, event: DeskEvent) -> Vec<DeskAction> {
        self.desk.step(&self.sample.world, self.sample.at, event)
    }

    /// What the checker says of everything, then a round: its proposals.
    pub fn round(&mut self) -> Vec<Proposal> {
        let (world, at) = (&self.sample.world, self.sample.at);
        let verdicts = world.tablets.iter().map(|tablet| (tablet.id, verdict(world, tablet, at))).collect();
        self.step(DeskEvent::Verdicts(verdicts));
        proposals(self.step(DeskEvent::Round))
    }

    pub fn pass(&mut self, ms: u64) {
        self.sample.at = self.sample.at.plus(ms);
    }

    /// Does what a Catalog does that accepts everything, and answers.
    pub fn accept(&mut self, proposal: &Proposal) {
        let id = TaskId(self.sample.id());
        let (tablet, status, priority, work) = match proposal {
            Proposal::Cancel { tablet, cause, .. } => {
                let task = self.sample.world.tasks[tablet].clone();
                return self.end(task, Outcome::Cancelled { cause: cause.clone() });
            }
            Proposal::Clone { tablet, status, priority, source, target, .. } => {
                (*tablet, *status, *priority, self.clone_work(*tablet, *source, *target))
            }
            Proposal::Delete { tablet, status, priority, victim, .. } => {
                let node = self.sample.replica(*tablet, *victim).node;
                let work = Work::Delete { replica: *victim, node, nonce: 1, watermark: LoadId(0) };
                (*tablet, *status, *priority, work)
            }
        };
        let now = self.sample.at;
        let task = Task {
            id,
            tablet,
            status,
            priority,
            work,
            started: now,
            bytes_done: 0,
            bytes_total: 0,
            progressed: now,
            agent_done: false,
            timeout_ms: self.sample.world.knobs.task_timeout_ms(REPLICA_BYTES),
        };
        self.sample.apply(Change::TaskStarted { task });
        // The store knows no clock: what is volatile comes by progress.
        self.sample.apply(Change::TaskProgressed { tablet, task: id, bytes_done: 1, bytes_total: 2, at: now });
        self.step(DeskEvent::Answered { tablet, answer: Ok(id) });
    }

    fn clone_work(&mut self, tablet: TabletId, source: ReplicaId, target: Target) -> Work {
        let (replica, fresh, replaces) = match target {
            Target::Existing(replica) => (replica, false, None),
            Target::NewOn { disk, .. } => (self.sample.replica_on(tablet, disk, ReplicaState::Clone), true, None),
            Target::Beside { old, disk } => {
                (self.sample.replica_on(tablet, disk, ReplicaState::Clone), true, Some(old))
            }
        };
        let (made, from) = (self.sample.replica(tablet, replica), self.sample.replica(tablet, source));
        Work::Clone {
            replica,
            node: made.node,
            disk: made.disk,
            fresh,
            source,
            source_node: from.node,
            source_disk: from.disk,
            version: self.sample.tablet(tablet).committed,
            replaces,
        }
    }

    /// The running task of a tablet succeeds.
    pub fn finish(&mut self, tablet: TabletId) {
        let task = self.sample.world.tasks[&tablet].clone();
        match &task.work {
            Work::Clone { replica, version, .. } => {
                let (replica, ballot) = (*replica, self.sample.tablet(tablet).ballot.next());
                self.sample.see(tablet, replica, *version);
                self.sample.apply(Change::ReplicaGood { tablet, replica, version: *version });
                let state = ReplicaState::Normal;
                self.sample.apply(Change::ReplicaTurned { tablet, replica, state, ballot });
            }
            Work::Delete { replica, .. } => self.sample.forget(tablet, *replica),
        }
        self.end(task, Outcome::Finished { evidence: None });
    }

    pub fn fail(&mut self, tablet: TabletId) {
        let task = self.sample.world.tasks[&tablet].clone();
        self.end(task, Outcome::Cancelled { cause: Reason::AgentFailed { detail: "refused".into() } });
    }

    fn end(&mut self, task: Task, outcome: Outcome) {
        let tablet = task.tablet;
        if let (Work::Clone { replica, fresh: true, .. }, Outcome::Cancelled { .. }) = (&task.work, &outcome) {
            self.sample.forget(tablet, *replica);
        }
        self.sample.apply(Change::TaskEnded { tablet, task: task.id, outcome: outcome.clone() });
        self.step(DeskEvent::Ended { task, outcome, wall_ms: 0 });
    }

    pub fn lose(&mut self, node: NodeId) {
        self.sample.turn(node, Liveness::Lost);
    }

    fn reason(&self, tablet: TabletId) -> Option<&'static str> {
        self.desk.entry(tablet)?.reason.as_ref().map(Reason::code)
    }
}

pub fn proposals(actions: Vec<DeskAction>) -> Vec<Proposal> {
    let proposals = actions.into_iter().filter_map(|action| match action {
        DeskAction::Propose(proposal) => Some(proposal),
        DeskAction::Explain { .. } => None,
    });
    proposals.collect()
}

/// A lost node's replica is replaced on a host without one, when its wait is over and not before.
#[test]
fn a_lost_replica_is_made_anew() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let before = shop.sample.tablet(ids[0]).replicas.clone();
    shop.lose(before[0].node);
    assert_eq!(shop.round(), []);
    assert_eq!(shop.desk.pending().count(), 1, "it waits in the queue");
    shop.pass(299_999);
    assert_eq!(shop.round(), []);
    assert_eq!(shop.reason(ids[0]), None);
    shop.pass(1);
    let made = shop.round();
    let [Proposal::Clone { target: Target::NewOn { node, .. }, source, status, .. }] = &made[..] else {
        panic!("{made:?}")
    };
    assert_eq!(*status, TabletStatus::ReplicaMissing);
    assert!(before.iter().all(|replica| replica.node != *node), "a host without a copy");
    assert!([before[1].id, before[2].id].contains(source), "from a complete one");
    assert_eq!(shop.round(), [], "one task a tablet: it is in flight");
    shop.accept(&made[0]);
    assert_eq!(shop.round(), [], "it runs");
    shop.finish(ids[0]);
    let deleted = shop.round();
    let [Proposal::Delete { victim, .. }] = &deleted[..] else { panic!("{deleted:?}") };
    assert_eq!(*victim, before[0].id, "the lost one is the surplus");
    shop.accept(&deleted[0]);
    shop.finish(ids[0]);
    assert_eq!(shop.round(), []);
    assert!(shop.desk.pending().next().is_none());
    assert_eq!(shop.desk.history().count(), 2);
}

/// A node that comes back while its replacement is being made: the copy is not needed any more.
#[test]
fn a_return_cancels_the_copy() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let node = shop.sample.tablet(ids[0]).replicas[0].node;
    shop.lose(node);
    shop.pass(300_000);
    let made = shop.round();
    shop.accept(&made[0]);
    shop.sample.turn(node, Liveness::Alive);
    let ended = shop.round();
    let [Proposal::Cancel { cause, .. }] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!(*cause, Reason::NowHealthy);
    assert_eq!(shop.round(), [], "asked once");
    shop.accept(&ended[0]);
    assert_eq!(shop.round(), []);
    assert_eq!(verdict(&shop.sample.world, shop.sample.tablet(ids[0]), shop.sample.at).status, TabletStatus::Healthy);
}

/// Slots bound what runs on a disk, at both ends; each slot that frees lets the next one in.
#[test]
fn slots_bound_both_ends() {
    let (mut shop, _) = Shop::new(4, 1, 40);
    let lost = shop.sample.nodes()[0];
    shop.lose(lost);
    shop.pass(300_000);
    let mut made = 0;
    for _ in 0..200 {
        let proposals = shop.round();
        made += proposals.iter().filter(|proposal| matches!(proposal, Proposal::Clone { .. })).count();
        let ledger = shop.desk.ledger(&shop.sample.world);
        for disk in shop.sample.world.disks.keys() {
            assert!(ledger.used(*disk) <= 2, "disk {disk} has {} slots taken", ledger.used(*disk));
        }
        proposals.iter().for_each(|proposal| shop.accept(proposal));
        let Some(tablet) = shop.sample.world.tasks.keys().next().copied() else { break };
        shop.finish(tablet);
    }
    assert_eq!(made, 30, "three of four tablets had a copy there");
    assert!(shop.desk.pending().next().is_none());
}

/// The lagging one is brought up where it lies; only then is a new one made.
#[test]
fn in_place_before_new() {
    let (mut shop, ids) = Shop::new(5, 1, 1);
    let all = shop.sample.tablet(ids[0]).replicas.clone();
    shop.sample.load(ids[0], &[all[0].id]);
    shop.lose(all[1].node);
    shop.pass(400_000);
    let made = shop.round();
    let [Proposal::Clone { target, source, .. }] = &made[..] else { panic!("{made:?}") };
    assert_eq!((*target, *source), (Target::Existing(all[2].id), all[0].id));
    shop.accept(&made[0]);
    shop.finish(ids[0]);
    let made = shop.round();
    assert!(matches!(made[..], [Proposal::Clone { target: Target::NewOn { .. }, .. }]), "{made:?}");
}

/// A bad replica in a full house leaves first, then a good one is made in its place.
#[test]
fn a_bad_one_leaves_a_full_house() {
    let (mut shop, ids) = Shop::new(3, 1, 1);
    let bad = shop.sample.tablet(ids[0]).replicas[1].clone();
    shop.sample.bad(ids[0], bad.id);
    let deleted = shop.round();
    let [Proposal::Delete { victim, status: TabletStatus::ForceRedundant, .. }] = &deleted[..] else {
        panic!("{deleted:?}")
    };
    assert_eq!(*victim, bad.id);
    shop.accept(&deleted[0]);
    shop.finish(ids[0]);
    let made = shop.round();
    let [Proposal::Clone { target: Target::NewOn { node, .. }, .. }] = &made[..] else { panic!("{made:?}") };
    assert_eq!(*node, bad.node);
}

/// A bad replica that nothing can replace is mended where it lies: a house with a host that has no usable disk is not
/// stuck.
#[test]
fn a_bad_one_is_mended_when_nowhere_else_is_room() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let all = shop.sample.tablet(ids[0]).replicas.clone();
    let free = shop.sample.nodes().into_iter().find(|node| all.iter().all(|r| r.node != *node)).expect("one is free");
    let disk = shop.sample.disks_of(free)[0];
    shop.sample.disk_state(disk, DiskState::Unavailable);
    shop.sample.bad(ids[0], all[2].id);
    let made = shop.round();
    let [Proposal::Clone { target, .. }] = &made[..] else { panic!("{made:?}") };
    assert_eq!(*target, Target::Existing(all[2].id));
}

/// A replica on a disk that stays away does not keep its host from using another disk.
#[test]
fn a_dead_disk_does_not_block_its_host() {
    let (mut shop, ids) = Shop::new(3, 2, 1);
    let away = shop.sample.tablet(ids[0]).replicas[0].clone();
    shop.sample.disk_state(away.disk, DiskState::Unavailable);
    shop.pass(309_999);
    assert_eq!(shop.round(), []);
    shop.pass(1);
    let deleted = shop.round();
    assert!(matches!(deleted[..], [Proposal::Delete { victim, .. }] if victim == away.id), "{deleted:?}");
    shop.accept(&deleted[0]);
    shop.finish(ids[0]);
    let made = shop.round();
    let [Proposal::Clone { target: Target::NewOn { node, disk }, .. }] = &made[..] else { panic!("{made:?}") };
    assert!(*node == away.node && *disk != away.disk, "{made:?}");
}

/// At n + 2 nothing more is made: what is useless leaves first.
#[test]
fn never_beyond_two_surplus() {
    let (mut shop, ids) = Shop::new(8, 1, 1);
    let free: Vec<NodeId> = shop.sample.nodes().split_off(3);
    for node in &free[..2] {
        let disk = shop.sample.disks_of(*node)[0];
        let replica = shop.sample.replica_on(ids[0], disk, ReplicaState::Normal);
        shop.sample.see(ids[0], replica, Version(1));
    }
    let nodes: Vec<NodeId> = shop.sample.tablet(ids[0]).replicas.iter().map(|r| r.node).collect();
    nodes[..3].iter().for_each(|node| shop.lose(*node));
    shop.pass(300_000);
    let deleted = shop.round();
    assert!(matches!(deleted[..], [Proposal::Delete { .. }]), "{deleted:?}");
    shop.accept(&deleted[0]);
    shop.finish(ids[0]);
    let made = shop.round();
    assert!(matches!(made[..], [Proposal::Clone { target: Target::NewOn { .. }, .. }]), "{made:?}");
}

/// The order in which replicas leave, worst first (the seed's list).
#[test]
fn victims_in_order() {
    use super::victim::{Purpose, choose_victim};
    let (mut shop, ids) = Shop::new(9, 1, 1);
    let tablet = ids[0];
    let add = |shop: &mut Shop, state, version| {
        let held: Vec<NodeId> = shop.sample.tablet(tablet).replicas.iter().map(|r| r.node).collect();
        let node = shop.sample.nodes().into_iter().find(|node| !held.contains(node)).expect("a host is free");
        let disk = shop.sample.disks_of(node)[0];
        let replica = shop.sample.replica_on(tablet, disk, state);
        shop.sample.see(tablet, replica, version);
        (replica, node, disk)
    };
    let (fullest, _, disk) = add(&mut shop, ReplicaState::Normal, Version(1));
    let (behind, _, _) = add(&mut shop, ReplicaState::Normal, Version(0));
    let (leftover, _, _) = add(&mut shop, ReplicaState::Clone, Version(1));
    let (lost, node, _) = add(&mut shop, ReplicaState::Normal, Version(1));
    let (bad, _, _) = add(&mut shop, ReplicaState::Normal, Version(1));
    shop.sample.fill(disk, 3 << 30, 4 << 30);
    shop.lose(node);
    shop.sample.bad(tablet, bad);
    for expected in [bad, lost, leftover, behind, fullest] {
        let counts = crate::checkup::count(&shop.sample.world, shop.sample.tablet(tablet));
        let world = &shop.sample.world;
        let victim = choose_victim(world, shop.sample.tablet(tablet), &counts, shop.sample.at, Purpose::Surplus, None);
        assert_eq!(victim, Some(expected));
        shop.sample.forget(tablet, expected);
    }
    let counts = crate::checkup::count(&shop.sample.world, shop.sample.tablet(tablet));
    let world = &shop.sample.world;
    assert_eq!(choose_victim(world, shop.sample.tablet(tablet), &counts, shop.sample.at, Purpose::Surplus, None), None);
}

/// Refusals name their rule with its numbers, and the tablet is looked at again when a disk has come.
#[test]
fn refusals_and_what_wakes_them() {
    let (mut shop, ids) = Shop::new(3, 1, 1);
    let lost = shop.sample.nodes()[0];
    shop.lose(lost);
    shop.pass(300_000);
    assert_eq!(shop.round(), []);
    assert_eq!(shop.reason(ids[0]), Some("no_destination"));
    for _ in 0..5 {
        shop.pass(60_000);
        assert_eq!(shop.round(), []);
    }
    let Some(Place::Later { until, .. }) = shop.desk.entry(ids[0]).map(|entry| entry.place.clone()) else {
        panic!("it stands back")
    };
    assert!(until.since(shop.sample.at) > 10_000, "longer each time");
    let told = crate::explain::tablet(&shop.sample.world, &shop.desk, ids[0], shop.sample.at, 0).expect("it is there");
    assert_eq!(told.waits_for.iter().map(|why| why.code.as_str()).collect::<Vec<_>>(), ["no_destination", "backoff"]);
    let refused = |told: &[stele_common::api::Candidate]| -> Vec<String> {
        told.iter().filter_map(|candidate| Some(candidate.refused.as_ref()?.code.clone())).collect()
    };
    assert_eq!(refused(&told.candidates), ["node_not_alive", "host_has_copy", "host_has_copy"]);
    shop.sample.host(1);
    assert_eq!(shop.round().len(), 1, "a disk has come: at once");
}

/// A disk that would be overfilled by what is already promised is refused; disks of one file system share their room.
#[test]
fn promised_bytes_count() {
    let (mut shop, ids) = Shop::new(4, 1, 2);
    let all: Vec<NodeId> = shop.sample.tablet(ids[0]).replicas.iter().map(|r| r.node).collect();
    let free = shop.sample.nodes().into_iter().find(|node| !all.contains(node)).expect("a host is free");
    let disk = shop.sample.disks_of(free)[0];
    // Room for one copy and a half over the reserve of 15 %.
    let total = 100 * REPLICA_BYTES;
    shop.sample.fill(disk, total - 15 * REPLICA_BYTES - REPLICA_BYTES * 3 / 2, total);
    let world = &shop.sample.world;
    let tablet = shop.sample.tablet(ids[0]);
    let mut ledger = Ledger::of(world, std::iter::empty());
    let disk = &world.disks[&disk];
    assert_eq!(target::disk_refusal(world, &ledger, tablet, disk, REPLICA_BYTES), None);
    let source_disk = tablet.replicas[0].disk;
    ledger.take(world, &Grant { source_disk, node: disk.node, disk: disk.id, bytes: REPLICA_BYTES });
    let refused = target::disk_refusal(world, &ledger, tablet, disk, REPLICA_BYTES).map(|reason| reason.code());
    assert_eq!(refused, Some("disk_would_overfill"));
}

/// A failed copy is tried again later, and later each time.
#[test]
fn failures_back_off() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let lost = shop.sample.tablet(ids[0]).replicas[0].node;
    shop.lose(lost);
    shop.pass(300_000);
    for wait in [1_000, 2_000, 4_000, 8_000] {
        let made = shop.round();
        assert_eq!(made.len(), 1);
        shop.accept(&made[0]);
        shop.fail(ids[0]);
        assert_eq!(shop.round(), []);
        shop.pass(wait - 1);
        assert_eq!(shop.round(), [], "not before {wait} ms");
        shop.pass(1);
    }
    assert_eq!(shop.desk.history().count(), 4);
}

/// A task ends when its node is lost, when nothing moves, and when it is late and slow; not while it moves fast.
#[test]
fn tasks_end() {
    let start = |bytes_done, ms| {
        let (mut shop, ids) = Shop::new(5, 1, 1);
        let lost = shop.sample.tablet(ids[0]).replicas[0].node;
        shop.lose(lost);
        shop.pass(300_000);
        let made = shop.round();
        shop.accept(&made[0]);
        shop.pass(ms);
        let task = shop.sample.world.tasks[&ids[0]].id;
        let at = shop.sample.at;
        let (tablet, bytes_total) = (ids[0], bytes_done * 2);
        shop.sample.apply(Change::TaskProgressed { tablet, task, bytes_done, bytes_total, at });
        (shop, ids[0])
    };
    let cause = |shop: &mut Shop| match &shop.round()[..] {
        [Proposal::Cancel { cause, .. }] => Some(cause.code()),
        [] => None,
        other => panic!("{other:?}"),
    };
    let (mut shop, _) = start(1_000, 179_000);
    assert_eq!(cause(&mut shop), None);
    let (mut shop, _) = start(1_000, 181_000);
    assert_eq!(cause(&mut shop), Some("timed_out"));
    let (mut shop, _) = start(181 << 20, 181_000);
    assert_eq!(cause(&mut shop), None, "faster than 1 MiB/s");
    let (mut shop, _) = start(1_000, 10);
    shop.pass(60_001);
    assert_eq!(cause(&mut shop), Some("stalled"));
    let (mut shop, tablet) = start(1_000, 10);
    let Work::Clone { source_node, .. } = shop.sample.world.tasks[&tablet].work else { panic!("a copy") };
    shop.lose(source_node);
    assert_eq!(cause(&mut shop), Some("node_lost"));
}

/// A full queue keeps the urgent: the idle give way, and are told so.
#[test]
fn the_urgent_evict_the_idle() {
    let (mut shop, ids) = Shop::new(5, 1, 4);
    std::sync::Arc::make_mut(&mut shop.sample.world.knobs).queue_max = 2;
    let of = |priority, status| Verdict {
        status,
        priority: Some(priority),
        ready_in_ms: 60_000,
        wanted: 3,
        alive: 2,
        complete: 2,
        stable: 2,
        in_tag: 2,
        replicas: 3,
    };
    use stele_common::Priority::{High, Normal};
    let normal = of(Normal, TabletStatus::ReplicaMissing);
    let told = shop.step(DeskEvent::Verdicts(ids[..3].iter().map(|id| (*id, normal)).collect()));
    let full = Reason::QueueFull { max: 2 };
    assert_eq!(told, [DeskAction::Explain { tablet: ids[2], reason: full.clone() }]);
    let told = shop.step(DeskEvent::Verdicts(vec![(ids[3], of(High, TabletStatus::ReplicaMissing))]));
    assert_eq!(told, [DeskAction::Explain { tablet: ids[1], reason: full }]);
    assert_eq!(shop.desk.pending().map(|entry| entry.tablet).collect::<Vec<_>>(), [ids[3], ids[0]]);
}

/// Below STEADY nothing is proposed.
#[test]
fn the_level_holds_back() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let replica = shop.sample.replicas(ids[0])[0];
    shop.sample.bad(ids[0], replica);
    for level in [Level::Stopped, Level::Blind, Level::Freezed] {
        shop.sample.apply(Change::LevelTurned { level, cause: None });
        assert_eq!(shop.round(), []);
    }
    shop.sample.apply(Change::LevelTurned { level: Level::Steady, cause: None });
    assert_eq!(shop.round().len(), 1);
}

/// A proposal refused for its revision is decided again at once; another refusal stands back.
#[test]
fn answers() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let replica = shop.sample.replicas(ids[0])[0];
    shop.sample.bad(ids[0], replica);
    assert_eq!(shop.round().len(), 1);
    let refuse = |reason| DeskEvent::Answered { tablet: ids[0], answer: Err(reason) };
    shop.step(refuse(Reason::RevisionMoved { tablet: ids[0] }));
    assert_eq!(shop.round().len(), 1);
    shop.step(refuse(Reason::LoadCountsIt { replica }));
    assert_eq!(shop.round(), []);
    assert_eq!(shop.reason(ids[0]), Some("load_counts_it"));
    shop.pass(1_000);
    assert_eq!(shop.round().len(), 1);
    shop.pass(FLIGHT_MS);
    assert_eq!(shop.round().len(), 1, "an answer that never came is not waited for");
}

/// A deletion whose other copies go missing is called off.
#[test]
fn a_deletion_is_called_off() {
    let (mut shop, ids) = Shop::new(5, 1, 1);
    let disk = shop.sample.disks_of(*shop.sample.nodes().last().expect("five"))[0];
    let extra = shop.sample.replica_on(ids[0], disk, ReplicaState::Normal);
    shop.sample.see(ids[0], extra, Version(1));
    let deleted = shop.round();
    let [Proposal::Delete { victim, .. }] = &deleted[..] else { panic!("{deleted:?}") };
    shop.accept(&deleted[0]);
    let other = shop.sample.replicas(ids[0]).into_iter().find(|replica| replica != victim).expect("four");
    shop.sample.bad(ids[0], other);
    let ended = shop.round();
    let [Proposal::Cancel { cause: Reason::CopiesLost { complete: 2, wanted: 3 }, .. }] = &ended[..] else {
        panic!("{ended:?}")
    };
}
