//! From a staged load to a version: commit, abort, order of versions, and what may go wrong between.

use crate::book::FULL_PAUSE_MS;
use crate::event::{EventBody, OpFailure, OpResult};
use crate::testing::*;
use stele_common::{DiskState, LoadId, OrderBody, ReplicaId, TabletId, Tick, Version};

const KEY: fn(u64) -> (LoadId, TabletId) = |load| (LoadId(load), TabletId(10));

fn world() -> World {
    World::new(vec![held(1, 10, 2)])
}

/// Durable, committed, installed; its staging is out of the book, the old head is kept.
#[test]
fn a_load_becomes_the_head() {
    let mut world = world();
    world.book.replicas.get_mut(&ReplicaId(1)).unwrap().verified = Some(Tick(7));
    assert_eq!(world.turn(load_staged(4, 1, 10, 3)), "");
    assert_eq!(world.order(commit_of(4, 1, 10, 3)), "install load 4 v3");
    assert_eq!(world.order(commit_of(4, 1, 10, 3)), "", "the same again");
    assert_eq!(world.done(1, installed(3, false)), "");
    let replica = world.held(1);
    assert_eq!((replica.head, replica.hash, replica.oldest()), (Version(3), hash(3), Version(2)));
    assert_eq!(replica.verified, Some(Tick(7)), "what was there keeps its receipt");
    assert!(world.book.staged.is_empty());
    assert_eq!(world.order(commit_of(4, 1, 10, 3)), "", "late and again");
}

/// Committed in any order, versions are installed in theirs; one without its parent waits.
#[test]
fn versions_come_in_order() {
    let mut world = world();
    for (load, version) in [(6, 5), (5, 4), (4, 3)] {
        world.turn(load_staged(load, 1, 10, version));
    }
    assert_eq!(world.order(commit_of(6, 1, 10, 5)), "");
    assert_eq!(world.order(commit_of(5, 1, 10, 4)), "");
    assert_eq!(world.order(commit_of(4, 1, 10, 3)), "install load 4 v3");
    assert_eq!(world.done(1, installed(3, false)), "install load 5 v4");
    assert_eq!(world.done(1, installed(4, false)), "install load 6 v5");
    assert_eq!(world.done(1, installed(5, false)), "");
}

/// Only the coordinator's abort removes a load that was not committed; a committed one is never aborted.
#[test]
fn abort() {
    let mut world = world();
    world.turn(load_staged(4, 1, 10, 4));
    world.turn(at(u64::MAX, EventBody::Tick));
    assert_eq!(world.book.staged.len(), 1, "never by age");
    assert_eq!(world.order(abort_of(4)), "discard load 4");
    assert_eq!(world.order(commit_of(4, 1, 10, 4)), "no no_such_load");
    assert_eq!(world.turn(load_staged(4, 1, 10, 4)), "", "it is being removed");
    let op = crate::Op::DiscardLoad { load: LoadId(4), tablet: TabletId(10) };
    assert_eq!(world.end(op, OpResult::Discarded), "");
    assert!(world.book.staged.is_empty());

    world.turn(load_staged(5, 1, 10, 4));
    assert_eq!(world.order(commit_of(5, 1, 10, 4)), "");
    assert_eq!(world.order(abort_of(5)), "");
    assert!(world.book.staged[&KEY(5)].committed && !world.book.staged[&KEY(5)].aborted);
}

/// A load over several tablets of the disk is aborted in all of them, and committed one by one.
#[test]
fn many_tablets() {
    let mut world = World::new(vec![held(1, 10, 2), held(2, 11, 2)]);
    world.turn(load_staged(4, 1, 10, 3));
    world.turn(load_staged(4, 2, 11, 3));
    assert_eq!(world.order(commit_of(4, 2, 11, 3)), "install load 4 v3");
    assert_eq!(world.order(abort_of(4)), "discard load 4");
    assert!(world.book.staged[&(LoadId(4), TabletId(11))].committed);
}

/// What was prepared is not what was committed: it fails and says so, and goes once the replica has the version.
#[test]
fn another_hash_was_committed() {
    let mut world = world();
    world.turn(load_staged(4, 1, 10, 3));
    let commit = OrderBody::CommitLoad {
        load: LoadId(4),
        tablet: TabletId(10),
        replica: ReplicaId(1),
        version: Version(3),
        hash: hash(99),
    };
    assert_eq!(world.order(commit), "");
    assert!(world.book.staged[&KEY(4)].failed.as_ref().unwrap().contains("prepared as version 3"));
    let mut order = clone_order(7, 1, 10, 3);
    order.hash = hash(99);
    assert_eq!(world.order(OrderBody::Clone(order.clone())), "fetch 7");
    let result = OpResult::Fetched { version: Version(3), hash: hash(99), bytes_copied: 1, bytes_reused: 0 };
    assert_eq!(world.end(crate::Op::Fetch { order, mend: false }, result), "install copy 7 v3");
    let result = OpResult::Installed { version: Version(3), hash: hash(99), size: 1, files: 1, content_checked: true };
    assert_eq!(world.done(1, result), "discard load 4");
    assert_eq!(world.turn(load_staged(4, 1, 10, 3)), "");
    assert!(world.book.staged[&KEY(4)].failed.is_some(), "staged again while it is removed: it goes all the same");
}

