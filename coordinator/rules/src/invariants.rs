//! What must always hold of the world, recounted from nothing. Empty = consistent.
//!
//! In: a world. Out: one sentence for each thing that does not hold. It decides nothing and repairs nothing; tests,
//! the simulator and the catalog's owner (in debug builds) ask it after every step.
//!
//! That no two replicas of a tablet share a host is no invariant of the world: a disk may turn up on another host. It
//! is a promise of every decision to add one (`catalog/tasks.rs`), with one exception: a move within a host stands
//! beside what it replaces, and counts only once that one has begun to leave.

use crate::World;
use crate::catalog::tasks::SURPLUS_MAX;
use crate::world::{Load, LoadPhase, Tablet, Work};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskId, ReplicaId, ReplicaState, TaskId};

/// Everything that does not hold.
pub fn check(world: &World) -> Vec<String> {
    let mut notes = Vec::new();
    ids(world, &mut notes);
    for tablet in world.tablets.iter() {
        versions(tablet, &mut notes);
        replicas(world, tablet, &mut notes);
        load_of(world, tablet, &mut notes);
    }
    tables(world, &mut notes);
    loads(world, &mut notes);
    tasks(world, &mut notes);
    beyond(world, &mut notes);
    notes
}

/// Every id in use was issued, and what is issued was reserved.
fn ids(world: &World, notes: &mut Vec<String>) {
    if world.next_id > world.reserved_id {
        notes.push(format!("next id {} is beyond the reserved {}", world.next_id, world.reserved_id));
    }
    let replicas = world.tablets.iter().flat_map(|tablet| tablet.replicas.iter().map(|replica| replica.id.0));
    let tablets = world.tablets.iter().map(|tablet| tablet.id.0);
    let tasks = world.tasks.values().map(|task| task.id.0);
    let loads = world.loads.values().map(|load| load.id.0);
    let rest = world.nodes.keys().map(|id| id.0).chain(world.tables.keys().map(|id| id.0));
    for id in replicas.chain(tablets).chain(tasks).chain(loads).chain(rest) {
        if id >= world.next_id {
            notes.push(format!("id {id} is in use, the next to be issued is {}", world.next_id));
        }
    }
}

fn versions(tablet: &Tablet, notes: &mut Vec<String>) {
    let id = tablet.id;
    if tablet.visible > tablet.committed {
        notes.push(format!("tablet {id}: visible {} is above committed {}", tablet.visible, tablet.committed));
    }
    if !tablet.versions.windows(2).all(|pair| pair[0].version < pair[1].version) {
        notes.push(format!("tablet {id}: its versions are out of order"));
    }
    let newest = tablet.versions.last().map_or(0, |record| record.version.0);
    if newest != tablet.committed.0 {
        notes.push(format!("tablet {id}: the newest record is {newest}, committed is {}", tablet.committed));
    }
    if tablet.visible.0 > 0 && !tablet.versions.iter().any(|record| record.version == tablet.visible) {
        notes.push(format!("tablet {id}: no record of its visible version {}", tablet.visible));
    }
}

fn replicas(world: &World, tablet: &Tablet, notes: &mut Vec<String>) {
    let id = tablet.id;
    if tablet.replicas.len() > tablet.wanted as usize + SURPLUS_MAX {
        notes.push(format!("tablet {id}: {} replicas where {} are wanted", tablet.replicas.len(), tablet.wanted));
    }
    let different: BTreeSet<ReplicaId> = tablet.replicas.iter().map(|replica| replica.id).collect();
    if different.len() != tablet.replicas.len() {
        notes.push(format!("tablet {id}: a replica stands in it twice"));
    }
    if tablet.primary.is_some_and(|primary| !different.contains(&primary)) {
        notes.push(format!("tablet {id}: its primary {:?} is not one of its replicas", tablet.primary));
    }
    let task = world.tasks.get(&id);
    for replica in &tablet.replicas {
        if !world.nodes.contains_key(&replica.node) || !world.disks.contains_key(&replica.disk) {
            notes.push(format!("tablet {id}: replica {} is on an unknown node or disk", replica.id));
        }
        if replica.bad.is_none() && replica.version > tablet.committed {
            notes.push(format!("tablet {id}: replica {} rose above the committed version", replica.id));
        }
        let works = task.map(|task| &task.work);
        match (replica.state, works) {
            (ReplicaState::Clone, Some(Work::Clone { replica: made, .. })) if *made == replica.id => {}
            (ReplicaState::Decommission, Some(Work::Delete { replica: leaving, .. })) if *leaving == replica.id => {}
            (ReplicaState::Normal, _) => {}
            (ReplicaState::Clone | ReplicaState::Decommission, _) => {
                notes.push(format!("tablet {id}: replica {} is {} without a task", replica.id, replica.state));
            }
        }
    }
}

