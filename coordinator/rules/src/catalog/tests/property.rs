//! Any sequence of events keeps the world consistent: reports true and false, late and doubled, restarts anywhere.
//!
//! The player holds every step against the invariants and every drop against its evidence; here the steps are drawn.

use super::*;
use crate::event::Target;
use crate::world::{LoadPhase, Work};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stele_common::{
    BootId, Digest, DiskState, Liveness, ReplicaState, TaskFact, TaskFailure, TaskId, TaskProgress, TrashFact,
};

/// One drawn step; numbers choose among whatever is there at the time.
#[derive(Clone, Debug)]
enum Step {
    /// A replica of the catalog reports: which, versions below the committed one, how it is spoilt.
    Seen(usize, u64, u8),
    Gone(usize),
    /// A replica answers the question that its tablet is asking, or another one.
    Confirmed(usize, bool),
    /// A replica has an open load durable, or failed at it.
    Prepared(usize, u8),
    Told(usize, u8),
    /// A replica of a tablet of ours, or of a dropped one, that is not on record.
    Stray(usize, usize, u64),
    Trash(usize, usize, bool),
    /// A node reconnects with a new life and reports in full: what it has, less what is left out.
    Returns(usize, u8),
    Turned(usize, u8),
    DiskTurned(usize, u8),
    Open(u8, u8),
    Commit(u8),
    Abort(u8),
    Copy(usize, usize, usize),
    Delete(usize, usize),
    Cancel(usize),
    DropTable,
    /// A node is to be empty, or no longer: which, and by force.
    Drain(usize, bool, bool),
    DrainDisk(usize, bool),
    /// A node leaves for good, by force or not.
    Remove(usize, bool),
    /// The agent of a removed node is admitted and knocks.
    Admitted,
    Lease(usize, u64),
    /// The table is to have so many copies, in a group or not.
    Policy(u32, u8),
    /// A person's word on a replica.
    Word(usize, bool),
    Passes(u64),
    Restart,
    /// The same report as before, word for word.
    Again,
    /// An agent carries out one of the orders given so far, late or again, and reports it.
    Obeys(usize, bool),
    /// A whole load: so many members of each tablet have it durable when the client asks for the commit.
    Load(u8, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..64usize;
    prop_oneof![
        8 => (at.clone(), 0..2u64, 0..40u8).prop_map(|(r, below, spoil)| Step::Seen(r, below * u64::from(spoil == 3), spoil)),
        1 => at.clone().prop_map(Step::Gone),
        8 => (at.clone(), any::<bool>()).prop_map(|(r, right)| Step::Confirmed(r, right)),
        8 => (at.clone(), 0..8u8).prop_map(|(r, how)| Step::Prepared(r, how)),
        4 => (at.clone(), 0..4u8).prop_map(|(t, how)| Step::Told(t, how)),
        2 => (at.clone(), at.clone(), 0..3u64).prop_map(|(t, d, v)| Step::Stray(t, d, v)),
        1 => (at.clone(), at.clone(), any::<bool>()).prop_map(|(t, d, due)| Step::Trash(t, d, due)),
        3 => (at.clone(), 0..6u8).prop_map(|(n, less)| Step::Returns(n, less)),
        2 => (at.clone(), 0..6u8).prop_map(|(n, to)| Step::Turned(n, to.saturating_sub(3))),
        1 => (at.clone(), 0..6u8).prop_map(|(d, to)| Step::DiskTurned(d, to.saturating_sub(3))),
        4 => (0..3u8, 1..8u8).prop_map(|(key, buckets)| Step::Open(key, buckets)),
        4 => (0..3u8).prop_map(Step::Commit),
        1 => (0..3u8).prop_map(Step::Abort),
        4 => (at.clone(), at.clone(), at.clone()).prop_map(|(t, s, d)| Step::Copy(t, s, d)),
        4 => (at.clone(), at.clone()).prop_map(|(t, r)| Step::Delete(t, r)),
        1 => at.clone().prop_map(Step::Cancel),
        1 => (0..6u8).prop_map(|n| if n == 0 { Step::DropTable } else { Step::Passes(500) }),
        30 => (at.clone(), any::<bool>()).prop_map(|(o, again)| Step::Obeys(o, again)),
        6 => (1..8u8, 1..4usize).prop_map(|(buckets, members)| Step::Load(buckets, members)),
        2 => (at.clone(), any::<bool>(), any::<bool>()).prop_map(|(n, on, force)| Step::Drain(n, on, force)),
        1 => (at.clone(), any::<bool>()).prop_map(|(d, on)| Step::DrainDisk(d, on)),
        1 => (at.clone(), any::<bool>()).prop_map(|(n, force)| Step::Remove(n, force)),
        1 => Just(Step::Admitted),
        1 => (at.clone(), 1..9_000u64).prop_map(|(n, ms)| Step::Lease(n, ms)),
        2 => (1..6u32, 0..4u8).prop_map(|(copies, group)| Step::Policy(copies, group)),
        2 => (at.clone(), any::<bool>()).prop_map(|(r, good)| Step::Word(r, good)),
        6 => (0..8_000u64).prop_map(Step::Passes),
        1 => Just(Step::Restart),
        2 => Just(Step::Again),
    ]
}

/// A house of seven hosts, three tablets of three copies at version 1, two of them with a copy to spare.
fn house() -> Play {
    let mut sample = Sample::new(5, 2);
    let tablets = sample.table(3, 3);
    for tablet in &tablets {
        sample.load_all(*tablet);
    }
    let mut play = Play::new(sample);
    for tablet in &tablets[..2] {
        play.surplus(*tablet);
    }
    play.log = durable(play.world());
    play
}

fn pick<T: Copy>(from: &[T], at: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[at % from.len()])
}

