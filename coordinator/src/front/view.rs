//! The shapes of [`stele_common::api`] out of a snapshot: cluster, nodes, disks, tables, loads, verifications.
//!
//! Pure functions; nothing is decided here. What explains a verdict comes from the law book's `explain`.

pub mod balance;
pub mod operate;
pub mod plans;
pub mod replicas;
pub mod settings;

use super::tally::{TableTally, Tally};
use crate::actors::words::Pending;
use crate::published::Published;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::api::{
    DiskCounts, DiskInfo, LoadResult, NodeCounts, NodeInfo, PartitionInfo, Room, Status, TableInfo, VerifyFinding,
};
use stele_common::{DiskId, DiskState, Liveness, Medium, NodeId, ReplicaId, TabletId, TaskType, Tick, api};
use stele_coordinator_rules::schedule::slots::Ledger;
use stele_coordinator_rules::world::{Disk, Leaver, Load, LoadPhase, Node, Replica, Table, Verification};
use stele_coordinator_rules::{World, level};

/// `GET /v1/status`.
pub fn status(published: &Published, tally: &Tally, pending: Pending, at: Tick) -> Status {
    let world = &*published.world;
    let (mut nodes, mut disks) = (NodeCounts::default(), DiskCounts::default());
    for node in world.nodes.values() {
        match node.liveness {
            Liveness::Alive => nodes.alive += 1,
            Liveness::Silent => nodes.silent += 1,
            Liveness::Lost => nodes.lost += 1,
        }
    }
    for disk in in_use(world) {
        match state_of(world, disk).0 {
            DiskState::Online => disks.online += 1,
            DiskState::Suspect => disks.suspect += 1,
            DiskState::Unavailable => disks.unavailable += 1,
        }
    }
    let (bytes_used, bytes_total) = bytes(world);
    Status {
        cluster: world.cluster.to_string(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        epoch: world.epoch.0,
        level: level::in_force(world),
        level_cause: level::cause(world).map(|cause| cause.detail()),
        uptime_s: at.0 / 1000,
        nodes,
        disks,
        tables: world.tables.len() as u64,
        tablets: world.tablets.len() as u64,
        verdicts: tally.verdicts.clone(),
        copies: tally.copies.clone(),
        bytes_used,
        bytes_total,
        media: media(world),
        tasks_pending: pending.tasks,
        tasks_running: world.tasks.len() as u64,
        loads_open: loads_open(world),
        strays: world.strays.len() as u64,
        margin: tally.margin.shown(world),
        oldest: pending.oldest,
        limits: settings::limits(world),
        balance: None,
        leases: operate::leases(world, at).leases,
        problems: tally.problems.clone(),
    }
}

pub fn loads_open(world: &World) -> u64 {
    world.loads.in_flight().count() as u64
}

/// Disks whose place was not given away.
pub fn in_use(world: &World) -> impl Iterator<Item = &Disk> {
    world.disks.values().filter(|disk| disk.replaced_by.is_none())
}

/// What people are shown of a disk: its last word, but nothing of a lost node's is there.
fn state_of(world: &World, disk: &Disk) -> (DiskState, Option<String>) {
    match world.nodes.get(&disk.node).filter(|node| node.liveness == Liveness::Lost) {
        Some(node) => (DiskState::Unavailable, Some(format!("node {} is lost", node.id))),
        None => (disk.state, disk.cause.clone()),
    }
}

/// Bytes used and usable on the disks that are there; disks on one file system share its room.
pub fn bytes(world: &World) -> (u64, u64) {
    let Room { used, total } = room(world, |_| true);
    (used, total)
}

/// The same by medium.
fn media(world: &World) -> BTreeMap<Medium, Room> {
    let there: BTreeSet<Medium> = in_use(world).map(|disk| disk.medium).collect();
    there.into_iter().map(|medium| (medium, room(world, |disk| disk.medium == medium))).collect()
}

fn room(world: &World, counts: impl Fn(&Disk) -> bool) -> Room {
    let mut free: BTreeMap<(&str, u64), u64> = BTreeMap::new();
    let mut used = 0;
    for disk in in_use(world).filter(|disk| counts(disk) && state_of(world, disk).0 != DiskState::Unavailable) {
        used += disk.space.used;
        let machine = world.nodes.get(&disk.node).map_or("", machine_of);
        let known = free.entry((machine, disk.device)).or_default();
        *known = (*known).max(disk.space.available());
    }
    Room { used, total: used + free.values().sum::<u64>() }
}

/// Agents that are reached at one address run on one machine, whatever hosts they call themselves.
fn machine_of(node: &Node) -> &str {
    node.peer.rsplit_once(':').map_or(node.host.as_str(), |(address, _)| address)
}

/// How many replicas each node and each disk holds, and the slots that are taken.
pub struct Placements {
    nodes: BTreeMap<NodeId, u64>,
    disks: BTreeMap<DiskId, u64>,
    slots: Ledger,
}

impl Placements {
    pub fn of(world: &World) -> Placements {
        let slots = Ledger::of(world, std::iter::empty());
        let mut placements = Placements { nodes: BTreeMap::new(), disks: BTreeMap::new(), slots };
        for replica in world.tablets.iter().flat_map(|tablet| &tablet.replicas) {
            *placements.nodes.entry(replica.node).or_default() += 1;
            *placements.disks.entry(replica.disk).or_default() += 1;
        }
        placements
    }
}

pub fn node(world: &World, placements: &Placements, node: &Node, silent_ms: Option<u64>) -> NodeInfo {
    NodeInfo {
        id: node.id,
        host: node.host.clone(),
        name: node.name.clone(),
        rack: node.rack.clone(),
        tag: node.tag.clone(),
        liveness: node.liveness,
        silent_ms,
        peer: node.peer.clone(),
        http: node.http.clone(),
        build: node.build.clone(),
        drain: operate::drain_state(world, Leaver::Node(node.id), node.draining),
        drain_progress: None,
        maintenance_until: operate::maintenance_until(world, node.id),
        replicas: placements.nodes.get(&node.id).copied().unwrap_or(0),
        disks: in_use(world).filter(|disk| disk.node == node.id).map(|d| self::disk(world, placements, d)).collect(),
        host_figures: node.figures.clone(),
    }
}

pub fn disk(world: &World, placements: &Placements, disk: &Disk) -> DiskInfo {
    let (state, cause) = state_of(world, disk);
    DiskInfo {
        id: disk.id,
        node: disk.node,
        host: world.nodes.get(&disk.node).map(|node| node.host.clone()).unwrap_or_default(),
        path: disk.path.clone(),
        medium: disk.medium,
        state,
        cause,
        drain: operate::drain_state(world, Leaver::Disk(disk.id), disk.draining),
        total: disk.space.total,
        used: disk.space.used,
        available: disk.space.available(),
        used_percent: disk.space.used_fraction() * 100.0,
        raw_total: disk.space.raw_total,
        raw_free: disk.space.raw_free,
        replicas: placements.disks.get(&disk.id).copied().unwrap_or(0),
        slots_used: placements.slots.used(disk.id, TaskType::Repair),
        slots_total: placements.slots.limit(TaskType::Repair),
        balance_slots_used: placements.slots.used(disk.id, TaskType::Balance),
        balance_slots_total: placements.slots.limit(TaskType::Balance),
        trash_bytes: disk.trash,
    }
}

pub fn find_table<'a>(world: &'a World, db: &str, name: &str) -> Option<&'a Table> {
    world.tables.values().find(|table| table.db == db && table.name == name).map(|table| &**table)
}

