//! Runs the queue. In: verdicts from the Checker, ends of tasks from the Catalog. Out: proposals to the Catalog, which
//! decides them anew on its own world and answers each; views of the queue for the front.
//!
//! The Desk is the rule: it holds queue, proposals in flight and back-off. This file gives it time and
//! snapshots and carries its proposals; a proposal that was decided on an older tablet is refused by its revision.

use super::words::{
    BalanceNow, ExplainNode, ExplainTablet, Happened, ListBalance, ListTasks, Pending, SelectMoves, SumPending,
    TaskFilter, TasksEnded, Verdicts,
};
use crate::clock::Clock;
use crate::published::{Published, Snapshots};
use crate::telemetry;
use actix::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stele_common::{Priority, TabletId, api};
use stele_coordinator_rules::balance::moves::Scope;
use stele_coordinator_rules::schedule::{Desk, DeskAction, DeskEvent};
use stele_coordinator_rules::{Answer, EventBody, Proposal, Reason, explain};
use tokio::sync::oneshot;

/// A round when nothing happened; timeouts and waits have no event of their own.
const TICK: Duration = Duration::from_millis(100);
/// After something happened, so much time for its neighbours to come too: one round serves them all.
const DEBOUNCE: Duration = Duration::from_millis(2);
/// Proposals that the Catalog decides at once. Each batch of them shares a commit; more would only wait there.
const IN_FLIGHT_MAX: usize = 64;

pub struct Scheduler {
    clock: Clock,
    snapshots: Snapshots,
    desk: Desk,
    catalog: Recipient<Happened>,
    balancer: Recipient<SelectMoves>,
    waiting: VecDeque<Proposal>,
    in_flight: usize,
    round_due: bool,
}

impl Scheduler {
    pub fn new(
        clock: Clock,
        snapshots: Snapshots,
        desk: Desk,
        catalog: Recipient<Happened>,
        balancer: Recipient<SelectMoves>,
    ) -> Scheduler {
        Scheduler {
            clock,
            snapshots,
            desk,
            catalog,
            balancer,
            waiting: VecDeque::new(),
            in_flight: 0,
            round_due: false,
        }
    }

    fn step(&mut self, event: DeskEvent, ctx: &mut Context<Self>) {
        let published = self.snapshots.borrow().clone();
        self.step_on(&published, event, ctx);
    }

    fn step_on(&mut self, published: &Published, event: DeskEvent, ctx: &mut Context<Self>) {
        for action in self.desk.step(&published.world, self.clock.tick(), event) {
            match action {
                DeskAction::Propose(proposal) => self.waiting.push_back(proposal),
                DeskAction::AskMoves { scope, limit } => self.ask_moves(published, scope, limit, ctx),
                DeskAction::Explain { tablet, reason } => {
                    telemetry::explained(&reason);
                    tracing::debug!(tablet = %tablet, reason = reason.code(), "waits");
                }
            }
        }
        self.propose(ctx);
    }

    /// The planner thinks on its own arbiter; its answer is one more event.
    fn ask_moves(&mut self, published: &Published, scope: Scope, limit: usize, ctx: &mut Context<Self>) {
        let select = self.balancer.send(SelectMoves { published: Arc::new(published.clone()), scope, limit });
        ctx.spawn(select.into_actor(self).map(|answer, scheduler, ctx| {
            // No answer: the process is ending.
            let Ok(answer) = answer else { return };
            scheduler.step(DeskEvent::Moves(answer), ctx);
            scheduler.round_soon(ctx);
        }));
    }

    fn propose(&mut self, ctx: &mut Context<Self>) {
        while self.in_flight < IN_FLIGHT_MAX {
            let Some(proposal) = self.waiting.pop_front() else { return };
            let (tablet, kind) = (proposal.tablet(), telemetry::proposal_kind(&proposal));
            self.in_flight += 1;
            let (answer, answered) = oneshot::channel();
            let sent = self.catalog.send(Happened { body: EventBody::Propose(proposal), answer });
            let told = async move { sent.await.ok().and(answered.await.ok()) };
            ctx.spawn(told.into_actor(self).map(move |answer, scheduler, ctx| {
                scheduler.in_flight -= 1;
                // No answer: the Catalog has ended, and the process with it.
                if let Some(answer) = answer {
                    scheduler.answered(tablet, kind, answer, ctx);
                }
            }));
        }
    }

    fn answered(&mut self, tablet: TabletId, kind: &'static str, answer: Answer, ctx: &mut Context<Self>) {
        let answer: Result<_, Reason> = match answer {
            Answer::Started(task) => Ok(task),
            Answer::Refused(reason) => Err(reason),
            // A cancelled task answers so; its end comes as an end of a task.
            Answer::Done
            | Answer::Handshake(_)
            | Answer::Table(_)
            | Answer::Load(_)
            | Answer::Verification(_)
            | Answer::Evacuation(_)
            | Answer::Undrained(_)
            | Answer::Removal(_)
            | Answer::Plan(_)
            | Answer::Lease(_) => {
                return self.propose(ctx);
            }
        };
        let (result, reason) = answer.as_ref().map_or_else(|reason| ("refused", reason.code()), |_| ("started", ""));
        metrics::counter!("stele_decisions_total", "kind" => kind, "result" => result, "reason" => reason).increment(1);
        self.step(DeskEvent::Answered { tablet, answer }, ctx);
        self.round_soon(ctx);
    }

