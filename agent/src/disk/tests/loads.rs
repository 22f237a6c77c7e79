//! Loads: staged, prepared, installed; and everything that must not become a version.

use super::*;
use crate::disk::DiskError;
use stele_agent_rules::OpFailure;
use stele_common::DiskState;

/// Two loads make two versions; unchanged files stay where they are; the papers are what `b3sum -c` reads.
#[test]
fn versions_build_on_each_other() {
    let bench = Bench::with_replica();
    bench.load(1, &[("a", "one"), ("dir/b", "two")]);
    bench.load(2, &[("a", "one"), ("dir/c", "three")]);
    assert_eq!(bench.names("tablets/7/70/data"), ["1", "2"]);
    assert_eq!(std::fs::read_to_string(bench.data(REPLICA, "2/dir/c")).unwrap(), "three");
    assert!(!bench.data(REPLICA, "2/a").exists(), "content that was there already is not kept twice");
    assert_eq!((bench.b3sum_check(REPLICA, 1), bench.b3sum_check(REPLICA, 2)), (2, 3));
    let head = std::fs::read_to_string(bench.path("tablets/7/70/head")).unwrap();
    assert_eq!(head, format!("2 {}\n", bench.disk.manifest(TABLET, REPLICA, None).unwrap().hash()));
    assert_eq!(bench.verify(REPLICA), OpResult::Verified { version: Version(2) });
    assert!(bench.names("staging").is_empty());

    let (bench, book) = bench.restart();
    let held = &book.replicas[&REPLICA];
    assert_eq!((held.head, held.size, held.files, held.older.len()), (Version(2), 11, 3, 1));
    assert_eq!(bench.disk.space().unwrap().0.used, 11);
}

/// A prepared load survives a restart and is removed only on the coordinator's word; an unprepared one goes.
#[test]
fn prepared_outlives_the_process() {
    let bench = Bench::with_replica();
    let files = [("a", "one")];
    let begin = bench.begin(1, &files, LoadMode::Add);
    let staged = bench.stage(&begin, &files);
    std::fs::create_dir_all(bench.path("staging/load-2/7/data/1")).unwrap();
    let (bench, book) = bench.restart();
    assert_eq!(book.staged[&(LoadId(1), TABLET)], staged);
    assert_eq!(bench.names("staging"), ["load-1"]);
    assert_eq!(bench.run(&Op::DiscardLoad { load: LoadId(1), tablet: TABLET }), OpResult::Discarded);
    assert_eq!(bench.run(&Op::DiscardLoad { load: LoadId(1), tablet: TABLET }), OpResult::Discarded);
    assert!(bench.names("staging").is_empty());
    assert_eq!(bench.disk.space().unwrap().0.used, 0);
    assert_eq!(bench.run(&bench.install_op(1, &staged)), OpResult::Failed(OpFailure::NotFound));
}

/// A stream that breaks off, lies about a digest, or sends what was not announced, leaves nothing.
#[test]
fn a_broken_stream_leaves_nothing() {
    let bench = Bench::with_replica();
    let files = [("a", "one"), ("b", "two")];
    let begin = bench.begin(1, &files, LoadMode::Add);
    let header = |name: &str, content: &str| {
        let file = new_file(name, content);
        FileHeader { path: file.path, size: file.size, digest: file.digest }
    };

    let mut writer = bench.disk.stage_load(&begin).unwrap();
    assert!(matches!(bench.disk.stage_load(&begin), Err(DiskError::Busy { .. })), "one stream at a time");
    writer.begin_file(&header("a", "one")).unwrap();
    writer.write(b"on").unwrap();
    drop(writer);
    assert!(bench.names("staging").is_empty());

    let mut writer = bench.disk.stage_load(&begin).unwrap();
    writer.begin_file(&header("a", "one")).unwrap();
    writer.write(b"onE").unwrap();
    assert!(matches!(writer.end_file(), Err(DiskError::WrongBytes { .. })));
    drop(writer);

    let mut writer = bench.disk.stage_load(&begin).unwrap();
    assert!(writer.begin_file(&header("b", "two")).is_err(), "out of order");
    writer.begin_file(&header("a", "one")).unwrap();
    assert!(writer.write(b"one more").is_err(), "longer than announced");
    drop(writer);

    let mut writer = bench.disk.stage_load(&begin).unwrap();
    writer.begin_file(&header("a", "one")).unwrap();
    writer.write(b"one").unwrap();
    writer.end_file().unwrap();
    assert!(writer.finish().is_err(), "a file is missing");
    assert!(bench.names("staging").is_empty());
    assert_eq!(bench.disk.space().unwrap().0.used, 0);
}

