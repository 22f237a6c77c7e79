//! Why, and why not: one variant a rule, constructed in one file, with its numbers. Operators read
//! [`Reason::code`] on every face; `grep -rn 'Reason::NoQuorum' coordinator/rules` ends on the rule.

use serde::{Deserialize, Serialize};
use stele_common::{DiskId, LoadKey, NodeId, ReplicaId, TabletId, Version};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reason {
    // catalog: names
    TableExists { name: String },
    NoSuchTable { name: String },
    NoSuchPartition { name: String },
    NoSuchDisk { disk: DiskId },
    BadRequest { detail: String },
    TooFewHosts { wanted: u32, hosts: u32 },
    // loads
    NoQuorum { tablet: TabletId, complete: u32, needed: u32 },
    TabletBusy { tablet: TabletId, key: LoadKey },
    OtherContent { key: LoadKey },
    NoSuchLoad { key: LoadKey },
    LoadInFlight { key: LoadKey },
    LoadTimedOut { ms: u64 },
    LoadAborted,
    BallotMoved { tablet: TabletId },
    DiskFullForLoad { disk: DiskId, free: u64, keep: u64 },
    AlreadyCommitted { key: LoadKey },
    // store
    StoreIsOld { detail: String },
    LevelForbids { level: String },
    // schedule
    RevisionMoved { tablet: TabletId },
    NotReady { in_ms: u64 },
    NoSource { tablet: TabletId },
    NoSourceSlot { disk: DiskId },
    NoDestination { tablet: TabletId, disks: u32 },
    NoDestinationSlot { disks: u32 },
    HostHasCopy { node: NodeId },
    DiskNotOnline { disk: DiskId },
    DiskWouldOverfill { disk: DiskId, free: u64, keep: u64 },
    NodeNotAlive { node: NodeId },
    OtherMedium { disk: DiskId },
    NodesNotReported { nodes: u32 },
    TooManyReplicas { have: u32, max: u32 },
    TabletHasTask { tablet: TabletId },
    NowHealthy,
    QueueFull { max: u32 },
    Backoff { failures: u32, in_ms: u64 },
    Unrecoverable { tablet: TabletId },
    // task ends
    NodeLost { node: NodeId },
    TimedOut { ms: u64 },
    Stalled { ms: u64 },
    AgentFailed { detail: String },
    SourceDamaged { replica: ReplicaId, path: String },
    NotAdopted,
    TableDropped,
    // deletion guard
    LastComplete { replica: ReplicaId },
    TooFewHolders { version: Version, holders: u32, needed: u32 },
    LoadCountsIt { replica: ReplicaId },
    NotProven { proven: u32, needed: u32 },
    EvidenceTimedOut { ms: u64 },
}

impl Reason {
    /// Stable name, in snake case.
    pub fn code(&self) -> &'static str {
        use Reason::*;
        match self {
            TableExists { .. } => "table_exists",
            NoSuchTable { .. } => "no_such_table",
            NoSuchPartition { .. } => "no_such_partition",
            NoSuchDisk { .. } => "no_such_disk",
            BadRequest { .. } => "bad_request",
            TooFewHosts { .. } => "too_few_hosts",
            NoQuorum { .. } => "no_quorum",
            TabletBusy { .. } => "tablet_busy",
            OtherContent { .. } => "other_content",
            NoSuchLoad { .. } => "no_such_load",
            LoadInFlight { .. } => "load_in_flight",
            LoadTimedOut { .. } => "load_timed_out",
            LoadAborted => "load_aborted",
            BallotMoved { .. } => "ballot_moved",
            DiskFullForLoad { .. } => "disk_full_for_load",
            AlreadyCommitted { .. } => "already_committed",
            StoreIsOld { .. } => "store_is_old",
            LevelForbids { .. } => "level_forbids",
            RevisionMoved { .. } => "revision_moved",
            NotReady { .. } => "not_ready",
            NoSource { .. } => "no_source",
            NoSourceSlot { .. } => "no_source_slot",
            NoDestination { .. } => "no_destination",
            NoDestinationSlot { .. } => "no_destination_slot",
            HostHasCopy { .. } => "host_has_copy",
            DiskNotOnline { .. } => "disk_not_online",
            DiskWouldOverfill { .. } => "disk_would_overfill",
            NodeNotAlive { .. } => "node_not_alive",
            OtherMedium { .. } => "other_medium",
            NodesNotReported { .. } => "nodes_not_reported",
            TooManyReplicas { .. } => "too_many_replicas",
            TabletHasTask { .. } => "tablet_has_task",
            NowHealthy => "now_healthy",
            QueueFull { .. } => "queue_full",
            Backoff { .. } => "backoff",
            Unrecoverable { .. } => "unrecoverable",
            NodeLost { .. } => "node_lost",
            TimedOut { .. } => "timed_out",
            Stalled { .. } => "stalled",
            AgentFailed { .. } => "agent_failed",
            SourceDamaged { .. } => "source_damaged",
            NotAdopted => "not_adopted",
            TableDropped => "table_dropped",
            LastComplete { .. } => "last_complete",
            TooFewHolders { .. } => "too_few_holders",
            LoadCountsIt { .. } => "load_counts_it",
            NotProven { .. } => "not_proven",
            EvidenceTimedOut { .. } => "evidence_timed_out",
        }
    }
}
