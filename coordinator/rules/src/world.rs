//! The whole state that decisions are made from. Owner: the Catalog actor; everybody else reads snapshots.
//!
//! Cloning a `World` must stay cheap (it is published after each batch): tablets live in shared chunks
//! ([`Tablets`]) that are copied only when one of their tablets changes; the rest is small.
//!
//! | part | durable? |
//! |---|---|
//! | tables, tablets' placements, versions, ballots, load results, running tasks, history, ids issued, epoch | yes |
//! | liveness, sessions, disk space, what reports said in this epoch, loads in flight, strays, trash | no: learned again |

use crate::Reason;
use crate::plans::Plans;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::apply::apply;
pub use crate::history::{History, Past, TaskEnd};
pub use crate::leases::Leases;
pub use crate::loads::{Cabinet, Loads};
pub use crate::policy::{Drain, Group, Lease, LeaseScope, Leaver, Partition, PauseOn, Table, TableState};
pub use crate::replay::as_changes;
pub use crate::roster::Flaps;
pub use crate::settings::{LevelSetting, Setting, Settings};
pub use crate::tablets::{CHUNK, Tablets};
use stele_common::config::RepairKnobs;
use stele_common::report::{HostFact, TrashFact};
use stele_common::status::Level;
use stele_common::{
    Ballot, BootId, ClusterId, DatabaseId, Digest, DiskId, DiskState, Epoch, Evidence, Liveness, LoadId, LoadKey,
    LoadMode, Medium, NodeId, PartitionId, Priority, ReplicaId, ReplicaState, Space, TableId, TabletId, TabletStatus,
    TaskId, TaskType, Tick, Version, VersionHash,
};

/// Everything.
#[derive(Clone, Debug)]
pub struct World {
    /// The law's numbers in force: the file's, and over them what was set live.
    pub knobs: Arc<RepairKnobs>,
    /// What people have set while the coordinator ran; durable.
    pub settings: Arc<Settings>,
    pub cluster: ClusterId,
    pub epoch: Epoch,
    /// When this leadership began; nobody is marked silent before a full grace after it.
    pub began: Tick,
    /// How much our own store allows: BLIND once it is known to be old. What is in force: [`crate::level`].
    pub level: Level,
    /// Why it is not LIVELY.
    pub level_cause: Option<Reason>,
    /// Every id below this one has been issued (or burnt); durable before use, reserved in blocks.
    pub next_id: u64,
    /// End of the reserved block.
    pub reserved_id: u64,
    /// Durable changes so far: a copy of the store that was made earlier has fewer.
    pub sequence: u64,
    /// How many there were when each leadership began; the latest [`crate::apply::EPOCHS_MAX`] of them.
    pub sequences: BTreeMap<Epoch, u64>,
    /// No tablet above it was ever forgotten: one below it that nobody knows was dropped long ago, not created later.
    pub forgotten: TabletId,
    pub nodes: BTreeMap<NodeId, Node>,
    pub disks: BTreeMap<DiskId, Disk>,
    pub databases: BTreeMap<String, DatabaseId>,
    pub tables: BTreeMap<TableId, Arc<Table>>,
    /// Colocation groups, by name.
    pub groups: BTreeMap<String, Arc<Group>>,
    /// What people asked for until some time: maintenance, urgency. By id.
    pub leases: Leases,
    /// Plans, those that have ended too.
    pub plans: Plans,
    /// Drains under way, and those that have ended but were not taken back.
    pub drains: BTreeMap<Leaver, Arc<Drain>>,
    /// Agents whose nodes were removed, by host and name: they may not come back unasked.
    pub removed: BTreeMap<(String, String), Removed>,
    /// Agents that were admitted again and have not joined yet, by host and name.
    pub expected: BTreeSet<(String, String)>,
    pub tablets: Tablets,
    /// Loads in flight and the results of ended ones, by the client's key.
    pub loads: Loads,
    /// Ended attempts that prepared members may still ask about.
    pub load_keys: Cabinet<LoadId, LoadKey>,
    /// Running tasks; at most one a tablet.
    pub tasks: BTreeMap<TabletId, Task>,
    /// Tasks that have ended: the latest `history_max`.
    pub history: History,
    /// Replicas on disks that the catalog does not know.
    pub strays: BTreeMap<(TabletId, ReplicaId), Stray>,
    pub trash: BTreeMap<ReplicaId, Trashed>,
    /// Tablets of dropped tables whose replicas must still go: evidence for their drops.
    pub dropped_tablets: BTreeMap<TabletId, TableId>,
    pub verifications: BTreeMap<u64, Verification>,
    /// Tablets without a complete copy for which everything else has been tried, or is being tried.
    pub salvages: BTreeMap<TabletId, Salvage>,
    // What follows is learned again in each epoch.
    /// Ids from this one on were issued by this leadership: of loads among them we know everything.
    pub began_id: u64,
    /// When housekeeping last ran, and the tablet that its sweep has reached (`None`: the pass is over).
    pub ticked: Tick,
    pub swept: Option<TabletId>,
    /// Replicas that this leadership has ordered to be dropped: an order may still be on its way, so they are never
    /// adopted again. By tablet and replica, as the orders are fenced.
    pub condemned: BTreeSet<(TabletId, ReplicaId)>,
    /// Rounds of confirmation under way for strays and trash: only answers to the round's nonce are evidence.
    pub rounds: BTreeMap<ReplicaId, Round>,
    /// Replicas that were bad and that an operator calls good, and since when: they count once they have been read.
    pub pardons: BTreeMap<(TabletId, ReplicaId), Tick>,
    /// Prepared loads of earlier leaderships that our store does not know: kept until the store is known not to be old.
    pub orphans: BTreeMap<(LoadId, NodeId), BTreeSet<TabletId>>,
    /// By group and bucket: a node of its sequence that has no room for what it lacks, and since when.
    pub cramped: BTreeMap<(String, u32), (NodeId, Tick)>,
}

