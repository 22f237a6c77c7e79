//! Stage one of a plan: the bytes of a medium's disks within a band, with the fewest bytes moved.
//!
//! In: a picture, the band's width. Out: moves drawn into it. Disks above the band give little more than what is too
//! much; disks below it take. Of what a disk could give, copies of tables that it has too many of go first, of such a
//! size that the bytes and the copies that are too many go together; of those that could take it, disks of the same node, then those whose
//! node has fewest of the table. What is still out of the band after that is evened pair by pair, fullest and emptiest
//! first, and at last by chains ([`super::chains`]).
//!
//! Each move lowers the usage potential. It must never take a disk below the band, nor bring one above it.

use super::band::lower_edge;
use super::bound::Basin;
use super::picture::Picture;
use super::tally::Tally;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Where the band lies, and what is at hand.
pub struct Evening<'a, 'w> {
    pub picture: &'a mut Picture<'w>,
    pub tally: &'a mut Tally,
    pub seats: &'a [u32],
    pub low: f64,
    pub high: f64,
    /// Seats below the band.
    takers: Vec<u32>,
    /// By table: what the neediest taker lacks, as far as it was asked.
    lacks: BTreeMap<u32, i32>,
}

/// Draws moves until the spread of these seats is at most `width`, or nothing helps.
pub fn even_usage(picture: &mut Picture, tally: &mut Tally, seats: &[u32], basins: &[Basin], width: f64) {
    let low = lower_edge(basins, width);
    let (takers, lacks) = (Vec::new(), BTreeMap::new());
    let mut evening = Evening { picture, tally, seats, low, high: low + width, takers, lacks };
    evening.give();
    evening.take();
}

/// A table whose copies could be given: field order is the policy.
type Rank = (i32, Reverse<u32>);

/// A disk above the band.
struct Giver {
    seat: u32,
    /// Bytes above the band at the beginning.
    excess: f64,
    /// What it could give, by table, smallest first.
    by_table: BTreeMap<u32, Vec<u32>>,
    ranks: BinaryHeap<Rank>,
}

impl Evening<'_, '_> {
    fn part(&self, seat: u32) -> f64 {
        self.picture.seats[seat as usize].part()
    }

    /// Bytes of the seat above this used part.
    fn over(&self, seat: u32, part: f64) -> f64 {
        let seat = &self.picture.seats[seat as usize];
        seat.used as f64 - part * seat.total as f64
    }

    /// Seats outside the band on one side, furthest first.
    fn outside(&self, is_above: bool) -> Vec<u32> {
        let is_out = |seat: &u32| match is_above {
            true => self.over(*seat, self.high) > 0.0,
            false => self.over(*seat, self.low) < 0.0,
        };
        let mut seats: Vec<u32> = self.seats.iter().copied().filter(is_out).collect();
        seats.sort_by(|a, b| {
            let order = self.part(*b).total_cmp(&self.part(*a));
            let order = if is_above { order } else { order.reverse() };
            order.then(a.cmp(b))
        });
        seats
    }

    /// Every disk above the band gives, all side by side: of a tablet only one copy moves, so who came first would have the
    /// choice and who came last the rest.
    fn give(&mut self) {
        self.takers = self.outside(false);
        let mut givers: Vec<Giver> = self.outside(true).into_iter().map(|seat| self.giver(seat)).collect();
        let turn = |left: f64, index: usize| ((left * 1e9) as u64, Reverse(index));
        let mut turns: BinaryHeap<(u64, Reverse<usize>)> = (0..givers.len()).map(|index| turn(1.0, index)).collect();
        while let Some((_, Reverse(index))) = turns.pop() {
            let giver = &mut givers[index];
            if self.give_one(giver) {
                turns.push(turn(self.over(giver.seat, self.high) / giver.excess, index));
            }
        }
        // Nothing that is left fits the rest: the smallest of them ends it.
        for giver in givers {
            let mut left: Vec<u32> = giver.by_table.into_values().flatten().collect();
            left.sort_by_key(|copy| (self.picture.copies[*copy as usize].bytes, *copy));
            for copy in left {
                if self.over(giver.seat, self.high) <= 0.0 {
                    break;
                }
                let bytes = self.picture.copies[copy as usize].bytes as f64;
                if self.over(giver.seat, self.low) >= bytes && self.picture.may_leave(copy) {
                    self.send(copy);
                }
            }
        }
    }

    fn giver(&mut self, seat: u32) -> Giver {
        let by_table = self.by_table(seat);
        let ranks = by_table.keys().map(|table| self.rank(*table, seat)).collect();
        Giver { seat, excess: self.over(seat, self.high), by_table, ranks }
    }

    /// Returns whether there may be more to give.
    fn give_one(&mut self, giver: &mut Giver) -> bool {
        let from = giver.seat;
        while let Some(rank) = giver.ranks.pop() {
            let excess = self.over(from, self.high);
            if excess <= 0.0 {
                return false;
            }
            let Reverse(table) = rank.1;
            let Some(copies) = giver.by_table.get_mut(&table) else { continue };
            // Others of the table have moved since it was ranked.
            let now = self.rank(table, from);
            if now < rank {
                giver.ranks.push(now);
                continue;
            }
            let wanted = self.wanted(from);
            // A table whose copies are all too large for the rest waits for the end.
            let Some(index) = self.picture.nearest(copies, wanted, excess) else { continue };
            let copy = copies.remove(index);
            giver.ranks.push(rank);
            if self.picture.may_leave(copy) && self.send(copy) {
                return true;
            }
        }
        false
    }

