//! Changes about nodes and disks: who is there, what they carry, what operators want of them.

use super::reports;
use crate::Change;
use crate::world::{Disk, Leaver, Node, Removed, SlotsElsewhere, World};
use std::sync::Arc;
use stele_common::{DiskState, Liveness, NodeId, Space, Tick};

/// All nodes and disks are out of sight until they are heard of in this leadership.
pub(super) fn began(world: &mut World, at: Tick) {
    for node in world.nodes.values_mut() {
        let draining = node.draining;
        *node = unheard(node.id, &node.host, &node.name, &node.rack, &node.tag, at);
        node.draining = draining;
    }
    for disk in world.disks.values_mut() {
        (disk.state, disk.since, disk.cause, disk.twin) = (DiskState::Unavailable, at, None, None);
    }
}

/// A node of which this leadership has heard nothing.
fn unheard(id: NodeId, host: &str, name: &str, rack: &str, tag: &str, at: Tick) -> Node {
    Node {
        draining: false,
        id,
        host: host.into(),
        name: name.into(),
        rack: rack.into(),
        tag: tag.into(),
        liveness: Liveness::Silent,
        since: at,
        flaps: Default::default(),
        boot: None,
        seq: 0,
        reported: false,
        naming: None,
        peer: String::new(),
        http: String::new(),
        build: String::new(),
        figures: None,
    }
}

fn turn(node: &mut Node, liveness: Liveness, at: Tick) {
    if node.liveness == liveness {
        return;
    }
    match (node.liveness, liveness) {
        (Liveness::Alive, _) => node.flaps.gone(at),
        (_, Liveness::Alive) => node.flaps.back(at),
        (Liveness::Silent | Liveness::Lost, Liveness::Silent | Liveness::Lost) => {}
    }
    (node.liveness, node.since) = (liveness, at);
}

pub(super) fn apply(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        NodeAdded { node, host, name, rack, tag } => {
            let began = world.began;
            world.expected.remove(&(host.clone(), name.clone()));
            world.nodes.entry(*node).or_insert_with(|| unheard(*node, host, name, rack, tag, began));
        }
        NodeConnected { node, boot, peer, http, build, rack, tag, at } => {
            let Some(node) = world.nodes.get_mut(node) else { return };
            if node.boot != Some(*boot) {
                // Another life: its numbers begin anew. Reports of the same life keep counting over a reconnect.
                (node.boot, node.seq) = (Some(*boot), 0);
            }
            turn(node, Liveness::Alive, *at);
            (node.reported, node.naming) = (false, None);
            (node.peer, node.http, node.build) = (peer.clone(), http.clone(), build.clone());
            (node.rack, node.tag) = (rack.clone(), tag.clone());
        }
        NodeLive { node, liveness, at } => {
            if let Some(node) = world.nodes.get_mut(node) {
                turn(node, *liveness, *at);
            }
        }
        HostSeen { node, figures } => {
            if let Some(node) = world.nodes.get_mut(node) {
                node.figures = Some(figures.clone());
            }
        }
        NodeDrained { node, on } => {
            if let Some(node) = world.nodes.get_mut(node) {
                node.draining = *on;
            }
            forget_drain(world, Leaver::Node(*node), *on);
        }
        DrainBegan { drain } => {
            world.drains.insert(drain.of, Arc::new(drain.clone()));
        }
        DrainDone { of, wall_ms } => {
            if let Some(drain) = world.drains.get_mut(of) {
                Arc::make_mut(drain).done_wall_ms = Some(*wall_ms);
            }
        }
        NodeAdmitted { host, name } => {
            let agent = (host.clone(), name.clone());
            world.removed.remove(&agent);
            world.expected.insert(agent);
        }
        NodeRemoved { node, peer, http } => {
            if let Some(gone) = world.nodes.remove(node) {
                let (peer, http) = (peer.clone(), http.clone());
                let removed = Removed { node: *node, before: world.reserved_id, peer, http };
                world.removed.insert((gone.host, gone.name), removed);
            }
            forget_drain(world, Leaver::Node(*node), false);
            let disks: Vec<_> = world.disks.values().filter(|disk| disk.node == *node).map(|disk| disk.id).collect();
            disks.into_iter().for_each(|disk| forget_drain(world, Leaver::Disk(disk), false));
            world.disks.retain(|_, disk| disk.node != *node);
            world.strays.retain(|_, stray| stray.node != *node);
            // One of its disks may be elsewhere by now: what was told of that one's trash goes with the teller.
            let gone: Vec<_> =
                world.trash.iter().filter(|(_, trashed)| trashed.node == *node).map(|(id, _)| *id).collect();
            gone.into_iter().for_each(|replica| reports::forget_trash(world, replica));
            world.orphans.retain(|(_, holder), _| holder != node);
        }
        DiskAdded { .. }
        | DiskMoved { .. }
        | DiskReplaced { .. }
        | DiskDrained { .. }
        | DiskSeen { .. }
        | DiskTwinned { .. }
        | DiskUnseen { .. } => disks(world, change),
        _ => unreachable!("{change:?} is not about nodes"),
    }
}

/// A drain that was taken back is no longer on record.
fn forget_drain(world: &mut World, of: Leaver, on: bool) {
    if !on {
        world.drains.remove(&of);
    }
}

fn disks(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        DiskAdded { disk, node, path, medium } => {
            let fresh = Disk {
                id: *disk,
                node: *node,
                path: path.clone(),
                medium: *medium,
                state: DiskState::Unavailable,
                since: world.began,
                cause: None,
                space: Space::default(),
                device: 0,
                replaced_by: None,
                draining: false,
                twin: None,
                slots_elsewhere: SlotsElsewhere::default(),
                trash: 0,
            };
            world.disks.entry(*disk).or_insert(fresh);
        }
        DiskMoved { disk, node, path } => {
            if let Some(disk) = world.disks.get_mut(disk) {
                (disk.node, disk.path) = (*node, path.clone());
            }
        }
        DiskReplaced { disk, by } => {
            if let Some(disk) = world.disks.get_mut(disk) {
                disk.replaced_by = Some(*by);
            }
        }
        DiskDrained { disk, on } => {
            if let Some(disk) = world.disks.get_mut(disk) {
                disk.draining = *on;
            }
            forget_drain(world, Leaver::Disk(*disk), *on);
        }
        DiskSeen { fact, node, at } => {
            let Some(disk) = world.disks.get_mut(&fact.disk).filter(|disk| disk.node == *node) else { return };
            (disk.space, disk.device) = (fact.space, fact.device);
            if disk.twin.is_some() {
                // Whatever its agent thinks of it: it stays out, with its cause.
                return;
            }
            if disk.state != fact.state {
                (disk.state, disk.since) = (fact.state, *at);
            }
            disk.cause = fact.cause.clone();
            (disk.medium, disk.path) = (fact.medium, fact.path.clone());
        }
        DiskTwinned { disk, twin } => {
            if let Some(disk) = world.disks.get_mut(disk) {
                disk.twin = *twin;
            }
        }
        DiskUnseen { disk, cause, at } => {
            let Some(disk) = world.disks.get_mut(disk) else { return };
            if disk.state != DiskState::Unavailable {
                (disk.state, disk.since) = (DiskState::Unavailable, *at);
            }
            disk.cause = Some(cause.clone());
        }
        _ => unreachable!("{change:?} is not about disks"),
    }
}
