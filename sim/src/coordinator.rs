//! What the coordinator's shell does: stamp time, ask the catalog, apply, store in batches, and only after the commit
//! send, answer and tell. A crash loses what was not committed; recovery applies the log to an empty world.
//!
//! ```text
//! event ──▶ decide ──▶ apply at once ──▶ batch ──▶ (store, some ms) ──▶ orders, answers, desk
//! ```

use crate::Mutant;
use crate::clients::ClientNext;
use crate::desk::{ROUND_MS, SWEEP_MS, note_dirty};
use crate::net::Place;
use crate::options::SECOND;
use crate::sim::{DownBody, Next, Sim};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use stele_common::handshake::Hello;
use stele_common::status::Level;
use stele_common::{BootId, Liveness, LoadKey, NodeId, Order, ReplicaState, Report, TabletId, Tick, ToAgent};
use stele_coordinator_rules::roster::{Roster, RosterEvent};
use stele_coordinator_rules::schedule::{Desk, DeskEvent};
use stele_coordinator_rules::world::{LoadPhase, Task, Work};
use stele_coordinator_rules::{Action, Answer, Change, Event, EventBody, World, catalog, replay};

/// The catalog's tick; the real shell's 100 ms would only add events.
const TICK_MS: u64 = 2 * SECOND;
/// A log longer than this is written anew as a snapshot.
const LOG_MAX: usize = 20_000;

/// The process and what survives it.
#[derive(Debug)]
pub struct Coordinator {
    /// The store: durable changes in their order.
    pub log: Vec<Change>,
    /// The latest complete log, while an older copy is in its place.
    pub true_log: Option<Vec<Change>>,
    /// A copy made earlier.
    pub backup: Option<Vec<Change>>,
    pub lives: u64,
    pub life: Option<Life>,
}

/// One leadership.
#[derive(Debug)]
pub struct Life {
    pub number: u64,
    pub began: u64,
    pub world: World,
    pub desk: Desk,
    pub roster: Roster,
    pub dirty: BTreeSet<TabletId>,
    pub check_due: bool,
    batches: VecDeque<Batch>,
    /// Batches in the commit that is under way.
    storing: usize,
    /// Running tasks, to know one that has ended.
    pub running: BTreeMap<TabletId, Task>,
    /// The latest connection of each agent.
    pub latest: BTreeMap<usize, u64>,
    /// Agents by node, with their connections.
    pub conns: BTreeMap<NodeId, (usize, u64)>,
}

#[derive(Debug, Default)]
pub struct Batch {
    pub durable: Vec<Change>,
    pub effects: Vec<Effect>,
}

#[derive(Debug)]
pub enum Effect {
    Down { node: NodeId, message: ToAgent },
    Answer { to: Asker, answer: Answer },
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    Nobody,
    Agent { agent: usize, conn: u64, boot: BootId },
    Client { client: usize, attempt: u64 },
    Desk { tablet: TabletId },
}

/// What an agent says.
#[derive(Clone, Debug)]
pub enum UpBody {
    Hello(Box<Hello>),
    Beat { node: NodeId, boot: BootId },
    Report { node: NodeId, report: Report },
}

impl Coordinator {
    pub fn new() -> Coordinator {
        Coordinator { log: Vec::new(), true_log: None, backup: None, lives: 0, life: None }
    }
}

impl Life {
    /// Records that are durable for certain: what is still under way is not told.
    pub fn sequence_to_tell(&self) -> u64 {
        let on_the_way: usize = self.batches.iter().map(|batch| batch.durable.len()).sum();
        self.world.sequence_to_tell().saturating_sub(on_the_way as u64)
    }

    /// Batches in the commit that is under way.
    pub fn storing(&self) -> usize {
        self.storing
    }

    /// The first batches: they are stored. What is left of the commit never comes back.
    pub fn take_batches(&mut self, count: usize) -> Vec<Batch> {
        self.storing -= count;
        self.batches.drain(..count).collect()
    }

