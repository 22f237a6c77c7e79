//! How long repair waits for what may come back by itself. Only risk decides: the fewer copies, the shorter.
//!
//! In: the world, a tablet with its counts, the time. Out: milliseconds until the repair may begin; 0 = now. It must
//! never make anything wait that waiting cannot cure: a bad replica, a node that left the catalog.
//!
//! | what is wrong | waits |
//! |---|---|
//! | one complete copy left | until the absent one's node is LOST |
//! | fewer than a majority alive | `assign_delay_below_majority_ms` from LOST |
//! | otherwise | `assign_delay_ms` from LOST |
//! | n copies would not be alive even if all came back | nothing |
//! | its node is under maintenance, and more than one complete copy is left | until the maintenance ends |
//! | a replica is behind | `install_grace_ms`: it may have staged what it lacks |
//!
//! A return restarts the wait; what restarts may add is bounded by [`crate::roster::Flaps`].

use super::count::{Counts, Flaw, Hosts, host_of};
use crate::World;
use crate::world::{Replica, Tablet};
use stele_common::{DiskState, Liveness, Tick};

/// Wait of "fewer than n alive".
pub fn missing_in(world: &World, tablet: &Tablet, counts: &Counts, at: Tick) -> u64 {
    let absent = || tablet.replicas.iter().zip(&counts.judged).filter_map(|(r, j)| Some((r, absence(j.why)?)));
    if reachable(world, tablet, counts) < tablet.wanted {
        // Even if all come back it is too few; but who has just connected is about to tell what it has.
        return absent()
            .filter(|(_, flaw)| *flaw == Flaw::NodeUnheard)
            .map(|(replica, flaw)| lost_at(world, replica, flaw, at).since(at))
            .max()
            .unwrap_or(0);
    }
    let delay = delay_ms(world, tablet, counts, at);
    let first = absent().map(|(replica, flaw)| match maintenance_until(world, replica, counts, at) {
        Some(until) => until.since(at),
        None => match tablet.unhealthy_since {
            Some(since) => since.plus(delay).since(at),
            None => due(world, replica, flaw, delay, at),
        },
    });
    let first = first.min();
    let unheard = absent()
        .filter(|(_, flaw)| *flaw == Flaw::NodeUnheard)
        .map(|(replica, flaw)| lost_at(world, replica, flaw, at).since(at))
        .max();
    first.unwrap_or(0).max(unheard.unwrap_or(0))
}

/// Wait of "all alive, some behind"; `None` when none is.
pub fn behind_in(world: &World, tablet: &Tablet, counts: &Counts, at: Tick) -> Option<u64> {
    let alive = tablet.replicas.iter().zip(&counts.judged).filter(|(_, judged)| judged.alive && !judged.complete);
    alive.map(|(replica, _)| install_in(world, replica, at)).min()
}

/// How long one alive, incomplete replica may still take to install what it has.
pub fn install_in(world: &World, replica: &Replica, at: Tick) -> u64 {
    let behind = replica.seen.as_ref().and_then(|seen| seen.behind);
    behind.map_or(0, |since| since.plus(world.knobs.install_grace_ms).since(at))
}

/// Wait of "more than wanted": a replica that is merely out of sight is no surplus before its node is lost.
pub fn surplus_in(world: &World, tablet: &Tablet, counts: &Counts, at: Tick) -> u64 {
    if counts.complete > tablet.wanted {
        return 0;
    }
    let others = tablet.replicas.iter().zip(&counts.judged).filter(|(_, judged)| !judged.complete);
    others
        .map(|(replica, judged)| match absence(judged.why) {
            Some(flaw) => due(world, replica, flaw, 0, at),
            None => 0,
        })
        .min()
        .unwrap_or(0)
}

/// Whether a replica out of sight has been so for long enough to be given up: its node is lost, or its disk has been
/// away for as long as makes a node lost.
pub fn is_given_up(world: &World, replica: &Replica, flaw: Flaw, at: Tick) -> bool {
    absence(Some(flaw)).is_some_and(|flaw| due(world, replica, flaw, 0, at) == 0)
}

