//! Whether everything on some nodes and disks finds a place elsewhere, and what of it has moved by now.
//!
//! In: a world and what is to be emptied. Out: what would move, each tablet that finds no place with the rule and its
//! numbers; for a drain on record, how far it is ([`progress`]) and whether its end can be proven ([`proof`]). It
//! decides nothing and reserves nothing: copies are granted one by one later, by the same rules. It must never say that
//! something fits by giving the same room to two copies.

pub mod progress;
pub mod proof;

use crate::checkup::count;
use crate::checkup::count::host_of;
use crate::schedule::slots::{Ledger, size_of};
use crate::schedule::target::used_ppb;
use crate::world::{Disk, Leaver, Replica, Tablet};
use crate::{World, colocation, level};
use std::collections::{BTreeMap, BTreeSet};
use stele_common::api::{Blocker, Evacuation, FullestDisk};
use stele_common::{DiskId, DiskState, Liveness, Medium, NodeId, ReplicaState, TabletId, Tick};

/// Blockers that are named one by one; their number is always told.
const NAMED_MAX: usize = 50;

/// What is to be emptied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leaving {
    pub nodes: BTreeSet<NodeId>,
    pub disks: BTreeSet<DiskId>,
}

impl From<Leaver> for Leaving {
    fn from(of: Leaver) -> Leaving {
        match of {
            Leaver::Node(node) => Leaving { nodes: BTreeSet::from([node]), ..Leaving::default() },
            Leaver::Disk(disk) => Leaving { disks: BTreeSet::from([disk]), ..Leaving::default() },
        }
    }
}

impl Leaving {
    pub fn has(&self, replica: &Replica) -> bool {
        self.nodes.contains(&replica.node) || self.disks.contains(&replica.disk)
    }

    /// With everything that is being drained already: it needs room as well, and gives none.
    fn and_draining(&self, world: &World) -> Leaving {
        let nodes = world.nodes.values().filter(|node| node.draining).map(|node| node.id);
        let disks = world.disks.values().filter(|disk| disk.draining).map(|disk| disk.id);
        Leaving {
            nodes: self.nodes.iter().copied().chain(nodes).collect(),
            disks: self.disks.iter().copied().chain(disks).collect(),
        }
    }
}

/// Places every copy that must be made once `asked` is empty, largest needs of the order of tablets first come first
/// served, and tells what finds no place.
pub fn evacuate(world: &World, asked: &Leaving, at: Tick) -> Evacuation {
    evacuated(world, asked, at, |_, _, _| {})
}

/// The same; `placed` hears of each copy: its tablet, the replica that leaves for it, and the disk.
pub fn evacuated<'a>(
    world: &'a World,
    asked: &Leaving,
    at: Tick,
    placed: impl FnMut(&'a Tablet, Option<&'a Replica>, DiskId),
) -> Evacuation {
    evacuated_of(world, world.tablets.iter(), asked, at, placed)
}

