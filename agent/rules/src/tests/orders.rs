//! Each order on each kind of book: what is done, what is refused and with which word.

use crate::event::{EventBody, Op, OpFailure, OpResult, Refused};
use crate::testing::*;
use stele_common::{DiskId, DiskState, Epoch, OrderBody, ReplicaId, Tick, Version};

fn create_of(replica: u64, tablet: u64) -> OrderBody {
    OrderBody::Create { disk: DISK, label: label(replica, tablet) }
}

/// One replica (1, of tablet 10, at version 5, with 3 and 4 kept), one in the trash (2, of tablet 20), one copy (task 7
/// into replica 8 of tablet 30).
fn world() -> World {
    let mut replica = held(1, 10, 5);
    replica.older = [(Version(3), hash(3)), (Version(4), hash(4))].into();
    let mut world = World::new(vec![replica]);
    world.book.trash.insert(ReplicaId(2), trashed(20, 0));
    assert_eq!(world.order(clone_of(7, 8, 30, 2)), "fetch 7");
    world
}

/// What each order leads to, and that the same order again leads to nothing more.
#[test]
fn orders_and_their_answers() {
    let other_disk = {
        let mut order = clone_order(9, 9, 40, 1);
        order.disk = DiskId(4);
        OrderBody::Clone(order)
    };
    let rows: Vec<(&str, OrderBody, &str, &str)> = vec![
        ("create new", create_of(5, 50), "create 5", ""),
        ("create existing", create_of(1, 10), "no already_there", "no already_there"),
        ("create what is on its way", create_of(8, 30), "no already_there", "no already_there"),
        ("create what was dropped", create_of(2, 20), "no no_such_replica", "no no_such_replica"),
        (
            "create elsewhere",
            OrderBody::Create { disk: DiskId(4), label: label(5, 50) },
            "no other_disk",
            "no other_disk",
        ),
        ("clone new", clone_of(9, 9, 40, 1), "fetch 9", ""),
        ("clone elsewhere", other_disk, "no other_disk", "no other_disk"),
        ("clone to catch up", clone_of(9, 1, 10, 6), "fetch 9", ""),
        ("clone of what is there already", clone_of(9, 1, 10, 5), "", ""),
        ("clone of a tablet that an older task copies", clone_of(9, 9, 30, 2), "", ""),
        ("a late older clone of a busy tablet", clone_of(6, 9, 30, 2), "no tablet_busy", ""),
        ("clone again", clone_of(7, 8, 30, 2), "", ""),
        ("clone into another tablet's replica", clone_of(9, 1, 11, 6), "no other_tablet", ""),
        ("clone into what was dropped", clone_of(9, 2, 20, 6), "no no_such_replica", ""),
        ("cancel", OrderBody::CancelTask { task: stele_common::TaskId(7) }, "", ""),
        (
            "cancel nothing",
            OrderBody::CancelTask { task: stele_common::TaskId(99) },
            "no no_such_task",
            "no no_such_task",
        ),
        ("drop", drop_of(1, 10), "drop 1", ""),
        ("drop of another tablet's", drop_of(1, 11), "no other_tablet", "no other_tablet"),
        ("drop of an unknown", drop_of(99, 10), "no no_such_replica", "no no_such_replica"),
        ("drop of what was dropped", drop_of(2, 20), "", ""),
        ("purge", purge_of(2, 20), "purge 2", ""),
        ("purge of another tablet's", purge_of(2, 10), "no other_tablet", "no other_tablet"),
        ("purge of what is in use", purge_of(1, 10), "no no_such_replica", "no no_such_replica"),
        ("confirm", confirm_of(1, 10, 4), "confirm 1 #4", ""),
        ("confirm an unknown", confirm_of(9, 10, 4), "no no_such_replica", "no no_such_replica"),
        ("verify", verify_of(1, 10), "verify 1", ""),
        ("verify another tablet's", verify_of(1, 11), "no other_tablet", "no other_tablet"),
        ("collect", collect_of(1, 10, 4), "collect 1 below 4 keep []", ""),
        ("collect nothing", collect_of(1, 10, 3), "", ""),
        ("collect never takes the head", collect_of(1, 10, 9), "collect 1 below 5 keep []", ""),
        ("commit an unknown load", commit_of(4, 1, 10, 6), "no no_such_load", "no no_such_load"),
        ("commit what is installed", commit_of(4, 1, 10, 5), "", ""),
        ("abort an unknown load", abort_of(4), "no no_such_load", "no no_such_load"),
    ];
    for (name, body, first, again) in rows {
        let mut world = world();
        assert_eq!(world.order(body.clone()), first, "{name}");
        let book = world.book.clone();
        assert_eq!(world.order(body), again, "{name}, again");
        assert_eq!(world.book, book, "{name}, again");
    }
}