pub fn table(table: &Table, tally: &Tally) -> TableInfo {
    let sums = tally.tables.get(&table.id).copied().unwrap_or_default();
    let TableTally { healthy, files, bytes, .. } = sums;
    let partitions = table.partitions.iter().map(|partition| PartitionInfo {
        name: partition.name.clone(),
        replication: partition.replication,
        medium: partition.medium,
        tablets: partition.tablets.len() as u64,
    });
    let partitions: Vec<PartitionInfo> = partitions.collect();
    TableInfo {
        id: table.id,
        db: table.db.clone(),
        name: table.name.clone(),
        replication: partitions.first().map_or(0, |partition| partition.replication),
        buckets: table.buckets,
        medium: partitions.first().map(|partition| partition.medium).unwrap_or_default(),
        tablets: partitions.iter().map(|partition| partition.tablets).sum(),
        tag: table.tag.clone(),
        colocate: table.group.clone(),
        partitions,
        healthy,
        files,
        bytes,
    }
}

/// Whether every replica of the table's tablets has been reported by its agent.
pub fn is_all_reported(world: &World, table: &Table) -> bool {
    let mut tablets = table.partitions.iter().flat_map(|partition| &partition.tablets);
    tablets.all(|id| {
        let tablet = world.tablets.get(*id);
        tablet.is_some_and(|tablet| tablet.replicas.iter().all(|replica| replica.seen.is_some()))
    })
}

