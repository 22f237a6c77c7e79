//! The twelve commonest real accidents of systems like this one, each as a test by its name.
//!
//! Most are played on the forecast's stage: the real catalog, checker and desk over modelled agents, every record held
//! against the promises. Each was seen to fail with its guard taken out; the guard is named in the test's doc.

use std::collections::BTreeMap;
use stele_agent_rules::book::{Book, Held};
use stele_agent_rules::event::EventBody as AgentEvent;
use stele_agent_rules::{Action as AgentAction, Event as AgentEventAt, Op, handle};
use stele_common::{
    Ballot, ClusterId, DatabaseId, Digest, DiskId, Epoch, Evidence, Fact, NodeId, Order, OrderBody, PartitionId,
    Priority, ReplicaId, ReplicaState, Report, ReportKind, TableId, TabletId, TabletLabel, TabletStatus, TaskId,
    TaskType, Tick, Version,
};
use stele_coordinator_rules::sample::Sample;
use stele_coordinator_rules::world::{Tablet, Work};
use stele_coordinator_rules::{Answer, EventBody, Proposal};
use stele_sim::forecast::{Forecast, Happening, Plan};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// `hosts` hosts with one disk each, `buckets` tablets with three copies at version 1.
fn house(hosts: u64, buckets: u32) -> (Sample, Vec<TabletId>) {
    let mut sample = Sample::new(hosts, 1);
    let tablets = sample.table(3, buckets);
    for tablet in &tablets {
        sample.load_all(*tablet);
    }
    (sample, tablets)
}

fn stage(sample: &Sample) -> Forecast {
    Forecast::new(sample.world.clone(), sample.at, Plan { for_ms: 10 * HOUR, ..Plan::default() })
}

fn tablet(stage: &Forecast, id: TabletId) -> &Tablet {
    stage.world.tablets.get(id).expect("no accident takes a tablet away")
}

fn node_of(stage: &Forecast, id: TabletId, place: usize) -> NodeId {
    tablet(stage, id).replicas[place].node
}

/// Runs on, a tenth of a second at a time, until `is_so`; false when it is not within `ms`.
fn until(stage: &mut Forecast, ms: u64, mut is_so: impl FnMut(&mut Forecast) -> bool) -> bool {
    let end = stage.now() + ms;
    while stage.now() < end {
        stage.run_until((stage.now() + 100).min(end));
        assert_eq!(stage.watch.violations, Vec::<String>::new());
        if is_so(stage) {
            return true;
        }
    }
    false
}

fn is_healthy(stage: &mut Forecast) -> bool {
    stage.ill().is_empty()
}

/// Everything is as it should be in the end: n copies each, all full members, no task, no slot taken.
fn assert_at_rest(stage: &mut Forecast) {
    assert!(until(stage, 3 * HOUR, is_healthy), "{:?}", stage.ill());
    stage.run_until(stage.now() + 5 * MINUTE);
    assert_eq!(stage.watch.violations, Vec::<String>::new());
    assert!(stage.ill().is_empty(), "{:?}", stage.ill());
    for tablet in stage.world.tablets.iter() {
        assert_eq!(tablet.replicas.len() as u32, tablet.wanted, "{tablet:?}");
        assert!(tablet.replicas.iter().all(|replica| replica.state == ReplicaState::Normal), "{tablet:?}");
    }
    assert!(stage.world.tasks.is_empty(), "{:?}", stage.world.tasks);
    let ledger = stage.desk.ledger(&stage.world);
    assert!(
        stage.world.disks.keys().all(|disk| ledger.used(*disk, TaskType::Repair) == 0),
        "a slot is taken though nothing runs"
    );
}

fn label(tablet: u64, replica: u64) -> TabletLabel {
    TabletLabel {
        cluster: ClusterId("5".repeat(32)),
        database: "d".into(),
        database_id: DatabaseId(1),
        table: "t".into(),
        table_id: TableId(2),
        partition: "p0".into(),
        partition_id: PartitionId(3),
        tablet: TabletId(tablet),
        bucket: 0,
        buckets: 1,
        replication: 3,
        replica: ReplicaId(replica),
        epoch: Epoch(1),
        ballot: Ballot(1),
    }
}

