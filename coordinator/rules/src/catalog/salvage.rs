//! Tablets of which no replica is complete: what is left of them on all disks is put together by digest.
//!
//! In: a tablet that the sweep or a report found without a complete copy. Out: a copy into one of its replicas (or, where
//! none can take it, into a new one where strays or trash lie) whose sources are all others of it: bad ones, strays and
//! trash too. The recorded hash names the manifest and the manifest every file, so a damaged source can only fail to
//! help. What was tried, and why it failed, is kept and shown; new sources are a reason to try again at once.
//!
//! It must never run while something that may come back by itself is waited for, never delete anything, and never let
//! bytes count that a report has not shown whole. The trash and strays it reads stay: they are freed only while n
//! replicas are proven ([`super::strays`]).

use super::{Draft, level, tables, tasks};
use crate::checkup::{self, waits};
use crate::world::{Disk, Replica, Salvage, Tablet, Task, VersionRecord, Work};
use crate::{Change, Reason, World, pause};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{
    CloneOrder, DiskId, DiskState, Liveness, NodeId, OrderBody, Priority, ReplicaId, ReplicaState, Source, TabletId,
    TabletStatus, TaskId, TaskType, Tick, Version,
};

/// Salvages at once: each reads all that is left of a tablet; a host's death must not start a thousand.
const AT_ONCE: usize = 8;
/// The same sources are tried again after so long, doubled each time: only scrubbing agents change what they can give.
const AGAIN_MIN_MS: u64 = 60_000;
const AGAIN_MAX_MS: u64 = 3_600_000;
/// New sources come in several reports: so long after a try they are gathered before the next.
const GATHER_MS: u64 = 5_000;
/// Sources named in one order: a tablet has n + 2 replicas at most, and seldom more strays and trash than that.
const SOURCES_MAX: usize = 16;

/// Where something of a tablet lies that can be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Offer {
    replica: ReplicaId,
    node: NodeId,
    disk: DiskId,
    /// Zero where nobody says it: trash.
    version: Version,
    is_member: bool,
}

/// Looks after those of these tablets that have no complete copy.
pub fn attend(draft: &mut Draft, ids: &[TabletId]) {
    if level::forbids_repair(draft.world).is_some() || pause::holds_all_repair(draft.world).is_some() {
        return;
    }
    let mut lost = Vec::new();
    for id in ids {
        if draft.world.tablets.get(*id).is_some_and(|tablet| is_lost(draft.world, tablet, draft.at)) {
            lost.push(*id);
        } else if draft.world.salvages.contains_key(id) && !draft.world.tasks.get(id).is_some_and(is_one) {
            draft.record(Change::SalvageOver { tablet: *id });
        }
    }
    if lost.is_empty() {
        return;
    }
    // One walk for all of them: there may be much trash.
    let trash = trash_of(draft.world, &lost.iter().copied().collect());
    for id in lost {
        attend_one(draft, id, trash.get(&id).map_or(&[], Vec::as_slice));
    }
}

/// No complete replica, and nothing that may bring one back by itself is still waited for.
fn is_lost(world: &World, tablet: &Tablet, at: Tick) -> bool {
    if tablet.committed == Version::EMPTY || tablet.replicas.iter().any(|replica| seems_whole(world, tablet, replica)) {
        return false;
    }
    let counts = checkup::count(world, tablet);
    counts.complete == 0
        && tablet.replicas.iter().zip(&counts.judged).all(|(replica, judged)| match judged.why {
            Some(flaw) if flaw.may_return() => waits::is_given_up(world, replica, flaw, at),
            Some(_) if judged.alive => waits::install_in(world, replica, at) == 0,
            Some(_) | None => true,
        })
}

/// Cheap, for the sweep asks it of every tablet: by its last report nothing is wrong with it.
fn seems_whole(world: &World, tablet: &Tablet, replica: &Replica) -> bool {
    let at_visible = replica.seen.as_ref().is_some_and(|seen| seen.version >= tablet.visible && seen.failed.is_none());
    let is_there = |node| world.nodes.get(&node).is_some_and(|node| node.liveness == Liveness::Alive);
    replica.bad.is_none() && replica.state == ReplicaState::Normal && at_visible && is_there(replica.node)
}

