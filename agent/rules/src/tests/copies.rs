//! Copies: from the order to the head, mending, cancelling, resuming, and whose staging directory it is.

use crate::book::{CopyPhase, ENDED_MAX, Leftover, LeftoverState, RESUME_MS};
use crate::event::{EventBody, Op, OpFailure, OpResult};
use crate::testing::*;
use stele_common::{DiskState, OrderBody, ReplicaId, TabletId, TaskFailure, TaskId, TaskProgress, Tick, Version};

fn cancel(task: u64) -> OrderBody {
    OrderBody::CancelTask { task: TaskId(task) }
}

fn end_of(world: &World, task: u64) -> TaskProgress {
    world.book.ended[&TaskId(task)].progress.clone()
}

fn failed(cause: TaskFailure) -> TaskProgress {
    TaskProgress::Failed { cause }
}

fn discard(task: u64, tablet: u64, replica: u64) -> Op {
    Op::DiscardCopy { task: TaskId(task), tablet: TabletId(tablet), replica: ReplicaId(replica) }
}

/// A new replica: fetched, installed, checked on the way, first in the scrub queue.
#[test]
fn a_new_replica() {
    let mut world = World::new(vec![]);
    assert_eq!(world.order(clone_of(7, 8, 30, 2)), "fetch 7");
    world.turn(at(1, EventBody::Progress { task: TaskId(7), bytes_done: 5, bytes_total: 9 }));
    world.turn(at(1, EventBody::Progress { task: TaskId(7), bytes_done: 3, bytes_total: 9 }));
    assert_eq!(world.book.copies[&TaskId(7)].bytes_done, 5, "what was told never shrinks");
    assert_eq!(world.end(fetch(7, 8, 30, 2, false), fetched(3)), "install copy 7 v3");
    assert_eq!(world.done(8, installed(3, true)), "");
    let replica = world.held(8);
    assert_eq!((replica.head, replica.verified, replica.scrubbed), (Version(3), Some(Tick(2000)), None));
    assert_eq!(end_of(&world, 7), TaskProgress::Done { bytes_copied: 8, bytes_reused: 2 });
    assert!(world.book.leftovers.is_empty());
    assert_eq!(world.order(clone_of(7, 8, 30, 2)), "", "late and again");
}

/// Nothing moves for a good replica that is there already, or gets there by itself meanwhile.
#[test]
fn nothing_to_do() {
    let mut world = World::new(vec![held(1, 10, 5)]);
    assert_eq!(world.order(clone_of(7, 1, 10, 4)), "");
    assert_eq!(end_of(&world, 7), TaskProgress::Done { bytes_copied: 0, bytes_reused: 0 });
    assert_eq!(world.order(clone_of(8, 1, 10, 6)), "fetch 8");
    world.turn(load_staged(4, 1, 10, 6));
    world.order(commit_of(4, 1, 10, 6));
    assert_eq!(world.end(fetch(8, 1, 10, 6, false), fetched(6)), "", "the install of the load goes first");
    assert_eq!(world.done(1, installed(6, false)), "discard copy of 10");
    assert_eq!(world.end(discard(8, 10, 1), OpResult::Discarded), "");
    assert!(world.book.leftovers.is_empty());
    assert_eq!(world.held(1).head, Version(6));
}

/// Whatever is ordered is taken up or answered: a newer task takes the place of an older one whose end was not heard, an
/// older one that comes late is refused, and both are told.
#[test]
fn orders_are_answered() {
    let mut world = World::new(vec![]);
    world.order(clone_of(7, 8, 30, 2));
    assert_eq!(world.order(clone_of(9, 11, 30, 2)), "", "it waits for the staging directory");
    assert!(world.book.copies[&TaskId(7)].cancelled);
    let ended = world.end(fetch(7, 8, 30, 2, false), OpResult::Failed(OpFailure::Copy(TaskFailure::Cancelled)));
    assert_eq!(ended, "fetch 9");
    assert_eq!(end_of(&world, 7), failed(TaskFailure::Cancelled));
    assert_eq!(world.order(clone_of(5, 12, 30, 2)), "no tablet_busy");
    assert_eq!(end_of(&world, 5), failed(TaskFailure::Refused { detail: "tablet_busy".into() }));
    assert_eq!(world.order(clone_of(5, 12, 30, 2)), "", "it has its answer");
}

