//! The event log of a run: a running hash over everything that happened (two runs of a seed must end on the same
//! one), and, when asked for, the latest lines for people. Knows nothing of what it records.

use std::collections::VecDeque;
use std::fmt::Arguments;

/// Lines kept for a report of a violation: some hours of virtual history, a few megabytes.
const KEPT: usize = 20_000;

/// The log.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    events: u64,
    lines: Option<VecDeque<String>>,
}

impl Trace {
    /// `keep`: also keep the latest lines.
    pub fn new(keep: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, events: 0, lines: keep.then(VecDeque::new) }
    }

    /// Something happened: `what` names the kind, the numbers who and when.
    pub fn event(&mut self, what: u8, now: u64, a: u64, b: u64) {
        self.events += 1;
        for word in [u64::from(what), now, a, b] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
        }
    }

    /// A decision or a fault, hashed by its text.
    pub fn decision(&mut self, now: u64, text: &str) {
        for byte in text.as_bytes() {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.line(now, format_args!("{text}"));
    }

    /// A line for people; not hashed.
    pub fn line(&mut self, now: u64, text: Arguments) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == KEPT {
                lines.pop_front();
            }
            let seconds = now / 1000;
            lines.push_back(format!(
                "{:02}:{:02}:{:02}.{:03} {text}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60,
                now % 1000
            ));
        }
    }

    /// Whether lines are kept: formatting them is dear.
    pub fn keeps_lines(&self) -> bool {
        self.lines.is_some()
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn events(&self) -> u64 {
        self.events
    }

    /// The kept lines, oldest first.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.map(Vec::from).unwrap_or_default()
    }
}
