//! Nodes that leave the cluster for good, and what that costs.
//!
//! In: an operator's wish. Out: the replicas of the node out of the catalog, then the node. Its bytes are not touched:
//! no order to drop goes out. It must never take the last complete copy of a tablet from the catalog, however it is
//! asked: only dropping the table says that its data is not wanted.
//!
//! Without force, nothing may stand there, and a drain must have ended. By force, a replica goes when another one is
//! complete at the committed version. An agent whose node was removed is refused until it is admitted again; then it
//! is a new node, its disks keep their ids, and what lies on them are strays.

use super::{Draft, drain, evidence, level, tasks};
use crate::checkup::count;
use crate::evacuation::name_of;
use crate::policy::{LeaseScope, PauseOn};
use crate::world::{Removed, Replica, Tablet, Task, Work};
use crate::{Answer, Change, Reason, World};
use std::collections::BTreeSet;
use stele_common::api::{Blocker, Removal};
use stele_common::{Evidence, NodeId, ReplicaState, TabletId, api};

/// Blockers that are named one by one.
const NAMED_MAX: usize = 50;

pub fn asked(draft: &mut Draft, node: NodeId, ask: &api::RemoveAsk) {
    let answer = removed(draft, node, ask).map(Answer::Removal);
    draft.answer(answer.unwrap_or_else(Answer::Refused));
}

fn removed(draft: &mut Draft, node: NodeId, ask: &api::RemoveAsk) -> Result<Removal, Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    let mut removal = cost(draft.world, node)?;
    let may = removal.last == 0 && (removal.safe || ask.force);
    if may && !ask.check {
        give_up(draft, node, &ask.owner);
        removal.removed = true;
    }
    Ok(removal)
}

/// What leaves with the node.
pub fn cost(world: &World, id: NodeId) -> Result<Removal, Reason> {
    let node = drain::find_node(world, id)?;
    let mut removal = Removal { node: id, host: node.host.clone(), ..Removal::default() };
    for tablet in world.tablets.iter() {
        let Some(replica) = tablet.replicas.iter().find(|replica| replica.node == id) else { continue };
        removal.tablets += 1;
        removal.bytes += replica.seen.as_ref().map_or(0, |seen| seen.size);
        let others = complete_at_commit(world, tablet, replica);
        let (code, detail) = if others == 0 {
            removal.last += 1;
            let detail = format!("replica {} may be its last complete copy", replica.id);
            ("last_complete", format!("{detail}: drain the node, bring another copy back, or drop the table"))
        } else if others < tablet.wanted / 2 + 1 {
            removal.below_majority += 1;
            ("below_majority", format!("{others} of {} copies would be left", tablet.wanted))
        } else {
            ("loses_a_copy", format!("{others} of {} copies would be left", tablet.wanted))
        };
        let blocker =
            Blocker { code: code.into(), tablet: Some(tablet.id), table: Some(name_of(world, tablet)), detail };
        name(&mut removal, blocker);
    }
    let unfinished = world.drains.get(&crate::policy::Leaver::Node(id)).filter(|drain| drain.done_wall_ms.is_none());
    if unfinished.is_some() && removal.tablets == 0 {
        let detail = "its drain has not ended: not everything that it held is proven elsewhere yet".to_string();
        name(&mut removal, Blocker { code: "not_drained".into(), tablet: None, table: None, detail });
    }
    let salvage = may_be_salvaged(world, id);
    removal.safe = removal.tablets == 0 && unfinished.is_none() && salvage.is_empty();
    for tablet in salvage {
        let detail = "it has no complete copy, and what lies on this node may mend it".to_string();
        let (code, table) = ("may_be_salvaged".into(), world.tablets.get(tablet).map(|known| name_of(world, known)));
        name(&mut removal, Blocker { code, tablet: Some(tablet), table, detail });
    }
    Ok(removal)
}

/// Tablets without a complete copy of which something outside the catalog lies on the node.
fn may_be_salvaged(world: &World, node: NodeId) -> BTreeSet<TabletId> {
    let strays = world.strays.iter().filter(|(_, stray)| stray.node == node).map(|((tablet, _), _)| *tablet);
    let trash = world.trash.values().filter(|trashed| trashed.node == node).map(|trashed| trashed.fact.tablet);
    let lost = |id: &TabletId| world.tablets.get(*id).is_some_and(|tablet| count(world, tablet).complete == 0);
    strays.chain(trash).filter(lost).collect()
}

