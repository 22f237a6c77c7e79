//! Deletions: what may leave the catalog, on what evidence, and the drop orders that follow.
//!
//! ```text
//! proposal ─▶ guard ─▶ bad, or its node lost, one other complete ─▶ dropped at once
//!                  └─▶ otherwise: DECOMMISSION ─▶ n others confirm this decision ─▶ guard again ─▶ dropped
//!                                            └─▶ evidence does not come: NORMAL again
//! ```
//!
//! The guard is reckoned anew at the moment of the record, from the *committed* version: never the last complete
//! copy, never fewer than a quorum of holders of a committed version, never a member that a load in flight counts.
//! A drop order goes out only for a replica that has left the catalog, and names exactly that one.

use super::tasks::{self, Wish};
use super::{Draft, evidence, level, loads};
use crate::checkup::count::host_of;
use crate::checkup::verdict::all_hosts_taken;
use crate::checkup::waits;
use crate::world::{LoadPhase, Outcome, Replica, Tablet, Task, Work};
use crate::{Change, Reason, World};
use stele_common::{
    Evidence, Liveness, LoadId, NodeId, OrderBody, ReplicaId, ReplicaState, TabletId, TaskId, Tick, Version,
};

/// Decides on a proposal to delete `victim`.
pub fn start(draft: &mut Draft, wish: Wish, victim: ReplicaId) -> Result<TaskId, Reason> {
    tasks::may_start(draft, &wish)?;
    let tablet = draft.world.tablets.get(wish.tablet).ok_or_else(|| tasks::moved(wish.tablet))?;
    let replica = tablet.replicas.iter().find(|replica| replica.id == victim);
    let replica = replica.ok_or_else(|| tasks::moved(wish.tablet))?.clone();
    let others = evidence::complete_others(draft.world, tablet, Some(victim)).len() as u32;
    if others == 0 {
        return Err(Reason::LastComplete { replica: victim });
    }
    holders_allow(tablet, victim)?;
    match useless(draft, &replica) {
        Some(cause) => Ok(drop_at_once(draft, wish, &replica, cause)),
        None => {
            let needed = needed(draft.world, tablet, &replica);
            if others < needed {
                return Err(not_proven(others, needed));
            }
            if counted_by_load(draft, tablet, victim) {
                return Err(Reason::LoadCountsIt { replica: victim });
            }
            Ok(decommission(draft, wish, &replica))
        }
    }
}

/// How many others must be complete, and proven, before a replica that is whole may leave: as many as are wanted. Two on
/// one host count once, so where such a pair stands in the way of everything else, all others that count will do, its
/// fellow among them, and never fewer than a quorum: what losing hosts can cost is the same with it and without.
pub fn needed(world: &World, tablet: &Tablet, victim: &Replica) -> u32 {
    let others = evidence::complete_others(world, tablet, Some(victim.id));
    let host = host_of(world, victim);
    let has_fellow = host.is_some() && others.iter().any(|other| host_of(world, other) == host);
    let is_full = tablet.replicas.len() >= tablet.wanted as usize + tasks::SURPLUS_MAX;
    let is_in_the_way = || is_full || all_hosts_taken(world, tablet, tablet.wanted);
    if tablet.wanted > 1 && has_fellow && is_in_the_way() {
        (others.len() as u32).clamp(loads::quorum(tablet.wanted), tablet.wanted)
    } else {
        tablet.wanted
    }
}

/// Whether enough others are complete for a replica that is whole to leave.
pub fn is_spared(world: &World, tablet: &Tablet, replica: &Replica) -> bool {
    let others = evidence::complete_others(world, tablet, Some(replica.id)).len() as u32;
    others >= needed(world, tablet, replica)
}

fn not_proven(proven: u32, needed: u32) -> Reason {
    Reason::NotProven { proven, needed }
}

/// Why waiting for a replica, or keeping it, is worth nothing.
fn useless(draft: &Draft, replica: &Replica) -> Option<String> {
    if let Some(cause) = &replica.bad {
        return Some(cause.clone());
    }
    match draft.world.nodes.get(&replica.node).map(|node| node.liveness) {
        None => return Some("its node left the cluster".into()),
        Some(Liveness::Lost) => return Some("its node is lost".into()),
        Some(Liveness::Alive | Liveness::Silent) => {}
    }
    // Its bytes are not touched: should the disk come back, they are a stray.
    if waits::is_disk_given_up(draft.world, replica, draft.at) {
        return Some("its disk stays away".into());
    }
    match replica.state {
        ReplicaState::Clone => Some("a copy that was given up".into()),
        ReplicaState::Normal | ReplicaState::Decommission => None,
    }
}

