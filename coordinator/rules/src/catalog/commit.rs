//! The one commit of a load, and the moment it becomes visible: the two acknowledgements that must never be wrong.
//!
//! In: an open load of which members have reported it durable; a committed one that replicas have installed. Out: one
//! record for all its tablets, or none; and visibility once a quorum of every tablet reports it. Both count replicas
//! on different hosts, and both assert their promise with the numbers at hand.

use super::{Draft, landing, loads};
use crate::world::{Load, LoadPart, LoadPhase, Replica, Tablet, VersionRecord};
use crate::{Answer, Change};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskState, LoadKey, OrderBody, ReplicaId, ReplicaState, TabletId, VersionHash};

/// The client has sent everything.
pub fn asked(draft: &mut Draft, key: &LoadKey) {
    let Some(load) = draft.world.loads.get(key) else {
        return draft.answer(Answer::Refused(loads::no_such_load(key)));
    };
    let answer = match &load.phase {
        LoadPhase::Committed | LoadPhase::Visible => Answer::Done,
        LoadPhase::Aborted { cause } => Answer::Refused(cause.clone()),
        LoadPhase::Open => {
            if !load.commit_asked {
                draft.record(Change::LoadCommitAsked { key: key.clone() });
            }
            try_commit(draft, key);
            Answer::Done
        }
    };
    draft.answer(answer);
}

/// Something about a tablet changed that its load may wait for.
pub fn recount(draft: &mut Draft, tablet: TabletId) {
    let load = draft.world.tablets.get(tablet).and_then(|tablet| tablet.load);
    let Some(load) = load.and_then(|id| loads::by_id(draft, id)) else { return };
    let key = load.key.clone();
    match load.phase {
        LoadPhase::Open => try_commit(draft, &key),
        LoadPhase::Committed => try_visible(draft, &key),
        LoadPhase::Visible | LoadPhase::Aborted { .. } => {}
    }
}

/// Commits as soon as a quorum of every tablet has the load durable; gives it up as soon as one cannot.
pub fn try_commit(draft: &mut Draft, key: &LoadKey) {
    let Some(load) = draft.world.loads.get(key) else { return };
    if load.phase != LoadPhase::Open || !load.commit_asked || draft.is_blind() {
        return;
    }
    let mut agreed = BTreeMap::new();
    for (id, part) in &load.tablets {
        let Some(tablet) = draft.world.tablets.get(*id) else { return };
        let needed = loads::quorum(tablet.wanted);
        match durable_at(draft, tablet, part) {
            Some(holders) => {
                agreed.insert(*id, holders);
            }
            None => {
                let hopeful = hosts(draft, tablet, |replica| may_prepare(draft, part, replica));
                if hopeful < needed {
                    let reason = loads::no_quorum(*id, hopeful, needed);
                    return loads::abort(draft, key, reason);
                }
            }
        }
    }
    if agreed.len() == load.tablets.len() {
        commit(draft, &load.clone(), agreed);
    }
}

/// The hash that a quorum of counted members on different hosts has durable, and who they are.
fn durable_at(draft: &Draft, tablet: &Tablet, part: &LoadPart) -> Option<(VersionHash, Vec<ReplicaId>)> {
    let hashes: BTreeSet<VersionHash> = part.prepared.values().copied().collect();
    let quorum = loads::quorum(tablet.wanted);
    hashes.into_iter().find_map(|hash| {
        let has =
            |replica: &Replica| may_prepare(draft, part, replica) && part.prepared.get(&replica.id) == Some(&hash);
        let holders = tablet.replicas.iter().filter(|replica| has(replica)).map(|replica| replica.id);
        (hosts(draft, tablet, has) >= quorum).then(|| (hash, holders.collect()))
    })
}

/// A member that counts, and can still be trusted with what it stages.
fn may_prepare(draft: &Draft, part: &LoadPart, replica: &Replica) -> bool {
    let is_suspect = draft.world.disks.get(&replica.disk).is_none_or(|disk| disk.state == DiskState::Suspect);
    let is_member = part.members.contains(&replica.id) && !part.failed.contains_key(&replica.id);
    is_member && replica.bad.is_none() && !is_suspect
}

