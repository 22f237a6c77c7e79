//! Roles that change for evenness: whether another replica may be a tablet's primary now.
//!
//! In: the planner's wish, drawn on a snapshot; a move that has landed. Out: the new primary on record, under the next
//! ballot. No byte moves and no agent is told: who the primary is stands in the answer to the next load. It must never
//! turn a tablet that takes a load. A wish that came too late is no failure: the planner looks again.

use super::{Draft, level};
use crate::balance::moves::Scope;
use crate::balance::primaries::{Turn, may_turn};
use crate::{Answer, Change};
use stele_common::{ReplicaId, TabletId};

/// Another complete replica becomes the primary, or it is told why not.
pub fn turn(draft: &mut Draft, turn: &Turn) -> Answer {
    let refused =
        level::forbids_moves(draft.world).or_else(|| may_turn(draft.world, &Scope::all(draft.at), turn).err());
    match refused {
        Some(reason) => draft.explain(reason),
        None => choose(draft, turn.tablet, turn.to),
    }
    Answer::Done
}

/// What has moved in its place is the primary that it replaces.
pub fn inherit(draft: &mut Draft, tablet: TabletId, old: ReplicaId, by: ReplicaId) {
    if draft.world.tablets.get(tablet).is_some_and(|tablet| tablet.primary == Some(old)) {
        choose(draft, tablet, by);
    }
}

fn choose(draft: &mut Draft, tablet: TabletId, replica: ReplicaId) {
    let (ballot, replica) = (draft.world.next_ballot(tablet), Some(replica));
    draft.record(Change::PrimaryChosen { tablet, replica, ballot });
}