    /// Whether a load's state is durable, not only decided.
    pub fn is_settled(&self, key: &LoadKey) -> bool {
        let of = |change: &Change| match change {
            Change::LoadVisible { key: other, .. } => other == key,
            Change::LoadCommitted { load, .. } => load.key == *key,
            _ => false,
        };
        !self.batches.iter().flat_map(|batch| &batch.durable).any(of)
    }
}

impl Sim {
    /// A leadership begins on what the store holds.
    pub fn coordinator_start(&mut self) {
        if self.coordinator.life.is_some() {
            return;
        }
        self.coordinator.lives += 1;
        let mut world = World::empty(Arc::new(self.mix.knobs.clone()));
        self.coordinator.log.iter().for_each(|change| world.apply(change));
        if self.coordinator.log.len() > LOG_MAX {
            self.coordinator.log = replay::as_changes(&world);
        }
        let known: Vec<NodeId> = world.nodes.keys().copied().collect();
        let (number, now) = (self.coordinator.lives, self.now);
        let tablets: BTreeSet<TabletId> = world.tablets.iter().map(|tablet| tablet.id).collect();
        self.check_recovered(&world);
        self.forget_roles();
        self.coordinator.life = Some(Life {
            number,
            began: now,
            desk: Desk::new(),
            roster: Roster::new(Tick(0), &known),
            dirty: tablets,
            check_due: false,
            batches: VecDeque::new(),
            storing: 0,
            conns: BTreeMap::new(),
            latest: BTreeMap::new(),
            running: world.tasks.clone(),
            world,
        });
        self.trace.decision(now, &format!("coordinator begins, life {number}"));
        self.coordinate(EventBody::Began { cluster_if_new: "5".repeat(32) }, Asker::Nobody);
        if self.breaks(Mutant::GraceSkipped) {
            for node in known {
                self.coordinate(EventBody::NodeTurned { node, liveness: Liveness::Lost }, Asker::Nobody);
            }
        }
        if number == 1 {
            // Tables need hosts first.
            for (index, _) in self.mix.tables.clone().iter().enumerate() {
                let step = ClientNext::CreateTable { table: index };
                self.queue.put(now + 10 * SECOND, Next::Client { client: 0, step });
            }
        }
        self.queue.put(now + TICK_MS, Next::CoordinatorTick { life: number });
        self.queue.put(now + ROUND_MS, Next::Round { life: number });
        self.queue.put(now + SWEEP_MS, Next::Sweep { life: number });
    }

    /// The process is killed: a commit that was under way may or may not have reached the disk.
    pub fn coordinator_crash(&mut self) {
        let Some(mut life) = self.coordinator.life.take() else { return };
        let reached = self.work.below(life.storing as u64 + 1) as usize;
        for batch in life.batches.drain(..reached) {
            self.store(batch.durable);
        }
        self.trace.decision(self.now, "coordinator is killed");
        for (_, (agent, conn)) in life.conns {
            let Some(boot) = self.agents[agent].life.as_ref().map(|life| life.boot) else { continue };
            self.send(Place::Coordinator, Place::Agent(agent), || Next::LinkBroken { agent, boot, conn });
        }
    }

    pub fn tick_of(&self) -> Option<Tick> {
        self.coordinator.life.as_ref().map(|life| Tick(self.now - life.began))
    }

    /// One event through the catalog.
    pub fn coordinate(&mut self, body: EventBody, asker: Asker) {
        let Some(at) = self.tick_of() else { return };
        let Some(life) = &mut self.coordinator.life else { return };
        let event = Event { at, wall_ms: self.wall_ms + self.now, body };
        // The records among the actions are in the world already.
        let actions = catalog::step(&mut life.world, &event);
        let mut batch = Batch::default();
        for action in actions {
            match action {
                Action::Record(change) => self.record(at, change, &mut batch),
                Action::Send { node, order } => {
                    let Some(life) = &self.coordinator.life else { return };
                    let order = Order { epoch: life.world.epoch, body: order };
                    batch.effects.push(Effect::Down { node, message: ToAgent::Order(order) });
                }
                Action::AskFullReport { node } => {
                    let Some(life) = &self.coordinator.life else { return };
                    let message = ToAgent::SendFullReport { epoch: life.world.epoch };
                    batch.effects.push(Effect::Down { node, message });
                }
                Action::Answer(answer) => batch.effects.push(Effect::Answer { to: asker, answer }),
                Action::Explain(reason) => *self.stats.refusals.entry(reason.code()).or_default() += 1,
            }
        }
        self.finish(batch);
        if self.breaks(Mutant::OldStoreTrusted)
            && let Some(life) = self.coordinator.life.as_mut().filter(|life| life.world.level == Level::Blind)
        {
            life.world.apply(&Change::LevelTurned { level: Level::Lively, cause: None });
        }
    }