/// Repeating a prepared load is harmless, also when its bytes come again; other content under its id is refused.
#[test]
fn repeating_a_prepared_load() {
    let bench = Bench::with_replica();
    let files = [("a", "one"), ("b", "two")];
    let begin = bench.begin(1, &files, LoadMode::Add);
    let staged = bench.stage(&begin, &files);
    assert_eq!(bench.stage(&begin, &files), staged);
    let other = bench.begin(1, &[("a", "ONE")], LoadMode::Add);
    assert!(matches!(bench.disk.stage_load(&other), Err(DiskError::Mismatch { .. })));
    let result = bench.run(&bench.install_op(1, &staged));
    assert!(matches!(result, OpResult::Installed { content_checked: true, .. }), "{result:?}");
    let again = bench.run(&bench.install_op(1, &staged));
    assert!(matches!(again, OpResult::Installed { version: Version(1), .. }), "{again:?}");
}

/// A load for another parent, or that would make another version than was told, is refused; a replica that is
/// behind stages what it is told and installs it when its parent has come.
#[test]
fn parents_and_hashes_must_agree() {
    let bench = Bench::with_replica();
    let first = [("a", "one")];
    let one = bench.begin(1, &first, LoadMode::Add);
    let wrong = LoadBegin { hash: Some(Digest::of(b"other")), ..one.clone() };
    assert!(matches!(bench.disk.stage_load(&wrong), Err(DiskError::Mismatch { .. })));
    let wrong = LoadBegin { parent_hash: Digest::of(b"other"), ..one.clone() };
    assert!(matches!(bench.disk.stage_load(&wrong), Err(DiskError::Mismatch { .. })));

    let staged_one = bench.stage(&one, &first);
    let second = [("b", "two")];
    let manifest = stele_common::Manifest::default().with(&one.delta, Version(1));
    let delta = bench.begin(2, &second, LoadMode::Add).delta;
    let hash = manifest.with(&delta, Version(2)).hash();
    let two = LoadBegin {
        load: LoadId(2),
        parent: Version(1),
        parent_hash: staged_one.hash,
        version: Version(2),
        delta,
        hash: None,
        ..one.clone()
    };
    assert!(matches!(bench.disk.stage_load(&two), Err(DiskError::Busy { .. })), "behind and not told");
    let staged_two = bench.stage(&LoadBegin { hash: Some(hash), ..two }, &second);
    let early = bench.run(&bench.install_op(2, &staged_two));
    assert!(matches!(early, OpResult::Failed(OpFailure::Mismatch { .. })), "{early:?}");
    bench.run(&bench.install_op(1, &staged_one));
    let result = bench.run(&bench.install_op(2, &staged_two));
    assert!(matches!(result, OpResult::Installed { version: Version(2), files: 2, .. }), "{result:?}");
    assert!(matches!(bench.disk.stage_load(&one), Err(DiskError::Mismatch { .. })), "its version is past");
}

/// A load that would name one path twice, or a file as a directory, never begins.
#[test]
fn impossible_deltas_are_refused() {
    let bench = Bench::with_replica();
    for files in [[("a", "1"), ("a", "2")], [("a", "1"), ("a/b", "2")]] {
        let begin = bench.begin(1, &files, LoadMode::Add);
        assert!(matches!(bench.disk.stage_load(&begin), Err(DiskError::Mismatch { .. })), "{files:?}");
    }
    assert!(bench.names("staging").is_empty());
}

/// Replacing and removing: the new version holds exactly what was said, the old one stays whole.
#[test]
fn replace_keeps_the_old_version() {
    let bench = Bench::with_replica();
    bench.load(1, &[("a", "one"), ("b", "two")]);
    let files = [("a", "one"), ("c", "three")];
    let begin = bench.begin(2, &files, LoadMode::Replace);
    let staged = bench.stage(&begin, &files);
    bench.run(&bench.install_op(2, &staged));
    assert_eq!((bench.b3sum_check(REPLICA, 1), bench.b3sum_check(REPLICA, 2)), (2, 2));
}

