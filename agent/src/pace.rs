//! How fast bytes may move: readings by their own rate, copies by the coordinator's limits, per disk and for the agent as
//! a whole. In: limits, bytes as they move. Out: a pause on the calling thread. It decides nothing about data: a limit
//! only makes a copy slower.

use crate::telemetry;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use stele_common::{CopyLimit, CopyLimits, DiskId, TaskType};

/// Who sleeps here looks up this often whether to stop.
const NAP: Duration = Duration::from_millis(100);
/// A meter that stood still lets so much time's bytes pass at once, and no more.
const BURST: Duration = Duration::from_millis(100);

/// Pieces are not made smaller than this: below it they cost more than they even out.
const PIECE_MIN: u64 = 64 * 1024;

/// One stream of bytes held to a rate: the time at which all that has passed would have passed at that rate. (The
/// generic cell rate algorithm, ITU-T I.371, with bytes for cells and the wait after the cell.)
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    due: Duration,
}

impl Meter {
    /// Counts bytes that have moved by `now`; answers how long the next ones must wait. `rate` is bytes a second, 0 = any.
    pub fn passed(&mut self, now: Duration, bytes: u64, rate: u64) -> Duration {
        if rate == 0 {
            self.due = now;
            return Duration::ZERO;
        }
        self.due = self.due.max(now.saturating_sub(BURST)) + Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.due.saturating_sub(now)
    }
}

/// Sleeps, unless it is told to stop.
pub(crate) fn rest(wait: Duration, cancelled: &AtomicBool) {
    let began = Instant::now();
    while let Some(left) = wait.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        if cancelled.load(Relaxed) {
            return;
        }
        std::thread::sleep(left.min(NAP));
    }
}

/// The way that bytes go, seen from this agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    In,
    Out,
}

/// What has a meter: a disk for both ways together, the agent for each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gate {
    Disk(DiskId, TaskType),
    Agent(Way, TaskType),
}

/// The limits in force and the meters of all copies of this agent.
#[derive(Debug)]
pub struct Pacer {
    began: Instant,
    /// Bytes a second: a disk's and the agent's, for repair and for balance.
    rates: [AtomicU64; 4],
    meters: Mutex<BTreeMap<Gate, Meter>>,
}

impl Default for Pacer {
    fn default() -> Pacer {
        Pacer { began: Instant::now(), rates: Default::default(), meters: Mutex::default() }
    }
}

impl Pacer {
    /// From now on these hold, for copies under way as well.
    pub fn set(&self, limits: CopyLimits) {
        let CopyLimits { repair, balance } = limits;
        for (rate, now) in self.rates.iter().zip([repair.disk, repair.node, balance.disk, balance.node]) {
            rate.store(now, Relaxed);
        }
    }

    /// What holds for a purpose.
    pub fn limit(&self, purpose: TaskType) -> CopyLimit {
        let (disk, node) = match purpose {
            TaskType::Repair => (&self.rates[0], &self.rates[1]),
            TaskType::Balance => (&self.rates[2], &self.rates[3]),
        };
        CopyLimit { disk: disk.load(Relaxed), node: node.load(Relaxed) }
    }

    /// The most that may move in one piece: a sixteenth of a second's bytes where a limit is in force. The pieces of all copies
    /// that share it pass one after the other, and none may wait so long that its peer takes it for silent.
    pub fn piece(&self, purpose: TaskType) -> u64 {
        let CopyLimit { disk, node } = self.limit(purpose);
        let least = [disk, node].into_iter().filter(|rate| *rate > 0).min();
        least.map_or(u64::MAX, |rate| (rate / 16).max(PIECE_MIN))
    }

    /// Bytes of a copy have gone from or to this disk: sleeps until the next may follow.
    pub fn passed(&self, purpose: TaskType, way: Way, disk: DiskId, bytes: u64, cancelled: &AtomicBool) {
        let limit = self.limit(purpose);
        if limit == CopyLimit::default() {
            return;
        }
        let now = self.began.elapsed();
        let wait = {
            let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
            let of_disk = meters.entry(Gate::Disk(disk, purpose)).or_default().passed(now, bytes, limit.disk);
            of_disk.max(meters.entry(Gate::Agent(way, purpose)).or_default().passed(now, bytes, limit.node))
        };
        if !wait.is_zero() {
            metrics::counter!(telemetry::THROTTLED_MS, "type" => purpose.as_str()).increment(wait.as_millis() as u64);
            rest(wait, cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Bytes that move as fast as they may arrive at the rate: whatever the pieces, a second carries a second's bytes
    /// and one burst.
    #[test]
    fn a_meter_holds_its_rate() {
        for piece in [1_000, 64_000, 1_000_000] {
            let (mut meter, mut now, mut moved) = (Meter::default(), ms(5_000), 0);
            let began = now;
            while now < began + ms(10_000) {
                moved += piece;
                now += meter.passed(now, piece, 1_000_000);
            }
            assert!((10_000_000..=10_100_000 + piece).contains(&moved), "{moved} in pieces of {piece}");
        }
    }

    /// Time that was not used is not saved up, and a limit that is lifted or lowered holds at once.
    #[test]
    fn a_meter_forgets_idle_time_and_old_limits() {
        let mut meter = Meter::default();
        assert_eq!(meter.passed(ms(60_000), 1_000_000, 1_000_000), ms(900));
        assert_eq!(meter.passed(ms(60_000), 1_000_000, 0), Duration::ZERO);
        assert_eq!(meter.passed(ms(60_001), 1_000, 1_000_000), ms(1) - ms(1));
        assert_eq!(meter.passed(ms(60_001), 1_000_000, 100_000), ms(10_000));
    }

    /// Without limits pieces are as large as they come; with them, many copies that share the lowest have one a few seconds.
    #[test]
    fn pieces_follow_the_lowest_limit() {
        let pacer = Pacer::default();
        let piece = |disk, node| {
            pacer.set(CopyLimits { repair: CopyLimit { disk, node }, balance: CopyLimit::default() });
            (pacer.piece(TaskType::Repair), pacer.piece(TaskType::Balance))
        };
        assert_eq!(piece(0, 0), (u64::MAX, u64::MAX));
        assert_eq!(piece(64 << 20, 0), (4 << 20, u64::MAX));
        assert_eq!(piece(64 << 20, 16 << 20), (1 << 20, u64::MAX));
        assert_eq!(piece(1, 1), (PIECE_MIN, u64::MAX));
    }

    /// Repair and balance do not hold each other up; both ways of a disk share its meter.
    #[test]
    fn gates_are_apart() {
        let pacer = Pacer::default();
        let limit = CopyLimit { disk: 1 << 40, node: 0 };
        pacer.set(CopyLimits { repair: CopyLimit::default(), balance: limit });
        assert_eq!((pacer.limit(TaskType::Repair).disk, pacer.limit(TaskType::Balance).disk), (0, 1 << 40));
        let stopped = AtomicBool::new(true);
        for way in [Way::In, Way::Out] {
            pacer.passed(TaskType::Balance, way, DiskId(1), 1 << 40, &stopped);
        }
        pacer.passed(TaskType::Repair, Way::In, DiskId(1), 1 << 40, &stopped);
        let meters = pacer.meters.lock().unwrap();
        let due = meters[&Gate::Disk(DiskId(1), TaskType::Balance)].due;
        assert!(due >= ms(1_900), "two seconds' bytes less a burst, {due:?}");
        assert!(!meters.contains_key(&Gate::Disk(DiskId(1), TaskType::Repair)));
    }
}
