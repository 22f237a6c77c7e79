//! Tables come and go.
//!
//! In: an operator's wish. Out: the table with all its tablets in one record, and orders to create and to drop. Where
//! first replicas stand is [`placement`]'s word, or the sequence of the colocation group.

use super::placement::{self, Places};
use super::{Draft, commit, groups, leases, level, loads};
use crate::policy::DEFAULT_TAG;
use crate::world::{Partition, Replica, Table, TableState, Tablet, World};
use crate::{Answer, Change, Reason};
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
    if let Some(reason) = level::forbids_reshaping(draft.world) {
        return Err(reason);
    }
    let partitions = check(wish)?;
    if find(draft.world, &wish.db, &wish.name).is_ok() {
        return Err(Reason::TableExists { name: format!("{}.{}", wish.db, wish.name) });
    }
    let mut table = wished(wish, partitions)?;
    let tag = table.tag.clone();
    placement::hosts_for(draft.world, &tag, wish.replication)?;
    let group = groups::wanted(draft.world, None, &table)?;
    let asked = placement::Wish { medium: wish.medium, copies: wish.replication, tag: &tag };
    let mut places = Places::of(draft.world, asked, group.as_deref())?;
    groups::record(draft, group.as_ref());
    let db_id = match draft.world.databases.get(&wish.db) {
        Some(id) => *id,
        None => {
            let id = DatabaseId(draft.take_id());
            draft.record(Change::DatabaseAdded { id, name: wish.db.clone() });
            id
        }
    };
    let id = TableId(draft.take_id());
    (table.id, table.db_id) = (id, db_id);
    let mut tablets = Vec::new();
    for partition in &mut table.partitions {
        partition.id = PartitionId(draft.take_id());
        for bucket in 0..wish.buckets {
            let disks = match &group {
                Some(group) => places.take_on(&group.buckets[bucket as usize]),
                None => places.take(wish.replication as usize),
            };
            assert_eq!(disks.len(), wish.replication as usize, "too few hosts after they were counted");
            tablets.push(place(draft, &disks, wish.medium, (id, partition.id, bucket)));
        }
        let first = tablets.len() - wish.buckets as usize;
        partition.tablets = tablets[first..].iter().map(|tablet: &Tablet| tablet.id).collect();
    }
    let ids: Vec<TabletId> = tablets.iter().map(|tablet| tablet.id).collect();
    draft.record(Change::TableAdded { table, tablets });
    for tablet in ids {
        order_creation(draft, tablet);
    }
    Ok(id)
}

/// The table that is wished for, without ids and tablets.
fn wished(wish: &api::TableCreate, partitions: Vec<String>) -> Result<Table, Reason> {
    let tag = wish.tag.clone().unwrap_or_else(|| DEFAULT_TAG.into());
    check_name(&tag)?;
    let (medium, replication) = (wish.medium, wish.replication);
    let partition = |name| Partition { id: PartitionId(0), name, medium, replication, tablets: Vec::new() };
    Ok(Table {
        id: TableId(0),
        db: wish.db.clone(),
        db_id: DatabaseId(0),
        name: wish.name.clone(),
        buckets: wish.buckets,
        tag,
        group: wish.colocate.clone().filter(|name| !name.is_empty()),
        state: TableState::Normal,
        partitions: partitions.into_iter().map(partition).collect(),
        columns: String::new(),
    })
}

/// The names of the partitions, if the wish makes sense.
fn check(wish: &api::TableCreate) -> Result<Vec<String>, Reason> {
    let partitions = if wish.partitions.is_empty() { vec!["p0".to_string()] } else { wish.partitions.clone() };
    for name in [&wish.db, &wish.name].into_iter().chain(&partitions) {
        check_name(name)?;
    }
    if let Some(twice) = partitions.iter().enumerate().find(|(i, name)| partitions[..*i].contains(name)) {
        return Err(bad_request(format!("partition `{}` is named twice", twice.1)));
    }
    check_replication(wish.replication)?;
    let tablets = u64::from(wish.buckets) * partitions.len() as u64;
    if tablets == 0 || tablets > TABLETS_MAX {
        return Err(bad_request(format!("a table has 1 to {TABLETS_MAX} tablets, not {tablets}")));
    }
    Ok(partitions)
}

/// Whether it may be the name of something.
pub fn check_name(name: &str) -> Result<(), Reason> {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_plain) {
        let shown: String = name.chars().take(NAME_MAX).collect();
        return Err(bad_request(format!("`{shown}` is not a name: letters, digits, `_` and `-`, at most {NAME_MAX}")));
    }
    Ok(())
}

pub fn check_replication(n: u32) -> Result<(), Reason> {
    if n == 0 || n > REPLICATION_MAX {
        return Err(bad_request(format!("replication is 1 to {REPLICATION_MAX}, not {n}")));
    }
    Ok(())
}

/// An empty tablet with a replica on each of these disks.
pub fn place(
    draft: &mut Draft,
    disks: &[(NodeId, DiskId)],
    medium: Medium,
    (table, partition, bucket): (TableId, PartitionId, u32),
) -> Tablet {
    let n = disks.len() as u32;
    let id = TabletId(draft.take_id());
    let first = draft.take_ids(u64::from(n));
    let replicas = disks.iter().zip(first..).map(|((node, disk), id)| Replica {
        id: ReplicaId(id),
        node: *node,
        disk: *disk,
        state: ReplicaState::Normal,
        bad: None,
        version: Version::EMPTY,
        seen: None,
        replaced_by: None,
        further_repair: None,
    });
    Tablet {
        id,
        table,
        partition,
        bucket,
        wanted: n,
        medium,
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

fn drop_table(draft: &mut Draft, table: &Table) {
    let ids: Vec<TabletId> = table.partitions.iter().flat_map(|partition| partition.tablets.clone()).collect();
    drop_tablets(draft, table.id, &ids, Change::TableDropped { table: table.id });
}

/// The user's word is the evidence: all replicas of these tablets go, now or when they are seen again. `change` takes
/// the tablets off the record.
pub fn drop_tablets(draft: &mut Draft, table: TableId, ids: &[TabletId], change: Change) {
    let is_whole = matches!(change, Change::TableDropped { .. });
    let held = ids.iter().filter_map(|id| draft.world.tablets.get(*id)?.load);
    let loads: Vec<_> = held.filter_map(|id| draft.world.load_keys.get(&id).cloned()).collect();
    for key in &loads {
        loads::abort(draft, key, super::tasks::table_dropped());
    }
    for tablet in ids {
        super::tasks::end_for_dropped_table(draft, *tablet);
    }
    let tablets = ids.iter().filter_map(|id| draft.world.tablets.get(*id));
    let replicas: Vec<_> = tablets.flat_map(|t| t.replicas.iter().map(|r| (r.node, t.id, r.id))).collect();
    draft.record(change);
    if is_whole {
        groups::drop_unused(draft);
        leases::end_for_dropped_table(draft, table);
    }
    for (node, tablet, replica) in replicas {
        let evidence = Evidence::TableDropped { table };
        super::deletion::order_drop(draft, node, (tablet, replica), evidence);
    }
    for key in &loads {
        commit::try_visible(draft, key);
    }
}
