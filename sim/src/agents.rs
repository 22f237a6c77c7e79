//! What an agent's shell does: begin, connect, beat, report, follow orders, run ops, crash. Every decision is the
//! agent's law book's; this file carries it to the model disk and back.

use crate::agent::{Agent, Life, Link, Running};
use crate::coordinator::UpBody;
use crate::net::Place;
use crate::options::{MINUTE, SECOND};
use crate::sim::{DownBody, Next, Sim};
use crate::{Mutant, ops};
use std::collections::{BTreeMap, BTreeSet};
use stele_agent_rules::event::EventBody;
use stele_agent_rules::{Action, Change, Event, Op, OpFailure, OpResult, apply, handle, scrub_plan};
use stele_common::config::ScrubKnobs;
use stele_common::handshake::{Answer, DiskFound, DiskHello, DiskWord, Hello, MAGIC, StoreMark, Welcome};
use stele_common::{BootId, DiskState, Epoch, Medium, Order, OrderBody, Tick, ToAgent};

/// Law books want a tick this often; the real shell's 100 ms would only add events.
const TICK_MS: u64 = 20 * SECOND;

impl Sim {
    /// The process begins; blank and absent directories are found as they are.
    pub fn agent_start(&mut self, agent: usize) {
        let now = self.now;
        let host = &mut self.agents[agent];
        if host.gone || host.life.is_some() {
            return;
        }
        host.boots += 1;
        let boot = BootId(host.boots * 1_000 + agent as u64 + 1);
        host.life = Some(Life {
            boot,
            began: now,
            seq: 0,
            books: BTreeMap::new(),
            node: None,
            link: Link::Down,
            heard: None,
            store_seen: host.disks.iter().filter(|disk| disk.mounted).map(|d| d.store_seen).max().unwrap_or_default(),
            told: BTreeMap::new(),
            news: BTreeSet::new(),
            report_due: false,
            running: BTreeMap::new(),
            next_number: 0,
            streams: BTreeSet::new(),
        });
        self.trace.event(2, now, agent as u64, boot.0);
        self.trace.line(now, format_args!("host-{} begins, boot {boot}", agent + 1));
        self.queue.put(now + self.work.below(500), Next::AgentBeat { agent, boot });
        self.queue.put(now + self.work.below(TICK_MS), Next::AgentTick { agent, boot });
    }

    /// The process is killed: what its threads were doing is done, not done, or half done.
    pub fn agent_crash(&mut self, agent: usize) {
        let Some(life) = self.agents[agent].life.take() else { return };
        for running in life.running.values() {
            self.cut_off(agent, running);
            running.fetching.iter().for_each(|fetching| self.unpin(fetching));
        }
        self.trace.line(self.now, format_args!("host-{} is killed", agent + 1));
        if let Some(conn) = life.conn() {
            let body = Next::LinkClosed { agent, boot: life.boot, conn };
            self.send(Place::Agent(agent), Place::Coordinator, || body.clone());
        }
    }

    fn cut_off(&mut self, agent: usize, running: &Running) {
        let model = &mut self.agents[agent].disks[running.disk];
        let usable = model.mounted && !model.failing && !model.destroyed;
        let is_fetch = matches!(running.op, Op::Fetch { .. });
        match self.work.below(3) {
            0 => {}
            1 if self.options.mutant == Some(Mutant::HalfInstallVisible) => {
                self.carry_out(agent, running.disk, &running.op);
                if let (Op::InstallCopy { .. } | Op::InstallLoad { .. }, Some(replica)) =
                    (&running.op, running.op.replica())
                    && let Some(dir) = self.agents[agent].disks[running.disk].replicas.get_mut(&replica)
                {
                    let head = dir.head;
                    dir.data.retain(|(added, _), _| *added != head);
                }
            }
            _ if usable && !is_fetch && !(model.full && ops::writes(&running.op)) => {
                self.carry_out(agent, running.disk, &running.op);
            }
            _ => {}
        }
    }

