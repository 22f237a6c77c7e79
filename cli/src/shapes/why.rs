//! How explanations read on a terminal: of a tablet, of a node.

use super::{Rows, heading, refusal, render, size, tablet};
use crate::table::{bad, duration, good, pairs};
use stele_common::api::*;

struct Candidates<'a>(&'a [Candidate]);

rows!(
    Candidates<'_>,
    "no disk",
    ["DISK", "HOST", "?RACK", "?MEDIUM", "?>USED", ">SCORE", "SPACE", "SLOT", "RESULT"],
    0,
    |candidate| [
        candidate.disk.to_string(),
        candidate.host.clone(),
        candidate.rack.clone(),
        if candidate.right_medium { "right".into() } else { "other".into() },
        format!("{:.1} %", candidate.used_percent),
        candidate.score.map_or_else(|| "-".to_string(), |score| format!("{score:.3}")),
        rule(candidate, "space"),
        rule(candidate, "slot"),
        candidate.refused.as_ref().map_or_else(|| "may be chosen".to_string(), refusal),
    ]
);

/// `ok`, or the rule's code, and its numbers are in the JSON.
fn rule(candidate: &Candidate, name: &str) -> String {
    let rule = candidate.rules.iter().find(|rule| rule.rule == name);
    rule.map_or_else(String::new, |rule| rule.code.clone().unwrap_or_else(|| "ok".into()))
}

fn next_try(ms: u64) -> String {
    if ms == 0 { "at the next round".into() } else { format!("in {}", duration(ms)) }
}

pub fn explanation(why: &Explanation) -> String {
    let mut text = tablet(&why.tablet);
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text += &format!("\n\n{}\n  {}", heading(title), lines.join("\n  ").trim_end());
        }
    };
    section("because", why.because.clone());
    section(
        "task",
        why.task
            .iter()
            .map(|task| render(&Tasks { tasks: vec![task.clone()], next: None }).replace('\n', "\n  "))
            .collect(),
    );
    section("waits for", why.waits_for.iter().map(refusal).collect());
    section("next try", why.next_attempt_ms.iter().map(|ms| next_try(*ms)).collect());
    section("allowed if", why.allowed_if.clone());
    if !why.slots_in_the_way.is_empty() {
        let tasks = render(&Tasks { tasks: why.slots_in_the_way.clone(), next: None });
        section("slots are held by", vec![tasks.replace('\n', "\n  ")]);
    }
    if !why.candidates.is_empty() {
        section("destinations", vec![render(&Candidates(&why.candidates)).replace('\n', "\n  ")]);
    }
    section("strays", why.strays.clone());
    section("trash", why.trash.clone());
    if !why.history.is_empty() {
        section("history", vec![render(&Tasks { tasks: why.history.clone(), next: None }).replace('\n', "\n  ")]);
    }
    text
}

pub fn node_explanation(why: &NodeExplanation) -> String {
    let replicas: Vec<String> = why.replicas.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let mut text = pairs(&[
        ("node", format!("{} on {}", why.id, why.host)),
        ("state", why.liveness.to_string()),
        ("replicas", replicas.join(", ")),
    ]);
    text += &format!("\n{}\n  {}", heading("because"), why.because.join("\n  "));
    text += &format!("\n\n{}\n  {}", heading("disks"), render(&DiskReasons(&why.disks)).replace('\n', "\n  "));
    if !why.tasks.is_empty() {
        let tasks = render(&Tasks { tasks: why.tasks.clone(), next: None });
        text += &format!("\n\n{}\n  {}", heading("tasks"), tasks.replace('\n', "\n  "));
    }
    text
}

/// What a loss would cost.
pub fn whatif(cost: &WhatIf) -> String {
    let lost = match cost.lost {
        0 => good("nothing"),
        lost => bad(&format!("{lost} tablets, {}", size(cost.lost_bytes))),
    };
    let degraded = format!(
        "{} tablets, {} of them too few copies for loads, {} one copy",
        cost.degraded, cost.without_quorum, cost.one_copy_left
    );
    let copies = match (cost.copies, cost.fits) {
        (0, true) => "nothing".to_string(),
        (copies, true) => format!("{copies} copies, {}: all of them find a place", size(cost.bytes)),
        (copies, false) => {
            let blocked = bad(&format!("{} tablets find no place", cost.blocked));
            format!("{copies} copies, {}; {blocked}", size(cost.bytes))
        }
    };
    let heal = |(from, to): (u64, u64)| format!("{} to {}", duration(from * 1000), duration(to * 1000));
    let note = cost.heal_note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    let fullest = |disk: &FullestDisk| format!("{:.1} %: {} on {}", disk.used_percent, disk.path, disk.host);
    let margin = |margin: &Margin| format!("{} more hosts, {} more disks", margin.hosts, margin.disks);
    let next = cost.next.as_ref().map_or_else(
        || "no single host more would take a tablet".to_string(),
        |next| bad(&format!("host {} before repair ends would take {} tablets", next.host, next.tablets)),
    );
    let mut text = pairs(&[
        ("lost", lost),
        ("degraded", degraded),
        ("to copy", copies),
        ("fullest after", cost.fullest.as_ref().map(fullest).unwrap_or_default()),
        ("healthy after", cost.heal_s.map(heal).unwrap_or_default() + &note),
        ("margin then", cost.margin.as_ref().map(margin).unwrap_or_default()),
        ("next loss", next),
    ]);
    for tablet in &cost.lost_tablets {
        text += &format!("\n{} tablet {} of {}", bad("lost"), tablet.tablet, tablet.table);
    }
    for blocker in &cost.blockers {
        let tablet = blocker.tablet.map(|tablet| format!(" tablet {tablet}")).unwrap_or_default();
        text += &format!("\n{}{tablet}: {}", bad(&blocker.code), blocker.detail);
    }
    text
}

struct DiskReasons<'a>(&'a [DiskExplanation]);

rows!(
    DiskReasons<'_>,
    "no disk",
    ["DISK", "??PATH", ">FREE", "?>KEPT FREE", "?>COMING", "?>SLOTS", "?>WAITING", "COPIES"],
    0,
    |disk| [
        disk.disk.to_string(),
        disk.path.clone(),
        size(disk.free),
        size(disk.keep),
        format!("{} in {}", size(disk.promised), disk.copies_coming),
        format!("{}/{}", disk.slots_used, disk.slots_total),
        disk.tablets_waiting.to_string(),
        disk.refused.as_ref().map_or_else(|| "may come".to_string(), refusal),
    ]
);

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::{DiskId, NodeId};

    /// A refused destination names the rule with its numbers.
    #[test]
    fn candidates_name_the_rule() {
        let refused = Some(Refusal { code: "no_space".into(), detail: "3 GiB under reserve".into() });
        let space = Rule { rule: "space".into(), code: Some("no_space".into()), detail: String::new() };
        let slot = Rule { rule: "slot".into(), code: None, detail: "0 of 2 slots taken".into() };
        let list = [Candidate {
            disk: DiskId(1),
            node: NodeId(2),
            host: "h".into(),
            rack: String::new(),
            refused,
            rules: vec![space, slot],
            right_medium: true,
            used_percent: 97.25,
            copies_coming: 0,
            score: Some(1.5),
        }];
        let text = render(&Candidates(&list));
        for part in ["no_space: 3 GiB under reserve", "97.2 %", "1.500", "right", "ok"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
