//! How many copies of each table stand on each seat of a picture, and how many ought to.
//!
//! In: a picture, then its moves. Out: what each seat has too many of, when nodes come first and then the disks of each;
//! whether one move makes its table fairer.

use super::picture::{NONE, Picture, Pool};
use super::worth::{Peopled, count_gap, lowers_count};
use std::collections::{BTreeMap, BTreeSet};

/// By table and seat, node or pool.
pub struct Census {
    seats: BTreeMap<(u32, u32), u32>,
    places: BTreeMap<(u32, u32), u32>,
    pools: BTreeMap<(u32, u32), u32>,
    /// By pool.
    capacity: Vec<u64>,
}

impl Census {
    pub fn of(picture: &Picture) -> Census {
        let capacity = |pool: &Pool| {
            let places = pool.nodes.iter().map(|place| picture.places[*place as usize].capacity);
            places.fold(0u64, u64::saturating_add)
        };
        let capacity = picture.pools.iter().map(capacity).collect();
        let (seats, places, pools) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut census = Census { seats, places, pools, capacity };
        for copy in picture.copies.iter().filter(|copy| copy.seat != NONE) {
            let (table, seat) = (picture.pieces[copy.piece as usize].table, &picture.seats[copy.seat as usize]);
            *census.seats.entry((table, copy.seat)).or_default() += 1;
            *census.places.entry((table, seat.node)).or_default() += 1;
            *census.pools.entry((table, seat.pool)).or_default() += 1;
        }
        census
    }

    pub fn moved(&mut self, picture: &Picture, table: u32, from: u32, to: u32) {
        let node = |seat: u32| picture.seats[seat as usize].node;
        for (counts, from, to) in [(&mut self.seats, from, to), (&mut self.places, node(from), node(to))] {
            let source = counts.entry((table, from)).or_default();
            *source = source.saturating_sub(1);
            *counts.entry((table, to)).or_default() += 1;
        }
    }

    fn on_seat(&self, picture: &Picture, table: u32, seat: u32) -> Peopled {
        let count = self.seats.get(&(table, seat)).copied().unwrap_or(0);
        Peopled { count: u64::from(count), capacity: picture.seats[seat as usize].total }
    }

    fn on_node(&self, picture: &Picture, table: u32, place: u32) -> Peopled {
        let count = self.places.get(&(table, place)).copied().unwrap_or(0);
        Peopled { count: u64::from(count), capacity: picture.places[place as usize].capacity }
    }

    /// Between nodes, or between disks of one node.
    pub fn is_fairer(&self, picture: &Picture, table: u32, from: u32, to: u32) -> bool {
        let (source, target) = (&picture.seats[from as usize], &picture.seats[to as usize]);
        let node = |place: u32| self.on_node(picture, table, place);
        if source.node == target.node {
            let all = node(source.node);
            let disk = |seat: u32| self.on_seat(picture, table, seat);
            return lowers_count(disk(from), disk(to), all.count, all.capacity);
        }
        let copies = self.pools.get(&(table, source.pool)).copied().unwrap_or(0);
        lowers_count(node(source.node), node(target.node), u64::from(copies), self.capacity[source.pool as usize])
    }

    /// Copies that each seat of the pool has above the number that single moves would bring it to; below zero: lacks.
    pub fn excess(&self, picture: &Picture, table: u32, pool: u32) -> BTreeMap<u32, i64> {
        let nodes = &picture.pools[pool as usize].nodes;
        let mut fair: Vec<Peopled> = nodes.iter().map(|place| self.on_node(picture, table, *place)).collect();
        // No node has two copies of a tablet.
        let tablets = picture.tables[table as usize].len() as u64;
        even(&mut fair, f64::MAX, tablets);
        let mut excess = BTreeMap::new();
        for (place, node) in nodes.iter().zip(fair) {
            let seats = &picture.places[*place as usize].seats;
            let before = seats.iter().map(|seat| self.on_seat(picture, table, *seat));
            let mut disks: Vec<Peopled> = before.clone().collect();
            fill(&mut disks, node.count);
            even(&mut disks, f64::MAX, u64::MAX);
            for ((seat, before), after) in seats.iter().zip(before).zip(disks) {
                if before.count != after.count {
                    excess.insert(*seat, before.count as i64 - after.count as i64);
                }
            }
        }
        excess
    }
}

/// How far a place is above its share, in copies times the capacity of all.
fn ranks(places: &[Peopled], copies: u64) -> BTreeSet<(i128, usize)> {
    let capacity = places.iter().fold(0u64, |sum, place| sum.saturating_add(place.capacity));
    let nothing = Peopled { count: 0, capacity: 0 };
    places.iter().enumerate().map(|(index, place)| (count_gap(*place, nothing, copies, capacity), index)).collect()
}

