//! What must *always* hold, held against the truth at each decision and after each step (the numbers are the design's
//! promises): acknowledged versions, durability before words, evidence, heads, incarnations, places, slots.
//!
//! It reads everything and changes only its own memory; what it finds ends the run.

use crate::disk::Papers;
use crate::ops;
use crate::sim::Sim;
use crate::truth::{TabletTruth, find};
use std::collections::BTreeSet;
use std::sync::Arc;
use stele_agent_rules::{Op, OpResult};
use stele_common::{BootId, DiskId, LoadKey, ReplicaFact, ReplicaId, ReplicaState, TabletId, Version};
use stele_coordinator_rules::schedule::slots;
use stele_coordinator_rules::world::{Load, Task, VersionRecord, Work};
use stele_coordinator_rules::{Change, World, invariants};

impl Sim {
    pub fn held(&mut self, law: &'static str) {
        *self.stats.checks.entry(law).or_default() += 1;
    }

    /// Carries an op out on the model disk and holds what it did against the promises.
    pub fn carry_out(&mut self, agent: usize, disk: usize, op: &Op) -> OpResult {
        let replica = op.replica().unwrap_or_default();
        if matches!(op, Op::Purge { .. }) {
            // There is room where trash was: moves that waited for it may follow.
            self.acted();
        }
        match op {
            Op::Drop { .. } if !self.truth.dropped.contains(&replica) => {
                self.violate("I2 delete", || format!("replica {replica} went to the trash without an order for it"));
            }
            Op::Purge { .. } if !self.truth.purged.contains(&replica) => {
                self.violate("I2 delete", || format!("replica {replica} left the trash without an order for it"));
            }
            _ => {}
        }
        let model = &mut self.agents[agent].disks[disk];
        let head_before = model.replicas.get(&replica).map(|dir| dir.head);
        let result = ops::run(model, op, self.now);
        self.touched.insert(op.tablet());
        match &result {
            OpResult::Dropped { .. } => self.stats.drops += 1,
            OpResult::Purged => self.stats.purges += 1,
            OpResult::Installed { version, .. } => {
                self.check_installed(agent, disk, op, head_before, *version);
            }
            OpResult::Created
            | OpResult::Fetched { .. }
            | OpResult::Discarded
            | OpResult::Confirmed { .. }
            | OpResult::Verified { .. }
            | OpResult::Damaged { .. }
            | OpResult::Collected { .. }
            | OpResult::Failed(_) => {}
        }
        result
    }

    fn check_installed(&mut self, agent: usize, disk: usize, op: &Op, before: Option<Version>, version: Version) {
        self.held("I3 content");
        self.held("I4 head");
        let replica = op.replica().unwrap_or_default();
        let tablet = op.tablet();
        let Some(dir) = self.agents[agent].disks[disk].replicas.get(&replica) else { return };
        let (hash, is_whole, is_innocent) = (dir.hash(), dir.is_whole(version), dir.damaged.is_none());
        // Of a table that was dropped in the meantime nothing matters any more.
        let is_dropped = self.truth.dropped_tables.contains(&dir.label.table_id);
        if before.is_some_and(|before| before > version) {
            self.violate("I4 head", || format!("replica {replica} went from {before:?} back to {version}"));
        }
        if !is_whole && is_innocent {
            self.violate("I3 content", || format!("replica {replica} was installed at {version} with wrong bytes"));
        }
        let recorded = self.tablet_truth(tablet).and_then(|truth| truth.versions.get(&version)).map(|(p, _)| p.hash);
        if version > Version::EMPTY && recorded != Some(hash) && !is_dropped {
            self.violate("I2 commit", || {
                format!("replica {replica} installed {version} as {hash}, committed {recorded:?}")
            });
        }
        self.truth.installed.insert((replica, version));
    }

    /// Tablets whose bytes changed: an acknowledged version must still be somewhere, whole.
    pub fn check_touched(&mut self) {
        for tablet in std::mem::take(&mut self.touched) {
            self.check_acked(tablet);
        }
    }

    fn check_acked(&mut self, tablet: TabletId) {
        let Some(acked) = self.tablet_truth(tablet).map(|truth| truth.acked) else { return };
        self.held("I1 acknowledged");
        if acked == Version::EMPTY {
            return;
        }
        if !self.truth.holders_anywhere(&self.agents, tablet, acked).is_empty() {
            // While damage is left, the next load may be held by damaged copies alone.
            if self.truth.scattered.contains(&tablet) && !self.is_sick(tablet) {
                self.truth.scattered.remove(&tablet);
            }
            return;
        }
        if self.truth.scattered.contains(&tablet) {
            self.held("I1 put together");
            if !self.truth.can_be_put_together(&self.agents, tablet, acked) {
                self.violate("I1 put together", || format!("a piece of tablet {tablet} at {acked} is gone for good"));
            }
        } else {
            self.violate("I1 acknowledged", || format!("no good copy of tablet {tablet} at {acked} is left"));
        }
    }

