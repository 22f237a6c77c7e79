//! What happens to a forecast from outside, what agents say without being asked, and the looks at everything: verdicts
//! for what changed, sweeps, samples.

use super::curve::Sample;
use super::hosts::{Host, Plate, UNREADABLE};
use super::{Forecast, Happening, NewNode, Next};
use crate::mutant::bent;
use std::collections::BTreeMap;
use stele_common::api::DrainAsk;
use stele_common::{
    BootId, DiskId, DiskState, Fact, NodeId, ReplicaId, Report, ReportKind, TabletStatus, TaskFact, TaskProgress,
};
use stele_coordinator_rules::checkup::count;
use stele_coordinator_rules::checkup::verdict::{verdict, verdict_on};
use stele_coordinator_rules::roster::RosterEvent;
use stele_coordinator_rules::{Answer, Change, EventBody};

/// Facts in a page of a full report.
const PAGE: usize = 2_000;
/// Tablets looked at in one sweep, and tablets up to which everything is recounted then.
const SWEEP_TABLETS: usize = 20_000;

impl Forecast {
    /// Something happens to the cluster now.
    pub fn happens(&mut self, happening: &Happening) {
        self.line(text_of(happening));
        match happening {
            Happening::Kill(node) => self.kill(*node),
            Happening::Revive(node) => self.revive(*node),
            Happening::Drain(nodes) => self.drain(DrainAsk { nodes: nodes.clone(), ..DrainAsk::default() }, true),
            Happening::Undrain(nodes) => self.drain(DrainAsk { nodes: nodes.clone(), ..DrainAsk::default() }, false),
            Happening::DrainDisk(disk, on) => self.drain(DrainAsk { disks: vec![*disk], ..DrainAsk::default() }, *on),
            Happening::AddNode(node) => self.join(node),
            Happening::BadReplica(replica) => self.damage(*replica, UNREADABLE, true),
            Happening::DiskFull(disk) => self.fill(*disk),
        }
    }

    /// An operator's wish, forced: what does not fit is shown in the verdicts.
    fn drain(&mut self, ask: DrainAsk, on: bool) {
        let ask = DrainAsk { force: true, owner: "forecast".to_string(), ..ask };
        let body = if on { EventBody::Drain(ask) } else { EventBody::Undrain(ask) };
        for answer in self.coordinate(body) {
            match answer {
                Answer::Evacuation(found) if found.fits => {
                    let (copies, bytes) = (found.copies, found.bytes);
                    self.line(format!("the check before: {copies} copies, {bytes} bytes, everything finds a place"));
                }
                Answer::Evacuation(found) => {
                    let blockers = found.blockers.iter().map(|blocker| &blocker.detail);
                    let first = blockers.take(3).cloned().collect::<Vec<_>>().join("; ");
                    self.line(format!("the check before: {} tablets find no place: {first}", found.blocked));
                }
                Answer::Refused(reason) => self.line(format!("refused: {reason}")),
                _ => {}
            }
        }
    }

    /// What the world outside brings about without the catalog's say.
    fn by_hand(&mut self, change: &Change) {
        self.world.apply(change);
        self.note_dirty(change);
    }

    pub fn kill(&mut self, node: NodeId) {
        let Some(host) = self.hosts.get_mut(&node).filter(|host| host.alive) else { return };
        host.alive = false;
        let boot = host.boot;
        let received: Vec<_> =
            self.copies.iter().filter(|copy| copy.node == node).map(|copy| copy.order.task).collect();
        self.reckon_copies();
        for task in received {
            self.copies.end(self.now, task);
        }
        let lost = self.copies.iter().filter(|copy| copy.from.0 == node).map(|copy| copy.order.task);
        // They find out when they want the next byte: another source, or none.
        let lost: Vec<_> = lost.collect();
        for task in lost {
            self.install(task);
        }
        self.expect_end();
        self.roster(RosterEvent::Closed { node, boot });
    }

    /// The agent starts with what its disks held, connects, and tells all of it.
    pub fn revive(&mut self, node: NodeId) {
        let Some(host) = self.hosts.get_mut(&node).filter(|host| !host.alive) else { return };
        self.next_boot += 1;
        (host.alive, host.boot, host.seq) = (true, BootId(self.next_boot), 0);
        self.connect(node);
    }

    fn connect(&mut self, node: NodeId) {
        let (Some(host), Some(known)) = (self.hosts.get(&node), self.world.nodes.get(&node)) else { return };
        let (boot, at) = (host.boot, self.at());
        let (peer, http, build) = (known.peer.clone(), known.http.clone(), known.build.clone());
        let (rack, tag) = (known.rack.clone(), known.tag.clone());
        self.by_hand(&Change::NodeConnected { node, boot, peer, http, build, rack, tag, at });
        self.roster(RosterEvent::Connected { node, boot });
        self.tell_all(node);
    }

