//! What an agent tells the coordinator: facts, numbered so that an old one can never undo a newer one.
//!
//! ```text
//! connect ──▶ full report in pages (absence is judged at the last) ──▶ deltas ──▶ ...
//!             each page and delta: (boot, seq), seq rises by one; a gap makes the coordinator ask for a full one
//! ```
//!
//! An agent's report is the only thing that makes a replica count as healthy.

use crate::{
    Ballot, BootId, Digest, DiskFact, DiskId, LoadId, NodeId, ReplicaId, TabletId, TaskId, Version, VersionHash,
};
use serde::{Deserialize, Serialize};

/// Numbered facts of one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub boot: BootId,
    /// Rises by one with each report of this boot.
    pub seq: u64,
    pub kind: ReportKind,
    pub facts: Vec<Fact>,
}

/// Whether a report is the whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// First page of a full report; all pages together name everything that the agent has.
    FullFirst,
    FullMore,
    /// Last page: what none of the pages named is absent. A single-page full report is `FullOnly`.
    FullLast,
    FullOnly,
    /// Only what changed since the report before.
    Delta,
}

/// One thing that an agent knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    Disk(DiskFact),
    Replica(ReplicaFact),
    /// A replica left the disk for the trash, or was found not to be there on a readable disk.
    ReplicaGone {
        tablet: TabletId,
        replica: ReplicaId,
        disk: DiskId,
    },
    Load(LoadFact),
    Task(TaskFact),
    /// Answer to [`crate::OrderBody::Confirm`]: every file stat'ed, the manifest hashed again.
    Confirmed {
        tablet: TabletId,
        replica: ReplicaId,
        version: Version,
        hash: VersionHash,
        nonce: u64,
    },
    /// A replica in the trash.
    Trash(TrashFact),
    /// A replica left the trash for good.
    TrashGone {
        tablet: TabletId,
        replica: ReplicaId,
    },
    Host(HostFact),
}

/// One replica as it lies on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaFact {
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub disk: DiskId,
    /// The installed version: the head.
    pub version: Version,
    pub hash: VersionHash,
    /// The highest version held or committed here and waiting for its parent.
    pub pending: Version,
    /// Why it cannot be trusted; `None` = nothing known against it.
    pub bad: Option<String>,
    /// Bytes on disk, old versions included.
    pub size: u64,
    /// Files of the head.
    pub files: u64,
    /// Milliseconds since all content of the head was last held against its digests; `None` = not in this boot.
    pub verified_age_ms: Option<u64>,
    /// Oldest version that is still kept.
    pub oldest: Version,
}

/// A load that is durable here or has failed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFact {
    pub load: LoadId,
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub disk: DiskId,
    pub ballot: Ballot,
    /// The version that it was prepared to follow, and to become.
    pub parent: Version,
    pub version: Version,
    pub hash: VersionHash,
    pub bytes: u64,
    pub state: LoadState,
}

/// Where a load stands on one replica.
///
/// ```text
/// (streaming) ──▶ PREPARED ──commit, parent is head──▶ installed (a ReplicaFact says so)
///                     └─────commit, parent missing───▶ PENDING ──parent arrives──▶ installed
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadState {
    /// Durable; waits for the coordinator's word.
    Prepared,
    /// Committed; waits for its parent version.
    Pending,
    /// Could not be made durable here.
    Failed { cause: String },
}

/// Progress or end of an ordered copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFact {
    pub task: TaskId,
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub state: TaskProgress,
}

/// How far a copy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskProgress {
    /// `bytes_done` only grows while bytes arrive.
    Running {
        bytes_done: u64,
        bytes_total: u64,
    },
    /// The agent's own word; only a [`ReplicaFact`] makes the replica count.
    Done {
        bytes_copied: u64,
        bytes_reused: u64,
    },
    Failed {
        cause: TaskFailure,
    },
}

/// Why a copy ended without a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskFailure {
    /// The source sent bytes that do not match their digest: the source's replica is suspect.
    SourceDamaged {
        path: String,
    },
    /// The source could not be reached or broke off.
    SourceLost {
        detail: String,
    },
    /// The destination's disk refused.
    Disk {
        detail: String,
    },
    DiskFull,
    Cancelled,
    Refused {
        detail: String,
    },
}

/// A dropped replica that has not expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashFact {
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub disk: DiskId,
    pub bytes: u64,
    /// Milliseconds since it was dropped.
    pub age_ms: u64,
    /// The agent would like to free it (age or disk pressure); it waits for a purge order.
    pub due: bool,
}

/// Figures of the host (sysinfo).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostFact {
    pub cpus: u32,
    pub memory_total: u64,
    pub memory_available: u64,
    pub load_average_1m: f32,
    pub uptime_s: u64,
}

/// The files of a replica that failed their digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    pub path: String,
    pub expected: Digest,
}

/// Everything that an agent sends after the handshake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToCoordinator {
    /// I live; every second.
    Beat {
        node: NodeId,
        boot: BootId,
    },
    Report(Report),
}
