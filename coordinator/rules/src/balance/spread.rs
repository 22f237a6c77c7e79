//! How even the disks of each medium are.
//!
//! In: the world. Out: for each medium the highest and lowest used part and their standard deviation, over the disks
//! that may give and take, with everything under way counted as done. Figures for people: what is moved is decided by
//! the exact potential of [`super::worth`].

use super::moves::{Scope, filled, takes_part};
use crate::World;
use crate::schedule::slots::Ledger;
use std::collections::BTreeMap;
use stele_common::{Medium, Tick};

/// Parts of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub medium: Medium,
    pub disks: u64,
    pub max: f64,
    pub min: f64,
    pub stddev: f64,
}

/// HDD before SSD; a medium without a disk that takes part is left out.
pub fn spreads(world: &World, at: Tick) -> Vec<Spread> {
    let (scope, ledger) = (Scope::all(at), Ledger::of(world, std::iter::empty()));
    let mut parts: BTreeMap<Medium, Vec<f64>> = BTreeMap::new();
    for disk in world.disks.values().filter(|disk| takes_part(world, &scope, disk).is_ok()) {
        parts.entry(disk.medium).or_default().push(filled(&ledger, disk).ppm() as f64 / 1e6);
    }
    parts.into_iter().map(|(medium, parts)| spread_of(medium, &parts)).collect()
}

fn spread_of(medium: Medium, parts: &[f64]) -> Spread {
    let disks = parts.len() as f64;
    let mean = parts.iter().sum::<f64>() / disks;
    let variance = parts.iter().map(|part| (part - mean) * (part - mean)).sum::<f64>() / disks;
    let max = parts.iter().copied().fold(0.0, f64::max);
    let min = parts.iter().copied().fold(f64::INFINITY, f64::min);
    Spread { medium, disks: parts.len() as u64, max, min, stddev: variance.sqrt() }
}
