//! The only ways the [`World`](crate::World) may change. Applying cannot fail: a change about something that is not
//! there does nothing. [`Change::is_durable`] says which go to the store; replaying those in order is recovery.

use crate::Reason;
use crate::plans::Plan;
use crate::world::{
    Drain, Group, Lease, Leaver, LevelSetting, Load, Outcome, Past, Salvage, Setting, Stray, Table, Tablet, Task,
    TaskEnd, VersionRecord,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use stele_common::api::PlanState;
use stele_common::report::{HostFact, TrashFact};
use stele_common::status::Level;
use stele_common::{
    Ballot, BootId, ClusterId, DatabaseId, DiskFact, DiskId, Epoch, Evidence, Liveness, LoadId, LoadKey, Medium,
    NodeId, PartitionId, ReplicaFact, ReplicaId, ReplicaState, TableId, TabletId, TaskId, Tick, Version, VersionHash,
};

mod sorts;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    // ---- durable: cannot be learned again, or must never go back
    /// The first record of a store.
    Born {
        cluster: ClusterId,
    },
    EpochBegan {
        epoch: Epoch,
    },
    /// Ids below `end` may be issued.
    IdsReserved {
        end: u64,
    },
    /// Ids below `next` are used up (volatile within a reserved block: a restart burns the rest of it).
    IdsIssued {
        next: u64,
    },
    NodeAdded {
        node: NodeId,
        host: String,
        name: String,
        rack: String,
        tag: String,
    },
    DiskAdded {
        disk: DiskId,
        node: NodeId,
        path: String,
        medium: Medium,
    },
    /// It turned up at another node or path.
    DiskMoved {
        disk: DiskId,
        node: NodeId,
        path: String,
    },
    /// An operator gave its place away.
    DiskReplaced {
        disk: DiskId,
        by: DiskId,
    },
    /// An operator wants a node empty, or no longer does.
    NodeDrained {
        node: NodeId,
        on: bool,
    },
    /// It left the cluster with its disks: nothing of ours stands there, or the operator gave it up.
    NodeRemoved {
        node: NodeId,
        /// Where it was last heard, so that it may be let in again by the address that it was shown with; empty:
        /// nowhere.
        #[serde(default)]
        peer: String,
        #[serde(default)]
        http: String,
    },
    /// An operator wants a disk empty, or no longer does.
    DiskDrained {
        disk: DiskId,
        on: bool,
    },
    /// What stands on a node or disk when its drain begins.
    DrainBegan {
        drain: Drain,
    },
    /// Nothing stands there any more, and everything that did is proven elsewhere.
    DrainDone {
        of: Leaver,
        wall_ms: u64,
    },
    /// The agent of a removed node may join again, as a new node.
    NodeAdmitted {
        host: String,
        name: String,
    },
    DatabaseAdded {
        id: DatabaseId,
        name: String,
    },
    TableAdded {
        table: Table,
        tablets: Vec<Tablet>,
    },
    /// Tablets of a table that is there already; a snapshot writes them in chunks.
    TabletsAdded {
        tablets: Vec<Tablet>,
    },
    DatabaseDropped {
        name: String,
    },
    /// With all its tablets; their replicas are to go.
    PartitionDropped {
        table: TableId,
        partition: PartitionId,
    },
    TableDropped {
        table: TableId,
    },
    /// Its policy, or its partitions' policies, are these now; the tablets listed in it stay.
    TableChanged {
        table: Table,
    },
    /// A colocation group was made, or its bucket sequence changed.
    GroupSet {
        group: Group,
    },
    GroupDropped {
        name: String,
    },
    /// Until then it is to hold. The two clocks at the moment of the grant are of this leadership only, so not stored.
    LeaseGranted {
        lease: Lease,
        #[serde(skip)]
        at: Tick,
        #[serde(skip)]
        wall_ms: u64,
    },
    /// It is over, or was taken back.
    LeaseEnded {
        id: u64,
    },
    /// A knob was set while the coordinator ran, or taken back.
    KnobSet {
        setting: Setting,
    },
    /// People allow so much from now on.
    LevelSet {
        setting: LevelSetting,
    },
    /// A plan was worked out.
    PlanKept {
        plan: Arc<Plan>,
    },
    PlanTurned {
        id: u64,
        state: PlanState,
        cause: Option<Reason>,
        wall_ms: u64,
    },
    PlanForgotten {
        id: u64,
    },
    /// Tablets of tables that were dropped earlier; only a snapshot writes this.
    TabletsDropped {
        tablets: Vec<(TabletId, TableId)>,
    },
    ReplicaAdded {
        tablet: TabletId,
        replica: ReplicaId,
        node: NodeId,
        disk: DiskId,
        state: ReplicaState,
        ballot: Ballot,
    },
    ReplicaTurned {
        tablet: TabletId,
        replica: ReplicaId,
        state: ReplicaState,
        ballot: Ballot,
    },
    /// It left the catalog; the evidence stays in the log.
    ReplicaDropped {
        tablet: TabletId,
        replica: ReplicaId,
        ballot: Ballot,
        evidence: Evidence,
    },
    /// It turned up on another disk or node than recorded.
    ReplicaMoved {
        tablet: TabletId,
        replica: ReplicaId,
        node: NodeId,
        disk: DiskId,
    },
    /// It reported a higher version than ever before.
    ReplicaRose {
        tablet: TabletId,
        replica: ReplicaId,
        version: Version,
    },
    ReplicaBad {
        tablet: TabletId,
        replica: ReplicaId,
        cause: String,
    },
    /// A mended replica is trusted again.
    ReplicaGood {
        tablet: TabletId,
        replica: ReplicaId,
        version: Version,
    },
    /// A move has landed: `by` stands in its place, and it is the one to leave.
    ReplicaReplaced {
        tablet: TabletId,
        replica: ReplicaId,
        by: ReplicaId,
    },
    PrimaryChosen {
        tablet: TabletId,
        replica: Option<ReplicaId>,
        ballot: Ballot,
    },
    /// The one commit record of a load: all its tablets, or none.
    LoadCommitted {
        load: Load,
        versions: Vec<(TabletId, VersionRecord)>,
        /// Begins [`crate::world::SeenReplica::behind`]; of this epoch only, so not stored.
        #[serde(skip)]
        at: Tick,
    },
    LoadVisible {
        key: LoadKey,
        #[serde(skip)]
        at: Tick,
    },
    LoadForgotten {
        key: LoadKey,
    },
    /// Version records below this one are no longer kept.
    VersionsCollected {
        tablet: TabletId,
        below: Version,
    },
    TaskStarted {
        task: Task,
    },
    TaskEnded {
        tablet: TabletId,
        task: TaskId,
        outcome: Outcome,
        #[serde(default)]
        end: TaskEnd,
    },
    /// Tasks that ended earlier, oldest first; only a snapshot writes this.
    TasksPast {
        past: Vec<Past>,
    },
    /// A dropped table's tablet has no replica left anywhere that we know of.
    TabletForgotten {
        tablet: TabletId,
    },

    /// What only counts, at the end of a snapshot: the changes that it stands for are not there to be counted.
    Counted {
        sequence: u64,
        sequences: Vec<(Epoch, u64)>,
        forgotten: TabletId,
    },

    // ---- volatile: learned again
    /// What the store held is now led by us: everything volatile is forgotten, clocks start.
    LeadershipBegan {
        at: Tick,
        /// The wall clock at that moment: leases end by it.
        wall_ms: u64,
    },
    NodeConnected {
        node: NodeId,
        boot: BootId,
        peer: String,
        http: String,
        build: String,
        rack: String,
        tag: String,
        at: Tick,
    },
    NodeLive {
        node: NodeId,
        liveness: Liveness,
        at: Tick,
    },
    /// A report was taken in.
    ReportTaken {
        node: NodeId,
        boot: BootId,
        seq: u64,
    },
    /// A report is missing: what comes now is not taken before a full report.
    ReportsBroken {
        node: NodeId,
    },
    NamingBegan {
        node: NodeId,
    },
    Named {
        node: NodeId,
        replica: Option<ReplicaId>,
        load: Option<(LoadId, TabletId)>,
        task: Option<TaskId>,
        trash: Option<ReplicaId>,
        disk: Option<DiskId>,
    },
    /// The last page came: from now on silence about something means absence.
    FullReportTaken {
        node: NodeId,
    },
    DiskSeen {
        fact: DiskFact,
        node: NodeId,
        at: Tick,
    },
    /// The agent could not bring it up, or its node's word is not to be had.
    DiskUnseen {
        disk: DiskId,
        cause: String,
        at: Tick,
    },
    /// Another node has a disk of this id too, or no longer has.
    DiskTwinned {
        disk: DiskId,
        twin: Option<NodeId>,
    },
    HostSeen {
        node: NodeId,
        figures: HostFact,
    },
    ReplicaSeen {
        fact: ReplicaFact,
        node: NodeId,
        boot: BootId,
        seq: u64,
        at: Tick,
    },
    /// Its node's full report, or a delta, did not have it.
    ReplicaUnseen {
        tablet: TabletId,
        replica: ReplicaId,
    },
    /// A copy landed behind: it is to be helped before surplus is judged.
    FurtherRepairMarked {
        tablet: TabletId,
        replica: ReplicaId,
        at: Tick,
    },
    /// An operator calls a bad replica good; it is read through before it counts.
    PardonAsked {
        tablet: TabletId,
        replica: ReplicaId,
        at: Tick,
    },
    PardonEnded {
        tablet: TabletId,
        replica: ReplicaId,
    },
    ReplicaConfirmed {
        tablet: TabletId,
        replica: ReplicaId,
        nonce: u64,
        version: Version,
        hash: VersionHash,
        at: Tick,
    },
    LoadOpened {
        load: Load,
    },
    LoadPrepared {
        key: LoadKey,
        tablet: TabletId,
        replica: ReplicaId,
        hash: VersionHash,
    },
    LoadPartFailed {
        key: LoadKey,
        tablet: TabletId,
        replica: ReplicaId,
        cause: String,
    },
    LoadCommitAsked {
        key: LoadKey,
    },
    LoadAborted {
        key: LoadKey,
        cause: Reason,
        /// Wall clock, for forgetting the result.
        wall_ms: u64,
    },
    TaskProgressed {
        tablet: TabletId,
        task: TaskId,
        bytes_done: u64,
        bytes_total: u64,
        at: Tick,
    },
    TaskAgentDone {
        tablet: TabletId,
        task: TaskId,
        at: Tick,
    },
    StraySeen {
        tablet: TabletId,
        replica: ReplicaId,
        stray: Stray,
    },
    StrayGone {
        tablet: TabletId,
        replica: ReplicaId,
    },
    TrashSeen {
        node: NodeId,
        fact: TrashFact,
        at: Tick,
    },
    TrashGone {
        replica: ReplicaId,
    },
    /// A drop of it was ordered.
    Condemned {
        tablet: TabletId,
        replica: ReplicaId,
    },
    /// Its bytes are gone: no order about it can do harm any more.
    Acquitted {
        tablet: TabletId,
        replica: ReplicaId,
    },
    RoundBegan {
        tablet: TabletId,
        replica: ReplicaId,
        nonce: u64,
        at: Tick,
    },
    RoundEnded {
        replica: ReplicaId,
    },
    OrphanSeen {
        load: LoadId,
        node: NodeId,
        tablet: TabletId,
    },
    OrphanGone {
        load: LoadId,
        node: NodeId,
    },
    /// Places in bucket sequences whose node has no room for what it lacks, all of them, and since when.
    PlacesCramped {
        places: BTreeMap<(String, u32), (NodeId, Tick)>,
    },
    /// What is left of a tablet without a complete copy is put together, or could not be.
    SalvageTried {
        tablet: TabletId,
        salvage: Salvage,
    },
    /// It has a complete copy again, or is no longer ours to look after.
    SalvageOver {
        tablet: TabletId,
    },
    /// Housekeeping ran and its sweep came this far.
    Ticked {
        at: Tick,
        swept: Option<TabletId>,
    },
    LevelTurned {
        level: Level,
        cause: Option<Reason>,
    },
    VerificationBegan {
        id: u64,
        at: Tick,
        replicas: Vec<(TabletId, ReplicaId, u64)>,
        unreachable: Vec<(ReplicaId, String)>,
    },
}