/// A good copy mends a bad replica, also at the same version and with the hash that was committed.
#[test]
fn mending() {
    let mut world = World::new(vec![held(1, 10, 5)]);
    world.turn(at(1, EventBody::FoundDamaged { replica: ReplicaId(1), cause: "rot in a".into() }));
    world.turn(at(1, EventBody::FoundDamaged { replica: ReplicaId(1), cause: "rot in b".into() }));
    assert_eq!(world.held(1).bad.as_deref(), Some("rot in a"), "the first cause stays");
    assert_eq!(world.order(clone_of(7, 1, 10, 5)), "fetch 7 to mend");
    assert_eq!(world.end(fetch(7, 1, 10, 5, true), fetched(5)), "install copy 7 v5 to mend");
    assert_eq!(world.done(1, installed(5, true)), "");
    assert_eq!((&world.held(1).bad, world.held(1).head), (&None, Version(5)));

    let mut order = clone_order(8, 1, 10, 5);
    order.hash = hash(77);
    assert_eq!(world.order(OrderBody::Clone(order)), "fetch 8 to mend", "another hash was committed");
    assert!(world.held(1).bad.is_some());
}

/// A head never goes back, not even to mend; and files that were counted on without a look do not mend.
#[test]
fn copies_that_cannot_mend() {
    let mut world = World::new(vec![held(1, 10, 5)]);
    world.turn(at(1, EventBody::FoundDamaged { replica: ReplicaId(1), cause: "rot".into() }));
    world.order(clone_of(7, 1, 10, 4));
    assert_eq!(world.end(fetch(7, 1, 10, 4, true), fetched(4)), "discard copy of 10");
    assert!(matches!(end_of(&world, 7), TaskProgress::Failed { cause: TaskFailure::Refused { .. } }));
    assert_eq!(world.held(1).head, Version(5));

    let mut world = World::new(vec![held(1, 10, 5)]);
    world.order(clone_of(7, 1, 10, 6));
    world.turn(at(1, EventBody::FoundDamaged { replica: ReplicaId(1), cause: "rot".into() }));
    assert_eq!(world.end(fetch(7, 1, 10, 6, false), fetched(6)), "discard copy of 10");
    assert!(world.held(1).bad.is_some());

    // The install did not look at everything: the replica stays bad.
    let mut world = World::new(vec![held(1, 10, 5)]);
    world.order(clone_of(7, 1, 10, 6));
    world.end(fetch(7, 1, 10, 6, false), fetched(6));
    world.turn(at(1, EventBody::FoundDamaged { replica: ReplicaId(1), cause: "rot".into() }));
    world.done(1, installed(6, false));
    assert_eq!((world.held(1).bad.is_some(), world.held(1).head), (true, Version(6)));
}

/// What a source gives must be what was ordered.
#[test]
fn wrong_versions_are_refused() {
    let other = OpResult::Fetched { version: Version(2), hash: hash(77), bytes_copied: 1, bytes_reused: 0 };
    for result in [fetched(1), other] {
        let mut world = World::new(vec![]);
        world.order(clone_of(7, 8, 30, 2));
        assert_eq!(world.end(fetch(7, 8, 30, 2, false), result), "");
        assert!(matches!(end_of(&world, 7), TaskProgress::Failed { cause: TaskFailure::Refused { .. } }));
        assert!(world.book.replicas.is_empty());
    }
}

