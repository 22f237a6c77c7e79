//! Tablets of which no replica is complete.

use super::*;
use crate::checkup;
use crate::world::{Salvage, Work};
use stele_common::{CloneOrder, Liveness, ReplicaState, TaskFact, TaskFailure, TaskId, TaskProgress, TrashFact};

/// The copies among the orders. Each leaves time for all its sources before it counts as stalled.
fn copies(actions: &[Action]) -> Vec<(NodeId, CloneOrder)> {
    let copies = orders(actions).into_iter().filter_map(|(node, order)| match order {
        OrderBody::Clone(order) => Some((node, order.clone())),
        _ => None,
    });
    let copies: Vec<(NodeId, CloneOrder)> = copies.collect();
    for (_, order) in &copies {
        assert!(order.stall_ms * (order.sources.len() as u64 + 1) < 60_000, "{order:?}");
    }
    copies
}

fn sources(order: &CloneOrder) -> Vec<ReplicaId> {
    order.sources.iter().map(|source| source.replica).collect()
}

/// A replica reports that it is damaged.
fn rots(play: &mut Play, tablet: TabletId, replica: ReplicaId) -> Vec<Action> {
    let (node, mut fact) = (play.sample.replica(tablet, replica).node, play.fact(tablet, replica, 1));
    (fact.bad, fact.verified_age_ms) = (Some("data/1/a fails its digest".into()), None);
    play.delta(node, vec![Fact::Replica(fact)])
}

fn status(play: &Play, tablet: TabletId) -> TabletStatus {
    checkup::verdict::verdict(play.world(), play.sample.tablet(tablet), play.sample.at).status
}

fn salvage(play: &Play, tablet: TabletId) -> Option<&Salvage> {
    play.world().salvages.get(&tablet)
}

fn fails(play: &mut Play, tablet: TabletId, task: TaskId, node: NodeId) {
    let Work::Clone { replica, .. } = play.world().tasks[&tablet].work else { panic!("no copy") };
    let cause = TaskFailure::SourceDamaged { path: "data/1/a (damaged in replica 7 and 8)".into() };
    let state = TaskProgress::Failed { cause };
    play.delta(node, vec![Fact::Task(TaskFact { task, tablet, replica, state })]);
}

/// All three copies damaged: what is left is put together in one of them from the others, at once; a report that shows
/// it whole makes it count, and the tablet is repaired from it.
#[test]
fn all_copies_damaged() {
    let (mut play, tablet) = Play::loaded(3);
    let replicas = play.sample.replicas(tablet);
    assert!(copies(&rots(&mut play, tablet, replicas[0])).is_empty());
    assert!(copies(&rots(&mut play, tablet, replicas[1])).is_empty());
    let ordered = copies(&rots(&mut play, tablet, replicas[2]));
    let [(node, order)] = &ordered[..] else { panic!("{ordered:?}") };
    assert_eq!(status(&play, tablet), TabletStatus::Unrecoverable);
    assert_eq!((*node, order.label.replica), (play.sample.replica(tablet, replicas[0]).node, replicas[0]));
    assert_eq!((order.version, order.hash), (Version(1), hash_of(tablet, Version(1))));
    assert_eq!(
        sources(order),
        [replicas[1], replicas[2], replicas[0]],
        "itself last: its manifest may be the only one"
    );
    play.sample.at = play.sample.at.plus(1_000);
    play.sees(tablet, replicas[0], 1);
    assert_eq!(play.sample.replica(tablet, replicas[0]).bad, None);
    assert!(play.world().tasks.is_empty());
    assert_ne!(status(&play, tablet), TabletStatus::Unrecoverable);
    play.passes(5_000);
    assert!(play.world().salvages.is_empty());
}

/// What is waited for, and what is not: a node that may come back first; one that is lost not.
#[test]
fn what_may_come_back_is_waited_for() {
    let (mut play, tablet) = Play::loaded(3);
    let replicas = play.sample.replicas(tablet);
    let away = play.sample.replica(tablet, replicas[0]).node;
    play.happens(EventBody::NodeTurned { node: away, liveness: Liveness::Silent });
    rots(&mut play, tablet, replicas[1]);
    assert!(copies(&rots(&mut play, tablet, replicas[2])).is_empty());
    assert!(copies(&play.passes(6_000)).is_empty(), "it is only silent");
    play.happens(EventBody::NodeTurned { node: away, liveness: Liveness::Lost });
    let ordered = copies(&play.passes(5_000));
    assert_eq!(ordered.len(), 1, "{ordered:?}");
    assert_eq!(sources(&ordered[0].1), [replicas[2], replicas[1]]);
}