    fn join(&mut self, new: &NewNode) {
        let NewNode { id, host, rack, tag, disks } = new.clone();
        let name = format!("{host}-{id}");
        self.by_hand(&Change::NodeAdded { node: id, host, name, rack, tag });
        let mut plates = BTreeMap::new();
        for disk in disks {
            let (path, medium) = (disk.path.clone(), disk.medium);
            self.by_hand(&Change::DiskAdded { disk: disk.id, node: id, path, medium });
            let plate = Plate {
                path: disk.path,
                medium,
                device: disk.id.0,
                state: DiskState::Online,
                total: disk.total,
                other: disk.used,
                full: false,
                held: BTreeMap::new(),
                trash: BTreeMap::new(),
            };
            plates.insert(disk.id, plate);
        }
        // Ids that the file gave away are not given again.
        let highest = plates.keys().map(|disk| disk.0).chain([id.0]).max().unwrap_or(0);
        if highest < u64::MAX && highest >= self.world.next_id {
            self.by_hand(&Change::IdsReserved { end: highest + 1 });
            self.by_hand(&Change::IdsIssued { next: highest + 1 });
        }
        self.next_boot += 1;
        let boot = BootId(self.next_boot);
        self.hosts.insert(id, Host { node: id, alive: true, boot, seq: 0, plates });
        self.connect(id);
    }

    /// A file of the replica goes wrong; its agent knows at once, or when it is read.
    pub fn damage(&mut self, replica: ReplicaId, file: u8, is_known: bool) {
        let found = self.hosts.values_mut().find_map(|host| {
            let node = host.node;
            host.held_mut(replica).map(|(_, held)| (node, held))
        });
        let Some((node, held)) = found else { return };
        held.damage.insert(file);
        if is_known {
            held.bad = Some("`data/1/a`: digest mismatch".to_string());
            self.tell_of(node, replica);
        }
    }

    fn fill(&mut self, disk: DiskId) {
        let found = self.hosts.values_mut().find_map(|host| {
            let node = host.node;
            host.plates.get_mut(&disk).map(|plate| (node, plate))
        });
        let Some((node, plate)) = found else { return };
        plate.full = true;
        let fact = Fact::Disk(plate.fact(disk));
        self.say(node, vec![fact]);
    }

    /// A disk's directory is gone, or back; its agent says so in its next full report.
    pub fn mount(&mut self, disk: DiskId, is_there: bool) {
        let found = self.hosts.values_mut().find_map(|host| {
            let node = host.node;
            host.plates.get_mut(&disk).map(|plate| (node, plate))
        });
        let Some((node, plate)) = found else { return };
        plate.state = if is_there { DiskState::Online } else { DiskState::Unavailable };
        self.tell_all(node);
    }

    /// A full report, in pages.
    pub fn tell_all(&mut self, node: NodeId) {
        let at = self.at();
        let Some(host) = self.hosts.get(&node).filter(|host| host.alive) else { return };
        let (boot, mut facts) = (host.boot, host.facts(at));
        let here = self.copies.iter().filter(|copy| copy.node == node);
        facts.extend(here.map(|copy| Fact::Task(progress(copy))));
        let pages: Vec<Vec<Fact>> = facts.chunks(PAGE).map(<[Fact]>::to_vec).collect();
        let (count, after) = (pages.len(), 1 + self.rng.below(5));
        if pages.is_empty() {
            let (kind, facts) = (ReportKind::FullOnly, Vec::new());
            return self.queue.put(self.now + after, Next::Say { node, boot, kind, facts });
        }
        for (index, facts) in pages.into_iter().enumerate() {
            let kind = match (index, index + 1 == count) {
                (0, true) => ReportKind::FullOnly,
                (0, false) => ReportKind::FullFirst,
                (_, false) => ReportKind::FullMore,
                (_, true) => ReportKind::FullLast,
            };
            self.queue.put(self.now + after + index as u64, Next::Say { node, boot, kind, facts });
        }
    }

    /// An agent's word arrives, numbered on arrival: nothing overtakes here.
    pub(super) fn said(&mut self, node: NodeId, boot: BootId, kind: ReportKind, facts: Vec<Fact>) {
        let Some(host) = self.hosts.get_mut(&node).filter(|host| host.alive && host.boot == boot) else { return };
        host.seq += 1;
        let report = Report { boot, seq: host.seq, kind, facts };
        self.coordinate(EventBody::Reported { node, report });
    }

    pub(super) fn tell_progress(&mut self) {
        self.reckon_copies();
        let mut by_node: BTreeMap<NodeId, Vec<Fact>> = BTreeMap::new();
        for copy in self.copies.iter() {
            by_node.entry(copy.node).or_default().push(Fact::Task(progress(copy)));
        }
        by_node.into_iter().for_each(|(node, facts)| self.say(node, facts));
    }

    pub(super) fn reckon_copies(&mut self) {
        self.copies.reckon(self.now);
        self.told.bytes_copied = self.copies.moved;
    }

    pub(super) fn expect_end(&mut self) {
        if let Some(at) = self.copies.next_end() {
            let generation = self.copies.generation;
            self.queue.put(at.max(self.now), Next::CopyEnds { generation });
        }
    }

