//! Whole agents as processes against a coordinator that is only a script: handshake, orders, loads over HTTP, copies
//! between two agents, damage, lost directories, kill -9. What is checked is what an agent reports and what lies on disk.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stele_common::api::{ErrorBody, LoadStaged, ManifestInfo};
use stele_common::handshake::{
    Answer, Challenge, DiskFound, DiskWord, FRAME_MAX, Hello, MAGIC, PROTOCOL_MAX, PROTOCOL_MIN, Welcome,
};
use stele_common::peer::{FileHeader, LoadBegin, Member, PeerRequest, read_frame, write_frame};
use stele_common::{
    Ballot, CloneOrder, ClusterId, DatabaseId, Delta, Digest, DiskId, DiskState, Epoch, Evidence, Fact, LoadId,
    LoadMode, LoadState, Manifest, NewFile, NodeId, Order, OrderBody, PartitionId, RelPath, ReplicaFact, ReplicaId,
    ReportKind, Source, TableId, TabletId, TabletLabel, TaskId, TaskProgress, ToAgent, ToCoordinator, Version,
    VersionHash,
};

const WAIT: Duration = Duration::from_secs(30);
const TABLET: TabletId = TabletId(77);

/// A coordinator that welcomes everybody, formats what is blank, and remembers the connections.
struct Coordinator {
    address: String,
    heard: Receiver<(String, Heard)>,
    lines: Arc<Mutex<BTreeMap<String, TcpStream>>>,
}

enum Heard {
    Hello(Box<Hello>),
    Fact(Box<Fact>),
    FullEnd,
    Gone,
}

impl Coordinator {
    fn start() -> Coordinator {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, heard) = channel();
        let lines = Arc::new(Mutex::new(BTreeMap::new()));
        let (known, next) = (Arc::clone(&lines), Arc::new(AtomicU64::new(1)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, known, next) = (tell.clone(), Arc::clone(&known), Arc::clone(&next));
                std::thread::spawn(move || serve(stream, &tell, &known, &next));
            }
        });
        Coordinator { address, heard, lines }
    }

    /// Waits for something that an agent says.
    fn wait<T>(&self, what: &str, agent: &str, mut wanted: impl FnMut(&Heard) -> Option<T>) -> T {
        let deadline = Instant::now() + WAIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (from, heard) = self.heard.recv_timeout(left).unwrap_or_else(|_| panic!("waited for: {what}"));
            if from == agent
                && let Some(found) = wanted(&heard)
            {
                return found;
            }
        }
    }

    fn fact<T>(&self, what: &str, agent: &str, mut wanted: impl FnMut(&Fact) -> Option<T>) -> T {
        self.wait(what, agent, |heard| match heard {
            Heard::Fact(fact) => wanted(fact),
            Heard::Hello(_) | Heard::FullEnd | Heard::Gone => None,
        })
    }

    fn replica(
        &self,
        what: &str,
        agent: &str,
        replica: ReplicaId,
        wanted: impl Fn(&ReplicaFact) -> bool,
    ) -> ReplicaFact {
        self.fact(what, agent, |fact| match fact {
            Fact::Replica(found) if found.replica == replica && wanted(found) => Some(found.clone()),
            _ => None,
        })
    }

    fn order(&self, agent: &str, epoch: u64, body: OrderBody) {
        let message = ToAgent::Order(Order { epoch: Epoch(epoch), body });
        let mut lines = self.lines.lock().unwrap();
        write_frame(lines.get_mut(agent).unwrap(), &message).unwrap();
    }
}

