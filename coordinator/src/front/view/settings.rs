//! The shapes of knobs and the level out of a snapshot. Pure functions; what is in force is the law book's word.

use crate::clock::rfc3339;
use stele_common::api::{KnobHistory, KnobInfo, KnobSetting, Knobs, LevelInfo, Limits, Preset, rate_knobs};
use stele_common::config::RepairKnobs;
use stele_common::config::knobs::Knob;
use stele_coordinator_rules::settings::{Setting, Source};
use stele_coordinator_rules::{Reason, World, level as rule};

/// These knobs, as they are now.
pub fn knobs(world: &World, which: impl Iterator<Item = &'static Knob>) -> Knobs {
    Knobs { knobs: which.map(|knob| one(world, knob)).collect() }
}

fn one(world: &World, knob: &Knob) -> KnobInfo {
    let settings = &world.settings;
    let source = settings.source(knob);
    let set = settings.live.get(knob.name).filter(|_| source == Source::Live);
    let source = match source {
        Source::Default => "default",
        Source::File => "file",
        Source::Live => "live",
    };
    KnobInfo {
        name: knob.name.into(),
        value: world.knobs.value(knob),
        file: settings.file.value(knob),
        default: RepairKnobs::default().value(knob),
        unit: knob.unit().into(),
        range: knob.range(),
        source: source.into(),
        live: knob.live,
        meaning: knob.meaning.into(),
        aliases: knob.aliases.iter().map(|alias| alias.name.into()).collect(),
        set_by: set.map(|setting| setting.by.clone()),
        set_reason: set.map(|setting| setting.reason.clone()),
        set_at: set.map(|setting| rfc3339(setting.wall_ms)),
    }
}

/// How fast copies may be, and who said so.
pub fn limits(world: &World) -> Limits {
    let rates = world.knobs.copy_limits();
    let set = rate_knobs(rates).into_iter().filter_map(|(name, _)| world.settings.live.get(name));
    let latest = set.max_by_key(|setting| setting.wall_ms);
    Limits {
        rates,
        preset: Preset::of(rates),
        set_by: latest.map(|setting| setting.by.clone()),
        set_reason: latest.map(|setting| setting.reason.clone()),
        set_at: latest.map(|setting| rfc3339(setting.wall_ms)),
    }
}

/// What was set, newest first.
pub fn history(world: &World) -> KnobHistory {
    let shown = |setting: &Setting| KnobSetting {
        name: setting.name.clone(),
        value: setting.value.clone(),
        by: setting.by.clone(),
        reason: setting.reason.clone(),
        at: rfc3339(setting.wall_ms),
    };
    KnobHistory { settings: world.settings.history.iter().rev().map(shown).collect() }
}

/// The level in force, what was set, and what holds it down.
pub fn level(world: &World) -> LevelInfo {
    let (set, cause) = (&world.settings.level, rule::cause(world));
    let is_set = !set.by.is_empty();
    LevelInfo {
        level: rule::in_force(world),
        set: set.level,
        cause: cause.as_ref().map(Reason::detail),
        code: cause.as_ref().map(|cause| cause.code().to_string()),
        next: cause.as_ref().and_then(Reason::next),
        set_by: is_set.then(|| set.by.clone()),
        set_reason: is_set.then(|| set.reason.clone()),
        set_at: is_set.then(|| rfc3339(set.wall_ms)),
    }
}
