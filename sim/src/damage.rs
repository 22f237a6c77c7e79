//! What may happen to disks and to the bytes on them: full, failing, out of sight, emptied, rotten, put back from an older
//! copy. Each asks the budget first, so that what is demanded of the cluster stays fair.

use crate::faults::Undo;
use crate::options::{HOUR, MINUTE, SECOND};
use crate::sim::{Next, Sim};
use crate::truth::{Spot, disks, find};
use stele_common::{Digest, ReplicaId, ReplicaState, TabletId, api};
use stele_coordinator_rules::EventBody;
use stele_coordinator_rules::world::Replica;

impl Sim {
    pub fn fill(&mut self, agent: usize, disk: usize) -> bool {
        self.agents[agent].disks[disk].full = true;
        let after = MINUTE + self.fate.below(40 * MINUTE);
        self.undo_later(after, Undo::Full { agent, disk });
        true
    }

    pub fn break_disk(&mut self, agent: usize, disk: usize) -> bool {
        self.agents[agent].disks[disk].failing = true;
        let after = MINUTE + self.fate.below(30 * MINUTE);
        self.undo_later(after, Undo::Error { agent, disk });
        true
    }

    pub fn unmount(&mut self, agent: usize, disk: usize) -> bool {
        let model = &mut self.agents[agent].disks[disk];
        if !model.mounted {
            return false;
        }
        model.mounted = false;
        let after = 10 * SECOND + self.fate.below(40 * MINUTE);
        self.undo_later(after, Undo::Mount { agent, disk });
        true
    }

    pub fn rot(&mut self, agent: usize, disk: usize) -> bool {
        let model = &self.agents[agent].disks[disk];
        let replicas: Vec<ReplicaId> = model.replicas.keys().copied().collect();
        let Some(replica) = self.fate.pick(&replicas) else { return false };
        let dir = &model.replicas[&replica];
        let places: Vec<usize> = (0..dir.data.len()).collect();
        let Some(place) = self.fate.pick(&places) else { return false };
        let tablet = dir.label.tablet;
        let is_lost = |spot: &Spot| spot.replica == replica;
        if self.is_sick(tablet) || !self.stays_good(tablet, is_lost) {
            return false;
        }
        let vanishes = self.fate.below(4) == 0;
        let now = self.now;
        let dir = self.agents[agent].disks[disk].replicas.get_mut(&replica).expect("picked above");
        dir.damaged = Some(now);
        let file = dir.data.keys().nth(place).cloned().expect("picked below the length");
        if vanishes {
            dir.data.remove(&file);
        } else if let Some(body) = dir.data.get_mut(&file) {
            body.digest = Digest::of(format!("rot {now}").as_bytes());
        }
        self.touched.insert(tablet);
        true
    }

    /// Every copy of a tablet rots, each in another file, while all of them are good: what is left is the whole, in pieces.
    pub fn scatter(&mut self, agent: usize, disk: usize) -> bool {
        let tablets = self.agents[agent].disks[disk].replicas.values().map(|dir| dir.label.tablet);
        let tablets: Vec<TabletId> = tablets.collect();
        let Some(tablet) = self.fate.pick(&tablets).filter(|tablet| self.may_scatter(*tablet)) else { return false };
        let now = self.now;
        let mut place = self.fate.below(8) as usize;
        let models = self.agents.iter_mut().flat_map(|host| &mut host.disks);
        let models = models.filter(|model| !model.destroyed && !model.twin);
        let dirs = models.flat_map(|model| model.replicas.values_mut());
        for dir in dirs.filter(|dir| dir.label.tablet == tablet) {
            let Some(papers) = dir.versions.get(&dir.head).cloned() else { continue };
            let entries = &papers.manifest.entries;
            let Some((path, entry)) = entries.iter().nth(place % entries.len()) else { continue };
            if let Some(body) = dir.data.get_mut(&(entry.added, path.clone())) {
                body.digest = Digest::of(format!("rot {now}").as_bytes());
            }
            dir.damaged = Some(now);
            place += 1;
        }
        self.truth.scattered.insert(tablet);
        self.touched.insert(tablet);
        true
    }

