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
use super::target::NoTarget;
use super::victim::Purpose;
use super::visitor::{Visitor, stopped};
use crate::catalog::evidence::complete_others;
use crate::checkup::count::host_of;
use crate::event::Target;
use crate::world::Replica;
use stele_common::NodeId;

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
        let world = self.desktop.world;
        if complete_others(world, self.tablet, Some(old.id)).len() as u32 >= self.tablet.wanted {
            // Its successor has landed.
            return self.delete_this(old.id);
        }
        if self.is_full() {
            return self.make_room();
        }
        match self.move_beside(old, old.node) {
            Visit::Refused(reason) => match self.make_new() {
                Visit::Refused(_) => self.unblock(reason, Spot::Staying),
                visit => visit,
            },
            visit => visit,
        }
    }

    /// A successor of `old` on another disk of `node`, which is on its host.
    fn move_beside(&self, old: &'a Replica, node: NodeId) -> Visit {
        let (world, ledger) = (self.desktop.world, self.desktop.ledger);
        let bytes = size_of(self.tablet);
        let disk = match choose_beside(world, ledger, self.tablet, old, node, bytes) {
            Ok(disk) => disk,
            Err(NoTarget { reason, busy }) => return stopped(reason, busy),
        };
        let source = match self.source_for(old) {
            Ok(source) => source,
            Err(visit) => return visit,
        };
        let grant = Grant { source_disk: source.disk, node, disk, bytes };
        self.clone_from(source, Target::Beside { old: old.id, disk }, grant)
    }

    /// COLOCATE_MISMATCH: a node of the bucket gets its copy.
    pub fn fill_bucket(&self) -> Visit {
        if self.is_full() {
            return self.make_room_in_group();
        }
        let reason = match self.make_new() {
            Visit::Refused(reason) => reason,
            visit => return visit,
        };
        // Perhaps the host of the wanted node holds one on another of its nodes: that one moves over.
        for (old, node) in self.across_hosts() {
            match self.move_beside(old, node) {
                Visit::Refused(_) => {}
                visit => return visit,
            }
        }
        Visit::Refused(reason)
    }

    /// Replicas outside the bucket whose host has a node of the bucket without one, and that node.
    fn across_hosts(&self) -> Vec<(&'a Replica, NodeId)> {
        let world = self.desktop.world;
        let bucket = world.bucket_nodes(self.tablet).unwrap_or_default();
        let replicas = &self.tablet.replicas;
        let empty = bucket.iter().filter(|node| replicas.iter().all(|replica| replica.node != **node));
        let pairs = empty.filter_map(|node| {
            let host = world.nodes.get(node)?.host.as_str();
            let old = replicas.iter().find(|other| host_of(world, other) == Some(host))?;
            (!bucket.contains(&old.node)).then_some((old, *node))
        });
        pairs.collect()
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
