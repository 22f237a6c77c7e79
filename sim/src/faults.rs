//! Faults, and the budget that keeps them fair: at most so much at once that a cluster which keeps its promises still
//! has one good copy of every committed version. Before each damage the truth is asked whether another good copy stays.

use crate::budget::lost_decisions;
use crate::net::Place;
use crate::options::{HOUR, MINUTE, SECOND};
use crate::sim::{Next, Phase, Sim};
use crate::truth::Spot;
use stele_common::{BootId, Digest, ReplicaId, api};
use stele_coordinator_rules::EventBody;

/// Of a thousand ops, or commits, so many are cut in the middle where such crashes are on.
const AIMED_AT_OPS: u64 = 8;
const AIMED_AT_COMMITS: u64 = 5;

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    AgentCrash,
    CoordinatorCrash,
    HostGone,
    Cut,
    DiskFull,
    DiskError,
    Rot,
    Unmount,
    Emptied,
    OldStore,
    Regress,
    /// Operators' doings, see `people`.
    Drain,
    DrainDisk,
    Maintain,
    Urgent,
    Replication,
    Storm,
}

/// How it is over.
#[derive(Clone, Debug)]
pub enum Undo {
    Cut(Vec<(Place, Place)>),
    Full {
        agent: usize,
        disk: usize,
    },
    Error {
        agent: usize,
        disk: usize,
    },
    Mount {
        agent: usize,
        disk: usize,
    },
    Emptied {
        agent: usize,
        disk: usize,
    },
    /// An operator thinks again about a drain.
    Drain {
        agent: usize,
    },
    DrainDisk {
        agent: usize,
        disk: usize,
    },
    /// Drains that could not end are taken back.
    Drains,
    /// A host under maintenance is switched off for so long.
    Switched {
        agent: usize,
        down: u64,
    },
    /// The copy of the store that was made takes its place.
    UseBackup,
    TrueStore,
}

impl Fault {
    const ALL: [Fault; 17] = [
        Fault::AgentCrash,
        Fault::CoordinatorCrash,
        Fault::HostGone,
        Fault::Cut,
        Fault::DiskFull,
        Fault::DiskError,
        Fault::Rot,
        Fault::Unmount,
        Fault::Emptied,
        Fault::OldStore,
        Fault::Regress,
        Fault::Drain,
        Fault::DrainDisk,
        Fault::Maintain,
        Fault::Urgent,
        Fault::Replication,
        Fault::Storm,
    ];

    fn name(self) -> &'static str {
        match self {
            Fault::AgentCrash => "agent_crash",
            Fault::CoordinatorCrash => "coordinator_crash",
            Fault::HostGone => "host_gone",
            Fault::Cut => "cut",
            Fault::DiskFull => "disk_full",
            Fault::DiskError => "disk_error",
            Fault::Rot => "rot",
            Fault::Unmount => "unmount",
            Fault::Emptied => "emptied",
            Fault::OldStore => "old_store",
            Fault::Regress => "regress",
            Fault::Drain => "drain",
            Fault::DrainDisk => "drain_disk",
            Fault::Maintain => "maintain",
            Fault::Urgent => "urgent",
            Fault::Replication => "replication",
            Fault::Storm => "storm",
        }
    }
}

impl Sim {
    fn mean(&self, fault: Fault) -> Option<u64> {
        let mix = &self.mix.faults;
        match fault {
            Fault::AgentCrash => mix.agent_crash,
            Fault::CoordinatorCrash => mix.coordinator_crash,
            Fault::HostGone => mix.host_gone,
            Fault::Cut => mix.cut,
            Fault::DiskFull => mix.disk_full,
            Fault::DiskError => mix.disk_error,
            Fault::Rot => mix.rot,
            Fault::Unmount => mix.unmount,
            Fault::Emptied => mix.emptied,
            Fault::OldStore => mix.old_store,
            Fault::Regress => mix.regress,
            Fault::Drain => mix.drain,
            Fault::DrainDisk => mix.drain_disk,
            Fault::Maintain => mix.maintain,
            Fault::Urgent => mix.urgent,
            Fault::Replication => mix.replication,
            Fault::Storm => mix.storm,
        }
    }

