//! What people asked for: tables with their partitions, colocation groups, and leases (everything that ends by itself).
//!
//! In: a world. Out: what is wanted of a tablet, and what is in force at a time. It decides nothing about copies: the
//! ladder reads it. A lease never decides about safety, only about what is done first, or later.

use crate::World;
use crate::world::{Replica, Tablet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use stele_common::api::PauseWhat;
use stele_common::{DatabaseId, DiskId, Medium, NodeId, PartitionId, TableId, TabletId, Tick};

/// The tag of nodes and tables that nobody gave one.
pub const DEFAULT_TAG: &str = "default";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub id: TableId,
    pub db: String,
    pub db_id: DatabaseId,
    pub name: String,
    pub buckets: u32,
    /// Its copies stand on nodes with this tag (the seed's "cluster").
    #[serde(default = "default_tag")]
    pub tag: String,
    /// The colocation group that it is in.
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub state: TableState,
    pub partitions: Vec<Partition>,
    /// Columns, as somebody wrote them: a comment.
    #[serde(default)]
    pub columns: String,
}

fn default_tag() -> String {
    DEFAULT_TAG.into()
}

/// Whether anything else is being done to the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TableState {
    #[default]
    Normal,
    /// Its shape is being changed: only version repair is scheduled.
    Altering,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    pub id: PartitionId,
    pub name: String,
    pub medium: Medium,
    pub replication: u32,
    /// By bucket.
    pub tablets: Vec<TabletId>,
}

/// Tables whose tablets of one bucket stand on the same nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    /// By bucket: the nodes that hold it.
    pub buckets: Vec<Vec<NodeId>>,
    /// Buckets in which a node that had to go was replaced, as they were before: until their tablets stand anew.
    #[serde(default)]
    pub former: BTreeMap<u32, Vec<NodeId>>,
}

impl Group {
    pub fn new(name: String, buckets: Vec<Vec<NodeId>>) -> Group {
        Group { name, buckets, former: BTreeMap::new() }
    }
}

/// Something that holds for a time: who wanted it, why, for what, until when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    pub id: u64,
    pub scope: LeaseScope,
    pub owner: String,
    pub reason: String,
    /// Milliseconds since 1970; `None`: until it is taken back.
    pub until_wall_ms: Option<u64>,
    /// The same on this leadership's clock.
    #[serde(skip)]
    pub until: Option<Tick>,
}

/// What a lease is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseScope {
    /// The node is away on purpose: nothing is copied for it unless one copy is left.
    Maintenance { node: NodeId },
    /// The table's (or one partition's) sick tablets go first.
    Urgent { table: TableId, partition: Option<PartitionId> },
    /// One tablet goes first; only a world file marks single tablets.
    UrgentTablet { tablet: TabletId },
    /// Nothing of the kind is begun there.
    Pause { what: PauseWhat, on: PauseOn },
}

/// Where something is paused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseOn {
    Everything,
    Node { node: NodeId },
    Disk { disk: DiskId },
    Table { table: TableId },
}

/// What an operator wants empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaver {
    Node(NodeId),
    Disk(DiskId),
}

/// A drain on record: who wanted it, and what stood there when it began, so that its end can be proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drain {
    pub of: Leaver,
    pub owner: String,
    pub reason: String,
    /// Milliseconds since 1970; shown, decides nothing.
    pub began_wall_ms: u64,
    /// Tablets with a replica there, in order, each with its bytes.
    pub held: Vec<(TabletId, u64)>,
    /// When nothing was left there and everything was proven elsewhere.
    pub done_wall_ms: Option<u64>,
}

impl Leaver {
    /// Whether the replica stands on it.
    pub fn has(self, replica: &Replica) -> bool {
        match self {
            Leaver::Node(node) => replica.node == node,
            Leaver::Disk(disk) => replica.disk == disk,
        }
    }
}

impl Lease {
    pub fn is_over(&self, at: Tick) -> bool {
        self.until.is_some_and(|until| until <= at)
    }

    /// Its end on this leadership's clock, from the two clocks at one moment.
    pub fn set_clock(&mut self, at: Tick, wall_ms: u64) {
        self.until = self.until_wall_ms.map(|until| at.plus(until.saturating_sub(wall_ms)));
    }
}

impl World {
    /// Until when a node is under maintenance, if it is.
    pub fn maintenance_until(&self, node: NodeId, at: Tick) -> Option<Tick> {
        let leases = self.leases.about(&LeaseScope::Maintenance { node });
        leases.filter(|lease| !lease.is_over(at)).filter_map(|lease| lease.until).max()
    }

    /// Whether somebody asked for this tablet to be repaired first.
    pub fn is_urgent(&self, tablet: &Tablet, at: Tick) -> bool {
        self.leases.want_first(tablet, at)
    }

    /// The nodes that the tablet's colocation group wants its copies on.
    pub fn bucket_nodes(&self, tablet: &Tablet) -> Option<&[NodeId]> {
        if self.groups.is_empty() {
            return None;
        }
        let group = self.tables.get(&tablet.table)?.group.as_ref()?;
        self.groups.get(group)?.buckets.get(tablet.bucket as usize).map(Vec::as_slice)
    }

    /// The tag that the tablet's copies are to stand under.
    pub fn tag_of(&self, tablet: &Tablet) -> &str {
        self.tables.get(&tablet.table).map_or(DEFAULT_TAG, |table| &table.tag)
    }
}
