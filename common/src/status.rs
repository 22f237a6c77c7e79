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
    /// A copy is still catching up after it landed: it is helped before any surplus is judged.
    NeedFurtherRepair,
    /// Fewer than n alive copies.
    ReplicaMissing,
    /// n alive copies, but some are behind.
    VersionIncomplete,
    /// n complete copies, but some stand on nodes that are being drained.
    ReplicaRelocating,
    /// n complete copies, but fewer than n on nodes with the table's tag (the seed's "cluster").
    ReplicaMissingInCluster,
    /// A copy stands on a disk that is being drained.
    DiskMigration,
    /// A node of the group's bucket sequence has no copy.
    ColocateMismatch,
    /// A copy outside the group's bucket sequence, or a bad one inside it.
    ColocateRedundant,
    /// More copies than wanted.
    Redundant,
    Healthy,
}

impl TabletStatus {
    /// Every status, in the order of the ladder.
    pub const ALL: [TabletStatus; 12] = [
        TabletStatus::Unrecoverable,
        TabletStatus::ForceRedundant,
        TabletStatus::NeedFurtherRepair,
        TabletStatus::ReplicaMissing,
        TabletStatus::VersionIncomplete,
        TabletStatus::ReplicaRelocating,
        TabletStatus::ReplicaMissingInCluster,
        TabletStatus::DiskMigration,
        TabletStatus::ColocateMismatch,
        TabletStatus::ColocateRedundant,
        TabletStatus::Redundant,
        TabletStatus::Healthy,
    ];
}

shouted!(TabletStatus {
    Unrecoverable => "UNRECOVERABLE",
    ForceRedundant => "FORCE_REDUNDANT",
    NeedFurtherRepair => "NEED_FURTHER_REPAIR",
    ReplicaMissing => "REPLICA_MISSING",
    VersionIncomplete => "VERSION_INCOMPLETE",
    ReplicaRelocating => "REPLICA_RELOCATING",
    ReplicaMissingInCluster => "REPLICA_MISSING_IN_CLUSTER",
    DiskMigration => "DISK_MIGRATION",
    ColocateMismatch => "COLOCATE_MISMATCH",
    ColocateRedundant => "COLOCATE_REDUNDANT",
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
    /// The most urgent first.
    pub const ALL: [Priority; 4] = [Priority::VeryHigh, Priority::High, Priority::Normal, Priority::Low];

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

/// What a task is for; each has slots of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskType {
    /// Its tablet needs it.
    #[default]
    Repair,
    /// Its tablet is healthy: the hosts are to be even.
    Balance,
}

shouted!(TaskType { Repair => "REPAIR", Balance => "BALANCE" });

/// How much the coordinator may do (Pegasus' meta function levels).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// Nothing is received, nothing decided.
    #[serde(alias = "stopped")]
    Stopped,
    /// Reports are read, nothing is ordered.
    #[serde(alias = "blind")]
    Blind,
    /// Loads go on, no repair.
    #[serde(alias = "freezed")]
    Freezed,
    /// Repair, no balance.
    #[serde(alias = "steady")]
    Steady,
    /// Repair and balance.
    #[serde(alias = "lively")]
    Lively,
}

shouted!(Level { Stopped => "STOPPED", Blind => "BLIND", Freezed => "FREEZED", Steady => "STEADY", Lively => "LIVELY" });