/// How a fetch fails, what is told, and whether its staging is kept for the next try.
#[test]
fn fetches_that_fail() {
    let lost = TaskFailure::SourceLost { detail: "reset".into() };
    let rotten = TaskFailure::SourceDamaged { path: "a".into() };
    let rows = [
        (OpFailure::Copy(lost.clone()), lost, ""),
        (OpFailure::Copy(rotten.clone()), rotten, ""),
        (OpFailure::Full, TaskFailure::DiskFull, "discard copy of 30"),
        (OpFailure::Mismatch { detail: "m".into() }, TaskFailure::Refused { detail: "m".into() }, ""),
    ];
    for (failure, cause, follows) in rows {
        let mut world = World::new(vec![]);
        world.order(clone_of(7, 8, 30, 2));
        assert_eq!(world.end(fetch(7, 8, 30, 2, false), OpResult::Failed(failure)), follows);
        assert_eq!(end_of(&world, 7), failed(cause));
        assert_eq!(world.order(clone_of(7, 8, 30, 2)), "", "an ended task does not begin again");
    }
}

/// A kept staging is taken over by the next copy of the tablet, or goes when nobody came back for it.
#[test]
fn leftovers() {
    let failed = || OpResult::Failed(OpFailure::Copy(TaskFailure::SourceLost { detail: "reset".into() }));
    let mut world = World::new(vec![]);
    world.order(clone_of(7, 8, 30, 2));
    world.end(fetch(7, 8, 30, 2, false), failed());
    assert_eq!(world.book.leftovers[&TabletId(30)].state, LeftoverState::Kept);
    assert_eq!(world.order(clone_of(9, 8, 30, 2)), "fetch 9");
    assert!(world.book.leftovers.is_empty(), "taken over");
    world.end(fetch(9, 8, 30, 2, false), failed());
    assert_eq!(world.turn(at(2000 + RESUME_MS - 1, EventBody::Tick)), "");
    assert_eq!(world.turn(at(2000 + RESUME_MS, EventBody::Tick)), "discard copy of 30");
    // While it is being removed, a new copy waits.
    assert_eq!(world.order(clone_of(10, 8, 30, 2)), "");
    assert_eq!(world.end(discard(9, 30, 8), OpResult::Discarded), "fetch 10");

    // A scan found one whose order nobody knows any more.
    let mut world = World::new(vec![]);
    let found = Leftover { task: TaskId(0), replica: ReplicaId(0), since: Tick(0), state: LeftoverState::Kept };
    world.book.leftovers.insert(TabletId(30), found);
    assert_eq!(world.turn(at(RESUME_MS, EventBody::Tick)), "discard copy of 30");
}

/// Cancelling at each phase; the thread is told, and what was staged goes.
#[test]
fn cancelling() {
    let mut world = World::new(vec![]);
    world.order(clone_of(7, 8, 30, 2));
    assert_eq!(world.order(cancel(7)), "");
    assert!(world.book.copies[&TaskId(7)].cancelled, "fetching: its thread is told");
    // The tablet is free for another copy, which waits for the staging directory.
    assert_eq!(world.order(clone_of(9, 11, 30, 2)), "");
    assert_eq!(world.book.copies[&TaskId(9)].phase, CopyPhase::Queued);
    let cancelled = OpResult::Failed(OpFailure::Copy(TaskFailure::Cancelled));
    assert_eq!(world.end(fetch(7, 8, 30, 2, false), cancelled), "fetch 9");
    assert_eq!(end_of(&world, 7), failed(TaskFailure::Cancelled));

    // It had just finished when the word came: it is not installed.
    world.order(cancel(9));
    assert_eq!(world.end(fetch(9, 11, 30, 2, false), fetched(2)), "discard copy of 30");
    assert_eq!(end_of(&world, 9), failed(TaskFailure::Cancelled));
    assert_eq!(world.order(cancel(9)), "", "again");
    world.end(discard(9, 30, 11), OpResult::Discarded);

    // Queued behind another: ends at once. Installing: ends by itself.
    world.order(clone_of(12, 8, 30, 2));
    world.order(cancel(12));
    world.order(clone_of(13, 8, 30, 2));
    world.order(cancel(13));
    assert_eq!(end_of(&world, 13), failed(TaskFailure::Cancelled));
    world.end(fetch(12, 8, 30, 2, false), fetched(2));
    world.end(discard(12, 30, 8), OpResult::Discarded);
    world.order(clone_of(14, 8, 30, 2));
    world.end(fetch(14, 8, 30, 2, false), fetched(2));
    world.order(cancel(14));
    world.done(8, installed(2, true));
    assert_eq!(end_of(&world, 14), TaskProgress::Done { bytes_copied: 8, bytes_reused: 2 });
}

