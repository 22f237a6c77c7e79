//! Twins: a copy of a disk that comes up on another host, and an agent that comes up a second time. Nobody can tell which
//! is the copy, so neither disk may be used, and the second agent is sent away while the first is there.

use crate::coordinator::UpBody;
use crate::disk::ModelDisk;
use crate::faults::Undo;
use crate::net::Place;
use crate::options::{MINUTE, SECOND};
use crate::sim::{Next, Sim};
use stele_common::BootId;

impl Sim {
    /// A copy of the disk, made now, comes up on another host. The budget counts the disk as lost while it is about: if
    /// its owner is away for a moment, the copy is taken for it.
    pub fn twin_disk(&mut self, agent: usize, disk: usize) -> bool {
        let is_free = |host: &crate::agent::Agent| host.life.is_some() && host.disks.iter().all(|model| !model.twin);
        let others = (0..self.agents.len()).filter(|other| *other != agent && is_free(&self.agents[*other]));
        let others: Vec<usize> = others.collect();
        let is_out = self.agents.iter().flat_map(|host| &host.disks).any(|model| model.doubled);
        let model = &self.agents[agent].disks[disk];
        let is_fit = model.mounted && model.identity.is_some() && !is_out && self.may_lose(agent, disk);
        let Some(other) = self.fate.pick(&others).filter(|_| is_fit) else { return false };
        self.agents[agent].disks[disk].doubled = true;
        self.touch_disk(agent, disk);
        let twin = ModelDisk { twin: true, doubled: false, draining: false, ..self.agents[agent].disks[disk].clone() };
        self.agents[other].disks.push(twin);
        self.restart(other);
        let after = 2 * MINUTE + self.fate.below(30 * MINUTE);
        self.undo_later(after, Undo::TwinDisk { agent: other });
        true
    }

    /// The operator takes one of the two away: mostly the copy, sometimes what it was made from. What one of them alone
    /// holds by now is not taken: an operator looks, and waits until it has been copied from there.
    pub fn end_twin(&mut self, agent: usize) {
        let Some(place) = self.agents[agent].disks.iter().position(|model| model.twin) else { return };
        let owners = self.agents.iter().enumerate().flat_map(|(owner, host)| {
            let doubled = host.disks.iter().enumerate().filter(|(_, model)| model.doubled);
            doubled.map(move |(disk, _)| (owner, disk)).collect::<Vec<_>>()
        });
        let owner = owners.last();
        let is_same = |(owner, disk): &(usize, usize)| {
            let model = &self.agents[*owner].disks[*disk];
            !self.agents[*owner].gone && model.mounted && model.identity == self.agents[agent].disks[place].identity
        };
        let keeps_copy =
            self.agents[agent].life.is_some() && !self.agents[agent].removed && owner.as_ref().is_some_and(is_same);
        let alone = |agent, disk| self.truth.holds_alone(&self.agents, agent, disk);
        let copy_may_go = !alone(agent, place);
        let owner_may_go = keeps_copy && owner.is_some_and(|(owner, disk)| !alone(owner, disk));
        if owner_may_go && (!copy_may_go || self.fate.below(3) == 0) {
            self.agents[agent].disks[place].twin = false;
            self.touch_disk(agent, place);
        } else if copy_may_go {
            self.agents[agent].disks.remove(place);
            self.restart(agent);
        } else {
            return self.undo_later(10 * MINUTE, Undo::TwinDisk { agent });
        }
        let Some((owner, disk)) = owner else { return };
        let is_kept = self.agents[agent].disks.get(place).is_none();
        let model = &mut self.agents[owner].disks[disk];
        model.doubled = false;
        if is_kept {
            return self.touch_disk(owner, disk);
        }
        *model = ModelDisk::blank(model.total);
        self.restart(owner);
    }

    fn restart(&mut self, agent: usize) {
        self.agent_crash(agent);
        self.queue.put(self.now + SECOND, Next::AgentStart { agent });
    }

    /// The same agent, started a second time somewhere else, introduces itself and is never heard of again.
    pub fn twin_node(&mut self, agent: usize) -> bool {
        let host = &self.agents[agent];
        let Some(life) = host.life.as_ref().filter(|_| self.coordinator.life.is_some()) else { return false };
        let boot = BootId(life.boot.0 + 500_000_000);
        let mut hello = self.hello_of(agent);
        hello.boot = boot;
        self.next_conn += 1;
        let conn = self.next_conn;
        let body = || UpBody::Hello(Box::new(hello.clone()));
        self.send(Place::Agent(agent), Place::Coordinator, || Next::Up { agent, conn, body: body() });
        true
    }
}
