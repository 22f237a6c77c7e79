//! Faults, and the budget that keeps them fair: at most so much at once that a cluster which keeps its promises still
//! has one good copy of every committed version. Before each damage the truth is asked whether another good copy stays.

use crate::Rng;
pub use crate::fault::{Fault, Undo};
use crate::net::Place;
use crate::options::{HOUR, MINUTE, SECOND};
use crate::sim::{Next, Phase, Sim};
use stele_common::status::Level;
use stele_common::{BootId, api};
use stele_coordinator_rules::EventBody;

/// Of a thousand ops, or commits, so many are cut in the middle where such crashes are on.
const AIMED_AT_OPS: u64 = 8;
const AIMED_AT_COMMITS: u64 = 5;

impl Sim {
    /// Puts the first of each kind into the queue.
    pub fn plan_faults(&mut self) {
        for fault in self.mix.faults.kinds() {
            self.plan(fault);
        }
    }

    fn plan(&mut self, fault: Fault) {
        if let Some(mean) = self.mix.faults.mean(fault) {
            let at = self.now + 2 * MINUTE + self.chance(fault).around(mean);
            self.queue.put(at, Next::Fault { fault });
        }
    }

    fn chance(&mut self, fault: Fault) -> &mut Rng {
        if fault.is_whim() { &mut self.whim } else { &mut self.fate }
    }

    /// One fault, if the budget has room for it.
    pub fn fault(&mut self, fault: Fault) {
        if self.phase == Phase::Calm {
            return;
        }
        self.plan(fault);
        self.stir();
        let (agents, disks) = (self.agents.len() as u64, self.mix.disks_per_host);
        let agent = self.chance(fault).below(agents) as usize;
        let disk = self.chance(fault).below(disks) as usize;
        let is_of_host = !fault.is_whim() && !matches!(fault, Fault::CoordinatorCrash | Fault::OldStore | Fault::Rival);
        if is_of_host && self.agents[agent].gone {
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
            Fault::Scatter => self.scatter(agent, disk),
            Fault::Rival => self.begin_rival(),
            Fault::TwinDisk => self.twin_disk(agent, disk),
            Fault::TwinNode => self.twin_node(agent),
            Fault::Flap => self.begin_flapping(agent),
            Fault::Drain => self.drain_host(agent),
            Fault::DrainDisk => self.drain_disk(agent, disk),
            Fault::Maintain => self.maintain(agent),
            Fault::Urgent => self.hurry(),
            Fault::Replication => self.change_replication(),
            Fault::Storm => self.storm(),
            Fault::SetBad => self.set_bad(agent, disk),
            Fault::NodeTag => self.tag_node(agent),
            Fault::TableTag => self.tag_table(),
            Fault::Remove => self.remove_node(agent),
            Fault::Knob => self.turn_knob(),
            Fault::Level => self.change_level(),
            Fault::Pause => self.pause(agent, disk),
        };
        if happened {
            *self.stats.faults.entry(fault.name()).or_default() += 1;
            self.trace.decision(self.now, &format!("fault {} host-{} disk-{}", fault.name(), agent + 1, disk + 1));
        }
    }

    /// Now and then a crash is aimed at what has just begun and takes so long.
    pub fn crash_point(&mut self, next: Next, took: u64) {
        let (mean, permille) = match next {
            Next::AgentCrashPoint { .. } => (self.mix.faults.mean(Fault::AgentCrash), AIMED_AT_OPS),
            Next::CoordinatorCrashPoint { .. } => (self.mix.faults.mean(Fault::CoordinatorCrash), AIMED_AT_COMMITS),
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

    pub fn crash_for_a_while(&mut self, agent: usize) -> bool {
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

    /// Something changed that the cluster answers to: an operator, the end of a fault, room that trash held until now.
    pub fn acted(&mut self) {
        // Who tries again and again, for as long as it is refused, must not put the end off for ever.
        self.acted_at = self.now.min(self.options.end());
    }

    /// A fault is over.
    pub fn undo(&mut self, undo: Undo) {
        self.acted();
        self.stir();
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
            Undo::FullDrains => self.give_up_full_drains(),
            Undo::Switched { agent, down } if self.agents[agent].life.is_some() && self.phase == Phase::Chaos => {
                self.agent_crash(agent);
                self.queue.put(self.now + down, Next::AgentStart { agent });
            }
            Undo::Switched { .. } => {}
            Undo::TrueStore => self.true_store(),
            Undo::Rival => self.end_rival(),
            Undo::TwinDisk { agent } => self.end_twin(agent),
            Undo::Flap { agent, until } => self.flap(agent, until),
            Undo::Pardon { tablet, replica } => self.set_ok(tablet, replica),
            Undo::Admit { agent } => self.admit_node(agent),
            Undo::Bury { agent } => self.bury(agent),
            Undo::Knob { name } => self.knob_back(name),
            Undo::Level => self.set_level(Level::Lively),
            Undo::Whims => self.settle_whims(),
        }
    }

    /// Faults are over: everything that is left runs, is connected and sound.
    pub fn become_calm(&mut self) {
        self.trace.decision(self.now, "calm");
        self.phase = Phase::Calm;
        self.true_store();
        self.end_rival();
        self.net.calm();
        for agent in 0..self.agents.len() {
            self.end_twin(agent);
            self.admit_node(agent);
            if self.agents[agent].gone {
                self.undo_later(10 * MINUTE, Undo::Bury { agent });
            }
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
        self.undo_later(MINUTE, Undo::Whims);
        self.undo_later(2 * MINUTE, Undo::Drains);
        self.undo_later(HOUR, Undo::FullDrains);
        // Rot that nobody has read yet is looked for at once.
        let verify = EventBody::Verify(api::VerifyStart { table: None, tablets: Vec::new() });
        let event = Box::new(verify);
        self.queue.put(self.now + 3 * MINUTE, Next::Asked { client: 0, attempt: 0, event });
    }
}
