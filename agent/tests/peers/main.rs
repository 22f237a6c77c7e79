//! Two disks and the real peer port between them, over loopback: copies, damage, forwarded loads, and rude callers.

mod copying;
mod loading;
mod rude;
mod salvage;
mod silent;

use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stele_agent::disk::{self, DiskDir, OpContext, PeerSource as _};
use stele_agent::net::host::{PeerCounter, PeerHost};
use stele_agent::net::peer_client::TcpPeers;
use stele_agent::net::peer_server::{PeerServer, serve};
use stele_agent_rules::event::EventBody;
use stele_agent_rules::{Op, OpResult};
use stele_common::config::AgentLimits;
use stele_common::peer::{FileHeader, LoadBegin, PeerError, Wanted};
use stele_common::{
    Ballot, CloneOrder, ClusterId, DatabaseId, Delta, Digest, DiskId, Epoch, LoadId, LoadMode, Medium, NewFile, NodeId,
    PartitionId, RelPath, ReplicaId, Source, TableId, TabletId, TabletLabel, TaskId, VersionHash,
};

const TABLET: TabletId = TabletId(7);
const TOKEN: [u8; 32] = [9; 32];
/// Longer than anything here takes; a test that waits this long has failed.
const WAIT: Duration = Duration::from_secs(20);

fn cluster() -> ClusterId {
    ClusterId("c1".into())
}

fn label(replica: ReplicaId) -> TabletLabel {
    TabletLabel {
        cluster: cluster(),
        database: "d".into(),
        database_id: DatabaseId(1),
        table: "t".into(),
        table_id: TableId(2),
        partition: "p0".into(),
        partition_id: PartitionId(3),
        tablet: TABLET,
        bucket: 0,
        buckets: 1,
        replication: 3,
        replica,
        epoch: Epoch(1),
        ballot: Ballot(1),
    }
}

/// An agent with one disk and a peer port.
struct Agent {
    dir: tempfile::TempDir,
    disk: Arc<DiskDir>,
    replica: ReplicaId,
    host: Arc<Host>,
    told: Receiver<EventBody>,
    server: PeerServer,
}

struct Host {
    disk: Arc<DiskDir>,
    replica: ReplicaId,
    events: Sender<EventBody>,
    counts: Mutex<BTreeMap<String, u64>>,
    counted: (Sender<PeerCounter>, Receiver<PeerCounter>),
    refuse_loads: Mutex<Option<PeerError>>,
}

impl PeerHost for Host {
    fn cluster(&self) -> Option<ClusterId> {
        Some(cluster())
    }
    fn token(&self) -> Option<[u8; 32]> {
        Some(TOKEN)
    }
    fn disk_of(&self, replica: ReplicaId) -> Option<Arc<DiskDir>> {
        (replica == self.replica).then(|| Arc::clone(&self.disk))
    }
    fn admit_load(&self, _: &LoadBegin) -> Result<(), PeerError> {
        self.refuse_loads.lock().unwrap().clone().map_or(Ok(()), Err)
    }
    fn tell(&self, disk: DiskId, event: EventBody) {
        assert_eq!(disk, self.disk.disk());
        self.events.send(event).unwrap();
    }
    fn piece(&self, _: stele_common::TaskType) -> u64 {
        u64::MAX
    }

    fn passed(&self, _: stele_common::TaskType, _: DiskId, _: u64) {}

    fn count(&self, counter: PeerCounter, by: u64) {
        *self.counts.lock().unwrap().entry(format!("{counter:?}")).or_default() += by;
        self.counted.0.send(counter).unwrap();
    }
}

impl Agent {
    fn new(id: u64) -> Agent {
        Agent::with_limits(id, &AgentLimits { peer_idle_ms: 5_000, ..AgentLimits::default() })
    }

