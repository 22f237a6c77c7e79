//! Copies: start, end, mending, adoption.

use super::*;
use crate::event::Target;
use crate::world::Outcome;
use stele_common::{DiskState, Liveness, ReplicaState, TaskFact, TaskFailure, TaskId, TaskProgress};

/// A tablet with two good copies, its third host lost; and a disk on a fourth host for a new one.
fn short() -> (Play, TabletId, Vec<ReplicaId>, Target) {
    let (mut play, tablet) = Play::loaded(4);
    let replicas = play.sample.replicas(tablet);
    let lost = play.sample.replica(tablet, replicas[2]).node;
    play.sample.turn(lost, Liveness::Lost);
    let used: Vec<NodeId> = replicas.iter().map(|replica| play.sample.replica(tablet, *replica).node).collect();
    let node = play.sample.nodes().into_iter().find(|node| !used.contains(node)).unwrap();
    let disk = play.sample.disks_of(node)[0];
    (play, tablet, replicas, Target::NewOn { node, disk })
}

fn ended(actions: &[Action]) -> Option<Outcome> {
    actions.iter().find_map(|action| match action {
        Action::Record(Change::TaskEnded { outcome, .. }) => Some(outcome.clone()),
        _ => None,
    })
}

fn told(
    play: &mut Play,
    node: NodeId,
    tablet: TabletId,
    replica: ReplicaId,
    task: u64,
    state: TaskProgress,
) -> Vec<Action> {
    play.delta(node, vec![Fact::Task(TaskFact { task: TaskId(task), tablet, replica, state })])
}

/// The agent's "done" moves nothing; the report of the replica makes it count and ends the task.
#[test]
fn only_a_report_makes_a_copy_count() {
    let (mut play, tablet, replicas, target) = short();
    let task = play.copy(tablet, replicas[0], target).unwrap();
    let Target::NewOn { node, .. } = target else { unreachable!() };
    let fresh = *play.sample.replicas(tablet).last().unwrap();
    let done = TaskProgress::Done { bytes_copied: 1, bytes_reused: 0 };
    let actions = told(&mut play, node, tablet, fresh, task, done);
    assert_eq!(ended(&actions), None);
    assert_eq!(play.sample.replica(tablet, fresh).state, ReplicaState::Clone);
    let ballot = play.sample.tablet(tablet).ballot;
    let actions = play.sees(tablet, fresh, 1);
    assert_eq!(ended(&actions), Some(Outcome::Finished { evidence: None }));
    assert_eq!(play.sample.replica(tablet, fresh).state, ReplicaState::Normal);
    assert_eq!(play.sample.tablet(tablet).ballot, ballot.next());
}

