//! The shapes of plans out of a snapshot. Pure functions; steps, prices and progress come from the law book's `plans`.

use crate::clock::rfc3339;
use std::sync::Arc;
use stele_common::api::{PlanInfo, PlanMove, PlanState, PlanWhat, Plans, Refusal};
use stele_common::{DiskId, NodeId};
use stele_coordinator_rules::evacuation::name_of;
use stele_coordinator_rules::plans::{Plan, Step, base, progress};
use stele_coordinator_rules::{Reason, World};

/// All plans, the newest first, without their moves.
pub fn list(world: &World) -> Plans {
    Plans { plans: world.plans.iter().rev().map(|plan| info(world, plan, 0, 0)).collect() }
}

/// One plan, with so many of its moves from a place in their order on.
pub fn info(world: &World, plan: &Arc<Plan>, skip: usize, moves_max: usize) -> PlanInfo {
    let why = match plan.state {
        PlanState::Ready if matches!(plan.what, PlanWhat::Hosts { .. }) => None,
        PlanState::Ready => base::moved_on(world, plan).as_ref().map(refusal),
        PlanState::Running | PlanState::Done | PlanState::Cancelled | PlanState::Stopped => {
            plan.cause.as_ref().map(refusal)
        }
    };
    let moves: Vec<PlanMove> =
        plan.steps.iter().skip(skip).take(moves_max).map(|step| moved(world, plan, step)).collect();
    let shown = skip.saturating_add(moves.len());
    PlanInfo {
        id: plan.id,
        what: plan.what.clone(),
        state: plan.state,
        owner: plan.owner.clone(),
        reason: plan.reason.clone(),
        made: rfc3339(plan.made_wall_ms),
        ended: plan.ended_wall_ms.map(rfc3339),
        why,
        price: (*plan.price).clone(),
        progress: progress::of(world, plan),
        next: (!moves.is_empty() && shown < plan.steps.len()).then_some(shown as u64),
        moves,
    }
}

fn refusal(reason: &Reason) -> Refusal {
    Refusal { code: reason.code().into(), detail: reason.to_string() }
}

fn moved(world: &World, plan: &Plan, step: &Step) -> PlanMove {
    // A host that is not there yet is known by the plan alone.
    let of_plan = |disk: DiskId| plan.price.disks.iter().find(|known| known.disk == disk).map(|disk| disk.host.clone());
    let host = |node: NodeId, disk: DiskId| match world.nodes.get(&node) {
        Some(node) => node.host.clone(),
        None => of_plan(disk).unwrap_or_default(),
    };
    PlanMove {
        tablet: step.tablet,
        table: world.tablets.get(step.tablet).map(|tablet| name_of(world, tablet)).unwrap_or_default(),
        from_host: host(step.from_node, step.from),
        from_disk: step.from,
        to_host: host(step.to_node, step.to),
        to_disk: step.to,
        bytes: step.bytes,
        leaves: step.leaves.is_some(),
        state: progress::state(world, plan, step),
    }
}
