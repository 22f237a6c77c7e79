//! `stele node maintain`, `stele repair`: what holds for a time and ends by itself.

use super::node;
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::http::Face;
use crate::names::TableName;
use crate::shapes;
use crate::span::{Span, owner};
use clap::Args;
use stele_common::api::{LeaseAsk, LeaseInfo, LeaseOn, Leases};

#[derive(Debug, Args)]
#[command(
    after_help = "While it lasts, nothing is copied because the node is away, unless one copy is left. It ends by itself.

Examples:
  stele node maintain host-1 --for 30m --reason 'new kernel'
  stele node maintain host-1 --end"
)]
pub struct MaintainArgs {
    /// Id, name or host
    node: String,
    /// How long it lasts, such as 90s, 30m, 4h
    #[arg(long = "for", value_name = "SPAN", required_unless_present = "end", conflicts_with = "end")]
    span: Option<Span>,
    /// Why; it is shown while it lasts
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
    /// End it now
    #[arg(long)]
    end: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Sick tablets of the table or partition go before all others while it lasts.

Examples:
  stele repair d.t
  stele repair d.t/p0 --for 1h --reason 'release tonight'
  stele repair d.t --cancel")]
pub struct RepairArgs {
    /// [DB.]TABLE[/PARTITION]
    table: TableName,
    /// How long it lasts
    #[arg(long = "for", value_name = "SPAN", default_value = "4h")]
    span: Span,
    /// Why; it is shown while it lasts
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
    /// End it now
    #[arg(long)]
    cancel: bool,
}

pub fn maintain(global: &Global, args: &MaintainArgs) -> Outcome {
    let face = global.face();
    let on = LeaseOn::Maintenance { node: node::find(&face, &args.node)? };
    match args.span.filter(|_| !args.end) {
        Some(span) => grant(global, &face, on, span, &args.reason),
        None => end(global, &face, &on, &format!("node {} is not under maintenance", args.node)),
    }
}

pub fn repair(global: &Global, args: &RepairArgs) -> Outcome {
    let face = global.face();
    let on = LeaseOn::Urgent { table: args.table.full(), partition: args.table.partition.clone() };
    if args.cancel {
        return cancel_repair(global, &face, args);
    }
    grant(global, &face, on, args.span, &args.reason)
}

/// Of a whole table, what its partitions were asked for, too.
fn cancel_repair(global: &Global, face: &Face, args: &RepairArgs) -> Outcome {
    let (full, only) = (args.table.full(), args.table.partition.as_ref());
    let leases: Leases = face.get("/v1/leases", &[])?;
    let mut whole = false;
    let ended: Vec<LeaseInfo> = leases
        .leases
        .into_iter()
        .filter(|lease| match &lease.on {
            LeaseOn::Urgent { table, partition } if *table == full => {
                whole |= partition.is_none();
                only.is_none() || partition.as_ref() == only
            }
            LeaseOn::Urgent { .. }
            | LeaseOn::Maintenance { .. }
            | LeaseOn::UrgentTablet { .. }
            | LeaseOn::Pause { .. } => false,
        })
        .collect();
    if ended.is_empty() {
        let none = Failure::not_found(format!("nobody asked for {} to be repaired first", args.table));
        return Err(match whole {
            true => none.next(format!("all of {full} goes first: 'stele repair {full} --cancel' ends that")),
            false => none.next("see 'stele status'"),
        });
    }
    for lease in &ended {
        face.delete(&format!("/v1/leases/{}", lease.id))?;
    }
    let over = |leases: &Leases| {
        leases.leases.iter().map(|lease| format!("lease {} is over", lease.id)).collect::<Vec<_>>().join("\n")
    };
    global.printer().one(&Leases { leases: ended }, over)?;
    Ok(Exit::Done)
}

fn grant(global: &Global, face: &Face, on: LeaseOn, span: Span, reason: &str) -> Outcome {
    let ask = LeaseAsk { on, for_ms: span.0, owner: owner(), reason: reason.to_string() };
    let lease: LeaseInfo = face.post("/v1/leases", &ask)?;
    global.printer().one(&lease, shapes::lease)?;
    Ok(Exit::Done)
}

fn end(global: &Global, face: &Face, on: &LeaseOn, none: &str) -> Outcome {
    let leases: Leases = face.get("/v1/leases", &[])?;
    let Some(lease) = leases.leases.into_iter().find(|lease| lease.on == *on) else {
        return Err(Failure::not_found(none).next("see 'stele status'"));
    };
    face.delete(&format!("/v1/leases/{}", lease.id))?;
    global.printer().one(&lease, |lease| format!("lease {} is over", lease.id))?;
    Ok(Exit::Done)
}
