//! An agent process as a model: its disks, and, while it runs, the real law books of its disks, its session and the
//! work under way. Data only: what it does is in `agents`, `copying` and `streams`.

use crate::copying::Fetching;
use crate::disk::ModelDisk;
use std::collections::{BTreeMap, BTreeSet};
use stele_agent_rules::{Book, Op, report};
use stele_common::{BootId, ClusterId, Fact, NodeId, ReplicaId};

/// One host with its agent.
#[derive(Debug)]
pub struct Agent {
    pub host: String,
    pub disks: Vec<ModelDisk>,
    /// The host will never run again.
    pub gone: bool,
    pub tag: &'static str,
    /// An operator wants it empty.
    pub draining: bool,
    /// Its node was removed from the cluster.
    pub removed: bool,
    /// How often the agent began.
    pub boots: u64,
    /// Written on its disks once the first was formatted.
    pub cluster: Option<ClusterId>,
    /// While it runs.
    pub life: Option<Life>,
}

/// One life of the process.
#[derive(Debug)]
pub struct Life {
    pub boot: BootId,
    pub began: u64,
    /// Number of the latest report.
    pub seq: u64,
    /// Disks in use, by their place in [`Agent::disks`].
    pub books: BTreeMap<usize, Book>,
    pub node: Option<NodeId>,
    pub link: Link,
    /// When the coordinator last said that it hears us.
    pub heard: Option<u64>,
    /// How far the coordinator's store was, as it told; forgotten with the process.
    pub store_seen: stele_common::handshake::StoreMark,
    /// What was told last, by disk.
    pub told: BTreeMap<usize, BTreeMap<report::Key, Fact>>,
    /// Disks about which there may be news.
    pub news: BTreeSet<usize>,
    /// A report is on its way to be made.
    pub report_due: bool,
    /// Ops with the disk's threads, by a number of the simulation.
    pub running: BTreeMap<u64, Running>,
    pub next_number: u64,
    /// Load streams being received.
    pub streams: BTreeSet<(stele_common::LoadId, ReplicaId)>,
}

/// The connection to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Down,
    /// Hello is on its way, since then.
    Asked {
        conn: u64,
        since: u64,
    },
    Up {
        conn: u64,
    },
}

/// An op under way.
#[derive(Clone, Debug)]
pub struct Running {
    pub disk: usize,
    pub op: Op,
    /// State of a copy being received.
    pub fetching: Option<Fetching>,
}

impl Agent {
    /// A host with blank disks, not running.
    pub fn new(index: usize, disks: u64, bytes: u64) -> Agent {
        Agent {
            host: format!("host-{}", index + 1),
            disks: (0..disks).map(|_| ModelDisk::blank(bytes)).collect(),
            gone: false,
            tag: "default",
            draining: false,
            removed: false,
            boots: 0,
            cluster: None,
            life: None,
        }
    }

    /// The data directory's path.
    pub fn path(disk: usize) -> String {
        format!("/disk-{}", disk + 1)
    }

    /// The disk in use that holds a replica.
    pub fn disk_of(&self, replica: ReplicaId) -> Option<usize> {
        let life = self.life.as_ref()?;
        life.books.iter().find(|(_, book)| book.replicas.contains_key(&replica)).map(|(disk, _)| *disk)
    }
}

impl Life {
    /// The open connection.
    pub fn conn(&self) -> Option<u64> {
        match self.link {
            Link::Up { conn } => Some(conn),
            Link::Down | Link::Asked { .. } => None,
        }
    }
}
