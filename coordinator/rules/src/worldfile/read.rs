//! A world out of a file: everything at once, in a time that grows with the file only.
//!
//! In: the shapes of a file. Out: the world, the time that it stands at, the file's order and ids, and warnings; or
//! the place in the file that makes no sense. Nothing is decided here. Nodes have reported, replicas were seen by
//! their nodes' present life, and every version has a record, so that rules and guards work as in a live house.
//!
//! | in the file | in the world |
//! |---|---|
//! | `alive: false` | LOST, for `silent_ms` |
//! | `decommission`, a disk's `drain` | draining |
//! | `maintenance_until_ms`, `urgent` | leases |
//! | slots used | those of the file's tasks, and the rest as slots elsewhere |
//! | a replica on a node that is not there | on a node that was dropped |
//! | a replica on a disk that its node has not | on a disk that is not ONLINE |

mod tablets;

use super::format::{FileDisk, FileNode, FileTable, FileTask, WorldFile};
use super::names::{Kind, Names};
use super::{format, knobs};
use crate::World;
use crate::policy::{DEFAULT_TAG, Group, Lease, LeaseScope, Partition, Table, TableState};
use crate::world::{Disk, Node, SlotsElsewhere, Work};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use stele_common::status::Level;
use stele_common::{
    BootId, ClusterId, DatabaseId, DiskId, DiskState, Epoch, Liveness, Medium, NodeId, PartitionId, ReplicaId, Space,
    TableId, TabletId, TaskType, Tick,
};

/// What came out of a file.
#[derive(Clone, Debug)]
pub struct Reading {
    pub world: World,
    /// `now_ms`, on the world's clock and as the file says it.
    pub at: Tick,
    pub now_ms: i64,
    /// As they stand in the file.
    pub nodes: Vec<NodeId>,
    pub order: Vec<TabletId>,
    pub names: Names,
    pub warnings: Vec<String>,
}

/// What in a file makes no sense, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct BadFile {
    pub place: String,
    pub detail: String,
}

impl BadFile {
    pub fn at(place: impl fmt::Display, detail: impl Into<String>) -> BadFile {
        BadFile { place: place.to_string(), detail: detail.into() }
    }
}

/// Copies of a partition of which the file says nothing.
const REPLICATION: u32 = 3;
/// Moments before `now_ms` have ticks too: some thirty thousand years of them.
const BEGIN: i128 = 1 << 50;

/// The file's moments on the world's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    now_ms: i64,
}

impl Times {
    fn moment(self, ms: i64) -> Tick {
        Tick(u64::try_from((BEGIN + i128::from(ms)).max(0)).unwrap_or(u64::MAX))
    }

    fn now(self) -> Tick {
        self.moment(self.now_ms)
    }

    /// So long ago.
    fn before(self, ms: i64) -> Tick {
        self.moment(self.now_ms.saturating_sub(ms))
    }
}

/// A table whose tablets are still coming in.
struct Draft {
    table: Table,
    /// What a partition has that the table does not list.
    medium: Medium,
    replication: u32,
}

struct Reader {
    world: World,
    times: Times,
    names: Names,
    tables: BTreeMap<TableId, Draft>,
    /// The file lists tables: a tablet of another one is a mistake.
    tables_listed: bool,
    nodes: Vec<NodeId>,
    order: Vec<TabletId>,
    warnings: Vec<String>,
}

