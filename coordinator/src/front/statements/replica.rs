//! The family of replicas: their status, and how they are spread over the backends.

use super::Moment;
use super::fault::Fault;
use super::format::{part, percent};
use super::rows::{Col, Table as Listed, Value, col, row};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use stele_common::{Liveness, NodeId, Version};
use stele_coordinator_rules::World;
use stele_coordinator_rules::checkup::{self, Counts, verdict};
use stele_coordinator_rules::world::{Node, Partition, Replica, SeenReplica, Table, Tablet};

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

/// One replica, with what is known of it. What needs all replicas of its tablet is reckoned once for all of them.
pub struct OneReplica<'a> {
    pub moment: &'a Moment,
    pub tablet: &'a Tablet,
    pub replica: &'a Replica,
    place: usize,
    counts: Rc<OnceCell<Counts>>,
}

/// All replicas of a tablet.
pub fn of_tablet<'a>(moment: &'a Moment, tablet: &'a Tablet) -> impl Iterator<Item = OneReplica<'a>> {
    let counts = Rc::new(OnceCell::new());
    let one = move |(place, replica)| OneReplica { moment, tablet, replica, place, counts: counts.clone() };
    tablet.replicas.iter().enumerate().map(one)
}

impl<'a> OneReplica<'a> {
    pub fn held(&self) -> Held {
        Held::of(self.tablet, self.replica)
    }

    pub fn seen(&self) -> Option<&'a SeenReplica> {
        self.replica.seen.as_ref()
    }

    pub fn node(&self) -> Option<&'a Node> {
        self.moment.world().nodes.get(&self.replica.node)
    }

    /// Why it does not count.
    pub fn why(&self) -> Option<String> {
        let counts = self.counts.get_or_init(|| checkup::count(self.moment.world(), self.tablet));
        counts.judged[self.place].why.map(|flaw| verdict::flaw_text(flaw, self.replica))
    }

    /// Its manifest, at its agent.
    pub fn url(&self) -> Option<String> {
        self.node().map(|node| format!("http://{}/v1/replicas/{}/manifest", node.http, self.replica.id))
    }

    /// The originals' word on it, looked for in their order.
    pub fn word(&self) -> &'static str {
        let held = self.held();
        if self.node().is_none_or(|node| node.liveness != Liveness::Alive) {
            "DEAD"
        } else if self.replica.bad.is_some() {
            "BAD"
        } else if held.version < self.tablet.visible || held.failed.is_some() {
            "VERSION_ERROR"
        } else {
            "OK"
        }
    }
}

/// A row of ADMIN SHOW REPLICA STATUS: `None` for a replica that is missing.
struct Line<'a> {
    tablet: &'a Tablet,
    there: Option<OneReplica<'a>>,
}

impl Line<'_> {
    fn or(&self, absent: impl Into<Value>, of: impl Fn(&OneReplica<'_>) -> Value) -> Value {
        self.there.as_ref().map_or_else(|| absent.into(), of)
    }
}

fn status_columns<'a>() -> Vec<Col<Line<'a>>> {
    vec![
        col("TabletId", |line| line.tablet.id.0.into()),
        col("ReplicaId", |line| line.or(-1i64, |one| one.replica.id.0.into())),
        col("BackendId", |line| line.or(-1i64, |one| one.replica.node.0.into())),
        col("Version", |line| line.or(-1i64, |one| one.held().version.0.into())),
        col("LastFailedVersion", |line| line.or(-1i64, |one| failed(one.held().failed))),
        col("LastSuccessVersion", |line| line.or(-1i64, |one| one.held().success.0.into())),
        col("CommittedVersion", |line| line.tablet.committed.0.into()),
        col("SchemaHash", |_| Value::Whole(-1)),
        col("VersionNum", |line| line.or(-1i64, |one| one.held().versions.into())),
        col("IsBad", |line| line.or(Value::absent(), |one| one.replica.bad.is_some().into())),
        col("State", |line| line.or(Value::absent(), |one| one.replica.state.as_str().into())),
        col("Status", |line| line.or("MISSING", |one| one.word().into())),
        col("Reason", |line| line.or("", |one| one.why().unwrap_or_default().into())),
    ]
}

/// ADMIN SHOW REPLICA STATUS: a row a replica, and one for each that is missing.
pub fn status<'a>(moment: &'a Moment, table: &'a Table, names: &[String]) -> Result<Listed<'a>, Fault> {
    let tablets = tablets(moment.world(), partitions(table, names)?);
    let lines = tablets.flat_map(|tablet| {
        let there = of_tablet(moment, tablet).map(move |one| Line { tablet, there: Some(one) });
        let missing = tablet.replicas.len()..tablet.wanted as usize;
        there.chain(missing.map(move |_| Line { tablet, there: None }))
    });
    Ok(Listed::lazy(status_columns(), lines))
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

/// ADMIN SHOW REPLICA DISTRIBUTION: one `>` for each full time that a backend holds the average.
pub fn distribution<'a>(moment: &'a Moment, table: &'a Table, names: &[String]) -> Result<Listed<'a>, Fault> {
    let world = moment.world();
    let mut counts: BTreeMap<NodeId, u64> = world.nodes.keys().map(|node| (*node, 0)).collect();
    for replica in tablets(world, partitions(table, names)?).flat_map(|tablet| &tablet.replicas) {
        *counts.entry(replica.node).or_default() += 1;
    }
    let total: u64 = counts.values().sum();
    let rows = counts.iter().map(|(node, number)| {
        let times = (number * counts.len() as u64).checked_div(total).unwrap_or(0);
        let graph = ">".repeat(usize::try_from(times).unwrap_or(0).min(100));
        row![node.0, *number, graph, percent(part(*number, total))]
    });
    Ok(Listed::of(DISTRIBUTION, rows.collect()))
}
