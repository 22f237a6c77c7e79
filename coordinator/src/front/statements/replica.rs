//! The family of replicas: their status, and how they are spread over the backends.

use super::Moment;
use super::fault::Fault;
use super::format::{part, percent};
use super::rows::{Row, Table as Listed, Value, row};
use std::collections::BTreeMap;
use stele_common::{Liveness, NodeId, Version};
use stele_coordinator_rules::World;
use stele_coordinator_rules::checkup::{self, verdict};
use stele_coordinator_rules::world::{Partition, Replica, Table, Tablet};

/// The partitions that are named, or all.
pub fn partitions<'a>(table: &'a Table, names: &[String]) -> Result<Vec<&'a Partition>, Fault> {
    let find = |name: &String| {
        let found = table.partitions.iter().find(|partition| partition.name == *name);
        found.ok_or_else(|| Fault::not_found(format!("table '{}.{}' has no partition '{name}'", table.db, table.name)))
    };
    match names {
        [] => Ok(table.partitions.iter().collect()),
        names => names.iter().map(find).collect(),
    }
}

pub fn tablets<'a>(world: &'a World, partitions: Vec<&'a Partition>) -> impl Iterator<Item = &'a Tablet> {
    partitions.into_iter().flat_map(|partition| &partition.tablets).filter_map(|id| world.tablets.get(*id))
}

const STATUS: &[&str] = &[
    "TabletId",
    "ReplicaId",
    "BackendId",
    "Version",
    "LastFailedVersion",
    "LastSuccessVersion",
    "CommittedVersion",
    "SchemaHash",
    "VersionNum",
    "IsBad",
    "State",
    "Status",
    "Reason",
];

/// ADMIN SHOW REPLICA STATUS: a row a replica, and one for each that is missing.
pub fn status<'a>(moment: &'a Moment, table: &'a Table, names: &[String]) -> Result<Listed<'a>, Fault> {
    let tablets = tablets(moment.world(), partitions(table, names)?);
    Ok(Listed::new(STATUS, tablets.flat_map(|tablet| of_tablet(moment.world(), tablet))))
}

fn of_tablet(world: &World, tablet: &Tablet) -> Vec<Row> {
    let counts = checkup::count(world, tablet);
    let judged = tablet.replicas.iter().zip(&counts.judged);
    let mut rows: Vec<Row> = judged
        .map(|(replica, judged)| {
            let held = Held::of(tablet, replica);
            let why = judged.why.map(|flaw| verdict::flaw_text(flaw, replica)).unwrap_or_default();
            row![
                tablet.id.0,
                replica.id.0,
                replica.node.0,
                held.version.0,
                failed(held.failed),
                held.success.0,
                tablet.committed.0,
                -1i64,
                held.versions,
                replica.bad.is_some(),
                replica.state.as_str(),
                word(world, tablet, replica),
                why,
            ]
        })
        .collect();
    for _ in tablet.replicas.len()..tablet.wanted as usize {
        let (id, committed) = (tablet.id.0, tablet.committed.0);
        let na = Value::absent;
        rows.push(row![id, -1i64, -1i64, -1i64, -1i64, -1i64, committed, -1i64, -1i64, na(), na(), "MISSING", ""]);
    }
    rows
}

/// The originals' word on a replica, looked for in their order.
pub fn word(world: &World, tablet: &Tablet, replica: &Replica) -> &'static str {
    let is_alive = world.nodes.get(&replica.node).is_some_and(|node| node.liveness == Liveness::Alive);
    let held = Held::of(tablet, replica);
    if !is_alive {
        "DEAD"
    } else if replica.bad.is_some() {
        "BAD"
    } else if held.version < tablet.visible || held.failed.is_some() {
        "VERSION_ERROR"
    } else {
        "OK"
    }
}

/// Status filters may use the name that a healthy replica has in older clients' habits.
pub fn modern_status(value: &mut Value) {
    if matches!(value, Value::Text(text) if text.eq_ignore_ascii_case("NORMAL")) {
        *value = Value::text("OK");
    }
}

/// What a replica holds, by its agent's last word.
pub struct Held {
    pub version: Version,
    pub failed: Option<Version>,
    pub success: Version,
    /// Versions that are kept.
    pub versions: u64,
}

impl Held {
    pub fn of(tablet: &Tablet, replica: &Replica) -> Held {
        let seen = replica.seen.as_ref();
        let version = seen.map_or(replica.version, |seen| seen.version);
        let oldest = seen.map_or(version, |seen| seen.oldest);
        let kept = tablet.versions.iter().filter(|record| oldest <= record.version && record.version <= version);
        Held {
            version,
            failed: seen.and_then(|seen| seen.failed),
            success: seen.map_or(version, |seen| seen.version.max(seen.pending)),
            versions: kept.count() as u64,
        }
    }
}

pub fn failed(version: Option<Version>) -> Value {
    version.map_or(Value::Whole(-1), |version| Value::from(version.0))
}

const DISTRIBUTION: &[&str] = &["BackendId", "ReplicaNum", "Graph", "Percent"];

/// ADMIN SHOW REPLICA DISTRIBUTION: one `>` for each time that a backend holds the average.
pub fn distribution<'a>(moment: &'a Moment, table: &'a Table, names: &[String]) -> Result<Listed<'a>, Fault> {
    let world = moment.world();
    let mut counts: BTreeMap<NodeId, u64> = world.nodes.keys().map(|node| (*node, 0)).collect();
    for replica in tablets(world, partitions(table, names)?).flat_map(|tablet| &tablet.replicas) {
        *counts.entry(replica.node).or_default() += 1;
    }
    let total: u64 = counts.values().sum();
    let average = (total / counts.len().max(1) as u64).max(1);
    let rows = counts.iter().map(|(node, number)| {
        let graph = ">".repeat(usize::try_from(number / average).unwrap_or(0).min(100));
        row![node.0, *number, graph, percent(part(*number, total))]
    });
    Ok(Listed::of(DISTRIBUTION, rows.collect()))
}
