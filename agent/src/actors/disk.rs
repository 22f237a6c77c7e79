//! The Disk actor: the only owner of one disk's `Book`. In: orders, ends of ops, staged loads, pins, looks at the
//! directory. Out: jobs to the disk's lanes, news to the reporter, views to the shelf. It asks the law book
//! (`agent/rules`) for every decision and makes none; it never blocks and never touches the disk itself.
//!
//! ```text
//! order ─▶ epoch durable? ─▶ rules::handle(&mut book, event) ─▶ Do(op) ─▶ own list ─▶ lane ─▶ JobDone ─┐
//!                                  ▲                                                                    │
//!                                  └────────────────────────────────────────────────────────────────────┘
//!          after each event: shelf view at once; news after 20 ms, or after 1 ms when someone waits for it
//! ```

mod hearing;

use crate::actors::ops;
use crate::actors::reporter::DiskNews;
use crate::actors::scrubber::{Memory, Scrubber};
use crate::clock::Clock;
use crate::disk::DiskDir;
use crate::lanes::{CopyGauge, Job, Lane, Lanes};
use crate::net::peer_client::TcpPeers;
use crate::pace::Pacer;
use crate::shelf::{OpenDisk, Shelf, View};
use crate::telemetry;
use crate::watch::{self, Command, DiskPlace, Listener};
use actix::{Actor, AsyncContext as _, Context, Recipient, SpawnHandle};
use crossbeam_channel::Sender;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use stele_agent_rules::event::EventBody;
use stele_agent_rules::report::{self, Key};
use stele_agent_rules::trash::{self, Squeeze};
use stele_agent_rules::{Action, Book, Event, Op, OpResult};
use stele_common::config::{AgentConfig, RepairKnobs};
use stele_common::{Digest, DiskFact, DiskState, Fact, Order, OrderBody, ReplicaId, Space, TaskId, Tick, Version};

/// News wait so long for more of the kind, milliseconds: one report instead of a hundred during a burst.
const NEWS_MS: u64 = 20;
/// News that a client waits for (a load is durable, a version installed) wait only so long.
const URGENT_NEWS_MS: u64 = 1;
/// News take at most one part in this many of the actor's time, however many replicas there are.
const NEWS_SHARE: u32 = 10;
/// A disk that has not answered a look for so long counts as unavailable.
const HUNG_MS: u64 = 10_000;
/// Space is told anew when it changed by so many bytes, or by a hundredth.
const SPACE_STEP: u64 = 16 << 20;
/// What changes by time alone (trash that became due) is told this late at most.
const AGES_MS: u64 = 30_000;

/// What an actor is made of.
pub struct Opening {
    pub place: DiskPlace,
    pub fact: DiskFact,
    pub dir: Arc<DiskDir>,
    pub book: Book,
    pub peers: Arc<TcpPeers>,
    pub pacer: Arc<Pacer>,
    pub shelf: Arc<Shelf>,
    pub reporter: Recipient<DiskNews>,
    pub clock: Clock,
    pub config: Arc<AgentConfig>,
}

/// One disk.
pub struct Disk {
    book: Book,
    /// `None` = closed, because the disk is unavailable.
    dir: Option<Arc<DiskDir>>,
    fact: DiskFact,
    face: Arc<OpenDisk>,
    lanes: Lanes,
    watch: Sender<Command>,
    /// Ops that wait for their lane, by [`Lane`]; bounded by the book, which hands out one op a replica.
    waiting: [VecDeque<Op>; Lane::ALL.len()],
    /// Ops in a lane.
    running: BTreeMap<Lane, usize>,
    /// Copies that are handed out.
    gauges: BTreeMap<TaskId, Arc<CopyGauge>>,
    /// Readings that are handed out, and whether somebody waits for them.
    readings: BTreeMap<ReplicaId, (Arc<CopyGauge>, bool)>,
    scrubber: Scrubber,
    fenced: Option<String>,
    looked: Tick,
    /// How short of room it is.
    squeeze: Squeeze,
    news: Option<(SpawnHandle, Tick)>,
    news_cost: Duration,
    parts: Parts,
}

