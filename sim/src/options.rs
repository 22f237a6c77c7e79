//! What a run is made of: the options that a caller gives, and the mix that the seed draws (a swarm: each seed
//! switches other faults on, so that rare pairs meet). Decides nothing later on.

use crate::fault::FaultMix;
use crate::{Mutant, Rng};
use stele_common::config::RepairKnobs;

pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;

/// What a caller chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Virtual hours of faults.
    pub hours: u64,
    /// Virtual minutes in which calm must come after them.
    pub calm_minutes: u64,
    /// Breaks one law on purpose.
    pub mutant: Option<Mutant>,
    /// Keep the latest lines of the log.
    pub trace: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { hours: 24, calm_minutes: 150, mutant: None, trace: false }
    }
}

impl Options {
    /// When it is over, milliseconds of virtual time, unless somebody has acted just before.
    pub fn end(&self) -> u64 {
        self.hours * HOUR + self.calm_minutes * MINUTE
    }
}

/// What the seed chose.
#[derive(Clone, Debug)]
pub struct Mix {
    pub hosts: u64,
    pub disks_per_host: u64,
    pub disk_bytes: u64,
    /// Disks of every so-manieth host have four times as much; 0: none.
    pub large_every: u64,
    pub tables: Vec<TableMix>,
    /// The last so many hosts have the tag "b", and the last table wants it.
    pub tagged_hosts: u64,
    /// The last table is dropped late in the run.
    pub drops_table: bool,
    pub clients: u64,
    /// Pause of a client between two loads, milliseconds.
    pub think_ms: u64,
    pub net: NetMix,
    pub faults: FaultMix,
    pub knobs: RepairKnobs,
}

/// A table.
#[derive(Clone, Debug)]
pub struct TableMix {
    pub replication: u32,
    pub buckets: u32,
    pub tag: &'static str,
    /// In the group "g".
    pub colocate: bool,
}

/// How the network behaves while faults are on.
#[derive(Clone, Debug)]
pub struct NetMix {
    pub delay_ms: u64,
    /// Longest delay of the slow tail.
    pub tail_ms: u64,
    pub tail_permille: u64,
    /// Messages that vanish, come twice or overtake others without the connection breaking.
    pub loss_permille: u64,
    pub twice_permille: u64,
    pub overtake_permille: u64,
}

impl Mix {
    /// The mix of a seed.
    pub fn draw(seed: u64, hours: u64) -> Mix {
        let rng = &mut Rng::new(seed, 1);
        let hosts = rng.between(4, 7);
        let tables: Vec<TableMix> = (0..rng.between(1, 2))
            .map(|_| {
                let replication = match rng.below(10) {
                    0 => 1,
                    1..=3 => 2,
                    4..=8 => 3,
                    _ => 4,
                };
                let (replication, buckets) = (replication.min(hosts as u32 - 1), rng.between(2, 6) as u32);
                TableMix { replication, buckets, tag: "default", colocate: false }
            })
            .collect();
        let mut faults = FaultMix::draw(rng, hours);
        faults.draw_later(&mut Rng::new(seed, 9), hours);
        faults.draw_whims(&mut Rng::new(seed, 11), hours);
        let harsh = rng.permille(400);
        let tail_ms = rng.pick(&[200, 2 * SECOND, 20 * SECOND, 2 * MINUTE]).unwrap_or(SECOND);
        let net = NetMix {
            delay_ms: rng.between(1, 20),
            tail_ms,
            // A slow message holds up all behind it: long ones must be rare, or nobody is ever heard.
            tail_permille: rng.below(if tail_ms > 5 * SECOND { 2 } else { 15 }),
            loss_permille: if harsh { rng.below(12) } else { 0 },
            twice_permille: if harsh { rng.below(20) } else { 0 },
            overtake_permille: if harsh { rng.below(15) } else { 0 },
        };
        let (tables, tagged_hosts) = places(rng, tables, hosts);
        Mix {
            hosts,
            disks_per_host: rng.between(1, 2),
            disk_bytes: 4 << 30,
            tables,
            tagged_hosts,
            drops_table: rng.permille(300),
            clients: rng.between(1, 3),
            think_ms: rng.between(60, 600) * SECOND,
            net,
            faults,
            knobs: evenness(seed, knobs(rng)),
            large_every: large_every(seed),
        }
    }
}

/// Sometimes the last table has hosts of its own, sometimes its buckets stay together.
fn places(rng: &mut Rng, mut tables: Vec<TableMix>, hosts: u64) -> (Vec<TableMix>, u64) {
    let (is_tagged, is_together) = (rng.permille(300), rng.permille(300));
    let Some((last, others)) = tables.split_last_mut() else { return (tables, 0) };
    last.colocate = is_together;
    if !is_tagged || others.is_empty() || hosts < 6 {
        return (tables, 0);
    }
    (last.tag, last.replication) = ("b", last.replication.min(2));
    others.iter_mut().for_each(|table| table.replication = table.replication.min(hosts as u32 - 4));
    (tables, 3)
}

/// Drawn apart from all else, so that a seed's other draws are what they were without it.
fn evenness(seed: u64, knobs: RepairKnobs) -> RepairKnobs {
    let rng = &mut Rng::new(seed, 9);
    RepairKnobs {
        balance_threshold: rng.pick(&[0.002, 0.01, 0.1]).unwrap_or(0.1),
        balance_slot_num_per_path: rng.between(1, 2) as u32,
        ..knobs
    }
}

fn large_every(seed: u64) -> u64 {
    let rng = &mut Rng::new(seed, 10);
    if rng.permille(400) { rng.between(2, 3) } else { 0 }
}

/// The product's defaults, slower beats (fewer events a virtual hour) and shorter periods (more of each law a run).
fn knobs(rng: &mut Rng) -> RepairKnobs {
    RepairKnobs {
        beat_ms: 6 * SECOND,
        silent_ms: 18 * SECOND,
        lost_ms: 50 * SECOND,
        lease_ms: 30 * SECOND,
        assign_delay_ms: rng.pick(&[5 * SECOND, MINUTE, 5 * MINUTE]).unwrap_or(MINUTE),
        schedule_slot_num_per_path: rng.between(1, 3) as u32,
        scrub_period_ms: 4 * HOUR,
        keep_for_ms: 10 * MINUTE,
        trash_ms: rng.pick(&[30 * MINUTE, 24 * HOUR]).unwrap_or(HOUR),
        load_timeout_ms: 2 * MINUTE,
        load_results_ms: HOUR,
        ..RepairKnobs::default()
    }
}
