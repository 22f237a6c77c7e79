//! A tablet whose copies are all damaged, each in another file: whole again from what each still has.

use super::crashes::copy;
use super::*;
use stele_agent_rules::OpFailure;
use stele_common::TaskFailure;

const FILES: [(&str, &str); 5] =
    [("a", "aaaaaaaaaa"), ("dir/b", "bbbbbbbbbb"), ("dir/c", "cccccccccc"), ("d", "dddddddddd"), ("empty", "")];

/// Three copies of one version on three disks, with replica ids 70, 71 and 72.
fn three() -> (Vec<Bench>, Local, VersionHash) {
    let first = Bench::with_replica();
    let hash = first.load(1, &FILES);
    let mut peers = Local::of(&[(70, &first, REPLICA)]);
    let mut benches = vec![first];
    for id in [71, 72] {
        let bench = Bench::new();
        copy(&bench, &peers, bench.clone_order(id, ReplicaId(id), 1, hash, &[70]));
        peers.disks.insert(id, (Arc::clone(&bench.disk), ReplicaId(id)));
        benches.push(bench);
    }
    peers.sent();
    (benches, peers, hash)
}

fn flip(bench: &Bench, replica: u64, name: &str) {
    let file = bench.data(ReplicaId(replica), &format!("1/{name}"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[3] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

fn drop_it(bench: &Bench, replica: u64) {
    let op = Op::Drop { tablet: TABLET, replica: ReplicaId(replica), evidence: evidence() };
    assert!(matches!(bench.run(&op), OpResult::Dropped { .. }));
}

fn names_missing(result: OpResult) -> String {
    let OpResult::Failed(OpFailure::Copy(TaskFailure::SourceDamaged { path })) = result else { panic!("{result:?}") };
    path
}

/// Each copy has one other file damaged; all are known to be bad. A copy into one of them, from the other two, ends whole
/// and moves only what was damaged there.
#[test]
fn three_damaged_copies_make_a_whole_one() {
    let (benches, peers, hash) = three();
    for (bench, (id, name)) in benches.iter().zip([(70, "a"), (71, "dir/b"), (72, "d")]) {
        flip(bench, id, name);
        assert!(matches!(bench.verify(ReplicaId(id)), OpResult::Damaged { .. }));
    }
    assert_eq!(copy(&benches[0], &peers, benches[0].clone_order(9, REPLICA, 1, hash, &[71, 72])), (10, 0));
    assert_eq!((peers.sent(), benches[0].b3sum_check(REPLICA, 1)), (10, 5));
    assert_eq!(benches[0].disk.bad(TABLET, REPLICA).unwrap(), None);
    assert_eq!(benches[0].verify(REPLICA), OpResult::Verified { version: Version(1) });

    // A new replica has nothing of its own: what one source gives wrong comes from the next.
    let (fresh, mut peers) = (Bench::new(), peers);
    peers.disks.remove(&70);
    assert_eq!(copy(&fresh, &peers, fresh.clone_order(10, ReplicaId(80), 1, hash, &[71, 72])), (40, 0));
    assert_eq!(peers.sent(), 50, "one file came twice, once wrong");
    assert_eq!(fresh.verify(ReplicaId(80)), OpResult::Verified { version: Version(1) });
}

/// The same when a source, and a copy on the destination's own disk, lie in the trash.
#[test]
fn trash_helps() {
    let (benches, peers, hash) = three();
    for (bench, (id, name)) in benches.iter().zip([(70, "a"), (71, "dir/b"), (72, "d")]) {
        flip(bench, id, name);
    }
    drop_it(&benches[1], 71);
    drop_it(&benches[2], 72);
    // Nothing of 72 travels: it lies beside, though another incarnation's file is preferred where both have it.
    assert_eq!(copy(&benches[2], &peers, benches[2].clone_order(9, ReplicaId(82), 1, hash, &[70, 71])), (10, 30));
    assert_eq!(benches[2].verify(ReplicaId(82)), OpResult::Verified { version: Version(1) });
    // From trash alone, and from a damaged replica that nobody knew to be.
    assert_eq!(copy(&benches[0], &peers, benches[0].clone_order(10, ReplicaId(83), 1, hash, &[71])), (10, 30));
    assert_eq!(benches[0].verify(ReplicaId(83)), OpResult::Verified { version: Version(1) });
}

/// One file is damaged in every copy: the copy fails and names it, and who gave it; nothing is installed, and what is
/// good stays for the next try.
#[test]
fn damaged_everywhere() {
    let (benches, peers, hash) = three();
    for (bench, id) in benches.iter().zip([70, 71, 72]) {
        flip(bench, id, "dir/c");
    }
    std::fs::remove_file(benches[1].data(ReplicaId(71), "1/dir/c")).unwrap();
    let (fresh, op) = (Bench::new(), |order| Op::Fetch { order, mend: false });
    let failed = fresh.run_from(&op(fresh.clone_order(9, ReplicaId(80), 1, hash, &[70, 71, 72])), &peers);
    assert_eq!(names_missing(failed), "dir/c (damaged in replica 70 and 71 and 72)");
    assert!(fresh.names("tablets").is_empty());
    let doubts: Vec<_> = peers.doubts.lock().unwrap().drain(..).collect();
    assert_eq!(doubts, [(70, "dir/c".to_string(), true), (72, "dir/c".to_string(), true)]);
    for (bench, id) in benches.iter().zip([70, 71, 72]) {
        assert!(bench.disk.bad(TABLET, ReplicaId(id)).unwrap().is_some_and(|cause| cause.contains("dir/c")));
    }
    // Somewhere a good one turns up.
    peers.sent();
    std::fs::write(benches[2].data(ReplicaId(72), "1/dir/c"), "cccccccccc").unwrap();
    assert_eq!(copy(&fresh, &peers, fresh.clone_order(10, ReplicaId(80), 1, hash, &[72])), (10, 30));
    assert_eq!(peers.sent(), 10);
}

/// A damaged file that another source gives is told to the one that sent it, though the copy succeeds; one that was lost
/// before its replica was known to be bad is marked there.
#[test]
fn the_source_is_told_though_the_copy_succeeds() {
    let (benches, peers, hash) = three();
    flip(&benches[0], 70, "a");
    let fresh = Bench::new();
    copy(&fresh, &peers, fresh.clone_order(9, ReplicaId(80), 1, hash, &[70, 71]));
    assert_eq!(peers.doubts.lock().unwrap().as_slice(), [(70, "a".to_string(), true)]);
    assert!(benches[0].disk.bad(TABLET, REPLICA).unwrap().is_some());
    assert_eq!(benches[1].disk.bad(TABLET, ReplicaId(71)).unwrap(), None);
}

/// A whole copy that was fetched and not installed says after a restart for whom it was.
#[test]
fn a_leftover_knows_its_replica() {
    let (benches, peers, hash) = three();
    let fresh = Bench::new();
    let order = fresh.clone_order(9, ReplicaId(80), 1, hash, &[70]);
    assert!(matches!(fresh.run_from(&Op::Fetch { order, mend: false }, &peers), OpResult::Fetched { .. }));
    let (_, book) = fresh.restart();
    assert_eq!(book.leftovers[&TABLET].replica, ReplicaId(80));
    drop(benches);
}

/// Papers are salvaged as well: the ordered version's manifest comes from whoever has it whole, its hash proves it.
#[test]
fn papers_come_from_anybody() {
    for name in ["head", "1.b3"] {
        let (benches, peers, hash) = three();
        for (bench, id) in benches.iter().zip([70, 71]) {
            std::fs::write(bench.path(&format!("tablets/7/{id}/{name}")), "junk").unwrap();
            assert!(matches!(bench.verify(ReplicaId(id)), OpResult::Damaged { .. }));
        }
        flip(&benches[2], 72, "a");
        drop_it(&benches[2], 72);
        let fresh = Bench::new();
        copy(&fresh, &peers, fresh.clone_order(9, ReplicaId(80), 1, hash, &[70, 71, 72]));
        assert_eq!(fresh.verify(ReplicaId(80)), OpResult::Verified { version: Version(1) }, "{name}");
    }
}

/// A bad replica's newer head is not believed: exactly the ordered version is made, with files from older replicas too.
#[test]
fn a_bad_head_is_not_believed() {
    let (benches, peers, hash) = three();
    flip(&benches[1], 71, "dir/b");
    let newer = benches[0].load(2, &[("a", "AAAAA")]);
    assert_ne!(newer, hash);
    benches[0].disk.mark_bad(TABLET, REPLICA, "test").unwrap();
    let fresh = Bench::new();
    copy(&fresh, &peers, fresh.clone_order(9, ReplicaId(80), 1, hash, &[70, 71]));
    assert_eq!(fresh.verify(ReplicaId(80)), OpResult::Verified { version: Version(1) });
    // A trusted source's newer head is taken; files that did not change come from a replica that is behind.
    let (benches, peers, _) = three();
    let newer = benches[0].load(2, &[("a", "AAAAA")]);
    flip(&benches[0], 70, "dir/b");
    let fresh = Bench::new();
    copy(&fresh, &peers, fresh.clone_order(9, ReplicaId(80), 2, newer, &[70, 71]));
    assert_eq!(fresh.verify(ReplicaId(80)), OpResult::Verified { version: Version(2) });
}

/// Unreadable files break the line in the middle: what lies behind them is asked for again, from the same source too.
#[test]
fn behind_a_broken_file() {
    let (benches, peers, hash) = three();
    flip(&benches[1], 71, "dir/c");
    // The line of 70 breaks within its first file; the others of 70 are needed, 71 has that one.
    peers.breaks.lock().unwrap().insert(70, 0);
    let fresh = Bench::new();
    copy(&fresh, &peers, fresh.clone_order(9, ReplicaId(80), 1, hash, &[70, 71]));
    assert_eq!(fresh.verify(ReplicaId(80)), OpResult::Verified { version: Version(1) });
}

/// A newer head whose files cannot all be had is given up for the ordered version.
#[test]
fn back_to_the_ordered_version() {
    let (benches, peers, hash) = three();
    benches[0].load(2, &[("a", "AAAAA")]);
    std::fs::write(benches[0].data(REPLICA, "2/a"), "BBBBB").unwrap();
    let fresh = Bench::new();
    copy(&fresh, &peers, fresh.clone_order(9, ReplicaId(80), 1, hash, &[70, 71]));
    assert_eq!(fresh.verify(ReplicaId(80)), OpResult::Verified { version: Version(1) });
}
