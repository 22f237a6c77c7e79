//! Balance as faces show it. In: a snapshot, the desk's side of it, the planner's answer. Out: the shapes of
//! [`stele_common::api`]. Decides nothing.

use crate::actors::words::BalanceNow;
use stele_common::Tick;
use stele_common::api::{
    BalanceDone, BalanceLine, BalanceOperations, BalanceStatus, GroupBalance, MediumSpread, MoveInfo, NodeBalance,
};
use stele_coordinator_rules::balance::colocate;
use stele_coordinator_rules::balance::moves::Move;
use stele_coordinator_rules::balance::score::{Class, scores};
use stele_coordinator_rules::balance::selection::{Operations, Selection};
use stele_coordinator_rules::balance::spread::{Of, spreads};
use stele_coordinator_rules::world::Group;
use stele_coordinator_rules::{Reason, World, colocation};

/// What takes a look at everything, but no planner.
pub struct Sums {
    media: Vec<MediumSpread>,
    nodes: Vec<NodeBalance>,
    groups: Vec<GroupBalance>,
}

impl Sums {
    pub fn of(world: &World, at: Tick) -> Sums {
        let groups = world.groups.values().map(|group| group_balance(world, group, at)).collect();
        Sums { media: media(world, at), nodes: nodes(world), groups }
    }
}

/// `None`: the planner is still looking.
pub fn status(world: &World, now: &BalanceNow, next: Option<Selection>, sums: Sums) -> BalanceStatus {
    let Sums { media, nodes, groups } = sums;
    let is_looking = next.is_none();
    let next = next.unwrap_or_default();
    let Operations { move_pri, copy_pri, copy_sec } = next.operations;
    BalanceStatus {
        operations: BalanceOperations { move_pri, copy_pri, copy_sec, total: move_pri + copy_pri + copy_sec },
        primaries: next.primaries.as_ref().map(Reason::refusal),
        idle: idle(now),
        running: now.running,
        waiting: now.waiting,
        done: BalanceDone { moves: now.done.moves, bytes: now.done.bytes, failed: now.done.failed },
        media,
        nodes,
        next: next.moves.iter().map(|mv| move_info(world, mv)).collect(),
        is_looking,
        next_none: next.idle.as_ref().map(Reason::refusal),
        groups,
    }
}

fn group_balance(world: &World, group: &Group, at: Tick) -> GroupBalance {
    GroupBalance {
        group: group.name.clone(),
        stable: colocation::unstable(world, group) == 0,
        idle: colocate::idle(world, group, at).as_ref().map(Reason::refusal),
    }
}

pub fn line(now: &BalanceNow) -> BalanceLine {
    BalanceLine { idle: idle(now), running: now.running, waiting: now.waiting }
}

fn idle(now: &BalanceNow) -> Option<stele_common::api::Refusal> {
    if now.running + now.waiting > 0 { None } else { now.idle.as_ref().map(Reason::refusal) }
}

pub fn media(world: &World, at: Tick) -> Vec<MediumSpread> {
    let shown = spreads(world, at).into_iter().map(|(medium, Of { disks, spread })| MediumSpread {
        medium,
        disks,
        used_percent_max: spread.used_percent_max,
        used_percent_min: spread.used_percent_min,
        used_percent_stddev: spread.used_percent_stddev,
        threshold: world.knobs.balance_threshold,
    });
    shown.collect()
}

fn nodes(world: &World) -> Vec<NodeBalance> {
    let shown = scores(world).into_iter().map(|score| NodeBalance {
        id: score.node,
        host: world.nodes.get(&score.node).map(|node| node.host.clone()).unwrap_or_default(),
        medium: score.medium,
        used_percent: score.used_percent,
        replica_num: score.replica_num,
        score: score.score,
        class: match score.class {
            Class::Low => "LOW".into(),
            Class::Mid => "MID".into(),
            Class::High => "HIGH".into(),
        },
    });
    shown.collect()
}

fn move_info(world: &World, mv: &Move) -> MoveInfo {
    let table = world.tablets.get(mv.tablet).and_then(|tablet| world.tables.get(&tablet.table));
    MoveInfo {
        tablet: mv.tablet,
        table: table.map(|table| format!("{}.{}", table.db, table.name)).unwrap_or_default(),
        replica: mv.replica,
        from_node: mv.from_node,
        from_disk: mv.from,
        to_node: mv.to_node,
        to_disk: mv.to,
        bytes: mv.bytes,
        why: mv.why.as_str().into(),
    }
}
