//! Shapes of what operators ask for and are shown while it happens: drains, removals, leases, policies, groups.

use super::Refusal;
use crate::{DiskId, Medium, NodeId, ReplicaId, TabletId, TabletStatus, Version, VersionHash};
use serde::{Deserialize, Serialize};

/// `POST /v1/nodes/drain`, `/v1/nodes/undrain`, `/v1/disks/drain`, `/v1/disks/undrain`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainAsk {
    #[serde(default)]
    pub nodes: Vec<NodeId>,
    /// Every node of this rack.
    #[serde(default)]
    pub rack: Option<String>,
    #[serde(default)]
    pub disks: Vec<DiskId>,
    /// Begin although something finds no place.
    #[serde(default)]
    pub force: bool,
    /// Only say what would happen.
    #[serde(default)]
    pub check: bool,
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub reason: String,
}

/// Whose drains were taken back; empty where none was under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Undrained {
    pub nodes: Vec<NodeId>,
    pub disks: Vec<DiskId>,
}

/// What a drain moves, and whether all of it finds a place. Answered with status 409 when it does not, and nothing was
/// begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evacuation {
    pub nodes: Vec<NodeId>,
    pub disks: Vec<DiskId>,
    /// Tablets with a replica there.
    pub tablets: u64,
    /// Copies to be made.
    pub copies: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Everything finds a place.
    pub fits: bool,
    /// It has begun, or had begun before.
    pub begun: bool,
    /// Tablets that find no place.
    pub blocked: u64,
    /// The first of what is in the way, named.
    pub blockers: Vec<Blocker>,
    /// The destination that would be fullest afterwards.
    pub fullest: Option<FullestDisk>,
}

/// Something that is in the way, with the rule and its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    /// Stable, such as `disk_would_overfill`.
    pub code: String,
    /// Null: it is about the cluster as a whole.
    pub tablet: Option<TabletId>,
    /// `db.table/partition`.
    pub table: Option<String>,
    pub detail: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FullestDisk {
    pub disk: DiskId,
    pub host: String,
    pub path: String,
    pub used_percent: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DrainState {
    /// Replicas are leaving.
    Draining,
    /// Nothing is left on it, and everything that it held is proven elsewhere.
    Drained,
}

impl DrainState {
    pub fn as_str(self) -> &'static str {
        match self {
            DrainState::Draining => "DRAINING",
            DrainState::Drained => "DRAINED",
        }
    }
}

/// `GET /v1/nodes/ID/drain`, `GET /v1/disks/ID/drain`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrainProgress {
    /// Null: a disk is drained.
    pub node: Option<NodeId>,
    pub disk: Option<DiskId>,
    pub state: DrainState,
    pub owner: String,
    pub reason: String,
    /// RFC 3339.
    pub began: String,
    pub ended: Option<String>,
    /// Held when it began, and what came to it since.
    pub tablets: u64,
    pub tablets_moved: u64,
    pub tablets_left: u64,
    pub bytes: u64,
    pub bytes_moved: u64,
    pub bytes_left: u64,
    /// Of the copies that run now.
    pub bytes_per_s: u64,
    pub copies_running: u64,
    /// Of `bytes_left`: what the copies that run have made already.
    #[serde(default)]
    pub bytes_running: u64,
    /// Why it cannot go on, of the first tablet that finds no place; null while it goes on.
    #[serde(default)]
    pub stuck: Option<Refusal>,
    /// Seconds to its end, from and to; null while nothing can be said.
    pub eta_s: Option<(u64, u64)>,
    /// The first of those that are left, each with what it waits for.
    pub left: Vec<DrainItem>,
}

/// A tablet that is still there, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrainItem {
    pub tablet: TabletId,
    pub table: String,
    pub status: TabletStatus,
    pub why: Refusal,
}

/// `GET /v1/nodes/ID/certificate`: everything that stood on the node is proven elsewhere, as recounted at `issued`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    pub cluster: String,
    pub node: NodeId,
    pub host: String,
    pub name: String,
    /// Its data directories.
    pub disks: Vec<String>,
    /// Who asked for the drain, and why.
    pub owner: String,
    pub reason: String,
    pub began: String,
    pub drained: String,
    pub issued: String,
    pub epoch: u64,
    /// Number of the snapshot of this epoch that was recounted.
    pub revision: u64,
    /// Tablets that left it, and their bytes when the drain began.
    pub tablets: u64,
    pub bytes: u64,
    /// Of these: dropped with their tables meanwhile.
    pub dropped: u64,
    /// The fewest proven copies that any of the others has.
    pub copies_min: u32,
    pub proven: Vec<CertifiedTablet>,
    /// BLAKE3 of this certificate's JSON with an empty digest.
    pub digest: String,
}

/// One tablet of a certificate, with where it stands now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertifiedTablet {
    pub tablet: TabletId,
    pub table: String,
    pub version: Version,
    pub version_hash: VersionHash,
    pub wanted: u32,
    pub copies: Vec<CertifiedCopy>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertifiedCopy {
    pub replica: ReplicaId,
    pub node: NodeId,
    pub host: String,
    /// Seconds since all its bytes were last held against their digests.
    pub verified_s: Option<u64>,
}