pub fn load(world: &World, load: &Load) -> LoadResult {
    let (state, detail) = match &load.phase {
        LoadPhase::Open => (api::LoadPhase::Open, Some(waits_for(world, load))),
        LoadPhase::Committed => {
            (api::LoadPhase::Committed, Some("waits for a quorum of every tablet to install it".to_string()))
        }
        LoadPhase::Visible => (api::LoadPhase::Visible, None),
        LoadPhase::Aborted { cause } => (api::LoadPhase::Aborted, Some(cause.detail())),
    };
    let is_committed = matches!(load.phase, LoadPhase::Committed | LoadPhase::Visible);
    let versions = load.tablets.iter().filter(|_| is_committed).map(|(tablet, part)| (*tablet, part.version));
    LoadResult { key: load.key.clone(), load: load.id, state, detail, versions: versions.collect() }
}

fn waits_for(world: &World, load: &Load) -> String {
    let is_prepared = |tablet: &TabletId, prepared: usize| {
        world.tablets.get(*tablet).is_some_and(|tablet| prepared as u32 > tablet.wanted / 2)
    };
    let ready = load.tablets.iter().filter(|(tablet, part)| is_prepared(tablet, part.prepared.len())).count();
    let asked = if load.commit_asked { "" } else { "; its client has not asked to commit" };
    format!("{ready} of {} tablets have a quorum{asked}", load.tablets.len())
}

/// `GET /v1/verify/ID`: what has come in about each replica that was asked.
pub fn verification(world: &World, verification: &Verification) -> api::Verification {
    let mut view = api::Verification {
        id: verification.id,
        replicas: verification.replicas.len() as u64,
        clean: 0,
        left: 0,
        bytes: verification.replicas.iter().map(|(_, _, bytes)| bytes).sum(),
        bytes_done: 0,
        found: Vec::new(),
        unreachable: Vec::new(),
        done: true,
    };
    for (tablet, id, bytes) in verification.replicas.iter() {
        let replica = world.tablets.get(*tablet).and_then(|tablet| tablet.replicas.iter().find(|r| r.id == *id));
        let finding = |node: Option<NodeId>, cause: &str| VerifyFinding {
            tablet: *tablet,
            replica: *id,
            host: node.and_then(|node| world.nodes.get(&node)).map(|node| node.host.clone()).unwrap_or_default(),
            cause: cause.to_string(),
        };
        let on = replica.map(|replica| replica.node);
        match judge(world, verification, *id, replica) {
            Reading::Under => view.done = false,
            Reading::Clean => {
                view.clean += 1;
                view.bytes_done += bytes;
            }
            Reading::Left => {
                view.left += 1;
                view.bytes_done += bytes;
            }
            Reading::Found(node, cause) => {
                view.found.push(finding(Some(node), &cause));
                view.bytes_done += bytes;
            }
            Reading::Unreachable(cause) => view.unreachable.push(finding(on, &cause)),
        }
    }
    view
}

enum Reading {
    Under,
    Clean,
    /// It is no copy any more, and no finding: balance moved it, or its table was dropped.
    Left,
    Found(NodeId, String),
    Unreachable(String),
}

fn judge(world: &World, verification: &Verification, id: ReplicaId, replica: Option<&Replica>) -> Reading {
    if let Some(found) = verification.found.get(&id) {
        return Reading::Found(found.node, found.cause.clone());
    }
    if let Some(cause) = verification.unreachable.get(&id) {
        return Reading::Unreachable(cause.clone());
    }
    let Some(replica) = replica else { return Reading::Left };
    if let Some(cause) = &replica.bad {
        return Reading::Found(replica.node, cause.clone());
    }
    let verified = replica.seen.as_ref().and_then(|seen| seen.verified);
    if verified.is_some_and(|verified| verified >= verification.started) {
        return Reading::Clean;
    }
    let is_alive = world.nodes.get(&replica.node).is_some_and(|node| node.liveness == Liveness::Alive);
    let disk = world.disks.get(&replica.disk).map(|disk| disk.state);
    match (is_alive, disk) {
        (false, _) => Reading::Unreachable("its node is away".into()),
        (true, None | Some(DiskState::Unavailable)) => Reading::Unreachable("its disk is not available".into()),
        (true, Some(DiskState::Online | DiskState::Suspect)) => Reading::Under,
    }
}

#[cfg(test)]
mod tests;
