//! A decision in the making: what one event brings about, step by step.
//!
//! Each record is applied as it is written, so that the next line of a rule sees it; the list keeps the order. Two
//! promises are kept here for every rule: under a level that forbids orders none leaves, and a ballot that moves
//! ends the load that was opened under the old one.

use super::loads;
use crate::world::{Outcome, Task, TaskEnd};
use crate::{Action, Answer, Change, Event, Reason, World, level};
use stele_common::status::Level;
use stele_common::{NodeId, OrderBody, TabletId, Tick};

/// Ids reserved at once: one durable record a thousand ids; a restart burns what is left of it.
const ID_BLOCK: u64 = 1_000;

pub(crate) struct Draft<'a> {
    pub world: &'a mut World,
    pub at: Tick,
    /// Wall clock; shown and used to forget results.
    pub wall_ms: u64,
    actions: Vec<Action>,
}

impl<'a> Draft<'a> {
    pub fn new(world: &'a mut World, event: &Event) -> Draft<'a> {
        Draft { world, at: event.at, wall_ms: event.wall_ms, actions: Vec::new() }
    }

    pub fn into_actions(self) -> Vec<Action> {
        self.actions
    }

    /// Applies a change and writes it down.
    pub fn record(&mut self, change: Change) {
        let tablet = change.tablet();
        let before = tablet.and_then(|id| self.ballot(id));
        self.world.apply(&change);
        self.actions.push(Action::Record(change));
        if let Some(id) = tablet
            && self.ballot(id) != before
        {
            loads::ballot_moved(self, id);
        }
    }

    /// A running task is over; what it took goes on record with it.
    pub fn end_task(&mut self, task: &Task, outcome: Outcome) {
        let end = TaskEnd {
            wall_ms: self.wall_ms,
            took_ms: self.at.since(task.started.max(self.world.began)),
            bytes_done: task.bytes_done,
            bytes_total: task.bytes_total,
        };
        self.record(Change::TaskEnded { tablet: task.tablet, task: task.id, outcome, end });
    }

    fn ballot(&self, tablet: TabletId) -> Option<stele_common::Ballot> {
        self.world.tablets.get(tablet).map(|tablet| tablet.ballot)
    }

    /// Orders something, unless the level forbids orders.
    pub fn send(&mut self, node: NodeId, order: OrderBody) {
        if !self.is_blind() {
            self.actions.push(Action::Send { node, order });
        }
    }

    /// Whether nothing may be ordered and nothing learned may become durable.
    pub fn is_blind(&self) -> bool {
        match level::allowed(self.world) {
            Level::Stopped | Level::Blind => true,
            Level::Freezed | Level::Steady | Level::Lively => false,
        }
    }

    pub fn ask_full_report(&mut self, node: NodeId) {
        self.actions.push(Action::AskFullReport { node });
    }

    pub fn answer(&mut self, answer: Answer) {
        self.actions.push(Action::Answer(answer));
    }

    pub fn explain(&mut self, reason: Reason) {
        self.actions.push(Action::Explain(reason));
    }

    /// The first of `count` fresh ids in a row. Their reservation is a record before any record that uses them.
    pub fn take_ids(&mut self, count: u64) -> u64 {
        if self.world.next_id + count > self.world.reserved_id {
            let end = self.world.next_id.max(self.world.reserved_id) + count + ID_BLOCK;
            self.record(Change::IdsReserved { end });
        }
        let first = self.world.next_id;
        self.record(Change::IdsIssued { next: first + count });
        assert!(first + count <= self.world.reserved_id, "ids {first}+{count} beyond {}", self.world.reserved_id);
        first
    }

    pub fn take_id(&mut self) -> u64 {
        self.take_ids(1)
    }

    /// Whether a moment that comes every `period_ms` after `since` lies between the last housekeeping and now.
    pub fn comes_round(&self, since: Tick, period_ms: u64) -> bool {
        self.at.since(since) / period_ms > self.world.ticked.since(since) / period_ms
    }
}
