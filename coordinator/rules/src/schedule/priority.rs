//! How urgency moves while a tablet waits (the seed's rules), so that neither the urgent that cannot be helped nor the
//! idle that are never reached block the others.
//!
//! * Five failed schedulings in a row: one step down, and the count starts anew.
//! * Thirty minutes without being scheduled: one step up.
//! * At least five minutes between two steps, and before the first.
//! * Begun at VERY_HIGH never below NORMAL; begun at LOW never above HIGH.

use stele_common::{Priority, Tick};

const FAILURES_DOWN: u32 = 5;
const WAIT_UP_MS: u64 = 30 * 60_000;
const BETWEEN_MS: u64 = 5 * 60_000;

/// A priority with what moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urgency {
    /// What the verdict said.
    pub begun: Priority,
    pub now: Priority,
    /// The last step, or the beginning.
    stepped: Tick,
    /// The last time it was scheduled, or the beginning.
    scheduled: Tick,
    failures: u32,
    entered: Tick,
}

impl Urgency {
    pub fn new(priority: Priority, at: Tick) -> Urgency {
        Urgency { begun: priority, now: priority, stepped: at, scheduled: at, failures: 0, entered: at }
    }

    /// When it was last scheduled.
    pub fn scheduled_at(&self) -> Option<Tick> {
        (self.scheduled > self.entered).then_some(self.scheduled)
    }

    /// When its priority last changed.
    pub fn stepped_at(&self) -> Option<Tick> {
        (self.stepped > self.entered).then_some(self.stepped)
    }

    /// It could not be scheduled.
    pub fn failed(&mut self, at: Tick) {
        self.failures += 1;
        if self.failures >= FAILURES_DOWN && self.step(self.now.down(), at) {
            self.failures = 0;
        }
    }

    pub fn scheduled(&mut self, at: Tick) {
        self.scheduled = at;
        self.failures = 0;
    }

    /// Time has passed. True: it moved up.
    pub fn aged(&mut self, at: Tick) -> bool {
        let waited = at.since(self.scheduled.max(self.stepped));
        waited >= WAIT_UP_MS && self.step(self.now.up(), at)
    }

    fn step(&mut self, wish: Priority, at: Tick) -> bool {
        let bound = match self.begun {
            Priority::VeryHigh => wish.min(Priority::Normal),
            Priority::Low => wish.max(Priority::High),
            Priority::High | Priority::Normal => wish,
        };
        if bound == self.now || at.since(self.stepped) < BETWEEN_MS {
            return false;
        }
        (self.now, self.stepped) = (bound, at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::{High, Low, Normal, VeryHigh};

    const MINUTE: u64 = 60_000;

    /// Failing often enough moves down to the bound of where it began, never sooner than five minutes apart.
    #[test]
    fn failures_move_down() {
        for (begun, floor) in [(VeryHigh, Normal), (High, Low), (Normal, Low), (Low, Low)] {
            let mut urgency = Urgency::new(begun, Tick(0));
            for _ in 0..50 {
                urgency.failed(Tick(4 * MINUTE));
            }
            assert_eq!(urgency.now, begun, "no step within five minutes");
            let mut before = begun;
            for minute in 5..60 {
                for _ in 0..5 {
                    urgency.failed(Tick(minute * MINUTE));
                }
                assert!(urgency.now <= before.down(), "one step at a time");
                before = urgency.now;
            }
            assert_eq!(urgency.now, floor, "begun at {begun}");
        }
    }

    /// Waiting moves up to the bound of where it began, one step in thirty minutes.
    #[test]
    fn waiting_moves_up() {
        for (begun, ceiling) in [(VeryHigh, VeryHigh), (High, VeryHigh), (Normal, VeryHigh), (Low, High)] {
            let mut urgency = Urgency::new(begun, Tick(0));
            assert!(!urgency.aged(Tick(29 * MINUTE)));
            let steps = (30..300).filter(|minute| urgency.aged(Tick(minute * MINUTE))).count();
            assert_eq!(urgency.now, ceiling, "begun at {begun}");
            assert_eq!(steps, begun as usize - ceiling as usize);
        }
    }

    /// Being scheduled forgets failures and restarts the wait.
    #[test]
    fn scheduling_clears() {
        let mut urgency = Urgency::new(Normal, Tick(0));
        (0..4).for_each(|_| urgency.failed(Tick(10 * MINUTE)));
        urgency.scheduled(Tick(20 * MINUTE));
        urgency.failed(Tick(21 * MINUTE));
        assert_eq!(urgency.now, Normal);
        assert!(!urgency.aged(Tick(49 * MINUTE)));
        assert!(urgency.aged(Tick(50 * MINUTE)));
    }
}