/// A proposal that was decided on another world is refused and leaves nothing.
#[test]
fn what_has_moved_on_is_refused() {
    type Spoil = fn(&mut Play, TabletId, Target);
    fn nothing(_: &mut Play, _: TabletId, _: Target) {}
    let cases: [(&str, Spoil, &str); 11] = [
        (
            "the tablet moved",
            |play, tablet, _| play.sample.bad(tablet, play.sample.replicas(tablet)[2]),
            "ok after a new look",
        ),
        (
            "the source turned bad",
            |play, tablet, _| play.sample.bad(tablet, play.sample.replicas(tablet)[0]),
            "revision_moved",
        ),
        (
            "the source's node is silent",
            |play, tablet, _| {
                let node = play.sample.replica(tablet, play.sample.replicas(tablet)[0]).node;
                play.sample.turn(node, Liveness::Silent);
            },
            "revision_moved",
        ),
        (
            "the target's node is silent",
            |play, _, target| {
                let Target::NewOn { node, .. } = target else { unreachable!() };
                play.sample.turn(node, Liveness::Silent);
            },
            "revision_moved",
        ),
        (
            "the target's disk is suspect",
            |play, _, target| {
                let Target::NewOn { disk, .. } = target else { unreachable!() };
                play.sample.disk_state(disk, DiskState::Suspect);
            },
            "revision_moved",
        ),
        (
            "the target's node is drained",
            |play, _, target| {
                let Target::NewOn { node, .. } = target else { unreachable!() };
                play.sample.apply(Change::NodeDrained { node, on: true });
            },
            "revision_moved",
        ),
        (
            "the target's disk is drained",
            |play, _, target| {
                let Target::NewOn { disk, .. } = target else { unreachable!() };
                play.sample.apply(Change::DiskDrained { disk, on: true });
            },
            "revision_moved",
        ),
        (
            "the target's node came back with another tag",
            |play, _, target| {
                let Target::NewOn { node, .. } = target else { unreachable!() };
                play.sample.world.nodes.get_mut(&node).unwrap().tag = "other".into();
            },
            "revision_moved",
        ),
        (
            "the target's disk was replaced",
            |play, _, target| {
                let Target::NewOn { disk, .. } = target else { unreachable!() };
                play.sample.apply(Change::DiskReplaced { disk, by: DiskId(1) });
            },
            "revision_moved",
        ),
        (
            "the host got a copy",
            |play, tablet, target| {
                let Target::NewOn { disk, .. } = target else { unreachable!() };
                let copy = play.sample.replica_on(tablet, disk, ReplicaState::Normal);
                assert_ne!(copy.0, 0);
            },
            "revision_moved",
        ),
        ("nothing", nothing, "ok after a new look"),
    ];
    for (name, spoil, expected) in cases {
        let (mut play, tablet, replicas, target) = short();
        let revision = play.sample.tablet(tablet).revision;
        spoil(&mut play, tablet, target);
        play.log = replay::as_changes(play.world());
        if play.sample.tablet(tablet).revision != revision {
            let (status, priority) = (TabletStatus::ReplicaMissing, Priority::Normal);
            let source = replicas[0];
            let stale = Proposal::Clone { tablet, revision, status, priority, source, target };
            assert_eq!(play.propose(stale), Err(Reason::RevisionMoved { tablet }), "{name}");
        }
        let before = durable(play.world());
        let got = play.copy(tablet, replicas[0], target);
        let got = got.map_or_else(|reason| reason.code(), |_| "ok after a new look");
        assert_eq!(got, expected, "{name}");
        assert_eq!(durable(play.world()) == before, expected == "revision_moved", "{name}");
    }
}

/// One task a tablet, whatever its kind.
#[test]
fn one_task_a_tablet() {
    let (mut play, tablet, replicas, target) = short();
    play.copy(tablet, replicas[0], target).unwrap();
    assert_eq!(play.copy(tablet, replicas[0], Target::Existing(replicas[1])), Err(Reason::TabletHasTask { tablet }));
    assert_eq!(play.delete(tablet, replicas[2]), Err(Reason::TabletHasTask { tablet }));
}

/// A failed copy is given up; a source that sent damaged bytes is read through, the fresh replica leaves without a drop.
#[test]
fn failures() {
    let cases = [
        (TaskFailure::SourceDamaged { path: "a".into() }, "source_damaged", vec!["verify"; 3]),
        (TaskFailure::SourceLost { detail: "gone".into() }, "agent_failed", vec![]),
        (TaskFailure::Disk { detail: "EIO".into() }, "agent_failed", vec![]),
        (TaskFailure::DiskFull, "agent_failed", vec![]),
    ];
    for (cause, code, expected) in cases {
        let (mut play, tablet, replicas, target) = short();
        let task = play.copy(tablet, replicas[0], target).unwrap();
        let Target::NewOn { node, .. } = target else { unreachable!() };
        let fresh = *play.sample.replicas(tablet).last().unwrap();
        let failed = TaskProgress::Failed { cause };
        let actions = told(&mut play, node, tablet, fresh, task, failed.clone());
        let Some(Outcome::Cancelled { cause }) = ended(&actions) else { panic!("{actions:?}") };
        assert_eq!(cause.code(), code);
        assert_eq!(names(&actions), expected);
        assert_eq!(play.sample.replicas(tablet), replicas);
        assert_eq!(names(&told(&mut play, node, tablet, fresh, task, failed)), Vec::<&str>::new(), "told twice");
    }
}