/// A committed version keeps a quorum of holders; one that has fewer already is at least not made poorer.
pub fn holders_allow(tablet: &Tablet, victim: ReplicaId) -> Result<(), Reason> {
    let needed = loads::quorum(tablet.wanted);
    for record in &tablet.versions {
        let holds = |replica: &&Replica| {
            let has = replica.version >= record.version || record.holders.contains(&replica.id);
            replica.bad.is_none() && replica.state != ReplicaState::Clone && has
        };
        let holders: Vec<ReplicaId> = tablet.replicas.iter().filter(holds).map(|replica| replica.id).collect();
        let left = holders.iter().filter(|id| **id != victim).count() as u32;
        if holders.contains(&victim) && left < needed {
            return Err(too_few_holders(record.version, left, needed));
        }
    }
    Ok(())
}

fn too_few_holders(version: Version, holders: u32, needed: u32) -> Reason {
    Reason::TooFewHolders { version, holders, needed }
}

/// Whether a load that is open reckons with the replica for its quorum.
fn counted_by_load(draft: &Draft, tablet: &Tablet, victim: ReplicaId) -> bool {
    let load = tablet.load.and_then(|id| loads::by_id(draft, id)).filter(|load| load.phase == LoadPhase::Open);
    let part = load.and_then(|load| load.tablets.get(&tablet.id));
    part.is_some_and(|part| part.members.contains(&victim))
}

fn task_of(draft: &mut Draft, wish: Wish, victim: &Replica) -> Task {
    let id = draft.take_id();
    let watermark = LoadId(draft.world.next_id);
    Task {
        id: TaskId(id),
        tablet: wish.tablet,
        status: wish.status,
        priority: wish.priority,
        task_type: wish.task_type,
        // The nonce is an id, so no answer to any other question can carry it.
        work: Work::Delete { replica: victim.id, node: victim.node, nonce: id, watermark },
        started: draft.at,
        bytes_done: 0,
        bytes_total: 0,
        progressed: draft.at,
        agent_done: false,
        timeout_ms: draft.world.knobs.evidence_timeout_ms,
    }
}

/// A replica that is worth nothing leaves the catalog; its bytes go to the trash if its node is there to be told.
fn drop_at_once(draft: &mut Draft, wish: Wish, victim: &Replica, cause: String) -> TaskId {
    let task = task_of(draft, wish, victim);
    let (tablet, replica) = (wish.tablet, victim.id);
    draft.record(Change::TaskStarted { task: task.clone() });
    let known = draft.world.tablets.get(tablet).expect("it was looked at above");
    let others = evidence::complete_others(draft.world, known, Some(replica));
    assert!(!others.is_empty(), "tablet {tablet}: replica {replica} is the last complete one");
    let others = others.into_iter().filter_map(evidence::witness).collect();
    let evidence = Evidence::Bad { cause, others };
    let ballot = if victim.state == ReplicaState::Normal { known.ballot.next() } else { known.ballot };
    draft.record(Change::ReplicaDropped { tablet, replica, ballot, evidence: evidence.clone() });
    draft.end_task(&task, Outcome::Finished { evidence: Some(evidence.clone()) });
    let is_there = draft.world.nodes.get(&victim.node).is_some_and(|node| node.liveness == Liveness::Alive);
    if victim.bad.is_some() && is_there {
        order_drop(draft, victim.node, (tablet, replica), evidence);
    }
    task.id
}

/// The first phase: from now on no load counts on it, and the others are asked to confirm.
fn decommission(draft: &mut Draft, wish: Wish, victim: &Replica) -> TaskId {
    let task = task_of(draft, wish, victim);
    let (tablet, replica, id) = (wish.tablet, victim.id, task.id);
    draft.record(Change::TaskStarted { task });
    if victim.state == ReplicaState::Normal {
        let (state, ballot) = (ReplicaState::Decommission, draft.world.next_ballot(tablet));
        draft.record(Change::ReplicaTurned { tablet, replica, state, ballot });
    }
    evidence::ask(draft, tablet, Some(replica), id.0);
    id
}

