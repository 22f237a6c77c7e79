//! The family of `information_schema`: everything that is known, as read-only tables for WHERE, ORDER BY, LIMIT and
//! COUNT(*). What is not there is NULL here; times are text in UTC, sizes bytes.

use super::fault::Fault;
use super::format::time;
use super::replica::{self, Held};
use super::rows::{Column, Kind, Row, Table as Listed, Value, row};
use super::tail::Pattern;
use super::{Engine, Moment, proc};
use crate::actors::words::TaskFilter;
use crate::front::tally;
use crate::front::view::{self, Placements};
use stele_common::Digest;
use stele_common::api::{DiskInfo, TaskInfo, TaskKind, TaskState};
use stele_coordinator_rules::checkup::{self, count::record_of, verdict};
use stele_coordinator_rules::evacuation::name_of;
use stele_coordinator_rules::explain;
use stele_coordinator_rules::world::{Replica, Tablet};

/// What stands there, with its columns; `#` before a name: a whole number, `%`: a real one.
const SHAPES: &[(&str, &[&str])] = &[
    (
        "decisions",
        &[
            "#TASK_ID",
            "#TABLET_ID",
            "TABLE_NAME",
            "TYPE",
            "KIND",
            "STATUS",
            "STATE",
            "PRIORITY",
            "#SRC_BE_ID",
            "#SRC_DISK_ID",
            "#DEST_BE_ID",
            "#DEST_DISK_ID",
            "#REPLICA_ID",
            "#BYTES_DONE",
            "#BYTES_TOTAL",
            "#BYTES_PER_S",
            "#AGE_MS",
            "REASON",
            "DETAIL",
            "EVIDENCE",
            "FINISH_TIME",
        ],
    ),
    (
        "disks",
        &[
            "#DISK_ID",
            "#BE_ID",
            "HOST",
            "PATH",
            "MEDIUM",
            "STATE",
            "#TOTAL",
            "#USED",
            "#AVAILABLE",
            "%USED_PERCENT",
            "#REPLICA_NUM",
            "#SLOTS_USED",
            "#SLOTS_TOTAL",
            "#BALANCE_SLOTS_USED",
            "#BALANCE_SLOTS_TOTAL",
            "#TRASH",
            "DRAIN",
            "CAUSE",
        ],
    ),
    (
        "nodes",
        &[
            "#BE_ID",
            "HOST",
            "NAME",
            "RACK",
            "TAG",
            "LIVENESS",
            "#SILENT_MS",
            "PEER",
            "HTTP",
            "BUILD",
            "#REPLICA_NUM",
            "DRAIN",
            "MAINTENANCE_UNTIL",
        ],
    ),
    (
        "replicas",
        &[
            "#REPLICA_ID",
            "#TABLET_ID",
            "TABLE_NAME",
            "#BE_ID",
            "HOST",
            "#DISK_ID",
            "#VERSION",
            "#LAST_FAILED_VERSION",
            "#LAST_SUCCESS_VERSION",
            "STATE",
            "STATUS",
            "IS_BAD",
            "#SIZE",
            "#FILES",
            "VERIFIED_TIME",
            "META_URL",
            "REASON",
        ],
    ),
    ("schemata", &["CATALOG_NAME", "SCHEMA_NAME"]),
    ("tables", &["TABLE_SCHEMA", "TABLE_NAME", "TABLE_TYPE", "#TABLE_ID", "#TABLET_NUM", "#DATA_SIZE"]),
    (
        "tablets",
        &[
            "#TABLET_ID",
            "TABLE_SCHEMA",
            "TABLE_NAME",
            "PARTITION_NAME",
            "#BUCKET",
            "STATUS",
            "PRIORITY",
            "#VISIBLE_VERSION",
            "#COMMITTED_VERSION",
            "VERSION_HASH",
            "#WANTED",
            "#REPLICA_NUM",
            "#COMPLETE_NUM",
            "#PRIMARY_REPLICA_ID",
            "#SIZE",
            "#FILES",
            "REASON",
        ],
    ),
    (
        "tasks",
        &[
            "#TASK_ID",
            "#TABLET_ID",
            "TABLE_NAME",
            "TYPE",
            "KIND",
            "STATUS",
            "STATE",
            "PRIORITY",
            "#SRC_BE_ID",
            "#SRC_DISK_ID",
            "#DEST_BE_ID",
            "#DEST_DISK_ID",
            "#REPLICA_ID",
            "#BYTES_DONE",
            "#BYTES_TOTAL",
            "#BYTES_PER_S",
            "#AGE_MS",
            "REASON",
            "DETAIL",
            "#FAILURES",
        ],
    ),
];