/// The load that holds a tablet is there and in flight.
fn load_of(world: &World, tablet: &Tablet, notes: &mut Vec<String>) {
    let Some(held) = tablet.load else { return };
    let load = world.load_keys.get(&held).and_then(|key| world.loads.get(key)).filter(|load| load.id == held);
    let in_flight = load.is_some_and(|load| match load.phase {
        LoadPhase::Open | LoadPhase::Committed => load.tablets.contains_key(&tablet.id),
        LoadPhase::Visible | LoadPhase::Aborted { .. } => false,
    });
    if !in_flight {
        notes.push(format!("tablet {}: held by load {held}, which is not in flight on it", tablet.id));
    }
}

fn tables(world: &World, notes: &mut Vec<String>) {
    let mut owned: BTreeMap<_, _> = BTreeMap::new();
    for table in world.tables.values() {
        if !world.databases.contains_key(&table.db) {
            notes.push(format!("table {}: its database `{}` is unknown", table.id, table.db));
        }
        for partition in &table.partitions {
            owned.extend(partition.tablets.iter().map(|tablet| (*tablet, (table.id, partition.id))));
        }
    }
    for (id, owner) in &owned {
        if world.tablets.get(*id).is_none_or(|tablet| (tablet.table, tablet.partition) != *owner) {
            notes.push(format!("tablet {id}: table {} names it, and it is not there or another's", owner.0));
        }
        if world.dropped_tablets.contains_key(id) {
            notes.push(format!("tablet {id}: dropped, and in a table"));
        }
    }
    if owned.len() != world.tablets.len() {
        notes.push(format!("{} tablets, tables name {}", world.tablets.len(), owned.len()));
    }
}

fn loads(world: &World, notes: &mut Vec<String>) {
    let is_keyed = |load: &Load| world.load_keys.get(&load.id) == Some(&load.key);
    if world.loads.len() != world.load_keys.len() || !world.loads.values().all(is_keyed) {
        notes.push("the loads' ids and keys disagree".into());
    }
    for load in world.loads.values() {
        let in_flight = match load.phase {
            LoadPhase::Open | LoadPhase::Committed => true,
            LoadPhase::Visible | LoadPhase::Aborted { .. } => false,
        };
        for (id, part) in &load.tablets {
            let Some(tablet) = world.tablets.get(*id) else { continue };
            if in_flight && tablet.load != Some(load.id) {
                notes.push(format!("load {}: in flight, and tablet {id} does not know", load.id));
            }
            if load.phase == LoadPhase::Open && (part.ballot, part.parent) != (tablet.ballot, tablet.committed) {
                notes.push(format!("load {}: open on tablet {id} under an old ballot or parent", load.id));
            }
            if load.phase == LoadPhase::Visible && tablet.visible < part.version {
                notes.push(format!("load {}: visible, and tablet {id} is at {}", load.id, tablet.visible));
            }
            if load.phase == LoadPhase::Committed && tablet.committed < part.version {
                notes.push(format!("load {}: committed, and tablet {id} is at {}", load.id, tablet.committed));
            }
        }
    }
}

fn tasks(world: &World, notes: &mut Vec<String>) {
    let different: BTreeSet<TaskId> = world.tasks.values().map(|task| task.id).collect();
    if different.len() != world.tasks.len() {
        notes.push("a task stands at two tablets".into());
    }
    for (id, task) in &world.tasks {
        let replica = match &task.work {
            Work::Clone { replica, .. } | Work::Delete { replica, .. } => *replica,
        };
        let tablet = world.tablets.get(*id);
        if task.tablet != *id || !tablet.is_some_and(|tablet| tablet.replicas.iter().any(|r| r.id == replica)) {
            notes.push(format!("task {}: tablet {id} has no replica {replica}", task.id));
        }
    }
}

/// A stray is not in the catalog, and nothing in the catalog was ordered to be dropped.
fn beyond(world: &World, notes: &mut Vec<String>) {
    for (tablet, replica) in world.strays.keys() {
        if world.tablets.get(*tablet).is_some_and(|tablet| tablet.replicas.iter().any(|r| r.id == *replica)) {
            notes.push(format!("tablet {tablet}: stray {replica} is in the catalog"));
        }
    }
    let mut trash: BTreeMap<DiskId, u64> = BTreeMap::new();
    for trashed in world.trash.values() {
        *trash.entry(trashed.fact.disk).or_default() += trashed.fact.bytes;
    }
    for disk in world.disks.values().filter(|disk| disk.trash < trash.get(&disk.id).copied().unwrap_or(0)) {
        notes.push(format!("disk {}: {} bytes of trash, its trash has {:?}", disk.id, disk.trash, trash.get(&disk.id)));
    }
    for tablet in world.tablets.iter() {
        for replica in tablet.replicas.iter().filter(|replica| world.condemned.contains(&(tablet.id, replica.id))) {
            notes.push(format!("tablet {}: replica {} is in the catalog and condemned", tablet.id, replica.id));
        }
    }
}
