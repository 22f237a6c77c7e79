//! Loads: opening, who is a member, what is prepared, and how an attempt ends without a commit.
//!
//! In: a client's wish, agents' words on what is staged. Out: an open load with its members, ballots and primaries, or
//! a refusal with its numbers. It must never tell an agent to throw a staged load away that may have been committed,
//! as long as the replica that it is staged for is in the catalog: a version on record always speaks first, and what an
//! earlier leadership opened is kept until enough replicas have shown that our store is not old.

use super::{Draft, commit, landing, level, tables};
use crate::checkup;
use crate::world::{Load, LoadPart, LoadPhase, Replica, Tablet};
use crate::{Answer, Change, Reason};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{
    Ballot, Digest, DiskState, Liveness, LoadFact, LoadId, LoadKey, LoadState, NodeId, OrderBody, ReplicaId,
    ReplicaState, TabletId, Version, VersionHash, api,
};

pub fn open(draft: &mut Draft, wish: &api::LoadOpen) {
    let answer = opened(draft, wish).map(Answer::Load);
    draft.answer(answer.unwrap_or_else(Answer::Refused));
}

fn opened(draft: &mut Draft, wish: &api::LoadOpen) -> Result<api::LoadOpened, Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    if let Some(done) = repeated(draft, wish)? {
        return Ok(done);
    }
    let table = tables::find(draft.world, &wish.db, &wish.table)?;
    let partition = tables::partition(&table, &wish.partition)?;
    if wish.buckets.is_empty() {
        return Err(tables::bad_request("a load touches at least one bucket".into()));
    }
    let mut touched = Vec::with_capacity(wish.buckets.len());
    for (bucket, bytes) in &wish.buckets {
        let Some(tablet) = partition.tablets.get(*bucket as usize) else {
            let buckets = table.buckets;
            return Err(tables::bad_request(format!("bucket {bucket} of a table with {buckets} buckets")));
        };
        touched.push((*tablet, *bytes));
    }
    for (tablet, _) in &touched {
        may_touch(draft, *tablet, &wish.key)?;
    }
    // The client began anew: its earlier attempt will never be committed.
    abort(draft, &wish.key, Reason::LoadAborted);
    let mut granted = BTreeMap::new();
    let mut plans = Vec::with_capacity(touched.len());
    for (tablet, bytes) in &touched {
        let tablet = draft.world.tablets.get(*tablet).expect("it was looked at above");
        plans.push(plan(draft, tablet, *bytes, &mut granted)?);
    }
    Ok(put(draft, wish, table.id, plans))
}

/// The result, if this very load was done before.
fn repeated(draft: &Draft, wish: &api::LoadOpen) -> Result<Option<api::LoadOpened>, Reason> {
    let Some(load) = draft.world.loads.get(&wish.key) else { return Ok(None) };
    let is_done = match load.phase {
        LoadPhase::Committed | LoadPhase::Visible => true,
        LoadPhase::Open | LoadPhase::Aborted { .. } => false,
    };
    if is_done && (load.content, load.mode) != (wish.content, wish.mode) {
        return Err(Reason::OtherContent { key: wish.key.clone() });
    }
    let (id, epoch) = (load.id, draft.world.epoch.0);
    let done = is_done.then(|| result_of(load));
    Ok(is_done.then(|| api::LoadOpened { load: id, epoch, done, tablets: Vec::new() }))
}

/// What is known of a load, as people see it.
pub fn result_of(load: &Load) -> api::LoadResult {
    let (state, detail) = match &load.phase {
        LoadPhase::Open => (api::LoadPhase::Open, None),
        LoadPhase::Committed => (api::LoadPhase::Committed, None),
        LoadPhase::Visible => (api::LoadPhase::Visible, None),
        LoadPhase::Aborted { cause } => (api::LoadPhase::Aborted, Some(cause.detail())),
    };
    let versions = match load.phase {
        LoadPhase::Committed | LoadPhase::Visible => {
            load.tablets.iter().map(|(id, part)| (*id, part.version)).collect()
        }
        LoadPhase::Open | LoadPhase::Aborted { .. } => BTreeMap::new(),
    };
    api::LoadResult { key: load.key.clone(), load: load.id, state, detail, versions }
}

