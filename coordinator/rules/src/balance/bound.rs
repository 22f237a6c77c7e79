//! The least bytes that any plan must move to make disks as even as a given spread, and counts as fair.
//!
//! In: disks with their bytes, by pool and node; what they owe for the sake of counts ([`super::dues`]); the spread
//! reached at the end. Out: bytes, never more than the truth.
//!
//! Whatever a plan does, at its end all used parts lie in some band `[low, low + spread]`. A disk has given at least what
//! it is above the band and whatever it has taken besides, and at least what it owes for counts; a node has given its
//! disks' sum, or what it had to give to other nodes, if that is more. Taking is the mirror image. The same of groups of
//! disks or nodes: the fuller ones have given what they are above the band together and whatever they have taken, the
//! rest what it owes. Nothing crosses from pool to pool, so for each `low` every pool moves at least the largest of these
//! sums; the bound is the least over all `low`. Whole tablets move: what bytes ask for is rounded up to a multiple of what divides all sizes of the pool, and
//! to the smallest.
//! The least is found by halving intervals of `low`, most promising first; of one that was not halved the bound is
//! taken for all of it at once, so stopping early makes the answer smaller, never larger.

use super::dues::{Dues, Split};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// One disk before the plan.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    pub used: f64,
    pub total: f64,
    pub dues: Dues,
}

/// A node's disks of the pool.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    pub disks: Vec<Before>,
    /// To and from other nodes.
    pub dues: Dues,
}

/// Disks between which bytes may move.
#[derive(Clone, Debug, Default)]
pub struct Basin {
    pub shelves: Vec<Shelf>,
    pub splits: Vec<Split>,
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
    let means = basins.iter().filter(|basin| basin.disks().next().is_some()).map(Basin::mean);
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
    pub fn disks(&self) -> impl Iterator<Item = &Before> {
        self.shelves.iter().flat_map(|shelf| &shelf.disks)
    }

    pub fn mean(&self) -> f64 {
        let (used, total) = self.disks().fold((0.0, 0.0), |(used, total), d| (used + d.used, total + d.total));
        if total == 0.0 { 0.0 } else { used / total }
    }

    /// What must be given so that nothing is above `part`.
    fn above(&self, part: f64) -> f64 {
        let part = part + BLUR;
        let splits = self.splits.iter().map(|split| split.fuller.0 - part * split.fuller.1 + split.owed);
        let each = self.each(|disk| disk.used - part * disk.total, |dues| (dues.gives, dues.takes));
        splits.fold(each, f64::max)
    }

    /// What must be taken so that nothing is below `part`.
    fn below(&self, part: f64) -> f64 {
        let part = part - BLUR;
        let splits = self.splits.iter().map(|split| part * split.rest.1 - split.rest.0 + split.owed);
        let each = self.each(|disk| part * disk.total - disk.used, |dues| (dues.takes, dues.gives));
        splits.fold(each, f64::max)
    }

    /// Bytes that go one way: of each place at least what is `beyond` the band and what comes the other way for counts,
    /// at least what counts ask for.
    fn each(&self, beyond: impl Fn(&Before) -> f64, ways: impl Fn(Dues) -> (f64, f64)) -> f64 {
        let least = |beyond: f64, dues: Dues| {
            let (this, other) = ways(dues);
            self.whole(beyond + other).max(this)
        };
        let shelves = self.shelves.iter().map(|shelf| {
            let (disks, all) = shelf
                .disks
                .iter()
                .fold((0.0, 0.0), |(disks, all), disk| (disks + least(beyond(disk), disk.dues), all + beyond(disk)));
            least(all, shelf.dues).max(disks)
        });
        shelves.sum()
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

    fn disk(used: f64, total: f64, gives: f64, takes: f64) -> Before {
        Before { used, total, dues: Dues { gives, takes } }
    }

    /// One disk a node.
    fn basin(disks: &[(f64, f64)], grain: u64) -> Basin {
        let shelf = |(used, total): &(f64, f64)| Shelf { disks: vec![disk(*used, *total, 0.0, 0.0)], dues: Dues::NONE };
        Basin { shelves: disks.iter().map(shelf).collect(), splits: Vec::new(), grain, smallest: grain }
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
    /// What counts ask for, of disks and of nodes, is not added to what bytes ask for but to what comes the other way.
    #[test]
    fn counts_ask_for_more() {
        let house = |shelves: Vec<(Vec<Before>, Dues)>| {
            let shelves = shelves.into_iter().map(|(disks, dues)| Shelf { disks, dues }).collect();
            vec![Basin { shelves, splits: Vec::new(), grain: 1, smallest: 1 }]
        };
        let dues = |gives, takes| Dues { gives, takes };
        let one = |used, gives, takes| (vec![disk(used, 100.0, gives, takes)], Dues::NONE);
        let cases = [
            ("even bytes, opposite skews", house(vec![one(50.0, 20.0, 20.0), one(50.0, 20.0, 20.0)]), 40),
            ("bytes and counts the same way", house(vec![one(60.0, 20.0, 0.0), one(40.0, 0.0, 20.0)]), 30),
            ("more for counts than for bytes", house(vec![one(60.0, 30.0, 0.0), one(50.0, 0.0, 20.0)]), 45),
            ("what comes for counts must go for bytes", house(vec![one(60.0, 0.0, 5.0), one(40.0, 5.0, 0.0)]), 20),
            (
                "within a node, and between nodes",
                house(vec![
                    (vec![disk(50.0, 100.0, 7.0, 0.0), disk(50.0, 100.0, 0.0, 7.0)], dues(12.0, 0.0)),
                    (vec![disk(50.0, 100.0, 0.0, 0.0), disk(50.0, 100.0, 0.0, 0.0)], dues(0.0, 12.0)),
                ]),
                26,
            ),
        ];
        for (what, basins, bytes) in cases {
            assert_eq!(least_bytes(&basins, 0.0), bytes, "{what}");
        }
    }
}
