//! The shapes of knobs and levels, as HTTP and CLI show and take them.

use crate::config::knobs::Value;
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
