//! What a loss would cost: the answer of `stele whatif`.

use super::{Blocker, FullestDisk, Margin};
use crate::{DiskId, NodeId, TabletId};
use serde::{Deserialize, Serialize};

/// What losing these nodes and disks at once would cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WhatIf {
    pub nodes: Vec<NodeId>,
    pub disks: Vec<DiskId>,
    /// Tablets whose last complete copy would be gone, and bytes of one copy of each.
    pub lost: u64,
    pub lost_bytes: u64,
    /// The first of them.
    pub lost_tablets: Vec<LostTablet>,
    /// Tablets that would have fewer copies than wanted, but some.
    pub degraded: u64,
    /// Of these: too few copies to take loads.
    pub without_quorum: u64,
    /// Of these: one copy left.
    pub one_copy_left: u64,
    /// Copies to be made and their bytes, and whether all of them find a place.
    pub copies: u64,
    pub bytes: u64,
    pub fits: bool,
    pub blocked: u64,
    pub blockers: Vec<Blocker>,
    /// The destination that would be fullest afterwards.
    pub fullest: Option<FullestDisk>,
    /// What more could be lost then, before any repair.
    pub margin: Option<Margin>,
    /// The host whose loss after that, and before any repair, would take most tablets; null: none would take any.
    pub next: Option<NextLoss>,
    /// Seconds until everything that finds a place would be healthy again, from and to; null: nothing would heal.
    pub heal_s: Option<(u64, u64)>,
    /// What the time leaves out, or how it was reckoned.
    #[serde(default)]
    pub heal_note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostTablet {
    pub tablet: TabletId,
    /// `db.table/partition`.
    pub table: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextLoss {
    pub host: String,
    pub tablets: u64,
}
