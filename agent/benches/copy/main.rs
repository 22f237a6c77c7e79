//! How fast a clone is, beside what else could copy: `cargo bench -p stele-agent --bench copy`.
//!
//! One run prints, for three shapes of data, the medians of
//! * `stele`: fetch through the real peer port over loopback, digests checked, one sync, installed as a replica,
//! * `bare`: the least program with the same promises ([`bare`]),
//! * `cp -r` + `sync -f`, and rsync (local, and its daemon over loopback) + `sync -f`, where rsync is installed,
//!
//! in turn, and their ratios to `bare`. `STELE_BENCH_DIR` chooses the file system, `STELE_BENCH_ROUNDS` the rounds (5).

mod bare;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use stele_agent::disk::{DiskDir, OpContext, format};
use stele_agent::net::host::{PeerCounter, PeerHost};
use stele_agent::net::peer_client::TcpPeers;
use stele_agent::net::peer_server;
use stele_agent_rules::event::EventBody;
use stele_agent_rules::{Op, OpResult};
use stele_common::config::AgentLimits;
use stele_common::peer::{FileHeader, LoadBegin, PeerError};
use stele_common::{
    Ballot, CloneOrder, ClusterId, DatabaseId, Delta, Digest, DiskId, Epoch, LoadId, LoadMode, Medium, NewFile, NodeId,
    PartitionId, RelPath, ReplicaId, Source, TableId, TabletId, TabletLabel, TaskId, Version, VersionHash,
};

const TABLET: TabletId = TabletId(7);
const SOURCE: ReplicaId = ReplicaId(70);

fn cluster() -> ClusterId {
    ClusterId("c".repeat(32))
}

fn main() {
    let rounds: usize = std::env::var("STELE_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let base = std::env::var_os("STELE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    println!(
        "medians of {rounds} rounds in {}, seconds, and the ratio bare / it (1 = as fast as bare)",
        base.display()
    );
    for (name, count, size) in
        [("1 x 1 GiB", 1, 1 << 30), ("64 x 16 MiB", 64, 16 << 20), ("10 000 x 4 KiB", 10_000, 4 << 10)]
    {
        let home = tempfile::tempdir_in(&base).expect("a directory to measure in");
        let stage = Stage::new(home.path(), count, size);
        let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 0..rounds {
            for (contender, run) in stage.contenders() {
                let to = home.path().join(format!("to-{round}-{}", contender.replace(' ', "-")));
                fs::create_dir(&to).expect("made");
                let spent = run(&stage, &to);
                times.entry(contender).or_default().push(spent.as_secs_f64());
                fs::remove_dir_all(&to).expect("removed");
                rustix::fs::sync();
            }
        }
        let median = |name: &str| -> f64 {
            let mut sorted = times[name].clone();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() / 2]
        };
        println!("{name}");
        for contender in times.keys() {
            println!("  {contender:<16} {:>7.3} s   {:>5.2}", median(contender), median("bare") / median(contender));
        }
    }
}

type Run = fn(&Stage, &Path) -> Duration;

/// A source replica behind a real peer port, and an rsync daemon where there is one.
struct Stage {
    peer: String,
    hash: VersionHash,
    /// The source's files, flat.
    files: PathBuf,
    daemon: Option<(Child, u16)>,
}

impl Stage {
    fn new(home: &Path, count: usize, size: usize) -> Stage {
        let disk = open(&home.join("source"), DiskId(1));
        let hash = load(&disk, count, size);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = Host { disk };
        let server = peer_server::serve(listener, Arc::new(host), &AgentLimits::default()).expect("the port is served");
        let files = home.join(format!("source/tablets/{TABLET}/{SOURCE}/data/1"));
        let daemon = rsync_daemon(home, &files);
        Stage { peer: server.address().to_string(), hash, files, daemon }
    }

