//! How the level falls when our own store turns out to be old; what a level allows is [`crate::level`]'s.
//!
//! In: signs that the disks know of a later time than our store (an epoch, an id, a version that we never gave).
//! Out: level BLIND with its cause. It must never rise again by itself: only a restart on the right store helps.

use super::Draft;
use crate::{Change, Reason, World};
use stele_common::status::Level;
use stele_common::{Epoch, NodeId};

pub use crate::level::{forbids_repair, forbids_work};

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