/// No Confirm is ever sent with this nonce: nonces are issued ids.
pub const NO_NONCE: u64 = 0;

/// Witnesses were asked under this nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    pub tablet: TabletId,
    /// [`NO_NONCE`] once the order has been given: then it only keeps the next round waiting.
    pub nonce: u64,
    pub began: Tick,
}

/// An agent process on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub id: NodeId,
    pub host: String,
    pub name: String,
    pub rack: String,
    pub tag: String,
    /// An operator wants it empty: nothing new goes there, and its replicas are to stand elsewhere.
    pub draining: bool,
    // What follows is learned again in each epoch.
    pub liveness: Liveness,
    /// Since when it has this liveness.
    pub since: Tick,
    /// How it has come and gone: a return restarts the wait for it, up to a budget.
    pub flaps: Flaps,
    pub boot: Option<BootId>,
    /// Sequence number of the last report of this boot.
    pub seq: u64,
    /// A full report of this boot has come in: only now may its silence about something mean absence.
    pub reported: bool,
    /// Between the first and last page of a full report: what it named so far.
    pub naming: Option<Naming>,
    pub peer: String,
    pub http: String,
    pub build: String,
    pub figures: Option<HostFact>,
}

/// What the pages of a full report have named so far; the rest is judged absent at the last page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Naming {
    pub replicas: BTreeSet<ReplicaId>,
    pub loads: BTreeSet<(LoadId, TabletId)>,
    pub tasks: BTreeSet<TaskId>,
    pub trash: BTreeSet<ReplicaId>,
    pub disks: BTreeSet<DiskId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    pub id: DiskId,
    pub node: NodeId,
    pub path: String,
    pub medium: Medium,
    /// UNAVAILABLE until its agent says otherwise.
    pub state: DiskState,
    /// Since when it has this state (this epoch's clock): the waits of repair count from here.
    pub since: Tick,
    pub cause: Option<String>,
    pub space: Space,
    /// st_dev: disks that share one share their space.
    pub device: u64,
    /// An operator gave its place to a blank directory: it may be formatted with this id.
    pub replaced_by: Option<DiskId>,
    /// An operator wants it empty.
    pub draining: bool,
    /// Another live node has a disk of this id as well: one of the two is a copy, so neither is used.
    pub twin: Option<NodeId>,
    /// Slots taken by work that is not among the world's tasks; only a world file knows such.
    pub slots_elsewhere: SlotsElsewhere,
    /// Bytes of its trash: they are used, and will be free again. Counted from [`World::trash`].
    pub trash: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tablet {
    pub id: TabletId,
    pub table: TableId,
    pub partition: PartitionId,
    pub bucket: u32,
    /// n: wanted copies (copied from the partition, so that the ladder needs no look-up).
    pub wanted: u32,
    pub medium: Medium,
    pub visible: Version,
    pub committed: Version,
    /// Committed versions that are kept, oldest first; the recorded hash is the truth about a version.
    pub versions: Vec<VersionRecord>,
    pub ballot: Ballot,
    pub primary: Option<ReplicaId>,
    pub replicas: Vec<Replica>,
    /// Grows with every change of this tablet; a request decided on an older one is refused. Not stored.
    #[serde(skip)]
    pub revision: u64,
    /// The load in flight; one a tablet at a time. Not stored.
    #[serde(skip)]
    pub load: Option<LoadId>,
    /// Since when it is known to be ill, where that is told and not seen: in world files. Waits count from here then.
    #[serde(skip)]
    pub unhealthy_since: Option<Tick>,
}

