//! The bucket sequence of a colocation group: which nodes hold which bucket, and by whom a node is replaced.
//!
//! In: a world, a group, the nodes that must not be used. Out: a sequence, or the bucket for which there is no node. It
//! never puts two nodes of one host into a bucket, and never gives up the only node of a bucket that may come back
//! with the data. It moves no replica: the checker sees the mismatch, and repair does the rest.
//!
//! A node is replaced when it left the cluster, is being drained, or has been lost for as long as repair waits for a
//! replica: at once if one node of the bucket is left, sooner below a majority. Source: the note on the originals, 3.6.

use crate::World;
use crate::policy::Group;
use crate::world::{Disk, Node};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskState, Liveness, NodeId, Tick};

/// How often each node stands in a sequence.
type Uses = BTreeMap<NodeId, u64>;

/// A sequence for a new group: every bucket on `n` hosts, each node used as often as any other, give or take one where
/// the hosts allow it. `None`: there are too few hosts.
pub fn fresh(world: &World, buckets: u32, n: u32, tag: &str) -> Option<Vec<Vec<NodeId>>> {
    let mut uses: Uses = eligible(world, tag, &BTreeSet::new()).map(|node| (node.id, 0)).collect();
    let sequence = (0..buckets).map(|_| {
        let mut bucket: Vec<NodeId> = Vec::new();
        for _ in 0..n {
            let node = least_used(world, &uses, &bucket)?;
            *uses.entry(node).or_default() += 1;
            bucket.push(node);
        }
        Some(bucket)
    });
    sequence.collect()
}

/// The sequence with every node that must go replaced, or the buckets for which there is nobody; those stay as they
/// are. `leaving` must go whatever their state is.
pub fn replaced(world: &World, group: &Group, leaving: &BTreeSet<NodeId>, at: Tick) -> (Vec<Vec<NodeId>>, Vec<u32>) {
    let mut uses: Uses = eligible(world, tag_of(world, &group.name), leaving).map(|node| (node.id, 0)).collect();
    for node in group.buckets.iter().flatten() {
        if let Some(uses) = uses.get_mut(node) {
            *uses += 1;
        }
    }
    let (mut sequence, mut stuck) = (group.buckets.clone(), Vec::new());
    for (number, bucket) in sequence.iter_mut().enumerate() {
        let alive = bucket.iter().filter(|node| is_alive(world, **node)).count();
        for place in 0..bucket.len() {
            if !leaving.contains(&bucket[place]) && !must_go(world, bucket[place], bucket.len(), alive, at) {
                continue;
            }
            let others: Vec<NodeId> = bucket.iter().copied().filter(|node| *node != bucket[place]).collect();
            match least_used(world, &uses, &others) {
                Some(node) => {
                    *uses.entry(node).or_default() += 1;
                    bucket[place] = node;
                }
                None => stuck.push(number as u32),
            }
        }
    }
    (sequence, stuck)
}

/// The tag of the group's tables: all have the same.
pub fn tag_of<'a>(world: &'a World, group: &str) -> &'a str {
    let mut tables = world.tables.values().filter(|table| table.group.as_deref() == Some(group));
    tables.next().map_or(crate::policy::DEFAULT_TAG, |table| &table.tag)
}

/// Nodes that may stand in a sequence.
fn eligible<'a>(world: &'a World, tag: &'a str, leaving: &'a BTreeSet<NodeId>) -> impl Iterator<Item = &'a Node> {
    world.nodes.values().filter(move |node| {
        let is_there = node.liveness == Liveness::Alive && node.reported && !node.draining;
        let is_closed = crate::schedule::target::is_black_listed(world, node);
        is_there && !is_closed && node.tag == tag && !leaving.contains(&node.id) && has_room(world, node.id)
    })
}

/// One of its disks may take something.
fn has_room(world: &World, node: NodeId) -> bool {
    world.disks.values().any(|disk| disk.node == node && may_take(world, disk))
}

/// An ONLINE disk that stays and has room beyond its reserve.
pub fn may_take(world: &World, disk: &Disk) -> bool {
    let is_usable = disk.state == DiskState::Online && disk.replaced_by.is_none() && !disk.draining;
    is_usable && disk.space.available() > world.knobs.load_reserve(disk.space.total)
}

/// The least used node on none of the hosts of `others`.
fn least_used(world: &World, uses: &Uses, others: &[NodeId]) -> Option<NodeId> {
    let host = |node: &NodeId| world.nodes.get(node).map(|node| node.host.as_str());
    let taken: BTreeSet<&str> = others.iter().filter_map(host).collect();
    let free = uses.iter().filter(|(node, _)| host(node).is_some_and(|host| !taken.contains(host)));
    free.min_by_key(|(node, uses)| (**uses, **node)).map(|(node, _)| *node)
}

fn is_alive(world: &World, node: NodeId) -> bool {
    world.nodes.get(&node).is_some_and(|node| node.liveness == Liveness::Alive)
}

fn must_go(world: &World, id: NodeId, wanted: usize, alive: usize, at: Tick) -> bool {
    let Some(node) = world.nodes.get(&id) else { return true };
    if node.draining {
        return true;
    }
    match node.liveness {
        Liveness::Alive | Liveness::Silent => false,
        // The only node of its bucket: what it holds is nowhere else.
        Liveness::Lost if wanted == 1 => false,
        Liveness::Lost => {
            let delay = if alive <= 1 {
                0
            } else if alive < wanted / 2 + 1 {
                world.knobs.assign_delay_below_majority_ms
            } else {
                world.knobs.assign_delay_ms
            };
            let is_away_on_purpose = alive > 1 && world.maintenance_until(id, at).is_some();
            !is_away_on_purpose && at.since(node.since.max(world.began)) >= delay
        }
    }
}

#[cfg(test)]
mod tests;
