//! Why, and why not: one variant a rule, constructed in one file, with its numbers. Operators read
//! [`Reason::code`] on every face; `grep -rn 'Reason::NoQuorum' coordinator/rules` ends on the rule.

use crate::reason_text::{percent, size};
use serde::{Deserialize, Serialize};
use stele_common::{DiskId, LoadKey, NodeId, ReplicaId, TableId, TabletId, TabletStatus, Version, VersionHash};

/// Its `Display` is the sentence with the numbers; a refusal is no error, `thiserror` only writes the text here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum Reason {
    // catalog: names
    #[error("table `{name}` exists already")]
    TableExists { name: String },
    #[error("there is no table `{name}`")]
    NoSuchTable { name: String },
    #[error("there is no partition `{name}`")]
    NoSuchPartition { name: String },
    #[error("there is no disk {disk}")]
    NoSuchDisk { disk: DiskId },
    #[error("there is no node {name}")]
    NoSuchNode { name: String },
    #[error("there is no node in rack `{rack}`")]
    NoSuchRack { rack: String },
    #[error("tablet {tablet} has no replica {replica}")]
    NoSuchReplica { tablet: TabletId, replica: ReplicaId },
    #[error("there is no lease {id}")]
    NoSuchLease { id: u64 },
    #[error("there is no knob `{name}`")]
    NoSuchKnob { name: String },
    #[error("{detail}")]
    BadKnob { detail: String },
    #[error("there is no plan {plan}")]
    NoSuchPlan { plan: u64 },
    #[error("the world has moved on since plan {plan} was made: {detail}")]
    PlanStale { plan: u64, detail: String },
    #[error("plan {plan} is being carried out")]
    PlanRunning { plan: u64 },
    #[error("plan {plan} is over: {state}")]
    PlanOver { plan: u64, state: String },
    #[error("plan {plan} is about hosts that are not there")]
    PlanOnlyShown { plan: u64 },
    #[error("{tablets} tablets of plan {plan} find no place")]
    PlanBlocked { plan: u64, tablets: u64 },
    #[error("colocation group `{group}`: {detail}")]
    GroupMismatch { group: String, detail: String },
    #[error("node {node} of the colocation group cannot take replicas now")]
    GroupNodeAway { node: NodeId },
    #[error("tablet {tablet} has {have} replicas, {max} are allowed with so few wanted")]
    LowerInSteps { tablet: TabletId, have: u32, max: u32 },
    #[error("replica {replica} is the last complete copy of tablet {tablet}")]
    WouldBeLast { tablet: TabletId, replica: ReplicaId },
    #[error("node {node} was removed from the cluster")]
    NodeRemoved { node: NodeId },
    #[error("{detail}")]
    BadRequest { detail: String },
    #[error("{wanted} copies need {wanted} hosts with an online disk that has room, there are {hosts}")]
    TooFewHosts { wanted: u32, hosts: u32 },
    // loads
    #[error("tablet {tablet} has {complete} complete replicas that may take a load, it needs {needed}")]
    NoQuorum { tablet: TabletId, complete: u32, needed: u32 },
    #[error("tablet {tablet} is busy with load `{key}`")]
    TabletBusy { tablet: TabletId, key: LoadKey },
    #[error("load `{key}` was opened before with other content")]
    OtherContent { key: LoadKey },
    #[error("there is no load `{key}`")]
    NoSuchLoad { key: LoadKey },
    #[error("load `{key}` is in flight")]
    LoadInFlight { key: LoadKey },
    #[error("not durable at a quorum of every tablet within {ms} ms")]
    LoadTimedOut { ms: u64 },
    #[error("aborted by its client")]
    LoadAborted,
    #[error("the members of tablet {tablet} changed while the load was in flight")]
    BallotMoved { tablet: TabletId },
    #[error("disk {disk} on host {host} has {} free; a load of {} must leave {}", size(*.free), size(*.bytes), size(*.keep))]
    DiskFullForLoad { disk: DiskId, host: String, free: u64, bytes: u64, keep: u64 },
    #[error("load `{key}` is committed already")]
    AlreadyCommitted { key: LoadKey },
    // store
    #[error("the coordinator's store is older than what the disks say: {detail}")]
    StoreIsOld { detail: String },
    /// `by`: who set it, if anybody did.
    #[error("level {level}{by} forbids it")]
    LevelForbids {
        level: String,
        #[serde(default)]
        by: String,
    },
    #[error(
        "{alive} of {nodes} nodes that should be there are alive: nothing is copied or deleted below {percent} % or {least}"
    )]
    AutoFreezed { alive: u64, nodes: u64, percent: u64, least: u64 },
    // schedule
    #[error("paused until {until} by lease {lease} ({by})")]
    Paused { lease: u64, until: String, by: String },
    #[error("node {node} of host {host} is in assign_secondary_black_list: it gets no new replica")]
    BlackListed { node: NodeId, host: String },
    #[error("{coming} copies are under way to node {node}, add_secondary_max_count_for_one_node is {max}")]
    NodeTakesEnough { node: NodeId, coming: u32, max: u32 },
    #[error("tablet {tablet} has changed since this was decided")]
    RevisionMoved { tablet: TabletId },
    #[error("waits {in_ms} ms more for what may come back by itself")]
    NotReady { in_ms: u64 },
    #[error("no complete replica of tablet {tablet} can be read")]
    NoSource { tablet: TabletId },
    #[error("the disks that could give it are busy: no free slot, such as on disk {disk}")]
    NoSourceSlot { disk: DiskId },
    #[error("none of {disks} disks may take a copy of tablet {tablet}: {why}")]
    NoDestination { tablet: TabletId, disks: u32, why: String },
    #[error("no other disk of node {node} may take what is on disk {disk}: {why}")]
    NoOtherDisk { node: NodeId, disk: DiskId, why: String },
    #[error("every host that may hold tablet {tablet} holds a copy that is needed: none may leave to make room")]
    NoFreeHost { tablet: TabletId },
    #[error("table {table} is being altered: of its tablets only versions are repaired")]
    TableNotNormal { table: TableId },
    #[error("node {node} is being drained")]
    NodeDraining { node: NodeId },
    #[error("disk {disk} is being drained")]
    DiskDraining { disk: DiskId },
    #[error("node {node} has the tag `{tag}`, the table asks for `{wanted}`")]
    OtherTag { node: NodeId, tag: String, wanted: String },
    #[error("node {node} is not in the tablet's bucket of its colocation group")]
    NotInBucket { node: NodeId },
    #[error("node {node} of the bucket is away: its group replaces it when it stays away")]
    BucketNodeAway { node: NodeId },
    #[error("{disks} disks could take it, none has a free slot")]
    NoDestinationSlot { disks: u32 },
    #[error("the host of node {node} holds a replica of this tablet already")]
    HostHasCopy { node: NodeId },
    #[error("disk {disk} is not online")]
    DiskNotOnline { disk: DiskId },
    #[error("disk {disk} has {} free after all grants; a copy of {} must leave {}", size(*.free), size(*.bytes), size(*.keep))]
    DiskWouldOverfill { disk: DiskId, free: u64, bytes: u64, keep: u64 },
    #[error("node {node} is not alive")]
    NodeNotAlive { node: NodeId },
    #[error("disk {disk} is of another medium")]
    OtherMedium { disk: DiskId },
    #[error("{nodes} nodes have not sent a full report in this session")]
    NodesNotReported { nodes: u32 },
    #[error("it has {have} replicas, at most {max} are allowed while repairing")]
    TooManyReplicas { have: u32, max: u32 },
    #[error("tablet {tablet} has a task already")]
    TabletHasTask { tablet: TabletId },
    #[error("the tablet needs nothing any more")]
    NowHealthy,
    #[error("{max} more urgent tasks are pending already")]
    QueueFull { max: u32 },
    #[error("failed {failures} times, tries again in {in_ms} ms")]
    Backoff { failures: u32, in_ms: u64 },
    #[error("tablet {tablet} has no complete replica that can be read")]
    Unrecoverable { tablet: TabletId },
    #[error(
        "version {version} could not be put together from the {sources} replicas, strays and trash that are left (try {tries}): {detail}"
    )]
    Unsalvaged { version: Version, sources: u32, tries: u32, detail: String },
    #[error(
        "replica {replica} has other content than was committed as version {version}: {has} in place of {recorded}"
    )]
    Inconsistent { replica: ReplicaId, version: Version, has: VersionHash, recorded: VersionHash },
    // balance
    #[error("used parts of disks differ by {} at most, balance begins at {}; counts are as fair as may be", percent(*.spread_ppm), percent(*.threshold_ppm))]
    BalanceIdle { spread_ppm: u64, threshold_ppm: u64 },
    #[error("used parts of disks differ by {} at most, balance begins at {}, but no move that may be made lowers it", percent(*.spread_ppm), percent(*.threshold_ppm))]
    NothingEvens { spread_ppm: u64, threshold_ppm: u64 },
    #[error("balance keeps its hands off {what} for now")]
    BalanceHeld { what: String },
    #[error("tablet {tablet} is {status} or has a task: only what is healthy and at rest is moved for evenness")]
    RepairFirst { tablet: TabletId, status: TabletStatus },
    #[error("moving tablet {tablet} is worth nothing any more: {detail}")]
    NotWorth { tablet: TabletId, detail: String },
    #[error("`disable_balance` is set")]
    BalanceDisabled,
    #[error("leadership is new: in {in_ms} ms everybody who is there has been heard")]
    BalanceTooEarly { in_ms: u64 },
    #[error("what held balance back is over, it looks again in {in_ms} ms")]
    BalanceLooks { in_ms: u64 },
    #[error("repair first: tablets that are being copied or wait for it: {tablets}")]
    RepairsFirst { tablets: u32 },
    // balance of primaries
    #[error("primaries of every table are as even as may be")]
    PrimariesEven,
    #[error(
        "primaries of table `{table}` stand {fewest} to {most} on a node: no chain of complete, idle copies leads from \
         those with more to those with fewer, and no primary may be copied"
    )]
    PrimariesUneven { table: String, most: u64, fewest: u64 },
    #[error("`only_primary_balancer` is set: only primaries are evened")]
    PrimariesOnly,
    #[error("replica {replica} of tablet {tablet} is not its primary any more, or the other may not become it")]
    NotPrimary { tablet: TabletId, replica: ReplicaId },
    #[error("a load is open on tablet {tablet}")]
    LoadOnTablet { tablet: TabletId },
    #[error("tablet {tablet} is {status} or has a task: its primary stays")]
    PrimaryRests { tablet: TabletId, status: TabletStatus },
    // balance of colocation groups
    #[error("`{knob}` is set")]
    GroupBalanceOff { knob: String },
    #[error("a node has come or gone lately: groups are evened in {in_ms} ms, if it stays so")]
    NodesUnsettled { in_ms: u64 },
    #[error("{tablets} tablets of colocation group `{group}` do not stand as its sequence says yet")]
    GroupUnstable { group: String, tablets: u64 },
    #[error("of the nodes of colocation group `{group}` {nodes} can take anything: nobody can take another's place")]
    GroupAlone { group: String, nodes: u32 },
    #[error("colocation group `{group}` is even: its nodes stand in {fewest} to {most} buckets")]
    GroupEven { group: String, most: u64, fewest: u64 },
    #[error(
        "in colocation group `{group}` node {giver} stands in {most} buckets, node {taker} in {fewest}, but in none of them \
         another node can take the place of one that stands more often: its host is in the bucket, or it has no room"
    )]
    GroupUneven { group: String, giver: NodeId, most: u64, taker: NodeId, fewest: u64 },
    // task ends
    #[error("node {node} is lost")]
    NodeLost { node: NodeId },
    #[error("not done within {ms} ms and slower than a copy must be")]
    TimedOut { ms: u64 },
    #[error("no byte moved for {ms} ms")]
    Stalled { ms: u64 },
    #[error("the agent gave up: {detail}")]
    AgentFailed { detail: String },
    #[error("replica {replica} sent bytes of `{path}` that do not match their digest")]
    SourceDamaged { replica: ReplicaId, path: String },
    #[error("no agent knew the task after the coordinator restarted")]
    NotAdopted,
    #[error("the table was dropped")]
    TableDropped,
    #[error("only {complete} other replicas are complete, {wanted} are wanted: it stays")]
    CopiesLost { complete: u32, wanted: u32 },
    // deletion guard
    #[error("replica {replica} is the last complete copy")]
    LastComplete { replica: ReplicaId },
    #[error("only {holders} replicas would hold version {version}, {needed} must")]
    TooFewHolders { version: Version, holders: u32, needed: u32 },
    #[error("a load in flight counts replica {replica}")]
    LoadCountsIt { replica: ReplicaId },
    #[error("{proven} other replicas are proven, {needed} must be")]
    NotProven { proven: u32, needed: u32 },
    #[error("the other replicas were not proven within {ms} ms")]
    EvidenceTimedOut { ms: u64 },
}

