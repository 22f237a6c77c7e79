//! Everything that can happen to a disk, everything that may be done about it, and the only ways its book may change.

use crate::book::{Held, Staged, Trashed};
use serde::{Deserialize, Serialize};
use stele_common::{
    CloneOrder, DiskState, Epoch, Evidence, LoadId, Order, ReplicaId, TabletId, TabletLabel, TaskFailure, TaskId, Tick,
    Version, VersionHash,
};

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub at: Tick,
    pub body: EventBody,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EventBody {
    Order(Order),
    /// A load stream has been made durable here (its `prepared` mark is on the disk).
    LoadStaged {
        load: LoadId,
        tablet: TabletId,
        staged: Staged,
    },
    /// An op ended.
    Done {
        op: Op,
        result: OpResult,
    },
    Progress {
        task: TaskId,
        bytes_done: u64,
        bytes_total: u64,
    },
    /// A read began or ended.
    Pinned {
        replica: ReplicaId,
        version: Version,
    },
    Unpinned {
        replica: ReplicaId,
        version: Version,
    },
    /// Bytes of this replica failed their digest while being read or served.
    FoundDamaged {
        replica: ReplicaId,
        cause: String,
    },
    /// The disk failed, vanished, or is well again.
    DiskTurned {
        state: DiskState,
        cause: Option<String>,
    },
    Tick,
}

/// What may be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Record(Change),
    Do(Op),
    /// An order that was not followed, and why (counted and logged; the state speaks for itself in the next report).
    Explain(Refused),
}

/// Why an order was not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// From a leadership that is over.
    StaleEpoch,
    NoSuchReplica,
    /// The replica named belongs to another tablet.
    OtherTablet,
    DiskNotOnline,
    AlreadyThere,
    /// Another copy of this tablet is being received.
    TabletBusy,
    NoSuchLoad,
    NoSuchTask,
}

/// A piece of work for the disk's threads. Each is safe to repeat, and to be cut off at any line by a crash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Make an empty replica.
    Create {
        label: TabletLabel,
    },
    /// Receive what is missing into `staging/task-<tablet>/` and make it durable; reports progress.
    Fetch {
        order: CloneOrder,
    },
    /// Make the staged copy the replica's head (a new directory, or a newer version of one that is there).
    InstallCopy {
        task: TaskId,
        label: TabletLabel,
        version: Version,
        hash: VersionHash,
    },
    DiscardCopy {
        task: TaskId,
        tablet: TabletId,
        replica: ReplicaId,
    },
    /// Make a staged load the replica's head.
    InstallLoad {
        load: LoadId,
        tablet: TabletId,
        replica: ReplicaId,
        parent: Version,
        version: Version,
        hash: VersionHash,
    },
    DiscardLoad {
        load: LoadId,
        tablet: TabletId,
    },
    Drop {
        tablet: TabletId,
        replica: ReplicaId,
        evidence: Evidence,
    },
    Purge {
        tablet: TabletId,
        replica: ReplicaId,
        evidence: Evidence,
    },
    Confirm {
        tablet: TabletId,
        replica: ReplicaId,
        nonce: u64,
    },
    /// Read every byte of the head past the page cache.
    Verify {
        tablet: TabletId,
        replica: ReplicaId,
        urgent: bool,
    },
    /// Remove versions below `below`, keeping what `keep` names and what kept manifests name.
    Collect {
        tablet: TabletId,
        replica: ReplicaId,
        below: Version,
        keep: Vec<Version>,
    },
}

/// How an op ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OpResult {
    Created,
    Fetched {
        version: Version,
        hash: VersionHash,
        bytes_copied: u64,
        bytes_reused: u64,
    },
    /// The head is now this. `content_checked`: every byte of it was held against its digest on the way.
    Installed {
        version: Version,
        hash: VersionHash,
        size: u64,
        files: u64,
        content_checked: bool,
    },
    Discarded,
    Dropped {
        bytes: u64,
    },
    Purged,
    Confirmed {
        version: Version,
        hash: VersionHash,
    },
    Verified {
        version: Version,
    },
    Damaged {
        cause: String,
    },
    Collected {
        older: Vec<(Version, VersionHash)>,
        size: u64,
    },
    Failed(OpFailure),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OpFailure {
    /// What it was about is not on the disk.
    NotFound,
    /// The disk could not read or make durable: it becomes SUSPECT.
    Disk {
        detail: String,
    },
    Full,
    /// What was staged cannot become the committed version.
    Mismatch {
        detail: String,
    },
    Copy(TaskFailure),
}

/// The only ways a book may change. Applying cannot fail; a change about something unknown does nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    EpochSeen {
        epoch: Epoch,
    },
    DiskTurned {
        state: DiskState,
        cause: Option<String>,
    },
    ReplicaFound {
        replica: ReplicaId,
        held: Held,
    },
    ReplicaGone {
        replica: ReplicaId,
    },
    Headed {
        replica: ReplicaId,
        version: Version,
        hash: VersionHash,
        size: u64,
        files: u64,
        verified: Option<Tick>,
    },
    Bad {
        replica: ReplicaId,
        cause: String,
    },
    Verified {
        replica: ReplicaId,
        version: Version,
        at: Tick,
        past_cache: bool,
    },
    Confirmed {
        replica: ReplicaId,
        nonce: u64,
        version: Version,
        hash: VersionHash,
    },
    Collected {
        replica: ReplicaId,
        older: Vec<(Version, VersionHash)>,
        size: u64,
    },
    WishDrop {
        replica: ReplicaId,
        evidence: Evidence,
    },
    WishConfirm {
        replica: ReplicaId,
        nonce: u64,
    },
    WishVerify {
        replica: ReplicaId,
    },
    WishCollect {
        replica: ReplicaId,
        below: Version,
    },
    Pinned {
        replica: ReplicaId,
        version: Version,
    },
    Unpinned {
        replica: ReplicaId,
        version: Version,
    },
    LoadStaged {
        load: LoadId,
        tablet: TabletId,
        staged: Staged,
    },
    LoadCommitted {
        load: LoadId,
        tablet: TabletId,
    },
    LoadAborted {
        load: LoadId,
    },
    LoadFailed {
        load: LoadId,
        tablet: TabletId,
        cause: String,
    },
    LoadGone {
        load: LoadId,
        tablet: TabletId,
    },
    CopyQueued {
        order: CloneOrder,
    },
    CopyFetching {
        task: TaskId,
    },
    CopyProgress {
        task: TaskId,
        bytes_done: u64,
        bytes_total: u64,
    },
    CopyFetched {
        task: TaskId,
        version: Version,
        hash: VersionHash,
        bytes_copied: u64,
        bytes_reused: u64,
    },
    CopyInstalling {
        task: TaskId,
    },
    CopyCancelled {
        task: TaskId,
    },
    CopyDone {
        task: TaskId,
    },
    CopyFailed {
        task: TaskId,
        cause: TaskFailure,
    },
    Trashed {
        replica: ReplicaId,
        trashed: Trashed,
    },
    WishPurge {
        replica: ReplicaId,
        evidence: Evidence,
    },
    TrashGone {
        replica: ReplicaId,
    },
    /// An op was handed out, or came back.
    Began {
        op: Op,
    },
    Ended {
        op: Op,
    },
}
