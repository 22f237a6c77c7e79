//! A world written down: what [`super::read()`] makes the same world of, as far as verdicts, scores and rounds go.
//!
//! In: a world and its time on both clocks. Out: the shapes of a file, made tablet by tablet while they are written,
//! so that a snapshot of a large house costs no second house. Everything that the format names is written, of our own
//! keys only what is not as a reader would take it anyway. Loads, strays and trash are not in a world file.

use super::answers::Many;
use super::format::{
    FORMAT, FileDisk, FileGroup, FileNode, FilePartition, FileReplica, FileTable, FileTablet, FileTask, Passed, Told,
};
use crate::World;
use crate::checkup::count::record_of;
use crate::policy::{Lease, LeaseScope, Table, TableState};
use crate::schedule::slots::Ledger;
use crate::world::{Disk, Node, Replica, SeenReplica, Tablet, Task};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use stele_common::config::RepairKnobs;
use stele_common::{DiskState, Liveness, Medium, NodeId, ReplicaState, TabletId, TaskType, Tick, Version};

/// A world at a time, ready to be written.
pub struct Written<'a> {
    pub world: &'a World,
    pub at: Tick,
    /// The same moment on the wall clock: `now_ms`.
    pub wall_ms: u64,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let world = self.world;
        let urgent = self.urgent();
        let ledger = Ledger::of(world, std::iter::empty());
        Shape {
            format: FORMAT,
            now_ms: self.wall_ms,
            config: &world.knobs,
            nodes: Many(|| world.nodes.values().map(|node| self.node(node, &ledger))),
            tables: Many(|| world.tables.values().map(|table| file_table(table))),
            groups: Many(|| {
                world.groups.values().map(|group| FileGroup {
                    name: group.name.clone(),
                    buckets: Some(
                        group.buckets.iter().map(|nodes| nodes.iter().map(|id| id.0.into()).collect()).collect(),
                    ),
                })
            }),
            tablets: Many(|| world.tablets.iter().map(|tablet| self.tablet(tablet, &urgent))),
            tasks: Many(|| world.tasks.values().map(|task| self.task(task))),
            leases: Many(|| world.leases.values().filter(|lease| is_listed(lease))),
            level: crate::level::allowed(world).as_str().to_lowercase(),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct Shape<'a, Nodes, Tables, Groups, Tablets, Tasks, Leases> {
    format: &'a str,
    now_ms: u64,
    config: &'a RepairKnobs,
    nodes: Nodes,
    tables: Tables,
    groups: Groups,
    tablets: Tablets,
    tasks: Tasks,
    leases: Leases,
    level: String,
}

/// A single tablet's urgency is written at the tablet.
fn is_listed(lease: &Lease) -> bool {
    match lease.scope {
        LeaseScope::UrgentTablet { .. } => false,
        LeaseScope::Maintenance { .. } | LeaseScope::Urgent { .. } | LeaseScope::Pause { .. } => true,
    }
}

fn medium(medium: Medium) -> Option<String> {
    Some(match medium {
        Medium::Hdd => "HDD".into(),
        Medium::Ssd => "SSD".into(),
    })
}

fn file_table(table: &Table) -> FileTable {
    let first = table.partitions.first();
    let state = match table.state {
        TableState::Normal => "NORMAL",
        TableState::Altering => "ALTERING",
    };
    FileTable {
        id: table.id.0.into(),
        db: Some(table.db.clone()),
        name: Some(table.name.clone()),
        replication_num: first.map(|first| first.replication),
        medium: first.and_then(|first| medium(first.medium)),
        tag: Some(table.tag.clone()),
        state: Some(state.into()),
        colocate: table.group.clone(),
        partitions: Some(
            table
                .partitions
                .iter()
                .map(|partition| FilePartition {
                    name: partition.name.clone(),
                    medium: medium(partition.medium),
                    replication_num: Some(partition.replication),
                    id: Some(partition.id.0),
                })
                .collect(),
        ),
        db_id: Some(table.db_id.0),
        buckets: Some(table.buckets),
    }
}

