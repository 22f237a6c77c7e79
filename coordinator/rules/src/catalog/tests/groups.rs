//! Sequences of colocation groups as they change on record: who is replaced, who comes back, what is evened and when.

use super::*;
use stele_common::Liveness;

const WAIT: u64 = 15 * 60 * 1_000;

/// Ten tables of one bucket on the first two of so many hosts, in one group.
fn ten(hosts: u64) -> (Play, Vec<TabletId>) {
    let mut sample = Sample::new(hosts, 1);
    let tablets: Vec<TabletId> = (0..10).map(|_| sample.table(2, 1)[0]).collect();
    tablets.iter().for_each(|tablet| _ = sample.load_all(*tablet));
    let mut play = Play::new(sample);
    for number in 1..=10 {
        let wish = api::TableSet { colocate: Some("g".into()), ..api::TableSet::default() };
        let actions = play.happens(EventBody::SetTable { db: "d".into(), name: format!("t{number}"), wish });
        assert!(matches!(answer(&actions), Answer::Done), "{actions:?}");
    }
    (play, tablets)
}

fn sequence(play: &Play) -> Vec<Vec<NodeId>> {
    play.world().groups["g"].buckets.clone()
}

/// The tablet gets a complete copy on the node.
fn copied(play: &mut Play, tablet: TabletId, node: NodeId) {
    let known = play.sample.tablet(tablet).replicas.clone();
    let is_alive = |of: NodeId| play.world().nodes[&of].liveness == Liveness::Alive;
    let source = known.iter().find(|replica| is_alive(replica.node)).expect("one is left").id;
    let disk = play.sample.disks_of(node)[0];
    play.copy(tablet, source, crate::event::Target::NewOn { node, disk }).expect("nothing stands in its way");
    let replica = *play.sample.replicas(tablet).last().expect("it was added just now");
    play.sees(tablet, replica, 1);
}

/// A node that comes back takes its place again while at most 30 % of the bucket has moved, and not after that.
#[test]
fn who_comes_back_takes_its_place() {
    for (moved, is_restored) in [(0, true), (3, true), (4, false), (10, false)] {
        let (mut play, tablets) = ten(3);
        let nodes = play.sample.nodes();
        assert_eq!(sequence(&play), [[nodes[0], nodes[1]]]);
        play.happens(EventBody::NodeTurned { node: nodes[0], liveness: Liveness::Lost });
        play.passes(2_000);
        assert_eq!(sequence(&play), [[nodes[2], nodes[1]]], "one is left: at once");
        for tablet in &tablets[..moved] {
            copied(&mut play, *tablet, nodes[2]);
        }
        play.restarts();
        for node in &nodes {
            play.returns(*node, 77);
            let held =
                tablets.iter().flat_map(|tablet| play.sample.replicas(*tablet).into_iter().map(|id| (*tablet, id)));
            let here = held.filter(|(tablet, id)| play.sample.replica(*tablet, *id).node == *node);
            let facts: Vec<Fact> = here.map(|(tablet, id)| Fact::Replica(play.fact(tablet, id, 1))).collect();
            play.full(*node, facts);
        }
        play.passes(2_000);
        let expected = if is_restored { nodes[0] } else { nodes[2] };
        assert_eq!(sequence(&play), [[expected, nodes[1]]], "{moved} of 10 have moved");
        assert_eq!(play.world().groups["g"].former.is_empty(), is_restored, "it is kept until all stand anew");
    }
}

/// What a bucket was is forgotten as soon as all its tablets stand as it is now.
#[test]
fn what_was_is_forgotten() {
    let (mut play, tablets) = ten(3);
    let nodes = play.sample.nodes();
    play.happens(EventBody::NodeTurned { node: nodes[0], liveness: Liveness::Lost });
    play.passes(2_000);
    for tablet in &tablets {
        copied(&mut play, *tablet, nodes[2]);
        play.passes(1_000);
        assert!(!play.world().groups["g"].former.is_empty());
    }
    for tablet in &tablets {
        let gone = play.sample.tablet(*tablet).replicas.iter().find(|replica| replica.node == nodes[0]).unwrap().id;
        play.sample.forget(*tablet, gone);
    }
    play.passes(2_000);
    assert!(play.world().groups["g"].former.is_empty());
    assert_eq!(sequence(&play), [[nodes[2], nodes[1]]]);
}

/// Groups are evened while all is calm and the level allows it, once, and for good.
#[test]
fn groups_are_evened() {
    let mut play = Play::new(Sample::new(3, 1));
    let wish = api::TableCreate {
        db: "d".into(),
        name: "t1".into(),
        replication: 2,
        buckets: 8,
        medium: stele_common::Medium::Hdd,
        partitions: vec![],
        tag: None,
        colocate: Some("g".into()),
    };
    play.happens(EventBody::CreateTable(wish));
    let ids: Vec<TabletId> = play.world().tablets.iter().map(|tablet| tablet.id).collect();
    for tablet in ids {
        play.sample.replicas(tablet).into_iter().for_each(|replica| _ = play.sees(tablet, replica, 0));
    }
    let before = sequence(&play);
    play.sample.host(1);
    play.log = replay::as_changes(play.world());
    play.passes(WAIT - 1_000);
    assert_eq!(sequence(&play), before, "a node has come lately");
    let steady = |level| EventBody::SetLevel(api::LevelAsk { level, by: "ann".into(), reason: String::new() });
    play.happens(steady(stele_common::status::Level::Steady));
    play.passes(60_000);
    assert_eq!(sequence(&play), before, "steady moves nothing");
    play.happens(steady(stele_common::status::Level::Lively));
    play.passes(21_000);
    let after = sequence(&play);
    let uses = |node: &NodeId| after.iter().flatten().filter(|other| *other == node).count();
    let uses: Vec<usize> = play.sample.nodes().iter().map(uses).collect();
    assert_eq!(uses, [4, 4, 4, 4]);
    play.passes(WAIT);
    assert_eq!(sequence(&play), after);
}
