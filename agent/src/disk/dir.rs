//! One data directory that has been opened: its handle, its identity, its space, and reading from it.
//!
//! Shared by the disk's threads and the peer port (`Arc<DiskDir>`). It decides nothing: which op comes when is the
//! Disk actor's. While it lives, it holds the directory's lock, so that no second process works on it.

use super::beneath::Beneath;
use super::cache::{CACHE_BYTES, Key, ManifestCache, Stamp};
use super::error::{DiskError, Tried};
use super::identity::{self, IDENTITY, Identity};
use super::ledger::Ledger;
use super::papers::{OpenVersion, of_head, read_bad, read_head, read_version, replica_dir};
use rustix::fs::FlockOperation;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use stele_common::handshake::StoreMark;
use stele_common::{ClusterId, DiskId, Epoch, LoadId, Medium, ReplicaId, Space, TabletId, Version};

/// An opened data directory.
pub struct DiskDir {
    pub(crate) beneath: Arc<Beneath>,
    path: PathBuf,
    disk: DiskId,
    cluster: ClusterId,
    medium: Medium,
    device: u64,
    inode: u64,
    capacity_bytes: Option<u64>,
    identity: Mutex<Identity>,
    ledger: Mutex<Ledger>,
    manifests: Mutex<ManifestCache>,
    /// Load streams that are being received.
    streams: Mutex<BTreeSet<(LoadId, TabletId)>>,
    /// Ops share it, a scan has it alone: a scan must not tidy away what an op has half moved.
    pub(crate) at_work: RwLock<()>,
    /// Bytes a second that a verification which is not urgent reads at most; 0 = no limit.
    pub(crate) pace: AtomicU64,
}

