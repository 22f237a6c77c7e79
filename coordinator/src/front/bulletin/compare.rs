//! Which topics differ between two snapshots. Pure; cheap where snapshots share what they hold.
//!
//! It may name too much, never too little of what people are shown. What every report changes and nobody is shown
//! (sequence numbers, load figures) does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stele_common::api::Topic;
use stele_coordinator_rules::world::{Disk, Node};
use stele_coordinator_rules::{World, level};

pub fn topics(old: &World, new: &World) -> BTreeSet<Topic> {
    let mut changed = BTreeSet::new();
    let mut note = |topic: Topic, differs: bool| {
        if differs {
            changed.insert(topic);
        }
    };
    note(Topic::Nodes, !same(&old.nodes, &new.nodes, is_like) || !same(&old.disks, &new.disks, is_disk_like));
    note(Topic::Tables, !same(&old.tables, &new.tables, Arc::ptr_eq) || !same(&old.groups, &new.groups, Arc::ptr_eq));
    let tablets = old.tablets.len() != new.tablets.len()
        || !old.tablets.chunks().zip(new.tablets.chunks()).all(|(old, new)| Arc::ptr_eq(old, new));
    note(Topic::Tablets, tablets);
    let newest = |world: &World| world.history.iter().next().map(|past| past.task.id);
    let tasks = old.tasks != new.tasks || newest(old) != newest(new);
    note(Topic::Tasks, tasks);
    let drains = !same(&old.drains, &new.drains, Arc::ptr_eq);
    note(Topic::Drains, drains || (!new.drains.is_empty() && (tasks || tablets)));
    note(Topic::Leases, old.leases.values().ne(new.leases.values()));
    note(
        Topic::Level,
        old.settings.level != new.settings.level
            || level::in_force(old) != level::in_force(new)
            || level::cause(old) != level::cause(new),
    );
    note(Topic::Knobs, old.settings.live != new.settings.live);
    let plans = |world: &World| -> Vec<(u64, _)> { world.plans.iter().map(|plan| (plan.id, plan.state)).collect() };
    let moving = !new.plans.is_empty() && (tasks || tablets);
    note(Topic::Plans, moving || plans(old) != plans(new));
    let loads = |world: &World| world.loads.in_flight().map(|load| load.id).collect::<Vec<_>>();
    note(Topic::Loads, loads(old) != loads(new));
    changed
}

/// Whether verdicts and what is wrong may differ for it.
pub fn may_change_sums(changed: &BTreeSet<Topic>) -> bool {
    changed.iter().any(|topic| match topic {
        Topic::Nodes | Topic::Tables | Topic::Tablets | Topic::Tasks | Topic::Leases => true,
        Topic::Level | Topic::Knobs | Topic::Drains => true,
        Topic::Health | Topic::Plans | Topic::Loads => false,
    })
}

fn same<K: Ord, V>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>, alike: impl Fn(&V, &V) -> bool) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|((a, old), (b, new))| a == b && alike(old, new))
}

/// As people see it.
fn is_like(old: &Node, new: &Node) -> bool {
    (old.liveness, old.draining) == (new.liveness, new.draining)
        && (&old.host, &old.name, &old.rack, &old.tag) == (&new.host, &new.name, &new.rack, &new.tag)
        && (&old.peer, &old.http, &old.build) == (&new.peer, &new.http, &new.build)
}

fn is_disk_like(old: &Disk, new: &Disk) -> bool {
    // Others write to the disk all the time; a hundredth of it is what a bar shows.
    let room = |disk: &Disk| disk.space.available() * 100 / disk.space.total.max(1);
    (old.state, &old.cause, old.draining, old.twin) == (new.state, &new.cause, new.draining, new.twin)
        && (old.node, &old.path, old.medium, old.replaced_by) == (new.node, &new.path, new.medium, new.replaced_by)
        && (old.space.total, old.space.used, old.trash) == (new.space.total, new.space.used, new.trash)
        && room(old) == room(new)
}
