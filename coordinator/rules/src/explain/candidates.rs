//! Every disk as the destination of a new copy: each rule by itself with its numbers, the order among those that may
//! take it, and what would have to be otherwise for those that may not.
//!
//! In: the world, the desk's ledger, a tablet. Out: the shapes of [`stele_common::api`]. The rules are
//! [`crate::schedule::target`]'s own; nothing is decided here.

use crate::schedule::slots::{Ledger, size_of};
use crate::schedule::statistics::Scores;
use crate::schedule::target::{candidate_refusal, every_rule, used_ppb};
use crate::world::{Disk, Tablet};
use crate::{Reason, World};
use stele_common::TaskType;
use stele_common::api::{Candidate, Rule};

/// Disks of a tablet's candidates, those that may be chosen first.
pub fn candidates(world: &World, ledger: &Ledger, scores: &Scores, tablet: &Tablet) -> Vec<Candidate> {
    let bytes = size_of(tablet);
    let mut found: Vec<Candidate> =
        world.disks.values().map(|disk| of_disk(world, ledger, tablet, disk, bytes)).collect();
    for candidate in &mut found {
        let disk = &world.disks[&candidate.disk];
        candidate.score = scores.shown(disk.node, disk.medium);
    }
    found.sort_by_key(|candidate| (candidate.refused.is_some(), candidate.disk));
    found
}

fn of_disk(world: &World, ledger: &Ledger, tablet: &Tablet, disk: &Disk, bytes: u64) -> Candidate {
    let rules = every_rule(world, ledger, tablet, disk, bytes);
    let refused = candidate_refusal(world, ledger, tablet, disk, bytes).as_ref().map(Reason::refusal);
    let node = world.nodes.get(&disk.node);
    let (copies, promised) = ledger.incoming(disk.id);
    let keep = world.knobs.clone_reserve(disk.space.total);
    let shown = rules.into_iter().map(|(name, reason)| {
        let numbers = || match name {
            "space" => format!(
                "{} bytes free, {} promised to others, {bytes} needed, {keep} must stay free",
                disk.space.available(),
                ledger.reserved(disk.node, disk.device)
            ),
            "slot" => {
                format!("{} of {} slots taken", ledger.used(disk.id, TaskType::Repair), ledger.limit(TaskType::Repair))
            }
            _ => String::new(),
        };
        let detail = reason.as_ref().map_or_else(numbers, Reason::detail);
        Rule { rule: name.into(), code: reason.as_ref().map(|reason| reason.code().into()), detail }
    });
    Candidate {
        disk: disk.id,
        node: disk.node,
        host: node.map(|node| node.host.clone()).unwrap_or_default(),
        rack: node.map(|node| node.rack.clone()).unwrap_or_default(),
        refused,
        rules: shown.collect(),
        right_medium: disk.medium == tablet.medium,
        used_percent: used_ppb(disk, promised) as f64 / 1e7,
        copies_coming: copies,
        score: None,
    }
}

/// What would let a copy be made: one sentence for each disk that a single rule refuses, where somebody can do
/// something about it.
pub fn allowed_if(world: &World, ledger: &Ledger, tablet: &Tablet) -> Vec<String> {
    let bytes = size_of(tablet);
    let one_rule = |disk: &Disk| {
        let mut refusals = every_rule(world, ledger, tablet, disk, bytes).into_iter().filter_map(|(_, reason)| reason);
        let only = refusals.next()?;
        if refusals.next().is_some() { None } else { remedy(world, disk, &only) }
    };
    let mut remedies: Vec<String> = world.disks.values().filter_map(one_rule).collect();
    remedies.dedup();
    remedies.truncate(REMEDIES_MAX);
    remedies
}

/// More ways than this are no advice.
const REMEDIES_MAX: usize = 8;

/// The rule that is in the way, and what an operator may do about it.
fn remedy(world: &World, disk: &Disk, only: &Reason) -> Option<String> {
    let host = world.nodes.get(&disk.node).map_or("", |node| node.host.as_str());
    Some(format!("disk {} on {host}: {only}; {}", disk.id, only.next()?))
}
