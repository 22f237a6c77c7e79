//! Counts and bytes at once: first which places have how many copies too many, then the smallest tablets that make up
//! for it, then larger ones in their stead until the bytes are in the band as well.
//!
//! In: a picture at its beginning. Out: moves that are aimed at, and those drawn of them. Evened one after the other, bytes
//! take tablets that counts would have had for less; here every byte that has to go somewhere rides on a copy that has
//! to go there anyway. What this leaves, for want of a fitting tablet or of a legal order, the other stages even
//! ([`super::usage`], [`super::fair`]).

use super::band::lower_edge;
use super::bound::{Basin, Before, Shelf};
use super::census::Census;
use super::dues::Dues;
use super::fair::Guard;
use super::picture::Picture;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A move that is aimed at.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    copy: u32,
    from: u32,
    to: u32,
}

/// Aims for one medium, whose used parts are to end in a band of `width`.
pub fn aims(picture: &mut Picture, seats: &[u32], width: f64) -> Vec<Aim> {
    let census = Census::of(picture);
    let used = picture.seats.iter().map(|seat| seat.used as f64).collect();
    let (on, taken, aims) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    let mut aiming = Aiming { picture, low: 0.0, high: 0.0, used, on, taken, aims };
    for table in 0..aiming.picture.tables.len() as u32 {
        for pool in aiming.pools(seats) {
            aiming.even_table(&census, table, pool);
        }
    }
    aiming.lay_band(seats, width);
    aiming.enlarge(seats, true);
    aiming.enlarge(seats, false);
    aiming.shrink();
    aiming.aims
}

/// Draws those that lower the usage potential, as long as the spread is above `width`.
pub fn draw_lowering(picture: &mut Picture, aims: &mut Vec<Aim>, seats: &[u32], width: f64) {
    until_nothing_helps(picture, aims, |picture, aim| {
        let is_due = picture.spread(seats) > width && picture.is_lowering(aim.copy, aim.to);
        if is_due {
            picture.draw(aim.copy, aim.to);
        }
        is_due
    });
}

/// Draws those that make counts fairer, within the spread.
pub fn draw_fairer(picture: &mut Picture, aims: &mut Vec<Aim>, seats: &[u32], width: f64) {
    let mut census = Census::of(picture);
    let mut guard = Guard::of(picture, seats, width);
    until_nothing_helps(picture, aims, |picture, aim| {
        let table = picture.pieces[picture.copies[aim.copy as usize].piece as usize].table;
        let is_due = census.is_fairer(picture, table, aim.from, aim.to) && guard.allows(picture, aim.copy, aim.to);
        if is_due {
            picture.draw(aim.copy, aim.to);
            census.moved(picture, table, aim.from, aim.to);
            guard.drawn(picture, aim.from, aim.to);
        }
        is_due
    });
}

/// Again and again over all that may be: what one forbids another may allow.
fn until_nothing_helps(picture: &mut Picture, aims: &mut Vec<Aim>, mut draw: impl FnMut(&mut Picture, &Aim) -> bool) {
    let mut left = usize::MAX;
    while aims.len() < left {
        left = aims.len();
        aims.retain(|aim| {
            let may_go = picture.may_leave(aim.copy) && picture.may_come(aim.copy, aim.to);
            !(may_go && draw(picture, aim))
        });
    }
}

struct Aiming<'a, 'w> {
    picture: &'a mut Picture<'w>,
    low: f64,
    high: f64,
    /// By seat: bytes after what is aimed at.
    used: Vec<f64>,
    /// By seat and table: copies that stand there, smallest first.
    on: BTreeMap<(u32, u32), Vec<u32>>,
    /// Tablets that move.
    taken: BTreeSet<u32>,
    aims: Vec<Aim>,
}

impl Aiming<'_, '_> {
    fn pools(&self, seats: &[u32]) -> Vec<u32> {
        let pools: BTreeSet<u32> = seats.iter().map(|seat| self.picture.seats[*seat as usize].pool).collect();
        pools.into_iter().collect()
    }

    fn bytes(&self, copy: u32) -> f64 {
        self.picture.copies[copy as usize].bytes as f64
    }

    /// Of the table's tablets the smallest that bring every seat to its fair number.
    fn even_table(&mut self, census: &Census, table: u32, pool: u32) {
        let mut excess = census.excess(self.picture, table, pool);
        for copy in self.standing(table, pool) {
            let at = self.picture.copies[copy as usize];
            self.on.entry((at.seat, table)).or_default().push(copy);
            if excess.get(&at.seat).is_none_or(|excess| *excess <= 0) || self.taken.contains(&at.piece) {
                continue;
            }
            let lacking = excess.iter().filter(|(to, excess)| **excess < 0 && self.picture.may_come(copy, **to));
            // Small ones go where bytes are wanted least.
            let fullest = lacking.map(|(to, _)| *to).max_by(|a, b| self.order(*a, *b));
            let Some(to) = fullest else { continue };
            if self.picture.may_leave(copy) {
                *excess.entry(at.seat).or_default() -= 1;
                *excess.entry(to).or_default() += 1;
                self.taken.insert(at.piece);
                self.shift(at.seat, to, at.bytes as f64);
                self.aims.push(Aim { copy, from: at.seat, to });
            }
        }
    }

