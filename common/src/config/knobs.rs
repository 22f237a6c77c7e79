//! The one registry of the law's numbers: name, unit, range, meaning and other names of each knob of [`RepairKnobs`],
//! and whether it may be set while the coordinator runs.
//!
//! In: a name and a value, in our words or an original's. Out: which knobs are meant, and values of their types within
//! their ranges, or why not. It must never take a value of a wrong type for another one. A field of [`RepairKnobs`]
//! without a row here fails a test.

use super::RepairKnobs;
use super::known::KNOBS;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One number of the law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knob {
    pub name: &'static str,
    pub kind: Kind,
    /// It may be set while the coordinator runs; else only in its file.
    pub live: bool,
    pub meaning: &'static str,
    pub aliases: &'static [Alias],
}

/// Type, unit and range; both ends are allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Whole {
        unit: Unit,
        min: u64,
        max: u64,
    },
    /// A part of one.
    Part,
    Flag,
    /// A list of names.
    Names,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Ms,
    Bytes,
    BytesPerSecond,
    Percent,
    Count,
}

/// Another name of a knob, as the originals write it; one name may stand for two knobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    pub name: &'static str,
    pub scale: Scale,
}

/// How a value under another name becomes the knob's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Same,
    Times(u64),
    /// Percent where the knob is a part of one.
    Percent,
}

