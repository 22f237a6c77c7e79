//! Whether a tablet's repair may start now, and as what.
//!
//! In: the world, a tablet, slots and free disks. Out: a proposal with what it takes, or why not and what would change
//! that. The verdict is asked anew at every visit, so a stale queue can never start anything.
//!
//! | verdict | what is tried, in this order |
//! |---|---|
//! | REPLICA_MISSING | bring up one that is alive but behind; a new one; delete a useless one that is in the way (at n + 2, or on the only host with room), or mend it |
//! | REPLICA_RELOCATING | the same, where what is brought up may stay where it is; or one moves over within its host |
//! | REPLICA_MISSING_IN_CLUSTER | the same, where what is brought up has the table's tag |
//! | VERSION_INCOMPLETE | bring up those that are behind ([`in_place`]) |
//! | NEED_FURTHER_REPAIR | bring up the marked one |
//! | DISK_MIGRATION | a successor on another disk of its node, then of its host; a new one on another host |
//! | COLOCATE_MISMATCH | a new one on a node of the bucket; the successor of an outside one on the same host |
//! | COLOCATE_REDUNDANT | delete one outside the bucket, or a bad one inside it |
//! | REDUNDANT | delete one ([`super::victim`]) |
//! | FORCE_REDUNDANT | bring up one that may stay; delete a useless one, never a good one; one moves over within its host |
//!
//! Of a table that is not NORMAL only VERSION_INCOMPLETE goes on.

use super::in_place::{self, Spot};
use super::slots::{Grant, Ledger};
use super::statistics::Scores;
use super::target::Board;
use super::victim::Purpose;
use super::visitor::Visitor;
use crate::checkup::count;
use crate::checkup::verdict::verdict_on;
use crate::policy::TableState;
use crate::world::Tablet;
use crate::{Proposal, Reason, World, pause};
use stele_common::{DiskId, Priority, TabletId, TabletStatus, Tick};

/// What came of looking at a tablet.
#[derive(Debug)]
pub enum Visit {
    /// Nothing to do here.
    Gone(Reason),
    /// It may come back by itself.
    NotReady {
        ms: u64,
    },
    Propose {
        proposal: Proposal,
        grant: Option<Grant>,
    },
    /// Possible, but for the slots of these disks.
    Busy {
        reason: Reason,
        disks: Vec<DiskId>,
    },
    /// Impossible as things are.
    Refused(Reason),
}

/// More replicas than this over the wanted number are never made (DESIGN 6.5).
pub const SURPLUS_MAX: u32 = 2;

/// What a visit reads.
pub struct Desktop<'a> {
    pub world: &'a World,
    pub ledger: &'a Ledger,
    pub board: &'a Board<'a>,
    pub scores: &'a Scores,
    pub at: Tick,
}

/// Looks at a tablet.
pub fn visit(desktop: &Desktop, tablet: &Tablet, priority: Priority) -> Visit {
    let counts = count(desktop.world, tablet);
    let verdict = verdict_on(desktop.world, tablet, &counts, desktop.at);
    let visitor = Visitor { desktop, tablet, counts: &counts, verdict, priority };
    if verdict.ready_in_ms > 0 {
        return Visit::NotReady { ms: verdict.ready_in_ms };
    }
    if let Some(reason) = held_by_table(desktop.world, tablet, verdict.status) {
        return Visit::Refused(reason);
    }
    let held = pause::holds_repair(desktop.world, tablet, counts.complete);
    match (verdict.status, held) {
        (TabletStatus::Healthy | TabletStatus::Unrecoverable, _) | (_, None) => {}
        (_, Some(reason)) => return Visit::Refused(reason),
    }
    match verdict.status {
        TabletStatus::Healthy => Visit::Gone(needless()),
        TabletStatus::Unrecoverable => Visit::Gone(unrecoverable(tablet.id)),
        TabletStatus::Redundant => visitor.delete(Purpose::Surplus),
        TabletStatus::ForceRedundant => visitor.make_way(),
        TabletStatus::VersionIncomplete => visitor.complete_versions(),
        TabletStatus::NeedFurtherRepair => visitor.bring_up_first(in_place::marked(&visitor)),
        TabletStatus::ReplicaMissing => visitor.add_missing(),
        TabletStatus::ReplicaRelocating => visitor.relocate(Spot::Staying),
        TabletStatus::ReplicaMissingInCluster => visitor.relocate(Spot::InTag),
        TabletStatus::DiskMigration => visitor.leave_disk(),
        TabletStatus::ColocateMismatch => visitor.fill_bucket(),
        TabletStatus::ColocateRedundant => visitor.delete(Purpose::Colocate),
    }
}

/// While its table is being altered a tablet is brought up, and nothing else.
fn held_by_table(world: &World, tablet: &Tablet, status: TabletStatus) -> Option<Reason> {
    match status {
        TabletStatus::Healthy | TabletStatus::Unrecoverable | TabletStatus::VersionIncomplete => return None,
        TabletStatus::ForceRedundant
        | TabletStatus::NeedFurtherRepair
        | TabletStatus::ReplicaMissing
        | TabletStatus::ReplicaRelocating
        | TabletStatus::ReplicaMissingInCluster
        | TabletStatus::DiskMigration
        | TabletStatus::ColocateMismatch
        | TabletStatus::ColocateRedundant
        | TabletStatus::Redundant => {}
    }
    match world.tables.get(&tablet.table)?.state {
        TableState::Normal => None,
        TableState::Altering => Some(Reason::TableNotNormal { table: tablet.table }),
    }
}

/// The sentence for a tablet that waits.
pub fn not_ready(ms: u64) -> Reason {
    Reason::NotReady { in_ms: ms }
}

/// The sentence for a tablet that nothing can be copied from.
pub fn unrecoverable(tablet: TabletId) -> Reason {
    Reason::Unrecoverable { tablet }
}

/// The reason of ending work that became needless.
pub fn needless() -> Reason {
    Reason::NowHealthy
}
