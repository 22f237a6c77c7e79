//! Changes about what people asked for: table policies, colocation groups, leases, plans, knobs, the level.

use crate::Change;
use crate::policy::Table;
use crate::world::World;
use std::sync::Arc;

pub(super) fn apply(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        TableChanged { table } => change_table(world, table),
        GroupSet { group } => {
            world.groups.insert(group.name.clone(), Arc::new(group.clone()));
        }
        GroupDropped { name } => {
            world.groups.remove(name);
        }
        PlacesCramped { places } => world.cramped.clone_from(places),
        LeaseGranted { lease, at, wall_ms } => {
            let mut lease = lease.clone();
            lease.set_clock(*at, *wall_ms);
            world.leases.insert(lease);
        }
        LeaseEnded { id } => {
            world.leases.remove(*id);
        }
        KnobSet { setting } => {
            let settings = Arc::make_mut(&mut world.settings);
            settings.set(setting.clone());
            world.knobs = Arc::new(settings.in_force());
        }
        LevelSet { setting } => Arc::make_mut(&mut world.settings).level = setting.clone(),
        PlanKept { plan } => world.plans.put(Arc::clone(plan)),
        PlanTurned { id, state, cause, wall_ms } => world.plans.turn(*id, *state, cause.clone(), *wall_ms),
        PlanForgotten { id } => world.plans.forget(*id),
        _ => unreachable!("{change:?} is not about policy"),
    }
}

/// Tablets carry their partition's policy with them; which tablets there are does not change here.
fn change_table(world: &mut World, table: &Table) {
    if !world.tables.contains_key(&table.id) {
        return;
    }
    for partition in &table.partitions {
        for id in &partition.tablets {
            let Some(tablet) = world.tablets.get_mut(*id) else { continue };
            (tablet.wanted, tablet.medium) = (partition.replication, partition.medium);
            tablet.revision += 1;
        }
    }
    world.tables.insert(table.id, Arc::new(table.clone()));
}
