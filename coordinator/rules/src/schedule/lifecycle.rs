//! When running work must end: its node is lost, nothing moves, it takes too long, or nobody needs it any more.
//!
//! In: the world's running tasks, the time. Out: proposals to cancel. The Catalog ends tasks; nothing here waits for an
//! agent's word, which may never come.

use super::target::{place_refusal, takes_nothing_new};
use crate::catalog::deletion;
use crate::catalog::evidence::complete_others;
use crate::checkup::{count, verdict};
use crate::world::{Task, Work};
use crate::{Reason, World};
use stele_common::{DiskId, Liveness, NodeId, ReplicaId, TabletStatus, TaskType, Tick};

/// Why a running task is to end now; `None` = it goes on.
pub fn end_of(world: &World, task: &Task, at: Tick) -> Option<Reason> {
    match &task.work {
        Work::Clone { node, source_node, replica, fresh, disk, replaces, .. } => lost(world, *node)
            .or_else(|| lost(world, *source_node))
            .or_else(|| match task.task_type {
                TaskType::Repair => fresh.then(|| needless(world, task, *replica, at)).flatten(),
                TaskType::Balance => pointless(world, task, *replica, *replaces, at),
            })
            .or_else(|| if task.task_type == TaskType::Balance { unwanted(world, *disk) } else { None })
            .or_else(|| world.disks.get(disk).and_then(|disk| away(world, disk)))
            .or_else(|| slow(world, task, at)),
        Work::Delete { replica, .. } => still_needed(world, task, *replica),
    }
}

fn lost(world: &World, node: NodeId) -> Option<Reason> {
    let is_lost = world.nodes.get(&node).is_none_or(|known| match known.liveness {
        Liveness::Lost => true,
        Liveness::Alive | Liveness::Silent => false,
    });
    is_lost.then_some(Reason::NodeLost { node })
}

/// The destination's node is there, but says that the disk is not.
fn away(world: &World, disk: &crate::world::Disk) -> Option<Reason> {
    match place_refusal(world, disk) {
        Some(reason @ Reason::DiskNotOnline { .. }) => Some(reason),
        Some(_) | None => None,
    }
}

/// A new copy that is not finished, while without it n others are complete and stand where they should: somebody came
/// back, or nobody wants the place empty any more.
fn needless(world: &World, task: &Task, replica: ReplicaId, at: Tick) -> Option<Reason> {
    let tablet = world.tablets.get(task.tablet)?;
    let counts = count(world, tablet);
    // Who comes and goes all the time is not what a copy is given up for.
    let relied_on = tablet.replicas.iter().zip(&counts.judged).filter(|(other, judged)| {
        let is_restless = world.nodes.get(&other.node).is_some_and(|node| node.flaps.is_spent(at));
        other.id != replica && judged.complete && !is_restless
    });
    if (relied_on.count() as u32) < tablet.wanted {
        return None;
    }
    let mut without = tablet.clone();
    without.replicas.retain(|other| other.id != replica);
    let is_well = match verdict(world, &without, at).status {
        TabletStatus::Healthy | TabletStatus::Redundant | TabletStatus::ColocateRedundant => true,
        TabletStatus::Unrecoverable
        | TabletStatus::ForceRedundant
        | TabletStatus::NeedFurtherRepair
        | TabletStatus::ReplicaMissing
        | TabletStatus::VersionIncomplete
        | TabletStatus::ReplicaRelocating
        | TabletStatus::ReplicaMissingInCluster
        | TabletStatus::DiskMigration
        | TabletStatus::ColocateMismatch => false,
    };
    is_well.then(super::admit::needless)
}

/// A move whose old replica has gone by itself, while n others are complete.
fn pointless(world: &World, task: &Task, made: ReplicaId, replaces: Option<ReplicaId>, at: Tick) -> Option<Reason> {
    let tablet = world.tablets.get(task.tablet)?;
    let is_there = tablet.replicas.iter().any(|other| Some(other.id) == replaces);
    if is_there { None } else { needless(world, task, made, at) }
}

/// Somebody wants the place empty to which a move goes.
fn unwanted(world: &World, disk: DiskId) -> Option<Reason> {
    world.disks.get(&disk).and_then(|disk| takes_nothing_new(world, disk))
}

/// The chosen one must stay when too few others are complete. (A bad one leaves at once and never gets here.)
fn still_needed(world: &World, task: &Task, replica: ReplicaId) -> Option<Reason> {
    let tablet = world.tablets.get(task.tablet)?;
    let victim = tablet.replicas.iter().find(|known| known.id == replica)?;
    let complete = complete_others(world, tablet, Some(replica)).len() as u32;
    let is_good = victim.bad.is_none() && world.nodes.get(&victim.node).is_some_and(|n| n.liveness == Liveness::Alive);
    let is_spared = !is_good || complete >= deletion::needed(world, tablet, victim);
    (!is_spared).then_some(Reason::CopiesLost { complete, wanted: tablet.wanted })
}

/// Timed out and slower than a copy must be, or nothing moved at all. What moves is every byte that the copy's agent received
/// or read for it; another source that is being asked is no byte, so the order's patience with each is a share of this
/// ([`stele_common::config::RepairKnobs::source_patience_ms`]). After a restart the clock of an adopted task starts with
/// the leadership.
fn slow(world: &World, task: &Task, at: Tick) -> Option<Reason> {
    let knobs = &world.knobs;
    let started = task.started.max(world.began);
    let ran = at.since(started);
    let rate = task.bytes_done.saturating_mul(1000) / ran.max(1);
    if ran > task.timeout_ms && rate < knobs.alive_rate(task.task_type) {
        return Some(Reason::TimedOut { ms: task.timeout_ms });
    }
    let stood = at.since(task.progressed.max(started));
    (stood > knobs.task_stall_ms).then_some(Reason::Stalled { ms: stood })
}
