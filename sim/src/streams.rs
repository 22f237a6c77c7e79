//! Load streams into members: what a primary and the members that it forwards to do until a load is durable.
//!
//! In: a stream that arrives. Out: a staged directory on the model disk, then the book's `LoadStaged`, then the
//! client's answer. As in the real shell, a stream is refused without a lease, a disk or the replica.

use crate::agent::Life;
use crate::clients::ClientNext;
use crate::disk::{StagedDir, staged_fact};
use crate::net::Place;
use crate::sim::{Next, Sim};
use crate::{Mutant, truth::TabletTruth};
use std::sync::Arc;
use stele_agent_rules::event::EventBody;
use stele_common::{Ballot, Delta, DiskState, Epoch, LoadId, NodeId, ReplicaId, TabletId, Version, VersionHash};

/// A load on its way into one replica.
#[derive(Clone, Debug)]
pub struct Stream {
    pub agent: usize,
    pub replica: ReplicaId,
    pub load: LoadId,
    pub tablet: TabletId,
    pub epoch: Epoch,
    pub ballot: Ballot,
    pub parent: Version,
    pub parent_hash: VersionHash,
    pub version: Version,
    /// `None` to the primary, which works it out.
    pub hash: Option<VersionHash>,
    pub delta: Arc<Delta>,
    /// The client streams to it; only the primary answers.
    pub primary: bool,
    /// Whom the primary forwards to.
    pub forward: Vec<(usize, ReplicaId)>,
    pub client: usize,
    pub attempt: u64,
}

impl Stream {
    fn bytes(&self) -> u64 {
        self.delta.put.iter().map(|file| file.size).sum()
    }
}

/// The agent that runs as `node`.
pub fn agent_of(sim: &Sim, node: NodeId) -> Option<usize> {
    sim.agents.iter().position(|agent| agent.life.as_ref().is_some_and(|life| life.node == Some(node)))
}

impl Sim {
    /// The head of a stream arrives.
    pub fn stream_arrives(&mut self, mut stream: Stream) {
        if let Err(why) = self.accept(&mut stream) {
            self.trace.line(self.now, format_args!("stream {} into {} refused: {why}", stream.load, stream.replica));
            self.tell_client(&stream, false);
            return;
        }
        for (agent, replica) in std::mem::take(&mut stream.forward) {
            let forwarded = Stream { agent, replica, primary: false, ..stream.clone() };
            let (from, to) = (Place::Agent(stream.agent), Place::Agent(agent));
            self.send(from, to, || Next::Stream { stream: Box::new(forwarded.clone()) });
        }
        let Some(life) = &mut self.agents[stream.agent].life else { return };
        life.streams.insert((stream.load, stream.replica));
        let boot = life.boot;
        if self.breaks(Mutant::AckBeforeDurable) {
            self.say_staged(&stream);
        }
        let slow = if self.work.permille(10) { 15_000 } else { 0 };
        let took = 5 + self.work.below(40) + stream.bytes() / 50_000 + self.work.below(slow + 1);
        self.queue.put(self.now + took, Next::Staged { boot, stream: Box::new(stream) });
    }

    fn accept(&self, stream: &mut Stream) -> Result<(), &'static str> {
        let agent = &self.agents[stream.agent];
        let life = agent.life.as_ref().ok_or("the agent is down")?;
        if !self.has_lease(life) {
            return Err("no lease");
        }
        let disk = agent.disk_of(stream.replica).ok_or("no such replica")?;
        let book = &life.books[&disk];
        let model = &agent.disks[disk];
        let fails = model.failing && !self.breaks(Mutant::FailedSyncTrusted);
        if book.state != DiskState::Online || !model.mounted || model.full || fails {
            return Err("the disk does not take it");
        }
        if stream.epoch < book.epoch {
            return Err("stale epoch");
        }
        let held = &book.replicas[&stream.replica];
        if held.label.tablet != stream.tablet || held.bad.is_some() || held.wishes.drop.is_some() {
            return Err("the replica is bad or leaving");
        }
        if stream.primary {
            if (held.head, held.hash) != (stream.parent, stream.parent_hash) {
                return Err("the primary's head is not the parent");
            }
            let base = model.replicas.get(&stream.replica).and_then(|dir| dir.manifest(stream.parent));
            stream.hash = Some(base.ok_or("no manifest")?.with(&stream.delta, stream.version).hash());
        }
        Ok(())
    }

    /// Whether the coordinator has heard the agent lately.
    pub fn has_lease(&self, life: &Life) -> bool {
        life.heard.is_some_and(|heard| self.now - heard <= self.mix.knobs.lease_ms)
    }

    /// Everything of a stream has been written and synced.
    pub fn stream_staged(&mut self, boot: stele_common::BootId, stream: Stream) {
        let trusts = self.breaks(Mutant::FailedSyncTrusted);
        let host = &mut self.agents[stream.agent];
        let Some(life) = host.life.as_mut().filter(|life| life.boot == boot) else { return };
        life.streams.remove(&(stream.load, stream.replica));
        let disk = host.disk_of(stream.replica);
        let usable = disk.filter(|disk| {
            let model = &host.disks[*disk];
            model.mounted && !model.full && (!model.failing || trusts)
        });
        let (Some(disk), Some(hash)) = (usable, stream.hash) else {
            return self.tell_client(&stream, false);
        };
        if host.disks[disk].failing {
            // Only where a failed sync is believed: in the cache, and nowhere else.
            self.say_staged(&stream);
            return self.tell_client(&stream, true);
        }
        let staged = StagedDir {
            replica: stream.replica,
            ballot: stream.ballot,
            parent: stream.parent,
            version: stream.version,
            hash,
            bytes: stream.bytes(),
            delta: stream.delta.clone(),
        };
        host.disks[disk].staged.insert((stream.load, stream.tablet), staged);
        self.truth.durable.insert((stream.load, stream.replica));
        self.trace.event(1, self.now, stream.load.0, stream.replica.0);
        self.say_staged(&stream);
        self.tell_client(&stream, true);
    }

    fn say_staged(&mut self, stream: &Stream) {
        let Some(disk) = self.agents[stream.agent].disk_of(stream.replica) else { return };
        let Some(hash) = stream.hash else { return };
        let staged = staged_fact(&StagedDir {
            replica: stream.replica,
            ballot: stream.ballot,
            parent: stream.parent,
            version: stream.version,
            hash,
            bytes: stream.bytes(),
            delta: stream.delta.clone(),
        });
        let body = EventBody::LoadStaged { load: stream.load, tablet: stream.tablet, staged };
        self.agent_event(stream.agent, disk, body);
    }

    fn tell_client(&mut self, stream: &Stream, durable: bool) {
        if !stream.primary {
            return;
        }
        let (client, attempt, tablet) = (stream.client, stream.attempt, stream.tablet);
        let step = ClientNext::Streamed { attempt, tablet, durable };
        let (from, to) = (Place::Agent(stream.agent), Place::Client(client));
        self.send(from, to, || Next::Client { client, step: step.clone() });
    }

    /// The truth about a tablet that exists.
    pub fn tablet_truth(&self, tablet: TabletId) -> Option<&TabletTruth> {
        self.truth.tablets.get(&tablet)
    }
}
