//! The lines of what happened between two snapshots. Pure. Bounded: what is too much to be read one by one is summed up.

use crate::front::view::operate;
use std::collections::BTreeSet;
use stele_common::api::{DrainState, LeaseOn, Problem, Topic};
use stele_common::{Liveness, NodeId, TaskId};
use stele_coordinator_rules::evacuation::name_of;
use stele_coordinator_rules::evacuation::proof::subject;
use stele_coordinator_rules::policy::Leaver;
use stele_coordinator_rules::world::{Outcome, Past, Work};
use stele_coordinator_rules::{Reason, World, level};

/// Ended tasks told one by one; a repair of a host ends hundreds a second.
const TASKS_MAX: usize = 20;
/// Problems that came or went, told one by one.
const PROBLEMS_MAX: usize = 20;

/// One line, before it is numbered.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub topic: Topic,
    pub kind: &'static str,
    pub subject: String,
    pub text: String,
}

fn line(topic: Topic, kind: &'static str, subject: impl Into<String>, text: impl Into<String>) -> Line {
    Line { topic, kind, subject: subject.into(), text: text.into() }
}

pub fn between(old: &World, new: &World) -> Vec<Line> {
    let mut lines = nodes(old, new);
    lines.extend(disks(old, new));
    lines.extend(tables(old, new));
    lines.extend(drains(old, new));
    lines.extend(leases(old, new));
    lines.extend(settings(old, new));
    lines.extend(plans(old, new));
    lines.extend(tasks(old, new));
    lines
}

fn nodes(old: &World, new: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    for node in new.nodes.values() {
        let about = format!("node {}", node.id);
        match old.nodes.get(&node.id) {
            None => lines.push(line(Topic::Nodes, "node_added", about, format!("{} joined", node.host))),
            Some(was) if was.liveness != node.liveness => {
                let text = match node.liveness {
                    Liveness::Alive => format!("{} is back", node.host),
                    Liveness::Silent => format!("{} is silent: no word from it", node.host),
                    Liveness::Lost => format!("{} counts as lost", node.host),
                };
                lines.push(line(Topic::Nodes, "node_turned", about, text));
            }
            Some(_) => {}
        }
    }
    let gone = old.nodes.values().filter(|node| !new.nodes.contains_key(&node.id));
    lines.extend(gone.map(|node| {
        line(Topic::Nodes, "node_removed", format!("node {}", node.id), format!("{} left the cluster", node.host))
    }));
    lines
}

fn disks(old: &World, new: &World) -> Vec<Line> {
    let lines = new.disks.values().filter_map(|disk| {
        let (about, place) = (format!("disk {}", disk.id), format!("{} {}", host(new, disk.node), disk.path));
        let Some(was) = old.disks.get(&disk.id) else {
            return Some(line(Topic::Nodes, "disk_added", about, format!("{place} joined")));
        };
        let cause = disk.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let state = format!("{:?}", disk.state).to_uppercase();
        (was.state != disk.state)
            .then(|| line(Topic::Nodes, "disk_turned", about, format!("{place} is {state}{cause}")))
    });
    lines.collect()
}

fn tables(old: &World, new: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    for (id, table) in &new.tables {
        let about = format!("table {}.{}", table.db, table.name);
        match old.tables.get(id) {
            None => {
                let tablets: usize = table.partitions.iter().map(|partition| partition.tablets.len()).sum();
                lines.push(line(Topic::Tables, "table_added", about, format!("created, {tablets} tablets")));
            }
            Some(was) if was != table => lines.push(line(Topic::Tables, "table_changed", about, "its wishes changed")),
            Some(_) => {}
        }
    }
    let gone = old.tables.iter().filter(|(id, _)| !new.tables.contains_key(*id));
    lines.extend(gone.map(|(_, table)| {
        line(Topic::Tables, "table_dropped", format!("table {}.{}", table.db, table.name), "dropped")
    }));
    lines
}

