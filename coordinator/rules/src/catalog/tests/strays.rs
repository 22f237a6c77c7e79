//! Replicas that the catalog does not know, and the trash.

use super::*;
use stele_common::{Liveness, TrashFact};

/// A healthy tablet, and on a fourth host a stray of it at `version`, as it would be reported.
fn with_stray(version: u64) -> (Play, TabletId, NodeId, ReplicaFact) {
    let (mut play, tablet) = Play::loaded(4);
    let used: Vec<NodeId> = play.sample.tablet(tablet).replicas.iter().map(|replica| replica.node).collect();
    let node = play.sample.nodes().into_iter().find(|node| !used.contains(node)).unwrap();
    let (id, disk) = (ReplicaId(play.sample.id()), play.sample.disks_of(node)[0]);
    play.log = replay::as_changes(play.world());
    (play, tablet, node, fact_of(tablet, id, disk, Version(version)))
}

fn lose_one(play: &mut Play, tablet: TabletId) {
    let node = play.sample.tablet(tablet).replicas[0].node;
    play.sample.turn(node, Liveness::Lost);
}

/// Answers every Confirm among the actions.
fn answer_confirms(play: &mut Play, actions: &[Action]) -> Vec<Action> {
    let asked: Vec<_> = orders(actions).into_iter().map(|(_, order)| order.clone()).collect();
    let mut actions = Vec::new();
    for order in asked {
        if let OrderBody::Confirm { tablet, replica, nonce } = order {
            actions.extend(play.confirms(tablet, replica, nonce));
        }
    }
    actions
}

/// A good stray is adopted when its tablet lacks copies, and only then.
#[test]
fn adoption() {
    type Spoil = fn(&mut Play, TabletId, &mut ReplicaFact);
    let cases: [(&str, Spoil, bool); 6] = [
        ("needed", |play, tablet, _| lose_one(play, tablet), true),
        ("not needed", |_, _, _| {}, false),
        (
            "bad",
            |play, tablet, fact| {
                lose_one(play, tablet);
                fact.bad = Some("rot".into())
            },
            false,
        ),
        (
            "other content",
            |play, tablet, fact| {
                lose_one(play, tablet);
                fact.hash = stele_common::Digest::of(b"x")
            },
            false,
        ),
        (
            "empty",
            |play, tablet, fact| {
                lose_one(play, tablet);
                *fact = fact_of(tablet, fact.replica, fact.disk, Version(0))
            },
            false,
        ),
        (
            "a copy is there already",
            |play, tablet, fact| {
                lose_one(play, tablet);
                let other = play.sample.tablet(tablet).replicas[1].node;
                let twin = play.sample.disk(other, stele_common::Medium::Hdd);
                fact.disk = twin;
            },
            false,
        ),
    ];
    for (name, spoil, adopted) in cases {
        let (mut play, tablet, _, mut fact) = with_stray(1);
        spoil(&mut play, tablet, &mut fact);
        play.log = replay::as_changes(play.world());
        let node = play.world().disks[&fact.disk].node;
        let actions = play.delta(node, vec![Fact::Replica(fact.clone())]);
        assert_eq!(play.sample.replicas(tablet).contains(&fact.replica), adopted, "{name}");
        assert_eq!(asks_full_report(&actions), adopted, "{name}");
        assert!(!names(&actions).contains(&"drop"), "{name}");
    }
}

/// A stray that nobody needs goes when n others have answered for it; until then it is kept and shown.
#[test]
fn a_stray_goes_on_evidence() {
    let (mut play, tablet, node, fact) = with_stray(1);
    play.delta(node, vec![Fact::Replica(fact.clone())]);
    let actions = play.passes(1_000);
    assert_eq!(names(&actions), ["confirm"; 3]);
    assert!(play.world().strays.contains_key(&(tablet, fact.replica)));
    assert_eq!(names(&answer_confirms(&mut play, &actions)), ["drop"]);
    // The drop was lost: no second one without new evidence.
    let actions = play.passes(59_000);
    assert_eq!(names(&actions), Vec::<&str>::new());
    let actions = play.passes(5_000);
    assert!(names(&actions).contains(&"confirm"));
    assert_eq!(names(&answer_confirms(&mut play, &actions)), ["drop"]);
    let trash = TrashFact { tablet, replica: fact.replica, disk: fact.disk, bytes: 1, age_ms: 0, due: false };
    play.delta(node, vec![Fact::ReplicaGone { tablet, replica: fact.replica, disk: fact.disk }, Fact::Trash(trash)]);
    assert!(play.world().strays.is_empty() && play.world().condemned.is_empty());
}

