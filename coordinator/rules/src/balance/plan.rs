//! The whole way to evenness at once: which moves, in which order, what they cost and how near that is to the least.
//!
//! In: the world, what is held back. Out: a [`Plan`]. Stage one evens bytes ([`super::usage`], [`super::chains`]), stage
//! two counts ([`super::fair`]). Where the bytes are more than [`NEAR`] above the bound, or a medium stays uneven, the
//! other ways are tried as well, and the best is kept: even first, then cheap. No tablet moves twice, unless a medium
//! stays uneven otherwise; no copy ever does.
//!
//! It is a proposal about a world at rest. When a move's turn comes, [`super::moves::still_worth`] is asked again.

use super::bound::{Basin, Before, common, least_bytes};
use super::chains::even_rest;
use super::fair::even_counts;
use super::moves::{Move, Scope, Why};
use super::picture::Picture;
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
    /// The least that any plan must move to make the bytes as even as `after`.
    pub bytes_lower_bound: u64,
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
    counts_first: bool,
    moves_each: u8,
    /// Bytes are evened pair by pair from the beginning: which of few copies goes is then chosen by what comes of it, not
    /// by what fits a band.
    is_for_few: bool,
}

/// Tried in this order.
const WAYS: [Way; 5] = [
    Way { width: 1.0, counts_first: false, moves_each: 1, is_for_few: false },
    Way { width: 1.0, counts_first: true, moves_each: 1, is_for_few: false },
    Way { width: 0.5, counts_first: false, moves_each: 1, is_for_few: false },
    Way { width: 1.0, counts_first: false, moves_each: 1, is_for_few: true },
    Way { width: 1.0, counts_first: false, moves_each: 2, is_for_few: false },
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
    /// What the spreads of the media are above the threshold.
    above: f64,
    /// Whether tablets had to move twice.
    is_twice: bool,
    method: Method,
}

impl Draft<'_> {
    fn is_near(&self) -> bool {
        let usage = self.whys.iter().zip(&self.picture.drawn).filter(|(why, _)| **why == Why::Usage);
        let usage: u64 = usage.map(|(_, drawn)| self.picture.copies[drawn.copy as usize].bytes).sum();
        // Counts have a price of their own, which the bound does not know.
        self.above <= 0.0 && (usage == 0 || self.bytes as f64 <= self.bound as f64 * NEAR)
    }

    /// Less is better: even, without moving twice, cheap.
    fn rank(&self) -> (u64, bool, u64) {
        ((self.above * 1e6).ceil() as u64, self.is_twice, self.bytes)
    }
}

impl House {
    fn draw<'a>(&self, mut picture: Picture<'a>, way: Way) -> Draft<'a> {
        picture.moves_each = way.moves_each;
        let mut whys = Vec::new();
        let mut method = Method::Greedy;
        let width = self.threshold - BLUR;
        if way.counts_first {
            even_counts(&mut picture, width);
            whys.resize(picture.drawn.len(), Why::Count);
        }
        let mut tally = Tally::of(&picture);
        for (_, seats) in &self.media {
            if picture.spread(seats) > width {
                let basins = self.basins_now(&picture, seats);
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
        let bound = self.bound(&picture);
        let is_twice = way.moves_each > 1;
        Draft { bytes: picture.bytes_drawn(), bound, above, is_twice, whys, method, picture }
    }

    /// The bound for the spreads that were reached.
    fn bound(&self, picture: &Picture) -> u64 {
        let bounds = self.media.iter().map(|(medium, seats)| {
            let pools = picture.pools.iter().zip(&self.basins).filter(|(pool, _)| pool.medium == *medium);
            let basins: Vec<Basin> = pools.map(|(_, basin)| basin.clone()).collect();
            least_bytes(&basins, picture.spread(seats))
        });
        bounds.sum()
    }

    /// The pools of these seats, as they are in this picture.
    fn basins_now(&self, picture: &Picture, seats: &[u32]) -> Vec<Basin> {
        let medium = seats.first().map(|seat| picture.pools[picture.seats[*seat as usize].pool as usize].medium);
        let pools = picture.pools.iter().zip(&self.basins).filter(|(pool, _)| Some(pool.medium) == medium);
        pools.map(|(pool, basin)| Basin { disks: before(picture, &pool.seats), ..*basin }).collect()
    }

    fn finish(self, best: Option<Draft>) -> Plan {
        let Some(draft) = best else {
            let (idle, before) = (Some(self.idle()), self.before);
            let (moves, after, method) = (Vec::new(), before.clone(), Method::Greedy);
            return Plan { moves, before, after, bytes: 0, bytes_usage: 0, bytes_lower_bound: 0, method, idle };
        };
        let Draft { picture, whys, bytes, bound, method, .. } = draft;
        let moves: Vec<Move> = picture.drawn.iter().zip(whys).map(|(drawn, why)| picture.told(*drawn, why)).collect();
        let usage = moves.iter().filter(|mv| mv.why.is_for_bytes());
        let bytes_usage = usage.fold(0u64, |sum, mv| sum.saturating_add(mv.bytes));
        let idle = moves.is_empty().then(|| self.idle());
        let after = self.media.iter().map(|(medium, seats)| (*medium, evenness(&picture, seats))).collect();
        let before = self.before;
        Plan { moves, before, after, bytes, bytes_usage, bytes_lower_bound: bound, method, idle }
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

fn before(picture: &Picture, seats: &[u32]) -> Vec<Before> {
    let seats = seats.iter().map(|seat| &picture.seats[*seat as usize]);
    seats.map(|seat| Before { used: seat.used as f64, total: seat.total as f64 }).collect()
}

fn basins(picture: &Picture) -> Vec<Basin> {
    let empty = |seats: &[u32]| Basin { disks: before(picture, seats), grain: 0, smallest: u64::MAX };
    let mut basins: Vec<Basin> = picture.pools.iter().map(|pool| empty(&pool.seats)).collect();
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
