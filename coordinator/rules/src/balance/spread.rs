//! How even the disks of each medium are.
//!
//! In: the world. Out: for each medium the highest and lowest used part and their standard deviation, over the disks
//! that may give and take, with everything under way counted as done. Figures for people: what is moved is decided by
//! the exact potential of [`super::worth`].

use super::moves::{Scope, filled, takes_part};
use crate::World;
use crate::schedule::slots::Ledger;
use std::collections::BTreeMap;
use stele_common::api::Spread;
use stele_common::{Medium, Tick};

/// A medium without a disk that takes part is left out.
pub fn spreads(world: &World, at: Tick) -> BTreeMap<Medium, Of> {
    let (scope, ledger) = (Scope::all(at), Ledger::of(world, std::iter::empty()));
    let mut parts: BTreeMap<Medium, Vec<f64>> = BTreeMap::new();
    for disk in world.disks.values().filter(|disk| takes_part(world, &scope, disk).is_ok()) {
        parts.entry(disk.medium).or_default().push(filled(&ledger, disk).ppm() as f64 / 1e6);
    }
    parts
        .into_iter()
        .map(|(medium, parts)| (medium, Of { disks: parts.len() as u64, spread: Spread::of(&parts) }))
        .collect()
}

/// Of how many disks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Of {
    pub disks: u64,
    pub spread: Spread,
}
