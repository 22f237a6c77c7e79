//! A coordinator that goes on with an older copy of its store, until its own comes back.

use crate::Mutant;
use crate::budget::lost_decisions;
use crate::faults::Undo;
use crate::options::{HOUR, MINUTE, SECOND};
use crate::sim::{Next, Sim};
use std::sync::Arc;
use stele_common::handshake::StoreMark;
use stele_common::status::Level;
use stele_coordinator_rules::{Change, World};

impl Sim {
    pub fn old_store(&mut self) -> bool {
        if self.coordinator.life.is_none() || self.on_old_store || self.rival.is_some() {
            return false;
        }
        let Some(backup) = self.coordinator.backup.take() else {
            // From a copy of a minute ago, of which almost everything is still true, to one of yesterday.
            self.coordinator.backup = Some(self.coordinator.log.clone());
            let after = self.fate.pick(&[MINUTE, 10 * MINUTE, HOUR, 5 * HOUR]).unwrap_or(HOUR);
            self.undo_later(after, Undo::UseBackup);
            return false;
        };
        let log = &self.coordinator.log;
        let is_older = backup.len() < log.len() && log.get(..backup.len()) == Some(&backup[..]);
        let lost = lost_decisions(log, &backup);
        let mark = self.mark_of(&backup);
        let is_told = self.everyone_knows_of_more(mark);
        // Where agents do not remember how far the store was, only a load, a table or a later leadership can tell their
        // word from an old store's: ids are burnt in blocks, so replicas made since may look like ones that were dropped
        // long ago. Drops stay evidenced even so.
        if !is_older || !is_told && !lost.contains("commits") && !lost.contains("tables") {
            return false;
        }
        self.old_mark = Some(mark).filter(|_| is_told);
        if is_told {
            *self.stats.faults.entry("old_store_by_count").or_default() += 1;
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

    /// How far a store is that holds this log.
    fn mark_of(&self, log: &[Change]) -> StoreMark {
        let mut world = World::empty(Arc::new(self.mix.knobs.clone()));
        log.iter().for_each(|change| world.apply(change));
        StoreMark { epoch: world.epoch, sequence: world.sequence }
    }

    /// Every host that is left has on its disks that the store was further than this.
    fn everyone_knows_of_more(&self, mark: StoreMark) -> bool {
        let here = self.agents.iter().filter(|agent| !agent.gone);
        let seen = here.map(|agent| agent.disks.iter().filter(|disk| disk.mounted).map(|disk| disk.store_seen).max());
        seen.into_iter().all(|seen| seen.is_some_and(|seen| seen > mark))
    }

    /// An agent that knows of more has introduced itself: nothing may be done on this store.
    pub fn check_blind(&mut self, told: StoreMark) {
        let Some(mark) = self.old_mark.filter(|mark| self.on_old_store && told > *mark) else { return };
        *self.stats.checks.entry("I16 blind").or_default() += 1;
        let Some(life) = &self.coordinator.life else { return };
        let level = life.world.level;
        let is_blind = match level {
            Level::Stopped | Level::Blind => true,
            Level::Freezed | Level::Steady | Level::Lively => false,
        };
        if !is_blind && !self.breaks(Mutant::OldStoreTrusted) {
            self.violate("I16 blind", || format!("the store ends at {mark:?}, an agent was told {told:?}: {level}"));
        }
    }

    pub fn true_store(&mut self) {
        let Some(log) = self.coordinator.true_log.take() else { return };
        self.coordinator_crash();
        self.coordinator.log = log;
        self.on_old_store = false;
        self.queue.put(self.now + SECOND, Next::CoordinatorStart);
    }
}
