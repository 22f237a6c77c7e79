//! How knobs and the level read on a terminal.

use crate::table::{Rows, pairs, size};
use stele_common::CopyLimit;
use stele_common::api::{KnobHistory, KnobInfo, Knobs, LevelInfo, Limits, Preset};

rows!(
    Knobs,
    "no knob differs from its default",
    [
        "NAME",
        ">VALUE",
        ">DEFAULT",
        "?UNIT",
        "??RANGE",
        "SOURCE",
        "?SET BY",
        "?SET AT",
        "+WHY",
        "+ALSO CALLED",
        "+MEANING"
    ],
    knobs,
    |knob| [
        knob.name.clone(),
        knob.value.to_string(),
        knob.default.to_string(),
        knob.unit.clone(),
        knob.range.clone(),
        if knob.live { knob.source.clone() } else { format!("{} (at start)", knob.source) },
        knob.set_by.clone().unwrap_or_default(),
        knob.set_at.clone().unwrap_or_default(),
        knob.set_reason.clone().unwrap_or_default(),
        knob.aliases.join(","),
        knob.meaning.clone(),
    ]
);

rows!(KnobHistory, "nothing was set live", ["AT", "NAME", ">VALUE", "BY", "REASON"], settings, |setting| [
    setting.at.clone(),
    setting.name.clone(),
    setting.value.as_ref().map_or("default".to_string(), ToString::to_string),
    setting.by.clone(),
    setting.reason.clone(),
]);

/// `stele config get`.
pub fn knob(knob: &KnobInfo) -> String {
    let when = if knob.live { "any time" } else { "in the coordinator's file, at its start" };
    pairs(&[
        ("knob", knob.name.clone()),
        ("value", format!("{} {}", knob.value, knob.unit)),
        ("source", knob.source.clone()),
        ("file", knob.file.to_string()),
        ("default", knob.default.to_string()),
        ("range", knob.range.clone()),
        ("meaning", knob.meaning.clone()),
        ("may be set", when.to_string()),
        ("also called", knob.aliases.join(", ")),
        ("set by", knob.set_by.clone().unwrap_or_default()),
        ("why", knob.set_reason.clone().unwrap_or_default()),
        ("at", knob.set_at.clone().unwrap_or_default()),
    ])
}

/// `stele level get`.
pub fn level(info: &LevelInfo) -> String {
    pairs(&[
        ("level", info.level.to_string()),
        ("set", info.set.to_string()),
        ("cause", info.cause.clone().unwrap_or_default()),
        ("next", info.next.clone().unwrap_or_default()),
        ("set by", info.set_by.clone().unwrap_or_default()),
        ("why", info.set_reason.clone().unwrap_or_default()),
        ("at", info.set_at.clone().unwrap_or_default()),
    ])
}

/// Limits of copies in one line: what is in force, and why.
pub fn limits_line(limits: &Limits) -> String {
    let one = |limit: CopyLimit| match (limit.disk, limit.node) {
        (0, 0) => "none".to_string(),
        (disk, 0) => format!("{}/s a disk", size(disk)),
        (0, node) => format!("{}/s an agent", size(node)),
        (disk, node) => format!("{}/s a disk, {}/s an agent", size(disk), size(node)),
    };
    let preset = limits.preset.map_or("set one by one", Preset::as_str);
    let by = match (&limits.set_by, &limits.set_reason) {
        (Some(by), Some(reason)) if !reason.is_empty() => format!(", by {by}: {reason}"),
        (Some(by), _) => format!(", by {by}"),
        (None, _) => String::new(),
    };
    format!("repair {}; balance {} ({preset}{by})", one(limits.rates.repair), one(limits.rates.balance))
}

/// Limits of copies.
pub fn limits(limits: &Limits) -> String {
    pairs(&[("limits", limits_line(limits)), ("since", limits.set_at.clone().unwrap_or_default())])
}
