//! Moves for evenness on their way from the planner to the Catalog: when it is asked, what waits for a slot, what holds
//! all of it back.
//!
//! ```text
//! ask the planner ──▶ a batch waits ──▶ each is tested again ──▶ proposal ──▶ (Catalog) ──▶ task ──▶ ended
//!       ▲                                   └─▶ not worth it any more: dropped                        │
//!       └────────────── the batch is used up, nothing of it runs, its effects have been reported ◀────┘
//! ```
//!
//! A batch was planned as one, so the next is asked for only when disks have told what this one came to: a planner that
//! looks at half an effect would move more than is needed. Repair goes first: nothing begins while a copy is made for
//! repair, or could be as soon as a slot is free or a wait is over; what waits for a slot meanwhile waits on, if that
//! is soon over. What cannot be repaired as things are (no
//! destination has room, say) holds nothing back: a move may make that room.
//!
//! It must never propose for a tablet that has a task or proposal, nor beyond the slots of balance at either end.

use super::queue::{After, Place};
use super::rests::Rests;
use super::slots::{Grant, Ledger, size_of};
use super::{Desk, DeskAction, Flight};
use crate::balance::moves::{Move, Scope, Why, still_worth};
use crate::balance::primaries::Turn;
use crate::balance::selection::Selection;
use crate::explain::kind_of;
use crate::level::forbids_moves;
use crate::plans::{Plan, Step, progress};
use crate::policy::PauseOn;
use crate::world::{LeaseScope, Outcome, Task, Work};
use crate::{Proposal, Reason, World};
use std::collections::{BTreeMap, VecDeque};
use stele_common::api::TaskKind;
use stele_common::{DiskId, ReplicaId, TabletId, TabletStatus, TaskType, Tick};

/// Time between two looks that found nothing to do (the originals' period).
const EVERY_MS: u64 = 20_000;
/// From roles that changed to the next look: they are on record by then.
const TURNS_MS: u64 = 2_000;
/// From the last end of a batch to the next question: so many beats, in which every disk has told what it holds now.
const SETTLE_BEATS: u64 = 3;
/// A planner that has not answered in this time was lost with its actor.
const ANSWER_MS: u64 = 60_000;
/// A move whose tablet changed under it is tried so often: loads change tablets all the time.
const TRIES: u32 = 10;
/// While repair goes first for no longer than this, what waits keeps waiting; a picture older than that is dropped.
const KEEP_MS: u64 = EVERY_MS;
/// A tablet that is behind for less than this is being loaded: its members install what was committed by themselves.
const BEHIND_MS: u64 = 10_000;
/// Batches in a row of which something failed double the pause, up to this many times.
const DOUBLINGS: u32 = 5;

/// What balance does between the rounds.
#[derive(Clone, Debug, Default)]
pub struct Balancing {
    /// Best first.
    waiting: VecDeque<Candidate>,
    /// Of this batch: copies that come in exchange, and the tablet whose copy must have gone before.
    seconds: BTreeMap<(TabletId, ReplicaId), TabletId>,
    /// Primaries that are to change place; it costs nothing, so it waits for nothing.
    turns: Vec<Turn>,
    /// The planner is thinking.
    asked: Option<Tick>,
    /// Not asked before.
    next: Tick,
    /// Why nothing is moved; `None` while something is.
    idle: Option<Reason>,
    /// Held back by something that is not the planner's word, since when.
    held: Option<Tick>,
    /// Something of the present batch failed.
    is_failed: bool,
    failures: u32,
    rests: Rests,
    /// Up to this step of the running plan all have had their turn.
    planned_to: usize,
    pub done: Done,
}

/// What was moved since this leadership began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub moves: u64,
    pub bytes: u64,
    pub failed: u64,
}

#[derive(Clone, Debug)]
struct Candidate {
    mv: Move,
    tries: u32,
}

impl Balancing {
    /// Moves that wait for a slot, best first.
    pub fn waiting(&self) -> impl Iterator<Item = &Move> {
        self.waiting.iter().map(|candidate| &candidate.mv)
    }

    /// Why nothing is moved; `None`: something is, or nobody has looked yet.
    pub fn idle(&self) -> Option<&Reason> {
        self.idle.as_ref()
    }

    /// The planner's answer.
    pub(super) fn selected(&mut self, at: Tick, answer: Selection) {
        if self.asked.take().is_none() {
            return;
        }
        // Roles change at once: the next round may follow.
        self.next = at.plus(if answer.turns.is_empty() { EVERY_MS } else { TURNS_MS });
        if answer.idle.is_some() {
            self.failures = 0;
        }
        self.idle = answer.idle;
        self.turns = answer.turns;
        self.line_up(answer.moves);
    }

    /// The next batch.
    fn line_up(&mut self, moves: Vec<Move>) {
        let exchanged = moves.iter().filter_map(|first| match first.why {
            Why::Exchange { tablet, replica } => Some(((tablet, replica), first.tablet)),
            Why::Usage | Why::Count | Why::Primary => None,
        });
        self.seconds = exchanged.collect();
        self.waiting = moves.into_iter().map(|mv| Candidate { mv, tries: 0 }).collect();
    }

