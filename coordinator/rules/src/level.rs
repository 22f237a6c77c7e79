//! How much may be done at all: which function level is in force, and what it allows (docs/LEVELS.md has the table).
//!
//! In: the world. Out: the level, its cause, and why something may not be done now. Every decider asks here at each
//! use; the answer is stored nowhere, so what lifts by itself holds nothing back any longer.
//!
//! ```text
//!  in force = the lowest of   what people have set          (durable)
//!                             BLIND while our store is old  (until a restart on the right one)
//!                             FREEZED while too few of the nodes that should be there are alive
//! ```

use crate::world::{LeaseScope, Node};
use crate::{Reason, World, pause};
use stele_common::status::Level;
use stele_common::{Liveness, NodeId};

/// The level that holds now.
pub fn in_force(world: &World) -> Level {
    if auto_freeze(world).is_some() { allowed(world).min(Level::Freezed) } else { allowed(world) }
}

/// What people and our store allow; an auto-freeze is not asked for.
pub fn allowed(world: &World) -> Level {
    world.level.min(world.settings.level.level)
}

/// Why less than LIVELY is in force: the cause of the lowest.
pub fn cause(world: &World) -> Option<Reason> {
    below(world, in_force(world)).or_else(|| below(world, next_above(in_force(world))?))
}

/// Why no report may be read and nothing decided.
pub fn forbids_everything(world: &World) -> Option<Reason> {
    below(world, Level::Blind)
}

/// Why no table or load may be touched now.
pub fn forbids_work(world: &World) -> Option<Reason> {
    below(world, Level::Freezed)
}

/// Why no table may be made, and none get other replicas than it has.
pub fn forbids_reshaping(world: &World) -> Option<Reason> {
    below(world, Level::Steady)
}

/// Why no repair and no deletion may be ordered now.
pub fn forbids_repair(world: &World) -> Option<Reason> {
    below(world, Level::Steady)
}

/// Why nothing may be moved now only to even out.
pub fn forbids_balance(world: &World) -> Option<Reason> {
    below(world, Level::Lively).or_else(|| pause::holds_balance(world))
}

/// Why no move may begin: balance of its own accord wants LIVELY; a plan that a person applied, no more than repair.
pub fn forbids_moves(world: &World) -> Option<Reason> {
    match world.plans.balancing() {
        Some(_) => forbids_repair(world).or_else(|| pause::holds_balance(world)),
        None => forbids_balance(world),
    }
}

/// Why what is of no use to anybody (strays, trash) may not be cleared away now.
pub fn forbids_clearing(world: &World) -> Option<Reason> {
    below(world, Level::Lively)
}

/// Why nothing may be written down: our store is old.
pub fn store_is_old(world: &World) -> Option<Reason> {
    (world.level < Level::Freezed).then(|| of_store(world))
}

fn below(world: &World, needed: Level) -> Option<Reason> {
    let set = &world.settings.level;
    if world.level < needed {
        return Some(of_store(world));
    }
    if set.level < needed {
        let why = if set.reason.is_empty() { String::new() } else { format!(": {}", set.reason) };
        let by = if set.by.is_empty() { String::new() } else { format!(" (set by {}{why})", set.by) };
        return Some(Reason::LevelForbids { level: set.level.to_string(), by });
    }
    if needed > Level::Freezed { auto_freeze(world) } else { None }
}

fn of_store(world: &World) -> Reason {
    match &world.level_cause {
        Some(cause) => cause.clone(),
        None => Reason::LevelForbids { level: world.level.to_string(), by: String::new() },
    }
}

fn next_above(level: Level) -> Option<Level> {
    match level {
        Level::Stopped => Some(Level::Blind),
        Level::Blind => Some(Level::Freezed),
        Level::Freezed => Some(Level::Steady),
        Level::Steady => Some(Level::Lively),
        Level::Lively => None,
    }
}

/// Too few nodes: what is missing is then not lost disks but a cut network or a power cut, and copying everything onto
/// the few that are left would only make it worse. Planned leavers are not missed, neither are nodes of which a
/// new leadership has not heard yet: those may still turn out to be there.
pub fn auto_freeze(world: &World) -> Option<Reason> {
    let (mut alive, mut missing, mut unheard) = (0_u64, 0_u64, 0_u64);
    for node in world.nodes.values() {
        if node.liveness == Liveness::Alive {
            alive += 1;
        } else if is_unheard(node) {
            unheard += 1;
        } else if !node.draining && !is_maintained(world, node.id) {
            missing += 1;
        }
    }
    let nodes = alive + missing;
    let (percent, least) =
        (world.knobs.node_live_percentage_threshold_for_update, world.knobs.min_live_node_count_for_unfreeze);
    let too_few = alive * 100 < percent * nodes || alive + unheard < least;
    (nodes > 0 && too_few).then_some(Reason::AutoFreezed { alive, nodes, percent, least })
}

fn is_maintained(world: &World, node: NodeId) -> bool {
    world.leases.about(&LeaseScope::Maintenance { node }).next().is_some()
}

/// Known to the store, not heard in this leadership, and its grace is not over: then it is LOST.
fn is_unheard(node: &Node) -> bool {
    node.boot.is_none() && node.liveness == Liveness::Silent
}

#[cfg(test)]
mod tests;
