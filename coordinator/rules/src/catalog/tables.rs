//! Tables come and go; where the first replicas of a new table's tablets are placed.
//!
//! In: an operator's wish. Out: the table with all its tablets in one record, and orders to create and to drop. It
//! never places two replicas of a tablet on one host, and it places none on a node that has not reported.

use super::{Draft, commit, level, loads};
use crate::policy::DEFAULT_TAG;
use crate::world::{Partition, Replica, Table, TableState, Tablet, World};
use crate::{Answer, Change, Reason};
use std::collections::BTreeMap;
use std::sync::Arc;
use stele_common::{
    Ballot, DatabaseId, DiskId, DiskState, Evidence, Liveness, Medium, NodeId, OrderBody, PartitionId, ReplicaId,
    ReplicaState, TableId, TabletId, TabletLabel, Version, api,
};

/// Tablets of one table at most: one record holds them all, and it must fit the store's transaction.
const TABLETS_MAX: u64 = 65_536;
/// Copies of a tablet at most; more than a handful buys nothing.
const REPLICATION_MAX: u32 = 16;
/// Characters of a name at most: it becomes part of addresses and of every replica's label.
const NAME_MAX: usize = 128;

pub fn bad_request(detail: String) -> Reason {
    Reason::BadRequest { detail }
}

/// The table of this name.
pub fn find(world: &World, db: &str, name: &str) -> Result<Arc<Table>, Reason> {
    let table = world.tables.values().find(|table| table.db == db && table.name == name);
    table.cloned().ok_or_else(|| Reason::NoSuchTable { name: format!("{db}.{name}") })
}

/// The table's partition of this name; the only one, if the name is empty.
pub fn partition<'a>(table: &'a Table, name: &str) -> Result<&'a Partition, Reason> {
    let found = match (name, table.partitions.as_slice()) {
        ("", [only]) => Some(only),
        (name, partitions) => partitions.iter().find(|partition| partition.name == name),
    };
    found.ok_or_else(|| Reason::NoSuchPartition { name: format!("{}.{}/{name}", table.db, table.name) })
}

pub fn create(draft: &mut Draft, wish: &api::TableCreate) {
    let answer = created(draft, wish).map(Answer::Table);
    draft.answer(answer.unwrap_or_else(Answer::Refused));
}

fn created(draft: &mut Draft, wish: &api::TableCreate) -> Result<TableId, Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    let partitions = check(wish)?;
    if find(draft.world, &wish.db, &wish.name).is_ok() {
        return Err(Reason::TableExists { name: format!("{}.{}", wish.db, wish.name) });
    }
    let mut places = Places::of(draft.world, wish.medium, wish.replication)?;
    let db_id = match draft.world.databases.get(&wish.db) {
        Some(id) => *id,
        None => {
            let id = DatabaseId(draft.take_id());
            draft.record(Change::DatabaseAdded { id, name: wish.db.clone() });
            id
        }
    };
    let id = TableId(draft.take_id());
    let mut table = Table {
        id,
        db: wish.db.clone(),
        db_id,
        name: wish.name.clone(),
        buckets: wish.buckets,
        tag: DEFAULT_TAG.into(),
        group: None,
        state: TableState::Normal,
        partitions: vec![],
    };
    let mut tablets = Vec::new();
    for name in partitions {
        let partition = PartitionId(draft.take_id());
        let first = tablets.len();
        for bucket in 0..wish.buckets {
            tablets.push(place(draft, &mut places, wish, (id, partition, bucket)));
        }
        let (medium, replication) = (wish.medium, wish.replication);
        let ids = tablets[first..].iter().map(|tablet| tablet.id).collect();
        table.partitions.push(Partition { id: partition, name, medium, replication, tablets: ids });
    }
    let ids: Vec<TabletId> = tablets.iter().map(|tablet| tablet.id).collect();
    draft.record(Change::TableAdded { table, tablets });
    for tablet in ids {
        order_creation(draft, tablet);
    }
    Ok(id)
}

