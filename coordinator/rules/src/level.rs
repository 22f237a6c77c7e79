//! How much may be done at all: what each function level allows, whoever asks.
//!
//! In: the world. Out: why loads and tables, repair, or balance may not be touched now, or nothing. Every decider asks
//! here at each use; the answer is stored nowhere, so a level that lifts by itself holds nothing back any longer.

use crate::{Reason, World};
use stele_common::status::Level;

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

/// Why nothing may be moved now only to even out.
pub fn forbids_balance(world: &World) -> Option<Reason> {
    match world.level {
        Level::Stopped | Level::Blind | Level::Freezed | Level::Steady => Some(forbidden(world)),
        Level::Lively => None,
    }
}

fn forbidden(world: &World) -> Reason {
    match &world.level_cause {
        Some(cause) => cause.clone(),
        None => Reason::LevelForbids { level: world.level.to_string() },
    }
}
