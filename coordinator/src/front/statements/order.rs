//! Rows in an order. In: rows, one after the other. Out: the first of them, or all, in order.
//!
//! Others on the thread have their turns all the while: rows are sorted in runs, each as soon as it is full, and the runs
//! are merged while somebody takes rows. Where at most half a run is asked for no more than one
//! run is held; else all rows are, with what they are sorted by.

use super::compare::Key;
use super::rows::Cells;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Rows of a run: some milliseconds of sorting.
const RUN: usize = 8_192;
/// Rows of a run where few are asked for, so that it is not sorted for each.
const RUN_MIN: usize = 1_024;

/// Gathers rows.
pub struct Sorting<'a> {
    /// Places of columns, and whether downwards.
    by: Vec<(usize, bool)>,
    /// So many are asked for.
    most: usize,
    run_max: usize,
    run: Vec<Keyed<'a>>,
    /// Full runs, sorted.
    runs: Vec<Vec<Keyed<'a>>>,
}

impl<'a> Sorting<'a> {
    pub fn by(by: Vec<(usize, bool)>, most: usize) -> Sorting<'a> {
        let run_max = most.saturating_mul(2).clamp(RUN_MIN, RUN);
        Sorting { by, most, run_max, run: Vec::new(), runs: Vec::new() }
    }

    pub fn add(&mut self, cells: Box<dyn Cells + 'a>) {
        let key = |(place, descending): &(usize, bool)| match (Key::of(&cells.cell(*place)), *descending) {
            (key, false) => Way::Up(key),
            (key, true) => Way::Down(Reverse(key)),
        };
        let keys = self.by.iter().map(key).collect();
        self.run.push(Keyed { keys, run: self.runs.len(), cells });
        if self.run.len() >= self.run_max {
            self.run.sort();
            self.run.truncate(self.most);
            // Few are asked for: the next rows compete with them.
            if self.run.len() > self.run_max / 2 {
                self.runs.push(std::mem::take(&mut self.run));
            }
        }
    }

    /// Those that are asked for, in their order.
    pub fn done(mut self) -> impl Iterator<Item = Box<dyn Cells + 'a>> {
        self.run.sort();
        self.runs.push(self.run);
        let mut runs: Vec<_> = self.runs.into_iter().map(Vec::into_iter).collect();
        let mut heads: BinaryHeap<_> = runs.iter_mut().filter_map(|run| run.next().map(Reverse)).collect();
        let merged = std::iter::from_fn(move || {
            let Reverse(first) = heads.pop()?;
            heads.extend(runs[first.run].next().map(Reverse));
            Some(first.cells)
        });
        merged.take(self.most)
    }
}

/// A row with what it is sorted by; of two that are alike the first comes first.
struct Keyed<'a> {
    keys: Vec<Way>,
    run: usize,
    cells: Box<dyn Cells + 'a>,
}

/// Upwards or downwards; at one place all rows have the same.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Up(Key),
    Down(Reverse<Key>),
}

impl Ord for Keyed<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.keys.cmp(&other.keys).then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Keyed<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Keyed<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Keyed<'_> {}

#[cfg(test)]
mod tests {
    use super::super::rows::{Row, row};
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    proptest! {
        #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), cases: 16, ..Config::default() })]

        /// The same rows as a sort of all of them gives, which keeps what is alike in its order; and no more are held
        /// than are asked for, and a run.
        #[test]
        fn as_one_sort(keys in prop::collection::vec((0u64..9, 0u64..9), 0..30_000), most in prop_oneof![0usize..3_000, Just(usize::MAX)]) {
            let rows: Vec<Row> = keys.iter().enumerate().map(|(at, (a, b))| row![*a, *b, at]).collect();
            let mut sorting = Sorting::by(vec![(1, true), (0, false)], most);
            for row in &rows {
                sorting.add(Box::new(row.clone()));
                prop_assert!(most == usize::MAX || most > RUN / 2 || sorting.run.len() <= sorting.run_max);
                prop_assert!(most > RUN / 2 || sorting.runs.is_empty());
            }
            let number = |row: &Row, place: usize| row[place].number().unwrap_or_default() as u64;
            let mut expected = rows;
            expected.sort_by_key(|row| (Reverse(number(row, 1)), number(row, 0)));
            expected.truncate(most);
            let sorted: Vec<_> = sorting.done().map(|cells| cells.cell(2)).collect();
            let expected: Vec<_> = expected.iter().map(|row| row[2].clone()).collect();
            prop_assert_eq!(sorted, expected);
        }
    }
}