/// The second phase: drops the victim of the tablet's deletion once the evidence is there.
pub fn settle(draft: &mut Draft, id: TabletId) {
    let Some(task) = draft.world.tasks.get(&id) else { return };
    let Work::Delete { replica, node, nonce, watermark } = &task.work else { return };
    let (victim, node, nonce, watermark, task) = (*replica, *node, *nonce, *watermark, task.clone());
    if level::forbids_repair(draft.world).is_some() {
        return;
    }
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    let loads_ended = tablet.load.is_none_or(|load| load >= watermark) && !counted_by_load(draft, tablet, victim);
    let witnesses = evidence::witnesses(draft.world, tablet, Some(victim), draft.at, Some(nonce));
    let Some(known) = tablet.replicas.iter().find(|replica| replica.id == victim) else { return };
    let needed = needed(draft.world, tablet, known);
    if !loads_ended || (witnesses.len() as u32) < needed || holders_allow(tablet, victim).is_err() {
        return;
    }
    let (ballot, committed) = (tablet.ballot, tablet.committed);
    for witness in &witnesses {
        assert_ne!(witness.replica, victim, "tablet {id}: a victim bears witness for itself");
        assert!(witness.version >= committed, "tablet {id}: witness {witness:?} is below {committed}");
    }
    assert!(!witnesses.is_empty(), "tablet {id}: replica {victim} is the last complete one");
    let evidence = Evidence::Others { replicas: witnesses, wanted: needed };
    draft.record(Change::ReplicaDropped { tablet: id, replica: victim, ballot, evidence: evidence.clone() });
    draft.end_task(&task, Outcome::Finished { evidence: Some(evidence.clone()) });
    order_drop(draft, node, (id, victim), evidence);
}

/// The victim stays: it is a full member again.
pub fn undo(draft: &mut Draft, task: &Task, cause: Reason) {
    let Work::Delete { replica, .. } = &task.work else { return };
    let (tablet, replica) = (task.tablet, *replica);
    draft.explain(cause.clone());
    draft.end_task(task, Outcome::Cancelled { cause });
    let Some(known) = draft.world.tablets.get(tablet) else { return };
    if known.replicas.iter().any(|r| r.id == replica && r.state == ReplicaState::Decommission) {
        let (state, ballot) = (ReplicaState::Normal, known.ballot.next());
        draft.record(Change::ReplicaTurned { tablet, replica, state, ballot });
    }
}

/// Orders exactly this replica into the trash. It has left the catalog, or was never in it.
pub fn order_drop(draft: &mut Draft, node: NodeId, (tablet, replica): (TabletId, ReplicaId), evidence: Evidence) {
    let known = draft.world.tablets.get(tablet);
    let is_known = known.is_some_and(|known| known.replicas.iter().any(|other| other.id == replica));
    assert!(!is_known, "tablet {tablet}: a drop of replica {replica}, which is in the catalog");
    if !draft.world.condemned.contains(&(tablet, replica)) {
        draft.record(Change::Condemned { tablet, replica });
    }
    draft.send(node, OrderBody::Drop { tablet, replica, evidence });
}

/// Deletions under way: witnesses are asked again, and a victim whose evidence does not come stays.
pub fn remind(draft: &mut Draft) {
    let ms = draft.world.knobs.evidence_timeout_ms;
    let deletions: Vec<Task> = draft.world.tasks.values().filter(|task| is_deletion(task)).cloned().collect();
    for task in deletions {
        settle(draft, task.tablet);
        let Work::Delete { replica, nonce, .. } = &task.work else { continue };
        let Some(tablet) = draft.world.tablets.get(task.tablet).filter(|_| is_running(draft, &task)) else { continue };
        let others = evidence::complete_others(draft.world, tablet, Some(*replica)).len() as u32;
        let (wanted, began) = (tablet.wanted, task.started);
        if others < wanted && is_known(draft, tablet) {
            undo(draft, &task, not_proven(others, wanted));
        } else if draft.at.since(began) >= ms {
            undo(draft, &task, Reason::EvidenceTimedOut { ms });
        } else if draft.comes_round(began, ASK_AGAIN_MS) {
            evidence::ask(draft, task.tablet, Some(*replica), *nonce);
        }
    }
}

/// Time between two askings of the same witnesses: an answer takes one round trip and a stat of each file.
pub const ASK_AGAIN_MS: u64 = 5_000;

fn is_deletion(task: &Task) -> bool {
    match task.work {
        Work::Delete { .. } => true,
        Work::Clone { .. } => false,
    }
}

fn is_running(draft: &Draft, task: &Task) -> bool {
    draft.world.tasks.get(&task.tablet).is_some_and(|running| running.id == task.id)
}

/// Every node of the tablet that is there has reported: now a small count means something.
fn is_known(draft: &Draft, tablet: &Tablet) -> bool {
    let grace: Tick = draft.world.began.plus(draft.world.knobs.lost_ms);
    let mut nodes = tablet.replicas.iter().filter_map(|replica| draft.world.nodes.get(&replica.node));
    nodes.all(|node| node.reported || (node.liveness != Liveness::Alive && draft.at >= grace))
}
