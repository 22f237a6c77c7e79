//! `config` of a world file: knobs by our names or the originals', as the one registry knows them.
//!
//! In: names with values. Out: knobs, and a warning for each name that is no knob of ours. It must never take a value
//! of a wrong type for another one.

use super::format::Scalar;
use super::read::BadFile;
use std::collections::BTreeMap;
use stele_common::config::RepairKnobs;
use stele_common::config::knobs::{self, Value};

/// Names of knobs that the answers of a world file do not depend on: nothing is said about them.
const OTHERS: [&str; 7] = [
    "disable_colocate_balance",
    "disable_tablet_scheduler",
    "tablet_sched_disable_colocate_balance",
    "tablet_sched_balance_load_disk_safe_threshold",
    "tablet_sched_checker_interval_seconds",
    "tablet_checker_interval_ms",
    "tablet_schedule_interval_ms",
];

/// The knobs that a file's `config` asks for; ranges are the coordinator's business, a file may try anything.
pub fn knobs(config: &BTreeMap<String, Scalar>, warnings: &mut Vec<String>) -> Result<RepairKnobs, BadFile> {
    let is_own = |name: &str| knobs::all().any(|knob| knob.name == name);
    // Who names a knob by our name means it, whatever an alias says: ours come last.
    let (own, others): (Vec<_>, Vec<_>) = config.iter().partition(|(name, _)| is_own(name));
    let mut all = RepairKnobs::default();
    for (name, value) in others.into_iter().chain(own) {
        let Some(value) = value.given() else { continue };
        let meant = knobs::named(name);
        if meant.is_empty() && !OTHERS.contains(&name.as_str()) {
            warnings.push(format!("config `{name}` is no knob of this build, it is left out"));
        }
        for (knob, scale) in meant {
            let wrong = |detail: String| BadFile::at(format!("config `{name}`"), detail);
            let value = value.as_ref().ok_or_else(|| wrong("a plain value or a list of names is wanted".into()))?;
            let typed = knob.typed(value, scale).map_err(|bad| wrong(bad.to_string()))?;
            all = all.with(knob, &typed).ok_or_else(|| wrong(format!("{typed} is too large")))?;
        }
    }
    Ok(all)
}

impl Scalar {
    /// `None`: nothing is said; `Some(None)`: something that no knob can be.
    fn given(&self) -> Option<Option<Value>> {
        Some(match self {
            Scalar::Nothing(()) => return None,
            Scalar::Bool(flag) => Some(Value::Flag(*flag)),
            Scalar::Whole(whole) => Some(Value::Whole(*whole)),
            Scalar::Signed(signed) => Some(Value::Real(*signed as f64)),
            Scalar::Real(real) => Some(Value::Real(*real)),
            Scalar::Text(text) => Some(Value::Text(text.clone())),
            Scalar::Names(names) => Some(Value::Names(names.clone())),
            Scalar::Other(_) => None,
        })
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
