//! How knobs and the level read on a terminal.

use crate::table::{Rows, pairs};
use stele_common::api::{KnobHistory, KnobInfo, Knobs, LevelInfo};

rows!(
    Knobs,
    "no knob differs from its default",
    ["NAME", ">VALUE", ">DEFAULT", "UNIT", "RANGE", "SOURCE", "SET BY", "SET AT"],
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
