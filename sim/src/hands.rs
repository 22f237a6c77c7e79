//! What operators do by hand: call replicas bad and good, give nodes and tables other tags, remove nodes and let them come
//! back. Each goes in by the front door; the budget keeps it to what a careful person may do.

use crate::coordinator::Asker;
use crate::faults::Undo;
use crate::options::{HOUR, MINUTE, SECOND};
use crate::sim::{Next, Sim};
use stele_common::api::{AdmitAsk, RemoveAsk, ReplicaSet, ReplicaWord, TableSet};
use stele_common::{ReplicaId, TabletId};
use stele_coordinator_rules::EventBody;

impl Sim {
    /// Somebody calls a good replica bad.
    pub fn set_bad(&mut self, agent: usize, disk: usize) -> bool {
        let here = self.agents[agent].disks[disk].replicas.iter();
        let here: Vec<(TabletId, ReplicaId)> = here.map(|(replica, dir)| (dir.label.tablet, *replica)).collect();
        let Some((tablet, replica)) = self.fate.pick(&here) else { return false };
        if self.is_sick(tablet) || !self.stays_good(tablet, |spot| spot.replica == replica) {
            return false;
        }
        // From now on it may be called what it is not without anyone's guilt.
        let now = self.now;
        if let Some(dir) = self.agents[agent].disks[disk].replicas.get_mut(&replica) {
            dir.damaged = Some(now);
        }
        self.say(tablet, replica, ReplicaWord::Bad);
        let most = if self.fate.coin() { SECOND } else { MINUTE };
        let after = self.fate.below(most);
        self.undo_later(after, Undo::Pardon { tablet, replica });
        true
    }

    /// Somebody says of it, rightly or wrongly, that it is good.
    pub fn set_ok(&mut self, tablet: TabletId, replica: ReplicaId) {
        let known = self.coordinator.life.as_ref().and_then(|life| life.world.tablets.get(tablet));
        if known.is_some_and(|known| known.replicas.iter().any(|other| other.id == replica && other.bad.is_some())) {
            *self.stats.faults.entry("set_ok").or_default() += 1;
            self.say(tablet, replica, ReplicaWord::Ok);
        }
    }

    fn say(&mut self, tablet: TabletId, replica: ReplicaId, state: ReplicaWord) {
        let wish = ReplicaSet { state, owner: "operator".to_string(), reason: "a look".to_string() };
        self.coordinate(EventBody::SetReplica { tablet, replica, wish }, Asker::Nobody);
    }

    /// A host gets the other tag, where both kinds of tables keep enough hosts.
    pub fn tag_node(&mut self, agent: usize) -> bool {
        let host = &self.agents[agent];
        let (old, new) = if host.tag == "b" { ("b", "default") } else { ("default", "b") };
        let is_used = self.mix.tables.iter().any(|table| table.tag == "b");
        if !is_used || host.draining || host.life.is_none() || self.staying(old) <= self.needed(old) + 1 {
            return false;
        }
        self.agents[agent].tag = new;
        self.agent_crash(agent);
        self.queue.put(self.now + SECOND, Next::AgentStart { agent });
        true
    }

    /// A table is to stand on the hosts of the other tag, if these are enough.
    pub fn tag_table(&mut self) -> bool {
        let index = self.fate.below(self.mix.tables.len() as u64) as usize;
        let table = self.mix.tables[index].clone();
        let tag = if table.tag == "b" { "default" } else { "b" };
        if table.colocate || self.on_old_store || self.staying(tag) <= u64::from(table.replication) {
            return false;
        }
        let wish = TableSet { tag: Some(tag.to_string()), ..TableSet::default() };
        let name = format!("t{index}");
        self.coordinate(EventBody::SetTable { db: "d".to_string(), name, wish }, Asker::Nobody);
        self.mix.tables[index].tag = tag;
        true
    }

    /// A node is removed, by force or if nothing stands there; some time later it may come back.
    pub fn remove_node(&mut self, agent: usize) -> bool {
        let (tag, draining) = (self.agents[agent].tag, self.agents[agent].draining);
        let left = self.staying(tag) + u64::from(draining);
        let Some(node) = self.node_of(agent).filter(|_| !self.on_old_store && left > self.needed(tag)) else {
            return false;
        };
        let disks = 0..self.agents[agent].disks.len();
        let force = self.fate.coin() && disks.into_iter().all(|disk| self.may_lose(agent, disk));
        let ask = RemoveAsk { force, check: self.fate.below(8) == 0, owner: "operator".to_string() };
        self.coordinate(EventBody::RemoveNode { node, ask }, Asker::Nobody);
        let is_gone = self.node_of(agent).is_none();
        if is_gone {
            // What lies there is nobody's any more, and may come back as strays.
            (0..self.agents[agent].disks.len()).for_each(|disk| self.touch_disk(agent, disk));
            self.agents[agent].removed = true;
            let after = MINUTE + self.fate.below(2 * HOUR);
            self.undo_later(after, Undo::Admit { agent });
        }
        is_gone
    }

    /// It may join again.
    pub fn admit_node(&mut self, agent: usize) {
        if !self.agents[agent].removed {
            return;
        }
        let ask = AdmitAsk { host: self.agents[agent].host.clone(), name: None };
        self.coordinate(EventBody::AdmitNode(ask), Asker::Nobody);
        // The word may have been lost with a leadership, or have met none: it is given again until the node is there.
        if self.node_of(agent).is_some() {
            self.agents[agent].removed = false;
        } else {
            self.undo_later(MINUTE, Undo::Admit { agent });
        }
    }

    /// A host that is lost for good is taken out: while too many of those that should be there are away, the level stays
    /// down until a person says that nobody waits for them.
    pub fn bury(&mut self, agent: usize) {
        let Some(node) = self.node_of(agent).filter(|_| self.agents[agent].gone) else { return };
        let ask = RemoveAsk { force: true, check: false, owner: "operator".to_string() };
        self.coordinate(EventBody::RemoveNode { node, ask }, Asker::Nobody);
        if self.node_of(agent).is_some() {
            self.undo_later(MINUTE, Undo::Bury { agent });
        }
    }

    /// A host whose agent comes and goes for some hours.
    pub fn begin_flapping(&mut self, agent: usize) -> bool {
        let until = self.now + HOUR + self.fate.below(3 * HOUR);
        self.flap(agent, until);
        true
    }

    /// Down for twenty seconds to a minute, up for as long.
    pub fn flap(&mut self, agent: usize, until: u64) {
        if self.now >= until || self.agents[agent].gone || self.phase == crate::sim::Phase::Calm {
            return;
        }
        let down = 20 * SECOND + self.fate.below(MINUTE);
        if self.agents[agent].life.is_some() {
            self.agent_crash(agent);
            self.queue.put(self.now + down, Next::AgentStart { agent });
        }
        let up = 20 * SECOND + self.fate.below(MINUTE);
        self.undo_later(down + up, Undo::Flap { agent, until });
    }
}