/// Whether a replica's node is there and its disk has been away for as long as makes a node lost.
pub fn is_disk_given_up(world: &World, replica: &Replica, at: Tick) -> bool {
    let node_is_there = world.nodes.get(&replica.node).is_some_and(|node| node.liveness == Liveness::Alive);
    let disk_is_away = world.disks.get(&replica.disk).is_some_and(|disk| disk.state != DiskState::Online);
    node_is_there && disk_is_away && is_given_up(world, replica, Flaw::DiskNotOnline, at)
}

fn absence(why: Option<Flaw>) -> Option<Flaw> {
    why.filter(|flaw| flaw.may_return())
}

/// Copies on different hosts if everything out of sight came back.
fn reachable(world: &World, tablet: &Tablet, counts: &Counts) -> u32 {
    let mut hosts = Hosts::default();
    for (replica, judged) in tablet.replicas.iter().zip(&counts.judged) {
        let may_count = judged.alive || absence(judged.why).is_some();
        if let Some(host) = host_of(world, replica).filter(|_| may_count) {
            hosts.insert(host);
        }
    }
    hosts.len() as u32
}

/// Until when nothing is copied for this absent replica: its node is away on purpose, and there are other copies.
fn maintenance_until(world: &World, replica: &Replica, counts: &Counts, at: Tick) -> Option<Tick> {
    if counts.complete <= 1 || world.leases.is_empty() {
        return None;
    }
    world.maintenance_until(replica.node, at)
}

fn delay_ms(world: &World, tablet: &Tablet, counts: &Counts, at: Tick) -> u64 {
    // Who is away on purpose is as good as alive here.
    let away = tablet.replicas.iter().zip(&counts.judged).filter(|(replica, judged)| {
        absence(judged.why).is_some() && maintenance_until(world, replica, counts, at).is_some()
    });
    if counts.complete <= 1 {
        0
    } else if counts.alive + (away.count() as u32) < tablet.wanted / 2 + 1 {
        world.knobs.assign_delay_below_majority_ms
    } else {
        world.knobs.assign_delay_ms
    }
}

/// When what hides the replica makes, or made, it lost.
fn lost_at(world: &World, replica: &Replica, flaw: Flaw, at: Tick) -> Tick {
    let knobs = &world.knobs;
    let node = world.nodes.get(&replica.node);
    let node_since = node.map_or(at, |node| node.since.max(world.began));
    // A return restarted the wait, unless it came and went so often that restarts are used up.
    let waited_since = Tick(node_since.0.saturating_sub(node.map_or(0, |node| node.flaps.lag_ms())));
    match flaw {
        Flaw::NodeLost => waited_since,
        Flaw::NodeSilent => waited_since.plus(knobs.lost_ms.saturating_sub(knobs.silent_ms)),
        Flaw::NodeUnheard => node_since.plus(knobs.lost_ms),
        Flaw::DiskNotOnline => {
            world.disks.get(&replica.disk).map_or(at, |disk| disk.since.max(world.began)).plus(knobs.lost_ms)
        }
        // Its node is there and reports: it will be named, or found missing, any moment.
        Flaw::NotSeen => at.plus(knobs.lost_ms),
        Flaw::NodeUnknown
        | Flaw::Bad
        | Flaw::Clone
        | Flaw::Decommission
        | Flaw::SameHost
        | Flaw::Behind
        | Flaw::MissedCommit => at,
    }
}

/// Milliseconds until the wait is over. A silent node's is never over before the Roster has called it lost, unless it
/// comes and goes so often that it may never be called so.
fn due(world: &World, replica: &Replica, flaw: Flaw, delay: u64, at: Tick) -> u64 {
    let left = lost_at(world, replica, flaw, at).plus(delay).since(at);
    let is_restless = world.nodes.get(&replica.node).is_some_and(|node| node.flaps.lag_ms() > 0);
    if flaw == Flaw::NodeSilent && !is_restless { left.max(1) } else { left }
}
