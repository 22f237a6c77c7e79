//! Reading every copy, and manifests.

use crate::{Digest, ReplicaId, TabletId, Version, VersionHash};
use serde::{Deserialize, Serialize};

/// `POST /v1/verify`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyStart {
    /// `db.table`; null = everything.
    pub table: Option<String>,
    /// These alone; empty: all that `table` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tablets: Vec<TabletId>,
}

/// `GET /v1/verify/ID`: progress and findings of a verification.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verification {
    pub id: u64,
    pub replicas: u64,
    pub clean: u64,
    /// Replicas that left the catalog before they were read: moved, or dropped. What took their place was held against
    /// its digests when it came in.
    #[serde(default)]
    pub left: u64,
    pub bytes: u64,
    pub bytes_done: u64,
    /// Replicas found bad, with the cause.
    pub found: Vec<VerifyFinding>,
    /// Replicas that could not be read (their node or disk is away).
    pub unreachable: Vec<VerifyFinding>,
    pub done: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyFinding {
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub host: String,
    pub cause: String,
}

/// A kept manifest: `GET /v1/replicas/ID/manifest?version=V` of an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ManifestInfo {
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub version: Version,
    pub hash: VersionHash,
    pub files: Vec<FileInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    pub path: String,
    pub size: u64,
    pub digest: Digest,
    pub added: Version,
}
