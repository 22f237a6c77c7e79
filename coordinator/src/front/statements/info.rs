//! The family of `information_schema`: everything that is known, as read-only tables for WHERE, GROUP BY, ORDER BY
//! and LIMIT. What is not there is NULL here; times are text in UTC, sizes bytes.

use super::compare::Pattern;
use super::fault::Fault;
use super::format::time;
use super::kept::{Field, Kept};
use super::names::{COLLATION, ENGINE, FIELDS, FIELDS_IN_FULL, INFORMATION_SCHEMA};
use super::replica::{self, OneReplica};
use super::rows::{Col, Column, Kind, Table as Listed, Value, col, row};
use super::{Engine, Moment, proc};
use crate::actors::words::TaskFilter;
use crate::front::tally::{self, TableTally};
use crate::front::view::{self, Placements};
use std::cell::OnceCell;
use std::sync::Arc;
use stele_common::api::{DiskInfo, NodeInfo, TaskInfo, TaskKind, TaskState};
use stele_common::{Digest, DiskState};
use stele_coordinator_rules::checkup::{self, Verdict, count::record_of, verdict};
use stele_coordinator_rules::evacuation::name_of;
use stele_coordinator_rules::explain;
use stele_coordinator_rules::world::{Node, Partition, Table, Tablet};

const NAMES: [&str; 9] =
    ["columns", "decisions", "disks", "nodes", "replicas", "schemata", "tables", "tablets", "tasks"];

/// The names of the tables.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter()
}

fn columns(name: &str) -> Option<Vec<Column>> {
    fn heads<R>(columns: Vec<Col<R>>) -> Option<Vec<Column>> {
        Some(columns.into_iter().map(|col| col.column).collect())
    }
    match name.to_lowercase().as_str() {
        "columns" => heads(columns_of_all()),
        "decisions" => heads(decisions()),
        "disks" => heads(disks()),
        "nodes" => heads(nodes()),
        "replicas" => heads(replicas()),
        "schemata" => heads(schemata()),
        "tables" => heads(tables()),
        "tablets" => heads(tablets()),
        "tasks" => heads(tasks()),
        _ => None,
    }
}

pub fn is_there(name: &str) -> bool {
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Whole => "bigint",
        Kind::Decimal => "decimal",
        Kind::Real => "double",
    }
}

/// DESCRIBE and `SHOW [FULL] COLUMNS`.
pub fn describe<'a>(name: &str, full: bool, like: Option<&str>) -> Option<Listed<'a>> {
    let pattern = like.map(Pattern::of);
    let known = columns(name)?.into_iter().filter(|c| pattern.as_ref().is_none_or(|like| like.fits(&c.name)));
    let rows = known.map(|Column { name, kind }| match full {
        true => {
            let collation = if kind == Kind::Text { COLLATION.into() } else { Value::Null };
            row![name.into_owned(), type_of(kind), collation, "YES", "", Value::Null, "", "select", ""]
        }
        false => row![name.into_owned(), type_of(kind), "YES", "", Value::Null, ""],
    });
    Some(Listed::of(if full { FIELDS_IN_FULL } else { FIELDS }, rows.collect()))
}

/// The rows of a table; `Ok(None)`: there is no such table.
pub async fn table<'a>(engine: &Engine, moment: &'a Moment, name: &str) -> Result<Option<Listed<'a>>, Fault> {
    let world = moment.world();
    Ok(Some(match name.to_lowercase().as_str() {
        "columns" => {
            let of_view = |view| {
                let field = |column: Column| Field::of_view(&column.name, type_of(column.kind));
                let fields = columns(view).into_iter().flatten().map(field);
                fields.zip(1..).map(move |(field, place)| OneColumn {
                    db: INFORMATION_SCHEMA,
                    table: view,
                    place,
                    field,
                })
            };
            let of_table = |table: &'a Arc<Table>| {
                let fields = Kept::of(&table.columns).fields().into_iter();
                fields.zip(1..).map(|(field, place)| OneColumn { db: &table.db, table: &table.name, place, field })
            };
            Listed::lazy(columns_of_all(), world.tables.values().flat_map(of_table).chain(names().flat_map(of_view)))
        }
        "decisions" => Listed::lazy(decisions(), explain::history_tasks(world, moment.wall_ms)),
        "disks" => {
            let placements = Placements::of(world);
            Listed::lazy(disks(), view::in_use(world).map(move |disk| view::disk(world, &placements, disk)))
        }
        "nodes" => {
            let (silences, placements) = (engine.ask.silences().await?, Placements::of(world));
            let one = move |node: &Node| view::node(world, &placements, node, silences.get(&node.id).copied());
            Listed::lazy(nodes(), world.nodes.values().map(one))
        }
        "replicas" => {
            let tablets = world.tablets.iter();
            Listed::lazy(replicas(), tablets.flat_map(|tablet| replica::of_tablet(moment, tablet)))
        }
        "schemata" => {
            let names = std::iter::once(INFORMATION_SCHEMA).chain(world.databases.keys().map(String::as_str));
            Listed::lazy(schemata(), names)
        }
        "tables" => {
            let sums = &moment.tally().tables;
            let view = |name| OneTable { db: INFORMATION_SCHEMA, name, of: None };
            let one = |table: &'a Arc<Table>| {
                let sums = sums.get(&table.id).copied().unwrap_or_default();
                OneTable { db: &table.db, name: &table.name, of: Some((table, sums)) }
            };
            Listed::lazy(tables(), world.tables.values().map(one).chain(names().map(view)))
        }
        "tablets" => Listed::lazy(tablets(), world.tablets.iter().map(|tablet| OneTablet::of(moment, tablet))),
        "tasks" => Listed::lazy(tasks(), engine.ask.tasks(TaskFilter::Open).await?.into_iter()),
        _ => return Ok(None),
    }))
}

