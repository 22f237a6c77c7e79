//! Stage two of a plan: counts. Each table's copies by node, then by disk of a node, as near to their fair share by
//! capacity as single moves bring them.
//!
//! In: a picture after stage one. Out: moves drawn into it. Of places with more than their share the one with most
//! above it gives first, to the one with most below, and only while the count potential of the table falls. At both
//! ends the best disk is taken at once, so that nothing has to move again inside the node. Among places that are
//! equally far from their share the fuller gives and the emptier takes; of a disk's copies the smallest goes, so
//! that counts cost the fewest bytes.
//!
//! A move must never bring the medium's spread to the threshold, nor widen one that is above it; above it, none may
//! raise the usage potential either. So this stage undoes nothing of the first.

use super::picture::{Picture, part};
use super::worth::{Peopled, count_gap, lowers_count};
use std::collections::{BTreeSet, BinaryHeap};

/// Keeps the used parts of a medium's disks in bounds.
pub(super) struct Guard<'a> {
    seats: &'a [u32],
    width: f64,
    low: f64,
    high: f64,
    /// Something was refused since this was last looked at.
    has_refused: bool,
}

impl<'a> Guard<'a> {
    pub(super) fn of(picture: &Picture, seats: &'a [u32], width: f64) -> Guard<'a> {
        let mut guard = Guard { seats, width, low: 0.0, high: 0.0, has_refused: false };
        guard.look(picture);
        guard
    }

    fn look(&mut self, picture: &Picture) {
        let parts = self.seats.iter().map(|seat| picture.seats[*seat as usize].part());
        (self.low, self.high) = parts.fold((f64::MAX, 0.0f64), |(low, high), part| (low.min(part), high.max(part)));
    }

    pub(super) fn allows(&mut self, picture: &Picture, copy: u32, to: u32) -> bool {
        let fits = |guard: &Self| {
            let at = picture.copies[copy as usize];
            let (source, target) = (&picture.seats[at.seat as usize], &picture.seats[to as usize]);
            let source = part(source.used.saturating_sub(at.bytes), source.total);
            let target = part(target.used.saturating_add(at.bytes), target.total);
            let is_inside = source >= guard.low && target <= guard.high;
            let spread = guard.high.max(target) - guard.low.min(source);
            is_inside || spread <= guard.width
        };
        let is_within = fits(self) || {
            self.look(picture);
            fits(self)
        };
        let is_even = self.high - self.low <= self.width;
        let allowed =
            is_within && (is_even || picture.is_lowering(copy, to) || picture.copies[copy as usize].bytes == 0);
        self.has_refused |= !allowed;
        allowed
    }

    pub(super) fn drawn(&mut self, picture: &Picture, from: u32, to: u32) {
        self.low = self.low.min(picture.seats[from as usize].part());
        self.high = self.high.max(picture.seats[to as usize].part());
    }
}

/// One table in one pool.
struct Table<'a, 'w, 'g> {
    picture: &'a mut Picture<'w>,
    guard: &'a mut Guard<'g>,
    /// By seat of the picture: this table's copies there, smallest first.
    here: &'a mut [Vec<u32>],
    /// By seat: how many stand there.
    counts: &'a mut [u32],
}

/// Draws moves until every table's counts are as fair as may be.
///
/// What one table may not do for the sake of the spread it may once another has moved the other way: as long as
/// something was refused and something else drawn, there is another pass.
pub fn even_counts(picture: &mut Picture, width: f64) {
    loop {
        let drawn = picture.drawn.len();
        if !pass(picture, width) || picture.drawn.len() == drawn {
            return;
        }
    }
}

/// Once over all tables. Returns whether the spread forbade something.
fn pass(picture: &mut Picture, width: f64) -> bool {
    let mut has_refused = false;
    let mut here: Vec<Vec<u32>> = vec![Vec::new(); picture.seats.len()];
    let mut counts: Vec<u32> = vec![0; picture.seats.len()];
    for pool in 0..picture.pools.len() {
        let seats = picture.seats_of(picture.pools[pool].medium);
        let mut guard = Guard::of(picture, &seats, width);
        for table in 0..picture.tables.len() {
            let touched = gather(picture, table, pool as u32, &mut here, &mut counts);
            if !touched.is_empty() {
                let (here, counts) = (&mut here, &mut counts);
                let mut table = Table { picture, guard: &mut guard, here, counts };
                table.even_nodes(pool);
                table.even_disks(pool);
            }
            for seat in touched.into_iter().chain(picture.pools[pool].seats.iter().copied()) {
                here[seat as usize].clear();
                counts[seat as usize] = 0;
            }
        }
        has_refused |= guard.has_refused;
    }
    has_refused
}

/// The table's copies by seat; returns the seats.
fn gather(picture: &Picture, table: usize, pool: u32, here: &mut [Vec<u32>], counts: &mut [u32]) -> Vec<u32> {
    let mut touched = Vec::new();
    for copy in picture.tables[table].iter().flat_map(|piece| picture.copies_of(*piece)) {
        let seat = picture.copies[copy as usize].seat;
        if picture.seats.get(seat as usize).is_some_and(|seat| seat.pool == pool) {
            if here[seat as usize].is_empty() {
                touched.push(seat);
            }
            here[seat as usize].push(copy);
            counts[seat as usize] += 1;
        }
    }
    for seat in &touched {
        here[*seat as usize].sort_by_key(|copy| (picture.copies[*copy as usize].bytes, *copy));
    }
    touched
}

