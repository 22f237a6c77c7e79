//! `stele pause`, `stele resume`: nothing new is begun somewhere, for a time.

use super::node;
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::names::TableName;
use crate::shapes;
use crate::span::{Span, owner};
use clap::Args;
use stele_common::DiskId;
use stele_common::api::{LeaseAsk, LeaseInfo, LeaseOn, Leases, PauseWhat};

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("scope"),
    after_help = "What runs goes on; deletions under way end safely or are undone. It ends by itself, or with 'stele resume ID'.
A pause of repair pauses balance there too. Where one copy of several is left, a table's tablet is repaired all the
same; only '--repair --all' holds that back as well.

Examples:
  stele pause --for 1h --reason 'busy hour'
  stele pause --node host-1 --for 30m
  stele pause --repair --table d.t --for 10m --reason 'reading it all'
  stele pause --repair --all --for 5m"
)]
pub struct PauseArgs {
    /// Copies that only make hosts even (the default)
    #[arg(long, conflicts_with = "repair")]
    balance: bool,
    /// Repairs, and balance with them; say where
    #[arg(long, requires = "scope")]
    repair: bool,
    /// Only what touches this node: id, name or host
    #[arg(long, group = "scope")]
    node: Option<String>,
    /// Only what touches this disk
    #[arg(long, group = "scope")]
    disk: Option<DiskId>,
    /// Only this table: [DB.]TABLE
    #[arg(long, group = "scope")]
    table: Option<TableName>,
    /// Everywhere (the default for balance)
    #[arg(long, group = "scope")]
    all: bool,
    /// How long it lasts, such as 90s, 30m, 4h
    #[arg(long = "for", value_name = "SPAN")]
    span: Span,
    /// Why; it is shown while it lasts
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stele resume 10042")]
pub struct ResumeArgs {
    /// Its number, as 'stele status' and 'stele pause' show it
    id: u64,
}

pub fn pause(global: &Global, args: &PauseArgs) -> Outcome {
    let face = global.face();
    let what = if args.repair { PauseWhat::Repair } else { PauseWhat::Balance };
    let node = match &args.node {
        Some(name) => Some(node::find(&face, name)?),
        None => None,
    };
    let table = args.table.as_ref().map(TableName::full);
    let on = LeaseOn::Pause { what, node, disk: args.disk, table };
    let ask = LeaseAsk { on, for_ms: args.span.0, owner: owner(), reason: args.reason.clone() };
    let lease: LeaseInfo = face.post("/v1/leases", &ask)?;
    global.printer().one(&lease, shapes::lease)?;
    Ok(Exit::Done)
}

pub fn resume(global: &Global, args: &ResumeArgs) -> Outcome {
    let face = global.face();
    let leases: Leases = face.get("/v1/leases", &[])?;
    let is_pause = |lease: &LeaseInfo| lease.id == args.id && matches!(lease.on, LeaseOn::Pause { .. });
    let Some(lease) = leases.leases.into_iter().find(is_pause) else {
        return Err(Failure::not_found(format!("there is no pause {}", args.id)).next("see 'stele status'"));
    };
    face.delete(&format!("/v1/leases/{}", lease.id))?;
    global.printer().one(&lease, |lease| format!("pause {} is over", lease.id))?;
    Ok(Exit::Done)
}