/// The least number of single moves after which copies stand as fairly as `after`, beginning with these places: of each
/// number of moves those from the place furthest above its share to the one furthest below bring the potential lowest.
pub fn moves_to(mut before: Vec<Peopled>, after: &[Peopled]) -> u32 {
    let most = potential(&before);
    let far = most - potential(after);
    // Sums of squares of large counts are known to fewer digits.
    even(&mut before, far - f64::max(1e-6, most * 1e-12), u64::MAX)
}

/// The number of single moves after which no other is fairer.
pub fn moves_to_fair(mut places: Vec<Peopled>) -> u32 {
    even(&mut places, f64::MAX, u64::MAX)
}

/// Σ (count - share)².
fn potential(places: &[Peopled]) -> f64 {
    let (copies, capacity) =
        places.iter().fold((0.0, 0.0), |(a, b), place| (a + place.count as f64, b + place.capacity as f64));
    let share = |place: &Peopled| copies * place.capacity as f64 / f64::max(capacity, 1.0);
    places.iter().map(|place| (place.count as f64 - share(place)).powi(2)).sum()
}

/// Takes from the place furthest above its share and gives to the one furthest below that has fewer than `most`, while
/// that is fairer and the potential has not fallen so `far`. Returns how often.
fn even(places: &mut [Peopled], mut far: f64, most: u64) -> u32 {
    let mut moves = 0;
    let copies = places.iter().map(|place| place.count).sum();
    let capacity = places.iter().fold(0u64, |sum, place| sum.saturating_add(place.capacity));
    let mut ranks = ranks(places, copies);
    while let (Some(to), Some(from)) = (ranks.first().copied(), ranks.last().copied()) {
        if far <= 0.0 || !lowers_count(places[from.1], places[to.1], copies, capacity) {
            break;
        }
        ranks.remove(&to);
        if places[to.1].count >= most {
            continue;
        }
        far -= 2.0 * (from.0 - to.0) as f64 / capacity as f64 - 2.0;
        moves += 1;
        (places[from.1].count, places[to.1].count) = (places[from.1].count - 1, places[to.1].count + 1);
        ranks.remove(&from);
        ranks.insert((from.0 - i128::from(capacity), from.1));
        ranks.insert((to.0 + i128::from(capacity), to.1));
    }
    moves
}

/// Takes or gives, one by one and fairly, until all places together have so many copies.
fn fill(places: &mut [Peopled], copies: u64) {
    let capacity = places.iter().fold(0u64, |sum, place| sum.saturating_add(place.capacity));
    let mut left = copies as i64 - places.iter().map(|place| place.count as i64).sum::<i64>();
    let mut ranks = ranks(places, copies);
    while left != 0 {
        let Some((gap, index)) = (if left > 0 { ranks.pop_first() } else { ranks.pop_last() }) else { return };
        let by = left.signum();
        places[index].count = places[index].count.saturating_add_signed(by);
        ranks.insert((gap + i128::from(by) * i128::from(capacity), index));
        left -= by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(counts: &[u64], capacity: &[u64]) -> Vec<Peopled> {
        counts.iter().zip(capacity).map(|(count, capacity)| Peopled { count: *count, capacity: *capacity }).collect()
    }

    /// Counts before, capacities, copies that a place may have at most, counts after, moves.
    type Case = (&'static [u64], &'static [u64], u64, &'static [u64], u32);

    /// Worked by hand: what single moves lead to, and how many it takes.
    #[test]
    fn evened_one_by_one() {
        let cases: [Case; 5] = [
            (&[6, 0, 0], &[1, 1, 1], 9, &[2, 2, 2], 4),
            (&[5, 4, 0], &[1, 1, 4], 9, &[2, 1, 6], 6),
            (&[3, 2, 2], &[1, 1, 1], 9, &[3, 2, 2], 0),
            (&[0, 8, 4], &[8, 1, 1], 7, &[7, 3, 2], 7),
            (&[], &[], 9, &[], 0),
        ];
        for (before, capacity, most, after, moves) in cases {
            let mut found = places(before, capacity);
            assert_eq!(even(&mut found, f64::MAX, most), moves, "{before:?}");
            assert_eq!(found, places(after, capacity), "{before:?}");
        }
    }

    /// The least number of moves to an evenness, against every other end.
    #[test]
    fn no_fewer_moves_are_as_fair() {
        let capacity = [1, 2, 2];
        let all = |copies: u64| {
            (0..=copies).flat_map(move |a| (0..=copies - a).map(move |b| places(&[a, b, copies - a - b], &capacity)))
        };
        for before in all(7) {
            for after in all(7) {
                let is_as_fair = |end: &Vec<Peopled>| potential(end) <= potential(&after) + 1e-9;
                let moves = |end: &Vec<Peopled>| -> u64 {
                    end.iter().zip(&before).map(|(end, before)| end.count.saturating_sub(before.count)).sum()
                };
                let least = all(7).filter(is_as_fair).map(|end| moves(&end)).min();
                assert_eq!(Some(u64::from(moves_to(before.clone(), &after))), least, "{before:?} {after:?}");
            }
        }
    }
}