struct Parts {
    peers: Arc<TcpPeers>,
    pacer: Arc<Pacer>,
    shelf: Arc<Shelf>,
    reporter: Recipient<DiskNews>,
    clock: Clock,
    trash_ms: u64,
    /// Bytes a second of a verification for which nobody waits.
    pace: u64,
}

impl Disk {
    /// Starts the actor on the arbiter that runs this, its threads beside it, and puts the disk on the shelf.
    pub fn begin(opening: Opening, context: &mut Context<Disk>) -> std::io::Result<Disk> {
        let Opening { place, fact, dir, book, peers, pacer, shelf, reporter, clock, config } = opening;
        dir.set_pace(config.scrub.rate_max);
        let address = actix::AsyncContext::address(context);
        let lanes = Lanes::start(place.disk, config.limits.copies_per_disk, &address.clone().recipient())?;
        let listener = Listener { probed: address.clone().recipient(), returned: address.clone().recipient() };
        let watch = watch::start(place, Arc::clone(&dir), clock, listener)?;
        let face = OpenDisk::new(fact.clone(), Arc::clone(&dir), address.clone().recipient(), address.recipient());
        let face = Arc::new(face);
        shelf.add(Arc::clone(&face));
        let now = clock.now();
        let mut disk = Disk {
            scrubber: Scrubber::new(config.scrub.clone(), now),
            squeeze: Squeeze::of(short_of(&book, &fact.space), now),
            book,
            dir: Some(dir),
            fact,
            face,
            lanes,
            watch,
            waiting: Default::default(),
            running: BTreeMap::new(),
            gauges: BTreeMap::new(),
            readings: BTreeMap::new(),
            fenced: None,
            looked: now,
            news: None,
            news_cost: Duration::ZERO,
            parts: Parts {
                peers,
                pacer,
                shelf,
                reporter,
                clock,
                trash_ms: config.limits.trash_ms,
                pace: config.scrub.rate_max,
            },
        };
        disk.show_all();
        disk.tell_news();
        Ok(disk)
    }

    /// One event through the law book, and what follows from it.
    fn step(&mut self, body: EventBody, context: &mut Context<Disk>) {
        let touched = touched(&self.book, &body);
        let news_ms = news_delay(&body);
        let turned = matches!(body, EventBody::DiskTurned { .. });
        let state = self.book.state;
        let trash = matches!(body, EventBody::Done { op: Op::Purge { .. }, .. }).then(|| self.trash_bytes());
        let event = Event { at: self.parts.clock.now(), body };
        for action in stele_agent_rules::handle(&mut self.book, &event) {
            match action {
                Action::Do(op) => self.waiting[Lane::of(&op) as usize].push_back(op),
                Action::Explain(refused) => {
                    metrics::counter!(telemetry::ORDERS_REFUSED, "reason" => refused.as_str()).increment(1);
                    tracing::debug!(disk = %self.book.disk, reason = refused.as_str(), "order not followed");
                }
                // `handle` has applied its records; there is nothing left to do with one.
                Action::Record(_) => {}
            }
        }
        if let Some(before) = trash {
            self.squeeze.freed(before.saturating_sub(self.trash_bytes()), event.at);
        }
        self.pump();
        self.stop_cancelled();
        if let Some(replica) = touched {
            self.parts.shelf.put(self.book.disk, replica, view(&self.book, replica));
            self.parts.shelf.put_trash(self.book.disk, replica, self.book.trash.contains_key(&replica));
        }
        if turned || self.book.state != state {
            self.show_state();
        }
        if let Some(news_ms) = news_ms {
            self.news_in(news_ms, context);
        }
    }