fn may_touch(draft: &Draft, tablet: TabletId, key: &LoadKey) -> Result<(), Reason> {
    let Some(held) = draft.world.tablets.get(tablet).and_then(|tablet| tablet.load) else { return Ok(()) };
    match draft.world.load_keys.get(&held) {
        Some(other) if other != key => Err(Reason::TabletBusy { tablet, key: other.clone() }),
        Some(_) | None => Ok(()),
    }
}

/// Who takes part in a load on one tablet.
struct Plan {
    tablet: TabletId,
    bytes: u64,
    /// Complete ones on different hosts, which count for the quorum.
    counted: Vec<ReplicaId>,
    /// Lagging ones and copies in the making: they get the stream and do not count.
    others: Vec<ReplicaId>,
    primary: ReplicaId,
}

fn plan(
    draft: &Draft,
    tablet: &Tablet,
    bytes: u64,
    granted: &mut BTreeMap<(NodeId, u64), u64>,
) -> Result<Plan, Reason> {
    let judged = checkup::count(draft.world, tablet).judged;
    let (mut counted, mut others, mut full) = (Vec::new(), Vec::new(), None);
    for (replica, judged) in tablet.replicas.iter().zip(&judged) {
        let at_committed = replica.seen.as_ref().is_some_and(|seen| seen.version >= tablet.committed);
        if !judged.alive && !takes_streams(draft, replica) {
            continue;
        }
        let disk = draft.world.disks.get(&replica.disk).expect("a replica that takes streams is on a known disk");
        let taken = granted.entry((disk.node, disk.device)).or_default();
        let (free, keep) =
            (disk.space.available().saturating_sub(*taken), draft.world.knobs.load_reserve(disk.space.total));
        if free < keep.saturating_add(bytes) {
            let host = draft.world.nodes.get(&disk.node).map(|node| node.host.clone()).unwrap_or_default();
            full = Some(Reason::DiskFullForLoad { disk: disk.id, host, free, bytes, keep });
            continue;
        }
        *taken += bytes;
        if judged.alive && at_committed { counted.push(replica.id) } else { others.push(replica.id) }
    }
    let (complete, needed) = (counted.len() as u32, quorum(tablet.wanted));
    if complete < needed {
        return Err(full.unwrap_or_else(|| no_quorum(tablet.id, complete, needed)));
    }
    let primary = choose_primary(draft, tablet, &counted);
    Ok(Plan { tablet: tablet.id, bytes, counted, others, primary })
}

/// Whether a replica that does not count (in the making, or second on its host) can be given a stream all the same.
fn takes_streams(draft: &Draft, replica: &Replica) -> bool {
    let is_wanted = match replica.state {
        ReplicaState::Normal | ReplicaState::Clone => true,
        ReplicaState::Decommission => false,
    };
    let node = draft.world.nodes.get(&replica.node);
    is_wanted
        && replica.bad.is_none()
        && node.is_some_and(|node| node.liveness == Liveness::Alive && node.reported)
        && draft.world.disks.get(&replica.disk).is_some_and(|disk| disk.state == DiskState::Online)
}

/// n / 2 + 1 of the wanted copies.
pub fn quorum(wanted: u32) -> u32 {
    wanted / 2 + 1
}

pub fn no_quorum(tablet: TabletId, complete: u32, needed: u32) -> Reason {
    Reason::NoQuorum { tablet, complete, needed }
}

/// The present primary if it is complete, else the one on the emptiest disk.
fn choose_primary(draft: &Draft, tablet: &Tablet, counted: &[ReplicaId]) -> ReplicaId {
    if let Some(primary) = tablet.primary.filter(|primary| counted.contains(primary)) {
        return primary;
    }
    let candidates = tablet.replicas.iter().filter(|replica| counted.contains(&replica.id));
    let used = |replica: &Replica| draft.world.disks.get(&replica.disk).map_or(u64::MAX, |disk| disk.space.used);
    candidates.min_by_key(|replica| (used(replica), replica.id)).expect("a quorum is at least one").id
}

