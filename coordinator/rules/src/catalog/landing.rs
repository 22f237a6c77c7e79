//! Landings: when a copy that was made begins to count, what its landing ends, and who leaves because of it.
//!
//! In: a replica that was seen, a load that ended. Out: a member more, a ballot that moved, the end of a copy, the
//! first phase of a replaced one's leaving. Only what was seen on a disk lands; an agent's "done" never does.
//! Nothing that can wait ends a load: a landing that no tablet is short of comes about between two loads.

use super::tasks::{self, Wish};
use super::{Draft, deletion, evidence, facts, loads, roles};
use crate::Change;
use crate::world::{LoadPhase, Outcome, Task, Work};
use stele_common::{ReplicaId, ReplicaState, TabletId};

/// A landing waits this long for the loads on its tablet to end: far more than most loads take, far less than the
/// shortest timeout of a copy.
const WAIT_MS: u64 = 30_000;

/// A replica was seen: trust it again if it was mended, let it count if it was being made, end its copy.
pub fn arrived(draft: &mut Draft, id: TabletId, replica: ReplicaId) {
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    let Some(known) = tablet.replicas.iter().find(|other| other.id == replica) else { return };
    let Some(seen) = known.seen.clone().filter(|seen| facts::flaw_of(tablet, known, seen).is_none()) else { return };
    let task = draft.world.tasks.get(&id).filter(|task| tasks::makes(task, replica)).cloned();
    let needed = task.as_ref().map_or(tablet.visible, |task| match &task.work {
        Work::Clone { version, .. } => *version,
        Work::Delete { .. } => tablet.visible,
    });
    if seen.version < needed {
        return;
    }
    let (state, was_bad, ballot) = (known.state, known.bad.is_some(), tablet.ballot.next());
    let landed_behind = seen.version.max(seen.pending) < tablet.committed;
    if state == ReplicaState::Clone && may_wait(draft, id) {
        return;
    }
    if was_bad {
        // Only our own copy mends, and only bytes that were checked since it began.
        let mended = task.as_ref().is_some_and(|task| seen.verified.is_some_and(|verified| verified >= task.started));
        if !mended {
            return;
        }
        draft.record(Change::ReplicaGood { tablet: id, replica, version: seen.version });
    }
    if state == ReplicaState::Clone {
        draft.record(Change::ReplicaTurned { tablet: id, replica, state: ReplicaState::Normal, ballot });
    }
    let Some(task) = task else { return };
    if landed_behind {
        draft.record(Change::FurtherRepairMarked { tablet: id, replica, at: draft.at });
    }
    // Its last word of progress may be from before the end. Of a new copy everything was moved; of one that caught up
    // only what was told is known.
    let is_new = matches!(task.work, Work::Clone { fresh: true, .. });
    let moved = if is_new { seen.size } else { task.bytes_done };
    let whole = Task { bytes_done: moved, bytes_total: moved, ..task.clone() };
    draft.end_task(&whole, Outcome::Finished { evidence: None });
    if let Work::Clone { replaces: Some(old), replica, .. } = task.work {
        retire(draft, &task, old, replica);
    }
}

/// Whether a copy's landing can wait for a load: one is open on the tablet, the copy has not waited long, and as many
/// others are complete as are wanted. Where copies are missing, the copy comes first and the load is repeated.
fn may_wait(draft: &Draft, id: TabletId) -> bool {
    let (Some(tablet), Some(task)) = (draft.world.tablets.get(id), draft.world.tasks.get(&id)) else { return false };
    let is_loading = tablet.load.and_then(|load| loads::by_id(draft, load)).is_some_and(|load| match load.phase {
        LoadPhase::Open => load.tablets.contains_key(&id),
        LoadPhase::Committed | LoadPhase::Visible | LoadPhase::Aborted { .. } => false,
    });
    let others = evidence::complete_others(draft.world, tablet, None).len() as u32;
    is_loading && draft.at.since(task.progressed) < WAIT_MS && others >= tablet.wanted
}

/// A load on these tablets ended, so that what waited for it lands.
pub fn load_ended(draft: &mut Draft, tablets: impl IntoIterator<Item = TabletId>) {
    for id in tablets {
        let Some(Work::Clone { replica, .. }) = draft.world.tasks.get(&id).map(|task| &task.work) else { continue };
        let replica = *replica;
        let Some(tablet) = draft.world.tablets.get(id) else { continue };
        // One that has landed already may be what ended the load.
        if tablet.replicas.iter().any(|other| other.id == replica && other.state == ReplicaState::Clone) {
            arrived(draft, id, replica);
        }
    }
}

/// A move has landed: the replica that it replaces begins to leave in the same batch, so that the new one counts at
/// once and no verdict sees both. Where the guard forbids that now, it stays, and the ladder asks for it again: that it
/// is the one to leave is on record, so no restart can turn the move around.
fn retire(draft: &mut Draft, task: &Task, old: ReplicaId, by: ReplicaId) {
    let Some(tablet) = draft.world.tablets.get(task.tablet) else { return };
    if tablet.replicas.iter().all(|other| other.id != old) {
        return;
    }
    draft.record(Change::ReplicaReplaced { tablet: task.tablet, replica: old, by });
    roles::inherit(draft, task.tablet, old, by);
    let Some(tablet) = draft.world.tablets.get(task.tablet) else { return };
    let (tablet, revision) = (tablet.id, tablet.revision);
    let Task { status, priority, task_type, .. } = *task;
    let wish = Wish { tablet, revision, status, priority, task_type };
    if let Err(reason) = deletion::start(draft, wish, old) {
        draft.explain(reason);
    }
}
