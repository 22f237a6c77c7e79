//! How many copies of a table stand where, against what is fair by capacity: first by node, then by disk of a node.
//!
//! In: the world, what is under way. Out: whether a move of one replica makes it strictly fairer, or the numbers
//! that say no. A replica on its way
//! counts where it goes. Only nodes and disks that take part are counted, of the table's tag and the move's medium.

use super::moves::{Scope, takes_part};
use super::worth::{Peopled, lowers_count};
use crate::World;
use crate::schedule::slots::Ledger;
use crate::world::{Disk, Tablet};
use std::collections::BTreeMap;
use stele_common::{DiskId, NodeId, ReplicaState, TabletId};

/// Both ends of a move, and all places together.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    pub source: Peopled,
    pub target: Peopled,
    pub copies: u64,
    pub capacity: u64,
}

/// The table's copies at both ends of a move: of nodes, or of disks within one node.
pub fn places(world: &World, scope: &Scope, ledger: &Ledger, tablet: &Tablet, from: &Disk, to: &Disk) -> Places {
    let tag = world.tag_of(tablet);
    let has_tag = |node: NodeId| world.nodes.get(&node).is_some_and(|node| node.tag == tag);
    let takes_part =
        |disk: &&Disk| disk.medium == from.medium && has_tag(disk.node) && takes_part(world, scope, disk).is_ok();
    let is_within = from.node == to.node;
    let mut disks: BTreeMap<DiskId, (NodeId, Peopled)> = BTreeMap::new();
    for disk in world.disks.values().filter(takes_part).filter(|disk| !is_within || disk.node == from.node) {
        disks.insert(disk.id, (disk.node, Peopled { count: 0, capacity: disk.space.total }));
    }
    count(world, ledger, tablet.id, |disk| {
        if let Some((_, peopled)) = disks.get_mut(&disk) {
            peopled.count += 1;
        }
    });
    let place = |end: &Disk| -> Peopled {
        let here = disks.iter().filter(|(id, (node, _))| if is_within { **id == end.id } else { *node == end.node });
        here.fold(Peopled { count: 0, capacity: 0 }, |sum, (_, (_, one))| sum.and(*one))
    };
    let all = disks.values().fold(Peopled { count: 0, capacity: 0 }, |sum, (_, one)| sum.and(*one));
    Places { source: place(from), target: place(to), copies: all.count, capacity: all.capacity }
}

/// Whether moving one replica of the tablet makes its table fairer between nodes, or, within one node, between disks.
pub fn still_fairer(
    world: &World,
    scope: &Scope,
    ledger: &Ledger,
    tablet: &Tablet,
    from: &Disk,
    to: &Disk,
) -> Result<(), String> {
    let Places { source, target, copies, capacity } = places(world, scope, ledger, tablet, from, to);
    if lowers_count(source, target, copies, capacity) {
        return Ok(());
    }
    let level = if from.node == to.node { "disk" } else { "node" };
    let (had, has) = (source.count, target.count);
    Err(format!("of its table one {level} has {had} copies and the other {has}, which is fair by capacity"))
}

/// Every copy of the tablet's table, where it is or will be.
fn count(world: &World, ledger: &Ledger, tablet: TabletId, mut at: impl FnMut(DiskId)) {
    let table = world.tablets.get(tablet).and_then(|tablet| world.tables.get(&tablet.table));
    let tablets = table.into_iter().flat_map(|table| &table.partitions).flat_map(|partition| &partition.tablets);
    for tablet in tablets.filter_map(|id| world.tablets.get(*id)) {
        let moving = ledger.moving(tablet.id);
        for replica in &tablet.replicas {
            match (replica.state, moving) {
                (ReplicaState::Normal, Some((from, to))) if replica.disk == from => at(to),
                // Being made: of a move it was counted just now.
                (ReplicaState::Clone, Some(_)) | (ReplicaState::Decommission, _) => {}
                (ReplicaState::Normal, _) | (ReplicaState::Clone, None) => at(replica.disk),
            }
        }
    }
}

impl Peopled {
    fn and(self, other: Peopled) -> Peopled {
        Peopled { count: self.count + other.count, capacity: self.capacity.saturating_add(other.capacity) }
    }
}