fn or_null<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or(Value::Null, Into::into)
}

struct OneTablet<'a> {
    moment: &'a Moment,
    tablet: &'a Tablet,
    table: Option<&'a Table>,
    verdict: OnceCell<Verdict>,
}

impl<'a> OneTablet<'a> {
    fn of(moment: &'a Moment, tablet: &'a Tablet) -> OneTablet<'a> {
        let table = moment.world().tables.get(&tablet.table).map(|table| &**table);
        OneTablet { moment, tablet, table, verdict: OnceCell::new() }
    }

    fn partition(&self) -> Option<&'a Partition> {
        self.table?.partitions.iter().find(|part| part.id == self.tablet.partition)
    }

    fn verdict(&self) -> Verdict {
        *self.verdict.get_or_init(|| checkup::verdict(self.moment.world(), self.tablet, self.moment.at))
    }
}

fn tablets<'a>() -> Vec<Col<OneTablet<'a>>> {
    vec![
        col("#TABLET_ID", |one| one.tablet.id.0.into()),
        col("TABLE_SCHEMA", |one| or_null(one.table.map(|table| table.db.as_str()))),
        col("TABLE_NAME", |one| or_null(one.table.map(|table| table.name.as_str()))),
        col("PARTITION_NAME", |one| or_null(one.partition().map(|partition| partition.name.as_str()))),
        col("#BUCKET", |one| one.tablet.bucket.into()),
        col("STATUS", |one| one.verdict().status.as_str().into()),
        col("PRIORITY", |one| or_null(one.verdict().priority.map(|priority| priority.as_str()))),
        col("#VISIBLE_VERSION", |one| one.tablet.visible.0.into()),
        col("#COMMITTED_VERSION", |one| one.tablet.committed.0.into()),
        col("VERSION_HASH", |one| {
            let record = record_of(one.tablet, one.tablet.visible);
            record.map_or(Digest::ZERO, |record| record.hash).to_string().into()
        }),
        col("#WANTED", |one| one.tablet.wanted.into()),
        col("#REPLICA_NUM", |one| one.tablet.replicas.len().into()),
        col("#COMPLETE_NUM", |one| one.verdict().complete.into()),
        col("#PRIMARY_REPLICA_ID", |one| or_null(one.tablet.primary.map(|replica| replica.0))),
        col("#SIZE", |one| tally::content(one.tablet).1.into()),
        col("#FILES", |one| tally::content(one.tablet).0.into()),
        col("REASON", |one| verdict::rung(one.verdict()).into()),
    ]
}

fn replicas<'a>() -> Vec<Col<OneReplica<'a>>> {
    vec![
        col("#REPLICA_ID", |one| one.replica.id.0.into()),
        col("#TABLET_ID", |one| one.tablet.id.0.into()),
        col("TABLE_NAME", |one| name_of(one.moment.world(), one.tablet).into()),
        col("#BE_ID", |one| one.replica.node.0.into()),
        col("HOST", |one| or_null(one.node().map(|node| node.host.as_str()))),
        col("#DISK_ID", |one| one.replica.disk.0.into()),
        col("#VERSION", |one| one.held().version.0.into()),
        col("#LAST_FAILED_VERSION", |one| or_null(one.held().failed.map(|version| version.0))),
        col("#LAST_SUCCESS_VERSION", |one| one.held().success.0.into()),
        col("STATE", |one| one.replica.state.as_str().into()),
        col("STATUS", |one| one.word().into()),
        col("IS_BAD", |one| one.replica.bad.is_some().into()),
        col("#SIZE", |one| or_null(one.seen().map(|seen| seen.size))),
        col("#FILES", |one| or_null(one.seen().map(|seen| seen.files))),
        col("VERIFIED_TIME", |one| {
            let verified = one.seen().and_then(|seen| seen.verified);
            or_null(verified.map(|at| time(one.moment.wall_at(at))))
        }),
        col("META_URL", |one| or_null(one.url())),
        col("REASON", |one| or_null(one.why())),
    ]
}

