//! Whole agents as processes against a coordinator that is only a script: handshake, orders, loads over HTTP, copies
//! between two agents, damage, lost directories, kill -9. What is checked is what an agent reports and what lies on disk.

mod agent;
mod client;
mod coordinator;
mod reading;
mod salvage;

use agent::Agent;
use client::{Files, LoadOf, delta, get, label, put_load};
use coordinator::{Coordinator, Heard};
use std::io::Write as _;
use std::time::Duration;
use stele_common::api::ManifestInfo;
use stele_common::peer::Member;
use stele_common::{
    CloneOrder, Digest, DiskId, DiskState, Evidence, Fact, LoadId, LoadState, Manifest, NodeId, OrderBody, ReplicaId,
    Source, TableId, TabletId, TaskId, TaskProgress, Version, VersionHash,
};

const WAIT: Duration = Duration::from_secs(30);
const TABLET: TabletId = TabletId(77);

fn files_v1() -> Vec<(&'static str, Vec<u8>)> {
    let large: Vec<u8> = (0..900_000u32).flat_map(|n| n.to_le_bytes()).collect();
    vec![("a b/ü%.txt", b"hello".to_vec()), ("empty", vec![]), ("large", large)]
}

fn evidence() -> Evidence {
    Evidence::TableDropped { table: TableId(2) }
}

/// Two agents and one load on the first, committed: the stage of the tests.
struct Stage {
    coordinator: Coordinator,
    a: Agent,
    b: Agent,
    v1: VersionHash,
    _dir: tempfile::TempDir,
}

fn stage() -> Stage {
    stage_with(&files_v1(), 1, "")
}

/// The first agent has several disks and more lines in its configuration.
fn stage_with(files: Files, disks: usize, more: &str) -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start();
    let a = Agent::start_with(&coordinator, "a", dir.path(), disks, more);
    let b = Agent::start(&coordinator, "b", dir.path());
    coordinator.order("a", 1, OrderBody::Create { disk: a.disk_id, label: label(1) });
    coordinator.replica("a new replica", "a", ReplicaId(1), |fact| fact.version == Version(0));
    let load = LoadOf { load: 500, replica: 1, parent: (0, Digest::ZERO), epoch: 1, files, forward: vec![] };
    let staged = put_load(&a.http, &load).unwrap();
    let v1 = Manifest::default().with(&delta(files), Version(1)).hash();
    assert_eq!((staged.hash, staged.prepared), (v1, vec![ReplicaId(1)]));
    coordinator.fact("a prepared load", "a", |fact| match fact {
        Fact::Load(load) if load.state == LoadState::Prepared && load.hash == v1 => Some(()),
        _ => None,
    });
    let commit = OrderBody::CommitLoad {
        load: LoadId(500),
        tablet: TABLET,
        replica: ReplicaId(1),
        version: Version(1),
        hash: v1,
    };
    coordinator.order("a", 1, commit);
    let fact = coordinator.replica("version 1", "a", ReplicaId(1), |fact| fact.version == Version(1));
    assert_eq!((fact.hash, fact.files, fact.bad), (v1, files.len() as u64, None));
    Stage { coordinator, a, b, v1, _dir: dir }
}

fn source(agent: &Agent, replica: u64) -> Source {
    Source { node: NodeId(1), replica: ReplicaId(replica), peer: agent.peer.clone() }
}

fn clone_order(task: u64, replica: u64, disk: DiskId, version: (u64, VersionHash), sources: Vec<Source>) -> OrderBody {
    let (version, hash) = (Version(version.0), version.1);
    let label = label(replica);
    OrderBody::Clone(CloneOrder {
        task: TaskId(task),
        disk,
        label,
        version,
        hash,
        sources,
        stall_ms: 10_000,
        purpose: stele_common::TaskType::Repair,
    })
}

fn clone_to_b(stage: &Stage, task: u64, replica: u64, version: u64, hash: VersionHash) {
    let order = clone_order(task, replica, stage.b.disk_id, (version, hash), vec![source(&stage.a, 1)]);
    stage.coordinator.order("b", 1, order);
    arrives(&stage.coordinator, "b", task, replica, (version, hash));
}

/// Waits until the copy is there, good, and said to be done.
fn arrives(coordinator: &Coordinator, agent: &str, task: u64, replica: u64, (version, hash): (u64, VersionHash)) {
    coordinator.replica("a copy", agent, ReplicaId(replica), |fact| {
        fact.version == Version(version) && fact.hash == hash && fact.bad.is_none()
    });
    coordinator.fact("the task's end", agent, |fact| match fact {
        Fact::Task(found) if found.task == TaskId(task) => {
            matches!(found.state, TaskProgress::Done { .. }).then_some(())
        }
        _ => None,
    });
}