fn attend_one(draft: &mut Draft, id: TabletId, trash: &[Offer]) {
    let running = draft.world.tasks.values().filter(|task| is_one(task)).count();
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    if running >= AT_ONCE || draft.world.tasks.contains_key(&id) {
        return;
    }
    let offers = offers(draft.world, tablet, trash);
    let sources: Vec<(ReplicaId, Version)> = offers.iter().map(|offer| (offer.replica, offer.version)).collect();
    let known = draft.world.salvages.get(&id).cloned().unwrap_or_default();
    let is_news = known.sources != sources;
    let rests =
        if is_news { known.ended.is_some_and(|at| draft.at.since(at) < GATHER_MS) } else { draft.at < known.until };
    if rests {
        return;
    }
    let failures = if is_news { 0 } else { known.failures };
    let salvage = Salvage { failures, sources, ended: known.ended, until: draft.at, cause: known.cause };
    match plan(draft.world, tablet, &offers, failures) {
        Ok(plan) => start(draft, id, plan, salvage),
        Err(None) => {}
        Err(Some(detail)) => {
            let version = tablet.visible;
            remember(draft, id, salvage, version, detail);
        }
    }
}

/// Everything of the tablet that can be read now, the most promising first.
fn offers(world: &World, tablet: &Tablet, trash: &[Offer]) -> Vec<Offer> {
    let members = tablet.replicas.iter().filter_map(|replica| {
        let (version, is_member) = (replica.seen.as_ref()?.version, true);
        Some(Offer { replica: replica.id, node: replica.node, disk: replica.disk, version, is_member })
    });
    let all = (tablet.id, ReplicaId(0))..=(tablet.id, ReplicaId(u64::MAX));
    let strays = world.strays.range(all).map(|((_, replica), stray)| {
        let (node, disk, version) = (stray.node, stray.disk, stray.version);
        Offer { replica: *replica, node, disk, version, is_member: false }
    });
    let mut offers: Vec<Offer> = members.chain(strays).chain(trash.iter().cloned()).collect();
    offers.retain(|offer| can_be_read(world, offer));
    offers.sort_by_key(|offer| (Reverse(offer.version), !offer.is_member, offer.replica));
    offers.truncate(SOURCES_MAX);
    offers
}

fn trash_of(world: &World, tablets: &BTreeSet<TabletId>) -> BTreeMap<TabletId, Vec<Offer>> {
    let mut found: BTreeMap<TabletId, Vec<Offer>> = BTreeMap::new();
    for trashed in world.trash.values().filter(|trashed| tablets.contains(&trashed.fact.tablet)) {
        let (node, fact) = (trashed.node, &trashed.fact);
        let (replica, disk, version) = (fact.replica, fact.disk, Version::EMPTY);
        let offer = Offer { replica, node, disk, version, is_member: false };
        found.entry(fact.tablet).or_default().push(offer);
    }
    found
}

fn can_be_read(world: &World, offer: &Offer) -> bool {
    let is_there =
        |node: NodeId| world.nodes.get(&node).is_some_and(|node| node.liveness == Liveness::Alive && node.reported);
    is_there(offer.node)
        && world.disks.get(&offer.disk).is_some_and(|disk| match disk.state {
            DiskState::Online | DiskState::Suspect => disk.node == offer.node,
            DiskState::Unavailable => false,
        })
}

/// What a salvage does: into where, and which version.
struct Plan {
    into: Into,
    version: Version,
    source: Offer,
    bytes: u64,
}

enum Into {
    Existing(ReplicaId, NodeId, DiskId),
    New(NodeId, DiskId),
}

