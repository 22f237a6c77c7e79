//! What this agent remembers of how far the coordinator's store was. In: what the coordinator tells with its answers to
//! beats, what the disks kept. Out: the highest mark, told in every hello: a coordinator that cannot have told it runs
//! on an old copy of its store.
//!
//! In memory it is exact; on disk it is written seldom, for each write costs a sync on every disk: an agent that ends
//! within [`SAVE_AFTER_MS`] of the last change forgets a little, and only the coordinator's other signs are left then.

use crate::clock::Clock;
use crate::wiring::Shared;
use actix_rt::task::spawn_blocking;
use std::sync::{Mutex, MutexGuard, PoisonError};
use stele_common::Tick;
use stele_common::handshake::StoreMark;

/// Written so long after the first change that is not: an idle cluster writes nothing, a busy one once a minute.
const SAVE_AFTER_MS: u64 = 60_000;
/// Written at once when so much would be forgotten: some hundred loads.
const SAVE_AFTER_RECORDS: u64 = 1_000;

/// The highest mark, and what of it is on the disks.
#[derive(Debug)]
pub struct Remembered {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    heard: StoreMark,
    /// Handed to the disks.
    saved: StoreMark,
    /// When `heard` first differed from it.
    since: Option<Tick>,
}

impl Remembered {
    pub fn new(clock: Clock) -> Remembered {
        Remembered { clock, state: Mutex::default() }
    }

    /// The highest mark.
    pub fn heard(&self) -> StoreMark {
        self.lock().heard
    }

    /// A disk that was opened knows this one.
    pub fn learn(&self, mark: StoreMark) {
        let mut state = self.lock();
        (state.heard, state.saved) = (state.heard.max(mark), state.saved.max(mark));
    }

    /// The coordinator told this one; given back when it is to be written down.
    fn told(&self, mark: StoreMark) -> Option<StoreMark> {
        self.told_at(mark, self.clock.now())
    }

    fn told_at(&self, mark: StoreMark, now: Tick) -> Option<StoreMark> {
        let mut state = self.lock();
        if mark.sequence > 0 {
            state.heard = state.heard.max(mark);
        }
        if state.heard <= state.saved {
            return None;
        }
        let since = *state.since.get_or_insert(now);
        let lost = state.heard.sequence.saturating_sub(state.saved.sequence);
        if now.since(since) < SAVE_AFTER_MS && lost < SAVE_AFTER_RECORDS {
            return None;
        }
        (state.saved, state.since) = (state.heard, None);
        Some(state.heard)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The coordinator told how far its store is: remembered, and now and then made durable on every open disk.
pub fn told(shared: &Shared, mark: StoreMark) {
    let Some(mark) = shared.store_mark.told(mark) else { return };
    for disk in shared.shelf.disks().into_iter().filter(|disk| disk.online()) {
        spawn_blocking(move || {
            let Some(dir) = disk.dir() else { return };
            if let Err(error) = dir.save_store_mark(mark) {
                tracing::warn!(disk = %disk.disk, %error, "cannot remember how far the coordinator's store was");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::Epoch;

    fn mark(epoch: u64, sequence: u64) -> StoreMark {
        StoreMark { epoch: Epoch(epoch), sequence }
    }

    /// Every mark is remembered at once and written seldom: after a minute, or when much would be forgotten.
    #[test]
    fn written_seldom() {
        let remembered = Remembered::new(Clock::start());
        remembered.learn(mark(3, 100));
        let rows = [
            (0, mark(3, 0), None),
            (1_000, mark(3, 100), None),
            (2_000, mark(3, 104), None),
            (61_000, mark(3, 104), None),
            (62_000, mark(3, 105), Some(mark(3, 105))),
            (63_000, mark(3, 105), None),
            (64_000, mark(3, 1_200), Some(mark(3, 1_200))),
            (65_000, mark(3, 7), None),
            (66_000, mark(4, 1_201), None),
            (126_000, mark(4, 0), Some(mark(4, 1_201))),
        ];
        for (at, told, expected) in rows {
            assert_eq!(remembered.told_at(told, Tick(at)), expected, "at {at}");
        }
        assert_eq!(remembered.heard(), mark(4, 1_201));
    }
}