/// Different hosts among the replicas that pass.
fn hosts(draft: &Draft, tablet: &Tablet, passes: impl Fn(&Replica) -> bool) -> u32 {
    let passing = tablet.replicas.iter().filter(|replica| passes(replica));
    let nodes = passing.filter_map(|replica| draft.world.nodes.get(&replica.node));
    nodes.map(|node| node.host.as_str()).collect::<BTreeSet<_>>().len() as u32
}

fn commit(draft: &mut Draft, load: &Load, agreed: BTreeMap<TabletId, (VersionHash, Vec<ReplicaId>)>) {
    let mut versions = Vec::with_capacity(agreed.len());
    for (id, (hash, holders)) in &agreed {
        let (tablet, part) = (draft.world.tablets.get(*id).expect("it was counted just now"), &load.tablets[id]);
        let (id, committed, quorum) = (*id, tablet.committed, loads::quorum(tablet.wanted));
        assert_eq!((part.parent, part.version), (committed, committed.next()), "tablet {id}: commit out of order");
        assert_eq!(part.ballot, tablet.ballot, "tablet {id}: commit under an old ballot");
        let durable = hosts(draft, tablet, |replica| holders.contains(&replica.id));
        assert!(durable >= quorum, "tablet {id}: commit with {durable} of {quorum} hosts: {holders:?}");
        let (parent, version, load) = (part.parent, part.version, load.id);
        let record = VersionRecord { version, parent, hash: *hash, load, holders: holders.clone(), superseded: None };
        versions.push((id, record));
    }
    assert_eq!(versions.len(), load.tablets.len(), "load {}: all tablets or none", load.id);
    let load = Load { phase: LoadPhase::Committed, ended_wall_ms: draft.wall_ms, ..load.clone() };
    draft.record(Change::LoadCommitted { load: load.clone(), versions, at: draft.at });
    for (id, (hash, _)) in agreed {
        let told: Vec<ReplicaId> = load.tablets[&id].prepared.keys().copied().collect();
        tell(draft, &load, id, hash, &told);
    }
    landing::load_ended(draft, load.tablets.keys().copied());
    try_visible(draft, &load.key);
}

/// Orders these replicas to install the load.
pub fn tell(draft: &mut Draft, load: &Load, id: TabletId, hash: VersionHash, replicas: &[ReplicaId]) {
    let (Some(tablet), Some(part)) = (draft.world.tablets.get(id), load.tablets.get(&id)) else { return };
    let told = tablet.replicas.iter().filter(|replica| replicas.contains(&replica.id));
    let told: Vec<_> = told.map(|replica| (replica.node, replica.id)).collect();
    let (load, version) = (load.id, part.version);
    for (node, replica) in told {
        draft.send(node, OrderBody::CommitLoad { load, tablet: id, replica, version, hash });
    }
}

/// Visible, and only then acknowledged: a quorum of every tablet reports the version, or a later one, installed.
pub fn try_visible(draft: &mut Draft, key: &LoadKey) {
    let Some(load) = draft.world.loads.get(key) else { return };
    if load.phase != LoadPhase::Committed || draft.is_blind() {
        return;
    }
    for (id, part) in &load.tablets {
        // A dropped table waits for nobody.
        let Some(tablet) = draft.world.tablets.get(*id) else { continue };
        if tablet.visible >= part.version {
            continue;
        }
        if hosts(draft, tablet, |replica| has_installed(tablet, part, replica)) < loads::quorum(tablet.wanted) {
            return;
        }
        assert!(part.version <= tablet.committed, "tablet {id}: {} visible before its commit", part.version);
    }
    draft.record(Change::LoadVisible { key: key.clone(), at: draft.at });
}

fn has_installed(tablet: &Tablet, part: &LoadPart, replica: &Replica) -> bool {
    let is_member = match replica.state {
        ReplicaState::Normal | ReplicaState::Decommission => true,
        ReplicaState::Clone => false,
    };
    let is_at = replica.seen.as_ref().is_some_and(|seen| {
        seen.version >= part.version
            && seen.bad.is_none()
            && !super::facts::is_other_content(tablet, seen.version, seen.hash)
    });
    is_member && replica.bad.is_none() && is_at
}
