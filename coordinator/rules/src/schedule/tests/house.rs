//! A house with the real Catalog: desk and catalog decide, agents obey at once, and after every event the catalog's
//! invariants and the promises of every drop are asked (by [`Play`]). And what its tests arrange.

use super::*;
use crate::balance::selection::select;
use crate::catalog::tests::{Play, answer, orders};
use crate::checkup::count;
use crate::world::{Group, Task};
use crate::{Action, Answer, EventBody};
use std::collections::VecDeque;
use std::sync::Arc;
use stele_common::{Fact, OrderBody, Version};

/// A desk, a catalog, and agents that do what they are told.
pub struct House {
    pub play: Play,
    pub desk: Desk,
    pub inbox: VecDeque<(NodeId, OrderBody)>,
    /// Answers to Confirm are withheld: deletions get no evidence.
    pub mute: bool,
}

impl House {
    /// Waits are short: stories are about what follows on what.
    pub fn of(mut sample: Sample) -> House {
        let knobs = Arc::make_mut(&mut sample.world.knobs);
        (knobs.assign_delay_ms, knobs.assign_delay_below_majority_ms, knobs.evidence_timeout_ms) =
            (5_000, 1_000, 5_000);
        House { play: Play::new(sample), desk: Desk::new(), inbox: VecDeque::new(), mute: false }
    }

    pub fn sample(&mut self) -> &mut Sample {
        &mut self.play.sample
    }

    /// The checker speaks, a round follows, the catalog decides, agents obey. What was proposed.
    pub fn round(&mut self) -> Vec<Proposal> {
        let (world, at) = (self.play.world(), self.play.sample.at);
        let verdicts = world.tablets.iter().map(|tablet| (tablet.id, verdict(world, tablet, at))).collect();
        self.desk.step(self.play.world(), at, DeskEvent::Verdicts(verdicts));
        let actions = self.desk.step(self.play.world(), at, DeskEvent::Round);
        for action in &actions {
            if let DeskAction::AskMoves { scope, limit } = action {
                let answer = select(self.play.world(), scope, *limit);
                self.desk.step(self.play.world(), at, DeskEvent::Moves(answer));
            }
        }
        let proposals = proposals(actions);
        for proposal in &proposals {
            let actions = self.happens(EventBody::Propose(proposal.clone()));
            let answer = match answer(&actions) {
                Answer::Started(task) => Ok(*task),
                Answer::Refused(reason) => Err(reason.clone()),
                _ => continue,
            };
            let tablet = proposal.tablet();
            self.desk.step(self.play.world(), at, DeskEvent::Answered { tablet, answer });
        }
        self.obey();
        proposals
    }

    /// Time passes, with a round each second.
    pub fn lives(&mut self, seconds: u64) -> Vec<Proposal> {
        let mut all = Vec::new();
        for _ in 0..seconds {
            self.play.sample.at = self.play.sample.at.plus(1_000);
            self.happens(EventBody::Tick);
            self.obey();
            all.extend(self.round());
        }
        all
    }

    pub fn happens(&mut self, body: EventBody) -> Vec<Action> {
        let before: BTreeMap<TabletId, Task> = self.play.world().tasks.clone();
        let actions = self.play.happens(body);
        self.inbox.extend(orders(&actions).into_iter().map(|(node, order)| (node, order.clone())));
        let mut running = before;
        for action in &actions {
            let Action::Record(change) = action else { continue };
            if let Change::TaskStarted { task } = change {
                running.insert(task.tablet, task.clone());
            }
            if let Change::TaskEnded { tablet, outcome, .. } = change {
                let (task, outcome) = (running.remove(tablet).expect("it ran"), outcome.clone());
                let at = self.play.sample.at;
                self.desk.step(self.play.world(), at, DeskEvent::Ended { task, outcome });
            }
        }
        actions
    }

    fn obey(&mut self) {
        while let Some((node, order)) = self.inbox.pop_front() {
            let known = &self.play.world().nodes[&node];
            if known.liveness != Liveness::Alive {
                continue;
            }
            let Some(fact) = self.deed(order) else { continue };
            let (boot, seq) = (known.boot.expect("it is alive"), known.seq + 1);
            let report = stele_common::Report { boot, seq, kind: stele_common::ReportKind::Delta, facts: vec![fact] };
            self.happens(EventBody::Reported { node, report });
        }
    }

