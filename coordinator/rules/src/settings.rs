//! What people have set while the coordinator ran: knobs and the level. It outlives restarts and wins over the file.
//!
//! In: settings on record, the file's knobs. Out: the knobs in force, where each comes from, and who set what. Whether
//! a value may be set was asked before, in [`crate::catalog`]; a setting that this build does not know has no effect.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use stele_common::config::RepairKnobs;
use stele_common::config::knobs::{self, Knob, Scale, Value};
use stele_common::status::Level;

/// Settings remembered: months of hands-on work, some 50 KB.
pub const HISTORY_MAX: usize = 200;

#[derive(Clone, Debug)]
pub struct Settings {
    /// As the coordinator was started.
    pub file: Arc<RepairKnobs>,
    /// By knob: what is set now. Never a setting that took its knob back.
    pub live: BTreeMap<String, Setting>,
    /// The latest [`HISTORY_MAX`], oldest first.
    pub history: VecDeque<Setting>,
    pub level: LevelSetting,
}

/// One knob was set, or taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    pub name: String,
    /// `None`: what the file says holds again.
    pub value: Option<Value>,
    pub by: String,
    pub reason: String,
    /// Milliseconds since 1970; shown, decides nothing.
    pub wall_ms: u64,
}

/// How much people allow; less may be in force ([`crate::level`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelSetting {
    pub level: Level,
    /// Empty: nobody has set it yet.
    pub by: String,
    pub reason: String,
    pub wall_ms: u64,
}

/// Where a knob's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    File,
    Live,
}

impl Default for LevelSetting {
    fn default() -> Self {
        LevelSetting { level: Level::Lively, by: String::new(), reason: String::new(), wall_ms: 0 }
    }
}

impl Settings {
    pub fn new(file: Arc<RepairKnobs>) -> Settings {
        Settings { file, live: BTreeMap::new(), history: VecDeque::new(), level: LevelSetting::default() }
    }

    /// Takes a setting on.
    pub fn set(&mut self, setting: Setting) {
        match setting.value {
            Some(_) => self.live.insert(setting.name.clone(), setting.clone()),
            None => self.live.remove(&setting.name),
        };
        self.history.push_back(setting);
        while self.history.len() > HISTORY_MAX {
            self.history.pop_front();
        }
    }

    /// The knobs in force.
    pub fn in_force(&self) -> RepairKnobs {
        let mut knobs = (*self.file).clone();
        for knob in knobs::all().filter(|knob| knob.live) {
            let set = self.live.get(knob.name).and_then(|setting| setting.value.as_ref());
            let fits = set.and_then(|value| knob.read(value, Scale::Same).ok());
            knobs = fits.and_then(|value| knobs.with(knob, &value)).unwrap_or(knobs);
        }
        knobs
    }

    pub fn source(&self, knob: &Knob) -> Source {
        if knob.live && self.live.contains_key(knob.name) {
            Source::Live
        } else if self.file.value(knob) != RepairKnobs::default().value(knob) {
            Source::File
        } else {
            Source::Default
        }
    }

    /// The settings that, taken on in order, give what is set and remembered now.
    pub fn replay(&self) -> Vec<Setting> {
        let is_remembered = |setting: &&Setting| self.history.iter().any(|past| past.name == setting.name);
        let older = self.live.values().filter(|setting| !is_remembered(setting));
        older.chain(&self.history).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: Option<u64>, wall_ms: u64) -> Setting {
        let value = value.map(Value::Whole);
        Setting { name: name.into(), value, by: "ann".into(), reason: String::new(), wall_ms }
    }

    /// What was set wins over the file until it is taken back; what does not fit this build has no effect.
    #[test]
    fn live_wins() {
        let file = RepairKnobs { keep_versions: 7, ..RepairKnobs::default() };
        let mut settings = Settings::new(Arc::new(file));
        let knob = knobs::named("keep_versions")[0].0;
        assert_eq!((settings.in_force().keep_versions, settings.source(knob)), (7, Source::File));
        settings.set(set("keep_versions", Some(3), 1));
        settings.set(set("queue_max", Some(0), 2));
        settings.set(set("of_another_build", Some(1), 3));
        settings.set(set("beat_ms", Some(5), 4));
        let in_force = settings.in_force();
        assert_eq!((in_force.keep_versions, settings.source(knob)), (3, Source::Live));
        assert_eq!(in_force, RepairKnobs { keep_versions: 3, ..RepairKnobs::default() });
        settings.set(set("keep_versions", None, 5));
        assert_eq!((settings.in_force().keep_versions, settings.source(knob)), (7, Source::File));
    }

    /// A replay gives the same settings, also of knobs that were set before what is remembered.
    #[test]
    fn replayed() {
        let mut settings = Settings::new(Arc::new(RepairKnobs::default()));
        settings.set(set("keep_versions", Some(9), 0));
        (1..=HISTORY_MAX as u64 + 10).for_each(|at| settings.set(set("trash_ms", (at % 3 > 0).then_some(at), at)));
        let mut again = Settings::new(settings.file.clone());
        settings.replay().into_iter().for_each(|setting| again.set(setting));
        assert_eq!((&again.live, &again.history), (&settings.live, &settings.history));
        assert_eq!(again.in_force().keep_versions, 9);
    }
}
