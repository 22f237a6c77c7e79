//! "These versions *may go*": which old versions of a replica a collection removes, and which it must leave.
//!
//! In: a replica and the version below which the coordinator needs nothing. Out: version numbers. A pinned version stays
//! while somebody reads it, and the head always stays.

use crate::book::Held;
use stele_common::Version;

/// The versions below `below` that stay because they are being read.
pub fn keep(held: &Held, below: Version) -> Vec<Version> {
    held.older.range(..below).map(|(version, _)| *version).filter(|version| held.pins.contains_key(version)).collect()
}

/// The versions that a collection below `below` removes.
pub fn removable(held: &Held, below: Version) -> Vec<Version> {
    let older = held.older.range(..below.min(held.head)).map(|(version, _)| *version);
    older.filter(|version| !held.pins.contains_key(version)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hash, held};

    /// Pinned versions and the head stay, whatever is asked for.
    #[test]
    fn what_is_read_stays() {
        /// Head, older, pinned, below; kept, removed.
        type Row = (u64, &'static [u64], &'static [u64], u64, &'static [u64], &'static [u64]);
        let rows: &[Row] = &[
            (5, &[2, 3, 4], &[], 4, &[], &[2, 3]),
            (5, &[2, 3, 4], &[3], 4, &[3], &[2]),
            (5, &[2, 3, 4], &[4, 5], 9, &[4], &[2, 3]),
            (5, &[2, 3, 4], &[], 2, &[], &[]),
            (5, &[], &[5], 9, &[], &[]),
        ];
        for (head, older, pinned, below, kept, removed) in rows {
            let mut replica = held(1, 10, *head);
            replica.older = older.iter().map(|version| (Version(*version), hash(*version))).collect();
            replica.pins = pinned.iter().map(|version| (Version(*version), 1)).collect();
            let numbers = |list: Vec<Version>| list.into_iter().map(|version| version.0).collect::<Vec<_>>();
            assert_eq!(numbers(keep(&replica, Version(*below))), *kept, "kept below {below}");
            assert_eq!(numbers(removable(&replica, Version(*below))), *removed, "removed below {below}");
        }
    }
}
