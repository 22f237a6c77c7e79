//! What is done next, by whom, and what waits for what. Owns the queue and the proposals in flight.
//!
//! In: verdicts, answers to proposals, ends of tasks, and a round every 100 ms or so. Out: proposals to the Catalog,
//! which decides them against its own state. Nothing here is stored: slots and running tasks are counted from the
//! world at every round, and after a restart the checker's verdicts fill the queue again.
//!
//! | question | file |
//! |---|---|
//! | what comes before what? | [`queue`], [`priority`] |
//! | may it start, and as what? | [`admit`]; step by step in `visitor`, `movings` |
//! | is there room on the disks? | [`slots`] |
//! | where from, where to, whom to mend or delete? | [`source`], [`target`], `beside`, [`in_place`], [`victim`] |
//! | what moves for evenness, and when? | [`balancing`]; what rests: `rests` |
//! | how fast are copies? | [`rates`] |
//! | when must running work end? | [`lifecycle`] |
//!
//! It must never have two proposals for one tablet, nor grant more slots than there are.

pub mod admit;
pub mod balancing;
mod beside;
pub mod in_place;
pub mod lifecycle;
mod movings;
mod one;
pub mod priority;
pub mod queue;
pub mod rates;
mod rests;
mod round;
pub mod slots;
pub mod source;
pub mod statistics;
pub mod target;
pub mod victim;
mod visitor;

pub use one::{OneRound, one_round};

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;

use crate::balance::moves::{Move, Scope};
use crate::balance::selection::Selection;
use crate::checkup::{Verdict, verdict};
use crate::world::{Outcome, Task, Work};
use crate::{Proposal, Reason, World};
use balancing::Balancing;
use priority::Urgency;
use queue::{After, Entry, Place, Queue};
use rates::Rates;
use slots::{Grant, Ledger};
use statistics::{Scores, Statistics};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stele_common::config::RepairKnobs;
use stele_common::{DiskId, TabletId, TaskId, Tick};

#[derive(Clone, Debug)]
pub enum DeskEvent {
    /// What the checker found.
    Verdicts(Vec<(TabletId, Verdict)>),
    /// The Catalog's answer to a proposal.
    Answered { tablet: TabletId, answer: Result<TaskId, Reason> },
    /// A task has ended.
    Ended { task: Task, outcome: Outcome },
    /// The planner's answer to [`DeskAction::AskMoves`].
    Moves(Selection),
    /// Look at the queue.
    Round,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DeskAction {
    Propose(Proposal),
    /// Let the planner look for moves; answered with [`DeskEvent::Moves`].
    AskMoves {
        scope: Scope,
        limit: usize,
    },
    /// Why a tablet's next step was not taken; told when it changes.
    Explain {
        tablet: TabletId,
        reason: Reason,
    },
}

/// The scheduler's own state.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    queue: Queue,
    flights: BTreeMap<TabletId, Flight>,
    /// Cancellations proposed, and when.
    cancels: BTreeMap<TaskId, Tick>,
    /// Disks that could take something at the last round: one more is a reason to look at the refused again.
    usable: BTreeSet<DiskId>,
    wake_refused: bool,
    /// The knobs at the last round: others are a reason too.
    knobs: Option<Arc<RepairKnobs>>,
    /// The pauses at the last round: one that has ended is a reason too.
    pauses: BTreeSet<u64>,
    /// How far the slow walk over all entries has come.
    walked: Option<TabletId>,
    /// Nobody is evicted: of a desk that answers once about everything.
    is_boundless: bool,
    rates: Rates,
    statistics: Statistics,
    balancing: Balancing,
}

/// A proposal that the world does not show yet.
#[derive(Clone, Debug)]
struct Flight {
    grant: Option<Grant>,
    since: Tick,
    /// Accepted as this.
    task: Option<TaskId>,
    /// The move that it is, and how often it was tried.
    mv: Option<(Move, u32)>,
}