/// StarRocks 29530, Doris 6061, 9886, 34889: a drop for an earlier copy comes late, or twice, and takes the fresh copy of
/// the same tablet that has come to the same disk since. Guard: a drop names one incarnation (agent's `orders::drop`).
#[test]
fn late_drop() {
    let mut book = Book::new(DiskId(1));
    let fresh = Held::new(label(100, 1002), Version(3), Digest::of(b"v3"), 10, 1);
    book.replicas.insert(ReplicaId(1002), fresh);
    let evidence = Evidence::Bad { cause: "moved away".into(), others: Vec::new() };
    let drop = OrderBody::Drop { tablet: TabletId(100), replica: ReplicaId(1001), evidence };
    for at in 1..=3 {
        let order = Order { epoch: Epoch(1), body: drop.clone() };
        let actions = handle(&mut book, &AgentEventAt { at: Tick(at), body: AgentEvent::Order(order) });
        let drops = actions.iter().filter(|action| matches!(action, AgentAction::Do(Op::Drop { .. })));
        assert_eq!(drops.count(), 0, "{actions:?}");
        handle(&mut book, &AgentEventAt { at: Tick(at), body: AgentEvent::Tick });
    }
    let held = book.replicas.get(&ReplicaId(1002)).expect("the fresh copy is there");
    assert!(held.wishes.drop.is_none() && book.busy.is_empty(), "{book:?}");
}

/// Doris 38695 and 25744, HDFS-16987: a report that was collected before a copy landed arrives after it, and the newest
/// replica is called missing or bad. Guard: numbers within a life of the agent (`ingest::reported`).
#[test]
fn stale_report() {
    let (sample, tablets) = house(4, 1);
    let mut stage = stage(&sample);
    let newcomer = *sample.nodes().last().unwrap();
    assert!(tablet(&stage, tablets[0]).replicas.iter().all(|replica| replica.node != newcomer));
    let host = &stage.hosts[&newcomer];
    let (boot, seq, before) = (host.boot, host.seq + 1, host.facts(stage.at()));
    stage.happens(&Happening::Kill(node_of(&stage, tablets[0], 0)));
    assert!(until(&mut stage, HOUR, |stage| {
        stage.now() > MINUTE && stage.ill().is_empty() && stage.world.tasks.is_empty()
    }));
    let arrived = tablet(&stage, tablets[0]).replicas.iter().find(|replica| replica.node == newcomer).cloned();
    let arrived = arrived.expect("the copy went to the only free host");
    for (kind, seq) in [(ReportKind::FullOnly, seq), (ReportKind::Delta, seq), (ReportKind::FullOnly, 0)] {
        let gone = Fact::ReplicaGone { tablet: tablets[0], replica: arrived.id, disk: arrived.disk };
        let facts = before.iter().cloned().chain([gone]).collect();
        stage.coordinate(EventBody::Reported { node: newcomer, report: Report { boot, seq, kind, facts } });
        let now = tablet(&stage, tablets[0]).replicas.iter().find(|replica| replica.id == arrived.id);
        assert!(now.is_some_and(|now| now.bad.is_none() && now.seen.is_some()), "{now:?}");
    }
}

/// Doris 17182, SeaweedFS 2637: the surplus is judged by counting, and the only replica with the newest version goes.
/// Guards: never the last complete copy, never below a quorum of holders (`deletion::start`).
#[test]
fn only_new_version_deleted() {
    let (mut sample, tablets) = house(4, 1);
    let id = tablets[0];
    let free = *sample.nodes().last().unwrap();
    let disk = sample.disks_of(free)[0];
    let surplus = sample.replica_on(id, disk, ReplicaState::Normal);
    sample.see(id, surplus, Version(1));
    let only = sample.replicas(id)[0];
    sample.load(id, &[only]);
    let mut stage = stage(&sample);
    let revision = tablet(&stage, id).revision;
    let (status, priority) = (TabletStatus::Redundant, Priority::VeryHigh);
    let wish = Proposal::Delete { tablet: id, revision, status, priority, victim: only };
    let answers = stage.coordinate(EventBody::Propose(wish));
    let refused = answers.iter().find_map(|answer| match answer {
        Answer::Refused(reason) => Some(reason.code()),
        _ => None,
    });
    assert_eq!(refused, Some("last_complete"), "{answers:?}");
    assert_at_rest(&mut stage);
    assert_eq!(tablet(&stage, id).visible, Version(2));
    assert!(stage.truly_complete(id) == 3);
}