    /// Hands waiting ops to their lanes, as many as they take.
    fn pump(&mut self) {
        // What is left over when a disk is closed goes when it comes back and is read anew.
        let Some(dir) = &self.dir else { return };
        for lane in Lane::ALL {
            let waiting = &mut self.waiting[lane as usize];
            while let Some(op) = waiting.pop_front() {
                let gauge = match &op {
                    Op::Fetch { order, .. } => Arc::clone(self.gauges.entry(order.task).or_default()),
                    _ => Arc::default(),
                };
                let reading = match &op {
                    Op::Verify { replica, urgent, .. } => Some((*replica, (Arc::clone(&gauge), *urgent))),
                    _ => None,
                };
                let (peers, pacer) = (Arc::clone(&self.parts.peers), Arc::clone(&self.parts.pacer));
                let job = Job { op, dir: Arc::clone(dir), gauge, peers, pacer };
                match self.lanes.try_give(lane, job) {
                    Ok(()) => {
                        *self.running.entry(lane).or_default() += 1;
                        self.readings.extend(reading);
                    }
                    Err(job) => {
                        metrics::counter!(telemetry::LANES_FULL, "lane" => lane.name()).increment(1);
                        waiting.push_front(job.op);
                        break;
                    }
                }
            }
            let disk = self.book.disk.to_string();
            metrics::gauge!(telemetry::JOBS_WAITING, "disk" => disk, "lane" => lane.name()).set(waiting.len() as f64);
        }
    }

    /// Tells the threads of cancelled copies to stop, and those of background readings to give way to who waits for them.
    fn stop_cancelled(&self) {
        // The lane reads one replica at a time: an ordered reading that was handed out waits for the one before it.
        let urgent_waits = self.readings.values().any(|(_, urgent)| *urgent);
        let in_the_way = stele_agent_rules::next::in_the_way(&self.book);
        for (replica, (gauge, urgent)) in &self.readings {
            if !urgent && (urgent_waits || in_the_way.contains(replica)) {
                gauge.cancelled.store(true, Relaxed);
            }
        }
        for (task, gauge) in &self.gauges {
            if self.book.copies.get(task).is_none_or(|copy| copy.cancelled) {
                gauge.cancelled.store(true, Relaxed);
            }
        }
    }

    /// Once a second: progress of copies, the scrub, the law book's own tick, a lost directory that may be back.
    fn tick(&mut self, context: &mut Context<Disk>) {
        let now = self.parts.clock.now();
        if now.since(self.looked) > HUNG_MS && self.book.state == DiskState::Online {
            self.turn(DiskState::Unavailable, Some(format!("no answer for {} s", HUNG_MS / 1000)), context);
        }
        self.follow_copies(context);
        self.step(EventBody::Tick, context);
        if !self.book.trash.is_empty() && self.news.is_none() {
            self.news_in(AGES_MS, context);
        }
        let idle = self.running.values().all(|n| *n == 0) && self.waiting.iter().all(VecDeque::is_empty);
        if !self.gauges.is_empty() || self.dir.as_ref().is_some_and(|dir| !dir.streams().is_empty()) {
            self.scrubber.disturbed(now);
        }
        let reading = self.running.get(&Lane::Verify).is_some_and(|n| *n > 0);
        if self.book.state == DiskState::Online && !reading {
            if let Some(replica) = self.scrubber.next(&self.book, now, idle) {
                self.step(EventBody::Scrub { replica }, context);
            }
            if self.scrubber.save_due(now) {
                // A full queue means that the watch is busy; the next round is soon enough.
                let _ = self.watch.try_send(Command::Remember(Memory::of(&self.book, self.parts.clock)));
            }
        }
        if self.book.state == DiskState::Unavailable && idle {
            self.close();
        }
        let lost = self.book.state == DiskState::Unavailable && self.fenced.is_none();
        if lost && self.running.values().all(|n| *n == 0) {
            let _ = self.watch.try_send(Command::Reopen);
        }
    }

    /// Lets go of the directory, so that it can be unmounted; who reads from it lets go at its next error or end.
    fn close(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        self.face.set_dir(None);
        // A new handle would not remember it: after a failed sync nothing is believed in this life of the agent.
        if let Err(error) = dir.fit() {
            self.book.suspected.get_or_insert(error.to_string());
        }
    }

