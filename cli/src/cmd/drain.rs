//! `stele node drain|undrain`, `stele disk drain|undrain`: emptying nodes and disks, and following it.

use crate::exit::{Exit, Failure, Origin, Outcome};
use crate::flags::Global;
use crate::http::{Checked, Face};
use crate::span::{Span, owner};
use crate::{bar, shapes};
use clap::Args;
use std::time::{Duration, Instant};
use stele_common::api::{DrainAsk, DrainProgress, DrainState, Evacuation, PlanWhat, Undrained};
use stele_common::{DiskId, NodeId};

/// How often a drain is asked for while it is waited for.
const POLL: Duration = Duration::from_millis(300);
/// A coordinator may be away for as long as this before waiting is given up.
const AWAY_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(
    after_help = "Everything on the nodes is copied elsewhere and proven before it leaves them; nothing new goes there.
Refused with exit code 2, and every blocker named, when something would find no place.

Examples:
  stele node drain host-1
  stele node drain host-1 host-2 --wait
  stele node drain --rack r7 --check
  stele node drain host-1 --plan"
)]
pub struct DrainArgs {
    /// Ids, names or hosts
    #[arg(value_name = "NODE", required_unless_present = "rack")]
    nodes: Vec<String>,
    /// Every node of this rack
    #[arg(long)]
    rack: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
#[command(after_help = "Its replicas move to other disks of the host, or to other hosts.

Examples:
  stele disk drain 10002
  stele disk drain 10002 --wait")]
pub struct DiskDrainArgs {
    /// Disks, as 'stele disk list' shows them
    #[arg(value_name = "DISK", required = true)]
    disks: Vec<DiskId>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// Begin although something finds no place
    #[arg(long)]
    force: bool,
    /// Only say what would move and whether it fits
    #[arg(long, alias = "dry-run")]
    check: bool,
    /// Only make a plan of it: what moves where, and its price; 'stele plan apply' begins it
    #[arg(long, conflicts_with_all = ["force", "check", "wait"])]
    plan: bool,
    /// Follow it to its end
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this long
    #[arg(long, default_value = "1d", value_name = "SPAN", requires = "wait")]
    timeout: Span,
    /// Why; it is kept with the drain
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = "What has moved stays where it is.

Examples:
  stele node undrain host-1
  stele node undrain --rack r7")]
pub struct UndrainArgs {
    /// Ids, names or hosts
    #[arg(value_name = "NODE", required_unless_present = "rack")]
    nodes: Vec<String>,
    /// Every node of this rack
    #[arg(long)]
    rack: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stele disk undrain 10002")]
pub struct DiskUndrainArgs {
    /// Disks, as 'stele disk list' shows them
    #[arg(value_name = "DISK", required = true)]
    disks: Vec<DiskId>,
}

pub fn nodes(global: &Global, args: &DrainArgs) -> Outcome {
    let face = global.face();
    let ask = DrainAsk { nodes: ids(&face, &args.nodes)?, rack: args.rack.clone(), ..args.how.ask() };
    if args.how.plan {
        return planned(global, ask);
    }
    begin(global, &face, "/v1/nodes/drain", &ask, &args.how)
}

pub fn disks(global: &Global, args: &DiskDrainArgs) -> Outcome {
    let ask = DrainAsk { disks: args.disks.clone(), ..args.how.ask() };
    if args.how.plan {
        return planned(global, ask);
    }
    begin(global, &global.face(), "/v1/disks/drain", &ask, &args.how)
}

pub fn undrain_nodes(global: &Global, args: &UndrainArgs) -> Outcome {
    let face = global.face();
    let ask = DrainAsk { nodes: ids(&face, &args.nodes)?, rack: args.rack.clone(), ..DrainAsk::default() };
    taken_back(global, &face, "/v1/nodes/undrain", &ask)
}

pub fn undrain_disks(global: &Global, args: &DiskUndrainArgs) -> Outcome {
    let ask = DrainAsk { disks: args.disks.clone(), ..DrainAsk::default() };
    taken_back(global, &global.face(), "/v1/disks/undrain", &ask)
}

fn taken_back(global: &Global, face: &Face, path: &str, ask: &DrainAsk) -> Outcome {
    let answer: Undrained = face.post(path, ask)?;
    global.printer().one(&answer, |undrained| match undrained.nodes.len() + undrained.disks.len() {
        0 => "no drain was under way there; nothing has changed".to_string(),
        _ => "the drain is taken back; what has moved stays where it is".to_string(),
    })?;
    Ok(Exit::Done)
}

impl How {
    fn ask(&self) -> DrainAsk {
        let (force, check) = (self.force, self.check);
        DrainAsk { force, check, owner: owner(), reason: self.reason.clone(), ..DrainAsk::default() }
    }
}

fn planned(global: &Global, ask: DrainAsk) -> Outcome {
    let DrainAsk { nodes, rack, disks, reason, .. } = ask;
    super::plan::make(global, PlanWhat::Drain { nodes, rack, disks }, &reason)
}

/// The nodes that are meant by ids, names or hosts.
fn ids(face: &Face, names: &[String]) -> Result<Vec<NodeId>, Failure> {
    names.iter().map(|name| super::node::find(face, name)).collect()
}

fn begin(global: &Global, face: &Face, path: &str, ask: &DrainAsk, how: &How) -> Outcome {
    let printer = global.printer();
    let answer: Evacuation = match face.post_checked(path, ask)? {
        Checked::Done(answer) => answer,
        Checked::Refused(answer, failure) => {
            printer.one(&answer, shapes::evacuation)?;
            return Err(failure);
        }
    };
    if !how.wait || how.check {
        printer.one(&answer, shapes::evacuation)?;
        return Ok(Exit::Done);
    }
    if !printer.is_data() {
        printer.one(&answer, shapes::evacuation)?;
    }
    let nodes = answer.nodes.iter().map(|node| format!("/v1/nodes/{node}/drain"));
    let paths: Vec<String> = nodes.chain(answer.disks.iter().map(|disk| format!("/v1/disks/{disk}/drain"))).collect();
    let ended = wait(face, &paths, Instant::now() + Duration::from_millis(how.timeout.0))?;
    printer.one(&serde_json::json!({ "drains": ended }), |_| {
        ended.iter().map(shapes::drained).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}

/// Follows drains until all have ended. The bar never goes back.
pub fn wait(face: &Face, paths: &[String], deadline: Instant) -> Result<Vec<DrainProgress>, Failure> {
    let progress = bar::count("drain", 0);
    let (mut furthest, mut heard) = (0, Instant::now());
    loop {
        let asked: Result<Vec<DrainProgress>, Failure> = paths.iter().map(|path| face.get(path, &[])).collect();
        let drains = match asked {
            Ok(drains) => drains,
            // A coordinator that starts again goes on where it was.
            Err(failure) if failure.origin == Origin::Unreachable && heard.elapsed() < AWAY_MAX => {
                std::thread::sleep(POLL);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        heard = Instant::now();
        let sum = |of: fn(&DrainProgress) -> u64| drains.iter().map(of).sum::<u64>();
        furthest = sum(|drain| drain.tablets_moved).max(furthest);
        progress.set_length(sum(|drain| drain.tablets).max(furthest));
        progress.set_position(furthest);
        if drains.iter().all(|drain| drain.state == DrainState::Drained) {
            progress.finish_and_clear();
            return Ok(drains);
        }
        if Instant::now() >= deadline {
            let left = sum(|drain| drain.tablets_left);
            let why = drains.iter().flat_map(|drain| &drain.left).next().map(shapes::drain_item);
            return Err(Failure::timeout(format!("{left} tablets are left: {}", why.unwrap_or_default()))
                .next("it goes on; see 'stele node list'"));
        }
        std::thread::sleep(POLL);
    }
}
