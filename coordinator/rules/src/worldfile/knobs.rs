//! `config` of a world file: our knobs by their names, and the originals' names for the same things.
//!
//! In: names with values. Out: knobs, and a warning for each name that is no knob of ours. It must never take a value
//! of a wrong type for another one.

use super::format::Scalar;
use super::read::BadFile;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, MapDeserializer};
use std::collections::BTreeMap;
use stele_common::config::RepairKnobs;

/// Names of knobs that the answers of a world file do not depend on: nothing is said about them.
const OTHERS: [&str; 9] = [
    "disable_colocate_balance",
    "disable_tablet_scheduler",
    "max_balancing_tablets",
    "tablet_sched_disable_colocate_balance",
    "tablet_sched_max_balancing_tablets",
    "tablet_sched_balance_load_disk_safe_threshold",
    "tablet_sched_checker_interval_seconds",
    "tablet_checker_interval_ms",
    "tablet_schedule_interval_ms",
];

/// The knobs that a file's `config` asks for.
pub fn knobs(config: &BTreeMap<String, Scalar>, warnings: &mut Vec<String>) -> Result<RepairKnobs, BadFile> {
    let mut known: BTreeMap<&'static str, Scalar> = BTreeMap::new();
    let mut own: BTreeMap<&str, &Scalar> = BTreeMap::new();
    for (name, value) in config {
        if matches!(value, Scalar::Nothing(())) || OTHERS.contains(&name.as_str()) {
            continue;
        }
        let wrong = |detail: String| BadFile::at(format!("config `{name}`"), detail);
        let renamed = alias(name, value).map_err(wrong)?;
        if renamed.is_empty() {
            match RepairKnobs::deserialize(one(name, value)) {
                Ok(_) => {
                    own.insert(name, value);
                }
                Err(error) if error.to_string().starts_with("unknown field") => {
                    warnings.push(format!("config `{name}` is no knob of this build, it is left out"));
                }
                Err(error) => return Err(wrong(error.to_string())),
            }
        }
        known.extend(renamed);
    }
    // Who names a knob by our name means it, whatever an alias says.
    let aliased = known.iter().filter(|(name, _)| !own.contains_key(*name)).map(|(name, value)| (*name, value));
    let all: Vec<(&str, &Scalar)> = aliased.chain(own.iter().map(|(name, value)| (*name, *value))).collect();
    RepairKnobs::deserialize(MapDeserializer::<_, Error>::new(all.into_iter()))
        .map_err(|error| BadFile::at("config", error.to_string()))
}

fn one<'a>(name: &'a str, value: &'a Scalar) -> MapDeserializer<'a, std::iter::Once<(&'a str, &'a Scalar)>, Error> {
    MapDeserializer::new(std::iter::once((name, value)))
}

/// An original's name in our words; empty when it is none.
fn alias(name: &str, value: &Scalar) -> Result<Vec<(&'static str, Scalar)>, String> {
    let name = name.strip_prefix("tablet_sched_").unwrap_or(name);
    let seconds = |factor: u64| -> Result<Scalar, String> {
        let ms = value.whole()?.checked_mul(factor * 1_000);
        ms.map(Scalar::Whole).ok_or_else(|| "too many seconds".to_string())
    };
    let percent = || Ok::<_, String>(Scalar::Real(value.real()? / 100.0));
    let whole = || value.whole().map(Scalar::Whole);
    Ok(match name {
        "slot_num_per_path" => vec![("schedule_slot_num_per_path", whole()?)],
        "storage_high_watermark_usage_percent" | "storage_usage_soft_limit_percent" => {
            vec![("storage_high_watermark", percent()?)]
        }
        "storage_min_left_capacity_bytes" | "storage_usage_soft_limit_reserve_bytes" => {
            vec![("storage_headroom_bytes", whole()?)]
        }
        "storage_flood_stage_usage_percent" | "storage_usage_hard_limit_percent" => {
            vec![("load_high_watermark", percent()?)]
        }
        "storage_flood_stage_left_capacity_bytes" | "storage_usage_hard_limit_reserve_bytes" => {
            vec![("load_headroom_bytes", whole()?)]
        }
        // Once for HIGH, twice for NORMAL; LOW waits for nothing in our law.
        "repair_delay_factor_second" | "tablet_repair_delay_factor_second" | "tablet_repair_delay" => {
            vec![("assign_delay_below_majority_ms", seconds(1)?), ("assign_delay_ms", seconds(2)?)]
        }
        "min_clone_task_timeout_sec" => vec![("task_timeout_min_ms", seconds(1)?)],
        "max_clone_task_timeout_sec" => vec![("task_timeout_max_ms", seconds(1)?)],
        "max_scheduling_tablets" => vec![("queue_max", whole()?)],
        // Ours already, but for the prefix that was cut off.
        "disable_balance" => match value {
            Scalar::Bool(_) => vec![("disable_balance", value.clone())],
            _ => return Err(not("true or false")),
        },
        "balance_load_score_threshold" => vec![("balance_load_score_threshold", Scalar::Real(value.real()?))],
        _ => Vec::new(),
    })
}

