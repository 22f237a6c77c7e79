//! Whole stories on real directories: loads, crashes at every step, copies, damage, removal.

mod copies;
mod crashes;
mod loads;
mod removal;
mod salvage;

use super::beneath::Beneath;
use super::source::{FetchFailure, FileSink, PeerFailure, PeerSession, PeerSource, Terms};
use super::{DiskDir, DiskError, OpContext, format};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use stele_agent_rules::book::Staged;
use stele_agent_rules::{Book, Op, OpResult};
use stele_common::peer::{FileHeader, LoadBegin, PeerError, PeerErrorCode, Wanted};
use stele_common::{
    Ballot, CloneOrder, ClusterId, DatabaseId, Delta, Digest, DiskId, Epoch, Evidence, LoadId, LoadMode, Medium,
    NewFile, NodeId, PartitionId, RelPath, ReplicaId, Source, TableId, TabletId, TabletLabel, TaskId, Tick, Version,
    VersionHash,
};
use tempfile::TempDir;

pub(super) const TABLET: TabletId = TabletId(7);
pub(super) const REPLICA: ReplicaId = ReplicaId(70);

pub(super) fn cluster() -> ClusterId {
    ClusterId("c".repeat(32))
}

pub(super) fn label(replica: ReplicaId) -> TabletLabel {
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

pub(super) fn evidence() -> Evidence {
    Evidence::TableDropped { table: TableId(2) }
}

/// A disk in a directory of its own.
pub(super) struct Bench {
    pub dir: TempDir,
    pub disk: Arc<DiskDir>,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with_capacity(None)
    }

    pub fn with_capacity(capacity: Option<u64>) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        format(dir.path(), &cluster(), DiskId(1), Medium::Ssd).unwrap();
        let disk = Arc::new(DiskDir::open(dir.path(), &cluster(), DiskId(1), capacity).unwrap());
        Bench { dir, disk }
    }

    /// A disk with one empty replica.
    pub fn with_replica() -> Bench {
        let bench = Bench::new();
        assert_eq!(bench.run(&Op::Create { label: label(REPLICA) }), OpResult::Created);
        bench
    }

    /// The process ends and starts again.
    pub fn restart(self) -> (Bench, Book) {
        let Bench { dir, disk } = self;
        drop(disk);
        let disk = Arc::new(DiskDir::open(dir.path(), &cluster(), DiskId(1), None).unwrap());
        let book = disk.scan(Tick(5)).unwrap();
        (Bench { dir, disk }, book)
    }

    pub fn run(&self, op: &Op) -> OpResult {
        self.run_from(op, &Local::default())
    }

    pub fn run_from(&self, op: &Op, peers: &dyn PeerSource) -> OpResult {
        self.run_told(op, peers).0
    }

    /// Answers what was told of its progress last, too.
    pub fn run_told(&self, op: &Op, peers: &dyn PeerSource) -> (OpResult, (u64, u64)) {
        let cancelled = AtomicBool::new(false);
        let last = Cell::new((0, 0));
        let progress = |done, total| {
            assert!(done >= last.get().0, "progress goes back");
            last.set((done, total));
        };
        let pacer = crate::pace::Pacer::default();
        let ctx = OpContext { cancelled: &cancelled, progress: &progress, peers, pacer: &pacer, now_wall_ms: 1_000 };
        let result = self.disk.run(op, &ctx);
        (result, last.get())
    }

    pub fn begin(&self, load: u64, files: &[(&str, &str)], mode: LoadMode) -> LoadBegin {
        let head = self.disk.manifest(TABLET, REPLICA, None).unwrap();
        let parent = head.meta.version;
        LoadBegin {
            load: LoadId(load),
            tablet: TABLET,
            replica: REPLICA,
            epoch: Epoch(1),
            ballot: Ballot(1),
            parent,
            parent_hash: head.hash(),
            version: parent.next(),
            hash: None,
            delta: Delta {
                mode,
                put: files.iter().map(|(path, content)| new_file(path, content)).collect(),
                remove: vec![],
            },
            forward: vec![],
        }
    }

    pub fn stage(&self, begin: &LoadBegin, files: &[(&str, &str)]) -> Staged {
        let mut writer = self.disk.stage_load(begin).unwrap();
        for ((_, content), file) in files.iter().zip(&begin.delta.put) {
            writer.begin_file(&FileHeader { path: file.path.clone(), size: file.size, digest: file.digest }).unwrap();
            for piece in content.as_bytes().chunks(3) {
                writer.write(piece).unwrap();
            }
            writer.end_file().unwrap();
        }
        writer.finish().unwrap()
    }

    pub fn install_op(&self, load: u64, staged: &Staged) -> Op {
        Op::InstallLoad {
            load: LoadId(load),
            tablet: TABLET,
            replica: REPLICA,
            parent: staged.parent,
            version: staged.version,
            hash: staged.hash,
        }
    }

    /// Stages and installs a load; answers the new head's hash.
    pub fn load(&self, load: u64, files: &[(&str, &str)]) -> VersionHash {
        let begin = self.begin(load, files, LoadMode::Add);
        let staged = self.stage(&begin, files);
        let result = self.run(&self.install_op(load, &staged));
        assert!(matches!(result, OpResult::Installed { version, .. } if version == begin.version), "{result:?}");
        staged.hash
    }

    pub fn verify(&self, replica: ReplicaId) -> OpResult {
        self.run(&Op::Verify { tablet: TABLET, replica, urgent: true })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn data(&self, replica: ReplicaId, name: &str) -> PathBuf {
        self.path(&format!("tablets/{TABLET}/{replica}/data/{name}"))
    }

    /// Names in a directory beneath the disk.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let beneath = Beneath::open(self.dir.path()).unwrap();
        beneath.names(dir).unwrap().into_iter().map(|(name, _)| name).collect()
    }

    /// What `b3sum -c` does in the replica's directory; answers the number of files.
    pub fn b3sum_check(&self, replica: ReplicaId, version: u64) -> usize {
        let dir = self.path(&format!("tablets/{TABLET}/{replica}"));
        let text = std::fs::read_to_string(dir.join(format!("{version}.b3"))).unwrap();
        for line in text.lines() {
            let (digest, name) = line.split_once("  ").unwrap();
            let found = blake3::hash(&std::fs::read(dir.join(name)).unwrap()).to_hex();
            assert_eq!(found.as_str(), digest, "{name}");
        }
        text.lines().count()
    }

    pub fn clone_order(
        &self,
        task: u64,
        replica: ReplicaId,
        version: u64,
        hash: VersionHash,
        from: &[u64],
    ) -> CloneOrder {
        let source = |id: &u64| Source { node: NodeId(1), replica: ReplicaId(*id), peer: "local".into() };
        CloneOrder {
            task: TaskId(task),
            disk: DiskId(1),
            label: label(replica),
            version: Version(version),
            hash,
            sources: from.iter().map(source).collect(),
            stall_ms: 1_000,
            purpose: stele_common::TaskType::Repair,
        }
    }
}

