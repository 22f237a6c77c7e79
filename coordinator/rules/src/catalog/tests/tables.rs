//! Where first replicas are placed, what is refused, and what a dropped table leaves behind.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskState, Liveness, Medium};

fn wish(replication: u32, buckets: u32) -> api::TableCreate {
    let (db, name, partitions, tag, colocate) = ("d".into(), "t1".into(), vec![], None, None);
    api::TableCreate { db, name, replication, buckets, medium: Medium::Hdd, partitions, tag, colocate }
}

fn create(play: &mut Play, wish: api::TableCreate) -> Result<Vec<TabletId>, Reason> {
    let actions = play.happens(EventBody::CreateTable(wish));
    match answer(&actions) {
        Answer::Table(id) => Ok(play.world().tables[id].partitions.iter().flat_map(|p| p.tablets.clone()).collect()),
        Answer::Refused(reason) => Err(reason.clone()),
        other => panic!("{other:?}"),
    }
}

/// Every tablet on different hosts, every disk within one replica of every other, an order for each replica.
#[test]
fn first_replicas_are_spread() {
    for (hosts, disks, n, buckets) in [(3, 1, 3, 16), (5, 2, 3, 64), (4, 2, 2, 7), (1, 3, 1, 9), (7, 1, 3, 100)] {
        let mut play = Play::new(Sample::new(hosts, disks));
        let actions = play.happens(EventBody::CreateTable(wish(n, buckets)));
        assert_eq!(orders(&actions).len() as u32, n * buckets);
        let mut counts: BTreeMap<DiskId, u32> = play.world().disks.keys().map(|disk| (*disk, 0)).collect();
        for tablet in play.world().tablets.iter() {
            let nodes: BTreeSet<_> = tablet.replicas.iter().map(|replica| replica.node).collect();
            assert_eq!(nodes.len() as u32, n);
            tablet.replicas.iter().for_each(|replica| *counts.get_mut(&replica.disk).unwrap() += 1);
        }
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert!(most - least <= 1, "{hosts} hosts, {disks} disks: {counts:?}");
    }
}

/// A second table fills up where the first left room.
#[test]
fn later_tables_reckon_with_earlier_ones() {
    let mut play = Play::new(Sample::new(2, 1));
    create(&mut play, wish(1, 1)).unwrap();
    let second = api::TableCreate { name: "t2".into(), ..wish(1, 1) };
    create(&mut play, second).unwrap();
    let disks: BTreeSet<_> = play.world().tablets.iter().map(|tablet| tablet.replicas[0].disk).collect();
    assert_eq!(disks.len(), 2);
}

/// Each refusal, with its numbers; a refused table leaves nothing on record.
#[test]
fn what_is_refused() {
    type Spoil = fn(&mut Play);
    let cases: [(&str, api::TableCreate, Spoil, &str); 9] = [
        ("more copies than hosts", wish(4, 1), |_| {}, "too_few_hosts"),
        (
            "a host is silent",
            wish(3, 1),
            |play| {
                let n = play.sample.nodes()[0];
                play.sample.turn(n, Liveness::Silent)
            },
            "too_few_hosts",
        ),
        (
            "a host has not reported",
            wish(3, 1),
            |play| {
                let node = play.sample.nodes()[0];
                play.sample.apply(Change::ReportsBroken { node })
            },
            "too_few_hosts",
        ),
        (
            "a disk is suspect",
            wish(3, 1),
            |play| {
                let d = play.sample.disks_of(play.sample.nodes()[0])[0];
                play.sample.disk_state(d, DiskState::Suspect)
            },
            "too_few_hosts",
        ),
        (
            "a disk is full",
            wish(3, 1),
            |play| {
                let d = play.sample.disks_of(play.sample.nodes()[0])[0];
                play.sample.fill(d, 990, 1000)
            },
            "too_few_hosts",
        ),
        ("no copies", wish(0, 1), |_| {}, "bad_request"),
        ("no buckets", wish(3, 0), |_| {}, "bad_request"),
        ("a name with a slash", api::TableCreate { name: "a/b".into(), ..wish(3, 1) }, |_| {}, "bad_request"),
        (
            "a partition twice",
            api::TableCreate { partitions: vec!["p".into(), "p".into()], ..wish(3, 1) },
            |_| {},
            "bad_request",
        ),
    ];
    for (name, wish, spoil, code) in cases {
        let mut play = Play::new(Sample::new(3, 1));
        spoil(&mut play);
        let before = durable(play.world());
        assert_eq!(create(&mut play, wish).unwrap_err().code(), code, "{name}");
        assert_eq!(durable(play.world()), before, "{name}");
    }
    let mut play = Play::new(Sample::new(3, 1));
    create(&mut play, wish(3, 1)).unwrap();
    assert_eq!(create(&mut play, wish(3, 1)).unwrap_err().code(), "table_exists");
}

/// With too few hosts of the medium that was asked for, others will do.
#[test]
fn the_medium_is_a_preference() {
    let mut play = Play::new(Sample::new(3, 1));
    create(&mut play, api::TableCreate { medium: Medium::Ssd, ..wish(3, 2) }).unwrap();
}

/// A creation that was lost on the way is ordered again until a report shows the replica; then no more.
#[test]
fn creations_are_ordered_until_seen() {
    let mut play = Play::new(Sample::new(3, 1));
    let tablet = create(&mut play, wish(3, 1)).unwrap()[0];
    play.passes(1_000);
    assert_eq!(names(&play.passes(4_000)), ["create"; 6], "three in each pass of two seconds");
    for replica in play.sample.replicas(tablet) {
        let node = play.sample.replica(tablet, replica).node;
        play.full(node, vec![]);
        assert_eq!(play.sample.replica(tablet, replica).bad, None, "not made yet is not missing");
        play.sees(tablet, replica, 0);
    }
    assert_eq!(names(&play.passes(10_000)), Vec::<&str>::new());
}

/// A dropped table's replicas are ordered away at once, and again when a node that was away shows them.
#[test]
fn a_dropped_table() {
    let (mut play, tablet) = Play::loaded(3);
    let replicas = play.sample.replicas(tablet);
    let places: Vec<_> = replicas.iter().map(|id| play.sample.replica(tablet, *id).clone()).collect();
    play.open("a", &[0]).unwrap();
    let actions = play.happens(EventBody::DropTable { db: "d".into(), name: "t1".into() });
    let count = |actions: &[Action], name| names(actions).iter().filter(|other| **other == name).count();
    assert_eq!((count(&actions, "drop"), count(&actions, "abort")), (3, 3));
    assert!(play.world().tablets.is_empty());

    let stray = fact_of(tablet, replicas[0], places[0].disk, Version(1));
    let actions = play.delta(places[0].node, vec![Fact::Replica(stray.clone())]);
    assert_eq!(names(&actions), ["drop"]);
    assert_eq!(count(&play.passes(20_000), "drop"), 2, "again while it is still there");
    play.restarts();
    play.returns(places[0].node, 9);
    let actions = play.full(places[0].node, vec![Fact::Replica(stray)]);
    assert_eq!(names(&actions), ["drop"], "the user's word outlives a restart");
    assert_eq!(play.world().level, stele_common::status::Level::Lively);
}
