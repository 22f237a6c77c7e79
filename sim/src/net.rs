//! The network between agents, coordinator and clients: when a message arrives, how often, or never.
//!
//! As over TCP, messages of one direction keep their order unless the mix says that some overtake; a cut direction
//! swallows everything. Peers ask [`Net::passes`] before each piece of a copy.

use crate::{Rng, options::NetMix};
use std::collections::{BTreeMap, BTreeSet};

/// An end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Coordinator,
    Agent(usize),
    Client(usize),
}

/// All wires.
#[derive(Debug)]
pub struct Net {
    rng: Rng,
    mix: NetMix,
    /// Directions in which nothing passes.
    cut: BTreeSet<(Place, Place)>,
    /// When the latest message of a direction arrives.
    latest: BTreeMap<(Place, Place), u64>,
    /// Faults are over: short delays, nothing lost.
    calm: bool,
}

impl Net {
    pub fn new(seed: u64, mix: NetMix) -> Net {
        Net { rng: Rng::new(seed, 3), mix, cut: BTreeSet::new(), latest: BTreeMap::new(), calm: false }
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: Place, to: Place) {
        self.cut.insert((from, to));
    }

    /// Heals one direction.
    pub fn heal(&mut self, from: Place, to: Place) {
        self.cut.remove(&(from, to));
    }

    /// Everything is healed and stays so.
    pub fn calm(&mut self) {
        self.cut.clear();
        self.calm = true;
    }

    /// A new connection between two places: what is still on the old one does not hold it up.
    pub fn fresh(&mut self, one: Place, other: Place) {
        self.latest.remove(&(one, other));
        self.latest.remove(&(other, one));
    }

    /// Whether anything gets from here to there now.
    pub fn passes(&self, from: Place, to: Place) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// When a message sent now arrives: no time, one, or two.
    pub fn arrivals(&mut self, now: u64, from: Place, to: Place) -> Vec<u64> {
        if !self.passes(from, to) || (!self.calm && self.rng.permille(self.mix.loss_permille)) {
            return Vec::new();
        }
        let at = now + self.delay();
        let latest = self.latest.entry((from, to)).or_default();
        let overtakes = !self.calm && self.rng.permille(self.mix.overtake_permille);
        // One millisecond apart: what is due at once comes in any order.
        let at = if overtakes { at } else { at.max(*latest + 1) };
        *latest = at.max(*latest);
        let mut arrivals = vec![at];
        if !self.calm && self.rng.permille(self.mix.twice_permille) {
            let again = at + 1 + self.rng.around(self.mix.tail_ms);
            arrivals.push(again);
        }
        arrivals
    }

    /// One way, milliseconds.
    pub fn delay(&mut self) -> u64 {
        let short = 1 + self.rng.below(self.mix.delay_ms);
        if !self.calm && self.rng.permille(self.mix.tail_permille) {
            short + self.rng.below(self.mix.tail_ms)
        } else {
            short
        }
    }
}
