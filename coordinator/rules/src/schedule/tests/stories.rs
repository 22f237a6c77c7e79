//! Stories: what follows on what, from the first verdict to calm, with the real Catalog.

use super::house::{House, drain, group, label, sample, table, twin};
use super::*;
use crate::EventBody;
use stele_common::DiskId;

fn deletions(proposals: &[Proposal]) -> Vec<ReplicaId> {
    let victims = proposals.iter().filter_map(|proposal| match proposal {
        Proposal::Delete { victim, .. } => Some(*victim),
        Proposal::Clone { .. } | Proposal::Move { .. } | Proposal::Turn(_) | Proposal::Cancel { .. } => None,
    });
    victims.collect()
}

use TabletStatus::{
    ColocateMismatch, ColocateRedundant, DiskMigration, ForceRedundant, Healthy, Redundant, ReplicaMissing,
    ReplicaMissingInCluster, ReplicaRelocating,
};

/// The only copy of a drained node moves: made elsewhere, proven, and only then taken away.
#[test]
fn one_copy_drains_and_moves() {
    let (mut world, tablet) = sample(2, 1, 1);
    let old = world.replicas(tablet)[0];
    let node = world.replica(tablet, old).node;
    drain(&mut world, node);
    let mut house = House::of(world);
    house.mute = true;
    house.lives(4);
    assert_eq!(house.complete(tablet), 1, "the new one; the old one is on its way out");
    assert!(house.play.sample.replicas(tablet).contains(&old), "nothing has proven the new one");
    house.mute = false;
    house.settle(tablet);
    assert_eq!((house.status(tablet), house.hosts(tablet)), (Healthy, vec!["h2".to_string()]));
}

/// Three wanted on three hosts, one bad: it leaves, a new one comes, no good copy is ever deleted.
#[test]
fn a_bad_one_among_exactly_n_hosts() {
    let (mut world, tablet) = sample(3, 1, 3);
    let all = world.replicas(tablet);
    world.bad(tablet, all[1]);
    let mut house = House::of(world);
    let path = [house.status(tablet)];
    let proposed = house.round();
    assert_eq!((path, deletions(&proposed)), ([ForceRedundant], vec![all[1]]));
    assert_eq!(house.settle(tablet), [ReplicaMissing, Healthy]);
    assert!([all[0], all[2]].iter().all(|good| house.play.sample.replicas(tablet).contains(good)));
}

/// Three at once, all to leave: no round goes below three complete copies, no tablet above n + 2, and it ends.
#[test]
fn all_three_hosts_drain() {
    let (mut world, tablet) = sample(6, 1, 3);
    let nodes = world.nodes();
    nodes[..3].iter().for_each(|node| drain(&mut world, *node));
    let mut house = House::of(world);
    for _ in 0..120 {
        house.lives(1);
        assert!(house.complete(tablet) >= 3, "{:#?}", house.play.sample.tablet(tablet).replicas);
        assert!(house.play.sample.tablet(tablet).replicas.len() <= 5);
    }
    assert_eq!((house.status(tablet), house.hosts(tablet).join(" ").as_str()), (Healthy, "h4 h5 h6"));
}

/// A replica leaves its disk within its host: its successor counts in the batch in which it lands, so the tablet is
/// never short, and the old one goes on evidence.
#[test]
fn a_disk_drains_within_its_node() {
    let (mut world, tablet) = sample(3, 2, 3);
    let old = world.tablet(tablet).replicas[0].clone();
    world.apply(Change::DiskDrained { disk: old.disk, on: true });
    let mut house = House::of(world);
    assert_eq!(house.status(tablet), DiskMigration);
    let proposed = house.round();
    assert!(matches!(proposed[..], [Proposal::Clone { target: Target::Beside { .. }, .. }]), "{proposed:?}");
    assert_eq!(house.complete(tablet), 3);
    house.settle(tablet);
    let replicas = &house.play.sample.tablet(tablet).replicas;
    assert_eq!((house.status(tablet), replicas.len()), (Healthy, 3));
    let moved = replicas.iter().find(|replica| replica.node == old.node).expect("on its host");
    assert!(moved.id != old.id && moved.disk != old.disk);
}

