//! What a plan was made on, and whether that still holds. Loads go on all the time and spoil nothing; what decides where
//! copies may stand does: disks that came or went, policies, placements.
//!
//! In: the world then and now. Out: the first thing that differs, named.

use super::{Plan, Step};
use crate::checkup::count::host_of;
use crate::evacuation::name_of;
use crate::schedule::target::{place_refusal, takes_nothing_new};
use crate::world::Tablet;
use crate::{Reason, World};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::api::PlanWhat;
use stele_common::{DiskId, Medium, PartitionId, TableId, TabletId};

/// What a plan depends on beside the placements that its steps name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// Disks that could take copies.
    pub disks: BTreeSet<DiskId>,
    pub policies: BTreeMap<TableId, Policy>,
    /// Of a drain: all that stood on what is to be emptied, those that find no place as well.
    pub held: BTreeSet<TabletId>,
}

/// What is wanted of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub tag: String,
    pub group: Option<String>,
    pub partitions: Vec<(PartitionId, Medium, u32)>,
}

impl Base {
    pub fn of(world: &World, steps: &[Step], held: BTreeSet<TabletId>) -> Base {
        let tablets = steps.iter().filter_map(|step| world.tablets.get(step.tablet));
        let tables: BTreeSet<TableId> = tablets.map(|tablet| tablet.table).collect();
        let policies = tables.into_iter().filter_map(|table| Some((table, policy(world, table)?))).collect();
        Base { disks: usable(world), policies, held }
    }
}

fn usable(world: &World) -> BTreeSet<DiskId> {
    let takes =
        |disk: &&crate::world::Disk| place_refusal(world, disk).is_none() && takes_nothing_new(world, disk).is_none();
    world.disks.values().filter(takes).map(|disk| disk.id).collect()
}

fn policy(world: &World, table: TableId) -> Option<Policy> {
    let table = world.tables.get(&table)?;
    let partitions = table.partitions.iter().map(|partition| (partition.id, partition.medium, partition.replication));
    Some(Policy { tag: table.tag.clone(), group: table.group.clone(), partitions: partitions.collect() })
}

/// Why the plan does not fit this world any more.
pub fn moved_on(world: &World, plan: &Plan) -> Option<Reason> {
    let stale = |detail: String| Some(stale(plan, detail));
    let now = usable(world);
    if let Some(gone) = plan.base.disks.difference(&now).next() {
        return stale(format!("disk {gone} takes nothing any more"));
    }
    if let Some(new) = now.difference(&plan.base.disks).next() {
        return stale(format!("disk {new} can take copies now"));
    }
    for (table, was) in &plan.base.policies {
        match policy(world, *table) {
            None => return stale(format!("table {table} was dropped")),
            Some(is) if is != *was => return stale(format!("something else is wanted of table {table}")),
            Some(_) => {}
        }
    }
    if let PlanWhat::Drain { .. } = plan.what
        && let Some(detail) = came(world, plan)
    {
        return stale(detail);
    }
    plan.steps.iter().find_map(|step| displaced(world, step)).and_then(stale)
}

fn stale(plan: &Plan, detail: String) -> Reason {
    Reason::PlanStale { plan: plan.id, detail }
}

/// Why nobody wishes for what a running plan is about any more: its drain was taken back, or the table is to be
/// something else again.
pub fn taken_back(world: &World, plan: &Plan) -> Option<Reason> {
    let is_wished = match &plan.what {
        PlanWhat::Balance { .. } | PlanWhat::Hosts { .. } => true,
        PlanWhat::Drain { .. } => super::draw::leaving_of(world, &plan.what).is_some_and(|leaving| {
            let nodes = leaving.nodes.iter().all(|node| world.nodes.get(node).is_some_and(|node| node.draining));
            nodes && leaving.disks.iter().all(|disk| world.disks.get(disk).is_some_and(|disk| disk.draining))
        }),
        PlanWhat::Policy { table, wish } => super::draw::table_of(world, table).is_ok_and(|table| {
            let mut partitions = table
                .partitions
                .iter()
                .filter(|partition| wish.partition.as_ref().is_none_or(|name| *name == partition.name));
            wish.tag.as_ref().is_none_or(|tag| *tag == table.tag)
                && partitions.all(|partition| {
                    wish.replication.is_none_or(|copies| copies == partition.replication)
                        && wish.medium.is_none_or(|medium| medium == partition.medium)
                })
        }),
    };
    (!is_wished).then(|| stale(plan, "what it was made for is not wanted any more".into()))
}

/// What has come to a drain's nodes and disks since.
fn came(world: &World, plan: &Plan) -> Option<String> {
    let leaving = super::draw::leaving_of(world, &plan.what)?;
    let tablet = world.tablets.iter().find(|tablet| {
        !plan.base.held.contains(&tablet.id) && tablet.replicas.iter().any(|replica| leaving.has(replica))
    })?;
    Some(format!("tablet {} of {} stands there now", tablet.id, name_of(world, tablet)))
}

/// What keeps a step from being taken as it was drawn.
fn displaced(world: &World, step: &Step) -> Option<String> {
    let Some(tablet) = world.tablets.get(step.tablet) else {
        return Some(format!("tablet {} was dropped", step.tablet));
    };
    let name = || format!("tablet {} of {}", step.tablet, name_of(world, tablet));
    if let Some(leaves) = step.leaves
        && !tablet.replicas.iter().any(|replica| replica.id == leaves && replica.disk == step.from)
    {
        return Some(format!("{} does not stand on disk {} any more", name(), step.from));
    }
    if stands_beside(world, tablet, step) {
        return Some(format!("{} has a copy on the host of disk {}", name(), step.to));
    }
    None
}

/// Whether a replica other than the one that leaves stands on the destination's host.
fn stands_beside(world: &World, tablet: &Tablet, step: &Step) -> bool {
    let host = world.nodes.get(&step.to_node).map(|node| node.host.as_str());
    let mut others = tablet.replicas.iter().filter(|replica| Some(replica.id) != step.leaves);
    others.any(|replica| host.is_some() && host_of(world, replica) == host)
}
