//! How far a plan is: recounted from where replicas stand, so that nothing about it can be forgotten or go wrong.
//!
//! In: the world and a plan. Out: the state of each step, and their sums.

use super::{Plan, Step};
use crate::World;
use crate::checkup::count;
use crate::world::Work;
use stele_common::api::{MoveState, PlanProgress, PlanState};

/// Where a step of a plan stands; before the plan has begun nothing of it has come about.
pub fn state(world: &World, plan: &Plan, step: &Step) -> MoveState {
    if plan.state == PlanState::Ready { MoveState::Open } else { begun(world, step) }
}

fn begun(world: &World, step: &Step) -> MoveState {
    let Some(tablet) = world.tablets.get(step.tablet) else { return MoveState::Otherwise };
    let counts = count(world, tablet);
    let mut judged = tablet.replicas.iter().zip(&counts.judged);
    let is_there = judged.any(|(replica, judged)| replica.disk == step.to && judged.complete);
    let leaver = step.leaves.map(|leaves| tablet.replicas.iter().any(|replica| replica.id == leaves));
    let is_copied = world.tasks.get(&step.tablet).is_some_and(|task| match &task.work {
        Work::Clone { disk, .. } => *disk == step.to,
        Work::Delete { replica, .. } => Some(*replica) == step.leaves,
    });
    match (is_there, leaver) {
        _ if is_copied => MoveState::Running,
        (true, Some(false) | None) => MoveState::Done,
        // The copy has landed; what it replaces is about to leave.
        (true, Some(true)) => MoveState::Running,
        (false, Some(false)) => MoveState::Otherwise,
        (false, None) if counts.complete >= tablet.wanted => MoveState::Otherwise,
        (false, Some(true) | None) => MoveState::Open,
    }
}

/// All of its steps.
pub fn of(world: &World, plan: &Plan) -> PlanProgress {
    let mut progress = PlanProgress::default();
    for step in plan.steps.iter() {
        match state(world, plan, step) {
            MoveState::Done => {
                progress.done += 1;
                progress.bytes_done = progress.bytes_done.saturating_add(step.bytes);
                continue;
            }
            MoveState::Otherwise => {
                progress.otherwise += 1;
                continue;
            }
            MoveState::Running => progress.running += 1,
            MoveState::Open => progress.left += 1,
        }
        progress.bytes_left = progress.bytes_left.saturating_add(step.bytes);
    }
    progress
}

/// Steps that nothing was done about yet, in order, each with its place among all.
pub fn open<'a>(world: &'a World, plan: &'a Plan) -> impl Iterator<Item = (usize, &'a Step)> {
    plan.steps.iter().enumerate().filter(|(_, step)| state(world, plan, step) == MoveState::Open)
}
