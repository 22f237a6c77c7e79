//! The bucket sequence of a colocation group: which nodes hold which bucket, and by whom a node is replaced.
//!
//! In: a world, a group, the nodes that must not be used. Out: a sequence, or the bucket for which there is no node. It
//! never puts two nodes of one host into a bucket, and never gives up the only node of a bucket that may come back
//! with the data. It moves no replica: the checker sees the mismatch, and repair does the rest.
//!
//! A node is replaced when it left the cluster, is being drained, or has been lost for as long as repair waits for a
//! replica: at once if one node of the bucket is left, sooner below a majority. Its place goes to the node that stands
//! in the fewest, then to the less busy. When all that were replaced in a bucket are back before most of it has moved,
//! the bucket is what it was. Evenness is [`crate::balance::colocate`]'s. Source: the note on the originals, 3.6.

use crate::balance::score::mixed;
use crate::policy::Group;
use crate::world::{Disk, Node, Tablet};
use crate::{World, checkup};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskState, Liveness, NodeId, Tick};

/// How often each node stands in a sequence.
pub type Uses = BTreeMap<NodeId, u64>;

/// Of the tablets of a bucket so many may have moved for it to become again what it was (the original's part).
const MOVED_PERCENT_MAX: usize = 30;

/// A sequence for a new group: every bucket on `n` hosts, each node used as often as any other, give or take one where
/// the hosts allow it. `None`: there are too few hosts.
pub fn fresh(world: &World, buckets: u32, n: u32, tag: &str) -> Option<Vec<Vec<NodeId>>> {
    let mut uses: Uses = eligible(world, tag, &BTreeSet::new()).map(|node| (node.id, 0)).collect();
    let sequence = (0..buckets).map(|_| {
        let mut bucket: Vec<NodeId> = Vec::new();
        for _ in 0..n {
            let node = least_used(world, &uses, &bucket, &Uses::new())?;
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
    let tag = tag_of(world, &group.name);
    let mut uses: Uses = eligible(world, tag, leaving).map(|node| (node.id, 0)).collect();
    count(&mut uses, &group.buckets);
    // All replicas are counted for it: only when somebody is replaced.
    let mut busy: Option<Uses> = None;
    let (mut sequence, mut stuck) = (group.buckets.clone(), Vec::new());
    for (number, bucket) in sequence.iter_mut().enumerate() {
        let alive = bucket.iter().filter(|node| is_alive(world, **node)).count();
        for place in 0..bucket.len() {
            if !leaving.contains(&bucket[place]) && !must_go(world, tag, bucket[place], (bucket.len(), alive), at) {
                continue;
            }
            let others: Vec<NodeId> = bucket.iter().copied().filter(|node| *node != bucket[place]).collect();
            let busy = busy.get_or_insert_with(|| how_busy(world));
            match least_used(world, &uses, &others, busy) {
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

/// The group after its nodes that must go have been replaced, as they were before is restored, and what is whole anew
/// is no longer kept in mind; `None`: nothing of this is due.
pub fn repaired(world: &World, group: &Group, at: Tick) -> Option<Group> {
    let (buckets, _) = replaced(world, group, &BTreeSet::new(), at);
    if buckets != group.buckets {
        let mut former = group.former.clone();
        for (number, (old, new)) in (0..).zip(group.buckets.iter().zip(&buckets)) {
            if old != new {
                former.entry(number).or_insert_with(|| old.clone());
            }
        }
        return Some(Group { name: group.name.clone(), buckets, former });
    }
    if group.former.is_empty() {
        return None;
    }
    let mut next = group.clone();
    for (number, former) in &group.former {
        let Some(bucket) = next.buckets.get_mut(*number as usize) else { continue };
        if may_return(world, group, *number, former) {
            bucket.clone_from(former);
            next.former.remove(number);
        } else if tablets_of(world, &group.name, *number).all(|tablet| stands(world, bucket, tablet)) {
            next.former.remove(number);
        }
    }
    (next != *group).then_some(next)
}

/// All that were replaced in the bucket are back, and few of its tablets have moved.
fn may_return(world: &World, group: &Group, number: u32, former: &[NodeId]) -> bool {
    let Some(bucket) = group.buckets.get(number as usize) else { return false };
    let tag = tag_of(world, &group.name);
    let mut gone = former.iter().filter(|node| !bucket.contains(node));
    let is_back = |node: &NodeId| world.nodes.get(node).is_some_and(|node| is_there(node) && node.tag == tag);
    if !gone.all(is_back) {
        return false;
    }
    let fresh: Vec<NodeId> = bucket.iter().copied().filter(|node| !former.contains(node)).collect();
    let (mut moved, mut all) = (0, 0);
    for tablet in tablets_of(world, &group.name, number) {
        let counts = checkup::count(world, tablet);
        let complete = tablet.replicas.iter().zip(&counts.judged).filter(|(_, judged)| judged.complete);
        let on: BTreeSet<NodeId> = complete.map(|(replica, _)| replica.node).collect();
        moved += usize::from(fresh.iter().all(|node| on.contains(node)));
        all += 1;
    }
    moved * 100 <= all * MOVED_PERCENT_MAX
}

/// The group's tablets of one bucket.
pub fn tablets_of<'a>(world: &'a World, group: &'a str, bucket: u32) -> impl Iterator<Item = &'a Tablet> {
    let tables = world.tables.values().filter(move |table| table.group.as_deref() == Some(group));
    let partitions = tables.flat_map(|table| &table.partitions);
    partitions.filter_map(move |partition| world.tablets.get(*partition.tablets.get(bucket as usize)?))
}

/// It stands complete on the nodes of its bucket, and nowhere else.
pub fn stands(world: &World, bucket: &[NodeId], tablet: &Tablet) -> bool {
    let on = |node: &NodeId| tablet.replicas.iter().any(|replica| replica.node == *node);
    tablet.replicas.len() == bucket.len()
        && bucket.iter().all(on)
        && checkup::count(world, tablet).complete as usize == bucket.len()
}

/// Tablets of the group that do not stand as they should: while there are any, the group is unstable.
pub fn unstable(world: &World, group: &Group) -> u64 {
    let buckets = (0..).zip(&group.buckets);
    let amiss = buckets.flat_map(|(number, bucket)| {
        tablets_of(world, &group.name, number).filter(|tablet| !stands(world, bucket, tablet))
    });
    amiss.count() as u64
}

/// The tag of the group's tables: all have the same.
pub fn tag_of<'a>(world: &'a World, group: &str) -> &'a str {
    let mut tables = world.tables.values().filter(|table| table.group.as_deref() == Some(group));
    tables.next().map_or(crate::policy::DEFAULT_TAG, |table| &table.tag)
}

/// Nodes that may be put into a sequence.
pub fn eligible<'a>(world: &'a World, tag: &'a str, leaving: &'a BTreeSet<NodeId>) -> impl Iterator<Item = &'a Node> {
    world.nodes.values().filter(move |node| {
        let is_closed = crate::schedule::target::is_black_listed(world, node);
        is_there(node) && !is_closed && node.tag == tag && !leaving.contains(&node.id) && has_room(world, node.id)
    })
}

/// Alive, heard, and to stay.
pub fn is_there(node: &Node) -> bool {
    node.liveness == Liveness::Alive && node.reported && !node.draining
}

/// Counts how often each of these nodes stands in the sequence.
pub fn count(uses: &mut Uses, sequence: &[Vec<NodeId>]) {
    for node in sequence.iter().flatten() {
        if let Some(uses) = uses.get_mut(node) {
            *uses += 1;
        }
    }
}

/// Mixed scores in whole numbers, to compare.
pub fn how_busy(world: &World) -> Uses {
    mixed(world).into_iter().map(|(node, score)| (node, (score * 1e9) as u64)).collect()
}

/// One of its disks may take something.
fn has_room(world: &World, node: NodeId) -> bool {
    world.disks.values().any(|disk| disk.node == node && may_take(world, disk))
}

/// An ONLINE disk that stays and has room beyond its reserve.
pub fn may_take(world: &World, disk: &Disk) -> bool {
    is_usable(disk) && disk.space.available() > world.knobs.load_reserve(disk.space.total)
}

fn is_usable(disk: &Disk) -> bool {
    disk.state == DiskState::Online && disk.replaced_by.is_none() && !disk.draining
}

/// The least used node on none of the hosts of `others`; of several the least busy.
fn least_used(world: &World, uses: &Uses, others: &[NodeId], busy: &Uses) -> Option<NodeId> {
    let host = |node: &NodeId| world.nodes.get(node).map(|node| node.host.as_str());
    let taken: BTreeSet<&str> = others.iter().filter_map(host).collect();
    let free = uses.iter().filter(|(node, _)| host(node).is_some_and(|host| !taken.contains(host)));
    free.min_by_key(|(node, uses)| (**uses, busy.get(node).copied().unwrap_or(0), **node)).map(|(node, _)| *node)
}

fn is_alive(world: &World, node: NodeId) -> bool {
    world.nodes.get(&node).is_some_and(|node| node.liveness == Liveness::Alive)
}

/// `wanted`, `alive`: nodes of its bucket. One that has another tag by now was taken away from this group's tables.
fn must_go(world: &World, tag: &str, id: NodeId, (wanted, alive): (usize, usize), at: Tick) -> bool {
    let Some(node) = world.nodes.get(&id) else { return true };
    if node.draining || node.tag != tag {
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

pub mod room;
#[cfg(test)]
mod tests;