/// What was ordered away is not taken back: the order may still be on its way.
#[test]
fn the_condemned_are_not_adopted() {
    let (mut play, tablet, node, fact) = with_stray(1);
    play.delta(node, vec![Fact::Replica(fact.clone())]);
    let actions = play.passes(1_000);
    assert_eq!(names(&answer_confirms(&mut play, &actions)), ["drop"]);
    lose_one(&mut play, tablet);
    play.delta(node, vec![Fact::Replica(fact.clone())]);
    play.passes(30_000);
    assert!(!play.sample.replicas(tablet).contains(&fact.replica));
    // Under a new leadership no order of the old one is followed any more.
    play.restarts();
    for (index, node) in play.sample.nodes().into_iter().enumerate() {
        let here = play.sample.tablet(tablet).replicas.iter().find(|replica| replica.node == node).map(|r| r.id);
        if here == Some(play.sample.replicas(tablet)[0]) {
            play.happens(EventBody::NodeTurned { node, liveness: Liveness::Lost });
            continue;
        }
        play.returns(node, 80 + index as u64);
        let facts = here.map(|replica| Fact::Replica(play.fact(tablet, replica, 1)));
        play.full(
            node,
            facts.into_iter().chain((node == self_of(&play, &fact)).then(|| Fact::Replica(fact.clone()))).collect(),
        );
    }
    play.passes(3_000);
    assert!(play.sample.replicas(tablet).contains(&fact.replica));
}

fn self_of(play: &Play, fact: &ReplicaFact) -> NodeId {
    play.world().disks[&fact.disk].node
}

/// A tablet that is not whole keeps every stray, good or bad.
#[test]
fn strays_of_the_unwell_stay() {
    let (mut play, tablet, node, fact) = with_stray(1);
    let fact = ReplicaFact { bad: Some("rot".into()), ..fact };
    lose_one(&mut play, tablet);
    play.delta(node, vec![Fact::Replica(fact)]);
    assert_eq!(names(&play.passes(120_000)), Vec::<&str>::new());
    assert_eq!(play.world().strays.len(), 1);
}

/// The age of trash goes on between the reports that tell it.
#[test]
fn trash_ages() {
    let (mut play, tablet, node, fact) = with_stray(1);
    let trash = TrashFact { tablet, replica: fact.replica, disk: fact.disk, bytes: 1, age_ms: 9_000, due: false };
    play.delta(node, vec![Fact::Trash(trash)]);
    let told = play.world().trash[&fact.replica].clone();
    assert_eq!([0, 60_000].map(|ms| told.age_ms(told.seen.plus(ms))), [9_000, 69_000]);
}

/// Trash is purged when its agent would like to and n others answer for it, or at a user's word; never otherwise.
#[test]
fn trash() {
    for (name, due, ill, dropped, expected) in [
        ("due", true, false, false, vec!["purge"]),
        ("not due", false, false, false, vec![]),
        ("due, one copy lost", true, true, false, vec![]),
        ("due, table dropped", true, false, true, vec!["purge"]),
    ] {
        let (mut play, tablet, node, fact) = with_stray(1);
        if ill {
            lose_one(&mut play, tablet);
        }
        if dropped {
            play.happens(EventBody::DropTable { db: "d".into(), name: "t1".into() });
        }
        let trash = TrashFact { tablet, replica: fact.replica, disk: fact.disk, bytes: 1, age_ms: 9, due };
        play.delta(node, vec![Fact::Trash(trash)]);
        let mut actions = play.passes(1_000);
        let answers = answer_confirms(&mut play, &actions);
        actions.extend(answers);
        let mut got = names(&actions);
        got.retain(|name| *name != "confirm");
        assert_eq!(got, expected, "{name}");
        let gone = Fact::TrashGone { tablet, replica: fact.replica };
        play.delta(node, vec![gone]);
        assert!(play.world().trash.is_empty() && play.world().rounds.is_empty(), "{name}");
    }
}

