//! Who may connect, what a node and a disk are called, and which directory may be used or formatted.
//!
//! In: an agent's hello (its proof was checked by the shell). Out: nodes and disks on record, and the answer. It must
//! never let a directory that may have held something be formatted: missing is not empty.

use super::{Draft, level, remove, sequence};
use crate::world::Disk;
use crate::{Answer, Change, Reason, World};
use stele_common::handshake::{self, DiskFound, DiskHello, DiskWord, Hello, Refused, RefusedCode, Welcome};
use stele_common::{DiskId, DiskState, Liveness, NodeId, api};

pub fn hello(draft: &mut Draft, hello: &Hello, proof: [u8; 32]) {
    let answer = match admit(draft, hello) {
        Ok((version, node)) => {
            let disks = judge_disks(draft, node, hello);
            handshake::Answer::Welcome(Welcome {
                version,
                cluster: draft.world.cluster.clone(),
                node,
                epoch: draft.world.epoch,
                proof,
                disks,
                beat_ms: draft.world.knobs.beat_ms,
                lease_ms: draft.world.knobs.lease_ms,
            })
        }
        Err((code, detail)) => handshake::Answer::Refused(Refused { code, detail }),
    };
    draft.answer(Answer::Handshake(answer));
}

fn admit(draft: &mut Draft, hello: &Hello) -> Result<(u16, NodeId), (RefusedCode, String)> {
    if hello.magic != handshake::MAGIC {
        return Err((RefusedCode::WrongMagic, "this is not a stele agent".into()));
    }
    let Some(version) = handshake::common_version(hello.min, hello.max) else {
        let (ours_min, ours_max) = (handshake::PROTOCOL_MIN, handshake::PROTOCOL_MAX);
        let detail = format!("the agent speaks {} to {}, we speak {ours_min} to {ours_max}", hello.min, hello.max);
        return Err((RefusedCode::NoCommonVersion, detail));
    };
    if let Some(theirs) = &hello.cluster
        && *theirs != draft.world.cluster
    {
        let detail = format!("its disks belong to cluster {theirs}, this is {}", draft.world.cluster);
        return Err((RefusedCode::OtherCluster, detail));
    }
    if hello.host.is_empty() || hello.name.is_empty() {
        return Err((RefusedCode::Malformed, "an agent needs a host and a name".into()));
    }
    let known = draft.world.nodes.values().find(|node| node.host == hello.host && node.name == hello.name);
    let known = known.map(|node| (node.id, node.liveness, node.boot));
    if hello.epoch_seen > draft.world.epoch {
        let detail = format!("the agent has seen epoch {}, ours is {}", hello.epoch_seen, draft.world.epoch);
        level::higher_epoch(draft, known.map(|(id, ..)| id), hello.epoch_seen);
        return Err((RefusedCode::StoreIsOld, detail));
    }
    if let Some(detail) = sequence::unknown(draft.world, hello.store_seen) {
        // It may come in, as one may that shows an id from the future: what it reports is read, nothing is ordered.
        let who = known.map_or(format!("host `{}`", hello.host), |(id, ..)| format!("node {id}"));
        level::store_is_old(draft, format!("{who} {detail}"));
    }
    if let Some((id, Liveness::Alive, Some(boot))) = known
        && boot != hello.boot
    {
        let detail = format!("agent `{}` of host `{}` is connected already as node {id}", hello.name, hello.host);
        return Err((RefusedCode::DuplicateNode, detail));
    }
    let node = match known {
        Some((id, ..)) => id,
        // Ids that an old store would give out may be in use already.
        None if draft.is_blind() => {
            return Err((
                RefusedCode::StoreIsOld,
                format!("no node is named at level {}", crate::level::allowed(draft.world)),
            ));
        }
        None => {
            if let Some(detail) = remove::refuses(draft.world, &hello.host, &hello.name) {
                return Err((RefusedCode::NodeRemoved, detail));
            }
            name_node(draft, hello)
        }
    };
    draft.record(Change::NodeConnected {
        node,
        boot: hello.boot,
        peer: hello.peer.clone(),
        http: hello.http.clone(),
        build: hello.build.clone(),
        rack: hello.rack.clone(),
        tag: hello.tag.clone(),
        at: draft.at,
    });
    Ok((version, node))
}

fn name_node(draft: &mut Draft, hello: &Hello) -> NodeId {
    let node = NodeId(draft.take_id());
    let (host, name) = (hello.host.clone(), hello.name.clone());
    draft.record(Change::NodeAdded { node, host, name, rack: hello.rack.clone(), tag: hello.tag.clone() });
    node
}

