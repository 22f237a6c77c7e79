//! The sorts of changes: which are stored, and which tablet one touches.
//!
//! In: a change. Out: yes or no, an id. It must name every variant, so that a new one cannot be forgotten.

use super::Change;
use stele_common::TabletId;

impl Change {
    /// Whether the store keeps it.
    pub fn is_durable(&self) -> bool {
        use Change::*;
        match self {
            Born { .. }
            | EpochBegan { .. }
            | IdsReserved { .. }
            | NodeAdded { .. }
            | DiskAdded { .. }
            | DiskMoved { .. }
            | DiskReplaced { .. }
            | NodeDrained { .. }
            | NodeRemoved { .. }
            | DiskDrained { .. }
            | DrainBegan { .. }
            | DrainDone { .. }
            | NodeAdmitted { .. }
            | DatabaseAdded { .. }
            | TableAdded { .. }
            | TabletsAdded { .. }
            | DatabaseDropped { .. }
            | PartitionDropped { .. }
            | TableDropped { .. }
            | TabletsDropped { .. }
            | TableChanged { .. }
            | GroupSet { .. }
            | GroupDropped { .. }
            | LeaseGranted { .. }
            | LeaseEnded { .. }
            | KnobSet { .. }
            | LevelSet { .. }
            | PlanKept { .. }
            | PlanTurned { .. }
            | PlanForgotten { .. }
            | ReplicaAdded { .. }
            | ReplicaTurned { .. }
            | ReplicaDropped { .. }
            | ReplicaMoved { .. }
            | ReplicaRose { .. }
            | ReplicaBad { .. }
            | ReplicaGood { .. }
            | ReplicaReplaced { .. }
            | PrimaryChosen { .. }
            | LoadCommitted { .. }
            | LoadVisible { .. }
            | LoadForgotten { .. }
            | VersionsCollected { .. }
            | TaskStarted { .. }
            | TaskEnded { .. }
            | TasksPast { .. }
            | TabletForgotten { .. }
            | Counted { .. } => true,
            IdsIssued { .. }
            | LeadershipBegan { .. }
            | ReportsBroken { .. }
            | Condemned { .. }
            | Acquitted { .. }
            | RoundBegan { .. }
            | RoundEnded { .. }
            | OrphanSeen { .. }
            | OrphanGone { .. }
            | PlacesCramped { .. }
            | Ticked { .. }
            | NodeConnected { .. }
            | NodeLive { .. }
            | ReportTaken { .. }
            | NamingBegan { .. }
            | Named { .. }
            | FullReportTaken { .. }
            | DiskSeen { .. }
            | DiskUnseen { .. }
            | DiskTwinned { .. }
            | HostSeen { .. }
            | ReplicaSeen { .. }
            | ReplicaUnseen { .. }
            | ReplicaConfirmed { .. }
            | FurtherRepairMarked { .. }
            | SalvageTried { .. }
            | SalvageOver { .. }
            | PardonAsked { .. }
            | PardonEnded { .. }
            | LoadOpened { .. }
            | LoadPrepared { .. }
            | LoadPartFailed { .. }
            | LoadCommitAsked { .. }
            | LoadAborted { .. }
            | TaskProgressed { .. }
            | TaskAgentDone { .. }
            | StraySeen { .. }
            | StrayGone { .. }
            | TrashSeen { .. }
            | TrashGone { .. }
            | LevelTurned { .. }
            | VerificationBegan { .. } => false,
        }
    }

    /// The tablet that it touches, for the checker; `None` when it touches none, or it touches nodes.
    pub fn tablet(&self) -> Option<TabletId> {
        use Change::*;
        match self {
            ReplicaAdded { tablet, .. }
            | ReplicaTurned { tablet, .. }
            | ReplicaDropped { tablet, .. }
            | ReplicaMoved { tablet, .. }
            | ReplicaRose { tablet, .. }
            | ReplicaBad { tablet, .. }
            | ReplicaGood { tablet, .. }
            | ReplicaReplaced { tablet, .. }
            | PrimaryChosen { tablet, .. }
            | VersionsCollected { tablet, .. }
            | TaskEnded { tablet, .. }
            | TabletForgotten { tablet }
            | ReplicaUnseen { tablet, .. }
            | ReplicaConfirmed { tablet, .. }
            | FurtherRepairMarked { tablet, .. }
            | SalvageTried { tablet, .. }
            | SalvageOver { tablet }
            | PardonAsked { tablet, .. }
            | PardonEnded { tablet, .. }
            | StraySeen { tablet, .. }
            | StrayGone { tablet, .. }
            | TaskProgressed { tablet, .. }
            | TaskAgentDone { tablet, .. } => Some(*tablet),
            TaskStarted { task } => Some(task.tablet),
            ReplicaSeen { fact, .. } => Some(fact.tablet),
            Born { .. }
            | EpochBegan { .. }
            | TasksPast { .. }
            | Counted { .. }
            | IdsReserved { .. }
            | IdsIssued { .. }
            | NodeAdded { .. }
            | DiskAdded { .. }
            | DiskMoved { .. }
            | DiskReplaced { .. }
            | NodeDrained { .. }
            | NodeRemoved { .. }
            | DiskDrained { .. }
            | DrainBegan { .. }
            | DrainDone { .. }
            | NodeAdmitted { .. }
            | DatabaseAdded { .. }
            | TableAdded { .. }
            | TabletsAdded { .. }
            | DatabaseDropped { .. }
            | PartitionDropped { .. }
            | TableDropped { .. }
            | TabletsDropped { .. }
            | TableChanged { .. }
            | GroupSet { .. }
            | GroupDropped { .. }
            | LeaseGranted { .. }
            | LeaseEnded { .. }
            | PlanKept { .. }
            | PlanTurned { .. }
            | PlanForgotten { .. }
            | KnobSet { .. }
            | LevelSet { .. }
            | LeadershipBegan { .. }
            | ReportsBroken { .. }
            | Condemned { .. }
            | Acquitted { .. }
            | RoundBegan { .. }
            | RoundEnded { .. }
            | OrphanSeen { .. }
            | OrphanGone { .. }
            | PlacesCramped { .. }
            | Ticked { .. }
            | LoadCommitted { .. }
            | LoadVisible { .. }
            | LoadForgotten { .. }
            | NodeConnected { .. }
            | NodeLive { .. }
            | ReportTaken { .. }
            | NamingBegan { .. }
            | Named { .. }
            | FullReportTaken { .. }
            | DiskSeen { .. }
            | DiskUnseen { .. }
            | DiskTwinned { .. }
            | HostSeen { .. }
            | LoadOpened { .. }
            | LoadPrepared { .. }
            | LoadPartFailed { .. }
            | LoadCommitAsked { .. }
            | LoadAborted { .. }
            | TrashSeen { .. }
            | TrashGone { .. }
            | LevelTurned { .. }
            | VerificationBegan { .. } => None,
        }
    }
}