fn tablets(play: &Play) -> Vec<TabletId> {
    play.world().tablets.iter().map(|tablet| tablet.id).collect()
}

fn replicas(play: &Play) -> Vec<(TabletId, ReplicaId)> {
    let tablets = play.world().tablets.iter();
    tablets.flat_map(|tablet| tablet.replicas.iter().map(|replica| (tablet.id, replica.id))).collect()
}

fn disks(play: &Play) -> Vec<DiskId> {
    play.world().disks.keys().copied().collect()
}

/// What was sent and may still be carried out, any number of times.
type Sent = Vec<(NodeId, OrderBody)>;

fn take(play: &mut Play, step: &Step, last: &mut Option<EventBody>, sent: &mut Sent) {
    let mut actions = Vec::new();
    let body = match step {
        Step::Seen(at, below, spoil) => seen(play, *at, *below, *spoil),
        Step::Gone(at) => pick(&replicas(play), *at).and_then(|(tablet, replica)| {
            let known = play.sample.replica(tablet, replica).clone();
            report(play, known.node, vec![Fact::ReplicaGone { tablet, replica, disk: known.disk }])
        }),
        Step::Confirmed(at, right) => confirmed(play, *at, *right),
        Step::Prepared(at, how) => durable_load(play, *at, *how),
        Step::Told(at, how) => told(play, *at, *how),
        Step::Stray(at, disk, version) => stray(play, *at, *disk, *version),
        Step::Trash(at, disk, due) => trash(play, *at, *disk, *due),
        Step::Returns(at, less) => {
            if let Some(node) = pick(&play.sample.nodes(), *at) {
                returns(play, node, *less);
            }
            None
        }
        Step::Turned(at, to) => pick(&play.sample.nodes(), *at).map(|node| {
            let liveness = [Liveness::Alive, Liveness::Silent, Liveness::Lost][*to as usize];
            EventBody::NodeTurned { node, liveness }
        }),
        Step::DiskTurned(at, to) => pick(&disks(play), *at).and_then(|disk| {
            let node = play.world().disks[&disk].node;
            let mut facts = play.disk_facts(node);
            facts.retain(|fact| matches!(fact, Fact::Disk(fact) if fact.disk == disk));
            if let Some(Fact::Disk(fact)) = facts.first_mut() {
                fact.state = [DiskState::Online, DiskState::Suspect, DiskState::Unavailable][*to as usize];
            }
            report(play, node, facts)
        }),
        Step::Open(key, buckets) => {
            let buckets: Vec<u32> = (0..3).filter(|bucket| buckets >> bucket & 1 == 1).collect();
            Some(EventBody::OpenLoad(play.wish(&format!("load{key}"), &buckets)))
        }
        Step::Commit(key) => Some(EventBody::CommitLoad { key: LoadKey(format!("load{key}")) }),
        Step::Abort(key) => Some(EventBody::AbortLoad { key: LoadKey(format!("load{key}")) }),
        Step::Copy(at, source, target) => copy(play, *at, *source, *target),
        Step::Delete(at, victim) => pick(&tablets(play), *at).and_then(|tablet| {
            let (revision, victim) =
                (play.sample.tablet(tablet).revision, pick(&play.sample.replicas(tablet), *victim)?);
            let (status, priority) = (TabletStatus::Redundant, Priority::VeryHigh);
            Some(EventBody::Propose(Proposal::Delete { tablet, revision, status, priority, victim }))
        }),
        Step::Cancel(at) => pick(&play.world().tasks.keys().copied().collect::<Vec<_>>(), *at).map(|tablet| {
            let task = play.world().tasks[&tablet].id;
            EventBody::Propose(Proposal::Cancel { tablet, task, cause: Reason::NowHealthy })
        }),
        Step::DropTable => Some(EventBody::DropTable { db: "d".into(), name: "t1".into() }),
        Step::Drain(at, on, force) => pick(&play.sample.nodes(), *at).map(|node| {
            let ask = api::DrainAsk { nodes: vec![node], force: *force, ..api::DrainAsk::default() };
            if *on { EventBody::Drain(ask) } else { EventBody::Undrain(ask) }
        }),
        Step::DrainDisk(at, on) => pick(&disks(play), *at).map(|disk| {
            let ask = api::DrainAsk { disks: vec![disk], force: true, ..api::DrainAsk::default() };
            if *on { EventBody::Drain(ask) } else { EventBody::Undrain(ask) }
        }),
        Step::Remove(at, force) => pick(&play.sample.nodes(), *at).map(|node| {
            let ask = api::RemoveAsk { force: *force, ..api::RemoveAsk::default() };
            EventBody::RemoveNode { node, ask }
        }),
        Step::Admitted => {
            admitted(play);
            None
        }
        Step::Lease(at, ms) => Some(EventBody::GrantLease(api::LeaseAsk {
            on: match pick(&play.sample.nodes(), *at) {
                Some(node) if at.is_multiple_of(2) => api::LeaseOn::Maintenance { node },
                Some(_) | None => api::LeaseOn::Urgent { table: "d.t1".into(), partition: None },
            },
            for_ms: *ms,
            owner: String::new(),
            reason: String::new(),
        })),
        Step::Policy(copies, group) => Some(EventBody::SetTable {
            db: "d".into(),
            name: "t1".into(),
            wish: api::TableSet {
                replication: (*group == 0).then_some(*copies),
                colocate: (*group > 0).then(|| if *group == 1 { String::new() } else { format!("g{group}") }),
                ..api::TableSet::default()
            },
        }),
        Step::Word(at, good) => pick(&replicas(play), *at).map(|(tablet, replica)| {
            let state = if *good { api::ReplicaWord::Ok } else { api::ReplicaWord::Bad };
            let wish = api::ReplicaSet { state, owner: String::new(), reason: String::new() };
            EventBody::SetReplica { tablet, replica, wish }
        }),
        Step::Obeys(at, again) => obeyed(play, *at, *again, sent),
        Step::Load(buckets, members) => {
            actions.extend(load(play, *buckets, *members));
            None
        }
        Step::Passes(ms) => {
            actions.extend(play.passes(*ms));
            None
        }
        Step::Restart => {
            play.restarts();
            None
        }
        Step::Again => {
            if let Some(body) = last.clone() {
                again(play, body);
            }
            None
        }
    };
    if let Some(body) = body {
        actions.extend(play.happens(body.clone()));
        *last = Some(body);
    }
    sent.extend(orders(&actions).into_iter().map(|(node, order)| (node, order.clone())));
}

