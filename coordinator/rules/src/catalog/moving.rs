//! Moves for evenness: whether one may be put on record.
//!
//! In: the scheduler's proposal, decided on a snapshot. Out: a copy that replaces the one it is made from, or why not.
//! Everything is asked again of the Catalog's own world: the level, the tablet's health, both ends, their slots, and
//! that the move still makes disks more even with all that is under way. Landing and leaving are those of every move
//! ([`super::tasks`]). It must never move what is not healthy, nor put two replicas of a tablet on one host.

use super::tasks::{self, Place, Wish};
use super::{Draft, level};
use crate::Reason;
use crate::balance::moves::{Move, Scope, still_worth};
use crate::schedule::balancing::has_slots;
use crate::schedule::slots::Ledger;
use stele_common::{Priority, TabletStatus, TaskId, TaskType};

/// Starts a move.
pub fn start(draft: &mut Draft, revision: u64, mv: &Move) -> Result<TaskId, Reason> {
    if let Some(reason) = level::forbids_moves(draft.world) {
        return Err(reason);
    }
    let (status, priority, task_type) = (TabletStatus::Healthy, Priority::Low, TaskType::Balance);
    let wish = Wish { tablet: mv.tablet, revision, status, priority, task_type };
    tasks::may_start(draft, &wish)?;
    let ledger = Ledger::of(draft.world, std::iter::empty());
    has_slots(&ledger, mv)?;
    still_worth(draft.world, &Scope::all(draft.at), &ledger, mv)?;
    let tablet = draft.world.tablets.get(mv.tablet).ok_or_else(|| tasks::moved(mv.tablet))?;
    if !tasks::may_stand(draft.world, tablet, mv.to_node, mv.to, Some(mv.replica)) {
        return Err(tasks::moved(mv.tablet));
    }
    let place = Place { node: mv.to_node, disk: mv.to, existing: None, replaces: Some(mv.replica) };
    tasks::begin_copy(draft, wish, mv.replica, place)
}