    fn round_soon(&mut self, ctx: &mut Context<Self>) {
        if !self.round_due {
            self.round_due = true;
            ctx.run_later(DEBOUNCE, |scheduler, ctx| scheduler.round(ctx));
        }
    }

    fn round(&mut self, ctx: &mut Context<Self>) {
        self.round_due = false;
        let began = Instant::now();
        self.step(DeskEvent::Round, ctx);
        metrics::histogram!("stele_round_seconds").record(began.elapsed().as_secs_f64());
        metrics::gauge!("stele_proposals_waiting").set((self.waiting.len() + self.in_flight) as f64);
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(TICK, |scheduler, ctx| scheduler.round(ctx));
    }
}

impl Handler<Verdicts> for Scheduler {
    type Result = ();

    fn handle(&mut self, Verdicts { published, verdicts }: Verdicts, ctx: &mut Context<Self>) {
        self.step_on(&published, DeskEvent::Verdicts(verdicts), ctx);
        self.round_soon(ctx);
    }
}

impl Handler<TasksEnded> for Scheduler {
    type Result = ();

    fn handle(&mut self, TasksEnded(ended): TasksEnded, ctx: &mut Context<Self>) {
        for (task, outcome) in ended {
            self.step(DeskEvent::Ended { task, outcome }, ctx);
        }
        self.round_soon(ctx);
    }
}

impl Handler<ExplainTablet> for Scheduler {
    type Result = MessageResult<ExplainTablet>;

    fn handle(&mut self, ExplainTablet(tablet): ExplainTablet, _: &mut Context<Self>) -> Self::Result {
        let (published, at) = (self.snapshots.borrow().clone(), self.clock.tick());
        MessageResult(explain::tablet(&published.world, &self.desk, tablet, at, self.clock.wall_ms()))
    }
}

impl Handler<ExplainNode> for Scheduler {
    type Result = MessageResult<ExplainNode>;

    fn handle(&mut self, ExplainNode(node): ExplainNode, _: &mut Context<Self>) -> Self::Result {
        let published = self.snapshots.borrow().clone();
        MessageResult(explain::node(&published.world, &self.desk, node, self.clock.tick()))
    }
}

impl Handler<ListBalance> for Scheduler {
    type Result = MessageResult<ListBalance>;

    fn handle(&mut self, _: ListBalance, _: &mut Context<Self>) -> Self::Result {
        let (published, balancing) = (self.snapshots.borrow().clone(), self.desk.balancing());
        MessageResult(BalanceNow {
            idle: balancing.idle().cloned(),
            running: self.desk.moves_under_way(&published.world) as u64,
            waiting: balancing.waiting().count() as u64,
            done: balancing.done,
            scope: self.desk.balance_scope(&published.world, self.clock.tick()),
        })
    }
}

impl Handler<SumPending> for Scheduler {
    type Result = MessageResult<SumPending>;

    fn handle(&mut self, _: SumPending, _: &mut Context<Self>) -> Self::Result {
        let oldest = explain::oldest_sick(&self.desk, self.clock.tick());
        let mut by_priority: BTreeMap<Priority, u64> = BTreeMap::new();
        self.desk.pending().for_each(|entry| *by_priority.entry(entry.urgency.now).or_default() += 1);
        let (world, balancing) = (&self.snapshots.borrow().world, self.desk.balancing());
        let is_busy = self.desk.moves_under_way(world) > 0 || balancing.waiting().next().is_some();
        let idle = balancing.idle().filter(|_| !is_busy).map(Reason::code);
        MessageResult(Pending { tasks: by_priority.values().sum(), by_priority, idle, oldest })
    }
}

impl Handler<ListTasks> for Scheduler {
    type Result = MessageResult<ListTasks>;

    fn handle(&mut self, ListTasks { which, skip, limit }: ListTasks, _: &mut Context<Self>) -> Self::Result {
        let (published, at) = (self.snapshots.borrow().clone(), self.clock.tick());
        let world = &*published.world;
        // Its entry stays in the queue's book while a task runs.
        let running = || {
            explain::running_tasks(world, at).map(|task| {
                let queue = self.desk.entry(task.tablet).map(|entry| explain::queue_info(entry, at));
                api::TaskInfo { queue, ..task }
            })
        };
        let pending = || explain::pending_tasks(world, &self.desk, at);
        MessageResult(match which {
            TaskFilter::Open => running().chain(pending()).skip(skip).take(limit).collect(),
            TaskFilter::Running => running().skip(skip).take(limit).collect(),
            TaskFilter::Pending => pending().skip(skip).take(limit).collect(),
            TaskFilter::History => explain::history_tasks(world, self.clock.wall_ms()).skip(skip).take(limit).collect(),
        })
    }
}
