//! "This node *has no room* for its bucket": then another takes its place, or the bucket would lack a copy for ever.
//!
//! In: a world, a group. Out: who has no room and since when; the group with one place given to a node that has room for
//! the whole bucket. It never takes the place of a node that has lacked room for less than repair's own wait (trash that
//! goes and copies that move away make room by themselves), nor gives one to a node that could not take all of the bucket.

use super::{Uses, count, eligible, how_busy, is_there, is_usable, least_used, may_take, tablets_of, tag_of};
use crate::World;
use crate::policy::Group;
use crate::schedule::slots::size_of;
use crate::world::Tablet;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{NodeId, Tick};

/// By group and bucket: a node of the sequence that lacks a tablet for which none of its disks has room, and since when.
pub fn cramped(world: &World, at: Tick) -> BTreeMap<(String, u32), (NodeId, Tick)> {
    let places = world.groups.values().flat_map(|group| {
        let buckets = (0..).zip(&group.buckets);
        buckets.filter_map(move |(number, bucket)| {
            let node = *bucket.iter().find(|node| is_cramped(world, group, (number, **node)))?;
            let key = (group.name.clone(), number);
            let known = world.cramped.get(&key).filter(|(known, _)| *known == node);
            let since = known.map_or(at, |(_, since)| *since);
            Some((key, (node, since)))
        })
    });
    places.collect()
}

/// It is there, and lacks a tablet of its bucket for which none of its disks has room.
fn is_cramped(world: &World, group: &Group, (bucket, node): (u32, NodeId)) -> bool {
    let has_place = |bytes: u64| {
        let mut disks = world.disks.values().filter(|disk| disk.node == node && is_usable(disk));
        disks.any(|disk| {
            let needed = world.knobs.clone_reserve(disk.space.total).saturating_add(bytes);
            disk.space.available() >= needed
        })
    };
    let lacks = |tablet: &&Tablet| tablet.replicas.iter().all(|replica| replica.node != node);
    let is_there = world.nodes.get(&node).is_some_and(is_there);
    is_there && tablets_of(world, &group.name, bucket).filter(lacks).any(|tablet| !has_place(size_of(tablet)))
}

/// The group after the first node that has long had no room gave its place away; `None`: there is none, or nobody has
/// more. It is one place at a time: what the next one may count on, its node has to report first.
pub fn relieved(world: &World, group: &Group, at: Tick) -> Option<Group> {
    let wait = world.knobs.assign_delay_ms;
    let places = world.cramped.iter().filter(|((name, _), (_, since))| *name == group.name && at.since(*since) >= wait);
    places.into_iter().find_map(|((_, number), (node, _))| {
        let bucket = group.buckets.get(*number as usize)?;
        let place = bucket.iter().position(|member| member == node)?;
        let others: Vec<NodeId> = bucket.iter().copied().filter(|member| member != node).collect();
        let (bytes, nobody) = (of_bucket(world, &group.name, *number), BTreeSet::from([*node]));
        let takers = eligible(world, tag_of(world, &group.name), &nobody).map(|node| node.id);
        let mut uses: Uses = takers.filter(|node| of_node(world, *node) >= bytes).map(|node| (node, 0)).collect();
        count(&mut uses, &group.buckets);
        let taker = least_used(world, &uses, &others, &how_busy(world))?;
        let mut next = group.clone();
        next.buckets[*number as usize][place] = taker;
        // It would be given back to a node that is there all the time.
        next.former.remove(number);
        Some(next)
    })
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

#[cfg(test)]
mod tests;