/// A dropped table's tablets are forgotten once nothing of them is left and everybody has reported; what turns up later
/// all the same is kept and shown, and is no sign of an old store.
#[test]
fn dropped_tablets_are_forgotten() {
    let (mut play, tablet) = Play::loaded(3);
    let replicas: Vec<_> = play.sample.tablet(tablet).replicas.clone();
    let away = play.sample.host(1);
    play.log = replay::as_changes(play.world());
    play.happens(EventBody::DropTable { db: "d".into(), name: "t1".into() });
    play.passes(20_000);
    assert!(play.world().dropped_tablets.contains_key(&tablet), "the drops are on their way");
    for known in &replicas {
        let (replica, disk) = (known.id, known.disk);
        let trash = TrashFact { tablet, replica, disk, bytes: 1, age_ms: 0, due: false };
        play.delta(known.node, vec![Fact::ReplicaGone { tablet, replica, disk }, Fact::Trash(trash)]);
    }
    play.passes(20_000);
    assert!(play.world().dropped_tablets.contains_key(&tablet), "its trash is there");
    play.happens(EventBody::NodeTurned { node: away, liveness: Liveness::Lost });
    for known in &replicas {
        play.delta(known.node, vec![Fact::TrashGone { tablet, replica: known.id }]);
    }
    play.passes(20_000);
    assert!(play.world().dropped_tablets.contains_key(&tablet), "nobody knows what the lost node has");
    play.happens(EventBody::NodeTurned { node: away, liveness: Liveness::Alive });
    play.passes(20_000);
    assert!(play.world().dropped_tablets.is_empty());
    let late = fact_of(tablet, replicas[0].id, replicas[0].disk, Version(1));
    let actions = play.delta(replicas[0].node, vec![Fact::Replica(late)]);
    assert_eq!(names(&actions), Vec::<&str>::new());
    assert_eq!(play.world().level, stele_common::status::Level::Lively);
    assert_eq!(play.world().strays.len(), 1);
    let sequence = play.world().sequence;
    play.restarts();
    assert!(play.world().was_dropped(tablet) && play.world().sequence > sequence);
}

/// While a node that was removed may come back with a replica of a dropped table, or is awaited, the table is not
/// forgotten: what it brings is ordered away, with the evidence.
#[test]
fn a_removed_node_brings_it_back() {
    let (mut play, tablet) = Play::loaded(3);
    let replicas: Vec<_> = play.sample.tablet(tablet).replicas.clone();
    let away = play.sample.host(1);
    let host = play.world().nodes[&away].host.clone();
    play.log = replay::as_changes(play.world());
    let ask = stele_common::api::RemoveAsk { force: true, ..Default::default() };
    play.happens(EventBody::RemoveNode { node: away, ask });
    play.happens(EventBody::DropTable { db: "d".into(), name: "t1".into() });
    let leave = |play: &mut Play, node, replica, disk| {
        let trash = TrashFact { tablet, replica, disk, bytes: 1, age_ms: 0, due: false };
        play.delta(node, vec![Fact::ReplicaGone { tablet, replica, disk }, Fact::Trash(trash)]);
        play.delta(node, vec![Fact::TrashGone { tablet, replica }]);
    };
    replicas.iter().for_each(|known| leave(&mut play, known.node, known.id, known.disk));
    play.passes(20_000);
    assert!(play.world().dropped_tablets.contains_key(&tablet), "it may be admitted again");
    let mut compacted = World::empty(std::sync::Arc::clone(&play.world().knobs));
    replay::as_changes(play.world()).iter().for_each(|change| compacted.apply(change));
    assert_eq!(compacted.removed, play.world().removed);
    assert_eq!((compacted.reserved_id, compacted.removed.len()), (play.world().reserved_id, 1));
    play.happens(EventBody::AdmitNode(stele_common::api::AdmitAsk { host: host.clone(), name: None }));
    play.passes(20_000);
    assert!(play.world().dropped_tablets.contains_key(&tablet), "it is awaited");
    let mut compacted = World::empty(std::sync::Arc::clone(&play.world().knobs));
    replay::as_changes(play.world()).iter().for_each(|change| compacted.apply(change));
    assert_eq!(compacted.expected, play.world().expected);
    let hello = play.hello_of(&host, 900, vec![]);
    assert!(matches!(play.hello(hello), handshake::Answer::Welcome(_)));
    let back = play.world().nodes.values().find(|node| node.host == host).expect("it has joined").id;
    let disk = play.sample.disk(back, stele_common::Medium::Hdd);
    play.full(back, vec![Fact::Replica(fact_of(tablet, ReplicaId(77), disk, Version(1)))]);
    let actions = play.passes(20_000);
    let drops = orders(&actions).into_iter().filter(|(node, order)| {
        *node == back
            && matches!(order, OrderBody::Drop { replica: ReplicaId(77), evidence: Evidence::TableDropped { .. }, .. })
    });
    assert!(drops.count() > 0, "{actions:?}");
    leave(&mut play, back, ReplicaId(77), disk);
    play.passes(20_000);
    assert!(play.world().dropped_tablets.is_empty());
}
