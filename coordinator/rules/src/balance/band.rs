//! The band of used parts at which disks are called even, placed so that the fewest bytes move.
//!
//! In: disks by pool, the width. Out: the lower edge. At it what lies above the band and what is missing below are as
//! near each other as they come, summed over pools: a little higher and more must come in, a little lower and more must
//! go out. It is the relaxation of [`super::bound`], with an edge as its answer instead of bytes.

use super::bound::Basin;

/// The lower edge, for a band of `width`.
pub fn lower_edge(basins: &[Basin], width: f64) -> f64 {
    let means = basins.iter().filter(|basin| basin.disks().next().is_some()).map(Basin::mean);
    let (least, most) = means.fold((f64::MAX, f64::MIN), |(least, most), mean| (least.min(mean), most.max(mean)));
    if least > most {
        return 0.0;
    }
    let cost = |low: f64| -> f64 { basins.iter().map(|basin| basin.over(low + width).max(basin.under(low))).sum() };
    // Convex: the larger of a falling and a rising sum, added up. Pools too far apart for one band share its middle.
    let (mut low, mut high) = ((most - width).min(least), least.max(most - width));
    for _ in 0..STEPS {
        let (third, other) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if cost(third) <= cost(other) {
            high = other;
        } else {
            low = third;
        }
    }
    low.midpoint(high)
}

/// Each leaves two thirds of the interval: after these it is a part in 10^14.
const STEPS: u32 = 80;

impl Basin {
    /// Bytes above this used part.
    fn over(&self, part: f64) -> f64 {
        self.disks().map(|disk| (disk.used - part * disk.total).max(0.0)).sum()
    }

    /// Bytes missing below it.
    fn under(&self, part: f64) -> f64 {
        self.disks().map(|disk| (part * disk.total - disk.used).max(0.0)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::bound::{Before, Shelf};
    use crate::balance::dues::Dues;

    /// One empty disk beside two full ones: each gives half of what the empty one takes.
    #[test]
    fn the_edge_of_a_band() {
        let disks = [60.0, 60.0, 0.0].map(|used| Before { used, total: 100.0, dues: Dues::NONE }).to_vec();
        let shelves = vec![Shelf { disks, dues: Dues::NONE }];
        let basin = Basin { shelves, ..Basin::default() };
        let low = lower_edge(&[basin], 0.1);
        assert!((low - 1.0 / 3.0).abs() < 1e-6, "{low}");
    }
}