/// The same of these tablets, as if no other were about to move.
fn evacuated_of<'a>(
    world: &'a World,
    tablets: impl Iterator<Item = &'a Tablet>,
    asked: &Leaving,
    at: Tick,
    mut placed: impl FnMut(&'a Tablet, Option<&'a Replica>, DiskId),
) -> Evacuation {
    let leaving = asked.and_draining(world);
    let mut answer = Evacuation {
        nodes: asked.nodes.iter().copied().collect(),
        disks: asked.disks.iter().copied().collect(),
        ..Evacuation::default()
    };
    let mut room = Room::of(world, &leaving);
    let groups = sequences(world, &leaving.nodes, at);
    if let Some(cause) = level::forbids_repair(world) {
        let detail = format!("level {} allows no copies: {cause}", level::in_force(world));
        answer.blockers.push(Blocker { code: "level_forbids".into(), tablet: None, table: None, detail });
    }
    if world.knobs.schedule_slot_num_per_path == 0 {
        let detail = "no disk has a slot: schedule_slot_num_per_path is 0".to_string();
        answer.blockers.push(Blocker { code: "no_slots".into(), tablet: None, table: None, detail });
    }
    for tablet in tablets {
        if !tablet.replicas.iter().any(|replica| leaving.has(replica)) {
            continue;
        }
        let is_asked = tablet.replicas.iter().any(|replica| asked.has(replica));
        let needs = needs(world, &leaving, tablet, groups.get(&tablet.id));
        answer.tablets += u64::from(is_asked);
        let bytes = size_of(tablet);
        let mut leavers: Vec<&Replica> = tablet.replicas.iter().filter(|replica| leaving.has(replica)).collect();
        let mut stuck = needs.stuck;
        for want in &needs.wants {
            if stuck.is_some() {
                break;
            }
            match room.place(world, tablet, bytes, want, &needs.hosts) {
                Ok(disk) if is_asked => {
                    answer.copies += 1;
                    answer.bytes = answer.bytes.saturating_add(bytes);
                    placed(tablet, leaver(&mut leavers, want), disk);
                }
                Ok(_) => {}
                Err(blocked) => stuck = Some(blocked),
            }
        }
        if let Some((code, detail)) = stuck {
            answer.blocked += 1;
            if answer.blockers.len() < NAMED_MAX {
                let table = Some(name_of(world, tablet));
                answer.blockers.push(Blocker { code: code.into(), tablet: Some(tablet.id), table, detail });
            }
        }
    }
    answer.fits = answer.blocked == 0 && answer.blockers.is_empty();
    answer.fullest = room.fullest(world);
    answer
}

/// The replica that goes when the copy for this want counts.
fn leaver<'a>(leavers: &mut Vec<&'a Replica>, want: &Want) -> Option<&'a Replica> {
    let beside = |replica: &&Replica| matches!(want, Want::Beside(node) | Want::On(node) if *node == replica.node);
    let index = leavers.iter().position(beside).or((!leavers.is_empty()).then_some(0))?;
    Some(leavers.remove(index))
}

/// Copies that tablets lack once something else is wanted of their table: `world` is that world. Answers what finds no
/// place.
pub fn refill<'a>(
    world: &'a World,
    tablets: impl Iterator<Item = &'a Tablet>,
    at: Tick,
    mut placed: impl FnMut(&'a Tablet, Option<&'a Replica>, DiskId),
) -> (u64, Vec<Blocker>) {
    let nobody = Leaving::default();
    let mut room = Room::of(world, &nobody.and_draining(world));
    let groups = sequences(world, &BTreeSet::new(), at);
    let (mut blocked, mut blockers) = (0, Vec::new());
    for tablet in tablets {
        let is_wrong = |replica: &Replica| {
            world.nodes.get(&replica.node).is_none_or(|node| node.tag != world.tag_of(tablet))
                || groups.get(&tablet.id).is_some_and(|nodes| nodes.iter().flatten().all(|node| *node != replica.node))
        };
        let mut needs = needs(world, &nobody, tablet, groups.get(&tablet.id));
        let mut leavers: Vec<&Replica> = tablet.replicas.iter().filter(|replica| is_wrong(replica)).collect();
        if !groups.contains_key(&tablet.id) {
            let right = tablet.replicas.iter().filter(|replica| !is_wrong(replica) && is_kept(world, replica)).count();
            let missing = (tablet.wanted as usize).saturating_sub(right);
            needs.wants.clear();
            needs.wants.resize_with(missing, || Want::Anywhere);
        }
        let mut stuck = needs.stuck;
        for want in &needs.wants {
            match room.place(world, tablet, size_of(tablet), want, &needs.hosts) {
                Ok(disk) => placed(tablet, leaver(&mut leavers, want), disk),
                Err(why) => _ = stuck.get_or_insert(why),
            }
        }
        if let Some((code, detail)) = stuck {
            blocked += 1;
            if blockers.len() < NAMED_MAX {
                let table = Some(name_of(world, tablet));
                blockers.push(Blocker { code: code.into(), tablet: Some(tablet.id), table, detail });
            }
        }
    }
    (blocked, blockers)
}

