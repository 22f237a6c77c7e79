//! What the coordinator tells an agent to do. Every order is fenced by the epoch, every drop by the replica's
//! incarnation; each may arrive late, twice or never, and carrying it out twice is the same as once.

use crate::{
    Ballot, ClusterId, DatabaseId, DiskId, Epoch, LoadId, NodeId, PartitionId, ReplicaId, TableId, TabletId, TaskId,
    TaskType, Version, VersionHash,
};
use serde::{Deserialize, Serialize};

/// An order with its fence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The leadership that gives it; an agent refuses any below the highest it has seen.
    pub epoch: Epoch,
    pub body: OrderBody,
}

/// Everything that the coordinator sends after the handshake.
// One is made, sent and dropped at a time: a box would buy nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToAgent {
    Order(Order),
    /// The reports have a gap (or you are new to me): send a full one.
    SendFullReport {
        epoch: Epoch,
    },
    /// I hear you; renews the agent's own lease.
    Heard {
        epoch: Epoch,
        /// How many records the store has for certain; 0 = not told. The agent remembers it and tells it in its hello.
        #[serde(default)]
        sequence: u64,
    },
    /// How fast copies may be from now on; told at the beginning of a session and at each change.
    Limits {
        epoch: Epoch,
        limits: CopyLimits,
    },
}

/// How fast copies may be, all of one purpose together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyLimits {
    pub repair: CopyLimit,
    pub balance: CopyLimit,
}

/// Bytes a second at most; 0 = no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyLimit {
    /// Read from and written to one disk, together.
    pub disk: u64,
    /// Sent by one agent, and the same received by it.
    pub node: u64,
}

impl CopyLimits {
    pub fn of(&self, purpose: TaskType) -> CopyLimit {
        match purpose {
            TaskType::Repair => self.repair,
            TaskType::Balance => self.balance,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderBody {
    /// Make an empty replica (version 0).
    Create {
        disk: DiskId,
        label: TabletLabel,
    },
    /// Bring `label.replica` to at least `version` from one of `sources` (tried in this order), creating it where it is new. What is already
    /// held here (this replica, one staged by an earlier try, a bad or trashed one of this tablet) is reused by digest.
    Clone(CloneOrder),
    CancelTask {
        task: TaskId,
    },
    /// Move exactly this replica to the trash.
    Drop {
        tablet: TabletId,
        replica: ReplicaId,
        evidence: Evidence,
    },
    /// Free exactly this trashed replica.
    Purge {
        tablet: TabletId,
        replica: ReplicaId,
        evidence: Evidence,
    },
    /// The load is committed: install it as `version` as soon as its parent is the head.
    CommitLoad {
        load: LoadId,
        tablet: TabletId,
        replica: ReplicaId,
        version: Version,
        hash: VersionHash,
    },
    /// The load will never be committed: its staged files go.
    AbortLoad {
        load: LoadId,
    },
    /// The load was decided, and this replica has left the catalog: its part will never be installed here. Refused where
    /// the replica lies or is on its way.
    DiscardLoad {
        load: LoadId,
        tablet: TabletId,
        replica: ReplicaId,
    },
    /// Stat every file of the head and hash its manifest; answer with a `Confirmed` fact.
    Confirm {
        tablet: TabletId,
        replica: ReplicaId,
        nonce: u64,
    },
    /// Read every byte of the head past the page cache and hold it against its digest, soon.
    Verify {
        tablet: TabletId,
        replica: ReplicaId,
    },
    /// Versions below this one may go, unless pinned.
    Collect {
        tablet: TabletId,
        replica: ReplicaId,
        below: Version,
    },
}

/// A copy to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloneOrder {
    pub task: TaskId,
    pub disk: DiskId,
    pub label: TabletLabel,
    pub version: Version,
    pub hash: VersionHash,
    /// Replicas that may give, best first. The first that offers `version` with `hash` (or, trusted by its own agent, a newer head) says
    /// what the replica becomes; files that it lacks or gives damaged are asked from all others. Bad, stray and trashed replicas may be
    /// named, and replicas of the same node: each byte is held against its digest.
    pub sources: Vec<Source>,
    /// A source that brings nothing for this long is left for the next, milliseconds. It is a share of the time after which
    /// the coordinator gives up a copy of which no byte moved, so that the others are asked before.
    pub stall_ms: u64,
    #[serde(default)]
    pub purpose: TaskType,
}

/// A replica that may give files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub node: NodeId,
    pub replica: ReplicaId,
    /// The agent's peer address, `ip:port`.
    pub peer: String,
}

/// Why a delete is safe, written by the rule that allowed it and kept with the order and in the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// These other replicas hold the committed version whole and were confirmed after the decision.
    Others { replicas: Vec<Witness>, wanted: u32 },
    /// A user dropped the table, or the partition of it that the tablet was in.
    TableDropped { table: TableId },
    /// The order's replica is bad and these others are complete.
    Bad { cause: String, others: Vec<Witness> },
    /// It never became a replica: a copy that was given up.
    NeverComplete { task: TaskId },
}

/// One replica that bears witness for a delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    pub node: NodeId,
    pub replica: ReplicaId,
    pub version: Version,
    pub hash: VersionHash,
    /// Coordinator's monotonic milliseconds: when its content was last held against its digests, and when it was last seen whole.
    pub verified_at: u64,
    pub confirmed_at: u64,
}

/// The `tablet` file in a replica's directory: who it is, so that lost metadata can be rebuilt from disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletLabel {
    pub cluster: ClusterId,
    pub database: String,
    pub database_id: DatabaseId,
    pub table: String,
    pub table_id: TableId,
    pub partition: String,
    pub partition_id: PartitionId,
    pub tablet: TabletId,
    pub bucket: u32,
    pub buckets: u32,
    pub replication: u32,
    pub replica: ReplicaId,
    /// Epoch and ballot at creation.
    pub epoch: Epoch,
    pub ballot: Ballot,
}
