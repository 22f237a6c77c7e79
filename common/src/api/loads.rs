//! Loads, from the wish to the result.

use crate::{Ballot, Digest, LoadId, LoadKey, LoadMode, NodeId, ReplicaId, TabletId, Version, VersionHash};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