    /// Everything, from time to time.
    pub fn check_everything(&mut self) {
        let tablets: Vec<TabletId> = self.truth.tablets.keys().copied().collect();
        tablets.into_iter().for_each(|tablet| self.check_acked(tablet));
        self.check_world();
        let books = self.agents.iter().filter_map(|agent| agent.life.as_ref()).flat_map(|life| life.books.values());
        let notes: Vec<String> = books.flat_map(stele_agent_rules::check).collect();
        self.held("agent invariants");
        if let Some(note) = notes.first() {
            self.violate("agent invariants", || note.clone());
        }
        if self.trace.keeps_lines()
            && let Some(problem) = self.rest_problem()
        {
            self.trace.line(self.now, format_args!("not at rest: {problem}"));
        }
    }

    /// The coordinator's own invariants.
    pub fn check_world(&mut self) {
        let Some(life) = &self.coordinator.life else { return };
        let notes = invariants::check(&life.world);
        self.held("coordinator invariants");
        if let Some(note) = notes.first() {
            self.violate("coordinator invariants", || note.clone());
        }
    }

    /// A decision, just applied.
    pub fn check_decision(&mut self, change: &Change) {
        self.check_wishes(change);
        self.check_evenness(change);
        match change {
            Change::ReplicaAdded { tablet, replica, node, .. } => self.check_place(*tablet, *replica, *node),
            Change::ReplicaBad { replica, cause, .. } => self.check_bad(*replica, cause),
            Change::ReplicaSeen { fact, boot, .. } => {
                self.held("I8 report");
                self.check_head(fact, *boot);
                let is_true = self.truth.installed.contains(&(fact.replica, fact.version));
                if fact.version > Version::EMPTY && !is_true {
                    let (replica, version) = (fact.replica, fact.version);
                    self.violate("I8 report", || format!("replica {replica} counts at {version}, which it never had"));
                }
            }
            Change::ReplicaDropped { tablet, replica, evidence, .. } => {
                let life = self.coordinator.life.as_ref();
                let known = life.and_then(|life| life.world.tablets.get(*tablet));
                let wanted = known.map_or(0, |known| self.wanted_without(known, *replica));
                self.check_evidence(*tablet, *replica, evidence, wanted);
                self.check_remaining(*tablet, *replica);
            }
            Change::TaskStarted { task } => self.check_slots(task),
            Change::LoadCommitted { load, versions, .. } => self.check_commit(load, versions),
            Change::LoadVisible { key, .. } => self.check_visible(key),
            _ => {}
        }
    }

    /// Within one life of an agent no head goes back: what it has told of is there.
    fn check_head(&mut self, fact: &ReplicaFact, boot: BootId) {
        let Some((spot, _, dir)) = find(&self.agents, fact.replica) else { return };
        let is_now = self.agents[spot.agent].life.as_ref().is_some_and(|life| life.boot == boot);
        let (head, told, replica) = (dir.head, fact.version, fact.replica);
        if is_now && head < told {
            self.violate("I8 report", || format!("replica {replica} counts at {told}, and is at {head}"));
        }
    }

    fn check_place(&mut self, tablet: TabletId, replica: ReplicaId, node: stele_common::NodeId) {
        self.held("I6 hosts");
        self.held("I9 surplus");
        let Some(life) = &self.coordinator.life else { return };
        let Some(known) = life.world.tablets.get(tablet) else { return };
        let host = |node| life.world.nodes.get(&node).map(|node| node.host.as_str());
        // A move between disks of a host stands beside the one that it replaces until it counts.
        let replaced = life.world.tasks.get(&tablet).and_then(|task| match &task.work {
            Work::Clone { replaces, .. } => *replaces,
            Work::Delete { .. } => None,
        });
        let mut others = known.replicas.iter().filter(|other| other.id != replica && Some(other.id) != replaced);
        let same = others.find(|other| other.bad.is_none() && host(other.node) == host(node));
        let (same, count) = (same.map(|other| other.id), known.replicas.len() as u32);
        let most = known.wanted + 2;
        if let Some(other) = same {
            self.violate("I6 hosts", || format!("replica {replica} of tablet {tablet} joins {other} on its host"));
        }
        if count > most {
            self.violate("I9 surplus", || format!("tablet {tablet} would have {count} replicas"));
        }
    }

