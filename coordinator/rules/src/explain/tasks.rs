//! Tasks as people see them: pending, running, ended. Decides nothing.

use crate::schedule::queue::{After, Entry, Place};
use crate::schedule::{Desk, admit};
use crate::world::{Outcome, Past, Task, Work};
use crate::{Reason, World};
use stele_common::api::{QueueInfo, Sick, TaskInfo, TaskKind, TaskState};
use stele_common::{DiskId, Evidence, NodeId, ReplicaId, TabletId, TabletStatus, TaskType, Tick};

/// What stands in the queue, in the order in which it would be looked at.
pub fn pending_tasks<'a>(world: &'a World, desk: &'a Desk, at: Tick) -> impl Iterator<Item = TaskInfo> + 'a {
    desk.pending().map(move |entry| pending_task(world, entry, at))
}

/// What runs, by tablet.
pub fn running_tasks(world: &World, at: Tick) -> impl Iterator<Item = TaskInfo> + '_ {
    world.tasks.values().map(move |task| running_task(world, task, at))
}

/// What has ended, newest first. `age_ms` says how long ago.
pub fn history_tasks(world: &World, wall_ms: u64) -> impl Iterator<Item = TaskInfo> + '_ {
    world.history.iter().map(move |past| past_task(world, past, wall_ms))
}

/// The same of one tablet.
pub fn history_of(world: &World, tablet: TabletId, wall_ms: u64) -> impl Iterator<Item = TaskInfo> + '_ {
    world.history.of(tablet).map(move |past| past_task(world, past, wall_ms))
}

/// One entry of the queue.
pub fn pending_task(world: &World, entry: &Entry, at: Tick) -> TaskInfo {
    TaskInfo {
        queue: Some(queue_info(entry, at)),
        id: None,
        tablet: entry.tablet,
        table: table_of(world, entry.tablet),
        kind: kind_of(entry.verdict.status),
        task_type: TaskType::Repair,
        state: TaskState::Pending,
        status: entry.verdict.status,
        priority: entry.urgency.now,
        src_node: None,
        src_disk: None,
        dest_node: None,
        dest_disk: None,
        src_host: None,
        dest_host: None,
        replica: None,
        bytes_done: 0,
        bytes_total: 0,
        bytes_per_s: 0,
        age_ms: at.since(entry.queued),
        failures: entry.failures,
        timeout_ms: None,
        reason: waits(entry, at).as_ref().map(Reason::refusal),
        evidence: None,
        ended: None,
    }
}

/// How an entry has fared.
pub fn queue_info(entry: &Entry, at: Tick) -> QueueInfo {
    let ago = |tick: Tick| at.since(tick);
    QueueInfo {
        priority_begun: entry.urgency.begun,
        queued_ms: ago(entry.queued),
        visited_ms: (entry.visited > Tick(0)).then(|| ago(entry.visited)),
        scheduled_ms: entry.urgency.scheduled_at().map(ago),
        adjusted_ms: entry.urgency.stepped_at().map(ago),
        refusals: entry.refusals,
    }
}

/// Why an entry has not been done yet; one that waits for what may come back by itself was never refused.
fn waits(entry: &Entry, at: Tick) -> Option<Reason> {
    match &entry.place {
        Place::Later { until, after: After::Wait } => Some(admit::not_ready(until.since(at))),
        Place::Later { after: After::Refusal | After::Failure, .. }
        | Place::Ready
        | Place::Busy { .. }
        | Place::Away => entry.reason.clone(),
    }
}

/// One running task.
pub fn running_task(world: &World, task: &Task, at: Tick) -> TaskInfo {
    let ran = at.since(task.started.max(world.began));
    TaskInfo {
        state: TaskState::Running,
        age_ms: ran,
        bytes_per_s: rate(task.bytes_done, ran),
        ..task_info(world, task)
    }
}

fn past_task(world: &World, past: &Past, wall_ms: u64) -> TaskInfo {
    let (state, reason, evidence): (_, _, Option<Evidence>) = match &past.outcome {
        Outcome::Finished { evidence } => (TaskState::Finished, None, evidence.clone()),
        Outcome::Cancelled { cause } => (TaskState::Cancelled, Some(cause.refusal()), None),
    };
    TaskInfo {
        state,
        reason,
        evidence,
        age_ms: wall_ms.saturating_sub(past.end.wall_ms),
        bytes_done: past.end.bytes_done,
        bytes_total: past.end.bytes_total,
        bytes_per_s: rate(past.end.bytes_done, past.end.took_ms),
        ended: Some(rfc3339(past.end.wall_ms)),
        ..task_info(world, &past.task)
    }
}