/// A word for each of the hello's disks; a registered disk that the hello does not name is out of sight.
fn judge_disks(draft: &mut Draft, node: NodeId, hello: &Hello) -> Vec<DiskWord> {
    twin_gone(draft, node, &hello.disks);
    owner_gone(draft, node, &hello.disks);
    let mut used: Vec<DiskId> = Vec::new();
    let names = |id: &DiskId| hello.disks.iter().filter(|disk| disk.found == DiskFound::Known { disk: *id }).count();
    let mut words = Vec::with_capacity(hello.disks.len());
    for disk in &hello.disks {
        let word = match &disk.found {
            // Neither is used: nobody can tell which of them is the copy.
            DiskFound::Known { disk: id } if names(id) > 1 => DiskWord::Refuse {
                cause: format!("disk {id} is named twice by this agent: one is a copy of the other; remove it"),
            },
            DiskFound::Known { disk: id } => known(draft, node, disk, *id),
            DiskFound::Blank => blank(draft, node, &hello.host, disk),
            DiskFound::Unusable { cause } => unusable(draft, node, &disk.path, cause),
        };
        match &word {
            DiskWord::Use { disk } | DiskWord::Format { disk } => used.push(*disk),
            DiskWord::Refuse { .. } => {}
        }
        words.push(word);
    }
    let registered = draft.world.disks.values().filter(|disk| disk.node == node && disk.state == DiskState::Online);
    let unnamed: Vec<DiskId> = registered.map(|disk| disk.id).filter(|id| !used.contains(id)).collect();
    for disk in unnamed {
        let (cause, at) = ("its agent does not have it".to_string(), draft.at);
        draft.record(Change::DiskUnseen { disk, cause, at });
    }
    words
}

fn known(draft: &mut Draft, node: NodeId, hello: &DiskHello, disk: DiskId) -> DiskWord {
    let Some(registered) = draft.world.disks.get(&disk) else {
        if level::is_ahead(draft.world, disk.0) {
            level::store_is_old(draft, format!("an agent has disk {disk}, which we have never issued"));
        } else {
            draft.record(Change::DiskAdded { disk, node, path: hello.path.clone(), medium: hello.medium });
        }
        return DiskWord::Use { disk };
    };
    if registered.node != node {
        let other = registered.node;
        let is_live = draft.world.nodes.get(&other).is_some_and(|node| node.liveness == Liveness::Alive);
        if is_live && (registered.state != DiskState::Unavailable || registered.twin.is_some()) {
            return twins(draft, disk, other, node);
        }
    } else if let Some(twin) = registered.twin {
        return twins(draft, disk, node, twin);
    }
    if registered.twin.is_some() {
        draft.record(Change::DiskTwinned { disk, twin: None });
    }
    let Some(registered) = draft.world.disks.get(&disk) else { return DiskWord::Use { disk } };
    if (registered.node, &registered.path) != (node, &hello.path) {
        draft.record(Change::DiskMoved { disk, node, path: hello.path.clone() });
    }
    DiskWord::Use { disk }
}

/// One disk id at two live nodes: one is a copy, and nobody can tell which; neither is used until one is gone.
fn twins(draft: &mut Draft, disk: DiskId, owner: NodeId, twin: NodeId) -> DiskWord {
    let cause = format!("disk {disk} is at node {owner} and at node {twin}: one of the two is a copy; remove it");
    draft.record(Change::DiskTwinned { disk, twin: Some(twin) });
    draft.record(Change::DiskUnseen { disk, cause: cause.clone(), at: draft.at });
    DiskWord::Refuse { cause }
}

/// A node no longer has these disks as a second one: whose they are is asked how they are.
pub fn twin_gone(draft: &mut Draft, node: NodeId, named: &[DiskHello]) {
    let claims = |id| named.iter().any(|disk| disk.found == DiskFound::Known { disk: id });
    let gone = draft.world.disks.values().filter(|disk| disk.twin == Some(node) && !claims(disk.id));
    let gone: Vec<(DiskId, NodeId)> = gone.map(|disk| (disk.id, disk.node)).collect();
    for (disk, owner) in gone {
        draft.record(Change::DiskTwinned { disk, twin: None });
        draft.ask_full_report(owner);
    }
}

/// The node whose disk has a twin no longer has it: what is at the twin is the only one, and may be used when it asks.
fn owner_gone(draft: &mut Draft, node: NodeId, named: &[DiskHello]) {
    let claims = |id| named.iter().any(|disk| disk.found == DiskFound::Known { disk: id });
    let given_up = draft.world.disks.values().filter(|disk| disk.node == node && disk.twin.is_some());
    let given_up: Vec<DiskId> = given_up.map(|disk| disk.id).filter(|id| !claims(*id)).collect();
    for disk in given_up {
        draft.record(Change::DiskTwinned { disk, twin: None });
    }
}

