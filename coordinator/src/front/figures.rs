//! Gauges of the world, set when somebody scrapes. In: a snapshot and its sums. Out: gauges of
//! [`crate::telemetry::list`]. Those whose series come and go are [`series`].

pub mod series;

use super::tally::Tally;
use super::view;
use crate::actors::words::Pending;
use crate::published::Published;
use std::collections::BTreeMap;
use stele_common::api::PlanState;
use stele_common::status::Level;
use stele_common::{DiskState, Liveness, NodeId, TabletStatus, Tick};
use stele_coordinator_rules::World;
use stele_coordinator_rules::world::{LeaseScope, Work};

pub fn set(published: &Published, tally: &Tally, pending: &Pending, silences: &BTreeMap<NodeId, u64>, at: Tick) {
    let world = &*published.world;
    cluster(world, at);
    for status in TabletStatus::ALL {
        let tablets = tally.verdicts.get(&status).copied().unwrap_or(0);
        metrics::gauge!("stele_tablets", "health" => status.as_str()).set(tablets as f64);
    }
    // Numbers that no tablet has any more must not keep their last value.
    let most = tally.copies.keys().max().copied().unwrap_or(0).max(8);
    for copies in 0..=most {
        let tablets = tally.copies.get(&copies).copied().unwrap_or(0);
        metrics::gauge!("stele_tablet_copies", "count" => copies.to_string()).set(tablets as f64);
    }
    metrics::gauge!("stele_tablets_inconsistent").set(tally.inconsistent as f64);
    metrics::gauge!("stele_tables").set(world.tables.len() as f64);
    metrics::gauge!("stele_tasks", "state" => "running").set(world.tasks.len() as f64);
    metrics::gauge!("stele_tasks", "state" => "pending").set(pending.tasks as f64);
    metrics::gauge!("stele_tasks_history").set(world.history.len() as f64);
    metrics::gauge!("stele_loads_open").set(view::loads_open(world) as f64);
    metrics::gauge!("stele_strays").set(world.strays.len() as f64);
    let (used, total) = view::bytes(world);
    metrics::gauge!("stele_used_bytes").set(used as f64);
    metrics::gauge!("stele_capacity_bytes").set(total as f64);
    for state in PlanState::ALL {
        let plans = || world.plans.iter().filter(|plan| plan.state == state);
        metrics::gauge!("stele_plans", "state" => state.as_str()).set(plans().count() as f64);
        let bytes: u64 = plans().map(|plan| plan.price.bytes).sum();
        metrics::gauge!("stele_plan_bytes", "plan_state" => state.as_str()).set(bytes as f64);
    }
    leases(world, at);
    limits(world);
    risk(world, tally, pending, silences, at);
}

/// How fast copies may be; 0 = as fast as they can.
fn limits(world: &World) {
    let limits = world.knobs.copy_limits();
    for (class, of) in [("repair", limits.repair), ("balance", limits.balance)] {
        for (scope, rate) in [("disk", of.disk), ("host", of.node)] {
            metrics::gauge!("stele_copy_rate_limit_bytes", "class" => class, "scope" => scope).set(rate as f64);
        }
    }
}

/// How near things are to going wrong.
fn risk(world: &World, tally: &Tally, pending: &Pending, silences: &BTreeMap<NodeId, u64>, at: Tick) {
    // The process that answers is the one that leads: there is no other yet.
    metrics::gauge!("stele_coordinator_leader").set(1.0);
    metrics::gauge!("stele_scrub_overdue_replicas").set(tally.scrub_overdue as f64);
    let (deletes, oldest) = deletes(world, at);
    metrics::gauge!("stele_deletes_held").set(deletes as f64);
    metrics::gauge!("stele_deletes_oldest_seconds").set(oldest as f64 / 1000.0);
    let oldest = pending.oldest.as_ref().map_or(0, |oldest| oldest.for_ms);
    metrics::gauge!("stele_ill_oldest_seconds").set(oldest as f64 / 1000.0);
    metrics::gauge!("stele_problems").set(tally.problems.len() as f64);
    let alive = world.nodes.values().filter(|node| node.liveness == Liveness::Alive);
    let silence = alive.filter_map(|node| silences.get(&node.id)).max().copied().unwrap_or(0);
    metrics::gauge!("stele_silence_seconds").set(silence as f64 / 1000.0);
}

/// Deletions under way, and for how long the oldest of them has been, in ms.
fn deletes(world: &World, at: Tick) -> (u64, u64) {
    let deletes = world.tasks.values().filter(|task| matches!(task.work, Work::Delete { .. }));
    deletes.fold((0, 0), |(count, oldest), task| (count + 1, at.since(task.started).max(oldest)))
}

/// Who is there.
fn cluster(world: &World, at: Tick) {
    metrics::gauge!("stele_epoch").set(world.epoch.0 as f64);
    metrics::gauge!("stele_uptime_seconds").set(at.0 as f64 / 1000.0);
    let in_force = stele_coordinator_rules::level::in_force(world);
    for level in [Level::Stopped, Level::Blind, Level::Freezed, Level::Steady, Level::Lively] {
        metrics::gauge!("stele_level", "level" => level.as_str()).set(f64::from(u8::from(level == in_force)));
    }
    for liveness in [Liveness::Alive, Liveness::Silent, Liveness::Lost] {
        let nodes = world.nodes.values().filter(|node| node.liveness == liveness).count();
        metrics::gauge!("stele_nodes", "liveness" => liveness.as_str()).set(nodes as f64);
    }
    // A host with several agents counts as the best of them.
    let mut hosts: BTreeMap<&str, Liveness> = BTreeMap::new();
    for node in world.nodes.values() {
        let known = hosts.entry(&node.host).or_insert(node.liveness);
        *known = (*known).min(node.liveness);
    }
    for liveness in [Liveness::Alive, Liveness::Silent, Liveness::Lost] {
        let hosts = hosts.values().filter(|state| **state == liveness).count();
        metrics::gauge!("stele_hosts", "state" => liveness.as_str()).set(hosts as f64);
    }
    let states =
        [(DiskState::Online, "ONLINE"), (DiskState::Suspect, "SUSPECT"), (DiskState::Unavailable, "UNAVAILABLE")];
    for (state, label) in states {
        let disks = view::in_use(world).filter(|disk| disk.state == state).count();
        metrics::gauge!("stele_disks", "state" => label).set(disks as f64);
    }
}

fn leases(world: &World, at: Tick) {
    let (mut maintenance, mut urgent, mut pauses) = (0_u64, 0_u64, 0_u64);
    for lease in world.leases.values().filter(|lease| !lease.is_over(at)) {
        match lease.scope {
            LeaseScope::Maintenance { .. } => maintenance += 1,
            LeaseScope::Urgent { .. } | LeaseScope::UrgentTablet { .. } => urgent += 1,
            LeaseScope::Pause { .. } => pauses += 1,
        }
    }
    metrics::gauge!("stele_leases", "kind" => "maintenance").set(maintenance as f64);
    metrics::gauge!("stele_leases", "kind" => "urgent").set(urgent as f64);
    metrics::gauge!("stele_leases", "kind" => "pause").set(pauses as f64);
}