/// The names of the partitions, if the wish makes sense.
fn check(wish: &api::TableCreate) -> Result<Vec<String>, Reason> {
    let partitions = if wish.partitions.is_empty() { vec!["p0".to_string()] } else { wish.partitions.clone() };
    for name in [&wish.db, &wish.name].into_iter().chain(&partitions) {
        let is_plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_plain) {
            let shown: String = name.chars().take(NAME_MAX).collect();
            return Err(bad_request(format!(
                "`{shown}` is not a name: letters, digits, `_` and `-`, at most {NAME_MAX}"
            )));
        }
    }
    if let Some(twice) = partitions.iter().enumerate().find(|(i, name)| partitions[..*i].contains(name)) {
        return Err(bad_request(format!("partition `{}` is named twice", twice.1)));
    }
    if wish.replication == 0 || wish.replication > REPLICATION_MAX {
        return Err(bad_request(format!("replication is 1 to {REPLICATION_MAX}, not {}", wish.replication)));
    }
    let tablets = u64::from(wish.buckets) * partitions.len() as u64;
    if tablets == 0 || tablets > TABLETS_MAX {
        return Err(bad_request(format!("a table has 1 to {TABLETS_MAX} tablets, not {tablets}")));
    }
    Ok(partitions)
}

/// Hosts that may take first replicas, with their disks and how many replicas each holds.
struct Places {
    /// By host: its disks and their counts.
    hosts: Vec<Vec<(DiskId, NodeId, u64)>>,
    /// Rises with each tablet, so that equal hosts take turns.
    turn: usize,
}

impl Places {
    fn of(world: &World, medium: Medium, wanted: u32) -> Result<Places, Reason> {
        let right = Places::on(world, |disk| disk == medium);
        let any = Places::on(world, |_| true);
        let mut hosts = if right.len() >= wanted as usize { right } else { any };
        if hosts.len() < wanted as usize {
            return Err(Reason::TooFewHosts { wanted, hosts: hosts.len() as u32 });
        }
        let mut counts: BTreeMap<DiskId, u64> = BTreeMap::new();
        for replica in world.tablets.iter().flat_map(|tablet| &tablet.replicas) {
            *counts.entry(replica.disk).or_default() += 1;
        }
        for (disk, _, count) in hosts.iter_mut().flatten() {
            *count = counts.get(disk).copied().unwrap_or(0);
        }
        Ok(Places { hosts, turn: 0 })
    }

    fn on(world: &World, fits: impl Fn(Medium) -> bool) -> Vec<Vec<(DiskId, NodeId, u64)>> {
        let mut hosts: BTreeMap<&str, Vec<(DiskId, NodeId, u64)>> = BTreeMap::new();
        for disk in world.disks.values() {
            let Some(node) = world.nodes.get(&disk.node) else { continue };
            let has_room = disk.space.available() > world.knobs.load_reserve(disk.space.total);
            let may_take = node.liveness == Liveness::Alive && node.reported && disk.state == DiskState::Online;
            if may_take && has_room && disk.replaced_by.is_none() && fits(disk.medium) {
                hosts.entry(&node.host).or_default().push((disk.id, node.id, 0));
            }
        }
        hosts.into_values().collect()
    }

    /// `n` disks on different hosts: the least filled first, equal ones in turn.
    fn take(&mut self, n: usize) -> Vec<(NodeId, DiskId)> {
        let (turn, count) = (self.turn, self.hosts.len());
        self.turn += 1;
        let emptiest = |disks: &[(DiskId, NodeId, u64)]| disks.iter().map(|disk| disk.2).min().unwrap_or(u64::MAX);
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|host| (emptiest(&self.hosts[*host]), (host + count - turn % count) % count));
        let chosen = order.into_iter().take(n).map(|host| {
            let disks = &mut self.hosts[host];
            let disk = disks.iter_mut().min_by_key(|disk| (disk.2, disk.0)).expect("a host here has a disk");
            disk.2 += 1;
            (disk.1, disk.0)
        });
        chosen.collect()
    }
}

