//! What nodes and disks owe for the sake of counts: the least bytes that they must give, and take, so that the tables'
//! copies stand as fairly as they do at the end of a plan.
//!
//! In: a picture at its end, which knows where each copy stood at the beginning. Out: bytes by place and by seat, and of
//! groups of them, never more than the truth.
//!
//! At the end of the plan each place has some number of a table's copies above or below its fair share. A plan that
//! ends as fair leaves every place within the extremes of these, in whole copies, and the sum of their squares no
//! larger. What a place had above that it has given: the smallest of its tablets, at the least. What it lacked has come:
//! the smallest tablets that were not there. And so many moves as the squares ask for must have been made somewhere.
//!
//! A tablet moves but once in a plan, so what several places owe are different tablets: together they owe more than each
//! by itself. That is asked of groups: the fuller places of a pool, in whatever they take, and the rest, in whatever they
//! give.

use super::census::{moves_to, moves_to_fair};
use super::picture::{NONE, Picture, Pool};
use super::worth::Peopled;

/// Bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dues {
    pub gives: f64,
    pub takes: f64,
}

impl Dues {
    pub const NONE: Dues = Dues { gives: 0.0, takes: 0.0 };
}

/// The places of a pool in two groups.
#[derive(Clone, Copy, Debug, Default)]
pub struct Split {
    /// Of the fuller ones: bytes at the beginning, capacity.
    pub fuller: (f64, f64),
    /// Of the others.
    pub rest: (f64, f64),
    /// What the fuller ones take and the rest gives.
    pub owed: f64,
}

/// What is owed for the counts that a picture ends with.
#[derive(Debug)]
pub struct Owed {
    pub places: Vec<Dues>,
    pub seats: Vec<Dues>,
    /// By pool.
    pub splits: Vec<Vec<Split>>,
    /// Single moves between nodes after which counts would be as fair as they can be.
    pub moves_left: u64,
}

/// Shares are fractions; a whole number that is missed by less is meant.
const BLUR: f64 = 1e-6;
/// Splits looked at: all places on one side, all on the other, and so many between.
const SPLITS: usize = 9;

impl Owed {
    pub fn of(picture: &Picture) -> Owed {
        let seats = || picture.seats.iter();
        let mut nodes = Level::of(picture, seats().map(|seat| seat.node).collect(), picture.places.len());
        let mut disks = Level::of(picture, (0..picture.seats.len() as u32).collect(), picture.seats.len());
        let mut moves_left = 0;
        let by_pool = |(index, pool): (u32, &Pool)| {
            let (mut by_node, mut by_disk) = (nodes.splits(&pool.nodes), disks.splits(&pool.seats));
            for pieces in &picture.tables {
                let table = Table::of(picture, index, pieces);
                if table.copies > 0 {
                    moves_left += u64::from(table.add(&pool.nodes, &mut nodes, &mut by_node));
                    table.add(&pool.seats, &mut disks, &mut by_disk);
                }
            }
            by_node.into_iter().chain(by_disk).map(|(_, split)| split).collect()
        };
        let splits = (0..).zip(&picture.pools).map(by_pool).collect();
        Owed { places: nodes.dues, seats: disks.dues, splits, moves_left }
    }
}

/// Nodes, or disks, all in one numbering.
struct Level {
    /// By seat of the picture: the place in which it lies.
    at: Vec<u32>,
    /// By place.
    used: Vec<f64>,
    capacity: Vec<f64>,
    dues: Vec<Dues>,
}

impl Level {
    fn of(picture: &Picture, at: Vec<u32>, places: usize) -> Level {
        let nothing = || vec![0.0; places];
        let mut level = Level { at, used: nothing(), capacity: nothing(), dues: vec![Dues::NONE; places] };
        for (seat, place) in picture.seats.iter().zip(&level.at) {
            level.used[*place as usize] += seat.start as f64;
            level.capacity[*place as usize] += seat.total as f64;
        }
        level
    }

    /// Splits of a pool's places, with those of the fuller side.
    fn splits(&self, places: &[u32]) -> Vec<(Vec<bool>, Split)> {
        let mut order: Vec<u32> = places.to_vec();
        let part = |place: u32| self.used[place as usize] / self.capacity[place as usize];
        order.sort_by(|a, b| part(*b).total_cmp(&part(*a)).then(a.cmp(b)));
        let mut ends: Vec<usize> = (0..SPLITS).map(|split| order.len() * split / (SPLITS - 1)).collect();
        ends.dedup();
        let sum = |places: &[u32]| {
            let both = places.iter().map(|place| (self.used[*place as usize], self.capacity[*place as usize]));
            both.fold((0.0, 0.0), |(used, capacity), one| (used + one.0, capacity + one.1))
        };
        let split = |end: usize| {
            let mut is_fuller = vec![false; self.capacity.len()];
            order[..end].iter().for_each(|place| is_fuller[*place as usize] = true);
            (is_fuller, Split { fuller: sum(&order[..end]), rest: sum(&order[end..]), owed: 0.0 })
        };
        ends.into_iter().map(split).collect()
    }
}

/// A table's copies in one pool.
struct Table<'a, 'w> {
    picture: &'a Picture<'w>,
    pool: u32,
    copies: u32,
    /// Its tablets there, smallest first, with the bytes of the smallest copy.
    pieces: Vec<(u64, u32)>,
    /// Bytes of the smallest so many that are moved.
    sums: Vec<u64>,
}

