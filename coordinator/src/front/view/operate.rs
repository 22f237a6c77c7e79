//! The shapes of drains, certificates, leases and groups out of a snapshot. Pure functions; what is counted and proven
//! comes from the law book's `evacuation`.

use crate::clock::rfc3339;
use crate::published::Published;
use stele_common::api::{
    Certificate, CertifiedCopy, CertifiedTablet, DrainItem, DrainProgress, DrainState, GroupInfo, Groups, LeaseInfo,
    LeaseOn, Leases, PauseWhat, Refusal,
};
use stele_common::{Digest, NodeId, TabletId, Tick};
use stele_coordinator_rules::balance::colocate;
use stele_coordinator_rules::evacuation::proof::{Proof, Proven};
use stele_coordinator_rules::evacuation::{name_of, progress};
use stele_coordinator_rules::world::{Drain, Group, Lease, LeaseScope, Leaver, Node, PauseOn};
use stele_coordinator_rules::{Reason, World, checkup, colocation};

/// Whether an operator wants it empty, and how far that is. `marked`: a world file may mark without a record.
pub fn drain_state(world: &World, of: Leaver, marked: bool) -> Option<DrainState> {
    let done = world.drains.get(&of).is_some_and(|drain| drain.done_wall_ms.is_some());
    marked.then_some(if done { DrainState::Drained } else { DrainState::Draining })
}

/// RFC 3339; until when the node is under maintenance.
pub fn maintenance_until(world: &World, node: NodeId) -> Option<String> {
    let leases = world.leases.about(&LeaseScope::Maintenance { node });
    leases.filter_map(|lease| lease.until_wall_ms).max().map(rfc3339)
}

/// How far a drain is; `why` says of a tablet that is left what it waits for.
pub fn drain(
    world: &World,
    drain: &Drain,
    progress: &progress::Progress,
    why: impl Fn(TabletId) -> Option<Refusal>,
    at: Tick,
) -> DrainProgress {
    let item = |id: &TabletId| {
        let tablet = world.tablets.get(*id)?;
        let verdict = checkup::verdict(world, tablet, at);
        let waits = || Refusal { code: "waits".into(), detail: checkup::verdict::rung(verdict) };
        let why = why(*id).unwrap_or_else(waits);
        Some(DrainItem { tablet: *id, table: name_of(world, tablet), status: verdict.status, why })
    };
    let (node, disk) = match drain.of {
        Leaver::Node(node) => (Some(node), None),
        Leaver::Disk(disk) => (world.disks.get(&disk).map(|disk| disk.node), Some(disk)),
    };
    DrainProgress {
        node,
        disk,
        state: progress.state,
        owner: drain.owner.clone(),
        reason: drain.reason.clone(),
        began: rfc3339(drain.began_wall_ms),
        ended: drain.done_wall_ms.map(rfc3339),
        tablets: progress.tablets,
        tablets_moved: progress.tablets_moved,
        tablets_left: progress.tablets_left(),
        bytes: progress.bytes,
        bytes_moved: progress.bytes_moved,
        bytes_left: progress.bytes_left(),
        bytes_per_s: progress.bytes_per_s,
        copies_running: progress.copies_running,
        bytes_running: progress.bytes_running,
        stuck: progress
            .stuck
            .as_ref()
            .map(|blocker| Refusal { code: blocker.code.clone(), detail: blocker.detail.clone() }),
        eta_s: progress.eta_s,
        left: progress.left.iter().filter_map(item).collect(),
    }
}

/// What a proven end of a node's drain reads like, sealed by its own digest.
pub fn certificate(published: &Published, node: &Node, drain: &Drain, proof: &Proof, at: Tick) -> Certificate {
    let world = &*published.world;
    let disks = world.disks.values().filter(|disk| disk.node == node.id).map(|disk| disk.path.clone());
    let proven: Vec<CertifiedTablet> = proof.proven.iter().filter_map(|one| certified(world, one, at)).collect();
    let mut certificate = Certificate {
        cluster: world.cluster.to_string(),
        node: node.id,
        host: node.host.clone(),
        name: node.name.clone(),
        disks: disks.collect(),
        owner: drain.owner.clone(),
        reason: drain.reason.clone(),
        began: rfc3339(drain.began_wall_ms),
        drained: drain.done_wall_ms.map(rfc3339).unwrap_or_default(),
        issued: rfc3339(published.wall_ms),
        epoch: world.epoch.0,
        revision: published.number,
        tablets: drain.held.len() as u64,
        bytes: drain.held.iter().map(|(_, bytes)| bytes).sum(),
        dropped: proof.dropped,
        copies_min: proof.proven.iter().map(|one| one.copies.len() as u32).min().unwrap_or(0),
        proven,
        digest: String::new(),
    };
    let text = serde_json::to_vec(&certificate).expect("a certificate is plain text and numbers");
    certificate.digest = Digest::of(&text).to_string();
    certificate
}