/// `db.table/partition` of a tablet.
pub fn name_of(world: &World, tablet: &Tablet) -> String {
    let Some(table) = world.tables.get(&tablet.table) else { return String::new() };
    let partition = table.partitions.iter().find(|partition| partition.id == tablet.partition);
    format!("{}.{}/{}", table.db, table.name, partition.map_or("", |partition| &partition.name))
}

/// Tablets of colocated tables, with the nodes that would hold their bucket; `None`: the bucket finds no node.
fn sequences(world: &World, leaving: &BTreeSet<NodeId>, at: Tick) -> BTreeMap<TabletId, Option<Vec<NodeId>>> {
    let mut wanted = BTreeMap::new();
    for group in world.groups.values() {
        let (sequence, stuck) = colocation::replaced(world, group, leaving, at);
        let tables = world.tables.values().filter(|table| table.group.as_deref() == Some(&group.name));
        for partition in tables.flat_map(|table| &table.partitions) {
            for (bucket, tablet) in partition.tablets.iter().enumerate() {
                let nodes = sequence.get(bucket).filter(|_| !stuck.contains(&(bucket as u32)));
                wanted.insert(*tablet, nodes.cloned());
            }
        }
    }
    wanted
}

/// Where one missing copy may go.
enum Want {
    Anywhere,
    /// To another disk of this node: one of its disks is to leave.
    Beside(NodeId),
    /// To this node of the bucket sequence.
    On(NodeId),
}

struct Needs<'a> {
    wants: Vec<Want>,
    /// Hosts that hold a replica: no second one goes there.
    hosts: BTreeSet<&'a str>,
    /// It cannot be done at all.
    stuck: Option<(&'static str, String)>,
}

fn needs<'a>(world: &'a World, leaving: &Leaving, tablet: &Tablet, bucket: Option<&Option<Vec<NodeId>>>) -> Needs<'a> {
    let hosts: BTreeSet<&str> = tablet.replicas.iter().filter_map(|replica| host_of(world, replica)).collect();
    let mut needs = Needs { wants: Vec::new(), hosts, stuck: None };
    if count(world, tablet).complete == 0 {
        let detail = "no complete copy of it can be read: there is nothing to copy from".to_string();
        needs.stuck = Some(("unrecoverable", detail));
        return needs;
    }
    match bucket {
        Some(None) => {
            let detail = "its colocation group has no node left for the bucket".to_string();
            needs.stuck = Some(("no_group_node", detail));
        }
        Some(Some(nodes)) => {
            let has = |node: &NodeId| tablet.replicas.iter().any(|r| r.node == *node && !leaving.has(r));
            needs.wants = nodes.iter().filter(|node| !has(node)).map(|node| Want::On(*node)).collect();
        }
        None => {
            let stays = |replica: &&Replica| !leaving.has(replica) && is_kept(world, replica);
            let staying: BTreeSet<&str> =
                tablet.replicas.iter().filter(stays).filter_map(|replica| host_of(world, replica)).collect();
            let missing = (tablet.wanted as usize).saturating_sub(staying.len());
            let disks = tablet.replicas.iter().filter(|r| !leaving.nodes.contains(&r.node) && leaving.has(r));
            needs.wants = disks.map(|replica| Want::Beside(replica.node)).take(missing).collect();
            needs.wants.resize_with(missing, || Want::Anywhere);
        }
    }
    needs
}

/// A replica that will still be counted on: one that is away for a while is waited for.
fn is_kept(world: &World, replica: &Replica) -> bool {
    let is_there = world.nodes.get(&replica.node).is_some_and(|node| node.liveness != Liveness::Lost);
    is_there
        && replica.bad.is_none()
        && match replica.state {
            // One in the making is the copy that is asked for.
            ReplicaState::Normal | ReplicaState::Clone => true,
            ReplicaState::Decommission => false,
        }
}

