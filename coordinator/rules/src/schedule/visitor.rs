//! The steps of a repair: bring up, make anew, move within a host, delete; and what they add up to for each verdict.
//!
//! In: a tablet with its counts and verdict, slots and free disks. Out: a proposal with what it takes, or why not. No
//! two preconditions may wait for each other: where one way is impossible the next is tried, and the last reason told.

use super::admit::{Desktop, SURPLUS_MAX, Visit};
use super::in_place::{self, Spot};
use super::slots::{Grant, size_of};
use super::source::{NoSource, choose_source, may_give};
use super::target::{NoTarget, choose_target, in_place_refusal, place_refusal};
use super::victim::{Purpose, choose_victim};
use crate::checkup::{Counts, Flaw, Verdict, waits};
use crate::event::Target;
use crate::world::{Replica, Tablet};
use crate::{Proposal, Reason, pause};
use stele_common::{DiskId, NodeId, Priority, ReplicaId, TaskType};

/// One look at one tablet.
pub struct Visitor<'a> {
    pub desktop: &'a Desktop<'a>,
    pub tablet: &'a Tablet,
    pub counts: &'a Counts,
    pub verdict: Verdict,
    pub priority: Priority,
}

impl<'a> Visitor<'a> {
    /// REPLICA_MISSING. What is behind is mended whatever the missing one waits for.
    pub fn add_missing(&self) -> Visit {
        let ms = waits::missing_in(self.desktop.world, self.tablet, self.counts, self.desktop.at);
        let behind = in_place::behind(self, Spot::Anywhere);
        if ms > 0 {
            return match self.bring_up_first(behind) {
                Visit::Refused(_) | Visit::NotReady { .. } => Visit::NotReady { ms },
                visit => visit,
            };
        }
        self.add_copy(behind, Spot::Anywhere)
    }

    /// REPLICA_RELOCATING and the like: one more good copy at such a spot. One that is there already and may install
    /// what it lacks by itself is waited for: n others are complete meanwhile.
    pub fn relocate(&self, spot: Spot) -> Visit {
        if let Some(visit) = self.leave_to_successor(spot) {
            return visit;
        }
        let behind = in_place::behind(self, spot);
        match in_place::installing_in(self, spot) {
            Some(ms) if behind.is_empty() => Visit::NotReady { ms },
            Some(_) | None => self.add_copy(behind, spot),
        }
    }

    /// One more good copy: by bringing one of these up, else by a new one.
    fn add_copy(&self, behind: Vec<&Replica>, spot: Spot) -> Visit {
        match self.bring_up_first(behind) {
            Visit::Refused(_) | Visit::NotReady { .. } => {}
            visit => return visit,
        }
        if self.is_full() {
            return self.make_room();
        }
        match self.make_new() {
            Visit::Refused(reason) => self.move_over(spot).unwrap_or_else(|| self.unblock(reason, spot)),
            visit => visit,
        }
    }

    /// VERSION_INCOMPLETE. In a bucket, what is away is its group's to replace. Elsewhere a replica that cannot be
    /// brought up, for its disk is full, does not hold up the tablet: one more copy is made on another host, and the
    /// stuck one is the surplus then.
    pub fn complete_versions(&self) -> Visit {
        let world = self.desktop.world;
        let Some(bucket) = world.bucket_nodes(self.tablet) else {
            return match self.bring_up_first(in_place::behind(self, Spot::Anywhere)) {
                Visit::Refused(reason) if self.is_full() => Visit::Refused(reason),
                Visit::Refused(reason) => match self.make_new() {
                    Visit::Refused(_) => Visit::Refused(reason),
                    visit => visit,
                },
                visit => visit,
            };
        };
        let mut here = in_place::behind(self, Spot::InBucket);
        here.extend(in_place::unfinished(self));
        let is_away = |replica: &&Replica| {
            let disk = world.disks.get(&replica.disk);
            bucket.contains(&replica.node) && disk.is_none_or(|disk| place_refusal(world, disk).is_some())
        };
        match (self.bring_up_first(here), self.tablet.replicas.iter().find(is_away)) {
            (Visit::NotReady { .. }, Some(away)) => Visit::Refused(Reason::BucketNodeAway { node: away.node }),
            (visit, _) => visit,
        }
    }

    /// FORCE_REDUNDANT. Where a copy has to leave a draining node, one that is behind on a host that stays is as good
    /// as room for a new one, and is brought up before anything is deleted.
    pub fn make_way(&self) -> Visit {
        let delete = || self.delete(Purpose::Unblock);
        let bring_up = || self.bring_up_first(in_place::behind(self, Spot::Staying));
        let is_for_draining = self.counts.complete >= self.tablet.wanted;
        if let Some(visit) = self.leave_to_successor(Spot::Staying).filter(|_| is_for_draining) {
            return visit;
        }
        let (first, second) = if is_for_draining { (bring_up(), delete()) } else { (delete(), bring_up()) };
        match (first, second) {
            (visit @ (Visit::Propose { .. } | Visit::Busy { .. }), _)
            | (_, visit @ (Visit::Propose { .. } | Visit::Busy { .. })) => visit,
            _ if is_for_draining => self.move_over(Spot::Staying).unwrap_or_else(|| self.free_host()),
            _ => self.no_free_host(),
        }
    }

