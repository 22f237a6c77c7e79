//! Copies: whole, catching up, resuming, mending, and sources that fail.

use super::crashes::copy;
use super::*;
use stele_agent_rules::OpFailure;
use stele_agent_rules::book::LeftoverState;
use stele_common::TaskFailure;

fn source() -> (Bench, VersionHash) {
    let bench = Bench::with_replica();
    let hash = bench.load(1, &[("a", "aaaaaaaaaa"), ("dir/b", "bbbbbbbbbb"), ("dir/c", "cccccccccc"), ("empty", "")]);
    (bench, hash)
}

const MINE: ReplicaId = ReplicaId(80);

/// A whole copy, then a catch-up that moves only what changed.
#[test]
fn only_changed_bytes_travel() {
    let (source, hash) = source();
    let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
    assert_eq!(copy(&bench, &peers, bench.clone_order(1, MINE, 1, hash, &[1])), (30, 0));
    assert_eq!(peers.sent(), 30);
    assert_eq!((bench.b3sum_check(MINE, 1), bench.verify(MINE)), (4, OpResult::Verified { version: Version(1) }));
    let hash = source.load(2, &[("dir/b", "BBBBB"), ("moved/a", "aaaaaaaaaa")]);
    assert_eq!(copy(&bench, &peers, bench.clone_order(2, MINE, 2, hash, &[1])), (5, 10), "a renamed file is reused");
    assert_eq!((peers.sent(), bench.b3sum_check(MINE, 2)), (5, 5));
    let (bench, book) = bench.restart();
    assert_eq!((book.replicas[&MINE].head, book.replicas[&MINE].older.len()), (Version(2), 1));
    assert_eq!(bench.disk.space().unwrap().0.used, 45);
}

/// An empty tablet is copied too.
#[test]
fn an_empty_tablet_is_copied() {
    let source = Bench::with_replica();
    let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
    assert_eq!(copy(&bench, &peers, bench.clone_order(1, MINE, 0, Digest::ZERO, &[1])), (0, 0));
    assert_eq!(bench.verify(MINE), OpResult::Verified { version: Version(0) });
}

/// A line that breaks costs only what has not come: the next source, or the next try, sends the rest.
#[test]
fn a_broken_line_is_resumed() {
    let (source, hash) = source();
    let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA), (2, &source, REPLICA)]));
    peers.breaks.lock().unwrap().insert(1, 1);
    copy(&bench, &peers, bench.clone_order(1, MINE, 1, hash, &[1, 2]));
    assert_eq!(peers.sent(), 30, "nothing travelled twice");

    let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
    peers.breaks.lock().unwrap().insert(1, 2);
    let order = bench.clone_order(1, MINE, 1, hash, &[1]);
    let failed = bench.run_from(&Op::Fetch { order: order.clone(), mend: false }, &peers);
    let OpResult::Failed(OpFailure::Copy(TaskFailure::SourceLost { .. })) = failed else { panic!("{failed:?}") };
    assert_eq!(peers.sent(), 20);
    // One of the two staged files rots meanwhile: it is not believed.
    std::fs::write(bench.path("staging/task-7/replica/data/1/a"), "aaaaaaaaaA").unwrap();
    let (bench, book) = bench.restart();
    let leftover = &book.leftovers[&TABLET];
    assert_eq!((leftover.state, leftover.since), (LeftoverState::Kept, Tick(5)), "the book knows of half a copy");
    assert_eq!(copy(&bench, &peers, bench.clone_order(2, MINE, 1, hash, &[1])), (20, 10));
    assert_eq!((bench.b3sum_check(MINE, 1), bench.verify(MINE)), (4, OpResult::Verified { version: Version(1) }));
}

