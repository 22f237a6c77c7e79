//! The coordinator's sessions: what agents say reaches the catalog and the roster, answers find whoever asked.

use crate::Mutant;
use crate::clients::ClientNext;
use crate::coordinator::{Asker, UpBody};
use crate::net::Place;
use crate::sim::{DownBody, Next, Sim};
use stele_common::handshake::Answer as Handshake;
use stele_common::{BootId, NodeId, Report, ToAgent};
use stele_coordinator_rules::roster::RosterEvent;
use stele_coordinator_rules::schedule::DeskEvent;
use stele_coordinator_rules::{Answer, EventBody};

impl Sim {
    pub fn answer(&mut self, to: Asker, answer: Answer) {
        match (to, answer) {
            (Asker::Agent { agent, conn, boot }, Answer::Handshake(answer)) => {
                if let Handshake::Welcome(welcome) = &answer {
                    let node = welcome.node;
                    if let Some(life) = &mut self.coordinator.life {
                        life.conns.insert(node, (agent, conn));
                    }
                    self.down(agent, conn, DownBody::Handshake(Box::new(answer)));
                    self.roster(RosterEvent::Connected { node, boot });
                } else {
                    self.down(agent, conn, DownBody::Handshake(Box::new(answer)));
                }
            }
            (Asker::Agent { agent, conn, boot }, Answer::Refused(_)) => {
                // It was removed: when it dials again it is told so.
                if let Some(life) = &mut self.coordinator.life {
                    life.conns.retain(|_, there| *there != (agent, conn));
                }
                let broken = || Next::LinkBroken { agent, boot, conn };
                self.send(Place::Coordinator, Place::Agent(agent), broken);
            }
            (Asker::Client { client, attempt }, answer) => {
                let step = match answer {
                    Answer::Load(opened) => ClientNext::Opened { attempt, opened: Box::new(opened) },
                    Answer::Refused(reason) => ClientNext::Refused { attempt, reason: reason.code() },
                    Answer::Done | Answer::Table(_) | Answer::Verification(_) | Answer::Started(_) => return,
                    Answer::Handshake(_) | Answer::Evacuation(_) | Answer::Undrained(_) | Answer::Removal(_) => return,
                    Answer::Lease(_) | Answer::Plan(_) => return,
                };
                let to = Place::Client(client);
                self.send(Place::Coordinator, to, || Next::Client { client, step: step.clone() });
            }
            (Asker::Desk { tablet }, answer) => {
                let answer = match answer {
                    Answer::Started(task) => Ok(task),
                    Answer::Refused(reason) => Err(reason),
                    Answer::Done | Answer::Handshake(_) | Answer::Table(_) | Answer::Load(_) => return,
                    Answer::Verification(_) | Answer::Evacuation(_) | Answer::Undrained(_) | Answer::Removal(_) => {
                        return;
                    }
                    Answer::Lease(_) | Answer::Plan(_) => return,
                };
                if let Some(at) = self.tick_of() {
                    self.desk(at, DeskEvent::Answered { tablet, answer });
                }
            }
            (Asker::Nobody | Asker::Agent { .. }, _) => {}
        }
    }