fn serve(
    mut stream: TcpStream,
    tell: &Sender<(String, Heard)>,
    lines: &Mutex<BTreeMap<String, TcpStream>>,
    next: &AtomicU64,
) -> Option<()> {
    let nonce = [1; 16];
    let challenge = Challenge { magic: MAGIC.into(), min: PROTOCOL_MIN, max: PROTOCOL_MAX, nonce, open: true };
    write_frame(&mut stream, &challenge).ok()?;
    let hello: Hello = read_frame(&mut stream, FRAME_MAX).ok()?;
    let name = hello.name.clone();
    let words = hello.disks.iter().map(|disk| match &disk.found {
        DiskFound::Known { disk } => DiskWord::Use { disk: *disk },
        DiskFound::Blank => DiskWord::Format { disk: DiskId(next.fetch_add(1, Relaxed)) },
        DiskFound::Unusable { cause } => DiskWord::Refuse { cause: cause.clone() },
    });
    let welcome = Welcome {
        version: PROTOCOL_MAX,
        cluster: ClusterId("f".repeat(32)),
        node: NodeId(10_000),
        epoch: Epoch(1),
        proof: [0; 32],
        disks: words.collect(),
        beat_ms: 100,
        lease_ms: 5_000,
    };
    tell.send((name.clone(), Heard::Hello(Box::new(hello)))).ok()?;
    lines.lock().unwrap().insert(name.clone(), stream.try_clone().unwrap());
    write_frame(&mut stream, &Answer::Welcome(welcome)).ok()?;
    let mut seq = None;
    while let Ok(message) = read_frame::<ToCoordinator>(&mut stream, FRAME_MAX) {
        match message {
            ToCoordinator::Beat { .. } => {
                let mut lines = lines.lock().unwrap();
                write_frame(lines.get_mut(&name)?, &ToAgent::Heard { epoch: Epoch(1) }).ok()?;
            }
            ToCoordinator::Report(report) => {
                assert!(seq.is_none_or(|seq| report.seq == seq + 1), "a gap in the numbers of reports");
                seq = Some(report.seq);
                for fact in report.facts {
                    tell.send((name.clone(), Heard::Fact(Box::new(fact)))).ok()?;
                }
                if matches!(report.kind, ReportKind::FullLast | ReportKind::FullOnly) {
                    tell.send((name.clone(), Heard::FullEnd)).ok()?;
                }
            }
        }
    }
    tell.send((name, Heard::Gone)).ok()
}

/// One agent process.
struct Agent {
    child: Child,
    name: String,
    disk: PathBuf,
    config: PathBuf,
    peer: String,
    http: String,
    disk_id: DiskId,
}

