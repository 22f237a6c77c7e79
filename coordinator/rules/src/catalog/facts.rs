//! What one fact about a replica or a staged load means.
//!
//! In: a fact that [`super::ingest`] has found to be fresh. Out: records of what was seen, a replica's badness or
//! recovery, and what waited for it. The recorded version hash is the truth about a version: a replica that differs
//! is bad, whatever the others say. A version, id or load that we never gave means that our store is old.

use super::ingest::From;
use super::{Draft, commit, deletion, landing, level, loads, salvage, strays, tasks};
use crate::world::{Replica, SeenReplica, Tablet};
use crate::{Change, Reason};
use stele_common::{
    Digest, DiskId, DiskState, Liveness, LoadFact, LoadState, OrderBody, ReplicaFact, ReplicaId, ReplicaState,
    TabletId, Version, VersionHash,
};

pub fn replica(draft: &mut Draft, from: From, fact: &ReplicaFact) {
    if let Some(ahead) = [fact.replica.0, fact.tablet.0].into_iter().find(|id| level::is_ahead(draft.world, *id)) {
        let node = from.node;
        level::store_is_old(draft, format!("node {node} holds id {ahead}, which we have never issued"));
    }
    if draft.world.disks.get(&fact.disk).is_none_or(|disk| disk.node != from.node) {
        return;
    }
    let Some(tablet) = draft.world.tablets.get(fact.tablet) else {
        return strays::of_no_tablet(draft, from.node, fact);
    };
    let known = tablet.replicas.iter().find(|replica| replica.id == fact.replica).cloned();
    if fact.version > tablet.committed {
        let (id, committed) = (tablet.id, tablet.committed);
        let detail = format!("tablet {id} is at version {} on node {}, ours is {committed}", fact.version, from.node);
        level::store_is_old(draft, detail);
    }
    let Some(known) = known else {
        return strays::seen(draft, from.node, fact);
    };
    if (known.node, known.disk) != (from.node, fact.disk) && !moves(draft, &known, from, fact) {
        return;
    }
    if is_old_news(draft, &known, from, fact) {
        return;
    }
    let at = draft.at;
    draft.record(Change::ReplicaSeen { fact: fact.clone(), node: from.node, boot: from.boot, seq: from.seq, at });
    if !draft.is_blind() {
        judge(draft, fact.tablet, fact.replica);
    }
}

/// Most facts of a full report repeat what is known: of a replica that nothing waits for, nothing is to be reckoned anew.
fn is_old_news(draft: &Draft, known: &Replica, from: From, fact: &ReplicaFact) -> bool {
    let Some(tablet) = draft.world.tablets.get(fact.tablet) else { return false };
    let is_quiet = known.state == ReplicaState::Normal
        && known.bad.is_none()
        && known.version == fact.version
        && known.seen.as_ref().is_some_and(|seen| flaw_of(tablet, known, seen).is_none())
        && tablet.load.is_none()
        && !draft.world.tasks.contains_key(&tablet.id)
        && !draft.world.salvages.contains_key(&tablet.id);
    is_quiet && crate::apply::is_known(tablet, fact, from.boot, draft.at, draft.world.knobs.scrub_period_ms)
}

/// A replica turned up elsewhere: it moved, unless the place on record still shows it (then this one is a copy).
fn moves(draft: &mut Draft, known: &Replica, from: From, fact: &ReplicaFact) -> bool {
    let still_there = known.node != from.node
        && known.seen.as_ref().is_some_and(|seen| {
            let node = draft.world.nodes.get(&known.node);
            node.is_some_and(|node| node.liveness == Liveness::Alive && node.boot == Some(seen.boot))
        });
    if still_there || draft.is_blind() {
        return false;
    }
    let (tablet, replica) = (fact.tablet, fact.replica);
    draft.record(Change::ReplicaMoved { tablet, replica, node: from.node, disk: fact.disk });
    true
}

/// Holds what was seen of a replica against what is on record, and goes on with whatever waited for it.
pub fn judge(draft: &mut Draft, id: TabletId, replica: ReplicaId) {
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    let Some(known) = tablet.replicas.iter().find(|other| other.id == replica) else { return };
    let Some(seen) = &known.seen else { return };
    match flaw_of(tablet, known, seen) {
        Some(_) if known.bad.is_some() => {}
        Some(cause) => {
            let (disk, regressed) = (known.disk, seen.version < known.version);
            if let Some(reason) = inconsistent(tablet, replica, (seen.version, seen.hash)) {
                draft.explain(reason);
            }
            draft.record(Change::ReplicaBad { tablet: id, replica, cause });
            if regressed {
                verify_disk(draft, disk);
            }
            salvage::attend(draft, &[id]);
        }
        None if seen.version > known.version => {
            let version = seen.version;
            draft.record(Change::ReplicaRose { tablet: id, replica, version });
        }
        None => {}
    }
    landing::arrived(draft, id, replica);
    commit::recount(draft, id);
    deletion::settle(draft, id);
}

/// Why a replica cannot be trusted.
pub fn flaw_of(tablet: &Tablet, known: &Replica, seen: &SeenReplica) -> Option<String> {
    if let Some(cause) = &seen.bad {
        return Some(cause.clone());
    }
    if seen.version < known.version {
        return Some(format!("regressed: it was at version {} and is at {} now", known.version, seen.version));
    }
    inconsistent(tablet, known.id, (seen.version, seen.hash)).map(|reason| reason.detail())
}

/// Why a replica's content cannot be that of its version: the recorded hash says so, not the other replicas.
fn inconsistent(tablet: &Tablet, replica: ReplicaId, (version, has): (Version, VersionHash)) -> Option<Reason> {
    let record = tablet.versions.iter().find(|record| record.version == version);
    let recorded = record.map_or(Digest::ZERO, |record| record.hash);
    is_other_content(tablet, version, has).then_some(Reason::Inconsistent { replica, version, has, recorded })
}

