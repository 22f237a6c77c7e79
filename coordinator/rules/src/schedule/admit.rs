//! Whether a tablet's repair may start now, and as what.
//!
//! In: the world, a tablet, slots and free disks. Out: a proposal with what it takes, or why not and what would change
//! that. The verdict is asked anew at every visit, so a stale queue can never start anything.
//!
//! | verdict | what is tried, in this order |
//! |---|---|
//! | REPLICA_MISSING | bring up one that is alive but behind; a new one; delete a useless one that is in the way (at n + 2, or on the only host with room), or mend it |
//! | VERSION_INCOMPLETE | bring up the most complete of those behind |
//! | REDUNDANT, FORCE_REDUNDANT | delete one |

use super::slots::{Grant, Ledger, size_of};
use super::source::{NoSource, choose_source};
use super::target::{Board, NoTarget, choose_target, in_place_refusal};
use super::victim::{Purpose, choose_victim};
use crate::checkup::verdict::verdict_on;
use crate::checkup::{Counts, Flaw, Verdict, count, waits};
use crate::event::Target;
use crate::world::{Replica, Tablet};
use crate::{Proposal, Reason, World};
use stele_common::{DiskId, Priority, TabletStatus, Tick};

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
    pub board: &'a Board,
    pub at: Tick,
}

/// Looks at a tablet.
pub fn visit(desktop: &Desktop, tablet: &Tablet, priority: Priority) -> Visit {
    let counts = count(desktop.world, tablet);
    let verdict = verdict_on(desktop.world, tablet, &counts, desktop.at);
    let visit = Visitor { desktop, tablet, counts: &counts, verdict, priority };
    if verdict.ready_in_ms > 0 {
        return Visit::NotReady { ms: verdict.ready_in_ms };
    }
    match verdict.status {
        TabletStatus::Healthy => Visit::Gone(Reason::NowHealthy),
        TabletStatus::Unrecoverable => Visit::Gone(Reason::Unrecoverable { tablet: tablet.id }),
        TabletStatus::Redundant => visit.delete(Purpose::Surplus),
        TabletStatus::ForceRedundant => visit.delete(Purpose::Unblock),
        TabletStatus::VersionIncomplete => match visit.behind() {
            Some(replica) => visit.bring_up(replica),
            None => Visit::NotReady { ms: desktop.world.knobs.install_grace_ms.max(1) },
        },
        TabletStatus::ReplicaMissing => visit.replace_missing(),
        TabletStatus::ReplicaRelocating | TabletStatus::ReplicaMissingInCluster => visit.make_new(),
        TabletStatus::NeedFurtherRepair
        | TabletStatus::DiskMigration
        | TabletStatus::ColocateMismatch
        | TabletStatus::ColocateRedundant => Visit::NotReady { ms: 1_000 },
    }
}

/// The sentence for a tablet that waits.
pub fn not_ready(ms: u64) -> Reason {
    Reason::NotReady { in_ms: ms }
}

/// The reason of ending work that became needless.
pub fn needless() -> Reason {
    Reason::NowHealthy
}

struct Visitor<'a> {
    desktop: &'a Desktop<'a>,
    tablet: &'a Tablet,
    counts: &'a Counts,
    verdict: Verdict,
    priority: Priority,
}