/// The room that is left while copies are being placed.
struct Room {
    /// By medium, the emptiest first.
    seats: BTreeMap<Medium, BTreeSet<(u64, DiskId)>>,
    /// Bytes placed, by file system and by disk.
    by_device: BTreeMap<(NodeId, u64), u64>,
    by_disk: BTreeMap<DiskId, u64>,
    leaving: Leaving,
}

/// Why a disk does not take a copy.
enum Why {
    Leaves,
    Away,
    OtherTag,
    HostHasCopy,
    OtherNode,
    NoRoom { free: u64, keep: u64 },
}

impl Room {
    fn of(world: &World, leaving: &Leaving) -> Room {
        let ledger = Ledger::of(world, std::iter::empty());
        let mut room = Room {
            seats: BTreeMap::new(),
            by_device: BTreeMap::new(),
            by_disk: BTreeMap::new(),
            leaving: leaving.clone(),
        };
        for disk in world.disks.values() {
            room.by_device.insert((disk.node, disk.device), ledger.reserved(disk.node, disk.device));
            room.by_disk.insert(disk.id, ledger.incoming(disk.id).1);
            if room.never(world, disk).is_none() {
                let seat = (used_ppb(disk, room.by_disk[&disk.id]), disk.id);
                room.seats.entry(disk.medium).or_default().insert(seat);
            }
        }
        room
    }

    fn place(
        &mut self,
        world: &World,
        tablet: &Tablet,
        bytes: u64,
        want: &Want,
        hosts: &BTreeSet<&str>,
    ) -> Result<DiskId, (&'static str, String)> {
        let taken = |disk: &DiskId| {
            let disk = world.disks.get(disk)?;
            self.refusal(world, tablet, disk, bytes, want, hosts).is_none().then_some(disk.id)
        };
        let right = self.seats.get(&tablet.medium).into_iter().flatten();
        let others = self.seats.iter().filter(|(medium, _)| **medium != tablet.medium).flat_map(|(_, seats)| seats);
        let order = || right.clone().chain(others.clone()).map(|(_, disk)| disk);
        let found = order().find_map(taken);
        let Some(found) = found else {
            return match want {
                // With no room beside it, another host may take it.
                Want::Beside(_) => self.place(world, tablet, bytes, &Want::Anywhere, hosts),
                Want::Anywhere | Want::On(_) => Err(self.explain(world, tablet, bytes, want, hosts)),
            };
        };
        let disk = &world.disks[&found];
        let seats = self.seats.entry(disk.medium).or_default();
        let placed = self.by_disk.entry(found).or_default();
        seats.remove(&(used_ppb(disk, *placed), found));
        *placed = placed.saturating_add(bytes);
        seats.insert((used_ppb(disk, *placed), found));
        let device = self.by_device.entry((disk.node, disk.device)).or_default();
        *device = device.saturating_add(bytes);
        Ok(found)
    }

    /// Why the disk takes nothing, whatever it is.
    fn never(&self, world: &World, disk: &Disk) -> Option<Why> {
        let node = world.nodes.get(&disk.node);
        let is_there = node.is_some_and(|node| node.liveness == Liveness::Alive && node.reported);
        if self.leaving.nodes.contains(&disk.node) || self.leaving.disks.contains(&disk.id) {
            Some(Why::Leaves)
        } else if !is_there || disk.state != DiskState::Online || disk.replaced_by.is_some() {
            Some(Why::Away)
        } else {
            None
        }
    }