    /// Every host holds one, but that of some host may be on a node or disk that is lost, while another of the host's
    /// could take a good one.
    fn free_host(&self) -> Visit {
        match self.delete(Purpose::FreeHost) {
            Visit::NotReady { .. } => self.no_free_host(),
            visit => visit,
        }
    }

    fn no_free_host(&self) -> Visit {
        Visit::Refused(Reason::NoFreeHost { tablet: self.tablet.id })
    }

    /// No more replicas may be made.
    pub fn is_full(&self) -> bool {
        self.verdict.replicas >= self.tablet.wanted + SURPLUS_MAX
    }

    /// At n + 2: something of no use leaves first.
    pub fn make_room(&self) -> Visit {
        match self.delete(Purpose::MakeRoom) {
            Visit::NotReady { .. } => self.too_many(),
            visit => visit,
        }
    }

    pub fn too_many(&self) -> Visit {
        let (have, max) = (self.verdict.replicas, self.tablet.wanted + SURPLUS_MAX);
        Visit::Refused(Reason::TooManyReplicas { have, max })
    }

    /// No disk anywhere, perhaps because a useless replica is in the way of a good one on its own host: a bad one is
    /// mended where it lies; one on a disk that stays away leaves the catalog, so that another disk there can be used.
    pub fn unblock(&self, reason: Reason, spot: Spot) -> Visit {
        if let Some(bad) = self.mendable(spot) {
            return self.bring_up(bad);
        }
        match self.delete(Purpose::FreeHost) {
            Visit::NotReady { .. } => Visit::Refused(reason),
            visit => visit,
        }
    }

    /// A bad replica at such a spot whose node and disk are there.
    fn mendable(&self, spot: Spot) -> Option<&'a Replica> {
        let world = self.desktop.world;
        let bad = self.tablet.replicas.iter().zip(&self.counts.judged).filter(|(_, j)| j.why == Some(Flaw::Bad));
        bad.map(|(replica, _)| replica).find(|replica| {
            let is_there = world.disks.get(&replica.disk).is_some_and(|disk| place_refusal(world, disk).is_none());
            is_there && in_place::is_at(self, replica, spot)
        })
    }

    /// The first of these that can be brought up; NotReady when there are none.
    pub fn bring_up_first(&self, behind: Vec<&Replica>) -> Visit {
        let mut first = None;
        for replica in behind {
            match self.bring_up(replica) {
                visit @ Visit::Propose { .. } => return visit,
                visit => _ = first.get_or_insert(visit),
            }
        }
        first.unwrap_or(Visit::NotReady { ms: self.desktop.world.knobs.install_grace_ms.max(1) })
    }

    pub fn bring_up(&self, replica: &Replica) -> Visit {
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
        let grant = repair(source, replica.node, replica.disk, bytes);
        self.clone_from(source, Target::Existing(replica.id), grant)
    }

    pub fn make_new(&self) -> Visit {
        let Desktop { world, ledger, board, .. } = *self.desktop;
        let source = match choose_source(world, ledger, self.tablet, self.counts, None) {
            Ok(source) => source,
            Err(NoSource { reason, busy }) => return stopped(reason, busy),
        };
        let bytes = size_of(self.tablet);
        match choose_target(world, ledger, board, self.tablet, self.counts, bytes) {
            Ok((node, disk)) => {
                let grant = repair(source, node, disk, bytes);
                self.clone_from(source, Target::NewOn { node, disk }, grant)
            }
            Err(NoTarget { reason, busy }) => stopped(reason, busy),
        }
    }

    /// Where the bytes of a successor come from: from the one that it replaces, if that can give.
    pub fn source_for(&self, old: &'a Replica) -> Result<&'a Replica, NoSource> {
        let Desktop { world, ledger, .. } = *self.desktop;
        if !may_give(world, self.tablet, old) {
            return choose_source(world, ledger, self.tablet, self.counts, Some(old.id));
        }
        match ledger.free(old.disk, TaskType::Repair) {
            0 => Err(NoSource { reason: super::source::no_slot(old.disk), busy: vec![old.disk] }),
            _ => Ok(old),
        }
    }

    pub fn clone_from(&self, source: &Replica, target: Target, grant: Grant) -> Visit {
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

    pub fn delete(&self, purpose: Purpose) -> Visit {
        let Desktop { world, at, scores, .. } = *self.desktop;
        match choose_victim(world, self.tablet, self.counts, at, purpose, scores) {
            Some(victim) => self.delete_this(victim),
            // Everything beside the complete ones is merely out of sight: it is no surplus before it is lost.
            None => Visit::NotReady { ms: world.knobs.lost_ms.max(1) },
        }
    }

    pub fn delete_this(&self, victim: ReplicaId) -> Visit {
        let known = self.tablet.replicas.iter().find(|replica| replica.id == victim);
        if let Some(reason) = known.and_then(|replica| pause::holds_replica(self.desktop.world, replica)) {
            return Visit::Refused(reason);
        }
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

fn repair(source: &Replica, node: NodeId, disk: DiskId, bytes: u64) -> Grant {
    Grant { task_type: TaskType::Repair, source_disk: source.disk, node, disk, bytes, leaves: None }
}

pub fn stopped(reason: Reason, disks: Vec<DiskId>) -> Visit {
    if disks.is_empty() { Visit::Refused(reason) } else { Visit::Busy { reason, disks } }
}