/// What a knob is, or is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Flag(bool),
    Whole(u64),
    Real(f64),
    Names(Vec<String>),
    /// As a person writes it: `5s`, `200GiB`, `85%`, `h1,h2`.
    Text(String),
}

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadKnob {
    #[error("there is no knob `{name}`")]
    Unknown { name: String },
    #[error("{name} = {value} is not {wanted}")]
    WrongType { name: &'static str, value: String, wanted: &'static str },
    #[error("{name} = {value} is out of its range {range}")]
    OutOfRange { name: &'static str, value: String, range: String },
    #[error("{name} is told to agents when they connect: set it in the coordinator's file and restart it")]
    NotLive { name: &'static str },
    #[error("{0}")]
    Contradiction(String),
}

/// Prefixes under which the originals show their knobs.
pub const PREFIXES: [&str; 4] = ["tablet_sched_", "meta.lb.", "meta.", "lb."];

/// The knobs that a name stands for, each with how its value is to be read; empty when there is none.
pub fn named(name: &str) -> Vec<(&'static Knob, Scale)> {
    let short = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    [Some(name), short].into_iter().flatten().map(meant).find(|found| !found.is_empty()).unwrap_or_default()
}

fn meant(name: &str) -> Vec<(&'static Knob, Scale)> {
    if let Some(knob) = KNOBS.iter().find(|knob| knob.name == name) {
        return vec![(knob, Scale::Same)];
    }
    let other = |knob: &'static Knob| Some((knob, knob.aliases.iter().find(|alias| alias.name == name)?.scale));
    KNOBS.iter().filter_map(other).collect()
}

/// All knobs, in the order in which they are explained.
pub fn all() -> impl Iterator<Item = &'static Knob> {
    KNOBS.iter()
}

impl Knob {
    /// The value in the knob's own type; its range is not asked.
    pub fn typed(&self, value: &Value, scale: Scale) -> Result<Value, BadKnob> {
        let read = match (self.kind, value) {
            (Kind::Whole { unit, .. }, Value::Text(text)) if scale == Scale::Same => whole_of(text, unit),
            (Kind::Whole { .. }, Value::Text(text)) => text.trim().parse().ok(),
            (Kind::Whole { .. }, Value::Whole(whole)) => Some(*whole),
            (Kind::Part, _) => return self.part(value, scale),
            (Kind::Flag, Value::Flag(flag)) => return Ok(Value::Flag(*flag)),
            (Kind::Flag, Value::Text(text)) => return self.flag(text),
            (Kind::Names, Value::Names(names)) => return Ok(Value::Names(names.clone())),
            (Kind::Names, Value::Text(text)) => return Ok(Value::Names(names_of(text))),
            (Kind::Whole { .. } | Kind::Flag | Kind::Names, _) => None,
        };
        let factor = if let Scale::Times(factor) = scale { factor } else { 1 };
        let scaled = read.and_then(|whole| whole.checked_mul(factor));
        scaled.map(Value::Whole).ok_or_else(|| self.wrong(value))
    }

    fn part(&self, value: &Value, scale: Scale) -> Result<Value, BadKnob> {
        let plain = match value {
            Value::Whole(whole) => Some(*whole as f64),
            Value::Real(real) => Some(*real),
            Value::Text(text) => match text.trim().strip_suffix('%') {
                Some(percent) if scale == Scale::Same => {
                    percent.trim().parse().ok().map(|percent: f64| percent / 100.0)
                }
                Some(_) | None => text.trim().parse().ok(),
            },
            Value::Flag(_) | Value::Names(_) => None,
        };
        let factor = if scale == Scale::Percent { 100.0 } else { 1.0 };
        let finite = plain.map(|plain| plain / factor).filter(|part: &f64| part.is_finite());
        finite.map(Value::Real).ok_or_else(|| self.wrong(value))
    }

    fn flag(&self, text: &str) -> Result<Value, BadKnob> {
        match text.trim() {
            "true" | "on" | "yes" => Ok(Value::Flag(true)),
            "false" | "off" | "no" => Ok(Value::Flag(false)),
            other => Err(self.wrong(&Value::Text(other.to_string()))),
        }
    }

    fn wrong(&self, value: &Value) -> BadKnob {
        let wanted = match self.kind {
            Kind::Whole { unit: Unit::Ms, .. } => "a whole number of milliseconds, or one like 30s, 5m, 2h",
            Kind::Whole { unit: Unit::Bytes | Unit::BytesPerSecond, .. } => {
                "a whole number of bytes, or one like 5MiB, 200GiB"
            }
            Kind::Whole { unit: Unit::Percent | Unit::Count, .. } => "a whole number",
            Kind::Part => "a number from 0 to 1, or one like 85%",
            Kind::Flag => "true or false",
            Kind::Names => "a list of names with commas between",
        };
        BadKnob::WrongType { name: self.name, value: value.to_string(), wanted }
    }

    /// The value in the knob's own type and within its range.
    pub fn read(&self, value: &Value, scale: Scale) -> Result<Value, BadKnob> {
        let value = self.typed(value, scale)?;
        if self.is_in_range(&value) {
            return Ok(value);
        }
        Err(BadKnob::OutOfRange { name: self.name, value: value.to_string(), range: self.range() })
    }

    fn is_in_range(&self, value: &Value) -> bool {
        match (self.kind, value) {
            (Kind::Whole { min, max, .. }, Value::Whole(whole)) => (min..=max).contains(whole),
            (Kind::Part, Value::Real(part)) => (0.0..=1.0).contains(part),
            (Kind::Flag, Value::Flag(_)) => true,
            (Kind::Names, Value::Names(names)) => names.len() <= NAMES_MAX && names.iter().all(|name| is_name(name)),
            (Kind::Whole { .. } | Kind::Part | Kind::Flag | Kind::Names, _) => false,
        }
    }

    /// Its range, as it is shown.
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Whole { min, max: u64::MAX, .. } => format!("{min}.."),
            Kind::Whole { min, max, .. } => format!("{min}..{max}"),
            Kind::Part => "0..1".into(),
            Kind::Flag => "true, false".into(),
            Kind::Names => format!("up to {NAMES_MAX} names"),
        }
    }

    /// What its number counts.
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Whole { unit: Unit::Ms, .. } => "ms",
            Kind::Whole { unit: Unit::Bytes, .. } => "bytes",
            Kind::Whole { unit: Unit::BytesPerSecond, .. } => "bytes/s",
            Kind::Whole { unit: Unit::Percent, .. } => "%",
            Kind::Whole { unit: Unit::Count, .. } => "count",
            Kind::Part => "part",
            Kind::Flag => "flag",
            Kind::Names => "names",
        }
    }
}

/// Names in a list at most: a list is asked for every disk that a copy may go to.
const NAMES_MAX: usize = 1_000;

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && !name.contains(|c: char| c.is_control() || c == ',')
}

