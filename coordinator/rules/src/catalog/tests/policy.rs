//! What is wanted of tables, changed while they live; colocation groups; a person's word on one replica.

use super::*;
use stele_common::{Liveness, Medium};

fn create(name: &str, replication: u32, buckets: u32, colocate: Option<&str>) -> EventBody {
    EventBody::CreateTable(api::TableCreate {
        db: "d".into(),
        name: name.into(),
        replication,
        buckets,
        medium: Medium::Hdd,
        partitions: vec![],
        tag: None,
        colocate: colocate.map(Into::into),
    })
}

fn made(play: &mut Play, name: &str, replication: u32, buckets: u32, colocate: Option<&str>) -> Result<(), Reason> {
    done(play, create(name, replication, buckets, colocate))
}

fn set(play: &mut Play, name: &str, wish: api::TableSet) -> Result<(), Reason> {
    done(play, EventBody::SetTable { db: "d".into(), name: name.into(), wish })
}

fn done(play: &mut Play, body: EventBody) -> Result<(), Reason> {
    match answer(&play.happens(body)) {
        Answer::Done | Answer::Table(_) => Ok(()),
        Answer::Refused(reason) => Err(reason.clone()),
        other => panic!("{other:?}"),
    }
}

fn colocate(group: &str) -> api::TableSet {
    api::TableSet { colocate: Some(group.into()), ..api::TableSet::default() }
}

fn nodes_of(play: &Play, table: &str) -> Vec<Vec<NodeId>> {
    let table = play.world().tables.values().find(|known| known.name == table).expect("it was made");
    let tablets = table.partitions.iter().flat_map(|partition| &partition.tablets);
    tablets.map(|id| play.sample.tablet(*id).replicas.iter().map(|replica| replica.node).collect()).collect()
}

/// Each change is seen by the tablets at once; each refusal has its code and changes nothing.
#[test]
fn tables_change() {
    let mut play = Play::new(Sample::new(5, 1));
    made(&mut play, "t1", 3, 4, None).unwrap();
    let wish = api::TableSet { replication: Some(4), medium: Some(Medium::Ssd), ..api::TableSet::default() };
    set(&mut play, "t1", wish).unwrap();
    assert!(play.world().tablets.iter().all(|tablet| (tablet.wanted, tablet.medium) == (4, Medium::Ssd)));
    let before = durable(play.world());
    let replication = |n| api::TableSet { replication: Some(n), ..api::TableSet::default() };
    let in_partition = |name: &str, wish: api::TableSet| api::TableSet { partition: Some(name.into()), ..wish };
    for (wish, code) in [
        (replication(0), "bad_request"),
        (replication(17), "bad_request"),
        (replication(6), "too_few_hosts"),
        (in_partition("p9", replication(2)), "no_such_partition"),
        (in_partition("p0", colocate("g")), "bad_request"),
        (api::TableSet { tag: Some("cold".into()), ..api::TableSet::default() }, "too_few_hosts"),
        (api::TableSet { tag: Some("a/b".into()), ..api::TableSet::default() }, "bad_request"),
        (colocate("a b"), "bad_request"),
    ] {
        assert_eq!(set(&mut play, "t1", wish.clone()).unwrap_err().code(), code, "{wish:?}");
        assert_eq!(durable(play.world()), before, "{wish:?}");
    }
    assert_eq!(set(&mut play, "t9", replication(2)).unwrap_err().code(), "no_such_table");
    set(&mut play, "t1", in_partition("p0", replication(2))).unwrap();
    assert_eq!(play.world().tablets.iter().next().unwrap().wanted, 2);
}

/// More than two copies too many are not wanted at once: repair may have two to spare.
#[test]
fn copies_are_lowered_in_steps() {
    let mut play = Play::new(Sample::new(5, 1));
    made(&mut play, "t1", 5, 2, None).unwrap();
    let replication = |n| api::TableSet { replication: Some(n), ..api::TableSet::default() };
    assert_eq!(set(&mut play, "t1", replication(2)).unwrap_err().code(), "lower_in_steps");
    set(&mut play, "t1", replication(3)).unwrap();
}

