//! The names that people see: verdicts, priorities, states.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! shouted {
    ($name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $name {
            /// The name as people see it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// What the checker says of a tablet (the seed's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TabletStatus {
    /// No alive or no complete copy.
    Unrecoverable,
    /// Every allowed host holds a copy and one of them is useless: it must leave before a good one can come.
    ForceRedundant,
    /// Fewer than n alive copies.
    ReplicaMissing,
    /// n alive copies, but some are behind.
    VersionIncomplete,
    /// More copies than wanted.
    Redundant,
    Healthy,
}

shouted!(TabletStatus {
    Unrecoverable => "UNRECOVERABLE",
    ForceRedundant => "FORCE_REDUNDANT",
    ReplicaMissing => "REPLICA_MISSING",
    VersionIncomplete => "VERSION_INCOMPLETE",
    Redundant => "REDUNDANT",
    Healthy => "HEALTHY",
});

/// How urgent a task is; the first is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Priority {
    VeryHigh,
    High,
    Normal,
    Low,
}

shouted!(Priority { VeryHigh => "VERY_HIGH", High => "HIGH", Normal => "NORMAL", Low => "LOW" });

impl Priority {
    /// One step more urgent.
    pub fn up(self) -> Priority {
        match self {
            Priority::VeryHigh | Priority::High => Priority::VeryHigh,
            Priority::Normal => Priority::High,
            Priority::Low => Priority::Normal,
        }
    }

    /// One step less urgent.
    pub fn down(self) -> Priority {
        match self {
            Priority::VeryHigh => Priority::High,
            Priority::High => Priority::Normal,
            Priority::Normal | Priority::Low => Priority::Low,
        }
    }
}

/// Whether a node counts as there.
///
/// ```text
/// ALIVE ── connection closed, or 3 s without a beat ──▶ SILENT ── 10 s ──▶ LOST
///   ▲                                                     │                 │
///   └──────────────── a beat on a live session ───────────┴─────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Liveness {
    Alive,
    Silent,
    Lost,
}

shouted!(Liveness { Alive => "ALIVE", Silent => "SILENT", Lost => "LOST" });

/// What a replica is for.
///
/// ```text
///  CLONE ── a report shows it at the wanted version ──▶ NORMAL ── chosen to leave ──▶ DECOMMISSION ──▶ (dropped)
///    │ copy given up                                      ▲                               │ evidence did not come
///    └──▶ (dropped)                                       └───────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReplicaState {
    /// A full member.
    Normal,
    /// Being made; counts for nothing yet.
    Clone,
    /// Being taken away; takes no new loads.
    Decommission,
}

shouted!(ReplicaState { Normal => "NORMAL", Clone => "CLONE", Decommission => "DECOMMISSION" });

/// How much the coordinator may do (Pegasus' meta function levels).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// Nothing is received, nothing decided.
    Stopped,
    /// Reports are read, nothing is ordered.
    Blind,
    /// Loads go on, no repair.
    Freezed,
    /// Repair, no balance.
    Steady,
    /// Repair and balance.
    Lively,
}

shouted!(Level { Stopped => "STOPPED", Blind => "BLIND", Freezed => "FREEZED", Steady => "STEADY", Lively => "LIVELY" });