    fn contenders(&self) -> Vec<(&'static str, Run)> {
        let mut all: Vec<(&'static str, Run)> = vec![("bare", bare), ("stele", stele), ("cp -r", cp)];
        if self.daemon.is_some() {
            all.push(("rsync -a", rsync));
            all.push(("rsync daemon -a", rsync_from_daemon));
        }
        all
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.daemon {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

struct Host {
    disk: Arc<DiskDir>,
}

impl PeerHost for Host {
    fn cluster(&self) -> Option<ClusterId> {
        Some(cluster())
    }
    fn token(&self) -> Option<[u8; 32]> {
        None
    }
    fn disk_of(&self, _: ReplicaId) -> Option<Arc<DiskDir>> {
        Some(Arc::clone(&self.disk))
    }
    fn admit_load(&self, _: &LoadBegin) -> Result<(), PeerError> {
        Ok(())
    }
    fn tell(&self, _: DiskId, _: EventBody) {}
    fn piece(&self, _: stele_common::TaskType) -> u64 {
        u64::MAX
    }

    fn passed(&self, _: stele_common::TaskType, _: DiskId, _: u64) {}

    fn count(&self, _: PeerCounter, _: u64) {}
}

fn open(path: &Path, disk: DiskId) -> Arc<DiskDir> {
    fs::create_dir_all(path).expect("made");
    format(path, &cluster(), disk, Medium::Ssd).expect("formatted");
    Arc::new(DiskDir::open(path, &cluster(), disk, None).expect("opened"))
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

fn run(disk: &DiskDir, peers: &TcpPeers, op: &Op) -> OpResult {
    let cancelled = AtomicBool::new(false);
    disk.run(
        op,
        &OpContext {
            cancelled: &cancelled,
            progress: &|_, _| {},
            peers,
            pacer: &stele_agent::pace::Pacer::default(),
            now_wall_ms: 0,
        },
    )
}

fn peers() -> TcpPeers {
    TcpPeers { token: None, cluster: cluster(), idle: Duration::from_secs(30) }
}

/// Loads `count` files of `size` bytes that do not compress, as an agent would, and installs them.
fn load(disk: &Arc<DiskDir>, count: usize, size: usize) -> VersionHash {
    assert_eq!(run(disk, &peers(), &Op::Create { label: label(SOURCE) }), OpResult::Created);
    let content = |index: usize| {
        let mut bytes = vec![0u8; size];
        blake3::Hasher::new().update(&index.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    };
    let put: Vec<NewFile> = (0..count)
        .map(|index| NewFile {
            path: RelPath::new(format!("file-{index:05}")).expect("a good name"),
            size: size as u64,
            digest: Digest::of(&content(index)),
        })
        .collect();
    let begin = LoadBegin {
        load: LoadId(1),
        tablet: TABLET,
        replica: SOURCE,
        epoch: Epoch(1),
        ballot: Ballot(1),
        parent: Version::EMPTY,
        parent_hash: Digest::ZERO,
        version: Version(1),
        hash: None,
        delta: Delta { mode: LoadMode::Add, put, remove: Vec::new() },
        forward: Vec::new(),
    };
    let mut writer = disk.stage_load(&begin).expect("staged");
    for (index, file) in begin.delta.put.iter().enumerate() {
        let header = FileHeader { path: file.path.clone(), size: file.size, digest: file.digest };
        writer
            .begin_file(&header)
            .and_then(|()| writer.write(&content(index)))
            .and_then(|()| writer.end_file())
            .expect("written");
    }
    let hash = writer.finish().expect("prepared").hash;
    let install = Op::InstallLoad {
        load: LoadId(1),
        tablet: TABLET,
        replica: SOURCE,
        parent: Version::EMPTY,
        version: Version(1),
        hash,
    };
    assert!(matches!(run(disk, &peers(), &install), OpResult::Installed { .. }));
    hash
}

fn stele(stage: &Stage, to: &Path) -> Duration {
    let disk = open(to, DiskId(2));
    let label = label(ReplicaId(71));
    let order = CloneOrder {
        task: TaskId(1),
        disk: DiskId(2),
        label: label.clone(),
        version: Version(1),
        hash: stage.hash,
        sources: vec![Source { node: NodeId(1), replica: SOURCE, peer: stage.peer.clone() }],
        stall_ms: 60_000,
        purpose: stele_common::TaskType::Repair,
    };
    let start = Instant::now();
    let fetched = run(&disk, &peers(), &Op::Fetch { order, mend: false });
    assert!(matches!(fetched, OpResult::Fetched { .. }), "{fetched:?}");
    let install = Op::InstallCopy { task: TaskId(1), label, version: Version(1), hash: stage.hash, mend: false };
    let installed = run(&disk, &peers(), &install);
    let spent = start.elapsed();
    assert!(matches!(installed, OpResult::Installed { .. }), "{installed:?}");
    spent
}

fn bare(stage: &Stage, to: &Path) -> Duration {
    let start = Instant::now();
    std::hint::black_box(bare::copy(&stage.files, to).expect("copied"));
    start.elapsed()
}

fn shell(to: &Path, program: &str, args: &[&str]) -> Duration {
    let start = Instant::now();
    for (program, args) in [(program, args), ("sync", &["-f", to.to_str().expect("utf-8")][..])] {
        let status = Command::new(program).args(args).status().expect("runs");
        assert!(status.success(), "{program} {args:?}: {status}");
    }
    start.elapsed()
}

fn cp(stage: &Stage, to: &Path) -> Duration {
    shell(to, "cp", &["-r", stage.files.to_str().expect("utf-8"), to.to_str().expect("utf-8")])
}

fn rsync(stage: &Stage, to: &Path) -> Duration {
    shell(to, "rsync", &["-a", stage.files.to_str().expect("utf-8"), to.to_str().expect("utf-8")])
}

fn rsync_from_daemon(stage: &Stage, to: &Path) -> Duration {
    let port = stage.daemon.as_ref().map_or(0, |(_, port)| *port);
    shell(to, "rsync", &["-a", &format!("rsync://127.0.0.1:{port}/source/"), to.to_str().expect("utf-8")])
}

fn rsync_daemon(home: &Path, files: &Path) -> Option<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).ok()?.port();
    let config = home.join("rsyncd.conf");
    let text = format!("use chroot = no\naddress = 127.0.0.1\n[source]\npath = {}\nread only = yes\n", files.display());
    fs::write(&config, text).ok()?;
    let child = Command::new("rsync")
        .args(["--daemon", "--no-detach", &format!("--port={port}"), &format!("--config={}", config.display())])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let limit = Instant::now() + Duration::from_secs(5);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some((child, port))
}
