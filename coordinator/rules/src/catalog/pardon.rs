//! An operator's word on one replica: bad, or good again.
//!
//! In: the word; what the replica's reports say afterwards; ticks. Out: a bad mark, or its end once all bytes have been
//! held against their digests since the word was given. It must never call the last complete copy bad, and never make
//! a replica count on a person's word alone.

use super::{Draft, evidence, facts, level};
use crate::{Answer, Change, Reason};
use stele_common::api::{ReplicaSet, ReplicaWord};
use stele_common::{Liveness, NodeId, OrderBody, ReplicaId, TabletId};

/// It is asked to read itself this often, for this long.
const ASK_AGAIN_MS: u64 = 10_000;
const ASK_FOR_MS: u64 = 3_600_000;

pub fn set(draft: &mut Draft, tablet: TabletId, replica: ReplicaId, wish: &ReplicaSet) {
    let answer = match said(draft, tablet, replica, wish) {
        Ok(()) => Answer::Done,
        Err(reason) => Answer::Refused(reason),
    };
    draft.answer(answer);
}

fn said(draft: &mut Draft, id: TabletId, replica: ReplicaId, wish: &ReplicaSet) -> Result<(), Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    let known = draft.world.tablets.get(id).and_then(|t| t.replicas.iter().find(|other| other.id == replica));
    let (tablet, known) = match (draft.world.tablets.get(id), known) {
        (Some(tablet), Some(known)) => (tablet, known),
        (_, _) => return Err(Reason::NoSuchReplica { tablet: id, replica }),
    };
    match wish.state {
        ReplicaWord::Bad if known.bad.is_some() => {}
        ReplicaWord::Bad => {
            if evidence::complete_others(draft.world, tablet, Some(replica)).is_empty() {
                return Err(Reason::WouldBeLast { tablet: id, replica });
            }
            let why = if wish.reason.is_empty() { String::new() } else { format!(": {}", wish.reason) };
            let cause = format!("called bad by {}{why}", wish.owner);
            draft.record(Change::ReplicaBad { tablet: id, replica, cause });
        }
        ReplicaWord::Ok if known.bad.is_none() => {}
        ReplicaWord::Ok => {
            let (node, at) = (known.node, draft.at);
            draft.record(Change::PardonAsked { tablet: id, replica, at });
            ask(draft, node, id, replica);
        }
    }
    Ok(())
}

fn ask(draft: &mut Draft, node: NodeId, tablet: TabletId, replica: ReplicaId) {
    draft.send(node, OrderBody::Verify { tablet, replica });
}

/// Replicas that have been read since the word was given are trusted again.
pub fn tick(draft: &mut Draft) {
    let pardons: Vec<_> = draft.world.pardons.iter().map(|(key, at)| (*key, *at)).collect();
    for ((id, replica), since) in pardons {
        let tablet = draft.world.tablets.get(id);
        let known = tablet.and_then(|tablet| tablet.replicas.iter().find(|other| other.id == replica));
        let (Some(tablet), Some(known)) = (tablet, known.filter(|known| known.bad.is_some())) else {
            draft.record(Change::PardonEnded { tablet: id, replica });
            continue;
        };
        let node = draft.world.nodes.get(&known.node).filter(|node| node.liveness == Liveness::Alive && node.reported);
        let seen = known.seen.as_ref().filter(|seen| node.is_some_and(|node| node.boot == Some(seen.boot)));
        let read = seen.filter(|seen| seen.verified.is_some_and(|verified| verified >= since));
        let is_good = read.is_some_and(|seen| facts::flaw_of(tablet, known, seen).is_none());
        if let Some(version) = read.filter(|_| is_good).map(|seen| seen.version) {
            draft.record(Change::ReplicaGood { tablet: id, replica, version });
            draft.record(Change::PardonEnded { tablet: id, replica });
        } else if draft.at.since(since) >= ASK_FOR_MS {
            draft.record(Change::PardonEnded { tablet: id, replica });
        } else if draft.comes_round(since, ASK_AGAIN_MS) {
            let node = known.node;
            ask(draft, node, id, replica);
        }
    }
}