/// A lock whose holder cannot leave nonsense behind: every critical section here is a few assignments.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DiskDir {
    /// Opens the disk `disk` of `cluster`; a directory with any other identity is refused untouched.
    pub fn open(
        path: &Path,
        cluster: &ClusterId,
        disk: DiskId,
        capacity_bytes: Option<u64>,
    ) -> Result<DiskDir, DiskError> {
        let unusable = |cause: String| DiskError::Unusable { cause };
        let beneath = Beneath::open(path).tried(|| format!("open `{}`", path.display()))?;
        let identity =
            identity::read(&beneath)?.ok_or_else(|| unusable(format!("`{}` has no {IDENTITY}", path.display())))?;
        if identity.cluster != *cluster {
            let other = &identity.cluster;
            return Err(unusable(format!("`{}` belongs to cluster {other}, not to {cluster}", path.display())));
        }
        if identity.disk != disk {
            return Err(unusable(format!("`{}` is disk {}, not disk {disk}", path.display(), identity.disk)));
        }
        match rustix::fs::flock(beneath.root(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN) => {
                return Err(unusable(format!("`{}` is in use by another process", path.display())));
            }
            Err(error) => return Err(DiskError::of(format!("lock `{}`", path.display()), error.into())),
        }
        for dir in identity::DIRS {
            // Missing is not empty: a disk that lost one of these lost what was in it.
            if !beneath.exists(dir).tried(|| dir.to_string())? {
                return Err(unusable(format!("`{}` has no `{dir}` directory any more", path.display())));
            }
        }
        let stat = rustix::fs::fstat(beneath.root()).tried(|| format!("stat `{}`", path.display()))?;
        Ok(DiskDir {
            beneath: Arc::new(beneath),
            path: path.to_path_buf(),
            disk,
            cluster: cluster.clone(),
            medium: identity.medium,
            device: stat.st_dev,
            inode: stat.st_ino,
            capacity_bytes,
            identity: Mutex::new(identity),
            ledger: Mutex::default(),
            manifests: Mutex::default(),
            streams: Mutex::default(),
            at_work: RwLock::default(),
            pace: AtomicU64::new(0),
        })
    }

    pub fn disk(&self) -> DiskId {
        self.disk
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// The medium that was recorded at format.
    pub fn medium(&self) -> Medium {
        self.medium
    }

    /// The highest epoch that is durable here.
    pub fn epoch(&self) -> Epoch {
        lock(&self.identity).epoch
    }

    /// Whether the directory still lies at its path, on its device, with its identity. Cheap; asked every second.
    pub fn probe(&self) -> Result<(), DiskError> {
        let unusable = |cause: String| DiskError::Unusable { cause };
        let shown = self.path.display();
        let stat = match rustix::fs::stat(&self.path) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => return Err(unusable(format!("`{shown}` is gone"))),
            Err(error) => return Err(DiskError::of(format!("stat `{shown}`"), error.into())),
        };
        if stat.st_dev != self.device {
            return Err(unusable(format!("`{shown}` is on another device: the disk was unmounted or changed")));
        }
        if stat.st_ino != self.inode {
            return Err(unusable(format!("`{shown}` is another directory than the one that was opened")));
        }
        match identity::read(&self.beneath)? {
            Some(found) if found.disk == self.disk && found.cluster == self.cluster => Ok(()),
            Some(found) => Err(unusable(format!("`{shown}` calls itself disk {} now", found.disk))),
            None => Err(unusable(format!("`{shown}` has lost its {IDENTITY}"))),
        }
    }

    /// Sets how fast a verification that is not urgent reads, bytes a second; 0 = no limit.
    pub fn set_pace(&self, bytes_per_s: u64) {
        self.pace.store(bytes_per_s, Ordering::Relaxed);
    }

    /// Whether syncs are still believed; an error after the first that failed, for good.
    pub fn fit(&self) -> Result<(), DiskError> {
        self.beneath.fit()
    }

    /// Bytes of our own files, as of now.
    pub fn used(&self) -> u64 {
        lock(&self.ledger).used()
    }

    /// Space as Stele counts it, and the file system's device number.
    pub fn space(&self) -> Result<(Space, u64), DiskError> {
        let found = rustix::fs::fstatvfs(self.beneath.root()).tried(|| format!("statvfs `{}`", self.path.display()))?;
        let used = self.used();
        let raw_free = found.f_bavail.saturating_mul(found.f_frsize);
        let total = used.saturating_add(raw_free).min(self.capacity_bytes.unwrap_or(u64::MAX));
        let raw_total = found.f_blocks.saturating_mul(found.f_frsize);
        Ok((Space { total, used, raw_total, raw_free }, self.device))
    }

    /// Makes a higher epoch durable; a lower or equal one changes nothing.
    pub fn save_epoch(&self, epoch: Epoch) -> Result<(), DiskError> {
        let mut identity = lock(&self.identity);
        if epoch <= identity.epoch {
            return Ok(());
        }
        let next = Identity { epoch, ..identity.clone() };
        identity::write(&self.beneath, &next)?;
        *identity = next;
        Ok(())
    }

    /// Makes a later mark of the coordinator's store durable.
    pub fn save_store_mark(&self, store: StoreMark) -> Result<(), DiskError> {
        let mut identity = lock(&self.identity);
        if store <= identity.store {
            return Ok(());
        }
        let next = Identity { store, ..identity.clone() };
        identity::write(&self.beneath, &next)?;
        *identity = next;
        Ok(())
    }

    /// The papers of a replica's head (`None`) or of a kept version, from memory where they were read before.
    pub fn manifest(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        version: Option<Version>,
    ) -> Result<Arc<OpenVersion>, DiskError> {
        let dir = replica_dir(tablet, replica);
        let (head, hash) = read_head(&self.beneath, &dir)?;
        match version {
            Some(version) if version > head => {
                Err(DiskError::NotFound { what: format!("version {version} of replica {replica}") })
            }
            Some(version) if version < head => self.kept(&dir, (tablet, replica, version)),
            Some(_) | None => of_head(&dir, (head, hash), self.kept(&dir, (tablet, replica, head))),
        }
    }

    /// The papers of one version, read anew only if their files are not those that were read before.
    fn kept(&self, dir: &str, key: Key) -> Result<Arc<OpenVersion>, DiskError> {
        let version = key.2;
        let stat = |name: String| self.beneath.stat(&name).tried(|| name);
        let stamp = match (stat(format!("{dir}/{version}.meta"))?, stat(format!("{dir}/{version}.b3"))?) {
            (Some(meta), Some(b3)) => Some(Stamp::of(&meta, &b3)),
            (None, _) | (_, None) => None,
        };
        if let Some(open) = stamp.as_ref().and_then(|stamp| lock(&self.manifests).get(&key, stamp)) {
            return Ok(open);
        }
        let open = Arc::new(read_version(&self.beneath, dir, version)?);
        if let Some(stamp) = stamp {
            lock(&self.manifests).put(key, stamp, &open, CACHE_BYTES);
        }
        Ok(open)
    }

    /// Quarantines a replica durably: the mark outlives a restart and goes when a good copy is installed.
    pub fn mark_bad(&self, tablet: TabletId, replica: ReplicaId, cause: &str) -> Result<(), DiskError> {
        let dir = replica_dir(tablet, replica);
        if !self.beneath.exists(&dir).tried(|| dir.clone())? {
            return Err(DiskError::NotFound { what: dir });
        }
        let line: String = cause.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        tracing::warn!(tablet = tablet.0, replica = replica.0, disk = self.disk.0, reason = %line, "replica is bad");
        self.beneath.write_text(&format!("{dir}/bad"), &format!("{line}\n"))
    }

    /// Marks a replica as bad if that is still possible; its owner is told in any case, so that a failing disk cannot
    /// hide damage.
    pub(crate) fn quarantine(&self, tablet: TabletId, replica: ReplicaId, cause: &str) {
        if let Err(error) = self.mark_bad(tablet, replica, cause) {
            tracing::error!(tablet = tablet.0, replica = replica.0, reason = %error, "cannot mark a bad replica");
        }
    }

    /// Why a replica is quarantined, `None` when it is not.
    pub fn bad(&self, tablet: TabletId, replica: ReplicaId) -> Result<Option<String>, DiskError> {
        read_bad(&self.beneath, &replica_dir(tablet, replica))
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn streams(&self) -> MutexGuard<'_, BTreeSet<(LoadId, TabletId)>> {
        lock(&self.streams)
    }

    /// Whether `bytes` more stay within the configured capacity.
    pub(crate) fn has_room(&self, bytes: u64) -> Result<(), DiskError> {
        match self.capacity_bytes {
            Some(capacity) if self.ledger().used().saturating_add(bytes) > capacity => {
                Err(DiskError::Full { what: format!("{bytes} bytes within the capacity of {capacity}") })
            }
            _ => Ok(()),
        }
    }

    /// Refuses to write where nothing can be made durable or the directory is not ours any more.
    pub(crate) fn may_write(&self) -> Result<(), DiskError> {
        self.beneath.fit()?;
        self.probe()
    }
}
