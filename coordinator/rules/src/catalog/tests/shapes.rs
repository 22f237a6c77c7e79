//! Databases and partitions that come and go, and what is refused of it.

use super::*;
use stele_common::{Evidence, Medium, TableId};

fn table(play: &mut Play, colocate: Option<&str>) -> TableId {
    let actions = play.happens(EventBody::CreateTable(api::TableCreate {
        db: "d".into(),
        name: "t1".into(),
        replication: 2,
        buckets: 3,
        medium: Medium::Hdd,
        partitions: vec![],
        tag: None,
        colocate: colocate.map(String::from),
    }));
    let Answer::Table(id) = answer(&actions) else { panic!("{actions:?}") };
    *id
}

fn add(name: &str, replication: Option<u32>) -> EventBody {
    let wish = api::PartitionAdd { name: name.into(), replication, medium: None };
    EventBody::AddPartition { db: "d".into(), name: "t1".into(), wish }
}

fn drop_partition(name: &str) -> EventBody {
    EventBody::DropPartition { db: "d".into(), name: "t1".into(), partition: name.into() }
}

fn refusal(actions: &[Action]) -> String {
    match answer(actions) {
        Answer::Refused(reason) => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

/// An added partition is placed, ordered and on record as the table's first; a dropped one leaves nothing but orders
/// to drop its replicas, on the user's word; both are there after a restart.
#[test]
fn partitions() {
    for group in [None, Some("g")] {
        let mut play = Play::new(Sample::new(4, 1));
        let id = table(&mut play, group);
        let actions = play.happens(add("p1", None));
        assert!(matches!(answer(&actions), Answer::Done), "{actions:?}");
        assert_eq!(orders(&actions).len(), 6, "a replica each");
        let (first, added) = {
            let partitions = &play.world().tables[&id].partitions;
            (partitions[0].tablets.clone(), partitions[1].clone())
        };
        assert_eq!((added.name.as_str(), added.replication, added.tablets.len()), ("p1", 2, 3));
        for (bucket, tablet) in added.tablets.iter().enumerate() {
            let tablet = play.world().tablets.get(*tablet).unwrap();
            assert_eq!((tablet.bucket as usize, tablet.partition, tablet.replicas.len()), (bucket, added.id, 2));
        }
        assert!(crate::invariants::check(play.world()).is_empty());
        play.restarts();
        assert_eq!(play.world().tables[&id].partitions[1], added);

        let actions = play.happens(drop_partition("p1"));
        assert!(matches!(answer(&actions), Answer::Done), "{actions:?}");
        let world = play.world();
        assert!(added.tablets.iter().all(|tablet| world.tablets.get(*tablet).is_none()));
        assert!(added.tablets.iter().all(|tablet| world.dropped_tablets.contains_key(tablet)));
        assert!(first.iter().all(|tablet| world.tablets.get(*tablet).is_some()));
        assert!(crate::invariants::check(world).is_empty());
        play.restarts();
        assert_eq!(play.world().tables[&id].partitions.len(), 1);
    }
}

/// The replicas of a dropped partition are dropped with the evidence that a person wanted it.
#[test]
fn a_dropped_partition_leaves_the_disks() {
    let mut play = Play::new(Sample::new(3, 1));
    let id = table(&mut play, None);
    play.happens(add("p1", Some(1)));
    let actions = play.happens(drop_partition("p1"));
    let evidence = orders(&actions).into_iter().filter_map(|(_, order)| match order {
        OrderBody::Drop { evidence, .. } => Some(evidence.clone()),
        _ => None,
    });
    let evidence: Vec<Evidence> = evidence.collect();
    assert_eq!(evidence.len(), 3);
    assert!(evidence.iter().all(|evidence| *evidence == Evidence::TableDropped { table: id }));
}

/// Each refusal says why, and changes nothing.
#[test]
fn refused_partitions() {
    let mut play = Play::new(Sample::new(3, 1));
    let id = table(&mut play, None);
    let before = play.world().tables[&id].clone();
    for (body, why) in [
        (add("p0", None), "exists already"),
        (add("a/b", None), "is not a name"),
        (add("p1", Some(0)), "replication is 1 to"),
        (add("p1", Some(4)), "hosts"),
        (drop_partition("p0"), "keeps its last partition"),
        (drop_partition("p9"), "p9"),
    ] {
        let refused = refusal(&play.happens(body));
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(play.world().tables[&id], before);
}

/// A database comes alone, is there after a restart, and goes when it has no tables.
#[test]
fn databases() {
    let mut play = Play::new(Sample::new(3, 1));
    let create = |name: &str| EventBody::CreateDatabase { name: name.into() };
    let drop = |name: &str| EventBody::DropDatabase { name: name.into() };
    assert!(matches!(answer(&play.happens(create("e"))), Answer::Done));
    assert!(refusal(&play.happens(create("e"))).contains("exists already"));
    assert!(refusal(&play.happens(create(""))).contains("is not a name"));
    table(&mut play, None);
    assert!(refusal(&play.happens(drop("d"))).contains("has 1 tables"));
    assert!(refusal(&play.happens(drop("f"))).contains("there is no database"));
    play.restarts();
    assert!(play.world().databases.contains_key("e"));
    assert!(matches!(answer(&play.happens(drop("e"))), Answer::Done));
    play.restarts();
    assert_eq!(play.world().databases.keys().collect::<Vec<_>>(), ["d"]);
}

/// Only the named tablets are read.
#[test]
fn some_tablets_are_verified() {
    let mut play = Play::new(Sample::new(3, 1));
    let id = table(&mut play, None);
    let tablet = play.world().tables[&id].partitions[0].tablets[1];
    let actions = play.happens(EventBody::Verify(api::VerifyStart { table: None, tablets: vec![tablet] }));
    let Answer::Verification(number) = answer(&actions) else { panic!("{actions:?}") };
    let asked = &play.world().verifications[number].replicas;
    assert_eq!((asked.len(), asked.iter().all(|(of, ..)| *of == tablet)), (2, true));
}