/// How far a place is from its share, in copies times capacity; then how full; then which.
type Rank = (i128, u64, u32);

impl Table<'_, '_, '_> {
    /// By nodes of the pool.
    fn even_nodes(&mut self, pool: usize) {
        let nodes = self.picture.pools[pool].nodes.clone();
        let places: Vec<Vec<u32>> =
            nodes.iter().map(|node| self.picture.places[*node as usize].seats.clone()).collect();
        self.even(&places);
    }

    /// By disks of each node.
    fn even_disks(&mut self, pool: usize) {
        for node in self.picture.pools[pool].nodes.clone() {
            let seats = self.picture.places[node as usize].seats.clone();
            if seats.len() > 1 {
                let places: Vec<Vec<u32>> = seats.into_iter().map(|seat| vec![seat]).collect();
                self.even(&places);
            }
        }
    }

    fn peopled(&self, seats: &[u32]) -> Peopled {
        let count = seats.iter().map(|seat| u64::from(self.counts[*seat as usize])).sum();
        let capacity =
            seats.iter().fold(0u64, |sum, seat| sum.saturating_add(self.picture.seats[*seat as usize].total));
        Peopled { count, capacity }
    }

    /// Moves from the place with most above its share to the one with least, while that is strictly fairer.
    fn even(&mut self, places: &[Vec<u32>]) {
        let mut peopled: Vec<Peopled> = places.iter().map(|seats| self.peopled(seats)).collect();
        let copies: u64 = peopled.iter().map(|place| place.count).sum();
        let capacity = peopled.iter().fold(0u64, |sum, place| sum.saturating_add(place.capacity));
        if copies < 2 {
            return;
        }
        let nothing = Peopled { count: 0, capacity: 0 };
        let rank = |table: &Self, peopled: &[Peopled], place: u32| -> Rank {
            let seats = places[place as usize].iter().map(|seat| &table.picture.seats[*seat as usize]);
            let (used, total) =
                seats.fold((0.0, 0.0), |(used, total), s| (used + s.used as f64, total + s.total as f64));
            let full = if total > 0.0 { (used / total * 1e9) as u64 } else { 0 };
            (count_gap(peopled[place as usize], nothing, copies, capacity), full, place)
        };
        let ranks: Vec<Rank> = (0..places.len() as u32).map(|place| rank(self, &peopled, place)).collect();
        let mut givers: BinaryHeap<Rank> = ranks.iter().copied().collect();
        let mut takers: BTreeSet<Rank> = ranks.into_iter().collect();
        while let Some(giver) = givers.pop() {
            if !takers.contains(&giver) {
                continue;
            }
            let from = giver.2 as usize;
            let mut fairer = takers
                .iter()
                .copied()
                .take_while(|taker| lowers_count(peopled[from], peopled[taker.2 as usize], copies, capacity));
            let taken = fairer.find(|taker| self.move_one(&places[from], &places[taker.2 as usize]));
            let Some(taker) = taken else { continue };
            let to = taker.2 as usize;
            peopled[from].count -= 1;
            peopled[to].count += 1;
            for old in [giver, taker] {
                takers.remove(&old);
                let new = rank(self, &peopled, old.2);
                takers.insert(new);
                givers.push(new);
            }
        }
    }

    /// One copy from the best disk of the one place to the best of the other.
    fn move_one(&mut self, from: &[u32], to: &[u32]) -> bool {
        let (from, to) = (self.order(from, true), self.order(to, false));
        from.into_iter().any(|source| self.move_from(source, &to))
    }

    /// The smallest copy that may go.
    fn move_from(&mut self, source: u32, targets: &[u32]) -> bool {
        let mut index = 0;
        while let Some(copy) = self.here[source as usize].get(index).copied() {
            if !self.picture.may_leave(copy) {
                self.here[source as usize].remove(index);
            } else if self.move_to(copy, source, targets) {
                self.here[source as usize].remove(index);
                return true;
            } else {
                index += 1;
            }
        }
        false
    }

    fn move_to(&mut self, copy: u32, source: u32, targets: &[u32]) -> bool {
        let (picture, guard) = (&*self.picture, &mut *self.guard);
        let target = targets.iter().find(|to| picture.may_come(copy, **to) && guard.allows(picture, copy, **to));
        let Some(target) = target.copied() else { return false };
        self.picture.draw(copy, target);
        self.guard.drawn(self.picture, source, target);
        self.counts[source as usize] -= 1;
        self.counts[target as usize] += 1;
        true
    }

    /// Disks of a place: those furthest above their share of the place's copies first, or furthest below.
    fn order(&self, seats: &[u32], is_giving: bool) -> Vec<u32> {
        if seats.len() == 1 {
            return seats.to_vec();
        }
        let all = self.peopled(seats);
        let mut ranked: Vec<Rank> = seats
            .iter()
            .map(|seat| {
                let one = self.peopled(std::slice::from_ref(seat));
                let gap = count_gap(one, Peopled { count: 0, capacity: 0 }, all.count, all.capacity);
                (gap, (self.picture.seats[*seat as usize].part() * 1e9) as u64, *seat)
            })
            .collect();
        ranked.sort_unstable();
        if is_giving {
            ranked.reverse();
        }
        ranked.into_iter().map(|(_, _, seat)| seat).collect()
    }
}
