//! What holds for a time: maintenance of a node, urgency of a table, pauses. Each has an owner, a reason and an end.
//!
//! In: an operator's wish; ticks. Out: leases on record, and their ends. A lease never decides about safety: it only
//! says what is done first, or later. A new wish for the same thing replaces the one before.

use super::{Draft, drain, level, tables};
use crate::policy::{Lease, LeaseScope, PauseOn};
use crate::{Answer, Change, Reason, World};
use stele_common::TableId;
use stele_common::api::{LeaseAsk, LeaseOn};

/// The longest lease: what is to hold for longer is no lease.
const FOR_MS_MAX: u64 = 30 * 24 * 3_600_000;

pub fn grant(draft: &mut Draft, ask: &LeaseAsk) {
    let answer = granted(draft, ask).map(Answer::Lease);
    draft.answer(answer.unwrap_or_else(Answer::Refused));
}

fn granted(draft: &mut Draft, ask: &LeaseAsk) -> Result<u64, Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    let scope = scope_of(draft.world, &ask.on)?;
    if ask.for_ms == 0 || ask.for_ms > FOR_MS_MAX {
        let detail = format!("a lease lasts 1 to {FOR_MS_MAX} ms, not {}", ask.for_ms);
        return Err(tables::bad_request(detail));
    }
    let before = draft.world.leases.about(&scope).map(|lease| lease.id);
    let before: Vec<u64> = before.collect();
    before.into_iter().for_each(|id| draft.record(Change::LeaseEnded { id }));
    let (id, at, wall_ms) = (draft.take_id(), draft.at, draft.wall_ms);
    let until_wall_ms = Some(wall_ms.saturating_add(ask.for_ms));
    let (owner, reason) = (ask.owner.clone(), ask.reason.clone());
    let lease = Lease { id, scope, owner, reason, until_wall_ms, until: None };
    draft.record(Change::LeaseGranted { lease, at, wall_ms });
    Ok(id)
}

fn scope_of(world: &World, on: &LeaseOn) -> Result<LeaseScope, Reason> {
    Ok(match on {
        LeaseOn::Maintenance { node } => LeaseScope::Maintenance { node: drain::find_node(world, *node)?.id },
        LeaseOn::Urgent { table, partition } => {
            let (db, name) = table.split_once('.').unwrap_or(("", table));
            let table = tables::find(world, db, name)?;
            let partition = match partition {
                Some(name) => Some(tables::partition(&table, name)?.id),
                None => None,
            };
            LeaseScope::Urgent { table: table.id, partition }
        }
        LeaseOn::UrgentTablet { tablet } if world.tablets.get(*tablet).is_some() => {
            LeaseScope::UrgentTablet { tablet: *tablet }
        }
        LeaseOn::Pause { what, node, disk, table } => {
            let on = match (node, disk, table) {
                (None, None, None) => PauseOn::Everything,
                (Some(node), None, None) => PauseOn::Node { node: drain::find_node(world, *node)?.id },
                (None, Some(disk), None) => PauseOn::Disk { disk: super::hello::find_disk(world, *disk)?.id },
                (None, None, Some(name)) => {
                    let (db, name) = name.split_once('.').unwrap_or(("", name));
                    PauseOn::Table { table: tables::find(world, db, name)?.id }
                }
                _ => return Err(tables::bad_request("a pause is at one node, disk or table, or everywhere".into())),
            };
            LeaseScope::Pause { what: *what, on }
        }
        LeaseOn::UrgentTablet { tablet } => {
            return Err(tables::bad_request(format!("there is no tablet {tablet}")));
        }
    })
}

/// Takes a lease back before its time.
pub fn end(draft: &mut Draft, id: u64) {
    let answer = if let Some(reason) = level::forbids_work(draft.world) {
        Answer::Refused(reason)
    } else if draft.world.leases.contains_key(&id) {
        draft.record(Change::LeaseEnded { id });
        Answer::Done
    } else {
        Answer::Refused(Reason::NoSuchLease { id })
    };
    draft.answer(answer);
}

/// What was wanted of a table ends with it.
pub fn end_for_dropped_table(draft: &mut Draft, dropped: TableId) {
    let about = draft.world.leases.values().filter(|lease| match &lease.scope {
        LeaseScope::Urgent { table, .. } => *table == dropped,
        LeaseScope::UrgentTablet { tablet } => draft.world.tablets.get(*tablet).is_none(),
        LeaseScope::Pause { on, .. } => *on == PauseOn::Table { table: dropped },
        LeaseScope::Maintenance { .. } => false,
    });
    let about: Vec<u64> = about.map(|lease| lease.id).collect();
    about.into_iter().for_each(|id| draft.record(Change::LeaseEnded { id }));
}

/// Leases whose time is over leave the record.
pub fn tick(draft: &mut Draft) {
    let over = draft.world.leases.values().filter(|lease| lease.is_over(draft.at)).map(|lease| lease.id);
    let over: Vec<u64> = over.collect();
    over.into_iter().for_each(|id| draft.record(Change::LeaseEnded { id }));
}