    fn open_link(&mut self, agent: usize) {
        self.next_conn += 1;
        let (now, conn) = (self.now, self.next_conn);
        let host = &mut self.agents[agent];
        let Some(life) = &mut host.life else { return };
        life.link = Link::Asked { conn, since: now };
        let hello = hello(host);
        self.net.fresh(Place::Agent(agent), Place::Coordinator);
        self.send(Place::Agent(agent), Place::Coordinator, || Next::Up {
            agent,
            conn,
            body: UpBody::Hello(Box::new(hello.clone())),
        });
    }

    /// Beats on an open connection; opens one where there is none, or where nothing has been heard for a lease.
    pub fn agent_beat(&mut self, agent: usize, boot: BootId) {
        let (now, knobs) = (self.now, &self.mix.knobs);
        let (beat_ms, lease_ms) = (knobs.beat_ms, knobs.lease_ms);
        let Some(life) = self.agents[agent].life.as_ref().filter(|life| life.boot == boot) else { return };
        match (life.link, life.node) {
            (Link::Up { conn }, Some(node)) if self.has_lease(life) => {
                let body = UpBody::Beat { node, boot };
                self.send(Place::Agent(agent), Place::Coordinator, || Next::Up { agent, conn, body: body.clone() });
            }
            (Link::Asked { since, .. }, _) if now - since < lease_ms / 3 => {}
            (Link::Up { .. } | Link::Asked { .. } | Link::Down, _) => self.open_link(agent),
        }
        self.queue.put(now + beat_ms, Next::AgentBeat { agent, boot });
    }

    /// The connection broke off; the next beat opens another.
    pub fn link_broken(&mut self, agent: usize, boot: BootId, conn: u64) {
        let life = self.agents[agent].life.as_mut().filter(|life| life.boot == boot && life.conn() == Some(conn));
        if let Some(life) = life {
            life.link = Link::Down;
        }
    }

    /// Looks at the directories, gives the books their tick, lets one replica a disk be read.
    pub fn agent_tick(&mut self, agent: usize, boot: BootId) {
        let Some(life) = self.agents[agent].life.as_ref().filter(|life| life.boot == boot) else { return };
        let (disks, seen): (Vec<usize>, _) = (life.books.keys().copied().collect(), life.store_seen);
        let due = |sim: &Sim| (sim.now / TICK_MS).is_multiple_of(3);
        let knobs = ScrubKnobs { period_ms: self.mix.knobs.scrub_period_ms / 2, ..ScrubKnobs::default() };
        for disk in disks {
            self.probe(agent, disk);
            self.agents[agent].disks[disk].store_seen = seen;
            self.agent_event(agent, disk, EventBody::Tick);
            let now = self.now;
            let next = self.agents[agent]
                .life
                .as_ref()
                .and_then(|life| scrub_plan::next(&life.books[&disk], Tick(now - life.began), &knobs));
            if let Some(replica) = next {
                self.agent_event(agent, disk, EventBody::Scrub { replica });
            }
            self.purge_on_own_word(agent, disk);
        }
        if due(self) {
            // Space and ages change without an event.
            let life = self.agents[agent].life.as_mut();
            life.into_iter().for_each(|life| life.news.extend(life.books.keys()));
            self.ask_report(agent);
            self.ask_again(agent);
        }
        self.queue.put(self.now + TICK_MS, Next::AgentTick { agent, boot });
    }

    fn purge_on_own_word(&mut self, agent: usize, disk: usize) {
        if !self.breaks(Mutant::PurgeWithoutOrder) {
            return;
        }
        let model = &self.agents[agent].disks[disk];
        let old = model.trash.iter().find(|(_, trash)| self.now - trash.dropped > 10 * MINUTE);
        if let Some((replica, trash)) = old.map(|(replica, trash)| (*replica, trash.dir.label.tablet)) {
            let evidence = stele_common::Evidence::TableDropped { table: stele_common::TableId(0) };
            self.carry_out(agent, disk, &Op::Purge { tablet: trash, replica, evidence });
        }
    }