fn disks() -> Vec<Col<DiskInfo>> {
    vec![
        col("#DISK_ID", |disk| disk.id.0.into()),
        col("#BE_ID", |disk| disk.node.0.into()),
        col("HOST", |disk| disk.host.as_str().into()),
        col("PATH", |disk| disk.path.as_str().into()),
        col("MEDIUM", |disk| proc::medium(disk.medium).into()),
        col("STATE", |disk| match disk.state {
            DiskState::Online => "ONLINE".into(),
            DiskState::Suspect => "SUSPECT".into(),
            DiskState::Unavailable => "UNAVAILABLE".into(),
        }),
        col("#TOTAL", |disk| disk.total.into()),
        col("#USED", |disk| disk.used.into()),
        col("#AVAILABLE", |disk| disk.available.into()),
        col("%USED_PERCENT", |disk| disk.used_percent.into()),
        col("#REPLICA_NUM", |disk| disk.replicas.into()),
        col("#SLOTS_USED", |disk| disk.slots_used.into()),
        col("#SLOTS_TOTAL", |disk| disk.slots_total.into()),
        col("#BALANCE_SLOTS_USED", |disk| disk.balance_slots_used.into()),
        col("#BALANCE_SLOTS_TOTAL", |disk| disk.balance_slots_total.into()),
        col("#TRASH", |disk| disk.trash_bytes.into()),
        col("DRAIN", |disk| or_null(disk.drain.map(|state| state.as_str()))),
        col("CAUSE", |disk| or_null(disk.cause.as_deref())),
    ]
}

fn nodes() -> Vec<Col<NodeInfo>> {
    vec![
        col("#BE_ID", |node| node.id.0.into()),
        col("HOST", |node| node.host.as_str().into()),
        col("NAME", |node| node.name.as_str().into()),
        col("RACK", |node| node.rack.as_str().into()),
        col("TAG", |node| node.tag.as_str().into()),
        col("LIVENESS", |node| node.liveness.as_str().into()),
        col("#SILENT_MS", |node| or_null(node.silent_ms)),
        col("PEER", |node| node.peer.as_str().into()),
        col("HTTP", |node| node.http.as_str().into()),
        col("BUILD", |node| node.build.as_str().into()),
        col("#REPLICA_NUM", |node| node.replicas.into()),
        col("DRAIN", |node| or_null(node.drain.map(|state| state.as_str()))),
        col("MAINTENANCE_UNTIL", |node| or_null(node.maintenance_until.as_deref())),
    ]
}

/// Of tasks, whether they have ended or not.
fn task_columns() -> Vec<Col<TaskInfo>> {
    vec![
        col("#TASK_ID", |task| or_null(task.id.map(|id| id.0))),
        col("#TABLET_ID", |task| task.tablet.0.into()),
        col("TABLE_NAME", |task| task.table.as_str().into()),
        col("TYPE", |task| task.task_type.as_str().into()),
        col("KIND", |task| {
            or_null(task.kind.map(|kind| match kind {
                TaskKind::Clone => "CLONE",
                TaskKind::Delete => "DELETE",
                TaskKind::Migrate => "MIGRATE",
            }))
        }),
        col("STATUS", |task| task.status.as_str().into()),
        col("STATE", |task| match task.state {
            TaskState::Pending => "PENDING".into(),
            TaskState::Running => "RUNNING".into(),
            TaskState::Finished => "FINISHED".into(),
            TaskState::Cancelled => "CANCELLED".into(),
        }),
        col("PRIORITY", |task| task.priority.as_str().into()),
        col("#SRC_BE_ID", |task| or_null(task.src_node.map(|node| node.0))),
        col("#SRC_DISK_ID", |task| or_null(task.src_disk.map(|disk| disk.0))),
        col("#DEST_BE_ID", |task| or_null(task.dest_node.map(|node| node.0))),
        col("#DEST_DISK_ID", |task| or_null(task.dest_disk.map(|disk| disk.0))),
        col("#REPLICA_ID", |task| or_null(task.replica.map(|replica| replica.0))),
        col("#BYTES_DONE", |task| task.bytes_done.into()),
        col("#BYTES_TOTAL", |task| task.bytes_total.into()),
        col("#BYTES_PER_S", |task| task.bytes_per_s.into()),
        col("#AGE_MS", |task| task.age_ms.into()),
        col("REASON", |task| or_null(task.reason.as_ref().map(|reason| reason.code.as_str()))),
        col("DETAIL", |task| or_null(task.reason.as_ref().map(|reason| reason.detail.as_str()))),
    ]
}

