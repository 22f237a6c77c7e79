//! Pace and memory of the background scrub of one disk. Which replica comes next is the law book's
//! (`scrub_plan::next`); when it may begin is decided here, and what was read when is remembered across restarts.
//!
//! ```text
//! idle disk ──pace allows──▶ one Verify at a time ──its size / rate_max──▶ next
//! scrub.toml  [scrubbed] "<replica>" = <unix ms>       written by rename every few minutes; lost = read again, no harm
//! ```
//!
//! Wall-clock times in the file pace reading only; no decision about data hangs on them.

use crate::clock::{Clock, wall_ms};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use stele_agent_rules::{Book, scrub_plan};
use stele_common::config::ScrubKnobs;
use stele_common::{ReplicaId, Tick};

/// The file's name in the data directory.
pub const FILE: &str = "scrub.toml";
/// The memory is written this often: a crash costs at most so much reading again.
pub const SAVE_EVERY_MS: u64 = 180_000;
/// A disk with copies or loads in the last so many milliseconds is not idle; people wait for those.
const QUIET_MS: u64 = 15_000;
/// A busy disk is scrubbed all the same after so long, in parts of `fresh_within_ms`: a fresh copy must not wait for ever.
const PATIENCE: u64 = 4;

/// When the next reading may begin.
#[derive(Debug)]
pub struct Scrubber {
    knobs: ScrubKnobs,
    /// No background reading begins before.
    not_before: Tick,
    /// The last copy, load or install.
    disturbed: Tick,
    saved: Tick,
}

impl Scrubber {
    /// A scrubber that lets the disk settle first.
    pub fn new(knobs: ScrubKnobs, now: Tick) -> Scrubber {
        Scrubber { knobs, not_before: now.plus(QUIET_MS), disturbed: now, saved: now }
    }

    /// The disk is at work for someone who waits.
    pub fn disturbed(&mut self, now: Tick) {
        self.disturbed = now;
    }

    /// The replica to read now, if any may be read now. `idle` = no op is running or waiting on this disk.
    pub fn next(&mut self, book: &Book, now: Tick, idle: bool) -> Option<ReplicaId> {
        if now < self.not_before {
            return None;
        }
        let quiet = idle && now.since(self.disturbed) >= QUIET_MS;
        let patient = now.since(self.not_before) < self.knobs.fresh_within_ms / PATIENCE;
        if !quiet && patient {
            return None;
        }
        let next = scrub_plan::next(book, now, &self.knobs)?;
        let size = book.replicas.get(&next).map_or(0, |held| held.size);
        self.not_before = now.plus(self.pause_ms(size));
        Some(next)
    }

    /// The time that reading `size` bytes may take at the allowed rate.
    fn pause_ms(&self, size: u64) -> u64 {
        size.saturating_mul(1_000) / self.knobs.rate_max.max(1)
    }

    /// Whether the memory should be written now.
    pub fn save_due(&mut self, now: Tick) -> bool {
        let due = now.since(self.saved) >= SAVE_EVERY_MS;
        if due {
            self.saved = now;
        }
        due
    }
}

/// The file's content: when each replica was last read past the page cache.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Replica id (TOML keys are text) to unix milliseconds.
    scrubbed: BTreeMap<String, u64>,
}

impl Memory {
    /// What the book knows.
    pub fn of(book: &Book, clock: Clock) -> Memory {
        let (now, wall) = (clock.now(), wall_ms());
        let scrubbed = book.replicas.iter().filter_map(|(replica, held)| {
            let age_ms = now.since(held.scrubbed?);
            Some((replica.to_string(), wall.saturating_sub(age_ms)))
        });
        Memory { scrubbed: scrubbed.collect() }
    }

    /// Puts the remembered times into a book that was just scanned. Times that lie in the future are not believed.
    pub fn fill(&self, book: &mut Book, clock: Clock) {
        let wall = wall_ms();
        for (replica, held) in &mut book.replicas {
            if let Some(then) = self.scrubbed.get(&replica.to_string()).filter(|then| **then <= wall) {
                held.scrubbed = Some(clock.ago(wall - then));
            }
        }
    }

    /// Reads the file; a missing or damaged one is an empty memory.
    pub fn read(directory: &Path) -> Memory {
        match std::fs::read_to_string(directory.join(FILE)) {
            Ok(text) => toml::from_str(&text).unwrap_or_default(),
            Err(_) => Memory::default(),
        }
    }

    /// Writes the file by rename, so that it is whole or the old one.
    pub fn write(&self, directory: &Path) -> std::io::Result<()> {
        let text = toml::to_string(self).map_err(std::io::Error::other)?;
        let part = directory.join("scrub.toml.part");
        let mut file = std::fs::File::create(&part)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&part, directory.join(FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::DiskId;

    /// An empty disk has nothing to read; the pause after a reading keeps the average under the allowed rate.
    #[test]
    fn pace() {
        let now = Tick(1_000_000);
        let knobs = ScrubKnobs { rate_max: 1_000_000, ..ScrubKnobs::default() };
        let mut scrubber = Scrubber::new(knobs, now);
        assert_eq!(scrubber.next(&Book::new(DiskId(1)), now.plus(QUIET_MS), true), None);
        assert_eq!(scrubber.pause_ms(5_000_000), 5_000);
        assert!(!scrubber.save_due(now.plus(1)) && scrubber.save_due(now.plus(SAVE_EVERY_MS)));
        assert!(!scrubber.save_due(now.plus(SAVE_EVERY_MS + 1)));
    }

    /// A memory survives a restart; a damaged one is an empty one.
    #[test]
    fn memory_survives() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Memory::read(directory.path()).scrubbed.is_empty());
        let memory = Memory { scrubbed: [("7".to_string(), 12)].into() };
        memory.write(directory.path()).unwrap();
        assert_eq!(Memory::read(directory.path()).scrubbed, memory.scrubbed);
        std::fs::write(directory.path().join(FILE), "= what").unwrap();
        assert!(Memory::read(directory.path()).scrubbed.is_empty());
    }
}