/// The worst stand first, and the list stays short.
fn name(removal: &mut Removal, blocker: Blocker) {
    let rank = |blocker: &Blocker| match blocker.code.as_str() {
        "last_complete" => 0,
        "below_majority" => 1,
        _ => 2,
    };
    let at = removal.blockers.partition_point(|other| rank(other) <= rank(&blocker));
    removal.blockers.insert(at, blocker);
    removal.blockers.truncate(NAMED_MAX);
}

/// Other replicas that are complete at the committed version.
fn complete_at_commit(world: &World, tablet: &Tablet, victim: &Replica) -> u32 {
    let others = evidence::complete_others(world, tablet, Some(victim.id)).into_iter();
    others.filter(|other| other.seen.as_ref().is_some_and(|seen| seen.version >= tablet.committed)).count() as u32
}

fn give_up(draft: &mut Draft, node: NodeId, owner: &str) {
    let touched = draft.world.tasks.values().filter(|task| touches(task, node)).cloned();
    let touched: Vec<Task> = touched.collect();
    for task in touched {
        // Nobody refuses: the task was looked up just now.
        let _ = tasks::cancel(draft, task.tablet, task.id, Reason::NodeRemoved { node });
    }
    let here = draft.world.tablets.iter().flat_map(|tablet| tablet.replicas.iter().map(move |r| (tablet.id, r)));
    let here: Vec<(TabletId, Replica)> = here.filter(|(_, r)| r.node == node).map(|(t, r)| (t, r.clone())).collect();
    for (tablet, replica) in here {
        drop_replica(draft, tablet, &replica, format!("node {node} was removed by {owner}"));
    }
    let leases = draft.world.leases.values().filter(|lease| match &lease.scope {
        LeaseScope::Maintenance { node: away } => *away == node,
        LeaseScope::Pause { on, .. } => *on == PauseOn::Node { node },
        LeaseScope::Urgent { .. } | LeaseScope::UrgentTablet { .. } => false,
    });
    let leases: Vec<u64> = leases.map(|lease| lease.id).collect();
    leases.into_iter().for_each(|id| draft.record(Change::LeaseEnded { id }));
    let (peer, http) =
        draft.world.nodes.get(&node).map(|gone| (gone.peer.clone(), gone.http.clone())).unwrap_or_default();
    draft.record(Change::NodeRemoved { node, peer, http });
    // If its agent still talks to us, the answer tells it that it is gone.
    draft.ask_full_report(node);
}

fn drop_replica(draft: &mut Draft, id: TabletId, victim: &Replica, cause: String) {
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    let left = complete_at_commit(draft.world, tablet, victim);
    assert!(left > 0, "tablet {id}: replica {} is the last complete one", victim.id);
    let others = evidence::complete_others(draft.world, tablet, Some(victim.id));
    let others = others.into_iter().filter_map(evidence::witness).collect();
    let ballot = if victim.state == ReplicaState::Normal { tablet.ballot.next() } else { tablet.ballot };
    let evidence = Evidence::Bad { cause, others };
    draft.record(Change::ReplicaDropped { tablet: id, replica: victim.id, ballot, evidence });
}

/// A task that reads from the node, writes to it, or removes something there.
fn touches(task: &Task, id: NodeId) -> bool {
    match &task.work {
        Work::Clone { node, source_node, .. } => *node == id || *source_node == id,
        Work::Delete { node, .. } => *node == id,
    }
}

/// An agent that was sent away may come back.
pub fn admit(draft: &mut Draft, ask: &api::AdmitAsk) {
    let name = ask.name.clone().unwrap_or_else(|| ask.host.clone());
    let key = (ask.host.clone(), name);
    let answer = if let Some(reason) = level::forbids_work(draft.world) {
        Answer::Refused(reason)
    } else if draft.world.removed.contains_key(&key) {
        let (host, name) = key;
        draft.record(Change::NodeAdmitted { host, name });
        Answer::Done
    } else {
        Answer::Refused(drain::no_such_node(format!("{}/{}", key.0, key.1)))
    };
    draft.answer(answer);
}

/// Why an agent may not join: its node was removed.
pub fn refuses(world: &World, host: &str, name: &str) -> Option<String> {
    let Removed { node, .. } = world.removed.get(&(host.to_string(), name.to_string()))?;
    Some(format!(
        "agent `{name}` of host `{host}` was node {node}, which was removed; let it join as a new node with \
         `stele node admit {host} --name {name}`, or stop it"
    ))
}

/// A report of a node that is not ours any more.
pub fn gone(node: NodeId) -> Reason {
    Reason::NodeRemoved { node }
}
