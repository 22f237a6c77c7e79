//! Copies: whether one may start, what is ordered, how it ends, and what a restart or a return does to it.
//!
//! In: the scheduler's proposals, agents' words on copies. Out: tasks and CLONE replicas on record, orders. An agent's
//! "done" never makes a replica count: only a report of the replica does ([`super::landing`]). A fresh copy that is
//! given up leaves the catalog but is not ordered to be dropped: if it turns out whole after all, it is a stray, and
//! judged as one.

use super::{Draft, deletion, facts, landing, level, salvage, tables};
use crate::checkup;
use crate::event::Target;
use crate::schedule::target;
use crate::world::{Outcome, Replica, Tablet, Task, Work};
use crate::{Change, Reason, World};
use std::collections::BTreeSet;
use stele_common::{
    CloneOrder, DiskId, DiskState, Evidence, Liveness, NodeId, OrderBody, Priority, ReplicaId, ReplicaState, Source,
    TabletId, TabletStatus, TaskFact, TaskFailure, TaskId, TaskProgress, TaskType, Version,
};

/// Copies that a tablet may have beyond the wanted ones while it is being repaired (DESIGN 6.5).
pub const SURPLUS_MAX: usize = 2;

/// What a proposal was decided on.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub tablet: TabletId,
    pub revision: u64,
    pub status: TabletStatus,
    pub priority: Priority,
    pub task_type: TaskType,
}

/// What every new task needs: a level that allows it, the tablet unchanged since, and no other task on it.
pub fn may_start(draft: &Draft, wish: &Wish) -> Result<(), Reason> {
    if let Some(reason) = level::forbids_repair(draft.world) {
        return Err(reason);
    }
    let Some(tablet) = draft.world.tablets.get(wish.tablet) else { return Err(moved(wish.tablet)) };
    if draft.world.tasks.contains_key(&wish.tablet) {
        return Err(Reason::TabletHasTask { tablet: wish.tablet });
    }
    if tablet.revision != wish.revision { Err(moved(wish.tablet)) } else { Ok(()) }
}

/// The world is no longer the one that the proposal was decided on.
pub fn moved(tablet: TabletId) -> Reason {
    Reason::RevisionMoved { tablet }
}

pub fn table_dropped() -> Reason {
    Reason::TableDropped
}

/// Starts a copy from `source`, into an existing replica or a new one.
pub fn start_copy(draft: &mut Draft, wish: Wish, source: ReplicaId, target: Target) -> Result<TaskId, Reason> {
    may_start(draft, &wish)?;
    let tablet = draft.world.tablets.get(wish.tablet).ok_or_else(|| moved(wish.tablet))?;
    let place = place(draft.world, tablet, source, target).ok_or_else(|| moved(wish.tablet))?;
    let from = tablet.replicas.iter().find(|replica| replica.id == source).ok_or_else(|| moved(wish.tablet))?;
    if !salvage::has_slots(draft.world, from.disk, place.disk) {
        // Taken since by a salvage, which the scheduler's ledger did not show yet: it counts again.
        return Err(moved(wish.tablet));
    }
    begin_copy(draft, wish, source, place)
}

/// Starts a copy to a place that has been found fit.
pub(crate) fn begin_copy(draft: &mut Draft, wish: Wish, source: ReplicaId, place: Place) -> Result<TaskId, Reason> {
    let tablet = draft.world.tablets.get(wish.tablet).ok_or_else(|| moved(wish.tablet))?;
    let from = tablet.replicas.iter().find(|replica| replica.id == source);
    let from = from.filter(|replica| can_give(draft.world, replica)).ok_or_else(|| moved(wish.tablet))?;
    let seen = from.seen.as_ref().filter(|seen| facts::flaw_of(tablet, from, seen).is_none());
    let seen = seen.ok_or_else(|| moved(wish.tablet))?;
    let (version, timeout_ms) = (seen.version, draft.world.knobs.task_timeout_ms(seen.size));
    let (source_node, source_disk, ballot) = (from.node, from.disk, tablet.ballot);
    let Place { node, disk, existing, replaces } = place;
    let id = TaskId(draft.take_id());
    let replica = existing.unwrap_or_else(|| ReplicaId(draft.take_id()));
    let fresh = existing.is_none();
    let (tablet, state) = (wish.tablet, ReplicaState::Clone);
    let task = Task {
        id,
        tablet,
        status: wish.status,
        priority: wish.priority,
        task_type: wish.task_type,
        work: Work::Clone { replica, node, disk, fresh, source, source_node, source_disk, version, replaces },
        started: draft.at,
        bytes_done: 0,
        bytes_total: 0,
        progressed: draft.at,
        agent_done: false,
        timeout_ms,
    };
    draft.record(Change::TaskStarted { task: task.clone() });
    if fresh {
        // The ballot stays: a copy in the making is no member, and loads in flight need not care.
        draft.record(Change::ReplicaAdded { tablet, replica, node, disk, state, ballot });
    }
    order_copy(draft, &task);
    Ok(id)
}