    /// At least two copies, all at the committed version, all whole, nothing under way, on disks that are there.
    fn may_scatter(&self, tablet: TabletId) -> bool {
        let (Some(truth), Some(life)) = (self.truth.tablets.get(&tablet), &self.coordinator.life) else { return false };
        let Some(known) = life.world.tablets.get(tablet) else { return false };
        let mut files = usize::MAX;
        let mut is_good = |replica: &Replica| {
            let found = find(&self.agents, replica.id);
            found.is_some_and(|(spot, model, dir)| {
                files = files.min(dir.versions.get(&dir.head).map_or(0, |papers| papers.manifest.entries.len()));
                let host = &self.agents[spot.agent];
                let is_there = !host.removed && !host.gone && !model.doubled && model.mounted;
                is_there && dir.head == truth.committed && replica.state == ReplicaState::Normal
            })
        };
        let is_quiet = !self.on_old_store && self.rival.is_none() && !self.is_sick(tablet);
        let is_still = truth.decided == truth.committed && !life.world.tasks.contains_key(&tablet);
        let all_good = known.replicas.iter().all(&mut is_good);
        let others = disks(&self.agents).flat_map(|(_, _, model)| model.replicas.keys().map(move |id| (model, id)));
        let listed = |id: &ReplicaId| known.replicas.iter().any(|replica| replica.id == *id);
        let mut of_tablet = others.filter(|(model, id)| model.replicas[id].label.tablet == tablet);
        let no_strays = of_tablet.all(|(_, id)| listed(id));
        let staged = disks(&self.agents).any(|(_, _, model)| model.staged.keys().any(|(_, of)| *of == tablet));
        is_quiet && is_still && all_good && no_strays && !staged && known.replicas.len() >= 2 && files >= 2
    }

    pub fn empty(&mut self, agent: usize, disk: usize) -> bool {
        if !self.agents[agent].disks[disk].mounted || !self.may_lose(agent, disk) {
            return false;
        }
        self.touch_disk(agent, disk);
        let model = &mut self.agents[agent].disks[disk];
        *model = crate::disk::ModelDisk::blank(model.total);
        let after = 10 * MINUTE + self.fate.below(HOUR);
        self.undo_later(after, Undo::Emptied { agent, disk });
        true
    }

    /// A replica's directory is put back from an older copy while its agent is down.
    pub fn regress(&mut self, agent: usize, disk: usize) -> bool {
        let model = &self.agents[agent].disks[disk];
        if !model.mounted || model.identity.is_none() {
            return false;
        }
        let older = model.replicas.iter().filter(|(_, dir)| dir.versions.len() > 1);
        let replicas: Vec<ReplicaId> = older.map(|(replica, _)| *replica).collect();
        let Some(replica) = self.fate.pick(&replicas) else { return false };
        let tablet = model.replicas[&replica].label.tablet;
        if self.is_sick(tablet) || !self.stays_good(tablet, |spot| spot.replica == replica) {
            return false;
        }
        self.agent_crash(agent);
        let now = self.now;
        let model = &mut self.agents[agent].disks[disk];
        if let Some(dir) = model.replicas.get_mut(&replica) {
            dir.damaged = Some(now);
            let head = dir.head;
            dir.versions.remove(&head);
            dir.data.retain(|(added, _), _| *added != head);
            dir.head = dir.versions.keys().next_back().copied().unwrap_or_default();
        }
        self.touched.insert(tablet);
        self.queue.put(now + SECOND, Next::AgentStart { agent });
        true
    }

    pub fn touch_disk(&mut self, agent: usize, disk: usize) {
        let now = self.now;
        for dir in self.agents[agent].disks[disk].replicas.values_mut() {
            dir.damaged = Some(now);
            self.touched.insert(dir.label.tablet);
        }
    }

    /// The operator gives the emptied directory's place away, and the agent is restarted.
    pub fn replace_disk(&mut self, agent: usize, disk: usize) {
        let host = &self.agents[agent];
        if host.gone || host.disks[disk].identity.is_some() {
            return;
        }
        let path = crate::agent::Agent::path(disk);
        let known = self.coordinator.life.as_ref().and_then(|life| {
            let of_host = |disk: &&stele_coordinator_rules::world::Disk| {
                let node = life.world.nodes.get(&disk.node);
                disk.path == path && disk.replaced_by.is_none() && node.is_some_and(|node| node.host == host.host)
            };
            life.world.disks.values().find(of_host).map(|disk| disk.id)
        });
        let host_name = host.host.clone();
        if let Some(replace) = known.filter(|_| !self.on_old_store) {
            let init = api::DiskInit { host: host_name, path, replace };
            self.coordinate(EventBody::InitDisk(init), crate::coordinator::Asker::Nobody);
        }
        self.agent_crash(agent);
        self.queue.put(self.now + SECOND, Next::AgentStart { agent });
        self.undo_later(10 * MINUTE, Undo::Emptied { agent, disk });
    }
}
