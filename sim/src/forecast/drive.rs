//! The loop: what is next happens, the catalog hears of it, verdicts and rounds follow, orders go out. As the shells
//! do it, but in one thread and with the answer at once.

use super::curve::SAMPLES;
use super::{Forecast, Next};
use crate::mutant::{bent, straighten};
use std::collections::BTreeSet;
use stele_common::{BootId, NodeId};
use stele_coordinator_rules::balance::selection::select;
use stele_coordinator_rules::roster::RosterEvent;
use stele_coordinator_rules::schedule::{DeskAction, DeskEvent};
use stele_coordinator_rules::world::{Outcome, Task, Work};
use stele_coordinator_rules::{Action, Answer, Change, Event, EventBody, catalog};

/// A step while something is to be done, as the shells' 100 ms; and while nothing is.
const BUSY_MS: u64 = 100;
const IDLE_MS: u64 = 500;
/// A piece of everything is looked at again this often.
const SWEEP_MS: u64 = 60_000;
/// Agents tell how far their copies are this often.
const PROGRESS_MS: u64 = 5_000;

impl Forecast {
    pub(super) fn begin(&mut self) {
        let alive: Vec<(NodeId, BootId)> =
            self.hosts.values().filter(|host| host.alive).map(|host| (host.node, host.boot)).collect();
        for (node, boot) in alive {
            self.roster(RosterEvent::Connected { node, boot });
        }
        self.adopt_running();
        for index in 0..self.plan.happenings.len() {
            self.queue.put(self.plan.happenings[index].0, Next::Happens(index));
        }
        self.queue.put(0, Next::Step);
        self.queue.put(0, Next::Sample);
        self.queue.put(SWEEP_MS, Next::Sweep);
        self.queue.put(PROGRESS_MS, Next::Progress);
    }

    /// Copies that the world says are running: their agents, who know nothing of them, tell what they have, and are
    /// given the order again.
    fn adopt_running(&mut self) {
        let copies = self.world.tasks.values().filter_map(|task| match &task.work {
            Work::Clone { node, .. } => Some(*node),
            Work::Delete { .. } => None,
        });
        let nodes: BTreeSet<NodeId> = copies.collect();
        nodes.into_iter().for_each(|node| self.tell_all(node));
    }

    /// Until this moment of virtual time.
    pub fn run_until(&mut self, end: u64) {
        while let Some(at) = self.queue.due() {
            if at > end {
                break;
            }
            let Some((at, next)) = self.queue.next() else { break };
            self.now = self.now.max(at);
            self.happen(next);
        }
        self.now = self.now.max(end);
        self.reckon_copies();
    }

    fn happen(&mut self, next: Next) {
        match next {
            Next::Step => {
                self.step();
                let is_busy = !self.world.tasks.is_empty() || !self.ill.is_empty() || !self.dirty.is_empty();
                self.queue.put(self.now + if is_busy { BUSY_MS } else { IDLE_MS }, Next::Step);
            }
            Next::Sweep => {
                self.sweep();
                self.queue.put(self.now + SWEEP_MS, Next::Sweep);
            }
            Next::Sample => {
                self.sample();
                let every = (self.plan.for_ms / SAMPLES).max(1);
                self.queue.put(self.now + every, Next::Sample);
            }
            Next::Happens(index) => {
                let happening = self.plan.happenings[index].1.clone();
                self.happens(&happening);
            }
            Next::Order { node, order } => self.obey(node, order),
            Next::Say { node, boot, kind, facts } => self.said(node, boot, kind, facts),
            Next::CopyEnds { generation } if generation == self.copies.generation => {
                self.reckon_copies();
                for task in self.copies.finished() {
                    self.install(task);
                }
                self.expect_end();
            }
            Next::CopyEnds { .. } => {}
            Next::Progress => {
                self.tell_progress();
                self.queue.put(self.now + PROGRESS_MS, Next::Progress);
            }
            Next::Restart(node) => self.revive(node),
        }
    }

    /// Beats are counted, the catalog looks at its clock, verdicts for what changed, a round of the desk.
    fn step(&mut self) {
        let alive: Vec<(NodeId, BootId)> =
            self.hosts.values().filter(|host| host.alive).map(|host| (host.node, host.boot)).collect();
        for (node, boot) in alive {
            self.roster(RosterEvent::Beat { node, boot });
        }
        self.roster(RosterEvent::Tick);
        self.coordinate(EventBody::Tick);
        self.check_dirty();
        self.desk(DeskEvent::Round);
    }