/// Whether a replica can be read from now.
fn can_give(world: &World, replica: &Replica) -> bool {
    let node = world.nodes.get(&replica.node);
    let is_readable = world.disks.get(&replica.disk).is_some_and(|disk| match disk.state {
        DiskState::Online | DiskState::Suspect => true,
        DiskState::Unavailable => false,
    });
    let is_seen = node.is_some_and(|node| {
        let boot = replica.seen.as_ref().map(|seen| seen.boot);
        node.liveness == Liveness::Alive && node.reported && node.boot.is_some() && node.boot == boot
    });
    replica.bad.is_none() && replica.state != ReplicaState::Clone && is_readable && is_seen
}

/// Where a copy goes.
pub(crate) struct Place {
    pub node: NodeId,
    pub disk: DiskId,
    pub existing: Option<ReplicaId>,
    pub replaces: Option<ReplicaId>,
}

/// Where the copy goes, if it may go there. No two replicas of a tablet share a host, with one exception: a copy that
/// moves within a host stands beside the one that it replaces, and does not count before that one has begun to leave.
fn place(world: &World, tablet: &Tablet, source: ReplicaId, target: Target) -> Option<Place> {
    let known = |id: ReplicaId| tablet.replicas.iter().find(|other| other.id == id);
    match target {
        Target::Existing(id) => {
            let replica = known(id)?;
            let is_fit = id != source && replica.state != ReplicaState::Decommission;
            let (node, disk, existing) = (replica.node, replica.disk, Some(id));
            (is_fit && can_take(world, node, disk)).then_some(Place { node, disk, existing, replaces: None })
        }
        Target::NewOn { node, disk } => {
            let (existing, replaces) = (None, None);
            may_stand(world, tablet, node, disk, replaces).then_some(Place { node, disk, existing, replaces })
        }
        Target::Beside { old, disk } => {
            let old = known(old)?;
            let node = world.disks.get(&disk).filter(|_| disk != old.disk)?.node;
            let is_beside =
                checkup::count::host_of(world, old) == world.nodes.get(&node).map(|node| node.host.as_str());
            let (existing, replaces) = (None, Some(old.id));
            let may_stand = is_beside && may_stand(world, tablet, node, disk, replaces);
            may_stand.then_some(Place { node, disk, existing, replaces })
        }
    }
}

/// Whether a new replica may be made there: the place wants new ones of this tablet, no other replica but the one that
/// it replaces is on the host, and the tablet has room.
pub(crate) fn may_stand(
    world: &World,
    tablet: &Tablet,
    node: NodeId,
    disk: DiskId,
    replaces: Option<ReplicaId>,
) -> bool {
    let Some(host) = world.nodes.get(&node).map(|node| node.host.as_str()) else { return false };
    let mut others = tablet.replicas.iter().filter(|other| Some(other.id) != replaces);
    let has_copy = others.any(|other| checkup::count::host_of(world, other) == Some(host));
    let is_full = tablet.replicas.len() >= tablet.wanted as usize + SURPLUS_MAX;
    let is_wanted = world.disks.get(&disk).is_some_and(|disk| target::unwanted(world, tablet, disk).is_none());
    !has_copy && !is_full && is_wanted && can_take(world, node, disk)
}

pub fn can_take(world: &World, node: NodeId, disk: DiskId) -> bool {
    let is_there = world.nodes.get(&node).is_some_and(|node| node.liveness == Liveness::Alive && node.reported);
    let disk = world.disks.get(&disk);
    is_there
        && disk.is_some_and(|disk| disk.node == node && disk.state == DiskState::Online && disk.replaced_by.is_none())
}

