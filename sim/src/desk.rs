//! The coordinator's checker and scheduler actors: verdicts for what changed, rounds of the desk, its wishes on their way
//! to the catalog some time after they were decided on.

use crate::Mutant;
use crate::coordinator::{Asker, Life};
use crate::mutant::{bent, straighten};
use crate::options::{MINUTE, SECOND};
use crate::sim::{Next, Sim};
use stele_common::{TabletStatus, Tick};
use stele_coordinator_rules::balance::selection::{Selection, select};
use stele_coordinator_rules::schedule::{DeskAction, DeskEvent};
use stele_coordinator_rules::{Change, EventBody, Proposal, checkup};

/// The desk's round.
pub const ROUND_MS: u64 = SECOND;
/// Everything is looked at again this often.
pub const SWEEP_MS: u64 = MINUTE;

impl Sim {
    pub fn ask_check(&mut self) {
        let after = 10 + self.work.below(150);
        let Some(life) = self.coordinator.life.as_mut().filter(|life| !life.check_due && !life.dirty.is_empty()) else {
            return;
        };
        life.check_due = true;
        let life = life.number;
        self.queue.put(self.now + after, Next::Check { life });
    }

    /// Verdicts for what changed.
    pub fn check_dirty(&mut self, number: u64) {
        let Some(at) = self.tick_of() else { return };
        let Some(life) = self.coordinator.life.as_mut().filter(|life| life.number == number) else { return };
        life.check_due = false;
        let dirty = std::mem::take(&mut life.dirty);
        let bent = bent(self.options.mutant, &life.world);
        let world = bent.as_ref().unwrap_or(&life.world);
        let found = dirty.into_iter().filter_map(|id| {
            let tablet = world.tablets.get(id)?;
            Some((id, checkup::verdict(world, tablet, at)))
        });
        let verdicts = found.collect();
        self.desk(at, DeskEvent::Verdicts(verdicts));
    }

    /// The slow look at everything.
    pub fn sweep(&mut self, number: u64) {
        let Some(life) = self.coordinator.life.as_mut().filter(|life| life.number == number) else { return };
        life.dirty = life.world.tablets.iter().map(|tablet| tablet.id).collect();
        self.ask_check();
        self.queue.put(self.now + SWEEP_MS, Next::Sweep { life: number });
    }

    /// The desk hands out what may start.
    pub fn desk_round(&mut self, number: u64) {
        let Some(at) = self.tick_of() else { return };
        if self.coordinator.life.as_ref().is_none_or(|life| life.number != number) {
            return;
        }
        self.desk(at, DeskEvent::Round);
        self.ask_check();
        self.queue.put(self.now + ROUND_MS, Next::Round { life: number });
    }

    pub fn desk(&mut self, at: Tick, event: DeskEvent) {
        let Some(life) = &mut self.coordinator.life else { return };
        let number = life.number;
        let bent = bent(self.options.mutant, &life.world);
        let actions = life.desk.step(bent.as_ref().unwrap_or(&life.world), at, event);
        for action in actions {
            match action {
                DeskAction::Propose(mut proposal) => {
                    if let (Some(_), Some(life)) = (&bent, &self.coordinator.life) {
                        proposal = straighten(proposal, &life.world);
                    }
                    if !self.is_rival {
                        self.check_maintenance(&proposal);
                    }
                    let after = 1 + self.work.below(200);
                    self.queue.put(self.now + after, Next::Propose { life: number, proposal });
                }
                DeskAction::AskMoves { scope, limit } => {
                    // The planner looks at what was published when it was asked, and takes its time.
                    let Some(life) = &self.coordinator.life else { return };
                    let answer = select(&life.world, &scope, limit);
                    let after = 1 + self.work.below(2 * SECOND);
                    self.queue.put(self.now + after, Next::Moves { life: number, answer });
                }
                DeskAction::Explain { reason, .. } => *self.stats.refusals.entry(reason.code()).or_default() += 1,
            }
        }
    }

    /// The planner has looked.
    pub fn moves(&mut self, number: u64, answer: Selection) {
        let Some(at) = self.tick_of() else { return };
        if self.coordinator.life.as_ref().is_some_and(|life| life.number == number) {
            self.desk(at, DeskEvent::Moves(answer));
        }
    }

    /// [`Mutant::VictimReversed`].
    fn reverse_victim(&self, proposal: &mut Proposal) {
        let Proposal::Delete { tablet, victim, .. } = proposal else { return };
        let life = self.coordinator.life.as_ref().filter(|_| self.breaks(Mutant::VictimReversed));
        let known = life.and_then(|life| life.world.tablets.get(*tablet));
        let good = known.into_iter().flat_map(|tablet| &tablet.replicas).filter(|replica| replica.bad.is_none());
        if let Some(newest) = good.map(|replica| replica.id).max() {
            *victim = newest;
        }
    }

    /// [`Mutant::ColocateDropSwapped`].
    fn swap_colocate(&self, proposal: &mut Proposal) {
        let Proposal::Delete { tablet, victim, status: TabletStatus::ColocateRedundant, .. } = proposal else { return };
        let life = self.coordinator.life.as_ref().filter(|_| self.breaks(Mutant::ColocateDropSwapped));
        let Some(life) = life else { return };
        let Some(known) = life.world.tablets.get(*tablet) else { return };
        let Some(bucket) = life.world.bucket_nodes(known) else { return };
        let mut inside = known.replicas.iter().filter(|replica| bucket.contains(&replica.node));
        if let Some(replica) = inside.find(|replica| replica.bad.is_none()) {
            *victim = replica.id;
        }
    }

    /// A wish of the desk reaches the catalog, some time after it was decided on.
    pub fn propose(&mut self, number: u64, mut proposal: Proposal) {
        self.reverse_victim(&mut proposal);
        self.swap_colocate(&mut proposal);
        if self.coordinator.life.as_ref().is_none_or(|life| life.number != number) {
            return;
        }
        let tablet = proposal.tablet();
        self.turning(Some(&proposal));
        self.coordinate(EventBody::Propose(proposal), Asker::Desk { tablet });
        self.turning(None);
    }
}

/// The tablets whose verdict may differ after a change.
pub fn note_dirty(life: &mut Life, change: &Change) {
    if let Some(tablet) = change.tablet() {
        life.dirty.insert(tablet);
        return;
    }
    match change {
        Change::LoadCommitted { load, .. } => life.dirty.extend(load.tablets.keys()),
        Change::LoadVisible { key, .. } => {
            if let Some(load) = life.world.loads.get(key) {
                life.dirty.extend(load.tablets.keys());
            }
        }
        Change::NodeLive { .. }
        | Change::NodeConnected { .. }
        | Change::FullReportTaken { .. }
        | Change::DiskSeen { .. }
        | Change::DiskUnseen { .. }
        | Change::DiskAdded { .. }
        | Change::DiskMoved { .. }
        | Change::DiskReplaced { .. }
        | Change::TableAdded { .. }
        | Change::TabletsAdded { .. }
        | Change::KnobSet { .. }
        | Change::LevelSet { .. }
        | Change::LevelTurned { .. } => life.dirty.extend(life.world.tablets.iter().map(|tablet| tablet.id)),
        _ => {}
    }
}
