//! Where a new copy goes: a disk on a host without one, with a free slot and room left after all grants.
//!
//! In: the world, the ledger, the board of free disks in order. Out: a disk, or why none. It must never choose a host
//! that holds any replica of the tablet, whatever that replica's state.
//!
//! Order: the tablet's medium, then any; lowest used part of the disk, promised bytes included; fewest copies under
//! way; lowest id.

use super::slots::Ledger;
use crate::checkup::count::host_of;
use crate::world::{Disk, Tablet};
use crate::{Reason, World};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskId, DiskState, Liveness, Medium, NodeId};

/// Disks that may take a copy at all, in the order in which they are preferred.
pub struct Board {
    seats: BTreeMap<Medium, BTreeSet<Seat>>,
    seat_of: BTreeMap<DiskId, (Medium, Seat)>,
}

/// Field order is the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seat {
    /// Parts per billion, so that the order is total.
    used_ppb: u64,
    copies: u32,
    disk: DiskId,
}

/// Why there is no destination now, and disks whose slots would change that.
pub struct NoTarget {
    pub reason: Reason,
    pub busy: Vec<DiskId>,
}

/// A refused tablet waits for at most this many disks' slots: more would only make waking it dearer.
const BUSY_MAX: usize = 8;

impl Board {
    /// All disks with a free slot that are online at a node that is there.
    pub fn of(world: &World, ledger: &Ledger) -> Board {
        let mut board = Board { seats: BTreeMap::new(), seat_of: BTreeMap::new() };
        for disk in world.disks.values() {
            board.seat(world, ledger, disk);
        }
        board
    }

    /// After a grant: the destination moves back in the order, full disks leave the board.
    pub fn refresh(&mut self, world: &World, ledger: &Ledger, disk: DiskId) {
        if let Some((medium, seat)) = self.seat_of.remove(&disk) {
            self.seats.entry(medium).or_default().remove(&seat);
        }
        if let Some(disk) = world.disks.get(&disk) {
            self.seat(world, ledger, disk);
        }
    }

    fn seat(&mut self, world: &World, ledger: &Ledger, disk: &Disk) {
        if ledger.free(disk.id) == 0 || place_refusal(world, disk).is_some() {
            return;
        }
        let (copies, bytes) = ledger.incoming(disk.id);
        let seat = Seat { used_ppb: used_ppb(disk, bytes), copies, disk: disk.id };
        self.seats.entry(disk.medium).or_default().insert(seat);
        self.seat_of.insert(disk.id, (disk.medium, seat));
    }

    /// No disk anywhere can take anything.
    pub fn is_empty(&self) -> bool {
        self.seat_of.is_empty()
    }

    fn in_order(&self, medium: Medium) -> impl Iterator<Item = DiskId> {
        let right = self.seats.get(&medium).into_iter().flatten();
        let others = self.seats.iter().filter(move |(other, _)| **other != medium).flat_map(|(_, seats)| seats);
        right.chain(others).map(|seat| seat.disk)
    }
}

/// Chooses the disk for a new copy of `bytes`.
pub fn choose_target(
    world: &World,
    ledger: &Ledger,
    board: &Board,
    tablet: &Tablet,
    bytes: u64,
) -> Result<(NodeId, DiskId), NoTarget> {
    let may_take = |disk: &DiskId| {
        let disk = world.disks.get(disk)?;
        disk_refusal(world, ledger, tablet, disk, bytes).is_none().then_some((disk.node, disk.id))
    };
    if let Some(place) = board.in_order(tablet.medium).find_map(|disk| may_take(&disk)) {
        return Ok(place);
    }
    let mut busy: Vec<DiskId> =
        world.disks.keys().filter(|disk| ledger.free(**disk) == 0 && may_take(disk).is_some()).copied().collect();
    if busy.is_empty() {
        return Err(NoTarget {
            reason: Reason::NoDestination { tablet: tablet.id, disks: world.disks.len() as u32 },
            busy,
        });
    }
    let reason = Reason::NoDestinationSlot { disks: busy.len() as u32 };
    busy.truncate(BUSY_MAX);
    Err(NoTarget { reason, busy })
}

/// The rule that refuses a disk as the place of a new copy, slots aside.
pub fn disk_refusal(world: &World, ledger: &Ledger, tablet: &Tablet, disk: &Disk, bytes: u64) -> Option<Reason> {
    if let Some(reason) = place_refusal(world, disk) {
        return Some(reason);
    }
    let host = world.nodes.get(&disk.node).map(|node| node.host.as_str());
    if tablet.replicas.iter().any(|replica| host_of(world, replica) == host) {
        return Some(Reason::HostHasCopy { node: disk.node });
    }
    overfill(ledger, disk, bytes, world.knobs.clone_reserve(disk.space.total))
}

/// The rule that refuses a disk as the place where an existing replica is brought up by `bytes`: it may use what loads
/// may use. A slot is asked for last.
pub fn in_place_refusal(world: &World, ledger: &Ledger, disk: DiskId, bytes: u64) -> Option<Reason> {
    let Some(disk) = world.disks.get(&disk) else { return Some(Reason::DiskNotOnline { disk }) };
    let reserve = world.knobs.load_reserve(disk.space.total);
    place_refusal(world, disk)
        .or_else(|| if bytes == 0 { None } else { overfill(ledger, disk, bytes, reserve) })
        .or_else(|| slot_refusal(ledger, disk.id))
}

/// [`disk_refusal`], then the slot: what `explain` shows for every disk.
pub fn candidate_refusal(world: &World, ledger: &Ledger, tablet: &Tablet, disk: &Disk, bytes: u64) -> Option<Reason> {
    disk_refusal(world, ledger, tablet, disk, bytes).or_else(|| slot_refusal(ledger, disk.id))
}

fn slot_refusal(ledger: &Ledger, disk: DiskId) -> Option<Reason> {
    (ledger.free(disk) == 0).then_some(Reason::NoDestinationSlot { disks: 1 })
}

/// Whether the disk is there at all: node alive and reported in this session, disk online and not given away.
pub fn place_refusal(world: &World, disk: &Disk) -> Option<Reason> {
    match world.nodes.get(&disk.node) {
        Some(node) if node.liveness == Liveness::Alive => {
            if !node.reported {
                return Some(Reason::NodesNotReported { nodes: 1 });
            }
        }
        Some(_) | None => return Some(Reason::NodeNotAlive { node: disk.node }),
    }
    (disk.state != DiskState::Online || disk.replaced_by.is_some()).then_some(Reason::DiskNotOnline { disk: disk.id })
}

fn overfill(ledger: &Ledger, disk: &Disk, bytes: u64, keep: u64) -> Option<Reason> {
    let free = disk.space.available().saturating_sub(ledger.reserved(disk.node, disk.device));
    (free < keep.saturating_add(bytes)).then_some(Reason::DiskWouldOverfill { disk: disk.id, free, keep })
}

/// Used part of a disk with what is promised to it, in parts per billion.
pub fn used_ppb(disk: &Disk, promised: u64) -> u64 {
    let used = u128::from(disk.space.used) + u128::from(promised);
    (used * 1_000_000_000).checked_div(u128::from(disk.space.total)).map_or(u64::MAX, |ppb| ppb as u64)
}