/// An order of a leadership that is over changes nothing; a newer leadership is remembered even when its order is refused.
#[test]
fn the_epoch_is_the_fence() {
    let bodies = || {
        vec![
            create_of(5, 50),
            clone_of(9, 9, 40, 1),
            drop_of(1, 10),
            purge_of(2, 20),
            confirm_of(1, 10, 1),
            verify_of(1, 10),
            collect_of(1, 10, 5),
            abort_of(1),
            commit_of(1, 1, 10, 6),
            OrderBody::CancelTask { task: stele_common::TaskId(7) },
        ]
    };
    for body in bodies() {
        let mut world = world();
        let before = world.book.clone();
        assert_eq!(world.turn(order(4, body.clone())), "no stale_epoch");
        assert_eq!(world.book, before, "{body:?}");
        world.turn(order(6, body));
        assert_eq!(world.book.epoch, Epoch(6));
    }
}

/// A disk that is not ONLINE takes no order that writes; a SUSPECT one is still read; a copy is cancelled anywhere.
#[test]
fn disks_that_are_not_online() {
    let rows: Vec<(OrderBody, &str, &str)> = vec![
        (create_of(5, 50), "no disk_not_online", "no disk_not_online"),
        (clone_of(9, 9, 40, 1), "no disk_not_online", "no disk_not_online"),
        (drop_of(1, 10), "no disk_not_online", "no disk_not_online"),
        (purge_of(2, 20), "no disk_not_online", "no disk_not_online"),
        (commit_of(4, 1, 10, 6), "no disk_not_online", "no disk_not_online"),
        (abort_of(4), "no disk_not_online", "no disk_not_online"),
        (collect_of(1, 10, 5), "no disk_not_online", "no disk_not_online"),
        (confirm_of(1, 10, 4), "confirm 1 #4", "no disk_not_online"),
        (verify_of(1, 10), "verify 1", "no disk_not_online"),
        (OrderBody::CancelTask { task: stele_common::TaskId(7) }, "", ""),
    ];
    for (body, suspect, unavailable) in rows {
        for (state, expected) in [(DiskState::Suspect, suspect), (DiskState::Unavailable, unavailable)] {
            let mut world = world();
            world.turn(turned(state, "EIO"));
            assert_eq!(world.order(body.clone()), expected, "{state:?} {body:?}");
            let is_told = world.book.ended.contains_key(&stele_common::TaskId(9));
            assert_eq!(is_told, matches!(body, OrderBody::Clone(_)), "{state:?} {body:?}");
        }
    }
}