    /// Puts the first of each kind into the queue.
    pub fn plan_faults(&mut self) {
        for fault in Fault::ALL {
            self.plan(fault);
        }
    }

    fn plan(&mut self, fault: Fault) {
        if let Some(mean) = self.mean(fault) {
            let at = self.now + 2 * MINUTE + self.fate.around(mean);
            self.queue.put(at, Next::Fault { fault });
        }
    }

    /// One fault, if the budget has room for it.
    pub fn fault(&mut self, fault: Fault) {
        if self.phase == Phase::Calm {
            return;
        }
        self.plan(fault);
        let agent = self.fate.below(self.agents.len() as u64) as usize;
        let disk = self.fate.below(self.agents[agent].disks.len() as u64) as usize;
        if self.agents[agent].gone && fault != Fault::CoordinatorCrash && fault != Fault::OldStore {
            return;
        }
        let happened = match fault {
            Fault::AgentCrash => self.crash_for_a_while(agent),
            Fault::CoordinatorCrash => self.restart_coordinator(),
            Fault::HostGone => self.lose_host(agent),
            Fault::Cut => self.cut_some(agent),
            Fault::DiskFull => self.fill(agent, disk),
            Fault::DiskError => self.break_disk(agent, disk),
            Fault::Rot => self.rot(agent, disk),
            Fault::Unmount => self.unmount(agent, disk),
            Fault::Emptied => self.empty(agent, disk),
            Fault::OldStore => self.old_store(),
            Fault::Regress => self.regress(agent, disk),
            Fault::Drain | Fault::DrainDisk | Fault::Maintain | Fault::Urgent | Fault::Replication | Fault::Storm => {
                self.wish(fault, agent, disk)
            }
        };
        if happened {
            *self.stats.faults.entry(fault.name()).or_default() += 1;
            self.trace.decision(self.now, &format!("fault {} host-{} disk-{}", fault.name(), agent + 1, disk + 1));
        }
    }

    /// Now and then a crash is aimed at what has just begun and takes so long.
    pub fn crash_point(&mut self, next: Next, took: u64) {
        let (mean, permille) = match next {
            Next::AgentCrashPoint { .. } => (self.mix.faults.agent_crash, AIMED_AT_OPS),
            Next::CoordinatorCrashPoint { .. } => (self.mix.faults.coordinator_crash, AIMED_AT_COMMITS),
            _ => (None, 0),
        };
        if mean.is_some() && self.phase == Phase::Chaos && self.fate.permille(permille) {
            let at = self.now + self.fate.below(took);
            self.queue.put(at, next);
        }
    }

    pub fn agent_crash_point(&mut self, agent: usize, boot: BootId) {
        let runs = self.agents[agent].life.as_ref().is_some_and(|life| life.boot == boot);
        if runs && self.phase == Phase::Chaos && self.crash_for_a_while(agent) {
            *self.stats.faults.entry("agent_crash_in_op").or_default() += 1;
        }
    }

    pub fn coordinator_crash_point(&mut self, life: u64) {
        let runs = self.coordinator.life.as_ref().is_some_and(|running| running.number == life);
        if runs && self.phase == Phase::Chaos && self.restart_coordinator() {
            *self.stats.faults.entry("coordinator_crash_in_commit").or_default() += 1;
        }
    }

    pub fn undo_later(&mut self, after: u64, undo: Undo) {
        self.queue.put(self.now + after, Next::Undo { undo });
    }

    fn crash_for_a_while(&mut self, agent: usize) -> bool {
        if self.agents[agent].life.is_none() {
            return false;
        }
        self.agent_crash(agent);
        let down = match self.fate.below(4) {
            0 => self.fate.below(2 * SECOND),
            1 | 2 => self.fate.below(2 * MINUTE),
            _ => self.fate.below(30 * MINUTE),
        };
        self.queue.put(self.now + down, Next::AgentStart { agent });
        true
    }

