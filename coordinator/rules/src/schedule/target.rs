//! Where a new copy goes: a disk on a host without one, with a free slot and room left after all grants.
//!
//! In: the world, the ledger, the board of free disks. Out: a disk, or why none. It must never choose a host that holds
//! any replica of the tablet, whatever that replica's state (a move within a host is chosen in [`super::beside`]).
//!
//! A disk is asked in this order, and each refusal is a [`Reason`] of its own: its node is alive and has reported; the
//! disk is online; neither is being drained; the node has the table's tag, or is in the bucket of its colocation group;
//! its host has no replica; the copy fits with all that is promised to its file system.
//!
//! A disk that a running plan names for the tablet comes before all others, as long as no rule refuses it. Among the
//! rest the first by: the tablet's medium before any other; a rack without a live copy before
//! one with; lowest load score of the node; lowest used part of the disk, promised bytes included; fewest copies under
//! way; lowest id. So racks are soft: they order, they never refuse.

use super::slots::Ledger;
use super::statistics::Scores;
use crate::checkup::Counts;
use crate::checkup::count::host_of;
use crate::world::{Disk, Node, Replica, Tablet};
use crate::{Reason, World, pause};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskId, DiskState, Liveness, Medium, NodeId, TaskType};

/// Disks with a free slot that may take new copies, in the order in which they are preferred.
pub struct Board<'a> {
    /// A choice looks at the first few of each kind, not at all disks.
    seats: BTreeMap<Kind<'a>, BTreeSet<Seat>>,
    seat_of: BTreeMap<DiskId, (Kind<'a>, Seat)>,
    /// Disks that are there and have a free slot: those that take nothing new are mended all the same.
    open: BTreeSet<DiskId>,
    scores: &'a Scores,
}

/// Disks that are alike for a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind<'a> {
    medium: Medium,
    tag: &'a str,
    rack: &'a str,
}

/// Field order is the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    /// Parts per million.
    node_score: u64,
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

impl<'a> Board<'a> {
    pub fn of(world: &'a World, ledger: &Ledger, scores: &'a Scores) -> Board<'a> {
        let mut board = Board { seats: BTreeMap::new(), seat_of: BTreeMap::new(), open: BTreeSet::new(), scores };
        world.disks.values().for_each(|disk| board.seat(world, ledger, disk));
        board
    }

    /// After a grant: the destination moves back in the order, full disks leave the board.
    pub fn refresh(&mut self, world: &'a World, ledger: &Ledger, disk: DiskId) {
        if let Some((kind, seat)) = self.seat_of.remove(&disk) {
            self.seats.entry(kind).or_default().remove(&seat);
        }
        self.open.remove(&disk);
        if let Some(disk) = world.disks.get(&disk) {
            self.seat(world, ledger, disk);
        }
    }

    fn seat(&mut self, world: &'a World, ledger: &Ledger, disk: &Disk) {
        let Some(node) = world.nodes.get(&disk.node) else { return };
        if ledger.free(disk.id, TaskType::Repair) == 0 || place_refusal(world, disk).is_some() {
            return;
        }
        self.open.insert(disk.id);
        if takes_nothing_new(world, disk).or_else(|| closed(world, disk)).is_none() {
            let kind = Kind { medium: disk.medium, tag: &node.tag, rack: &node.rack };
            let seat = seat_at(ledger, disk, self.scores.of_node(node.id));
            self.seats.entry(kind).or_default().insert(seat);
            self.seat_of.insert(disk.id, (kind, seat));
        }
    }

    /// No disk anywhere can take anything.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The first seat of the right or of the other media that fits.
    fn best(&self, wish: &Wish, right_medium: bool, fits: impl Fn(DiskId) -> bool) -> Option<DiskId> {
        let kinds = self.seats.iter().filter(|(kind, _)| {
            (kind.medium == wish.medium) == right_medium && wish.tag.is_none_or(|tag| tag == kind.tag)
        });
        let firsts = kinds.filter_map(|(kind, seats)| {
            let seat = seats.iter().find(|seat| fits(seat.disk))?;
            Some((wish.racks.contains(kind.rack), *seat))
        });
        firsts.min().map(|(_, seat)| seat.disk)
    }
}

