//! "This node *has no room* for its bucket": then another takes its place, or the bucket would lack a copy for ever.
//!
//! In: a world, a group. Out: the group with one place given to a node that has room for the whole bucket. It never takes
//! the place of a node whose disks could hold what it lacks once their trash is freed, and never gives one to a node that
//! could not take all of the bucket.

use super::{Uses, count, eligible, how_busy, is_there, is_usable, least_used, may_take, tablets_of, tag_of};
use crate::World;
use crate::policy::Group;
use crate::schedule::slots::size_of;
use crate::world::{Disk, Tablet};
use std::collections::BTreeSet;
use stele_common::NodeId;

/// The group after the first node that has no room gave its place away; `None`: there is none, or nobody has more. It is
/// one place at a time: what the next one may count on, its node has to report first.
pub fn relieved(world: &World, group: &Group) -> Option<Group> {
    (0..).zip(&group.buckets).find_map(|(number, bucket)| {
        let place = bucket.iter().position(|node| is_cramped(world, group, (number, *node)))?;
        let others: Vec<NodeId> = bucket.iter().copied().filter(|node| *node != bucket[place]).collect();
        let (bytes, nobody) = (of_bucket(world, &group.name, number), BTreeSet::from([bucket[place]]));
        let takers = eligible(world, tag_of(world, &group.name), &nobody).map(|node| node.id);
        let mut uses: Uses = takers.filter(|node| of_node(world, *node) >= bytes).map(|node| (node, 0)).collect();
        count(&mut uses, &group.buckets);
        let taker = least_used(world, &uses, &others, &how_busy(world))?;
        let mut next = group.clone();
        next.buckets[number as usize][place] = taker;
        // It would be given back to a node that is there all the time.
        next.former.remove(&number);
        Some(next)
    })
}

/// It is there, and lacks a tablet of its bucket for which none of its disks has room, nor will when its trash is freed.
fn is_cramped(world: &World, group: &Group, (bucket, node): (u32, NodeId)) -> bool {
    let fits = |disk: &Disk, bytes: u64| {
        let freed = disk.space.available().saturating_add(trash(world, disk));
        freed >= world.knobs.clone_reserve(disk.space.total).saturating_add(bytes)
    };
    let has_place = |bytes: u64| {
        let mut disks = world.disks.values().filter(|disk| disk.node == node && is_usable(disk));
        disks.any(|disk| fits(disk, bytes))
    };
    let lacks = |tablet: &&Tablet| tablet.replicas.iter().all(|replica| replica.node != node);
    let is_there = world.nodes.get(&node).is_some_and(is_there);
    is_there && tablets_of(world, &group.name, bucket).filter(lacks).any(|tablet| !has_place(size_of(tablet)))
}

/// Bytes of all of a group's tablets in one bucket.
pub fn of_bucket(world: &World, group: &str, bucket: u32) -> u64 {
    tablets_of(world, group, bucket).map(size_of).fold(0, u64::saturating_add)
}

/// Bytes that may come to the node's disks before they are at their reserve.
pub fn of_node(world: &World, node: NodeId) -> u64 {
    let disks = world.disks.values().filter(|disk| disk.node == node && may_take(world, disk));
    let room = disks.map(|disk| disk.space.available().saturating_sub(world.knobs.clone_reserve(disk.space.total)));
    room.fold(0, u64::saturating_add)
}

fn trash(world: &World, disk: &Disk) -> u64 {
    let here = world.trash.values().filter(|trashed| trashed.fact.disk == disk.id);
    here.map(|trashed| trashed.fact.bytes).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
