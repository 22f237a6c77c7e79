//! Stele's vocabulary and wire: what things *are*. No rule, no actor, no IO beyond encoding.
//!
//! | module | word |
//! |---|---|
//! | [`ids`] | ids of every kind, as types |
//! | [`version`] | versions, digests |
//! | [`path`] | checked file names, and the bucket of a path |
//! | [`manifest`] | the files of a version; what a load changes |
//! | [`disk`] | medium, space and state of a disk |
//! | [`status`] | verdicts' names, priorities, states of nodes, replicas, tasks |
//! | [`report`], [`order`] | what agents tell the coordinator, and the other way |
//! | [`handshake`], [`peer`] | first words of a connection; the peer port and load streams |
//! | [`time`] | monotonic milliseconds |
//! | [`wire`] | frames of MessagePack, golden bytes |
//! | [`config`] | every knob: unit, default, range |
//! | [`near`] | the name that was meant |
//! | [`api`] | the shapes that HTTP and the CLI show |

pub mod api;
pub mod config;
pub mod disk;
pub mod handshake;
pub mod ids;
pub mod manifest;
pub mod near;
pub mod order;
pub mod path;
pub mod peer;
pub mod report;
pub mod status;
pub mod time;
pub mod version;
pub mod wire;

pub use disk::{DiskFact, DiskState, Medium, Space};
pub use ids::{
    Ballot, BootId, ClusterId, DatabaseId, DiskId, Epoch, LoadId, LoadKey, NodeId, PartitionId, ReplicaId, TableId,
    TabletId, TaskId,
};
pub use manifest::{Delta, Entry, LoadMode, Manifest, Meta, NewFile};
pub use order::{CloneOrder, CopyLimit, CopyLimits, Evidence, Order, OrderBody, Source, TabletLabel, ToAgent, Witness};
pub use path::RelPath;
pub use report::{
    Fact, LoadFact, LoadState, ReplicaFact, Report, ReportKind, TaskFact, TaskFailure, TaskProgress, ToCoordinator,
    TrashFact,
};
pub use status::{Liveness, Priority, ReplicaState, TabletStatus, TaskType};
pub use time::Tick;
pub use version::{Digest, Version, VersionHash};