fn drains(old: &World, new: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    let state = |world: &World, of| operate::drain_state(world, of, world.drains.contains_key(&of));
    for (of, drain) in &new.drains {
        let about = format!("drain of {}", subject(*of));
        let by = if drain.owner.is_empty() { String::new() } else { format!(" by {}", drain.owner) };
        let host = host_of(new, *of);
        match (state(old, *of), state(new, *of)) {
            (None, _) => {
                let text = format!("{host}: began{by}, {} tablets", drain.held.len());
                lines.push(line(Topic::Drains, "drain_began", about, text));
            }
            (Some(DrainState::Draining), Some(DrainState::Drained)) => {
                let text = format!("{host}: nothing is left there, and all of it is proven");
                lines.push(line(Topic::Drains, "drain_done", about, text));
            }
            (Some(_), _) => {}
        }
    }
    let back = old.drains.keys().filter(|of| !new.drains.contains_key(*of));
    lines.extend(back.map(|of| {
        let is_there = match *of {
            Leaver::Node(node) => new.nodes.contains_key(&node),
            Leaver::Disk(disk) => new.disks.contains_key(&disk),
        };
        let what = if is_there { "taken back: it takes copies again" } else { "removed from the cluster" };
        let text = format!("{}: {what}", host_of(old, *of));
        line(Topic::Drains, "drain_over", format!("drain of {}", subject(*of)), text)
    }));
    lines
}

fn host_of(world: &World, of: Leaver) -> String {
    let node = match of {
        Leaver::Node(node) => Some(node),
        Leaver::Disk(disk) => world.disks.get(&disk).map(|disk| disk.node),
    };
    node.map_or(String::new(), |node| host(world, node))
}

/// By its name; by its number once it has left.
fn host(world: &World, node: NodeId) -> String {
    world.nodes.get(&node).map_or_else(|| format!("node {node}"), |node| node.host.clone())
}

fn leases(old: &World, new: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    for lease in new.leases.values().filter(|lease| !old.leases.contains_key(&lease.id)) {
        let shown = operate::lease(new, lease, stele_common::Tick(0));
        let until = shown.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let by = if lease.owner.is_empty() { String::new() } else { format!(" by {}", lease.owner) };
        lines.push(line(Topic::Leases, "lease_granted", about(&shown.on), format!("granted{by}{until}")));
    }
    for lease in old.leases.values().filter(|lease| !new.leases.contains_key(&lease.id)) {
        let shown = operate::lease(old, lease, stele_common::Tick(0));
        lines.push(line(Topic::Leases, "lease_ended", about(&shown.on), "over"));
    }
    lines
}

fn about(on: &LeaseOn) -> String {
    match on {
        LeaseOn::Maintenance { node } => format!("maintenance of node {node}"),
        LeaseOn::Urgent { table, partition: None } => format!("urgency of {table}"),
        LeaseOn::Urgent { table, partition: Some(partition) } => format!("urgency of {table}/{partition}"),
        LeaseOn::UrgentTablet { tablet } => format!("urgency of tablet {tablet}"),
        LeaseOn::Pause { what, node, disk, table } => {
            let place = node.map(|node| format!(" on node {node}"));
            let place = place.or_else(|| disk.map(|disk| format!(" on disk {disk}")));
            let place = place.or_else(|| table.as_ref().map(|table| format!(" of {table}"))).unwrap_or_default();
            format!("pause of {}{place}", format!("{what:?}").to_lowercase())
        }
    }
}

fn settings(old: &World, new: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    let (was, is) = (level::in_force(old), level::in_force(new));
    if was != is {
        let cause = level::cause(new).map(|cause| format!(": {}", Reason::detail(&cause))).unwrap_or_default();
        lines.push(line(Topic::Level, "level_turned", "level", format!("{is} (was {was}){cause}")));
    }
    let known = old.settings.history.back();
    let fresh = new.settings.history.iter().rev().take_while(|setting| Some(*setting) != known);
    let fresh: Vec<_> = fresh.take(TASKS_MAX).collect();
    lines.extend(fresh.into_iter().rev().map(|setting| {
        let by = if setting.by.is_empty() { String::new() } else { format!(" by {}", setting.by) };
        let text = match &setting.value {
            Some(value) => format!("set to {value}{by}"),
            None => format!("back to what the file says{by}"),
        };
        line(Topic::Knobs, "knob_set", format!("knob {}", setting.name), text)
    }));
    lines
}

