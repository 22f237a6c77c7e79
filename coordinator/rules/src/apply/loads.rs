//! Changes about loads: what opening, committing and becoming visible do to the tablets that a load touches.

use crate::Change;
use crate::world::{Load, LoadPhase, Tablet, World};
use stele_common::{TabletId, Tick};

pub(super) fn apply(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        LoadOpened { load } => {
            put(world, load);
            hold(world, load);
        }
        LoadPrepared { key, tablet, replica, hash } => {
            if let Some(part) = world.loads.flying_mut(key).and_then(|load| load.tablets.get_mut(tablet)) {
                part.prepared.insert(*replica, *hash);
                part.failed.remove(replica);
            }
        }
        LoadPartFailed { key, tablet, replica, cause } => {
            if let Some(part) = world.loads.flying_mut(key).and_then(|load| load.tablets.get_mut(tablet)) {
                part.prepared.remove(replica);
                part.failed.insert(*replica, cause.clone());
            }
        }
        LoadCommitAsked { key } => {
            if let Some(load) = world.loads.flying_mut(key) {
                load.commit_asked = true;
            }
        }
        LoadAborted { key, cause, wall_ms } => {
            let Some(load) = world.loads.get(key) else { return };
            let phase = LoadPhase::Aborted { cause: cause.clone() };
            let load = Load { phase, ended_wall_ms: *wall_ms, ..load.clone() };
            release(world, &load);
            world.loads.insert(load);
        }
        LoadCommitted { load, versions, at } => committed(world, load, versions, *at),
        LoadVisible { key, at } => visible(world, key, *at),
        LoadForgotten { key } => {
            if let Some(load) = world.loads.remove(key) {
                world.load_keys.remove(&load.id);
            }
        }
        VersionsCollected { tablet, below } => {
            if let Some(tablet) = world.tablets.get_mut(*tablet) {
                let (visible, committed) = (tablet.visible, tablet.committed);
                tablet.versions.retain(|record| {
                    record.version >= *below || record.version == visible || record.version == committed
                });
                tablet.revision += 1;
            }
        }
        OrphanSeen { load, node, tablet } => {
            world.orphans.entry((*load, *node)).or_default().insert(*tablet);
        }
        OrphanGone { load, node } => {
            world.orphans.remove(&(*load, *node));
        }
        _ => unreachable!("{change:?} is not about loads"),
    }
}

/// Loads that were open are gone with the leadership that opened them; committed ones go on.
pub(super) fn began(world: &mut World, at: Tick) {
    let open: Vec<Load> = world.loads.values().filter(|load| !is_stored(load)).cloned().collect();
    for load in open {
        world.loads.remove(&load.key);
        world.load_keys.remove(&load.id);
        release(world, &load);
    }
    world.loads.all_flying_mut().for_each(|load| load.opened = at);
}

/// Whether the store keeps a load in this phase.
pub(crate) fn is_stored(load: &Load) -> bool {
    match load.phase {
        LoadPhase::Open | LoadPhase::Aborted { .. } => false,
        LoadPhase::Committed | LoadPhase::Visible => true,
    }
}

fn put(world: &mut World, load: &Load) {
    if let Some(earlier) = world.loads.insert(load.clone()) {
        world.load_keys.remove(&earlier.id);
        if earlier.id != load.id {
            release(world, &earlier);
        }
    }
    world.load_keys.insert(load.id, load.key.clone());
}

/// From opening until it is visible or aborted a load keeps others off its tablets.
fn hold(world: &mut World, load: &Load) {
    for_each_tablet(world, load, |tablet| tablet.load = Some(load.id));
}

fn release(world: &mut World, load: &Load) {
    for_each_tablet(world, load, |tablet| {
        if tablet.load == Some(load.id) {
            tablet.load = None;
        }
    });
}

fn for_each_tablet(world: &mut World, load: &Load, mut with: impl FnMut(&mut Tablet)) {
    for id in load.tablets.keys() {
        if let Some(tablet) = world.tablets.get_mut(*id) {
            with(tablet);
            tablet.revision += 1;
        }
    }
}

fn committed(world: &mut World, load: &Load, versions: &[(TabletId, crate::world::VersionRecord)], at: Tick) {
    put(world, load);
    match load.phase {
        LoadPhase::Committed => hold(world, load),
        LoadPhase::Open | LoadPhase::Visible | LoadPhase::Aborted { .. } => release(world, load),
    }
    for (id, record) in versions {
        let Some(tablet) = world.tablets.get_mut(*id) else { continue };
        if record.version <= tablet.committed {
            continue;
        }
        tablet.committed = record.version;
        tablet.versions.push(record.clone());
        tablet.revision += 1;
        for replica in &mut tablet.replicas {
            let Some(seen) = &mut replica.seen else { continue };
            if seen.version < record.version {
                seen.behind.get_or_insert(at);
            }
            if seen.version.max(seen.pending) < record.version && !record.holders.contains(&replica.id) {
                seen.failed.get_or_insert(record.version);
            }
        }
    }
}

fn visible(world: &mut World, key: &stele_common::LoadKey, at: Tick) {
    let Some(load) = world.loads.get(key) else { return };
    let load = Load { phase: LoadPhase::Visible, ..load.clone() };
    release(world, &load);
    world.loads.insert(load.clone());
    for (id, part) in &load.tablets {
        let Some(tablet) = world.tablets.get_mut(*id) else { continue };
        tablet.visible = tablet.visible.max(part.version);
        let visible = tablet.visible;
        for record in tablet.versions.iter_mut().filter(|record| record.version < visible) {
            record.superseded.get_or_insert(at);
        }
    }
}
