//! The durable state as durable changes: what a snapshot of the store holds in place of its long log.
//!
//! In: a world. Out: changes that, applied to an empty world, give the same durable state. It must never write
//! anything volatile: what was learned from reports is learned again.

use crate::Change;
use crate::apply::loads_are_stored;
use crate::world::{CHUNK, Disk, Lease, LevelSetting, Past, Removed, Tablet, World};
use std::sync::Arc;

/// The durable state of `world`, as changes.
pub fn as_changes(world: &World) -> Vec<Change> {
    let mut changes = vec![Change::Born { cluster: world.cluster.clone() }, Change::EpochBegan { epoch: world.epoch }];
    // Each left when ids up to its own mark had been given.
    let mut removed: Vec<_> = world.removed.iter().collect();
    removed.sort_by_key(|(_, removed)| removed.before);
    for ((host, name), Removed { node, before, peer, http }) in removed {
        let (node, host, name, rack, tag) = (*node, host.clone(), name.clone(), String::new(), String::new());
        changes.push(Change::IdsReserved { end: *before });
        changes.push(Change::NodeAdded { node, host, name, rack, tag });
        changes.push(Change::NodeRemoved { node, peer: peer.clone(), http: http.clone() });
    }
    changes.push(Change::IdsReserved { end: world.reserved_id });
    for (host, name) in &world.expected {
        changes.push(Change::NodeAdmitted { host: host.clone(), name: name.clone() });
    }
    changes.extend(world.nodes.values().map(|node| Change::NodeAdded {
        node: node.id,
        host: node.host.clone(),
        name: node.name.clone(),
        rack: node.rack.clone(),
        tag: node.tag.clone(),
    }));
    let draining = world.nodes.values().filter(|node| node.draining);
    changes.extend(draining.map(|node| Change::NodeDrained { node: node.id, on: true }));
    world.disks.values().for_each(|disk| put_disk(&mut changes, disk));
    changes.extend(world.drains.values().map(|drain| Change::DrainBegan { drain: (**drain).clone() }));
    let databases = world.databases.iter();
    changes.extend(databases.map(|(name, id)| Change::DatabaseAdded { id: *id, name: name.clone() }));
    let tables = world.tables.values();
    changes.extend(tables.map(|table| Change::TableAdded { table: (**table).clone(), tablets: Vec::new() }));
    changes.extend(world.groups.values().map(|group| Change::GroupSet { group: (**group).clone() }));
    changes.extend(world.leases.values().map(|lease| {
        let lease = Lease { until: None, ..lease.clone() };
        Change::LeaseGranted { lease, at: Default::default(), wall_ms: 0 }
    }));
    changes.extend(world.settings.replay().into_iter().map(|setting| Change::KnobSet { setting }));
    if world.settings.level != LevelSetting::default() {
        changes.push(Change::LevelSet { setting: world.settings.level.clone() });
    }
    changes.extend(world.plans.iter().map(|plan| Change::PlanKept { plan: Arc::clone(plan) }));
    for chunk in world.tablets.chunks() {
        debug_assert!(chunk.len() as u64 <= CHUNK, "a chunk of {} tablets", chunk.len());
        changes.push(Change::TabletsAdded { tablets: chunk.values().map(durable).collect() });
    }
    let dropped: Vec<_> = world.dropped_tablets.iter().map(|(tablet, table)| (*tablet, *table)).collect();
    changes.extend(dropped.chunks(CHUNK as usize * 16).map(|part| Change::TabletsDropped { tablets: part.to_vec() }));
    for load in world.loads.values().filter(|load| loads_are_stored(load)) {
        let mut load = load.clone();
        (load.opened, load.commit_asked) = Default::default();
        for part in load.tablets.values_mut() {
            part.prepared.clear();
            part.failed.clear();
        }
        changes.push(Change::LoadCommitted { load, versions: Vec::new(), at: Default::default() });
    }
    for task in world.tasks.values() {
        changes.push(Change::TaskStarted { task: task.clone().into_ordered() });
    }
    put_history(&mut changes, world);
    let sequences = world.sequences.iter().map(|(epoch, sequence)| (*epoch, *sequence)).collect();
    let (sequence, forgotten) = (world.sequence, world.forgotten);
    changes.push(Change::Counted { sequence, sequences, forgotten });
    changes
}

fn put_history(changes: &mut Vec<Change>, world: &World) {
    let mut past: Vec<Past> = world.history.iter().cloned().collect();
    past.reverse();
    changes.extend(past.chunks(PAST).map(|part| Change::TasksPast { past: part.to_vec() }));
}

/// Ended tasks in one change: with their evidence some tens of KiB.
const PAST: usize = 100;

fn put_disk(changes: &mut Vec<Change>, disk: &Disk) {
    let (id, path, medium) = (disk.id, disk.path.clone(), disk.medium);
    changes.push(Change::DiskAdded { disk: id, node: disk.node, path, medium });
    changes.extend(disk.replaced_by.map(|by| Change::DiskReplaced { disk: id, by }));
    changes.extend(disk.draining.then_some(Change::DiskDrained { disk: id, on: true }));
}

/// A tablet without what is not stored of it.
fn durable(tablet: &Tablet) -> Tablet {
    let mut tablet = tablet.clone();
    (tablet.revision, tablet.load, tablet.unhealthy_since) = (0, None, None);
    tablet.replicas.iter_mut().for_each(|replica| (replica.seen, replica.further_repair) = (None, None));
    tablet.versions.iter_mut().for_each(|record| record.superseded = None);
    tablet
}
