//! Copies and deletions of every day: what is proposed for which world.

use super::super::slots::Grant;
use super::*;
use stele_common::{DiskState, TaskType};

/// A lost node's replica is replaced on a host without one, when its wait is over and not before.
#[test]
fn a_lost_replica_is_made_anew() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let before = shop.sample.tablet(ids[0]).replicas.clone();
    shop.lose(before[0].node);
    assert_eq!(shop.round(), []);
    assert_eq!(shop.desk.pending().count(), 1, "it waits in the queue");
    shop.pass(299_999);
    assert_eq!(shop.round(), []);
    assert_eq!(shop.reason(ids[0]), None);
    shop.pass(1);
    let made = shop.round();
    let [Proposal::Clone { target: Target::NewOn { node, .. }, source, status, .. }] = &made[..] else {
        panic!("{made:?}")
    };
    assert_eq!(*status, TabletStatus::ReplicaMissing);
    assert!(before.iter().all(|replica| replica.node != *node), "a host without a copy");
    assert!([before[1].id, before[2].id].contains(source), "from a complete one");
    assert_eq!(shop.round(), [], "one task a tablet: it is in flight");
    shop.accept(&made[0]);
    assert_eq!(shop.round(), [], "it runs");
    shop.finish(ids[0]);
    let deleted = shop.round();
    let [Proposal::Delete { victim, .. }] = &deleted[..] else { panic!("{deleted:?}") };
    assert_eq!(*victim, before[0].id, "the lost one is the surplus");
    shop.accept(&deleted[0]);
    shop.finish(ids[0]);
    assert_eq!(shop.round(), []);
    assert!(shop.desk.pending().next().is_none());
    assert_eq!(shop.sample.world.history.len(), 2);
}

/// A node that comes back while its replacement is being made: the copy is not needed any more.
#[test]
fn a_return_cancels_the_copy() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let node = shop.sample.tablet(ids[0]).replicas[0].node;
    shop.lose(node);
    shop.pass(300_000);
    let made = shop.round();
    shop.accept(&made[0]);
    shop.sample.turn(node, Liveness::Alive);
    let ended = shop.round();
    let [Proposal::Cancel { cause, .. }] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!(*cause, Reason::NowHealthy);
    assert_eq!(shop.round(), [], "asked once");
    shop.accept(&ended[0]);
    assert_eq!(shop.round(), []);
    assert_eq!(verdict(&shop.sample.world, shop.sample.tablet(ids[0]), shop.sample.at).status, TabletStatus::Healthy);
}

/// Slots bound what runs on a disk, at both ends; each slot that frees lets the next one in.
#[test]
fn slots_bound_both_ends() {
    let (mut shop, _) = Shop::new(4, 1, 40);
    let lost = shop.sample.nodes()[0];
    shop.lose(lost);
    shop.pass(300_000);
    let mut made = 0;
    for _ in 0..200 {
        let proposals = shop.round();
        made += proposals.iter().filter(|proposal| matches!(proposal, Proposal::Clone { .. })).count();
        let ledger = shop.desk.ledger(&shop.sample.world);
        for disk in shop.sample.world.disks.keys() {
            assert!(
                ledger.used(*disk, TaskType::Repair) <= 2,
                "disk {disk} has {} slots taken",
                ledger.used(*disk, TaskType::Repair)
            );
        }
        proposals.iter().for_each(|proposal| shop.accept(proposal));
        let Some(tablet) = shop.sample.world.tasks.keys().next().copied() else { break };
        shop.finish(tablet);
    }
    assert_eq!(made, 30, "three of four tablets had a copy there");
    assert!(shop.desk.pending().next().is_none());
}

