//! The whole way to evenness at once: which moves, in which order, what they cost and how near that is to the least.
//!
//! In: the world, what is held back. Out: a [`Plan`]. Stage one evens bytes ([`super::usage`], [`super::chains`]), stage
//! two counts ([`super::fair`]). Where the bytes are more than [`NEAR`] above the bound, or a medium stays uneven, the
//! other ways are tried as well, and the best is kept: even first, then cheap. No tablet moves twice, unless a medium
//! stays uneven otherwise; no copy ever does.
//!
//! It is a proposal about a world at rest. When a move's turn comes, [`super::moves::still_worth`] is asked again.

use super::bound::{Basin, Before, Shelf, common, least_bytes};
use super::chains::even_rest;
use super::dues::{Dues, Owed};
use super::fair::even_counts;
use super::joint;
use super::moves::{Move, Scope, Why};
use super::picture::{Picture, Pool, Seat};
use super::tally::Tally;
use super::usage::even_usage;
use crate::schedule::slots::Ledger;
use crate::{Reason, World};
use serde::Serialize;
use std::collections::BTreeMap;
use stele_common::Medium;
use stele_common::api::Spread;

/// Moves to the end, with their price.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub moves: Vec<Move>,
    pub before: BTreeMap<Medium, Spread>,
    pub after: BTreeMap<Medium, Spread>,
    /// Of all moves.
    pub bytes: u64,
    /// Of those that lower the bytes' potential.
    pub bytes_usage: u64,
    /// The least that any plan must move to end with the spreads of `after`.
    pub bytes_lower_bound: u64,
    /// The least that any plan must move to end with these spreads and with counts as fair.
    pub bytes_lower_bound_fair: u64,
    pub method: Method,
    /// Why there are no moves.
    pub idle: Option<Reason>,
}

/// How the moves were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Disk by disk, fullest first.
    Greedy,
    /// With chains over third disks.
    Flow,
}

/// So far above the bound a plan is near enough not to look for another.
const NEAR: f64 = 1.02;
/// What is less apart is equal: binary fractions of whole numbers.
const BLUR: f64 = 1e-9;

/// Computes the plan.
pub fn plan(world: &World, scope: &Scope) -> Plan {
    plan_with(world, scope, &Ledger::of(world, std::iter::empty()))
}

/// [`plan`], with proposals under way that the world does not show yet.
pub fn plan_with(world: &World, scope: &Scope, ledger: &Ledger) -> Plan {
    let start = Picture::of(world, scope, ledger);
    let threshold = world.knobs.balance_threshold_ppm() as f64 / 1e6;
    let media: Vec<(Medium, Vec<u32>)> = [Medium::Hdd, Medium::Ssd]
        .into_iter()
        .map(|medium| (medium, start.seats_of(medium)))
        .filter(|(_, seats)| !seats.is_empty())
        .collect();
    let basins = basins(&start);
    let before = media.iter().map(|(medium, seats)| (*medium, evenness(&start, seats))).collect();
    let house = House { media, basins, before, threshold };
    let mut best: Option<Draft> = None;
    let mut fresh = Some(start);
    for way in WAYS {
        // Each way draws into a picture of its own; most often the first is good enough.
        let picture = fresh.take().unwrap_or_else(|| Picture::of(world, scope, ledger));
        let is_uneven = best.as_ref().is_none_or(|best| best.above > 0.0);
        if way.is_for_few && (!is_uneven || picture.copies.len() > FEW) {
            fresh = Some(picture);
            continue;
        }
        let draft = house.draw(picture, way);
        let is_better = best.as_ref().is_none_or(|best| draft.rank() < best.rank());
        if is_better {
            best = Some(draft);
        }
        if best.as_ref().is_some_and(|best| best.is_near()) {
            break;
        }
    }
    house.finish(best)
}

/// In what a way differs from the others.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// The band's width, as part of the threshold.
    width: f64,
    order: Order,
    moves_each: u8,
    /// Bytes are evened pair by pair from the beginning: which of few copies goes is then chosen by what comes of it, not
    /// by what fits a band.
    is_for_few: bool,
}

/// What is evened first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Bytes,
    Counts,
    Both,
}