impl Visitor<'_> {
    fn replace_missing(&self) -> Visit {
        let (world, at) = (self.desktop.world, self.desktop.at);
        if let Some(replica) = self.behind() {
            return self.bring_up(replica);
        }
        let ms = waits::missing_in(world, self.tablet, self.counts, at);
        if ms > 0 {
            return Visit::NotReady { ms };
        }
        let max = self.tablet.wanted + SURPLUS_MAX;
        if self.verdict.replicas >= max {
            return match self.delete(Purpose::MakeRoom) {
                Visit::NotReady { .. } => Visit::Refused(Reason::TooManyReplicas { have: self.verdict.replicas, max }),
                visit => visit,
            };
        }
        match self.make_new() {
            Visit::Refused(reason) => self.unblock(reason),
            visit => visit,
        }
    }

    /// No disk anywhere, perhaps because a useless replica is in the way of a good one on its own host: a bad one is
    /// mended where it lies; one on a disk that stays away leaves the catalog, so that another disk there can be used.
    fn unblock(&self, reason: Reason) -> Visit {
        if let Some(bad) = self.mendable() {
            return self.bring_up(bad);
        }
        match self.delete(Purpose::FreeHost) {
            Visit::NotReady { .. } => Visit::Refused(reason),
            visit => visit,
        }
    }

    /// The replica to bring up in place: alive, behind, its grace over. One with a mere hole first, then the most
    /// complete.
    fn behind(&self) -> Option<&Replica> {
        let (world, at) = (self.desktop.world, self.desktop.at);
        let alive = self.tablet.replicas.iter().zip(&self.counts.judged).filter(|(_, j)| j.alive && !j.complete);
        let due = alive.filter(|(replica, _)| waits::install_in(world, replica, at) == 0);
        due.map(|(replica, _)| replica).min_by_key(|replica| {
            let seen = replica.seen.as_ref().map_or((0, 0), |seen| (seen.version.0, seen.pending.0));
            (seen.1 <= seen.0, u64::MAX - seen.0, replica.id)
        })
    }

    /// A bad replica whose node and disk are there.
    fn mendable(&self) -> Option<&Replica> {
        let world = self.desktop.world;
        let bad = self.tablet.replicas.iter().zip(&self.counts.judged).filter(|(_, j)| j.why == Some(Flaw::Bad));
        bad.map(|(replica, _)| replica).find(|replica| {
            let disk = world.disks.get(&replica.disk);
            disk.is_some_and(|disk| super::target::place_refusal(world, disk).is_none())
        })
    }

    fn bring_up(&self, replica: &Replica) -> Visit {
        let Desktop { world, ledger, .. } = *self.desktop;
        let source = match choose_source(world, ledger, self.tablet, self.counts, Some(replica.id)) {
            Ok(source) => source,
            Err(NoSource { reason, busy }) => return stopped(reason, busy),
        };
        let has = replica.seen.as_ref().map_or(0, |seen| seen.size);
        let bytes = source.seen.as_ref().map_or(0, |seen| seen.size).saturating_sub(has);
        match in_place_refusal(world, ledger, replica.disk, bytes) {
            Some(reason @ Reason::NoDestinationSlot { .. }) => return stopped(reason, vec![replica.disk]),
            Some(reason) => return Visit::Refused(reason),
            None => {}
        }
        self.clone_from(
            source,
            Target::Existing(replica.id),
            Grant { source_disk: source.disk, node: replica.node, disk: replica.disk, bytes },
        )
    }

    fn make_new(&self) -> Visit {
        let Desktop { world, ledger, board, .. } = *self.desktop;
        let source = match choose_source(world, ledger, self.tablet, self.counts, None) {
            Ok(source) => source,
            Err(NoSource { reason, busy }) => return stopped(reason, busy),
        };
        let bytes = size_of(self.tablet);
        match choose_target(world, ledger, board, self.tablet, bytes) {
            Ok((node, disk)) => {
                let grant = Grant { source_disk: source.disk, node, disk, bytes };
                self.clone_from(source, Target::NewOn { node, disk }, grant)
            }
            Err(NoTarget { reason, busy }) => stopped(reason, busy),
        }
    }

    fn clone_from(&self, source: &Replica, target: Target, grant: Grant) -> Visit {
        let proposal = Proposal::Clone {
            tablet: self.tablet.id,
            revision: self.tablet.revision,
            status: self.verdict.status,
            priority: self.priority,
            source: source.id,
            target,
        };
        Visit::Propose { proposal, grant: Some(grant) }
    }

    fn delete(&self, purpose: Purpose) -> Visit {
        let Desktop { world, at, .. } = *self.desktop;
        let Some(victim) = choose_victim(world, self.tablet, self.counts, at, purpose) else {
            // Everything beside the complete ones is merely out of sight: it is no surplus before it is lost.
            return Visit::NotReady { ms: world.knobs.lost_ms.max(1) };
        };
        let proposal = Proposal::Delete {
            tablet: self.tablet.id,
            revision: self.tablet.revision,
            status: self.verdict.status,
            priority: self.priority,
            victim,
        };
        Visit::Propose { proposal, grant: None }
    }
}

fn stopped(reason: Reason, disks: Vec<DiskId>) -> Visit {
    if disks.is_empty() { Visit::Refused(reason) } else { Visit::Busy { reason, disks } }
}