/// Doris 4147: while a host drains, each new copy comes to nothing and yet another is made, without end. Guard: n + 2
/// replicas at most (`admit`, `tasks::place`).
#[test]
fn endless_replicas_while_draining() {
    let (sample, tablets) = house(9, 1);
    let id = tablets[0];
    let mut stage = stage(&sample);
    let old: Vec<NodeId> = tablet(&stage, id).replicas.iter().map(|replica| replica.node).collect();
    let draining = old[0];
    stage.happens(&Happening::Drain(vec![draining]));
    let mut killed = Vec::new();
    let mut most = 0;
    until(&mut stage, 40 * MINUTE, |stage| {
        most = most.max(tablet(stage, id).replicas.len());
        let fresh = tablet(stage, id).replicas.iter().find(|replica| {
            !old.contains(&replica.node) && !killed.contains(&replica.node) && replica.state == ReplicaState::Normal
        });
        if let Some(node) = fresh.map(|fresh| fresh.node).filter(|_| killed.len() < 5) {
            killed.push(node);
            stage.kill(node);
        }
        false
    });
    assert!(killed.len() >= 3, "too little happened: {killed:?}");
    assert!(most <= 5, "{most} replicas");
    killed.iter().for_each(|node| stage.revive(*node));
    assert_at_rest(&mut stage);
    assert!(tablet(&stage, id).replicas.iter().all(|replica| replica.node != draining), "the drain is over");
}

/// Doris 6659: a slot is leaked on an error path, until nothing is repaired any more. Here copies end in every way there
/// is, again and again. Guard: slots are counted from the tasks, and every task ends (`slots::Ledger`, `lifecycle`).
#[test]
fn slot_leak() {
    let (sample, tablets) = house(6, 12);
    let plan = Plan { for_ms: 100 * HOUR, net_mbps: 1, disk_mbps: 1, ..Plan::default() };
    let mut stage = Forecast::new(sample.world.clone(), sample.at, plan);
    let mut cancelled = 0;
    for (round, id) in tablets.iter().enumerate() {
        let lost = node_of(&stage, *id, round % 3);
        stage.kill(lost);
        assert!(until(&mut stage, HOUR, |stage| !stage.world.tasks.is_empty()), "round {round}: nothing begins");
        let task = stage.world.tasks.values().next().expect("one was seen just now").clone();
        let Work::Clone { node, source_node, .. } = task.work else { continue };
        let (hit, down) = match round % 3 {
            0 => (node, 15 * SECOND),
            1 => (source_node, 2 * SECOND),
            _ => (lost, 0),
        };
        stage.kill(hit);
        stage.run_until(stage.now() + down);
        stage.revive(hit);
        stage.revive(lost);
        cancelled += 1;
        assert_at_rest(&mut stage);
    }
    assert!(cancelled > 6, "{cancelled}");
    assert!(tablets.iter().all(|id| tablet(&stage, *id).replicas.len() == 3));
}

/// StarRocks 1976 and 62942, Doris 6561: a deletion is given up half way, and its victim stays in DECOMMISSION for ever,
/// good for nothing. Guard: giving up makes it a full member again (`deletion::undo`).
#[test]
fn stuck_decommission_state() {
    let (mut sample, tablets) = house(4, 1);
    let id = tablets[0];
    let free = *sample.nodes().last().unwrap();
    let disk = sample.disks_of(free)[0];
    let surplus = sample.replica_on(id, disk, ReplicaState::Normal);
    sample.see(id, surplus, Version(1));
    let mut stage = stage(&sample);
    let is_leaving = |stage: &mut Forecast| {
        tablet(stage, id).replicas.iter().any(|replica| replica.state == ReplicaState::Decommission)
    };
    // A step at a time: the answers of the witnesses take milliseconds.
    let end = stage.now() + MINUTE;
    while !is_leaving(&mut stage) {
        assert!(stage.now() < end, "the surplus is never judged");
        stage.run_until(stage.now() + 1);
    }
    let witness = tablet(&stage, id).replicas.iter().find(|replica| replica.state == ReplicaState::Normal);
    stage.kill(witness.expect("three are left").node);
    assert_at_rest(&mut stage);
}

