//! Why, and why not: what people and scripts are shown about tablets, tasks and problems. Decides nothing.
//!
//! In: the world, the scheduler's desk, the time. Out: the shapes of [`stele_common::api`]. Reasons are found by asking
//! the very rules that decide, so an explanation cannot differ from what is done. It must never change anything.

mod candidates;
mod margin;
mod node;
mod problems;
mod tasks;

pub use margin::Margin;
pub use node::node;
pub use problems::{Problems, problems};
pub use tasks::{
    history_of, history_tasks, kind_of, oldest_sick, pending_task, pending_tasks, queue_info, running_task,
    running_tasks,
};

use crate::checkup::verdict::{flaw_text, rung, verdict_on};
use crate::checkup::{Judged, because, count};
use crate::schedule::admit::{self, Desktop, Visit};
use crate::schedule::queue::{After, Place};
use crate::schedule::slots::Ledger;
use crate::schedule::target::{Board, disk_refusal};
use crate::schedule::{Desk, lifecycle};
use crate::world::{Replica, Tablet};
use crate::{Reason, World, level};
use stele_common::api::{Explanation, Refusal, ReplicaInfo, TabletInfo, TaskInfo, TaskKind};
use stele_common::{Digest, Priority, TabletId, Tick};

/// `GET /v1/tablets/ID/explain`; `None`: there is no such tablet.
pub fn tablet(world: &World, desk: &Desk, id: TabletId, at: Tick, wall_ms: u64) -> Option<Explanation> {
    let tablet = world.tablets.get(id)?;
    let running = world.tasks.get(&id).map(|task| running_task(world, task, at));
    let pending = || desk.entry(id).filter(|entry| entry.place != Place::Away);
    let ledger = desk.ledger(world);
    Some(Explanation {
        tablet: tablet_info(world, tablet, at),
        because: because(world, tablet, at),
        task: running.or_else(|| pending().map(|entry| pending_task(world, entry, at))),
        waits_for: waits_for(world, desk, tablet, at).iter().map(Reason::refusal).chain(held_back(world)).collect(),
        candidates: candidates::candidates(world, &ledger, &desk.scores(world), tablet),
        allowed_if: allowed_if(world, &ledger, tablet, at),
        next_attempt_ms: next_attempt(desk, id, at),
        slots_in_the_way: in_the_way(world, desk, id, at),
        strays: strays(world, id, at),
        trash: trash(world, id, at),
        history: history_of(world, id, wall_ms).collect(),
    })
}

/// A tablet with its verdict and its replicas.
pub fn tablet_info(world: &World, tablet: &Tablet, at: Tick) -> TabletInfo {
    let counts = count(world, tablet);
    let verdict = verdict_on(world, tablet, &counts, at);
    let table = world.tables.get(&tablet.table);
    let partition = table.and_then(|table| table.partitions.iter().find(|part| part.id == tablet.partition));
    let visible = crate::checkup::count::record_of(tablet, tablet.visible);
    let replicas = tablet.replicas.iter().zip(&counts.judged);
    TabletInfo {
        id: tablet.id,
        db: table.map(|table| table.db.clone()).unwrap_or_default(),
        table: table.map(|table| table.name.clone()).unwrap_or_default(),
        partition: partition.map(|partition| partition.name.clone()).unwrap_or_default(),
        bucket: tablet.bucket,
        status: verdict.status,
        priority: verdict.priority,
        reason: rung(verdict),
        visible_version: tablet.visible,
        committed_version: tablet.committed,
        version_hash: visible.map_or(Digest::ZERO, |record| record.hash),
        ballot: tablet.ballot,
        primary: tablet.primary,
        replicas: replicas.map(|(replica, judged)| replica_info(world, tablet, replica, judged, at)).collect(),
    }
}

fn replica_info(world: &World, tablet: &Tablet, replica: &Replica, judged: &Judged, at: Tick) -> ReplicaInfo {
    let node = world.nodes.get(&replica.node);
    let data_dir = world.disks.get(&replica.disk).map_or("", |disk| disk.path.as_str());
    let seen = replica.seen.as_ref();
    ReplicaInfo {
        id: replica.id,
        node: replica.node,
        host: node.map(|node| node.host.clone()).unwrap_or_default(),
        disk: replica.disk,
        dir: format!("{data_dir}/tablets/{}/{}", tablet.id, replica.id),
        http: node.map(|node| node.http.clone()).unwrap_or_default(),
        version: seen.map_or(replica.version, |seen| seen.version),
        last_failed_version: seen.and_then(|seen| seen.failed),
        last_success_version: seen.map_or(replica.version, |seen| seen.version.max(seen.pending)),
        state: replica.state,
        bad: replica.bad.clone(),
        alive: judged.alive,
        complete: judged.complete,
        why: judged.why.map(|flaw| flaw_text(flaw, replica)),
        size: seen.map_or(0, |seen| seen.size),
        verified_s: seen.and_then(|seen| seen.verified).map(|verified| at.since(verified) / 1000),
    }
}