fn put(draft: &mut Draft, wish: &api::LoadOpen, table: stele_common::TableId, plans: Vec<Plan>) -> api::LoadOpened {
    for plan in &plans {
        let tablet = draft.world.tablets.get(plan.tablet).expect("it was planned for");
        if tablet.primary != Some(plan.primary) {
            let (ballot, replica) = (tablet.ballot.next(), Some(plan.primary));
            draft.record(Change::PrimaryChosen { tablet: plan.tablet, replica, ballot });
        }
    }
    let id = LoadId(draft.take_id());
    let shown = plans.iter().map(|plan| show(draft, plan)).collect();
    let parts = plans.into_iter().map(|plan| (plan.tablet, part(draft, plan)));
    let tablets: BTreeMap<TabletId, LoadPart> = parts.collect();
    draft.record(Change::LoadOpened {
        load: Load {
            id,
            key: wish.key.clone(),
            table,
            mode: wish.mode,
            content: wish.content,
            phase: LoadPhase::Open,
            tablets,
            opened: draft.at,
            commit_asked: false,
            ended_wall_ms: 0,
        },
    });
    api::LoadOpened { load: id, epoch: draft.world.epoch.0, done: None, tablets: shown }
}

fn part(draft: &Draft, plan: Plan) -> LoadPart {
    let tablet = draft.world.tablets.get(plan.tablet).expect("it was planned for");
    let (prepared, failed) = Default::default();
    let (parent, version, ballot) = (tablet.committed, tablet.committed.next(), tablet.ballot);
    LoadPart { parent, version, ballot, members: plan.counted, bytes: plan.bytes, prepared, failed }
}

fn show(draft: &Draft, plan: &Plan) -> api::LoadTablet {
    let tablet = draft.world.tablets.get(plan.tablet).expect("it was planned for");
    let member = |id: ReplicaId| {
        let replica = tablet.replicas.iter().find(|replica| replica.id == id)?;
        let node = draft.world.nodes.get(&replica.node)?;
        Some(api::LoadMember { node: node.id, replica: id, http: node.http.clone(), peer: node.peer.clone() })
    };
    let streams = plan.counted.iter().chain(&plan.others).filter(|id| **id != plan.primary);
    api::LoadTablet {
        tablet: tablet.id,
        bucket: tablet.bucket,
        ballot: tablet.ballot,
        parent: tablet.committed,
        parent_hash: committed_hash(tablet),
        version: tablet.committed.next(),
        primary: member(plan.primary).expect("the primary is on an alive node"),
        others: streams.filter_map(|id| member(*id)).collect(),
    }
}

fn committed_hash(tablet: &Tablet) -> VersionHash {
    let record = tablet.versions.iter().find(|record| record.version == tablet.committed);
    record.map_or(Digest::ZERO, |record| record.hash)
}

/// The load that this id belongs to, unless the client has begun anew since.
pub fn by_id<'a>(draft: &'a Draft, id: LoadId) -> Option<&'a Load> {
    let key = draft.world.load_keys.get(&id)?;
    draft.world.loads.get(key).filter(|load| load.id == id)
}

/// A member has the load durable and waits for our word.
pub fn prepared(draft: &mut Draft, node: NodeId, fact: &LoadFact) {
    let load = fact.load;
    let Some(known) = by_id(draft, load) else { return unknown(draft, node, fact) };
    match known.phase {
        LoadPhase::Open => {
            let key = known.key.clone();
            if counts(draft, node, fact) {
                let (tablet, replica, hash) = (fact.tablet, fact.replica, fact.hash);
                draft.record(Change::LoadPrepared { key: key.clone(), tablet, replica, hash });
                commit::try_commit(draft, &key);
            }
        }
        LoadPhase::Aborted { .. } => draft.send(node, OrderBody::AbortLoad { load }),
        // Its version is no longer on record: the tablet has gone far beyond it.
        LoadPhase::Committed | LoadPhase::Visible => tell_committed(draft, node, fact, fact.version, fact.hash),
    }
}