    /// Whether the directory is still the one that was opened; one that comes back is read anew.
    fn probe(&mut self, agent: usize, disk: usize) {
        let now = self.now;
        let host = &mut self.agents[agent];
        let Some(life) = &mut host.life else { return };
        let is_busy = life.running.values().any(|running| running.disk == disk);
        let Some(book) = life.books.get_mut(&disk) else { return };
        let model = &host.disks[disk];
        let is_there = model.mounted && model.identity == Some(book.disk);
        match (book.state, is_there) {
            (DiskState::Online | DiskState::Suspect, false) => {
                self.disk_turned(agent, disk, DiskState::Unavailable);
            }
            (DiskState::Unavailable, true) if !is_busy => {
                let mut found = model.scan(book.disk, now, life.began);
                (found.epoch, found.state) = (found.epoch.max(book.epoch), DiskState::Unavailable);
                found.suspected = book.suspected.take();
                *book = found;
                self.disk_turned(agent, disk, DiskState::Online);
            }
            (DiskState::Online | DiskState::Suspect | DiskState::Unavailable, _) => {}
        }
    }

    fn disk_turned(&mut self, agent: usize, disk: usize, state: DiskState) {
        let cause = (state == DiskState::Unavailable).then(|| "the directory is gone".to_string());
        self.agent_event(agent, disk, EventBody::DiskTurned { state, cause });
    }

    /// A directory that was out and is there again is brought before the coordinator.
    fn ask_again(&mut self, agent: usize) {
        let host = &self.agents[agent];
        let Some(life) = host.life.as_ref().filter(|life| life.conn().is_some()) else { return };
        let is_out =
            |(index, model): (usize, &crate::disk::ModelDisk)| model.mounted && !life.books.contains_key(&index);
        if host.disks.iter().enumerate().any(is_out) {
            self.open_link(agent);
        }
    }

    /// Hands an event to a disk's law book and carries out what it says.
    pub fn agent_event(&mut self, agent: usize, disk: usize, body: EventBody) {
        let now = self.now;
        let host = &mut self.agents[agent];
        let Some(life) = &mut host.life else { return };
        let Some(book) = life.books.get_mut(&disk) else { return };
        let is_tick = matches!(body, EventBody::Tick);
        let actions = handle(book, &Event { at: Tick(now - life.began), body });
        host.disks[disk].epoch = host.disks[disk].epoch.max(book.epoch);
        if !is_tick || !actions.is_empty() {
            life.news.insert(disk);
            self.ask_report(agent);
        }
        for action in actions {
            match action {
                Action::Do(op) => self.op_begin(agent, disk, op),
                Action::Explain(refused) => *self.stats.refusals.entry(refused.as_str()).or_default() += 1,
                Action::Record(_) => {}
            }
        }
    }

    /// What the coordinator says arrives.
    pub fn agent_hears(&mut self, agent: usize, conn: u64, body: DownBody) {
        let now = self.now;
        let Some(life) = &mut self.agents[agent].life else { return };
        self.trace.event(3, now, agent as u64, conn);
        match body {
            DownBody::Handshake(answer) => {
                if !matches!(life.link, Link::Asked { conn: asked, .. } if asked == conn) {
                    return;
                }
                match *answer {
                    Answer::Welcome(welcome) => self.welcomed(agent, conn, welcome),
                    Answer::Refused(refused) => {
                        self.trace.line(now, format_args!("host-{} is refused: {refused}", agent + 1));
                    }
                }
            }
            DownBody::Message(ToAgent::Heard { epoch, sequence }) => {
                life.heard = Some(now);
                if sequence > 0 {
                    life.store_seen = life.store_seen.max(StoreMark { epoch, sequence });
                }
            }
            DownBody::Message(ToAgent::SendFullReport { .. }) => self.report_in_full(agent),
            DownBody::Message(ToAgent::Order(order)) => self.follow(agent, order),
            // The coordinator's link tells limits, and here there is none; the network has its own speed.
            DownBody::Message(ToAgent::Limits { .. }) => {}
        }
    }

    fn welcomed(&mut self, agent: usize, conn: u64, welcome: Welcome) {
        let now = self.now;
        let host = &mut self.agents[agent];
        host.cluster = Some(welcome.cluster.clone());
        let Some(life) = &mut host.life else { return };
        life.link = Link::Up { conn };
        life.node = Some(welcome.node);
        life.heard = Some(now);
        for (index, word) in welcome.disks.iter().enumerate() {
            let model = &mut host.disks[index];
            match word {
                DiskWord::Format { disk } if model.mounted && model.identity.is_none() => model.format(*disk),
                DiskWord::Format { .. } | DiskWord::Use { .. } => {}
                DiskWord::Refuse { .. } => {
                    life.books.remove(&index);
                    continue;
                }
            }
            let (DiskWord::Use { disk } | DiskWord::Format { disk }) = word else { continue };
            if model.mounted && model.identity == Some(*disk) {
                let book = life.books.entry(index).or_insert_with(|| model.scan(*disk, now, life.began));
                apply(book, &Change::EpochSeen { epoch: welcome.epoch });
                model.epoch = model.epoch.max(welcome.epoch);
            }
        }
        self.trace.line(now, format_args!("host-{} is welcome as {}", agent + 1, welcome.node));
        self.report_in_full(agent);
    }