/// A blank directory is formatted when nothing was ever there, or when an operator gave its place away.
fn blank(draft: &mut Draft, node: NodeId, host: &str, hello: &DiskHello) -> DiskWord {
    if let Some(reason) = level::forbids_work(draft.world) {
        return DiskWord::Refuse {
            cause: format!("nothing is formatted at level {}: {}", crate::level::allowed(draft.world), reason.code()),
        };
    }
    let here = draft.world.disks.values().filter(|disk| disk.node == node && disk.path == hello.path);
    let mut given_away = here.clone().filter_map(|disk| disk.replaced_by);
    let registered = here.clone().find(|disk| disk.replaced_by.is_none()).map(|disk| disk.id);
    let fresh = match registered {
        None => given_away.find(|by| !draft.world.disks.contains_key(by)),
        Some(disk) if was_ever_used(draft, disk) => {
            let path = &hello.path;
            let cause = format!(
                "{path} is blank, but disk {disk} belongs there: mount it, or give its place away with \
                 `stele disk init {path} --host {host} --replace {disk}`"
            );
            draft.record(Change::DiskUnseen { disk, cause: cause.clone(), at: draft.at });
            return DiskWord::Refuse { cause };
        }
        // It was named, but the word did not reach the agent.
        Some(disk) => return DiskWord::Format { disk },
    };
    let disk = fresh.unwrap_or_else(|| DiskId(draft.take_id()));
    draft.record(Change::DiskAdded { disk, node, path: hello.path.clone(), medium: hello.medium });
    DiskWord::Format { disk }
}

/// Whether a registered disk was ever seen ONLINE in this epoch, or holds replicas by the catalog.
fn was_ever_used(draft: &Draft, disk: DiskId) -> bool {
    let seen = draft.world.disks.get(&disk).is_some_and(|disk| disk.space.raw_total > 0);
    seen || draft.world.tablets.iter().any(|tablet| tablet.replicas.iter().any(|replica| replica.disk == disk))
}

fn unusable(draft: &mut Draft, node: NodeId, path: &str, cause: &str) -> DiskWord {
    let here = draft.world.disks.values().filter(|disk| disk.node == node && disk.path == path);
    let registered: Vec<DiskId> = here.filter(|disk| disk.replaced_by.is_none()).map(|disk| disk.id).collect();
    for disk in registered {
        draft.record(Change::DiskUnseen { disk, cause: cause.into(), at: draft.at });
    }
    DiskWord::Refuse { cause: cause.into() }
}

/// An operator gives the place of a registered disk to a blank directory.
pub fn init_disk(draft: &mut Draft, wish: &api::DiskInit) {
    let answer = match may_replace(draft, wish) {
        Ok(()) => {
            let (disk, by) = (wish.replace, DiskId(draft.take_id()));
            draft.record(Change::DiskReplaced { disk, by });
            give_up_replicas(draft, disk);
            Answer::Done
        }
        Err(reason) => Answer::Refused(reason),
    };
    draft.answer(answer);
}

/// The disk of this id.
pub fn find_disk(world: &World, disk: DiskId) -> Result<&Disk, Reason> {
    world.disks.get(&disk).ok_or(Reason::NoSuchDisk { disk })
}

fn may_replace(draft: &Draft, wish: &api::DiskInit) -> Result<(), Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    let disk = find_disk(draft.world, wish.replace)?;
    let node = draft.world.nodes.get(&disk.node);
    let host = node.map_or("", |node| node.host.as_str());
    if host != wish.host || disk.path != wish.path {
        let detail = format!("disk {} is {} of host `{host}`", disk.id, disk.path);
        return Err(super::tables::bad_request(detail));
    }
    let is_live = node.is_some_and(|node| node.liveness == Liveness::Alive);
    if is_live && disk.state != DiskState::Unavailable {
        return Err(super::tables::bad_request(format!("disk {} is in use: it is {:?}", disk.id, disk.state)));
    }
    Ok(())
}

/// What was on a disk that was given away is not waited for.
fn give_up_replicas(draft: &mut Draft, disk: DiskId) {
    let tablets = draft.world.tablets.iter();
    let on_it = tablets.flat_map(|tablet| tablet.replicas.iter().map(move |replica| (tablet.id, replica)));
    let lost: Vec<_> = on_it.filter(|(_, r)| r.disk == disk && r.bad.is_none()).map(|(t, r)| (t, r.id)).collect();
    for (tablet, replica) in lost {
        draft.record(Change::ReplicaBad { tablet, replica, cause: format!("disk {disk} was replaced") });
    }
}
