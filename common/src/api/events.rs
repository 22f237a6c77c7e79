//! The shapes of what happens: what changed since a reader last looked, and lines that tell of it.

use serde::{Deserialize, Serialize};

/// A part of the cluster that a reader may want to look at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// What is wrong, verdicts, the margin.
    Health,
    /// Nodes and disks.
    Nodes,
    Tables,
    Tablets,
    /// Running and ended tasks.
    Tasks,
    Drains,
    Leases,
    Level,
    Knobs,
    Plans,
    /// Loads in flight.
    Loads,
}

impl Topic {
    pub const ALL: [Topic; 11] = [
        Topic::Health,
        Topic::Nodes,
        Topic::Tables,
        Topic::Tablets,
        Topic::Tasks,
        Topic::Drains,
        Topic::Leases,
        Topic::Level,
        Topic::Knobs,
        Topic::Plans,
        Topic::Loads,
    ];
}

/// One message of `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    pub epoch: u64,
    /// Rises with each change, and begins anew in each epoch.
    pub revision: u64,
    /// Look at these again.
    pub changed: Vec<Topic>,
    /// What happened since the last message, oldest first.
    pub happened: Vec<Happening>,
}

/// `GET /v1/events/recent`, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Happenings {
    pub events: Vec<Happening>,
    /// What to give as `after` for those that follow; not there at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// Counts them within an epoch.
    pub number: u64,
    /// The revision that told of it.
    pub revision: u64,
    /// RFC 3339; when it was seen.
    pub at: String,
    pub topic: Topic,
    /// Stable, such as `node_turned`.
    pub kind: String,
    /// What it is about: `node 10001`, `tablet 101`, `drain of node 10001`.
    pub subject: String,
    pub text: String,
}
