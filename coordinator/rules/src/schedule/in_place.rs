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

use super::visitor::Visitor;
use crate::checkup::verdict::is_marked;
use crate::checkup::{Flaw, Judged, waits};
use crate::world::Replica;
use stele_common::{ReplicaState, Version};

/// All of them.
pub fn behind<'a>(visitor: &Visitor<'a>) -> Vec<&'a Replica> {
    chosen(visitor, |_| true)
}

/// Those that may stay where they are: neither their node nor their disk is being drained.
pub fn stable<'a>(visitor: &Visitor<'a>) -> Vec<&'a Replica> {
    chosen(visitor, |replica| stays(visitor, replica))
}

/// Those that may stay and have the table's tag.
pub fn in_tag<'a>(visitor: &Visitor<'a>) -> Vec<&'a Replica> {
    let world = visitor.desktop.world;
    let tag = world.tag_of(visitor.tablet);
    chosen(visitor, |replica| {
        stays(visitor, replica) && world.nodes.get(&replica.node).is_some_and(|node| node.tag == tag)
    })
}

/// Those on nodes of the tablet's bucket; a copy in the making that nobody makes any more is finished there too.
pub fn in_bucket<'a>(visitor: &Visitor<'a>) -> Vec<&'a Replica> {
    let bucket = visitor.desktop.world.bucket_nodes(visitor.tablet).unwrap_or_default();
    let mut found = chosen(visitor, |replica| bucket.contains(&replica.node));
    let unfinished = replicas(visitor).filter(|(replica, judged)| {
        replica.state == ReplicaState::Clone && judged.why == Some(Flaw::Clone) && bucket.contains(&replica.node)
    });
    found.extend(unfinished.map(|(replica, _)| replica));
    found
}

/// Those whose copy landed behind; their grace is over with it.
pub fn marked<'a>(visitor: &Visitor<'a>) -> Vec<&'a Replica> {
    let marked = replicas(visitor).filter(|(replica, judged)| is_marked(replica, judged, visitor.desktop.at));
    sorted(visitor, marked.collect())
}

fn stays(visitor: &Visitor, replica: &Replica) -> bool {
    let disk = visitor.desktop.world.disks.get(&replica.disk);
    disk.is_some_and(|disk| super::target::takes_nothing_new(visitor.desktop.world, disk).is_none())
}

fn replicas<'a>(visitor: &Visitor<'a>) -> impl Iterator<Item = (&'a Replica, &'a Judged)> + use<'a> {
    visitor.tablet.replicas.iter().zip(&visitor.counts.judged)
}

fn chosen<'a>(visitor: &Visitor<'a>, with: impl Fn(&Replica) -> bool) -> Vec<&'a Replica> {
    let (world, at) = (visitor.desktop.world, visitor.desktop.at);
    let alive = replicas(visitor).filter(|(_, judged)| judged.alive && !judged.complete);
    let due = alive.filter(|(replica, _)| waits::install_in(world, replica, at) == 0 && with(replica));
    sorted(visitor, due.collect())
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
