//! Knobs set while the coordinator runs.
//!
//! In: a name (ours or an original's) and a value, or the word `default`. Out: settings on record, or why not: no such
//! knob, another type, out of range, not live, or knobs that would contradict each other. It must never let a setting
//! through that a restart would refuse.

use super::Draft;
use crate::level;
use crate::settings::{Setting, Settings};
use crate::{Answer, Change, Reason};
use stele_common::api::KnobAsk;
use stele_common::config::knobs::{self, BadKnob, Value};

/// The word that takes a knob back to what the file says (Pegasus' own).
const DEFAULT: &str = "default";

pub fn set(draft: &mut Draft, name: &str, ask: &KnobAsk) {
    let answer = match settings(draft, name, ask) {
        Ok(settings) => {
            settings.into_iter().for_each(|setting| draft.record(Change::KnobSet { setting }));
            Answer::Done
        }
        Err(reason) => Answer::Refused(reason),
    };
    draft.answer(answer);
}

/// What is to go on record; one of the originals' names may stand for two knobs.
fn settings(draft: &Draft, name: &str, ask: &KnobAsk) -> Result<Vec<Setting>, Reason> {
    // At a level that people chose they must be able to mend; on an old store nothing is to be written.
    if let Some(reason) = level::store_is_old(draft.world) {
        return Err(reason);
    }
    let meant = knobs::named(name);
    if meant.is_empty() {
        return Err(Reason::NoSuchKnob { name: name.into() });
    }
    let refused = |bad: BadKnob| Reason::BadKnob { detail: bad.to_string() };
    let mut settings = Vec::new();
    for (knob, scale) in meant {
        if !knob.live {
            return Err(refused(BadKnob::NotLive { name: knob.name }));
        }
        let value = match &ask.value {
            Value::Text(word) if word.eq_ignore_ascii_case(DEFAULT) => None,
            value => Some(knob.read(value, scale).map_err(refused)?),
        };
        let (by, reason, wall_ms) = (ask.by.clone(), ask.reason.clone(), draft.wall_ms);
        settings.push(Setting { name: knob.name.into(), value, by, reason, wall_ms });
    }
    let mut after: Settings = (*draft.world.settings).clone();
    let before = after.in_force().faults();
    settings.iter().for_each(|setting| after.set(setting.clone()));
    // What the file itself says wrong is not this setting's fault.
    match after.in_force().faults().into_iter().find(|fault| !before.contains(fault)) {
        Some(fault) => Err(refused(BadKnob::Contradiction(fault))),
        None => Ok(settings),
    }
}
