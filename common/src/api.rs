//! The shapes that HTTP and the CLI show: JSON, lists as objects with the plural as key, sizes integers in bytes,
//! times RFC 3339 text. Never used inside a rule except to explain.

use crate::{
    Ballot, Digest, DiskId, DiskState, Evidence, LoadId, LoadKey, LoadMode, Medium, NodeId, Priority, ReplicaId,
    ReplicaState, TableId, TabletId, TabletStatus, TaskId, TaskType, Version, VersionHash,
    status::{Level, Liveness},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod balance;
mod config;
mod operate;
mod plans;
mod whatif;
pub use balance::*;
pub use config::*;
pub use operate::*;
pub use plans::*;
pub use whatif::*;

/// `GET /v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub cluster: String,
    pub version: String,
    pub epoch: u64,
    pub level: Level,
    /// Why it is less than LIVELY.
    pub level_cause: Option<String>,
    pub uptime_s: u64,
    pub nodes: NodeCounts,
    pub disks: DiskCounts,
    pub tables: u64,
    pub tablets: u64,
    /// Tablets by verdict.
    pub verdicts: BTreeMap<TabletStatus, u64>,
    /// Tablets by number of complete copies: "3" -> 120.
    pub copies: BTreeMap<u32, u64>,
    pub bytes_used: u64,
    pub bytes_total: u64,
    pub tasks_pending: u64,
    pub tasks_running: u64,
    pub loads_open: u64,
    pub strays: u64,
    /// What more may be lost before data is; null while there is no data.
    #[serde(default)]
    pub margin: Option<Margin>,
    /// The tablet that has been ill for longest.
    #[serde(default)]
    pub oldest: Option<Sick>,
    /// How fast copies may be, and since when.
    #[serde(default)]
    pub limits: Limits,
    /// What balance does, or why it does nothing; null before it has looked.
    #[serde(default)]
    pub balance: Option<BalanceLine>,
    /// What holds for a time: maintenance, urgency.
    #[serde(default)]
    pub leases: Vec<LeaseInfo>,
    /// What is wrong, with cause, effect and next step; empty when all is well.
    pub problems: Vec<Problem>,
}

/// How many more may die, one after the other and before any repair, without loss of a tablet that is not lost yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Margin {
    pub hosts: u32,
    pub disks: u32,
    /// Null where no node has a rack.
    pub racks: Option<u32>,
    /// A tablet that no more may be taken from.
    pub weakest: TabletId,
    pub table: String,
}

