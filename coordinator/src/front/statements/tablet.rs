//! The family of tablets: all of a table with their replicas, where one belongs, and the replicas of one.

use super::Moment;
use super::fault::Fault;
use super::format::time;
use super::replica::{self, OneReplica, failed};
use super::rows::{Col, Table as Listed, Value, col, row};
use stele_common::{Digest, TabletId, Tick, Version};
use stele_coordinator_rules::checkup::{self, verdict};
use stele_coordinator_rules::world::{Partition, Table, Tablet};

type Cols<'a> = Vec<Col<OneReplica<'a>>>;

/// SHOW TABLET FROM, and the index level of '/dbs'.
pub fn of_table<'a>(moment: &'a Moment, partitions: Vec<&'a Partition>) -> Listed<'a> {
    let tablet = vec![col("TabletId", |one: &OneReplica<'a>| one.tablet.id.0.into())];
    let columns = [tablet, ids(), schema(), versions(), content(), checks(), place_columns()].into_iter().flatten();
    let tablets = replica::tablets(moment.world(), partitions);
    Listed::lazy(columns.collect(), tablets.flat_map(|tablet| replica::of_tablet(moment, tablet)))
}

/// The tablet level of '/dbs'.
pub fn replicas<'a>(moment: &'a Moment, tablet: &'a Tablet) -> Listed<'a> {
    let bad = vec![col("IsBad", |one: &OneReplica<'a>| one.replica.bad.is_some().into())];
    let columns = [ids(), versions(), schema(), content(), bad, place_columns()].into_iter().flatten();
    Listed::lazy(columns.collect(), replica::of_tablet(moment, tablet))
}

fn ids<'a>() -> Cols<'a> {
    vec![col("ReplicaId", |one| one.replica.id.0.into()), col("BackendId", |one| one.replica.node.0.into())]
}

fn schema<'a>() -> Cols<'a> {
    vec![col("SchemaHash", |_| Value::Whole(-1))]
}

fn versions<'a>() -> Cols<'a> {
    vec![
        col("Version", |one| one.held().version.0.into()),
        col("VersionHash", |one| hash_of(one.held().version, own_hash(one))),
        col("LstSuccessVersion", |one| one.held().success.0.into()),
        col("LstSuccessVersionHash", |one| match checkup::count::record_of(one.tablet, one.held().success) {
            Some(record) => Value::text(record.hash.to_string()),
            None => hash_of(one.held().version, own_hash(one)),
        }),
        col("LstFailedVersion", |one| failed(one.held().failed)),
        col("LstFailedVersionHash", |_| Value::Whole(0)),
        // When a version was missed is not kept; since when it has been behind is.
        col("LstFailedTime", |one| match one.seen().and_then(|seen| seen.failed.and(seen.behind)) {
            Some(at) => time(one.moment.wall_at(at)),
            None => Value::absent(),
        }),
    ]
}

fn content<'a>() -> Cols<'a> {
    vec![
        col("DataSize", |one| one.seen().map_or(0, |seen| seen.size).into()),
        col("RowCount", |one| one.seen().map_or(0, |seen| seen.files).into()),
        col("State", |one| one.replica.state.as_str().into()),
    ]
}

/// When its content was last held against its digests, and at which version.
fn checks<'a>() -> Cols<'a> {
    fn verified(one: &OneReplica<'_>) -> Option<(Tick, Version)> {
        one.seen().and_then(|seen| Some((seen.verified?, seen.version)))
    }
    vec![
        col("LstConsistencyCheckTime", |one| match verified(one) {
            Some((at, _)) => time(one.moment.wall_at(at)),
            None => Value::absent(),
        }),
        col("CheckVersion", |one| verified(one).map_or(Value::Whole(-1), |(_, version)| version.0.into())),
        col("CheckVersionHash", |one| match verified(one) {
            Some((_, version)) => hash_of(version, own_hash(one)),
            None => Value::Whole(-1),
        }),
    ]
}

fn place_columns<'a>() -> Cols<'a> {
    fn url(one: &OneReplica<'_>) -> Value {
        one.url().unwrap_or_default().into()
    }
    vec![
        col("VersionCount", |one| one.held().versions.into()),
        col("PathHash", |one| one.replica.disk.0.into()),
        col("MetaUrl", url),
        col("CompactionStatus", url),
        col("Status", |one| one.word().into()),
        col("Reason", |one| one.why().unwrap_or_default().into()),
    ]
}

fn own_hash(one: &OneReplica<'_>) -> Digest {
    one.seen().map_or(Digest::ZERO, |seen| seen.hash)
}

/// The empty version has no manifest, and so no hash.
fn hash_of(version: Version, hash: Digest) -> Value {
    if version == Version::EMPTY { Value::Whole(0) } else { Value::text(hash.to_string()) }
}

const PLACE: &[&str] = &[
    "DbName",
    "TableName",
    "PartitionName",
    "IndexName",
    "DbId",
    "TableId",
    "PartitionId",
    "IndexId",
    "IsSync",
    "DetailCmd",
    "Status",
    "Priority",
    "Reason",
];

/// SHOW TABLET ID: where it belongs, and the statement that shows its replicas.
pub fn place<'a>(moment: &Moment, id: TabletId) -> Result<Listed<'a>, Fault> {
    let world = moment.world();
    let absent = || Fault::not_found(format!("there is no tablet {id}"));
    let tablet = world.tablets.get(id).ok_or_else(absent)?;
    let table = world.tables.get(&tablet.table).ok_or_else(absent)?;
    let partition = table.partitions.iter().find(|partition| partition.id == tablet.partition).ok_or_else(absent)?;
    let verdict = checkup::verdict(world, tablet, moment.at);
    let (db, table_id, part) = (table.db_id, table.id, partition.id);
    let row = row![
        table.db.as_str(),
        table.name.as_str(),
        partition.name.as_str(),
        table.name.as_str(),
        db.0,
        table_id.0,
        part.0,
        table_id.0,
        true,
        format!("SHOW PROC '/dbs/{db}/{table_id}/partitions/{part}/{table_id}/{id}';"),
        verdict.status.as_str(),
        verdict.priority.map_or_else(Value::absent, |priority| priority.as_str().into()),
        verdict::rung(verdict),
    ];
    Ok(Listed::of(PLACE, vec![row]))
}

/// The tablet, if it is one of this partition.
pub fn of_partition<'a>(moment: &'a Moment, partition: &Partition, id: TabletId) -> Option<&'a Tablet> {
    moment.world().tablets.get(id).filter(|tablet| tablet.partition == partition.id)
}

/// Whether a table's index is meant: its only one, which has its id and name.
pub fn is_index(table: &Table, text: &str) -> bool {
    text == table.name || text.parse() == Ok(table.id.0)
}