fn obeyed(play: &Play, at: usize, again: bool, sent: &mut Sent) -> Option<EventBody> {
    // The latest orders are the likeliest to arrive.
    let index = sent.len().checked_sub(1 + at % sent.len().clamp(1, 8))?;
    let (node, order) = if again { sent[index].clone() } else { sent.remove(index) };
    let replica_at = |tablet: TabletId, replica: ReplicaId, version: Version| {
        let on_record = play.world().tablets.get(tablet)?.replicas.iter().find(|other| other.id == replica);
        let disk = on_record.map_or_else(|| pick(&play.sample.disks_of(node), 0), |known| Some(known.disk))?;
        Some(Fact::Replica(fact_of(tablet, replica, disk, version)))
    };
    let held = |tablet: TabletId, replica: ReplicaId| {
        let on_record = play.world().tablets.get(tablet)?.replicas.iter().find(|other| other.id == replica)?;
        Some(on_record.seen.as_ref().map_or(on_record.version, |seen| seen.version))
    };
    let facts = match order {
        OrderBody::Create { label, .. } => vec![replica_at(label.tablet, label.replica, Version(0))?],
        OrderBody::Clone(order) => vec![replica_at(order.label.tablet, order.label.replica, order.version)?],
        OrderBody::CommitLoad { tablet, replica, version, .. } => {
            vec![replica_at(tablet, replica, version.max(held(tablet, replica)?))?]
        }
        OrderBody::Confirm { tablet, replica, nonce } => {
            let version = held(tablet, replica)?;
            vec![Fact::Confirmed { tablet, replica, version, hash: hash_of(tablet, version), nonce }]
        }
        OrderBody::Verify { tablet, replica } | OrderBody::Collect { tablet, replica, .. } => {
            vec![replica_at(tablet, replica, held(tablet, replica)?)?]
        }
        OrderBody::Drop { tablet, replica, .. } => {
            let disk = pick(&play.sample.disks_of(node), 0)?;
            let trash = TrashFact { tablet, replica, disk, bytes: 1, age_ms: 1, due: again };
            vec![Fact::ReplicaGone { tablet, replica, disk }, Fact::Trash(trash)]
        }
        OrderBody::Purge { tablet, replica, .. } => vec![Fact::TrashGone { tablet, replica }],
        OrderBody::CancelTask { .. } | OrderBody::AbortLoad { .. } | OrderBody::DiscardLoad { .. } => return None,
    };
    report(play, node, facts)
}