/// The lagging one is brought up where it lies; only then is a new one made.
#[test]
fn in_place_before_new() {
    let (mut shop, ids) = Shop::new(5, 1, 1);
    let all = shop.sample.tablet(ids[0]).replicas.clone();
    shop.sample.load(ids[0], &[all[0].id]);
    shop.lose(all[1].node);
    shop.pass(400_000);
    let made = shop.round();
    let [Proposal::Clone { target, source, .. }] = &made[..] else { panic!("{made:?}") };
    assert_eq!((*target, *source), (Target::Existing(all[2].id), all[0].id));
    shop.accept(&made[0]);
    shop.finish(ids[0]);
    let made = shop.round();
    assert!(matches!(made[..], [Proposal::Clone { target: Target::NewOn { .. }, .. }]), "{made:?}");
}

/// A bad replica in a full house leaves first, then a good one is made in its place.
#[test]
fn a_bad_one_leaves_a_full_house() {
    let (mut shop, ids) = Shop::new(3, 1, 1);
    let bad = shop.sample.tablet(ids[0]).replicas[1].clone();
    shop.sample.bad(ids[0], bad.id);
    let deleted = shop.round();
    let [Proposal::Delete { victim, status: TabletStatus::ForceRedundant, .. }] = &deleted[..] else {
        panic!("{deleted:?}")
    };
    assert_eq!(*victim, bad.id);
    shop.accept(&deleted[0]);
    shop.finish(ids[0]);
    let made = shop.round();
    let [Proposal::Clone { target: Target::NewOn { node, .. }, .. }] = &made[..] else { panic!("{made:?}") };
    assert_eq!(*node, bad.node);
}

/// A bad replica that nothing can replace is mended where it lies: a house with a host that has no usable disk is not
/// stuck.
#[test]
fn a_bad_one_is_mended_when_nowhere_else_is_room() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let all = shop.sample.tablet(ids[0]).replicas.clone();
    let free = shop.sample.nodes().into_iter().find(|node| all.iter().all(|r| r.node != *node)).expect("one is free");
    let disk = shop.sample.disks_of(free)[0];
    shop.sample.disk_state(disk, DiskState::Unavailable);
    shop.sample.bad(ids[0], all[2].id);
    let made = shop.round();
    let [Proposal::Clone { target, .. }] = &made[..] else { panic!("{made:?}") };
    assert_eq!(*target, Target::Existing(all[2].id));
}

/// A replica on a disk that stays away does not keep its host from using another disk.
#[test]
fn a_dead_disk_does_not_block_its_host() {
    let (mut shop, ids) = Shop::new(3, 2, 1);
    let away = shop.sample.tablet(ids[0]).replicas[0].clone();
    shop.sample.disk_state(away.disk, DiskState::Unavailable);
    shop.pass(309_999);
    assert_eq!(shop.round(), []);
    shop.pass(1);
    let deleted = shop.round();
    assert!(matches!(deleted[..], [Proposal::Delete { victim, .. }] if victim == away.id), "{deleted:?}");
    shop.accept(&deleted[0]);
    shop.finish(ids[0]);
    let made = shop.round();
    let [Proposal::Clone { target: Target::NewOn { node, disk }, .. }] = &made[..] else { panic!("{made:?}") };
    assert!(*node == away.node && *disk != away.disk, "{made:?}");
}

/// At n + 2 nothing more is made: what is useless leaves first.
#[test]
fn never_beyond_two_surplus() {
    let (mut shop, ids) = Shop::new(8, 1, 1);
    let free: Vec<NodeId> = shop.sample.nodes().split_off(3);
    for node in &free[..2] {
        let disk = shop.sample.disks_of(*node)[0];
        let replica = shop.sample.replica_on(ids[0], disk, ReplicaState::Normal);
        shop.sample.see(ids[0], replica, Version(1));
    }
    let nodes: Vec<NodeId> = shop.sample.tablet(ids[0]).replicas.iter().map(|r| r.node).collect();
    nodes[..3].iter().for_each(|node| shop.lose(*node));
    shop.pass(300_000);
    let deleted = shop.round();
    assert!(matches!(deleted[..], [Proposal::Delete { .. }]), "{deleted:?}");
    shop.accept(&deleted[0]);
    shop.finish(ids[0]);
    let made = shop.round();
    assert!(matches!(made[..], [Proposal::Clone { target: Target::NewOn { .. }, .. }]), "{made:?}");
}

