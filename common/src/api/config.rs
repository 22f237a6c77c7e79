//! The shapes of knobs and levels, as HTTP and CLI show and take them.

use crate::config::knobs::Value;
use crate::order::{CopyLimit, CopyLimits};
use crate::status::Level;
use serde::{Deserialize, Serialize};

/// `PUT /v1/config/NAME`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnobAsk {
    /// In the knob's own type, or as a person writes it (`30s`, `85%`); `default` takes it back to the file's.
    pub value: Value,
    #[serde(default)]
    pub by: String,
    #[serde(default)]
    pub reason: String,
}

/// `GET /v1/config`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Knobs {
    pub knobs: Vec<KnobInfo>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnobInfo {
    pub name: String,
    /// In force.
    pub value: Value,
    /// As the coordinator was started.
    pub file: Value,
    pub default: Value,
    pub unit: String,
    pub range: String,
    /// `default`, `file` or `live`.
    pub source: String,
    /// It may be set while the coordinator runs.
    pub live: bool,
    pub meaning: String,
    pub aliases: Vec<String>,
    /// Who set it live, why and when (RFC 3339); null unless it is set live.
    pub set_by: Option<String>,
    pub set_reason: Option<String>,
    pub set_at: Option<String>,
}

/// `GET /v1/config/history`, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KnobHistory {
    pub settings: Vec<KnobSetting>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnobSetting {
    pub name: String,
    /// Null: it was taken back to what the file says.
    pub value: Option<Value>,
    pub by: String,
    pub reason: String,
    /// RFC 3339.
    pub at: String,
}

/// `PUT /v1/level`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelAsk {
    pub level: Level,
    #[serde(default)]
    pub by: String,
    #[serde(default)]
    pub reason: String,
}

/// `GET /v1/level`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelInfo {
    /// In force.
    pub level: Level,
    /// What people have set; more than is in force while something holds it down.
    pub set: Level,
    /// Why less than LIVELY is in force.
    pub cause: Option<String>,
    /// Stable name of the cause.
    pub code: Option<String>,
    /// What lifts it.
    pub next: Option<String>,
    /// Who set it, why and when (RFC 3339); null when nobody has.
    pub set_by: Option<String>,
    pub set_reason: Option<String>,
    pub set_at: Option<String>,
}

/// `GET` and `PUT /v1/log-level`: what is written to the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// A level, or levels by module: `info,stele_coordinator=debug`.
    pub filter: String,
}

/// Limits of copies in force, bytes a second; 0 = no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    #[serde(flatten)]
    pub rates: CopyLimits,
    /// The preset that they are; null: they were set one by one.
    pub preset: Option<Preset>,
    /// Who set them last, why and when (RFC 3339); null while nobody did.
    pub set_by: Option<String>,
    pub set_reason: Option<String>,
    pub set_at: Option<String>,
}

/// Limits that go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Readers hardly notice: for busy hours.
    Gentle,
    /// Repair as fast as it can, balance beside the daily work.
    Normal,
    /// No limits: for an empty house, or one that burns.
    Fast,
}

impl Preset {
    pub const ALL: [Preset; 3] = [Preset::Gentle, Preset::Normal, Preset::Fast];

    pub fn as_str(self) -> &'static str {
        match self {
            Preset::Gentle => "gentle",
            Preset::Normal => "normal",
            Preset::Fast => "fast",
        }
    }

    pub fn limits(self) -> CopyLimits {
        let limit = |disk: u64, node: u64| CopyLimit { disk: disk << 20, node: node << 20 };
        match self {
            Preset::Gentle => CopyLimits { repair: limit(50, 100), balance: limit(10, 20) },
            Preset::Normal => CopyLimits { repair: limit(0, 0), balance: limit(100, 200) },
            Preset::Fast => CopyLimits::default(),
        }
    }

    /// The preset that has just these limits.
    pub fn of(limits: CopyLimits) -> Option<Preset> {
        Preset::ALL.into_iter().find(|preset| preset.limits() == limits)
    }
}

/// The knobs that limits are made of, with the value of each.
pub fn rate_knobs(limits: CopyLimits) -> [(&'static str, u64); 4] {
    let CopyLimits { repair, balance } = limits;
    [
        ("repair_disk_rate", repair.disk),
        ("repair_node_rate", repair.node),
        ("balance_disk_rate", balance.disk),
        ("balance_node_rate", balance.node),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RepairKnobs;
    use crate::config::knobs;

    /// Nobody has to set anything for the normal preset, and each preset's knobs are knobs.
    #[test]
    fn normal_is_the_default() {
        assert_eq!(Preset::of(RepairKnobs::default().copy_limits()), Some(Preset::Normal));
        for (name, value) in rate_knobs(Preset::Gentle.limits()) {
            let (knob, _) = knobs::named(name)[0];
            let gentle = RepairKnobs::default().with(knob, &Value::Whole(value)).expect("it is a whole number");
            assert_ne!(gentle.copy_limits(), RepairKnobs::default().copy_limits(), "{name}");
        }
    }
}
