//! '/cluster_balance' beside its tasks: scores, slots, figures of the scheduler, what goes first. And
//! '/colocation_group'.

use super::fault::Fault;
use super::rows::{Row, Table, Value, row};
use super::{Engine, Moment, format, tasks};
use crate::actors::words::TaskFilter;
use crate::front::view::{self, balance::media, operate};
use stele_common::{DiskState, Liveness, Medium, NodeId, TabletStatus, TaskType};
use stele_coordinator_rules::balance::score::{Class, Score, scores};
use stele_coordinator_rules::schedule::slots::Ledger;
use stele_coordinator_rules::world::{LeaseScope, Outcome, Work};

/// `parts`: the path behind '/cluster_balance'; `Ok(None)`: there is nothing there.
pub async fn show<'a>(engine: &Engine, moment: &'a Moment, parts: &[&str]) -> Result<Option<Table<'a>>, Fault> {
    let world = moment.world();
    Ok(Some(match parts {
        [] => overview(engine, moment).await?,
        ["pending_tablets"] => tasks::open(moment, engine.ask.tasks(TaskFilter::Pending).await?),
        ["running_tablets"] => tasks::open(moment, engine.ask.tasks(TaskFilter::Running).await?),
        ["history_tablets"] => tasks::history(moment),
        ["working_slots"] => working_slots(moment),
        ["sched_stat"] => sched_stat(engine, moment).await?,
        ["priority_repair"] => Table::of(&["Database", "Table", "Partition", "RemainingTimeMs"], urgent(moment)),
        ["cluster_load_stat"] => load_stat_media(moment),
        ["cluster_load_stat", medium] => match medium_of(medium) {
            Some(medium) => load_stat(moment, medium),
            None => return Ok(None),
        },
        ["cluster_load_stat", medium, node] => match (medium_of(medium), node.parse().map(NodeId)) {
            (Some(medium), Ok(node)) if world.nodes.contains_key(&node) => load_stat_disks(moment, medium, node),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

async fn overview<'a>(engine: &Engine, moment: &Moment) -> Result<Table<'a>, Fault> {
    let world = moment.world();
    let pending = engine.ask.pending().await?.tasks;
    let rows = vec![
        row!["cluster_load_stat", media(world, moment.at).len()],
        row!["working_slots", view::in_use(world).count()],
        row!["sched_stat", 1u64],
        row!["priority_repair", urgent(moment).len()],
        row!["pending_tablets", pending],
        row!["running_tablets", world.tasks.len()],
        row!["history_tablets", world.history.len()],
    ];
    Ok(Table::of(&["Item", "Number"], rows))
}

fn medium_of(text: &str) -> Option<Medium> {
    [Medium::Hdd, Medium::Ssd].into_iter().find(|medium| super::proc::medium(*medium).eq_ignore_ascii_case(text))
}

fn load_stat_media<'a>(moment: &Moment) -> Table<'a> {
    let names = &["StorageMedium", "Disks", "UsedPctMax", "UsedPctMin", "UsedPctStddev"];
    let rows = media(moment.world(), moment.at).into_iter().map(|of| {
        row![
            super::proc::medium(of.medium),
            of.disks,
            format::percent(of.used_percent_max),
            format::percent(of.used_percent_min),
            format::percent(of.used_percent_stddev),
        ]
    });
    Table::of(names, rows.collect())
}

const LOAD: &[&str] = &[
    "BeId",
    "Cluster",
    "Available",
    "UsedCapacity",
    "Capacity",
    "UsedPercent",
    "ReplicaNum",
    "CapCoeff",
    "ReplCoeff",
    "Score",
    "Class",
    "Host",
];

fn load_stat<'a>(moment: &Moment, medium: Medium) -> Table<'a> {
    let rows = scores(moment.world()).into_iter().filter(|score| score.medium == medium);
    Table::of(LOAD, rows.map(|score| one_score(moment, &score)).collect())
}

fn one_score(moment: &Moment, score: &Score) -> Row {
    let world = moment.world();
    let online = view::in_use(world)
        .filter(|disk| disk.node == score.node && disk.medium == score.medium && disk.state == DiskState::Online);
    let (used, total) =
        online.fold((0u64, 0u64), |(used, total), disk| (used + disk.space.used, total + disk.space.total));
    let node = world.nodes.get(&score.node);
    let exact = |number: f64| Value::Text(format!("{number:.3}"));
    row![
        score.node.0,
        node.map(|node| node.tag.clone()).unwrap_or_default(),
        node.is_some_and(|node| node.liveness == Liveness::Alive),
        used,
        total,
        exact(score.used_percent * 100.0),
        score.replica_num,
        exact(score.capacity_coefficient),
        exact(score.replica_num_coefficient),
        exact(score.score),
        match score.class {
            Class::Low => "LOW",
            Class::Mid => "MID",
            Class::High => "HIGH",
        },
        node.map(|node| node.host.clone()).unwrap_or_default(),
    ]
}

fn load_stat_disks<'a>(moment: &Moment, medium: Medium, node: NodeId) -> Table<'a> {
    let names = &["PathHash", "Path", "StorageMedium", "Used", "Total", "UsedPct", "State"];
    let disks = view::in_use(moment.world()).filter(|disk| disk.node == node && disk.medium == medium);
    let rows = disks.map(|disk| {
        let state = match disk.state {
            DiskState::Online => "ONLINE",
            DiskState::Suspect => "SUSPECT",
            DiskState::Unavailable => "OFFLINE",
        };
        let used = format::percent(disk.space.used_fraction());
        row![disk.id.0, disk.path.as_str(), super::proc::medium(medium), disk.space.used, disk.space.total, used, state]
    });
    Table::of(names, rows.collect())
}

const SLOTS: &[&str] = &["BeId", "PathHash", "AvailSlots", "TotalSlots", "BalanceSlot", "AvgRate", "BalanceSlotTotal"];

fn working_slots<'a>(moment: &Moment) -> Table<'a> {
    let world = moment.world();
    let ledger = Ledger::of(world, std::iter::empty());
    let rows = view::in_use(world).map(|disk| {
        let copies = world.tasks.values().filter(|task| match &task.work {
            Work::Clone { disk: to, source_disk, .. } => *to == disk.id || *source_disk == disk.id,
            Work::Delete { .. } => false,
        });
        let rates: Vec<u64> =
            copies.map(|task| task.bytes_done * 1000 / moment.at.since(task.started.max(world.began)).max(1)).collect();
        let sum: u64 = rates.iter().sum();
        let average = match sum.checked_div(rates.len() as u64) {
            Some(average) => Value::Text(format!("{:.2}", average as f64 / f64::from(1 << 20))),
            None => Value::absent(),
        };
        let (free, limit) = (|of| ledger.free(disk.id, of), |of| ledger.limit(of));
        let (repair, balance) = (TaskType::Repair, TaskType::Balance);
        row![disk.node.0, disk.id.0, free(repair), limit(repair), free(balance), average, limit(balance)]
    });
    Table::of(SLOTS, rows.collect())
}

async fn sched_stat<'a>(engine: &Engine, moment: &Moment) -> Result<Table<'a>, Fault> {
    let (world, balance, pending) = (moment.world(), engine.ask.balance().await?, engine.ask.pending().await?);
    let finished = world.history.iter().filter(|past| matches!(past.outcome, Outcome::Finished { .. })).count();
    let mut rows = vec![
        row!["num of tablet checked", world.tablets.len()],
        row!["num of tablet pending", pending.tasks],
        row!["num of tablet running", world.tasks.len()],
        row!["num of task succeeded, of those remembered", finished],
        row!["num of task failed, of those remembered", world.history.len() - finished],
        row!["num of balance move running", balance.running],
        row!["num of balance move succeeded", balance.done.moves],
        row!["num of balance move failed", balance.done.failed],
        row!["bytes of balance move succeeded", balance.done.bytes],
    ];
    rows.extend(TabletStatus::ALL.into_iter().map(|status| {
        let tablets = moment.tally().verdicts.get(&status).copied().unwrap_or(0);
        row![format!("num of tablet {}", status.as_str()), tablets]
    }));
    let oldest = pending.oldest.map_or_else(Value::absent, |sick| sick.tablet.0.into());
    rows.push(row!["tablet that has waited longest", oldest]);
    Ok(Table::of(&["Item", "Value"], rows))
}

/// What was asked to go first: a row a partition.
fn urgent(moment: &Moment) -> Vec<Row> {
    let world = moment.world();
    let in_force = world.leases.values().filter(|lease| !lease.is_over(moment.at));
    let mut rows = Vec::new();
    for lease in in_force {
        let LeaseScope::Urgent { table, partition } = &lease.scope else { continue };
        let Some(table) = world.tables.get(table) else { continue };
        let left = lease.until.map_or(Value::Whole(-1), |until| until.since(moment.at).into());
        let parts = table.partitions.iter().filter(|part| partition.is_none_or(|id| id == part.id));
        rows.extend(parts.map(|part| row![table.db.as_str(), table.name.as_str(), part.name.as_str(), left.clone()]));
    }
    rows
}

const GROUPS: &[&str] =
    &["GroupId", "GroupName", "TableIds", "BucketsNum", "ReplicationNum", "DistCols", "IsStable", "TableNames"];

/// '/colocation_group'; a group's id is its name.
pub fn groups<'a>(moment: &Moment) -> Table<'a> {
    let world = moment.world();
    let rows = world.groups.values().map(|group| {
        let shown = operate::group(world, group, moment.at);
        let tables = world.tables.values().filter(|table| table.group.as_deref() == Some(&group.name));
        let ids: Vec<String> = tables.map(|table| table.id.to_string()).collect();
        let (name, stable) = (group.name.as_str(), shown.stable);
        row![name, name, ids.join(", "), shown.buckets, shown.replication, "path", stable, shown.tables.join(", ")]
    });
    Table::of(GROUPS, rows.collect())
}

/// '/colocation_group/ID'.
pub fn group<'a>(moment: &Moment, name: &str) -> Option<Table<'a>> {
    let group = moment.world().groups.get(name)?;
    let rows = group.buckets.iter().enumerate().map(|(bucket, nodes)| {
        let nodes: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
        row![bucket, nodes.join(", ")]
    });
    Some(Table::of(&["BucketIndex", "BackendIds"], rows.collect()))
}
