//! Operators: they drain hosts and disks and change their minds, announce maintenance, ask for haste, change policies,
//! and a switch of theirs makes every agent connect anew at once. All by the front door; what they may ask for is kept
//! so that the cluster can always come to rest.

use crate::coordinator::Asker;
use crate::faults::Undo;
use crate::net::Place;
use crate::options::{HOUR, MINUTE, SECOND};
use crate::sim::{Next, Sim};
use std::collections::BTreeSet;
use stele_common::api::{DrainAsk, LeaseAsk, LeaseOn, TableSet};
use stele_common::{DiskId, NodeId};
use stele_coordinator_rules::world::Tablet;
use stele_coordinator_rules::{EventBody, Reason};

impl Sim {
    /// The node that runs, or ran, on a host.
    pub fn node_of(&self, agent: usize) -> Option<NodeId> {
        let world = &self.coordinator.life.as_ref()?.world;
        world.nodes.values().find(|node| node.host == self.agents[agent].host).map(|node| node.id)
    }

    /// Hosts with this tag that are there to stay.
    pub fn staying(&self, tag: &str) -> u64 {
        let stays = |agent: &&crate::agent::Agent| !agent.gone && !agent.draining && agent.tag == tag;
        self.agents.iter().filter(stays).count() as u64
    }

    /// Hosts with this tag that its tables need.
    pub fn needed(&self, tag: &str) -> u64 {
        let tables = self.mix.tables.iter().filter(|table| table.tag == tag);
        tables.map(|table| u64::from(table.replication)).max().unwrap_or(1).max(2)
    }

    pub fn drain_host(&mut self, agent: usize) -> bool {
        let tag = self.agents[agent].tag;
        let Some(node) = self.node_of(agent).filter(|_| !self.agents[agent].draining && !self.on_old_store) else {
            return false;
        };
        if self.staying(tag) <= self.needed(tag) {
            return false;
        }
        self.agents[agent].draining = true;
        let ask = DrainAsk { nodes: vec![node], force: self.fate.coin(), ..DrainAsk::default() };
        self.coordinate(EventBody::Drain(ask), Asker::Nobody);
        let after = 5 * MINUTE + self.fate.below(5 * HOUR);
        self.undo_later(after, Undo::Drain { agent });
        true
    }

    fn disk_of(&self, agent: usize, disk: usize) -> Option<DiskId> {
        self.agents[agent].disks[disk].identity
    }

    pub fn drain_disk(&mut self, agent: usize, disk: usize) -> bool {
        let is_only = self.agents[agent].disks.len() < 2;
        let others = self.agents[agent].disks.iter().any(|model| model.draining);
        let Some(id) = self.disk_of(agent, disk).filter(|_| !is_only && !others && !self.on_old_store) else {
            return false;
        };
        self.agents[agent].disks[disk].draining = true;
        let ask = DrainAsk { disks: vec![id], force: true, ..DrainAsk::default() };
        self.coordinate(EventBody::Drain(ask), Asker::Nobody);
        let after = 5 * MINUTE + self.fate.below(5 * HOUR);
        self.undo_later(after, Undo::DrainDisk { agent, disk });
        true
    }

    /// An operator takes a drain back, or leaves it.
    pub fn undrain(&mut self, agent: usize, disk: Option<usize>) {
        if self.fate.coin() || self.coordinator.life.is_none() || self.on_old_store {
            return;
        }
        self.take_drain_back(agent, disk);
    }

    fn take_drain_back(&mut self, agent: usize, disk: Option<usize>) {
        let ask = match disk {
            Some(disk) => {
                self.agents[agent].disks[disk].draining = false;
                DrainAsk { disks: self.disk_of(agent, disk).into_iter().collect(), ..DrainAsk::default() }
            }
            None => {
                self.agents[agent].draining = false;
                DrainAsk { nodes: self.node_of(agent).into_iter().collect(), ..DrainAsk::default() }
            }
        };
        self.coordinate(EventBody::Undrain(ask), Asker::Nobody);
    }

    /// A host that may be away for a while goes down, or does not.
    pub fn maintain(&mut self, agent: usize) -> bool {
        let Some(node) = self.node_of(agent).filter(|_| self.agents[agent].life.is_some()) else { return false };
        let for_ms = 10 * MINUTE + self.fate.below(HOUR);
        self.coordinate(grant(LeaseOn::Maintenance { node }, for_ms), Asker::Nobody);
        if self.fate.below(4) > 0 {
            let (down, after) = (self.fate.below(for_ms * 5 / 4), 5 * SECOND + self.fate.below(MINUTE));
            self.undo_later(after, Undo::Switched { agent, down });
        }
        true
    }

    pub fn hurry(&mut self) -> bool {
        let name = format!("d.t{}", self.fate.below(self.mix.tables.len() as u64));
        let on = LeaseOn::Urgent { table: name, partition: None };
        let for_ms = 5 * MINUTE + self.fate.below(4 * HOUR);
        self.coordinate(grant(on, for_ms), Asker::Nobody);
        true
    }

