//! The family of tablets: all of a table with their replicas, where one belongs, and the replicas of one.

use super::Moment;
use super::fault::Fault;
use super::format::time;
use super::replica::{self, Held, failed};
use super::rows::{Row, Table as Listed, Value, row};
use stele_common::{Digest, TabletId, Version};
use stele_coordinator_rules::checkup::{self, verdict};
use stele_coordinator_rules::world::{Partition, Replica, Table, Tablet};

const OF_TABLE: &[&str] = &[
    "TabletId",
    "ReplicaId",
    "BackendId",
    "SchemaHash",
    "Version",
    "VersionHash",
    "LstSuccessVersion",
    "LstSuccessVersionHash",
    "LstFailedVersion",
    "LstFailedVersionHash",
    "LstFailedTime",
    "DataSize",
    "RowCount",
    "State",
    "LstConsistencyCheckTime",
    "CheckVersion",
    "CheckVersionHash",
    "VersionCount",
    "PathHash",
    "MetaUrl",
    "CompactionStatus",
    "Status",
    "Reason",
];

/// SHOW TABLET FROM, and the index level of '/dbs'.
pub fn of_table<'a>(moment: &'a Moment, partitions: Vec<&'a Partition>) -> Listed<'a> {
    let rows = replica::tablets(moment.world(), partitions).flat_map(|tablet| {
        let counts = checkup::count(moment.world(), tablet);
        let rows = tablet.replicas.iter().zip(counts.judged);
        rows.map(|(replica, judged)| {
            let shown = Shown::of(moment, tablet, replica);
            let why = judged.why.map(|flaw| verdict::flaw_text(flaw, replica)).unwrap_or_default();
            let Shown { version, hash, success, success_hash, failed, failed_at, size, files, checked, .. } = shown;
            let (check_time, check_version, check_hash) = checked;
            row_of([
                tablet.id.0.into(),
                replica.id.0.into(),
                replica.node.0.into(),
                Value::Whole(-1),
                version,
                hash,
                success,
                success_hash,
                failed,
                Value::Whole(0),
                failed_at,
                size,
                files,
                replica.state.as_str().into(),
                check_time,
                check_version,
                check_hash,
                shown.versions.into(),
                replica.disk.0.into(),
                shown.url.as_str().into(),
                shown.url.as_str().into(),
                replica::word(moment.world(), tablet, replica).into(),
                why.into(),
            ])
        })
        .collect::<Vec<Row>>()
    });
    Listed::new(OF_TABLE, rows)
}

fn row_of<const N: usize>(values: [Value; N]) -> Row {
    values.into()
}

const OF_TABLET: &[&str] = &[
    "ReplicaId",
    "BackendId",
    "Version",
    "VersionHash",
    "LstSuccessVersion",
    "LstSuccessVersionHash",
    "LstFailedVersion",
    "LstFailedVersionHash",
    "LstFailedTime",
    "SchemaHash",
    "DataSize",
    "RowCount",
    "State",
    "IsBad",
    "VersionCount",
    "PathHash",
    "MetaUrl",
    "CompactionStatus",
    "Status",
    "Reason",
];

/// The tablet level of '/dbs'.
pub fn replicas<'a>(moment: &'a Moment, tablet: &'a Tablet) -> Listed<'a> {
    let counts = checkup::count(moment.world(), tablet);
    let rows = tablet.replicas.iter().zip(counts.judged).map(|(replica, judged)| {
        let shown = Shown::of(moment, tablet, replica);
        let why = judged.why.map(|flaw| verdict::flaw_text(flaw, replica)).unwrap_or_default();
        let Shown { version, hash, success, success_hash, failed, failed_at, size, files, versions, url, .. } = shown;
        row_of([
            replica.id.0.into(),
            replica.node.0.into(),
            version,
            hash,
            success,
            success_hash,
            failed,
            Value::Whole(0),
            failed_at,
            Value::Whole(-1),
            size,
            files,
            replica.state.as_str().into(),
            replica.bad.is_some().into(),
            versions.into(),
            replica.disk.0.into(),
            url.as_str().into(),
            url.as_str().into(),
            replica::word(moment.world(), tablet, replica).into(),
            why.into(),
        ])
    });
    Listed::new(OF_TABLET, rows)
}

/// What both lists show of a replica.
struct Shown {
    version: Value,
    hash: Value,
    success: Value,
    success_hash: Value,
    failed: Value,
    failed_at: Value,
    size: Value,
    files: Value,
    /// When its content was last held against its digests, and at which version.
    checked: (Value, Value, Value),
    versions: u64,
    /// Its manifest, at its agent.
    url: String,
}

impl Shown {
    fn of(moment: &Moment, tablet: &Tablet, replica: &Replica) -> Shown {
        let (held, seen) = (Held::of(tablet, replica), replica.seen.as_ref());
        let own = seen.map_or(Digest::ZERO, |seen| seen.hash);
        let verified = seen.and_then(|seen| Some((seen.verified?, seen.version)));
        let checked = match verified {
            Some((at, version)) => (time(moment.wall_at(at)), version.0.into(), hash_of(version, own)),
            None => (Value::absent(), Value::Whole(-1), Value::Whole(-1)),
        };
        let http = moment.world().nodes.get(&replica.node).map_or("", |node| node.http.as_str());
        Shown {
            version: held.version.0.into(),
            hash: hash_of(held.version, own),
            success: held.success.0.into(),
            success_hash: match checkup::count::record_of(tablet, held.success) {
                Some(record) => Value::text(record.hash.to_string()),
                None => hash_of(held.version, own),
            },
            failed: failed(held.failed),
            // When a version was missed is not kept; since when it has been behind is.
            failed_at: match seen.and_then(|seen| seen.failed.and(seen.behind)) {
                Some(at) => time(moment.wall_at(at)),
                None => Value::absent(),
            },
            size: seen.map_or(0, |seen| seen.size).into(),
            files: seen.map_or(0, |seen| seen.files).into(),
            checked,
            versions: held.versions,
            url: format!("http://{http}/v1/replicas/{}/manifest", replica.id),
        }
    }
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
