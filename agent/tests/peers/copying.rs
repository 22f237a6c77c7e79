//! Copies between two agents.

use super::*;
use stele_agent_rules::OpFailure;
use stele_common::{TaskFailure, Version};

pub fn hundred() -> Vec<(String, Vec<u8>)> {
    let content = |n: usize| vec![n as u8; if n == 50 { 3 << 20 } else { n * 1000 }];
    (0..100).map(|n| (format!("dir{}/file{n}", n % 7), content(n))).collect()
}

/// A hundred files, small and large, then a catch-up that moves only what changed; every pin is given back.
#[test]
fn a_hundred_files_then_a_catch_up() {
    let (source, mine) = (Agent::with_replica(1), Agent::new(2));
    let all = hundred();
    let hash = source.load(1, &all);
    let bytes: u64 = all.iter().map(|(_, content)| content.len() as u64).sum();
    assert_eq!(mine.copy(1, hash, vec![source.source()]), (bytes, 0));
    assert_eq!(mine.verify(), OpResult::Verified { version: Version(1) });
    let (replica, version) = (source.replica, Version(1));
    assert_eq!(source.told.recv_timeout(WAIT).unwrap(), EventBody::Pinned { replica, version });
    assert_eq!(source.told.recv_timeout(WAIT).unwrap(), EventBody::Unpinned { replica, version });
    assert_eq!((source.count(PeerCounter::BytesSent), source.count(PeerCounter::FilesSent)), (bytes, 100));

    let hash = source.load(2, &files(&[("dir1/file1", b"changed"), ("new", b"x")]));
    assert_eq!(mine.copy(2, hash, vec![source.source()]), (8, 0));
    assert_eq!(source.count(PeerCounter::BytesSent), bytes + 8);
    assert_eq!(mine.verify(), OpResult::Verified { version: Version(2) });
    for (name, content) in &all {
        let added = if name == "dir1/file1" { continue } else { 1 };
        assert_eq!(&std::fs::read(mine.data(&format!("{added}/{name}"))).unwrap(), content, "{name}");
    }
}

/// A byte that flipped at the source never becomes a copy: it is refused and the next source is used.
#[test]
fn a_flipped_byte_is_refused() {
    let (rotten, good, mine) = (Agent::with_replica(1), Agent::new(2), Agent::new(3));
    let hash = rotten.load(1, &hundred());
    good.copy(1, hash, vec![rotten.source()]);
    let mut bytes = std::fs::read(rotten.data("1/dir1/file50")).unwrap();
    bytes[1 << 20] ^= 1;
    std::fs::write(rotten.data("1/dir1/file50"), bytes).unwrap();

    let failed = mine.run(&Op::Fetch { order: mine.order(1, hash, vec![rotten.source()]), mend: false });
    let OpResult::Failed(OpFailure::Copy(TaskFailure::SourceDamaged { path })) = failed else { panic!("{failed:?}") };
    assert_eq!(path, "dir1/file50 (damaged in replica 10)");
    mine.copy(1, hash, vec![rotten.source(), good.source()]);
    assert_eq!(mine.verify(), OpResult::Verified { version: Version(1) });
    // The receiver's word made its agent look; that it is bad it found out by itself.
    rotten.wait_for(PeerCounter::Damaged);
    assert!(rotten.disk.bad(TABLET, rotten.replica).unwrap().is_some_and(|cause| cause.contains("dir1/file50")));
    assert!(matches!(rotten.verify(), OpResult::Damaged { .. }));
    // The rotten one is mended in place: only the file travels.
    assert_eq!(rotten.copy(1, hash, vec![mine.source()]).0, 3 << 20);
    assert_eq!(rotten.verify(), OpResult::Verified { version: Version(1) });
}

/// A file that is missing at the source is said to be damaged, told to its owner, and the replica is marked.
#[test]
fn a_missing_file_is_told() {
    let (source, mine) = (Agent::with_replica(1), Agent::new(2));
    let hash = source.load(1, &hundred());
    std::fs::remove_file(source.data("1/dir3/file3")).unwrap();
    let failed = mine.run(&Op::Fetch { order: mine.order(1, hash, vec![source.source()]), mend: false });
    let OpResult::Failed(OpFailure::Copy(TaskFailure::SourceDamaged { path })) = failed else { panic!("{failed:?}") };
    assert!(path.contains("dir3/file3"), "{path}");
    source.wait_for(PeerCounter::Damaged);
    let told: Vec<EventBody> = (0..2).map(|_| source.told.recv_timeout(WAIT).unwrap()).collect();
    assert!(matches!(&told[1], EventBody::FoundDamaged { cause, .. } if cause.contains("dir3/file3")), "{told:?}");
    assert!(source.disk.bad(TABLET, source.replica).unwrap().is_some());
}

/// Nobody listening, a stranger that answers nothing, and an agent without the replica: each is passed over.
#[test]
fn sources_that_give_nothing_are_passed_over() {
    let (source, mine) = (Agent::with_replica(1), Agent::new(2));
    let hash = source.load(1, &files(&[("a", b"1")]));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let at = |peer: String, replica| Source { node: NodeId(1), replica, peer };
    let empty = Agent::new(4);
    let sources = vec![
        at("nonsense".into(), source.replica),
        at(closed.to_string(), source.replica),
        at(silent.local_addr().unwrap().to_string(), source.replica),
        at(empty.server.address().to_string(), source.replica),
        source.source(),
    ];
    let mut order = mine.order(1, hash, sources);
    order.stall_ms = 300;
    assert!(matches!(mine.run(&Op::Fetch { order, mend: false }), OpResult::Fetched { .. }));
}

/// A copy whose source went silent ends at once when it is cancelled.
#[test]
fn cancelling_wakes_a_waiting_copy() {
    let mine = Agent::new(2);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = Source { node: NodeId(1), replica: ReplicaId(1), peer: silent.local_addr().unwrap().to_string() };
    let mut order = mine.order(1, Digest::of(b""), vec![source]);
    order.stall_ms = 60_000;
    let cancelled = Arc::new(AtomicBool::new(false));
    let (disk, flag) = (Arc::clone(&mine.disk), Arc::clone(&cancelled));
    let (done, ended) = unbounded();
    std::thread::spawn(move || {
        let peers = peers(TOKEN);
        let ctx = OpContext {
            cancelled: &flag,
            progress: &|_, _| {},
            peers: &peers,
            pacer: &stele_agent::pace::Pacer::default(),
            now_wall_ms: 0,
        };
        done.send(disk.run(&Op::Fetch { order, mend: false }, &ctx)).unwrap();
    });
    let _connected = silent.accept().unwrap();
    cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    let result = ended.recv_timeout(Duration::from_secs(3)).expect("it ends soon");
    assert_eq!(result, OpResult::Failed(OpFailure::Copy(TaskFailure::Cancelled)));
}