    fn follow(&mut self, agent: usize, order: Order) {
        let Some(life) = &self.agents[agent].life else { return };
        let wanted = match &order.body {
            OrderBody::Create { disk, .. } => Some(*disk),
            OrderBody::Clone(clone) => Some(clone.disk),
            OrderBody::CancelTask { .. }
            | OrderBody::Drop { .. }
            | OrderBody::Purge { .. }
            | OrderBody::CommitLoad { .. }
            | OrderBody::DiscardLoad { .. }
            | OrderBody::AbortLoad { .. }
            | OrderBody::Confirm { .. }
            | OrderBody::Verify { .. }
            | OrderBody::Collect { .. } => None,
        };
        let books = life.books.iter().filter(|(_, book)| wanted.is_none_or(|disk| book.disk == disk));
        let disks: Vec<usize> = books.map(|(disk, _)| *disk).collect();
        for disk in disks {
            let order = self.bend_order(agent, disk, order.clone());
            let book = |sim: &Sim| sim.agents[agent].life.as_ref().map(|life| life.books[&disk].clone());
            let is_stale = self.agents[agent].disks[disk].epoch > order.1;
            let before = is_stale.then(|| book(self)).flatten();
            self.agent_event(agent, disk, EventBody::Order(order.0));
            if is_stale && before != book(self) {
                self.violate("I8 stale order", || format!("an order of epoch {} was followed", order.1));
            }
        }
    }

    /// The order as the law book sees it, and its true epoch.
    fn bend_order(&self, agent: usize, disk: usize, mut order: Order) -> (Order, Epoch) {
        let truly = order.epoch;
        let model = &self.agents[agent].disks[disk];
        if self.breaks(Mutant::OldEpochAccepted) {
            order.epoch = order.epoch.max(model.epoch);
        }
        if let OrderBody::Drop { tablet, replica, .. } = &mut order.body
            && self.breaks(Mutant::DropIgnoresReplica)
            && !model.replicas.contains_key(replica)
            && let Some((other, _)) = model.replicas.iter().find(|(_, dir)| dir.label.tablet == *tablet)
        {
            *replica = *other;
        }
        (order, truly)
    }

    fn op_begin(&mut self, agent: usize, disk: usize, op: Op) {
        let size = |sim: &Sim| {
            let replica = op.replica().and_then(|id| sim.agents[agent].disks[disk].replicas.get(&id));
            replica.map_or(0, crate::disk::ReplicaDir::size)
        };
        let took = match &op {
            Op::Fetch { .. } => 1 + self.work.below(20),
            Op::Verify { .. } => 20 + size(self) / 100_000,
            Op::Create { .. }
            | Op::InstallCopy { .. }
            | Op::DiscardCopy { .. }
            | Op::InstallLoad { .. }
            | Op::DiscardLoad { .. }
            | Op::Drop { .. }
            | Op::Purge { .. }
            | Op::Confirm { .. }
            | Op::Collect { .. } => 1 + self.work.below(30),
        };
        let slow = if self.work.permille(10) { self.work.below(20 * SECOND) } else { 0 };
        let Some(life) = &mut self.agents[agent].life else { return };
        life.next_number += 1;
        let (boot, number) = (life.boot, life.next_number);
        let is_fetch = matches!(op, Op::Fetch { .. });
        self.crash_point(Next::AgentCrashPoint { agent, boot }, took + slow);
        let Some(life) = &mut self.agents[agent].life else { return };
        life.running.insert(number, Running { disk, op, fetching: None });
        let next = if is_fetch { Next::FetchStep { agent, boot, number } } else { Next::OpEnd { agent, boot, number } };
        self.queue.put(self.now + took + slow, next);
    }

