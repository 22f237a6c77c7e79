//! The promises, held against every record of a forecast and against the modelled truth, as the soak's oracle does.
//!
//! In: each change that the catalog recorded, with the world after it. Out: sentences for what was broken. It changes
//! nothing but its own memory.

use super::Forecast;
use super::hosts::Host;
use std::collections::BTreeSet;
use stele_common::{DiskState, Evidence, NodeId, ReplicaId, TabletId};
use stele_coordinator_rules::checkup::count;
use stele_coordinator_rules::checkup::count::host_of;
use stele_coordinator_rules::world::{Task, Work};
use stele_coordinator_rules::{Change, World, invariants};

/// Sentences kept: one breach breeds others.
const KEPT: usize = 50;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub violations: Vec<String>,
    /// How many records were looked at.
    pub looked: u64,
}

impl Forecast {
    fn violate(&mut self, law: &str, detail: String) {
        if self.watch.violations.len() < KEPT {
            self.watch.violations.push(format!("{law} at {} ms: {detail}", self.now));
        }
    }

    /// One record, applied just now.
    pub(super) fn hold(&mut self, change: &Change) {
        self.watch.looked += 1;
        match change {
            Change::ReplicaAdded { tablet, replica, node, .. } => self.hold_place(*tablet, *replica, *node),
            Change::ReplicaDropped { tablet, replica, evidence, .. } => self.hold_drop(*tablet, *replica, evidence),
            Change::TaskStarted { task } => self.hold_task(task),
            _ => {}
        }
    }

    fn hold_place(&mut self, tablet: TabletId, replica: ReplicaId, node: NodeId) {
        let Some(known) = self.world.tablets.get(tablet) else { return };
        let host = |node| self.world.nodes.get(&node).map(|node| node.host.as_str());
        // A move between disks of a host stands beside the one that it replaces until it counts.
        let replaced = self.world.tasks.get(&tablet).and_then(|task| match &task.work {
            Work::Clone { replaces, .. } => *replaces,
            Work::Delete { .. } => None,
        });
        let mut others = known.replicas.iter().filter(|other| other.id != replica && other.bad.is_none());
        let same = others
            .find(|other| Some(other.id) != replaced && host(other.node).is_some() && host(other.node) == host(node));
        let (same, count, most) = (same.map(|same| same.id), known.replicas.len() as u32, known.wanted + 2);
        if let Some(same) = same {
            self.violate("I6 hosts", format!("replica {replica} of tablet {tablet} joins {same} on its host"));
        }
        if count > most {
            self.violate("I9 surplus", format!("tablet {tablet} has {count} replicas"));
        }
    }

    fn hold_drop(&mut self, tablet: TabletId, victim: ReplicaId, evidence: &Evidence) {
        let Some(known) = self.world.tablets.get(tablet) else { return };
        let wanted = known.wanted;
        let was_good = self.hosts.values().any(|host| is_good(host, tablet, victim, &self.world));
        let left = self.truly_complete(tablet);
        if was_good && left == 0 {
            self.violate(
                "I2 last copy",
                format!("replica {victim}, the last good one of tablet {tablet}, was given up"),
            );
        }
        let is_whole = match evidence {
            Evidence::Others { .. } => true,
            Evidence::Bad { .. } | Evidence::NeverComplete { .. } | Evidence::TableDropped { .. } => false,
        };
        let complete = self.world.tablets.get(tablet).map_or(0, |known| count(&self.world, known).complete);
        if is_whole && complete < wanted && !self.has_fellow(tablet, victim) {
            let detail = format!("tablet {tablet} keeps {complete} of {wanted} after the drop of {victim}");
            self.violate("I2 n complete", detail);
        }
    }

    /// Whether a complete copy is left on the host where the victim lies: two there count once, so nothing was lost.
    fn has_fellow(&self, tablet: TabletId, victim: ReplicaId) -> bool {
        let lies = self.hosts.values().find(|host| host.plate_of(victim).is_some());
        let Some(lies) = lies.and_then(|host| self.world.nodes.get(&host.node)) else { return false };
        let Some(known) = self.world.tablets.get(tablet) else { return false };
        let mut judged = known.replicas.iter().zip(count(&self.world, known).judged);
        judged.any(|(other, judged)| judged.complete && host_of(&self.world, other) == Some(&lies.host))
    }

    fn hold_task(&mut self, task: &Task) {
        let id = task.tablet;
        if let Some(other) = self.running.get(&id).map(|other| other.id).filter(|other| *other != task.id) {
            self.violate("I5 task", format!("tablet {id} gets task {} beside {other}", task.id));
        }
        let Work::Clone { disk, source_disk, .. } = &task.work else { return };
        let limit = self.world.knobs.schedule_slot_num_per_path as usize;
        for at in [*disk, *source_disk] {
            let uses = |task: &&Task| match &task.work {
                Work::Clone { disk, source_disk, .. } => !task.agent_done && (*disk == at || *source_disk == at),
                Work::Delete { .. } => false,
            };
            let used = self.world.tasks.values().filter(uses).count();
            if used > limit {
                self.violate("I7 slots", format!("disk {at} runs {used} copies, {limit} are allowed"));
            }
        }
    }

    /// Complete copies on different hosts, as they truly lie there: what would be left if all words were known.
    pub fn truly_complete(&self, tablet: TabletId) -> u32 {
        let Some(known) = self.world.tablets.get(tablet) else { return 0 };
        let mut hosts = BTreeSet::new();
        for replica in &known.replicas {
            let Some(host) = self.hosts.get(&replica.node) else { continue };
            if is_good(host, tablet, replica.id, &self.world) {
                hosts.insert(self.world.nodes.get(&replica.node).map(|node| node.host.as_str()));
            }
        }
        hosts.len() as u32
    }

    /// Everything recounted from nothing; dear in a large world, so done from time to time.
    pub(super) fn check_everything(&mut self) {
        for note in invariants::check(&self.world).into_iter().take(3) {
            self.violate("invariants", note);
        }
    }
}

/// Whether a replica lies on a host that runs, at the visible version, with every byte right.
fn is_good(host: &Host, tablet: TabletId, replica: ReplicaId, world: &World) -> bool {
    let visible = world.tablets.get(tablet).map(|tablet| tablet.visible).unwrap_or_default();
    let plate = host.plate_of(replica).filter(|(_, plate)| plate.state != DiskState::Unavailable);
    let held = plate.and_then(|(_, plate)| plate.held.get(&replica));
    host.alive && held.is_some_and(|held| held.tablet == tablet && held.damage.is_empty() && held.version >= visible)
}
