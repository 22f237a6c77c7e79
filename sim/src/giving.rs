//! The sources of a copy: who offers what the replica becomes, who is asked for which files, and what a source that gave
//! wrong ones is told. Good, bad, stray and trashed replicas give alike; only a good one's head is believed to be newer.

use crate::Mutant;
use crate::copying::{Fetching, Receiver, Step};
use crate::disk::{Body, Papers, ReplicaDir};
use crate::net::Place;
use crate::options::SECOND;
use crate::sim::Sim;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use stele_agent_rules::event::EventBody;
use stele_common::{BootId, CloneOrder, Entry, RelPath, ReplicaId, TaskFailure, Version};

/// As the agent's: a source is called so often in one copy.
const CALLS_MAX: u32 = 16;
/// A peer that is cut off is waited for so long at most.
const DIAL_MS: u64 = 10 * SECOND;

/// One source, as far as it has been asked.
#[derive(Clone, Debug, Default)]
pub struct Giver {
    calls: u32,
    /// Files that it was asked for in vain.
    struck: BTreeSet<RelPath>,
    /// Files of which it sent wrong bytes.
    doubts: Vec<(RelPath, Entry)>,
}

/// A request for files on its way.
#[derive(Clone, Debug)]
pub struct Line {
    giver: usize,
    seat: Seat,
    pub files: VecDeque<RelPath>,
}

/// Where a source's replica lies.
#[derive(Clone, Copy, Debug)]
struct Seat {
    agent: usize,
    disk: usize,
    boot: BootId,
    replica: ReplicaId,
    is_trash: bool,
    is_bad: bool,
}

/// A version that a source keeps while it is copied from.
#[derive(Clone, Debug)]
pub struct Pin {
    agent: usize,
    disk: usize,
    boot: BootId,
    replica: ReplicaId,
    version: Version,
}

/// What was wrong with a file that a source was asked for.
pub enum Fault {
    /// Its bytes fail their digest.
    Wrong,
    /// Its replica should have it and has not.
    Missing,
    /// It has no such file.
    Lacking,
    /// The source is not there any more.
    Gone,
}

impl Fault {
    pub fn breaks_line(&self) -> bool {
        match self {
            Fault::Gone => true,
            Fault::Wrong | Fault::Missing | Fault::Lacking => false,
        }
    }
}

fn lost(detail: &str) -> TaskFailure {
    TaskFailure::SourceLost { detail: detail.to_string() }
}

impl Fetching {
    /// A source did not give a file: it is not asked for it again.
    pub fn note(&mut self, line: &Line, path: RelPath, entry: Entry, fault: Fault) {
        let giver = &mut self.givers[line.giver];
        giver.struck.insert(path.clone());
        let failure = match fault {
            Fault::Wrong => {
                giver.doubts.push((path.clone(), entry));
                TaskFailure::SourceDamaged { path: path.to_string() }
            }
            Fault::Missing => TaskFailure::SourceDamaged { path: path.to_string() },
            Fault::Lacking => lost("it lacks a file"),
            Fault::Gone => lost("the line broke"),
        };
        self.blame(failure);
    }

    fn blame(&mut self, failure: TaskFailure) {
        if !matches!(self.worst, Some(TaskFailure::SourceDamaged { .. })) {
            self.worst = Some(failure);
        }
    }
}

impl Sim {
    /// Asks the next source what the replica becomes, and plans.
    pub fn choose_target(&mut self, to: Receiver, order: &CloneOrder, fetching: &mut Fetching) -> Step {
        if fetching.next >= order.sources.len() {
            return self.give_up(fetching);
        }
        let giver = fetching.next;
        fetching.next += 1;
        let Some(seat) = self.seat_of(order, giver) else {
            fetching.givers[giver].calls = CALLS_MAX;
            fetching.blame(lost("nobody is there"));
            return Step::Again(10);
        };
        if !self.reaches(to.agent, &seat) {
            fetching.givers[giver].calls = CALLS_MAX;
            fetching.blame(lost("it does not answer"));
            return Step::Again(DIAL_MS.min(order.stall_ms));
        }
        match self.offered(&seat, order) {
            Ok((version, papers)) => {
                // Another version's file of the same name is another file.
                fetching.givers.iter_mut().for_each(|giver| giver.struck.clear());
                self.plan_copy(to, order, fetching, version, papers);
                self.pin(fetching, &seat, version);
            }
            Err(failure) => fetching.blame(failure),
        }
        Step::Again(2 * self.net.delay())
    }