/// The evidence for the old one's removal does not come: it counts again, nothing is copied a second time, and when
/// the evidence comes it goes. Whatever it has to leave for: its disk, its node, a tag, a bucket.
#[test]
fn a_move_within_a_host_whose_deletion_is_undone() {
    type Arrange = fn(&mut Sample, TabletId);
    let cases: [(Arrange, TabletStatus); 4] = [
        (
            |world, tablet| {
                let disk = world.tablet(tablet).replicas[0].disk;
                world.apply(Change::DiskDrained { disk, on: true });
            },
            DiskMigration,
        ),
        (
            |world, _| {
                let node = world.nodes()[0];
                twin(world, node, "default");
                drain(world, node);
            },
            ForceRedundant,
        ),
        (
            |world, tablet| {
                let nodes = world.nodes();
                nodes[1..].iter().for_each(|node| label(world, *node, "", "fast"));
                twin(world, nodes[0], "fast");
                table(world, tablet, |table| table.tag = "fast".into());
            },
            ReplicaMissingInCluster,
        ),
        (
            |world, tablet| {
                let nodes = world.nodes();
                let second = twin(world, nodes[0], "default");
                group(world, tablet, &[second, nodes[1], nodes[2]]);
            },
            ColocateMismatch,
        ),
    ];
    for (arrange, status) in cases {
        let (mut world, tablet) = sample(3, 2, 3);
        let old = world.tablet(tablet).replicas[0].clone();
        arrange(&mut world, tablet);
        let mut house = House::of(world);
        assert_eq!(house.status(tablet), status);
        house.mute = true;
        let mut copies = 0;
        for _ in 0..100 {
            let proposed = house.lives(1);
            copies += proposed.iter().filter(|proposal| matches!(proposal, Proposal::Clone { .. })).count();
            assert_eq!(house.complete(tablet), 3, "{status}");
        }
        assert_eq!((copies, house.play.sample.tablet(tablet).replicas.len()), (1, 4), "{status}");
        house.mute = false;
        house.settle(tablet);
        assert_eq!(house.status(tablet), Healthy, "{status}");
        let replicas = &house.play.sample.tablet(tablet).replicas;
        assert!(replicas.len() == 3 && replicas.iter().all(|replica| replica.id != old.id), "{status}");
    }
}

/// A drain that is taken back: the copy that was being made for it is called off, nothing is deleted.
#[test]
fn a_drain_is_taken_back() {
    let (mut world, tablet) = sample(4, 1, 3);
    let node = world.nodes()[0];
    let before = world.replicas(tablet);
    drain(&mut world, node);
    let mut house = House::of(world);
    let (world, at) = (house.play.world(), house.play.sample.at);
    let found = vec![(tablet, verdict(world, house.play.sample.tablet(tablet), at))];
    house.desk.step(house.play.world(), at, DeskEvent::Verdicts(found));
    let proposed = proposals(house.desk.step(house.play.world(), at, DeskEvent::Round));
    house.happens(EventBody::Propose(proposed[0].clone()));
    house.inbox.clear();
    assert_eq!(house.play.sample.replicas(tablet).len(), 4, "it is being made");
    assert_eq!(house.lives(3), [], "it goes on while the drain does");
    house.inbox.clear();
    house.sample().apply(Change::NodeDrained { node, on: false });
    let proposed = house.round();
    assert!(matches!(proposed[..], [Proposal::Cancel { .. }]), "{proposed:?}");
    assert_eq!(house.play.sample.replicas(tablet), before);
    assert_eq!(house.status(tablet), Healthy);
}

/// A table is given another tag: its copies move over one by one, never fewer than n complete.
#[test]
fn a_tag_moves_its_table() {
    let (mut world, tablet) = sample(6, 1, 3);
    let nodes = world.nodes();
    nodes[3..].iter().for_each(|node| label(&mut world, *node, "", "fast"));
    table(&mut world, tablet, |table| table.tag = "fast".into());
    let mut house = House::of(world);
    assert_eq!(house.status(tablet), ReplicaMissingInCluster);
    for _ in 0..120 {
        house.lives(1);
        assert!(house.complete(tablet) >= 3);
    }
    assert_eq!((house.status(tablet), house.hosts(tablet).join(" ").as_str()), (Healthy, "h4 h5 h6"));
}