/// A node that was sent away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    pub node: NodeId,
    /// Ids from here on were given later: nothing of theirs lies on its disks.
    pub before: u64,
    /// Where it was last heard; empty: nowhere.
    pub peer: String,
    pub http: String,
}

/// Slots of a disk that a world file calls used, beyond those of its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotsElsewhere {
    pub repair: u32,
    pub balance: u32,
}

/// One committed version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    pub version: Version,
    pub parent: Version,
    pub hash: VersionHash,
    pub load: LoadId,
    /// Replicas that had it durable at the commit.
    pub holders: Vec<ReplicaId>,
    /// When the version after it became visible (this epoch's clock; `None` = newest, or unknown after a restart).
    #[serde(skip)]
    pub superseded: Option<Tick>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    pub id: ReplicaId,
    pub node: NodeId,
    pub disk: DiskId,
    pub state: ReplicaState,
    pub bad: Option<String>,
    /// The highest version that it ever reported (durable: going below it is a regression).
    pub version: Version,
    /// A move has made this one in its place: of too many, it is the one that leaves.
    #[serde(default)]
    pub replaced_by: Option<ReplicaId>,
    // What follows is learned again in each epoch.
    #[serde(skip)]
    pub seen: Option<SeenReplica>,
    /// Marked for further repair: a copy that landed behind. Counts while it is behind, and for a limited time.
    #[serde(skip)]
    pub further_repair: Option<Tick>,
}

/// What the agent's reports of this epoch said of a replica.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenReplica {
    pub boot: BootId,
    pub seq: u64,
    pub version: Version,
    pub hash: VersionHash,
    /// Highest version held or waiting for its parent (the seed's "last success version").
    pub pending: Version,
    /// The lowest committed version that passed it by (the seed's "last failed version").
    pub failed: Option<Version>,
    pub size: u64,
    pub files: u64,
    pub oldest: Version,
    /// When its content was last held against its digests, on our clock.
    pub verified: Option<Tick>,
    /// The last Confirm that it answered, and when.
    pub confirmed: Option<(u64, Tick, Version, VersionHash)>,
    /// Why the agent does not trust it; [`Replica::bad`] is our own, durable word.
    pub bad: Option<String>,
    /// Since when it is below the committed version; begins anew whenever its version rises and is still below.
    pub behind: Option<Tick>,
}

/// A load by the client's key: in flight (not stored) or ended (stored).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    pub id: LoadId,
    pub key: LoadKey,
    pub table: TableId,
    pub mode: LoadMode,
    pub content: Digest,
    pub phase: LoadPhase,
    pub tablets: BTreeMap<TabletId, LoadPart>,
    #[serde(skip)]
    pub opened: Tick,
    /// The client has sent everything: commit as soon as a quorum of every tablet has it.
    #[serde(skip)]
    pub commit_asked: bool,
    /// Wall clock at the end, for forgetting results (milliseconds since 1970; decides nothing about safety).
    pub ended_wall_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LoadPhase {
    Open,
    Committed,
    Visible,
    Aborted { cause: Reason },
}