    /// A change that the world has taken in: looked at, told to the desk, and kept for the store.
    fn record(&mut self, at: Tick, change: Change, batch: &mut Batch) {
        if !self.is_rival {
            self.check_decision(&change);
        }
        let leaks = self.breaks(Mutant::SlotLeaked);
        let Some(life) = &mut self.coordinator.life else { return };
        note_dirty(life, &change);
        let ended = match &change {
            Change::TaskStarted { task } => {
                life.running.insert(task.tablet, task.clone());
                None
            }
            Change::TaskEnded { tablet, task, outcome, .. } => {
                let found = life.running.remove(tablet).filter(|found| found.id == *task);
                found.map(|task| (task, outcome.clone()))
            }
            _ => None,
        };
        if let Some((task, outcome)) = ended {
            self.given_up = match &task.work {
                Work::Delete { replica, .. } if is_cancelled(&outcome) => Some(*replica),
                Work::Delete { .. } | Work::Clone { .. } => None,
            };
            let Some(life) = &mut self.coordinator.life else { return };
            if leaks && is_cancelled(&outcome) {
                life.world.apply(&Change::TaskStarted { task: task.clone() });
                life.running.insert(task.tablet, task);
                return;
            }
            self.desk(at, DeskEvent::Ended { task, outcome });
        }
        if self.leaves_standing(&change) {
            return;
        }
        if change.is_durable() {
            self.stats.decisions += 1;
            let who = if self.is_rival { "in vain: " } else { "" };
            self.trace.decision(self.now, &format!("{who}{change:?}"));
            self.victim_chosen(&change, batch);
            batch.durable.push(change);
        }
    }

    /// [`Mutant::DeleteWithoutEvidence`] and [`Mutant::DrainDropsFirst`].
    fn victim_chosen(&self, change: &Change, batch: &mut Batch) {
        let Change::TaskStarted { task } = change else { return };
        let Some(life) = self.coordinator.life.as_ref() else { return };
        let is_drained = life.world.nodes.values().any(|node| node.draining);
        let (replica, node) = match task.work {
            Work::Delete { replica, node, .. } if self.breaks(Mutant::DeleteWithoutEvidence) => (replica, node),
            Work::Clone { source, source_node, .. } if self.breaks(Mutant::DrainDropsFirst) && is_drained => {
                (source, source_node)
            }
            Work::Delete { .. } | Work::Clone { .. } => return,
        };
        let evidence = stele_common::Evidence::Others { replicas: Vec::new(), wanted: 0 };
        let body = stele_common::OrderBody::Drop { tablet: task.tablet, replica, evidence };
        let message = ToAgent::Order(Order { epoch: life.world.epoch, body });
        batch.effects.push(Effect::Down { node, message });
    }

    /// [`Mutant::UndoLeavesDecommission`].
    fn leaves_standing(&mut self, change: &Change) -> bool {
        let Change::ReplicaTurned { tablet, replica, state: ReplicaState::Normal, ballot } = change else {
            return false;
        };
        // Only what was given up is meant, not a copy that has arrived.
        let is_given_up = self.given_up == Some(*replica);
        let breaks = self.breaks(Mutant::UndoLeavesDecommission);
        let Some(life) = self.coordinator.life.as_mut().filter(|_| is_given_up && breaks) else { return false };
        let (tablet, replica, state, ballot) = (*tablet, *replica, ReplicaState::Decommission, *ballot);
        life.world.apply(&Change::ReplicaTurned { tablet, replica, state, ballot });
        true
    }