    /// The table's copies in the pool, smallest first.
    fn standing(&self, table: u32, pool: u32) -> Vec<u32> {
        let pieces = self.picture.tables[table as usize].iter();
        let is_here = |copy: &u32| {
            let seat = self.picture.seats.get(self.picture.copies[*copy as usize].seat as usize);
            seat.is_some_and(|seat| seat.pool == pool)
        };
        let mut copies: Vec<u32> = pieces.flat_map(|piece| self.picture.copies_of(*piece)).filter(is_here).collect();
        copies.sort_by_key(|copy| (self.picture.copies[*copy as usize].bytes, *copy));
        copies
    }

    /// The band in which the used parts are to end, laid where the fewest bytes are still missing.
    fn lay_band(&mut self, seats: &[u32], width: f64) {
        let basin = |pool: &u32| {
            let seats = self.picture.pools[*pool as usize].seats.iter();
            let disk = |seat: &u32| {
                let (used, total) = (self.used[*seat as usize], self.picture.seats[*seat as usize].total as f64);
                Before { used, total, dues: Dues::NONE }
            };
            Basin { shelves: vec![Shelf { disks: seats.map(disk).collect(), dues: Dues::NONE }], ..Basin::default() }
        };
        let basins: Vec<Basin> = self.pools(seats).iter().map(basin).collect();
        self.low = lower_edge(&basins, width);
        self.high = self.low + width;
    }

    fn shift(&mut self, from: u32, to: u32, bytes: f64) {
        self.used[from as usize] -= bytes;
        self.used[to as usize] += bytes;
    }

    /// Bytes that a seat has above this used part.
    fn over(&self, seat: u32, part: f64) -> f64 {
        self.used[seat as usize] - part * self.picture.seats[seat as usize].total as f64
    }

    fn part(&self, seat: u32) -> f64 {
        self.used[seat as usize] / self.picture.seats[seat as usize].total as f64
    }

    /// By used part.
    fn order(&self, a: u32, b: u32) -> Ordering {
        self.part(a).total_cmp(&self.part(b)).then(b.cmp(&a))
    }

    /// Puts larger tablets in the place of smaller ones: seats above the band give more, those below it take more. The
    /// bytes go where they are wanted most.
    fn enlarge(&mut self, seats: &[u32], is_above: bool) {
        let mut by_end: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, aim) in self.aims.iter().enumerate() {
            by_end.entry(if is_above { aim.from } else { aim.to }).or_default().push(index);
        }
        let is_out = |seat: &u32| match is_above {
            true => self.over(*seat, self.high) > 0.0,
            false => self.over(*seat, self.low) < 0.0,
        };
        let mut outside: Vec<u32> = seats.iter().copied().filter(is_out).collect();
        outside.sort_by(|a, b| if is_above { self.order(*b, *a) } else { self.order(*a, *b) });
        for seat in outside {
            let mut aims = by_end.remove(&seat).unwrap_or_default();
            aims.sort_by(|a, b| match (self.aims[*a], self.aims[*b]) {
                (a, b) if is_above => self.order(a.to, b.to),
                (a, b) => self.order(b.from, a.from),
            });
            for index in aims {
                let Aim { copy, from, to } = self.aims[index];
                let more = match is_above {
                    true => self.over(from, self.high).min(-self.over(to, self.high)),
                    false => (-self.over(to, self.low)).min(self.over(from, self.low)),
                };
                let (least, most) = (self.bytes(copy) + 1.0, self.bytes(copy) + more);
                self.replace(index, (least, most), true);
            }
        }
    }

    /// Puts smaller tablets in the place of larger ones where that leaves both seats in the band.
    fn shrink(&mut self) {
        let mut order: Vec<usize> = (0..self.aims.len()).collect();
        order.sort_by(|a, b| self.bytes(self.aims[*b].copy).total_cmp(&self.bytes(self.aims[*a].copy)).then(a.cmp(b)));
        for index in order {
            let Aim { copy, from, to } = self.aims[index];
            let less = (-self.over(from, self.high)).min(self.over(to, self.low));
            self.replace(index, (self.bytes(copy) - less, self.bytes(copy) - 1.0), false);
        }
    }

    /// Another tablet of the same table goes in the place of this one: the largest of these bytes, or the smallest.
    fn replace(&mut self, index: usize, (least, most): (f64, f64), is_largest: bool) {
        let Aim { copy, from, to } = self.aims[index];
        let piece = self.picture.copies[copy as usize].piece;
        let table = self.picture.pieces[piece as usize].table;
        let on = self.on.get(&(from, table)).map(Vec::as_slice).unwrap_or_default();
        let start = on.partition_point(|other| self.bytes(*other) < least);
        let end = on.partition_point(|other| self.bytes(*other) <= most).max(start);
        let mut others = on[start..end].to_vec();
        if is_largest {
            others.reverse();
        }
        let fitting = others.into_iter().find(|other| {
            let piece = self.picture.copies[*other as usize].piece;
            !self.taken.contains(&piece) && self.picture.may_leave(*other) && self.picture.may_come(*other, to)
        });
        if let Some(other) = fitting {
            self.taken.remove(&piece);
            self.taken.insert(self.picture.copies[other as usize].piece);
            self.shift(from, to, self.bytes(other) - self.bytes(copy));
            self.aims[index].copy = other;
        }
    }
}
