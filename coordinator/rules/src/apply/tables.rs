//! Databases, tables and their tablets: how they come, and what goes with them.

use crate::Change;
use crate::world::{Partition, Tablet, World};
use std::sync::Arc;
use stele_common::{PartitionId, TableId};

pub(super) fn apply(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        DatabaseAdded { id, name } => {
            world.databases.insert(name.clone(), *id);
        }
        TableAdded { table, tablets } => {
            world.tables.insert(table.id, Arc::new(table.clone()));
            add_tablets(world, tablets);
        }
        TabletsAdded { tablets } => add_tablets(world, tablets),
        DatabaseDropped { name } => {
            world.databases.remove(name);
        }
        PartitionDropped { table, partition } => drop_partition(world, *table, *partition),
        TableDropped { table } => drop_table(world, *table),
        TabletsDropped { tablets } => world.dropped_tablets.extend(tablets.iter().copied()),
        TabletForgotten { tablet } => {
            world.dropped_tablets.remove(tablet);
            world.forgotten = world.forgotten.max(*tablet);
        }
        _ => unreachable!("{change:?} is not about tables"),
    }
}

fn add_tablets(world: &mut World, tablets: &[Tablet]) {
    for tablet in tablets {
        let mut tablet = tablet.clone();
        tablet.revision += 1;
        world.tablets.insert(tablet);
    }
}

fn drop_table(world: &mut World, id: TableId) {
    let Some(table) = world.tables.remove(&id) else { return };
    table.partitions.iter().for_each(|partition| drop_tablets(world, id, partition));
}

fn drop_partition(world: &mut World, id: TableId, partition: PartitionId) {
    let Some(table) = world.tables.get_mut(&id) else { return };
    let Some(place) = table.partitions.iter().position(|known| known.id == partition) else { return };
    let partition = Arc::make_mut(table).partitions.remove(place);
    drop_tablets(world, id, &partition);
}

fn drop_tablets(world: &mut World, table: TableId, partition: &Partition) {
    for tablet in &partition.tablets {
        world.tablets.remove(*tablet);
        world.tasks.remove(tablet);
        world.salvages.remove(tablet);
        world.dropped_tablets.insert(*tablet, table);
    }
}
