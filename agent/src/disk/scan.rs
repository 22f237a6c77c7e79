//! Reading a disk at start: what holds becomes the book, what a crash left half done is tidied away.
//!
//! ```text
//! staging/create-*                      removed: ours, and nobody relies on it
//! staging/load-L/T   without `prepared` removed; with it: kept, only the coordinator's word removes it
//! staging/task-T                        a leftover in the book: kept for resuming; older than a day: removed
//! tablets/T/R        papers hold        above the head: <v>.meta, <v>.b3, data/<v> of a cut-off install go,
//!                                       unless a prepared load will install exactly that version
//!                    papers do not hold marked bad in the book, nothing touched
//!                    cannot be read     marked bad, and the disk is SUSPECT; nothing touched
//! ```

use super::dir::DiskDir;
use super::error::{DiskError, Tried};
use super::load::Prepared;
use super::papers::{
    OpenVersion, bytes_of, listed_versions, load_dir, read_bad, read_head_version, read_label, read_version,
    replica_dir,
};
use super::trash::trash_entries;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stele_agent_rules::Book;
use stele_agent_rules::book::{Held, Leftover, LeftoverState, Trashed, Wishes};
use stele_common::{
    Ballot, DatabaseId, Digest, DiskState, Epoch, LoadId, Manifest, PartitionId, ReplicaId, TableId, TabletId,
    TabletLabel, TaskId, Tick, Version, VersionHash,
};

/// Half a copy that nobody asked for again in this time is removed: it only saves traffic.
const RESUME_FOR: Duration = Duration::from_secs(24 * 3600);

/// Versions that prepared loads will install, by replica: their half-moved files stay.
type Expected = BTreeSet<(ReplicaId, Version)>;

impl DiskDir {
    /// Reads everything and tidies. An error: the disk could not be read and may not be used.
    pub fn scan(&self, now: Tick) -> Result<Book, DiskError> {
        let _alone = self.at_work.write().unwrap_or_else(PoisonError::into_inner);
        let mut book = Book::new(self.disk());
        book.epoch = self.epoch();
        self.ledger().clear();
        let mut troubles = Vec::new();
        if let Err(error) = self.fit() {
            troubles.push(error.to_string());
        }
        let expected = self.scan_staging(&mut book, now, &mut troubles)?;
        self.scan_replicas(&mut book, &expected, &mut troubles)?;
        self.scan_trash(&mut book, now)?;
        if let Some(first) = troubles.first() {
            book.state = DiskState::Suspect;
            book.cause = Some(match troubles.len() {
                1 => first.clone(),
                n => format!("{first} (and {} more)", n - 1),
            });
        }
        Ok(book)
    }

    fn scan_staging(&self, book: &mut Book, now: Tick, troubles: &mut Vec<String>) -> Result<Expected, DiskError> {
        let mut expected = Expected::new();
        for (name, _) in self.list("staging")? {
            let dir = format!("staging/{name}");
            if let Some(load) = number(&name, "load-").map(LoadId) {
                self.scan_load(load, book, &mut expected, troubles)?;
            } else if let Some(tablet) = number(&name, "task-").map(TabletId) {
                if self.is_stale_task(&dir)? {
                    self.removed(&dir)?;
                } else {
                    let bytes = self.weigh(&dir)?;
                    self.ledger().add_staging(&dir, bytes);
                    let leftover = self.leftover(&dir, now)?;
                    book.leftovers.insert(tablet, leftover);
                }
            } else if number(&name, "create-").is_some() {
                self.removed(&dir)?;
            } else {
                tracing::warn!(disk = self.disk().0, name, "a foreign name in staging is left alone");
            }
        }
        Ok(expected)
    }

    fn scan_load(
        &self,
        load: LoadId,
        book: &mut Book,
        expected: &mut Expected,
        troubles: &mut Vec<String>,
    ) -> Result<(), DiskError> {
        let above = format!("staging/load-{load}");
        for (name, _) in self.list(&above)? {
            let Ok(tablet) = name.parse().map(TabletId) else { continue };
            let dir = load_dir(load, tablet);
            match Prepared::read(&self.beneath, &dir) {
                Ok(Some(prepared)) => {
                    expected.insert((prepared.replica, prepared.version));
                    self.ledger().add_staging(&dir, prepared.bytes);
                    book.staged.insert((load, tablet), prepared.staged());
                }
                Ok(None) if self.streams().contains(&(load, tablet)) => {}
                Ok(None) => self.removed(&dir)?,
                // It may be a load that somebody relies on.
                Err(error) => troubles.push(error.to_string()),
            }
        }
        self.beneath.remove_empty(&above).tried(|| format!("remove `{above}`"))?;
        Ok(())
    }