/// Tried in this order.
const WAYS: [Way; 6] = [
    Way { width: 1.0, order: Order::Bytes, moves_each: 1, is_for_few: false },
    Way { width: 1.0, order: Order::Both, moves_each: 1, is_for_few: false },
    Way { width: 1.0, order: Order::Counts, moves_each: 1, is_for_few: false },
    Way { width: 0.5, order: Order::Bytes, moves_each: 1, is_for_few: false },
    Way { width: 1.0, order: Order::Bytes, moves_each: 1, is_for_few: true },
    Way { width: 1.0, order: Order::Bytes, moves_each: 2, is_for_few: false },
];
/// Copies that are few.
const FEW: usize = 1_000;

struct House {
    media: Vec<(Medium, Vec<u32>)>,
    /// By pool.
    basins: Vec<Basin>,
    before: BTreeMap<Medium, Spread>,
    threshold: f64,
}

/// One way, walked to its end.
struct Draft<'a> {
    picture: Picture<'a>,
    whys: Vec<Why>,
    bytes: u64,
    bound: u64,
    fair_bound: u64,
    /// What single moves, as large as the mean copy, would still cost until all counts were fair.
    unfair: u64,
    /// What the spreads of the media are above the threshold.
    above: f64,
    /// Whether tablets had to move twice.
    is_twice: bool,
    method: Method,
}

impl Draft<'_> {
    fn is_near(&self) -> bool {
        self.above <= 0.0 && self.bytes as f64 <= self.fair_bound as f64 * NEAR
    }

    /// Less is better: even, without moving twice, cheap. What it leaves unfair has its price, too: a plan that stops
    /// early is none the better for it.
    fn rank(&self) -> (u64, bool, u64) {
        ((self.above * 1e6).ceil() as u64, self.is_twice, self.bytes.saturating_add(self.unfair))
    }
}