    /// Where a source lies now, on a disk in use of an agent that runs.
    fn seat_of(&self, order: &CloneOrder, giver: usize) -> Option<Seat> {
        let source = &order.sources[giver];
        let agent = self.agents.iter().position(|host| host.host == source.peer && host.life.is_some())?;
        let life = self.agents[agent].life.as_ref()?;
        let replica = source.replica;
        life.books.iter().find_map(|(disk, book)| {
            let held = book.replicas.get(&replica);
            let is_trash = held.is_none() && book.trash.contains_key(&replica);
            let is_bad = held.is_some_and(|held| held.bad.is_some());
            let seat = Seat { agent, disk: *disk, boot: life.boot, replica, is_trash, is_bad };
            (held.is_some() || is_trash).then_some(seat)
        })
    }

    fn reaches(&self, agent: usize, seat: &Seat) -> bool {
        let (me, peer) = (Place::Agent(agent), Place::Agent(seat.agent));
        let runs = self.agents[seat.agent].life.as_ref().is_some_and(|life| life.boot == seat.boot);
        runs && (me == peer || self.net.passes(me, peer) && self.net.passes(peer, me))
    }

    fn dir_at(&self, seat: &Seat) -> Option<&ReplicaDir> {
        let model = &self.agents[seat.agent].disks[seat.disk];
        let trashed = || model.trash.get(&seat.replica).map(|trash| &trash.dir);
        let dir = model.replicas.get(&seat.replica).or_else(trashed);
        dir.filter(|_| model.mounted && !model.destroyed)
    }

    /// What a source has that fits the order: the head of a good one, else the ordered version.
    fn offered(&self, seat: &Seat, order: &CloneOrder) -> Result<(Version, Arc<Papers>), TaskFailure> {
        let dir = self.dir_at(seat).ok_or_else(|| lost("its disk is gone"))?;
        let is_trusted = !seat.is_bad && !seat.is_trash;
        let head = Some(dir.head).filter(|head| is_trusted && dir.versions.contains_key(head));
        let version = head.unwrap_or(order.version);
        if version < order.version {
            return Err(lost("it is behind"));
        }
        let found = dir.versions.get(&version).cloned().ok_or_else(|| lost("no such version"))?;
        let ordered = dir.versions.get(&order.version);
        if ordered.is_some_and(|papers| papers.hash != order.hash) {
            return Err(TaskFailure::SourceDamaged { path: "manifest".to_string() });
        }
        Ok((version, found))
    }

    fn pin(&mut self, fetching: &mut Fetching, seat: &Seat, version: Version) {
        let Seat { agent, disk, boot, replica, .. } = *seat;
        fetching.pins.push(Pin { agent, disk, boot, replica, version });
        self.agent_event(agent, disk, EventBody::Pinned { replica, version });
    }

    /// The copy is over: sources need keep nothing for it.
    pub fn unpin(&mut self, fetching: &Fetching) {
        for Pin { agent, disk, boot, replica, version } in fetching.pins.clone() {
            if self.agents[agent].life.as_ref().is_some_and(|life| life.boot == boot) {
                self.agent_event(agent, disk, EventBody::Unpinned { replica, version });
            }
        }
    }

    /// Who is asked next: in turn, the one that named the version first.
    pub fn next_giver(&self, fetching: &Fetching) -> Option<usize> {
        let target = fetching.target.as_ref()?;
        let first = fetching.next.saturating_sub(1);
        let has_more = |index: &usize| {
            let giver = &fetching.givers[*index];
            giver.calls < CALLS_MAX && target.pending.keys().any(|path| !giver.struck.contains(path))
        };
        let open = (0..fetching.givers.len()).filter(has_more);
        open.min_by_key(|index| (fetching.givers[*index].calls, *index != first, *index))
    }