    fn trash_bytes(&self) -> u64 {
        self.book.trash.values().map(|trashed| trashed.bytes).sum()
    }

    /// Progress of copies into the book.
    fn follow_copies(&mut self, context: &mut Context<Disk>) {
        let mut moved = Vec::new();
        for (task, gauge) in &self.gauges {
            let (done, total) = (gauge.done.load(Relaxed), gauge.total.load(Relaxed));
            let copy = self.book.copies.get(task);
            if copy.is_some_and(|copy| (copy.bytes_done, copy.bytes_total) != (done, total)) {
                moved.push((*task, done, total));
            }
        }
        for (task, bytes_done, bytes_total) in moved {
            self.step(EventBody::Progress { task, bytes_done, bytes_total }, context);
        }
        let copies = self.gauges.len();
        self.face.copies.store(copies, Relaxed);
        metrics::gauge!(telemetry::COPIES, "disk" => self.book.disk.to_string()).set(copies as f64);
    }

    fn turn(&mut self, state: DiskState, cause: Option<String>, context: &mut Context<Disk>) {
        self.step(EventBody::DiskTurned { state, cause }, context);
    }

    /// The disk's state changed: everybody sees it, one line says it.
    fn show_state(&mut self) {
        let Book { disk, state, cause, .. } = &self.book;
        if (self.fact.state, &self.fact.cause) != (*state, cause) {
            let path = &self.fact.path;
            tracing::info!(%disk, %path, state = ?state, reason = cause.as_deref().unwrap_or(""), "disk turned");
        }
        metrics::gauge!(telemetry::DISK_ONLINE, "disk" => disk.to_string())
            .set(f64::from(u8::from(*state == DiskState::Online)));
        self.fact.state = *state;
        self.fact.cause = cause.clone();
        self.face.set_fact(self.fact.clone());
    }

    /// Everything that others may see, from the book.
    fn show_all(&mut self) {
        let book = &self.book;
        let views = book.replicas.keys().filter_map(|replica| Some((*replica, view(book, *replica)?)));
        self.parts.shelf.put_all(book.disk, views, book.trash.keys().copied());
        self.face.set_epoch(book.epoch);
        self.show_state();
    }

    /// News go out in so many milliseconds, or sooner if that was arranged already.
    fn news_in(&mut self, delay_ms: u64, context: &mut Context<Disk>) {
        let cost_ms = (self.news_cost * NEWS_SHARE).as_millis() as u64;
        let delay_ms = delay_ms.max(cost_ms);
        let due = self.parts.clock.now().plus(delay_ms);
        match self.news {
            Some((_, arranged)) if arranged <= due => return,
            Some((handle, _)) => {
                context.cancel_future(handle);
            }
            None => {}
        }
        let handle = context.run_later(Duration::from_millis(delay_ms), |disk, _| disk.tell_news());
        self.news = Some((handle, due));
    }

    fn tell_news(&mut self) {
        self.news = None;
        let started = Instant::now();
        let now = self.parts.clock.now();
        let mut facts = report::facts(&self.book, now);
        // What is told of replicas and trash has come or gone since space was measured.
        if let Some(dir) = &self.dir {
            self.fact.space.used = dir.used().min(self.fact.space.total);
        }
        trash::mark(&mut facts, &trash::due(&self.book, now, self.parts.trash_ms, &self.squeeze));
        facts.insert(Key::Disk(self.book.disk), Fact::Disk(self.fact.clone()));
        self.parts.reporter.do_send(DiskNews { disk: self.book.disk, facts: Arc::new(facts) });
        let disk = self.book.disk.to_string();
        let bad = self.book.replicas.values().filter(|held| held.bad.is_some()).count();
        metrics::gauge!(telemetry::REPLICAS, "disk" => disk.clone()).set(self.book.replicas.len() as f64);
        metrics::gauge!(telemetry::REPLICAS_BAD, "disk" => disk).set(bad as f64);
        self.face.trash_bytes.store(self.trash_bytes(), Relaxed);
        self.news_cost = started.elapsed();
    }

