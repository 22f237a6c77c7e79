//! Gauges of the world, set when somebody scrapes. In: a snapshot and its sums. Out: the values of `describe_world`
//! in [`crate::telemetry`].

use super::tally::Tally;
use super::view;
use crate::published::Published;
use stele_common::status::Level;
use stele_common::{DiskState, Liveness, TabletStatus, Tick};

pub fn set(published: &Published, tally: &Tally, tasks_pending: u64, at: Tick) {
    let world = &*published.world;
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
    let states =
        [(DiskState::Online, "ONLINE"), (DiskState::Suspect, "SUSPECT"), (DiskState::Unavailable, "UNAVAILABLE")];
    for (state, label) in states {
        let disks = view::in_use(world).filter(|disk| disk.state == state).count();
        metrics::gauge!("stele_disks", "state" => label).set(disks as f64);
    }
    for status in TabletStatus::ALL {
        let tablets = tally.verdicts.get(&status).copied().unwrap_or(0);
        metrics::gauge!("stele_tablets", "status" => status.as_str()).set(tablets as f64);
    }
    // Numbers that no tablet has any more must not keep their last value.
    let most = tally.copies.keys().max().copied().unwrap_or(0).max(8);
    for copies in 0..=most {
        let tablets = tally.copies.get(&copies).copied().unwrap_or(0);
        metrics::gauge!("stele_tablets_by_copies", "copies" => copies.to_string()).set(tablets as f64);
    }
    metrics::gauge!("stele_tables").set(world.tables.len() as f64);
    metrics::gauge!("stele_tasks", "state" => "running").set(world.tasks.len() as f64);
    metrics::gauge!("stele_tasks", "state" => "pending").set(tasks_pending as f64);
    metrics::gauge!("stele_loads_open").set(view::loads_open(world) as f64);
    metrics::gauge!("stele_strays").set(world.strays.len() as f64);
    let (used, total) = view::bytes(world);
    metrics::gauge!("stele_bytes_used").set(used as f64);
    metrics::gauge!("stele_bytes_total").set(total as f64);
}
