//! What a modelled agent does with an order: at once, but for copies, which take their bytes' time. Every answer goes
//! back as a report. A source's bytes are held against their digests, as the real agent does while it receives.

use super::copies::Copying;
use super::hosts::{Held, trash_fact};
use super::{Forecast, Next};
use std::collections::BTreeSet;
use stele_common::{
    CloneOrder, Digest, DiskState, Fact, NodeId, OrderBody, ReplicaId, ReportKind, TabletId, TaskFact, TaskFailure,
    TaskId, TaskProgress, Version,
};

/// A file of the modelled replicas.
const ANY_FILE: &str = "data/1/a";
/// A source that is there, but has no route to the one who asks, is given up after the order's own time; one that is
/// not there at all, after this.
const NO_SOURCE_MS: u64 = 1_000;

impl Forecast {
    /// An order arrives; nobody is there to hear it when the agent is down.
    pub(super) fn obey(&mut self, node: NodeId, order: OrderBody) {
        if self.hosts.get(&node).is_none_or(|host| !host.alive) {
            return;
        }
        match order {
            OrderBody::Create { disk, label } => {
                let held = Held {
                    tablet: label.tablet,
                    version: Version::EMPTY,
                    hash: Digest::ZERO,
                    size: 0,
                    files: 0,
                    oldest: Version::EMPTY,
                    damage: BTreeSet::new(),
                    bad: None,
                    verified: Some(self.at()),
                };
                self.keep(node, disk, label.replica, held);
                self.tell_of(node, label.replica);
            }
            OrderBody::Clone(order) => self.copy(node, order, 0),
            OrderBody::CancelTask { task } => {
                self.copies.end(self.now, task);
                self.expect_end();
            }
            OrderBody::Drop { tablet, replica, .. } => self.drop_replica(node, tablet, replica),
            OrderBody::Purge { tablet, replica, .. } => {
                let host = self.hosts.get_mut(&node).expect("looked up above");
                for plate in host.plates.values_mut() {
                    plate.trash.remove(&replica);
                }
                self.say(node, vec![Fact::TrashGone { tablet, replica }]);
            }
            OrderBody::Confirm { tablet, replica, nonce } => {
                let host = self.hosts.get(&node).expect("looked up above");
                let plate = host.plate_of(replica).filter(|(_, plate)| plate.state != DiskState::Unavailable);
                let Some(held) = plate.and_then(|(_, plate)| plate.held.get(&replica)) else { return };
                let (version, hash) = (held.version, held.hash);
                if held.bad.is_none() {
                    self.say(node, vec![Fact::Confirmed { tablet, replica, version, hash, nonce }]);
                }
            }
            OrderBody::Verify { replica, .. } => self.verify(node, replica),
            OrderBody::Collect { replica, below, .. } => {
                let host = self.hosts.get_mut(&node).expect("looked up above");
                if let Some((_, held)) = host.held_mut(replica) {
                    held.oldest = held.oldest.max(below.min(held.version));
                    self.tell_of(node, replica);
                }
            }
            // No client loads here.
            OrderBody::CommitLoad { .. } | OrderBody::AbortLoad { .. } | OrderBody::DiscardLoad { .. } => {}
        }
    }

    fn keep(&mut self, node: NodeId, disk: stele_common::DiskId, replica: ReplicaId, held: Held) {
        if let Some(plate) = self.hosts.get_mut(&node).and_then(|host| host.plates.get_mut(&disk)) {
            plate.held.insert(replica, held);
        }
    }

    /// Exactly this replica goes to the trash.
    fn drop_replica(&mut self, node: NodeId, tablet: TabletId, replica: ReplicaId) {
        let at = self.at();
        let Some(host) = self.hosts.get_mut(&node) else { return };
        let Some((disk, _)) = host.plate_of(replica) else { return };
        let Some(plate) = host.plates.get_mut(&disk) else { return };
        let Some(held) = plate.held.remove(&replica) else { return };
        let trashed = (tablet, held.size, at);
        plate.trash.insert(replica, trashed);
        let facts = vec![Fact::ReplicaGone { tablet, replica, disk }, trash_fact(replica, disk, trashed, at)];
        self.say(node, facts);
    }