/// The world that a file describes.
pub fn read(file: WorldFile) -> Result<Reading, BadFile> {
    if let Some(other) = file.format.filter(|format| format != format::FORMAT) {
        return Err(BadFile::at("format", format!("`{other}` is not `{}`", format::FORMAT)));
    }
    let mut warnings = Vec::new();
    let knobs = knobs::knobs(&file.config.unwrap_or_default(), &mut warnings)?;
    let mut world = World::empty(Arc::new(knobs));
    (world.cluster, world.epoch) = (ClusterId("0".repeat(32)), Epoch(1));
    Arc::make_mut(&mut world.settings).level.level = level(file.level.as_deref())?;
    let times = Times { now_ms: file.now_ms.unwrap_or(0) };
    let (names, tables, nodes, order) = (Names::default(), BTreeMap::new(), Vec::new(), Vec::new());
    let mut reader = Reader { world, times, names, tables, tables_listed: false, nodes, order, warnings };
    for lease in file.leases.unwrap_or_default() {
        reader.lease(lease);
    }
    for node in file.nodes.unwrap_or_default() {
        reader.node(node)?;
    }
    for table in file.tables.unwrap_or_default() {
        reader.table(table)?;
    }
    for group in file.groups.unwrap_or_default() {
        let mut buckets: Vec<Vec<NodeId>> = Vec::new();
        for nodes in group.buckets.unwrap_or_default() {
            buckets.push(nodes.iter().map(|id| NodeId(reader.names.inside(Kind::Node, *id))).collect());
        }
        reader.world.groups.insert(group.name.clone(), Arc::new(Group::new(group.name, buckets)));
    }
    reader.tablets(file.tablets.unwrap_or_default())?;
    for task in file.tasks.unwrap_or_default() {
        reader.task(task)?;
    }
    reader.take_slots();
    reader.finish()
}

fn level(text: Option<&str>) -> Result<Level, BadFile> {
    let all = [Level::Stopped, Level::Blind, Level::Freezed, Level::Steady, Level::Lively];
    let Some(text) = text else { return Ok(Level::Lively) };
    let level = all.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
    level.ok_or_else(|| BadFile::at("level", format!("there is no level `{text}`")))
}

fn medium(text: Option<&str>, place: impl fmt::Display) -> Result<Option<Medium>, BadFile> {
    match text.map(str::to_ascii_uppercase).as_deref() {
        None => Ok(None),
        Some("HDD") => Ok(Some(Medium::Hdd)),
        Some("SSD") => Ok(Some(Medium::Ssd)),
        Some(other) => Err(BadFile::at(place, format!("medium `{other}` is neither HDD nor SSD"))),
    }
}

impl Reader {
    fn node(&mut self, file: FileNode) -> Result<(), BadFile> {
        let place = format!("node {}", file.id);
        let id = NodeId(self.names.inside(Kind::Node, file.id));
        let (liveness, since) = self.liveness(&file, &place)?;
        let node = Node {
            flaps: Default::default(),
            id,
            name: file.name.unwrap_or_else(|| file.host.clone()),
            host: file.host,
            rack: file.rack.unwrap_or_default(),
            tag: file.tag.unwrap_or_else(|| DEFAULT_TAG.into()),
            draining: file.decommission.unwrap_or(false),
            liveness,
            since,
            boot: Some(BootId(id.0)),
            seq: 1,
            reported: file.reported.unwrap_or(true),
            naming: None,
            peer: String::new(),
            http: String::new(),
            build: String::new(),
            figures: None,
        };
        if self.world.nodes.insert(id, node).is_some() {
            return Err(BadFile::at(place, "it stands in the file twice"));
        }
        self.nodes.push(id);
        if let Some(until) = file.maintenance_until_ms {
            self.grant(LeaseScope::Maintenance { node: id }, Some(until));
        }
        for disk in file.disks.unwrap_or_default() {
            self.disk(id, &place, disk)?;
        }
        Ok(())
    }

    fn liveness(&self, file: &FileNode, place: &str) -> Result<(Liveness, Tick), BadFile> {
        let long = |ms: Option<i64>| ms.map(|ms| self.times.before(ms.max(0)));
        let Some(exact) = &file.liveness else {
            return Ok(match file.alive.unwrap_or(true) {
                true => (Liveness::Alive, Tick(0)),
                false => (Liveness::Lost, self.times.before(file.silent_ms.unwrap_or(0).max(0))),
            });
        };
        let all = [Liveness::Alive, Liveness::Silent, Liveness::Lost];
        let known = all.into_iter().find(|liveness| liveness.as_str().eq_ignore_ascii_case(exact));
        let known = known.ok_or_else(|| BadFile::at(place, format!("there is no liveness `{exact}`")))?;
        Ok((known, long(file.liveness_ms).unwrap_or(Tick(0))))
    }

