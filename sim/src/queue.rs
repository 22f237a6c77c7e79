//! Virtual time: what happens next. Things due at the same millisecond come in an order that the seed chooses, so
//! that no rule may lean on one. Never looks into what it holds.

use crate::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things that will happen, by time, then by lot, then by the order in which they were put in. The heap holds places
/// only: the things themselves are large, and stay where they were put.
#[derive(Debug)]
pub struct Queue<T> {
    due: BinaryHeap<Reverse<(u64, u16, u64, usize)>>,
    things: Vec<Option<T>>,
    free: Vec<usize>,
    put: u64,
    lots: Rng,
}

impl<T> Queue<T> {
    pub fn new(seed: u64) -> Queue<T> {
        let (due, things, free) = (BinaryHeap::new(), Vec::new(), Vec::new());
        Queue { due, things, free, put: 0, lots: Rng::new(seed, 2) }
    }

    /// `thing` will happen at `at` (milliseconds).
    pub fn put(&mut self, at: u64, thing: T) {
        self.put += 1;
        let lot = self.lots.below(1 << 16) as u16;
        let place = match self.free.pop() {
            Some(place) => {
                self.things[place] = Some(thing);
                place
            }
            None => {
                self.things.push(Some(thing));
                self.things.len() - 1
            }
        };
        self.due.push(Reverse((at, lot, self.put, place)));
    }

    /// When the next thing is due.
    pub fn due(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next thing and its time.
    pub fn next(&mut self) -> Option<(u64, T)> {
        let Reverse((at, _, _, place)) = self.due.pop()?;
        self.free.push(place);
        self.things[place].take().map(|thing| (at, thing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time decides first; ties fall differently for different seeds, and nothing is lost.
    #[test]
    fn order() {
        let run = |seed| {
            let mut queue = Queue::new(seed);
            queue.put(2, 0);
            (1..=20).for_each(|thing| queue.put(1, thing));
            std::iter::from_fn(|| queue.next()).map(|(_, thing)| thing).collect::<Vec<_>>()
        };
        let (one, two) = (run(1), run(2));
        assert_eq!((one.last(), two.last()), (Some(&0), Some(&0)));
        assert_eq!((one.len(), one == run(1)), (21, true));
        assert_ne!(one, two);
    }
}
