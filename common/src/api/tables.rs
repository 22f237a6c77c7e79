//! Tables, tablets and replicas.

use crate::{
    Ballot, DiskId, Medium, NodeId, Priority, ReplicaId, ReplicaState, TableId, TabletId, TabletStatus, Version,
    VersionHash,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tables {
    pub tables: Vec<TableInfo>,
    /// What to give as `after` for those that follow; not there at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
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
    /// What to give as `after` for those that follow; not there at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TabletId>,
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
