//! Which tablets must be checked anew after a change: kept by the Catalog until the Checker takes it.
//!
//! In: each change, with the world as it was last published. Out: tablets, tables and nodes; the Checker resolves the latter two.
//! It may name too much, never too little.

use std::collections::BTreeSet;
use stele_common::{DiskId, NodeId, TableId, TabletId};
use stele_coordinator_rules::policy::LeaseScope;
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
            | NodeDrained { node, .. }
            | NodeRemoved { node, .. }
            | DiskAdded { node, .. } => {
                self.nodes.insert(*node);
            }
            // Everything that was learned is forgotten.
            LeadershipBegan { .. } => self.nodes.extend(world.nodes.keys()),
            DiskMoved { disk, node, .. } => {
                self.nodes.insert(*node);
                self.note_disk(world, *disk);
            }
            DiskReplaced { disk, .. }
            | DiskUnseen { disk, .. }
            | DiskTwinned { disk, .. }
            | DiskDrained { disk, .. } => self.note_disk(world, *disk),
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
            TableChanged { table } => {
                self.tables.insert(table.id);
            }
            // Waits and counts may differ now, of every tablet.
            KnobSet { .. } => self.tables.extend(world.tables.keys()),
            GroupSet { group } => self.note_group(world, &group.name),
            GroupDropped { name } => self.note_group(world, name),
            LeaseGranted { lease, .. } => self.note_lease(&lease.scope),
            LeaseEnded { id } => {
                if let Some(lease) = world.leases.get(id) {
                    self.note_lease(&lease.scope);
                }
            }
            TabletsAdded { tablets } => self.tablets.extend(tablets.iter().map(|tablet| tablet.id)),
            // Its tablets are named while there still is a world that has them.
            TableDropped { table } => {
                let tablets = world.tables.get(table).into_iter().flat_map(|table| &table.partitions);
                self.tablets.extend(tablets.flat_map(|partition| &partition.tablets));
            }
            PartitionDropped { table, partition } => {
                let partitions = world.tables.get(table).into_iter().flat_map(|table| &table.partitions);
                let dropped = partitions.filter(|known| known.id == *partition);
                self.tablets.extend(dropped.flat_map(|partition| &partition.tablets));
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

    fn note_group(&mut self, world: &World, name: &str) {
        let tables = world.tables.values().filter(|table| table.group.as_deref() == Some(name));
        self.tables.extend(tables.map(|table| table.id));
    }

    fn note_lease(&mut self, scope: &LeaseScope) {
        match scope {
            LeaseScope::Maintenance { node } => {
                self.nodes.insert(*node);
            }
            LeaseScope::Urgent { table, .. } => {
                self.tables.insert(*table);
            }
            // It changes no verdict.
            LeaseScope::Pause { .. } => {}
            LeaseScope::UrgentTablet { tablet } => {
                self.tablets.insert(*tablet);
            }
        }
    }

    fn note_disk(&mut self, world: &World, disk: DiskId) {
        self.nodes.extend(world.disks.get(&disk).map(|disk| disk.node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::{DiskState, Liveness, Tick};
    use stele_coordinator_rules::sample::Sample;

    fn noted(world: &World, change: Change) -> Dirty {
        let mut dirty = Dirty::default();
        dirty.note(world, &change);
        dirty
    }

    /// What must be checked anew after which change.
    #[test]
    fn what_a_change_touches() {
        let mut sample = Sample::new(3, 1);
        let tablets = sample.table(3, 2);
        let (node, table) = (sample.nodes()[0], *sample.world.tables.keys().next().unwrap());
        let replica = sample.replicas(tablets[0])[0];
        let world = &sample.world;
        let node_turned = Change::NodeLive { node, liveness: Liveness::Silent, at: Tick(1) };
        assert_eq!(noted(world, node_turned).nodes, BTreeSet::from([node]));
        let bad = Change::ReplicaBad { tablet: tablets[0], replica, cause: "x".into() };
        assert_eq!(noted(world, bad).tablets, BTreeSet::from([tablets[0]]));
        assert_eq!(noted(world, Change::TableDropped { table }).tablets, tablets.iter().copied().collect());
        assert_eq!(noted(world, Change::LeadershipBegan { at: Tick(1), wall_ms: 0 }).nodes.len(), 3);
    }

    /// Space that changes with every report is no reason to check anything; a state is.
    #[test]
    fn space_is_no_news() {
        let sample = Sample::new(1, 1);
        let node = sample.nodes()[0];
        let disk = &sample.world.disks[&sample.disks_of(node)[0]];
        let fact = stele_common::DiskFact {
            disk: disk.id,
            path: disk.path.clone(),
            medium: disk.medium,
            state: DiskState::Online,
            cause: None,
            space: stele_common::Space { used: 7, ..disk.space },
            device: disk.device,
        };
        let turned = stele_common::DiskFact { state: DiskState::Suspect, ..fact.clone() };
        assert!(noted(&sample.world, Change::DiskSeen { fact, node, at: Tick(1) }).is_empty());
        assert_eq!(noted(&sample.world, Change::DiskSeen { fact: turned, node, at: Tick(1) }).nodes.len(), 1);
    }
}
