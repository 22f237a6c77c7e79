//! What HTTP and the CLI show of balance: how even the hosts are, what moves, and why nothing does.

use super::Refusal;
use crate::{DiskId, Medium, NodeId, ReplicaId, TabletId};
use serde::{Deserialize, Serialize};

/// `GET /v1/balance`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BalanceStatus {
    /// Why nothing is moved; null while something is.
    pub idle: Option<Refusal>,
    /// Moves under way, deletions that end them included.
    pub running: u64,
    /// Planned, and waiting for a slot.
    pub waiting: u64,
    pub done: BalanceDone,
    pub media: Vec<MediumSpread>,
    pub nodes: Vec<NodeBalance>,
    /// What would be moved next, best first, if nothing held it back.
    pub next: Vec<MoveInfo>,
    /// The planner has not found them yet, nor `operations`: ask again, or with a longer `wait_ms`.
    #[serde(default)]
    pub is_looking: bool,
    /// Why the planner finds nothing; null when `next` has something.
    pub next_none: Option<Refusal>,
    /// How much there is to do, whatever is done of it now.
    #[serde(default)]
    pub operations: BalanceOperations,
    /// Why primaries stay where they are; null while some of them change place.
    #[serde(default)]
    pub primaries: Option<Refusal>,
    /// Colocation groups: they are evened by their sequences.
    #[serde(default)]
    pub groups: Vec<GroupBalance>,
}

/// Operations by kind, as the next round sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceOperations {
    /// Roles that change hands.
    pub move_pri: u64,
    /// Primaries that move with their bytes.
    pub copy_pri: u64,
    /// Other copies that move.
    pub copy_sec: u64,
    pub total: u64,
}

/// How even a colocation group is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupBalance {
    pub group: String,
    /// Every tablet stands as the sequence says.
    pub stable: bool,
    /// Why its sequence is not evened now; null: it is about to be.
    pub idle: Option<Refusal>,
}

/// Moves since this leadership began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceDone {
    pub moves: u64,
    pub bytes: u64,
    pub failed: u64,
}

/// How even the disks of a medium are; parts of 1, trash not counted, what is under way counted as done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MediumSpread {
    pub medium: Medium,
    /// Disks that may give and take.
    pub disks: u64,
    pub used_percent_max: f64,
    pub used_percent_min: f64,
    pub used_percent_stddev: f64,
    /// Above this difference of the fullest and the emptiest something is moved.
    pub threshold: f64,
}

/// The load score of a node on a medium.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeBalance {
    pub id: NodeId,
    pub host: String,
    pub medium: Medium,
    /// Part of 1.
    pub used_percent: f64,
    pub replica_num: u64,
    pub score: f64,
    /// LOW, MID or HIGH.
    pub class: String,
}

/// One replica that is to stand elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MoveInfo {
    pub tablet: TabletId,
    pub table: String,
    pub replica: ReplicaId,
    pub from_node: NodeId,
    pub from_disk: DiskId,
    pub to_node: NodeId,
    pub to_disk: DiskId,
    pub bytes: u64,
    /// What it evens: `usage`, `count` or `primary`; `exchange` evens usage together with the smaller copy that comes back.
    pub why: String,
}

/// `GET /v1/balance/history`: how even the disks were, oldest first, as far as this process remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BalanceHistory {
    pub samples: Vec<SpreadSample>,
}

/// How even the disks of a medium were; parts of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpreadSample {
    /// RFC 3339.
    pub at: String,
    pub medium: Medium,
    pub used_percent_max: f64,
    pub used_percent_min: f64,
    pub used_percent_stddev: f64,
}

/// The line of `GET /v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BalanceLine {
    pub idle: Option<Refusal>,
    pub running: u64,
    pub waiting: u64,
}