/// Orders for a busy replica wait as wishes and come in the order that `next` draws; a drop goes before all.
#[test]
fn one_op_at_a_time() {
    let mut world = world();
    assert_eq!(world.order(collect_of(1, 10, 4)), "collect 1 below 4 keep []");
    for body in [confirm_of(1, 10, 8), verify_of(1, 10)] {
        assert_eq!(world.order(body), "");
    }
    let older = vec![(Version(4), hash(4))];
    assert_eq!(world.done(1, OpResult::Collected { older, size: 4 }), "confirm 1 #8");
    assert_eq!(world.order(drop_of(1, 10)), "");
    let answer = OpResult::Confirmed { version: Version(5), hash: hash(5) };
    assert_eq!(world.done(1, answer), "drop 1");
    assert_eq!(world.done(1, OpResult::Dropped { bytes: 4 }), "");
    let trashed = &world.book.trash[&ReplicaId(1)];
    assert_eq!((trashed.bytes, trashed.dropped, trashed.age_at_boot), (4, Tick(2000), 0));
    assert!(world.book.replicas.is_empty());
    assert_eq!(world.order(purge_of(1, 10)), "purge 1");
    assert_eq!(world.done(1, OpResult::Purged), "");
    assert_eq!(world.order(purge_of(1, 10)), "no no_such_replica");
}

/// A wish is carried out once, whether it went well or not: nothing is tried for ever without the coordinator's word.
#[test]
fn failed_ops_are_not_repeated() {
    for failure in [OpFailure::Full, OpFailure::Mismatch { detail: "x".into() }] {
        let bodies = [drop_of(1, 10), confirm_of(1, 10, 1), collect_of(1, 10, 5)];
        for body in bodies {
            let mut world = world();
            assert_ne!(world.order(body.clone()), "");
            assert_eq!(world.done(1, OpResult::Failed(failure.clone())), "", "{body:?}");
            assert_ne!(world.order(body), "", "the coordinator may ask again");
        }
    }
}

/// An empty replica is made once, counts as checked, and only if the disk says so.
#[test]
fn creation() {
    for (result, is_there) in [(OpResult::Created, true), (OpResult::Failed(OpFailure::Full), false)] {
        let mut world = world();
        world.order(create_of(5, 50));
        world.done(5, result);
        assert_eq!(world.book.replicas.contains_key(&ReplicaId(5)), is_there);
        if is_there {
            assert_eq!((world.held(5).head, world.held(5).verified), (Version::EMPTY, Some(Tick(2000))));
        }
    }
}

/// The result of an op that is not in flight says nothing about the book.
#[test]
fn late_results_are_ignored() {
    let mut world = world();
    let before = world.book.clone();
    let op = Op::Drop { tablet: stele_common::TabletId(10), replica: ReplicaId(1), evidence: evidence() };
    assert_eq!(world.end(op, OpResult::Dropped { bytes: 1 }), "");
    let op = Op::Verify { tablet: stele_common::TabletId(10), replica: ReplicaId(1), urgent: true };
    assert_eq!(world.end(op, OpResult::Failed(OpFailure::NotFound)), "");
    assert_eq!(world.book, before);
}

/// A collection waits for the readers of what it would remove, and begins when they leave.
#[test]
fn readers_hold_up_collection() {
    let mut world = world();
    let pin = |version| EventBody::Pinned { replica: ReplicaId(1), version: Version(version) };
    world.turn(at(1, pin(3)));
    world.turn(at(1, pin(3)));
    assert_eq!(world.order(collect_of(1, 10, 4)), "");
    let unpin = || at(1, EventBody::Unpinned { replica: ReplicaId(1), version: Version(3) });
    assert_eq!(world.turn(unpin()), "");
    assert_eq!(world.turn(unpin()), "collect 1 below 4 keep []");
    assert_eq!(world.turn(unpin()), "", "one too many is no matter");
}

/// Every refusal has its own word.
#[test]
fn words_of_refusals_differ() {
    let all = [
        Refused::StaleEpoch,
        Refused::NoSuchReplica,
        Refused::OtherTablet,
        Refused::DiskNotOnline,
        Refused::OtherDisk,
        Refused::AlreadyThere,
        Refused::TabletBusy,
        Refused::NoSuchLoad,
        Refused::NoSuchTask,
    ];
    let words: std::collections::BTreeSet<_> = all.iter().map(|refused| refused.as_str()).collect();
    assert_eq!(words.len(), all.len());
}
