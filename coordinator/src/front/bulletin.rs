//! What has changed, for readers that want to be told instead of asking again and again.
//!
//! ```text
//! snapshots (ten a second) ─▶ compared, four times a second at most ─▶ Bulletin ─▶ each reader: what is new to it
//! ```
//!
//! A [`Bulletin`] says of each topic at which revision it last changed, and keeps the latest lines of what happened.
//! So a reader that was away, or is slow, misses nothing that still holds, and costs no memory: what it was not told
//! yet is one message, however much happened. In: snapshots. Out: a watch cell. It asks no actor and decides nothing.

mod compare;
mod lines;
pub mod spread;

use super::tally::TallyCell;
use crate::clock::{Clock, rfc3339};
use crate::published::{Published, Snapshots};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use stele_common::Tick;
use stele_common::api::{Changed, Happening, Problem, Topic};
use tokio::sync::watch;

/// What comes within this time is one change: faster than anybody reads, slow enough that a load is not a flood.
const PACE: Duration = Duration::from_millis(250);
/// Lines kept: some 200 bytes each.
const LINES_MAX: usize = 1_000;
/// Lines of one message; a reader that missed more is told to read everything again.
pub const TOLD_MAX: usize = 200;
/// Sums are made anew this often when nothing changed: waits end by time alone.
const SUMS_MS: u64 = 5_000;

/// Everything that can be told.
#[derive(Clone, Debug, Default)]
pub struct Bulletin {
    pub epoch: u64,
    pub revision: u64,
    /// The revision at which each topic last changed.
    changed: BTreeMap<Topic, u64>,
    /// The latest lines, oldest first.
    lines: VecDeque<Arc<Happening>>,
    /// Lines so far.
    number: u64,
    /// How even the disks were.
    pub spread: Arc<spread::Curve>,
}

/// How far a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub epoch: u64,
    pub revision: u64,
}

/// What to tell it.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    Nothing,
    Changed(Changed),
    /// It cannot be told what it missed: everything is to be read again.
    Reset(Changed),
}

impl Bulletin {
    pub fn mark(&self) -> Mark {
        Mark { epoch: self.epoch, revision: self.revision }
    }

    /// What a reader that is at `mark` has not been told.
    pub fn since(&self, mark: Mark) -> News {
        if mark == self.mark() {
            return News::Nothing;
        }
        let lines = self.lines.iter().rev().take_while(|line| line.revision > mark.revision);
        let mut happened: Vec<Happening> = lines.take(TOLD_MAX + 1).map(|line| (**line).clone()).collect();
        happened.reverse();
        let forgotten = self.lines.front().is_some_and(|first| first.number > 1 && first.revision > mark.revision);
        if mark.epoch != self.epoch || mark.revision > self.revision || happened.len() > TOLD_MAX || forgotten {
            return News::Reset(self.message(Topic::ALL.to_vec(), Vec::new()));
        }
        let changed = self.changed.iter().filter(|(_, at)| **at > mark.revision);
        News::Changed(self.message(changed.map(|(topic, _)| *topic).collect(), happened))
    }

    /// What a new reader is told first.
    pub fn hello(&self) -> Changed {
        self.message(Vec::new(), Vec::new())
    }

    fn message(&self, changed: Vec<Topic>, happened: Vec<Happening>) -> Changed {
        Changed { epoch: self.epoch, revision: self.revision, changed, happened }
    }

    /// Newest first, those before the one with the number `before`.
    pub fn recent(&self, before: Option<u64>) -> impl Iterator<Item = &Happening> {
        let newest_first = self.lines.iter().rev().map(|line| &**line);
        newest_first.filter(move |line| before.is_none_or(|before| line.number < before))
    }

    fn take(&mut self, changed: impl IntoIterator<Item = Topic>, lines: Vec<lines::Line>, wall_ms: u64) {
        let changed: Vec<Topic> = changed.into_iter().collect();
        if changed.is_empty() && lines.is_empty() {
            return;
        }
        self.revision += 1;
        self.changed.extend(changed.into_iter().map(|topic| (topic, self.revision)));
        for lines::Line { topic, kind, subject, text } in lines {
            self.number += 1;
            let (number, revision, at, kind) = (self.number, self.revision, rfc3339(wall_ms), kind.to_string());
            self.lines.push_back(Arc::new(Happening { number, revision, at, topic, kind, subject, text }));
        }
        while self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }
}

/// The readers' end.
pub type Bulletins = watch::Receiver<Arc<Bulletin>>;

/// Compares snapshots as they come until there are no more.
pub async fn keep(mut snapshots: Snapshots, tally: Arc<TallyCell>, clock: Clock, told: watch::Sender<Arc<Bulletin>>) {
    let mut keeper = Keeper::default();
    while snapshots.changed().await.is_ok() {
        let newest = snapshots.borrow_and_update().clone();
        let (tally, at) = (tally.clone(), clock.tick());
        // A large house takes a while to be compared and summed up: not on the threads of actors.
        let compared = tokio::task::spawn_blocking(move || {
            keeper.look(newest, &tally, at);
            keeper
        });
        let Ok(done) = compared.await else { return };
        keeper = done;
        let is_told = |told: &Bulletin| told.mark() == keeper.bulletin.mark();
        if !is_told(&told.borrow()) || !Arc::ptr_eq(&told.borrow().spread, &keeper.bulletin.spread) {
            told.send_replace(Arc::new(keeper.bulletin.clone()));
        }
        tokio::time::sleep(PACE).await;
    }
}

/// The last snapshot, and what was made of those before it.
#[derive(Default)]
struct Keeper {
    bulletin: Bulletin,
    before: Option<Arc<Published>>,
    health: Health,
}

/// Sums at one snapshot, as far as they are compared.
#[derive(Default)]
struct Health {
    summed: Tick,
    problems: Vec<Problem>,
    figures: String,
}

impl Keeper {
    fn look(&mut self, newest: Arc<Published>, tally: &TallyCell, at: Tick) {
        let (world, is_first) = (newest.world.clone(), self.before.is_none());
        let before = self.before.replace(newest.clone()).map(|before| before.world.clone());
        if self.bulletin.epoch != world.epoch.0 {
            self.bulletin = Bulletin { epoch: world.epoch.0, ..Bulletin::default() };
        }
        if self.bulletin.spread.is_due(at) {
            Arc::make_mut(&mut self.bulletin.spread).measure(&world, at, newest.wall_ms);
        }
        let (mut changed, mut lines) = match &before {
            Some(before) => (compare::topics(before, &world), lines::between(before, &world)),
            None => Default::default(),
        };
        if is_first || compare::may_change_sums(&changed) || at.since(self.health.summed) >= SUMS_MS {
            let sums = tally.get(&newest, at);
            let figures = format!("{:?} {:?} {:?}", sums.verdicts, sums.copies, sums.margin);
            let health = Health { summed: at, problems: sums.problems.clone(), figures };
            if health.figures != self.health.figures || health.problems != self.health.problems {
                changed.insert(Topic::Health);
                if !is_first {
                    lines.extend(lines::of_problems(&self.health.problems, &health.problems));
                }
            }
            self.health = health;
        }
        self.bulletin.take(changed, lines, newest.wall_ms);
    }
}

#[cfg(test)]
mod tests;