    fn finish(&mut self, mut batch: Batch) {
        if self.breaks(Mutant::SentBeforeStored) {
            let effects = std::mem::take(&mut batch.effects);
            self.carry_effects(effects);
        }
        let Some(life) = &mut self.coordinator.life else { return };
        if batch.durable.is_empty() && life.batches.is_empty() {
            self.carry_effects(batch.effects);
        } else {
            life.batches.push_back(batch);
            self.begin_commit();
        }
        self.ask_check();
    }

    fn begin_commit(&mut self) {
        let mut took = 1 + self.work.below(12);
        if self.work.permille(5) || self.breaks(Mutant::SentBeforeStored) {
            took += self.work.below(3 * SECOND);
        }
        let Some(life) = self.coordinator.life.as_mut().filter(|life| life.storing == 0) else { return };
        life.storing = life.batches.len();
        if life.storing > 0 {
            let life = life.number;
            self.crash_point(Next::CoordinatorCrashPoint { life }, took);
            self.queue.put(self.now + took, Next::Stored { life });
        }
    }

    /// A commit came back: now, and only now, the world outside hears of it.
    pub fn stored(&mut self, number: u64) {
        // Who has lost its store waits for ever.
        let is_rival = self.is_rival;
        let life = self.coordinator.life.as_mut().filter(|life| life.number == number && !is_rival);
        let Some(life) = life else { return };
        let count = std::mem::take(&mut life.storing);
        let batches: Vec<Batch> = life.batches.drain(..count).collect();
        for batch in batches {
            self.store(batch.durable);
            self.carry_effects(batch.effects);
        }
        self.begin_commit();
        self.ask_check();
    }

    fn store(&mut self, durable: Vec<Change>) {
        for change in durable {
            if self.breaks(Mutant::CounterNotPersisted) && matches!(change, Change::IdsReserved { .. }) {
                continue;
            }
            self.learn_committed(&change);
            self.coordinator.log.push(self.torn(change));
        }
    }

    /// [`Mutant::TornCommit`].
    fn torn(&self, mut change: Change) -> Change {
        if let Change::LoadCommitted { versions, .. } = &mut change
            && self.breaks(Mutant::TornCommit)
        {
            versions.truncate(1);
        }
        change
    }

    pub fn carry_effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Down { node, message } => {
                    self.check_order(&message);
                    let Some((agent, conn)) = self.conn_of(node) else { continue };
                    self.down(agent, conn, DownBody::Message(message));
                }
                Effect::Answer { to, answer } => self.answer(to, answer),
            }
        }
    }

    fn conn_of(&self, node: NodeId) -> Option<(usize, u64)> {
        self.coordinator.life.as_ref()?.conns.get(&node).copied()
    }

    pub fn down(&mut self, agent: usize, conn: u64, body: DownBody) {
        self.send(Place::Coordinator, Place::Agent(agent), || Next::Down { agent, conn, body: body.clone() });
    }

    /// Beats are counted and the catalog looks at its clock.
    pub fn coordinator_tick(&mut self, number: u64) {
        if self.coordinator.life.as_ref().is_none_or(|life| life.number != number) {
            return;
        }
        self.roster(RosterEvent::Tick);
        self.coordinate(EventBody::Tick, Asker::Nobody);
        self.queue.put(self.now + TICK_MS, Next::CoordinatorTick { life: number });
    }

    /// A client's request arrives.
    pub fn client_asks(&mut self, client: usize, attempt: u64, event: EventBody) {
        self.coordinate(event, Asker::Client { client, attempt });
    }

    /// What a client would read of its load.
    pub fn load_phase(&self, key: &LoadKey) -> Option<LoadPhase> {
        let life = self.coordinator.life.as_ref()?;
        let load = life.world.loads.get(key)?;
        let settled = life.is_settled(key) || self.breaks(Mutant::SentBeforeStored);
        settled.then(|| load.phase.clone())
    }
}

fn is_cancelled(outcome: &stele_coordinator_rules::world::Outcome) -> bool {
    match outcome {
        stele_coordinator_rules::world::Outcome::Cancelled { .. } => true,
        stele_coordinator_rules::world::Outcome::Finished { .. } => false,
    }
}