    fn restart_coordinator(&mut self) -> bool {
        if self.coordinator.life.is_none() || self.on_old_store {
            return false;
        }
        self.coordinator_crash();
        self.jump_wall();
        let down = if self.fate.coin() { self.fate.below(3 * SECOND) } else { self.fate.below(2 * MINUTE) };
        self.queue.put(self.now + down, Next::CoordinatorStart);
        true
    }

    /// The wall clock is set; nothing that matters may hang on it.
    fn jump_wall(&mut self) {
        let day = 24 * HOUR;
        self.wall_ms = match self.fate.below(6) {
            0 => self.wall_ms + day,
            1 => self.wall_ms - day,
            2 => self.wall_ms + 60 * day,
            _ => self.wall_ms,
        };
    }

    fn lose_host(&mut self, agent: usize) -> bool {
        let (tag, draining) = (self.agents[agent].tag, self.agents[agent].draining);
        let left = self.staying(tag) + u64::from(draining);
        let all: Vec<usize> = (0..self.agents[agent].disks.len()).collect();
        if left <= self.needed(tag) || !all.iter().all(|disk| self.may_lose(agent, *disk)) {
            return false;
        }
        self.agent_crash(agent);
        self.agents[agent].gone = true;
        for disk in all {
            self.agents[agent].disks[disk].destroyed = true;
            self.touch_disk(agent, disk);
        }
        true
    }

    fn cut_some(&mut self, agent: usize) -> bool {
        let me = Place::Agent(agent);
        let other = self.fate.below(self.agents.len() as u64) as usize;
        let coordinator = Place::Coordinator;
        let cut = match self.fate.below(5) {
            0 => vec![(me, coordinator)],
            1 => vec![(coordinator, me)],
            2 => vec![(me, coordinator), (coordinator, me)],
            3 => vec![(me, Place::Agent(other))],
            _ => {
                let others = (0..self.agents.len()).filter(|other| *other != agent).map(Place::Agent);
                others.chain([coordinator]).flat_map(|place| [(me, place), (place, me)]).collect()
            }
        };
        cut.iter().for_each(|(from, to)| self.net.cut(*from, *to));
        let after = 5 * SECOND + self.fate.below(10 * MINUTE);
        self.undo_later(after, Undo::Cut(cut));
        true
    }

    fn fill(&mut self, agent: usize, disk: usize) -> bool {
        self.agents[agent].disks[disk].full = true;
        let after = MINUTE + self.fate.below(40 * MINUTE);
        self.undo_later(after, Undo::Full { agent, disk });
        true
    }

    fn break_disk(&mut self, agent: usize, disk: usize) -> bool {
        self.agents[agent].disks[disk].failing = true;
        let after = MINUTE + self.fate.below(30 * MINUTE);
        self.undo_later(after, Undo::Error { agent, disk });
        true
    }

    fn unmount(&mut self, agent: usize, disk: usize) -> bool {
        let model = &mut self.agents[agent].disks[disk];
        if !model.mounted {
            return false;
        }
        model.mounted = false;
        let after = 10 * SECOND + self.fate.below(40 * MINUTE);
        self.undo_later(after, Undo::Mount { agent, disk });
        true
    }

