//! A data directory as a model: what would survive a crash, and the truth about every byte in it.
//!
//! Files are their content's digest and length; rot changes the digest that lies there, never what a manifest says.
//! [`ModelDisk::scan`] gives the same book as a real scan: what was prepared stays, half work is left over or gone.
//! Executing ops is `ops`; this file only knows what lies where.

use std::collections::BTreeMap;
use std::sync::Arc;
use stele_agent_rules::Book;
use stele_agent_rules::book::{Held, Leftover, LeftoverState, Staged, Trashed};
use stele_common::handshake::StoreMark;
use stele_common::{
    Ballot, Delta, Digest, DiskId, Epoch, LoadId, Manifest, RelPath, ReplicaId, TabletId, TabletLabel, TaskId, Tick,
    Version, VersionHash,
};

/// One data directory.
#[derive(Clone, Debug, Default)]
pub struct ModelDisk {
    /// `None`: blank.
    pub identity: Option<DiskId>,
    /// The directory is there.
    pub mounted: bool,
    /// The host or disk is gone for ever.
    pub destroyed: bool,
    /// Writes and syncs fail.
    pub failing: bool,
    /// No byte more fits.
    pub full: bool,
    /// An operator wants it empty.
    pub draining: bool,
    /// A copy of another host's disk.
    pub twin: bool,
    /// A copy of it is about: what lies here may be behind.
    pub doubled: bool,
    /// How far the coordinator's store was, as last written here.
    pub store_seen: StoreMark,
    pub total: u64,
    pub epoch: Epoch,
    pub replicas: BTreeMap<ReplicaId, ReplicaDir>,
    pub staged: BTreeMap<(LoadId, TabletId), StagedDir>,
    pub copies: BTreeMap<TabletId, CopyDir>,
    pub trash: BTreeMap<ReplicaId, TrashDir>,
}

/// `tablets/<tablet>/<replica>/`.
#[derive(Clone, Debug)]
pub struct ReplicaDir {
    pub label: TabletLabel,
    pub head: Version,
    /// Papers of every kept version; none for the empty one.
    pub versions: BTreeMap<Version, Arc<Papers>>,
    /// The bytes that really lie there, by the version that added them and their name.
    pub data: BTreeMap<(Version, RelPath), Body>,
    /// The durable mark of a quarantine.
    pub bad: Option<String>,
    pub scrubbed: Option<u64>,
    /// When a fault last touched it: from then on its own word may be wrong without anyone's guilt.
    pub damaged: Option<u64>,
}

/// `<v>.b3` and `<v>.meta`.
#[derive(Clone, Debug, PartialEq)]
pub struct Papers {
    pub manifest: Manifest,
    pub hash: VersionHash,
}

/// A file's bytes: what they really hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    pub digest: Digest,
    pub size: u64,
}

/// `staging/load-<id>/`, durable.
#[derive(Clone, Debug)]
pub struct StagedDir {
    pub replica: ReplicaId,
    pub ballot: Ballot,
    pub parent: Version,
    pub version: Version,
    pub hash: VersionHash,
    pub bytes: u64,
    pub delta: Arc<Delta>,
}

/// `staging/task-<tablet>/`.
#[derive(Clone, Debug)]
pub struct CopyDir {
    pub task: TaskId,
    pub replica: ReplicaId,
    /// What was received: under its wanted digest, the digest that really lies there.
    pub files: BTreeMap<Digest, Body>,
    /// Everything is there and durable.
    pub ready: Option<(Version, Arc<Papers>)>,
}

/// `trash/<time>-<tablet>-<replica>/`.
#[derive(Clone, Debug)]
pub struct TrashDir {
    pub dir: ReplicaDir,
    pub dropped: u64,
}

impl ReplicaDir {
    /// An empty replica.
    pub fn new(label: TabletLabel) -> ReplicaDir {
        ReplicaDir {
            label,
            head: Version::EMPTY,
            versions: BTreeMap::new(),
            data: BTreeMap::new(),
            bad: None,
            scrubbed: None,
            damaged: None,
        }
    }

    /// The hash of the head.
    pub fn hash(&self) -> VersionHash {
        self.versions.get(&self.head).map_or(Digest::ZERO, |papers| papers.hash)
    }

    /// The manifest of a kept version; the empty version's is empty.
    pub fn manifest(&self, version: Version) -> Option<Manifest> {
        if version == Version::EMPTY {
            return Some(Manifest::default());
        }
        self.versions.get(&version).map(|papers| papers.manifest.clone())
    }