/// Orders a copy; giving the order twice is the same as once.
pub fn order_copy(draft: &mut Draft, task: &Task) {
    let Work::Clone { replica, node, disk, source, version, .. } = &task.work else { return };
    let Some(label) = tables::label(draft.world, task.tablet, *replica) else { return };
    let Some(tablet) = draft.world.tablets.get(task.tablet) else { return };
    if *version == Version::EMPTY {
        // Nothing to copy: an empty replica is made.
        return draft.send(*node, OrderBody::Create { disk: *disk, label });
    }
    if salvage::is_one(task) {
        return salvage::order(draft, task);
    }
    let mut givers: Vec<&Replica> = tablet.replicas.iter().collect();
    givers.retain(|other| other.id != *replica && can_give(draft.world, other));
    givers.retain(|other| other.seen.as_ref().is_some_and(|seen| seen.version >= *version));
    givers.sort_by_key(|other| (other.id != *source, other.id));
    let Some(first) = givers.first().and_then(|first| first.seen.as_ref()) else { return };
    let record = tablet.versions.iter().find(|record| record.version == *version);
    // A version that is no longer on record is one that the source no longer needs to have: its head is taken.
    let (version, hash) = record.map_or((first.version, first.hash), |record| (record.version, record.hash));
    let sources = givers.iter().map(|other| Source {
        node: other.node,
        replica: other.id,
        peer: draft.world.nodes.get(&other.node).map_or(String::new(), |node| node.peer.clone()),
    });
    let (mut sources, purpose) = (sources.collect(), task.task_type);
    salvage::add_others(draft.world, tablet, *replica, &mut sources);
    let stall_ms = draft.world.knobs.source_patience_ms(sources.len());
    let order = CloneOrder { task: task.id, disk: *disk, label, version, hash, sources, stall_ms, purpose };
    draft.send(*node, OrderBody::Clone(order));
}

/// Whether the task is a copy into this replica.
pub fn makes(task: &Task, replica: ReplicaId) -> bool {
    match &task.work {
        Work::Clone { replica: made, .. } => *made == replica,
        Work::Delete { .. } => false,
    }
}

/// An agent's word on a copy.
pub fn told(draft: &mut Draft, node: NodeId, fact: &TaskFact) {
    if draft.is_blind() {
        return;
    }
    let (tablet, id, at) = (fact.tablet, fact.task, draft.at);
    let known = draft.world.tasks.get(&tablet).filter(|task| task.id == id && runs_on(task, node)).cloned();
    let Some(task) = known else {
        match &fact.state {
            TaskProgress::Running { .. } => draft.send(node, OrderBody::CancelTask { task: id }),
            TaskProgress::Done { .. } | TaskProgress::Failed { .. } => {}
        }
        return;
    };
    match &fact.state {
        TaskProgress::Running { bytes_done, bytes_total } => {
            let (bytes_done, bytes_total) = (*bytes_done, *bytes_total);
            draft.record(Change::TaskProgressed { tablet, task: id, bytes_done, bytes_total, at });
        }
        TaskProgress::Done { .. } => agent_done(draft, node, &task, fact.replica),
        TaskProgress::Failed { cause } => failed(draft, &task, cause),
    }
}

fn runs_on(task: &Task, node: NodeId) -> bool {
    match &task.work {
        Work::Clone { node: runs, .. } => *runs == node,
        Work::Delete { .. } => false,
    }
}

fn agent_done(draft: &mut Draft, node: NodeId, task: &Task, replica: ReplicaId) {
    if !task.agent_done {
        draft.record(Change::TaskAgentDone { tablet: task.tablet, task: task.id, at: draft.at });
    }
    landing::arrived(draft, task.tablet, replica);
    if draft.world.tasks.get(&task.tablet).is_some_and(|running| running.id == task.id) {
        // A replica that was bad for us may look fine to its agent; only reading it all can tell.
        let tablet = draft.world.tablets.get(task.tablet);
        let known = tablet.and_then(|tablet| tablet.replicas.iter().find(|other| other.id == replica));
        if known.is_some_and(|known| known.bad.is_some()) {
            draft.send(node, OrderBody::Verify { tablet: task.tablet, replica });
        }
    }
}

fn failed(draft: &mut Draft, task: &Task, cause: &TaskFailure) {
    let Work::Clone { source, replica, .. } = &task.work else { return };
    let reason = match cause {
        TaskFailure::SourceDamaged { path } => {
            verify_others(draft, task.tablet, *replica);
            Reason::SourceDamaged { replica: *source, path: path.clone() }
        }
        TaskFailure::SourceLost { detail } => agent_failed(format!("source lost: {detail}")),
        TaskFailure::Disk { detail } => agent_failed(format!("disk: {detail}")),
        TaskFailure::DiskFull => agent_failed("disk full".into()),
        TaskFailure::Cancelled => agent_failed("cancelled on the agent".into()),
        TaskFailure::Refused { detail } => agent_failed(format!("refused: {detail}")),
    };
    end_copy(draft, task, reason);
}