impl House {
    fn draw<'a>(&self, mut picture: Picture<'a>, way: Way) -> Draft<'a> {
        picture.moves_each = way.moves_each;
        let mut whys = Vec::new();
        let mut method = Method::Greedy;
        let width = self.threshold - BLUR;
        match way.order {
            Order::Bytes => {}
            Order::Counts => {
                even_counts(&mut picture, width);
                whys.resize(picture.drawn.len(), Why::Count);
            }
            Order::Both => {
                for (_, seats) in &self.media {
                    let mut aims = joint::aims(&mut picture, seats, width);
                    joint::draw_lowering(&mut picture, &mut aims, seats, width);
                    whys.resize(picture.drawn.len(), Why::Usage);
                    joint::draw_fairer(&mut picture, &mut aims, seats, width);
                    whys.resize(picture.drawn.len(), Why::Count);
                }
            }
        }
        let mut tally = Tally::of(&picture);
        for (medium, seats) in &self.media {
            if picture.spread(seats) > width {
                let basins = self.basins_now(&picture, *medium);
                if !way.is_for_few {
                    even_usage(&mut picture, &mut tally, seats, &basins, self.threshold * way.width - BLUR);
                }
                if even_rest(&mut picture, &mut tally, seats, width) {
                    method = Method::Flow;
                }
            }
        }
        whys.resize(picture.drawn.len(), Why::Usage);
        even_counts(&mut picture, width);
        whys.resize(picture.drawn.len(), Why::Count);
        let spreads = || self.media.iter().map(|(_, seats)| picture.spread(seats));
        let above = spreads().map(|spread| (spread - width).max(0.0)).sum();
        let owed = Owed::of(&picture);
        let (bound, fair_bound) = (self.bound(&picture, None), self.bound(&picture, Some(&owed)));
        let bytes: u64 = picture.copies.iter().fold(0, |sum, copy| sum.saturating_add(copy.bytes));
        let unfair = bytes / (picture.copies.len() as u64).max(1) * owed.moves_left;
        let is_twice = way.moves_each > 1;
        Draft { bytes: picture.bytes_drawn(), bound, fair_bound, unfair, above, is_twice, whys, method, picture }
    }

    /// The bound for the spreads that were reached; with what is owed, for the counts as well.
    fn bound(&self, picture: &Picture, owed: Option<&Owed>) -> u64 {
        let bound = |(medium, seats): &(Medium, Vec<u32>)| {
            let mut basins = Vec::new();
            for (index, pool) in picture.pools.iter().enumerate().filter(|(_, pool)| pool.medium == *medium) {
                let shelves = shelves(picture, pool, |seat| seat.start, owed);
                let splits = owed.map_or(Vec::new(), |owed| owed.splits[index].clone());
                let Basin { grain, smallest, .. } = self.basins[index];
                basins.push(Basin { shelves, splits, grain, smallest });
            }
            least_bytes(&basins, picture.spread(seats))
        };
        self.media.iter().map(bound).sum()
    }

    /// The pools of a medium, as they are in this picture.
    fn basins_now(&self, picture: &Picture, medium: Medium) -> Vec<Basin> {
        let pools = picture.pools.iter().zip(&self.basins).filter(|(pool, _)| pool.medium == medium);
        let now = |pool: &Pool| shelves(picture, pool, |seat| seat.used, None);
        pools.map(|(pool, basin)| Basin { shelves: now(pool), splits: Vec::new(), ..*basin }).collect()
    }

    fn finish(self, best: Option<Draft>) -> Plan {
        let mut plan = Plan {
            moves: Vec::new(),
            before: self.before.clone(),
            after: self.before.clone(),
            bytes: 0,
            bytes_usage: 0,
            bytes_lower_bound: 0,
            bytes_lower_bound_fair: 0,
            method: Method::Greedy,
            idle: None,
        };
        if let Some(Draft { picture, whys, bytes, bound, fair_bound, method, .. }) = best {
            plan.moves = picture.drawn.iter().zip(whys).map(|(drawn, why)| picture.told(*drawn, why)).collect();
            let usage = plan.moves.iter().filter(|mv| mv.why.is_for_bytes());
            plan.bytes_usage = usage.fold(0u64, |sum, mv| sum.saturating_add(mv.bytes));
            (plan.bytes, plan.bytes_lower_bound, plan.bytes_lower_bound_fair) = (bytes, bound, fair_bound);
            plan.after = self.media.iter().map(|(medium, seats)| (*medium, evenness(&picture, seats))).collect();
            plan.method = method;
        }
        plan.idle = plan.moves.is_empty().then(|| self.idle());
        plan
    }

    fn idle(&self) -> Reason {
        let spread = self.before.values().map(Spread::width).fold(0.0, f64::max);
        let (spread_ppm, threshold_ppm) = ((spread * 1e6).round() as u64, (self.threshold * 1e6).round() as u64);
        match spread > self.threshold - BLUR {
            true => Reason::NothingEvens { spread_ppm, threshold_ppm },
            false => Reason::BalanceIdle { spread_ppm, threshold_ppm },
        }
    }
}

/// The pool's disks by node, with these bytes on each, and with what they owe for counts.
fn shelves(picture: &Picture, pool: &Pool, used: impl Fn(&Seat) -> u64, owed: Option<&Owed>) -> Vec<Shelf> {
    let before = |index: &u32| {
        let seat = &picture.seats[*index as usize];
        let dues = owed.map_or(Dues::NONE, |owed| owed.seats[*index as usize]);
        Before { used: used(seat) as f64, total: seat.total as f64, dues }
    };
    let shelf = |place: &u32| Shelf {
        disks: picture.places[*place as usize].seats.iter().map(before).collect(),
        dues: owed.map_or(Dues::NONE, |owed| owed.places[*place as usize]),
    };
    pool.nodes.iter().map(shelf).collect()
}

fn basins(picture: &Picture) -> Vec<Basin> {
    let empty = |pool: &Pool| {
        let shelves = shelves(picture, pool, |seat| seat.used, None);
        Basin { shelves, splits: Vec::new(), grain: 0, smallest: u64::MAX }
    };
    let mut basins: Vec<Basin> = picture.pools.iter().map(empty).collect();
    for copy in picture.copies.iter().filter(|copy| copy.bytes > 0) {
        if let Some(seat) = picture.seats.get(copy.seat as usize) {
            let basin = &mut basins[seat.pool as usize];
            basin.grain = common(copy.bytes, basin.grain);
            basin.smallest = basin.smallest.min(copy.bytes);
        }
    }
    basins
}

fn evenness(picture: &Picture, seats: &[u32]) -> Spread {
    let parts: Vec<f64> = seats.iter().map(|seat| picture.seats[*seat as usize].part()).collect();
    Spread::of(&parts)
}