    /// Bytes of all kept versions.
    pub fn size(&self) -> u64 {
        self.data.values().map(|body| body.size).sum()
    }

    fn flaw_of(&self, version: Version, is_right: impl Fn(&Body, &Digest, u64) -> bool) -> Option<&RelPath> {
        let papers = self.versions.get(&version)?;
        let mut entries = papers.manifest.entries.iter();
        entries
            .find(|(path, entry)| {
                let body = self.data.get(&(entry.added, (*path).clone()));
                !body.is_some_and(|body| is_right(body, &entry.digest, entry.size))
            })
            .map(|(path, _)| path)
    }

    /// The first file of a version whose bytes are wrong or missing.
    pub fn rotten(&self, version: Version) -> Option<&RelPath> {
        self.flaw_of(version, |body, digest, _| body.digest == *digest)
    }

    /// The first file of a version that is missing or has another length: what a stat sees.
    pub fn missing(&self, version: Version) -> Option<&RelPath> {
        self.flaw_of(version, |body, _, size| body.size == size)
    }

    /// Whether a kept version is there with all its bytes right.
    pub fn is_whole(&self, version: Version) -> bool {
        version == Version::EMPTY || (self.versions.contains_key(&version) && self.rotten(version).is_none())
    }
}

impl ModelDisk {
    /// An empty directory.
    pub fn blank(total: u64) -> ModelDisk {
        ModelDisk { mounted: true, total, ..ModelDisk::default() }
    }

    /// Becomes a disk of ours.
    pub fn format(&mut self, disk: DiskId) {
        *self = ModelDisk { identity: Some(disk), ..ModelDisk::blank(self.total) };
    }

    /// What lies in the trash.
    pub fn trashed(&self) -> impl Iterator<Item = &ReplicaDir> {
        self.trash.values().map(|trash| &trash.dir)
    }

    /// Contents of a tablet that lie anywhere here, by their digests; only right bytes are found.
    pub fn contents(&self, tablet: TabletId) -> BTreeMap<Digest, Body> {
        let alive = self.replicas.values().filter(|dir| dir.label.tablet == tablet);
        let trashed = self.trash.values().map(|trash| &trash.dir).filter(|dir| dir.label.tablet == tablet);
        let bodies = alive.chain(trashed).flat_map(|dir| dir.data.values());
        let received = self.copies.get(&tablet).into_iter().flat_map(|copy| copy.files.values());
        bodies.chain(received).map(|body| (body.digest, *body)).collect()
    }

    /// What a scan at start finds, as the disk's book; `now` is virtual time, `boot` when the agent began.
    pub fn scan(&self, disk: DiskId, now: u64, boot: u64) -> Book {
        let tick = Tick(now - boot);
        let mut book = Book { epoch: self.epoch, ..Book::new(disk) };
        for (id, dir) in &self.replicas {
            let files = dir.versions.get(&dir.head).map_or(0, |papers| papers.manifest.entries.len() as u64);
            let mut held = Held::new(dir.label.clone(), dir.head, dir.hash(), dir.size(), files);
            held.older = older(dir);
            held.bad = dir.bad.clone();
            // Before this boot: as old as the clock can say.
            held.scrubbed = dir.scrubbed.map(|at| Tick(at.saturating_sub(boot)));
            book.replicas.insert(*id, held);
        }
        for (key, dir) in &self.staged {
            book.staged.insert(*key, staged_fact(dir));
        }
        for (tablet, dir) in &self.copies {
            let leftover = Leftover { task: dir.task, replica: dir.replica, since: tick, state: LeftoverState::Kept };
            book.leftovers.insert(*tablet, leftover);
        }
        for (id, trash) in &self.trash {
            let trashed = Trashed {
                tablet: trash.dir.label.tablet,
                bytes: trash.dir.size(),
                dropped: tick,
                age_at_boot: now.saturating_sub(trash.dropped),
                purge: None,
            };
            book.trash.insert(*id, trashed);
        }
        book
    }
}

/// Kept versions below the head, with their hashes.
pub fn older(dir: &ReplicaDir) -> BTreeMap<Version, VersionHash> {
    dir.versions.range(..dir.head).map(|(version, papers)| (*version, papers.hash)).collect()
}

/// A staged load as the book tells of it.
pub fn staged_fact(dir: &StagedDir) -> Staged {
    Staged {
        replica: dir.replica,
        ballot: dir.ballot,
        parent: dir.parent,
        version: dir.version,
        hash: dir.hash,
        bytes: dir.bytes,
        committed: false,
        aborted: false,
        failed: None,
    }
}