/// HDFS-16064, HDFS-16664: the corrupt copies cannot go before there are enough good ones, and no good one can be made
/// before the corrupt ones go. Guards: FORCE_REDUNDANT, mending in place (`verdict::is_covering`, `admit::unblock`).
#[test]
fn mutually_waiting_preconditions() {
    let (sample, tablets) = house(3, 4);
    let mut stage = stage(&sample);
    for id in &tablets {
        let replicas: Vec<ReplicaId> = tablet(&stage, *id).replicas.iter().map(|replica| replica.id).collect();
        replicas[1..].iter().for_each(|replica| stage.happens(&Happening::BadReplica(*replica)));
    }
    stage.run_until(SECOND);
    assert_at_rest(&mut stage);
    assert!(stage.so_far().min_complete_copies >= 1);
}

/// Doris 38528: no host is free for a new copy, so the copy that merely lags behind is never brought up either. Guard:
/// what is behind is brought up before a new one is made, and while the missing one may still come back
/// (`Visitor::add_copy`, `Visitor::add_missing`; it takes both away to see it fail).
#[test]
fn mutually_waiting_preconditions_of_dead_and_lagging() {
    let (mut sample, tablets) = house(3, 1);
    let id = tablets[0];
    let replicas = sample.replicas(id);
    sample.load(id, &replicas[..2]);
    sample.load(id, &replicas[..1]);
    let dead = sample.replica(id, replicas[2]).node;
    let mut stage = stage(&sample);
    stage.kill(dead);
    assert!(until(&mut stage, 5 * MINUTE, |stage| stage.truly_complete(id) == 2), "{:?}", tablet(&stage, id));
    stage.revive(dead);
    assert_at_rest(&mut stage);
}

/// Pegasus 895, MinIO 14053, Doris 10721: a directory that is not mounted reads as an empty disk, and everything on it is
/// given up. Guard: absence means something on ONLINE disks only (`facts::not_there`, `ingest::absent`).
#[test]
fn missing_disk_read_as_empty() {
    let (sample, tablets) = house(4, 8);
    let mut stage = stage(&sample);
    let node = node_of(&stage, tablets[0], 0);
    let disk = tablet(&stage, tablets[0]).replicas[0].disk;
    stage.mount(disk, false);
    stage.run_until(3 * MINUTE);
    stage.tell_all(node);
    stage.run_until(4 * MINUTE);
    for tablet in stage.world.tablets.iter() {
        assert!(tablet.replicas.iter().all(|replica| replica.bad.is_none()), "{tablet:?}");
        assert_eq!(tablet.replicas.len(), 3);
    }
    stage.mount(disk, true);
    assert_at_rest(&mut stage);
    assert_eq!(stage.so_far().bytes_copied, 0);
    assert!(stage.hosts.values().all(|host| host.plates.values().all(|plate| plate.trash.is_empty())));
}

/// Ceph 19.2 (HostUp): rebalancing copies what is rotten to healthy disks. Here the first choice of source is rotten and
/// nobody knows it. Guards: bytes are held against their digests on the way, and a source that gave wrong ones is read
/// through (`tasks::verify_others`).
#[test]
fn corrupt_source() {
    for rotten in [0, 1] {
        let (sample, tablets) = house(4, 1);
        let id = tablets[0];
        let mut stage = stage(&sample);
        let replica = tablet(&stage, id).replicas[rotten].id;
        stage.damage(replica, 7, false);
        stage.kill(node_of(&stage, id, 2));
        let found = until(&mut stage, HOUR, |stage| stage.truly_complete(id) == 3);
        let held = stage.hosts.values().flat_map(|host| host.plates.values()).flat_map(|plate| &plate.held);
        let damaged: BTreeMap<_, _> = held.filter(|(id, held)| **id != replica && !held.damage.is_empty()).collect();
        assert!(damaged.is_empty(), "rot was copied: {damaged:?}");
        assert!(found || rotten == 1 && stage.truly_complete(id) == 2, "{:?}", tablet(&stage, id));
        stage.coordinate(EventBody::Verify(stele_common::api::VerifyStart { table: None, tablets: Vec::new() }));
        assert_at_rest(&mut stage);
    }
}