fn agent_failed(detail: String) -> Reason {
    Reason::AgentFailed { detail }
}

/// Some source gave bytes that fail their digest: all that may have been asked are read through.
fn verify_others(draft: &mut Draft, id: TabletId, except: ReplicaId) {
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    let others = tablet.replicas.iter().filter(|other| other.id != except);
    let others: Vec<_> = others.map(|other| (other.node, other.id)).collect();
    for (node, replica) in others {
        draft.send(node, OrderBody::Verify { tablet: id, replica });
    }
}

/// Ends a copy that will not be finished. A fresh replica of it leaves the catalog.
fn end_copy(draft: &mut Draft, task: &Task, cause: Reason) {
    let Work::Clone { replica, fresh, .. } = &task.work else { return };
    let (tablet, replica) = (task.tablet, *replica);
    draft.explain(cause.clone());
    draft.end_task(task, Outcome::Cancelled { cause: cause.clone() });
    salvage::ended(draft, task, &cause);
    let Some(known) = draft.world.tablets.get(tablet) else { return };
    let is_unfinished = known.replicas.iter().any(|r| r.id == replica && r.state == ReplicaState::Clone);
    if *fresh && is_unfinished {
        let (ballot, evidence) = (known.ballot, Evidence::NeverComplete { task: task.id });
        draft.record(Change::ReplicaDropped { tablet, replica, ballot, evidence });
    }
}

/// Gives a task up.
pub fn cancel(draft: &mut Draft, tablet: TabletId, id: TaskId, cause: Reason) -> Result<(), Reason> {
    let task = draft.world.tasks.get(&tablet).filter(|task| task.id == id).cloned().ok_or_else(|| moved(tablet))?;
    match &task.work {
        Work::Clone { node, .. } => {
            end_copy(draft, &task, cause);
            draft.send(*node, OrderBody::CancelTask { task: id });
        }
        Work::Delete { .. } => deletion::undo(draft, &task, cause),
    }
    Ok(())
}

/// A node's full report did not name these copies: ours are ordered again, those of an earlier leadership end.
pub fn unnamed(draft: &mut Draft, node: NodeId, named: &BTreeSet<TaskId>) {
    if draft.is_blind() {
        return;
    }
    let here = draft.world.tasks.values().filter(|task| runs_on(task, node) && !named.contains(&task.id));
    let here: Vec<Task> = here.cloned().collect();
    for task in here {
        if task.id.0 < draft.world.began_id {
            // Nobody refuses: the task was looked up just now.
            let _ = cancel(draft, task.tablet, task.id, Reason::NotAdopted);
        } else if draft.world.nodes.get(&node).is_some_and(|node| node.since > task.started) {
            // Whatever ended that life of its agent may have been this copy: a failure, so that the next try waits.
            end_copy(draft, &task, agent_failed("its agent was away and knows nothing of it".into()));
        } else {
            order_copy(draft, &task);
        }
    }
}

/// The tablet's table is being dropped.
pub fn end_for_dropped_table(draft: &mut Draft, tablet: TabletId) {
    let Some(task) = draft.world.tasks.get(&tablet).cloned() else { return };
    draft.end_task(&task, Outcome::Cancelled { cause: table_dropped() });
    match &task.work {
        Work::Clone { node, .. } => draft.send(*node, OrderBody::CancelTask { task: task.id }),
        Work::Delete { .. } => {}
    }
}

/// A copy that shows no sign of life is ordered again; one that says it is done is asked to show it.
pub fn remind(draft: &mut Draft) {
    let copies = draft.world.tasks.values().filter(|task| match task.work {
        Work::Clone { .. } => draft.comes_round(task.progressed, REMIND_MS),
        Work::Delete { .. } => false,
    });
    let copies: Vec<Task> = copies.cloned().collect();
    for task in copies {
        let Work::Clone { node, .. } = &task.work else { continue };
        if task.agent_done {
            draft.ask_full_report(*node);
        } else {
            order_copy(draft, &task);
        }
    }
}

/// Time between reminders: well above a round trip, well below the stall that ends a copy.
const REMIND_MS: u64 = 10_000;