impl Agent {
    fn start(coordinator: &Coordinator, name: &str, dir: &Path) -> Agent {
        let disk = dir.join(name).join("disk-0");
        std::fs::create_dir_all(&disk).unwrap();
        let config = dir.join(name).join("agent.toml");
        let text = format!(
            "coordinator = \"{}\"\nhost = \"{name}\"\npeer = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n[[disk]]\npath = \"{}\"\n",
            coordinator.address,
            disk.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = spawn(&config);
        let mut agent = Agent {
            child,
            name: name.to_string(),
            disk,
            config,
            peer: String::new(),
            http: String::new(),
            disk_id: DiskId(0),
        };
        agent.meet(coordinator);
        agent
    }

    /// Waits for its hello and for its disk.
    fn meet(&mut self, coordinator: &Coordinator) {
        let hello = coordinator.wait("a hello", &self.name, |heard| match heard {
            Heard::Hello(hello) => Some(hello.clone()),
            Heard::Fact(_) | Heard::FullEnd | Heard::Gone => None,
        });
        (self.peer, self.http) = (hello.peer.clone(), hello.http.clone());
        self.disk_id = coordinator.fact("an ONLINE disk", &self.name, |fact| match fact {
            Fact::Disk(disk) if disk.state == DiskState::Online && disk.space.total > 0 => Some(disk.disk),
            _ => None,
        });
    }

    fn restart(&mut self, coordinator: &Coordinator) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.config);
        self.meet(coordinator);
    }

    fn member(&self, replica: u64) -> Member {
        Member { node: NodeId(1), replica: ReplicaId(replica), peer: self.peer.clone() }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(config: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(config.with_extension("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele-agent"));
    command.arg("--config").arg(config).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap()
}

fn label(replica: u64) -> TabletLabel {
    TabletLabel {
        cluster: ClusterId("f".repeat(32)),
        database: "d".into(),
        database_id: DatabaseId(1),
        table: "t".into(),
        table_id: TableId(2),
        partition: "p0".into(),
        partition_id: PartitionId(3),
        tablet: TABLET,
        bucket: 0,
        buckets: 1,
        replication: 2,
        replica: ReplicaId(replica),
        epoch: Epoch(1),
        ballot: Ballot(1),
    }
}

/// Files of a load: name and content.
type Files<'a> = &'a [(&'a str, Vec<u8>)];

fn delta(files: Files) -> Delta {
    let put = files.iter().map(|(path, content)| NewFile {
        path: RelPath::new(*path).unwrap(),
        size: content.len() as u64,
        digest: Digest::of(content),
    });
    Delta { mode: LoadMode::Add, put: put.collect(), remove: vec![] }
}

struct LoadOf<'a> {
    load: u64,
    replica: u64,
    parent: (u64, VersionHash),
    epoch: u64,
    files: Files<'a>,
    forward: Vec<Member>,
}

/// Sends a load as the CLI does.
fn put_load(http: &str, load: &LoadOf) -> Result<LoadStaged, ErrorBody> {
    let begin = LoadBegin {
        load: LoadId(load.load),
        tablet: TABLET,
        replica: ReplicaId(load.replica),
        epoch: Epoch(load.epoch),
        ballot: Ballot(1),
        parent: Version(load.parent.0),
        parent_hash: load.parent.1,
        version: Version(load.parent.0 + 1),
        hash: None,
        delta: delta(load.files),
        forward: load.forward.clone(),
    };
    let mut body = Vec::new();
    write_frame(&mut body, &PeerRequest::Load(begin.clone())).unwrap();
    for (file, (_, content)) in begin.delta.put.iter().zip(load.files) {
        write_frame(&mut body, &FileHeader { path: file.path.clone(), size: file.size, digest: file.digest }).unwrap();
        body.write_all(content).unwrap();
    }
    write_frame(&mut body, &PeerRequest::StreamEnd).unwrap();
    let url = format!("http://{http}/v1/loads/{}/tablets/{TABLET}", load.load);
    let mut answer = client().put(url).send(&body[..]).unwrap();
    match answer.status().as_u16() {
        200 => Ok(answer.body_mut().read_json().unwrap()),
        _ => Err(answer.body_mut().read_json().unwrap()),
    }
}

fn client() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(WAIT)).build().into()
}

struct Got {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn get(http: &str, path: &str, header: Option<(&str, &str)>) -> Got {
    let mut request = client().get(format!("http://{http}{path}"));
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let mut answer = request.call().unwrap();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_string()));
    Got {
        status: answer.status().as_u16(),
        headers: headers.collect(),
        body: answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap_or_default(),
    }
}

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
    let dir = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start();
    let a = Agent::start(&coordinator, "a", dir.path());
    let b = Agent::start(&coordinator, "b", dir.path());
    coordinator.order("a", 1, OrderBody::Create { disk: a.disk_id, label: label(1) });
    coordinator.replica("a new replica", "a", ReplicaId(1), |fact| fact.version == Version(0));
    let files = files_v1();
    let load = LoadOf { load: 500, replica: 1, parent: (0, Digest::ZERO), epoch: 1, files: &files, forward: vec![] };
    let staged = put_load(&a.http, &load).unwrap();
    let v1 = Manifest::default().with(&delta(&files), Version(1)).hash();
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
    assert_eq!((fact.hash, fact.files, fact.bad), (v1, 3, None));
    Stage { coordinator, a, b, v1, _dir: dir }
}

fn clone_to_b(stage: &Stage, task: u64, replica: u64, version: u64, hash: VersionHash) {
    let order = CloneOrder {
        task: TaskId(task),
        disk: stage.b.disk_id,
        label: label(replica),
        version: Version(version),
        hash,
        sources: vec![Source { node: NodeId(1), replica: ReplicaId(1), peer: stage.a.peer.clone() }],
        stall_ms: 10_000,
    };
    stage.coordinator.order("b", 1, OrderBody::Clone(order));
    stage.coordinator.replica("a copy", "b", ReplicaId(replica), |fact| {
        fact.version == Version(version) && fact.hash == hash && fact.bad.is_none()
    });
    stage.coordinator.fact("the task's end", "b", |fact| match fact {
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
