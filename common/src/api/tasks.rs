//! Tasks: waiting, running, ended.

use super::Refusal;
use crate::{DiskId, Evidence, NodeId, Priority, ReplicaId, TabletId, TabletStatus, TaskId, TaskType};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tasks {
    pub tasks: Vec<TaskInfo>,
    /// What to give as `after` for those that follow, a place in the list; not there at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
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
    /// Hosts of these nodes, as long as they are known.
    #[serde(default)]
    pub src_host: Option<String>,
    #[serde(default)]
    pub dest_host: Option<String>,
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
    /// How it has fared in the queue; null once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueInfo>,
}

/// A place in the queue. Times are milliseconds ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueInfo {
    pub priority_begun: Priority,
    pub queued_ms: u64,
    /// Null: never.
    pub visited_ms: Option<u64>,
    pub scheduled_ms: Option<u64>,
    pub adjusted_ms: Option<u64>,
    /// In a row.
    pub refusals: u32,
}