/// Why the next step has not been taken: the rules are asked again, as a round would.
fn waits_for(world: &World, desk: &Desk, tablet: &Tablet, at: Tick) -> Vec<Reason> {
    if let Some(task) = world.tasks.get(&tablet.id) {
        return lifecycle::end_of(world, task, at).into_iter().collect();
    }
    let ledger = desk.ledger(world);
    let scores = desk.scores(world);
    let board = Board::of(world, &ledger, &scores);
    let desktop = Desktop { world, ledger: &ledger, board: &board, scores: &scores, at };
    let mut reasons = match admit::visit(&desktop, tablet, Priority::Normal) {
        Visit::Gone(Reason::NowHealthy) => return Vec::new(),
        Visit::Gone(reason) | Visit::Busy { reason, .. } | Visit::Refused(reason) => vec![reason],
        Visit::NotReady { ms } => vec![admit::not_ready(ms)],
        Visit::Propose { .. } => Vec::new(),
    };
    // What was tried for one that has no complete copy, and what is missing of it.
    reasons.extend(world.salvages.get(&tablet.id).and_then(|salvage| salvage.cause.clone()));
    let Some(entry) = desk.entry(tablet.id) else { return reasons };
    if let Place::Later { until, after } = &entry.place {
        let failures = match after {
            After::Wait => return reasons,
            After::Refusal => entry.refusals,
            After::Failure => entry.failures,
        };
        // It may be possible by now, but failed before: what it failed for is said too.
        if reasons.is_empty() {
            reasons.extend(entry.reason.clone());
        }
        reasons.push(Reason::Backoff { failures, in_ms: until.since(at) });
    }
    reasons
}

/// A level that allows no repair holds everything back.
fn held_back(world: &World) -> Option<Refusal> {
    let cause = level::forbids_repair(world)?;
    let detail = format!("level {} allows no repair: {cause}", level::in_force(world));
    Some(Refusal { code: cause.code().into(), detail })
}

/// What would let a missing copy be made; nothing, where none is missing.
fn allowed_if(world: &World, ledger: &Ledger, tablet: &Tablet, at: Tick) -> Vec<String> {
    let verdict = verdict_on(world, tablet, &count(world, tablet), at);
    let wants_copy = tasks::kind_of(verdict.status).is_some_and(|kind| kind != TaskKind::Delete);
    let may_go = || world.disks.values().any(|disk| disk_refusal(world, ledger, tablet, disk, 0).is_none());
    if !wants_copy || may_go() { Vec::new() } else { candidates::allowed_if(world, ledger, tablet) }
}

/// When it is looked at again: 0 is at the next round.
fn next_attempt(desk: &Desk, id: TabletId, at: Tick) -> Option<u64> {
    match &desk.entry(id)?.place {
        Place::Ready | Place::Busy { .. } => Some(0),
        Place::Later { until, .. } => Some(until.since(at)),
        Place::Away => None,
    }
}

/// Running tasks that hold the slots it waits for.
fn in_the_way(world: &World, desk: &Desk, id: TabletId, at: Tick) -> Vec<TaskInfo> {
    let Some(Place::Busy { disks }) = desk.entry(id).map(|entry| &entry.place) else { return Vec::new() };
    let holds =
        |task: &TaskInfo| [task.src_disk, task.dest_disk].into_iter().flatten().any(|disk| disks.contains(&disk));
    running_tasks(world, at).filter(holds).collect()
}

fn strays(world: &World, tablet: TabletId, at: Tick) -> Vec<String> {
    let all = (tablet, stele_common::ReplicaId(0))..=(tablet, stele_common::ReplicaId(u64::MAX));
    let strays = world.strays.range(all).map(|((_, replica), stray)| {
        let state = stray.bad.as_ref().map(|cause| format!(", bad: {cause}")).unwrap_or_default();
        format!(
            "replica {replica} on node {} disk {} at version {}, seen for {} s{state}",
            stray.node,
            stray.disk,
            stray.version,
            at.since(stray.since) / 1000
        )
    });
    strays.collect()
}

fn trash(world: &World, tablet: TabletId, at: Tick) -> Vec<String> {
    let trashed = world.trash.values().filter(|trashed| trashed.fact.tablet == tablet).map(|trashed| {
        let (node, fact) = (trashed.node, &trashed.fact);
        format!(
            "replica {} on node {node} disk {}: {} bytes, dropped {} s ago",
            fact.replica,
            fact.disk,
            fact.bytes,
            trashed.age_ms(at) / 1000
        )
    });
    trashed.collect()
}