/// Strays and trash on live nodes are sources too; those on nodes that are away, or of other tablets, are not.
#[test]
fn strays_and_trash_are_sources() {
    let (mut play, tablet) = Play::loaded(6);
    let replicas = play.sample.replicas(tablet);
    let used: Vec<NodeId> = play.sample.tablet(tablet).replicas.iter().map(|replica| replica.node).collect();
    let free: Vec<NodeId> = play.sample.nodes().into_iter().filter(|node| !used.contains(node)).collect();
    let (stray, trashed, elsewhere) =
        (ReplicaId(play.sample.id()), ReplicaId(play.sample.id()), ReplicaId(play.sample.id()));
    play.log = replay::as_changes(play.world());
    let disk = |play: &Play, node| play.sample.disks_of(node)[0];
    let rotten = ReplicaFact { bad: Some("rot".into()), ..fact_of(tablet, stray, disk(&play, free[0]), Version(1)) };
    play.delta(free[0], vec![Fact::Replica(rotten)]);
    let trash = |play: &Play, tablet, replica, node| {
        Fact::Trash(TrashFact { tablet, replica, disk: disk(play, node), bytes: 1, age_ms: 0, due: true })
    };
    let facts = vec![trash(&play, tablet, trashed, free[1]), trash(&play, TabletId(10_003), elsewhere, free[1])];
    play.delta(free[1], facts);
    let mut ordered = Vec::new();
    for replica in &replicas {
        ordered.extend(copies(&rots(&mut play, tablet, *replica)));
    }
    assert_eq!(sources(&ordered[0].1), [replicas[1], replicas[2], stray, trashed, replicas[0]]);
    // What a salvage may need stays, though its agent would like to free it.
    assert!(!names(&play.passes(120_000)).iter().any(|name| ["purge", "drop"].contains(name)));
    // No copy in the catalog can take it: a new one is made beside the bytes that are left.
    let mut alone = Play { sample: play.sample.clone(), log: play.log.clone() };
    let task = alone.world().tasks[&tablet].id;
    for node in used {
        alone.happens(EventBody::NodeTurned { node, liveness: Liveness::Lost });
    }
    alone.happens(EventBody::Propose(Proposal::Cancel { tablet, task, cause: Reason::NodeLost { node: free[0] } }));
    let ordered = copies(&alone.passes(20_000));
    assert_eq!(ordered[0].0, free[0], "{ordered:?}");
    assert_eq!(sources(&ordered[0].1), [stray, trashed]);
    let made = alone.sample.replica(tablet, ordered[0].1.label.replica);
    assert_eq!((made.state, made.node), (ReplicaState::Clone, free[0]));
}

/// A failure is remembered with what is missing, tried again ever more seldom, in another place each time; something
/// new is a reason to try at once.
#[test]
fn failures_are_told_and_rest() {
    let (mut play, tablet) = Play::loaded(4);
    let replicas = play.sample.replicas(tablet);
    let mut ordered = Vec::new();
    for replica in &replicas {
        ordered.extend(copies(&rots(&mut play, tablet, *replica)));
    }
    let (mut at, mut tried) = (play.sample.at, vec![ordered[0].1.label.replica]);
    let mut pauses = Vec::new();
    for _ in 0..3 {
        let (node, order) = ordered.remove(0);
        fails(&mut play, tablet, order.task, node);
        let cause = salvage(&play, tablet).and_then(|salvage| salvage.cause.clone()).unwrap();
        assert!(matches!(&cause, Reason::Unsalvaged { .. }) && cause.detail().contains("data/1/a"), "{cause}");
        while ordered.is_empty() {
            ordered = copies(&play.passes(1_000));
        }
        pauses.push(play.sample.at.since(at) / 10_000);
        at = play.sample.at;
        tried.push(ordered[0].1.label.replica);
    }
    assert_eq!(pauses, [6, 12, 24], "tens of seconds");
    assert_eq!(tried, [replicas[0], replicas[1], replicas[2], replicas[0]]);
    let (node, order) = ordered.remove(0);
    fails(&mut play, tablet, order.task, node);
    let explained = crate::explain::tablet(play.world(), &Default::default(), tablet, play.sample.at, 0).unwrap();
    assert!(explained.waits_for.iter().any(|refusal| refusal.code == "unsalvaged"), "{:?}", explained.waits_for);
    // Its old bytes turn up in somebody's trash.
    let node = play
        .sample
        .nodes()
        .into_iter()
        .find(|node| play.sample.tablet(tablet).replicas.iter().all(|replica| replica.node != *node));
    let (node, replica) = (node.unwrap(), ReplicaId(10_005));
    let disk = play.sample.disks_of(node)[0];
    play.delta(node, vec![Fact::Trash(TrashFact { tablet, replica, disk, bytes: 1, age_ms: 0, due: false })]);
    let ordered = copies(&play.passes(10_000));
    assert!(sources(&ordered[0].1).contains(&replica));
}