/// One tablet's part of a load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadPart {
    pub parent: Version,
    pub version: Version,
    pub ballot: Ballot,
    /// Members at opening; those that count for the quorum.
    pub members: Vec<ReplicaId>,
    pub bytes: u64,
    /// Who has it durable, and what it would become there.
    #[serde(skip)]
    pub prepared: BTreeMap<ReplicaId, VersionHash>,
    #[serde(skip)]
    pub failed: BTreeMap<ReplicaId, String>,
}

/// A running repair or deletion. Stored, so that a restart adopts it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    pub tablet: TabletId,
    pub status: TabletStatus,
    pub priority: Priority,
    #[serde(default, rename = "type")]
    pub task_type: TaskType,
    pub work: Work,
    #[serde(skip)]
    pub started: Tick,
    #[serde(skip)]
    pub bytes_done: u64,
    #[serde(skip)]
    pub bytes_total: u64,
    /// When `bytes_done` last grew.
    #[serde(skip)]
    pub progressed: Tick,
    /// The agent said it is done: the slots are free, the report decides.
    #[serde(skip)]
    pub agent_done: bool,
    pub timeout_ms: u64,
}

impl Task {
    /// Without what is not stored of it: as it was when it was ordered.
    pub(crate) fn into_ordered(self) -> Task {
        let at = Tick(0);
        Task { started: at, bytes_done: 0, bytes_total: 0, progressed: at, agent_done: false, ..self }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Work {
    Clone {
        /// The replica being made or brought up.
        replica: ReplicaId,
        node: NodeId,
        disk: DiskId,
        /// Made by this task: dropped if the copy is given up.
        fresh: bool,
        source: ReplicaId,
        source_node: NodeId,
        source_disk: DiskId,
        version: Version,
        /// The replica that leaves once this one counts: of a move, not of a repair.
        #[serde(default)]
        replaces: Option<ReplicaId>,
    },
    Delete {
        replica: ReplicaId,
        node: NodeId,
        /// Answers to this nonce count as evidence.
        nonce: u64,
        /// Loads below this one must have ended.
        watermark: LoadId,
    },
}

/// How a task ended; kept in the [`History`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    Finished { evidence: Option<Evidence> },
    Cancelled { cause: Reason },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stray {
    pub node: NodeId,
    pub disk: DiskId,
    pub version: Version,
    pub hash: VersionHash,
    pub bad: Option<String>,
    pub size: u64,
    pub since: Tick,
}

/// A replica in the trash of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Trashed {
    pub node: NodeId,
    pub fact: TrashFact,
    /// When it was told; its age grows from there.
    pub seen: Tick,
}

impl Trashed {
    /// Milliseconds since it was dropped.
    pub fn age_ms(&self, at: Tick) -> u64 {
        self.fact.age_ms.saturating_add(at.since(self.seen))
    }
}

/// What was tried for a tablet without a complete copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Salvage {
    /// Tries in a row that failed on these sources.
    pub failures: u32,
    /// All that could be read of it at the last try, with the versions that they report.
    pub sources: Vec<(ReplicaId, Version)>,
    pub ended: Option<Tick>,
    /// Not tried again on the same sources before.
    pub until: Tick,
    /// Why the last try failed.
    pub cause: Option<Reason>,
}

/// A `stele verify` in progress.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    pub id: u64,
    pub started: Tick,
    /// With their bytes, by tablet; shared, because every snapshot clones the world.
    pub replicas: Arc<Vec<(TabletId, ReplicaId, u64)>>,
    /// Could not be asked, and why.
    pub unreachable: BTreeMap<ReplicaId, String>,
    /// Turned bad since it began: stays here when they are mended or dropped.
    pub found: BTreeMap<ReplicaId, Finding>,
}

/// One bad replica that a verification has brought to light.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub tablet: TabletId,
    pub node: NodeId,
    pub cause: String,
}