/// The order in which replicas leave, worst first (the seed's list).
#[test]
fn victims_in_order() {
    use super::victim::{Purpose, choose_victim};
    let (mut shop, ids) = Shop::new(9, 1, 1);
    let tablet = ids[0];
    let add = |shop: &mut Shop, state, version| {
        let held: Vec<NodeId> = shop.sample.tablet(tablet).replicas.iter().map(|r| r.node).collect();
        let node = shop.sample.nodes().into_iter().find(|node| !held.contains(node)).expect("a host is free");
        let disk = shop.sample.disks_of(node)[0];
        let replica = shop.sample.replica_on(tablet, disk, state);
        shop.sample.see(tablet, replica, version);
        (replica, node, disk)
    };
    let (fullest, _, disk) = add(&mut shop, ReplicaState::Normal, Version(1));
    let (behind, _, _) = add(&mut shop, ReplicaState::Normal, Version(0));
    let (leftover, _, _) = add(&mut shop, ReplicaState::Clone, Version(1));
    let (lost, node, _) = add(&mut shop, ReplicaState::Normal, Version(1));
    let (bad, _, _) = add(&mut shop, ReplicaState::Normal, Version(1));
    shop.sample.fill(disk, 3 << 30, 4 << 30);
    shop.lose(node);
    shop.sample.bad(tablet, bad);
    for expected in [bad, lost, leftover, behind, fullest] {
        let counts = crate::checkup::count(&shop.sample.world, shop.sample.tablet(tablet));
        let world = &shop.sample.world;
        let victim = choose_victim(
            world,
            shop.sample.tablet(tablet),
            &counts,
            shop.sample.at,
            Purpose::Surplus,
            &Scores::default(),
        );
        assert_eq!(victim, Some(expected));
        shop.sample.forget(tablet, expected);
    }
    let counts = crate::checkup::count(&shop.sample.world, shop.sample.tablet(tablet));
    let world = &shop.sample.world;
    assert_eq!(
        choose_victim(world, shop.sample.tablet(tablet), &counts, shop.sample.at, Purpose::Surplus, &Scores::default()),
        None
    );
}

/// A disk that would be overfilled by what is already promised is refused; disks of one file system share their room.
#[test]
fn promised_bytes_count() {
    let (mut shop, ids) = Shop::new(4, 1, 2);
    let all: Vec<NodeId> = shop.sample.tablet(ids[0]).replicas.iter().map(|r| r.node).collect();
    let free = shop.sample.nodes().into_iter().find(|node| !all.contains(node)).expect("a host is free");
    let disk = shop.sample.disks_of(free)[0];
    // Room for one copy and a half over the reserve of 15 %.
    let total = 100 * REPLICA_BYTES;
    shop.sample.fill(disk, total - 15 * REPLICA_BYTES - REPLICA_BYTES * 3 / 2, total);
    let world = &shop.sample.world;
    let tablet = shop.sample.tablet(ids[0]);
    let mut ledger = Ledger::of(world, std::iter::empty());
    let disk = &world.disks[&disk];
    assert_eq!(target::disk_refusal(world, &ledger, tablet, disk, REPLICA_BYTES), None);
    let source_disk = tablet.replicas[0].disk;
    ledger.take(
        world,
        &Grant {
            task_type: TaskType::Repair,
            source_disk,
            node: disk.node,
            disk: disk.id,
            bytes: REPLICA_BYTES,
            leaves: None,
        },
    );
    let refused = target::disk_refusal(world, &ledger, tablet, disk, REPLICA_BYTES).map(|reason| reason.code());
    assert_eq!(refused, Some("disk_would_overfill"));
}
