//! Tables of worlds and what the desk proposes. The Catalog is played by [`Shop`]: it takes every proposal.

use super::*;
use crate::change::Change;
use crate::event::Target;
use crate::sample::{REPLICA_BYTES, Sample};
use crate::world::Work;
use stele_common::{Liveness, LoadId, NodeId, Priority, ReplicaId, ReplicaState, TabletStatus, TaskType, Version};

mod balance;
mod full_disk;
mod held;
pub mod house;
mod moves;
mod one;
mod places;
mod repair;
mod rows;
mod stories;
mod waiting;

/// A sample, a desk, and a Catalog that says yes.
pub struct Shop {
    pub sample: Sample,
    pub desk: Desk,
}

impl Shop {
    /// A table of `tablets` tablets, three replicas each, all at version 1.
    pub fn new(hosts: u64, disks: u64, tablets: u32) -> (Shop, Vec<TabletId>) {
        let mut sample = Sample::new(hosts, disks);
        let ids = sample.table(3, tablets);
        ids.iter().for_each(|tablet| _ = sample.load_all(*tablet));
        (Shop { sample, desk: Desk::new() }, ids)
    }

    pub fn step(&mut self, event: DeskEvent) -> Vec<DeskAction> {
        self.desk.step(&self.sample.world, self.sample.at, event)
    }

    /// What the checker says of everything, then a round: its proposals.
    pub fn round(&mut self) -> Vec<Proposal> {
        let (world, at) = (&self.sample.world, self.sample.at);
        let verdicts = world.tablets.iter().map(|tablet| (tablet.id, verdict(world, tablet, at))).collect();
        self.step(DeskEvent::Verdicts(verdicts));
        proposals(self.step(DeskEvent::Round))
    }

    pub fn pass(&mut self, ms: u64) {
        self.sample.at = self.sample.at.plus(ms);
    }

    /// Does what a Catalog does that accepts everything, and answers.
    pub fn accept(&mut self, proposal: &Proposal) {
        let id = TaskId(self.sample.id());
        let (tablet, status, priority, work) = match proposal {
            Proposal::Cancel { tablet, cause, .. } => {
                let task = self.sample.world.tasks[tablet].clone();
                return self.end(task, Outcome::Cancelled { cause: cause.clone() });
            }
            Proposal::Turn(turn) => {
                let (tablet, replica, ballot) =
                    (turn.tablet, Some(turn.to), self.sample.world.next_ballot(turn.tablet));
                return self.sample.apply(Change::PrimaryChosen { tablet, replica, ballot });
            }
            Proposal::Clone { tablet, status, priority, source, target, .. } => {
                (*tablet, *status, *priority, self.clone_work(*tablet, *source, *target))
            }
            Proposal::Move { mv, .. } => {
                let target = Target::NewOn { node: mv.to_node, disk: mv.to };
                let mut work = self.clone_work(mv.tablet, mv.replica, target);
                if let Work::Clone { replaces, .. } = &mut work {
                    *replaces = Some(mv.replica);
                }
                (mv.tablet, TabletStatus::Healthy, Priority::Low, work)
            }
            Proposal::Delete { tablet, status, priority, victim, .. } => {
                let node = self.sample.replica(*tablet, *victim).node;
                let work = Work::Delete { replica: *victim, node, nonce: 1, watermark: LoadId(0) };
                (*tablet, *status, *priority, work)
            }
        };
        let now = self.sample.at;
        let task = Task {
            id,
            tablet,
            status,
            priority,
            task_type: if matches!(proposal, Proposal::Move { .. }) { TaskType::Balance } else { TaskType::Repair },
            work,
            started: now,
            bytes_done: 0,
            bytes_total: 0,
            progressed: now,
            agent_done: false,
            timeout_ms: self.sample.world.knobs.task_timeout_ms(REPLICA_BYTES),
        };
        self.sample.apply(Change::TaskStarted { task });
        // The store knows no clock: what is volatile comes by progress.
        self.sample.apply(Change::TaskProgressed { tablet, task: id, bytes_done: 1, bytes_total: 2, at: now });
        self.step(DeskEvent::Answered { tablet, answer: Ok(id) });
    }

    fn clone_work(&mut self, tablet: TabletId, source: ReplicaId, target: Target) -> Work {
        let (replica, fresh, replaces) = match target {
            Target::Existing(replica) => (replica, false, None),
            Target::NewOn { disk, .. } => (self.sample.replica_on(tablet, disk, ReplicaState::Clone), true, None),
            Target::Beside { old, disk } => {
                (self.sample.replica_on(tablet, disk, ReplicaState::Clone), true, Some(old))
            }
        };
        let (made, from) = (self.sample.replica(tablet, replica), self.sample.replica(tablet, source));
        Work::Clone {
            replica,
            node: made.node,
            disk: made.disk,
            fresh,
            source,
            source_node: from.node,
            source_disk: from.disk,
            version: self.sample.tablet(tablet).committed,
            replaces,
        }
    }

    /// The running task of a tablet succeeds.
    pub fn finish(&mut self, tablet: TabletId) {
        let task = self.sample.world.tasks[&tablet].clone();
        match &task.work {
            Work::Clone { replica, version, .. } => {
                let (replica, ballot) = (*replica, self.sample.tablet(tablet).ballot.next());
                self.sample.see(tablet, replica, *version);
                self.sample.apply(Change::ReplicaGood { tablet, replica, version: *version });
                let state = ReplicaState::Normal;
                self.sample.apply(Change::ReplicaTurned { tablet, replica, state, ballot });
            }
            Work::Delete { replica, .. } => self.sample.forget(tablet, *replica),
        }
        self.end(task, Outcome::Finished { evidence: None });
    }

    pub fn fail(&mut self, tablet: TabletId) {
        let task = self.sample.world.tasks[&tablet].clone();
        self.end(task, Outcome::Cancelled { cause: Reason::AgentFailed { detail: "refused".into() } });
    }

    fn end(&mut self, task: Task, outcome: Outcome) {
        let tablet = task.tablet;
        if let (Work::Clone { replica, fresh: true, .. }, Outcome::Cancelled { .. }) = (&task.work, &outcome) {
            self.sample.forget(tablet, *replica);
        }
        self.sample.apply(Change::TaskEnded {
            tablet,
            task: task.id,
            outcome: outcome.clone(),
            end: Default::default(),
        });
        self.step(DeskEvent::Ended { task, outcome });
    }

    pub fn lose(&mut self, node: NodeId) {
        self.sample.turn(node, Liveness::Lost);
    }

    fn reason(&self, tablet: TabletId) -> Option<&'static str> {
        self.desk.entry(tablet)?.reason.as_ref().map(Reason::code)
    }
}

pub fn proposals(actions: Vec<DeskAction>) -> Vec<Proposal> {
    let proposals = actions.into_iter().filter_map(|action| match action {
        DeskAction::Propose(proposal) => Some(proposal),
        DeskAction::AskMoves { .. } | DeskAction::Explain { .. } => None,
    });
    proposals.collect()
}