fn plans(old: &World, new: &World) -> Vec<Line> {
    let fresh = new.plans.iter().filter_map(|plan| {
        let (about, kind) = (format!("plan {}", plan.id), plan.what.kind());
        match old.plans.get(plan.id) {
            None => Some(line(Topic::Plans, "plan_made", about, format!("{kind}: {} moves", plan.steps.len()))),
            Some(was) if was.state != plan.state => {
                let cause = plan.cause.as_ref().map(|cause| format!(": {}", cause.detail())).unwrap_or_default();
                Some(line(Topic::Plans, "plan_turned", about, format!("{kind}: {}{cause}", plan.state.as_str())))
            }
            Some(_) => None,
        }
    });
    fresh.collect()
}

fn tasks(old: &World, new: &World) -> Vec<Line> {
    let known: Option<TaskId> = old.history.iter().next().map(|past| past.task.id);
    let fresh: Vec<&Past> = new.history.iter().take_while(|past| Some(past.task.id) != known).collect();
    let mut lines: Vec<Line> = fresh.iter().rev().take(TASKS_MAX).map(|past| ended(new, past)).collect();
    if fresh.len() > TASKS_MAX {
        let more = fresh.len() - TASKS_MAX;
        lines.push(line(Topic::Tasks, "tasks_ended", "tasks", format!("{more} more ended in the same moment")));
    }
    lines
}

fn ended(world: &World, past: &Past) -> Line {
    let task = &past.task;
    let about = format!("tablet {}", task.tablet);
    let table = world.tablets.get(task.tablet).map(|tablet| format!(" of {}", name_of(world, tablet)));
    let what = match &task.work {
        Work::Clone { node, source_node, .. } if node == source_node => format!("copy within {}", host(world, *node)),
        Work::Clone { node, source_node, .. } => {
            format!("copy from {} to {}", host(world, *source_node), host(world, *node))
        }
        Work::Delete { node, .. } => format!("deletion on {}", host(world, *node)),
    };
    let end = match &past.outcome {
        Outcome::Finished { .. } => "finished".to_string(),
        Outcome::Cancelled { cause } => format!("given up: {}", cause.detail()),
    };
    let kind = match &past.outcome {
        Outcome::Finished { .. } => "task_finished",
        Outcome::Cancelled { .. } => "task_cancelled",
    };
    line(Topic::Tasks, kind, about, format!("{what}{}: {end}", table.unwrap_or_default()))
}

/// What came to be wrong, and what no longer is.
pub fn of_problems(old: &[Problem], new: &[Problem]) -> Vec<Line> {
    // Of many at once only the number changes: that is no other problem.
    fn key(problem: &Problem) -> (&str, &str) {
        let is_number = problem.subject.starts_with(|first: char| first.is_ascii_digit());
        (&problem.code, if is_number { "" } else { &problem.subject })
    }
    let keys = |problems: &'_ [Problem]| -> BTreeSet<(String, String)> {
        problems.iter().map(key).map(|(code, subject)| (code.to_string(), subject.to_string())).collect()
    };
    let (were, are) = (keys(old), keys(new));
    let is_in = |known: &BTreeSet<(String, String)>, problem: &Problem| {
        let (code, subject) = key(problem);
        known.contains(&(code.to_string(), subject.to_string()))
    };
    let came = new.iter().filter(|problem| !is_in(&were, problem));
    let came = came.take(PROBLEMS_MAX).map(|problem| {
        line(Topic::Health, "problem_began", &problem.subject, format!("{}: {}", problem.code, problem.cause))
    });
    let went = old.iter().filter(|problem| !is_in(&are, problem));
    let went = went.take(PROBLEMS_MAX);
    let went = went.map(|problem| {
        line(Topic::Health, "problem_ended", &problem.subject, format!("{} no longer holds", problem.code))
    });
    came.chain(went).collect()
}
