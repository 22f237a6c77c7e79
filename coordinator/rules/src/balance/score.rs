//! The load score of a node and medium, as in the seed, and its class.
//!
//! In: the world. Out: one figure for each node and each medium it has a disk of. Used percent counts ONLINE disks
//! only; every replica counts, whatever it is worth. A medium without bytes, replicas or nodes gives 0, never NaN.
//!
//! ```text
//! score = used% / average used% x c + replicas / average replicas x (1 - c)
//! c     = 0.5 below 50 % used, 1 above the high water, between them 2 x used% - 0.5
//! class = HIGH or LOW when further than 10 % from the average score, else MID
//! ```
//!
//! The class is the plain one. When a medium has no LOW node its MID nodes take that part (or, else, that of HIGH when
//! there is no HIGH): whom balance takes for it is asked of [`stands_in`], and changes no class.

use crate::World;
use crate::world::Tablet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use stele_common::{DiskState, Medium, NodeId};

/// How busy a node is on one medium.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    pub node: NodeId,
    pub medium: Medium,
    /// Used part of its ONLINE disks, 0 to 1.
    pub used_percent: f64,
    pub replica_num: u64,
    pub capacity_coefficient: f64,
    pub replica_num_coefficient: f64,
    pub score: f64,
    pub class: Class,
}

/// Where a score stands among the others of its medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Class {
    Low,
    Mid,
    High,
}

/// Below this used part replicas weigh as much as bytes (the seed's constant).
const EVEN_UP_TO: f64 = 0.5;

#[derive(Clone, Copy, Default)]
struct Sum {
    total: u64,
    used: u64,
    replicas: u64,
}

/// Scores of all nodes, by node, HDD before SSD.
pub fn scores(world: &World) -> Vec<Score> {
    let mut replicas = Replicas::default();
    world.tablets.iter().for_each(|tablet| count(world, tablet, &mut replicas));
    scores_of(world, &replicas)
}

/// By node: the mean of its scores over the media that it has.
pub fn mixed(world: &World) -> BTreeMap<NodeId, f64> {
    let mut sums: BTreeMap<NodeId, (f64, u32)> = BTreeMap::new();
    for score in scores(world) {
        let sum = sums.entry(score.node).or_default();
        *sum = (sum.0 + score.score, sum.1 + 1);
    }
    sums.into_iter().map(|(node, (sum, media))| (node, sum / f64::from(media))).collect()
}

/// Replicas by node and medium.
pub type Replicas = BTreeMap<(NodeId, Medium), u64>;

/// Adds a tablet's replicas.
pub fn count(world: &World, tablet: &Tablet, replicas: &mut Replicas) {
    for replica in &tablet.replicas {
        // On a disk that its node does not have it counts where it was meant to be.
        let medium = world.disks.get(&replica.disk).map_or(tablet.medium, |disk| disk.medium);
        *replicas.entry((replica.node, medium)).or_default() += 1;
    }
}

/// [`scores`], where replicas have been counted.
pub fn scores_of(world: &World, replicas: &Replicas) -> Vec<Score> {
    let sums = sums(world, replicas);
    let mut scores = Vec::new();
    for medium in [Medium::Hdd, Medium::Ssd] {
        let of_medium = sums.iter().filter(|((_, other), _)| *other == medium).map(|((node, _), sum)| (*node, *sum));
        let of_medium: Vec<(NodeId, Sum)> = of_medium.collect();
        scores.extend(of_one_medium(world, medium, &of_medium));
    }
    // HDD came first, and the sort keeps that.
    scores.sort_by_key(|score| score.node);
    scores
}

fn of_one_medium(world: &World, medium: Medium, sums: &[(NodeId, Sum)]) -> Vec<Score> {
    let total: u128 = sums.iter().map(|(_, sum)| u128::from(sum.total)).sum();
    let used: u128 = sums.iter().map(|(_, sum)| u128::from(sum.used)).sum();
    let replicas: u128 = sums.iter().map(|(_, sum)| u128::from(sum.replicas)).sum();
    let average_used = part(used as f64, total as f64);
    let average_replicas = part(replicas as f64, sums.len() as f64);
    let score = |(node, sum): &(NodeId, Sum)| {
        let used_percent = part(sum.used as f64, sum.total as f64);
        let capacity_coefficient = coefficient(used_percent, world.knobs.capacity_used_percent_high_water);
        let replica_num_coefficient = 1.0 - capacity_coefficient;
        let score = part(used_percent, average_used) * capacity_coefficient
            + part(sum.replicas as f64, average_replicas) * replica_num_coefficient;
        let (node, replica_num, class) = (*node, sum.replicas, Class::Mid);
        Score { node, medium, used_percent, replica_num, capacity_coefficient, replica_num_coefficient, score, class }
    };
    let mut scores: Vec<Score> = sums.iter().map(score).collect();
    let average = part(scores.iter().map(|score| score.score).sum(), scores.len() as f64);
    for score in &mut scores {
        score.class = class(score.score, average, world.knobs.balance_load_score_threshold);
    }
    scores
}

/// How much the used part weighs; the edges themselves belong to the slope.
fn coefficient(used_percent: f64, high_water: f64) -> f64 {
    if used_percent < EVEN_UP_TO {
        0.5
    } else if used_percent > high_water {
        1.0
    } else {
        // A high water above the seed's would take it past the whole.
        (2.0 * used_percent - 0.5).min(1.0)
    }
}

fn class(score: f64, average: f64, threshold: f64) -> Class {
    let divisor = if average == 0.0 { 1.0 } else { average };
    if (score - average).abs() / divisor <= threshold {
        Class::Mid
    } else if score > average {
        Class::High
    } else {
        Class::Low
    }
}

/// The class whose nodes play `wanted` on a medium with these classes: its own, or MID for the one that is empty. An
/// empty LOW goes first, and MID plays one part only. `None`: nobody does.
pub fn stands_in(classes: &[Class], wanted: Class) -> Option<Class> {
    let has = |class| classes.contains(&class);
    let fallback = match wanted {
        Class::Low => true,
        Class::High => has(Class::Low),
        Class::Mid => false,
    };
    match has(wanted) {
        true => Some(wanted),
        false => (fallback && has(Class::Mid)).then_some(Class::Mid),
    }
}

/// Division that gives 0 where there is nothing to divide by.
fn part(of: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { of / whole }
}

fn sums(world: &World, replicas: &Replicas) -> BTreeMap<(NodeId, Medium), Sum> {
    let mut sums: BTreeMap<(NodeId, Medium), Sum> = BTreeMap::new();
    let disks = world.disks.values().filter(|disk| world.nodes.contains_key(&disk.node));
    for disk in disks.filter(|disk| disk.replaced_by.is_none()) {
        let sum = sums.entry((disk.node, disk.medium)).or_default();
        if disk.state == DiskState::Online {
            sum.total = sum.total.saturating_add(disk.space.total);
            sum.used = sum.used.saturating_add(disk.space.used);
        }
    }
    for (place, sum) in &mut sums {
        sum.replicas = replicas.get(place).copied().unwrap_or(0);
    }
    sums
}

#[cfg(test)]
mod tests;
