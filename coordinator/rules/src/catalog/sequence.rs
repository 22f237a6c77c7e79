//! Whether a disk knows of a later state of our store than we do: then the store is an old copy.
//!
//! Every durable change has a number. Agents are told how many are durable for certain, keep the highest mark, and tell
//! it when they introduce themselves. In: a mark, our own history. Out: why we cannot have given it, or nothing.
//!
//! ```text
//! ours     epoch 4 ─── 120 ─▶ epoch 5 ─── 151 ─▶ epoch 6 ─▶ ... 163      told under 5: 150 at most; under 6: 163
//! a mark   (5, 149) is ours      (5, 158): more than 5 ever had      (6, 170): more than 6 has so far
//! ```
//!
//! An old copy begins its first leadership with the number that its true self had already given to another, or with a
//! lower count: this sees it by the count, or by a mark of its own leadership before it gave any, and
//! [`super::level::higher_epoch`] by the number. It must never tell a number that
//! is not durable, nor one that it may itself have given wrongly: nothing is told before the agents had time to object.

use crate::World;
use stele_common::handshake::StoreMark;
use stele_common::status::Level;

/// What is wrong with a mark, if anything: the end of a sentence that begins with whose it is.
pub fn unknown(world: &World, mark: StoreMark) -> Option<String> {
    let StoreMark { epoch, sequence } = mark;
    if sequence == 0 {
        return None;
    }
    // Its disks may not have seen that epoch: they learn it with the first order.
    if epoch > world.epoch {
        return Some(format!("was told of epoch {epoch}, ours is {}", world.epoch));
    }
    if epoch == world.epoch && !world.may_have_told() {
        let text =
            format!("was told of record {sequence} under epoch {epoch}, under which we have told nobody anything");
        return Some(text);
    }
    let most = match epoch == world.epoch {
        true => world.sequence,
        // A leadership ended where the one after it began.
        false => *world.sequences.range(epoch.next()..).next()?.1,
    };
    (sequence > most)
        .then(|| format!("was told of record {sequence} under epoch {epoch}, our store has {most} of that time"))
}

impl World {
    /// What agents may be told of the store; 0 = nothing. `self` must be committed.
    pub fn sequence_to_tell(&self) -> u64 {
        let is_trusted = match self.level {
            Level::Stopped | Level::Blind => false,
            Level::Freezed | Level::Steady | Level::Lively => true,
        };
        if is_trusted && self.may_have_told() { self.sequence } else { 0 }
    }

    /// Who has heard of a later store says so within a grace; before that this leadership tells nobody anything.
    fn may_have_told(&self) -> bool {
        self.ticked.since(self.began) >= self.knobs.lost_ms
    }
}
