//! The level on record: what people set, and how it falls when our own store turns out to be old; what a level allows is [`crate::level`]'s.
//!
//! In: a person's word; signs that the disks know of a later time than our store (an epoch, an id, a version that we never gave).
//! Out: level BLIND with its cause. It must never rise again by itself: only a restart on the right store helps.

use super::Draft;
use crate::settings::LevelSetting;
use crate::{Answer, Change, Reason, World, level};
use stele_common::api::LevelAsk;
use stele_common::status::Level;
use stele_common::{Epoch, NodeId};

pub use crate::level::{forbids_clearing, forbids_moves, forbids_repair, forbids_reshaping, forbids_work};

/// What people allow; it goes on record at every level, so that they can take it back.
pub fn set(draft: &mut Draft, ask: &LevelAsk) {
    if let Some(reason) = level::store_is_old(draft.world) {
        return draft.answer(Answer::Refused(reason));
    }
    let (by, reason, wall_ms) = (ask.by.clone(), ask.reason.clone(), draft.wall_ms);
    let was_blind = draft.is_blind();
    draft.record(Change::LevelSet { setting: LevelSetting { level: ask.level, by, reason, wall_ms } });
    if was_blind && !draft.is_blind() {
        // What was told to the blind was seen and not judged.
        let nodes: Vec<NodeId> = draft.world.nodes.values().filter(|node| node.reported).map(|node| node.id).collect();
        nodes.into_iter().for_each(|node| draft.ask_full_report(node));
    }
    draft.answer(Answer::Done);
}

/// Whether we cannot have issued this id.
pub fn is_ahead(world: &World, id: u64) -> bool {
    id >= world.next_id
}

/// The disks know more than our store: from now on nothing is ordered, nothing dropped.
pub fn store_is_old(draft: &mut Draft, detail: String) {
    let reason = Reason::StoreIsOld { detail };
    draft.explain(reason.clone());
    if level::store_is_old(draft.world).is_none() {
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
