//! What one disk holds, as its Disk actor (the only owner) knows it. Rebuilt by a scan at start, kept by changes.
//!
//! Wishes (a commit, a drop, a verification) are written into the book when an order comes and stay until they are
//! carried out, so an order that comes twice, or while the replica is busy, needs no queue of its own.

use crate::Op;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{
    Ballot, CloneOrder, DiskId, DiskState, Epoch, Evidence, LoadId, ReplicaId, TabletId, TabletLabel, TaskId,
    TaskProgress, Tick, Version, VersionHash,
};

/// One disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Book {
    pub disk: DiskId,
    /// The highest epoch this disk has seen; lower ones are refused.
    pub epoch: Epoch,
    pub state: DiskState,
    pub cause: Option<String>,
    /// It failed once in this boot: it may vanish and come back, but it stays SUSPECT until a restart judges it anew.
    pub suspected: Option<String>,
    pub replicas: BTreeMap<ReplicaId, Held>,
    /// Loads that are durable here and not installed.
    pub staged: BTreeMap<(LoadId, TabletId), Staged>,
    /// Committed loads whose install found no room, and when each is tried again.
    pub postponed: BTreeMap<(LoadId, TabletId), Tick>,
    /// Copies being received; at most one a tablet that is not cancelled.
    pub copies: BTreeMap<TaskId, Copying>,
    /// What an ended copy left in `staging/task-<tablet>/`: kept a while, because the next try resumes from it.
    /// A scan at start enters each such directory here (task and replica 0 when it cannot tell).
    pub leftovers: BTreeMap<TabletId, Leftover>,
    /// How copies ended, the latest [`crate::book::ENDED_MAX`], so that a full report can tell it again.
    pub ended: BTreeMap<TaskId, Ended>,
    pub trash: BTreeMap<ReplicaId, Trashed>,
    /// Ops handed to the disk's threads and not finished, by the replica that they occupy; one at a time.
    /// (A fetch occupies none, and removals of staged things have [`Book::discarding`] and [`Book::leftovers`].)
    pub busy: BTreeMap<ReplicaId, Op>,
    /// Replicas that a Verify reads. It may take minutes, so it is a reader like any other and does not hold up loads;
    /// it only keeps away what removes or replaces files (drop, collect, install of a copy).
    pub reading: BTreeSet<ReplicaId>,
    /// Staged loads being removed.
    pub discarding: BTreeSet<(LoadId, TabletId)>,
}

/// How long what a failed copy left is kept for the next try, milliseconds. The coordinator repeats a failed repair
/// after five minutes at most; half an hour outlives several tries, and more only costs space.
pub const RESUME_MS: u64 = 30 * 60_000;

/// A load whose install found the disk full is tried again after so long, milliseconds: room comes from a purge or a person,
/// both of which take longer. Each try costs a report, so less would only make noise.
pub const FULL_PAUSE_MS: u64 = 30_000;

/// Ended copies remembered; a coordinator asks for a full report within seconds, so a screenful is plenty.
pub const ENDED_MAX: usize = 256;

/// One replica on the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub label: TabletLabel,
    /// The installed version and its hash.
    pub head: Version,
    pub hash: VersionHash,
    /// Kept versions below the head, with their hashes.
    pub older: BTreeMap<Version, VersionHash>,
    /// Bytes on disk, all kept versions.
    pub size: u64,
    /// Files of the head.
    pub files: u64,
    pub bad: Option<String>,
    /// When all bytes of the head were last held against their digests.
    pub verified: Option<Tick>,
    /// When the bytes were last read past the page cache (scrub); a fresh copy has none and is read first.
    pub scrubbed: Option<Tick>,
    /// The latest answer to a Confirm.
    pub confirmed: Option<Confirmed>,
    /// Readers per version; a pinned version is not collected.
    pub pins: BTreeMap<Version, u32>,
    pub wishes: Wishes,
}

/// What was ordered for a replica and has not been done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wishes {
    pub drop: Option<Evidence>,
    /// Nonce of the confirmation asked for.
    pub confirm: Option<u64>,
    /// Ordered: as soon as possible.
    pub verify: bool,
    /// Its turn in the background reading.
    pub scrub: bool,
    pub collect_below: Option<Version>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    pub nonce: u64,
    pub version: Version,
    pub hash: VersionHash,
}

