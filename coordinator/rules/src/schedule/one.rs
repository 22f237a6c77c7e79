//! One round over everything, without bounds: what a world file is answered with.
//!
//! In: a desk, a world, the tablets in the order in which they came in. Out: what would be proposed, in the order in
//! which it left the queue, and for every other tablet that needs something the reason why not. It is the very round
//! that the scheduler runs, but it looks at each tablet, however many there are. Tablets with a running task are in
//! neither list; nothing running is ended.

use super::round::Bounds;
use super::{Desk, DeskAction, DeskEvent, admit};
use crate::catalog::level;
use crate::checkup::verdict;
use crate::{Proposal, Reason, World};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{TabletId, TabletStatus, Tick};

/// What one round comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneRound {
    /// In the order in which they left the queue: priority, then earlier last visit, then as the tablets came in.
    pub proposals: Vec<Proposal>,
    /// In the order in which the tablets came in.
    pub refused: Vec<(TabletId, Reason)>,
}

/// Takes the verdicts of `tablets` in their order, and goes through the queue once.
pub fn one_round(desk: &mut Desk, world: &World, at: Tick, tablets: &[TabletId]) -> OneRound {
    let held_back = level::forbids_repair(world);
    desk.is_boundless = true;
    let mut answers: BTreeMap<TabletId, Reason> = BTreeMap::new();
    let mut sick = Vec::new();
    for id in tablets {
        let Some(tablet) = world.tablets.get(*id).filter(|_| !world.tasks.contains_key(id)) else { continue };
        let found = verdict(world, tablet, at);
        match (found.status, &held_back) {
            (TabletStatus::Healthy, _) => {}
            (TabletStatus::Unrecoverable, _) => _ = answers.insert(*id, admit::unrecoverable(*id)),
            (_, Some(level)) => _ = answers.insert(*id, level.clone()),
            (_, None) => {
                if found.ready_in_ms > 0 {
                    answers.insert(*id, admit::not_ready(found.ready_in_ms));
                }
                sick.push((*id, found));
            }
        }
    }
    let mut actions = desk.step(world, at, DeskEvent::Verdicts(sick));
    if held_back.is_none() {
        desk.go_through(world, at, &Bounds::NONE, &mut actions);
    }
    let mut proposals = Vec::new();
    for action in actions {
        match action {
            DeskAction::Propose(proposal) => proposals.push(proposal),
            DeskAction::AskMoves { .. } => {}
            DeskAction::Explain { tablet, reason } => _ = answers.insert(tablet, reason),
        }
    }
    let proposed: BTreeSet<TabletId> = proposals.iter().map(Proposal::tablet).collect();
    let answer = |id: &TabletId| {
        let known = answers.get(id).or_else(|| desk.entry(*id)?.reason.as_ref());
        known.filter(|_| !proposed.contains(id)).map(|reason| (*id, reason.clone()))
    };
    let refused = tablets.iter().filter_map(answer).collect();
    OneRound { proposals, refused }
}
