//! One round: what may be looked at again, what must end, and what begins while slots last.
//!
//! In: the desk and the newest snapshot. Out: proposals and reasons. Cheap whatever waits: a round looks only at what
//! is ready, and stops when no disk can take anything.

use super::admit::{self, Desktop, Visit};
use super::queue::{After, Place};
use super::slots::Grant;
use super::statistics::EACH_ROUND;
use super::target::{self, Board};
use super::{Desk, DeskAction, FLIGHT_MS, Flight, LOOK_AGAIN_MS, backoff_ms, lifecycle};
use crate::world::Work;
use crate::{Proposal, Reason, World, level};
use std::collections::BTreeSet;
use std::sync::Arc;
use stele_common::{DiskId, TabletId, TaskType, Tick};

/// Tablets looked at in one round at most: some 3 µs each keep a round below 10 ms.
const VISITS_MAX: usize = 2_000;
/// Entries aged in one round: 100 000 are through in ten seconds.
const WALK: usize = 1_000;

/// How far one round goes.
pub(super) struct Bounds {
    visits: usize,
    /// Looks that ended in nothing, of which each may have walked over all disks.
    misses: usize,
    /// Deletions under way at once: each asks n agents to confirm a replica.
    deletions: usize,
    /// Tablets counted for the scores.
    counts: usize,
    /// Copies are not even looked at while no disk can take anything.
    stops_when_full: bool,
}

impl Bounds {
    const EACH: Bounds =
        Bounds { visits: VISITS_MAX, misses: 200, deletions: 256, counts: EACH_ROUND, stops_when_full: true };
    /// Everything is looked at, so that everything has its answer.
    pub const NONE: Bounds = Bounds {
        visits: usize::MAX,
        misses: usize::MAX,
        deletions: usize::MAX,
        counts: usize::MAX,
        stops_when_full: false,
    };
}

impl Desk {
    pub(super) fn round(&mut self, world: &World, at: Tick, actions: &mut Vec<DeskAction>) {
        self.forget_lost_flights(world, at);
        if level::forbids_repair(world).is_some() {
            return;
        }
        self.end_tasks(world, at, actions);
        self.wake(world, at);
        self.walk(world, at);
        self.go_through(world, at, &Bounds::EACH, actions);
        self.balance(world, at, actions);
    }

    /// Looks at what is ready, in order, and begins what may begin.
    pub(super) fn go_through(&mut self, world: &World, at: Tick, bounds: &Bounds, actions: &mut Vec<DeskAction>) {
        self.statistics.walk(world, at, bounds.counts);
        if self.queue.next_copy().or_else(|| self.queue.next_deletion()).is_none() {
            // Most rounds of a healthy house: what waits for a slot was woken just now if there is one.
            return;
        }
        let mut ledger = self.ledger(world);
        let scores = self.statistics.scores(world);
        let mut board = Board::of(world, &ledger, &scores);
        let running = world.tasks.values().filter(|task| matches!(task.work, Work::Delete { .. })).count();
        let mut deletions = running + self.flights.values().filter(|flight| flight.grant.is_none()).count();
        let mut misses = 0;
        let mut seen = BTreeSet::new();
        for _ in 0..bounds.visits {
            let is_full = bounds.stops_when_full && board.is_empty();
            let copy = if is_full { None } else { self.queue.next_copy() };
            let deletion = if deletions < bounds.deletions { self.queue.next_deletion() } else { None };
            let Some(key) = [copy, deletion].into_iter().flatten().min() else {
                // Slots are left that the first in line could not use: the next ones may.
                if is_full || !self.queue.wake_busy(|disk| ledger.free(disk, TaskType::Repair), &seen) {
                    break;
                }
                continue;
            };
            seen.insert(key.tablet);
            let desktop = Desktop { world, ledger: &ledger, board: &board, scores: &scores, at };
            match self.visit(&desktop, key.tablet, actions) {
                Some(Some(grant)) => {
                    ledger.take(world, &grant);
                    board.refresh(world, &ledger, grant.disk);
                    board.refresh(world, &ledger, grant.source_disk);
                }
                Some(None) => deletions += 1,
                None => misses += 1,
            }
            if misses >= bounds.misses {
                break;
            }
        }
    }

    /// Looks at one tablet; `Some` with what it takes when something was proposed.
    fn visit(&mut self, desktop: &Desktop, id: TabletId, actions: &mut Vec<DeskAction>) -> Option<Option<Grant>> {
        let Desktop { world, at, .. } = *desktop;
        let priority = self.queue.get(id)?.urgency.now;
        let Some(tablet) = world.tablets.get(id) else {
            self.queue.remove(id);
            return None;
        };
        if world.tasks.contains_key(&id) || self.flights.contains_key(&id) {
            self.queue.update(id, |entry| entry.place = Place::Away);
            return None;
        }
        match admit::visit(desktop, tablet, priority) {
            Visit::Propose { proposal, grant } => {
                self.flights.insert(id, Flight { grant, since: at, task: None, mv: None });
                self.queue.update(id, |entry| {
                    entry.urgency.scheduled(at);
                    (entry.visited, entry.refusals, entry.reason, entry.place) = (at, 0, None, Place::Away);
                });
                actions.push(DeskAction::Propose(proposal));
                return Some(grant);
            }
            Visit::Gone(reason) => {
                self.queue.remove(id);
                actions.push(DeskAction::Explain { tablet: id, reason });
            }
            Visit::NotReady { ms } => {
                let until = at.plus(ms.min(LOOK_AGAIN_MS));
                self.explain(id, admit::not_ready(ms), actions);
                self.queue.update(id, |entry| {
                    (entry.visited, entry.place) = (at, Place::Later { until, after: After::Wait });
                });
            }
            Visit::Busy { reason, disks } => {
                self.explain(id, reason, actions);
                self.queue.update(id, |entry| {
                    entry.urgency.failed(at);
                    (entry.visited, entry.place) = (at, Place::Busy { disks });
                });
            }
            Visit::Refused(reason) => self.refuse(at, id, reason, actions),
        }
        None
    }