impl Reason {
    /// Stable name, in snake case.
    pub fn code(&self) -> &'static str {
        use Reason::*;
        match self {
            TableExists { .. } => "table_exists",
            NoSuchTable { .. } => "no_such_table",
            NoSuchPartition { .. } => "no_such_partition",
            NoSuchDisk { .. } => "no_such_disk",
            NoSuchNode { .. } => "no_such_node",
            NoSuchRack { .. } => "no_such_rack",
            PlanBlocked { .. } => "plan_blocked",
            PlanOnlyShown { .. } => "plan_only_shown",
            PlanOver { .. } => "plan_over",
            PlanRunning { .. } => "plan_running",
            PlanStale { .. } => "plan_stale",
            NoSuchPlan { .. } => "no_such_plan",
            NoSuchReplica { .. } => "no_such_replica",
            NoSuchLease { .. } => "no_such_lease",
            NoSuchKnob { .. } => "no_such_knob",
            BadKnob { .. } => "bad_knob",
            GroupMismatch { .. } => "group_mismatch",
            GroupNodeAway { .. } => "group_node_away",
            LowerInSteps { .. } => "lower_in_steps",
            WouldBeLast { .. } => "would_be_last",
            NodeRemoved { .. } => "node_removed",
            BadRequest { .. } => "bad_request",
            TooFewHosts { .. } => "too_few_hosts",
            NoQuorum { .. } => "no_quorum",
            TabletBusy { .. } => "tablet_busy",
            OtherContent { .. } => "other_content",
            NoSuchLoad { .. } => "no_such_load",
            LoadInFlight { .. } => "load_in_flight",
            LoadTimedOut { .. } => "load_timed_out",
            LoadAborted => "load_aborted",
            BallotMoved { .. } => "ballot_moved",
            DiskFullForLoad { .. } => "disk_full_for_load",
            AlreadyCommitted { .. } => "already_committed",
            StoreIsOld { .. } => "store_is_old",
            LevelForbids { .. } => "level_forbids",
            AutoFreezed { .. } => "auto_freezed",
            Paused { .. } => "paused",
            BlackListed { .. } => "black_listed",
            NodeTakesEnough { .. } => "node_takes_enough",
            RevisionMoved { .. } => "revision_moved",
            NotReady { .. } => "not_ready",
            NoSource { .. } => "no_source",
            NoSourceSlot { .. } => "no_source_slot",
            NoDestination { .. } => "no_destination",
            NoOtherDisk { .. } => "no_other_disk",
            NoFreeHost { .. } => "no_free_host",
            TableNotNormal { .. } => "table_not_normal",
            NodeDraining { .. } => "node_draining",
            DiskDraining { .. } => "disk_draining",
            OtherTag { .. } => "other_tag",
            NotInBucket { .. } => "not_in_bucket",
            BucketNodeAway { .. } => "bucket_node_away",
            NoDestinationSlot { .. } => "no_destination_slot",
            HostHasCopy { .. } => "host_has_copy",
            DiskNotOnline { .. } => "disk_not_online",
            DiskWouldOverfill { .. } => "disk_would_overfill",
            NodeNotAlive { .. } => "node_not_alive",
            OtherMedium { .. } => "other_medium",
            NodesNotReported { .. } => "nodes_not_reported",
            TooManyReplicas { .. } => "too_many_replicas",
            TabletHasTask { .. } => "tablet_has_task",
            NowHealthy => "now_healthy",
            QueueFull { .. } => "queue_full",
            Backoff { .. } => "backoff",
            Unrecoverable { .. } => "unrecoverable",
            Unsalvaged { .. } => "unsalvaged",
            Inconsistent { .. } => "inconsistent",
            BalanceIdle { .. } => "balance_idle",
            NothingEvens { .. } => "nothing_evens",
            BalanceHeld { .. } => "balance_held",
            RepairFirst { .. } => "repair_first",
            NotWorth { .. } => "not_worth",
            BalanceDisabled => "balance_disabled",
            BalanceTooEarly { .. } => "balance_too_early",
            BalanceLooks { .. } => "balance_looks",
            RepairsFirst { .. } => "repairs_first",
            PrimariesEven => "primaries_even",
            PrimariesUneven { .. } => "primaries_uneven",
            PrimariesOnly => "primaries_only",
            NotPrimary { .. } => "not_primary",
            LoadOnTablet { .. } => "load_on_tablet",
            PrimaryRests { .. } => "primary_rests",
            GroupBalanceOff { .. } => "group_balance_off",
            NodesUnsettled { .. } => "nodes_unsettled",
            GroupUnstable { .. } => "group_unstable",
            GroupAlone { .. } => "group_alone",
            GroupEven { .. } => "group_even",
            GroupUneven { .. } => "group_uneven",
            NodeLost { .. } => "node_lost",
            TimedOut { .. } => "timed_out",
            Stalled { .. } => "stalled",
            AgentFailed { .. } => "agent_failed",
            SourceDamaged { .. } => "source_damaged",
            NotAdopted => "not_adopted",
            TableDropped => "table_dropped",
            CopiesLost { .. } => "copies_lost",
            LastComplete { .. } => "last_complete",
            TooFewHolders { .. } => "too_few_holders",
            LoadCountsIt { .. } => "load_counts_it",
            NotProven { .. } => "not_proven",
            EvidenceTimedOut { .. } => "evidence_timed_out",
        }
    }
}
