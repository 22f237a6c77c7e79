//! How plans read on a terminal: what is now, what would change, what is afterwards, what it costs (the order of
//! Garage's `layout show`).

use crate::table::{Rows, bad, duration, good, heading, or_dash, pairs, render, size};
use stele_common::api::*;

/// Disks and links on a terminal; JSON has all.
const SHOWN_MAX: usize = 20;

rows!(
    Plans,
    "no plan was made yet; make one with 'stele balance plan'",
    ["ID", "WHAT", "STATE", ">MOVES", ">BYTES", ">DONE", "?MADE", "+ENDED", "?BY", "+REASON", "+>ETA", "WHY"],
    plans,
    |plan| [
        plan.id.to_string(),
        plan.what.kind().to_string(),
        plan.state.as_str().to_string(),
        plan.price.moves.to_string(),
        size(plan.price.bytes),
        (plan.progress.done + plan.progress.otherwise).to_string(),
        plan.made.clone(),
        or_dash(plan.ended.as_ref()),
        plan.owner.clone(),
        plan.reason.clone(),
        format!("{} to {}", duration(plan.price.eta_s.0 * 1000), duration(plan.price.eta_s.1 * 1000)),
        or_dash(plan.why.as_ref().map(|why| why.code.clone())),
    ]
);

struct Disks<'a>(&'a [DiskBytes]);

rows!(
    Disks<'_>,
    "no disk gives or takes anything",
    ["?DISK", "HOST", "?MEDIUM", ">IN", ">OUT", ">USED", ">AFTER", "PATH"],
    0,
    |disk| [
        disk.disk.to_string(),
        disk.host.clone(),
        super::upper(&disk.medium),
        size(disk.bytes_in),
        size(disk.bytes_out),
        percent(disk.used_percent_before),
        percent(disk.used_percent_after),
        disk.path.clone(),
    ]
);

struct Links<'a>(&'a [LinkBytes]);

rows!(Links<'_>, "nothing goes from host to host", ["FROM", "TO", ">MOVES", ">BYTES"], 0, |link| [
    link.from_host.clone(),
    link.to_host.clone(),
    link.moves.to_string(),
    size(link.bytes),
]);

struct Nodes<'a>(&'a [NodeChange]);

rows!(
    Nodes<'_>,
    "there is no node",
    ["NODE", "HOST", "MEDIUM", ">SCORE", ">AFTER", ">REPLICAS", ">AFTER", ">USED", ">AFTER"],
    0,
    |node| [
        node.node.to_string(),
        node.host.clone(),
        super::upper(&node.medium),
        format!("{:.3}", node.score_before),
        format!("{:.3}", node.score_after),
        node.replicas_before.to_string(),
        node.replicas_after.to_string(),
        percent(node.used_percent_before),
        percent(node.used_percent_after),
    ]
);

struct Moves<'a>(&'a [PlanMove]);

rows!(
    Moves<'_>,
    "nothing moves",
    ["TABLET", "?TABLE", "FROM", "DISK", "TO", "DISK", ">BYTES", "?LEAVES", "STATE"],
    0,
    |step| [
        step.tablet.to_string(),
        step.table.clone(),
        step.from_host.clone(),
        step.from_disk.to_string(),
        step.to_host.clone(),
        step.to_disk.to_string(),
        size(step.bytes),
        super::yes_no(step.leaves),
        step.state.as_str().to_string(),
    ]
);

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// In one line: for what was applied or cancelled.
pub fn plan_line(plan: &PlanInfo) -> String {
    let so_far = plan.progress;
    let state = match plan.state {
        PlanState::Done => good(plan.state.as_str()),
        PlanState::Stopped => bad(plan.state.as_str()),
        PlanState::Ready | PlanState::Running | PlanState::Cancelled => plan.state.as_str().to_string(),
    };
    let why = plan.why.as_ref().map(|why| format!(": {}", why.detail)).unwrap_or_default();
    let elsewhere = if so_far.otherwise > 0 { format!(", {} otherwise", so_far.otherwise) } else { String::new() };
    let (id, all) = (plan.id, plan.price.moves);
    format!(
        "plan {id} {state}: {} of {all} moves done{elsewhere}, {} left{why}",
        so_far.done,
        so_far.left + so_far.running
    )
}

/// All of it.
pub fn plan(plan: &PlanInfo, with_moves: bool) -> String {
    let price = &plan.price;
    let mut text = format!("{}\n", plan_line(plan));
    text += &format!("\n{}\n{}\n", heading("now"), spreads(&price.before));
    text += &format!("\n{}\n{}", heading("changes"), first(&price.disks, |disks| render(&Disks(disks))));
    text += &format!("\n{}\n", first(&price.links, |links| render(&Links(links))));
    text += &format!(
        "\n{}\n{}\n{}\n",
        heading("afterwards"),
        spreads(&price.after),
        first(&price.nodes, |nodes| render(&Nodes(nodes)))
    );
    text += &format!("\n{}\n{}", heading("price"), cost(plan));
    if !price.blockers.is_empty() {
        text += &format!("\n{}", super::blockers(&price.blockers, price.blocked));
    }
    if with_moves {
        text += &format!("\n{}", render(&Moves(&plan.moves)));
    }
    text
}

fn first<T>(all: &[T], shown: impl Fn(&[T]) -> String) -> String {
    let rest = all.len().saturating_sub(SHOWN_MAX);
    let more = if rest > 0 { format!("\nand {rest} more: -o json has all") } else { String::new() };
    shown(&all[..all.len().min(SHOWN_MAX)]) + &more
}

fn spreads(spreads: &std::collections::BTreeMap<stele_common::Medium, Spread>) -> String {
    let line = |(medium, spread): (&stele_common::Medium, &Spread)| {
        let Spread { used_percent_max: max, used_percent_min: min, used_percent_stddev: deviation } = *spread;
        let skew = percent(max - min);
        let medium = super::upper(medium);
        format!("{medium}: {} to {} used, spread {skew}, deviation {}", percent(min), percent(max), percent(deviation))
    };
    spreads.iter().map(line).collect::<Vec<String>>().join("\n")
}

fn cost(plan: &PlanInfo) -> String {
    let price = &plan.price;
    let bound = price.bytes_lower_bound_fair.filter(|bound| *bound > 0).map(|bound| {
        let above = (price.bytes as f64 / bound as f64 - 1.0) * 100.0;
        let spread = size(price.bytes_lower_bound.unwrap_or(0));
        format!("{} to end as even ({spread} but for counts); this plan moves {above:.1} % more", size(bound))
    });
    let fullest =
        price.fullest.as_ref().map(|disk| format!("{}:{} at {:.1} %", disk.host, disk.path, disk.used_percent));
    let next = match (plan.state, &plan.what) {
        (PlanState::Ready, PlanWhat::Hosts { .. }) => "it can only be looked at: the hosts are not there".to_string(),
        (PlanState::Ready, _) => format!("stele plan apply {}", plan.id),
        (PlanState::Running, _) => format!("stele plan show {}", plan.id),
        (PlanState::Done | PlanState::Cancelled | PlanState::Stopped, _) => String::new(),
    };
    pairs(&[
        ("moves", format!("{}, {}", price.moves, size(price.bytes))),
        ("lower bound", bound.unwrap_or_default()),
        ("takes", format!("{} to {} s at the present limits", price.eta_s.0, price.eta_s.1)),
        (
            "fewest copies",
            price.copies_min.map(|copies| format!("{copies} complete while it runs")).unwrap_or_default(),
        ),
        ("fullest", fullest.map(|text| format!("{text} afterwards")).unwrap_or_default()),
        ("next", next),
    ])
}