/// What an earlier try staged for an older version is used for the newer one, and the rest of it is tidied away.
#[test]
fn an_older_try_serves_a_newer_version() {
    let (source, hash) = source();
    let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
    let fetched = bench.run_from(&Op::Fetch { order: bench.clone_order(1, MINE, 1, hash, &[1]), mend: false }, &peers);
    assert!(matches!(fetched, OpResult::Fetched { .. }));
    peers.sent();
    let files = [("a", "aaaaaaaaaa"), ("n", "new")];
    let staged = source.stage(&source.begin(2, &files, LoadMode::Replace), &files);
    source.run(&source.install_op(2, &staged));
    assert_eq!(copy(&bench, &peers, bench.clone_order(2, MINE, 2, staged.hash, &[1])), (3, 10));
    assert_eq!(bench.names("tablets/7/80/data/1"), ["a"]);
    assert_eq!(bench.names("tablets/7/80"), ["2.b3", "2.meta", "data", "head", "tablet"]);
}

/// Bytes that fail their digest are refused, and the next source is asked; with no other, the source is named.
#[test]
fn a_damaged_source_is_refused() {
    let (source, hash) = source();
    let (bench, mut peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA), (2, &source, REPLICA)]));
    peers.flips.insert(1, "dir/b".into());
    let failed = bench.run_from(&Op::Fetch { order: bench.clone_order(1, MINE, 1, hash, &[1]), mend: false }, &peers);
    let OpResult::Failed(OpFailure::Copy(TaskFailure::SourceDamaged { path })) = failed else { panic!("{failed:?}") };
    assert_eq!(path, "dir/b (damaged in replica 1)");
    assert_eq!(peers.doubts.lock().unwrap().as_slice(), [(1, "dir/b".to_string(), false)], "it was the line");
    copy(&bench, &peers, bench.clone_order(2, MINE, 1, hash, &[1, 2]));
    assert_eq!(bench.verify(MINE), OpResult::Verified { version: Version(1) });
}

/// A source that is behind, or whose version is not the committed one, gives nothing.
#[test]
fn the_wrong_version_is_refused() {
    let (source, hash) = source();
    let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
    let fetch = |order| bench.run_from(&Op::Fetch { order, mend: false }, &peers);
    let failed = fetch(bench.clone_order(1, MINE, 2, hash, &[1]));
    assert!(matches!(failed, OpResult::Failed(OpFailure::Copy(TaskFailure::SourceLost { .. }))), "{failed:?}");
    let failed = fetch(bench.clone_order(1, MINE, 1, Digest::of(b"other"), &[1, 9]));
    assert!(matches!(failed, OpResult::Failed(OpFailure::Copy(TaskFailure::SourceDamaged { .. }))), "{failed:?}");
    assert!(bench.names("tablets").is_empty());
}

/// Flipped, truncated, deleted, replaced by a link, a pipe or a directory: each is found, named, and mended in
/// place by moving only its own bytes; what a link pointed at is not touched.
#[test]
fn each_damage_is_found_and_mended() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(outside.path(), "bbbbbbbbbb").unwrap();
    type Harm<'a> = (&'a str, &'a dyn Fn(&std::path::Path));
    let harms: [Harm; 6] = [
        ("flipped", &|file| std::fs::write(file, "bbbbbbbbbB").unwrap()),
        ("truncated", &|file| std::fs::write(file, "bbbb").unwrap()),
        ("deleted", &|file| std::fs::remove_file(file).unwrap()),
        ("linked", &|file| {
            std::fs::remove_file(file).unwrap();
            std::os::unix::fs::symlink(outside.path(), file).unwrap();
        }),
        ("piped", &|file| {
            std::fs::remove_file(file).unwrap();
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, file, kind, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
        }),
        ("a directory", &|file| {
            std::fs::remove_file(file).unwrap();
            std::fs::create_dir(file).unwrap();
        }),
    ];
    for (harm, inflict) in harms {
        let (source, hash) = source();
        let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
        copy(&bench, &peers, bench.clone_order(1, MINE, 1, hash, &[1]));
        peers.sent();
        inflict(&bench.data(MINE, "1/dir/b"));
        let confirm = bench.run(&Op::Confirm { tablet: TABLET, replica: MINE, nonce: 1 });
        assert_eq!(matches!(confirm, OpResult::Damaged { .. }), harm != "flipped", "{harm}: {confirm:?}");
        let found = bench.verify(MINE);
        assert!(matches!(&found, OpResult::Damaged { cause } if cause.contains("`dir/b`")), "{harm}: {found:?}");
        let (bench, book) = bench.restart();
        assert!(book.replicas[&MINE].bad.is_some(), "quarantine outlives a restart");
        assert_eq!(copy(&bench, &peers, bench.clone_order(2, MINE, 1, hash, &[1])).0, 10, "{harm}");
        assert_eq!(peers.sent(), 10);
        assert_eq!((bench.b3sum_check(MINE, 1), bench.disk.bad(TABLET, MINE).unwrap()), (4, None), "{harm}");
        assert_eq!(bench.verify(MINE), OpResult::Verified { version: Version(1) }, "{harm}");
        assert_eq!(std::fs::read_to_string(outside.path()).unwrap(), "bbbbbbbbbb");
    }
}