/// Beyond the capacity nothing is taken, and nothing half-written stays.
#[test]
fn a_full_disk_refuses() {
    let bench = Bench::with_capacity(Some(10));
    bench.run(&Op::Create { label: label(REPLICA) });
    bench.load(1, &[("a", "12345678")]);
    let begin = bench.begin(2, &[("b", "123")], LoadMode::Add);
    assert!(matches!(bench.disk.stage_load(&begin), Err(DiskError::Full { .. })));
    assert!(bench.names("staging").is_empty());
    assert_eq!(bench.disk.space().unwrap().0.total, 10);
}

/// After one failed sync nothing is called durable any more, and the next scan says so.
#[test]
fn a_failed_sync_is_final() {
    let bench = Bench::with_replica();
    let files = [("a", "one")];
    let begin = bench.begin(1, &files, LoadMode::Add);
    let mut writer = bench.disk.stage_load(&begin).unwrap();
    let file = &begin.delta.put[0];
    writer.begin_file(&FileHeader { path: file.path.clone(), size: 3, digest: file.digest }).unwrap();
    writer.write(b"one").unwrap();
    writer.end_file().unwrap();
    assert!(bench.disk.beneath.synced(Err(rustix::io::Errno::IO), "somewhere").is_err());
    assert!(matches!(writer.finish(), Err(DiskError::Io { .. })));
    assert!(bench.disk.beneath.synced(Ok(()), "somewhere").is_err(), "a later success means nothing");
    assert!(matches!(bench.disk.stage_load(&begin), Err(DiskError::Io { .. })));
    let created = bench.run(&Op::Create { label: label(ReplicaId(71)) });
    assert!(matches!(created, OpResult::Failed(OpFailure::Disk { .. })), "{created:?}");
    assert_eq!(bench.verify(REPLICA), OpResult::Verified { version: Version(0) }, "reading goes on");
    std::fs::write(bench.path("tablets/7/70/head"), "junk").unwrap();
    assert!(matches!(bench.verify(REPLICA), OpResult::Damaged { .. }), "damage is told all the same");
    assert_eq!(bench.disk.scan(Tick(1)).unwrap().state, DiskState::Suspect);
}

/// A directory that was moved away is noticed, nothing is written into it, and it is well when it is back.
#[test]
fn a_vanished_directory_is_noticed() {
    let bench = Bench::with_replica();
    let away = bench.dir.path().with_extension("away");
    std::fs::rename(bench.dir.path(), &away).unwrap();
    assert!(matches!(bench.disk.probe(), Err(DiskError::Unusable { .. })));
    std::fs::create_dir(bench.dir.path()).unwrap();
    assert!(bench.disk.probe().is_err(), "a blank directory in its place is not it");
    let created = bench.run(&Op::Create { label: label(ReplicaId(71)) });
    assert!(matches!(created, OpResult::Failed(OpFailure::Disk { .. })));
    std::fs::remove_dir(bench.dir.path()).unwrap();
    std::fs::rename(&away, bench.dir.path()).unwrap();
    bench.disk.probe().unwrap();
    std::fs::write(
        bench.path("stele-disk.toml"),
        "format = 1\ncluster = \"x\"\ndisk = 1\nmedium = \"SSD\"\nepoch = 0\n",
    )
    .unwrap();
    assert!(bench.disk.probe().is_err(), "another identity is not it");
}

/// Only the right cluster and the right disk open a directory, one process at a time; epochs are remembered.
#[test]
fn identity_is_checked() {
    let bench = Bench::new();
    let open = |cluster: &ClusterId, disk| DiskDir::open(bench.dir.path(), cluster, DiskId(disk), None);
    assert!(open(&ClusterId("other".into()), 1).is_err_and(|e| e.to_string().contains("cluster")));
    assert!(open(&cluster(), 2).is_err_and(|e| e.to_string().contains("disk 1")));
    assert!(open(&cluster(), 1).is_err_and(|e| e.to_string().contains("in use")));
    bench.disk.save_epoch(Epoch(4)).unwrap();
    bench.disk.save_epoch(Epoch(3)).unwrap();
    let (bench, book) = bench.restart();
    assert_eq!((book.epoch, bench.disk.epoch()), (Epoch(4), Epoch(4)));
}