/// What a tablet wants of a seat.
struct Wish<'a> {
    medium: Medium,
    /// `None`: its bucket says where, whatever the tag.
    tag: Option<&'a str>,
    /// Racks with a live copy that stays.
    racks: BTreeSet<&'a str>,
}

/// `node_score`: 0 where all disks in question are of one node.
pub(super) fn seat_at(ledger: &Ledger, disk: &Disk, node_score: u64) -> Seat {
    let (copies, bytes) = ledger.incoming(disk.id);
    Seat { node_score, used_ppb: used_ppb(disk, bytes), copies, disk: disk.id }
}

/// Chooses the disk for a new copy of `bytes`.
pub fn choose_target(
    world: &World,
    ledger: &Ledger,
    board: &Board,
    tablet: &Tablet,
    counts: &Counts,
    bytes: u64,
) -> Result<(NodeId, DiskId), NoTarget> {
    let refusal = |disk: &Disk| disk_refusal(world, ledger, tablet, disk, bytes);
    let fits = |disk: DiskId| world.disks.get(&disk).is_some_and(|disk| refusal(disk).is_none());
    if let Some(disk) = planned(world, tablet, fits) {
        return if board.open.contains(&disk.id) { Ok((disk.node, disk.id)) } else { Err(no_slot(vec![disk.id])) };
    }
    let tag = world.bucket_nodes(tablet).is_none().then(|| world.tag_of(tablet));
    let wish = Wish { medium: tablet.medium, tag, racks: racks_with_copies(world, tablet, counts) };
    let chosen = board.best(&wish, true, fits).or_else(|| board.best(&wish, false, fits));
    if let Some(disk) = chosen.and_then(|disk| world.disks.get(&disk)) {
        return Ok((disk.node, disk.id));
    }
    let (mut busy, mut flowing, mut why) = (Vec::new(), None, Tally::default());
    for disk in world.disks.values() {
        match refusal(disk) {
            // The next copy that ends there lets one more begin.
            Some(reason @ Reason::NodeTakesEnough { .. }) => {
                busy.push(disk.id);
                flowing = Some(reason);
            }
            Some(reason) => why.count(&reason),
            None => busy.push(disk.id),
        }
    }
    if busy.is_empty() {
        let (tablet, disks, why) = (tablet.id, world.disks.len() as u32, why.text());
        return Err(NoTarget { reason: Reason::NoDestination { tablet, disks, why }, busy });
    }
    let none = no_slot(busy);
    Err(NoTarget { reason: flowing.unwrap_or(none.reason), busy: none.busy })
}

/// Where a plan that is being carried out wants the copy: nothing else is chosen while that disk may take it.
pub(super) fn planned<'a>(world: &'a World, tablet: &Tablet, fits: impl Fn(DiskId) -> bool) -> Option<&'a Disk> {
    let mut wanted = world.plans.targets_of(tablet.id).iter().filter(|disk| fits(**disk));
    wanted.next().and_then(|disk| world.disks.get(disk))
}

/// Disks could take it, but have no free slot.
pub(super) fn no_slot(mut busy: Vec<DiskId>) -> NoTarget {
    let reason = Reason::NoDestinationSlot { disks: busy.len() as u32 };
    busy.truncate(BUSY_MAX);
    NoTarget { reason, busy }
}

/// Racks that hold a live copy which is not about to leave. A node without a rack is in the rack without a name.
fn racks_with_copies<'a>(world: &'a World, tablet: &Tablet, counts: &Counts) -> BTreeSet<&'a str> {
    let alive = tablet.replicas.iter().zip(&counts.judged).filter(|(_, judged)| judged.alive);
    let nodes = alive.filter_map(|(replica, _)| world.nodes.get(&replica.node));
    nodes.filter(|node| !node.draining).map(|node| node.rack.as_str()).collect()
}