fn tasks() -> Vec<Col<TaskInfo>> {
    let mut columns = task_columns();
    columns.push(col("#FAILURES", |task| task.failures.into()));
    columns
}

fn decisions() -> Vec<Col<TaskInfo>> {
    let mut columns = task_columns();
    columns.push(col("EVIDENCE", |task| {
        or_null(task.evidence.as_ref().and_then(|evidence| serde_json::to_string(evidence).ok()))
    }));
    columns.push(col("FINISH_TIME", |task| or_null(task.ended.as_deref())));
    columns
}

struct OneTable<'a> {
    db: &'a str,
    name: &'a str,
    /// None: it is one of these here.
    of: Option<(&'a Table, TableTally)>,
}

fn tables<'a>() -> Vec<Col<OneTable<'a>>> {
    vec![
        col("TABLE_SCHEMA", |one| one.db.into()),
        col("TABLE_NAME", |one| one.name.into()),
        col("TABLE_TYPE", |one| if one.of.is_some() { "BASE TABLE" } else { "SYSTEM VIEW" }.into()),
        col("#TABLE_ID", |one| or_null(one.of.map(|(table, _)| table.id.0))),
        col("#TABLET_NUM", |one| or_null(one.of.map(|(_, sums)| sums.tablets))),
        col("#DATA_SIZE", |one| or_null(one.of.map(|(_, sums)| sums.bytes))),
        // What clients that browse look at.
        col("TABLE_CATALOG", |_| "def".into()),
        col("ENGINE", |one| or_null(one.of.map(|_| ENGINE))),
        col("#TABLE_ROWS", |one| or_null(one.of.map(|(_, sums)| sums.files))),
        col("#DATA_LENGTH", |one| or_null(one.of.map(|(_, sums)| sums.bytes))),
        col("CREATE_TIME", |_| Value::Null),
        col("TABLE_COLLATION", |_| COLLATION.into()),
        col("TABLE_COMMENT", |one| Kept::of(one.of.map_or("", |(table, _)| &table.columns)).shown_comment().into()),
    ]
}

fn schemata<'a>() -> Vec<Col<&'a str>> {
    vec![
        col("CATALOG_NAME", |_| "def".into()),
        col("SCHEMA_NAME", |name| (*name).into()),
        col("DEFAULT_CHARACTER_SET_NAME", |_| "utf8mb4".into()),
        col("DEFAULT_COLLATION_NAME", |_| COLLATION.into()),
        col("SQL_PATH", |_| Value::Null),
    ]
}

/// A column of one of these tables, or of one of files.
struct OneColumn<'a> {
    db: &'a str,
    table: &'a str,
    place: u64,
    field: Field,
}

fn columns_of_all<'a>() -> Vec<Col<OneColumn<'a>>> {
    vec![
        col("TABLE_CATALOG", |_| "def".into()),
        col("TABLE_SCHEMA", |one| one.db.into()),
        col("TABLE_NAME", |one| one.table.into()),
        col("COLUMN_NAME", |one| one.field.name.as_str().into()),
        col("#ORDINAL_POSITION", |one| one.place.into()),
        col("COLUMN_DEFAULT", |one| one.field.default()),
        col("IS_NULLABLE", |one| if one.field.is_null { "YES" } else { "NO" }.into()),
        col("DATA_TYPE", |one| one.field.bare_kind().into()),
        col("COLUMN_TYPE", |one| one.field.kind.as_str().into()),
        col("COLUMN_KEY", |one| if one.field.is_key { "PRI" } else { "" }.into()),
        col("EXTRA", |one| one.field.extra.as_str().into()),
        col("COLUMN_COMMENT", |one| one.field.comment.as_str().into()),
    ]
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
            for full in [false, true] {
                let described = describe(name, full, None).unwrap();
                let width = described.columns.len();
                let last: Vec<Value> = described.rows.map(|row| row.cell(width - 1)).collect();
                assert_eq!(last.len(), known.len(), "{name}");
            }
        }
        assert!(columns("no_such").is_none());
        assert_eq!(describe("NODES", false, Some("%ID")).unwrap().rows.count(), 1);
    }
}