fn load(play: &mut Play, buckets: u8, members: usize) -> Vec<Action> {
    let buckets: Vec<u32> = (0..3).filter(|bucket| buckets >> bucket & 1 == 1).collect();
    let key = format!("whole{}", play.world().next_id);
    let Ok(opened) = play.open(&key, &buckets) else { return vec![] };
    let mut actions = Vec::new();
    for part in &opened.tablets {
        let counted = play.key(&key).tablets[&part.tablet].members.clone();
        for replica in counted.into_iter().take(members) {
            actions.extend(play.prepares(opened.load, part, replica));
        }
    }
    actions.extend(play.happens(EventBody::CommitLoad { key: LoadKey(key) }));
    actions
}

/// A report that was taken already changes nothing at all.
fn again(play: &mut Play, body: EventBody) {
    if let EventBody::Reported { .. } = &body {
        let before = play.world().clone();
        let actions = play.happens(body);
        assert!(!actions.iter().any(|action| matches!(action, Action::Record(change) if change.is_durable())));
        assert_eq!(before.nodes, play.world().nodes, "a doubled report");
    }
}

fn report(play: &Play, node: NodeId, facts: Vec<Fact>) -> Option<EventBody> {
    let known = play.world().nodes.get(&node)?;
    let report = Report { boot: known.boot?, seq: known.seq + 1, kind: ReportKind::Delta, facts };
    Some(EventBody::Reported { node, report })
}

