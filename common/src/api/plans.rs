//! Shapes of plans: what would move, what it costs, and how far one is that is being carried out.

use super::{Blocker, FullestDisk, Refusal, TableSet};
use crate::{DiskId, Medium, NodeId, TabletId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST /v1/plans`: computes a plan and keeps it; nothing moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanAsk {
    pub what: PlanWhat,
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub reason: String,
}

/// What a plan is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlanWhat {
    /// Disks and counts are to be even; `tables` (`db.table`) alone move, or all when there are none.
    Balance {
        #[serde(default)]
        tables: Vec<String>,
    },
    /// Nodes and disks are to be empty.
    Drain {
        #[serde(default)]
        nodes: Vec<NodeId>,
        #[serde(default)]
        rack: Option<String>,
        #[serde(default)]
        disks: Vec<DiskId>,
    },
    /// Something else is wanted of a table, `db.table`.
    Policy { table: String, wish: TableSet },
    /// Even with hosts that are not there yet: it can be looked at, not applied.
    Hosts { hosts: Vec<NewHost> },
}

impl PlanWhat {
    /// Its name, as people see it.
    pub fn kind(&self) -> &'static str {
        match self {
            PlanWhat::Balance { .. } => "balance",
            PlanWhat::Drain { .. } => "drain",
            PlanWhat::Policy { .. } => "policy",
            PlanWhat::Hosts { .. } => "hosts",
        }
    }
}

/// A host that somebody thinks of adding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHost {
    pub host: String,
    #[serde(default)]
    pub rack: String,
    #[serde(default = "default_tag")]
    pub tag: String,
    pub disks: Vec<NewDisk>,
}

fn default_tag() -> String {
    "default".into()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDisk {
    #[serde(default)]
    pub path: String,
    #[serde(default = "hdd")]
    pub medium: Medium,
    /// Bytes.
    pub total: u64,
}

fn hdd() -> Medium {
    Medium::Hdd
}

/// How a plan stands.
///
/// ```text
/// READY ── applied ──▶ RUNNING ──▶ DONE
///   │                     ├── cancelled ──▶ CANCELLED
///   │                     └── what is left cannot move any more ──▶ STOPPED
///   └── cancelled ──▶ CANCELLED
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanState {
    Ready,
    Running,
    Done,
    Cancelled,
    Stopped,
}

impl PlanState {
    pub const ALL: [PlanState; 5] =
        [PlanState::Ready, PlanState::Running, PlanState::Done, PlanState::Cancelled, PlanState::Stopped];

    pub fn as_str(self) -> &'static str {
        match self {
            PlanState::Ready => "READY",
            PlanState::Running => "RUNNING",
            PlanState::Done => "DONE",
            PlanState::Cancelled => "CANCELLED",
            PlanState::Stopped => "STOPPED",
        }
    }

    pub fn is_over(self) -> bool {
        match self {
            PlanState::Ready | PlanState::Running => false,
            PlanState::Done | PlanState::Cancelled | PlanState::Stopped => true,
        }
    }
}

/// `GET /v1/plans`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plans {
    pub plans: Vec<PlanInfo>,
}

/// One plan. `GET /v1/plans/ID`, `POST /v1/plans`, `POST /v1/plans/ID/apply`, `.../cancel`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanInfo {
    pub id: u64,
    pub what: PlanWhat,
    pub state: PlanState,
    pub owner: String,
    pub reason: String,
    /// RFC 3339.
    pub made: String,
    pub ended: Option<String>,
    /// Why it cannot be applied, or was stopped.
    pub why: Option<Refusal>,
    pub price: PlanPrice,
    pub progress: PlanProgress,
    /// In the order in which they begin; in lists left out.
    #[serde(default)]
    pub moves: Vec<PlanMove>,
    /// What to give as `after` for the moves that follow; not there at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What a plan costs, and what it is worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanPrice {
    /// Copies that are made.
    pub moves: u64,
    pub bytes: u64,
    /// The least that any plan must move to end with the same spreads; null where evenness is not what it is for.
    pub bytes_lower_bound: Option<u64>,
    /// The least that any plan must move to end with the same spreads and with counts as fair.
    #[serde(default)]
    pub bytes_lower_bound_fair: Option<u64>,
    /// By medium, of the disks that take part.
    pub before: BTreeMap<Medium, Spread>,
    pub after: BTreeMap<Medium, Spread>,
    /// Disks that give or take, by id.
    pub disks: Vec<DiskBytes>,
    /// Pairs of hosts, most bytes first.
    pub links: Vec<LinkBytes>,
    /// Load scores of the nodes, HDD before SSD.
    pub nodes: Vec<NodeChange>,
    /// The destination that is fullest afterwards.
    pub fullest: Option<FullestDisk>,
    /// Seconds, from and to, at the present limits.
    pub eta_s: (u64, u64),
    /// The fewest complete copies that any of its tablets has while it runs; null when it moves nothing.
    pub copies_min: Option<u32>,
    /// Tablets that find no place, and the first of them.
    pub blocked: u64,
    pub blockers: Vec<Blocker>,
}

/// How evenly disks are used; parts of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub used_percent_max: f64,
    pub used_percent_min: f64,
    pub used_percent_stddev: f64,
}

impl Spread {
    /// Of disks that are used to these parts; of none, nothing.
    pub fn of(parts: &[f64]) -> Spread {
        let number = parts.len().max(1) as f64;
        let mean = parts.iter().sum::<f64>() / number;
        let variance = parts.iter().map(|part| (part - mean) * (part - mean)).sum::<f64>() / number;
        let (low, high) = parts.iter().fold((f64::MAX, 0.0f64), |(low, high), part| (low.min(*part), high.max(*part)));
        Spread { used_percent_max: high, used_percent_min: low.min(high), used_percent_stddev: variance.sqrt() }
    }

    /// The fullest disk's part less the emptiest's.
    pub fn width(&self) -> f64 {
        self.used_percent_max - self.used_percent_min
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskBytes {
    pub disk: DiskId,
    pub node: NodeId,
    pub host: String,
    pub path: String,
    pub medium: Medium,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Parts of one.
    pub used_percent_before: f64,
    pub used_percent_after: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkBytes {
    pub from_host: String,
    pub to_host: String,
    pub moves: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeChange {
    pub node: NodeId,
    pub host: String,
    pub medium: Medium,
    pub score_before: f64,
    pub score_after: f64,
    pub replicas_before: u64,
    pub replicas_after: u64,
    /// Parts of one.
    pub used_percent_before: f64,
    pub used_percent_after: f64,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanProgress {
    /// Stand where they were to stand.
    pub done: u64,
    pub running: u64,
    /// Came about otherwise: the tablet or the replica is gone, or stands somewhere else.
    pub otherwise: u64,
    pub left: u64,
    pub bytes_done: u64,
    pub bytes_left: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanMove {
    pub tablet: TabletId,
    /// `db.table/partition`.
    pub table: String,
    pub from_host: String,
    pub from_disk: DiskId,
    pub to_host: String,
    pub to_disk: DiskId,
    pub bytes: u64,
    /// What was there leaves when the copy counts; else it is one more copy.
    pub leaves: bool,
    pub state: MoveState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MoveState {
    Open,
    Running,
    Done,
    Otherwise,
}

impl MoveState {
    pub fn as_str(self) -> &'static str {
        match self {
            MoveState::Open => "OPEN",
            MoveState::Running => "RUNNING",
            MoveState::Done => "DONE",
            MoveState::Otherwise => "OTHERWISE",
        }
    }
}