/// Ceph at RAL, 2017: the copy of one bad object takes down whoever receives it, one host after the other. Guards: a copy
/// that fails is tried later and later (`schedule::backoff_ms`), and nobody else waits for it.
#[test]
fn poison_tablet() {
    let (sample, tablets) = house(8, 16);
    let mut stage = stage(&sample);
    stage.poisoned.insert(tablets[0]);
    let lost = node_of(&stage, tablets[0], 0);
    stage.kill(lost);
    let heal = stage.world.knobs.lost_ms + stage.world.knobs.assign_delay_ms + 5 * MINUTE;
    let others = until(&mut stage, heal, |stage| stage.now() > MINUTE && stage.ill().iter().eq(&[tablets[0]]));
    assert!(others, "the others wait for the poisoned one: {:?}", stage.ill());
    stage.run_until(2 * HOUR);
    let deaths = stage.poison_deaths;
    assert!(deaths > 2, "nothing was tried");
    assert!(deaths <= 130, "{deaths} deaths in two hours: more than one a minute");
    stage.poisoned.clear();
    assert_at_rest(&mut stage);
}

/// Doris 6046: what cannot be repaired stands at the head of the queue, and what can be is never reached. Guard: what was
/// refused stands back, longer each time (`Desk::refuse`).
#[test]
fn starvation_by_unrepairable_ones() {
    let (mut sample, _) = house(3, 2_500);
    let old = sample.nodes();
    (0..4).for_each(|_| _ = sample.host(1));
    for node in sample.nodes().into_iter().skip(3) {
        let disk = sample.disks_of(node)[0];
        sample.fill(disk, 900 << 30, 1 << 40);
    }
    // One tablet stands on none of the two that will be lost, and its last copy is behind.
    let tablets = sample.table(3, 7);
    let stands = |id: &&TabletId| {
        let mut replicas = sample.replicas(**id).into_iter();
        replicas.all(|replica| !old[1..].contains(&sample.replica(**id, replica).node))
    };
    let wanted = *tablets.iter().find(stands).expect("of seven in a row over seven hosts some avoid two");
    tablets.iter().for_each(|id| _ = sample.load_all(*id));
    let replicas = sample.replicas(wanted);
    sample.load(wanted, &replicas[..2]);
    let late = sample.replica(wanted, replicas[2]).node;
    let mut stage = stage(&sample);
    // Two of three copies of everything else are gone, HIGH, and there is no room for more: all have been refused when
    // the one that can be helped, NORMAL, comes in behind them.
    for node in [old[1], old[2], late] {
        stage.kill(node);
    }
    stage.run_until(2 * MINUTE);
    let refused = stage.desk.pending().filter(|entry| entry.reason.is_some()).count();
    assert!(refused >= 2_500, "{refused} were looked at in vain");
    stage.revive(late);
    let is_helped = |stage: &mut Forecast| stage.truly_complete(wanted) == 3;
    let repaired = until(&mut stage, MINUTE, is_helped);
    assert!(repaired, "{:?} waits behind {} others", tablet(&stage, wanted), stage.ill().len());
    assert!(stage.ill().len() >= 2_500, "the others cannot be helped");
}

/// StarRocks 8515, PD 3664, Doris 26397: the destination dies in the middle of a copy, and the task stays RUNNING. Guard:
/// a task ends with its node (`lifecycle::lost`).
#[test]
fn dead_destination() {
    let (sample, tablets) = house(6, 1);
    let id = tablets[0];
    let plan = Plan { for_ms: 10 * HOUR, net_mbps: 1, ..Plan::default() };
    let mut stage = Forecast::new(sample.world.clone(), sample.at, plan);
    stage.kill(node_of(&stage, id, 0));
    let mut dead = Vec::new();
    for _ in 0..2 {
        let mut found: Option<(TaskId, NodeId)> = None;
        assert!(until(&mut stage, 30 * MINUTE, |stage| {
            found = stage.world.tasks.get(&id).and_then(|task| match task.work {
                Work::Clone { node, .. } if !dead.contains(&node) => Some((task.id, node)),
                Work::Clone { .. } | Work::Delete { .. } => None,
            });
            found.is_some()
        }));
        let (task, node) = found.expect("it was seen just now");
        stage.run_until(stage.now() + 300);
        stage.kill(node);
        dead.push(node);
        let soon = stage.world.knobs.lost_ms + 5 * SECOND;
        let ended = until(&mut stage, soon, |stage| stage.world.tasks.get(&id).is_none_or(|now| now.id != task));
        assert!(ended, "{:?}", stage.world.tasks);
    }
    assert!(until(&mut stage, 10 * MINUTE, |stage| stage.truly_complete(id) == 3));
    assert_at_rest(&mut stage);
}