    /// One copy more or less, where that many hosts stay.
    pub fn change_replication(&mut self) -> bool {
        let index = self.fate.below(self.mix.tables.len() as u64) as usize;
        let table = self.mix.tables[index].clone();
        let more = self.fate.coin();
        let replication = if more { table.replication + 1 } else { table.replication.saturating_sub(1) };
        let fits = u64::from(replication) < self.staying(table.tag).min(5);
        // With damage that nobody has found, the one copy that is left may be the wrong one.
        let known = self.coordinator.life.as_ref().and_then(|life| {
            let name = format!("t{index}");
            life.world.tables.values().find(|table| table.name == name).cloned()
        });
        let tablets = known.iter().flat_map(|table| &table.partitions).flat_map(|partition| &partition.tablets);
        let is_sick = tablets.into_iter().any(|tablet| self.is_sick(*tablet));
        if !(1..=4).contains(&replication) || !fits || table.colocate || self.on_old_store || (!more && is_sick) {
            return false;
        }
        let wish = TableSet { replication: Some(replication), ..TableSet::default() };
        let name = format!("t{index}");
        self.coordinate(EventBody::SetTable { db: "d".to_string(), name, wish }, Asker::Nobody);
        // What it was is kept in mind until what it is has been carried out: hosts are lost by the larger one.
        self.mix.tables[index].replication = replication;
        true
    }

    /// Every connection ends at once; all come again with full reports.
    pub fn storm(&mut self) -> bool {
        for agent in 0..self.agents.len() {
            let Some(life) = &mut self.agents[agent].life else { continue };
            let (boot, conn) = (life.boot, life.conn());
            life.link = crate::agent::Link::Down;
            if let Some(conn) = conn {
                let body = Next::LinkClosed { agent, boot, conn };
                self.send(Place::Agent(agent), Place::Coordinator, || body.clone());
            }
        }
        true
    }

    /// With faults over, operators leave only drains that can end.
    pub fn settle_drains(&mut self) {
        if self.coordinator.life.is_none() {
            // There is no one to ask: again when there is.
            return self.undo_later(10 * SECOND, Undo::Drains);
        }
        for agent in 0..self.agents.len() {
            let tag = self.agents[agent].tag;
            let is_short = self.staying(tag) < self.needed(tag) + 1;
            if self.agents[agent].draining && (is_short || self.fate.coin()) {
                self.take_drain_back(agent, None);
            }
            for disk in 0..self.agents[agent].disks.len() {
                if self.agents[agent].disks[disk].draining && self.fate.coin() {
                    self.take_drain_back(agent, Some(disk));
                }
            }
        }
    }

    /// An hour later some are told that nothing has room: such drains are taken back, and a copy that was wished for
    /// beyond what the disks hold is not wished for any more.
    pub fn give_up_full_drains(&mut self) {
        let Some(life) = &self.coordinator.life else { return self.undo_later(10 * SECOND, Undo::FullDrains) };
        let is_full = |reason: &Reason| reason.code() == "no_destination";
        let stuck = life.desk.entries().filter(|entry| entry.reason.as_ref().is_some_and(is_full));
        let tablets: Vec<&Tablet> = stuck.filter_map(|entry| life.world.tablets.get(entry.tablet)).collect();
        let names = tablets.iter().filter_map(|tablet| life.world.tables.get(&tablet.table));
        let names: BTreeSet<String> = names.map(|table| table.name.clone()).collect();
        let replicas = tablets.iter().flat_map(|tablet| &tablet.replicas);
        let nodes = replicas.filter_map(|replica| life.world.nodes.get(&replica.node));
        let hosts: BTreeSet<String> = nodes.map(|node| node.host.clone()).collect();
        for index in 0..self.mix.tables.len() {
            let (name, table) = (format!("t{index}"), &mut self.mix.tables[index]);
            if names.contains(&name) && !table.colocate && table.replication >= 3 {
                table.replication -= 1;
                let wish = TableSet { replication: Some(table.replication), ..TableSet::default() };
                self.coordinate(EventBody::SetTable { db: "d".to_string(), name, wish }, Asker::Nobody);
            }
        }
        for agent in 0..self.agents.len() {
            if !hosts.contains(&self.agents[agent].host) {
                continue;
            }
            if self.agents[agent].draining {
                self.take_drain_back(agent, None);
            }
            for disk in 0..self.agents[agent].disks.len() {
                if self.agents[agent].disks[disk].draining {
                    self.take_drain_back(agent, Some(disk));
                }
            }
        }
    }
}

fn grant(on: LeaseOn, for_ms: u64) -> EventBody {
    EventBody::GrantLease(LeaseAsk { on, for_ms, owner: "operator".to_string(), reason: "a wish".to_string() })
}