    /// Takes in new figures of the disk's space when they are worth telling.
    fn measured(&mut self, space: Space, device: u64, context: &mut Context<Disk>) {
        let disk = self.book.disk.to_string();
        metrics::gauge!(telemetry::DISK_USED, "disk" => disk.clone()).set(space.used as f64);
        metrics::gauge!(telemetry::DISK_TOTAL, "disk" => disk).set(space.total as f64);
        let squeeze = self.squeeze;
        self.squeeze.measured(short_of(&self.book, &space), self.parts.clock.now());
        if squeeze.is_none() && !self.squeeze.is_none() && !self.book.trash.is_empty() {
            self.news_in(NEWS_MS, context);
        }
        let step = (self.fact.space.total / 100).min(SPACE_STEP);
        let moved = |old: u64, new: u64| old.abs_diff(new) > step;
        let old = self.fact.space;
        if moved(old.used, space.used) || moved(old.total, space.total) || self.fact.device != device {
            self.fact.space = space;
            self.fact.device = device;
            self.face.set_fact(self.fact.clone());
            self.news_in(NEWS_MS, context);
        }
    }
}

fn short_of(book: &Book, space: &Space) -> u64 {
    trash::short_of(book, space.available(), RepairKnobs::default().clone_reserve(space.total))
}

/// How soon an event is news, milliseconds; `None` = it changes nothing that is told.
fn news_delay(body: &EventBody) -> Option<u64> {
    match body {
        EventBody::LoadStaged { .. } => Some(URGENT_NEWS_MS),
        EventBody::Done { result: OpResult::Installed { .. } | OpResult::Created, .. } => Some(URGENT_NEWS_MS),
        EventBody::Done { .. }
        | EventBody::Order(_)
        | EventBody::Progress { .. }
        | EventBody::FoundDamaged { .. }
        | EventBody::DiskTurned { .. } => Some(NEWS_MS),
        EventBody::Pinned { .. } | EventBody::Unpinned { .. } | EventBody::Scrub { .. } | EventBody::Tick => None,
    }
}

fn view(book: &Book, replica: ReplicaId) -> Option<View> {
    if let Some(held) = book.replicas.get(&replica) {
        return Some(View {
            disk: book.disk,
            tablet: held.label.tablet,
            head: held.head,
            hash: held.hash,
            bad: held.bad.clone(),
            ballot: held.label.ballot,
            coming: false,
        });
    }
    let coming = book.copies.values().find(|copy| copy.order.label.replica == replica && !copy.cancelled)?;
    let label = &coming.order.label;
    Some(View {
        disk: book.disk,
        tablet: label.tablet,
        head: Version::EMPTY,
        hash: Digest::ZERO,
        bad: None,
        ballot: label.ballot,
        coming: true,
    })
}

/// The replica whose view an event may change.
fn touched(book: &Book, body: &EventBody) -> Option<ReplicaId> {
    match body {
        EventBody::Order(Order { body: OrderBody::CancelTask { task }, .. }) => {
            book.copies.get(task).map(|copy| copy.order.label.replica)
        }
        EventBody::Order(order) => ops::replica_of_order(&order.body),
        EventBody::Done { op, .. } => op.replica(),
        EventBody::FoundDamaged { replica, .. } => Some(*replica),
        EventBody::LoadStaged { .. }
        | EventBody::Progress { .. }
        | EventBody::Pinned { .. }
        | EventBody::Unpinned { .. }
        | EventBody::Scrub { .. }
        | EventBody::DiskTurned { .. }
        | EventBody::Tick => None,
    }
}

impl Actor for Disk {
    type Context = Context<Disk>;

    fn started(&mut self, context: &mut Context<Disk>) {
        // Senders are many and each has at most a few words outstanding; the bound is theirs.
        context.set_mailbox_capacity(1_024);
        context.run_interval(Duration::from_secs(1), |disk, context| disk.tick(context));
    }
}
