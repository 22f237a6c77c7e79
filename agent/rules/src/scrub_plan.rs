//! "This replica *is read next*" by the background reading that looks for rot.
//!
//! In: the book, the time, the pace. Out: at most one replica, to be told as [`crate::event::EventBody::Scrub`]. A fresh
//! copy has never been read back from the medium, so it comes first; then the one whose last reading is longest ago, once
//! that is a period. One at a time a disk, never one that is busy, bad (nothing to learn) or on its way out.

use crate::book::{Book, Held};
use stele_common::config::ScrubKnobs;
use stele_common::{DiskState, ReplicaId, Tick, Version};

/// The replica to be read now; `None` = nothing is due, or one is being read.
pub fn next(book: &Book, now: Tick, knobs: &ScrubKnobs) -> Option<ReplicaId> {
    let waiting = |held: &Held| held.wishes.verify || held.wishes.scrub;
    if book.state != DiskState::Online || !book.reading.is_empty() || book.replicas.values().any(waiting) {
        return None;
    }
    let may_be_read = |id: &ReplicaId, held: &Held| {
        held.bad.is_none() && held.wishes.drop.is_none() && held.head != Version::EMPTY && !book.busy.contains_key(id)
    };
    let due = |held: &Held| held.scrubbed.is_none_or(|at| now.since(at) >= knobs.period_ms);
    book.replicas
        .iter()
        .filter(|(id, held)| due(held) && may_be_read(id, held))
        // `None` sorts before every tick: fresh ones first, among them the one that was checked longest ago.
        .min_by_key(|(id, held)| (held.scrubbed, held.verified, **id))
        .map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{book_of, evidence, held};

    /// Fresh first, then oldest beyond the period; nothing that is bad, leaving, empty or already waited for.
    #[test]
    fn who_is_next() {
        let knobs = ScrubKnobs { period_ms: 100, ..ScrubKnobs::default() };
        let fresh = held(1, 10, 3);
        let read = |id, at| Held { scrubbed: Some(Tick(at)), ..held(id, 10 + id, 3) };
        type Change = fn(&mut Held);
        let rows: Vec<(&str, Vec<Held>, Option<u64>)> = vec![
            ("nothing there", vec![], None),
            ("fresh before overdue", vec![read(2, 0), fresh.clone()], Some(1)),
            ("oldest of the overdue", vec![read(2, 50), read(3, 40), read(4, 60)], Some(3)),
            ("not yet a period", vec![read(2, 901)], None),
            (
                "the fresh one checked longest ago",
                vec![
                    Held { verified: Some(Tick(9)), ..held(5, 10, 1) },
                    Held { verified: Some(Tick(7)), ..held(6, 11, 1) },
                ],
                Some(6),
            ),
        ];
        for (name, replicas, expected) in rows {
            assert_eq!(next(&book_of(replicas), Tick(1000), &knobs).map(|id| id.0), expected, "{name}");
        }
        let spoilt: [(&str, Change); 5] = [
            ("bad", |held| held.bad = Some("rot".into())),
            ("leaving", |held| held.wishes.drop = Some(evidence())),
            ("empty", |held| held.head = Version::EMPTY),
            ("asked for", |held| held.wishes.verify = true),
            ("its turn already", |held| held.wishes.scrub = true),
        ];
        for (name, spoil) in spoilt {
            let mut replica = fresh.clone();
            spoil(&mut replica);
            assert_eq!(next(&book_of(vec![replica]), Tick(1000), &knobs), None, "{name}");
        }
        let mut book = book_of(vec![fresh.clone(), read(2, 0)]);
        book.reading.insert(ReplicaId(2));
        assert_eq!(next(&book, Tick(1000), &knobs), None, "one at a time");
        book.reading.clear();
        book.state = DiskState::Suspect;
        assert_eq!(next(&book, Tick(1000), &knobs), None, "a suspect disk is spared");
    }
}