    pub(super) fn roster(&mut self, event: RosterEvent) {
        let (at, knobs) = (self.at(), self.world.knobs.clone());
        for (node, liveness) in self.roster.step(at, &knobs, event) {
            let is_news = self.world.nodes.get(&node).is_some_and(|known| known.liveness != liveness);
            if is_news {
                self.line(format!("node {node} is {liveness}"));
            }
            self.coordinate(EventBody::NodeTurned { node, liveness });
        }
    }

    /// One event through the catalog.
    pub fn coordinate(&mut self, body: EventBody) -> Vec<Answer> {
        let event = Event { at: self.at(), wall_ms: self.at().0, body };
        let actions = catalog::step(&mut self.world, &event);
        let mut answers = Vec::new();
        for action in actions {
            match action {
                Action::Record(change) => self.recorded(&change),
                Action::Send { node, order } => {
                    let after = 1 + self.rng.below(5);
                    self.queue.put(self.now + after, Next::Order { node, order });
                }
                Action::AskFullReport { node } => self.tell_all(node),
                Action::Answer(answer) => answers.push(answer),
                Action::Explain(_) => {}
            }
        }
        answers
    }

    fn recorded(&mut self, change: &Change) {
        self.note_dirty(change);
        self.hold(change);
        match change {
            Change::TaskStarted { task } => {
                self.running.insert(task.tablet, task.clone());
                self.task_line(|| started_text(task));
            }
            Change::TaskEnded { tablet, task, outcome, .. } => {
                let Some(ended) = self.running.get(tablet).filter(|found| found.id == *task).cloned() else { return };
                self.running.remove(tablet);
                self.ended(ended, outcome.clone());
            }
            _ => {}
        }
    }

    fn ended(&mut self, task: Task, outcome: Outcome) {
        match (&outcome, &task.work) {
            (Outcome::Finished { .. }, Work::Clone { fresh, .. }) => {
                self.told.moves += u64::from(*fresh);
                self.task_line(|| format!("task {}: tablet {} has its copy", task.id, task.tablet));
            }
            (Outcome::Finished { .. }, Work::Delete { replica, .. }) => {
                self.task_line(|| format!("task {}: replica {replica} of tablet {} left", task.id, task.tablet));
            }
            (Outcome::Cancelled { cause }, _) => {
                self.task_line(|| format!("task {} on tablet {} ended: {cause}", task.id, task.tablet));
            }
        }
        self.desk(DeskEvent::Ended { task, outcome });
    }

    pub(super) fn desk_verdicts(
        &mut self,
        verdicts: Vec<(stele_common::TabletId, stele_coordinator_rules::checkup::Verdict)>,
    ) {
        if !verdicts.is_empty() {
            self.desk(DeskEvent::Verdicts(verdicts));
        }
    }

    fn desk(&mut self, event: DeskEvent) {
        let at = self.at();
        let bent = bent(self.mutant, &self.world);
        let actions = self.desk.step(bent.as_ref().unwrap_or(&self.world), at, event);
        for action in actions {
            let mut proposal = match action {
                DeskAction::Propose(proposal) => proposal,
                DeskAction::AskMoves { scope, limit } => {
                    let answer = select(&self.world, &scope, limit);
                    self.desk(DeskEvent::Moves(answer));
                    continue;
                }
                DeskAction::Explain { .. } => continue,
            };
            if bent.is_some() {
                proposal = straighten(proposal, &self.world);
            }
            let tablet = proposal.tablet();
            for answer in self.coordinate(EventBody::Propose(proposal)) {
                let answer = match answer {
                    Answer::Started(task) => Ok(task),
                    Answer::Refused(reason) => Err(reason),
                    _ => continue,
                };
                self.desk(DeskEvent::Answered { tablet, answer });
            }
        }
    }
}

fn started_text(task: &Task) -> String {
    let Task { id, tablet, status, priority, .. } = task;
    match &task.work {
        Work::Clone { replica, source_node, node, disk, .. } => format!(
            "task {id} ({status}, {priority}): tablet {tablet} from node {source_node} to node {node} disk {disk}, replica {replica}"
        ),
        Work::Delete { replica, node, .. } => {
            format!("task {id} ({status}, {priority}): replica {replica} of tablet {tablet} is to leave node {node}")
        }
    }
}