/// The names of the tables.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|(name, _)| *name)
}

fn columns(name: &str) -> Option<Vec<Column>> {
    let (_, columns) = SHAPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let one = |text: &&'static str| {
        let (kind, name) = match text.split_at(1) {
            ("#", name) => (Kind::Whole, name),
            ("%", name) => (Kind::Real, name),
            _ => (Kind::Text, *text),
        };
        Column { name: name.into(), kind }
    };
    Some(columns.iter().map(one).collect())
}

/// DESCRIBE and SHOW COLUMNS.
pub fn describe<'a>(name: &str, like: Option<&str>) -> Option<Listed<'a>> {
    let pattern = like.map(Pattern::of);
    let known = columns(name)?.into_iter().filter(|c| pattern.as_ref().is_none_or(|like| like.fits(&c.name)));
    let rows = known.map(|column| {
        let kind = match column.kind {
            Kind::Text => "text",
            Kind::Whole => "bigint",
            Kind::Real => "double",
        };
        row![column.name.into_owned(), kind, "YES", "", Value::Null, ""]
    });
    Some(Listed::of(&["Field", "Type", "Null", "Key", "Default", "Extra"], rows.collect()))
}

/// The rows of a table; `Ok(None)`: there is no such table.
pub async fn table<'a>(engine: &Engine, moment: &'a Moment, name: &str) -> Result<Option<Listed<'a>>, Fault> {
    let Some(columns) = columns(name) else { return Ok(None) };
    let name = name.to_lowercase();
    let rows: Box<dyn Iterator<Item = Row> + 'a> = match name.as_str() {
        "tablets" => Box::new(moment.world().tablets.iter().map(|tablet| one_tablet(moment, tablet))),
        "replicas" => Box::new(moment.world().tablets.iter().flat_map(|tablet| of_tablet(moment, tablet))),
        "disks" => Box::new(disks(moment).into_iter()),
        "nodes" => Box::new(nodes(engine, moment).await?.into_iter()),
        "tasks" => Box::new(engine.ask.tasks(TaskFilter::Open).await?.into_iter().map(|task| one_task(&task))),
        "decisions" => Box::new(explain::history_tasks(moment.world(), moment.wall_ms).map(|task| one_end(&task))),
        "schemata" => {
            let databases = moment.world().databases.keys();
            Box::new(databases.map(|name| row!["def", name.as_str()]))
        }
        "tables" => Box::new(moment.world().tables.values().map(|table| {
            let sums = moment.tally().tables.get(&table.id).copied().unwrap_or_default();
            row![table.db.as_str(), table.name.as_str(), "BASE TABLE", table.id.0, sums.tablets, sums.bytes]
        })),
        _ => return Ok(None),
    };
    Ok(Some(Listed { columns, rows }))
}

fn or_null<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or(Value::Null, Into::into)
}

fn one_tablet(moment: &Moment, tablet: &Tablet) -> Row {
    let world = moment.world();
    let table = world.tables.get(&tablet.table);
    let partition = table.and_then(|table| table.partitions.iter().find(|part| part.id == tablet.partition));
    let verdict = checkup::verdict(world, tablet, moment.at);
    let hash = record_of(tablet, tablet.visible).map_or(Digest::ZERO, |record| record.hash);
    let (files, size) = tally::content(tablet);
    row![
        tablet.id.0,
        or_null(table.map(|table| table.db.as_str())),
        or_null(table.map(|table| table.name.as_str())),
        or_null(partition.map(|partition| partition.name.as_str())),
        tablet.bucket,
        verdict.status.as_str(),
        or_null(verdict.priority.map(|priority| priority.as_str())),
        tablet.visible.0,
        tablet.committed.0,
        hash.to_string(),
        tablet.wanted,
        tablet.replicas.len(),
        verdict.complete,
        or_null(tablet.primary.map(|replica| replica.0)),
        size,
        files,
        verdict::rung(verdict),
    ]
}

fn of_tablet(moment: &Moment, tablet: &Tablet) -> Vec<Row> {
    let counts = checkup::count(moment.world(), tablet);
    let judged = tablet.replicas.iter().zip(counts.judged);
    judged.map(|(replica, judged)| one_replica(moment, tablet, replica, judged.why)).collect()
}

