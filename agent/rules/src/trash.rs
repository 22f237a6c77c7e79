//! "This trash *is due*": what the agent would like to free. It only asks; the coordinator's purge order decides, because
//! it alone knows whether enough other copies are proven.
//!
//! In: the book, the time, how long trash is kept, whether space is short. Out: replica ids. Ages are monotonic: the age
//! that this boot found plus the time since.

use crate::book::{Book, Trashed};
use crate::report::Key;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{Fact, ReplicaId, Tick};

/// How many of the oldest are due at once when space is short. More than one, so that one which must not go yet does not
/// stand in the way of the rest; few, so that a short squeeze does not empty the trash.
pub const PRESSURE_BATCH: usize = 8;

/// How long a replica has been in the trash, milliseconds.
pub fn age(trashed: &Trashed, now: Tick) -> u64 {
    trashed.age_at_boot.saturating_add(now.since(trashed.dropped))
}

/// The trashed replicas that should go: older than `trash_ms`, and under `pressure` the oldest ones too.
pub fn due(book: &Book, now: Tick, trash_ms: u64, pressure: bool) -> BTreeSet<ReplicaId> {
    let mut by_age: Vec<_> = book.trash.iter().map(|(id, trashed)| (age(trashed, now), *id)).collect();
    by_age.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let batch = if pressure { PRESSURE_BATCH } else { 0 };
    let ripe = |(place, (age, _)): &(usize, (u64, ReplicaId))| *age >= trash_ms || *place < batch;
    by_age.into_iter().enumerate().filter(ripe).map(|(_, (_, id))| id).collect()
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
    use crate::testing::{book_of, trashed};

    /// Age alone when there is room; the oldest first, a few at a time, when there is not.
    #[test]
    fn age_and_pressure() {
        let mut book = book_of(vec![]);
        for id in 1..=20 {
            book.trash.insert(ReplicaId(id), Trashed { age_at_boot: 100 - id, ..trashed(id, 0) });
        }
        let ids = |set: BTreeSet<ReplicaId>| set.into_iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(ids(due(&book, Tick(0), 98, false)), [1, 2]);
        assert_eq!(ids(due(&book, Tick(0), 1000, false)), [0u64; 0]);
        assert_eq!(ids(due(&book, Tick(0), 1000, true)), (1..=8).collect::<Vec<_>>());
        assert_eq!(ids(due(&book, Tick(900), 1000, false)), [0u64; 0], "age 999 at most");
        assert_eq!(ids(due(&book, Tick(901), 1000, false)), [1]);
        let mut facts = crate::report::facts(&book, Tick(901));
        mark(&mut facts, &due(&book, Tick(901), 1000, false));
        let marked = facts.values().filter(|fact| matches!(fact, Fact::Trash(fact) if fact.due)).count();
        assert_eq!(marked, 1);
    }
}