    /// What an agent reports after an order.
    fn deed(&self, order: OrderBody) -> Option<Fact> {
        let whole = |tablet: TabletId, replica: ReplicaId, version: Version| {
            let tablet = self.play.world().tablets.get(tablet)?;
            tablet.replicas.iter().find(|known| known.id == replica)?;
            Some(Fact::Replica(self.play.fact(tablet.id, replica, version.0)))
        };
        let held = |tablet: TabletId, replica: ReplicaId| {
            let known = self.play.world().tablets.get(tablet)?.replicas.iter().find(|known| known.id == replica)?;
            known.seen.as_ref().map(|seen| (seen.version, seen.hash))
        };
        match order {
            OrderBody::Create { label, .. } => whole(label.tablet, label.replica, Version(0)),
            OrderBody::Clone(order) => whole(order.label.tablet, order.label.replica, order.version),
            OrderBody::Confirm { tablet, replica, nonce } if !self.mute => {
                let (version, hash) = held(tablet, replica)?;
                Some(Fact::Confirmed { tablet, replica, version, hash, nonce })
            }
            OrderBody::Verify { tablet, replica } => whole(tablet, replica, held(tablet, replica)?.0),
            _ => None,
        }
    }

    pub fn status(&self, tablet: TabletId) -> TabletStatus {
        verdict(self.play.world(), self.play.sample.tablet(tablet), self.play.sample.at).status
    }

    pub fn complete(&self, tablet: TabletId) -> u32 {
        count(self.play.world(), self.play.sample.tablet(tablet)).complete
    }

    /// Rounds until nothing is proposed for a while and nothing runs; the statuses that one tablet went through.
    pub fn settle(&mut self, tablet: TabletId) -> Vec<TabletStatus> {
        let mut path = vec![self.status(tablet)];
        let mut quiet = 0;
        for _ in 0..600 {
            let busy = !self.lives(1).is_empty() || !self.play.world().tasks.is_empty();
            quiet = if busy { 0 } else { quiet + 1 };
            if *path.last().expect("it begins with one") != self.status(tablet) {
                path.push(self.status(tablet));
            }
            if quiet > 70 {
                return path;
            }
        }
        panic!("it never comes to rest: {path:?}")
    }

    pub fn hosts(&self, tablet: TabletId) -> Vec<String> {
        let replicas = &self.play.sample.tablet(tablet).replicas;
        let mut hosts: Vec<String> =
            replicas.iter().map(|replica| self.play.world().nodes[&replica.node].host.clone()).collect();
        hosts.sort();
        hosts
    }
}

/// One tablet of `n` copies at version 1.
pub fn sample(hosts: u64, disks: u64, n: u32) -> (Sample, TabletId) {
    let mut sample = Sample::new(hosts, disks);
    let tablet = sample.table(n, 1)[0];
    sample.load_all(tablet);
    (sample, tablet)
}

pub fn drain(sample: &mut Sample, node: NodeId) {
    sample.apply(Change::NodeDrained { node, on: true });
}

/// Gives a node its labels.
pub fn label(sample: &mut Sample, node: NodeId, rack: &str, tag: &str) {
    let known = sample.world.nodes[&node].clone();
    let (boot, at) = (known.boot.expect("it has connected"), sample.at);
    let (peer, http, build, rack, tag) = (known.peer, known.http, known.build, rack.into(), tag.into());
    sample.apply(Change::NodeConnected { node, boot, peer, http, build, rack, tag, at });
    sample.apply(Change::FullReportTaken { node });
}

/// Changes the table of a tablet.
pub fn table(sample: &mut Sample, tablet: TabletId, with: impl FnOnce(&mut crate::world::Table)) {
    let mut table = (*sample.world.tables[&sample.tablet(tablet).table]).clone();
    with(&mut table);
    sample.apply(Change::TableChanged { table });
}

/// Puts the tablet's table into a group whose bucket is these nodes.
pub fn group(sample: &mut Sample, tablet: TabletId, nodes: &[NodeId]) {
    let name = "g".to_string();
    table(sample, tablet, |table| table.group = Some("g".into()));
    sample.apply(Change::GroupSet { group: Group::new(name, vec![nodes.to_vec()]) });
}

/// A second node on the host of a node.
pub fn twin(sample: &mut Sample, of: NodeId, tag: &str) -> NodeId {
    let node = NodeId(sample.id());
    let (host, name) = (sample.world.nodes[&of].host.clone(), format!("twin-{of}"));
    sample.apply(Change::NodeAdded { node, host, name, rack: String::new(), tag: tag.into() });
    sample.connect(node, stele_common::BootId(node.0));
    sample.disk(node, stele_common::Medium::Hdd);
    label(sample, node, "", tag);
    node
}
