//! Where the first replicas of a new table's tablets are placed.
//!
//! In: the world, the wish. Out: disks on different hosts. It never places on a node that is away, has not reported,
//! is being drained or has another tag, nor on a disk that is not online, is being drained or has no room.
//!
//! Order: the least filled host, then a rack that holds no copy of the tablet, then in turn; on the host the least
//! filled disk. The medium is a preference of the whole table.

use crate::policy::Group;
use crate::schedule::target::is_black_listed;
use crate::world::{Disk, Node};
use crate::{Reason, World, colocation};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskId, Liveness, Medium, NodeId};

/// Hosts that may take first replicas, with their disks and how many replicas each holds.
pub struct Places {
    hosts: Vec<Host>,
    /// Rises with each tablet, so that equal hosts take turns.
    turn: usize,
}

struct Host {
    rack: String,
    disks: Vec<(DiskId, NodeId, u64)>,
}

/// What is asked of a place.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    pub medium: Medium,
    pub copies: u32,
    pub tag: &'a str,
}

impl Places {
    pub fn of(world: &World, wish: Wish, group: Option<&Group>) -> Result<Places, Reason> {
        let right = on(world, wish.tag, |disk| disk == wish.medium);
        let any = on(world, wish.tag, |_| true);
        let is_enough = |hosts: &[Host]| match group {
            Some(group) => group.buckets.iter().flatten().all(|node| has(hosts, *node)),
            None => hosts.len() >= wish.copies as usize,
        };
        let mut hosts = if is_enough(&right) { right } else { any };
        if !is_enough(&hosts) {
            let missing = group.and_then(|group| group.buckets.iter().flatten().find(|node| !has(&hosts, **node)));
            return Err(match missing {
                Some(node) => Reason::GroupNodeAway { node: *node },
                None => too_few(wish.copies, hosts.len() as u32),
            });
        }
        let mut counts: BTreeMap<DiskId, u64> = BTreeMap::new();
        for replica in world.tablets.iter().flat_map(|tablet| &tablet.replicas) {
            *counts.entry(replica.disk).or_default() += 1;
        }
        for (disk, _, count) in hosts.iter_mut().flat_map(|host| &mut host.disks) {
            *count = counts.get(disk).copied().unwrap_or(0);
        }
        Ok(Places { hosts, turn: 0 })
    }

    /// `n` disks on different hosts.
    pub fn take(&mut self, n: usize) -> Vec<(NodeId, DiskId)> {
        let (turn, count) = (self.turn, self.hosts.len());
        self.turn += 1;
        let mut free: BTreeSet<usize> = (0..count).collect();
        let mut racks: BTreeSet<String> = BTreeSet::new();
        let chosen = (0..n.min(count)).map(|_| {
            let rank = |host: &usize| {
                let of = &self.hosts[*host];
                let is_taken = !of.rack.is_empty() && racks.contains(&of.rack);
                (of.emptiest(), is_taken, (host + count - turn % count) % count)
            };
            let host = *free.iter().min_by_key(|host| rank(host)).expect("no more are taken than there are");
            free.remove(&host);
            racks.insert(self.hosts[host].rack.clone());
            self.hosts[host].take(|_| true).expect("a host here has a disk")
        });
        chosen.collect()
    }

    /// One disk on each of these nodes.
    pub fn take_on(&mut self, nodes: &[NodeId]) -> Vec<(NodeId, DiskId)> {
        let chosen = nodes.iter().filter_map(|node| {
            let mut hosts = self.hosts.iter_mut();
            hosts.find_map(|host| host.take(|on| on == *node))
        });
        chosen.collect()
    }
}

impl Host {
    fn emptiest(&self) -> u64 {
        self.disks.iter().map(|disk| disk.2).min().unwrap_or(u64::MAX)
    }

    fn take(&mut self, fits: impl Fn(NodeId) -> bool) -> Option<(NodeId, DiskId)> {
        let disk = self.disks.iter_mut().filter(|disk| fits(disk.1)).min_by_key(|disk| (disk.2, disk.0))?;
        disk.2 += 1;
        Some((disk.1, disk.0))
    }
}

fn has(hosts: &[Host], node: NodeId) -> bool {
    hosts.iter().any(|host| host.disks.iter().any(|disk| disk.1 == node))
}

fn may_take(world: &World, node: &Node, tag: &str) -> bool {
    node.liveness == Liveness::Alive
        && node.reported
        && !node.draining
        && node.tag == tag
        && !is_black_listed(world, node)
}

fn on(world: &World, tag: &str, fits: impl Fn(Medium) -> bool) -> Vec<Host> {
    let mut hosts: BTreeMap<&str, Host> = BTreeMap::new();
    let fit = |disk: &&Disk| colocation::may_take(world, disk) && fits(disk.medium);
    for disk in world.disks.values().filter(fit) {
        let Some(node) = world.nodes.get(&disk.node).filter(|node| may_take(world, node, tag)) else { continue };
        let host = hosts.entry(&node.host).or_insert_with(|| Host { rack: node.rack.clone(), disks: Vec::new() });
        host.disks.push((disk.id, node.id, 0));
    }
    hosts.into_values().collect()
}

fn too_few(wanted: u32, hosts: u32) -> Reason {
    Reason::TooFewHosts { wanted, hosts }
}

/// There are not enough hosts with this tag for so many copies.
pub fn too_few_hosts(world: &World, tag: &str, wanted: u32) -> Reason {
    too_few(wanted, on(world, tag, |_| true).len() as u32)
}

/// Whether there are hosts enough with this tag.
pub fn hosts_for(world: &World, tag: &str, wanted: u32) -> Result<(), Reason> {
    let hosts = on(world, tag, |_| true).len() as u32;
    if hosts < wanted { Err(too_few(wanted, hosts)) } else { Ok(()) }
}
