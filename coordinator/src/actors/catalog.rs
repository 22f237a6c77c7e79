//! The only writer of the world, and the one place where "durable before visible, visible before sent" is kept.
//!
//! ```text
//!            inbox (everything that happened while the batch before was being committed)
//!              │ turn: for each event: stamp, decide; its records are applied to the private world
//!              ▼
//!            batch ── its durable changes ──▶ store thread ──▶ committed
//!              │                                                   │
//!              └── orders, answers, ended tasks, dirty tablets ◀───┘  snapshot published first, then these, in order
//! ```
//!
//! One batch is under way at a time and takes all that waited for it: that is the group commit, and it makes the
//! private world equal to what is published. A batch without durable changes needs no commit, and cannot overtake one.
//! A failed commit ends the process. What to decide is the law book's; this file never looks into a change.

use super::dirty::Dirty;
use super::words::{Changed, CheckerReady, Close, Happened, Orders, TasksEnded, Told};
use crate::clock::Clock;
use crate::journal;
use crate::published::Published;
use crate::store::writer::{Committed, Writer};
use crate::telemetry;
use actix::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stele_common::{NodeId, Order, Tick, ToAgent};
use stele_coordinator_rules::world::{Outcome, Task};
use stele_coordinator_rules::{Action, Answer, Change, Event, EventBody, World, catalog};
use tokio::sync::{oneshot, watch};

/// Timeouts, evidence and collection are looked after this often. Ten times more costs a pass over running work for
/// nothing; ten times less would be seen in waits of one second.
const TICK: Duration = Duration::from_millis(100);
/// Events decided in one batch at most: a bound for how long readers wait for the next snapshot.
const BATCH_EVENTS_MAX: usize = 1_000;
/// Mailbox; senders wait beyond it.
const MAILBOX: usize = 256;

/// Where the Catalog's words go.
pub struct Outlets {
    pub published: watch::Sender<Arc<Published>>,
    pub orders: Recipient<Orders>,
    pub changed: Recipient<Changed>,
    pub ended: Recipient<TasksEnded>,
    /// Called when a commit failed; never returns in a process.
    pub on_failed_commit: Box<dyn Fn(String) + Send>,
}

/// Starts work: the neighbours are there. Answered like any event, once the leadership has begun.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Begin {
    pub outlets: Outlets,
    pub cluster_if_new: String,
    pub began: oneshot::Sender<Answer>,
}

pub struct Catalog {
    clock: Clock,
    world: World,
    /// The world as last published: what changes are held against.
    before: Arc<World>,
    writer: Option<Writer>,
    outlets: Option<Outlets>,
    inbox: VecDeque<Waiting>,
    turn_due: bool,
    committing: bool,
    dirty: Dirty,
    /// The Checker has taken in what it was given last.
    checker_ready: bool,
    closing: Option<oneshot::Sender<()>>,
    published: u64,
}

struct Waiting {
    body: EventBody,
    answer: Option<oneshot::Sender<Answer>>,
    since: Tick,
}

/// What waits for the commit.
#[derive(Default)]
struct Batch {
    /// Something was recorded: there is something new to be seen.
    is_news: bool,
    durable: Vec<Change>,
    orders: Vec<(NodeId, ToAgent)>,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    started: Vec<Task>,
    ended: Vec<(Task, Outcome)>,
}

impl Catalog {
    /// `world` is what the store's changes came to.
    pub fn new(clock: Clock, world: World, writer: Writer) -> Catalog {
        Catalog {
            clock,
            before: Arc::new(world.clone()),
            world,
            writer: Some(writer),
            outlets: None,
            inbox: VecDeque::new(),
            turn_due: false,
            committing: false,
            dirty: Dirty::default(),
            checker_ready: true,
            closing: None,
            published: 0,
        }
    }

    fn take_in(&mut self, body: EventBody, answer: Option<oneshot::Sender<Answer>>, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        self.inbox.push_back(Waiting { body, answer, since: self.clock.tick() });
        self.wake(ctx);
    }

    /// A turn comes after the messages that are in the mailbox already, so that they share its commit.
    fn wake(&mut self, ctx: &mut Context<Self>) {
        if !self.turn_due && !self.committing && !self.inbox.is_empty() && self.outlets.is_some() {
            self.turn_due = true;
            ctx.notify(Turn);
        }
    }

