//! The agent's clock: monotonic milliseconds for rules, wall-clock milliseconds for people and directory names.
//!
//! Ticks do not start at 0 but at [`ORIGIN_MS`], so that something that happened before this boot (a replica
//! scrubbed yesterday) has a tick too. Never decides anything; everything else in the shell asks here for the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use stele_common::Tick;

/// The tick of the process's start: 34 years, more than any age that a disk can remember.
const ORIGIN_MS: u64 = 1 << 40;

/// A monotonic clock, cheap to copy; all parts of one agent share one origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Clock {
        Clock { started: Instant::now() }
    }

    /// Monotonic milliseconds.
    pub fn now(&self) -> Tick {
        Tick(ORIGIN_MS + self.started.elapsed().as_millis() as u64)
    }

    /// The tick that lies `age_ms` before now, as far back as ticks reach.
    pub fn ago(&self, age_ms: u64) -> Tick {
        Tick(self.now().0.saturating_sub(age_ms))
    }
}

/// Milliseconds since 1970; 0 on a machine whose clock stands before that.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happened before the boot has a tick, and the order of ticks is the order of time.
    #[test]
    fn ages_before_the_boot_have_ticks() {
        let clock = Clock::start();
        let week_ms = 7 * 24 * 3_600_000;
        let now = clock.now();
        assert!(clock.ago(week_ms) < now);
        assert!(now.since(clock.ago(week_ms)) <= week_ms);
    }
}