/// `h1,h2`; nothing, or Pegasus' `clear`, is the empty list.
pub fn names_of(text: &str) -> Vec<String> {
    if text.trim() == "clear" {
        return Vec::new();
    }
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_string).collect()
}

/// A list, or one text with commas, as an environment variable has it.
pub(super) fn list_or_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Names(Vec<String>),
        Text(String),
    }
    Ok(match Either::deserialize(from)? {
        Either::Names(names) => names,
        Either::Text(text) => names_of(&text),
    })
}

/// A whole number, with a unit's letters behind it or not.
fn whole_of(text: &str, unit: Unit) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, letters) = text.split_at(digits);
    let factor: u64 = match (unit, letters.trim()) {
        (_, "") => 1,
        (Unit::Ms, "ms") => 1,
        (Unit::Ms, "s") => 1_000,
        (Unit::Ms, "m") => 60_000,
        (Unit::Ms, "h") => 3_600_000,
        (Unit::Ms, "d") => 24 * 3_600_000,
        (Unit::Percent, "%") => 1,
        (Unit::Bytes | Unit::BytesPerSecond, "B") => 1,
        (Unit::Bytes | Unit::BytesPerSecond, "KiB") => 1 << 10,
        (Unit::Bytes | Unit::BytesPerSecond, "MiB") => 1 << 20,
        (Unit::Bytes | Unit::BytesPerSecond, "GiB") => 1 << 30,
        (Unit::Bytes | Unit::BytesPerSecond, "TiB") => 1 << 40,
        (Unit::Ms | Unit::Bytes | Unit::BytesPerSecond | Unit::Percent | Unit::Count, _) => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(flag) => flag.fmt(f),
            Value::Whole(whole) => whole.fmt(f),
            Value::Real(real) => real.fmt(f),
            Value::Names(names) if names.is_empty() => f.write_str("-"),
            Value::Names(names) => f.write_str(&names.join(",")),
            Value::Text(text) => f.write_str(text),
        }
    }
}

impl RepairKnobs {
    /// What this knob is.
    pub fn value(&self, knob: &Knob) -> Value {
        let mut all = serde_json::to_value(self).expect("knobs are plain numbers, flags and names");
        serde_json::from_value(all[knob.name].take()).expect("each knob of the registry is a field of its kind")
    }

    /// The same with one knob changed; `None` when the value is not of the knob's type, or too large for it.
    pub fn with(&self, knob: &Knob, value: &Value) -> Option<RepairKnobs> {
        let mut all = serde_json::to_value(self).expect("knobs are plain numbers, flags and names");
        all[knob.name] = serde_json::to_value(value).ok()?;
        serde_json::from_value(all).ok()
    }

    /// Who shortens only `lost_ms` means the times that must be below it too.
    pub fn settled(mut self) -> RepairKnobs {
        if self.lease_ms >= self.lost_ms {
            self.lease_ms = self.lost_ms * 6 / 10;
        }
        self.silent_ms = self.silent_ms.min(self.lost_ms);
        self.beat_ms = self.beat_ms.min(self.silent_ms / 3);
        self
    }

    /// What contradicts what, or is out of its range; empty when sound.
    pub fn faults(&self) -> Vec<String> {
        let ranges =
            all().filter_map(|knob| knob.read(&self.value(knob), Scale::Same).err()).map(|bad| bad.to_string());
        let mut faults: Vec<String> = ranges.collect();
        let mut rule = |holds: bool, text: &str| {
            if !holds {
                faults.push(text.to_string());
            }
        };
        rule(self.beat_ms < self.silent_ms, "beat_ms must be below silent_ms");
        rule(self.silent_ms <= self.lost_ms, "silent_ms must not be above lost_ms");
        rule(self.lease_ms < self.lost_ms, "lease_ms must be below lost_ms: an agent stops before it is given up");
        rule(self.task_timeout_min_ms <= self.task_timeout_max_ms, "task_timeout_min_ms is above task_timeout_max_ms");
        faults
    }
}

#[cfg(test)]
mod tests;