    fn rot(&mut self, agent: usize, disk: usize) -> bool {
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

    fn empty(&mut self, agent: usize, disk: usize) -> bool {
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
    fn regress(&mut self, agent: usize, disk: usize) -> bool {
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

    fn old_store(&mut self) -> bool {
        if self.coordinator.life.is_none() || self.on_old_store {
            return false;
        }
        let Some(backup) = self.coordinator.backup.take() else {
            // From a copy of a minute ago, of which almost everything is still true, to one of yesterday.
            self.coordinator.backup = Some(self.coordinator.log.clone());
            let after = self.fate.pick(&[MINUTE, 10 * MINUTE, HOUR, 5 * HOUR]).unwrap_or(HOUR);
            self.undo_later(after, Undo::UseBackup);
            return false;
        };
        let lost = lost_decisions(&self.coordinator.log, &backup);
        // Only a load, a table or a later leadership can tell an agent's word from an old store's: ids are burnt in
        // blocks, so replicas made since may look like ones that were dropped long ago. Drops stay evidenced even so.
        if !lost.contains("commits") && !lost.contains("tables") {
            return false;
        }
        let text =
            format!("old store: {} changes are lost, among them {lost:?}", self.coordinator.log.len() - backup.len());
        self.trace.decision(self.now, &text);
        *self.stats.faults.entry("old_store_used").or_default() += 1;
        self.coordinator_crash();
        self.on_old_store = true;
        self.coordinator.true_log = Some(std::mem::replace(&mut self.coordinator.log, backup));
        self.queue.put(self.now + SECOND, Next::CoordinatorStart);
        let after = 10 * MINUTE + self.fate.below(20 * MINUTE);
        self.undo_later(after, Undo::TrueStore);
        true
    }

    fn touch_disk(&mut self, agent: usize, disk: usize) {
        let now = self.now;
        for dir in self.agents[agent].disks[disk].replicas.values_mut() {
            dir.damaged = Some(now);
            self.touched.insert(dir.label.tablet);
        }
    }

    /// A fault is over.
    pub fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Cut(cut) => cut.iter().for_each(|(from, to)| self.net.heal(*from, *to)),
            Undo::Full { agent, disk } => self.agents[agent].disks[disk].full = false,
            Undo::Error { agent, disk } => {
                self.agents[agent].disks[disk].failing = false;
                // Somebody changed the cable and restarts the agent, which judges the disk anew.
                self.agent_crash(agent);
                self.queue.put(self.now + SECOND, Next::AgentStart { agent });
            }
            Undo::Mount { agent, disk } => self.agents[agent].disks[disk].mounted = true,
            Undo::Emptied { agent, disk } => self.replace_disk(agent, disk),
            Undo::UseBackup if self.phase == Phase::Chaos && self.coordinator.backup.is_some() => {
                self.old_store();
            }
            Undo::UseBackup => {}
            Undo::Drain { agent } => self.undrain(agent, None),
            Undo::DrainDisk { agent, disk } => self.undrain(agent, Some(disk)),
            Undo::Drains => self.settle_drains(),
            Undo::Switched { agent, down } if self.agents[agent].life.is_some() && self.phase == Phase::Chaos => {
                self.agent_crash(agent);
                self.queue.put(self.now + down, Next::AgentStart { agent });
            }
            Undo::Switched { .. } => {}
            Undo::TrueStore => self.true_store(),
        }
    }

    /// The operator gives the emptied directory's place away, and the agent is restarted.
    fn replace_disk(&mut self, agent: usize, disk: usize) {
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

    fn true_store(&mut self) {
        let Some(log) = self.coordinator.true_log.take() else { return };
        self.coordinator_crash();
        self.coordinator.log = log;
        self.on_old_store = false;
        self.queue.put(self.now + SECOND, Next::CoordinatorStart);
    }

    /// Faults are over: everything that is left runs, is connected and sound.
    pub fn become_calm(&mut self) {
        self.trace.decision(self.now, "calm");
        self.phase = Phase::Calm;
        self.true_store();
        self.net.calm();
        for agent in 0..self.agents.len() {
            let mut restart = false;
            for disk in 0..self.agents[agent].disks.len() {
                let model = &mut self.agents[agent].disks[disk];
                restart |= model.failing;
                (model.failing, model.full, model.mounted) = (false, false, true);
                if model.identity.is_none() {
                    self.undo_later(MINUTE, Undo::Emptied { agent, disk });
                }
            }
            let life = self.agents[agent].life.as_ref();
            let suspect = |book: &stele_agent_rules::Book| book.suspected.is_some();
            restart |= life.is_some_and(|life| life.books.values().any(suspect));
            if restart {
                self.agent_crash(agent);
            }
            self.queue.put(self.now + SECOND, Next::AgentStart { agent });
        }
        self.queue.put(self.now + 3 * SECOND, Next::CoordinatorStart);
        self.undo_later(2 * MINUTE, Undo::Drains);
        // Rot that nobody has read yet is looked for at once.
        let verify = EventBody::Verify(api::VerifyStart { table: None });
        let event = Box::new(verify);
        self.queue.put(self.now + 3 * MINUTE, Next::Asked { client: 0, attempt: 0, event });
    }
}
