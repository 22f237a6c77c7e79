//! Everything that can happen to the catalog, stamped with its time by the shell.

use crate::Reason;
use crate::balance::moves::Move;
use crate::balance::primaries::Turn;
use crate::plans::Plan;
use stele_common::handshake::Hello;
use stele_common::{
    DiskId, Epoch, Liveness, LoadKey, NodeId, Priority, ReplicaId, Report, TabletId, TabletStatus, TaskId, Tick, api,
};

#[derive(Clone, Debug)]
pub struct Event {
    /// Monotonic: what rules reckon with.
    pub at: Tick,
    /// Wall clock, milliseconds since 1970: shown, and used to forget old results; never decides about safety.
    pub wall_ms: u64,
    pub body: EventBody,
}

#[derive(Clone, Debug)]
pub enum EventBody {
    /// A leadership begins on what the store held. `cluster_if_new`: the id to be born with.
    Began {
        cluster_if_new: String,
    },
    /// An agent introduces itself (its proof has been checked). Answered with [`crate::Answer::Handshake`].
    Hello {
        hello: Hello,
        proof: [u8; 32],
    },
    /// Numbered facts from the agent's live session.
    Reported {
        node: NodeId,
        report: Report,
    },
    /// An agent has seen a higher epoch than ours.
    HigherEpoch {
        node: Option<NodeId>,
        epoch: Epoch,
    },
    /// The Roster's word on a node.
    NodeTurned {
        node: NodeId,
        liveness: Liveness,
    },
    CreateTable(api::TableCreate),
    DropTable {
        db: String,
        name: String,
    },
    CreateDatabase {
        name: String,
    },
    /// An empty one.
    DropDatabase {
        name: String,
    },
    AddPartition {
        db: String,
        name: String,
        wish: api::PartitionAdd,
    },
    DropPartition {
        db: String,
        name: String,
        partition: String,
    },
    InitDisk(api::DiskInit),
    /// What is wanted of a table changes.
    SetTable {
        db: String,
        name: String,
        wish: api::TableSet,
    },
    /// Nodes or disks are to become empty.
    Drain(api::DrainAsk),
    Undrain(api::DrainAsk),
    RemoveNode {
        node: NodeId,
        ask: api::RemoveAsk,
    },
    /// The agent of a removed node may join again.
    AdmitNode(api::AdmitAsk),
    GrantLease(api::LeaseAsk),
    EndLease {
        id: u64,
    },
    /// A knob is to be this from now on.
    SetKnob {
        name: String,
        ask: api::KnobAsk,
    },
    /// So much is allowed from now on.
    SetLevel(api::LevelAsk),
    /// A plan that was drawn on a snapshot.
    KeepPlan(Box<Plan>),
    ApplyPlan {
        id: u64,
    },
    CancelPlan {
        id: u64,
    },
    /// An operator's word on one replica.
    SetReplica {
        tablet: TabletId,
        replica: ReplicaId,
        wish: api::ReplicaSet,
    },
    OpenLoad(api::LoadOpen),
    /// The client has streamed everything: commit as soon as a quorum of every tablet has it.
    CommitLoad {
        key: LoadKey,
    },
    AbortLoad {
        key: LoadKey,
    },
    Verify(api::VerifyStart),
    /// The scheduler's wish, decided on a snapshot; refused when the tablet has moved on since.
    Propose(Proposal),
    /// Every 100 ms or so: timeouts, evidence, collection, trash, strays.
    Tick,
}

/// What the scheduler asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Proposal {
    Clone {
        tablet: TabletId,
        revision: u64,
        status: TabletStatus,
        priority: Priority,
        source: ReplicaId,
        /// An existing replica to be brought up, or a disk to make a new one on.
        target: Target,
    },
    /// One replica of a healthy tablet is to stand elsewhere, so that the hosts are even.
    Move {
        revision: u64,
        mv: Move,
    },
    /// Another complete replica is to be the primary, so that nodes have equally many.
    Turn(Turn),
    Delete {
        tablet: TabletId,
        revision: u64,
        status: TabletStatus,
        priority: Priority,
        victim: ReplicaId,
    },
    Cancel {
        tablet: TabletId,
        task: TaskId,
        cause: Reason,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Existing(ReplicaId),
    NewOn {
        node: NodeId,
        disk: DiskId,
    },
    /// A new one on another disk of the host of `old`, which leaves once the new one counts.
    Beside {
        old: ReplicaId,
        disk: DiskId,
    },
}

impl Proposal {
    pub fn tablet(&self) -> TabletId {
        match self {
            Proposal::Clone { tablet, .. } | Proposal::Delete { tablet, .. } | Proposal::Cancel { tablet, .. } => {
                *tablet
            }
            Proposal::Move { mv, .. } => mv.tablet,
            Proposal::Turn(turn) => turn.tablet,
        }
    }
}
