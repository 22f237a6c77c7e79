//! Colocation groups: tables whose tablets of one bucket stand on the same nodes.
//!
//! In: a table that joins or leaves; ticks. Out: the group with its bucket sequence on record. A table joins only when
//! buckets, copies and tag are those of the group. A group goes when its last table has left. Who stands in a sequence
//! and who is replaced is [`crate::colocation`]'s word, how it is evened [`crate::balance::colocate`]'s.

use super::Draft;
use crate::balance::colocate::evened;
use crate::colocation::room;
use crate::policy::{Group, Table};
use crate::world::Tablet;
use crate::{Change, Reason, World, colocation, level};
use std::collections::BTreeSet;
use std::sync::Arc;
use stele_common::NodeId;

/// Sequences are looked at this often.
const LOOK_MS: u64 = 1_000;
/// They are evened this often (the original's period): all tablets of a group are looked at for it.
const EVEN_MS: u64 = 20_000;

fn mismatch(group: &str, detail: String) -> Reason {
    Reason::GroupMismatch { group: group.into(), detail }
}

/// The group that the table is to be in: the one that is there, if the table fits into it, or a new one. `before` is
/// the table as it is, if it is there.
pub fn wanted(world: &World, before: Option<&Table>, table: &Table) -> Result<Option<Arc<Group>>, Reason> {
    let Some(name) = &table.group else { return Ok(None) };
    super::tables::check_name(name)?;
    let n = table.partitions.first().map_or(0, |partition| partition.replication);
    if table.partitions.iter().any(|partition| partition.replication != n) {
        return Err(mismatch(name, "all partitions of its tables need the same number of copies".into()));
    }
    let Some(group) = world.groups.get(name) else {
        let buckets = standing(world, table, n).or_else(|| colocation::fresh(world, table.buckets, n, &table.tag));
        let buckets = buckets.ok_or_else(|| super::placement::too_few_hosts(world, &table.tag, n))?;
        return Ok(Some(Arc::new(Group::new(name.clone(), buckets))));
    };
    if before.is_some_and(|before| before.group == table.group && !same_shape(before, table)) {
        let detail = "a table in it keeps its copies and its tag; take it out first: --colocate none".into();
        return Err(mismatch(name, detail));
    }
    fits(world, group, table, n)?;
    Ok(Some(group.clone()))
}

fn fits(world: &World, group: &Group, table: &Table, n: u32) -> Result<(), Reason> {
    let buckets = group.buckets.len() as u32;
    if table.buckets != buckets {
        return Err(mismatch(&group.name, format!("it has {buckets} buckets, the table {}", table.buckets)));
    }
    let copies = group.buckets.first().map_or(0, Vec::len) as u32;
    if n != copies {
        return Err(mismatch(&group.name, format!("its tables have {copies} copies, the table {n}")));
    }
    let is_other = |other: &&Arc<Table>| other.group.as_ref() == Some(&group.name) && other.id != table.id;
    let mut others = world.tables.values().filter(is_other);
    match others.find(|other| other.tag != table.tag) {
        Some(other) => {
            let detail = format!("its tables have the tag `{}`, the table `{}`", other.tag, table.tag);
            Err(mismatch(&group.name, detail))
        }
        None => Ok(()),
    }
}

/// Partitions may come and go; those that stay keep their copies. (All have the same number: asked above.)
fn same_shape(before: &Table, after: &Table) -> bool {
    let copies = |table: &Table| table.partitions.first().map(|partition| partition.replication);
    before.tag == after.tag && copies(before) == copies(after)
}

/// Puts a new group on record, before the table that is in it.
pub fn record(draft: &mut Draft, group: Option<&Arc<Group>>) {
    if let Some(group) = group.filter(|group| !draft.world.groups.contains_key(&group.name)) {
        draft.record(Change::GroupSet { group: (**group).clone() });
    }
}

/// Where the table's first partition stands already, if it stands whole on nodes that stay.
fn standing(world: &World, table: &Table, n: u32) -> Option<Vec<Vec<NodeId>>> {
    let tablets = &table.partitions.first()?.tablets;
    if tablets.len() as u32 != table.buckets {
        return None;
    }
    let nodes = |tablet: &Tablet| -> Option<Vec<NodeId>> {
        let nodes: Vec<NodeId> = tablet.replicas.iter().map(|replica| replica.node).collect();
        let known = nodes.iter().map(|node| world.nodes.get(node)).collect::<Option<Vec<_>>>()?;
        let hosts: BTreeSet<&str> = known.iter().map(|node| node.host.as_str()).collect();
        let fit = known.iter().all(|node| !node.draining && node.tag == table.tag);
        (fit && nodes.len() as u32 == n && hosts.len() as u32 == n).then_some(nodes)
    };
    tablets.iter().map(|id| nodes(world.tablets.get(*id)?)).collect()
}

/// Groups that no table is in any more leave the record.
pub fn drop_unused(draft: &mut Draft) {
    let used: BTreeSet<&String> = draft.world.tables.values().filter_map(|table| table.group.as_ref()).collect();
    let unused: Vec<String> = draft.world.groups.keys().filter(|name| !used.contains(name)).cloned().collect();
    unused.into_iter().for_each(|name| draft.record(Change::GroupDropped { name }));
}

/// Nodes that must go are replaced in their sequences, and what is back takes its place again; when nothing of this is
/// due, nodes without room give their places away, and groups are evened.
pub fn tick(draft: &mut Draft) {
    if draft.world.groups.is_empty() || !draft.comes_round(draft.world.began, LOOK_MS) {
        return;
    }
    let (world, at) = (&*draft.world, draft.at);
    if level::forbids_repair(world).is_some() {
        return;
    }
    let mut changed: Vec<Group> =
        world.groups.values().filter_map(|group| colocation::repaired(world, group, at)).collect();
    let is_due = draft.comes_round(world.began, EVEN_MS);
    if is_due {
        let places = room::cramped(world, at);
        if places != world.cramped {
            draft.record(Change::PlacesCramped { places });
        }
    }
    let world = &*draft.world;
    if is_due && changed.is_empty() {
        // One at a time: two groups would count on the same room.
        changed = world.groups.values().find_map(|group| room::relieved(world, group, at)).into_iter().collect();
    }
    if is_due && changed.is_empty() && level::forbids_balance(world).is_none() {
        let evened = world.groups.values().filter_map(|group| evened(world, group, at).ok());
        changed = evened.map(|(group, _)| group).collect();
    }
    changed.into_iter().for_each(|group| draft.record(Change::GroupSet { group }));
}
