//! "This trash *is due*": what the agent would like to free. It only asks; the coordinator's purge order decides, because
//! it alone knows whether enough other copies are proven.
//!
//! In: the book, the time, how long trash is kept, how short space is. Out: replica ids. Ages are monotonic: the age
//! that this boot found plus the time since. It must never ask for more than a short disk needs: trash is what a mistake
//! is undone from.

use crate::book::{Book, Trashed};
use crate::report::Key;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{Fact, ReplicaId, Tick};

/// When nothing was freed for so long, milliseconds, one more than needed is asked for: the oldest may be one that must not
/// go yet. A round of confirmations takes a second and is given up after a minute.
pub const STUCK_MS: u64 = 60_000;

/// How short of room a disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Squeeze {
    /// Bytes that are missing.
    short: u64,
    /// When it began, or when something was last freed.
    since: Tick,
}

impl Squeeze {
    /// A disk that `short` bytes were found missing on just now.
    pub fn of(short: u64, now: Tick) -> Squeeze {
        Squeeze { short, since: now }
    }

    /// Its room was measured again.
    pub fn measured(&mut self, short: u64, now: Tick) {
        let goes_on = self.short > 0 && short > 0;
        *self = Squeeze { short, since: if goes_on { self.since } else { now } };
    }

    /// So many bytes of trash are gone; the next measurement comes later.
    pub fn freed(&mut self, bytes: u64, now: Tick) {
        if bytes > 0 {
            *self = Squeeze { short: self.short.saturating_sub(bytes), since: now };
        }
    }

    /// There is room enough.
    pub fn is_none(&self) -> bool {
        self.short == 0
    }
}

/// Bytes that would have to be freed until a copy as large as the largest here may come; `reserve` is what a copy must
/// leave. With less than that a disk takes no copy, and trash that stays would keep repair waiting for as long as it does.
pub fn short_of(book: &Book, available: u64, reserve: u64) -> u64 {
    let held = book.replicas.values().map(|held| held.size);
    let largest = held.chain(book.trash.values().map(|trashed| trashed.bytes)).max().unwrap_or(0);
    reserve.saturating_add(largest).saturating_sub(available)
}

/// How long a replica has been in the trash, milliseconds.
pub fn age(trashed: &Trashed, now: Tick) -> u64 {
    trashed.age_at_boot.saturating_add(now.since(trashed.dropped))
}

/// The trashed replicas that should go: older than `trash_ms`, and on a short disk the oldest that make up for it.
pub fn due(book: &Book, now: Tick, trash_ms: u64, squeeze: &Squeeze) -> BTreeSet<ReplicaId> {
    let mut by_age: Vec<_> = book.trash.iter().map(|(id, trashed)| (age(trashed, now), *id, trashed.bytes)).collect();
    by_age.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut missing = squeeze.short;
    let mut spare = if squeeze.is_none() { 0 } else { now.since(squeeze.since) / STUCK_MS };
    let mut due = BTreeSet::new();
    for (age, id, bytes) in by_age {
        let is_needed = missing > 0;
        if age < trash_ms && !is_needed {
            if spare == 0 {
                break;
            }
            spare -= 1;
        }
        missing = missing.saturating_sub(bytes);
        due.insert(id);
    }
    due
}

/// Says so in the facts of the same book.
pub fn mark(facts: &mut BTreeMap<Key, Fact>, due: &BTreeSet<ReplicaId>) {
    for id in due {
        if let Some(Fact::Trash(fact)) = facts.get_mut(&Key::Trash(*id)) {
            fact.due = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Held;
    use crate::testing::{book_of, held, trashed};

    /// Age alone when there is room; when there is not, the oldest whose bytes make up for it, and no more. (Each has 7
    /// bytes.)
    #[test]
    fn age_and_pressure() {
        let mut book = book_of(vec![]);
        for id in 1..=20 {
            book.trash.insert(ReplicaId(id), Trashed { age_at_boot: 100 - id, ..trashed(id, 0) });
        }
        let ids = |set: BTreeSet<ReplicaId>| set.into_iter().map(|id| id.0).collect::<Vec<_>>();
        let none = Squeeze::default();
        assert_eq!(ids(due(&book, Tick(0), 98, &none)), [1, 2]);
        assert_eq!(ids(due(&book, Tick(0), 1000, &none)), [0u64; 0]);
        for (short, expected) in [(1, 1), (7, 1), (8, 2), (21, 3), (1_000, 20)] {
            let wanted: Vec<u64> = (1..=expected).collect();
            assert_eq!(ids(due(&book, Tick(0), 1000, &Squeeze::of(short, Tick(0)))), wanted, "{short} bytes short");
        }
        assert_eq!(ids(due(&book, Tick(0), 98, &Squeeze::of(8, Tick(0)))), [1, 2], "what is ripe makes up for it too");
        assert_eq!(ids(due(&book, Tick(900), 1000, &none)), [0u64; 0], "age 999 at most");
        assert_eq!(ids(due(&book, Tick(901), 1000, &none)), [1]);
        let mut facts = crate::report::facts(&book, Tick(901));
        mark(&mut facts, &due(&book, Tick(901), 1000, &none));
        let marked = facts.values().filter(|fact| matches!(fact, Fact::Trash(fact) if fact.due)).count();
        assert_eq!(marked, 1);
    }

    /// Room for the reserve and for the largest replica that is or was here.
    #[test]
    fn room_for_one_more() {
        let mut book = book_of(vec![]);
        assert_eq!((short_of(&book, 99, 100), short_of(&book, 100, 100)), (1, 0));
        book.trash.insert(ReplicaId(1), trashed(1, 0));
        assert_eq!((short_of(&book, 100, 100), short_of(&book, 107, 100)), (7, 0), "each has 7 bytes");
        let large = Held { size: 30, ..held(2, 10, 1) };
        book.replicas.insert(ReplicaId(2), large);
        assert_eq!(short_of(&book, 100, 100), 30);
    }

    /// What was freed counts before it is measured; while nothing is freed, one more is asked for each minute.
    #[test]
    fn a_squeeze_goes_on() {
        let mut book = book_of(vec![]);
        for id in 1..=9 {
            book.trash.insert(ReplicaId(id), Trashed { age_at_boot: 100 - id, ..trashed(id, 0) });
        }
        let count = |squeeze: &Squeeze, now: u64| due(&book, Tick(now), u64::MAX, squeeze).len();
        let mut squeeze = Squeeze::of(10, Tick(5));
        assert_eq!([5, STUCK_MS + 5, 2 * STUCK_MS + 5].map(|now| count(&squeeze, now)), [2, 3, 4]);
        squeeze.measured(12, Tick(STUCK_MS));
        assert_eq!(count(&squeeze, STUCK_MS + 5), 3, "it goes on");
        squeeze.freed(7, Tick(STUCK_MS + 6));
        assert_eq!(count(&squeeze, STUCK_MS + 6), 1, "5 are missing");
        squeeze.freed(7, Tick(STUCK_MS + 7));
        assert_eq!(count(&squeeze, 9 * STUCK_MS), 0);
        squeeze.measured(1, Tick(9 * STUCK_MS));
        assert_eq!(count(&squeeze, 9 * STUCK_MS), 1, "a new one");
    }
}