fn seen(play: &Play, at: usize, below: u64, spoil: u8) -> Option<EventBody> {
    let (tablet, replica) = pick(&replicas(play), at)?;
    let known = play.sample.tablet(tablet);
    let mut fact = play.fact(tablet, replica, known.committed.0.saturating_sub(below));
    match spoil {
        0 => fact.bad = Some("rot".into()),
        1 => fact.hash = Digest::of(b"other"),
        2 => fact.verified_age_ms = None,
        _ => {}
    }
    report(play, play.sample.replica(tablet, replica).node, vec![Fact::Replica(fact)])
}

fn confirmed(play: &Play, at: usize, right: bool) -> Option<EventBody> {
    let (tablet, replica) = pick(&replicas(play), at)?;
    let known = play.sample.replica(tablet, replica);
    let seen = known.seen.clone()?;
    let task = play.world().tasks.get(&tablet).and_then(|task| match task.work {
        Work::Delete { nonce, .. } => Some(nonce),
        Work::Clone { .. } => None,
    });
    let round = play.world().rounds.values().find(|round| round.tablet == tablet).map(|round| round.nonce);
    let nonce = if right { task.or(round)? } else { 10_001 };
    let (version, hash) = (seen.version, seen.hash);
    report(play, known.node, vec![Fact::Confirmed { tablet, replica, version, hash, nonce }])
}

fn durable_load(play: &Play, at: usize, how: u8) -> Option<EventBody> {
    let open = play.world().loads.values().filter(|load| load.phase == LoadPhase::Open);
    let parts: Vec<_> = open.flat_map(|load| load.tablets.keys().map(move |tablet| (load.id, *tablet))).collect();
    let (load, tablet) = pick(&parts, at)?;
    let key = &play.world().load_keys[&load];
    let part = &play.world().loads[key].tablets[&tablet];
    let replica = pick(&play.sample.replicas(tablet), at / 8)?;
    let known = play.sample.replica(tablet, replica);
    let state = if how == 0 { LoadState::Failed { cause: "full".into() } } else { LoadState::Prepared };
    let fact = LoadFact {
        load,
        tablet,
        replica,
        disk: known.disk,
        ballot: if how == 1 { part.ballot.next() } else { part.ballot },
        parent: part.parent,
        version: part.version,
        hash: hash_of(tablet, part.version),
        bytes: 1,
        state,
    };
    report(play, known.node, vec![Fact::Load(fact)])
}

fn told(play: &Play, at: usize, how: u8) -> Option<EventBody> {
    let tasks: Vec<_> = play.world().tasks.values().cloned().collect();
    let task = tasks.get(at % tasks.len().max(1))?;
    let Work::Clone { replica, node, .. } = &task.work else { return None };
    let state = match how {
        0 => TaskProgress::Running { bytes_done: 1, bytes_total: 2 },
        1 => TaskProgress::Done { bytes_copied: 1, bytes_reused: 0 },
        2 => TaskProgress::Failed { cause: TaskFailure::DiskFull },
        _ => TaskProgress::Failed { cause: TaskFailure::SourceDamaged { path: "a".into() } },
    };
    let id = if at % 7 == 6 { TaskId(10_001) } else { task.id };
    let fact = TaskFact { task: id, tablet: task.tablet, replica: *replica, state };
    report(play, *node, vec![Fact::Task(fact)])
}

fn somewhere(play: &Play, at: usize, disk: usize) -> Option<(TabletId, DiskId, NodeId, ReplicaId)> {
    let mut ids = tablets(play);
    ids.extend(play.world().dropped_tablets.keys());
    let (tablet, disk) = (pick(&ids, at)?, pick(&disks(play), disk)?);
    // Ids of nodes and disks are issued ones that no replica has.
    let replica = ReplicaId(disk.0);
    Some((tablet, disk, play.world().disks[&disk].node, replica))
}