    fn disk(&mut self, node: NodeId, place: &str, file: FileDisk) -> Result<(), BadFile> {
        let place = format!("{place}, disk {}", file.path_hash);
        let id = self.names.disk(node, file.path_hash);
        let (total, used) = (file.total, file.used);
        let disk = Disk {
            id,
            node,
            path: file.path.unwrap_or_else(|| format!("/{}", file.path_hash)),
            medium: medium(file.medium.as_deref(), &place)?.unwrap_or_default(),
            state: file.state.as_deref().map_or(DiskState::Online, format::disk_state),
            since: file.state_ms.map_or(Tick(0), |ms| self.times.before(ms.max(0))),
            cause: None,
            space: Space { total, used, raw_total: total, raw_free: total.saturating_sub(used) },
            // Unlike every other's, unless the file says that it is not.
            device: file.device.unwrap_or(id.0),
            replaced_by: file.replaced_by.map(DiskId),
            draining: file.drain.unwrap_or(false),
            twin: None,
            slots_elsewhere: SlotsElsewhere {
                repair: file.repair_slots_used.unwrap_or(0),
                balance: file.balance_slots_used.unwrap_or(0),
            },
            trash: file.trash.unwrap_or(0),
        };
        match self.world.disks.insert(id, disk) {
            None => Ok(()),
            Some(_) => Err(BadFile::at(place, "it stands in the file twice")),
        }
    }

