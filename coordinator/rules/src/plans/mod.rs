//! Plans: what would move, computed as a whole and priced before anything moves, then carried out step by step.
//!
//! In: a world and a wish. Out: a [`Plan`]. It is kept by the Catalog, refused when the world has moved past what it was
//! made on, and carried out by the scheduler with the slots and rules of everything else: a plan says what comes next
//! and where to, never that a rule may be broken.
//!
//! | question | file |
//! |---|---|
//! | which steps lead there? | [`draw`] |
//! | what do they cost, what are they worth, how long do they take? | [`price`] |
//! | is the world still the one that it was made on? | [`base`] |
//! | how far is it? | [`progress`] |

pub mod base;
pub mod draw;
pub mod price;
pub mod progress;

#[cfg(test)]
mod tests;

use crate::balance::moves::{Move, Why};
use crate::schedule::rates::Rates;
use crate::{Reason, World};
use base::Base;
use draw::Drawn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use stele_common::api::{PlanPrice, PlanState, PlanWhat};
use stele_common::{DiskId, NodeId, ReplicaId, TabletId, Tick};

/// Plans kept; a new one takes the place of the oldest that is not running.
pub const KEPT_MAX: usize = 32;

/// A wish, worked out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub id: u64,
    pub what: PlanWhat,
    pub owner: String,
    pub reason: String,
    /// Milliseconds since 1970; shown, decides nothing.
    pub made_wall_ms: u64,
    pub ended_wall_ms: Option<u64>,
    pub state: PlanState,
    /// Why it was stopped.
    pub cause: Option<Reason>,
    pub steps: Arc<Vec<Step>>,
    pub price: Arc<PlanPrice>,
    pub base: Arc<Base>,
}

/// One copy to be made, and what leaves for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub tablet: TabletId,
    /// The replica that leaves when the copy counts; `None`: it is one more.
    pub leaves: Option<ReplicaId>,
    /// Where that one stands, or else a complete one to copy from.
    pub from_node: NodeId,
    pub from: DiskId,
    pub to_node: NodeId,
    pub to: DiskId,
    pub bytes: u64,
    /// For evenness: which.
    pub why: Option<Why>,
}

impl Plan {
    /// What was drawn on `world`, with its price. The Catalog gives it its id.
    pub fn of(world: &World, what: PlanWhat, drawn: Drawn, rates: &Rates, at: Tick) -> Plan {
        let price = Arc::new(price::price(&drawn, rates, at));
        let base = Arc::new(Base::of(world, &drawn.steps, drawn.held));
        Plan {
            id: 0,
            what,
            owner: String::new(),
            reason: String::new(),
            made_wall_ms: 0,
            ended_wall_ms: None,
            state: PlanState::Ready,
            cause: None,
            steps: Arc::new(drawn.steps),
            price,
            base,
        }
    }
}

impl Step {
    pub fn of_move(mv: &Move) -> Step {
        Step {
            tablet: mv.tablet,
            leaves: Some(mv.replica),
            from_node: mv.from_node,
            from: mv.from,
            to_node: mv.to_node,
            to: mv.to,
            bytes: mv.bytes,
            why: Some(mv.why),
        }
    }

    /// As the balancer moves it; `None`: the ladder does.
    pub fn as_move(&self) -> Option<Move> {
        let (replica, why) = (self.leaves?, self.why?);
        Some(Move {
            tablet: self.tablet,
            replica,
            from_node: self.from_node,
            from: self.from,
            to_node: self.to_node,
            to: self.to,
            bytes: self.bytes,
            why,
        })
    }
}

/// All plans on record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plans {
    by_id: BTreeMap<u64, Arc<Plan>>,
    /// Of running plans that the ladder carries out: where their tablets' new copies are to stand.
    targets: Arc<BTreeMap<TabletId, Vec<DiskId>>>,
}

impl Plans {
    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Plan>> {
        self.by_id.values()
    }

    pub fn get(&self, id: u64) -> Option<&Arc<Plan>> {
        self.by_id.get(&id)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The one that is being carried out.
    pub fn running(&self) -> Option<&Arc<Plan>> {
        self.by_id.values().find(|plan| plan.state == PlanState::Running)
    }

    /// The one whose moves are the balancer's.
    pub fn balancing(&self) -> Option<&Arc<Plan>> {
        self.running().filter(|plan| matches!(plan.what, PlanWhat::Balance { .. }))
    }

    /// Where a running plan wants the tablet's next copy to stand.
    pub fn targets_of(&self, tablet: TabletId) -> &[DiskId] {
        self.targets.get(&tablet).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn put(&mut self, plan: Arc<Plan>) {
        self.by_id.insert(plan.id, plan);
        self.note_targets();
    }

    pub(crate) fn turn(&mut self, id: u64, state: PlanState, cause: Option<Reason>, wall_ms: u64) {
        let Some(plan) = self.by_id.get_mut(&id) else { return };
        let plan = Arc::make_mut(plan);
        (plan.state, plan.cause) = (state, cause);
        plan.ended_wall_ms = state.is_over().then_some(wall_ms);
        self.note_targets();
    }

    pub(crate) fn forget(&mut self, id: u64) {
        self.by_id.remove(&id);
        self.note_targets();
    }

    fn note_targets(&mut self) {
        let mut targets: BTreeMap<TabletId, Vec<DiskId>> = BTreeMap::new();
        if let Some(plan) = self.running() {
            for step in plan.steps.iter().filter(|step| step.why.is_none()) {
                targets.entry(step.tablet).or_default().push(step.to);
            }
        }
        if *self.targets != targets {
            self.targets = Arc::new(targets);
        }
    }
}