    /// The size of which the seat gives as many copies as it has too many with as many bytes as it has too many, or of
    /// which the takers lack as many, if that is more.
    fn wanted(&self, from: u32) -> f64 {
        let (bytes, copies) = self.takers.iter().fold((0.0, 0.0), |(bytes, copies), taker| {
            (bytes - self.over(*taker, self.low), copies - self.picture.copies_above(*taker))
        });
        let each = |bytes: f64, copies: f64| bytes / copies.max(1.0);
        each(self.over(from, self.high), self.picture.copies_above(from)).max(each(bytes, copies))
    }

    /// Copies on a seat that have bytes, by table, smallest first.
    fn by_table(&self, seat: u32) -> BTreeMap<u32, Vec<u32>> {
        let mut by_table: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for copy in self.picture.standing(seat) {
            let at = self.picture.copies[copy as usize];
            if at.bytes > 0 {
                by_table.entry(self.picture.pieces[at.piece as usize].table).or_default().push(copy);
            }
        }
        for copies in by_table.values_mut() {
            copies.sort_by_key(|copy| (self.picture.copies[*copy as usize].bytes, Reverse(*copy)));
        }
        by_table
    }

    /// Copies that the node has above its share of the table, and the neediest taker below it, whole ones.
    fn rank(&mut self, table: u32, from: u32) -> Rank {
        let known = self.lacks.get(&table).copied();
        let lacks = known.unwrap_or_else(|| {
            let lacks = self.takers.iter().map(|taker| -self.urgency(table, *taker)).max().unwrap_or(0);
            self.lacks.insert(table, lacks);
            lacks
        });
        (self.urgency(table, from) + lacks, Reverse(table))
    }

    fn urgency(&self, table: u32, seat: u32) -> i32 {
        let excess = self.tally.excess(table, self.picture.seats[seat as usize].node);
        (excess + 0.5).floor().clamp(-1e6, 1e6) as i32
    }

    /// To the best taker below the band, else to any disk that stays within it.
    fn send(&mut self, copy: u32) -> bool {
        let to = self.best_taker(copy, &self.takers).or_else(|| self.best_taker(copy, self.seats));
        let Some(to) = to else { return false };
        self.draw(copy, to);
        if self.over(to, self.low) >= 0.0
            && let Some(index) = self.takers.iter().position(|seat| *seat == to)
        {
            self.takers.remove(index);
            self.lacks.clear();
        }
        true
    }

    /// Same node, then fewest of the table, then the emptiest.
    fn best_taker(&self, copy: u32, takers: &[u32]) -> Option<u32> {
        let at = self.picture.copies[copy as usize];
        let (table, source) = (self.picture.pieces[at.piece as usize].table, &self.picture.seats[at.seat as usize]);
        let takers = takers.iter().filter(|to| self.fits(copy, **to));
        let ranked = takers.map(|to| {
            let seat = &self.picture.seats[*to as usize];
            let excess = if seat.node == source.node { f64::MIN } else { self.tally.excess(table, seat.node) };
            ((excess + 0.5).floor(), seat.part(), *to)
        });
        ranked.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))).map(|(_, _, to)| to)
    }

    fn fits(&self, copy: u32, to: u32) -> bool {
        let bytes = self.picture.copies[copy as usize].bytes as f64;
        self.over(to, self.high) + bytes <= 0.0 && self.picture.is_lowering(copy, to) && self.picture.may_come(copy, to)
    }

    fn draw(&mut self, copy: u32, to: u32) {
        let at = self.picture.copies[copy as usize];
        let table = self.picture.pieces[at.piece as usize].table;
        let (from_place, to_place) = (self.picture.seats[at.seat as usize].node, self.picture.seats[to as usize].node);
        self.picture.draw(copy, to);
        self.tally.moved(table, from_place, to_place);
        self.lacks.remove(&table);
    }

    /// Every disk still below the band takes, from the fullest that have something for it.
    fn take(&mut self) {
        for to in self.outside(false) {
            let pool = self.picture.seats[to as usize].pool;
            let others = self.seats.iter().filter(|seat| self.picture.seats[**seat as usize].pool == pool);
            let mut givers: Vec<u32> = others.copied().collect();
            while self.over(to, self.low) < 0.0 {
                givers.sort_by(|a, b| self.part(*a).total_cmp(&self.part(*b)).then(b.cmp(a)));
                let Some(from) = givers.pop() else { break };
                if self.part(from) <= self.part(to) {
                    break;
                }
                if self.take_one(from, to) {
                    givers.push(from);
                }
            }
        }
    }

    /// One copy from a disk that stays in the band: the largest that is not more than what is missing, else the
    /// smallest.
    fn take_one(&mut self, from: u32, to: u32) -> bool {
        let (missing, spare) = (-self.over(to, self.low), self.over(from, self.low));
        let sized = |copy: &u32| {
            let bytes = self.picture.copies[*copy as usize].bytes as f64;
            bytes > 0.0 && bytes <= spare && self.fits(*copy, to)
        };
        let mut copies: Vec<u32> = self.picture.standing(from).filter(sized).collect();
        copies.sort_by_key(|copy| {
            let at = self.picture.copies[*copy as usize];
            let (bytes, table) = (at.bytes, self.picture.pieces[at.piece as usize].table);
            let is_more = bytes as f64 > missing;
            (Reverse(self.urgency(table, from)), is_more, if is_more { bytes } else { u64::MAX - bytes }, *copy)
        });
        let Some(copy) = copies.into_iter().find(|copy| self.picture.may_leave(*copy)) else { return false };
        self.draw(copy, to);
        true
    }
}