    fn turn(&mut self, ctx: &mut Context<Self>) {
        if self.writer.is_none() {
            return;
        }
        let (now, began) = (self.clock.tick(), Instant::now());
        let oldest = self.inbox.front().map_or(0, |waiting| now.since(waiting.since));
        metrics::gauge!("stele_catalog_queue_length").set(self.inbox.len() as f64);
        metrics::gauge!("stele_catalog_queue_oldest_seconds").set(oldest as f64 / 1000.0);
        let mut batch = Batch::default();
        for _ in 0..BATCH_EVENTS_MAX {
            let Some(waiting) = self.inbox.pop_front() else { break };
            self.decide(waiting, &mut batch);
        }
        metrics::histogram!("stele_turn_seconds").record(began.elapsed().as_secs_f64());
        if batch.durable.is_empty() {
            self.committed(batch, ctx);
            return;
        }
        let Some(writer) = &mut self.writer else { return };
        let commit = writer.append(std::mem::take(&mut batch.durable));
        self.committing = true;
        let waits = commit.into_actor(self).map(|committed, catalog, ctx| {
            catalog.committing = false;
            if catalog.holds(committed, "commit") {
                catalog.committed(batch, ctx);
            }
        });
        ctx.spawn(waits);
    }

    /// Decides one event; what it records is applied by then, everything else waits in the batch.
    fn decide(&mut self, waiting: Waiting, batch: &mut Batch) {
        let Waiting { body, answer: mut asker, .. } = waiting;
        metrics::counter!("stele_events_total", "kind" => telemetry::event_kind(&body)).increment(1);
        let event = Event { at: self.clock.tick(), wall_ms: self.clock.wall_ms(), body };
        for action in catalog::step(&mut self.world, &event) {
            match action {
                Action::Record(change) => self.record(change, batch),
                Action::Send { node, order } => {
                    telemetry::order_given(node, &order);
                    batch.orders.push((node, ToAgent::Order(Order { epoch: self.world.epoch, body: order })));
                }
                Action::AskFullReport { node } => {
                    batch.orders.push((node, ToAgent::SendFullReport { epoch: self.world.epoch }));
                }
                Action::Answer(answer) => {
                    if let Answer::Refused(reason) = &answer {
                        telemetry::explained(reason);
                    }
                    batch.answers.extend(asker.take().map(|asker| (asker, answer)));
                }
                Action::Explain(reason) => telemetry::explained(&reason),
            }
        }
        // Whoever waits must not wait for ever: an event that the law answers with nothing has been taken in.
        batch.answers.extend(asker.map(|asker| (asker, Answer::Done)));
    }

    fn record(&mut self, change: Change, batch: &mut Batch) {
        self.dirty.note(&self.before, &change);
        journal::recorded(&self.before, &change, self.clock.tick());
        batch.is_news = true;
        if let Change::TaskStarted { task } = &change {
            batch.started.push(task.clone());
        }
        if let Change::TaskEnded { tablet, task, outcome, .. } = &change {
            let known = self.before.tasks.get(tablet).filter(|running| running.id == *task).cloned();
            // Started and ended in one batch: no snapshot has shown it.
            let known = known.or_else(|| {
                let started = batch.started.iter();
                started.rev().find(|started| started.id == *task).cloned()
            });
            batch.ended.extend(known.map(|task| (task, outcome.clone())));
        }
        if change.is_durable() {
            batch.durable.push(change);
        }
    }

    /// Everything that the batch recorded is durable: now it may be seen, and acted on.
    fn committed(&mut self, batch: Batch, ctx: &mut Context<Self>) {
        if batch.is_news {
            self.publish();
        }
        let Some(outlets) = &self.outlets else { return };
        if !batch.orders.is_empty() {
            outlets.orders.do_send(Orders(batch.orders));
        }
        for (asker, answer) in batch.answers {
            // An asker that has gone away no longer wants to know.
            asker.send(answer).ok();
        }
        if !batch.ended.is_empty() {
            outlets.ended.do_send(TasksEnded(batch.ended));
        }
        self.feed_checker();
        self.compact(ctx);
        self.close_if_asked(ctx);
        self.wake(ctx);
    }

