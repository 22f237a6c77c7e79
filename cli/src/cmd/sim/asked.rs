//! `stele sim check|score|schedule FILE`: the coordinator's own rules, asked about a world file. Exit code 0 whatever
//! they say; 1 when the file cannot be read.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::table::{self, Rows, render};
use crate::world;
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use stele_common::TabletStatus;
use stele_coordinator_rules::worldfile::answers::{self, Check, CheckedTablet, Scheduled, Scored};
use stele_coordinator_rules::worldfile::format::Id;

#[derive(Debug, Args)]
#[command(after_help = "The table shows what is not HEALTHY, -o json every tablet.

Examples:
  stele sim check world.json.zst
  stele sim check - -o json < world.json")]
pub struct CheckArgs {
    /// World file (JSON, or zstd of it); - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stele sim score world.json.zst -o json")]
pub struct ScoreArgs {
    /// World file (JSON, or zstd of it); - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stele sim schedule world.json.zst -o json")]
pub struct ScheduleArgs {
    /// World file (JSON, or zstd of it); - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn check(global: &Global, args: &CheckArgs) -> Outcome {
    let reading = world::read(&args.file)?;
    global.printer().one(&Check(&reading), checked)?;
    Ok(Exit::Done)
}

/// Those that are ill, and how many there are of each verdict.
fn checked(check: &Check) -> String {
    let mut by_status: BTreeMap<TabletStatus, u64> = BTreeMap::new();
    let mut ill = Vec::new();
    for tablet in check.tablets() {
        *by_status.entry(tablet.status).or_default() += 1;
        if tablet.status != TabletStatus::Healthy {
            ill.push(tablet);
        }
    }
    let sums: Vec<String> = by_status.iter().map(|(status, tablets)| format!("{tablets} {status}")).collect();
    match (sums.is_empty(), ill.is_empty()) {
        (true, _) => "no tablets".to_string(),
        (false, true) => sums.join(", "),
        (false, false) => format!("{}\n\n{}", render(&Ill(ill)), sums.join(", ")),
    }
}

pub fn score(global: &Global, args: &ScoreArgs) -> Outcome {
    let reading = world::read(&args.file)?;
    global.printer().list(&Scores(answers::score(&reading)))?;
    Ok(Exit::Done)
}

pub fn schedule(global: &Global, args: &ScheduleArgs) -> Outcome {
    let reading = world::read(&args.file)?;
    global.printer().one(&answers::schedule(&reading), scheduled)?;
    Ok(Exit::Done)
}

fn scheduled(answer: &Scheduled) -> String {
    let tasks = render(&Tasks(&answer.tasks));
    match answer.refused.as_slice() {
        [] => tasks,
        refused => format!("{tasks}\n\n{}", render(&NotDone(refused))),
    }
}

struct Ill(Vec<CheckedTablet>);

impl Rows for Ill {
    fn columns(&self) -> Vec<&'static str> {
        vec![">TABLET", "STATUS", "PRIORITY", ">READY IN", "REASON"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |tablet: &CheckedTablet| {
            let ready = match (tablet.priority, tablet.ready_in_ms) {
                (None, _) => "-".to_string(),
                (Some(_), 0) => "now".to_string(),
                (Some(_), ms) => table::duration(ms),
            };
            let (id, status) = (tablet.id.to_string(), tablet.status.to_string());
            vec![id, status, table::or_dash(tablet.priority), ready, tablet.reason.clone()]
        };
        self.0.iter().map(row).collect()
    }

    fn empty(&self) -> &'static str {
        "all tablets are HEALTHY"
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Scores(Scored);

impl Rows for Scores {
    fn columns(&self) -> Vec<&'static str> {
        vec![">NODE", "MEDIUM", ">USED", ">REPLICAS", ">CAPACITY COEFF", ">REPLICA COEFF", ">SCORE", "CLASS"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let nodes = self.0.nodes.iter().map(|node| {
            vec![
                node.id.to_string(),
                format!("{:?}", node.medium).to_uppercase(),
                format!("{:.1} %", node.used_percent * 100.0),
                node.replica_num.to_string(),
                format!("{:.3}", node.capacity_coefficient),
                format!("{:.3}", node.replica_num_coefficient),
                format!("{:.4}", node.score),
                format!("{:?}", node.class).to_uppercase(),
            ]
        });
        nodes.collect()
    }

    fn empty(&self) -> &'static str {
        "no node has a disk"
    }
}

struct Tasks<'a>(&'a [answers::ScheduledTask]);

impl Rows for Tasks<'_> {
    fn columns(&self) -> Vec<&'static str> {
        vec![">TABLET", "KIND", "STATUS", "PRIORITY", ">REPLICA", "FROM", "TO", ">TIMEOUT"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let end = |node: Option<Id>, path: Option<Id>| match (node, path) {
            (Some(node), Some(path)) => format!("{node}/{path}"),
            _ => "-".to_string(),
        };
        let tasks = self.0.iter().map(|task| {
            vec![
                task.tablet.to_string(),
                format!("{:?}", task.kind).to_uppercase(),
                task.status.to_string(),
                task.priority.to_string(),
                task.replica.to_string(),
                end(task.src_node, task.src_path),
                end(task.dest_node, task.dest_path),
                format!("{} s", task.timeout_s),
            ]
        });
        tasks.collect()
    }

    fn empty(&self) -> &'static str {
        "nothing would be started"
    }
}

struct NotDone<'a>(&'a [answers::Refused]);

impl Rows for NotDone<'_> {
    fn columns(&self) -> Vec<&'static str> {
        vec![">TABLET", "REFUSED", "BECAUSE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let refused = self.0.iter();
        refused.map(|no| vec![no.tablet.to_string(), no.reason.to_string(), no.detail.clone()]).collect()
    }

    fn empty(&self) -> &'static str {
        "nothing was refused"
    }
}
