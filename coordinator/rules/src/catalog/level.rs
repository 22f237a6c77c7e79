//! How much may be done at all, and how the level falls when our own store turns out to be old.
//!
//! In: signs that the disks know of a later time than our store (an epoch, an id, a version that we never gave).
//! Out: level BLIND with its cause. It must never rise again by itself: only a restart on the right store helps.

use super::Draft;
use crate::{Change, Reason, World};
use stele_common::status::Level;
use stele_common::{Epoch, NodeId};

/// Why no table or load may be touched now.
pub fn forbids_work(world: &World) -> Option<Reason> {
    match world.level {
        Level::Stopped | Level::Blind => Some(forbidden(world)),
        Level::Freezed | Level::Steady | Level::Lively => None,
    }
}

/// Why no repair and no deletion may be ordered now.
pub fn forbids_repair(world: &World) -> Option<Reason> {
    match world.level {
        Level::Stopped | Level::Blind | Level::Freezed => Some(forbidden(world)),
        Level::Steady | Level::Lively => None,
    }
}

fn forbidden(world: &World) -> Reason {
    match &world.level_cause {
        Some(cause) => cause.clone(),
        None => Reason::LevelForbids { level: world.level.to_string() },
    }
}

/// Whether we cannot have issued this id.
pub fn is_ahead(world: &World, id: u64) -> bool {
    id >= world.next_id
}

/// The disks know more than our store: from now on nothing is ordered, nothing dropped.
pub fn store_is_old(draft: &mut Draft, detail: String) {
    let reason = Reason::StoreIsOld { detail };
    draft.explain(reason.clone());
    if !draft.is_blind() {
        draft.record(Change::LevelTurned { level: Level::Blind, cause: Some(reason) });
    }
}

/// An agent knows of a later leadership.
pub fn higher_epoch(draft: &mut Draft, node: Option<NodeId>, epoch: Epoch) {
    if epoch <= draft.world.epoch {
        return;
    }
    let ours = draft.world.epoch;
    let who = node.map_or("an agent".to_string(), |node| format!("node {node}"));
    store_is_old(draft, format!("{who} has seen epoch {epoch}, ours is {ours}"));
}
