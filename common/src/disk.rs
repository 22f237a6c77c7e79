//! Disks as their agent tells of them: medium, space, state.

use crate::DiskId;
use serde::{Deserialize, Serialize};

/// What a disk is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "UPPERCASE")]
pub enum Medium {
    Ssd,
    #[default]
    Hdd,
}

/// Whether a disk may be used.
///
/// ```text
///            fsync failed, EIO              operator
///   ONLINE ───────────────────▶ SUSPECT ──────────────▶ (agent restart: judged anew)
///     │  directory gone, other st_dev, identity changed
///     └──────────▶ UNAVAILABLE ──── seen again with its own id ───▶ ONLINE
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "UPPERCASE")]
pub enum DiskState {
    #[default]
    Online,
    /// It failed to make something durable or to read: nothing new is written, its replicas may still be read.
    Suspect,
    /// Absent, unmounted, foreign, blank or unreadable: its replicas are unknown, not gone.
    Unavailable,
}

/// Space on a disk, in bytes, as Stele counts it (DESIGN 6.6): `total` = used + available, `used` = our own bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    pub total: u64,
    pub used: u64,
    /// The file system's own figures, foreign files included.
    pub raw_total: u64,
    pub raw_free: u64,
}

impl Space {
    /// Bytes that may still be written.
    pub fn available(&self) -> u64 {
        self.total.saturating_sub(self.used)
    }

    /// Used part of the total, 0 to 1; 0 for a disk without size.
    pub fn used_fraction(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.used as f64 / self.total as f64 }
    }
}

/// What an agent says of one of its disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFact {
    /// Its id; an agent's disk that has none yet is told in the handshake only.
    pub disk: DiskId,
    pub path: String,
    pub medium: Medium,
    pub state: DiskState,
    /// Why it is not ONLINE, for people.
    pub cause: Option<String>,
    pub space: Space,
    /// The file system's device number: disks that share one share its space.
    pub device: u64,
}
