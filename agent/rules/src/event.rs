//! Everything that can happen to a disk, everything that may be done about it, and the only ways its book may change.

use crate::book::{Held, Leftover, Staged, Trashed};
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
    /// The background reading has reached this replica ([`crate::scrub_plan`] chose it): a Verify follows when it is idle.
    Scrub {
        replica: ReplicaId,
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
    /// Not on this disk, or dropped: an incarnation does not come back.
    NoSuchReplica,
    /// The replica named belongs to another tablet.
    OtherTablet,
    DiskNotOnline,
    /// Meant for another disk.
    OtherDisk,
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
        /// The replica that is there is bad: whatever of it is reused is read and held against its digest first.
        mend: bool,
    },
    /// Make the staged copy the replica's head (a new directory, a newer version of one that is there, or the same
    /// version of a bad one, then perhaps with another hash).
    InstallCopy {
        task: TaskId,
        label: TabletLabel,
        version: Version,
        hash: VersionHash,
        /// As in [`Op::Fetch`]; the result says `content_checked` only if that was done.
        mend: bool,
    },
    /// Remove `staging/task-<tablet>/`.
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
    /// Read every byte of the head past the page cache. Loads may be installed while it runs.
    Verify {
        tablet: TabletId,
        replica: ReplicaId,
        urgent: bool,
    },
    /// Remove versions below `below` (at most the head), keeping what `keep` names and what kept manifests name.
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
    /// The head is now this. `content_checked`: every byte of it was held against its digest on the way; of a load only
    /// its own files are, so it is true only where the parent is empty. `size`: all kept versions.
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
    Replica {
        replica: ReplicaId,
        step: ReplicaStep,
    },
    Load {
        load: LoadId,
        tablet: TabletId,
        step: LoadStep,
    },
    Copy {
        task: TaskId,
        step: CopyStep,
    },
    Leftover {
        tablet: TabletId,
        step: LeftoverStep,
    },
    Trash {
        replica: ReplicaId,
        step: TrashStep,
    },
    /// An op was handed out, or came back.
    Began {
        op: Op,
    },
    Ended {
        op: Op,
    },
}

/// What may become of a replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReplicaStep {
    Found(Box<Held>),
    Gone,
    Headed {
        version: Version,
        hash: VersionHash,
        size: u64,
        files: u64,
        verified: Option<Tick>,
    },
    /// Every byte of its head was checked on the way: nothing is known against it any more, and it is scrubbed first.
    Fresh,
    Bad {
        cause: String,
    },
    Verified {
        version: Version,
        at: Tick,
    },
    Confirmed {
        nonce: u64,
        version: Version,
        hash: VersionHash,
    },
    Collected {
        older: Vec<(Version, VersionHash)>,
        size: u64,
    },
    WishDrop {
        evidence: Evidence,
    },
    WishConfirm {
        nonce: u64,
    },
    WishVerify,
    WishScrub,
    WishCollect {
        below: Version,
    },
    Pinned {
        version: Version,
    },
    Unpinned {
        version: Version,
    },
}

/// What may become of a staged load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LoadStep {
    Staged(Staged),
    Committed,
    Aborted,
    Failed {
        cause: String,
    },
    /// Failed for now: it is tried again when the time has come.
    Postponed {
        cause: String,
        until: Tick,
    },
    Gone,
}

/// What may become of a copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CopyStep {
    Queued { order: Box<CloneOrder> },
    Progress { bytes_done: u64, bytes_total: u64 },
    Fetched { version: Version, hash: VersionHash, bytes_copied: u64, bytes_reused: u64 },
    Cancelled,
    Done,
    Failed { cause: TaskFailure },
}

/// What may become of what a copy left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LeftoverStep {
    Kept(Leftover),
    Due,
    Gone,
}

/// What may become of a dropped replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TrashStep {
    Dropped(Trashed),
    WishPurge { evidence: Evidence },
    Gone,
}

impl Change {
    pub(crate) fn replica(replica: ReplicaId, step: ReplicaStep) -> Action {
        Action::Record(Change::Replica { replica, step })
    }

    pub(crate) fn load((load, tablet): (LoadId, TabletId), step: LoadStep) -> Action {
        Action::Record(Change::Load { load, tablet, step })
    }

    pub(crate) fn copy(task: TaskId, step: CopyStep) -> Action {
        Action::Record(Change::Copy { task, step })
    }

    pub(crate) fn leftover(tablet: TabletId, step: LeftoverStep) -> Action {
        Action::Record(Change::Leftover { tablet, step })
    }

    pub(crate) fn trash(replica: ReplicaId, step: TrashStep) -> Action {
        Action::Record(Change::Trash { replica, step })
    }
}

impl Op {
    /// The tablet that it is about.
    pub fn tablet(&self) -> TabletId {
        match self {
            Op::Create { label } | Op::InstallCopy { label, .. } => label.tablet,
            Op::Fetch { order, .. } => order.label.tablet,
            Op::DiscardCopy { tablet, .. }
            | Op::InstallLoad { tablet, .. }
            | Op::DiscardLoad { tablet, .. }
            | Op::Drop { tablet, .. }
            | Op::Purge { tablet, .. }
            | Op::Confirm { tablet, .. }
            | Op::Verify { tablet, .. }
            | Op::Collect { tablet, .. } => *tablet,
        }
    }

    /// The replica that it is about; none for a staged load that is removed.
    pub fn replica(&self) -> Option<ReplicaId> {
        match self {
            Op::Create { label } | Op::InstallCopy { label, .. } => Some(label.replica),
            Op::Fetch { order, .. } => Some(order.label.replica),
            Op::DiscardLoad { .. } => None,
            Op::DiscardCopy { replica, .. }
            | Op::InstallLoad { replica, .. }
            | Op::Drop { replica, .. }
            | Op::Purge { replica, .. }
            | Op::Confirm { replica, .. }
            | Op::Verify { replica, .. }
            | Op::Collect { replica, .. } => Some(*replica),
        }
    }
}

impl OpResult {
    /// What to make of a result that is not the one hoped for.
    pub(crate) fn failure(&self) -> OpFailure {
        match self {
            OpResult::Failed(failure) => failure.clone(),
            OpResult::Damaged { cause } => OpFailure::Mismatch { detail: cause.clone() },
            OpResult::Created
            | OpResult::Fetched { .. }
            | OpResult::Installed { .. }
            | OpResult::Discarded
            | OpResult::Dropped { .. }
            | OpResult::Purged
            | OpResult::Confirmed { .. }
            | OpResult::Verified { .. }
            | OpResult::Collected { .. } => OpFailure::Mismatch { detail: "the answer of another op came".to_string() },
        }
    }
}

impl Refused {
    /// Stable name, as in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Refused::StaleEpoch => "stale_epoch",
            Refused::NoSuchReplica => "no_such_replica",
            Refused::OtherTablet => "other_tablet",
            Refused::DiskNotOnline => "disk_not_online",
            Refused::OtherDisk => "other_disk",
            Refused::AlreadyThere => "already_there",
            Refused::TabletBusy => "tablet_busy",
            Refused::NoSuchLoad => "no_such_load",
            Refused::NoSuchTask => "no_such_task",
        }
    }
}