impl Scalar {
    fn whole(&self) -> Result<u64, String> {
        match self {
            Scalar::Whole(value) => Ok(*value),
            Scalar::Bool(_) | Scalar::Signed(_) | Scalar::Real(_) | Scalar::Text(_) => Err(not("a whole number")),
            Scalar::Nothing(()) | Scalar::Other(_) => Err(not("a whole number")),
        }
    }

    fn real(&self) -> Result<f64, String> {
        match self {
            Scalar::Whole(value) => Ok(*value as f64),
            Scalar::Signed(value) => Ok(*value as f64),
            Scalar::Real(value) => Ok(*value),
            Scalar::Bool(_) | Scalar::Text(_) | Scalar::Nothing(()) | Scalar::Other(_) => Err(not("a number")),
        }
    }
}

fn not(what: &str) -> String {
    format!("{what} is wanted")
}

impl<'de> IntoDeserializer<'de, Error> for &Scalar {
    type Deserializer = ScalarDeserializer;

    fn into_deserializer(self) -> ScalarDeserializer {
        ScalarDeserializer(self.clone())
    }
}

/// Hands a knob's value to its type.
pub struct ScalarDeserializer(Scalar);

impl<'de> serde::Deserializer<'de> for ScalarDeserializer {
    type Error = Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Scalar::Bool(value) => visitor.visit_bool(value),
            Scalar::Whole(value) => visitor.visit_u64(value),
            Scalar::Signed(value) => visitor.visit_i64(value),
            Scalar::Real(value) => visitor.visit_f64(value),
            Scalar::Text(value) => visitor.visit_string(value),
            Scalar::Nothing(()) => visitor.visit_unit(),
            Scalar::Other(_) => Err(serde::de::Error::custom("a plain value is wanted")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, Scalar)]) -> BTreeMap<String, Scalar> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
    }

    /// Our names and the originals' mean the same knobs; what nobody knows is said, what is of a wrong type refused.
    #[test]
    fn names_of_knobs() {
        let mut warnings = Vec::new();
        let asked = config(&[
            ("schedule_slot_num_per_path", Scalar::Whole(5)),
            ("capacity_used_percent_high_water", Scalar::Real(0.8)),
            ("storage_high_watermark_usage_percent", Scalar::Whole(90)),
            ("storage_headroom_bytes", Scalar::Whole(7)),
            ("tablet_repair_delay_factor_second", Scalar::Whole(60)),
            ("tablet_sched_max_clone_task_timeout_sec", Scalar::Whole(9)),
            ("balance_threshold", Scalar::Real(0.2)),
            ("no_such_knob", Scalar::Whole(1)),
        ]);
        let knobs = knobs_of(&asked, &mut warnings);
        assert_eq!(knobs.schedule_slot_num_per_path, 5);
        assert_eq!((knobs.capacity_used_percent_high_water, knobs.storage_high_watermark), (0.8, 0.9));
        assert_eq!((knobs.storage_headroom_bytes, knobs.task_timeout_max_ms), (7, 9_000));
        assert_eq!((knobs.assign_delay_below_majority_ms, knobs.assign_delay_ms), (60_000, 120_000));
        assert_eq!(warnings, ["config `no_such_knob` is no knob of this build, it is left out"]);
        let wrong = config(&[("assign_delay_ms", Scalar::Text("soon".into()))]);
        let error = super::knobs(&wrong, &mut warnings).expect_err("a word is no number").to_string();
        assert!(error.starts_with("config `assign_delay_ms`: "), "{error}");
    }

    fn knobs_of(asked: &BTreeMap<String, Scalar>, warnings: &mut Vec<String>) -> RepairKnobs {
        super::knobs(asked, warnings).expect("every value is of its type")
    }

    /// Our own name wins over an alias of the same knob.
    #[test]
    fn ours_wins() {
        let asked =
            config(&[("assign_delay_ms", Scalar::Whole(1)), ("tablet_repair_delay_factor_second", Scalar::Whole(60))]);
        assert_eq!(knobs_of(&asked, &mut Vec::new()).assign_delay_ms, 1);
    }
}
