//! Nodes and disks.

use super::{DrainProgress, DrainState};
use crate::{DiskId, DiskState, Medium, NodeId, status::Liveness};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nodes {
    pub nodes: Vec<NodeInfo>,
    /// What to give as `after` for those that follow; not there at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NodeId>,
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
