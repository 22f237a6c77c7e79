//! Copies whose sources are damaged, trashed, or on another disk of the same agent.

use super::*;
use std::path::{Path, PathBuf};
use std::time::Instant;
use stele_common::TaskFailure;

fn flip(disk: &Path, replica: u64, name: &str) -> PathBuf {
    let file = disk.join(format!("tablets/77/{replica}/data/1/{name}"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[2] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    file
}

fn drop_of(replica: u64) -> OrderBody {
    OrderBody::Drop { tablet: TABLET, replica: ReplicaId(replica), evidence: evidence() }
}

/// A receiver that got damaged bytes says so to the coordinator; the agent that sent them looks for itself and reports its
/// replica bad, as a scrub would.
#[test]
fn a_damaged_source_finds_itself() {
    let stage = stage();
    let Stage { coordinator, a, b, v1, .. } = &stage;
    flip(&a.disk, 1, "large");
    coordinator.order("b", 1, clone_order(900, 2, b.disk_id, (1, *v1), vec![source(a, 1)]));
    let (mut failed, mut bad) = (None, None);
    let deadline = Instant::now() + WAIT;
    while failed.is_none() || bad.is_none() {
        let (from, heard) = coordinator.heard.recv_timeout(deadline - Instant::now()).expect("both are told in time");
        let Heard::Fact(fact) = heard else { continue };
        match *fact {
            Fact::Task(task) if from == "b" => match task.state {
                TaskProgress::Failed { cause } => failed = Some(cause),
                TaskProgress::Running { .. } | TaskProgress::Done { .. } => {}
            },
            Fact::Replica(replica) if from == "a" => bad = replica.bad,
            _ => {}
        }
    }
    assert_eq!(failed, Some(TaskFailure::SourceDamaged { path: "large (damaged in replica 1)".into() }));
    assert!(bad.is_some_and(|cause| cause.contains("large")));
    assert!(!b.disk.join("tablets/77/2").exists());
}

/// Two copies damaged in different files, one of them in the trash of its agent: the other is mended in place from it, and
/// reported good.
#[test]
fn trash_mends_a_bad_replica() {
    let stage = stage();
    let Stage { coordinator, a, b, v1, .. } = &stage;
    clone_to_b(&stage, 900, 2, 1, *v1);
    flip(&b.disk, 2, "a b/ü%.txt");
    coordinator.order("b", 1, drop_of(2));
    coordinator.fact("the drop", "b", |fact| matches!(fact, Fact::ReplicaGone { .. }).then_some(()));
    flip(&a.disk, 1, "large");
    coordinator.order("a", 1, OrderBody::Verify { tablet: TABLET, replica: ReplicaId(1) });
    coordinator.replica("a bad replica", "a", ReplicaId(1), |fact| fact.bad.is_some());
    coordinator.order("a", 1, clone_order(901, 1, a.disk_id, (1, *v1), vec![source(b, 2)]));
    arrives(coordinator, "a", 901, 1, (1, *v1));
    assert!(get(&a.http, "/v1/replicas/1/files/large", None).body == files_v1()[2].1);
    assert_eq!(std::fs::read_dir(b.disk.join("trash")).unwrap().count(), 1, "what gave is still there");
}

/// A tablet moves to another disk of its agent: the new replica stands beside the old one, takes loads with it, and stays
/// when the old one goes.
#[test]
fn a_tablet_moves_to_another_disk() {
    let stage = stage_with(&files_v1(), 2, "");
    let Stage { coordinator, a, v1, .. } = &stage;
    coordinator.order("a", 1, clone_order(900, 2, a.disk_ids[1], (1, *v1), vec![source(a, 1)]));
    arrives(coordinator, "a", 900, 2, (1, *v1));
    let at = |disk: usize, replica: u64| a.disks[disk].join(format!("tablets/77/{replica}/data/1/large"));
    assert!(std::fs::read(at(1, 2)).unwrap() == std::fs::read(at(0, 1)).unwrap());
    assert!(!at(0, 2).exists() && !at(1, 1).exists());

    let more = vec![("more", b"second".to_vec())];
    let load = LoadOf { load: 501, replica: 1, parent: (1, *v1), epoch: 1, files: &more, forward: vec![a.member(2)] };
    let staged = put_load(&a.http, &load).unwrap();
    assert_eq!(staged.prepared, [ReplicaId(1), ReplicaId(2)], "{:?}", staged.failed);
    for replica in [1, 2].map(ReplicaId) {
        let (load, version, hash) = (LoadId(501), Version(2), staged.hash);
        coordinator.order("a", 1, OrderBody::CommitLoad { load, tablet: TABLET, replica, version, hash });
        coordinator.replica("version 2", "a", replica, |fact| fact.version == version && fact.hash == hash);
    }
    coordinator.order("a", 1, drop_of(1));
    let gone = coordinator.fact("the drop", "a", |fact| match fact {
        Fact::ReplicaGone { replica, disk, .. } => Some((*replica, *disk)),
        _ => None,
    });
    assert_eq!(gone, (ReplicaId(1), a.disk_ids[0]));
    assert_eq!(get(&a.http, "/v1/replicas/1/files/more", None).status, 404);
    assert_eq!(get(&a.http, "/v1/replicas/2/files/more", None).body, b"second");
}

/// A replica whose first copy is still on its way takes loads already; they become its next version once the copy is there.
#[test]
fn a_load_reaches_a_replica_that_is_arriving() {
    let stage = stage();
    let Stage { coordinator, a, b, v1, .. } = &stage;
    // The first source of the copy accepts and says nothing: until its handshake is given up the copy is on its way.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = Source { peer: silent.local_addr().unwrap().to_string(), ..source(a, 1) };
    coordinator.order("b", 1, clone_order(900, 2, b.disk_id, (1, *v1), vec![nobody, source(a, 1)]));
    coordinator.fact("the copy has begun", "b", |fact| match fact {
        Fact::Task(task) if task.task == TaskId(900) => Some(()),
        _ => None,
    });
    let more = vec![("more", b"second".to_vec())];
    let load = LoadOf { load: 501, replica: 1, parent: (1, *v1), epoch: 1, files: &more, forward: vec![b.member(2)] };
    let staged = put_load(&a.http, &load).unwrap();
    assert_eq!(staged.prepared, [ReplicaId(1), ReplicaId(2)], "{:?}", staged.failed);
    for (agent, replica) in [("a", ReplicaId(1)), ("b", ReplicaId(2))] {
        let (load, version, hash) = (LoadId(501), Version(2), staged.hash);
        coordinator.order(agent, 1, OrderBody::CommitLoad { load, tablet: TABLET, replica, version, hash });
    }
    coordinator.replica("version 2", "b", ReplicaId(2), |fact| fact.version == Version(2) && fact.hash == staged.hash);
    assert_eq!(get(&b.http, "/v1/replicas/2/files/more", None).body, b"second");
}
