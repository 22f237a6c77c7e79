//! Why a node counts as it does, whether it may take copies, and what waits for it.
//!
//! In: the world, the scheduler's desk, a node, the time. Out: the shape of [`stele_common::api`]. The rules that
//! decide are asked; nothing is decided here.

use super::tasks::running_tasks;
use crate::checkup::count;
use crate::schedule::Desk;
use crate::schedule::queue::Place;
use crate::schedule::slots::Ledger;
use crate::schedule::target::place_refusal;
use crate::world::{Disk, Node};
use crate::{Reason, World};
use std::collections::BTreeMap;
use stele_common::api::{DiskExplanation, NodeExplanation};
use stele_common::{DiskId, Liveness, NodeId, TaskType, Tick};

/// `GET /v1/nodes/ID/explain`; `None`: there is no such node.
pub fn node(world: &World, desk: &Desk, id: NodeId, at: Tick) -> Option<NodeExplanation> {
    let node = world.nodes.get(&id)?;
    let ledger = desk.ledger(world);
    let waiting = waiting(desk);
    let disks = world.disks.values().filter(|disk| disk.node == id && disk.replaced_by.is_none());
    let touches = |task: &stele_common::api::TaskInfo| [task.src_node, task.dest_node].contains(&Some(id));
    Some(NodeExplanation {
        id,
        host: node.host.clone(),
        liveness: node.liveness,
        because: because(world, node, at),
        disks: disks.map(|disk| of_disk(world, &ledger, &waiting, disk)).collect(),
        replicas: replicas(world, id),
        tasks: running_tasks(world, at).filter(touches).collect(),
    })
}

fn because(world: &World, node: &Node, at: Tick) -> Vec<String> {
    let seconds = |since: Tick| at.since(since.max(world.began)) / 1000;
    let knobs = &world.knobs;
    let mut said = vec![match node.liveness {
        Liveness::Alive => format!("ALIVE for {} s: its agent's connection is open and it beats", seconds(node.since)),
        Liveness::Silent => format!(
            "SILENT for {} s: its connection closed, or no beat came for {} ms; LOST {} ms after its last beat",
            seconds(node.since),
            knobs.silent_ms,
            knobs.lost_ms
        ),
        Liveness::Lost => format!("LOST for {} s: repair waits count from then", seconds(node.since)),
    }];
    said.push(if node.reported {
        format!("its full report is in, the last of this life has number {}", node.seq)
    } else {
        "no full report of this session is in: what it holds is unknown, not gone".into()
    });
    if node.draining {
        said.push("draining: nothing new goes there, and what it holds is copied elsewhere first".into());
    }
    if let Some(until) = world.maintenance_until(node.id, at) {
        said.push(format!(
            "under maintenance for {} s more: nothing is copied for it unless one copy is left",
            until.since(at) / 1000
        ));
    }
    said
}

fn of_disk(world: &World, ledger: &Ledger, waiting: &BTreeMap<DiskId, u64>, disk: &Disk) -> DiskExplanation {
    let (copies, promised) = ledger.incoming(disk.id);
    DiskExplanation {
        disk: disk.id,
        path: disk.path.clone(),
        refused: place_refusal(world, disk).as_ref().map(Reason::refusal),
        free: disk.space.available(),
        keep: world.knobs.clone_reserve(disk.space.total),
        promised,
        copies_coming: copies,
        slots_used: ledger.used(disk.id, TaskType::Repair),
        slots_total: ledger.limit(TaskType::Repair),
        balance_slots_used: ledger.used(disk.id, TaskType::Balance),
        balance_slots_total: ledger.limit(TaskType::Balance),
        tablets_waiting: waiting.get(&disk.id).copied().unwrap_or(0),
    }
}

/// Tablets that wait for a slot, by disk.
fn waiting(desk: &Desk) -> BTreeMap<DiskId, u64> {
    let mut waiting = BTreeMap::new();
    for entry in desk.entries() {
        match &entry.place {
            Place::Busy { disks } => disks.iter().for_each(|disk| *waiting.entry(*disk).or_default() += 1),
            Place::Ready | Place::Later { .. } | Place::Away => {}
        }
    }
    waiting
}

/// Its replicas by what they count for.
fn replicas(world: &World, id: NodeId) -> BTreeMap<String, u64> {
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for tablet in world.tablets.iter().filter(|tablet| tablet.replicas.iter().any(|replica| replica.node == id)) {
        let counts = count(world, tablet);
        for (replica, judged) in tablet.replicas.iter().zip(&counts.judged) {
            if replica.node == id {
                let what = judged.why.map_or("complete", |flaw| flaw.text());
                *found.entry(what.into()).or_default() += 1;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    /// A node that is there says so; a lost one, its disks' refusal, and what its replicas count for.
    #[test]
    fn what_a_node_counts_for() {
        let mut sample = Sample::new(4, 2);
        sample.table(3, 4);
        let id = sample.nodes()[0];
        let desk = Desk::new();
        let there = node(&sample.world, &desk, id, sample.at).expect("it is registered");
        assert!(there.because[0].starts_with("ALIVE"), "{:?}", there.because);
        assert!(there.disks.iter().all(|disk| disk.refused.is_none()));
        assert_eq!(there.replicas, BTreeMap::from([("complete".to_string(), 3)]));
        sample.turn(id, Liveness::Lost);
        let lost = node(&sample.world, &desk, id, sample.at).expect("it is registered");
        assert!(lost.because[0].starts_with("LOST"), "{:?}", lost.because);
        let codes = lost.disks.iter().map(|disk| disk.refused.as_ref().map(|refusal| refusal.code.as_str()));
        assert!(codes.into_iter().all(|code| code == Some("node_not_alive")));
        assert_eq!(lost.replicas, BTreeMap::from([("its node is lost".to_string(), 3)]));
        assert!(node(&sample.world, &desk, NodeId(1), sample.at).is_none());
    }
}