    fn scan_replicas(&self, book: &mut Book, expected: &Expected, troubles: &mut Vec<String>) -> Result<(), DiskError> {
        for (name, _) in self.list("tablets")? {
            let Ok(tablet) = name.parse().map(TabletId) else { continue };
            for (name, kind) in self.list(&format!("tablets/{tablet}"))? {
                let Ok(replica) = name.parse().map(ReplicaId) else { continue };
                if kind == FileType::Directory {
                    let held = self.scan_replica(tablet, replica, expected, troubles);
                    self.ledger().set_replica(replica, held.size);
                    book.replicas.insert(replica, held);
                }
            }
        }
        Ok(())
    }

    /// One replica; whatever is wrong with it is said in the answer.
    fn scan_replica(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        expected: &Expected,
        troubles: &mut Vec<String>,
    ) -> Held {
        match self.read_replica(tablet, replica, expected) {
            Ok(held) => held,
            Err(error) => {
                if let DiskError::Io { .. } = error {
                    troubles.push(error.to_string());
                }
                tracing::warn!(tablet = tablet.0, replica = replica.0, disk = self.disk().0, reason = %error, "replica is bad");
                let label = read_label(&self.beneath, &replica_dir(tablet, replica)).ok();
                let label = label.unwrap_or_else(|| self.nameless(tablet, replica));
                held(label, &OpenVersion::empty(), BTreeMap::new(), 0, Some(error.to_string()))
            }
        }
    }

    fn read_replica(&self, tablet: TabletId, replica: ReplicaId, expected: &Expected) -> Result<Held, DiskError> {
        let dir = replica_dir(tablet, replica);
        let label = read_label(&self.beneath, &dir)?;
        if (label.tablet, label.replica) != (tablet, replica) {
            let cause = format!("it speaks of replica {} of tablet {}", label.replica, label.tablet);
            return Err(DiskError::damaged(format!("{dir}/tablet"), cause));
        }
        if label.cluster != *self.cluster() {
            let cause = format!("it belongs to cluster {}", label.cluster);
            return Err(DiskError::damaged(format!("{dir}/tablet"), cause));
        }
        let head = read_head_version(&self.beneath, &dir)?;
        let bad = read_bad(&self.beneath, &dir)?;
        if bad.is_none() {
            self.tidy_replica(&dir, replica, head.meta.version, expected)?;
        }
        let (mut older, mut kept): (BTreeMap<Version, VersionHash>, Vec<Manifest>) = (BTreeMap::new(), Vec::new());
        for version in listed_versions(&self.beneath, &dir)? {
            if version >= head.meta.version {
                continue;
            }
            match read_version(&self.beneath, &dir, version) {
                Ok(open) => {
                    older.insert(version, open.hash());
                    kept.push(open.manifest);
                }
                Err(DiskError::Damaged { what, cause }) => {
                    tracing::warn!(replica = replica.0, what, cause, "an old version's papers are damaged");
                }
                Err(error) => return Err(error),
            }
        }
        let size = bytes_of(kept.iter().chain([&head.manifest]));
        Ok(held(label, &head, older, size, bad))
    }

    /// Removes what a cut-off install left above the head, and half-written small files.
    fn tidy_replica(&self, dir: &str, replica: ReplicaId, head: Version, expected: &Expected) -> Result<(), DiskError> {
        let leftover = |version: Version| version > head && !expected.contains(&(replica, version));
        for (name, kind) in self.list(dir)? {
            let paper = name.strip_suffix(".meta").or_else(|| name.strip_suffix(".b3"));
            let above = paper.and_then(|v| v.parse().ok()).is_some_and(leftover);
            let temporary = name.starts_with('.') && name.ends_with(".tmp");
            if (above || temporary) && kind == FileType::RegularFile {
                let name = format!("{dir}/{name}");
                self.beneath.remove_file(&name).tried(|| format!("remove `{name}`"))?;
            }
        }
        for (name, _) in self.list(&format!("{dir}/data"))? {
            if name.parse().is_ok_and(leftover) {
                self.removed(&format!("{dir}/data/{name}"))?;
            }
        }
        Ok(())
    }

