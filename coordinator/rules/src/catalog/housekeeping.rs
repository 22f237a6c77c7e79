//! Everything that only time brings about: timeouts, orders given again, old versions, a slow sweep over all tablets.
//!
//! In: a tick. Out: whatever is due. Nothing here needs memory of its own: what comes round is reckoned from when a
//! thing began and when housekeeping last ran. Orders that were lost are given again; each is harmless twice.

use super::{
    Draft, commit, deletion, drain, groups, landing, leases, level, loads, pardon, plans, salvage, strays, tables,
    tasks, verify,
};
use crate::Change;
use crate::world::{Load, LoadPhase, Tablet};
use stele_common::{DiskState, Liveness, NodeId, OrderBody, ReplicaState, TabletId, Version};

/// Housekeeping runs this often at most: nothing here is urgent, what is comes with an event.
const HOUSE_MS: u64 = 500;
/// A pass of the sweep begins this often at most.
const SWEEP_MS: u64 = 2_000;
/// Tablets looked at in one tick: a millisecond or two.
const SWEEP_TABLETS: usize = 4_096;
/// A node that has not sent its full report is asked again this often.
const ASK_REPORT_MS: u64 = 3_000;
/// Every node is asked for a full report this often all the same: it heals whatever word was lost on the way.
const FULL_REPORT_MS: u64 = 600_000;
/// A committed load is told to those that have not installed it this often.
const TELL_AGAIN_MS: u64 = 5_000;
/// Results of loads are looked through this often.
const FORGET_MS: u64 = 60_000;

pub fn tick(draft: &mut Draft) {
    let is_due = draft.at.since(draft.world.ticked) >= HOUSE_MS;
    if !is_due && draft.world.swept.is_none() {
        return;
    }
    if is_due {
        ask_reports(draft);
        loads::time_out(draft);
        if !draft.is_blind() {
            tell_committed(draft);
            tasks::remind(draft);
            deletion::remind(draft);
            strays::tick(draft);
            verify::remind(draft);
            leases::tick(draft);
            pardon::tick(draft);
            groups::tick(draft);
            drain::tick(draft);
            plans::tick(draft);
        }
        if draft.comes_round(draft.world.began, FORGET_MS) {
            loads::forget_results(draft);
        }
    }
    let swept = if draft.is_blind() { None } else { sweep(draft) };
    draft.record(Change::Ticked { at: draft.at, swept });
}

fn ask_reports(draft: &mut Draft) {
    let alive = draft.world.nodes.values().filter(|node| node.liveness == Liveness::Alive);
    let due = alive.filter(|node| {
        let period = if node.reported { FULL_REPORT_MS } else { ASK_REPORT_MS };
        draft.comes_round(node.since, period)
    });
    let due: Vec<NodeId> = due.map(|node| node.id).collect();
    for node in due {
        draft.ask_full_report(node);
        if draft.world.nodes.get(&node).is_some_and(|node| node.reported) {
            loads::reconsider_orphans(draft, node);
        }
    }
    let owners: Vec<NodeId> = draft.world.orphans.keys().map(|(_, node)| *node).collect();
    for node in owners {
        loads::reconsider_orphans(draft, node);
    }
}

/// Committed loads that a quorum has not installed yet.
fn tell_committed(draft: &mut Draft) {
    let committed = draft.world.loads.in_flight().filter(|load| load.phase == LoadPhase::Committed);
    let committed: Vec<Load> = committed.cloned().collect();
    for load in committed {
        commit::try_visible(draft, &load.key);
        if !draft.comes_round(load.opened, TELL_AGAIN_MS) {
            continue;
        }
        for id in load.tablets.keys() {
            let Some(tablet) = draft.world.tablets.get(*id) else { continue };
            let Some(record) = tablet.versions.iter().find(|record| record.load == load.id) else { continue };
            let behind = tablet.replicas.iter().filter(|replica| {
                replica.seen.as_ref().is_some_and(|seen| seen.version < record.version) && replica.bad.is_none()
            });
            let (hash, behind) = (record.hash, behind.map(|replica| replica.id).collect::<Vec<_>>());
            commit::tell(draft, &load, *id, hash, &behind);
        }
    }
}

/// Looks at some tablets; returns where to go on, or `None` when the pass is over.
fn sweep(draft: &mut Draft) -> Option<TabletId> {
    let first = match draft.world.swept {
        Some(reached) => TabletId(reached.0 + 1),
        None if draft.comes_round(draft.world.began, SWEEP_MS) => TabletId(0),
        None => return None,
    };
    let ids: Vec<TabletId> = draft.world.tablets.iter_from(first).take(SWEEP_TABLETS).map(|tablet| tablet.id).collect();
    for id in &ids {
        look_after(draft, *id);
    }
    salvage::attend(draft, &ids);
    ids.last().copied().filter(|_| ids.len() == SWEEP_TABLETS)
}

fn look_after(draft: &mut Draft, id: TabletId) {
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    if tablet.committed == Version::EMPTY {
        tables::order_creation(draft, id);
        let Some(tablet) = draft.world.tablets.get(id) else { return };
        arrive(draft, tablet.id);
        return;
    }
    let below = oldest_to_keep(draft, tablet);
    if tablet.versions.first().is_some_and(|record| record.version < below)
        && level::forbids_work(draft.world).is_none()
    {
        draft.record(Change::VersionsCollected { tablet: id, below });
    }
    order_collection(draft, id);
    arrive(draft, id);
}

/// Copies in the making that are whole: their report may have come before their record.
fn arrive(draft: &mut Draft, id: TabletId) {
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    let made = tablet.replicas.iter().filter(|replica| replica.state == ReplicaState::Clone);
    let made: Vec<_> = made.map(|replica| replica.id).collect();
    for replica in made {
        landing::arrived(draft, id, replica);
    }
}

/// The latest `keep_versions` visible versions stay, and each older one for `keep_for_ms` after it was superseded.
fn oldest_to_keep(draft: &Draft, tablet: &Tablet) -> Version {
    let knobs = &draft.world.knobs;
    let visible = tablet.versions.iter().filter(|record| record.version <= tablet.visible);
    let mut keep = tablet.visible;
    for (age, record) in visible.rev().enumerate() {
        let since = record.superseded.unwrap_or(draft.world.began);
        let is_young = draft.at.since(since) < knobs.keep_for_ms;
        if age < knobs.keep_versions.max(1) as usize || is_young {
            keep = record.version;
        } else {
            break;
        }
    }
    keep
}

/// What is no longer on record may go from the disks as well.
fn order_collection(draft: &mut Draft, id: TabletId) {
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    let Some(below) = tablet.versions.first().map(|record| record.version) else { return };
    let mut orders = Vec::new();
    for replica in tablet.replicas.iter().filter(|replica| replica.bad.is_none()) {
        let Some(seen) = &replica.seen else { continue };
        let is_online = draft.world.disks.get(&replica.disk).is_some_and(|disk| disk.state == DiskState::Online);
        let is_there = draft.world.nodes.get(&replica.node).is_some_and(|node| node.liveness == Liveness::Alive);
        if seen.oldest < below && seen.oldest > Version::EMPTY && seen.version >= below && is_online && is_there {
            orders.push((replica.node, replica.id));
        }
    }
    for (node, replica) in orders {
        draft.send(node, OrderBody::Collect { tablet: id, replica, below });
    }
}
