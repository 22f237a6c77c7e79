//! `stele plan list|show|apply|cancel`, and the wishes that only make a plan: what would move and what it costs, before
//! anything moves.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::http::Face;
use crate::span::{Span, owner};
use crate::watch::Watch;
use crate::{bar, shapes};
use clap::{Args, Subcommand};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use stele_common::api::{NewHost, PlanAsk, PlanInfo, PlanState, PlanWhat, Plans};

/// How often a plan is asked for while it is waited for.
const POLL: Duration = Duration::from_millis(300);

#[derive(Debug, Subcommand)]
pub enum PlanVerb {
    /// All plans, the newest first
    #[command(after_help = "Example:\n  stele plan list")]
    List(Watch),
    /// What a plan moves, what it costs, how far it is
    #[command(after_help = "Examples:\n  stele plan show 2001\n  stele plan show 2001 --moves")]
    Show {
        id: u64,
        /// Every move
        #[arg(long)]
        moves: bool,
        #[command(flatten)]
        watch: Watch,
    },
    /// Carry it out, unless the world has moved past it (exit code 2)
    #[command(after_help = "Examples:\n  stele plan apply 2001\n  stele plan apply 2001 --wait")]
    Apply(ApplyArgs),
    /// Begin nothing more of it; copies under way end as they would
    #[command(after_help = "Example:\n  stele plan cancel 2001")]
    Cancel { id: u64 },
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    id: u64,
    /// Follow it to its end
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this long
    #[arg(long, default_value = "1d", value_name = "SPAN", requires = "wait")]
    timeout: Span,
}

#[derive(Debug, Args)]
#[command(after_help = "Computes and keeps a plan; nothing moves before 'stele plan apply'.

Examples:
  stele balance plan
  stele balance plan --table d.t -o json
  stele balance plan --add-hosts hosts.toml

hosts.toml:
  [[host]]
  host = \"host-9\"
  disks = [{ medium = \"HDD\", total = 4000000000000 }]")]
pub struct BalancePlanArgs {
    /// Only this table moves, DB.TABLE; may be given often
    #[arg(long = "table", value_name = "DB.TABLE", conflicts_with = "add_hosts")]
    tables: Vec<String>,
    /// As if these hosts were there: a file of TOML or JSON, or - for standard input
    #[arg(long, value_name = "FILE")]
    add_hosts: Option<PathBuf>,
    /// Why; it is kept with the plan
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
}

/// The file of `--add-hosts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostsFile {
    #[serde(alias = "hosts")]
    host: Vec<NewHost>,
}

pub fn run(global: &Global, verb: &PlanVerb) -> Outcome {
    let face = global.face();
    match verb {
        PlanVerb::List(watch) => watch.show(global, |printer| printer.list(&face.get::<Plans>("/v1/plans", &[])?)),
        PlanVerb::Show { id, moves, watch } => {
            let path = format!("/v1/plans/{id}");
            watch.show(global, |printer| {
                printer.one(&face.get::<PlanInfo>(&path, &[])?, |plan| shapes::plan(plan, *moves))
            })
        }
        PlanVerb::Apply(args) => apply(global, &face, args),
        PlanVerb::Cancel { id } => {
            let plan: PlanInfo = face.post_empty(&format!("/v1/plans/{id}/cancel"), &[])?;
            global.printer().one(&plan, shapes::plan_line)?;
            Ok(Exit::Done)
        }
    }
}

/// `stele balance plan`.
pub fn balance(global: &Global, args: &BalancePlanArgs) -> Outcome {
    let what = match &args.add_hosts {
        Some(file) => PlanWhat::Hosts { hosts: hosts(file)? },
        None => PlanWhat::Balance { tables: args.tables.clone() },
    };
    make(global, what, &args.reason)
}

/// Has a plan made, and shows it.
pub fn make(global: &Global, what: PlanWhat, reason: &str) -> Outcome {
    let ask = PlanAsk { what, owner: owner(), reason: reason.to_string() };
    let plan: PlanInfo = global.face().post("/v1/plans", &ask)?;
    global.printer().one(&plan, |plan| shapes::plan(plan, false))?;
    Ok(Exit::Done)
}

fn hosts(file: &Path) -> Result<Vec<NewHost>, Failure> {
    let shown = file.display();
    let text = match file == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    let text = text.map_err(|error| Failure::error(format!("cannot read {shown}: {error}")))?;
    let wrong = |error: String| Failure::error(format!("{shown} is not a list of hosts: {error}"));
    let hosts = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => serde_json::from_value(json).map_err(|error| wrong(error.to_string()))?,
        Err(_) => toml::from_str::<HostsFile>(&text).map_err(|error| wrong(error.to_string()))?,
    };
    Ok(hosts.host)
}

fn apply(global: &Global, face: &Face, args: &ApplyArgs) -> Outcome {
    let printer = global.printer();
    let id = args.id;
    let mut plan: PlanInfo = face.post_empty(&format!("/v1/plans/{id}/apply"), &[])?;
    if args.wait {
        plan = wait(face, id, Instant::now() + Duration::from_millis(args.timeout.0))?;
    }
    printer.one(&plan, shapes::plan_line)?;
    match plan.state {
        PlanState::Ready | PlanState::Running | PlanState::Done => Ok(Exit::Done),
        PlanState::Cancelled | PlanState::Stopped => Ok(Exit::Refused),
    }
}

/// Follows a plan to its end. The bar never goes back.
pub fn wait(face: &Face, id: u64, deadline: Instant) -> Result<PlanInfo, Failure> {
    let progress = bar::count("plan", 0);
    let mut furthest = 0;
    loop {
        let plan: PlanInfo = face.get(&format!("/v1/plans/{id}"), &[])?;
        let so_far = plan.progress;
        furthest = furthest.max(so_far.done + so_far.otherwise);
        progress.set_length(plan.price.moves);
        progress.set_position(furthest);
        if plan.state.is_over() {
            progress.finish_and_clear();
            return Ok(plan);
        }
        if Instant::now() >= deadline {
            let left = so_far.left + so_far.running;
            return Err(Failure::timeout(format!("{left} moves of plan {id} are left"))
                .next(format!("it goes on; see 'stele plan show {id}'")));
        }
        std::thread::sleep(POLL);
    }
}