/// A directory on the way to a file that was replaced by a link is not followed, and is mended.
#[test]
fn a_linked_directory_is_not_followed() {
    let (source, hash) = source();
    let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
    copy(&bench, &peers, bench.clone_order(1, MINE, 1, hash, &[1]));
    let outside = tempfile::tempdir().unwrap();
    let dir = bench.data(MINE, "1/dir");
    std::fs::rename(&dir, outside.path().join("dir")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("dir"), &dir).unwrap();
    assert!(matches!(bench.verify(MINE), OpResult::Damaged { .. }));
    copy(&bench, &peers, bench.clone_order(2, MINE, 1, hash, &[1]));
    assert_eq!(bench.verify(MINE), OpResult::Verified { version: Version(1) });
    assert_eq!(std::fs::read_dir(outside.path().join("dir")).unwrap().count(), 2, "nothing outside was touched");
    assert!(!std::fs::symlink_metadata(&dir).unwrap().file_type().is_symlink());
}

/// Broken papers are mended as well.
#[test]
fn broken_papers_are_mended() {
    for name in ["head", "tablet", "1.b3", "1.meta"] {
        let (source, hash) = source();
        let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
        copy(&bench, &peers, bench.clone_order(1, MINE, 1, hash, &[1]));
        std::fs::write(bench.path(&format!("tablets/7/80/{name}")), "junk").unwrap();
        peers.sent();
        assert_eq!(copy(&bench, &peers, bench.clone_order(2, MINE, 1, hash, &[1])), (0, 0), "{name}");
        let (bench, book) = bench.restart();
        assert_eq!((peers.sent(), book.replicas[&MINE].bad.clone()), (0, None), "{name}");
        assert_eq!(bench.verify(MINE), OpResult::Verified { version: Version(1) }, "{name}");
    }
}

/// Trashed and other copies of the tablet on the same disk give what still holds; nothing is linked.
#[test]
fn other_copies_on_the_disk_are_reused() {
    let (source, hash) = source();
    let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
    copy(&bench, &peers, bench.clone_order(1, MINE, 1, hash, &[1]));
    std::fs::write(bench.data(MINE, "1/a"), "rotten bit").unwrap();
    bench.run(&Op::Drop { tablet: TABLET, replica: MINE, evidence: evidence() });
    peers.sent();
    let next = ReplicaId(81);
    assert_eq!(copy(&bench, &peers, bench.clone_order(2, next, 1, hash, &[1])), (10, 20));
    assert_eq!((peers.sent(), bench.verify(next)), (10, OpResult::Verified { version: Version(1) }));
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(bench.data(next, "1/dir/c")).unwrap().nlink(), 1);
}