    fn check_bad(&mut self, replica: ReplicaId, cause: &str) {
        self.held("I8 bad");
        let Some((_, _, dir)) = find(&self.agents, replica) else { return };
        if dir.damaged.is_none() && dir.bad.is_none() && dir.is_whole(dir.head) {
            let head = dir.head;
            self.violate("I8 bad", || format!("replica {replica} is called bad ({cause}) and is whole at {head}"));
        }
    }

    fn check_slots(&mut self, task: &Task) {
        self.held("I5 task");
        let Some(life) = &self.coordinator.life else { return };
        if let Some(other) = life.running.get(&task.tablet) {
            let other = other.id;
            return self.violate("I5 task", || format!("tablet {} gets task {} beside {other}", task.tablet, task.id));
        }
        let Work::Clone { disk, source_disk, .. } = &task.work else { return };
        self.held("I7 slots");
        let Some(life) = &self.coordinator.life else { return };
        let task_type = task.task_type;
        let uses = |task: &Task, at| match &task.work {
            Work::Clone { disk, source_disk, .. } => {
                task.task_type == task_type && !task.agent_done && (*disk == at || *source_disk == at)
            }
            Work::Delete { .. } => false,
        };
        let limit = slots::limit(&life.world.knobs, task_type) as usize;
        for at in [*disk, *source_disk] {
            let Some(life) = &self.coordinator.life else { return };
            let used = life.world.tasks.values().filter(|running| uses(running, at)).count();
            if used > limit {
                self.violate("I7 slots", || {
                    format!("disk {at} runs {used} copies of type {task_type}, {limit} are allowed")
                });
            }
        }
    }

    fn check_commit(&mut self, load: &Load, versions: &[(TabletId, VersionRecord)]) {
        for (tablet, record) in versions {
            self.held("I2 commit");
            let (id, version) = (load.id, record.version);
            if self.on_old_store {
                return self.violate("I16 old store", || format!("load {id} is committed by an old store"));
            }
            let Some(life) = &self.coordinator.life else { return };
            let Some(known) = life.world.tablets.get(*tablet) else { return };
            let durable = record.holders.iter().filter(|holder| self.truth.durable.contains(&(id, **holder)));
            let hosts = durable.filter_map(|holder| host_of(&life.world, *tablet, *holder));
            let hosts = hosts.collect::<BTreeSet<_>>().len() as u32;
            let quorum = known.wanted / 2 + 1;
            let committed = self.truth.decide(*tablet, version);
            if hosts < quorum || record.holders.iter().any(|h| !self.truth.durable.contains(&(id, *h))) {
                let holders = record.holders.clone();
                self.violate("I2 commit", || {
                    format!("load {id} is committed on {holders:?}, durable on {hosts} hosts, {quorum} are needed")
                });
            }
            if version != committed.next() || record.parent != committed {
                self.violate("I4 head", || format!("version {version} of tablet {tablet} follows {committed}"));
            }
            let found = self.true_papers(*tablet, &load.key, version).map(|papers| papers.hash);
            if found.is_some_and(|found| found != record.hash) {
                let hash = record.hash;
                self.violate("I3 content", || format!("version {version} of {tablet} is {found:?}, recorded {hash}"));
            }
        }
    }

    fn true_papers(&self, tablet: TabletId, key: &LoadKey, version: Version) -> Option<Arc<Papers>> {
        let truth = self.truth.tablets.get(&tablet)?;
        let delta = self.truth.deltas.get(key)?.get(&tablet)?;
        let parent = Version(version.0 - 1);
        let base = match truth.versions.get(&parent) {
            Some((papers, _)) => papers.manifest.clone(),
            None if parent == Version::EMPTY => Default::default(),
            None => return None,
        };
        let manifest = base.with(delta, version);
        let hash = manifest.hash();
        Some(Arc::new(Papers { manifest, hash }))
    }

    fn check_visible(&mut self, key: &LoadKey) {
        let Some(life) = &self.coordinator.life else { return };
        let Some(load) = life.world.loads.get(key).cloned() else { return };
        for (tablet, part) in &load.tablets {
            self.held("I2 visible");
            let Some(life) = &self.coordinator.life else { return };
            let Some(known) = life.world.tablets.get(*tablet) else { continue };
            let has = |replica: &ReplicaId| {
                let range = (*replica, part.version)..=(*replica, Version(u64::MAX));
                self.truth.installed.range(range).next().is_some()
            };
            let installed = known.replicas.iter().map(|replica| replica.id).filter(has);
            let hosts: BTreeSet<_> = installed.filter_map(|id| host_of(&life.world, *tablet, id)).collect();
            let (found, quorum) = (hosts.len() as u32, known.wanted / 2 + 1);
            if found < quorum {
                let version = part.version;
                self.violate("I2 visible", || format!("version {version} of {tablet} is installed on {found} hosts"));
            }
        }
    }

