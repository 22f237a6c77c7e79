//! Copies that leave a place for a reason of the place: a disk that is being drained, a bucket that lies elsewhere.
//!
//! In: a tablet whose copies are all there. Out: as in [`super::visitor`]. A move within a host makes a successor that
//! stands beside the old one until it has landed; in the batch in which it lands the old one begins to leave, so the
//! ladder never sees one copy too few. Should that leaving be called off, the old one counts again and its successor
//! is second on the host: then nothing is copied a second time, the leaving is asked for again.

use super::admit::Visit;
use super::beside::choose_beside;
use super::in_place::{self, Spot};
use super::slots::{Grant, size_of};
use super::source::NoSource;
use super::target::NoTarget;
use super::victim::Purpose;
use super::visitor::{Visitor, stopped};
use crate::catalog::evidence::complete_others;
use crate::event::Target;
use crate::world::Replica;
use stele_common::TaskType;

impl<'a> Visitor<'a> {
    /// DISK_MIGRATION.
    pub fn leave_disk(&self) -> Visit {
        let judged = self.tablet.replicas.iter().zip(&self.counts.judged);
        let mut first = None;
        for (old, _) in judged.filter(|(_, judged)| judged.must_move) {
            match self.leave_this_disk(old) {
                visit @ Visit::Propose { .. } => return visit,
                visit => _ = first.get_or_insert(visit),
            }
        }
        first.unwrap_or(Visit::Gone(super::admit::needless()))
    }

    fn leave_this_disk(&self, old: &'a Replica) -> Visit {
        if self.is_succeeded(old) {
            return self.delete_this(old.id);
        }
        if self.is_full() {
            return self.make_room();
        }
        match self.move_beside(old) {
            Visit::Refused(reason) => match self.make_new() {
                Visit::Refused(_) => self.unblock(reason, Spot::Staying),
                visit => visit,
            },
            visit => visit,
        }
    }

    /// Its successor has landed beside it, and its leaving was called off: without it n others are complete.
    fn is_succeeded(&self, old: &Replica) -> bool {
        complete_others(self.desktop.world, self.tablet, Some(old.id)).len() as u32 >= self.tablet.wanted
    }

    /// The leaving of one at the wrong spot whose successor has landed: asked for again.
    pub fn leave_to_successor(&self, spot: Spot) -> Option<Visit> {
        let judged = self.tablet.replicas.iter().zip(&self.counts.judged);
        let mut wrong = judged.filter(|(old, judged)| judged.complete && !in_place::is_at(self, old, spot));
        wrong.find(|(old, _)| self.is_succeeded(old)).map(|(old, _)| self.delete_this(old.id))
    }

    /// A successor of `old` on another disk of its host.
    fn move_beside(&self, old: &'a Replica) -> Visit {
        let (world, ledger) = (self.desktop.world, self.desktop.ledger);
        if self.is_full() {
            return self.too_many();
        }
        let bytes = size_of(self.tablet);
        let (node, disk) = match choose_beside(world, ledger, self.tablet, old, bytes) {
            Ok(place) => place,
            Err(NoTarget { reason, busy }) => return stopped(reason, busy),
        };
        let source = match self.source_for(old) {
            Ok(source) => source,
            Err(NoSource { reason, busy }) => return stopped(reason, busy),
        };
        let (task_type, leaves) = (TaskType::Repair, Some(old.disk));
        let grant = Grant { task_type, source_disk: source.disk, node, disk, bytes, leaves };
        self.clone_from(source, Target::Beside { old: old.id, disk }, grant)
    }

    /// No other host may take a copy, but perhaps another node of a host that holds one at the wrong spot: that one
    /// moves over. Deleting it first would leave too few, and no second one may stand on its host.
    pub fn move_over(&self, spot: Spot) -> Option<Visit> {
        let wrong = self.tablet.replicas.iter().filter(|replica| !in_place::is_at(self, replica, spot));
        let visits = wrong.map(|old| self.move_beside(old));
        visits.into_iter().find(|visit| matches!(visit, Visit::Propose { .. } | Visit::Busy { .. }))
    }

    /// COLOCATE_MISMATCH: a node of the bucket gets its copy.
    pub fn fill_bucket(&self) -> Visit {
        if self.is_full() {
            return self.make_room_in_group();
        }
        match self.make_new() {
            Visit::Refused(reason) => self.move_over(Spot::InBucket).unwrap_or(Visit::Refused(reason)),
            visit => visit,
        }
    }

    /// At n + 2: one outside the bucket leaves; where none can be spared, one that is behind is brought up first.
    fn make_room_in_group(&self) -> Visit {
        match self.delete(Purpose::Colocate) {
            Visit::NotReady { .. } => {}
            visit => return visit,
        }
        match self.bring_up_first(in_place::behind(self, Spot::Anywhere)) {
            Visit::NotReady { .. } => self.too_many(),
            visit => visit,
        }
    }
}