/// A copy never brings back an incarnation that was dropped.
#[test]
fn a_drop_ends_copies_into_it() {
    let mut world = World::new(vec![held(1, 10, 5)]);
    world.order(clone_of(7, 1, 10, 6));
    assert_eq!(world.order(drop_of(1, 10)), "drop 1", "a fetch occupies no replica");
    world.done(1, OpResult::Dropped { bytes: 1 });
    assert!(world.book.copies[&TaskId(7)].cancelled);
    assert_eq!(world.end(fetch(7, 1, 10, 6, false), fetched(6)), "discard copy of 10");
    assert!(world.book.replicas.is_empty());

    // One that never came to be is dropped while it is on its way.
    world.order(clone_of(8, 9, 30, 2));
    assert_eq!(world.order(drop_of(9, 31)), "no no_such_replica");
    assert!(!world.book.copies[&TaskId(8)].cancelled, "another tablet's drop is not for it");
    assert_eq!(world.order(drop_of(9, 30)), "no no_such_replica");
    assert!(world.book.copies[&TaskId(8)].cancelled);
}

/// A copy waits for what occupies the replica, and for its reader.
#[test]
fn installs_wait_for_the_replica() {
    let mut world = World::new(vec![held(1, 10, 5)]);
    world.order(clone_of(7, 1, 10, 6));
    world.order(confirm_of(1, 10, 1));
    assert_eq!(world.end(fetch(7, 1, 10, 6, false), fetched(6)), "");
    world.order(verify_of(1, 10));
    let answer = OpResult::Confirmed { version: Version(5), hash: hash(5) };
    assert_eq!(world.done(1, answer), "install copy 7 v6");
    assert_eq!(world.done(1, installed(6, false)), "verify 1");
    assert_eq!(world.held(1).oldest(), Version(5));
}

/// Copies end when their disk does, even if the fetch says that all is well.
#[test]
fn a_disk_takes_its_copies_along() {
    let disk = || TaskFailure::Disk { detail: "the disk is SUSPECT: EIO".into() };
    let mut world = World::new(vec![held(1, 10, 5)]);
    world.order(clone_of(7, 8, 30, 2));
    world.order(clone_of(9, 1, 10, 6));
    world.order(confirm_of(1, 10, 1));
    world.end(fetch(9, 1, 10, 6, false), fetched(6));
    world.turn(turned(DiskState::Suspect, "EIO"));
    assert_eq!(end_of(&world, 9), failed(disk()), "staged, not installed");
    assert!(world.book.copies[&TaskId(7)].cancelled, "fetching");
    assert_eq!(world.end(fetch(7, 8, 30, 2, false), fetched(2)), "");
    assert_eq!(end_of(&world, 7), failed(disk()));
    assert_eq!(world.turn(at(u64::MAX, EventBody::Tick)), "", "nothing is removed from a suspect disk");
}

/// Ends are remembered, the latest ones, and the very latest always.
#[test]
fn ends_are_remembered() {
    let mut world = World::new(vec![held(1, 10, 5)]);
    for task in (100..100 + ENDED_MAX as u64 + 5).chain([1]) {
        world.order(clone_of(task, 1, 10, 4));
        assert!(world.book.ended.contains_key(&TaskId(task)));
    }
    assert_eq!(world.book.ended.len(), ENDED_MAX);
}