    fn with_limits(id: u64, limits: &AgentLimits) -> Agent {
        let dir = tempfile::tempdir().unwrap();
        disk::format(dir.path(), &cluster(), DiskId(id), Medium::Ssd).unwrap();
        let disk = Arc::new(DiskDir::open(dir.path(), &cluster(), DiskId(id), None).unwrap());
        let replica = ReplicaId(id * 10);
        let (events, told) = unbounded();
        let host = Arc::new(Host {
            disk: Arc::clone(&disk),
            replica,
            events,
            counts: Mutex::default(),
            counted: unbounded(),
            refuse_loads: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = serve(listener, Arc::clone(&host) as Arc<dyn PeerHost>, limits).unwrap();
        Agent { dir, disk, replica, host, told, server }
    }

    /// An agent with an empty replica.
    fn with_replica(id: u64) -> Agent {
        let agent = Agent::new(id);
        assert_eq!(agent.run(&Op::Create { label: label(agent.replica) }), OpResult::Created);
        agent
    }

    fn run(&self, op: &Op) -> OpResult {
        let cancelled = AtomicBool::new(false);
        let peers = peers(TOKEN);
        self.disk.run(
            op,
            &OpContext {
                cancelled: &cancelled,
                progress: &|_, _| {},
                peers: &peers,
                pacer: &stele_agent::pace::Pacer::default(),
                now_wall_ms: 1,
            },
        )
    }

    fn begin(&self, load: u64, files: &[(String, Vec<u8>)]) -> LoadBegin {
        let head = self.disk.manifest(TABLET, self.replica, None).unwrap();
        let put = files
            .iter()
            .map(|(path, content)| NewFile {
                path: RelPath::new(path.as_str()).unwrap(),
                size: content.len() as u64,
                digest: Digest::of(content),
            })
            .collect();
        LoadBegin {
            load: LoadId(load),
            tablet: TABLET,
            replica: self.replica,
            epoch: Epoch(1),
            ballot: Ballot(1),
            parent: head.meta.version,
            parent_hash: head.hash(),
            version: head.meta.version.next(),
            hash: None,
            delta: Delta { mode: LoadMode::Add, put, remove: vec![] },
            forward: vec![],
        }
    }

    /// Loads files directly; answers the version hash.
    fn load(&self, load: u64, files: &[(String, Vec<u8>)]) -> VersionHash {
        let begin = self.begin(load, files);
        let mut writer = self.disk.stage_load(&begin).unwrap();
        for ((_, content), header) in files.iter().zip(headers(&begin)) {
            writer.begin_file(&header).unwrap();
            writer.write(content).unwrap();
            writer.end_file().unwrap();
        }
        let staged = writer.finish().unwrap();
        let (tablet, replica) = (TABLET, self.replica);
        let (parent, version, hash) = (staged.parent, staged.version, staged.hash);
        let op = Op::InstallLoad { load: LoadId(load), tablet, replica, parent, version, hash };
        assert!(matches!(self.run(&op), OpResult::Installed { .. }));
        hash
    }

    fn source(&self) -> Source {
        Source { node: NodeId(1), replica: self.replica, peer: self.server.address().to_string() }
    }

    /// Copies from `sources`, installs, and answers the bytes copied and reused.
    fn copy(&self, version: u64, hash: VersionHash, sources: Vec<Source>) -> (u64, u64) {
        let order = self.order(version, hash, sources);
        let fetched = self.run(&Op::Fetch { order: order.clone(), mend: false });
        let OpResult::Fetched { version, hash, bytes_copied, bytes_reused } = fetched else { panic!("{fetched:?}") };
        let install = Op::InstallCopy { task: order.task, label: order.label, version, hash, mend: false };
        let installed = self.run(&install);
        assert!(matches!(installed, OpResult::Installed { .. }), "{installed:?}");
        (bytes_copied, bytes_reused)
    }

    fn order(&self, version: u64, hash: VersionHash, sources: Vec<Source>) -> CloneOrder {
        CloneOrder {
            task: TaskId(1),
            disk: self.disk.disk(),
            label: label(self.replica),
            version: stele_common::Version(version),
            hash,
            sources,
            stall_ms: 5_000,
            purpose: stele_common::TaskType::Repair,
        }
    }

    fn verify(&self) -> OpResult {
        self.run(&Op::Verify { tablet: TABLET, replica: self.replica, urgent: true })
    }

    fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("tablets/{TABLET}/{}/data/{name}", self.replica))
    }

    fn staging_is_empty(&self) -> bool {
        std::fs::read_dir(self.dir.path().join("staging")).unwrap().count() == 0
    }

    fn count(&self, counter: PeerCounter) -> u64 {
        self.host.counts.lock().unwrap().get(&format!("{counter:?}")).copied().unwrap_or(0)
    }

    /// Waits until the port counted this.
    fn wait_for(&self, counter: PeerCounter) {
        while self.host.counted.1.recv_timeout(WAIT).expect("it is counted in time") != counter {}
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.server.stop();
    }
}

fn peers(token: [u8; 32]) -> TcpPeers {
    TcpPeers { token: Some(token), cluster: cluster(), idle: Duration::from_secs(5) }
}

fn headers(begin: &LoadBegin) -> Vec<FileHeader> {
    let header = |file: &NewFile| FileHeader { path: file.path.clone(), size: file.size, digest: file.digest };
    begin.delta.put.iter().map(header).collect()
}

fn files(files: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    files.iter().map(|(name, content)| (name.to_string(), content.to_vec())).collect()
}