/// A group's bucket lies elsewhere: copies are made there, within n + 2, and those outside leave.
#[test]
fn a_bucket_moves() {
    let (mut world, tablet) = sample(6, 1, 3);
    let nodes = world.nodes();
    group(&mut world, tablet, &nodes[3..]);
    let mut house = House::of(world);
    assert_eq!(house.status(tablet), ColocateMismatch);
    for _ in 0..120 {
        house.lives(1);
        assert!(house.complete(tablet) >= 3);
    }
    assert_eq!((house.status(tablet), house.hosts(tablet).join(" ").as_str()), (Healthy, "h4 h5 h6"));
}

/// The bucket wants another node of a host that holds a copy already: that copy moves over within the host, for no two
/// copies may share it, and deleting it first would leave too few.
#[test]
fn a_bucket_moves_within_a_host() {
    let (mut world, tablet) = sample(3, 1, 3);
    let nodes = world.nodes();
    let second = twin(&mut world, nodes[2], "default");
    group(&mut world, tablet, &[nodes[0], nodes[1], second]);
    let mut house = House::of(world);
    let path = house.settle(tablet);
    assert_eq!((path[0], house.status(tablet)), (ColocateMismatch, Healthy));
    let replicas = &house.play.sample.tablet(tablet).replicas;
    assert!(replicas.iter().any(|replica| replica.node == second) && replicas.len() == 3, "{replicas:#?}");
}

/// A bad one inside the bucket leaves on the word of the others and is made anew in its place.
#[test]
fn a_bad_one_in_a_bucket() {
    let (mut world, tablet) = sample(4, 1, 3);
    let (nodes, all) = (world.nodes(), world.replicas(tablet));
    group(&mut world, tablet, &nodes[..3]);
    world.bad(tablet, all[1]);
    let mut house = House::of(world);
    assert_eq!(house.status(tablet), ColocateRedundant);
    house.settle(tablet);
    assert_eq!((house.status(tablet), house.hosts(tablet).join(" ").as_str()), (Healthy, "h1 h2 h3"));
}

/// Many disks and hosts drain at once under slots of two: it ends, and every tablet keeps three complete copies.
#[test]
fn a_drain_of_many() {
    let mut world = Sample::new(6, 2);
    // What moves, moves for the drain.
    std::sync::Arc::make_mut(&mut world.world.knobs).disable_balance = true;
    let ids = world.table(3, 40);
    ids.iter().for_each(|id| _ = world.load_all(*id));
    let nodes = world.nodes();
    drain(&mut world, nodes[0]);
    drain(&mut world, nodes[1]);
    let disk: DiskId = world.disks_of(nodes[2])[0];
    world.apply(Change::DiskDrained { disk, on: true });
    let mut house = House::of(world);
    for _ in 0..200 {
        house.lives(1);
        ids.iter().for_each(|id| assert!(house.complete(*id) >= 3));
        if ids.iter().all(|id| house.status(*id) == Healthy) {
            break;
        }
    }
    for id in &ids {
        assert_eq!(house.status(*id), Healthy);
        let replicas = &house.play.sample.tablet(*id).replicas;
        assert!(replicas.iter().all(|r| r.node != nodes[0] && r.node != nodes[1] && r.disk != disk));
    }
    assert_eq!(house.lives(60), [], "and then it is calm");
}

/// Of two that drain, one at a time is enough to go on: REDUNDANT takes the draining one before any other.
#[test]
fn relocated_then_redundant() {
    let (mut world, tablet) = sample(5, 1, 3);
    let (nodes, all) = (world.nodes(), world.replicas(tablet));
    drain(&mut world, nodes[0]);
    let mut house = House::of(world);
    assert_eq!(house.status(tablet), ReplicaRelocating);
    house.round();
    assert_eq!(house.status(tablet), Redundant);
    house.play.sample.at = house.play.sample.at.plus(1_000);
    assert_eq!(deletions(&house.round()), [all[0]]);
}