    /// Not now: it stands back, longer each time.
    pub(super) fn refuse(&mut self, at: Tick, tablet: TabletId, reason: Reason, actions: &mut Vec<DeskAction>) {
        // A load is over soon: it is not waited for longer and longer.
        let is_brief = matches!(reason, Reason::LoadCountsIt { .. });
        self.explain(tablet, reason, actions);
        self.queue.update(tablet, |entry| {
            entry.refusals = if is_brief { 1 } else { entry.refusals + 1 };
            entry.urgency.failed(at);
            let until = at.plus(backoff_ms(entry.refusals));
            (entry.visited, entry.place) = (at, Place::Later { until, after: After::Refusal });
        });
    }

    fn explain(&mut self, tablet: TabletId, reason: Reason, actions: &mut Vec<DeskAction>) {
        let Some(known) = self.queue.get(tablet) else { return };
        let is_news = known.reason.as_ref().map(Reason::code) != Some(reason.code());
        self.queue.update(tablet, |entry| entry.reason = Some(reason.clone()));
        if is_news {
            actions.push(DeskAction::Explain { tablet, reason });
        }
    }

    /// What may be looked at again: its time has come, a slot has freed, a disk has come.
    fn wake(&mut self, world: &World, at: Tick) {
        let ledger = self.ledger(world);
        self.queue.wake_due(at, VISITS_MAX);
        self.queue.wake_busy(|disk| ledger.free(disk, TaskType::Repair), &BTreeSet::new());
        let disks = world.disks.values().filter(|disk| {
            let refusal = target::place_refusal(world, disk).or_else(|| target::takes_nothing_new(world, disk));
            refusal.or_else(|| target::closed(world, disk)).is_none()
        });
        let usable: BTreeSet<DiskId> = disks.map(|disk| disk.id).collect();
        self.wake_refused |= !usable.is_subset(&self.usable);
        self.usable = usable;
        let is_same = self.knobs.as_ref().is_some_and(|known| Arc::ptr_eq(known, &world.knobs));
        if !is_same {
            self.wake_refused = true;
            self.knobs = Some(world.knobs.clone());
        }
        let pauses = world.leases.pauses();
        self.wake_refused |= !self.pauses.is_subset(&pauses);
        self.pauses = pauses;
        if self.wake_refused {
            self.wake_refused = !self.queue.wake_refused(VISITS_MAX);
        }
    }

    /// Ages a piece of the queue, and sets free what is marked away while nothing runs for it.
    fn walk(&mut self, world: &World, at: Tick) {
        let piece = self.queue.after(self.walked, WALK);
        self.walked = if piece.len() < WALK { None } else { piece.last().map(|entry| entry.tablet) };
        let mut changed = Vec::new();
        for entry in piece {
            let mut urgency = entry.urgency;
            let is_running = || world.tasks.contains_key(&entry.tablet) || self.flights.contains_key(&entry.tablet);
            let is_stranded = entry.place == Place::Away && !is_running();
            if is_stranded || (entry.place != Place::Away && urgency.aged(at)) {
                changed.push((entry.tablet, urgency, is_stranded));
            }
        }
        for (tablet, urgency, is_stranded) in changed {
            self.queue.update(tablet, |entry| {
                entry.urgency = urgency;
                if is_stranded {
                    entry.place = Place::Ready;
                }
            });
        }
    }

    fn end_tasks(&mut self, world: &World, at: Tick, actions: &mut Vec<DeskAction>) {
        self.cancels.retain(|_, since| at.since(*since) < FLIGHT_MS);
        for task in world.tasks.values() {
            if self.cancels.contains_key(&task.id) {
                continue;
            }
            if let Some(cause) = lifecycle::end_of(world, task, at) {
                self.cancels.insert(task.id, at);
                let (tablet, task) = (task.tablet, task.id);
                actions.push(DeskAction::Propose(Proposal::Cancel { tablet, task, cause }));
            }
        }
    }

    fn forget_lost_flights(&mut self, world: &World, at: Tick) {
        let shown = |tablet: &TabletId, flight: &Flight| {
            flight.task.is_some() && world.tasks.get(tablet).map(|task| task.id) == flight.task
        };
        self.flights.retain(|tablet, flight| !shown(tablet, flight) && at.since(flight.since) < FLIGHT_MS);
    }
}