/// A tablet that waits for repair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sick {
    pub tablet: TabletId,
    pub status: TabletStatus,
    /// Since it was queued, milliseconds.
    pub for_ms: u64,
    /// Why it has not been repaired yet, if anything is in the way.
    pub reason: Option<Refusal>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NodeCounts {
    pub alive: u64,
    pub silent: u64,
    pub lost: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DiskCounts {
    pub online: u64,
    pub suspect: u64,
    pub unavailable: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable id, such as `disk_unavailable`.
    pub code: String,
    /// What it is about: `tablet 101`, `node 10001`, `disk 20003`.
    pub subject: String,
    pub cause: String,
    pub effect: String,
    /// The command or deed that helps.
    pub next: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nodes {
    pub nodes: Vec<NodeInfo>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeInfo {
    pub id: NodeId,
    pub host: String,
    pub name: String,
    pub rack: String,
    pub tag: String,
    pub liveness: Liveness,
    /// Milliseconds since the last beat; null when never heard in this epoch.
    pub silent_ms: Option<u64>,
    pub peer: String,
    pub http: String,
    pub build: String,
    /// Whether an operator wants it empty, and whether it is.
    #[serde(default)]
    pub drain: Option<DrainState>,
    /// How far that is; lists leave out what is left.
    #[serde(default)]
    pub drain_progress: Option<DrainProgress>,
    /// RFC 3339; until when it is under maintenance.
    #[serde(default)]
    pub maintenance_until: Option<String>,
    pub replicas: u64,
    pub disks: Vec<DiskInfo>,
    pub host_figures: Option<crate::report::HostFact>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Disks {
    pub disks: Vec<DiskInfo>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiskInfo {
    pub id: DiskId,
    pub node: NodeId,
    pub host: String,
    pub path: String,
    pub medium: Medium,
    pub state: DiskState,
    pub cause: Option<String>,
    /// Whether an operator wants it empty, and how far that is.
    #[serde(default)]
    pub drain: Option<DrainState>,
    pub total: u64,
    pub used: u64,
    pub available: u64,
    pub used_percent: f64,
    pub raw_total: u64,
    pub raw_free: u64,
    pub replicas: u64,
    pub slots_used: u32,
    pub slots_total: u32,
    #[serde(default)]
    pub balance_slots_used: u32,
    #[serde(default)]
    pub balance_slots_total: u32,
    pub trash_bytes: u64,
}

/// `POST /v1/disks/init`: a blank directory takes the place of a registered disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiskInit {
    pub host: String,
    pub path: String,
    pub replace: DiskId,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tables {
    pub tables: Vec<TableInfo>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableInfo {
    pub id: TableId,
    pub db: String,
    pub name: String,
    pub replication: u32,
    pub buckets: u32,
    pub medium: Medium,
    /// Its copies stand on nodes with this tag.
    #[serde(default)]
    pub tag: String,
    /// Its colocation group.
    #[serde(default)]
    pub colocate: Option<String>,
    pub partitions: Vec<PartitionInfo>,
    pub tablets: u64,
    pub healthy: u64,
    pub files: u64,
    /// Bytes of one copy of the visible versions.
    pub bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartitionInfo {
    pub name: String,
    pub replication: u32,
    pub medium: Medium,
    pub tablets: u64,
}

/// `POST /v1/tables`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableCreate {
    pub db: String,
    pub name: String,
    pub replication: u32,
    pub buckets: u32,
    #[serde(default)]
    pub medium: Medium,
    /// Empty: one partition `p0`.
    #[serde(default)]
    pub partitions: Vec<String>,
    /// Its copies stand on nodes with this tag; `default`, unless given.
    #[serde(default)]
    pub tag: Option<String>,
    /// A colocation group, which is made if it is not there.
    #[serde(default)]
    pub colocate: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tablets {
    pub tablets: Vec<TabletInfo>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TabletInfo {
    pub id: TabletId,
    pub db: String,
    pub table: String,
    pub partition: String,
    pub bucket: u32,
    pub status: TabletStatus,
    pub priority: Option<Priority>,
    pub reason: String,
    pub visible_version: Version,
    pub committed_version: Version,
    pub version_hash: VersionHash,
    pub ballot: Ballot,
    pub primary: Option<ReplicaId>,
    pub replicas: Vec<ReplicaInfo>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplicaInfo {
    pub id: ReplicaId,
    pub node: NodeId,
    pub host: String,
    pub disk: DiskId,
    /// `<data_dir>/tablets/<tablet>/<replica>` on its host.
    pub dir: String,
    /// The agent's HTTP address, for reading.
    pub http: String,
    pub version: Version,
    pub last_failed_version: Option<Version>,
    pub last_success_version: Version,
    pub state: ReplicaState,
    pub bad: Option<String>,
    pub alive: bool,
    pub complete: bool,
    /// Why it is not alive or not complete.
    pub why: Option<String>,
    pub size: u64,
    /// Seconds since all its bytes were last held against their digests.
    pub verified_s: Option<u64>,
}

/// `GET /v1/tablets/ID/explain`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    pub tablet: TabletInfo,
    /// Sentences in the order of the ladder: what was counted and what followed.
    pub because: Vec<String>,
    /// The task in the queue or running, if any.
    pub task: Option<TaskInfo>,
    /// Why the next step has not been taken: code, detail.
    pub waits_for: Vec<Refusal>,
    /// Every disk as a destination, with each rule and its numbers; those that may be chosen first.
    pub candidates: Vec<Candidate>,
    /// What would let a missing copy be made, where no disk may take it.
    #[serde(default)]
    pub allowed_if: Vec<String>,
    /// Milliseconds until it is looked at again; null: it does not wait.
    #[serde(default)]
    pub next_attempt_ms: Option<u64>,
    /// Running tasks that hold the slots it waits for.
    #[serde(default)]
    pub slots_in_the_way: Vec<TaskInfo>,
    /// Replicas outside the catalog that could give files.
    pub strays: Vec<String>,
    pub trash: Vec<String>,
    /// The latest decisions about this tablet, newest first.
    pub history: Vec<TaskInfo>,
}

/// `GET /v1/nodes/ID/explain`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeExplanation {
    pub id: NodeId,
    pub host: String,
    pub liveness: Liveness,
    /// Why it counts as it does.
    pub because: Vec<String>,
    /// Whether each disk may take copies, and what waits for it.
    pub disks: Vec<DiskExplanation>,
    /// Its replicas by what they count for: "complete" -> 120.
    pub replicas: BTreeMap<String, u64>,
    /// Copies from and to it, and deletions on it, that are running.
    pub tasks: Vec<TaskInfo>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiskExplanation {
    pub disk: DiskId,
    pub path: String,
    /// Null: it may take copies.
    pub refused: Option<Refusal>,
    /// Bytes free now, bytes that must stay free, and bytes promised to copies under way.
    pub free: u64,
    pub keep: u64,
    pub promised: u64,
    pub copies_coming: u32,
    pub slots_used: u32,
    pub slots_total: u32,
    #[serde(default)]
    pub balance_slots_used: u32,
    #[serde(default)]
    pub balance_slots_total: u32,
    /// Tablets that wait for a slot of it.
    pub tablets_waiting: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable, such as `no_destination`.
    pub code: String,
    pub detail: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Candidate {
    pub disk: DiskId,
    pub node: NodeId,
    pub host: String,
    pub rack: String,
    /// The first rule that refuses it; null: it may be chosen.
    pub refused: Option<Refusal>,
    pub rules: Vec<Rule>,
    /// What orders those that may be chosen: the tablet's medium, the node's score, the disk's used percent with what is
    /// promised to it, copies on their way to it.
    pub right_medium: bool,
    pub used_percent: f64,
    pub copies_coming: u32,
    pub score: Option<f64>,
}

/// One rule about one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// `there`, `wanted`, `host`, `space`, `slot`.
    pub rule: String,
    /// Null: it allows the disk.
    pub code: Option<String>,
    /// With its numbers.
    pub detail: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tasks {
    pub tasks: Vec<TaskInfo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskKind {
    Clone,
    Delete,
    /// A copy to another disk of the same node, which replaces the one it was made from.
    Migrate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    Pending,
    Running,
    Finished,
    Cancelled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskInfo {
    /// Null while it is pending.
    pub id: Option<TaskId>,
    pub tablet: TabletId,
    pub table: String,
    pub kind: Option<TaskKind>,
    #[serde(default, rename = "type")]
    pub task_type: TaskType,
    pub state: TaskState,
    pub status: TabletStatus,
    pub priority: Priority,
    pub src_node: Option<NodeId>,
    pub src_disk: Option<DiskId>,
    pub dest_node: Option<NodeId>,
    pub dest_disk: Option<DiskId>,
    pub replica: Option<ReplicaId>,
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub bytes_per_s: u64,
    pub age_ms: u64,
    pub failures: u32,
    pub timeout_ms: Option<u64>,
    /// Why it waits, or how it ended.
    pub reason: Option<Refusal>,
    pub evidence: Option<Evidence>,
    /// RFC 3339; when it ended.
    pub ended: Option<String>,
}

/// `POST /v1/loads`: opens a load over the tablets that it touches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadOpen {
    pub key: LoadKey,
    pub db: String,
    pub table: String,
    pub partition: String,
    pub mode: LoadMode,
    /// Digest of the sorted list of everything that the load brings and removes: the same key with another content is refused.
    pub content: Digest,
    /// Per touched bucket, the bytes it brings.
    pub buckets: BTreeMap<u32, u64>,
}

/// Answer to [`LoadOpen`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadOpened {
    pub load: LoadId,
    pub epoch: u64,
    /// The result, if this very load was done before: nothing is to be sent.
    pub done: Option<LoadResult>,
    pub tablets: Vec<LoadTablet>,
}

/// Where one tablet's part of a load goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadTablet {
    pub tablet: TabletId,
    pub bucket: u32,
    pub ballot: Ballot,
    pub parent: Version,
    pub parent_hash: VersionHash,
    pub version: Version,
    /// The stream goes to this replica's agent ...
    pub primary: LoadMember,
    /// ... which forwards to these.
    pub others: Vec<LoadMember>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadMember {
    pub node: NodeId,
    pub replica: ReplicaId,
    pub http: String,
    pub peer: String,
}

/// `GET /v1/loads/KEY`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadResult {
    pub key: LoadKey,
    pub load: LoadId,
    pub state: LoadPhase,
    /// Why it was aborted, or what it waits for.
    pub detail: Option<String>,
    /// The version it became, per tablet, once committed.
    pub versions: BTreeMap<TabletId, Version>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LoadPhase {
    Open,
    /// The commit record is durable; it will become visible.
    Committed,
    /// A quorum has it installed: acknowledged.
    Visible,
    Aborted,
}

/// Answer of an agent to a load stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadStaged {
    pub hash: VersionHash,
    pub bytes: u64,
    /// Replicas that have it durable.
    pub prepared: Vec<ReplicaId>,
    /// Replicas that have not, and why.
    pub failed: Vec<(ReplicaId, String)>,
}

/// `POST /v1/verify`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyStart {
    /// `db.table`; null = everything.
    pub table: Option<String>,
}

/// `GET /v1/verify/ID`: progress and findings of a verification.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verification {
    pub id: u64,
    pub replicas: u64,
    pub clean: u64,
    pub bytes: u64,
    pub bytes_done: u64,
    /// Replicas found bad, with the cause.
    pub found: Vec<VerifyFinding>,
    /// Replicas that could not be read (their node or disk is away).
    pub unreachable: Vec<VerifyFinding>,
    pub done: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyFinding {
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub host: String,
    pub cause: String,
}

/// A kept manifest: `GET /v1/replicas/ID/manifest?version=V` of an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ManifestInfo {
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub version: Version,
    pub hash: VersionHash,
    pub files: Vec<FileInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    pub path: String,
    pub size: u64,
    pub digest: Digest,
    pub added: Version,
}

/// `application/problem+json` (RFC 9457): every error of every HTTP face.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable code, such as `no_quorum`.
    pub code: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
