//! What a move must lower, strictly: the two potentials, in whole numbers.
//!
//! ```text
//! usage, over the disks of a medium:     Σ used² / total
//! counts, over places of one table:      Σ (count - share)²,   share = replicas of the table x capacity / all capacity
//! ```
//!
//! In: the figures of the two ends of one move. Out: whether it lowers. No rounding: a potential that falls with every
//! move and is never below zero has no way back, so nothing ever returns to where it came from.

/// A disk's bytes, with everything that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    pub used: u64,
    pub total: u64,
}

impl Filled {
    /// Used part in parts per million, for thresholds and texts; 0 for a disk without size.
    pub fn ppm(self) -> u64 {
        let used = u128::from(self.used) * 1_000_000;
        used.checked_div(u128::from(self.total)).map_or(0, |ppm| ppm as u64)
    }
}

/// A move of `bytes` lowers the usage potential.
///
/// Of `(to + s)² / to_total + (from - s)² / from_total` less the same without `s`, the part `s` is taken out.
pub fn lowers_usage(from: Filled, to: Filled, bytes: u64) -> bool {
    if bytes == 0 || bytes > from.used || from.total == 0 || to.total == 0 {
        return false;
    }
    let (after, before) = (2 * u128::from(to.used) + u128::from(bytes), 2 * u128::from(from.used) - u128::from(bytes));
    wide(after, from.total) < wide(before, to.total)
}

/// A product of 65 and 64 bits, as high and low halves.
fn wide(a: u128, b: u64) -> (u128, u128) {
    let (b, mask) = (u128::from(b), u128::from(u64::MAX));
    let (low, high) = ((a & mask) * b, (a >> 64) * b);
    let carried = high + (low >> 64);
    (carried, low & mask)
}

/// Copies of a table at a place, and the place's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peopled {
    pub count: u64,
    pub capacity: u64,
}

/// A move of one replica between places lowers the table's count potential; `copies` and `capacity` are those of all
/// places together. `(from - its share) - (to - its share) > 1`, times the capacity.
pub fn lowers_count(from: Peopled, to: Peopled, copies: u64, capacity: u64) -> bool {
    count_gap(from, to, copies, capacity) > i128::from(capacity)
}

/// How much further `from` is above its share than `to` is, in replicas times `capacity`.
pub fn count_gap(from: Peopled, to: Peopled, copies: u64, capacity: u64) -> i128 {
    let counts = i128::from(from.count) - i128::from(to.count);
    let capacities = i128::from(from.capacity) - i128::from(to.capacity);
    counts * i128::from(capacity) - i128::from(copies) * capacities
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The law on small figures, and at the ends of the range.
    #[test]
    fn usage_falls_or_not() {
        let disk = |used, total| Filled { used, total };
        let cases = [
            ("to an empty one", disk(100, 1_000), disk(0, 1_000), 50, true),
            ("the whole difference only swaps the ends", disk(100, 1_000), disk(0, 1_000), 100, false),
            ("just less than that", disk(100, 1_000), disk(0, 1_000), 99, true),
            ("equals", disk(100, 1_000), disk(100, 1_000), 1, false),
            ("more bytes, but a smaller part", disk(300, 4_000), disk(200, 1_000), 10, false),
            ("nothing moves", disk(300, 1_000), disk(200, 1_000), 0, false),
            ("more than there is", disk(3, 1_000), disk(0, 1_000), 4, false),
            ("no size", disk(3, 0), disk(0, 1_000), 1, false),
            ("huge", disk(u64::MAX, u64::MAX), disk(0, u64::MAX), u64::MAX / 2, true),
            ("huge and back", disk(u64::MAX / 2, u64::MAX), disk(u64::MAX / 2 + 1, u64::MAX), u64::MAX / 2, false),
        ];
        for (what, from, to, bytes, falls) in cases {
            assert_eq!(lowers_usage(from, to, bytes), falls, "{what}");
        }
    }

    /// What has moved never has a reason to move back.
    #[test]
    fn nothing_moves_back() {
        for (used, other, bytes) in (0..40).flat_map(|a| (0..40).flat_map(move |b| (1..=a).map(move |s| (a, b, s)))) {
            for (total, other_total) in [(40, 40), (40, 100), (70, 40)] {
                let (from, to) = (Filled { used, total }, Filled { used: other, total: other_total });
                let back = (Filled { used: other + bytes, ..to }, Filled { used: used - bytes, ..from });
                assert!(!lowers_usage(from, to, bytes) || !lowers_usage(back.0, back.1, bytes));
            }
        }
    }

    /// Counts: more than one above, shares counted.
    #[test]
    fn counts_fall_or_not() {
        let place = |count, capacity| Peopled { count, capacity };
        let cases = [
            (place(5, 1), place(3, 1), 8, 2, true),
            (place(5, 1), place(4, 1), 9, 2, false),
            (place(4, 4), place(1, 1), 5, 5, false),
            (place(3, 1), place(2, 4), 5, 5, true),
            (place(1, 1), place(4, 4), 5, 5, false),
        ];
        for (from, to, copies, capacity, falls) in cases {
            assert_eq!(lowers_count(from, to, copies, capacity), falls, "{from:?} {to:?}");
        }
    }
}