    /// Reads it all; damage that is there is found.
    fn verify(&mut self, node: NodeId, replica: ReplicaId) {
        let at = self.at();
        let Some(host) = self.hosts.get_mut(&node) else { return };
        let Some((_, held)) = host.held_mut(replica) else { return };
        if held.damage.is_empty() {
            (held.bad, held.verified) = (None, Some(at));
        } else {
            held.bad = Some(format!("`{ANY_FILE}`: digest mismatch"));
        }
        self.tell_of(node, replica);
    }

    /// Begins a copy from the first source of the list, from `first` on, that is there.
    fn copy(&mut self, node: NodeId, order: CloneOrder, first: usize) {
        let (task, tablet, replica) = (order.task, order.label.tablet, order.label.replica);
        if self.copies.get(task).is_some() {
            return;
        }
        let plate = self.hosts.get(&node).and_then(|host| host.plates.get(&order.disk));
        let Some(plate) = plate.filter(|plate| plate.state == DiskState::Online) else {
            let cause = TaskFailure::Disk { detail: "the disk is not there".to_string() };
            return self.say_failed(node, (task, tablet, replica), cause);
        };
        let own = plate.held.get(&replica).cloned();
        let is_full = plate.full;
        let Some((source, from, held)) = self.source_of(&order, first) else {
            let fact =
                failed_fact(task, tablet, replica, TaskFailure::SourceLost { detail: "no source is there".into() });
            return self.say_later(node, vec![fact], NO_SOURCE_MS);
        };
        let total = bytes_of(own.as_ref(), &held);
        let is_own_place = own.as_ref().is_some_and(|own| own.size >= held.size);
        let has_room = is_own_place || (!is_full && plate.used().saturating_add(total) <= plate.total.max(1));
        if !has_room && total > 0 {
            return self.say_failed(node, (task, tablet, replica), TaskFailure::DiskFull);
        }
        self.copies.start(self.now, Copying::new(order, node, source, from, total));
        self.expect_end();
    }

    fn source_of(
        &self,
        order: &CloneOrder,
        first: usize,
    ) -> Option<(usize, (NodeId, stele_common::DiskId, ReplicaId), Held)> {
        let mut sources = order.sources.iter().enumerate().skip(first);
        sources.find_map(|(index, source)| {
            let host = self.hosts.get(&source.node).filter(|host| host.alive)?;
            let (disk, plate) = host.plate_of(source.replica)?;
            let held = plate.held.get(&source.replica)?;
            let gives = plate.state != DiskState::Unavailable && held.version >= order.version;
            gives.then(|| (index, (source.node, disk, source.replica), held.clone()))
        })
    }

    /// A copy has all its bytes: installed, if they are the right ones.
    pub(super) fn install(&mut self, task: TaskId) {
        let Some(copy) = self.copies.end(self.now, task) else { return };
        let (node, order) = (copy.node, copy.order);
        let names = (task, order.label.tablet, order.label.replica);
        let Some((index, from, held)) = self.source_of(&order, copy.source) else {
            // What it had stays; the next source gives the rest.
            return self.copy(node, order, copy.source + 1);
        };
        if index != copy.source {
            return self.copy(node, order, index);
        }
        if !self.damage_left(&order, &held).is_empty() {
            self.task_line(|| format!("task {task}: replica {} sent damaged bytes", from.2));
            return self.say_failed(node, names, TaskFailure::SourceDamaged { path: ANY_FILE.to_string() });
        }
        let at = self.at();
        let whole = Held { damage: BTreeSet::new(), bad: None, verified: Some(at), ..held };
        self.keep(node, order.disk, order.label.replica, whole);
        if self.poisoned.contains(&order.label.tablet) {
            return self.die_of_poison(node, order.disk, order.label.replica);
        }
        let (bytes_copied, bytes_reused) = (copy.total, 0);
        let done = TaskFact {
            task,
            tablet: names.1,
            replica: names.2,
            state: TaskProgress::Done { bytes_copied, bytes_reused },
        };
        let mut facts = self.facts_of(node, names.2);
        facts.push(Fact::Task(done));
        self.say(node, facts);
    }