/// A replica that holds another content under a committed number is bad, whoever else agrees with it.
#[test]
fn the_recorded_hash_is_the_truth() {
    for version in [1, 2] {
        let mut world = world();
        world.book.replicas.get_mut(&ReplicaId(1)).unwrap().older.insert(Version(1), hash(1));
        let commit = OrderBody::CommitLoad {
            load: LoadId(4),
            tablet: TabletId(10),
            replica: ReplicaId(1),
            version: Version(version),
            hash: hash(99),
        };
        assert_eq!(world.order(commit), "");
        assert!(world.held(1).bad.as_ref().unwrap().starts_with(&format!("version {version} has the hash")));
    }
}

/// How an install ends otherwise, and what the load is afterwards.
#[test]
fn installs_that_fail() {
    let failed = |cause: &str| Some(cause.to_string());
    let rows: Vec<(OpResult, Option<String>, bool, &str)> = vec![
        (OpResult::Failed(OpFailure::Full), failed("the disk is full"), false, ""),
        (OpResult::Failed(OpFailure::Mismatch { detail: "other hash".into() }), failed("other hash"), false, ""),
        (OpResult::Failed(OpFailure::NotFound), failed("it is not on the disk any more"), false, "verify 1"),
        (OpResult::Damaged { cause: "rot".into() }, None, true, ""),
        (OpResult::Failed(OpFailure::Disk { detail: "EIO".into() }), None, false, ""),
    ];
    for (result, cause, bad, follows) in rows {
        let mut world = world();
        world.turn(load_staged(4, 1, 10, 3));
        world.order(commit_of(4, 1, 10, 3));
        assert_eq!(world.done(1, result.clone()), follows, "{result:?}");
        let staged = &world.book.staged[&KEY(4)];
        assert!(staged.committed, "a commit is never taken back");
        assert_eq!((&staged.failed, world.held(1).bad.is_some()), (&cause, bad), "{result:?}");
        assert_eq!(world.held(1).head, Version(2));
    }
}

/// After a failure the coordinator's word is a new try.
#[test]
fn a_commit_again_tries_again() {
    let mut world = world();
    world.turn(load_staged(4, 1, 10, 3));
    world.order(commit_of(4, 1, 10, 3));
    world.done(1, OpResult::Failed(OpFailure::Mismatch { detail: "other hash".into() }));
    assert_eq!(world.order(commit_of(4, 1, 10, 3)), "install load 4 v3");
}

/// A full disk gets a pause: however often the coordinator repeats itself, the install is tried again by time alone, and
/// only on a disk that is ONLINE.
#[test]
fn a_full_disk_gets_a_pause() {
    let mut world = world();
    world.turn(load_staged(4, 1, 10, 3));
    world.order(commit_of(4, 1, 10, 3));
    // The test's ops end at tick 2000.
    for round in 0..2 {
        let end = 2000 + FULL_PAUSE_MS;
        assert_eq!(world.done(1, OpResult::Failed(OpFailure::Full)), "", "round {round}");
        assert_eq!(world.order(commit_of(4, 1, 10, 3)), "");
        assert_eq!(world.turn(at(end - 1, EventBody::Tick)), "");
        assert_eq!(world.turn(at(end, EventBody::Tick)), "install load 4 v3");
        assert!(world.book.postponed.is_empty());
    }
    world.done(1, OpResult::Failed(OpFailure::Full));
    world.turn(turned(DiskState::Suspect, "EIO"));
    assert_eq!(world.turn(at(u64::MAX, EventBody::Tick)), "");
    assert!(world.book.staged[&KEY(4)].committed && world.book.postponed.len() == 1);
}

/// A bad replica builds nothing on itself; mended, it goes on.
#[test]
fn bad_replicas_wait() {
    let mut world = world();
    world.turn(load_staged(4, 1, 10, 3));
    world.turn(at(1, EventBody::FoundDamaged { replica: ReplicaId(1), cause: "rot".into() }));
    assert_eq!(world.order(commit_of(4, 1, 10, 3)), "");
    assert_eq!(world.order(clone_of(7, 1, 10, 2)), "fetch 7 to mend");
    assert_eq!(world.end(fetch(7, 1, 10, 2, true), fetched(2)), "install copy 7 v2 to mend");
    assert_eq!(world.done(1, installed(2, true)), "install load 4 v3");
}