/// Load, commit, read in whole and in part, copy to another agent, load on both: each step is seen in the reports, and
/// the files lie on the disks as they were sent.
#[test]
fn a_load_is_readable_and_copied() {
    let stage = stage();
    let Stage { coordinator, a, b, v1, .. } = &stage;
    let files = files_v1();
    let large = &files[2].1;

    let whole = get(&a.http, "/v1/replicas/1/files/large", None);
    assert!(whole.status == 200 && whole.body == *large);
    let etag = format!("\"{}\"", Digest::of(large));
    assert_eq!(whole.headers["etag"], etag);
    let part = get(&a.http, "/v1/replicas/1/files/large?version=1", Some(("range", "bytes=4-11")));
    assert_eq!((part.status, &part.body[..]), (206, &large[4..12]));
    assert_eq!(part.headers["content-range"], format!("bytes 4-11/{}", large.len()));
    let named = get(&a.http, "/v1/replicas/1/files/a%20b/%C3%BC%25.txt", None);
    assert_eq!((named.status, &named.body[..]), (200, &b"hello"[..]));
    assert_eq!(get(&a.http, "/v1/replicas/1/files/empty", None).status, 200);
    assert_eq!(get(&a.http, "/v1/replicas/1/files/large", Some(("if-none-match", &etag))).status, 304);
    for (path, range, status) in [
        ("/v1/replicas/1/files/large", Some("bytes=99999999-"), 416),
        ("/v1/replicas/1/files/nothing", None, 404),
        ("/v1/replicas/1/files/large?version=2", None, 404),
        ("/v1/replicas/2/files/large", None, 404),
        ("/v1/replicas/1/files/..%2F..%2Ftablet", None, 400),
        ("/v1/elsewhere", None, 404),
        ("/v1/disks", None, 200),
        ("/metrics", None, 200),
        ("/livez", None, 200),
        ("/readyz", None, 200),
    ] {
        let found = get(&a.http, path, range.map(|range| ("range", range)));
        assert_eq!(found.status, status, "{path}: {}", String::from_utf8_lossy(&found.body));
    }
    let manifest: ManifestInfo = serde_json::from_slice(&get(&a.http, "/v1/replicas/1/manifest", None).body).unwrap();
    assert_eq!((manifest.version, manifest.hash, manifest.files.len()), (Version(1), *v1, 3));

    clone_to_b(&stage, 900, 2, 1, *v1);
    let place = b.disk.join("tablets/77/2/data/1/large");
    assert!(std::fs::read(place).unwrap() == *large, "the copy's file is the source's");

    // The second load goes to both members at once.
    let more = vec![("more", b"second".to_vec())];
    let load = |load, replica, parent, forward| LoadOf { load, replica, parent, epoch: 1, files: &more, forward };
    let staged = put_load(&a.http, &load(501, 1, (1, *v1), vec![b.member(2)])).unwrap();
    assert_eq!(staged.prepared, [ReplicaId(1), ReplicaId(2)], "{:?}", staged.failed);
    let hash = staged.hash;
    for (agent, replica) in [("a", ReplicaId(1)), ("b", ReplicaId(2))] {
        let commit = OrderBody::CommitLoad { load: LoadId(501), tablet: TABLET, replica, version: Version(2), hash };
        coordinator.order(agent, 1, commit);
    }
    coordinator.replica("version 2", "b", ReplicaId(2), |fact| fact.version == Version(2) && fact.hash == hash);

    // A member that is not there is named; a parent that is not the head is refused.
    let gone = Member { peer: "127.0.0.1:1".into(), ..b.member(2) };
    let staged = put_load(&a.http, &load(502, 1, (2, hash), vec![gone])).unwrap();
    assert_eq!((staged.prepared.len(), staged.failed.len()), (1, 1));
    coordinator.order("a", 1, OrderBody::AbortLoad { load: LoadId(502) });
    let refused = put_load(&a.http, &load(503, 1, (1, *v1), vec![])).unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (409, "not_at_parent"));
    let refused = put_load(&a.http, &load(504, 8, (1, *v1), vec![])).unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (404, "no_such_replica"));

    // Read back over the new epoch: a load of the old one is refused.
    coordinator.order("a", 7, OrderBody::Confirm { tablet: TABLET, replica: ReplicaId(1), nonce: 3 });
    coordinator.fact("a confirmation", "a", |fact| match fact {
        Fact::Confirmed { nonce: 3, version: Version(2), .. } => Some(()),
        _ => None,
    });
    let refused = put_load(&a.http, &load(505, 1, (2, hash), vec![])).unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (409, "stale_epoch"));
}