    fn publish(&mut self) {
        let Some(outlets) = &self.outlets else { return };
        let began = Instant::now();
        self.before = Arc::new(self.world.clone());
        metrics::histogram!("stele_publish_seconds").record(began.elapsed().as_secs_f64());
        self.published += 1;
        let (at, wall_ms) = (self.clock.tick(), self.clock.wall_ms());
        let published = Published { world: self.before.clone(), at, wall_ms, number: self.published };
        outlets.published.send_replace(Arc::new(published));
    }

    /// The Checker has at most one message under way; until it asks for more, the dirty ones gather here.
    fn feed_checker(&mut self) {
        let Some(outlets) = &self.outlets else { return };
        // Tablets of a batch in flight are dirty already; they must be checked on the snapshot that shows it.
        if self.checker_ready && !self.committing && !self.dirty.is_empty() {
            self.checker_ready = false;
            let (dirty, published) = (std::mem::take(&mut self.dirty), outlets.published.borrow().clone());
            outlets.changed.do_send(Changed { published, dirty });
        }
    }

    fn compact(&mut self, ctx: &mut Context<Self>) {
        let Some(writer) = &mut self.writer else { return };
        metrics::gauge!("stele_store_log_changes").set(writer.appended() as f64);
        if !writer.wants_snapshot() {
            return;
        }
        let kept = writer.snapshot(self.before.clone());
        ctx.spawn(kept.into_actor(self).map(|kept, catalog, _| {
            catalog.holds(kept, "compact");
        }));
    }

    /// False when the store failed: nothing may be told to anybody any more.
    fn holds(&mut self, answer: Result<Committed, oneshot::error::RecvError>, doing: &'static str) -> bool {
        let cause = match answer {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store thread has ended".to_string(),
        };
        tracing::error!(doing, cause, "the store failed: this process ends");
        self.writer = None;
        if let Some(outlets) = &self.outlets {
            (outlets.on_failed_commit)(cause);
        }
        false
    }

    fn close_if_asked(&mut self, ctx: &mut Context<Self>) {
        if self.committing || !self.inbox.is_empty() {
            return;
        }
        if let Some(done) = self.closing.take() {
            self.writer = None;
            done.send(()).ok();
            ctx.stop();
        }
    }
}

impl Actor for Catalog {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(TICK, |catalog, ctx| {
            // One that still waits says the same.
            if !catalog.inbox.iter().any(|waiting| matches!(waiting.body, EventBody::Tick)) {
                catalog.take_in(EventBody::Tick, None, ctx);
            }
        });
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Turn;

impl Handler<Turn> for Catalog {
    type Result = ();

    fn handle(&mut self, _: Turn, ctx: &mut Context<Self>) {
        self.turn_due = false;
        if !self.committing {
            self.turn(ctx);
        }
    }
}

impl Handler<Begin> for Catalog {
    type Result = ();

    fn handle(&mut self, begin: Begin, ctx: &mut Context<Self>) {
        self.outlets = Some(begin.outlets);
        let body = EventBody::Began { cluster_if_new: begin.cluster_if_new };
        // Before anything that came in while nobody led.
        self.inbox.push_front(Waiting { body, answer: Some(begin.began), since: self.clock.tick() });
        self.wake(ctx);
    }
}

impl Handler<Happened> for Catalog {
    type Result = ();

    fn handle(&mut self, happened: Happened, ctx: &mut Context<Self>) {
        self.take_in(happened.body, Some(happened.answer), ctx);
    }
}

impl Handler<Told> for Catalog {
    type Result = ();

    fn handle(&mut self, told: Told, ctx: &mut Context<Self>) {
        self.take_in(told.0, None, ctx);
    }
}

impl Handler<CheckerReady> for Catalog {
    type Result = ();

    fn handle(&mut self, _: CheckerReady, _: &mut Context<Self>) {
        self.checker_ready = true;
        self.feed_checker();
    }
}

impl Handler<Close> for Catalog {
    type Result = ();

    fn handle(&mut self, close: Close, ctx: &mut Context<Self>) {
        self.closing = Some(close.done);
        self.close_if_asked(ctx);
    }
}

#[cfg(test)]
mod tests;