/// Chooses version and place; each failure moves on to the next that could do. `Err(None)`: its time comes.
fn plan(world: &World, tablet: &Tablet, offers: &[Offer], failures: u32) -> Result<Plan, Option<String>> {
    if offers.is_empty() {
        return Err(Some("nothing of it can be read on any live disk".into()));
    }
    // What stands whole on a live disk needs no salvage; only what is above it does.
    let is_whole = |replica: &&Replica| {
        let is_offered = offers.iter().any(|offer| offer.replica == replica.id);
        is_offered && replica.bad.is_none() && replica.state == ReplicaState::Normal
    };
    let whole = tablet.replicas.iter().filter(is_whole);
    let whole = whole.filter_map(|replica| replica.seen.as_ref()).map(|seen| seen.version).max();
    let is_useful = |record: &&VersionRecord| {
        let is_offered = offers.iter().any(|offer| offer.version >= record.version || offer.version == Version::EMPTY);
        record.version >= tablet.visible && is_offered && whole.is_none_or(|whole| record.version > whole)
    };
    let versions: Vec<Version> = tablet.versions.iter().rev().filter(is_useful).map(|record| record.version).collect();
    let mut places: Vec<(Version, Into)> = Vec::new();
    for version in versions {
        places.extend(places_for(world, tablet, offers, version).into_iter().map(|into| (version, into)));
    }
    if places.is_empty() {
        return Err(Some("no live replica, stray or trash of it could take or give a committed version".into()));
    }
    let (version, into) = places.swap_remove(failures as usize % places.len());
    let (made, target) = match &into {
        Into::Existing(replica, _, disk) => (Some(*replica), *disk),
        Into::New(_, disk) => (None, *disk),
    };
    // Its slots are those of any copy; the last resort is to read the very replica that is to be mended.
    let others = offers.iter().filter(|offer| Some(offer.replica) != made);
    let source = others.chain(offers).find(|offer| has_slots(world, offer.disk, target)).ok_or(None)?.clone();
    let sizes = tablet.replicas.iter().filter_map(|replica| replica.seen.as_ref()).map(|seen| seen.size);
    Ok(Plan { into, version, source, bytes: sizes.max().unwrap_or(0) })
}

/// Replicas that could be mended in place, those with the most of it first; only without one, a new one where a stray or
/// trash lies, whose bytes then need not travel.
fn places_for(world: &World, tablet: &Tablet, offers: &[Offer], version: Version) -> Vec<Into> {
    let takes = |node: NodeId, disk: DiskId| tasks::can_take(world, node, disk);
    let mut members: Vec<&Replica> = tablet.replicas.iter().collect();
    // One that once was further would only look regressed.
    members.retain(|replica| replica.version <= version && replica.state == ReplicaState::Normal);
    members.retain(|replica| takes(replica.node, replica.disk));
    members.sort_by_key(|replica| (Reverse(replica.seen.as_ref().map(|seen| seen.version)), replica.id));
    if !members.is_empty() {
        return members.iter().map(|replica| Into::Existing(replica.id, replica.node, replica.disk)).collect();
    }
    if tablet.replicas.len() >= tablet.wanted as usize + tasks::SURPLUS_MAX {
        return Vec::new();
    }
    let host = |node: NodeId| world.nodes.get(&node).map(|node| node.host.as_str());
    let is_free = |node: NodeId| tablet.replicas.iter().all(|replica| host(replica.node) != host(node));
    let fresh = offers.iter().filter(|offer| !offer.is_member && is_free(offer.node) && takes(offer.node, offer.disk));
    fresh.map(|offer| Into::New(offer.node, offer.disk)).collect()
}

/// Whether one more copy between these disks keeps to the slots of both.
pub fn has_slots(world: &World, source: DiskId, target: DiskId) -> bool {
    let used = |at: DiskId| {
        let here = world.tasks.values().filter(|task| match &task.work {
            Work::Clone { disk, source_disk, .. } => {
                task.task_type == TaskType::Repair && !task.agent_done && (*disk == at || *source_disk == at)
            }
            Work::Delete { .. } => false,
        });
        here.count() as u32 + world.disks.get(&at).map_or(0, |disk: &Disk| disk.slots_elsewhere.repair)
    };
    let limit = world.knobs.schedule_slot_num_per_path;
    used(source) < limit && used(target) < limit
}

/// Whether a task is a salvage.
pub fn is_one(task: &Task) -> bool {
    task.status == TabletStatus::Unrecoverable
}