    /// What is left of the plan that a person applied stands in the planner's place, from where the last batch ended:
    /// steps that are not worth it now hold up none behind them.
    fn planned(&mut self, world: &World, plan: &Plan, at: Tick) {
        let limit = world.knobs.max_balancing_tablets;
        let open: Vec<(usize, &Step)> = progress::open(world, plan).collect();
        let after = open.partition_point(|(place, _)| *place < self.planned_to);
        let batch: Vec<&(usize, &Step)> = open[after..].iter().chain(&open[..after]).take(limit).collect();
        self.planned_to = batch.last().map_or(0, |(place, _)| place + 1);
        let moves = batch.iter().filter_map(|(_, step)| step.as_move()).collect();
        self.line_up(moves);
        (self.next, self.idle) = (at.plus(EVERY_MS), None);
    }

    /// The Catalog refused one.
    pub(super) fn refused(&mut self, mv: Option<(Move, u32)>, reason: &Reason) {
        if matches!(reason, Reason::RevisionMoved { .. })
            && let Some((mv, tries)) = mv
            && tries < TRIES
        {
            self.waiting.push_back(Candidate { mv, tries: tries + 1 });
        }
    }

    /// A task has ended.
    pub(super) fn ended(&mut self, world: &World, at: Tick, task: &Task, outcome: &Outcome) {
        if task.task_type != TaskType::Balance {
            return;
        }
        self.next = self.next.max(at.plus(SETTLE_BEATS * world.knobs.beat_ms));
        match (outcome, &task.work) {
            (Outcome::Finished { .. }, Work::Clone { .. }) => {
                self.rests.begin(task, at);
                self.done.moves += 1;
                // A quick copy is over before it told how far it was.
                let bytes = world.tablets.get(task.tablet).map_or(task.bytes_done, size_of);
                self.done.bytes = self.done.bytes.saturating_add(bytes);
            }
            (Outcome::Cancelled { .. }, Work::Clone { .. }) => {
                self.done.failed += 1;
                self.is_failed = true;
            }
            (_, Work::Delete { .. }) => {}
        }
    }
}

impl Desk {
    pub fn balancing(&self) -> &Balancing {
        &self.balancing
    }

    /// One round of balance, after that of repair.
    pub(super) fn balance(&mut self, world: &World, at: Tick, actions: &mut Vec<DeskAction>) {
        if let Some(reason) = self.holds_balance(world, at) {
            let is_brief = matches!(reason, Reason::RepairsFirst { .. })
                && at.since(*self.balancing.held.get_or_insert(at)) < KEEP_MS;
            if !is_brief {
                self.balancing.waiting.clear();
            }
            self.balancing.turns.clear();
            self.balancing.idle = Some(reason);
            return;
        }
        if self.balancing.held.take().is_some() {
            let in_ms = self.balancing.next.since(at);
            self.balancing.idle = Some(Reason::BalanceLooks { in_ms });
        }
        let turns = std::mem::take(&mut self.balancing.turns);
        let free = turns.into_iter().filter(|turn| !self.flights.contains_key(&turn.tablet));
        actions.extend(free.map(|turn| DeskAction::Propose(Proposal::Turn(turn))));
        self.propose_moves(world, at, actions);
        let is_lost = |asked: Tick| at.since(asked) >= ANSWER_MS;
        let is_thinking = self.balancing.asked.is_some_and(|asked| !is_lost(asked));
        if is_thinking || !self.balancing.waiting.is_empty() || self.moves_under_way(world) > 0 {
            return;
        }
        if std::mem::take(&mut self.balancing.is_failed) {
            self.balancing.failures = (self.balancing.failures + 1).min(DOUBLINGS);
            let pause = EVERY_MS << self.balancing.failures;
            self.balancing.next = self.balancing.next.max(at.plus(pause));
        }
        if at >= self.balancing.next {
            self.balancing.rests.look(world, at);
            if let Some(plan) = world.plans.balancing() {
                return self.balancing.planned(world, plan, at);
            }
            self.balancing.asked = Some(at);
            let (scope, limit) = (self.balance_scope(world, at), world.knobs.max_balancing_tablets);
            actions.push(DeskAction::AskMoves { scope, limit });
        }
    }

    /// What balance may touch now.
    pub fn balance_scope(&self, world: &World, at: Tick) -> Scope {
        let mut scope = self.balancing.rests.scope(at);
        // A pause of repair pauses balance too; one of everything is asked of the level.
        for lease in world.leases.values() {
            let LeaseScope::Pause { on, .. } = &lease.scope else { continue };
            match on {
                PauseOn::Everything => {}
                PauseOn::Node { node } => _ = scope.held_nodes.insert(*node),
                PauseOn::Disk { disk } => _ = scope.held_disks.insert(*disk),
                PauseOn::Table { table } => _ = scope.held_tables.insert(*table),
            }
        }
        scope
    }