fn one_replica(moment: &Moment, tablet: &Tablet, replica: &Replica, flaw: Option<checkup::Flaw>) -> Row {
    let world = moment.world();
    let (held, seen, node) = (Held::of(tablet, replica), replica.seen.as_ref(), world.nodes.get(&replica.node));
    let verified = seen.and_then(|seen| seen.verified);
    let url = node.map(|node| format!("http://{}/v1/replicas/{}/manifest", node.http, replica.id));
    row![
        replica.id.0,
        tablet.id.0,
        name_of(world, tablet),
        replica.node.0,
        or_null(node.map(|node| node.host.as_str())),
        replica.disk.0,
        held.version.0,
        or_null(held.failed.map(|version| version.0)),
        held.success.0,
        replica.state.as_str(),
        replica::word(world, tablet, replica),
        replica.bad.is_some(),
        or_null(seen.map(|seen| seen.size)),
        or_null(seen.map(|seen| seen.files)),
        or_null(verified.map(|at| time(moment.wall_at(at)))),
        or_null(url),
        or_null(flaw.map(|flaw| verdict::flaw_text(flaw, replica))),
    ]
}

fn disks(moment: &Moment) -> Vec<Row> {
    let world = moment.world();
    let placements = Placements::of(world);
    view::in_use(world).map(|disk| one_disk(&view::disk(world, &placements, disk))).collect()
}

fn one_disk(disk: &DiskInfo) -> Row {
    let state = match disk.state {
        stele_common::DiskState::Online => "ONLINE",
        stele_common::DiskState::Suspect => "SUSPECT",
        stele_common::DiskState::Unavailable => "UNAVAILABLE",
    };
    row![
        disk.id.0,
        disk.node.0,
        disk.host.as_str(),
        disk.path.as_str(),
        proc::medium(disk.medium),
        state,
        disk.total,
        disk.used,
        disk.available,
        disk.used_percent,
        disk.replicas,
        disk.slots_used,
        disk.slots_total,
        disk.balance_slots_used,
        disk.balance_slots_total,
        disk.trash_bytes,
        or_null(disk.drain.map(|state| state.as_str())),
        or_null(disk.cause.as_deref()),
    ]
}

async fn nodes(engine: &Engine, moment: &Moment) -> Result<Vec<Row>, Fault> {
    let silences = engine.ask.silences().await?;
    let world = moment.world();
    let placements = Placements::of(world);
    let rows = world.nodes.values().map(|node| {
        let info = view::node(world, &placements, node, silences.get(&node.id).copied());
        row![
            info.id.0,
            info.host,
            info.name,
            info.rack,
            info.tag,
            info.liveness.as_str(),
            or_null(info.silent_ms),
            info.peer,
            info.http,
            info.build,
            info.replicas,
            or_null(info.drain.map(|state| state.as_str())),
            or_null(info.maintenance_until),
        ]
    });
    Ok(rows.collect())
}

fn task(task: &TaskInfo) -> Row {
    let kind = task.kind.map(|kind| match kind {
        TaskKind::Clone => "CLONE",
        TaskKind::Delete => "DELETE",
        TaskKind::Migrate => "MIGRATE",
    });
    let state = match task.state {
        TaskState::Pending => "PENDING",
        TaskState::Running => "RUNNING",
        TaskState::Finished => "FINISHED",
        TaskState::Cancelled => "CANCELLED",
    };
    row![
        or_null(task.id.map(|id| id.0)),
        task.tablet.0,
        task.table.as_str(),
        task.task_type.as_str(),
        or_null(kind),
        task.status.as_str(),
        state,
        task.priority.as_str(),
        or_null(task.src_node.map(|node| node.0)),
        or_null(task.src_disk.map(|disk| disk.0)),
        or_null(task.dest_node.map(|node| node.0)),
        or_null(task.dest_disk.map(|disk| disk.0)),
        or_null(task.replica.map(|replica| replica.0)),
        task.bytes_done,
        task.bytes_total,
        task.bytes_per_s,
        task.age_ms,
        or_null(task.reason.as_ref().map(|reason| reason.code.as_str())),
        or_null(task.reason.as_ref().map(|reason| reason.detail.as_str())),
    ]
}

fn one_task(info: &TaskInfo) -> Row {
    let mut row = task(info);
    row.push(info.failures.into());
    row
}

fn one_end(info: &TaskInfo) -> Row {
    let mut row = task(info);
    let evidence = info.evidence.as_ref().and_then(|evidence| serde_json::to_string(evidence).ok());
    row.push(or_null(evidence));
    row.push(or_null(info.ended.clone()));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every table has columns, each once; described as it is announced.
    #[test]
    fn shapes() {
        for name in names() {
            let known = columns(name).unwrap();
            let distinct: std::collections::BTreeSet<_> = known.iter().map(|column| &column.name).collect();
            assert_eq!(distinct.len(), known.len(), "{name}");
            assert_eq!(describe(name, None).unwrap().rows.count(), known.len());
        }
        assert!(columns("no_such").is_none());
        assert_eq!(describe("NODES", Some("%ID")).unwrap().rows.count(), 1);
    }
}
