//! Disks that fail, vanish and come back, and what reading a replica says about it.

use crate::event::{EventBody, Op, OpFailure, OpResult};
use crate::next;
use crate::testing::*;
use stele_common::{DiskState, ReplicaId, TabletId, Tick, Version};

const SUSPECT: DiskState = DiskState::Suspect;
const UNAVAILABLE: DiskState = DiskState::Unavailable;
const ONLINE: DiskState = DiskState::Online;

fn verify_op(urgent: bool) -> Op {
    Op::Verify { tablet: TabletId(10), replica: ReplicaId(1), urgent }
}

/// Every turn of a disk. Suspicion outlives an absence; only a restart (a new book) ends it.
#[test]
fn turns() {
    let rows: &[(&[DiskState], DiskState)] = &[
        (&[SUSPECT], SUSPECT),
        (&[SUSPECT, ONLINE], SUSPECT),
        (&[UNAVAILABLE], UNAVAILABLE),
        (&[UNAVAILABLE, ONLINE], ONLINE),
        (&[UNAVAILABLE, SUSPECT], UNAVAILABLE),
        (&[UNAVAILABLE, SUSPECT, ONLINE], ONLINE),
        (&[SUSPECT, UNAVAILABLE], UNAVAILABLE),
        (&[SUSPECT, UNAVAILABLE, ONLINE], SUSPECT),
        (&[ONLINE], ONLINE),
    ];
    for (states, end) in rows {
        let mut world = World::new(vec![held(1, 10, 5)]);
        for state in *states {
            world.turn(turned(*state, &format!("{state:?}")));
        }
        assert_eq!(world.book.state, *end, "{states:?}");
        let cause = (*end != ONLINE).then(|| format!("{end:?}"));
        assert_eq!(world.book.cause, cause, "{states:?}");
        assert!(world.book.replicas.contains_key(&ReplicaId(1)), "unknown, not gone");
    }
}

/// Any op that finds the disk failing makes it SUSPECT, and what it was about stays in the book.
#[test]
fn a_failing_op_makes_the_disk_suspect() {
    for body in [drop_of(1, 10), confirm_of(1, 10, 1), collect_of(1, 10, 5), purge_of(2, 20)] {
        let mut replica = held(1, 10, 5);
        replica.older.insert(Version(4), hash(4));
        let mut world = World::new(vec![replica]);
        world.book.trash.insert(ReplicaId(2), trashed(20, 0));
        world.order(body.clone());
        let replica = if world.book.busy.contains_key(&ReplicaId(1)) { 1 } else { 2 };
        assert_eq!(world.done(replica, OpResult::Failed(OpFailure::Disk { detail: "EIO".into() })), "", "{body:?}");
        assert_eq!((world.book.state, world.book.cause.as_deref()), (SUSPECT, Some("EIO")));
        assert!(world.book.replicas.contains_key(&ReplicaId(1)) && world.book.trash.contains_key(&ReplicaId(2)));
    }
}

/// What lay on a disk that was away is not proven until it has been read again.
#[test]
fn receipts_do_not_outlive_an_absence() {
    let mut world = World::new(vec![held(1, 10, 5)]);
    let replica = world.book.replicas.get_mut(&ReplicaId(1)).unwrap();
    (replica.verified, replica.scrubbed) = (Some(Tick(1)), Some(Tick(1)));
    world.order(confirm_of(1, 10, 1));
    world.done(1, OpResult::Confirmed { version: Version(5), hash: hash(5) });
    world.turn(turned(UNAVAILABLE, "moved away"));
    assert!(world.held(1).verified.is_some(), "still what was known");
    world.turn(turned(ONLINE, ""));
    let replica = world.held(1);
    assert_eq!((replica.verified, replica.scrubbed, replica.confirmed), (None, None, None));
}

/// Wishes of before an absence are carried out after it, but nothing before.
#[test]
fn wishes_wait_for_the_disk() {
    let mut world = World::new(vec![held(1, 10, 2)]);
    world.order(confirm_of(1, 10, 1));
    world.turn(load_staged(4, 1, 10, 3));
    world.order(commit_of(4, 1, 10, 3));
    world.order(drop_of(1, 10));
    world.turn(turned(UNAVAILABLE, "gone"));
    assert_eq!(world.done(1, OpResult::Failed(OpFailure::NotFound)), "");
    assert!(world.book.replicas.contains_key(&ReplicaId(1)), "cannot see is not gone");
    assert_eq!(world.turn(at(3000, EventBody::Tick)), "");
    assert_eq!(world.turn(turned(ONLINE, "")), "drop 1");

    let mut world = World::new(vec![held(1, 10, 2)]);
    world.book.trash.insert(ReplicaId(2), trashed(20, 0));
    world.order(confirm_of(1, 10, 1));
    world.turn(load_staged(4, 1, 10, 3));
    world.order(commit_of(4, 1, 10, 3));
    world.turn(turned(UNAVAILABLE, "gone"));
    world.done(1, OpResult::Failed(OpFailure::NotFound));
    assert_eq!(world.turn(turned(ONLINE, "")), "install load 4 v3");
}

