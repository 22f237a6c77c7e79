//! What must hold of operators' wishes, held against each decision as the oracle does: a drain takes no copy before
//! another counts, maintenance starts no copying, nobody is called lost before a leadership's grace is over.

use crate::agent::Agent;
use crate::sim::Sim;
use std::collections::BTreeSet;
use stele_common::ReplicaState::Normal;
use stele_common::{BootId, Evidence, Liveness, NodeId, ReplicaId, TabletId, TabletStatus, Tick};
use stele_coordinator_rules::checkup::count::host_of;
use stele_coordinator_rules::checkup::verdict::is_marked;
use stele_coordinator_rules::checkup::{Flaw, count};
use stele_coordinator_rules::event::Target;
use stele_coordinator_rules::world::{Node, Replica, Tablet, Task, Work};
use stele_coordinator_rules::{Change, Proposal};

impl Sim {
    /// A decision, just applied.
    pub fn check_wishes(&mut self, change: &Change) {
        match change {
            Change::ReplicaDropped { tablet, replica, evidence, .. } => self.check_left(*tablet, *replica, evidence),
            Change::TaskStarted { task } => {
                self.check_destination(task);
                self.check_victim(task);
            }
            Change::NodeLive { node, liveness: Liveness::Lost, .. } => self.check_grace(*node),
            _ => {}
        }
    }

    /// A good replica left: n others are complete, so a drain or a move never makes a tablet poorer. One of two on a host
    /// may leave fewer, but none of them without a quorum.
    fn check_left(&mut self, tablet: TabletId, victim: ReplicaId, evidence: &Evidence) {
        let Evidence::Others { replicas: witnesses, .. } = evidence else { return };
        *self.stats.checks.entry("I2 n complete").or_default() += 1;
        let Some(life) = &self.coordinator.life else { return };
        let Some(known) = life.world.tablets.get(tablet) else { return };
        if witnesses.iter().any(|witness| witness.version < known.committed) {
            // A load was committed after it, in the same step: who missed that one was complete when it left.
            return;
        }
        let (complete, wanted) = (count(&life.world, known).complete, self.wanted_without(known, victim));
        if complete < wanted {
            self.violate("I2 n complete", || format!("tablet {tablet} keeps {complete} complete of {wanted}"));
        }
    }

    /// How many others must be complete when this one leaves: n, or a quorum where a complete one stands on its host.
    pub fn wanted_without(&self, tablet: &Tablet, victim: ReplicaId) -> u32 {
        // A copied disk lies twice, and the catalog has seen it at either.
        let lies: BTreeSet<&str> = self.hosts_of(victim).collect();
        let Some(life) = &self.coordinator.life else { return tablet.wanted };
        let others = tablet.replicas.iter().zip(count(&life.world, tablet).judged);
        let mut others = others.filter(|(other, judged)| other.id != victim && judged.complete);
        let has_fellow = others.any(|(other, _)| host_of(&life.world, other).is_some_and(|host| lies.contains(host)));
        if has_fellow { tablet.wanted / 2 + 1 } else { tablet.wanted }
    }

    /// Hosts with a disk that holds the replica, copies of disks too.
    fn hosts_of(&self, replica: ReplicaId) -> impl Iterator<Item = &str> {
        let holds =
            move |host: &&Agent| host.disks.iter().any(|disk| !disk.destroyed && disk.replicas.contains_key(&replica));
        self.agents.iter().filter(holds).map(|host| host.host.as_str())
    }

    /// A wish of the desk, on the world that it saw: nothing is made anew for a copy that is away on purpose, unless one complete copy is left.
    pub fn check_maintenance(&mut self, proposal: &Proposal) {
        let Proposal::Clone { tablet, status, target: Target::NewOn { .. }, .. } = proposal else { return };
        let Some(life) = &self.coordinator.life else { return };
        let Some(tablet) = life.world.tablets.get(*tablet) else { return };
        if *status != TabletStatus::ReplicaMissing || life.world.leases.is_empty() {
            return;
        }
        let at = Tick(self.now - life.began);
        let counts = count(&life.world, tablet);
        let mut missing = tablet.replicas.iter().zip(&counts.judged).filter(|(_, judged)| !judged.alive);
        let is_away = |flaw| matches!(flaw, Some(Flaw::NodeLost | Flaw::NodeSilent));
        let is_excused = |(replica, judged): (&Replica, _)| {
            let judged: &stele_coordinator_rules::checkup::Judged = judged;
            judged.why == Some(Flaw::Clone)
                || is_away(judged.why) && life.world.maintenance_until(replica.node, at).is_some()
        };
        let all_excused = missing.all(is_excused);
        let there = counts.judged.iter().filter(|judged| judged.why != Some(Flaw::Clone)).count() as u32;
        *self.stats.checks.entry("maintenance").or_default() += 1;
        if all_excused && counts.complete > 1 && there >= tablet.wanted {
            let id = tablet.id;
            self.violate("maintenance", || format!("tablet {id} is copied, whose copies are away on purpose"));
        }
    }