    /// Asks one source for all that is missing and that it has not been asked for in vain.
    pub fn ask_giver(&mut self, to: Receiver, order: &CloneOrder, fetching: &mut Fetching, index: usize) -> Step {
        fetching.givers[index].calls += 1;
        let seat = self.seat_of(order, index);
        let Some(seat) = seat.filter(|seat| self.reaches(to.agent, seat)) else {
            fetching.givers[index].calls = CALLS_MAX;
            fetching.blame(lost("it does not answer"));
            return Step::Again(if seat.is_some() { DIAL_MS.min(order.stall_ms) } else { 10 });
        };
        let struck = &fetching.givers[index].struck;
        let pending = fetching.target.iter().flat_map(|target| target.pending.keys());
        let files = pending.filter(|path| !struck.contains(*path)).cloned().collect();
        fetching.line = Some(Line { giver: index, seat, files });
        Step::Again(self.net.delay())
    }

    /// A file as a source gives it.
    pub fn given(
        &mut self,
        agent: usize,
        line: &Line,
        order: &CloneOrder,
        path: &RelPath,
        entry: &Entry,
    ) -> Result<Body, Fault> {
        let seat = &line.seat;
        if !self.reaches(agent, seat) {
            return Err(Fault::Gone);
        }
        let Some(dir) = self.dir_at(seat) else { return Err(Fault::Gone) };
        let body = dir.data.get(&(entry.added, path.clone())).filter(|body| body.size == entry.size).copied();
        let is_named =
            dir.versions.get(&dir.head).is_some_and(|papers| papers.manifest.entries.get(path) == Some(entry));
        let is_second_hand = seat.is_bad || seat.is_trash;
        let trusts =
            self.breaks(Mutant::RottenSourceAccepted) || is_second_hand && self.breaks(Mutant::SalvageWithoutDigest);
        match body {
            Some(body) if trusts || body.digest == entry.digest => {
                *self.stats.checks.entry("salvaged files").or_default() += u64::from(is_second_hand);
                Ok(body)
            }
            Some(_) => Err(Fault::Wrong),
            None if is_named && !seat.is_trash => {
                self.found_damaged(seat, order, path, "it is missing");
                Err(Fault::Missing)
            }
            None => Err(Fault::Lacking),
        }
    }

    /// The agent of a source sees itself that a file is not what it should be.
    fn found_damaged(&mut self, seat: &Seat, order: &CloneOrder, path: &RelPath, what: &str) {
        let cause = format!("`{path}`: {what}");
        let model = &mut self.agents[seat.agent].disks[seat.disk];
        let Some(dir) = model.replicas.get_mut(&seat.replica).filter(|dir| dir.label.tablet == order.label.tablet)
        else {
            return;
        };
        dir.bad.get_or_insert_with(|| cause.clone());
        self.agent_event(seat.agent, seat.disk, EventBody::FoundDamaged { replica: seat.replica, cause });
    }

    /// Sources are told which of their files came damaged, and look at them.
    pub fn tell_doubts(&mut self, agent: usize, order: &CloneOrder, fetching: &mut Fetching) {
        for index in 0..fetching.givers.len() {
            let doubts = std::mem::take(&mut fetching.givers[index].doubts);
            let Some(seat) = self.seat_of(order, index).filter(|seat| self.reaches(agent, seat)) else { continue };
            for (path, entry) in doubts {
                let dir = self.dir_at(&seat).filter(|_| !seat.is_trash);
                let body = dir.and_then(|dir| dir.data.get(&(entry.added, path.clone())));
                if body.is_some_and(|body| body.digest != entry.digest) {
                    self.found_damaged(&seat, order, &path, "digest mismatch");
                }
            }
        }
    }
}
