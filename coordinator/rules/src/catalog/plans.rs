//! Plans on record: kept, begun, called off, ended by themselves.
//!
//! In: plans that were drawn on a snapshot, an operator's word, ticks. Out: records. Nothing begins that the world has
//! moved past. A plan for evenness is carried out by the scheduler, step by step; one for a drain or a policy begins
//! with that wish itself, and its places are preferred. One runs at a time.

use super::{Draft, drain, level, policy};
use crate::balance::moves::{Scope, still_worth};
use crate::plans::{KEPT_MAX, Plan, Step, base, draw, progress};
use crate::schedule::slots::Ledger;
use crate::{Answer, Change, Reason};
use std::sync::Arc;
use stele_common::TaskType;
use stele_common::api::{DrainAsk, PlanState, PlanWhat};

/// A running plan is looked at this often, a large one seldomer: a look recounts all of its steps.
const LOOK_MS: u64 = 1_000;
const LOOK_EACH_MS: u64 = 2;
/// Steps that are asked for their worth in one look: some of them count a whole table.
const ASKED_MAX: usize = 64;

/// Keeps a plan under an id of its own.
pub fn keep(draft: &mut Draft, plan: &Plan) {
    let answer = kept(draft, plan).map(Answer::Plan);
    draft.answer(answer.unwrap_or_else(Answer::Refused));
}

fn kept(draft: &mut Draft, plan: &Plan) -> Result<u64, Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    if draft.world.plans.len() >= KEPT_MAX {
        let oldest = draft.world.plans.iter().find(|plan| plan.state != PlanState::Running).map(|plan| plan.id);
        oldest.into_iter().for_each(|id| draft.record(Change::PlanForgotten { id }));
    }
    let id = draft.take_id();
    let plan = Plan { id, made_wall_ms: draft.wall_ms, state: PlanState::Ready, ..plan.clone() };
    draft.record(Change::PlanKept { plan: Arc::new(plan) });
    Ok(id)
}

/// Begins it, if the world is still the one that it was made on.
pub fn apply(draft: &mut Draft, id: u64) {
    let answer = applied(draft, id).map_or_else(Answer::Refused, |()| Answer::Done);
    draft.answer(answer);
}

fn applied(draft: &mut Draft, id: u64) -> Result<(), Reason> {
    if let Some(reason) = level::forbids_repair(draft.world) {
        return Err(reason);
    }
    let plan = find(draft, id)?;
    match plan.state {
        PlanState::Ready => {}
        PlanState::Running => return Ok(()),
        PlanState::Done | PlanState::Cancelled | PlanState::Stopped => return Err(over(&plan)),
    }
    if let PlanWhat::Hosts { .. } = plan.what {
        return Err(Reason::PlanOnlyShown { plan: id });
    }
    if let Some(other) = draft.world.plans.running() {
        return Err(Reason::PlanRunning { plan: other.id });
    }
    if plan.price.blocked > 0 {
        return Err(blocked(id, plan.price.blocked));
    }
    if let Some(reason) = base::moved_on(draft.world, &plan) {
        return Err(reason);
    }
    match &plan.what {
        PlanWhat::Balance { .. } | PlanWhat::Hosts { .. } => {}
        PlanWhat::Drain { .. } => {
            let ask = draw::drain_ask(&plan.what).unwrap_or_default();
            let (owner, reason) = (plan.owner.clone(), plan.reason.clone());
            let answer = drain::begun(draft, &DrainAsk { owner, reason, ..ask })?;
            if !answer.begun {
                // Loads have filled disks since: not everything fits any more.
                return Err(blocked(id, answer.blocked));
            }
        }
        PlanWhat::Policy { table, wish } => {
            let (db, name) = draw::named(table)?;
            policy::changed(draft, &db, &name, wish)?;
        }
    }
    turn(draft, id, PlanState::Running, None);
    Ok(())
}

/// Nothing more of it begins; copies under way end as they would. A drain or a policy stays wished for.
pub fn cancel(draft: &mut Draft, id: u64) {
    let answer = match find(draft, id) {
        Ok(plan) if plan.state.is_over() => Answer::Refused(over(&plan)),
        Ok(_) => {
            turn(draft, id, PlanState::Cancelled, None);
            Answer::Done
        }
        Err(reason) => Answer::Refused(reason),
    };
    draft.answer(answer);
}

fn blocked(plan: u64, tablets: u64) -> Reason {
    Reason::PlanBlocked { plan, tablets }
}

fn find(draft: &Draft, id: u64) -> Result<Arc<Plan>, Reason> {
    draft.world.plans.get(id).cloned().ok_or(Reason::NoSuchPlan { plan: id })
}

fn over(plan: &Plan) -> Reason {
    Reason::PlanOver { plan: plan.id, state: plan.state.as_str().into() }
}

fn turn(draft: &mut Draft, id: u64, state: PlanState, cause: Option<Reason>) {
    let wall_ms = draft.wall_ms;
    draft.record(Change::PlanTurned { id, state, cause, wall_ms });
}

/// Ends the running plan when all of it came about, nobody wishes for it any more, or what is left may not move any more.
pub fn tick(draft: &mut Draft) {
    let Some(plan) = draft.world.plans.running().cloned() else { return };
    if !draft.comes_round(draft.world.began, LOOK_MS.max(plan.steps.len() as u64 * LOOK_EACH_MS)) {
        return;
    }
    let so_far = progress::of(draft.world, &plan);
    if so_far.running > 0 {
        return;
    }
    let cause = base::taken_back(draft.world, &plan);
    if so_far.left == 0 {
        turn(draft, plan.id, PlanState::Done, None);
    } else if let Some(cause) = cause.or_else(|| stuck(draft, &plan)) {
        turn(draft, plan.id, PlanState::Stopped, Some(cause));
    }
}

/// Why what is left is not worth moving any more, as far as a few steps taken evenly from all of them can tell. The
/// ladder's own steps are waited for: it comes back to them by itself.
fn stuck(draft: &Draft, plan: &Plan) -> Option<Reason> {
    let (world, scope) = (&*draft.world, Scope::all(draft.at));
    // Something is under way that the steps do not show: what it comes to is not known yet.
    if world.tasks.values().any(|task| task.task_type == TaskType::Balance) {
        return None;
    }
    let open: Vec<&Step> = progress::open(world, plan).map(|(_, step)| step).collect();
    let ledger = Ledger::of(world, std::iter::empty());
    let mut first = None;
    for step in open.iter().step_by(open.len().div_ceil(ASKED_MAX).max(1)) {
        let refused = still_worth(world, &scope, &ledger, &step.as_move()?).err()?;
        match refused {
            // It is ill, or its nodes are away for a while: what it waits for may pass.
            Reason::RepairFirst { .. } | Reason::BalanceHeld { .. } => return None,
            reason => _ = first.get_or_insert(reason),
        }
    }
    first
}