/// A load that is durable in `staging/load-<id>/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Staged {
    pub replica: ReplicaId,
    pub ballot: Ballot,
    pub parent: Version,
    pub version: Version,
    pub hash: VersionHash,
    pub bytes: u64,
    /// The coordinator's word: install as soon as the parent is the head.
    pub committed: bool,
    /// The coordinator's word: it will never be committed.
    pub aborted: bool,
    /// Why it cannot become its version (its manifest would not have the committed hash).
    pub failed: Option<String>,
}

/// A copy being received into `staging/task-<tablet>/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Copying {
    pub order: CloneOrder,
    pub phase: CopyPhase,
    pub bytes_done: u64,
    pub bytes_total: u64,
    /// It was begun for a bad replica: what it reuses of it is checked, so that it can mend it.
    pub mend: bool,
    pub cancelled: bool,
}

/// ```text
/// QUEUED ──a thread is free──▶ FETCHING ──all digests hold, durable──▶ FETCHED ──replica idle──▶ installing (busy) ──▶ ended
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CopyPhase {
    Queued,
    Fetching,
    /// Everything is staged and durable.
    Fetched {
        version: Version,
        hash: VersionHash,
        bytes_copied: u64,
        bytes_reused: u64,
    },
    Installing {
        bytes_copied: u64,
        bytes_reused: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub progress: TaskProgress,
}

/// What an ended copy left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leftover {
    pub task: TaskId,
    pub replica: ReplicaId,
    /// When the copy ended, or when a scan found it.
    pub since: Tick,
    pub state: LeftoverState,
}

/// ```text
/// KEPT ──a new copy of the tablet──▶ (taken over)
///   └──too old, or not wanted──▶ DUE ──disk ONLINE──▶ REMOVING ──▶ (gone)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeftoverState {
    Kept,
    Due,
    Removing,
}

/// A replica in `trash/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trashed {
    pub tablet: TabletId,
    pub bytes: u64,
    pub dropped: Tick,
    /// Its age when this boot found it, milliseconds (0 when dropped in this boot).
    pub age_at_boot: u64,
    pub purge: Option<Evidence>,
}

impl Book {
    /// A disk without anything on it.
    pub fn new(disk: DiskId) -> Book {
        Book {
            disk,
            epoch: Epoch(0),
            state: DiskState::Online,
            cause: None,
            suspected: None,
            replicas: BTreeMap::new(),
            staged: BTreeMap::new(),
            postponed: BTreeMap::new(),
            copies: BTreeMap::new(),
            leftovers: BTreeMap::new(),
            ended: BTreeMap::new(),
            trash: BTreeMap::new(),
            busy: BTreeMap::new(),
            reading: BTreeSet::new(),
            discarding: BTreeSet::new(),
        }
    }
}

impl Held {
    /// A replica at this version about which nothing else is known.
    pub fn new(label: TabletLabel, head: Version, hash: VersionHash, size: u64, files: u64) -> Held {
        Held {
            label,
            head,
            hash,
            older: BTreeMap::new(),
            size,
            files,
            bad: None,
            verified: None,
            scrubbed: None,
            confirmed: None,
            pins: BTreeMap::new(),
            wishes: Wishes::default(),
        }
    }

    /// The hash of a version that is held here, the head included.
    pub fn hash_of(&self, version: Version) -> Option<VersionHash> {
        if version == self.head { Some(self.hash) } else { self.older.get(&version).copied() }
    }

    /// The oldest version that is kept.
    pub fn oldest(&self) -> Version {
        self.older.keys().next().copied().unwrap_or(self.head)
    }
}

impl Copying {
    /// A copy that was ordered and has not begun.
    pub fn new(order: CloneOrder) -> Copying {
        Copying { order, phase: CopyPhase::Queued, bytes_done: 0, bytes_total: 0, mend: false, cancelled: false }
    }

    /// Bytes copied and reused, as far as it got.
    pub fn bytes(&self) -> (u64, u64) {
        match self.phase {
            CopyPhase::Queued | CopyPhase::Fetching => (0, 0),
            CopyPhase::Fetched { bytes_copied, bytes_reused, .. }
            | CopyPhase::Installing { bytes_copied, bytes_reused } => (bytes_copied, bytes_reused),
        }
    }

    /// Whether it holds `staging/task-<tablet>/`.
    pub fn has_begun(&self) -> bool {
        match self.phase {
            CopyPhase::Queued => false,
            CopyPhase::Fetching | CopyPhase::Fetched { .. } | CopyPhase::Installing { .. } => true,
        }
    }
}
