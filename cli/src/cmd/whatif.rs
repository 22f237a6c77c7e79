//! `stele whatif --lose host:h1`: what a loss would cost, on the live cluster or in a world file. Nothing is touched.
//!
//! What is gone, degraded and where copies would go is the law book's word; how long healing takes is forecast in
//! virtual time, once at the given bandwidths and once at half of them.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::{shapes, world};
use clap::Args;
use std::path::PathBuf;
use stele_common::api::WhatIf;
use stele_common::{DiskId, NodeId, TabletId};
use stele_coordinator_rules::evacuation::Leaving;
use stele_coordinator_rules::whatif::{self, Loss};
use stele_coordinator_rules::worldfile::Reading;
use stele_coordinator_rules::worldfile::format::Id;
use stele_coordinator_rules::worldfile::names::{Kind, Names};
use stele_sim::forecast::{Forecast, Happening, Plan};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stele whatif --lose host:host-1
  stele whatif --lose rack:r1 --lose disk:10005 -o json
  stele whatif --lose node:10001 --world world.json.zst --disk-mbps 120")]
pub struct WhatIfArgs {
    /// host:NAME, node:ID, rack:NAME or disk:ID (of a world file: its path hash); may be given often
    #[arg(long = "lose", value_name = "WHAT", required = true)]
    lose: Vec<Loss>,
    /// A world file in place of the live cluster; - is standard input
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// What each disk reads and writes in all, megabytes (10^6 bytes) a second
    #[arg(long, value_name = "M", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    disk_mbps: u64,
    /// What each host's network carries, megabytes (10^6 bytes) a second
    #[arg(long, value_name = "M", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    net_mbps: u64,
}

/// More tablets are not forecast, it would take minutes: those that the loss touches are, or one of so many of them.
const FORECAST_MAX: usize = 50_000;
/// Nothing runs for this long beyond the waits of repair: nothing more will. Above the longest back-off of a refusal.
const PATIENCE_MS: u64 = 120_000;
/// Healing that takes longer than this is not waited for.
const FORECAST_MS: u64 = 48 * 3_600_000;

pub fn run(global: &Global, args: &WhatIfArgs) -> Outcome {
    let mut reading = match &args.world {
        Some(file) => world::read(file)?,
        None => world::live(&global.face())?,
    };
    let losses = args.lose.iter().map(|loss| inside(&mut reading, loss)).collect::<Result<Vec<Loss>, Failure>>()?;
    let lost = whatif::named(&reading.world, &losses).map_err(Failure::not_found)?;
    let mut answer = whatif::whatif(&reading.world, &lost, reading.at);
    if answer.copies > 0 {
        (answer.heal_s, answer.heal_note) = heal(args, &reading, &lost);
    }
    outside(&mut answer, &reading.names);
    global.printer().one(&answer, shapes::whatif)?;
    Ok(Exit::Done)
}

/// The loss in the world's own ids.
fn inside(reading: &mut Reading, loss: &Loss) -> Result<Loss, Failure> {
    match loss {
        Loss::Host(_) | Loss::Rack(_) => Ok(loss.clone()),
        Loss::Node(id) => Ok(Loss::Node(NodeId(reading.names.inside(Kind::Node, Id::from(id.0))))),
        Loss::Disk(id) => {
            let is_it = |disk: &&DiskId| reading.names.outside(disk.0) == i128::from(id.0);
            let mut found = reading.world.disks.keys().filter(is_it);
            match (found.next(), found.next()) {
                (Some(disk), None) => Ok(Loss::Disk(*disk)),
                (None, _) => Err(Failure::not_found(format!("there is no disk {id}")).next("see 'stele disk list'")),
                (Some(_), Some(_)) => {
                    Err(Failure::usage(format!("several nodes have a disk {id}")).next("lose a node"))
                }
            }
        }
    }
}

/// Seconds from the loss until everything that finds a place is healthy, at these bandwidths and at half of them; and
/// what that leaves out, or how it was reckoned.
fn heal(args: &WhatIfArgs, reading: &Reading, lost: &Leaving) -> (Option<(u64, u64)>, Option<String>) {
    let disks = Leaving { disks: lost.disks.clone(), ..Leaving::default() };
    let without_disks = whatif::without(&reading.world, &disks);
    let (part, one_of) = match without_disks.tablets.len() > FORECAST_MAX {
        true => whatif::touched_by(&without_disks, lost, FORECAST_MAX),
        false => (without_disks, 1),
    };
    let happenings: Vec<_> = lost.nodes.iter().map(|node| (0, Happening::Kill(*node))).collect();
    let knobs = &reading.world.knobs;
    let patience_ms = knobs.assign_delay_ms.max(knobs.assign_delay_below_majority_ms) + knobs.lost_ms + PATIENCE_MS;
    // Of so many tablets one is forecast, so of so much bandwidth one part is theirs.
    let at = |share: u64| {
        let plan = Plan {
            happenings: happenings.clone(),
            for_ms: FORECAST_MS,
            disk_mbps: (args.disk_mbps / share / one_of).max(1),
            net_mbps: (args.net_mbps / share / one_of).max(1),
            ..Plan::default()
        };
        Forecast::new(part.clone(), reading.at, plan).run_until_calm(patience_ms)
    };
    let (fast, slow) = (at(1), at(2));
    let heal_s = fast.last_healed_ms.zip(slow.last_healed_ms).map(|(fast, slow)| (seconds(fast), seconds(slow)));
    (heal_s, note(slow.ill_count * one_of, one_of))
}

fn seconds(ms: u64) -> u64 {
    ms.div_ceil(1000)
}

fn note(ill: u64, one_of: u64) -> Option<String> {
    let mut notes = Vec::new();
    if ill > 0 {
        let about = if one_of > 1 { "about " } else { "" };
        notes.push(format!("of what finds a place: {about}{ill} tablets stay ill"));
    }
    if one_of > 1 {
        notes.push(format!("reckoned from one of {one_of} tablets"));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// The answer in the file's ids.
fn outside(answer: &mut WhatIf, names: &Names) {
    let own = |id: u64| u64::try_from(names.outside(id)).unwrap_or(id);
    answer.nodes.iter_mut().for_each(|node| *node = NodeId(own(node.0)));
    answer.disks.iter_mut().for_each(|disk| *disk = DiskId(own(disk.0)));
    answer.lost_tablets.iter_mut().for_each(|lost| lost.tablet = TabletId(own(lost.tablet.0)));
    for blocker in &mut answer.blockers {
        blocker.tablet = blocker.tablet.map(|tablet| TabletId(own(tablet.0)));
        blocker.detail = names.say(std::mem::take(&mut blocker.detail));
    }
    if let Some(fullest) = &mut answer.fullest {
        fullest.disk = DiskId(own(fullest.disk.0));
    }
    if let Some(margin) = &mut answer.margin {
        margin.weakest = TabletId(own(margin.weakest.0));
    }
}