/// Not found: gone on a disk that is ONLINE and when nothing else works on the replica, unknown otherwise.
#[test]
fn missing_is_not_empty() {
    let bodies = [(drop_of(1, 10), true), (confirm_of(1, 10, 1), true), (collect_of(1, 10, 5), true)];
    for (body, gone) in bodies {
        for state in [ONLINE, SUSPECT, UNAVAILABLE] {
            let mut replica = held(1, 10, 5);
            replica.older.insert(Version(4), hash(4));
            let mut world = World::new(vec![replica]);
            world.order(body.clone());
            world.turn(turned(state, "EIO"));
            world.done(1, OpResult::Failed(OpFailure::NotFound));
            let is_gone = !world.book.replicas.contains_key(&ReplicaId(1));
            assert_eq!(is_gone, gone && state == ONLINE, "{body:?} {state:?}");
            assert!(world.book.trash.is_empty());
        }
    }
    let mut world = World::new(vec![held(1, 10, 5)]);
    world.order(verify_of(1, 10));
    world.order(confirm_of(1, 10, 1));
    assert_eq!(world.done(1, OpResult::Failed(OpFailure::NotFound)), "");
    assert!(world.book.replicas.contains_key(&ReplicaId(1)), "the reader will say");
    assert_eq!(world.end(verify_op(true), OpResult::Failed(OpFailure::NotFound)), "");
    assert!(world.book.replicas.is_empty());
}

/// What a confirmation or a verification finds.
#[test]
fn findings() {
    let confirmed = |version, with| OpResult::Confirmed { version: Version(version), hash: hash(with) };
    let verified = |version| OpResult::Verified { version: Version(version) };
    let damaged = || OpResult::Damaged { cause: "rot in a".into() };
    let rows: Vec<(bool, OpResult, Option<&str>)> = vec![
        (false, confirmed(5, 5), None),
        (false, confirmed(5, 9), Some("version 5 on the disk has another hash than it had")),
        (false, confirmed(3, 3), Some("regressed: the disk has version 3, it had version 5")),
        (false, damaged(), Some("rot in a")),
        (true, verified(5), None),
        (true, verified(4), None),
        (true, verified(3), Some("regressed: the disk has version 3, it had version 5")),
        (true, damaged(), Some("rot in a")),
    ];
    for (is_verify, result, bad) in rows {
        let mut replica = held(1, 10, 5);
        replica.older.insert(Version(4), hash(4));
        let mut world = World::new(vec![replica]);
        if is_verify {
            world.order(verify_of(1, 10));
            world.end(verify_op(true), result.clone());
            assert_eq!(world.held(1).verified.is_some(), bad.is_none(), "{result:?}");
        } else {
            world.order(confirm_of(1, 10, 1));
            world.done(1, result.clone());
        }
        assert_eq!(world.held(1).bad.as_deref(), bad, "{result:?}");
        assert_eq!(world.held(1).head, Version(5), "a head never goes back");
    }
}

/// A clean reading does not make a bad replica good: only a checked copy does.
#[test]
fn bad_is_not_talked_away() {
    let mut world = World::new(vec![held(1, 10, 5)]);
    world.turn(at(1, EventBody::FoundDamaged { replica: ReplicaId(1), cause: "rot".into() }));
    world.order(verify_of(1, 10));
    world.end(verify_op(true), OpResult::Verified { version: Version(5) });
    assert_eq!(world.held(1).bad.as_deref(), Some("rot"));
}

/// A background reading gives way to a drop, a fetched copy and an ordered reading of its replica; it is not done then, and
/// its turn comes again.
#[test]
fn a_scrub_gives_way() {
    let scrub = || at(1, EventBody::Scrub { replica: ReplicaId(1) });
    let cancelled = || OpResult::Failed(OpFailure::Mismatch { detail: "cancelled".into() });
    let in_the_way = |world: &World| next::in_the_way(&world.book);
    type Wait = fn(&mut World);
    let rows: [(Wait, bool, &str); 4] = [
        (|world| drop(world.order(drop_of(1, 10))), true, "drop 1"),
        (|world| drop(world.order(verify_of(1, 10))), true, "verify 1"),
        (
            |world| {
                world.order(clone_of(7, 1, 10, 6));
                world.end(fetch(7, 1, 10, 6, false), fetched(6));
            },
            true,
            "install copy 7 v6",
        ),
        (|world| drop(world.order(collect_of(1, 10, 5))), false, ""),
    ];
    for (wait, gives_way, follows) in rows {
        let mut world = World::new(vec![held(1, 10, 5)]);
        assert_eq!(world.turn(scrub()), "scrub 1");
        assert_eq!(in_the_way(&world), []);
        wait(&mut world);
        assert_eq!(in_the_way(&world), if gives_way { vec![ReplicaId(1)] } else { vec![] }, "{follows}");
        assert_eq!(world.end(verify_op(false), cancelled()), follows);
        assert_eq!((world.held(1).scrubbed, world.held(1).wishes.scrub), (None, false));
    }
}

/// The background reading: its turn comes once, an order that arrives meanwhile reads anew.
#[test]
fn scrub_and_verify() {
    let scrub = || at(1, EventBody::Scrub { replica: ReplicaId(1) });
    let mut world = World::new(vec![held(1, 10, 5)]);
    assert_eq!(world.turn(scrub()), "scrub 1");
    assert_eq!(world.turn(scrub()), "");
    assert_eq!(world.order(verify_of(1, 10)), "", "it has been reading since before the order");
    assert_eq!(world.end(verify_op(false), OpResult::Verified { version: Version(5) }), "verify 1");
    assert_eq!(world.order(verify_of(1, 10)), "");
    assert_eq!(world.end(verify_op(true), OpResult::Verified { version: Version(5) }), "");
    world.turn(at(1, EventBody::FoundDamaged { replica: ReplicaId(1), cause: "rot".into() }));
    assert_eq!(world.turn(scrub()), "", "nothing to learn from a bad one");
}
