//! Why a tablet or a node is as it is.

use super::{TabletInfo, TaskInfo};
use crate::{DiskId, NodeId, status::Liveness};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
