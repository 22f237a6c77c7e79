//! Databases and partitions come and go.
//!
//! In: an operator's wish. Out: records, and orders to create and to drop. A database with tables stays, and a table
//! keeps its last partition. A new partition is placed as a new table is.

use super::placement::{self, Places};
use super::tables::{self, bad_request, check_name, check_replication};
use super::{Draft, groups, level};
use crate::world::{Partition, Table, Tablet};
use crate::{Answer, Change, Reason};
use stele_common::{DatabaseId, PartitionId, TabletId, api};

/// Databases at most: each is a few bytes in every snapshot.
const DATABASES_MAX: usize = 10_000;
/// Partitions of one table at most: its record holds them all.
const PARTITIONS_MAX: usize = 4_096;

fn answer(draft: &mut Draft, done: Result<(), Reason>) {
    draft.answer(done.map_or_else(Answer::Refused, |()| Answer::Done));
}

pub fn create_database(draft: &mut Draft, name: &str) {
    let done = created(draft, name);
    answer(draft, done);
}

fn created(draft: &mut Draft, name: &str) -> Result<(), Reason> {
    if let Some(reason) = level::forbids_reshaping(draft.world) {
        return Err(reason);
    }
    check_name(name)?;
    if draft.world.databases.contains_key(name) {
        return Err(bad_request(format!("database `{name}` exists already")));
    }
    if draft.world.databases.len() >= DATABASES_MAX {
        return Err(bad_request(format!("there may be {DATABASES_MAX} databases at most")));
    }
    let id = DatabaseId(draft.take_id());
    draft.record(Change::DatabaseAdded { id, name: name.into() });
    Ok(())
}

pub fn drop_database(draft: &mut Draft, name: &str) {
    let done = dropped(draft, name);
    answer(draft, done);
}

fn dropped(draft: &mut Draft, name: &str) -> Result<(), Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    if !draft.world.databases.contains_key(name) {
        return Err(bad_request(format!("there is no database `{name}`")));
    }
    let tables = draft.world.tables.values().filter(|table| table.db == name).count();
    if tables > 0 {
        return Err(bad_request(format!("database `{name}` has {tables} tables: drop them first")));
    }
    draft.record(Change::DatabaseDropped { name: name.into() });
    Ok(())
}

pub fn add_partition(draft: &mut Draft, db: &str, name: &str, wish: &api::PartitionAdd) {
    let done = added(draft, db, name, wish);
    answer(draft, done);
}

fn added(draft: &mut Draft, db: &str, name: &str, wish: &api::PartitionAdd) -> Result<(), Reason> {
    if let Some(reason) = level::forbids_reshaping(draft.world) {
        return Err(reason);
    }
    let before = tables::find(draft.world, db, name)?;
    check_name(&wish.name)?;
    let called = format!("partition `{}` of {db}.{name}", wish.name);
    if before.partitions.iter().any(|partition| partition.name == wish.name) {
        return Err(bad_request(format!("{called} exists already")));
    }
    if before.partitions.len() >= PARTITIONS_MAX {
        return Err(bad_request(format!("a table has {PARTITIONS_MAX} partitions at most")));
    }
    let first = before.partitions.first().ok_or_else(|| bad_request(format!("{db}.{name} has no partition")))?;
    let replication = wish.replication.unwrap_or(first.replication);
    check_replication(replication)?;
    placement::hosts_for(draft.world, &before.tag, replication)?;
    let medium = wish.medium.unwrap_or(first.medium);
    let id = PartitionId(0);
    let mut partition = Partition { id, name: wish.name.clone(), medium, replication, tablets: Vec::new() };
    let mut table: Table = (*before).clone();
    table.partitions.push(partition.clone());
    // One in a group stands as the group does, and has as many copies.
    let group = groups::wanted(draft.world, Some(&before), &table)?;
    let asked = placement::Wish { medium, copies: replication, tag: &before.tag };
    let mut places = Places::of(draft.world, asked, group.as_deref())?;
    partition.id = PartitionId(draft.take_id());
    let tablets: Vec<Tablet> = (0..before.buckets)
        .map(|bucket| {
            let disks = match &group {
                Some(group) => places.take_on(&group.buckets[bucket as usize]),
                None => places.take(replication as usize),
            };
            tables::place(draft, &disks, medium, (before.id, partition.id, bucket))
        })
        .collect();
    let ids: Vec<TabletId> = tablets.iter().map(|tablet| tablet.id).collect();
    partition.tablets.clone_from(&ids);
    table.partitions.pop();
    table.partitions.push(partition);
    draft.record(Change::TabletsAdded { tablets });
    draft.record(Change::TableChanged { table });
    ids.into_iter().for_each(|tablet| tables::order_creation(draft, tablet));
    Ok(())
}

pub fn drop_partition(draft: &mut Draft, db: &str, name: &str, partition: &str) {
    let done = partition_dropped(draft, db, name, partition);
    answer(draft, done);
}

fn partition_dropped(draft: &mut Draft, db: &str, name: &str, partition: &str) -> Result<(), Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    let table = tables::find(draft.world, db, name)?;
    let found = tables::partition(&table, partition)?;
    if table.partitions.len() == 1 {
        return Err(bad_request(format!("{db}.{name} keeps its last partition: drop the table")));
    }
    let change = Change::PartitionDropped { table: table.id, partition: found.id };
    tables::drop_tablets(draft, table.id, &found.tablets, change);
    Ok(())
}
