//! A copy being received: the source's manifest against what lies here, then file after file over the network, each
//! held against its digest. Breaks off when the source, the wire, the disk or the coordinator says so.

use crate::Mutant;
use crate::disk::{Body, CopyDir, ModelDisk, Papers};
use crate::net::Place;
use crate::options::SECOND;
use crate::sim::{Next, Sim};
use std::collections::BTreeMap;
use std::sync::Arc;
use stele_agent_rules::event::EventBody;
use stele_agent_rules::{Op, OpFailure, OpResult, clone_plan};
use stele_common::{BootId, CloneOrder, Entry, RelPath, ReplicaId, TaskFailure, Version};

/// Bytes of one step, so that a copy of a few files can be cut in the middle.
const STEP_BYTES: u64 = 24 << 20;
/// A source that does not answer is asked again this often.
const ASK_AGAIN_MS: u64 = 5 * SECOND;

/// How far a copy is.
#[derive(Clone, Debug)]
pub struct Fetching {
    /// Place in the order's list of sources.
    source: usize,
    /// Since when nothing has moved.
    moved: u64,
    /// What is being copied, once the source has said it.
    from: Option<From>,
    copied: u64,
    reused: u64,
    total: u64,
}

#[derive(Clone, Debug)]
struct From {
    agent: usize,
    disk: usize,
    boot: BootId,
    replica: ReplicaId,
    version: Version,
    papers: Arc<Papers>,
    pending: Vec<(RelPath, Entry)>,
}