fn place(
    draft: &mut Draft,
    places: &mut Places,
    wish: &api::TableCreate,
    (table, partition, bucket): (TableId, PartitionId, u32),
) -> Tablet {
    let n = wish.replication;
    let id = TabletId(draft.take_id());
    let first = draft.take_ids(u64::from(n));
    let disks = places.take(n as usize);
    assert_eq!(disks.len(), n as usize, "tablet {id}: too few hosts after they were counted");
    let replicas = disks.into_iter().zip(first..).map(|((node, disk), id)| Replica {
        id: ReplicaId(id),
        node,
        disk,
        state: ReplicaState::Normal,
        bad: None,
        version: Version::EMPTY,
        seen: None,
        further_repair: None,
    });
    Tablet {
        id,
        table,
        partition,
        bucket,
        wanted: n,
        medium: wish.medium,
        visible: Version::EMPTY,
        committed: Version::EMPTY,
        versions: Vec::new(),
        ballot: Ballot(1),
        primary: None,
        replicas: replicas.collect(),
        revision: 0,
        load: None,
        unhealthy_since: None,
    }
}

/// Orders the creation of replicas of an empty tablet that no report has shown yet.
pub fn order_creation(draft: &mut Draft, id: TabletId) {
    let Some(tablet) = draft.world.tablets.get(id).filter(|tablet| tablet.committed == Version::EMPTY) else { return };
    let mut missing = Vec::new();
    for replica in tablet.replicas.iter().filter(|replica| replica.state == ReplicaState::Normal) {
        let Some(node) = draft.world.nodes.get(&replica.node) else { continue };
        let is_online = draft.world.disks.get(&replica.disk).is_some_and(|disk| disk.state == DiskState::Online);
        let is_seen = replica.seen.as_ref().is_some_and(|seen| Some(seen.boot) == node.boot);
        if node.liveness == Liveness::Alive && node.reported && is_online && !is_seen && replica.bad.is_none() {
            missing.push((replica.node, replica.disk, replica.id));
        }
    }
    for (node, disk, replica) in missing {
        if let Some(label) = label(draft.world, id, replica) {
            draft.send(node, OrderBody::Create { disk, label });
        }
    }
}

/// The label that a replica's directory carries.
pub fn label(world: &World, id: TabletId, replica: ReplicaId) -> Option<TabletLabel> {
    let tablet = world.tablets.get(id)?;
    let table = world.tables.get(&tablet.table)?;
    let partition = table.partitions.iter().find(|partition| partition.id == tablet.partition)?;
    Some(TabletLabel {
        cluster: world.cluster.clone(),
        database: table.db.clone(),
        database_id: table.db_id,
        table: table.name.clone(),
        table_id: table.id,
        partition: partition.name.clone(),
        partition_id: partition.id,
        tablet: id,
        bucket: tablet.bucket,
        buckets: table.buckets,
        replication: tablet.wanted,
        replica,
        epoch: world.epoch,
        ballot: tablet.ballot,
    })
}

pub fn drop(draft: &mut Draft, db: &str, name: &str) {
    let answer = match level::forbids_work(draft.world).map_or_else(|| find(draft.world, db, name), Err) {
        Ok(table) => {
            drop_table(draft, &table);
            Answer::Done
        }
        Err(reason) => Answer::Refused(reason),
    };
    draft.answer(answer);
}

/// The user's word is the evidence: all its replicas go, now or when they are seen again.
fn drop_table(draft: &mut Draft, table: &Table) {
    let ids: Vec<TabletId> = table.partitions.iter().flat_map(|partition| partition.tablets.clone()).collect();
    let held = ids.iter().filter_map(|id| draft.world.tablets.get(*id)?.load);
    let loads: Vec<_> = held.filter_map(|id| draft.world.load_keys.get(&id).cloned()).collect();
    for key in &loads {
        loads::abort(draft, key, super::tasks::table_dropped());
    }
    for tablet in &ids {
        super::tasks::end_for_dropped_table(draft, *tablet);
    }
    let tablets = ids.iter().filter_map(|id| draft.world.tablets.get(*id));
    let replicas: Vec<_> = tablets.flat_map(|t| t.replicas.iter().map(|r| (r.node, t.id, r.id))).collect();
    draft.record(Change::TableDropped { table: table.id });
    for (node, tablet, replica) in replicas {
        let evidence = Evidence::TableDropped { table: table.id };
        super::deletion::order_drop(draft, node, (tablet, replica), evidence);
    }
    for key in &loads {
        commit::try_visible(draft, key);
    }
}