/// `POST /v1/nodes/ID/remove`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveAsk {
    /// Remove it although replicas stand on it.
    #[serde(default)]
    pub force: bool,
    /// Only say what it would cost.
    #[serde(default)]
    pub check: bool,
    #[serde(default)]
    pub owner: String,
}

/// What the removal of a node costs. Answered with status 409 when it was refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    pub node: NodeId,
    pub host: String,
    /// It has left the cluster.
    pub removed: bool,
    /// Nothing is lost or thinned by it.
    pub safe: bool,
    /// Tablets that lose a copy.
    pub tablets: u64,
    pub bytes: u64,
    /// Tablets that would be left below a majority of their copies.
    pub below_majority: u64,
    /// Tablets whose last complete copy it holds: while there are any it stays, even by force.
    pub last: u64,
    /// The first of what is in the way, named.
    pub blockers: Vec<Blocker>,
}

/// `POST /v1/nodes/admit`: an agent whose node was removed may join again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmitAsk {
    pub host: String,
    /// The host's name, unless given.
    #[serde(default)]
    pub name: Option<String>,
}

/// `GET /v1/nodes/replicas`: how many replicas each node holds, and how evenly (Pegasus' `nodes -d`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeReplicas {
    pub nodes: Vec<NodeReplicaCount>,
    pub total_node_count: u64,
    pub alive_node_count: u64,
    pub unalive_node_count: u64,
    /// Over the live nodes that hold a replica; to two decimals, 0 when there are fewer than two.
    pub primary_replica_count_stddev: f64,
    pub total_replica_count_stddev: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeReplicaCount {
    pub id: NodeId,
    pub host: String,
    /// Where other agents fetch from it; its host, while that is not known.
    pub address: String,
    /// ALIVE or UNALIVE.
    pub status: String,
    pub replica_count: u64,
    pub primary_count: u64,
    pub secondary_count: u64,
}

/// What a lease is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LeaseOn {
    /// The node is away on purpose.
    Maintenance { node: NodeId },
    /// The table's or the partition's sick tablets go first. `table` is `db.table`.
    Urgent {
        table: String,
        #[serde(default)]
        partition: Option<String>,
    },
    /// One tablet goes first.
    UrgentTablet { tablet: TabletId },
    /// Nothing of the kind is begun: at the one node, disk or table that is named, else everywhere.
    Pause {
        what: PauseWhat,
        #[serde(default)]
        node: Option<NodeId>,
        #[serde(default)]
        disk: Option<DiskId>,
        /// `db.table`.
        #[serde(default)]
        table: Option<String>,
    },
}

/// What is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseWhat {
    /// Copies that only make hosts even.
    Balance,
    /// Repairs, and balance with them.
    Repair,
}

/// `POST /v1/leases`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseAsk {
    pub on: LeaseOn,
    /// Milliseconds.
    pub for_ms: u64,
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub reason: String,
}

/// `GET /v1/leases`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leases {
    pub leases: Vec<LeaseInfo>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaseInfo {
    pub id: u64,
    pub on: LeaseOn,
    pub owner: String,
    pub reason: String,
    /// RFC 3339; null: until it is taken back.
    pub until: Option<String>,
    pub ends_in_ms: Option<u64>,
}

/// `PATCH /v1/tables/DB/NAME`: what is not given stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSet {
    /// Only this partition; replication and medium alone may differ between partitions.
    #[serde(default)]
    pub partition: Option<String>,
    #[serde(default)]
    pub replication: Option<u32>,
    #[serde(default)]
    pub medium: Option<Medium>,
    #[serde(default)]
    pub tag: Option<String>,
    /// A colocation group; empty: none.
    #[serde(default)]
    pub colocate: Option<String>,
    /// Columns, as somebody wrote them: a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
}

/// A partition that a table gets; what is not given is as in its first one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionAdd {
    pub name: String,
    #[serde(default)]
    pub replication: Option<u32>,
    #[serde(default)]
    pub medium: Option<Medium>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaWord {
    /// Not to be trusted: another copy takes its place, its bytes are kept until then.
    Bad,
    /// Trusted again once all its bytes have been held against their digests.
    Ok,
}

/// `POST /v1/tablets/ID/replicas/ID`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSet {
    pub state: ReplicaWord,
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub reason: String,
}

/// `GET /v1/groups`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Groups {
    pub groups: Vec<GroupInfo>,
}

/// A colocation group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupInfo {
    pub name: String,
    /// `db.table`.
    pub tables: Vec<String>,
    pub buckets: u32,
    pub replication: u32,
    /// Every tablet stands complete on the nodes of its bucket, and nowhere else.
    pub stable: bool,
    /// Tablets that do not.
    pub unstable: u64,
    /// By bucket: the nodes that hold it.
    pub sequence: Vec<Vec<NodeId>>,
    /// Why its sequence is not evened now; null: it is about to be.
    #[serde(default)]
    pub idle: Option<Refusal>,
}