fn stray(play: &Play, at: usize, disk: usize, version: u64) -> Option<EventBody> {
    let (tablet, disk, node, replica) = somewhere(play, at, disk)?;
    let committed = play.world().tablets.get(tablet).map_or(version, |tablet| tablet.committed.0.min(version));
    report(play, node, vec![Fact::Replica(fact_of(tablet, replica, disk, Version(committed)))])
}

fn trash(play: &Play, at: usize, disk: usize, due: bool) -> Option<EventBody> {
    let (tablet, disk, node, replica) = somewhere(play, at, disk)?;
    if replicas(play).iter().any(|(_, other)| *other == replica) {
        return None;
    }
    let fact = TrashFact { tablet, replica, disk, bytes: 1, age_ms: 1, due };
    report(play, node, vec![Fact::Trash(fact)])
}

/// The agent of a removed node comes back with its disks, as a new node.
fn admitted(play: &mut Play) {
    let Some((host, name)) = play.world().removed.keys().next().cloned() else { return };
    play.happens(EventBody::AdmitNode(api::AdmitAsk { host: host.clone(), name: Some(name) }));
    let boot = play.world().next_id;
    let hello = play.hello_of(&host, boot, vec![]);
    play.hello(hello);
}

/// A new life of the node's agent: it names what it has, less every `less`-th replica.
fn returns(play: &mut Play, node: NodeId, less: u8) {
    play.happens(EventBody::NodeTurned { node, liveness: Liveness::Silent });
    let boot = play.world().nodes[&node].boot.unwrap_or(BootId(0)).0 + 1;
    play.returns(node, boot);
    let here = replicas(play).into_iter().filter(|(tablet, replica)| {
        let known = play.sample.replica(*tablet, *replica);
        known.node == node && known.state != ReplicaState::Clone
    });
    let left = here.enumerate().filter(|(index, _)| less == 0 || (index + 1) % less as usize != 0 || less > 3);
    let facts = left.map(|(_, (tablet, replica))| {
        Fact::Replica(play.fact(tablet, replica, play.sample.replica(tablet, replica).version.0))
    });
    let facts = facts.collect();
    play.full(node, facts);
}

fn copy(play: &Play, at: usize, source: usize, target: usize) -> Option<EventBody> {
    let tablet = pick(&tablets(play), at)?;
    let (revision, source) = (play.sample.tablet(tablet).revision, pick(&play.sample.replicas(tablet), source)?);
    let target = if target.is_multiple_of(3) {
        Target::Existing(pick(&play.sample.replicas(tablet), target / 3)?)
    } else if target.is_multiple_of(4) {
        Target::Beside { old: pick(&play.sample.replicas(tablet), target / 4)?, disk: pick(&disks(play), target / 8)? }
    } else {
        let disk = pick(&disks(play), target)?;
        Target::NewOn { node: play.world().disks[&disk].node, disk }
    };
    let (status, priority) = (TabletStatus::ReplicaMissing, Priority::High);
    Some(EventBody::Propose(Proposal::Clone { tablet, revision, status, priority, source, target }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// Every step keeps the invariants and the promises of each drop; replaying the log, or a snapshot of it, gives
    /// the same durable state; deciding the same event twice on one world gives the same actions.
    #[test]
    fn any_sequence_of_events(steps in proptest::collection::vec(step(), 1..120)) {
        let mut play = house();
        let (mut last, mut sent) = (None, Sent::new());
        for step in &steps {
            take(&mut play, step, &mut last, &mut sent);
        }
        let empty = || World::empty(std::sync::Arc::clone(&play.world().knobs));
        let mut replayed = empty();
        play.log.iter().for_each(|change| replayed.apply(change));
        prop_assert_eq!(durable(&replayed), durable(play.world()));
        let mut restored = empty();
        durable(play.world()).iter().for_each(|change| restored.apply(change));
        prop_assert_eq!(durable(&restored), durable(play.world()));
        let event = Event { at: play.sample.at, wall_ms: 0, body: EventBody::Tick };
        let decide = || format!("{:?}", catalog::decide(play.world(), &event));
        prop_assert_eq!(decide(), decide());
    }
}
