//! The agent's file: where it listens, its disks, the pace of its background reading, what it lets others take.

use crate::Medium;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The agent's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// Address of the coordinator's agent port.
    pub coordinator: String,
    /// The failure domain; default: the machine's host name.
    pub host: String,
    /// Names the agent; default: `host`.
    pub name: String,
    pub rack: String,
    pub tag: String,
    /// Other agents fetch files here.
    pub peer: String,
    /// Files read-only, load streams, metrics.
    pub http: String,
    pub token_file: Option<PathBuf>,
    #[serde(rename = "disk")]
    pub disks: Vec<DiskConfig>,
    pub scrub: ScrubKnobs,
    pub limits: AgentLimits,
}

impl Default for AgentConfig {
    fn default() -> Self {
        AgentConfig {
            coordinator: "127.0.0.1:7400".into(),
            host: String::new(),
            name: String::new(),
            rack: String::new(),
            tag: "default".into(),
            peer: "127.0.0.1:7410".into(),
            http: "127.0.0.1:7411".into(),
            token_file: None,
            disks: Vec::new(),
            scrub: ScrubKnobs::default(),
            limits: AgentLimits::default(),
        }
    }
}

/// One data directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskConfig {
    pub path: PathBuf,
    /// Overrides what the device says.
    #[serde(default)]
    pub medium: Option<Medium>,
    /// Stele uses at most this much of it, bytes.
    #[serde(default)]
    pub capacity_bytes: Option<u64>,
}

/// Pace of the background reading of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScrubKnobs {
    /// Every replica is read once in this time, milliseconds.
    pub period_ms: u64,
    /// Bytes per second and disk at most.
    pub rate_max: u64,
    /// A fresh copy is read past the page cache within this time, milliseconds.
    pub fresh_within_ms: u64,
}

impl Default for ScrubKnobs {
    fn default() -> Self {
        ScrubKnobs { period_ms: 7 * 24 * 3_600_000, rate_max: 50_000_000, fresh_within_ms: 3_600_000 }
    }
}

/// What an agent lets others take from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentLimits {
    /// Connections on the peer port at once.
    pub peers_max: usize,
    /// A peer that sends or takes nothing for this long is cut off, milliseconds.
    pub peer_idle_ms: u64,
    /// Copies being received at once on a disk.
    pub copies_per_disk: usize,
    /// Load streams being received at once on a disk.
    pub loads_per_disk: usize,
    /// Trash is due after this long, milliseconds.
    pub trash_ms: u64,
}

impl Default for AgentLimits {
    fn default() -> Self {
        AgentLimits {
            peers_max: 128,
            peer_idle_ms: 30_000,
            copies_per_disk: 4,
            loads_per_disk: 16,
            trash_ms: 24 * 3_600_000,
        }
    }
}