/// Drop and purge free exactly one replica; an order of an older epoch or for another incarnation changes nothing.
#[test]
fn drops_are_fenced() {
    let stage = stage();
    let Stage { coordinator, b, v1, .. } = &stage;
    clone_to_b(&stage, 900, 2, 1, *v1);
    let drop = |replica| OrderBody::Drop { tablet: TABLET, replica, evidence: evidence() };
    coordinator.order("b", 1, drop(ReplicaId(3)));
    coordinator.order("b", 5, OrderBody::Confirm { tablet: TABLET, replica: ReplicaId(2), nonce: 8 });
    coordinator.order("b", 4, drop(ReplicaId(2)));
    coordinator.order("b", 5, OrderBody::Verify { tablet: TABLET, replica: ReplicaId(2) });
    coordinator.replica("a verification", "b", ReplicaId(2), |fact| fact.verified_age_ms.is_some());
    assert!(b.disk.join("tablets/77/2").is_dir());
    coordinator.order("b", 5, drop(ReplicaId(2)));
    coordinator.fact("the drop", "b", |fact| match fact {
        Fact::ReplicaGone { replica: ReplicaId(2), .. } => Some(()),
        _ => None,
    });
    assert!(!b.disk.join("tablets/77/2").exists());
    coordinator.order("b", 5, OrderBody::Purge { tablet: TABLET, replica: ReplicaId(2), evidence: evidence() });
    coordinator.fact("the purge", "b", |fact| match fact {
        Fact::TrashGone { replica: ReplicaId(2), .. } => Some(()),
        _ => None,
    });
    assert_eq!(std::fs::read_dir(b.disk.join("trash")).unwrap().count(), 0);
}

/// A flipped byte is never served as good: the reader gets an error, the replica is reported bad, a copy mends it.
#[test]
fn damage_is_found_and_mended() {
    let stage = stage();
    let Stage { coordinator, b, v1, .. } = &stage;
    clone_to_b(&stage, 900, 2, 1, *v1);
    let place = b.disk.join("tablets/77/2/data/1/large");
    let mut bytes = std::fs::read(&place).unwrap();
    bytes[3_000_000] ^= 1;
    std::fs::write(&place, &bytes).unwrap();
    let read = get(&b.http, "/v1/replicas/2/files/large", None);
    assert!(read.body.len() < bytes.len(), "the last piece must not be sent");
    coordinator.replica("a bad replica", "b", ReplicaId(2), |fact| fact.bad.is_some());
    let part = get(&b.http, "/v1/replicas/2/files/large", Some(("range", "bytes=0-3")));
    assert_eq!(part.status, 409);
    clone_to_b(&stage, 901, 2, 1, *v1);
    let again = get(&b.http, "/v1/replicas/2/files/large", None);
    assert_eq!(Digest::of(&again.body), Digest::of(&files_v1()[2].1));
}

/// A directory that is moved away is UNAVAILABLE, never empty; moved back it is ONLINE with the same replica. kill -9
/// after `prepared` loses nothing: the load still commits.
#[test]
fn lost_directories_and_kill_nine() {
    let mut stage = stage();
    let Stage { coordinator, a, v1, .. } = &mut stage;
    let aside = a.disk.with_extension("aside");
    let state = |coordinator: &Coordinator, wanted: DiskState| {
        coordinator.wait("a disk's state", "a", |heard| match heard {
            Heard::Fact(fact) => match &**fact {
                Fact::Disk(disk) => (disk.state == wanted).then_some(()),
                Fact::ReplicaGone { .. } => panic!("missing is not empty"),
                _ => None,
            },
            Heard::Hello(_) | Heard::FullEnd | Heard::Gone => None,
        });
    };
    std::fs::rename(&a.disk, &aside).unwrap();
    state(coordinator, DiskState::Unavailable);
    assert_eq!(get(&a.http, "/v1/replicas/1/files/large", None).status, 503);
    assert_eq!(get(&a.http, "/readyz", None).status, 503);
    // Nothing keeps it mounted: an operator can take the disk away and bring it back.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while a.holds_open(&aside) {
        assert!(std::time::Instant::now() < deadline, "the agent keeps a handle on an unavailable disk");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::fs::rename(&aside, &a.disk).unwrap();
    state(coordinator, DiskState::Online);
    assert_eq!(get(&a.http, "/v1/replicas/1/files/empty", None).status, 200);

    let more = vec![("more", b"second".to_vec())];
    let load = LoadOf { load: 501, replica: 1, parent: (1, *v1), epoch: 1, files: &more, forward: vec![] };
    let hash = put_load(&a.http, &load).unwrap().hash;
    a.restart(coordinator);
    coordinator.fact("the prepared load, again", "a", |fact| match fact {
        Fact::Load(found) if found.load == LoadId(501) && found.hash == hash => Some(()),
        _ => None,
    });
    let commit =
        OrderBody::CommitLoad { load: LoadId(501), tablet: TABLET, replica: ReplicaId(1), version: Version(2), hash };
    coordinator.order("a", 1, commit);
    coordinator.replica("version 2", "a", ReplicaId(1), |fact| fact.version == Version(2) && fact.hash == hash);

    // Garbage from the coordinator closes the session; the agent comes back with everything.
    coordinator.lines.lock().unwrap().get_mut("a").unwrap().write_all(&[0xff; 64]).unwrap();
    a.meet(coordinator);
    coordinator.replica("the same replica", "a", ReplicaId(1), |fact| fact.version == Version(2));
}