/// Whether what was prepared is what was asked for: this ballot, this parent, a replica of ours on this node.
fn counts(draft: &Draft, node: NodeId, fact: &LoadFact) -> bool {
    let part = by_id(draft, fact.load).and_then(|load| load.tablets.get(&fact.tablet));
    let tablet = draft.world.tablets.get(fact.tablet);
    let (Some(part), Some(tablet)) = (part, tablet) else { return false };
    let is_ours = tablet.replicas.iter().any(|replica| (replica.id, replica.node) == (fact.replica, node));
    is_ours && (fact.ballot, fact.parent, fact.version) == (part.ballot, part.parent, part.version)
}

/// A load that we do not know. Of our own time it is an attempt that was given up; else it waits.
fn unknown(draft: &mut Draft, node: NodeId, fact: &LoadFact) {
    let load = fact.load;
    if load.0 >= draft.world.began_id {
        return draft.send(node, OrderBody::AbortLoad { load });
    }
    draft.record(Change::OrphanSeen { load, node, tablet: fact.tablet });
    reconsider_orphans(draft, node);
}

/// Prepared loads of earlier leaderships go when enough replicas of their tablets have reported that an acknowledged
/// load could not have stayed hidden: every quorum that may have installed it has a replica among those heard.
pub fn reconsider_orphans(draft: &mut Draft, node: NodeId) {
    if draft.is_blind() {
        return;
    }
    let orphans = draft.world.orphans.iter().filter(|((_, owner), _)| *owner == node);
    let over = orphans.filter(|(_, tablets)| tablets.iter().all(|tablet| is_heard(draft, *tablet)));
    let over: Vec<LoadId> = over.map(|((load, _), _)| *load).collect();
    for load in over {
        draft.send(node, OrderBody::AbortLoad { load });
        draft.record(Change::OrphanGone { load, node });
    }
}

/// Whether a version that is still kept came from this load. Until none does, a member may hold it prepared in one
/// tablet while another is far beyond it; forgotten (by a wall clock that was set, say), it would be aborted in both.
fn is_on_record(draft: &Draft, load: &Load) -> bool {
    load.tablets.keys().any(|id| {
        let tablet = draft.world.tablets.get(*id);
        tablet.is_some_and(|tablet| tablet.versions.iter().any(|record| record.load == load.id))
    })
}

fn is_heard(draft: &Draft, tablet: TabletId) -> bool {
    let Some(tablet) = draft.world.tablets.get(tablet) else {
        return draft.world.was_dropped(tablet);
    };
    let mut heard = 0;
    for replica in &tablet.replicas {
        let Some(node) = draft.world.nodes.get(&replica.node) else { continue };
        if node.reported && replica.seen.as_ref().is_some_and(|seen| Some(seen.boot) == node.boot) {
            heard += 1;
        } else if node.liveness != Liveness::Lost && replica.bad.is_none() {
            return false;
        }
    }
    heard > tablet.wanted - quorum(tablet.wanted).min(tablet.wanted)
}

/// The load is committed: say so again.
pub fn tell_committed(draft: &mut Draft, node: NodeId, fact: &LoadFact, version: Version, hash: VersionHash) {
    let (load, tablet, replica) = (fact.load, fact.tablet, fact.replica);
    if discard_of_the_gone(draft, node, fact) {
        return;
    }
    match fact.state {
        LoadState::Prepared => draft.send(node, OrderBody::CommitLoad { load, tablet, replica, version, hash }),
        LoadState::Pending | LoadState::Failed { .. } => {}
    }
    commit::recount(draft, tablet);
}

/// What is staged of a decided load for a replica that has left the catalog goes; its agent refuses that where the replica
/// lies. Said again with each full report until it is done. Answers whether the replica is gone.
pub fn discard_of_the_gone(draft: &mut Draft, node: NodeId, fact: &LoadFact) -> bool {
    let (load, tablet, replica) = (fact.load, fact.tablet, fact.replica);
    let is_gone = match draft.world.tablets.get(tablet) {
        Some(tablet) => tablet.replicas.iter().all(|known| known.id != replica),
        None => draft.world.was_dropped(tablet),
    };
    if is_gone && level::forbids_clearing(draft.world).is_none() {
        draft.send(node, OrderBody::DiscardLoad { load, tablet, replica });
    }
    is_gone
}