    /// What keeps all of balance waiting.
    fn holds_balance(&self, world: &World, at: Tick) -> Option<Reason> {
        if world.knobs.disable_balance && world.plans.balancing().is_none() {
            return Some(Reason::BalanceDisabled);
        }
        if let Some(reason) = forbids_moves(world) {
            return Some(reason);
        }
        // Who is not back yet after a change of leader is not known to be gone: the picture is not whole.
        let left = world.began.plus(world.knobs.lost_ms).since(at);
        if left > 0 {
            return Some(Reason::BalanceTooEarly { in_ms: left });
        }
        match self.repairs(world, at) {
            0 => None,
            tablets => Some(Reason::RepairsFirst { tablets }),
        }
    }

    /// Tablets that are being copied for repair, or will be when a slot is free or a wait is over.
    fn repairs(&self, world: &World, at: Tick) -> u32 {
        let copies = |task: &&Task| task.task_type == TaskType::Repair && matches!(task.work, Work::Clone { .. });
        let running = world.tasks.values().filter(copies).count();
        let waits = self.entries().filter(|entry| {
            let is_copy = kind_of(entry.verdict.status).is_some_and(|kind| kind != TaskKind::Delete);
            let is_loading = entry.verdict.status == TabletStatus::VersionIncomplete;
            let is_copy = is_copy && !(is_loading && at.since(entry.queued) < BEHIND_MS);
            is_copy
                && match entry.place {
                    Place::Ready | Place::Busy { .. } => true,
                    Place::Later { after: After::Wait | After::Failure, .. } => true,
                    Place::Later { after: After::Refusal, .. } => false,
                    Place::Away => !world.tasks.contains_key(&entry.tablet),
                }
        });
        (running + waits.count()) as u32
    }

    /// Running moves, proposed ones and the deletions that end them.
    pub fn moves_under_way(&self, world: &World) -> usize {
        let running = world.tasks.values().filter(|task| task.task_type == TaskType::Balance).count();
        running + self.flights.values().filter(|flight| flight.mv.is_some()).count()
    }

    /// Whether a copy comes in exchange for one that has not landed yet: alone it would make things worse, and beside it
    /// would fill a disk more than after it. (What has failed is not waited for: the copy is not worth it then.)
    fn is_too_early(&self, world: &World, mv: &Move) -> bool {
        let Some(first) = self.balancing.seconds.get(&(mv.tablet, mv.replica)) else { return false };
        let is_copied = world.tasks.get(first).is_some_and(|task| match task.work {
            Work::Clone { .. } => task.task_type == TaskType::Balance,
            Work::Delete { .. } => false,
        });
        is_copied || self.flights.contains_key(first) || self.balancing.waiting().any(|other| other.tablet == *first)
    }

    fn propose_moves(&mut self, world: &World, at: Tick, actions: &mut Vec<DeskAction>) {
        if self.balancing.waiting.is_empty() {
            return;
        }
        let (scope, mut ledger) = (self.balance_scope(world, at), self.ledger(world));
        let is_early: Vec<bool> = self.balancing.waiting().map(|mv| self.is_too_early(world, mv)).collect();
        for (candidate, is_early) in std::mem::take(&mut self.balancing.waiting).into_iter().zip(is_early) {
            let Candidate { mv, tries } = candidate;
            if self.flights.contains_key(&mv.tablet) {
                continue;
            }
            let is_busy = |disk: &DiskId| ledger.free(*disk, TaskType::Balance) == 0;
            if is_early || [mv.from, mv.to].iter().any(is_busy) {
                self.balancing.waiting.push_back(Candidate { mv, tries });
                continue;
            }
            let worth = still_worth(world, &scope, &ledger, &mv);
            let revision = world.tablets.get(mv.tablet).map(|tablet| tablet.revision);
            match (worth, revision) {
                (Ok(()), Some(revision)) => {
                    let grant = grant_of(&mv);
                    ledger.take(world, &grant);
                    let flight = Flight { grant: Some(grant), since: at, task: None, mv: Some((mv.clone(), tries)) };
                    self.flights.insert(mv.tablet, flight);
                    actions.push(DeskAction::Propose(Proposal::Move { revision, mv }));
                }
                (Err(reason), _) => actions.push(DeskAction::Explain { tablet: mv.tablet, reason }),
                (Ok(()), None) => {}
            }
        }
    }
}

/// What a move takes.
pub fn grant_of(mv: &Move) -> Grant {
    let (task_type, leaves) = (TaskType::Balance, Some(mv.from));
    Grant { task_type, source_disk: mv.from, node: mv.to_node, disk: mv.to, bytes: mv.bytes, leaves }
}

/// Whether every slot that a move needs is free.
pub fn has_slots(ledger: &Ledger, mv: &Move) -> Result<(), Reason> {
    if ledger.free(mv.from, TaskType::Balance) == 0 {
        return Err(super::source::no_slot(mv.from));
    }
    if ledger.free(mv.to, TaskType::Balance) == 0 {
        return Err(super::target::no_slot(vec![mv.to]).reason);
    }
    Ok(())
}
