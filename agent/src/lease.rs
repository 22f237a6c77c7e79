//! The agent's own lease: whether the coordinator has heard it lately. In: `Heard` and `Welcome`. Out: one question,
//! [`Lease::holds`]. An agent whose lease has run out takes no new load streams, so it stops before the coordinator
//! counts it as lost. Never judged by wall clock.

use crate::clock::Clock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use stele_common::Tick;

/// When the coordinator last said that it hears us, and for how long that is good.
#[derive(Debug)]
pub struct Lease {
    clock: Clock,
    /// Tick of the last word; 0 = never in this boot.
    heard: AtomicU64,
    length_ms: AtomicU64,
}

impl Lease {
    /// A lease that does not hold until the coordinator speaks.
    pub fn new(clock: Clock) -> Lease {
        Lease { clock, heard: AtomicU64::new(0), length_ms: AtomicU64::new(0) }
    }

    /// The coordinator welcomed us and said how long its word is good.
    pub fn granted(&self, length_ms: u64) {
        self.length_ms.store(length_ms, Relaxed);
        self.renew();
    }

    /// The coordinator hears us.
    pub fn renew(&self) {
        self.heard.store(self.clock.now().0, Relaxed);
    }

    /// Whether the last word is younger than the lease.
    pub fn holds(&self) -> bool {
        self.silent_ms().is_some_and(|silent| silent <= self.length_ms.load(Relaxed))
    }

    /// Milliseconds since the last word; `None` = never in this boot.
    pub fn silent_ms(&self) -> Option<u64> {
        let heard = self.heard.load(Relaxed);
        (heard != 0).then(|| self.clock.now().since(Tick(heard)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing heard means no lease; a word gives one for the granted time; a grant of nothing gives none.
    #[test]
    fn a_lease_needs_a_word() {
        let lease = Lease::new(Clock::start());
        assert!(!lease.holds() && lease.silent_ms().is_none());
        lease.granted(60_000);
        assert!(lease.holds());
    }
}