    fn scan_trash(&self, book: &mut Book, now: Tick) -> Result<(), DiskError> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        for entry in trash_entries(&self.beneath)? {
            let bytes = self.weigh(&format!("trash/{}", entry.name))?;
            self.ledger().set_trash(entry.replica, bytes);
            let age_at_boot = wall.saturating_sub(entry.dropped_ms);
            let trashed = Trashed { tablet: entry.tablet, bytes, dropped: now, age_at_boot, purge: None };
            book.trash.insert(entry.replica, trashed);
        }
        Ok(())
    }

    /// Half a copy as the book tells of it: for whom it was begun is known once its papers are written.
    fn leftover(&self, dir: &str, now: Tick) -> Result<Leftover, DiskError> {
        let replica = match read_label(&self.beneath, &format!("{dir}/replica")) {
            Ok(label) => label.replica,
            Err(DiskError::NotFound { .. } | DiskError::Damaged { .. }) => ReplicaId(0),
            Err(error) => return Err(error),
        };
        Ok(Leftover { task: TaskId(0), replica, since: now, state: LeftoverState::Kept })
    }

    /// Whether half a copy is of no use any more.
    fn is_stale_task(&self, dir: &str) -> Result<bool, DiskError> {
        let (staged, data) = (format!("{dir}/replica"), format!("{dir}/replica/data"));
        let Some(stat) = self.beneath.stat(&staged).tried(|| staged.clone())? else { return Ok(true) };
        let data = self.beneath.stat(&data).tried(|| data.clone())?.map_or(0, |stat| stat.st_mtime);
        let touched = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime.max(data)).unwrap_or(0));
        Ok(SystemTime::now().duration_since(touched).is_ok_and(|age| age > RESUME_FOR))
    }

    /// Bytes of the regular files beneath `dir`.
    fn weigh(&self, dir: &str) -> Result<u64, DiskError> {
        let mut bytes = 0;
        for (name, kind) in self.list(dir)? {
            let full = format!("{dir}/{name}");
            if kind == FileType::Directory {
                bytes += self.weigh(&full)?;
            } else if kind == FileType::RegularFile {
                let stat = self.beneath.stat(&full).tried(|| full.clone())?;
                bytes += stat.map_or(0, |stat| stat.st_size as u64);
            }
        }
        Ok(bytes)
    }

    fn list(&self, dir: &str) -> Result<Vec<(String, FileType)>, DiskError> {
        self.beneath.names(dir).tried(|| format!("list `{dir}`"))
    }

    fn removed(&self, dir: &str) -> Result<(), DiskError> {
        tracing::info!(disk = self.disk().0, dir, "what a crash left is removed");
        self.beneath.remove_tree(dir).tried(|| format!("remove `{dir}`"))
    }

    /// A label for a replica whose own cannot be read: its ids are known from its place.
    fn nameless(&self, tablet: TabletId, replica: ReplicaId) -> TabletLabel {
        TabletLabel {
            cluster: self.cluster().clone(),
            database: String::new(),
            database_id: DatabaseId(0),
            table: String::new(),
            table_id: TableId(0),
            partition: String::new(),
            partition_id: PartitionId(0),
            tablet,
            bucket: 0,
            buckets: 0,
            replication: 0,
            replica,
            epoch: Epoch(0),
            ballot: Ballot(0),
        }
    }
}

fn held(
    label: TabletLabel,
    head: &OpenVersion,
    older: BTreeMap<Version, Digest>,
    size: u64,
    bad: Option<String>,
) -> Held {
    Held {
        label,
        head: head.meta.version,
        hash: head.hash(),
        older,
        size,
        files: head.manifest.entries.len() as u64,
        bad,
        verified: None,
        scrubbed: None,
        confirmed: None,
        pins: BTreeMap::new(),
        wishes: Wishes::default(),
    }
}

fn number(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.parse().ok()
}
