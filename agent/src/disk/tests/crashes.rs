//! A crash after every single step of every install: the replica is at its old version or its new one, whole.

use super::*;
use crate::disk::install::LoadInstall;
use crate::disk::steps::perform;

/// The replica verifies at one of these versions after a restart.
fn is_whole(bench: &Bench, book: &Book, replica: ReplicaId, versions: &[u64]) -> Version {
    let held = &book.replicas[&replica];
    assert_eq!(held.bad, None);
    assert!(versions.contains(&held.head.0), "{} is none of {versions:?}", held.head);
    assert_eq!(bench.verify(replica), OpResult::Verified { version: held.head });
    held.head
}

/// Load install, cut after each step, then repeated.
#[test]
fn load_install_cut_after_each_step() {
    for cut in 0.. {
        let bench = Bench::with_replica();
        bench.load(1, &[("a", "one"), ("dir/b", "two")]);
        let files = [("a", "ONE"), ("dir/b", "two"), ("dir/c", "three")];
        let staged = bench.stage(&bench.begin(2, &files, LoadMode::Add), &files);
        let op = bench.install_op(2, &staged);
        let install = LoadInstall {
            load: LoadId(2),
            tablet: TABLET,
            replica: REPLICA,
            parent: Version(1),
            version: Version(2),
            hash: staged.hash,
        };
        let plan = bench.disk.plan_load(&install, 0).unwrap();
        if cut > plan.steps.len() {
            assert!(cut > 4, "the plan has its steps");
            return;
        }
        perform(&bench.disk.beneath, &plan.steps[..cut]).unwrap();
        let (bench, book) = bench.restart();
        is_whole(&bench, &book, REPLICA, &[1, 2]);
        assert!(book.staged.contains_key(&(LoadId(2), TABLET)), "a prepared load stays until it is installed");
        let result = bench.run(&op);
        assert!(matches!(result, OpResult::Installed { version: Version(2), files: 3, .. }), "after {cut}: {result:?}");
        bench.run(&Op::DiscardLoad { load: LoadId(2), tablet: TABLET });
        let (bench, book) = bench.restart();
        assert_eq!(is_whole(&bench, &book, REPLICA, &[2]), Version(2));
        assert_eq!(bench.b3sum_check(REPLICA, 2), 3);
        assert!(bench.names("staging").is_empty());
        assert_eq!(bench.names("tablets/7/70"), ["1.b3", "1.meta", "2.b3", "2.meta", "data", "head", "tablet"]);
        assert_eq!(bench.names("tablets/7/70/data/2"), ["a", "dir"]);
    }
}

/// What lies at the destination before the copy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    Behind,
    Damaged,
}

/// Copy install, new, catching up and mending, cut after each step; then the copy is ordered again.
#[test]
fn copy_install_cut_after_each_step() {
    for before in [Before::Nothing, Before::Behind, Before::Damaged] {
        for cut in 0.. {
            let source = Bench::with_replica();
            source.load(1, &[("a", "one"), ("dir/b", "two")]);
            let bench = Bench::new();
            let peers = Local::of(&[(1, &source, REPLICA)]);
            let mine = ReplicaId(80);
            let hash = source.disk.manifest(TABLET, REPLICA, None).unwrap().hash();
            if before == Before::Behind {
                copy(&bench, &peers, bench.clone_order(1, mine, 1, hash, &[1]));
            }
            let hash = source.load(2, &[("a", "ONE"), ("dir/c", "three")]);
            let order = bench.clone_order(2, mine, 2, hash, &[1]);
            if before == Before::Damaged {
                copy(&bench, &peers, order.clone());
                std::fs::write(bench.data(mine, "1/dir/b"), "twO").unwrap();
                assert!(matches!(bench.verify(mine), OpResult::Damaged { .. }));
            }
            let fetched = bench.run_from(&Op::Fetch { order: order.clone(), mend: false }, &peers);
            assert!(matches!(fetched, OpResult::Fetched { .. }), "{fetched:?}");
            let plan = bench.disk.plan_copy(&order.label, Version(2), hash).unwrap();
            if cut > plan.steps.len() {
                assert!(cut > 2, "the plan has its steps");
                break;
            }
            perform(&bench.disk.beneath, &plan.steps[..cut]).unwrap();
            let (bench, book) = bench.restart();
            match book.replicas.get(&mine) {
                None => assert_eq!(before, Before::Nothing),
                Some(held) if held.bad.is_some() => assert_eq!(before, Before::Damaged),
                Some(_) => drop(is_whole(&bench, &book, mine, &[1, 2])),
            }
            copy(&bench, &peers, order);
            let (bench, book) = bench.restart();
            assert_eq!(is_whole(&bench, &book, mine, &[2]), Version(2), "{before:?} cut after {cut}");
            assert_eq!(bench.b3sum_check(mine, 2), 3);
            assert!(bench.names("staging").is_empty());
        }
    }
}

pub(super) fn copy(bench: &Bench, peers: &Local, order: CloneOrder) -> (u64, u64) {
    let fetched = bench.run_from(&Op::Fetch { order: order.clone(), mend: false }, peers);
    let OpResult::Fetched { version, hash, bytes_copied, bytes_reused } = fetched else { panic!("{fetched:?}") };
    let op = Op::InstallCopy { task: order.task, label: order.label, version, hash, mend: false };
    let installed = bench.run(&op);
    assert!(matches!(installed, OpResult::Installed { .. }), "{installed:?}");
    assert_eq!(bench.run(&op), {
        // Said again after a crash between the last rename and its answer.
        let OpResult::Installed { version, hash, size, files, .. } = installed else { unreachable!() };
        OpResult::Installed { version, hash, size, files, content_checked: false }
    });
    (bytes_copied, bytes_reused)
}

/// A disk whose papers do not hold is told as it is, and nothing on it is touched.
#[test]
fn what_does_not_hold_is_told_and_kept() {
    let cases: [(&str, Option<&str>); 6] = [
        ("head", Some("garbage")),
        ("head", None),
        ("tablet", Some("garbage")),
        ("2.b3", Some("garbage")),
        ("2.meta", None),
        ("2.meta", Some("garbage")),
    ];
    for (name, content) in cases {
        let bench = Bench::with_replica();
        bench.load(1, &[("a", "one")]);
        bench.load(2, &[("a", "two")]);
        let file = bench.path(&format!("tablets/7/70/{name}"));
        match content {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let before = bench.names("tablets/7/70");
        let (bench, book) = bench.restart();
        let bad = book.replicas[&REPLICA].bad.clone();
        assert!(bad.as_ref().is_some_and(|cause| cause.contains(name.split('.').next().unwrap())), "{name}: {bad:?}");
        assert_eq!(bench.names("tablets/7/70"), before);
        assert_eq!(bench.names("tablets/7/70/data"), ["1", "2"]);
    }
}