/// How often each rule refused: the numbers behind "none of them".
#[derive(Default)]
pub(super) struct Tally(BTreeMap<&'static str, u32>);

impl Tally {
    pub fn count(&mut self, reason: &Reason) {
        *self.0.entry(reason.code()).or_default() += 1;
    }

    /// Most frequent first.
    pub fn text(&self) -> String {
        let mut rules: Vec<_> = self.0.iter().map(|(code, times)| (std::cmp::Reverse(*times), *code)).collect();
        rules.sort_unstable();
        let rules: Vec<String> = rules.into_iter().map(|(times, code)| format!("{} {code}", times.0)).collect();
        if rules.is_empty() { "there are none".into() } else { rules.join(", ") }
    }
}

/// The rule that refuses a disk as the place of a new copy, slots aside.
pub fn disk_refusal(world: &World, ledger: &Ledger, tablet: &Tablet, disk: &Disk, bytes: u64) -> Option<Reason> {
    new_refusal(world, ledger, tablet, None, disk, bytes)
}

/// [`disk_refusal`] of a disk on the host of the replica that the copy replaces: that one is not in its way.
pub(crate) fn beside_refusal(
    world: &World,
    ledger: &Ledger,
    tablet: &Tablet,
    old: &Replica,
    disk: &Disk,
    bytes: u64,
) -> Option<Reason> {
    new_refusal(world, ledger, tablet, Some(old), disk, bytes)
}

fn new_refusal(
    world: &World,
    ledger: &Ledger,
    tablet: &Tablet,
    old: Option<&Replica>,
    disk: &Disk,
    bytes: u64,
) -> Option<Reason> {
    place_refusal(world, disk)
        .or_else(|| unwanted(world, tablet, disk))
        .or_else(|| host_refusal(world, tablet, old, disk))
        .or_else(|| overfill(ledger, disk, bytes, world.knobs.clone_reserve(disk.space.total)))
        .or_else(|| flow_refusal(world, ledger, disk.node))
}

/// Its host holds a replica of the tablet other than the one that is to be replaced.
fn host_refusal(world: &World, tablet: &Tablet, old: Option<&Replica>, disk: &Disk) -> Option<Reason> {
    let host = world.nodes.get(&disk.node).map(|node| node.host.as_str());
    let mut others = tablet.replicas.iter().filter(|other| Some(other.id) != old.map(|old| old.id));
    others.any(|other| host_of(world, other) == host).then_some(Reason::HostHasCopy { node: disk.node })
}

/// The rule that refuses a disk as the place where an existing replica is brought up by `bytes`: it may use what loads
/// may use. A slot is asked for last.
pub fn in_place_refusal(world: &World, ledger: &Ledger, disk: DiskId, bytes: u64) -> Option<Reason> {
    let Some(disk) = world.disks.get(&disk) else { return Some(Reason::DiskNotOnline { disk }) };
    let reserve = world.knobs.load_reserve(disk.space.total);
    place_refusal(world, disk)
        .or_else(|| pause::holds_disk(world, disk))
        .or_else(|| if bytes == 0 { None } else { overfill(ledger, disk, bytes, reserve) })
        .or_else(|| slot_refusal(ledger, disk.id))
}

/// [`disk_refusal`], then the slot: the first of [`every_rule`] that refuses.
pub fn candidate_refusal(world: &World, ledger: &Ledger, tablet: &Tablet, disk: &Disk, bytes: u64) -> Option<Reason> {
    every_rule(world, ledger, tablet, disk, bytes).into_iter().find_map(|(_, refusal)| refusal)
}

/// Every rule of [`disk_refusal`], then the slot, each asked by itself: what `explain` shows of a disk.
pub fn every_rule(
    world: &World,
    ledger: &Ledger,
    tablet: &Tablet,
    disk: &Disk,
    bytes: u64,
) -> [(&'static str, Option<Reason>); 6] {
    let keep = world.knobs.clone_reserve(disk.space.total);
    [
        ("there", place_refusal(world, disk)),
        ("wanted", unwanted(world, tablet, disk)),
        ("host", host_refusal(world, tablet, None, disk)),
        ("space", overfill(ledger, disk, bytes, keep)),
        ("flow", flow_refusal(world, ledger, disk.node)),
        ("slot", slot_refusal(ledger, disk.id)),
    ]
}

fn slot_refusal(ledger: &Ledger, disk: DiskId) -> Option<Reason> {
    (ledger.free(disk, TaskType::Repair) == 0).then_some(Reason::NoDestinationSlot { disks: 1 })
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

/// Whether new copies are kept away from a disk that is there: somebody wants it empty.
pub fn takes_nothing_new(world: &World, disk: &Disk) -> Option<Reason> {
    if world.nodes.get(&disk.node).is_some_and(|node| node.draining) {
        return Some(Reason::NodeDraining { node: disk.node });
    }
    disk.draining.then_some(Reason::DiskDraining { disk: disk.id })
}

/// Whether a person keeps new replicas away from a disk without wanting it empty: a black list, a pause of repair.
pub fn closed(world: &World, disk: &Disk) -> Option<Reason> {
    let node = world.nodes.get(&disk.node)?;
    if is_black_listed(world, node) {
        return Some(Reason::BlackListed { node: node.id, host: node.host.clone() });
    }
    pause::holds_disk(world, disk)
}

/// Whether the node gets no new replica: by id, host, name or address (Pegasus' list).
pub fn is_black_listed(world: &World, node: &Node) -> bool {
    let is =
        |name: &String| *name == node.host || *name == node.name || *name == node.peer || name.parse() == Ok(node.id);
    world.knobs.assign_secondary_black_list.iter().any(is)
}

/// Flow control: so many copies may be under way to one node at once.
fn flow_refusal(world: &World, ledger: &Ledger, node: NodeId) -> Option<Reason> {
    let (coming, max) = (ledger.coming_to(node), world.knobs.add_secondary_max_count_for_one_node);
    let is_full = world.knobs.add_secondary_enable_flow_control && coming >= max;
    is_full.then_some(Reason::NodeTakesEnough { node, coming, max })
}

/// The rule that keeps new copies of this tablet away from a disk that is there: [`takes_nothing_new`], another tag, or
/// a node outside its bucket. In a colocation group the bucket alone says where, whatever the tag.
pub fn unwanted(world: &World, tablet: &Tablet, disk: &Disk) -> Option<Reason> {
    if let Some(reason) = takes_nothing_new(world, disk).or_else(|| closed(world, disk)) {
        return Some(reason);
    }
    if let Some(bucket) = world.bucket_nodes(tablet) {
        return (!bucket.contains(&disk.node)).then_some(Reason::NotInBucket { node: disk.node });
    }
    let (node, wanted) = (world.nodes.get(&disk.node)?, world.tag_of(tablet));
    let is_other = node.tag != wanted;
    is_other.then(|| Reason::OtherTag { node: node.id, tag: node.tag.clone(), wanted: wanted.into() })
}

fn overfill(ledger: &Ledger, disk: &Disk, bytes: u64, keep: u64) -> Option<Reason> {
    let free = disk.space.available().saturating_sub(ledger.reserved(disk.node, disk.device));
    (free < keep.saturating_add(bytes)).then_some(Reason::DiskWouldOverfill { disk: disk.id, free, bytes, keep })
}

/// Used part of a disk with what is promised to it, in parts per billion.
pub fn used_ppb(disk: &Disk, promised: u64) -> u64 {
    let used = u128::from(disk.space.used) + u128::from(promised);
    (used * 1_000_000_000).checked_div(u128::from(disk.space.total)).map_or(u64::MAX, |ppb| ppb as u64)
}
