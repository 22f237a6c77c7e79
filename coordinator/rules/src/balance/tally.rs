//! How many copies of each table stand on each place and seat of a picture, kept up to date move by move.
//!
//! In: a picture, then its moves. Out: how far a place is above or below its fair share of a table. Lists by place,
//! sorted by table: a table that is not there takes no room.

use super::picture::{NONE, Picture};

/// Copies by place, and of each table by pool.
pub struct Tally {
    /// By place: table and copies.
    by_place: Vec<Vec<(u32, u32)>>,
    /// By table: pool and copies.
    by_table: Vec<Vec<(u32, u32)>>,
    capacity: Vec<f64>,
    pool_capacity: Vec<f64>,
    pool: Vec<u32>,
}

impl Tally {
    pub fn of(picture: &Picture) -> Tally {
        let mut by_place = vec![Vec::new(); picture.places.len()];
        let mut by_table = Vec::with_capacity(picture.tables.len());
        let mut here = vec![0u32; picture.places.len()];
        let mut touched: Vec<u32> = Vec::new();
        for (table, pieces) in (0..).zip(&picture.tables) {
            let copies = pieces.iter().flat_map(|piece| picture.copies_of(*piece));
            for copy in copies.map(|copy| picture.copies[copy as usize]).filter(|copy| copy.seat != NONE) {
                let place = picture.seats[copy.seat as usize].node;
                if here[place as usize] == 0 {
                    touched.push(place);
                }
                here[place as usize] += 1;
            }
            let mut pools: Vec<(u32, u32)> = Vec::new();
            for place in touched.drain(..) {
                let count = std::mem::take(&mut here[place as usize]);
                by_place[place as usize].push((table, count));
                bump(&mut pools, picture.places[place as usize].pool, i64::from(count));
            }
            by_table.push(pools);
        }
        let capacity: Vec<f64> = picture.places.iter().map(|place| place.capacity as f64).collect();
        let pools = picture.pools.iter();
        let pool_capacity = pools.map(|pool| pool.nodes.iter().map(|place| capacity[*place as usize]).sum()).collect();
        let pool = picture.places.iter().map(|place| place.pool).collect();
        Tally { by_place, by_table, capacity, pool_capacity, pool }
    }

    /// Copies of the table above the fair share of the place; below zero: missing.
    pub fn excess(&self, table: u32, place: u32) -> f64 {
        let at = place as usize;
        let (count, all) = (get(&self.by_place[at], table), get(&self.by_table[table as usize], self.pool[at]));
        let pool_capacity = self.pool_capacity[self.pool[at] as usize];
        f64::from(count) - f64::from(all) * self.capacity[at] / pool_capacity.max(1.0)
    }

    /// One copy goes from place to place.
    pub fn moved(&mut self, table: u32, from: u32, to: u32) {
        bump(&mut self.by_place[from as usize], table, -1);
        bump(&mut self.by_place[to as usize], table, 1);
    }
}

fn get(list: &[(u32, u32)], key: u32) -> u32 {
    list.binary_search_by_key(&key, |(key, _)| *key).map_or(0, |index| list[index].1)
}

fn bump(list: &mut Vec<(u32, u32)>, key: u32, by: i64) {
    let index = list.binary_search_by_key(&key, |(key, _)| *key).unwrap_or_else(|index| {
        list.insert(index, (key, 0));
        index
    });
    list[index].1 = list[index].1.saturating_add_signed(by as i32);
}