    /// Nothing new goes where an operator wants nothing.
    fn check_destination(&mut self, task: &Task) {
        let Work::Clone { fresh: true, node, disk, .. } = &task.work else { return };
        if task.status == TabletStatus::Unrecoverable {
            // What is put together from the last remains is put where they lie.
            return;
        }
        *self.stats.checks.entry("drain").or_default() += 1;
        let Some(life) = &self.coordinator.life else { return };
        let draining = life.world.nodes.get(node).is_some_and(|node| node.draining)
            || life.world.disks.get(disk).is_some_and(|disk| disk.draining);
        let tablet = life.world.tablets.get(task.tablet);
        let wrong_tag = tablet
            .is_some_and(|tablet| life.world.nodes.get(node).is_some_and(|node| node.tag != life.world.tag_of(tablet)));
        let id = task.tablet;
        if draining {
            self.violate("drain", || format!("a copy of tablet {id} goes to node {node}, which is drained"));
        }
        if wrong_tag {
            self.violate("tag", || format!("a copy of tablet {id} goes to node {node}, whose tag is another"));
        }
    }

    /// A surplus is judged when nothing is to be brought up first, and in a bucket only what is of no use to it leaves.
    fn check_victim(&mut self, task: &Task) {
        let Work::Delete { replica: victim, .. } = &task.work else { return };
        let Some(life) = &self.coordinator.life else { return };
        let Some(tablet) = life.world.tablets.get(task.tablet) else { return };
        let Some(leaving) = tablet.replicas.iter().find(|replica| replica.id == *victim) else { return };
        // Another one on the same node does as well.
        let stands_for_it = |other: &Replica| {
            other.node == leaving.node && other.id != leaving.id && other.bad.is_none() && other.state == Normal
        };
        let is_inside = life.world.bucket_nodes(tablet).is_some_and(|bucket| bucket.contains(&leaving.node));
        let is_inside = is_inside && !tablet.replicas.iter().any(stands_for_it);
        let at = Tick(self.now - life.began);
        let (counts, id, status) = (count(&life.world, tablet), task.tablet, task.status);
        let mut judged = tablet.replicas.iter().zip(&counts.judged);
        let is_useless =
            judged.any(|(replica, judged)| replica.id == *victim && !judged.alive && replica.bad.is_some());
        // As it was when that was decided: with the victim, beside which a second one on its host does not count.
        let mut before = tablet.clone();
        before.replicas.iter_mut().filter(|replica| replica.id == *victim).for_each(|replica| replica.state = Normal);
        let counts = count(&life.world, &before);
        let mut judged = before.replicas.iter().zip(&counts.judged);
        let marked = judged.find(|(replica, judged)| is_marked(replica, judged, at)).map(|(replica, _)| replica.id);
        let is_surplus = matches!(status, TabletStatus::Redundant | TabletStatus::ForceRedundant);
        *self.stats.checks.entry("victims").or_default() += 1;
        if let Some(marked) = marked.filter(|_| is_surplus) {
            self.violate("further repair", || format!("{victim} of tablet {id} leaves before {marked} is brought up"));
        }
        if status == TabletStatus::ColocateRedundant && is_inside && !is_useless {
            self.violate("colocation", || format!("{victim} of tablet {id} leaves, which stands in its bucket"));
        }
    }

    /// An agent that is there is not pushed out by another of its name.
    pub fn check_first_stays(&mut self, before: Option<Node>, boot: BootId) {
        let Some(before) = before.filter(|node| node.liveness == Liveness::Alive && node.boot != Some(boot)) else {
            return;
        };
        let Some(life) = &self.coordinator.life else { return };
        *self.stats.checks.entry("twin node").or_default() += 1;
        let id = before.id;
        if before.boot.is_some() && life.world.nodes.get(&id).is_some_and(|node| node.boot == Some(boot)) {
            self.violate("twin node", || format!("a second agent is taken for node {id}, whose first one is there"));
        }
    }

    /// Nobody is lost to a leadership that is younger than the grace.
    fn check_grace(&mut self, node: NodeId) {
        *self.stats.checks.entry("grace").or_default() += 1;
        let Some(life) = &self.coordinator.life else { return };
        let age = self.now - life.began;
        if age < self.mix.knobs.lost_ms {
            self.violate("grace", || format!("node {node} is lost to a leadership of {age} ms"));
        }
    }

    /// What keeps a drain from being over, with faults over.
    pub fn drain_problem(&self, world: &stele_coordinator_rules::World) -> Option<String> {
        let stands = |tablet: &stele_coordinator_rules::world::Tablet| {
            let on_it = tablet.replicas.iter().find(|replica| {
                world.nodes.get(&replica.node).is_some_and(|node| node.draining)
                    || world.disks.get(&replica.disk).is_some_and(|disk| disk.draining)
            });
            on_it.map(|replica| format!("replica {} of tablet {} stands where a drain is on", replica.id, tablet.id))
        };
        world.tablets.iter().find_map(stands)
    }
}