/// A member could not make the load durable.
pub fn failed(draft: &mut Draft, node: NodeId, fact: &LoadFact, cause: &str) {
    let load = fact.load;
    let Some(known) = by_id(draft, load) else { return unknown(draft, node, fact) };
    let key = known.key.clone();
    match known.phase {
        LoadPhase::Open => {
            let (tablet, replica, cause) = (fact.tablet, fact.replica, cause.to_string());
            draft.record(Change::LoadPartFailed { key: key.clone(), tablet, replica, cause });
            commit::try_commit(draft, &key);
        }
        LoadPhase::Aborted { .. } => draft.send(node, OrderBody::AbortLoad { load }),
        LoadPhase::Committed | LoadPhase::Visible => {}
    }
}

/// A client gives its load up.
pub fn abort_asked(draft: &mut Draft, key: &LoadKey) {
    let answer = match draft.world.loads.get(key).map(|load| &load.phase) {
        None => Answer::Refused(no_such_load(key)),
        Some(LoadPhase::Committed | LoadPhase::Visible) => {
            Answer::Refused(Reason::AlreadyCommitted { key: key.clone() })
        }
        Some(LoadPhase::Aborted { .. }) => Answer::Done,
        Some(LoadPhase::Open) => {
            abort(draft, key, Reason::LoadAborted);
            Answer::Done
        }
    };
    draft.answer(answer);
}

pub fn no_such_load(key: &LoadKey) -> Reason {
    Reason::NoSuchLoad { key: key.clone() }
}

/// Ends an open load without a commit; nothing else is touched.
pub fn abort(draft: &mut Draft, key: &LoadKey, cause: Reason) {
    let Some(load) = draft.world.loads.get(key).filter(|load| load.phase == LoadPhase::Open) else { return };
    let (id, tablets) = (load.id, load.tablets.keys().copied().collect::<Vec<_>>());
    let replicas = tablets.iter().filter_map(|id| draft.world.tablets.get(*id)).flat_map(|tablet| &tablet.replicas);
    let nodes: BTreeSet<NodeId> = replicas.map(|replica| replica.node).collect();
    draft.explain(cause.clone());
    draft.record(Change::LoadAborted { key: key.clone(), cause, wall_ms: draft.wall_ms });
    for node in nodes {
        draft.send(node, OrderBody::AbortLoad { load: id });
    }
    landing::load_ended(draft, tablets);
}

/// A tablet's ballot moved: a load that was opened under the old one ends, and the client repeats it.
pub fn ballot_moved(draft: &mut Draft, tablet: TabletId) {
    let Some(known) = draft.world.tablets.get(tablet) else { return };
    let (ballot, load): (Ballot, Option<LoadId>) = (known.ballot, known.load);
    let Some(load) = load.and_then(|id| by_id(draft, id)) else { return };
    if load.tablets.get(&tablet).is_some_and(|part| part.ballot != ballot) {
        let key = load.key.clone();
        abort(draft, &key, Reason::BallotMoved { tablet });
    }
}

/// An open load has had its time.
pub fn time_out(draft: &mut Draft) {
    let ms = draft.world.knobs.load_timeout_ms;
    let open = draft.world.loads.in_flight().filter(|load| load.phase == LoadPhase::Open);
    let late: Vec<LoadKey> = open.filter(|load| draft.at.since(load.opened) >= ms).map(|l| l.key.clone()).collect();
    for key in late {
        abort(draft, &key, Reason::LoadTimedOut { ms });
    }
}

/// Results are kept for some days, so that repeating a load is harmless.
pub fn forget_results(draft: &mut Draft) {
    let (keep, now) = (draft.world.knobs.load_results_ms, draft.wall_ms);
    let over = draft.world.loads.values().filter(|load| match load.phase {
        LoadPhase::Visible => now.saturating_sub(load.ended_wall_ms) > keep && !is_on_record(draft, load),
        LoadPhase::Aborted { .. } => now.saturating_sub(load.ended_wall_ms) > keep,
        LoadPhase::Open | LoadPhase::Committed => false,
    });
    let over: Vec<LoadKey> = over.map(|load| load.key.clone()).collect();
    for key in over {
        draft.record(Change::LoadForgotten { key });
    }
}