impl<'a, 'w> Table<'a, 'w> {
    fn of(picture: &'a Picture<'w>, pool: u32, pieces: &[u32]) -> Table<'a, 'w> {
        let mut table = Table { picture, pool, copies: 0, pieces: Vec::new(), sums: vec![0] };
        for piece in pieces.iter().copied() {
            let here = table.standing(piece).map(|(bytes, ..)| bytes);
            let (copies, least) = here.fold((0, u64::MAX), |(copies, least), bytes| (copies + 1, least.min(bytes)));
            if copies > 0 {
                table.copies += copies;
                table.pieces.push((least, piece));
            }
        }
        table.pieces.sort_unstable();
        for (bytes, _) in &table.pieces {
            for _ in 0..picture.moves_each {
                table.sums.push(table.sums.last().unwrap_or(&0).saturating_add(*bytes));
            }
        }
        table
    }

    /// The tablet's copies in the pool: bytes, the seat at the beginning, the seat now.
    fn standing(&self, piece: u32) -> impl Iterator<Item = (u64, u32, u32)> {
        let copies = self.picture.copies_of(piece).map(|copy| self.picture.copies[copy as usize]);
        let here = copies.filter(|copy| copy.seat != NONE && self.picture.seats[copy.seat as usize].pool == self.pool);
        here.map(|copy| (copy.bytes, copy.start, copy.seat))
    }

    /// Adds what these places owe. Returns how many single moves are left until the table is fair.
    fn add(&self, places: &[u32], level: &mut Level, splits: &mut [(Vec<bool>, Split)]) -> u32 {
        let (mut before, mut after) = (vec![0u32; level.dues.len()], vec![0u32; level.dues.len()]);
        for (_, start, seat) in self.pieces.iter().flat_map(|(_, piece)| self.standing(*piece)) {
            before[level.at[start as usize] as usize] += 1;
            after[level.at[seat as usize] as usize] += 1;
        }
        let capacity: Vec<u64> = places.iter().map(|place| level.capacity[*place as usize] as u64).collect();
        let peopled = |counts: &[u32]| -> Vec<Peopled> {
            let one = |(place, capacity): (&u32, &u64)| Peopled {
                count: u64::from(counts[*place as usize]),
                capacity: *capacity,
            };
            places.iter().zip(&capacity).map(one).collect()
        };
        let left = moves_to_fair(peopled(&after));
        if before == after {
            return left;
        }
        let room: f64 = places.iter().map(|place| level.capacity[*place as usize]).sum();
        let share = |place: u32| f64::from(self.copies) * level.capacity[place as usize] / room.max(1.0);
        let beyond = places.iter().map(|place| f64::from(after[*place as usize]) - share(*place));
        let (low, high) = beyond.fold((f64::MAX, f64::MIN), |(low, high), one| (low.min(one), high.max(one)));
        let (mut gives, mut takes) = (vec![0u32; level.dues.len()], vec![0u32; level.dues.len()]);
        // What a place can give and take at most, if it is to stay within the extremes.
        let (mut gives_most, mut takes_most) = (gives.clone(), takes.clone());
        for place in places.iter().copied() {
            let least = (share(place) + low - BLUR).ceil().max(0.0) as u32;
            let most = (share(place) + high + BLUR).floor().max(0.0) as u32;
            let (place, had) = (place as usize, before[place as usize]);
            (gives[place], gives_most[place]) = (had.saturating_sub(most), had.saturating_sub(least));
            (takes[place], takes_most[place]) = (least.saturating_sub(had), most.saturating_sub(had));
        }
        let moves = moves_to(peopled(&before), &peopled(&after));
        for (is_fuller, split) in splits {
            let of = |side: bool, counts: &[u32]| -> u32 {
                places.iter().filter(|p| is_fuller[**p as usize] == side).map(|place| counts[*place as usize]).sum()
            };
            let takes = of(true, &takes).max(moves.saturating_sub(of(false, &takes_most)));
            let gives = of(false, &gives).max(moves.saturating_sub(of(true, &gives_most)));
            split.owed += self.sum(takes) + self.sum(gives);
        }
        for place in places.iter().copied().filter(|place| takes[*place as usize] > 0) {
            let others = self.pieces.iter().filter(|(_, piece)| !self.stood(*piece, place, level));
            let bytes = others.map(|(bytes, _)| *bytes).take(takes[place as usize] as usize).sum::<u64>();
            level.dues[place as usize].takes += bytes as f64;
        }
        self.give(gives, level);
        left
    }

    /// Of each place as many of its smallest as it must give.
    fn give(&self, mut gives: Vec<u32>, level: &mut Level) {
        let mut left: u32 = gives.iter().sum();
        for (bytes, piece) in &self.pieces {
            if left == 0 {
                return;
            }
            for (_, start, _) in self.standing(*piece) {
                let place = level.at[start as usize] as usize;
                if gives[place] > 0 {
                    gives[place] -= 1;
                    left -= 1;
                    level.dues[place].gives += *bytes as f64;
                }
            }
        }
    }

    /// The smallest so many.
    fn sum(&self, moves: u32) -> f64 {
        self.sums.get(moves as usize).or(self.sums.last()).copied().unwrap_or(0) as f64
    }

    fn stood(&self, piece: u32, place: u32, level: &Level) -> bool {
        self.standing(piece).any(|(_, start, _)| level.at[start as usize] == place)
    }
}
