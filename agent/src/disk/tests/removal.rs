//! What is removed, and what never is.

use super::*;
use stele_agent_rules::OpFailure;

/// A drop moves exactly the named replica to the trash; a purge frees exactly it; both may come twice.
#[test]
fn drop_and_purge_name_one_replica() {
    let bench = Bench::with_replica();
    bench.load(1, &[("a", "one")]);
    bench.run(&Op::Create { label: label(ReplicaId(71)) });
    let drop_op = |tablet, replica| Op::Drop { tablet, replica, evidence: evidence() };
    let purge = |replica| Op::Purge { tablet: TABLET, replica, evidence: evidence() };
    assert_eq!(bench.run(&drop_op(TabletId(8), REPLICA)), OpResult::Failed(OpFailure::NotFound), "another tablet's");
    assert_eq!(bench.run(&drop_op(TABLET, REPLICA)), OpResult::Dropped { bytes: 3 });
    assert_eq!(bench.run(&drop_op(TABLET, REPLICA)), OpResult::Failed(OpFailure::NotFound));
    assert_eq!((bench.names("tablets/7"), bench.names("trash")), (vec!["71".into()], vec!["1000-7-70".into()]));
    assert_eq!(bench.disk.space().unwrap().0.used, 3, "trash weighs");
    let (bench, book) = bench.restart();
    assert!(!book.replicas.contains_key(&REPLICA));
    assert_eq!(
        book.trash[&REPLICA].bytes,
        std::fs::metadata(bench.path("trash/1000-7-70/head")).unwrap().len() + weight(&bench)
    );
    assert_eq!(bench.run(&purge(ReplicaId(71))), OpResult::Failed(OpFailure::NotFound), "it is not in the trash");
    assert_eq!(bench.run(&purge(REPLICA)), OpResult::Purged);
    assert_eq!(bench.run(&purge(REPLICA)), OpResult::Failed(OpFailure::NotFound));
    assert!(bench.names("trash").is_empty());
    assert_eq!(bench.disk.space().unwrap().0.used, 0);
}

/// Bytes in the trashed replica beside its head.
fn weight(bench: &Bench) -> u64 {
    let dir = bench.path("trash/1000-7-70");
    ["1.b3", "1.meta", "tablet", "data/1/a"].iter().map(|name| std::fs::metadata(dir.join(name)).unwrap().len()).sum()
}

/// A purge removes a link itself, never what it points at.
#[test]
fn a_purge_follows_no_link() {
    let bench = Bench::with_replica();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("precious"), "x").unwrap();
    std::os::unix::fs::symlink(outside.path(), bench.path("tablets/7/70/link")).unwrap();
    bench.run(&Op::Drop { tablet: TABLET, replica: REPLICA, evidence: evidence() });
    assert_eq!(bench.run(&Op::Purge { tablet: TABLET, replica: REPLICA, evidence: evidence() }), OpResult::Purged);
    assert!(outside.path().join("precious").exists() && bench.names("trash").is_empty());
}

/// Collecting removes old versions and what only they name; the head and what is kept for readers stay whole.
#[test]
fn collect_keeps_what_is_named() {
    let bench = Bench::with_replica();
    bench.load(1, &[("a", "1"), ("stays", "s"), ("dir/x", "1")]);
    let two = bench.load(2, &[("a", "2")]);
    bench.load(3, &[("a", "3")]);
    let files = [("a", "4"), ("stays", "s")];
    let staged = bench.stage(&bench.begin(4, &files, LoadMode::Replace), &files);
    bench.run(&bench.install_op(4, &staged));
    let collect = |below: u64, keep: &[u64]| {
        let keep = keep.iter().map(|version| Version(*version)).collect();
        bench.run(&Op::Collect { tablet: TABLET, replica: REPLICA, below: Version(below), keep })
    };
    assert_eq!(collect(4, &[2]), OpResult::Collected { older: vec![(Version(2), two)], size: 4 });
    assert_eq!((bench.b3sum_check(REPLICA, 2), bench.b3sum_check(REPLICA, 4)), (3, 2));
    assert!(!bench.data(REPLICA, "1/a").exists() && !bench.data(REPLICA, "3").exists());
    assert!(bench.disk.manifest(TABLET, REPLICA, Some(Version(3))).is_err());
    assert_eq!(collect(99, &[]), OpResult::Collected { older: vec![], size: 2 }, "the head never goes");
    assert_eq!(bench.names("tablets/7/70/data"), ["1", "4"]);
    assert_eq!(bench.names("tablets/7/70/data/1"), ["stays"]);
    assert_eq!(bench.verify(REPLICA), OpResult::Verified { version: Version(4) });
    assert_eq!(bench.disk.space().unwrap().0.used, 2);
}

/// With a kept version's papers unreadable, nothing is collected: what they named is not known.
#[test]
fn collect_needs_the_papers() {
    let bench = Bench::with_replica();
    bench.load(1, &[("a", "1")]);
    bench.load(2, &[("a", "2")]);
    bench.load(3, &[("b", "3")]);
    std::fs::write(bench.path("tablets/7/70/2.b3"), "junk").unwrap();
    let op = Op::Collect { tablet: TABLET, replica: REPLICA, below: Version(2), keep: vec![] };
    assert!(matches!(bench.run(&op), OpResult::Failed(OpFailure::Mismatch { .. })));
    assert!(bench.data(REPLICA, "1/a").exists() && bench.data(REPLICA, "2/a").exists());
}

/// Reading: a file opens beneath its replica only; what the head names and is not there marks the replica.
#[test]
fn reading_marks_damage() {
    let bench = Bench::with_replica();
    bench.load(1, &[("a", "one"), ("b", "two")]);
    let open = bench.disk.manifest(TABLET, REPLICA, None).unwrap();
    let read = |name: &str| {
        let path = RelPath::new(name).unwrap();
        let entry = open.manifest.entries[&path];
        bench.disk.open_file(TABLET, REPLICA, &path, &entry)
    };
    let mut text = String::new();
    read("a").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "one");
    std::fs::remove_file(bench.data(REPLICA, "1/b")).unwrap();
    assert!(matches!(read("b"), Err(crate::disk::DiskError::Damaged { .. })));
    assert!(bench.disk.bad(TABLET, REPLICA).unwrap().is_some_and(|cause| cause.contains("`b`")));
    let many = Bench::with_replica();
    many.load(1, &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")]);
    for name in ["a", "b", "c", "d", "e"] {
        std::fs::remove_file(many.data(REPLICA, &format!("1/{name}"))).unwrap();
    }
    let OpResult::Damaged { cause } = many.verify(REPLICA) else { panic!() };
    assert!(cause.contains("`a`") && cause.contains("`c`") && cause.ends_with("and 2 more files"), "{cause}");
}