/// What a step came to.
enum Step {
    /// The next one is due after so many milliseconds.
    Again(u64),
    End(OpResult),
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
        let fresh = Fetching { source: 0, moved: now, from: None, copied: 0, reused: 0, total: 0 };
        let mut fetching = running.fetching.take().unwrap_or(fresh);
        let is_wanted = life.books[&disk].copies.get(&order.task).is_some_and(|copy| !copy.cancelled);
        let step = if is_wanted {
            self.fetch_piece(agent, disk, &order, mend, &mut fetching)
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

    fn unpin(&mut self, fetching: &Fetching) {
        let Some(from) = &fetching.from else { return };
        let is_same = self.agents[from.agent].life.as_ref().is_some_and(|life| life.boot == from.boot);
        if is_same {
            let body = EventBody::Unpinned { replica: from.replica, version: from.version };
            self.agent_event(from.agent, from.disk, body);
        }
    }

    fn fetch_piece(
        &mut self,
        agent: usize,
        disk: usize,
        order: &CloneOrder,
        mend: bool,
        fetching: &mut Fetching,
    ) -> Step {
        let model = &self.agents[agent].disks[disk];
        if !model.mounted || model.identity != Some(order.disk) {
            return failed(TaskFailure::Disk { detail: "the directory is gone".to_string() });
        }
        if model.failing {
            return Step::End(OpResult::Failed(OpFailure::Disk { detail: "input/output error".to_string() }));
        }
        if model.full {
            return failed(TaskFailure::DiskFull);
        }
        match &fetching.from {
            Some(from) if self.can_read(agent, from) => self.receive(agent, disk, order, fetching),
            Some(_) => {
                self.unpin(fetching);
                fetching.from = None;
                self.next_source(order, fetching)
            }
            None => self.ask_source(agent, disk, order, mend, fetching),
        }
    }

    fn can_read(&self, agent: usize, from: &From) -> bool {
        let (me, peer) = (Place::Agent(agent), Place::Agent(from.agent));
        let host = &self.agents[from.agent];
        let runs = host.life.as_ref().is_some_and(|life| life.boot == from.boot);
        let disk = &host.disks[from.disk];
        runs && disk.mounted
            && self.net.passes(me, peer)
            && self.net.passes(peer, me)
            && disk.replicas.get(&from.replica).is_some_and(|dir| dir.versions.contains_key(&from.version))
    }

    fn next_source(&self, order: &CloneOrder, fetching: &mut Fetching) -> Step {
        fetching.source += 1;
        if fetching.source < order.sources.len() {
            return Step::Again(10);
        }
        fetching.source = 0;
        if self.now - fetching.moved >= order.stall_ms {
            return failed(TaskFailure::SourceLost { detail: "no source answers".to_string() });
        }
        Step::Again(ASK_AGAIN_MS)
    }

    /// Asks a source for its manifest and plans.
    fn ask_source(
        &mut self,
        agent: usize,
        disk: usize,
        order: &CloneOrder,
        mend: bool,
        fetching: &mut Fetching,
    ) -> Step {
        let found = order.sources.get(fetching.source).and_then(|source| {
            let peer = self.agents.iter().position(|host| host.host == source.peer)?;
            let life = self.agents[peer].life.as_ref()?;
            let (there, book) = life.books.iter().find(|(_, book)| book.replicas.contains_key(&source.replica))?;
            let held = &book.replicas[&source.replica];
            let dir = self.agents[peer].disks[*there].replicas.get(&source.replica)?;
            let papers = dir.versions.get(&dir.head)?.clone();
            (dir.head >= order.version && held.bad.is_none()).then(|| From {
                agent: peer,
                disk: *there,
                boot: life.boot,
                replica: source.replica,
                version: dir.head,
                papers,
                pending: Vec::new(),
            })
        });
        let Some(mut from) = found.filter(|from| self.can_read(agent, from)) else {
            return self.next_source(order, fetching);
        };
        if from.version == order.version && from.papers.hash != order.hash {
            return failed(TaskFailure::SourceDamaged { path: "manifest".to_string() });
        }
        self.plan_copy(agent, disk, order, mend, &mut from, fetching);
        let body = EventBody::Pinned { replica: from.replica, version: from.version };
        let (peer, there) = (from.agent, from.disk);
        fetching.from = Some(from);
        fetching.moved = self.now;
        self.agent_event(peer, there, body);
        Step::Again(2 * self.net.delay())
    }

    /// What is here stays or is reused, each file held against its digest where it comes from elsewhere.
    fn plan_copy(
        &mut self,
        agent: usize,
        disk: usize,
        order: &CloneOrder,
        mend: bool,
        from: &mut From,
        fetching: &mut Fetching,
    ) {
        let model = &mut self.agents[agent].disks[disk];
        let contents = model.contents(order.label.tablet);
        let copy = model.copies.entry(order.label.tablet).or_insert_with(|| CopyDir {
            task: order.task,
            replica: order.label.replica,
            files: BTreeMap::new(),
            ready: None,
        });
        (copy.task, copy.replica, copy.ready) = (order.task, order.label.replica, None);
        let plan = clone_plan::plan(&from.papers.manifest, &contents);
        let own = model.replicas.get(&order.label.replica);
        let lies_in_place = |path: &RelPath, entry: &Entry| {
            let body = own.and_then(|dir| dir.data.get(&(entry.added, path.clone())));
            body.is_some_and(|body| !mend || body.digest == entry.digest)
        };
        fetching.reused = plan.bytes_reused;
        fetching.total = plan.bytes_reused + plan.bytes_to_fetch;
        for (path, entry, body) in &plan.reuse {
            if !lies_in_place(path, entry) {
                copy.files.insert(entry.digest, *body);
            }
        }
        from.pending = plan.fetch.into_iter().filter(|(path, entry)| !lies_in_place(path, entry)).collect();
    }

    fn receive(&mut self, agent: usize, disk: usize, order: &CloneOrder, fetching: &mut Fetching) -> Step {
        let trusts = self.breaks(Mutant::RottenSourceAccepted);
        let Some(from) = &mut fetching.from else { return Step::Again(1) };
        let mut step = 0;
        while step < STEP_BYTES
            && let Some((path, entry)) = from.pending.pop()
        {
            let source = &self.agents[from.agent].disks[from.disk];
            let dir = source.replicas.get(&from.replica);
            let body = dir.and_then(|dir| dir.data.get(&(entry.added, path.clone()))).copied();
            let Some(body) = body.filter(|body| trusts || body.digest == entry.digest) else {
                return failed(TaskFailure::SourceDamaged { path: path.to_string() });
            };
            step += entry.size;
            keep(&mut self.agents[agent].disks[disk], order, entry, body);
        }
        fetching.copied += step;
        self.stats.bytes_copied += step;
        if step > 0 {
            fetching.moved = self.now;
            self.moved_at = self.now;
        }
        if !from.pending.is_empty() {
            return Step::Again(1 + step / 100_000);
        }
        let (version, papers) = (from.version, from.papers.clone());
        let hash = papers.hash;
        if let Some(copy) = self.agents[agent].disks[disk].copies.get_mut(&order.label.tablet) {
            copy.ready = Some((version, papers));
        }
        self.stats.copies += 1;
        let (bytes_copied, bytes_reused) = (fetching.copied, fetching.reused);
        Step::End(OpResult::Fetched { version, hash, bytes_copied, bytes_reused })
    }
}

fn keep(model: &mut ModelDisk, order: &CloneOrder, entry: Entry, body: Body) {
    if let Some(copy) = model.copies.get_mut(&order.label.tablet) {
        copy.files.insert(entry.digest, body);
    }
}
