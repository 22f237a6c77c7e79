//! What people want of a table, changed while it lives: copies, medium, tag, colocation.
//!
//! In: an operator's wish. Out: the table's policy on record. It moves nothing: the ladder sees what is wanted now. It
//! refuses what could never come true: more copies than there are hosts, fewer in one step than surplus copies are
//! allowed, a group that the table does not fit into.

use super::tables::{self, bad_request};
use super::{Draft, groups, level, placement};
use crate::policy::{Partition, Table};
use crate::{Answer, Change, Reason, World};
use stele_common::api;

/// Bytes of the comment that columns are; every snapshot of the store holds it.
const COLUMNS_MAX: usize = 64 << 10;

pub fn set(draft: &mut Draft, db: &str, name: &str, wish: &api::TableSet) {
    let answer = match changed(draft, db, name, wish) {
        Ok(()) => Answer::Done,
        Err(reason) => Answer::Refused(reason),
    };
    draft.answer(answer);
}

pub(crate) fn changed(draft: &mut Draft, db: &str, name: &str, wish: &api::TableSet) -> Result<(), Reason> {
    if let Some(reason) = level::forbids_reshaping(draft.world) {
        return Err(reason);
    }
    let before = tables::find(draft.world, db, name)?;
    if wish.partition.is_some() && (wish.tag.is_some() || wish.colocate.is_some()) {
        return Err(bad_request("tag and colocation are of a whole table, not of a partition".into()));
    }
    let mut table = (*before).clone();
    if let Some(tag) = &wish.tag {
        tables::check_name(tag)?;
        table.tag.clone_from(tag);
    }
    let only = match &wish.partition {
        Some(name) => Some(tables::partition(&before, name)?.id),
        None => None,
    };
    for partition in table.partitions.iter_mut().filter(|partition| only.is_none_or(|id| partition.id == id)) {
        partition.medium = wish.medium.unwrap_or(partition.medium);
        partition.replication = wish.replication.unwrap_or(partition.replication);
    }
    if let Some(group) = &wish.colocate {
        table.group = (!group.is_empty()).then(|| group.clone());
    }
    if let Some(columns) = &wish.columns {
        if columns.len() > COLUMNS_MAX {
            return Err(bad_request(format!("columns are a comment of {COLUMNS_MAX} bytes at most")));
        }
        table.columns.clone_from(columns);
    }
    may_be(draft.world, &before, &table)?;
    let group = groups::wanted(draft.world, Some(&before), &table)?;
    if table == *before {
        return Ok(());
    }
    groups::record(draft, group.as_ref());
    draft.record(Change::TableChanged { table });
    groups::drop_unused(draft);
    Ok(())
}

/// Whether each partition's new wish can come true.
fn may_be(world: &World, before: &Table, after: &Table) -> Result<(), Reason> {
    for (old, new) in before.partitions.iter().zip(&after.partitions) {
        tables::check_replication(new.replication)?;
        if new.replication > old.replication || before.tag != after.tag {
            placement::hosts_for(world, &after.tag, new.replication)?;
        }
        if new.replication < old.replication {
            may_lower(world, new)?;
        }
    }
    Ok(())
}

/// No tablet is left with more than the surplus that repair may have.
fn may_lower(world: &World, partition: &Partition) -> Result<(), Reason> {
    let max = partition.replication + super::tasks::SURPLUS_MAX as u32;
    let tablets = partition.tablets.iter().filter_map(|id| world.tablets.get(*id));
    for tablet in tablets {
        let have = tablet.replicas.len() as u32;
        if have > max {
            return Err(Reason::LowerInSteps { tablet: tablet.id, have, max });
        }
    }
    Ok(())
}
