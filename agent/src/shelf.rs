//! The shelf: which open disk holds which replica, and what the disk's actor last said of it. A cheap read-only view
//! for the front (HTTP, peer port, link); the Disk actors own the truth and are the only writers.
//!
//! ```text
//! Disk actor ──put/remove/fact──▶ Shelf ◀──look── http, peer port, load streams, link
//!      ▲                                              │
//!      └───────────── Happened (pins, staged loads) ──┘
//! ```
//!
//! A view may be some microseconds old: whoever acts on it is checked again by the disk's own law book.

use crate::actors::messages::{Fence, Happened};
use crate::disk::DiskDir;
use actix::Recipient;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use stele_agent_rules::event::EventBody;
use stele_common::{Ballot, DiskFact, DiskId, DiskState, Epoch, ReplicaId, TabletId, Version, VersionHash};

/// What the front may know of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub disk: DiskId,
    pub tablet: TabletId,
    pub head: Version,
    pub hash: VersionHash,
    pub bad: Option<String>,
    /// The ballot at its creation: none below it can be right.
    pub ballot: Ballot,
    /// Its first copy is on the way: it can be given loads, it cannot be read.
    pub coming: bool,
}

/// One open disk as others see it.
pub struct OpenDisk {
    pub disk: DiskId,
    pub path: PathBuf,
    /// `None` while the disk is unavailable: a handle would keep it mounted.
    dir: RwLock<Option<Arc<DiskDir>>>,
    fact: RwLock<DiskFact>,
    events: Recipient<Happened>,
    fence: Recipient<Fence>,
    /// The highest epoch that the disk has seen.
    epoch: AtomicU64,
    /// Copies being received now, for `GET /v1/disks`.
    pub copies: AtomicUsize,
    pub trash_bytes: AtomicU64,
}

impl OpenDisk {
    /// An open disk and the mailbox of its actor.
    pub fn new(fact: DiskFact, dir: Arc<DiskDir>, events: Recipient<Happened>, fence: Recipient<Fence>) -> OpenDisk {
        OpenDisk {
            disk: fact.disk,
            path: fact.path.clone().into(),
            dir: RwLock::new(Some(dir)),
            fact: RwLock::new(fact),
            events,
            fence,
            epoch: AtomicU64::new(0),
            copies: AtomicUsize::new(0),
            trash_bytes: AtomicU64::new(0),
        }
    }

    /// The directory, for work that may block; `None` while it is closed.
    pub fn dir(&self) -> Option<Arc<DiskDir>> {
        read(&self.dir).clone()
    }

    /// The directory was closed, or came back and was opened anew.
    pub fn set_dir(&self, dir: Option<Arc<DiskDir>>) {
        *write(&self.dir) = dir;
    }

    /// What was last said of the disk itself.
    pub fn fact(&self) -> DiskFact {
        read(&self.fact).clone()
    }

    /// The disk's actor says what the disk is now.
    pub fn set_fact(&self, fact: DiskFact) {
        *write(&self.fact) = fact;
    }

    /// Whether new things may be written here.
    pub fn online(&self) -> bool {
        read(&self.fact).state == DiskState::Online
    }

    /// The highest epoch that the disk has seen.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Relaxed))
    }

    /// The disk's actor has seen this epoch.
    pub fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Relaxed);
    }

    /// Tells the disk's actor what happened. Bounded by the number of connections and jobs, each of which has at most
    /// one such word outstanding.
    pub fn tell(&self, body: EventBody) {
        self.events.do_send(Happened(body));
    }

    /// The same for orders, waiting for room in the actor's mailbox.
    pub async fn hand(&self, order: Happened) -> Result<(), actix::MailboxError> {
        self.events.send(order).await
    }

    /// Shuts the disk off (the coordinator refused it), or lets it work again.
    pub fn fence(&self, cause: Option<String>) {
        self.fence.do_send(Fence(cause));
    }
}

/// A reader's claim on a version: told to the disk's actor when made and when dropped, so that the version is not
/// collected in between.
pub struct Pin {
    disk: Arc<OpenDisk>,
    replica: ReplicaId,
    version: Version,
}

impl Pin {
    /// Claims `version` of `replica`.
    pub fn new(disk: Arc<OpenDisk>, replica: ReplicaId, version: Version) -> Pin {
        disk.tell(EventBody::Pinned { replica, version });
        Pin { disk, replica, version }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.disk.tell(EventBody::Unpinned { replica: self.replica, version: self.version });
    }
}

/// All open disks of this agent and the replicas on them.
#[derive(Default)]
pub struct Shelf {
    disks: RwLock<BTreeMap<DiskId, Arc<OpenDisk>>>,
    replicas: RwLock<BTreeMap<ReplicaId, View>>,
    /// Which disk's trash a dropped replica lies in: it may still give files to a copy.
    trash: RwLock<BTreeMap<ReplicaId, DiskId>>,
}

impl Shelf {
    /// A disk was opened.
    pub fn add(&self, disk: Arc<OpenDisk>) {
        write(&self.disks).insert(disk.disk, disk);
    }

    /// The disk of that id.
    pub fn disk(&self, disk: DiskId) -> Option<Arc<OpenDisk>> {
        read(&self.disks).get(&disk).cloned()
    }

    /// All open disks, by id.
    pub fn disks(&self) -> Vec<Arc<OpenDisk>> {
        read(&self.disks).values().cloned().collect()
    }

    /// The replica and its disk.
    pub fn find(&self, replica: ReplicaId) -> Option<(View, Arc<OpenDisk>)> {
        let view = read(&self.replicas).get(&replica).cloned()?;
        let disk = self.disk(view.disk)?;
        Some((view, disk))
    }

    /// A disk's actor says what a replica is now; `None` = not there (any more).
    pub fn put(&self, disk: DiskId, replica: ReplicaId, view: Option<View>) {
        let mut replicas = write(&self.replicas);
        match view {
            Some(view) => {
                replicas.insert(replica, view);
            }
            None => {
                // A replica that moved to another disk of this agent belongs to that one now.
                if replicas.get(&replica).is_some_and(|held| held.disk == disk) {
                    replicas.remove(&replica);
                }
            }
        }
    }

    /// A disk's actor says whether a replica lies in its trash.
    pub fn put_trash(&self, disk: DiskId, replica: ReplicaId, there: bool) {
        let mut trash = write(&self.trash);
        if there {
            trash.insert(replica, disk);
        } else if trash.get(&replica) == Some(&disk) {
            trash.remove(&replica);
        }
    }

    /// A disk's actor says what all its replicas are now, and which are in its trash.
    pub fn put_all(
        &self,
        disk: DiskId,
        views: impl Iterator<Item = (ReplicaId, View)>,
        trashed: impl Iterator<Item = ReplicaId>,
    ) {
        let mut replicas = write(&self.replicas);
        replicas.retain(|_, view| view.disk != disk);
        replicas.extend(views);
        let mut trash = write(&self.trash);
        trash.retain(|_, lies_on| *lies_on != disk);
        trash.extend(trashed.map(|replica| (replica, disk)));
    }

    /// The disk in whose trash the replica lies.
    pub fn find_trashed(&self, replica: ReplicaId) -> Option<Arc<OpenDisk>> {
        let disk = read(&self.trash).get(&replica).copied()?;
        self.disk(disk)
    }

    /// Replicas on that disk.
    pub fn count(&self, disk: DiskId) -> u64 {
        read(&self.replicas).values().filter(|view| view.disk == disk).count() as u64
    }
}

// A writer that panicked ends the process (see `telemetry`), so a poisoned lock still guards whole values.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