fn certified(world: &World, proven: &Proven, at: Tick) -> Option<CertifiedTablet> {
    let tablet = world.tablets.get(proven.tablet)?;
    let copies = tablet.replicas.iter().filter(|replica| proven.copies.contains(&replica.id));
    let copies = copies.map(|replica| CertifiedCopy {
        replica: replica.id,
        node: replica.node,
        host: world.nodes.get(&replica.node).map(|node| node.host.clone()).unwrap_or_default(),
        verified_s: replica.seen.as_ref().and_then(|seen| seen.verified).map(|verified| at.since(verified) / 1000),
    });
    let record = tablet.versions.iter().find(|record| record.version == tablet.committed);
    Some(CertifiedTablet {
        tablet: tablet.id,
        table: name_of(world, tablet),
        version: tablet.committed,
        version_hash: record.map_or(Digest::ZERO, |record| record.hash),
        wanted: tablet.wanted,
        copies: copies.collect(),
    })
}

/// Everything that holds for a time.
pub fn leases(world: &World, at: Tick) -> Leases {
    let in_force = world.leases.values().filter(|lease| !lease.is_over(at));
    Leases { leases: in_force.map(|one| lease(world, one, at)).collect() }
}

pub fn lease(world: &World, lease: &Lease, at: Tick) -> LeaseInfo {
    let on = match &lease.scope {
        LeaseScope::Maintenance { node } => LeaseOn::Maintenance { node: *node },
        LeaseScope::UrgentTablet { tablet } => LeaseOn::UrgentTablet { tablet: *tablet },
        LeaseScope::Pause { what, on } => paused(world, *what, on),
        LeaseScope::Urgent { table, partition } => {
            let known = world.tables.get(table);
            let name = |id| known?.partitions.iter().find(|part| part.id == id).map(|part| part.name.clone());
            LeaseOn::Urgent {
                table: known.map_or_else(|| table.to_string(), |table| format!("{}.{}", table.db, table.name)),
                partition: partition.and_then(name),
            }
        }
    };
    LeaseInfo {
        id: lease.id,
        on,
        owner: lease.owner.clone(),
        reason: lease.reason.clone(),
        until: lease.until_wall_ms.map(rfc3339),
        ends_in_ms: lease.until.map(|until| until.since(at)),
    }
}

fn paused(world: &World, what: PauseWhat, on: &PauseOn) -> LeaseOn {
    let (mut node, mut disk, mut table) = (None, None, None);
    match on {
        PauseOn::Everything => {}
        PauseOn::Node { node: paused } => node = Some(*paused),
        PauseOn::Disk { disk: paused } => disk = Some(*paused),
        PauseOn::Table { table: id } => {
            let name = world.tables.get(id).map(|table| format!("{}.{}", table.db, table.name));
            table = Some(name.unwrap_or_else(|| id.to_string()));
        }
    }
    LeaseOn::Pause { what, node, disk, table }
}

/// All colocation groups.
pub fn groups(world: &World, at: Tick) -> Groups {
    Groups { groups: world.groups.values().map(|one| group(world, one, at)).collect() }
}

pub fn group(world: &World, group: &Group, at: Tick) -> GroupInfo {
    let tables = world.tables.values().filter(|table| table.group.as_deref() == Some(&group.name));
    let unstable = colocation::unstable(world, group);
    GroupInfo {
        name: group.name.clone(),
        tables: tables.map(|table| format!("{}.{}", table.db, table.name)).collect(),
        buckets: group.buckets.len() as u32,
        replication: group.buckets.first().map_or(0, Vec::len) as u32,
        stable: unstable == 0,
        unstable,
        sequence: group.buckets.clone(),
        idle: colocate::idle(world, group, at).as_ref().map(Reason::refusal),
    }
}