/// A thousand tablets without a copy are not put together at once, and none while the store may be old.
#[test]
fn bounded_and_obedient() {
    let mut sample = Sample::new(3, 8);
    let tablets = sample.table(3, 60);
    tablets.iter().for_each(|tablet| _ = sample.load_all(*tablet));
    let mut play = Play::new(sample);
    for tablet in &tablets {
        for replica in play.sample.replicas(*tablet) {
            rots(&mut play, *tablet, replica);
        }
    }
    play.passes(30_000);
    assert_eq!(play.world().tasks.len(), 8);
    let (mut blind, tablet) = Play::loaded(3);
    let cause = Some(Reason::LevelForbids { level: "BLIND".into(), by: String::new() });
    blind.sample.apply(Change::LevelTurned { level: stele_common::status::Level::Blind, cause });
    for replica in blind.sample.replicas(tablet) {
        assert!(copies(&rots(&mut blind, tablet, replica)).is_empty());
    }
    assert!(copies(&blind.passes(10_000)).is_empty());
}

/// A copy of a tablet that has whole replicas names them first, and the others after them: a file that turns out
/// damaged is taken from there.
#[test]
fn any_copy_may_use_what_is_left() {
    let (mut play, tablet) = Play::loaded(4);
    let replicas = play.sample.replicas(tablet);
    rots(&mut play, tablet, replicas[0]);
    let used: Vec<NodeId> = play.sample.tablet(tablet).replicas.iter().map(|replica| replica.node).collect();
    let node = play.sample.nodes().into_iter().find(|node| !used.contains(node)).unwrap();
    let disk = play.sample.disks_of(node)[0];
    let revision = play.sample.tablet(tablet).revision;
    let (status, priority) = (TabletStatus::ReplicaMissing, Priority::Normal);
    let target = crate::event::Target::NewOn { node, disk };
    let proposal = Proposal::Clone { tablet, revision, status, priority, source: replicas[1], target };
    let ordered = copies(&play.happens(EventBody::Propose(proposal)));
    assert_eq!(sources(&ordered[0].1), [replicas[1], replicas[2], replicas[0]]);
}

/// A copy that lands below what was committed meanwhile is marked, and helped before any surplus is judged.
#[test]
fn landed_behind() {
    for (commits, marked) in [(0, false), (1, true)] {
        let (mut play, tablet) = Play::loaded(4);
        let holders = play.sample.replicas(tablet);
        let node = play.sample.host(1);
        play.log = replay::as_changes(play.world());
        let disk = play.sample.disks_of(node)[0];
        play.copy(tablet, holders[0], crate::event::Target::NewOn { node, disk }).unwrap();
        let made = *play.sample.replicas(tablet).last().unwrap();
        for _ in 0..commits {
            play.sample.load(tablet, &holders);
        }
        play.sees(tablet, made, 1);
        assert_eq!(play.sample.replica(tablet, made).further_repair.is_some(), marked);
        assert_eq!(status(&play, tablet) == TabletStatus::NeedFurtherRepair, marked);
        assert!(play.world().tasks.is_empty());
    }
}

/// Replicas of one version with different content: seen, named, counted, and the record decides, not the number.
#[test]
fn the_record_is_the_truth() {
    let (mut play, tablet) = Play::loaded(3);
    let replicas = play.sample.replicas(tablet);
    assert!(!play.sample.tablet(tablet).is_inconsistent());
    let mut named = Vec::new();
    for replica in &replicas[..2] {
        let (node, mut fact) = (play.sample.replica(tablet, *replica).node, play.fact(tablet, *replica, 1));
        fact.hash = stele_common::Digest::of(b"the majority");
        named.extend(play.delta(node, vec![Fact::Replica(fact)]).into_iter().filter_map(|action| match action {
            Action::Explain(Reason::Inconsistent { replica, recorded, .. }) => Some((replica, recorded)),
            _ => None,
        }));
    }
    let recorded = hash_of(tablet, Version(1));
    assert_eq!(named, [(replicas[0], recorded), (replicas[1], recorded)]);
    assert!(play.sample.tablet(tablet).is_inconsistent());
    let bad: Vec<bool> = replicas.iter().map(|id| play.sample.replica(tablet, *id).bad.is_some()).collect();
    assert_eq!(bad, [true, true, false], "two against one, and the one is right");
    // An answer to a Confirm that names other content has the replica read.
    let (node, replica) = (play.sample.replica(tablet, replicas[2]).node, replicas[2]);
    let (version, hash) = (Version(1), stele_common::Digest::of(b"x"));
    let actions = play.delta(node, vec![Fact::Confirmed { tablet, replica, version, hash, nonce: 5 }]);
    assert_eq!(names(&actions), ["verify"]);
}
