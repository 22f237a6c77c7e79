//! A whole cluster in one thread and in virtual time, from one seed: the real law books of coordinator and agent,
//! under a network that delays, loses and cuts, on disks that crash, fill, fail, rot and vanish.
//!
//! ```text
//! run(seed, options) ──▶ faults for N virtual hours ──▶ calm ──▶ Outcome { violation, hash, stats }
//!          the oracle looks after every step (Oracle: "always") and at the end ("at rest")
//! ```
//!
//! No IO, no clock, no thread. The rules are called exactly as the shells call them; what the shells do with their
//! answers is modelled here, with every message late, twice or never and every crash point taken.

// Words of the simulation wait in one queue each; boxing the larger ones would only make it slower.
#![allow(clippy::large_enum_variant)]

pub mod agent;
mod agents;
mod budget;
mod clients;
mod coordinator;
mod copying;
mod damage;
mod desk;
pub mod disk;
mod evenness;
mod evidence;
mod fault;
mod faults;
pub mod forecast;
mod giving;
mod hands;
mod hub;
mod mutant;
mod net;
mod ops;
mod options;
mod oracle;
mod people;
mod promises;
mod queue;
mod reports;
mod rest;
mod rivals;
mod rng;
mod sim;
mod stores;
mod streams;
mod trace;
mod truth;
mod twins;
mod whims;

pub use fault::{Fault, FaultMix};
pub use mutant::Mutant;
pub use options::{Mix, NetMix, Options};
pub use rng::Rng;
use std::collections::BTreeMap;
use std::fmt;

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub seed: u64,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// Things that happened.
    pub events: u64,
    /// Over the whole event log.
    pub hash: u64,
    pub stats: Stats,
    /// The latest lines of the log, if asked for.
    pub lines: Vec<String>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The promise's number in the design, with its short name.
    pub law: &'static str,
    pub detail: String,
    pub at_ms: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ms: {}", self.law, self.at_ms, self.detail)
    }
}

/// What happened in a run, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub faults: BTreeMap<&'static str, u64>,
    pub loads_acked: u64,
    pub loads_given_up: u64,
    pub copies: u64,
    pub bytes_copied: u64,
    pub drops: u64,
    pub purges: u64,
    pub decisions: u64,
    /// Refusals by the agents' law books and by the coordinator's, by name.
    pub refusals: BTreeMap<&'static str, u64>,
    /// How often each promise was held against a fact.
    pub checks: BTreeMap<&'static str, u64>,
    /// Until everything was healthy after the faults, milliseconds.
    pub calm_after_ms: u64,
}

/// Runs one seed.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let mut sim = sim::Sim::new(seed, options.clone());
    sim.run();
    Outcome {
        seed,
        violation: sim.violation,
        events: sim.trace.events(),
        hash: sim.trace.hash(),
        stats: sim.stats,
        lines: sim.trace.into_lines(),
    }
}
