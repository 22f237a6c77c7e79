//! Which tablets must be checked anew after a change: kept by the Catalog until the Checker takes it.
//!
//! In: each change, with the world as it was last published. Out: tablets, tables and nodes; the Checker resolves the latter two.
//! It may name too much, never too little.

use std::collections::BTreeSet;
use stele_common::{DiskId, NodeId, TableId, TabletId};
use stele_coordinator_rules::{Change, World};

/// What to look at again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    pub tablets: BTreeSet<TabletId>,
    /// All tablets with a replica on one of these.
    pub nodes: BTreeSet<NodeId>,
    /// All tablets of these.
    pub tables: BTreeSet<TableId>,
}

impl Dirty {
    pub fn is_empty(&self) -> bool {
        self.tablets.is_empty() && self.nodes.is_empty() && self.tables.is_empty()
    }

    /// Notes what `change` touches in `world`, which does not show it yet.
    pub fn note(&mut self, world: &World, change: &Change) {
        use Change::*;
        match change {
            NodeConnected { node, .. }
            | NodeLive { node, .. }
            | ReportsBroken { node }
            | FullReportTaken { node }
            | DiskAdded { node, .. } => {
                self.nodes.insert(*node);
            }
            // Everything that was learned is forgotten.
            LeadershipBegan { .. } => self.nodes.extend(world.nodes.keys()),
            DiskMoved { disk, node, .. } => {
                self.nodes.insert(*node);
                self.note_disk(world, *disk);
            }
            DiskReplaced { disk, .. } | DiskUnseen { disk, .. } => self.note_disk(world, *disk),
            // Space changes with every report; only the state counts for a verdict.
            DiskSeen { fact, node, .. } => {
                if world.disks.get(&fact.disk).is_none_or(|disk| disk.state != fact.state || disk.node != *node) {
                    self.nodes.insert(*node);
                    self.note_disk(world, fact.disk);
                }
            }
            TableAdded { table, .. } => {
                self.tables.insert(table.id);
            }
            TabletsAdded { tablets } => self.tablets.extend(tablets.iter().map(|tablet| tablet.id)),
            // Its tablets are named while there still is a world that has them.
            TableDropped { table } => {
                let tablets = world.tables.get(table).into_iter().flat_map(|table| &table.partitions);
                self.tablets.extend(tablets.flat_map(|partition| &partition.tablets));
            }
            LoadCommitted { versions, .. } => self.tablets.extend(versions.iter().map(|(tablet, _)| *tablet)),
            LoadVisible { key, .. } => {
                let load = world.loads.get(key);
                self.tablets.extend(load.iter().flat_map(|load| load.tablets.keys()));
            }
            // How far a copy is says nothing about the tablet.
            TaskProgressed { .. } | ReplicaConfirmed { .. } => {}
            other => self.tablets.extend(other.tablet()),
        }
    }

    fn note_disk(&mut self, world: &World, disk: DiskId) {
        self.nodes.extend(world.disks.get(&disk).map(|disk| disk.node));
    }
}