/// A copy overtakes loads: those at or below the new head go, the next one follows it.
#[test]
fn a_copy_overtakes() {
    let mut world = World::new(vec![held(1, 10, 0)]);
    for (load, version) in [(4, 3), (5, 4), (6, 5), (7, 4)] {
        world.turn(load_staged(load, 1, 10, version));
    }
    for (load, version) in [(4, 3), (5, 4), (6, 5)] {
        assert_eq!(world.order(commit_of(load, 1, 10, version)), "");
    }
    world.order(clone_of(9, 1, 10, 4));
    world.end(fetch(9, 1, 10, 4, false), fetched(4));
    assert_eq!(world.done(1, installed(4, true)), "install load 6 v5; discard load 4; discard load 5");
    assert!(world.book.staged.contains_key(&KEY(7)), "not committed, not aborted: it waits for the coordinator");
}

/// Loads staged for a copy that is still coming wait for it.
#[test]
fn loads_for_a_coming_replica() {
    let mut world = World::new(vec![]);
    world.order(clone_of(9, 8, 10, 2));
    world.turn(load_staged(4, 8, 10, 3));
    assert_eq!(world.order(commit_of(4, 8, 10, 3)), "");
    assert_eq!(world.end(fetch(9, 8, 10, 2, false), fetched(2)), "install copy 9 v2");
    assert_eq!(world.done(8, installed(2, true)), "install load 4 v3");
}

/// Of a dropped replica the committed loads go, the others wait for the coordinator's word.
#[test]
fn loads_of_a_dropped_replica() {
    let mut world = world();
    for (load, version) in [(4, 4), (5, 5)] {
        world.turn(load_staged(load, 1, 10, version));
    }
    world.order(commit_of(4, 1, 10, 4));
    world.order(drop_of(1, 10));
    assert_eq!(world.done(1, OpResult::Dropped { bytes: 1 }), "discard load 4");
    assert_eq!(world.order(commit_of(5, 1, 10, 5)), "discard load 5", "committed after the drop: useless");

    // Never there, only loads were staged for it: a drop of exactly this replica clears what was committed.
    world.turn(load_staged(6, 2, 10, 3));
    world.turn(load_staged(7, 2, 10, 4));
    assert_eq!(world.order(commit_of(6, 2, 10, 3)), "");
    assert_eq!(world.order(drop_of(2, 11)), "no no_such_replica");
    assert!(world.book.staged[&KEY(6)].failed.is_none(), "another tablet's drop is not for it");
    assert_eq!(world.order(drop_of(2, 10)), "no no_such_replica; discard load 6");
    assert!(world.book.staged.contains_key(&KEY(7)));
}

/// A replica that was dropped and purged left no trace: what was staged for it goes by the coordinator's word, committed
/// or not. One that lies here or is on its way keeps what it waits for.
#[test]
fn loads_of_a_purged_replica() {
    let mut world = world();
    world.turn(load_staged(4, 1, 10, 4));
    world.order(drop_of(1, 10));
    world.done(1, OpResult::Dropped { bytes: 1 });
    world.order(purge_of(1, 10));
    world.done(1, OpResult::Purged);
    assert_eq!(world.order(commit_of(4, 1, 10, 4)), "", "the word comes late; it might be for a copy that comes");
    assert_eq!(world.order(discard_of(4, 2, 10)), "no no_such_load", "another replica's");
    assert_eq!(world.order(discard_of(4, 1, 10)), "discard load 4");
    assert_eq!(world.order(discard_of(4, 1, 10)), "", "the same again");

    world.turn(load_staged(5, 2, 10, 3));
    assert_eq!(world.order(discard_of(5, 2, 10)), "discard load 5", "its commit never came");
    world.order(clone_of(9, 8, 10, 2));
    world.turn(load_staged(6, 8, 10, 3));
    world.order(commit_of(6, 8, 10, 3));
    assert_eq!(world.order(discard_of(6, 8, 10)), "no already_there");
    world.end(fetch(9, 8, 10, 2, false), fetched(2));
    assert_eq!(world.done(8, installed(2, true)), "install load 6 v3");
    assert_eq!(world.order(discard_of(6, 8, 10)), "no already_there");
}

/// A verification may last minutes: loads go on beside it, drop, copies and collection wait.
#[test]
fn loads_pass_a_verification() {
    let mut world = world();
    world.book.replicas.get_mut(&ReplicaId(1)).unwrap().older.insert(Version(1), hash(1));
    assert_eq!(world.order(verify_of(1, 10)), "verify 1");
    world.turn(load_staged(4, 1, 10, 3));
    assert_eq!(world.order(commit_of(4, 1, 10, 3)), "install load 4 v3");
    assert_eq!(world.done(1, installed(3, false)), "");
    assert_eq!(world.order(collect_of(1, 10, 2)), "");
    assert_eq!(world.order(confirm_of(1, 10, 1)), "confirm 1 #1");
    assert_eq!(world.done(1, OpResult::Confirmed { version: Version(3), hash: hash(3) }), "");
    let op = crate::Op::Verify { tablet: TabletId(10), replica: ReplicaId(1), urgent: true };
    assert_eq!(world.end(op, OpResult::Verified { version: Version(2) }), "collect 1 below 2 keep []");
    assert_eq!((world.held(1).verified, world.held(1).scrubbed), (Some(Tick(2000)), Some(Tick(2000))));
}
