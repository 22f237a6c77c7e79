//! Evenness of a colocation group: which node takes which other's place in its bucket sequence.
//!
//! In: the world, a group that stands as its sequence says. Out: a sequence in which the nodes stand more equally often,
//! or why it stays as it is. Of the nodes that stand most often (of several the busier) the first occurrence goes to the
//! one that stands least often (of several the less busy), where neither it nor its host is in that bucket and it has
//! room for the bucket; else the next pair is tried. Each step lowers the sum of squares of the occurrences, so it ends:
//! when they differ by one at most, or no pair can change.
//!
//! It never moves what is not at rest: nodes that have come or gone lately, a group of which a tablet stands elsewhere.
//! Who must go is [`crate::colocation`]'s, and comes first. Source: the note on the originals, 3.6.

use crate::colocation::{self, Uses, eligible, is_there, room, tag_of, unstable};
use crate::policy::{Group, PauseOn};
use crate::{Reason, World, level, pause};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{NodeId, Tick};

/// One node in place of another in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap {
    pub bucket: u32,
    pub from: NodeId,
    pub to: NodeId,
}

/// The sequence that evens the group, and what is different in it; or why it stays as it is. Levels are the caller's.
pub fn evened(world: &World, group: &Group, at: Tick) -> Result<(Group, Vec<Swap>), Reason> {
    if let Some(reason) = holds(world, group, at) {
        return Err(reason);
    }
    let mut seats = Seats::of(world, group);
    if seats.takers.is_empty() || seats.uses.len() < 2 {
        return Err(Reason::GroupAlone { group: group.name.clone(), nodes: seats.takers.len() as u32 });
    }
    while seats.step() {}
    let swaps = seats.swaps(group);
    if swaps.is_empty() {
        return Err(seats.rest(&group.name));
    }
    Ok((Group { buckets: seats.sequence, ..group.clone() }, swaps))
}

/// Why its sequence stays as it is, levels asked; `None`: it is about to be evened.
pub fn idle(world: &World, group: &Group, at: Tick) -> Option<Reason> {
    level::forbids_balance(world).or_else(|| evened(world, group, at).err())
}

/// Why nothing of it may be changed now.
fn holds(world: &World, group: &Group, at: Tick) -> Option<Reason> {
    let off = [
        (world.knobs.disable_balance, "disable_balance"),
        (world.knobs.disable_colocate_balance, "disable_colocate_balance"),
    ];
    if let Some((_, knob)) = off.into_iter().find(|(is_off, _)| *is_off) {
        return Some(Reason::GroupBalanceOff { knob: knob.into() });
    }
    let tables = world.tables.values().filter(|table| table.group.as_ref() == Some(&group.name));
    let paused = tables.map(|table| pause::holds_balance_at(world, PauseOn::Table { table: table.id }));
    if let Some(reason) = paused.flatten().next() {
        return Some(reason);
    }
    let changed = world.nodes.values().map(|node| node.since).max().unwrap_or_default().max(world.began);
    let in_ms = changed.plus(world.knobs.colocate_balance_wait_ms).since(at);
    if in_ms > 0 {
        return Some(Reason::NodesUnsettled { in_ms });
    }
    match unstable(world, group) {
        0 => None,
        tablets => Some(Reason::GroupUnstable { group: group.name.clone(), tablets }),
    }
}

/// A sequence that is being changed.
struct Seats<'a> {
    world: &'a World,
    sequence: Vec<Vec<NodeId>>,
    /// Of everybody who may give or take: how often it stands in the sequence.
    uses: Uses,
    takers: BTreeSet<NodeId>,
    busy: Uses,
    /// By bucket: what a node must take in for it.
    bytes: Vec<u64>,
    /// What a taker has left for it.
    room: BTreeMap<NodeId, u64>,
}

