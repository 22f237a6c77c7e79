//! A copy being received, as the agent's `disk::fetch` and `disk::gather` do it: one source says what the replica becomes,
//! its files come from all sources in turn, each held against its digest. What the sources are and say is `giving`.
//!
//! ```text
//! target ─▶ plan (what lies here is reused by digest) ─▶ ask one source ─▶ piece after piece ─▶ the next source ... ─▶ ready
//! ```
//!
//! Breaks off when the disk, the coordinator or the last source says so. It must never keep bytes that fail their digest.

use crate::disk::{Body, CopyDir, Papers};
use crate::giving::{Giver, Line, Pin};
use crate::sim::{Next, Sim};
use std::collections::BTreeMap;
use std::sync::Arc;
use stele_agent_rules::event::EventBody;
use stele_agent_rules::{Op, OpFailure, OpResult, clone_plan};
use stele_common::{BootId, CloneOrder, Entry, RelPath, TaskFailure, Version};

/// Bytes of one step, so that a copy of a few files can be cut in the middle.
const STEP_BYTES: u64 = 24 << 20;

/// How far a copy is.
#[derive(Clone, Debug, Default)]
pub struct Fetching {
    /// All sources of the order, in its order.
    pub givers: Vec<Giver>,
    /// The next to be asked what the replica becomes.
    pub next: usize,
    pub target: Option<Target>,
    /// Files that one source has been asked for and that have not come.
    pub line: Option<Line>,
    /// What sources keep until the copy ends.
    pub pins: Vec<Pin>,
    /// Why no source did so far: damage before anything else.
    pub worst: Option<TaskFailure>,
    copied: u64,
    reused: u64,
    total: u64,
}

/// What the replica becomes.
#[derive(Clone, Debug)]
pub struct Target {
    pub version: Version,
    pub papers: Arc<Papers>,
    pub pending: BTreeMap<RelPath, Entry>,
}

/// What a step came to.
pub enum Step {
    /// The next one is due after so many milliseconds.
    Again(u64),
    End(OpResult),
}

/// Where a copy goes to.
#[derive(Clone, Copy)]
pub struct Receiver {
    pub agent: usize,
    pub disk: usize,
    pub mend: bool,
}

fn failed(failure: TaskFailure) -> Step {
    Step::End(OpResult::Failed(OpFailure::Copy(failure)))
}

impl Sim {
    /// The next piece of a copy.
    pub fn fetch_step(&mut self, agent: usize, boot: BootId, number: u64) {
        let now = self.now;
        let Some(life) = self.agents[agent].life.as_mut().filter(|life| life.boot == boot) else { return };
        let Some(running) = life.running.get_mut(&number) else { return };
        let Op::Fetch { order, mend } = running.op.clone() else { return };
        let disk = running.disk;
        let givers = || order.sources.iter().map(|_| Giver::default()).collect();
        let fresh = || Fetching { givers: givers(), ..Fetching::default() };
        let mut fetching = running.fetching.take().unwrap_or_else(fresh);
        let is_wanted = life.books[&disk].copies.get(&order.task).is_some_and(|copy| !copy.cancelled);
        let step = if is_wanted {
            self.fetch_piece(Receiver { agent, disk, mend }, &order, &mut fetching)
        } else {
            failed(TaskFailure::Cancelled)
        };
        self.progress(agent, disk, &order, &fetching);
        match step {
            Step::Again(after) => {
                if let Some(running) = self.agents[agent].life.as_mut().and_then(|life| life.running.get_mut(&number)) {
                    running.fetching = Some(fetching);
                    self.queue.put(now + after, Next::FetchStep { agent, boot, number });
                }
            }
            Step::End(result) => {
                self.tell_doubts(agent, &order, &mut fetching);
                self.unpin(&fetching);
                self.op_done(agent, boot, number, result);
            }
        }
    }

    fn progress(&mut self, agent: usize, disk: usize, order: &CloneOrder, fetching: &Fetching) {
        let (bytes_done, bytes_total) = (fetching.copied + fetching.reused, fetching.total);
        let body = EventBody::Progress { task: order.task, bytes_done, bytes_total };
        self.agent_event(agent, disk, body);
    }

    fn fetch_piece(&mut self, to: Receiver, order: &CloneOrder, fetching: &mut Fetching) -> Step {
        let model = &self.agents[to.agent].disks[to.disk];
        if !model.mounted || model.identity != Some(order.disk) {
            return failed(TaskFailure::Disk { detail: "the directory is gone".to_string() });
        }
        if model.failing {
            return Step::End(OpResult::Failed(OpFailure::Disk { detail: "input/output error".to_string() }));
        }
        if model.full {
            return failed(TaskFailure::DiskFull);
        }
        if fetching.line.is_some() {
            return self.receive(to, order, fetching);
        }
        match &fetching.target {
            None => self.choose_target(to, order, fetching),
            Some(target) if target.pending.is_empty() => self.ready(to, order, fetching),
            Some(_) => match self.next_giver(fetching) {
                Some(giver) => self.ask_giver(to, order, fetching, giver),
                None => self.out_of_givers(order, fetching),
            },
        }
    }

