//! The least bytes that any plan must move to make disks as even as a given spread.
//!
//! In: disks with their bytes, by pool; the spread reached at the end. Out: bytes, never more than the truth.
//!
//! Whatever a plan does, at its end all used parts lie in some band `[low, low + spread]`. A disk above the band has
//! given at least what it is above, one below has taken at least what it lacks, and nothing crosses from pool to pool.
//! So for each `low` every pool moves at least the larger of the two sums; the bound is the least over all `low`. Whole
//! tablets move: each amount is rounded up to a multiple of what divides all sizes of the pool, and to the smallest.
//! The least is found by halving intervals of `low`, most promising first; of one that was not halved the bound is
//! taken for all of it at once, so stopping early makes the answer smaller, never larger.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// One disk before the plan.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    pub used: f64,
    pub total: f64,
}

/// Disks between which bytes may move.
#[derive(Clone, Debug, Default)]
pub struct Basin {
    pub disks: Vec<Before>,
    /// Divides all sizes that may move; 0: nothing may.
    pub grain: u64,
    /// The smallest of them.
    pub smallest: u64,
}

/// Intervals looked at. Each costs a walk over the disks; a hundred halvings reach the last digit of a single dip.
const LOOKS: usize = 300;
/// Used parts nearer than this are one: binary fractions of the same whole number differ by less.
const BLUR: f64 = 1e-9;

struct Interval {
    low: f64,
    high: f64,
    bytes: f64,
}

impl PartialEq for Interval {
    fn eq(&self, other: &Interval) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Interval) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    /// The heap's first is the one with fewest bytes.
    fn cmp(&self, other: &Interval) -> Ordering {
        other.bytes.total_cmp(&self.bytes).then(other.low.total_cmp(&self.low))
    }
}

/// The bound for all pools of a medium together.
pub fn least_bytes(basins: &[Basin], spread: f64) -> u64 {
    let means = basins.iter().filter(|basin| !basin.disks.is_empty()).map(Basin::mean);
    let (least, most) = means.fold((f64::MAX, f64::MIN), |(least, most), mean| (least.min(mean), most.max(mean)));
    if least > most {
        return 0;
    }
    // The band holds the mean of every pool.
    let (low, high) = (most - spread - BLUR, least + BLUR);
    let (low, high) = (low.min(high), high.max(low));
    let look = |low: f64, high: f64| {
        let bytes = basins.iter().map(|basin| basin.above(high + spread).max(basin.below(low))).sum();
        Interval { low, high, bytes }
    };
    let mut heap = BinaryHeap::from([look(low, high)]);
    for _ in 0..LOOKS {
        let Some(best) = heap.pop() else { break };
        if best.high - best.low < BLUR {
            heap.push(best);
            break;
        }
        let middle = best.low.midpoint(best.high);
        heap.push(look(best.low, middle));
        heap.push(look(middle, best.high));
    }
    heap.peek().map_or(0, |best| best.bytes.max(0.0) as u64)
}

impl Basin {
    pub fn mean(&self) -> f64 {
        let (used, total) = self.disks.iter().fold((0.0, 0.0), |(used, total), d| (used + d.used, total + d.total));
        if total == 0.0 { 0.0 } else { used / total }
    }

    /// What disks above `part` must give.
    fn above(&self, part: f64) -> f64 {
        self.disks.iter().map(|disk| self.whole(disk.used - (part + BLUR) * disk.total)).sum()
    }

    /// What disks below `part` must take.
    fn below(&self, part: f64) -> f64 {
        self.disks.iter().map(|disk| self.whole((part - BLUR) * disk.total - disk.used)).sum()
    }

    /// The least whole tablets that are so much.
    fn whole(&self, bytes: f64) -> f64 {
        if bytes <= 0.0 || self.grain == 0 {
            return 0.0;
        }
        let grain = self.grain as f64;
        ((bytes / grain).ceil() * grain).max(self.smallest as f64)
    }
}

/// Divides both.
pub fn common(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basin(disks: &[(f64, f64)], grain: u64) -> Basin {
        let disks = disks.iter().map(|(used, total)| Before { used: *used, total: *total }).collect();
        Basin { disks, grain, smallest: grain }
    }

    /// Worked by hand.
    #[test]
    fn small_houses() {
        let cases: [(&str, Vec<Basin>, f64, u64); 8] = [
            ("full evenness", vec![basin(&[(60.0, 100.0), (60.0, 100.0), (0.0, 100.0)], 1)], 0.0, 40),
            ("a band of ten", vec![basin(&[(60.0, 100.0), (60.0, 100.0), (0.0, 100.0)], 1)], 0.1, 34),
            ("whole tablets", vec![basin(&[(60.0, 100.0), (60.0, 100.0), (0.0, 100.0)], 20)], 0.0, 40),
            ("mixed sizes", vec![basin(&[(50.0, 100.0), (0.0, 400.0)], 1)], 0.0, 40),
            ("even already", vec![basin(&[(50.0, 100.0), (200.0, 400.0)], 1)], 0.0, 0),
            ("nothing may move", vec![basin(&[(60.0, 100.0), (0.0, 100.0)], 0)], 0.0, 0),
            ("nothing at all", vec![Basin::default()], 0.0, 0),
            (
                "two pools, one band",
                vec![basin(&[(60.0, 100.0), (40.0, 100.0)], 1), basin(&[(58.0, 100.0), (58.0, 100.0)], 1)],
                0.1,
                // [48, 58]: the first pool gives 2 and takes 8.
                8,
            ),
        ];
        for (what, basins, spread, bytes) in cases {
            assert_eq!(least_bytes(&basins, spread), bytes, "{what}");
        }
    }
}