impl Tablet {
    /// Replicas of one version differ, or one differs from what was committed. No vote is held: where there is a record
    /// it is the truth; where there is none any more, the version is superseded and its replicas are brought up.
    pub fn is_inconsistent(&self) -> bool {
        let seen = || self.replicas.iter().filter_map(|replica| replica.seen.as_ref());
        seen().any(|one| {
            let differs = |other: &SeenReplica| other.version == one.version && other.hash != one.hash;
            is_other_content(self, one.version, one.hash) || seen().any(differs)
        })
    }
}

/// Whether the version on record has another hash. Versions that are no longer on record cannot be judged.
pub fn is_other_content(tablet: &Tablet, version: Version, hash: VersionHash) -> bool {
    let record = tablet.versions.iter().find(|record| record.version == version);
    match record {
        Some(record) => record.hash != hash,
        None => version == Version::EMPTY && hash != Digest::ZERO,
    }
}

/// A disk that lost something is read anew, all of it.
fn verify_disk(draft: &mut Draft, disk: DiskId) {
    let tablets = draft.world.tablets.iter();
    let on_it = tablets.flat_map(|tablet| tablet.replicas.iter().map(move |replica| (tablet.id, replica)));
    let on_it: Vec<_> = on_it.filter(|(_, r)| r.disk == disk).map(|(t, r)| (t, r.id, r.node)).collect();
    for (tablet, replica, node) in on_it {
        draft.send(node, OrderBody::Verify { tablet, replica });
    }
}

/// The agent says that a replica is not on its disk (any more).
pub fn replica_gone(draft: &mut Draft, from: From, tablet: TabletId, replica: ReplicaId, disk: DiskId) {
    if let Some(stray) = draft.world.strays.get(&(tablet, replica))
        && (stray.node, stray.disk) == (from.node, disk)
    {
        draft.record(Change::StrayGone { tablet, replica });
    }
    let known = draft.world.tablets.get(tablet).and_then(|t| t.replicas.iter().find(|other| other.id == replica));
    if known.is_some_and(|known| (known.node, known.disk) == (from.node, disk)) {
        not_there(draft, tablet, replica);
    }
}

/// A replica on record is not there. On a disk that is not ONLINE that means nothing.
pub fn not_there(draft: &mut Draft, tablet: TabletId, replica: ReplicaId) {
    let Some(known) = draft.world.tablets.get(tablet) else { return };
    let (committed, task) = (known.committed, draft.world.tasks.get(&tablet));
    let Some(known) = known.replicas.iter().find(|other| other.id == replica) else { return };
    let is_online = draft.world.disks.get(&known.disk).is_some_and(|disk| disk.state == DiskState::Online);
    // A copy in the making shows itself only when it is whole; its task has the word on it.
    let in_the_making = known.state == ReplicaState::Clone || task.is_some_and(|task| tasks::makes(task, replica));
    // Nothing was ever loaded: the order to create it is still on its way.
    let not_made_yet = committed == Version::EMPTY && known.version == Version::EMPTY;
    let is_bad = is_online && !in_the_making && !not_made_yet && known.bad.is_none();
    if known.seen.is_some() {
        draft.record(Change::ReplicaUnseen { tablet, replica });
    }
    if is_bad && !draft.is_blind() {
        draft.record(Change::ReplicaBad { tablet, replica, cause: "missing on its disk".into() });
        commit::recount(draft, tablet);
    }
}

/// An answer to a Confirm.
pub fn confirmed(
    draft: &mut Draft,
    from: From,
    (tablet, replica): (TabletId, ReplicaId),
    (version, hash): (Version, VersionHash),
    nonce: u64,
) {
    let known = draft.world.tablets.get(tablet).and_then(|t| t.replicas.iter().find(|other| other.id == replica));
    if known.is_none_or(|known| known.node != from.node) {
        return;
    }
    draft.record(Change::ReplicaConfirmed { tablet, replica, nonce, version, hash, at: draft.at });
    if draft.world.tablets.get(tablet).is_some_and(|tablet| is_other_content(tablet, version, hash)) {
        // Its manifest has changed under it. The answer may be older than a mend, so it is read, not judged.
        draft.send(from.node, OrderBody::Verify { tablet, replica });
    }
    deletion::settle(draft, tablet);
    strays::settle(draft, tablet);
}

/// A load that is staged on a replica.
pub fn load(draft: &mut Draft, from: From, fact: &LoadFact) {
    if level::is_ahead(draft.world, fact.load.0) {
        let (load, node) = (fact.load, from.node);
        level::store_is_old(draft, format!("node {node} holds load {load}, which we have never opened"));
    }
    if draft.is_blind() {
        return;
    }
    // A version on record names its load: that word outlives the load's result.
    let tablet = draft.world.tablets.get(fact.tablet);
    let record = tablet.and_then(|tablet| tablet.versions.iter().find(|record| record.load == fact.load));
    if let Some(record) = record {
        let (version, hash) = (record.version, record.hash);
        return loads::tell_committed(draft, from.node, fact, version, hash);
    }
    match &fact.state {
        LoadState::Pending => {
            if tablet.is_some_and(|tablet| fact.version > tablet.committed) {
                let detail = format!(
                    "node {} waits to install version {} of tablet {}, which we have not committed",
                    from.node, fact.version, fact.tablet
                );
                level::store_is_old(draft, detail);
            } else {
                loads::discard_of_the_gone(draft, from.node, fact);
            }
        }
        LoadState::Prepared => loads::prepared(draft, from.node, fact),
        LoadState::Failed { cause } => loads::failed(draft, from.node, fact, cause),
    }
}