/// A proposal whose answer, or whose task, does not show in this time was lost with its actor: it is forgotten. The
/// Catalog checks everything again, so proposing twice does no harm.
const FLIGHT_MS: u64 = 10_000;
/// A tablet that waits is looked at this often even if nobody says that anything changed.
const LOOK_AGAIN_MS: u64 = 30_000;
const BACKOFF_MIN_MS: u64 = 1_000;
const BACKOFF_MAX_MS: u64 = 60_000;

impl Desk {
    pub fn new() -> Desk {
        Desk::default()
    }

    /// Takes an event, on the newest snapshot.
    pub fn step(&mut self, world: &World, at: Tick, event: DeskEvent) -> Vec<DeskAction> {
        let mut actions = Vec::new();
        match event {
            DeskEvent::Verdicts(verdicts) => {
                for (tablet, verdict) in verdicts {
                    self.take_verdict(world, at, tablet, verdict, &mut actions);
                }
            }
            DeskEvent::Answered { tablet, answer } => self.answered(world, at, tablet, answer, &mut actions),
            DeskEvent::Ended { task, outcome } => self.ended(world, at, task, outcome, &mut actions),
            DeskEvent::Moves(answer) => self.balancing.selected(at, answer),
            DeskEvent::Round => self.round(world, at, &mut actions),
        }
        actions
    }

    /// In the order in which they would be looked at.
    pub fn pending(&self) -> impl Iterator<Item = &Entry> {
        self.queue.standing()
    }

