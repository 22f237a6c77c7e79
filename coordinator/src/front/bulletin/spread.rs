//! How even the disks of each medium were, over the last day: measured now and then, kept in memory, bounded.
//!
//! In: snapshots. Out: a curve with as many points as a screen can show. It decides nothing.

use crate::clock::rfc3339;
use crate::front::view;
use std::collections::{BTreeMap, VecDeque};
use stele_common::api::{Spread, SpreadSample};
use stele_common::{Medium, Tick};
use stele_coordinator_rules::World;
use stele_coordinator_rules::balance::spread::spreads;

/// Moves take minutes: more often shows nothing more.
const EVERY_MS: u64 = 10_000;
/// A day.
const SAMPLES_MAX: usize = 8_640;
/// Points shown of each medium.
const POINTS_MAX: usize = 300;

#[derive(Clone, Debug, Default)]
pub struct Curve {
    measured: Option<Tick>,
    /// Wall clock and spread, oldest first.
    samples: BTreeMap<Medium, VecDeque<(u64, Spread)>>,
}

impl Curve {
    pub fn is_due(&self, at: Tick) -> bool {
        self.measured.is_none_or(|measured| at.since(measured) >= EVERY_MS)
    }

    pub fn measure(&mut self, world: &World, at: Tick, wall_ms: u64) {
        // A house without content is even; what comes before the first report says nothing.
        if view::in_use(world).all(|disk| disk.space.total == 0) {
            return;
        }
        self.measured = Some(at);
        for (medium, of) in spreads(world, at) {
            let samples = self.samples.entry(medium).or_default();
            samples.push_back((wall_ms, of.spread));
            if samples.len() > SAMPLES_MAX {
                samples.pop_front();
            }
        }
    }

    /// Oldest first, medium by medium; of many, every so manieth and the newest.
    pub fn points(&self) -> Vec<SpreadSample> {
        let mut shown = Vec::new();
        for (medium, samples) in &self.samples {
            let step = samples.len().div_ceil(POINTS_MAX).max(1);
            let newest_first = samples.iter().rev().step_by(step);
            let mut points: Vec<SpreadSample> = newest_first.map(|(at, spread)| point(*medium, *at, spread)).collect();
            points.reverse();
            shown.extend(points);
        }
        shown
    }
}

fn point(medium: Medium, wall_ms: u64, spread: &Spread) -> SpreadSample {
    SpreadSample {
        at: rfc3339(wall_ms),
        medium,
        used_percent_max: spread.used_percent_max,
        used_percent_min: spread.used_percent_min,
        used_percent_stddev: spread.used_percent_stddev,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_coordinator_rules::sample::Sample;

    /// It is measured at its pace, keeps a day, and shows no more points than fit, the newest among them.
    #[test]
    fn a_day() {
        let sample = Sample::new(3, 1);
        let mut curve = Curve::default();
        assert!(curve.is_due(Tick(0)));
        for step in 0..(SAMPLES_MAX as u64 + 7) {
            let at = Tick(step * EVERY_MS);
            assert!(curve.is_due(at));
            curve.measure(&sample.world, at, at.0);
        }
        let last = (SAMPLES_MAX as u64 + 6) * EVERY_MS;
        assert!(!curve.is_due(Tick(last + EVERY_MS - 1)));
        assert!(curve.samples.values().all(|samples| samples.len() == SAMPLES_MAX));
        let points = curve.points();
        assert!(points.len() <= POINTS_MAX * curve.samples.len() && points.len() > 100, "{}", points.len());
        assert_eq!(points.last().map(|point| point.at.clone()), Some(rfc3339(last)));
    }
}
