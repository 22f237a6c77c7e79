//! The shapes of a world file, version 1, exactly as they are written down in `docs/WORLD_FILE.md`.
//!
//! In and out: whatever serde is given; text and compression are the caller's. What stands in an `Option` may be
//! missing or null. Unknown keys are passed over, so that a newer file can be read by an older build; what a key means
//! is said in [`mod@super::read`] and [`mod@super::write`], nothing is decided here.

use crate::world::{Lease, Task};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use stele_common::{DiskState, ReplicaState, VersionHash};

/// What `format` says.
pub const FORMAT: &str = "stele-world/1";

/// A whole file, as it is read.
#[derive(Debug, Deserialize)]
pub struct WorldFile {
    pub format: Option<String>,
    pub now_ms: Option<i64>,
    pub config: Option<BTreeMap<String, Scalar>>,
    pub nodes: Option<Vec<FileNode>>,
    pub tables: Option<Vec<FileTable>>,
    pub groups: Option<Vec<FileGroup>>,
    pub tablets: Option<Vec<FileTablet>>,
    pub tasks: Option<Vec<FileTask>>,
    pub leases: Option<Vec<Lease>>,
    pub level: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FileNode {
    pub id: Id,
    pub host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub rack: Option<String>,
    pub tag: Option<String>,
    pub alive: Option<bool>,
    pub silent_ms: Option<i64>,
    pub decommission: Option<bool>,
    pub maintenance_until_ms: Option<i64>,
    /// The exact state of a node, and for how long it has had it; without it `alive` decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_ms: Option<i64>,
    /// False: it is connected and has not told yet what it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<bool>,
    pub disks: Option<Vec<FileDisk>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FileDisk {
    pub path_hash: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub medium: Option<String>,
    pub total: u64,
    pub used: u64,
    pub state: Option<String>,
    pub drain: Option<bool>,
    pub repair_slots_used: Option<u32>,
    pub balance_slots_used: Option<u32>,
    /// For how long it has had its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_ms: Option<i64>,
    /// Disks of a node with one number share their file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<u64>,
    /// The disk that has been given its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<u64>,
    /// Of what is used, the bytes in its trash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trash: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FileTable {
    pub id: Id,
    pub db: Option<String>,
    pub name: Option<String>,
    pub replication_num: Option<u32>,
    pub medium: Option<String>,
    pub tag: Option<String>,
    pub state: Option<String>,
    pub colocate: Option<String>,
    pub partitions: Option<Vec<FilePartition>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FilePartition {
    pub name: String,
    pub medium: Option<String>,
    pub replication_num: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FileGroup {
    pub name: String,
    pub buckets: Option<Vec<Vec<Id>>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FileTablet {
    pub id: Id,
    pub table: Id,
    pub partition: Option<String>,
    pub bucket: Option<u32>,
    pub visible_version: Option<u64>,
    pub committed_version: Option<u64>,
    pub urgent: Option<bool>,
    pub urgent_until_ms: Option<i64>,
    #[serde(default, deserialize_with = "told", skip_serializing_if = "Told::is_missing")]
    pub unhealthy_since_ms: Told<i64>,
    pub ballot: Option<u64>,
    #[serde(default)]
    pub serving: Passed,
    /// Hash of the committed version, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_hash: Option<VersionHash>,
    /// Hash of the visible version, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visible_hash: Option<VersionHash>,
    pub replicas: Option<Vec<FileReplica>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FileReplica {
    pub id: Id,
    pub node: Id,
    pub path_hash: Id,
    pub version: i64,
    pub last_failed_version: Option<i64>,
    pub last_success_version: Option<i64>,
    pub state: Option<ReplicaState>,
    pub bad: Option<bool>,
    pub size: u64,
    pub further_repair_since_ms: Option<i64>,
    #[serde(default, deserialize_with = "told", skip_serializing_if = "Told::is_missing")]
    pub verified_ms: Told<i64>,
    pub role: Option<String>,
    /// Hash of its version; unlike the tablet's it is another content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_hash: Option<VersionHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_cause: Option<String>,
    /// False: no report has named it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<bool>,
    /// The replica that a move has made in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Id>,
    /// For how long it has been below the committed version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<i64>,
}

/// A task as the store keeps it, and how far it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileTask {
    #[serde(flatten)]
    pub task: Task,
    pub started_ms: Option<i64>,
    pub progressed_ms: Option<i64>,
    pub bytes_done: Option<u64>,
    pub bytes_total: Option<u64>,
    pub agent_done: Option<bool>,
}

/// An id of any kind: whatever fits an `i64` or a `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub i128);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Id {
    fn from(id: u64) -> Id {
        Id(id.into())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self.0) {
            Ok(id) => serializer.serialize_u64(id),
            Err(_) => serializer.serialize_i64(self.0 as i64),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Id;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an id, a whole number of 64 bits")
            }
            fn visit_u64<E: de::Error>(self, id: u64) -> Result<Id, E> {
                Ok(Id(id.into()))
            }
            fn visit_i64<E: de::Error>(self, id: i64) -> Result<Id, E> {
                Ok(Id(id.into()))
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

/// A value for which missing and null are not the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told<T> {
    #[default]
    Missing,
    Null,
    Is(T),
}

impl<T> Told<T> {
    pub fn is_missing(&self) -> bool {
        matches!(self, Told::Missing)
    }
}

impl<T: Serialize> Serialize for Told<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Told::Missing | Told::Null => serializer.serialize_none(),
            Told::Is(value) => value.serialize(serializer),
        }
    }
}

fn told<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Told<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map_or(Told::Null, Told::Is))
}

/// A key of the format that this build does not use: anything may stand there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed;

impl Serialize for Passed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl<'de> Deserialize<'de> for Passed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Passed, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Passed)
    }
}

/// A knob's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Bool(bool),
    Whole(u64),
    Signed(i64),
    Real(f64),
    Text(String),
    Nothing(()),
    Names(Vec<String>),
    /// No knob is an object or a list of other things; which one it was is said by its name.
    Other(Passed),
}

/// `ONLINE` and `SUSPECT` are ours; whatever else a disk is called, it cannot be used.
pub fn disk_state(text: &str) -> DiskState {
    match text.to_ascii_uppercase().as_str() {
        "ONLINE" => DiskState::Online,
        "SUSPECT" => DiskState::Suspect,
        _ => DiskState::Unavailable,
    }
}