    /// Files of which neither this source nor any other of the order, nor what lies at the destination, has the bytes.
    fn damage_left(&self, order: &CloneOrder, held: &Held) -> BTreeSet<u8> {
        let mut left = held.damage.clone();
        for source in &order.sources {
            let host = self.hosts.get(&source.node).filter(|host| host.alive);
            let plate = host.and_then(|host| host.plate_of(source.replica));
            let other = plate.and_then(|(_, plate)| plate.held.get(&source.replica));
            // Only an order that names a bad source on purpose takes file by file from all of them.
            if let Some(other) = other.filter(|other| held.bad.is_some() && other.version >= order.version) {
                left.retain(|file| other.damage.contains(file));
            }
        }
        left
    }

    fn die_of_poison(&mut self, node: NodeId, disk: stele_common::DiskId, replica: ReplicaId) {
        self.poison_deaths += 1;
        if let Some(plate) = self.hosts.get_mut(&node).and_then(|host| host.plates.get_mut(&disk)) {
            plate.held.remove(&replica);
        }
        self.kill(node);
        self.queue.put(self.now + 5_000, Next::Restart(node));
    }

    /// A replica's present state and its disk's.
    pub(super) fn facts_of(&self, node: NodeId, replica: ReplicaId) -> Vec<Fact> {
        let Some(host) = self.hosts.get(&node) else { return Vec::new() };
        let Some((disk, plate)) = host.plate_of(replica) else { return Vec::new() };
        let fact = plate.held[&replica].fact(replica, disk, self.at());
        vec![Fact::Disk(plate.fact(disk)), Fact::Replica(fact)]
    }

    pub(super) fn tell_of(&mut self, node: NodeId, replica: ReplicaId) {
        let facts = self.facts_of(node, replica);
        self.say(node, facts);
    }

    fn say_failed(&mut self, node: NodeId, (task, tablet, replica): (TaskId, TabletId, ReplicaId), cause: TaskFailure) {
        let fact = failed_fact(task, tablet, replica, cause);
        self.say(node, vec![fact]);
    }

    pub(super) fn say(&mut self, node: NodeId, facts: Vec<Fact>) {
        let after = 1 + self.rng.below(5);
        self.say_later(node, facts, after);
    }

    fn say_later(&mut self, node: NodeId, facts: Vec<Fact>, after: u64) {
        let Some(host) = self.hosts.get(&node).filter(|host| host.alive && !facts.is_empty()) else { return };
        let (boot, kind) = (host.boot, ReportKind::Delta);
        self.queue.put(self.now + after, Next::Say { node, boot, kind, facts });
    }
}

fn failed_fact(task: TaskId, tablet: TabletId, replica: ReplicaId, cause: TaskFailure) -> Fact {
    Fact::Task(TaskFact { task, tablet, replica, state: TaskProgress::Failed { cause } })
}

/// Bytes that a copy has to fetch: a replica that is behind lacks its share of the versions, a damaged one may lack
/// anything.
fn bytes_of(own: Option<&Held>, source: &Held) -> u64 {
    let Some(own) = own.filter(|own| own.damage.is_empty()) else { return source.size };
    let missing = source.version.0.saturating_sub(own.version.0);
    let share = u128::from(source.size) * u128::from(missing) / u128::from(source.version.0.max(1));
    source.size.saturating_sub(own.size).max(share as u64)
}
