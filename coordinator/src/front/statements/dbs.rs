//! '/dbs' and what lies under it: databases, tables, partitions, their index, its tablets, one tablet's replicas.
//! Each level may be named by its id or by its name.

use super::format::size;
use super::rows::{Row, Table as Listed, Value, row};
use super::{Moment, tablet};
use crate::front::tally;
use stele_common::Version;
use stele_coordinator_rules::world::{Partition, Table, TableState};

const DATABASES: &[&str] = &["DbId", "DbName", "TableNum", "Quota", "LastConsistencyCheckTime", "ReplicaQuota"];
const TABLES: &[&str] = &[
    "TableId",
    "TableName",
    "IndexNum",
    "PartitionColumnName",
    "PartitionNum",
    "State",
    "Type",
    "LastConsistencyCheckTime",
    "ReplicaCount",
];
const PARTITIONS: &[&str] = &[
    "PartitionId",
    "PartitionName",
    "VisibleVersion",
    "VisibleVersionTime",
    "VisibleVersionHash",
    "State",
    "PartitionKey",
    "Range",
    "DistributionKey",
    "Buckets",
    "ReplicationNum",
    "StorageMedium",
    "CooldownTime",
    "LastConsistencyCheckTime",
    "DataSize",
    "IsInMemory",
    "RowCount",
];
const INDEXES: &[&str] = &["IndexId", "IndexName", "State", "LastConsistencyCheckTime"];

/// `parts`: the path behind '/dbs'. `None`: there is nothing there.
pub fn show<'a>(moment: &'a Moment, parts: &[&str]) -> Option<Listed<'a>> {
    let [db, rest @ ..] = parts else { return Some(databases(moment)) };
    let id =
        moment.world().databases.iter().find(|(name, id)| *name == db || db.parse() == Ok(id.0)).map(|(_, id)| *id)?;
    let of_db = move || moment.world().tables.values().filter(move |table| table.db_id == id);
    let [name, rest @ ..] = rest else {
        return Some(Listed::new(TABLES, of_db().map(|table| one_table(moment, table))));
    };
    let table = of_db().find(|table| table.name == *name || name.parse() == Ok(table.id.0))?;
    match rest {
        [] => Some(Listed::of(&["Nodename"], vec![row!["partitions"], row!["index_schema"]])),
        ["index_schema"] => Some(Listed::of(&["IndexId", "IndexName"], vec![row![table.id.0, table.name.as_str()]])),
        ["partitions"] => Some(partitions(moment, table)),
        ["partitions", part, rest @ ..] => {
            let is_it = |found: &&Partition| found.name == *part || part.parse() == Ok(found.id.0);
            under_partition(moment, table, table.partitions.iter().find(is_it)?, rest)
        }
        _ => None,
    }
}

fn under_partition<'a>(
    moment: &'a Moment,
    table: &'a Table,
    partition: &'a Partition,
    rest: &[&str],
) -> Option<Listed<'a>> {
    match rest {
        [] => {
            let row = row![table.id.0, table.name.as_str(), "NORMAL", Value::absent()];
            Some(Listed::of(INDEXES, vec![row]))
        }
        [index, rest @ ..] if tablet::is_index(table, index) => match rest {
            [] => Some(tablet::of_table(moment, vec![partition])),
            [id] => {
                let tablet = tablet::of_partition(moment, partition, id.parse().ok()?)?;
                Some(tablet::replicas(moment, tablet))
            }
            _ => None,
        },
        _ => None,
    }
}

fn databases<'a>(moment: &'a Moment) -> Listed<'a> {
    let rows = moment.world().databases.iter().map(|(name, id)| {
        let tables = moment.world().tables.values().filter(|table| table.db_id == *id).count();
        row![id.0, name.as_str(), tables, Value::absent(), Value::absent(), Value::absent()]
    });
    Listed::new(DATABASES, rows)
}

fn one_table(moment: &Moment, table: &Table) -> Row {
    let tally = moment.tally().tables.get(&table.id).copied().unwrap_or_default();
    row![
        table.id.0,
        table.name.as_str(),
        1u64,
        "",
        table.partitions.len(),
        state(table),
        "OLAP",
        Value::absent(),
        tally.replicas,
    ]
}

fn state(table: &Table) -> &'static str {
    match table.state {
        TableState::Normal => "NORMAL",
        TableState::Altering => "SCHEMA_CHANGE",
    }
}

/// SHOW PARTITIONS, and the partition level of '/dbs'.
pub fn partitions<'a>(moment: &'a Moment, table: &'a Table) -> Listed<'a> {
    Listed::new(PARTITIONS, table.partitions.iter().map(|partition| one_partition(moment, table, partition)))
}

fn one_partition(moment: &Moment, table: &Table, partition: &Partition) -> Row {
    let tablets = || partition.tablets.iter().filter_map(|id| moment.world().tablets.get(*id));
    let visible = tablets().map(|tablet| tablet.visible).max().unwrap_or(Version::EMPTY);
    let contents: Vec<(u64, u64)> = tablets().map(tally::content).collect();
    row![
        partition.id.0,
        partition.name.as_str(),
        visible.0,
        Value::absent(),
        0u64,
        state(table),
        "",
        "",
        "path",
        table.buckets,
        partition.replication,
        super::proc::medium(partition.medium),
        "9999-12-31 15:59:59",
        Value::absent(),
        size(contents.iter().map(|(_, bytes)| bytes).sum()),
        false,
        contents.iter().map(|(files, _)| files).sum::<u64>(),
    ]
}