/// A copy that we do not know is cancelled on its agent; one that was given up and arrives all the same is a stray.
#[test]
fn unknown_copies() {
    let (mut play, tablet, replicas, target) = short();
    let task = play.copy(tablet, replicas[0], target).unwrap();
    let Target::NewOn { node, disk } = target else { unreachable!() };
    let fresh = *play.sample.replicas(tablet).last().unwrap();
    let cancel = Proposal::Cancel { tablet, task: TaskId(task), cause: Reason::NowHealthy };
    let actions = play.happens(EventBody::Propose(cancel.clone()));
    assert_eq!(names(&actions), ["cancel"]);
    assert_eq!(play.sample.replicas(tablet), replicas);
    let again = play.happens(EventBody::Propose(cancel));
    assert!(matches!(answer(&again), Answer::Refused(Reason::RevisionMoved { .. })));
    let running = TaskProgress::Running { bytes_done: 1, bytes_total: 2 };
    assert_eq!(names(&told(&mut play, node, tablet, fresh, task, running)), ["cancel"]);
    let actions = play.delta(node, vec![Fact::Replica(fact_of(tablet, fresh, disk, Version(1)))]);
    assert!(!names(&actions).contains(&"drop"), "it may be all that is left");
    assert!(play.sample.replicas(tablet).contains(&fresh), "it is needed: adopted");
}

/// Copies of an earlier leadership go on where a report names them, and end where a full report does not.
#[test]
fn adoption_after_a_restart() {
    for named in [true, false] {
        let (mut play, tablet, replicas, target) = short();
        let task = play.copy(tablet, replicas[0], target).unwrap();
        let Target::NewOn { node, .. } = target else { unreachable!() };
        let fresh = *play.sample.replicas(tablet).last().unwrap();
        play.restarts();
        play.returns(node, 31);
        let state = TaskProgress::Running { bytes_done: 5, bytes_total: 9 };
        let fact = Fact::Task(TaskFact { task: TaskId(task), tablet, replica: fresh, state });
        let actions = play.full(node, if named { vec![fact] } else { vec![] });
        assert_eq!(play.world().tasks.contains_key(&tablet), named);
        assert_eq!(play.sample.replicas(tablet).contains(&fresh), named);
        assert_eq!(names(&actions).contains(&"cancel"), !named);
    }
}

/// In the leadership that gave it, an order that a full report does not show is given again.
#[test]
fn a_lost_order_is_given_again() {
    let (mut play, tablet, replicas, target) = short();
    play.copy(tablet, replicas[0], target).unwrap();
    let Target::NewOn { node, .. } = target else { unreachable!() };
    assert_eq!(names(&play.full(node, vec![])), ["clone"]);
    assert_eq!(names(&play.passes(11_000)), ["clone"], "and when nothing moves for a while");
    assert!(play.world().tasks.contains_key(&tablet));
}

/// A bad replica is trusted again only by our own copy, and only if its bytes were checked since that began.
#[test]
fn mending_in_place() {
    for (name, with_task, age_ms, is_mended) in [
        ("checked since", true, Some(0), true),
        ("checked before", true, Some(60_000), false),
        ("not checked", true, None, false),
        ("without a copy of ours", false, Some(0), false),
    ] {
        let (mut play, tablet) = Play::loaded(3);
        let replicas = play.sample.replicas(tablet);
        let node = play.sample.replica(tablet, replicas[1]).node;
        let fact = ReplicaFact { bad: Some("rot".into()), ..play.fact(tablet, replicas[1], 1) };
        play.delta(node, vec![Fact::Replica(fact)]);
        if with_task {
            play.copy(tablet, replicas[0], Target::Existing(replicas[1])).unwrap();
        }
        play.sample.at = play.sample.at.plus(5_000);
        let fact = ReplicaFact { verified_age_ms: age_ms, ..play.fact(tablet, replicas[1], 1) };
        play.delta(node, vec![Fact::Replica(fact)]);
        assert_eq!(play.sample.replica(tablet, replicas[1]).bad.is_none(), is_mended, "{name}");
        assert_eq!(play.world().tasks.contains_key(&tablet), with_task && !is_mended, "{name}");
    }
}

