//! `stele verify`: every copy is read through on its own disk; findings come back as reports.
//!
//! In: an operator's wish. Out: a verification with the replicas asked and those that cannot be asked, and Verify
//! orders, repeated while an answer is missing. It decides nothing about a replica: its report does.

use super::{Draft, level, tables};
use crate::world::Tablet;
use crate::{Answer, Change, Reason};
use std::collections::BTreeSet;
use stele_common::{DiskState, Liveness, OrderBody, ReplicaId, TableId, TabletId, api};

/// Orders of a verification are repeated this often, for this long.
const AGAIN_MS: u64 = 60_000;
const AGAIN_FOR_MS: u64 = 3_600_000;

pub fn start(draft: &mut Draft, wish: &api::VerifyStart) {
    let answer = started(draft, wish).map(Answer::Verification);
    draft.answer(answer.unwrap_or_else(Answer::Refused));
}

fn started(draft: &mut Draft, wish: &api::VerifyStart) -> Result<u64, Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    let only: Option<TableId> = match &wish.table {
        None => None,
        Some(name) => {
            let (db, table) = name.split_once('.').unwrap_or(("", name));
            Some(tables::find(draft.world, db, table)?.id)
        }
    };
    let (mut replicas, mut unreachable, mut orders) = (Vec::new(), Vec::new(), Vec::new());
    let named: BTreeSet<TabletId> = wish.tablets.iter().copied().collect();
    let is_meant = |tablet: &&Tablet| {
        only.is_none_or(|table| tablet.table == table) && (named.is_empty() || named.contains(&tablet.id))
    };
    for tablet in draft.world.tablets.iter().filter(is_meant) {
        for replica in &tablet.replicas {
            let size = replica.seen.as_ref().map_or(0, |seen| seen.size);
            replicas.push((tablet.id, replica.id, size));
            match out_of_reach(draft, tablet, replica.id) {
                Some(cause) => unreachable.push((replica.id, cause)),
                None => orders.push((replica.node, tablet.id, replica.id)),
            }
        }
    }
    let (id, at) = (draft.take_id(), draft.at);
    draft.record(Change::VerificationBegan { id, at, replicas, unreachable });
    for (node, tablet, replica) in orders {
        draft.send(node, OrderBody::Verify { tablet, replica });
    }
    Ok(id)
}

/// Why a replica cannot be read now.
fn out_of_reach(draft: &Draft, tablet: &Tablet, id: ReplicaId) -> Option<String> {
    let replica = tablet.replicas.iter().find(|replica| replica.id == id)?;
    let node = draft.world.nodes.get(&replica.node);
    if node.is_none_or(|node| node.liveness != Liveness::Alive || !node.reported) {
        return Some(format!("node {} is not there", replica.node));
    }
    let disk = draft.world.disks.get(&replica.disk);
    if disk.is_none_or(|disk| disk.state == DiskState::Unavailable) {
        return Some(format!("disk {} is unavailable", replica.disk));
    }
    replica.seen.is_none().then(|| "it is not on its disk".to_string())
}

/// Asks again those that have not answered.
pub fn remind(draft: &mut Draft) {
    let mut orders = Vec::new();
    for verification in draft.world.verifications.values() {
        let is_young = draft.at.since(verification.started) < AGAIN_FOR_MS;
        if !is_young || !draft.comes_round(verification.started, AGAIN_MS) {
            continue;
        }
        for (id, replica, _) in verification.replicas.iter() {
            let Some(tablet) = draft.world.tablets.get(*id) else { continue };
            let Some(known) = tablet.replicas.iter().find(|other| other.id == *replica) else { continue };
            let verified = known.seen.as_ref().and_then(|seen| seen.verified);
            let is_answered = known.bad.is_some()
                || verification.found.contains_key(replica)
                || verified.is_some_and(|at| at >= verification.started);
            if !is_answered && out_of_reach(draft, tablet, *replica).is_none() {
                orders.push((known.node, *id, *replica));
            }
        }
    }
    for (node, tablet, replica) in orders {
        draft.send(node, OrderBody::Verify { tablet, replica });
    }
}