    /// Committed for good: from here on the truth knows it.
    pub fn learn_committed(&mut self, change: &Change) {
        if self.on_old_store {
            return;
        }
        self.check_new_id(change);
        match change {
            Change::TableAdded { tablets, .. } => {
                for tablet in tablets {
                    let truth = TabletTruth { table: tablet.table, ..TabletTruth::default() };
                    self.truth.tablets.insert(tablet.id, truth);
                }
            }
            Change::TableDropped { table } => {
                self.truth.dropped_tables.insert(*table);
                self.truth.tablets.retain(|_, truth| truth.table != *table);
            }
            Change::LoadCommitted { load, versions, .. } => {
                for (tablet, record) in versions {
                    let Some(papers) = self.true_papers(*tablet, &load.key, record.version) else { continue };
                    let Some(truth) = self.truth.tablets.get_mut(tablet) else { continue };
                    truth.committed = truth.committed.max(record.version);
                    truth.versions.insert(record.version, (papers, load.id));
                }
            }
            _ => {}
        }
    }

    fn is_a_disk(&self, disk: DiskId) -> bool {
        self.agents.iter().flat_map(|host| &host.disks).any(|model| model.identity == Some(disk))
    }

    fn check_new_id(&mut self, change: &Change) {
        let ids: Vec<u64> = match change {
            // One that joins as a full member is adopted: its id was issued before, to the copy that it still is.
            Change::ReplicaAdded { state: ReplicaState::Normal, .. } => Vec::new(),
            Change::ReplicaAdded { replica, .. } => vec![replica.0],
            Change::TaskStarted { task } => vec![task.id.0],
            Change::NodeAdded { node, .. } => vec![node.0],
            // A disk of a node that comes back keeps its id.
            Change::DiskAdded { disk, .. } if self.is_a_disk(*disk) => Vec::new(),
            Change::DiskAdded { disk, .. } => vec![disk.0],
            Change::TableAdded { tablets, .. } => {
                tablets.iter().flat_map(|tablet| &tablet.replicas).map(|replica| replica.id.0).collect()
            }
            _ => Vec::new(),
        };
        for id in ids {
            self.held("I5 incarnation");
            if !self.truth.ids.insert(id) {
                self.violate("I5 incarnation", || format!("the id {id} is given a second time"));
            }
        }
    }

    /// What recovery gave must hold everything that was acknowledged.
    pub fn check_recovered(&mut self, world: &World) {
        if self.on_old_store {
            return;
        }
        self.held("I11 recovery");
        self.truth.tablets.values_mut().for_each(|truth| truth.decided = truth.committed);
        let lost = self.truth.tablets.iter().find_map(|(id, truth)| match world.tablets.get(*id) {
            Some(known) if known.committed >= truth.committed && known.visible >= truth.acked => None,
            Some(_) | None => Some(*id),
        });
        if let Some(tablet) = lost {
            self.violate("I11 recovery", || format!("tablet {tablet} lost committed versions in a restart"));
        }
    }

    /// A client is told that its load is safe.
    pub fn acknowledge(&mut self, key: &LoadKey) {
        self.stats.loads_acked += 1;
        let Some(load) = self.coordinator.life.as_ref().and_then(|life| life.world.loads.get(key)) else { return };
        let parts: Vec<(TabletId, Version)> = load.tablets.iter().map(|(id, part)| (*id, part.version)).collect();
        for (tablet, version) in parts {
            self.held("I2 acknowledged");
            let Some(truth) = self.truth.tablets.get_mut(&tablet) else { continue };
            let committed = truth.committed;
            truth.acked = truth.acked.max(version);
            if version > committed {
                self.violate("I2 acknowledged", || format!("{version} of {tablet} is told, {committed} is stored"));
            }
            self.touched.insert(tablet);
        }
    }
}

/// The host of a listed replica that is a full member.
fn host_of(world: &World, tablet: TabletId, replica: ReplicaId) -> Option<&str> {
    let known = world.tablets.get(tablet)?;
    let found = known.replicas.iter().find(|known| known.id == replica && known.state != ReplicaState::Clone)?;
    world.nodes.get(&found.node).map(|node| node.host.as_str())
}