/// An empty tablet's copy is simply made.
#[test]
fn a_copy_of_nothing() {
    let mut sample = Sample::new(4, 1);
    let tablet = sample.table(3, 1)[0];
    let mut play = Play::new(sample);
    let (source, node) = (play.sample.replicas(tablet)[0], play.sample.nodes()[3]);
    let disk = play.sample.disks_of(node)[0];
    let revision = play.sample.tablet(tablet).revision;
    let (status, priority) = (TabletStatus::ReplicaMissing, Priority::Normal);
    let target = Target::NewOn { node, disk };
    let proposal = Proposal::Clone { tablet, revision, status, priority, source, target };
    assert_eq!(names(&play.happens(EventBody::Propose(proposal))), ["create"]);
    let fresh = *play.sample.replicas(tablet).last().unwrap();
    play.sees(tablet, fresh, 0);
    assert_eq!(play.sample.replica(tablet, fresh).state, ReplicaState::Normal);
}

/// Progress grows; late words of it do not shrink it.
#[test]
fn progress_only_grows() {
    let (mut play, tablet, replicas, target) = short();
    let task = play.copy(tablet, replicas[0], target).unwrap();
    let Target::NewOn { node, .. } = target else { unreachable!() };
    let fresh = *play.sample.replicas(tablet).last().unwrap();
    for (bytes_done, expected) in [(5, 5), (9, 9), (5, 9)] {
        told(&mut play, node, tablet, fresh, task, TaskProgress::Running { bytes_done, bytes_total: 10 });
        assert_eq!(play.world().tasks[&tablet].bytes_done, expected);
    }
}

/// What has ended stays known over a restart and over a snapshot of the store, with what it took; the latest
/// `history_max` of it.
#[test]
fn history_survives_a_restart() {
    let (mut play, tablet, replicas, target) = short();
    let Target::NewOn { node, .. } = target else { unreachable!() };
    let task = play.copy(tablet, replicas[0], target).unwrap();
    let fresh = *play.sample.replicas(tablet).last().unwrap();
    let running = TaskProgress::Running { bytes_done: 70, bytes_total: 100 };
    told(&mut play, node, tablet, fresh, task, running);
    play.passes(2_000);
    told(&mut play, node, tablet, fresh, task, TaskProgress::Failed { cause: TaskFailure::DiskFull });
    let again = play.copy(tablet, replicas[0], target).unwrap();
    let fresh = *play.sample.replicas(tablet).last().unwrap();
    play.sees(tablet, fresh, 1);

    let ends = |play: &Play| play.world().history.iter().cloned().collect::<Vec<_>>();
    let told = ends(&play);
    assert_eq!(told.iter().map(|past| past.task.id.0).collect::<Vec<_>>(), [again, task]);
    assert!(matches!(told[0].outcome, Outcome::Finished { .. }), "{told:#?}");
    assert!(matches!(told[1].outcome, Outcome::Cancelled { .. }), "{told:#?}");
    let (size, end) = (play.sample.replica(tablet, fresh).seen.as_ref().unwrap().size, told[0].end);
    assert!(size > 0 && (end.bytes_done, end.bytes_total) == (size, size), "all of a new copy was moved: {end:?}");
    let failed = told[1].end;
    assert_eq!((failed.bytes_done, failed.bytes_total, failed.took_ms), (70, 100, 2_000));
    assert!(failed.wall_ms > 0);
    play.restarts();
    assert_eq!(ends(&play), told, "replayed from the log");
    play.log = replay::as_changes(play.world());
    play.restarts();
    assert_eq!(ends(&play), told, "replayed from a snapshot");
    knobs(&mut play, |knobs| knobs.history_max = 1);
    play.restarts();
    assert_eq!(ends(&play), told[..1], "and no more than is wanted");
}
