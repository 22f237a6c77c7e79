//! How balance reads on a terminal.

use super::{Rows, place, refusal, render};
use crate::table::{pairs, size};
use stele_common::api::*;

struct Media<'a>(&'a [MediumSpread]);

rows!(
    Media<'_>,
    "no disk takes part",
    ["MEDIUM", ">DISKS", ">FULLEST", ">EMPTIEST", ">SPREAD", ">BEGINS AT", ">STDDEV"],
    0,
    |spread| [
        super::upper(&spread.medium),
        spread.disks.to_string(),
        percent(spread.used_percent_max),
        percent(spread.used_percent_min),
        percent(spread.used_percent_max - spread.used_percent_min),
        percent(spread.threshold),
        percent(spread.used_percent_stddev),
    ]
);

struct Scores<'a>(&'a [NodeBalance]);

rows!(
    Scores<'_>,
    "no node has a disk",
    ["NODE", "HOST", "MEDIUM", ">USED", ">REPLICAS", ">SCORE", "CLASS"],
    0,
    |node| [
        node.id.to_string(),
        node.host.clone(),
        super::upper(&node.medium),
        percent(node.used_percent),
        node.replica_num.to_string(),
        format!("{:.3}", node.score),
        node.class.clone(),
    ]
);

struct Moves<'a>(&'a [MoveInfo]);

rows!(Moves<'_>, "nothing", ["TABLET", "?TABLE", "??REPLICA", "FROM", "TO", ">BYTES", "EVENS"], 0, |mv| [
    mv.tablet.to_string(),
    mv.table.clone(),
    mv.replica.to_string(),
    place(None, Some(mv.from_node), Some(mv.from_disk)),
    place(None, Some(mv.to_node), Some(mv.to_disk)),
    size(mv.bytes),
    mv.why.clone(),
]);

struct Groups<'a>(&'a [GroupBalance]);

rows!(Groups<'_>, "no group", ["GROUP", "STABLE", "EVENNESS"], 0, |group| [
    group.group.clone(),
    super::yes_no(group.stable),
    group.idle.as_ref().map_or("its sequence is about to change".to_string(), |idle| idle.detail.clone()),
]);

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

const LOOKING: &str = "the planner is still looking; ask again";

/// `stele balance status`.
pub fn balance(status: &BalanceStatus) -> String {
    let done = &status.done;
    let failed = if done.failed == 0 { String::new() } else { format!(", {} given up", done.failed) };
    let mut text = pairs(&[
        ("balance", now(status.idle.as_ref(), status.running, status.waiting)),
        ("done", format!("{} moves, {}{failed}", done.moves, size(done.bytes))),
        ("to do", if status.is_looking { LOOKING.into() } else { to_do(&status.operations) }),
        (
            "primaries",
            match &status.primaries {
                None if status.is_looking => LOOKING.into(),
                None => "change places".into(),
                Some(why) => why.detail.clone(),
            },
        ),
    ]);
    text += &format!("\n{}\n{}", render(&Media(&status.media)), render(&Scores(&status.nodes)));
    text += &match &status.next_none {
        None if status.is_looking => format!("\nnext: {LOOKING}\n"),
        Some(none) => format!("\nnext: {}\n", refusal(none)),
        None if status.next.is_empty() => {
            format!(
                "\nnext: {} primaries change hands, which moves no bytes; then copies\n",
                status.operations.move_pri
            )
        }
        None => format!("\nnext:\n{}", render(&Moves(&status.next))),
    };
    if !status.groups.is_empty() {
        text += &format!("\n{}", render(&Groups(&status.groups)));
    }
    text
}

fn to_do(operations: &BalanceOperations) -> String {
    let BalanceOperations { move_pri, copy_pri, copy_sec, total } = operations;
    format!("{total}: move_pri {move_pri}, copy_pri {copy_pri}, copy_sec {copy_sec}")
}

/// One line: what moves, or why nothing does.
pub fn line(line: &BalanceLine) -> String {
    now(line.idle.as_ref(), line.running, line.waiting)
}

fn now(idle: Option<&Refusal>, running: u64, waiting: u64) -> String {
    match idle {
        Some(reason) => format!("idle: {}", reason.detail),
        None if running + waiting == 0 => "looks again soon".into(),
        None => format!("{running} moves under way, {waiting} waiting"),
    }
}
