//! What the planner proposes next: roles first, then primaries with their bytes, then all other copies.
//!
//! In: the world, what is held back, how many moves are wanted. Out: a [`Selection`]; it counts what there is to do of
//! each kind, whatever is done of it now. Roles cost nothing, so copies wait until none may change hands.

use super::moves::{Move, Scope, next_moves};
use super::primaries::{Turn, even_primaries};
use crate::schedule::slots::Ledger;
use crate::{Reason, World};
use std::collections::BTreeSet;
use stele_common::TabletId;

/// The planner's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    pub turns: Vec<Turn>,
    /// Best first.
    pub moves: Vec<Move>,
    pub operations: Operations,
    /// Why there are neither.
    pub idle: Option<Reason>,
    /// Why primaries stay where they are, if they do.
    pub primaries: Option<Reason>,
}

/// How much there is to do, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    pub move_pri: u64,
    pub copy_pri: u64,
    pub copy_sec: u64,
}

impl From<Vec<Move>> for Selection {
    fn from(moves: Vec<Move>) -> Selection {
        Selection { moves, ..Selection::default() }
    }
}

impl From<Reason> for Selection {
    fn from(idle: Reason) -> Selection {
        Selection { idle: Some(idle), ..Selection::default() }
    }
}

/// Looks at everything once.
pub fn select(world: &World, scope: &Scope, limit: usize) -> Selection {
    let found = even_primaries(world, scope, &Ledger::of(world, std::iter::empty()));
    let others = match world.knobs.only_primary_balancer {
        true => Err(Reason::PrimariesOnly),
        false => next_moves(world, scope, usize::MAX),
    };
    let (mut others, idle) = match others {
        Ok(moves) => (moves, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    if world.knobs.balancer_in_turn {
        let table = |mv: &Move| world.tablets.get(mv.tablet).map(|tablet| tablet.table);
        let first = others.first().and_then(table);
        others.retain(|mv| table(mv) == first);
    }
    let (move_pri, copy_pri, copy_sec) = (found.turns.len(), found.copies.len(), others.len());
    let operations = Operations { move_pri: move_pri as u64, copy_pri: copy_pri as u64, copy_sec: copy_sec as u64 };
    // A copy is drawn for the places as they are: none while roles change, none of two kinds at once.
    let mut moves = match (found.turns.is_empty(), found.copies.is_empty()) {
        (false, _) => Vec::new(),
        (true, false) => found.copies,
        (true, true) => others,
    };
    let is_idle = found.turns.is_empty() && moves.is_empty();
    let mut tablets: BTreeSet<TabletId> = BTreeSet::new();
    moves.retain(|mv| mv.why != super::moves::Why::Primary || tablets.insert(mv.tablet));
    moves.truncate(limit);
    Selection { turns: found.turns, moves, operations, idle: idle.filter(|_| is_idle), primaries: found.rest }
}