    /// Everything that is missing has been asked of everybody.
    fn out_of_givers(&mut self, order: &CloneOrder, fetching: &mut Fetching) -> Step {
        let is_newer = fetching.target.take().is_some_and(|target| target.version > order.version);
        // Only from a newer version than the ordered one is there a way back to it.
        if is_newer && fetching.next < fetching.givers.len() { Step::Again(1) } else { self.give_up(fetching) }
    }

    pub fn give_up(&self, fetching: &Fetching) -> Step {
        let none = || TaskFailure::Refused { detail: "the order names no source".to_string() };
        failed(fetching.worst.clone().unwrap_or_else(none))
    }

    /// What is here stays or is reused, each file held against its digest where it comes from elsewhere.
    pub fn plan_copy(
        &mut self,
        to: Receiver,
        order: &CloneOrder,
        fetching: &mut Fetching,
        version: Version,
        papers: Arc<Papers>,
    ) {
        let model = &mut self.agents[to.agent].disks[to.disk];
        let contents = model.contents(order.label.tablet);
        let copy = model.copies.entry(order.label.tablet).or_insert_with(|| CopyDir {
            task: order.task,
            replica: order.label.replica,
            files: BTreeMap::new(),
            ready: None,
        });
        (copy.task, copy.replica, copy.ready) = (order.task, order.label.replica, None);
        let plan = clone_plan::plan(&papers.manifest, &contents);
        let own = model.replicas.get(&order.label.replica);
        let lies_in_place = |path: &RelPath, entry: &Entry| {
            let body = own.and_then(|dir| dir.data.get(&(entry.added, path.clone())));
            body.is_some_and(|body| !to.mend || body.digest == entry.digest)
        };
        fetching.reused = plan.bytes_reused;
        fetching.total = plan.bytes_reused + plan.bytes_to_fetch;
        for (path, entry, body) in &plan.reuse {
            if !lies_in_place(path, entry) {
                copy.files.insert(entry.digest, *body);
            }
        }
        let pending = plan.fetch.into_iter().filter(|(path, entry)| !lies_in_place(path, entry)).collect();
        fetching.target = Some(Target { version, papers, pending });
    }

    /// The next bytes of what one source was asked for.
    fn receive(&mut self, to: Receiver, order: &CloneOrder, fetching: &mut Fetching) -> Step {
        let (Some(mut line), Some(mut target)) = (fetching.line.take(), fetching.target.take()) else {
            return Step::Again(1);
        };
        let mut step = 0;
        while step < STEP_BYTES
            && let Some(path) = line.files.pop_front()
        {
            let Some(entry) = target.pending.get(&path).copied() else { continue };
            match self.given(to.agent, &line, order, &path, &entry) {
                Ok(body) => {
                    step += entry.size;
                    self.keep(to, order, entry, body);
                    target.pending.remove(&path);
                }
                Err(fault) => {
                    let is_broken = fault.breaks_line();
                    fetching.note(&line, path, entry, fault);
                    if is_broken {
                        line.files.clear();
                    }
                }
            }
        }
        fetching.copied += step;
        self.stats.bytes_copied += step;
        if step > 0 {
            self.moved_at = self.now;
        }
        fetching.line = Some(line).filter(|line| !line.files.is_empty());
        fetching.target = Some(target);
        Step::Again(1 + step / 100_000)
    }

    fn keep(&mut self, to: Receiver, order: &CloneOrder, entry: Entry, body: Body) {
        let model = &mut self.agents[to.agent].disks[to.disk];
        if let Some(copy) = model.copies.get_mut(&order.label.tablet) {
            copy.files.insert(entry.digest, body);
        }
    }

    fn ready(&mut self, to: Receiver, order: &CloneOrder, fetching: &mut Fetching) -> Step {
        let Some(Target { version, papers, .. }) = fetching.target.take() else { return Step::Again(1) };
        let hash = papers.hash;
        if let Some(copy) = self.agents[to.agent].disks[to.disk].copies.get_mut(&order.label.tablet) {
            copy.ready = Some((version, papers));
        }
        self.stats.copies += 1;
        let (bytes_copied, bytes_reused) = (fetching.copied, fetching.reused);
        Step::End(OpResult::Fetched { version, hash, bytes_copied, bytes_reused })
    }
}