    fn table(&mut self, file: FileTable) -> Result<(), BadFile> {
        self.tables_listed = true;
        let place = format!("table {}", file.id);
        let id = TableId(self.names.inside(Kind::Table, file.id));
        let of_table = medium(file.medium.as_deref(), &place)?.unwrap_or_default();
        let replication = file.replication_num.unwrap_or(REPLICATION);
        let mut partitions: Vec<Partition> = Vec::new();
        for partition in file.partitions.unwrap_or_default() {
            let place = format!("{place}, partition `{}`", partition.name);
            if partitions.iter().any(|other| other.name == partition.name) {
                return Err(BadFile::at(place, "it stands in the table twice"));
            }
            partitions.push(Partition {
                id: self.partition_id(partition.id),
                name: partition.name,
                medium: medium(partition.medium.as_deref(), place)?.unwrap_or(of_table),
                replication: partition.replication_num.unwrap_or(replication),
                tablets: Vec::new(),
            });
        }
        let state = match file.state.as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("NORMAL") => TableState::Normal,
            Some(_) => TableState::Altering,
        };
        let db = file.db.unwrap_or_default();
        let db_id = match (file.db_id, self.world.databases.get(&db)) {
            (_, Some(known)) => *known,
            (Some(id), None) => DatabaseId(id),
            (None, None) => DatabaseId(self.names.nameless()),
        };
        self.world.databases.insert(db.clone(), db_id);
        let (name, buckets) = (file.name.unwrap_or_else(|| place.replace(' ', "_")), file.buckets.unwrap_or(0));
        let (tag, group) = (file.tag.unwrap_or_else(|| DEFAULT_TAG.into()), file.colocate);
        let table = Table { id, db, db_id, name, buckets, tag, group, state, partitions, columns: String::new() };
        match self.tables.insert(id, Draft { table, medium: of_table, replication }) {
            None => Ok(()),
            Some(_) => Err(BadFile::at(place, "it stands in the file twice")),
        }
    }

    fn partition_id(&mut self, own: Option<u64>) -> PartitionId {
        own.inspect(|own| self.names.keep(*own)).map_or_else(|| PartitionId(self.names.nameless()), PartitionId)
    }

    fn lease(&mut self, mut lease: Lease) {
        lease.set_clock(self.times.now(), u64::try_from(self.times.now_ms).unwrap_or(0));
        // A pause holds for as long as it is on record.
        let is_over = lease.is_over(self.times.now()) && matches!(lease.scope, LeaseScope::Pause { .. });
        if !is_over {
            self.world.leases.insert(lease);
        }
    }

    /// A lease that the file shows at its node or tablet; one that stands among the leases too is the same.
    fn grant(&mut self, scope: LeaseScope, until_ms: Option<i64>) {
        let until = until_ms.map(|ms| self.times.moment(ms));
        let leases = &self.world.leases;
        if matches!(scope, LeaseScope::Maintenance { .. }) && leases.about(&scope).next().is_some() {
            return;
        }
        let id = leases.last_key_value().map_or(1, |(id, _)| id + 1);
        let until_wall_ms = until_ms.map(|ms| u64::try_from(ms).unwrap_or(0));
        let (owner, reason) = ("world file".to_string(), String::new());
        self.world.leases.insert(Lease { id, scope, owner, reason, until_wall_ms, until });
    }

    fn task(&mut self, file: FileTask) -> Result<(), BadFile> {
        let FileTask { mut task, started_ms, progressed_ms, bytes_done, bytes_total, agent_done } = file;
        let place = format!("task {}", task.id);
        self.names.keep(task.id.0);
        let own = task.tablet;
        task.tablet = TabletId(self.names.inside(Kind::Tablet, own.0.into()));
        if self.world.tablets.get(task.tablet).is_none() {
            return Err(BadFile::at(place, format!("there is no tablet {own}")));
        }
        let names = &mut self.names;
        let mut rename_node = |id: &mut NodeId| *id = NodeId(names.inside(Kind::Node, id.0.into()));
        match &mut task.work {
            Work::Clone { node, source_node, .. } => {
                rename_node(node);
                rename_node(source_node);
            }
            Work::Delete { node, .. } => rename_node(node),
        }
        let mut rename = |id: &mut ReplicaId| *id = ReplicaId(names.inside(Kind::Replica, id.0.into()));
        match &mut task.work {
            Work::Clone { replica, source, replaces, .. } => {
                rename(replica);
                rename(source);
                replaces.iter_mut().for_each(rename);
            }
            Work::Delete { replica, .. } => rename(replica),
        }
        if let Work::Clone { node, disk, source_node, source_disk, .. } = &mut task.work {
            *disk = names.disk(*node, disk.0.into());
            *source_disk = names.disk(*source_node, source_disk.0.into());
        }
        let ms = |ms: Option<i64>| self.times.moment(ms.unwrap_or(self.times.now_ms));
        (task.started, task.progressed) = (ms(started_ms), ms(progressed_ms.or(started_ms)));
        (task.bytes_done, task.bytes_total) = (bytes_done.unwrap_or(0), bytes_total.unwrap_or(0));
        task.agent_done = agent_done.unwrap_or(false);
        match self.world.tasks.insert(task.tablet, task) {
            None => Ok(()),
            Some(_) => Err(BadFile::at(place, format!("tablet {own} has another task"))),
        }
    }

    /// Of the slots that a disk is said to have used, those of the file's own tasks are counted with the tasks.
    fn take_slots(&mut self) {
        let world = &mut self.world;
        for task in world.tasks.values().filter(|task| !task.agent_done) {
            let Work::Clone { disk, source_disk, .. } = &task.work else { continue };
            for end in [disk, source_disk] {
                if let Some(disk) = world.disks.get_mut(end) {
                    let elsewhere = match task.task_type {
                        TaskType::Repair => &mut disk.slots_elsewhere.repair,
                        TaskType::Balance => &mut disk.slots_elsewhere.balance,
                    };
                    *elsewhere = elsewhere.saturating_sub(1);
                }
            }
        }
    }

    fn finish(mut self) -> Result<Reading, BadFile> {
        let groups = &self.world.groups;
        for draft in self.tables.values() {
            if let Some(group) = draft.table.group.as_ref().filter(|group| !groups.contains_key(*group)) {
                let id = self.names.outside(draft.table.id.0);
                self.warnings.push(format!("table {id}: there is no group `{group}`, it is read as not colocated"));
            }
        }
        for (id, mut draft) in self.tables {
            for partition in &mut draft.table.partitions {
                let bucket = |id: &TabletId| self.world.tablets.get(*id).map(|tablet| tablet.bucket);
                partition.tablets.sort_by_key(bucket);
                let buckets = u32::try_from(partition.tablets.len()).unwrap_or(u32::MAX);
                draft.table.buckets = draft.table.buckets.max(buckets);
            }
            self.world.tables.insert(id, Arc::new(draft.table));
        }
        let at = self.times.now();
        let next = self.names.free();
        (self.world.next_id, self.world.reserved_id, self.world.began_id) = (next, next + RESERVED, 0);
        self.world.ticked = at;
        let (now_ms, nodes, order) = (self.times.now_ms, self.nodes, self.order);
        Ok(Reading { world: self.world, at, now_ms, nodes, order, names: self.names, warnings: self.warnings })
    }
}

/// Ids that need no record of their reservation: more than a round over the largest file takes.
const RESERVED: u64 = 100_000_000;

#[cfg(test)]
mod tests;