    /// Pending or running, by tablet.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.queue.after(None, usize::MAX).into_iter()
    }

    pub fn entry(&self, tablet: TabletId) -> Option<&Entry> {
        self.queue.get(tablet)
    }

    /// Proposed, and not shown by the world yet.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// How fast copies from and to each disk have been.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// How busy each node is.
    pub fn scores(&self, world: &World) -> Scores {
        self.statistics.scores(world)
    }

    /// Slots and promised bytes, proposals in flight included.
    pub fn ledger(&self, world: &World) -> Ledger {
        let grants = self.flights.iter().filter_map(|(tablet, flight)| Some((*tablet, flight.grant.as_ref()?)));
        Ledger::of(world, grants)
    }

    fn take_verdict(
        &mut self,
        world: &World,
        at: Tick,
        tablet: TabletId,
        verdict: Verdict,
        actions: &mut Vec<DeskAction>,
    ) {
        let Some(priority) = verdict.priority else {
            self.queue.remove(tablet);
            return;
        };
        let Some(known) = self.queue.get(tablet) else {
            self.enter(world, at, tablet, verdict, 0, actions);
            return;
        };
        let changed = Verdict { ready_in_ms: known.verdict.ready_in_ms, ..verdict } != known.verdict;
        let place = match &known.place {
            Place::Away => Place::Away,
            Place::Later { after: After::Failure, .. } => known.place.clone(),
            Place::Later { after: After::Refusal, .. } | Place::Busy { .. } if !changed => known.place.clone(),
            Place::Ready | Place::Later { .. } | Place::Busy { .. } => place_for(verdict, at),
        };
        // The slow sweep repeats what is known: nothing is to be moved for that.
        if !changed && place == known.place {
            return;
        }
        self.queue.update(tablet, |entry| {
            // A running task keeps the urgency that it was made with; its end brings a new one.
            if entry.urgency.begun != priority && !world.tasks.contains_key(&tablet) {
                entry.urgency = Urgency::new(priority, at);
            }
            (entry.verdict, entry.place) = (verdict, place);
        });
    }

    fn enter(
        &mut self,
        world: &World,
        at: Tick,
        tablet: TabletId,
        verdict: Verdict,
        failures: u32,
        actions: &mut Vec<DeskAction>,
    ) {
        let Some(priority) = verdict.priority else { return };
        let busy = self.flights.contains_key(&tablet) || world.tasks.contains_key(&tablet);
        let place = if busy { Place::Away } else { place_for(verdict, at) };
        let entry = Entry {
            tablet,
            turn: 0,
            verdict,
            urgency: Urgency::new(priority, at),
            queued: at,
            visited: at,
            failures,
            refusals: 0,
            reason: None,
            place,
        };
        let queue_max = if self.is_boundless { usize::MAX } else { world.knobs.queue_max };
        if let Some(evicted) = self.queue.insert(entry, queue_max) {
            let max = u32::try_from(queue_max).unwrap_or(u32::MAX);
            actions.push(DeskAction::Explain { tablet: evicted, reason: Reason::QueueFull { max } });
        }
    }

    fn answered(
        &mut self,
        world: &World,
        at: Tick,
        tablet: TabletId,
        answer: Result<TaskId, Reason>,
        actions: &mut Vec<DeskAction>,
    ) {
        match answer {
            Ok(task) => {
                // An end may overtake the answer to its proposal.
                let is_over = world.history.of(tablet).any(|past| past.task.id == task);
                if is_over {
                    self.flights.remove(&tablet);
                } else if let Some(flight) = self.flights.get_mut(&tablet) {
                    (flight.task, flight.since) = (Some(task), at);
                }
            }
            Err(reason) => {
                // The answer to a cancellation concerns no flight.
                let Some(flight) = self.flights.remove(&tablet) else { return };
                if flight.mv.is_some() {
                    self.balancing.refused(flight.mv, &reason);
                    actions.push(DeskAction::Explain { tablet, reason });
                } else if matches!(reason, Reason::RevisionMoved { .. }) {
                    // Decided on an older snapshot: decide again on the next.
                    self.queue.update(tablet, |entry| entry.place = Place::Ready);
                } else {
                    self.refuse(at, tablet, reason, actions);
                }
            }
        }
    }

    fn ended(&mut self, world: &World, at: Tick, task: Task, outcome: Outcome, actions: &mut Vec<DeskAction>) {
        let tablet = task.tablet;
        self.balancing.ended(world, at, &task, &outcome);
        self.cancels.remove(&task.id);
        if self.flights.get(&tablet).is_some_and(|flight| flight.task == Some(task.id)) {
            self.flights.remove(&tablet);
        }
        // Needless work is nobody's fault: nothing to be careful about.
        let failed = match &outcome {
            Outcome::Finished { .. } => false,
            Outcome::Cancelled { cause } => !matches!(cause, Reason::NowHealthy | Reason::TableDropped),
        };
        let took_ms = at.since(task.started.max(world.began));
        if let (Outcome::Finished { .. }, Work::Clone { source_disk, disk, .. }) = (&outcome, &task.work) {
            self.rates.finished([*source_disk, *disk], task.bytes_done, took_ms);
        }
        let known = self.queue.remove(tablet);
        let Some(state) = world.tablets.get(tablet) else { return };
        let failures = if failed { known.map_or(0, |entry| entry.failures) + 1 } else { 0 };
        self.enter(world, at, tablet, verdict(world, state, at), failures, actions);
        if failed {
            let until = at.plus(backoff_ms(failures));
            self.queue.update(tablet, |entry| entry.place = Place::Later { until, after: After::Failure });
        } else {
            // The snapshot may still show the ended task.
            self.queue.update(tablet, |entry| {
                if entry.place == Place::Away {
                    entry.place = place_for(entry.verdict, at);
                }
            });
        }
    }
}

fn place_for(verdict: Verdict, at: Tick) -> Place {
    match verdict.ready_in_ms {
        0 => Place::Ready,
        ms => Place::Later { until: at.plus(ms.min(LOOK_AGAIN_MS)), after: After::Wait },
    }
}

fn backoff_ms(failures: u32) -> u64 {
    (BACKOFF_MIN_MS << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX_MS)
}
