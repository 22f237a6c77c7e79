//! "This node *has no room* for its bucket": then another takes its place, or the bucket would lack a copy for ever.
//!
//! In: a world, a group. Out: who has no room and since when; the group with one place given to a node that has room for
//! the whole bucket. It never takes the place of a node that has lacked room for less than repair's own wait (trash that
//! goes and copies that move away make room by themselves), nor gives one to a node that could not take all of the bucket.

use super::{Uses, count, eligible, how_busy, is_there, is_usable, least_used, may_take, tablets_of, tag_of};
use crate::World;
use crate::policy::Group;
use crate::schedule::slots::size_of;
use crate::world::{Disk, Tablet};
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
/// more. Nobody takes a second place before all of the first has come.
pub fn relieved(world: &World, group: &Group, at: Tick) -> Option<Group> {
    let wait = world.knobs.assign_delay_ms;
    let places = world.cramped.iter().filter(|((name, _), (_, since))| *name == group.name && at.since(*since) >= wait);
    places.into_iter().find_map(|((_, number), (node, _))| {
        let bucket = group.buckets.get(*number as usize)?;
        let place = bucket.iter().position(|member| member == node)?;
        let others: Vec<NodeId> = bucket.iter().copied().filter(|member| member != node).collect();
        let mut sizes: Vec<u64> = tablets_of(world, &group.name, *number).map(size_of).collect();
        sizes.sort_unstable();
        let nobody = BTreeSet::from([*node]);
        let takers = eligible(world, tag_of(world, &group.name), &nobody).map(|node| node.id);
        let takers = takers.filter(|taker| fit(world, *taker, &sizes) && !awaits(world, *taker));
        let mut uses: Uses = takers.map(|node| (node, 0)).collect();
        count(&mut uses, &group.buckets);
        let taker = least_used(world, &uses, &others, &how_busy(world))?;
        let mut next = group.clone();
        next.buckets[*number as usize][place] = taker;
        // It would be given back to a node that is there all the time.
        next.former.remove(number);
        Some(next)
    })
}

/// Whether tablets of these sizes, the smallest first, find room on the node's disks: the largest first, each on the first
/// disk that has room for it.
fn fit(world: &World, node: NodeId, sizes: &[u64]) -> bool {
    let disks = world.disks.values().filter(|disk| disk.node == node && may_take(world, disk));
    let mut rooms: Vec<u64> = disks.map(|disk| room(world, disk)).collect();
    sizes.iter().rev().all(|size| {
        let Some(room) = rooms.iter_mut().find(|room| **room >= *size) else { return false };
        *room -= size;
        true
    })
}

/// Whether something is still to come to the node for a place that it has: its room is spoken for.
fn awaits(world: &World, node: NodeId) -> bool {
    world.groups.values().any(|group| {
        let places = (0..).zip(&group.buckets).filter(|(_, bucket)| bucket.contains(&node));
        let mut tablets = places.flat_map(|(number, _)| tablets_of(world, &group.name, number));
        tablets.any(|tablet| tablet.replicas.iter().all(|replica| replica.node != node))
    })
}

/// Bytes of all of a group's tablets in one bucket.
pub fn of_bucket(world: &World, group: &str, bucket: u32) -> u64 {
    tablets_of(world, group, bucket).map(size_of).fold(0, u64::saturating_add)
}

/// Bytes that may come to the node's disks before they are at their reserve.
pub fn of_node(world: &World, node: NodeId) -> u64 {
    let disks = world.disks.values().filter(|disk| disk.node == node && may_take(world, disk));
    disks.map(|disk| room(world, disk)).fold(0, u64::saturating_add)
}

fn room(world: &World, disk: &Disk) -> u64 {
    disk.space.available().saturating_sub(world.knobs.clone_reserve(disk.space.total))
}

#[cfg(test)]
mod tests;