    fn refusal(
        &self,
        world: &World,
        tablet: &Tablet,
        disk: &Disk,
        bytes: u64,
        want: &Want,
        hosts: &BTreeSet<&str>,
    ) -> Option<Why> {
        if let Some(why) = self.never(world, disk) {
            return Some(why);
        }
        let node = &world.nodes[&disk.node];
        let is_beside = match want {
            Want::Anywhere => false,
            Want::Beside(node) | Want::On(node) if *node != disk.node => return Some(Why::OtherNode),
            // Another replica of the tablet on this node leaves with its disk.
            Want::Beside(_) => true,
            Want::On(node) => tablet.replicas.iter().any(|r| r.node == *node && self.leaving.disks.contains(&r.disk)),
        };
        if node.tag != world.tag_of(tablet) && !is_beside {
            return Some(Why::OtherTag);
        }
        if hosts.contains(node.host.as_str()) && !is_beside {
            return Some(Why::HostHasCopy);
        }
        let placed = self.by_device.get(&(disk.node, disk.device)).copied().unwrap_or(0);
        let free = disk.space.available().saturating_sub(placed);
        let keep = world.knobs.clone_reserve(disk.space.total);
        (free < keep.saturating_add(bytes)).then_some(Why::NoRoom { free, keep })
    }

    /// Every disk with the first rule that refuses it, summed up.
    fn explain(
        &self,
        world: &World,
        tablet: &Tablet,
        bytes: u64,
        want: &Want,
        hosts: &BTreeSet<&str>,
    ) -> (&'static str, String) {
        let (mut leave, mut away, mut tag, mut host, mut full) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
        let mut best: Option<(u64, u64, DiskId)> = None;
        let disks = world.disks.values().filter(|disk| disk.replaced_by.is_none());
        let mut all = 0;
        for disk in disks {
            match self.refusal(world, tablet, disk, bytes, want, hosts) {
                None | Some(Why::OtherNode) => continue,
                Some(Why::Leaves) => leave += 1,
                Some(Why::Away) => away += 1,
                Some(Why::OtherTag) => tag += 1,
                Some(Why::HostHasCopy) => host += 1,
                Some(Why::NoRoom { free, keep }) => {
                    full += 1;
                    best = best.max(Some((free, keep, disk.id)));
                }
            }
            all += 1;
        }
        let parts = [
            (leave, "leave as well"),
            (away, "are not there"),
            (tag, "have another tag"),
            (host, "are on hosts that hold a copy"),
            (full, "would keep too little free"),
        ];
        let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let mut detail = format!("of {all} disks {}", parts.join(", "));
        if let Some((free, keep, disk)) = best {
            detail += &format!(": disk {disk} has most, {free} bytes, {bytes} are needed and {keep} must stay free");
        }
        let code = match (full, host, tag) {
            (1.., _, _) => "disk_would_overfill",
            (0, 1.., _) => "too_few_hosts",
            (0, 0, 1..) => "other_tag",
            (0, 0, 0) => "no_destination",
        };
        (code, detail)
    }

    /// The fullest of the disks that took something.
    fn fullest(&self, world: &World) -> Option<FullestDisk> {
        let disks = self.by_disk.iter().filter(|(_, bytes)| **bytes > 0);
        let disks = disks.filter_map(|(id, bytes)| Some((used_ppb(world.disks.get(id)?, *bytes), *id)));
        let (ppb, id) = disks.max()?;
        let disk = &world.disks[&id];
        let host = world.nodes.get(&disk.node).map(|node| node.host.clone()).unwrap_or_default();
        Some(FullestDisk { disk: id, host, path: disk.path.clone(), used_percent: ppb as f64 / 1e7 })
    }
}

/// Tablets with a replica on it, in order, with its bytes.
pub fn held(world: &World, of: Leaver) -> Vec<(TabletId, u64)> {
    let here = world.tablets.iter().filter_map(|tablet| {
        let replica = tablet.replicas.iter().find(|replica| of.has(replica))?;
        Some((tablet.id, replica.seen.as_ref().map_or(0, |seen| seen.size)))
    });
    here.collect()
}

#[cfg(test)]
mod tests;