pub(super) fn new_file(path: &str, content: &str) -> NewFile {
    NewFile { path: RelPath::new(path).unwrap(), size: content.len() as u64, digest: Digest::of(content.as_bytes()) }
}

/// Sources in this process: other benches' disks, with flaws.
#[derive(Clone, Default)]
pub(super) struct Local {
    pub disks: BTreeMap<u64, (Arc<DiskDir>, ReplicaId)>,
    /// Bytes that were fetched.
    pub sent: Arc<AtomicU64>,
    /// The line of this source breaks after so many files, once.
    pub breaks: Arc<Mutex<BTreeMap<u64, usize>>>,
    /// This source flips a bit of every file whose name contains the text.
    pub flips: BTreeMap<u64, String>,
    /// Which source was told that which file came damaged, and whether it found that true.
    pub doubts: Arc<Mutex<Vec<(u64, String, bool)>>>,
}

impl Local {
    pub fn of(sources: &[(u64, &Bench, ReplicaId)]) -> Local {
        let disks = sources.iter().map(|(id, bench, replica)| (*id, (Arc::clone(&bench.disk), *replica))).collect();
        Local { disks, ..Local::default() }
    }

    /// Bytes fetched since the last call.
    pub fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::Relaxed)
    }
}

struct LocalSession {
    local: Local,
    id: u64,
    disk: Arc<DiskDir>,
    replica: ReplicaId,
}

impl PeerSource for Local {
    fn connect<'a>(
        &self,
        source: &Source,
        _: TabletId,
        _: Terms<'a>,
    ) -> Result<Box<dyn PeerSession + 'a>, PeerFailure> {
        let Some((disk, replica)) = self.disks.get(&source.replica.0) else {
            return Err(PeerFailure::Lost { detail: "nobody there".into() });
        };
        let (local, disk) = (self.clone(), Arc::clone(disk));
        Ok(Box::new(LocalSession { local, id: source.replica.0, disk, replica: *replica }))
    }
}

/// As the peer port says it.
fn refused(error: DiskError) -> PeerError {
    let code = match error {
        DiskError::Damaged { .. } => PeerErrorCode::Damaged,
        _ => PeerErrorCode::NoSuchVersion,
    };
    PeerError { code, detail: error.to_string() }
}

impl PeerSession for LocalSession {
    fn manifest(&mut self, version: Option<Version>) -> Result<(String, String), PeerFailure> {
        let open = self.disk.offer(TABLET, self.replica, version).map_err(refused)?;
        Ok((open.meta_text.clone(), open.b3_text.clone()))
    }

    fn fetch(&mut self, files: &[Wanted], sink: &mut dyn FileSink) -> Result<(), FetchFailure> {
        let mut giver = self.disk.giver(TABLET, self.replica).map_err(|error| PeerFailure::from(refused(error)))?;
        let breaks = self.local.breaks.lock().unwrap().remove(&self.id);
        for (index, Wanted { path, entry }) in files.iter().enumerate() {
            if breaks == Some(index) {
                return Err(PeerFailure::Lost { detail: "the line broke".into() }.into());
            }
            let mut bytes = Vec::new();
            match giver.open(path, entry) {
                Ok(mut file) => file.read_to_end(&mut bytes).unwrap(),
                Err(error) => {
                    sink.lacks(path, &refused(error))?;
                    continue;
                }
            };
            if self.local.flips.get(&self.id).is_some_and(|name| path.as_str().contains(name)) {
                bytes[0] ^= 1;
            }
            self.local.sent.fetch_add(entry.size, Ordering::Relaxed);
            let header = FileHeader { path: path.clone(), size: entry.size, digest: entry.digest };
            sink.file(&header, &mut BufReader::new(bytes.as_slice()))?;
        }
        Ok(())
    }

    fn doubt(&mut self, file: &Wanted) -> Result<(), PeerFailure> {
        let found = self.disk.look_again(TABLET, self.replica, &file.path, &file.entry).unwrap();
        self.local.doubts.lock().unwrap().push((self.id, file.path.to_string(), found.is_some()));
        Ok(())
    }
}