/// The tablet that has waited in the queue for longest, running ones included.
pub fn oldest_sick(desk: &Desk, at: Tick) -> Option<Sick> {
    let oldest = desk.entries().min_by_key(|entry| (entry.queued, entry.tablet))?;
    Some(Sick {
        tablet: oldest.tablet,
        status: oldest.verdict.status,
        for_ms: at.since(oldest.queued),
        reason: waits(oldest, at).as_ref().map(Reason::refusal),
    })
}

struct Ends {
    kind: TaskKind,
    replica: ReplicaId,
    source: Option<(NodeId, DiskId)>,
    node: NodeId,
    disk: Option<DiskId>,
}

fn ends(world: &World, task: &Task) -> Ends {
    match &task.work {
        Work::Clone { replica, node, disk, source_node, source_disk, replaces, .. } => Ends {
            kind: if replaces.is_some() { TaskKind::Migrate } else { TaskKind::Clone },
            replica: *replica,
            source: Some((*source_node, *source_disk)),
            node: *node,
            disk: Some(*disk),
        },
        Work::Delete { replica, node, .. } => {
            let tablet = world.tablets.get(task.tablet);
            let victim = tablet.and_then(|tablet| tablet.replicas.iter().find(|known| known.id == *replica));
            let disk = victim.map(|victim| victim.disk);
            Ends { kind: TaskKind::Delete, replica: *replica, source: None, node: *node, disk }
        }
    }
}

fn task_info(world: &World, task: &Task) -> TaskInfo {
    let Ends { kind, replica, source, node, disk } = ends(world, task);
    TaskInfo {
        id: Some(task.id),
        tablet: task.tablet,
        table: table_of(world, task.tablet),
        kind: Some(kind),
        task_type: task.task_type,
        state: TaskState::Running,
        status: task.status,
        priority: task.priority,
        src_node: source.map(|(node, _)| node),
        src_disk: source.map(|(_, disk)| disk),
        dest_node: Some(node),
        dest_disk: disk,
        src_host: source.and_then(|(node, _)| host_of(world, node)),
        dest_host: host_of(world, node),
        replica: Some(replica),
        bytes_done: task.bytes_done,
        bytes_total: task.bytes_total,
        bytes_per_s: 0,
        age_ms: 0,
        failures: 0,
        timeout_ms: Some(task.timeout_ms),
        reason: None,
        evidence: None,
        ended: None,
        queue: None,
    }
}

fn host_of(world: &World, node: NodeId) -> Option<String> {
    world.nodes.get(&node).map(|node| node.host.clone())
}

/// What is done first about such a verdict.
pub fn kind_of(status: TabletStatus) -> Option<TaskKind> {
    match status {
        TabletStatus::ReplicaMissing
        | TabletStatus::NeedFurtherRepair
        | TabletStatus::VersionIncomplete
        | TabletStatus::ReplicaRelocating
        | TabletStatus::ReplicaMissingInCluster
        | TabletStatus::ColocateMismatch => Some(TaskKind::Clone),
        TabletStatus::DiskMigration => Some(TaskKind::Migrate),
        TabletStatus::Redundant | TabletStatus::ForceRedundant | TabletStatus::ColocateRedundant => {
            Some(TaskKind::Delete)
        }
        TabletStatus::Unrecoverable | TabletStatus::Healthy => None,
    }
}

fn table_of(world: &World, tablet: TabletId) -> String {
    let table = world.tablets.get(tablet).and_then(|tablet| world.tables.get(&tablet.table));
    table.map(|table| format!("{}.{}", table.db, table.name)).unwrap_or_default()
}

fn rate(bytes: u64, ms: u64) -> u64 {
    bytes.saturating_mul(1000) / ms.max(1)
}

/// Milliseconds since 1970 as RFC 3339 text in UTC.
fn rfc3339(wall_ms: u64) -> String {
    let (days, second) = (wall_ms / 86_400_000, wall_ms / 1000 % 86_400);
    // Days to a civil date, counted in eras of 400 years that begin on 1 March.
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    let (second, milli) = (second % 60, wall_ms % 1000);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    /// Known instants, leap days and the turn of centuries included.
    #[test]
    fn instants_as_text() {
        for (wall_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(super::rfc3339(wall_ms), text);
        }
    }
}