    /// An op that is no fetch ends.
    pub fn op_end(&mut self, agent: usize, boot: BootId, number: u64) {
        let host = &self.agents[agent];
        let Some(life) = host.life.as_ref().filter(|life| life.boot == boot) else { return };
        let Some(running) = life.running.get(&number) else { return };
        let (disk, op) = (running.disk, running.op.clone());
        let model = &host.disks[disk];
        let result = if !model.mounted || model.identity != Some(life.books[&disk].disk) {
            // A directory that is gone has not failed: it may come back as good as it was.
            self.disk_turned(agent, disk, DiskState::Unavailable);
            OpResult::Failed(OpFailure::NotFound)
        } else if model.failing && self.breaks(Mutant::FailedSyncTrusted) {
            // Done in the cache, and nowhere else.
            ops::run(&mut model.clone(), &op, self.now)
        } else if model.failing {
            OpResult::Failed(OpFailure::Disk { detail: "input/output error".to_string() })
        } else if model.full && ops::writes(&op) {
            OpResult::Failed(OpFailure::Full)
        } else if let (Op::Verify { replica, .. }, true) = (&op, self.breaks(Mutant::VerifyReadsNothing)) {
            let head = model.replicas.get(replica).map(|dir| dir.head);
            head.map_or(OpResult::Failed(OpFailure::NotFound), |version| OpResult::Verified { version })
        } else {
            self.carry_out(agent, disk, &op)
        };
        self.op_done(agent, boot, number, result);
    }

    /// Tells the law book how an op ended.
    pub fn op_done(&mut self, agent: usize, boot: BootId, number: u64, result: OpResult) {
        let Some(life) = self.agents[agent].life.as_mut().filter(|life| life.boot == boot) else { return };
        let Some(running) = life.running.remove(&number) else { return };
        self.trace.event(4, self.now, agent as u64, number);
        if self.trace.keeps_lines() && !matches!(result, OpResult::Verified { .. } | OpResult::Confirmed { .. }) {
            let line = format!("host-{} disk {}: {:?} -> {result:?}", agent + 1, running.disk, running.op);
            self.trace.line(self.now, format_args!("{line}"));
        }
        let quarantined = matches!(result, OpResult::Damaged { .. });
        self.agent_event(agent, running.disk, EventBody::Done { op: running.op.clone(), result });
        if quarantined
            && self.breaks(Mutant::QuarantineDeletes)
            && let Some(replica) = running.op.replica()
        {
            let (tablet, evidence) =
                (running.op.tablet(), stele_common::Evidence::TableDropped { table: Default::default() });
            self.carry_out(agent, running.disk, &Op::Drop { tablet, replica, evidence });
        }
    }
}

impl Sim {
    /// How an agent that runs introduces itself.
    pub fn hello_of(&self, agent: usize) -> Hello {
        hello(&self.agents[agent])
    }
}

fn hello(host: &Agent) -> Hello {
    let epoch_seen = host.disks.iter().filter(|disk| disk.mounted).map(|disk| disk.epoch).max().unwrap_or_default();
    let disks = host.disks.iter().enumerate().map(|(index, disk)| DiskHello {
        path: Agent::path(index),
        medium: Medium::Hdd,
        found: match disk.identity {
            _ if !disk.mounted => DiskFound::Unusable { cause: "the directory is gone".to_string() },
            Some(disk) => DiskFound::Known { disk },
            None => DiskFound::Blank,
        },
    });
    Hello {
        magic: MAGIC.to_string(),
        min: 1,
        max: 1,
        cluster: host.cluster.clone().filter(|_| host.disks.iter().any(|disk| disk.mounted && disk.identity.is_some())),
        host: host.host.clone(),
        name: host.host.clone(),
        rack: String::new(),
        tag: host.tag.to_string(),
        boot: host.life.as_ref().map(|life| life.boot).unwrap_or_default(),
        epoch_seen,
        store_seen: host.life.as_ref().map(|life| life.store_seen).unwrap_or_default(),
        peer: host.host.clone(),
        http: String::new(),
        disks: disks.collect(),
        build: "sim".to_string(),
        nonce: [0; 16],
        proof: [0; 32],
    }
}