    /// A message of an agent arrives; nobody is there to hear it while the process is down.
    pub fn coordinator_hears(&mut self, agent: usize, conn: u64, body: UpBody) {
        self.trace.event(6, self.now, agent as u64, conn);
        match body {
            UpBody::Hello(hello) => {
                let Some(life) = &mut self.coordinator.life else { return };
                let latest = life.latest.entry(agent).or_default();
                if conn < *latest {
                    return;
                }
                *latest = conn;
                let asker = Asker::Agent { agent, conn, boot: hello.boot };
                let (told, boot) = (hello.store_seen, hello.boot);
                let first = life.world.nodes.values().find(|node| node.host == hello.host).cloned();
                self.coordinate(EventBody::Hello { hello: *hello, proof: [0; 32] }, asker);
                if !self.is_rival {
                    self.check_blind(told);
                    self.check_first_stays(first, boot);
                }
            }
            UpBody::Beat { node, boot } => {
                let Some(life) = self.coordinator.life.as_ref() else { return };
                if life.conns.get(&node) != Some(&(agent, conn)) {
                    return;
                }
                let heard = ToAgent::Heard { epoch: life.world.epoch, sequence: life.sequence_to_tell() };
                self.roster(RosterEvent::Beat { node, boot });
                self.down(agent, conn, DownBody::Message(heard));
            }
            UpBody::Report { node, report } => {
                let life = self.coordinator.life.as_ref();
                if life.is_none_or(|life| life.conns.get(&node) != Some(&(agent, conn))) {
                    return;
                }
                let report = self.bend_report(node, report);
                if self.trace.keeps_lines() {
                    let (seq, kind, count) = (report.seq, report.kind, report.facts.len());
                    self.trace.line(self.now, format_args!("report {seq} of {node}: {kind:?}, {count} facts"));
                }
                let asker = Asker::Agent { agent, conn, boot: report.boot };
                self.coordinate(EventBody::Reported { node, report }, asker);
            }
        }
    }

    /// [`Mutant::StaleReportAccepted`], [`Mutant::RegressionAccepted`] and [`Mutant::LateCloneCounts`].
    fn bend_report(&self, node: NodeId, mut report: Report) -> Report {
        let Some(life) = &self.coordinator.life else { return report };
        let Some(known) = life.world.nodes.get(&node) else { return report };
        if self.breaks(Mutant::StaleReportAccepted)
            && let Some(boot) = known.boot
            && (boot != report.boot || report.seq <= known.seq)
        {
            (report.boot, report.seq) = (boot, known.seq + 1);
        }
        if self.breaks(Mutant::RegressionAccepted) {
            for fact in &mut report.facts {
                let stele_common::Fact::Replica(fact) = fact else { continue };
                let Some(tablet) = life.world.tablets.get(fact.tablet) else { continue };
                let Some(known) = tablet.replicas.iter().find(|known| known.id == fact.replica) else { continue };
                let record = tablet.versions.iter().find(|record| record.version == known.version);
                if let Some(record) = record.filter(|record| record.version > fact.version) {
                    (fact.version, fact.hash, fact.pending) = (record.version, record.hash, record.version);
                }
            }
        }
        if self.breaks(Mutant::LateCloneCounts) {
            for fact in &mut report.facts {
                let stele_common::Fact::Replica(fact) = fact else { continue };
                let Some(tablet) = life.world.tablets.get(fact.tablet) else { continue };
                if tablet.replicas.iter().any(|replica| replica.id == fact.replica) {
                    continue;
                }
                if let Some(wanted) = tablet.replicas.iter().find(|replica| replica.node == node) {
                    (fact.replica, fact.disk) = (wanted.id, wanted.disk);
                }
            }
        }
        report
    }

    /// A connection's end is noticed.
    pub fn link_closed(&mut self, agent: usize, boot: BootId, conn: u64) {
        let Some(life) = &mut self.coordinator.life else { return };
        let found = life.conns.iter().find(|(_, there)| **there == (agent, conn)).map(|(node, _)| *node);
        if let Some(node) = found {
            life.conns.remove(&node);
            self.roster(RosterEvent::Closed { node, boot });
        }
    }

    pub fn roster(&mut self, event: RosterEvent) {
        let Some(at) = self.tick_of() else { return };
        let knobs = &self.mix.knobs;
        let Some(life) = &mut self.coordinator.life else { return };
        for (node, liveness) in life.roster.step(at, knobs, event) {
            if liveness == stele_common::Liveness::Lost && self.breaks(Mutant::DeadHostCounts) {
                continue;
            }
            self.trace.decision(self.now, &format!("node {node} is {liveness}"));
            self.coordinate(EventBody::NodeTurned { node, liveness }, Asker::Nobody);
        }
    }
}
