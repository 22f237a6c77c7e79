//! Which replicas are brought up where they lie, and which of them first.
//!
//! In: a tablet with its counts. Out: replicas that are alive, behind, and past their grace to install what they have,
//! in the order in which they are tried:
//!
//! 1. one that is marked for further repair;
//! 2. one with a mere hole (its last success is above its last failure): one version makes it whole;
//! 3. the lower version; among equals the lower last failure; the lower id.
//!
//! It decides nothing about slots or sources. The order is that of the originals (their note, 2.8).

use super::target::takes_nothing_new;
use super::visitor::Visitor;
use crate::checkup::verdict::is_marked;
use crate::checkup::{Flaw, Judged, waits};
use crate::world::Replica;
use stele_common::{ReplicaState, Version};

/// Where a replica has to be so that bringing it up helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    Anywhere,
    /// Neither its node nor its disk is being drained.
    Staying,
    /// Staying, and its node has the table's tag.
    InTag,
    /// On a node of the tablet's bucket.
    InBucket,
}

/// Those that are due, in the order in which they are tried.
pub fn behind<'a>(visitor: &Visitor<'a>, spot: Spot) -> Vec<&'a Replica> {
    let (world, at) = (visitor.desktop.world, visitor.desktop.at);
    let due = lagging(visitor, spot).filter(|(replica, _)| waits::install_in(world, replica, at) == 0);
    sorted(visitor, due.collect())
}

/// How long the first of them may still take to install what it has by itself; `None` when there are none.
pub fn installing_in(visitor: &Visitor, spot: Spot) -> Option<u64> {
    let (world, at) = (visitor.desktop.world, visitor.desktop.at);
    lagging(visitor, spot).map(|(replica, _)| waits::install_in(world, replica, at)).min()
}

/// Copies in the making on nodes of the bucket that nobody makes any more: they are finished where they lie.
pub fn unfinished<'a>(visitor: &Visitor<'a>) -> Vec<&'a Replica> {
    let found = replicas(visitor).filter(|(replica, judged)| {
        replica.state == ReplicaState::Clone
            && judged.why == Some(Flaw::Clone)
            && is_at(visitor, replica, Spot::InBucket)
    });
    found.map(|(replica, _)| replica).collect()
}

/// Those whose copy landed behind; their grace is over with it.
pub fn marked<'a>(visitor: &Visitor<'a>) -> Vec<&'a Replica> {
    let marked = replicas(visitor).filter(|(replica, judged)| is_marked(replica, judged, visitor.desktop.at));
    sorted(visitor, marked.collect())
}

/// Whether a replica is at such a spot.
pub fn is_at(visitor: &Visitor, replica: &Replica, spot: Spot) -> bool {
    let world = visitor.desktop.world;
    let stays = || world.disks.get(&replica.disk).is_some_and(|disk| takes_nothing_new(world, disk).is_none());
    match spot {
        Spot::Anywhere => true,
        Spot::Staying => stays(),
        Spot::InTag => {
            let tag = world.tag_of(visitor.tablet);
            stays() && world.nodes.get(&replica.node).is_some_and(|node| node.tag == tag)
        }
        Spot::InBucket => world.bucket_nodes(visitor.tablet).is_some_and(|bucket| bucket.contains(&replica.node)),
    }
}

fn replicas<'a>(visitor: &Visitor<'a>) -> impl Iterator<Item = (&'a Replica, &'a Judged)> + use<'a> {
    visitor.tablet.replicas.iter().zip(&visitor.counts.judged)
}

fn lagging<'a>(visitor: &Visitor<'a>, spot: Spot) -> impl Iterator<Item = (&'a Replica, &'a Judged)> {
    let alive = replicas(visitor).filter(|(_, judged)| judged.alive && !judged.complete);
    alive.filter(move |(replica, _)| is_at(visitor, replica, spot))
}

fn sorted<'a>(visitor: &Visitor, mut found: Vec<(&'a Replica, &'a Judged)>) -> Vec<&'a Replica> {
    found.sort_by_key(|(replica, judged)| {
        let seen = replica.seen.as_ref();
        let version = seen.map_or(Version::EMPTY, |seen| seen.version);
        let failed = seen.and_then(|seen| seen.failed);
        let is_hole = failed.is_some_and(|failed| seen.is_some_and(|seen| seen.pending > failed));
        (!is_marked(replica, judged, visitor.desktop.at), !is_hole, version, failed, replica.id)
    });
    found.into_iter().map(|(replica, _)| replica).collect()
}