    /// Which verdicts may differ after a change.
    pub(super) fn note_dirty(&mut self, change: &Change) {
        if let Some(tablet) = change.tablet() {
            self.dirty.insert(tablet);
            return;
        }
        let node = match change {
            Change::NodeLive { node, .. }
            | Change::NodeConnected { node, .. }
            | Change::NodeDrained { node, .. }
            | Change::FullReportTaken { node }
            | Change::ReportsBroken { node } => Some(*node),
            Change::DiskSeen { fact, node, .. } => {
                let was = self.disk_states.insert(fact.disk, fact.state);
                (was != Some(fact.state)).then_some(*node)
            }
            Change::DiskUnseen { disk, .. } | Change::DiskDrained { disk, .. } => {
                self.disk_states.remove(disk);
                self.world.disks.get(disk).map(|disk| disk.node)
            }
            Change::TableChanged { .. }
            | Change::GroupSet { .. }
            | Change::GroupDropped { .. }
            | Change::LeaseGranted { .. }
            | Change::LeaseEnded { .. }
            | Change::KnobSet { .. }
            | Change::LevelSet { .. }
            | Change::LevelTurned { .. }
            | Change::NodeRemoved { .. } => {
                self.dirty.extend(self.world.tablets.iter().map(|tablet| tablet.id));
                None
            }
            _ => None,
        };
        if let Some(node) = node {
            let here = self.world.tablets.iter().filter(|tablet| tablet.replicas.iter().any(|r| r.node == node));
            self.dirty.extend(here.map(|tablet| tablet.id));
        }
    }

    /// Verdicts for what changed.
    pub(super) fn check_dirty(&mut self) {
        let at = self.at();
        let mut verdicts = Vec::new();
        let bent = bent(self.mutant, &self.world);
        for id in std::mem::take(&mut self.dirty) {
            let Some(tablet) = self.world.tablets.get(id) else {
                self.ill.remove(&id);
                continue;
            };
            let counts = count(&self.world, tablet);
            let seen = bent.as_ref().and_then(|bent| Some((bent, bent.tablets.get(id)?)));
            let verdict = match seen {
                Some((bent, tablet)) => verdict(bent, tablet, at),
                None => verdict_on(&self.world, tablet, &counts, at),
            };
            self.told.min_complete_copies = self.told.min_complete_copies.min(counts.complete);
            if verdict.status == TabletStatus::Healthy {
                if self.ill.remove(&id) {
                    self.told.last_healed_ms = Some(self.now);
                }
            } else {
                self.ill.insert(id);
            }
            verdicts.push((id, verdict));
        }
        let was_ill = self.healthy_at.is_none();
        if self.ill.is_empty() && was_ill {
            self.healthy_at = Some(self.now);
            self.line(format!("all {} tablets are healthy", self.world.tablets.len()));
        } else if !self.ill.is_empty() && !was_ill {
            self.healthy_at = None;
            self.line(format!("{} of {} tablets are not healthy", self.ill.len(), self.world.tablets.len()));
        }
        self.desk_verdicts(verdicts);
    }

    /// The slow look at everything, a piece at a time.
    pub(super) fn sweep(&mut self) {
        let piece = self.world.tablets.iter_from(self.swept).take(SWEEP_TABLETS);
        let ids: Vec<_> = piece.map(|tablet| tablet.id).collect();
        self.swept = match ids.last() {
            Some(last) if ids.len() == SWEEP_TABLETS => stele_common::TabletId(last.0.saturating_add(1)),
            Some(_) | None => stele_common::TabletId(0),
        };
        self.dirty.extend(ids);
        if self.world.tablets.len() <= SWEEP_TABLETS {
            self.check_everything();
        }
    }

    pub(super) fn sample(&mut self) {
        self.reckon_copies();
        let tablets = self.world.tablets.len() as u64;
        let healthy = tablets - self.ill.len() as u64;
        self.told.curve.push(Sample { at_ms: self.now, healthy, tablets, bytes: self.told.bytes_copied });
    }
}

fn progress(copy: &super::copies::Copying) -> TaskFact {
    TaskFact {
        task: copy.order.task,
        tablet: copy.order.label.tablet,
        replica: copy.order.label.replica,
        state: TaskProgress::Running { bytes_done: copy.done, bytes_total: copy.total },
    }
}

fn text_of(happening: &Happening) -> String {
    let names = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ");
    match happening {
        Happening::Kill(node) => format!("EVENT node {node} is killed"),
        Happening::Revive(node) => format!("EVENT node {node} comes back"),
        Happening::Drain(nodes) => format!("EVENT drain of node {}", names(nodes)),
        Happening::Undrain(nodes) => format!("EVENT drain of node {} is taken back", names(nodes)),
        Happening::DrainDisk(disk, true) => format!("EVENT drain of disk {disk}"),
        Happening::DrainDisk(disk, false) => format!("EVENT drain of disk {disk} is taken back"),
        Happening::AddNode(node) => format!("EVENT node {} joins with {} disks", node.id, node.disks.len()),
        Happening::BadReplica(replica) => format!("EVENT replica {replica} is damaged"),
        Happening::DiskFull(disk) => format!("EVENT disk {disk} is full"),
    }
}