fn start(draft: &mut Draft, tablet: TabletId, plan: Plan, salvage: Salvage) {
    let Plan { into, version, source, bytes } = plan;
    let id = TaskId(draft.take_id());
    let (replica, node, disk, fresh) = match into {
        Into::Existing(replica, node, disk) => (replica, node, disk, false),
        Into::New(node, disk) => (ReplicaId(draft.take_id()), node, disk, true),
    };
    let (source, source_node, source_disk) = (source.replica, source.node, source.disk);
    let task = Task {
        id,
        tablet,
        status: TabletStatus::Unrecoverable,
        priority: Priority::VeryHigh,
        task_type: TaskType::Repair,
        work: Work::Clone { replica, node, disk, fresh, source, source_node, source_disk, version, replaces: None },
        started: draft.at,
        bytes_done: 0,
        bytes_total: 0,
        progressed: draft.at,
        agent_done: false,
        timeout_ms: draft.world.knobs.task_timeout_ms(bytes),
    };
    let Some(ballot) = draft.world.tablets.get(tablet).map(|tablet| tablet.ballot) else { return };
    draft.record(Change::SalvageTried { tablet, salvage });
    draft.record(Change::TaskStarted { task: task.clone() });
    if fresh {
        draft.record(Change::ReplicaAdded { tablet, replica, node, disk, state: ReplicaState::Clone, ballot });
    }
    order(draft, &task);
}

/// Orders a salvage; twice is the same as once.
pub fn order(draft: &mut Draft, task: &Task) {
    let Work::Clone { replica, node, disk, version, .. } = &task.work else { return };
    let Some(label) = tables::label(draft.world, task.tablet, *replica) else { return };
    let Some(tablet) = draft.world.tablets.get(task.tablet) else { return };
    let Some(record) = checkup::count::record_of(tablet, *version) else { return };
    let trash = trash_of(draft.world, &BTreeSet::from([tablet.id]));
    let mut sources = others(draft.world, tablet, *replica, trash.get(&tablet.id).map_or(&[], Vec::as_slice));
    // Its own manifest may be the only one that is left.
    sources.extend(
        tablet.replicas.iter().filter(|known| known.id == *replica && known.seen.is_some()).map(|known| Source {
            node: known.node,
            replica: known.id,
            peer: peer(draft.world, known.node),
        }),
    );
    let (hash, stall_ms) = (record.hash, draft.world.knobs.source_patience_ms(sources.len()));
    let purpose = TaskType::Repair;
    let order = CloneOrder { task: task.id, disk: *disk, label, version: *version, hash, sources, stall_ms, purpose };
    draft.send(*node, OrderBody::Clone(order));
}

/// Adds to the whole sources of a copy whatever else of the tablet stands on a disk: should a file of theirs turn out
/// damaged, it is taken from there.
pub fn add_others(world: &World, tablet: &Tablet, made: ReplicaId, sources: &mut Vec<Source>) {
    let more = others(world, tablet, made, &[]);
    let more = more.into_iter().filter(|other| sources.iter().all(|source| source.replica != other.replica));
    let more: Vec<Source> = more.take(SOURCES_MAX.saturating_sub(sources.len())).collect();
    sources.extend(more);
}

fn others(world: &World, tablet: &Tablet, made: ReplicaId, trash: &[Offer]) -> Vec<Source> {
    let others = offers(world, tablet, trash).into_iter().filter(|offer| offer.replica != made);
    let source = |offer: Offer| Source { node: offer.node, replica: offer.replica, peer: peer(world, offer.node) };
    others.map(source).collect()
}

fn peer(world: &World, node: NodeId) -> String {
    world.nodes.get(&node).map_or(String::new(), |node| node.peer.clone())
}

/// A copy was given up: if it was a salvage, its cause is kept.
pub fn ended(draft: &mut Draft, task: &Task, cause: &Reason) {
    let Work::Clone { version, .. } = &task.work else { return };
    if is_one(task) {
        let known = draft.world.salvages.get(&task.tablet).cloned().unwrap_or_default();
        remember(draft, task.tablet, known, *version, cause.detail());
    }
}

fn remember(draft: &mut Draft, tablet: TabletId, known: Salvage, version: Version, detail: String) {
    let failures = known.failures + 1;
    let rest = AGAIN_MIN_MS.saturating_mul(1 << (failures - 1).min(6)).min(AGAIN_MAX_MS);
    let cause = Reason::Unsalvaged { version, sources: known.sources.len() as u32, tries: failures, detail };
    draft.explain(cause.clone());
    let (ended, until, cause) = (Some(draft.at), draft.at.plus(rest), Some(cause));
    draft.record(Change::SalvageTried { tablet, salvage: Salvage { failures, ended, until, cause, ..known } });
}