/// A copy that does not fit is refused, and what had come of it goes.
#[test]
fn a_copy_that_does_not_fit() {
    let (source, hash) = source();
    let (bench, peers) = (Bench::with_capacity(Some(25)), Local::of(&[(1, &source, REPLICA)]));
    let order = bench.clone_order(1, MINE, 1, hash, &[1]);
    let failed = bench.run_from(&Op::Fetch { order, mend: false }, &peers);
    assert_eq!(failed, OpResult::Failed(OpFailure::Copy(TaskFailure::DiskFull)));
    assert!(bench.names("staging").is_empty() && bench.names("tablets").is_empty());
    assert_eq!(bench.disk.space().unwrap().0.used, 0);
}

/// A cancelled copy ends as cancelled; a copy that was not fetched is not installed; the head never goes back.
#[test]
fn what_is_not_installed() {
    let (source, hash_one) = source();
    let (bench, peers) = (Bench::new(), Local::of(&[(1, &source, REPLICA)]));
    let order = bench.clone_order(1, MINE, 1, hash_one, &[1]);
    let cancelled = AtomicBool::new(true);
    let ctx = OpContext {
        cancelled: &cancelled,
        progress: &|_, _| {},
        peers: &peers,
        pacer: &crate::pace::Pacer::default(),
        now_wall_ms: 0,
    };
    let result = bench.disk.run(&Op::Fetch { order: order.clone(), mend: false }, &ctx);
    assert_eq!(result, OpResult::Failed(OpFailure::Copy(TaskFailure::Cancelled)));
    let install = |version: u64, hash| {
        bench.run(&Op::InstallCopy {
            task: TaskId(1),
            label: label(MINE),
            version: Version(version),
            hash,
            mend: false,
        })
    };
    assert!(matches!(install(1, hash_one), OpResult::Failed(OpFailure::Copy(TaskFailure::Refused { .. }))));
    bench.run_from(&Op::Fetch { order: order.clone(), mend: false }, &peers);
    assert!(matches!(install(2, hash_one), OpResult::Failed(_)), "another version than was fetched");
    bench.run(&Op::DiscardCopy { task: TaskId(1), tablet: TABLET, replica: MINE });
    assert!(matches!(install(1, hash_one), OpResult::Failed(_)), "discarded");

    // Version 1 is staged; version 2 is installed by another way before it.
    bench.run_from(&Op::Fetch { order, mend: false }, &peers);
    std::fs::rename(bench.path("staging/task-7"), bench.path("staging/later")).unwrap();
    let hash_two = source.load(2, &[("a", "2")]);
    copy(&bench, &peers, bench.clone_order(3, MINE, 2, hash_two, &[1]));
    std::fs::rename(bench.path("staging/later"), bench.path("staging/task-7")).unwrap();
    assert!(matches!(install(1, hash_one), OpResult::Failed(_)), "the head never goes back");
    assert_eq!(bench.verify(MINE), OpResult::Verified { version: Version(2) });
}

/// Every byte that is received or read is told as moved: those of a file that came damaged and those that lie here, too.
/// The coordinator takes a copy that tells of none for stalled.
#[test]
fn bytes_in_vain_are_told() {
    let (source, hash) = source();
    let mut peers = Local::of(&[(1, &source, REPLICA), (2, &source, REPLICA)]);
    peers.flips.insert(1, "dir/b".to_string());
    let bench = Bench::new();
    let told = |order: CloneOrder, mend| {
        let task = order.task;
        let (result, told) = bench.run_told(&Op::Fetch { order, mend }, &peers);
        let OpResult::Fetched { version, hash, bytes_copied, bytes_reused } = result else { panic!("{result:?}") };
        let install = Op::InstallCopy { task, label: label(MINE), version, hash, mend };
        assert!(matches!(bench.run(&install), OpResult::Installed { .. }));
        (told, bytes_copied, bytes_reused)
    };
    assert_eq!(told(bench.clone_order(1, MINE, 1, hash, &[1, 2]), false), ((40, 40), 30, 0));
    std::fs::write(bench.data(MINE, "1/a"), "aaaaaaaaaA").unwrap();
    // All thirty are read, the damaged ten once more to see whether they are what is missing; then they come.
    assert_eq!(told(bench.clone_order(2, MINE, 1, hash, &[2]), true), ((50, 50), 10, 0));
}
