//! The registry of ids: one newtype a kind, so that a node id can never be passed for a disk id.
//!
//! All are plain 64-bit numbers issued by the coordinator from one durable counter ([`crate::ids`] has no
//! counter of its own). Two kinds are *incarnations*, never used twice: [`ReplicaId`] (one physical copy)
//! and [`LoadId`] (one attempt at a load).

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    };
}

id!(/// One agent process on one host.
    NodeId);
id!(/// One data directory; written into its `stele-disk.toml`. The world file calls it `path_hash`.
    DiskId);
id!(/// A named group of tables.
    DatabaseId);
id!(/// One table.
    TableId);
id!(/// One partition of a table.
    PartitionId);
id!(/// The unit of placement: one hash bucket of a partition's paths.
    TabletId);
id!(/// One physical copy of a tablet. An incarnation: fresh for every copy, never reused, and what a drop names.
    ReplicaId);
id!(/// One scheduled repair or deletion.
    TaskId);
id!(/// One attempt at a load. An incarnation: the client's own name for the load is [`LoadKey`].
    LoadId);
id!(/// One leadership of a coordinator; stored before use, carried by every order.
    Epoch);
id!(/// Counts changes of a tablet's membership or roles.
    Ballot);
id!(/// One life of an agent process; random.
    BootId);

impl Epoch {
    /// The epoch after this one.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl Ballot {
    /// The ballot after this one.
    pub fn next(self) -> Ballot {
        Ballot(self.0 + 1)
    }
}

/// What the client calls its load; kept with the result so that repeating a load is harmless.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoadKey(pub String);

impl fmt::Display for LoadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The installation that a disk, an agent or a coordinator belongs to: 32 hex digits, random at birth.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub String);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
