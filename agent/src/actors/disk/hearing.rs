//! What a Disk actor hears, and what it makes of it before the law book is asked: happenings, ends of jobs, looks at the
//! directory, a directory that came back, a fence. In: messages. Out: events for [`Disk::step`].

use super::{Disk, URGENT_NEWS_MS};
use crate::actors::messages::{Fence, Happened, JobDone, Probed, Returned};
use crate::actors::ops;
use crate::lanes::Lane;
use crate::telemetry;
use actix::fut::WrapFuture as _;
use actix::{ActorFutureExt as _, AsyncContext as _, Context, Handler};
use std::sync::Arc;
use stele_agent_rules::event::EventBody;
use stele_agent_rules::{Op, OpFailure, OpResult};
use stele_common::{DiskState, Epoch, TaskFailure};

impl Disk {
    /// An order of an epoch that this disk has not seen: first the epoch is durable, then the order is looked at.
    fn follow_new_epoch(&mut self, epoch: Epoch, body: EventBody, context: &mut Context<Disk>) {
        // ONLINE: it is open.
        let Some(dir) = self.dir.clone() else { return self.step(body, context) };
        let saving = actix_rt::task::spawn_blocking(move || dir.save_epoch(epoch));
        // Nothing else is handled meanwhile: an order of the old epoch must not slip in between.
        context.wait(saving.into_actor(self).map(move |saved, disk, context| {
            let failed = match saved {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            match failed {
                None => {
                    disk.face.set_epoch(epoch);
                    disk.step(body, context);
                }
                Some(cause) => {
                    disk.turn(DiskState::Suspect, Some(format!("cannot store epoch {epoch}: {cause}")), context);
                }
            }
        }));
    }
}

impl Handler<Happened> for Disk {
    type Result = ();

    fn handle(&mut self, Happened(body): Happened, context: &mut Context<Disk>) {
        if let EventBody::FoundDamaged { replica, cause } = &body {
            metrics::counter!(telemetry::DAMAGED, "by" => "reader").increment(1);
            tracing::warn!(%replica, disk = %self.book.disk, reason = %cause, "replica is damaged");
        }
        if let EventBody::Order(order) = &body
            && order.epoch > self.book.epoch
            && self.book.state == DiskState::Online
        {
            self.follow_new_epoch(order.epoch, body, context);
        } else {
            self.step(body, context);
        }
    }
}

impl Handler<JobDone> for Disk {
    type Result = ();

    fn handle(&mut self, JobDone { op, mut result, gone }: JobDone, context: &mut Context<Disk>) {
        let lane = Lane::of(&op);
        let running = self.running.entry(lane).or_default();
        *running = running.saturating_sub(1);
        metrics::counter!(telemetry::JOBS, "lane" => lane.name()).increment(1);
        if let Op::Fetch { order, .. } = &op {
            self.gauges.remove(&order.task);
        }
        if let Op::Verify { replica, .. } = &op {
            self.readings.remove(replica);
        }
        if let Op::Verify { replica, .. } = &op
            && matches!(result, OpResult::Verified { .. } | OpResult::Damaged { .. })
        {
            let size = self.book.replicas.get(replica).map_or(0, |held| held.size);
            metrics::counter!(telemetry::SCRUBBED_BYTES).increment(size);
        }
        if let OpResult::Failed(failure) = &mut result {
            metrics::counter!(telemetry::JOBS_FAILED, "lane" => lane.name()).increment(1);
            if let Some(cause) = gone {
                self.turn(DiskState::Unavailable, Some(cause), context);
                // A directory that was moved away has not failed: it may come back as good as it was.
                if let OpFailure::Disk { detail } = failure {
                    let detail = std::mem::take(detail);
                    *failure = match &op {
                        Op::Fetch { .. } => OpFailure::Copy(TaskFailure::Disk { detail }),
                        _ => OpFailure::NotFound,
                    };
                }
            }
        }
        ops::count(self.book.disk, &op, &result);
        self.step(EventBody::Done { op, result }, context);
    }
}

impl Handler<Probed> for Disk {
    type Result = ();

    fn handle(&mut self, Probed { result, space }: Probed, context: &mut Context<Disk>) {
        self.looked = self.parts.clock.now();
        if let Some((space, device)) = space {
            self.measured(space, device, context);
        }
        if let Err(cause) = result
            && self.book.state != DiskState::Unavailable
        {
            self.turn(DiskState::Unavailable, Some(cause), context);
        }
    }
}

impl Handler<Returned> for Disk {
    type Result = ();

    fn handle(&mut self, Returned { dir, mut book }: Returned, context: &mut Context<Disk>) {
        if self.book.state != DiskState::Unavailable || self.fenced.is_some() {
            return;
        }
        book.epoch = book.epoch.max(self.book.epoch);
        // Whether it is trusted again is the law book's: one that failed in this boot stays SUSPECT.
        book.state = DiskState::Unavailable;
        book.suspected = self.book.suspected.take();
        // What was ordered and not begun is ordered again by the coordinator, from the report that follows.
        self.waiting = Default::default();
        self.book = book;
        dir.set_pace(self.parts.pace);
        self.dir = Some(Arc::clone(&dir));
        self.face.set_dir(Some(dir));
        self.turn(DiskState::Online, None, context);
        self.show_all();
        self.news_in(URGENT_NEWS_MS, context);
    }
}

impl Handler<Fence> for Disk {
    type Result = ();

    fn handle(&mut self, Fence(cause): Fence, context: &mut Context<Disk>) {
        if self.fenced == cause {
            return;
        }
        self.fenced.clone_from(&cause);
        // Without a fence the watch opens the directory anew, which ends the state.
        let cause = cause.unwrap_or_else(|| "let in again; reading the directory".to_string());
        self.turn(DiskState::Unavailable, Some(cause), context);
    }
}
