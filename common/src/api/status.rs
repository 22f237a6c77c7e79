//! The state of the cluster at a glance.

use super::{BalanceLine, LeaseInfo, Limits, Refusal};
use crate::{Medium, TabletId, TabletStatus, status::Level};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// The same by medium.
    #[serde(default)]
    pub media: BTreeMap<Medium, Room>,
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

/// Bytes used and usable; disks on one file system share its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub used: u64,
    pub total: u64,
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