impl<'a> Seats<'a> {
    fn of(world: &'a World, group: &Group) -> Seats<'a> {
        let is_paused = |node| pause::holds_balance_at(world, PauseOn::Node { node }).is_some();
        let nobody = BTreeSet::new();
        let takers: BTreeSet<NodeId> = eligible(world, tag_of(world, &group.name), &nobody)
            .map(|node| node.id)
            .filter(|node| !is_paused(*node))
            .collect();
        let stays = |node: &&NodeId| world.nodes.get(node).is_some_and(is_there) && !is_paused(**node);
        let givers = group.buckets.iter().flatten().filter(stays).copied();
        let mut uses: Uses = takers.iter().copied().chain(givers).map(|node| (node, 0)).collect();
        colocation::count(&mut uses, &group.buckets);
        let room = takers.iter().map(|node| (*node, room::of_node(world, *node))).collect();
        let bytes = (0..group.buckets.len() as u32).map(|bucket| room::of_bucket(world, &group.name, bucket)).collect();
        let (sequence, busy) = (group.buckets.clone(), colocation::how_busy(world));
        Seats { world, sequence, uses, takers, busy, bytes, room }
    }

    /// Everybody, the one that stands least often first; then the less busy.
    fn ranked(&self) -> Vec<(u64, u64, NodeId)> {
        let rank = |(node, uses): (&NodeId, &u64)| (*uses, self.busy.get(node).copied().unwrap_or(0), *node);
        let mut ranked: Vec<_> = self.uses.iter().map(rank).collect();
        ranked.sort_unstable();
        ranked
    }

    /// One node takes one place of another; `false`: no pair can change any more.
    fn step(&mut self) -> bool {
        let ranked = self.ranked();
        // Of equals the smaller id gives first, as it takes first.
        let mut most = ranked.clone();
        most.sort_by_key(|(uses, busy, node)| (u64::MAX - uses, u64::MAX - busy, *node));
        for (high, _, giver) in most {
            for (low, _, taker) in ranked.iter().filter(|(_, _, node)| self.takers.contains(node)) {
                if high.saturating_sub(*low) <= 1 {
                    break;
                }
                if let Some((bucket, place)) = self.first_place(giver, *taker) {
                    self.put(bucket, place, *taker);
                    return true;
                }
            }
        }
        false
    }

    /// The first occurrence of `giver` in a bucket that has neither `taker` nor its host, and for which it has room.
    fn first_place(&self, giver: NodeId, taker: NodeId) -> Option<(usize, usize)> {
        let host = |node: &NodeId| self.world.nodes.get(node).map(|node| node.host.as_str());
        let room = self.room.get(&taker).copied().unwrap_or(0);
        self.sequence.iter().enumerate().find_map(|(number, bucket)| {
            let place = bucket.iter().position(|node| *node == giver)?;
            let is_taken = bucket.iter().any(|node| *node == taker || host(node) == host(&taker));
            (!is_taken && self.bytes[number] <= room).then_some((number, place))
        })
    }

    fn put(&mut self, bucket: usize, place: usize, taker: NodeId) {
        let giver = std::mem::replace(&mut self.sequence[bucket][place], taker);
        *self.uses.entry(giver).or_default() -= 1;
        *self.uses.entry(taker).or_default() += 1;
        if let Some(room) = self.room.get_mut(&taker) {
            *room = room.saturating_sub(self.bytes[bucket]);
        }
    }

    fn swaps(&self, group: &Group) -> Vec<Swap> {
        let mut swaps = Vec::new();
        for (bucket, (old, new)) in (0..).zip(group.buckets.iter().zip(&self.sequence)) {
            let pairs = old.iter().zip(new).filter(|(from, to)| from != to);
            swaps.extend(pairs.map(|(from, to)| Swap { bucket, from: *from, to: *to }));
        }
        swaps
    }

    /// Why it stays as it is.
    fn rest(&self, group: &str) -> Reason {
        let ranked = self.ranked();
        let fewest = ranked.iter().find(|(_, _, node)| self.takers.contains(node));
        let (Some((most, _, giver)), Some((fewest, _, taker))) = (ranked.last(), fewest) else {
            return Reason::GroupAlone { group: group.into(), nodes: 0 };
        };
        let (group, most, fewest) = (group.into(), *most, *fewest);
        match most.saturating_sub(fewest) {
            0 | 1 => Reason::GroupEven { group, most, fewest },
            _ => Reason::GroupUneven { group, giver: *giver, most, taker: *taker, fewest },
        }
    }
}

#[cfg(test)]
mod tests;
