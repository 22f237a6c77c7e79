//! The family of tasks: what waits to be repaired or balanced, what runs, what has ended. The originals' columns, and
//! behind them why, how long still, and what was decided.

use super::Moment;
use super::format::time;
use super::rows::{Row, Table, Value};
use stele_common::api::{TaskInfo, TaskKind, TaskState};
use stele_common::{Digest, TaskType, Version};
use stele_coordinator_rules::checkup::count::record_of;
use stele_coordinator_rules::explain;

pub const COLUMNS: &[&str] = &[
    "TabletId",
    "Type",
    "Status",
    "State",
    "OrigPrio",
    "DynmPrio",
    "SrcBe",
    "SrcPath",
    "DestBe",
    "DestPath",
    "Timeout",
    "Create",
    "LstSched",
    "LstVisit",
    "Finished",
    "Rate",
    "FailedSched",
    "FailedRunning",
    "LstAdjPrio",
    "VisibleVer",
    "VisibleVerHash",
    "CmtVer",
    "CmtVerHash",
    "ErrMsg",
    "Medium",
    "Reason",
    "EtaSec",
    "Decision",
];

/// Pending and running ones, as the scheduler tells them.
pub fn open<'a>(moment: &'a Moment, tasks: Vec<TaskInfo>) -> Table<'a> {
    Table::new(COLUMNS, tasks.into_iter().map(|task| one(moment, &task, Times::of(moment, &task))))
}

/// Ended ones, the newest first.
pub fn history<'a>(moment: &'a Moment) -> Table<'a> {
    let world = moment.world();
    let told = explain::history_tasks(world, moment.wall_ms).zip(world.history.iter());
    Table::new(
        COLUMNS,
        told.map(|(task, past)| {
            let ended = past.end.wall_ms;
            let began = ended.saturating_sub(past.end.took_ms);
            let known = |wall_ms| if ended == 0 { Value::absent() } else { time(wall_ms) };
            let times = Times {
                created: known(began),
                scheduled: known(began),
                visited: known(ended),
                ended: known(ended),
                adjusted: Value::absent(),
            };
            one(moment, &task, times)
        }),
    )
}

struct Times {
    created: Value,
    scheduled: Value,
    visited: Value,
    ended: Value,
    adjusted: Value,
}

impl Times {
    fn of(moment: &Moment, task: &TaskInfo) -> Times {
        let ago = |ms: u64| time(moment.wall_ms.saturating_sub(ms));
        let of = |ms: Option<u64>| ms.map_or_else(Value::absent, ago);
        let queue = task.queue.as_ref();
        let began = ago(task.age_ms);
        let is_running = task.state == TaskState::Running;
        Times {
            created: queue.map_or_else(|| began.clone(), |queue| ago(queue.queued_ms)),
            scheduled: if is_running { began } else { of(queue.and_then(|queue| queue.scheduled_ms)) },
            visited: of(queue.and_then(|queue| queue.visited_ms)),
            ended: Value::absent(),
            adjusted: of(queue.and_then(|queue| queue.adjusted_ms)),
        }
    }
}

fn one(moment: &Moment, task: &TaskInfo, times: Times) -> Row {
    let tablet = moment.world().tablets.get(task.tablet);
    let hash = |version: Version| {
        let record = tablet.and_then(|tablet| record_of(tablet, version));
        Value::text(record.map_or(Digest::ZERO, |record| record.hash).to_string())
    };
    let version = |of: Option<Version>| match of {
        Some(Version::EMPTY) => (Value::Whole(0), Value::Whole(0)),
        Some(version) => (version.0.into(), hash(version)),
        None => (Value::Whole(-1), Value::Whole(-1)),
    };
    let (visible, visible_hash) = version(tablet.map(|tablet| tablet.visible));
    let (committed, committed_hash) = version(tablet.map(|tablet| tablet.committed));
    let id = |id: Option<u64>| id.map_or(Value::Whole(-1), Value::from);
    let queue = task.queue.as_ref();
    let reason = task.reason.as_ref();
    let medium = tablet.map_or_else(Value::absent, |tablet| super::proc::medium(tablet.medium).into());
    row_of([
        task.tablet.0.into(),
        task.task_type.as_str().into(),
        task.status.as_str().into(),
        state(task).into(),
        queue.map_or(task.priority, |queue| queue.priority_begun).as_str().into(),
        task.priority.as_str().into(),
        id(task.src_node.map(|node| node.0)),
        id(task.src_disk.map(|disk| disk.0)),
        id(task.dest_node.map(|node| node.0)),
        id(task.dest_disk.map(|disk| disk.0)),
        (task.timeout_ms.unwrap_or(0) / 1000).into(),
        times.created,
        times.scheduled,
        times.visited,
        times.ended,
        rate(task),
        queue.map_or(0, |queue| queue.refusals).into(),
        task.failures.into(),
        times.adjusted,
        visible,
        visible_hash,
        committed,
        committed_hash,
        reason.map(|reason| reason.detail.clone()).unwrap_or_default().into(),
        medium,
        reason.map(|reason| reason.code.clone()).unwrap_or_default().into(),
        eta(task),
        decision(task).into(),
    ])
}

fn row_of<const N: usize>(values: [Value; N]) -> Row {
    values.into()
}

/// A copy that took too long has a state of its own in the originals.
fn state(task: &TaskInfo) -> &'static str {
    match task.state {
        TaskState::Pending => "PENDING",
        TaskState::Running => "RUNNING",
        TaskState::Finished => "FINISHED",
        TaskState::Cancelled => match task.reason.as_ref().map(|reason| reason.code.as_str()) {
            Some("timed_out" | "stalled" | "evidence_timed_out") => "TIMEOUT",
            Some(_) | None => "CANCELLED",
        },
    }
}

/// MB/s.
fn rate(task: &TaskInfo) -> Value {
    match (task.kind, task.bytes_per_s) {
        (Some(TaskKind::Clone | TaskKind::Migrate), 1..) => {
            Value::Text(format!("{:.2}", task.bytes_per_s as f64 / f64::from(1 << 20)))
        }
        (Some(TaskKind::Clone | TaskKind::Migrate | TaskKind::Delete) | None, _) => Value::absent(),
    }
}

fn eta(task: &TaskInfo) -> Value {
    let left = task.bytes_total.saturating_sub(task.bytes_done);
    match (task.state, left.checked_div(task.bytes_per_s)) {
        (TaskState::Running, Some(seconds)) if task.bytes_total > 0 => seconds.into(),
        _ => Value::absent(),
    }
}

fn decision(task: &TaskInfo) -> String {
    let on = |node: Option<stele_common::NodeId>| node.map_or_else(|| "?".to_string(), |node| node.to_string());
    match (task.kind, task.id) {
        (Some(TaskKind::Clone), Some(_)) => format!("CLONE {} -> {}", on(task.src_node), on(task.dest_node)),
        (Some(TaskKind::Migrate), Some(_)) if task.task_type == TaskType::Balance => {
            format!("MOVE {} -> {}", on(task.src_node), on(task.dest_node))
        }
        (Some(TaskKind::Migrate), Some(_)) => format!("MIGRATE {} -> {}", on(task.src_node), on(task.dest_node)),
        (Some(TaskKind::Delete), Some(_)) => format!("DELETE on {}", on(task.dest_node)),
        (Some(TaskKind::Clone), None) => "will be copied".into(),
        (Some(TaskKind::Migrate), None) => "will be moved".into(),
        (Some(TaskKind::Delete), None) => "one replica will leave".into(),
        (None, _) => "nothing can be done".into(),
    }
}