/// Tables of one group stand on the same nodes; one of another shape is refused; the last that leaves ends it.
#[test]
fn groups_are_made_and_joined() {
    let mut play = Play::new(Sample::new(5, 2));
    made(&mut play, "t1", 3, 8, Some("g")).unwrap();
    made(&mut play, "t2", 3, 8, Some("g")).unwrap();
    let sequence = play.world().groups["g"].buckets.clone();
    assert_eq!((nodes_of(&play, "t1"), nodes_of(&play, "t2")), (sequence.clone(), sequence.clone()));
    assert_eq!(made(&mut play, "t3", 3, 4, Some("g")).unwrap_err().code(), "group_mismatch");
    assert_eq!(made(&mut play, "t3", 2, 8, Some("g")).unwrap_err().code(), "group_mismatch");
    let more = api::TableSet { replication: Some(4), ..api::TableSet::default() };
    assert_eq!(set(&mut play, "t1", more).unwrap_err().code(), "group_mismatch");

    made(&mut play, "t3", 3, 8, None).unwrap();
    let own = nodes_of(&play, "t3");
    set(&mut play, "t3", colocate("h")).unwrap();
    assert_eq!(play.world().groups["h"].buckets, own, "a group made by one table begins where it stands");
    set(&mut play, "t3", colocate("g")).unwrap();
    assert!(!play.world().groups.contains_key("h"), "its last table has left");
    assert_eq!(play.world().groups["g"].buckets, sequence);
    for name in ["t1", "t2"] {
        play.happens(EventBody::DropTable { db: "d".into(), name: name.into() });
    }
    assert!(play.world().groups.contains_key("g"));
    set(&mut play, "t3", colocate("")).unwrap();
    assert!(play.world().groups.is_empty());
}

/// A node that is away refuses first replicas of its group; once it is drained or lost for long it is replaced.
#[test]
fn a_group_replaces_its_nodes() {
    let mut play = Play::new(Sample::new(4, 1));
    made(&mut play, "t1", 3, 4, Some("g")).unwrap();
    let node = play.world().groups["g"].buckets[0][0];
    play.happens(EventBody::NodeTurned { node, liveness: Liveness::Silent });
    assert_eq!(made(&mut play, "t2", 3, 4, Some("g")).unwrap_err().code(), "group_node_away");
    play.happens(EventBody::NodeTurned { node, liveness: Liveness::Lost });
    let has = |play: &Play| play.world().groups["g"].buckets.iter().flatten().any(|other| *other == node);
    play.passes(250_000);
    assert!(has(&play), "repair would still wait");
    play.passes(60_000);
    assert!(!has(&play));
    let sequence = play.world().groups["g"].buckets.clone();
    play.restarts();
    assert_eq!(play.world().groups["g"].buckets, sequence);
}

/// Bad by a person's word stays bad until it has been read since the word for good; the last complete one never is.
#[test]
fn a_word_on_a_replica() {
    let (mut play, tablet) = Play::loaded(3);
    let say = |play: &mut Play, replica, state| {
        let wish = api::ReplicaSet { state, owner: "o".into(), reason: "smells".into() };
        done(play, EventBody::SetReplica { tablet, replica, wish })
    };
    use api::ReplicaWord::{Bad, Ok as Good};
    let replicas = play.sample.replicas(tablet);
    say(&mut play, replicas[0], Bad).unwrap();
    assert_eq!(play.sample.replica(tablet, replicas[0]).bad.as_deref(), Some("called bad by o: smells"));
    say(&mut play, replicas[1], Bad).unwrap();
    assert_eq!(say(&mut play, replicas[2], Bad).unwrap_err().code(), "would_be_last");
    assert_eq!(say(&mut play, ReplicaId(1), Bad).unwrap_err().code(), "no_such_replica");

    let wish = api::ReplicaSet { state: Good, owner: "o".into(), reason: String::new() };
    play.sample.at = play.sample.at.plus(1_000);
    let actions = play.happens(EventBody::SetReplica { tablet, replica: replicas[0], wish });
    assert_eq!(names(&actions), ["verify"]);
    play.passes(2_000);
    assert!(play.sample.replica(tablet, replicas[0]).bad.is_some(), "nobody has read it");
    let (node, mut fact) = (play.sample.replica(tablet, replicas[0]).node, play.fact(tablet, replicas[0], 1));
    fact.verified_age_ms = Some(60_000);
    play.delta(node, vec![Fact::Replica(fact)]);
    play.passes(1_000);
    assert!(play.sample.replica(tablet, replicas[0]).bad.is_some(), "that was read before");
    play.sees(tablet, replicas[0], 1);
    play.passes(1_000);
    assert!(play.sample.replica(tablet, replicas[0]).bad.is_none());
    assert!(play.world().pardons.is_empty());
}