impl Written<'_> {
    /// A tick as the file's milliseconds; those before the wall clock's beginning are negative.
    fn ms(&self, tick: Tick) -> i64 {
        let ms = i128::from(self.wall_ms) + i128::from(tick.0) - i128::from(self.at.0);
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    /// Since then, as waits count: never from before this leadership.
    fn for_ms(&self, since: Tick) -> i64 {
        i64::try_from(self.at.since(since.max(self.world.began))).unwrap_or(i64::MAX)
    }

    fn until_ms(&self, lease: &Lease) -> Option<i64> {
        lease.until.map(|until| self.ms(until))
    }

    fn urgent(&self) -> BTreeMap<TabletId, Option<i64>> {
        let leases = self.world.leases.values().filter(|lease| !lease.is_over(self.at));
        let urgent = leases.filter_map(|lease| match lease.scope {
            LeaseScope::UrgentTablet { tablet } => Some((tablet, self.until_ms(lease))),
            LeaseScope::Maintenance { .. } | LeaseScope::Urgent { .. } | LeaseScope::Pause { .. } => None,
        });
        urgent.collect()
    }

    fn node(&self, node: &Node, ledger: &Ledger) -> FileNode {
        let world = self.world;
        let is_alive = node.liveness == Liveness::Alive;
        // A wait that began before the present absence begins there for a reader too.
        let lag = i64::try_from(node.flaps.lag_ms()).unwrap_or(0);
        let state_ms = self.for_ms(node.since).saturating_add(if is_alive { 0 } else { lag });
        let disks = world.disks.values().filter(|disk| disk.node == node.id);
        FileNode {
            id: node.id.0.into(),
            host: node.host.clone(),
            name: (node.name != node.host).then(|| node.name.clone()),
            rack: Some(node.rack.clone()),
            tag: Some(node.tag.clone()),
            alive: Some(is_alive),
            silent_ms: Some(if is_alive { 0 } else { state_ms }),
            decommission: Some(node.draining),
            maintenance_until_ms: world.maintenance_until(node.id, self.at).map(|until| self.ms(until)),
            // A reader takes one that is not alive for LOST.
            liveness: (node.liveness == Liveness::Silent || !node.reported).then(|| node.liveness.as_str().into()),
            liveness_ms: (node.liveness == Liveness::Silent || !node.reported).then_some(state_ms),
            reported: (!node.reported).then_some(false),
            disks: Some(disks.map(|disk| self.disk(disk, ledger)).collect()),
        }
    }

    fn disk(&self, disk: &Disk, ledger: &Ledger) -> FileDisk {
        let others = || self.world.disks.values().filter(|other| other.node == disk.node && other.id != disk.id);
        let shares = others().any(|other| other.device == disk.device);
        let state = match disk.state {
            DiskState::Online => "ONLINE",
            DiskState::Suspect => "SUSPECT",
            DiskState::Unavailable => "UNAVAILABLE",
        };
        FileDisk {
            path_hash: disk.id.0.into(),
            path: Some(disk.path.clone()),
            medium: medium(disk.medium),
            total: disk.space.total,
            used: disk.space.used,
            state: Some(state.into()),
            drain: Some(disk.draining),
            repair_slots_used: Some(ledger.used(disk.id, TaskType::Repair)),
            balance_slots_used: Some(ledger.used(disk.id, TaskType::Balance)),
            state_ms: (disk.state != DiskState::Online).then(|| self.for_ms(disk.since)),
            device: shares.then_some(disk.device),
            replaced_by: disk.replaced_by.map(|by| by.0),
            trash: (disk.trash > 0).then_some(disk.trash),
        }
    }

    fn tablet(&self, tablet: &Tablet, urgent: &BTreeMap<TabletId, Option<i64>>) -> FileTablet {
        let table = self.world.tables.get(&tablet.table);
        let partition = table.and_then(|table| table.partitions.iter().find(|known| known.id == tablet.partition));
        let hash = |version: Version| record_of(tablet, version).map(|record| record.hash);
        FileTablet {
            id: tablet.id.0.into(),
            table: tablet.table.0.into(),
            partition: partition.map(|partition| partition.name.clone()),
            bucket: Some(tablet.bucket),
            visible_version: Some(tablet.visible.0),
            committed_version: Some(tablet.committed.0),
            urgent: Some(urgent.contains_key(&tablet.id)),
            urgent_until_ms: urgent.get(&tablet.id).copied().flatten(),
            unhealthy_since_ms: tablet.unhealthy_since.map_or(Told::Null, |since| Told::Is(self.ms(since))),
            ballot: Some(tablet.ballot.0),
            serving: Passed,
            version_hash: hash(tablet.committed),
            visible_hash: hash(tablet.visible).filter(|_| tablet.visible != tablet.committed),
            replicas: Some(tablet.replicas.iter().map(|replica| self.replica(tablet, replica)).collect()),
        }
    }

    fn replica(&self, tablet: &Tablet, replica: &Replica) -> FileReplica {
        let seen = self.seen(replica);
        let version = seen.map_or(replica.version, |seen| seen.version);
        let recorded = record_of(tablet, version).map(|record| record.hash);
        let bad = replica.bad.as_ref().or_else(|| seen?.bad.as_ref());
        let signed = |version: Version| i64::try_from(version.0).unwrap_or(i64::MAX);
        FileReplica {
            id: replica.id.0.into(),
            node: replica.node.0.into(),
            path_hash: replica.disk.0.into(),
            version: signed(version),
            last_failed_version: Some(seen.and_then(|seen| seen.failed).map_or(-1, signed)),
            last_success_version: Some(signed(seen.map_or(version, |seen| seen.pending))),
            state: Some(replica.state),
            bad: Some(bad.is_some()),
            size: seen.map_or(0, |seen| seen.size),
            further_repair_since_ms: replica.further_repair.map(|since| self.ms(since)),
            verified_ms: seen.and_then(|seen| seen.verified).map_or(Told::Null, |at| Told::Is(self.ms(at))),
            role: (tablet.primary == Some(replica.id)).then(|| "PRIMARY".into()),
            version_hash: seen.map(|seen| seen.hash).filter(|hash| recorded.is_some_and(|recorded| recorded != *hash)),
            bad_cause: bad.cloned(),
            seen: match (seen, replica.state) {
                (Some(_), ReplicaState::Normal | ReplicaState::Decommission) => None,
                (Some(_), ReplicaState::Clone) => (version == Version::EMPTY).then_some(true),
                (None, ReplicaState::Clone) => (version > Version::EMPTY).then_some(false),
                (None, ReplicaState::Normal | ReplicaState::Decommission) => Some(false),
            },
            replaced_by: replica.replaced_by.map(|by| by.0.into()),
            behind_ms: seen.and_then(|seen| seen.behind).map(|since| self.for_ms(since)),
        }
    }

    /// What its node's present life has said of it.
    fn seen<'a>(&self, replica: &'a Replica) -> Option<&'a SeenReplica> {
        let boot = |node: NodeId| self.world.nodes.get(&node).and_then(|node| node.boot);
        replica.seen.as_ref().filter(|seen| boot(replica.node).is_none_or(|boot| boot == seen.boot))
    }

    fn task(&self, task: &Task) -> FileTask {
        FileTask {
            started_ms: Some(self.ms(task.started)),
            progressed_ms: Some(self.ms(task.progressed)),
            bytes_done: Some(task.bytes_done),
            bytes_total: Some(task.bytes_total),
            agent_done: Some(task.agent_done),
            task: task.clone(),
        }
    }
}
