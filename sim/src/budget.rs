//! The budget of faults: what may be damaged so that a cluster which keeps its promises still has one good copy of every
//! committed version. Reads the truth and the catalog; damages nothing itself.

use crate::sim::Sim;
use crate::truth::Spot;
use std::collections::BTreeSet;
use stele_common::{ReplicaId, ReplicaState, TabletId};
use stele_coordinator_rules::Change;

impl Sim {
    /// The disk still exists and another good copy of everything on it stays without it.
    pub fn may_lose(&self, agent: usize, disk: usize) -> bool {
        let model = &self.agents[agent].disks[disk];
        let here = model.replicas.iter().map(|(replica, dir)| (dir.label.tablet, *replica));
        let here = here.chain(model.staged.iter().map(|((_, tablet), staged)| (*tablet, staged.replica)));
        let tablets: BTreeSet<TabletId> = here.map(|(tablet, _)| tablet).collect();
        let is_lost = |spot: &Spot| spot.agent == agent && spot.disk == disk;
        tablets.into_iter().all(|tablet| self.stays_good(tablet, is_lost) && !self.is_sick(tablet))
    }

    /// Whether a good copy of the committed version stays, in the catalog and not on its way out, without those lost.
    pub fn stays_good(&self, tablet: TabletId, is_lost: impl Fn(&Spot) -> bool) -> bool {
        let Some(truth) = self.truth.tablets.get(&tablet) else { return true };
        let Some(life) = self.coordinator.life.as_ref().filter(|_| !self.on_old_store) else { return false };
        let Some(known) = life.world.tablets.get(tablet) else { return false };
        if known.wanted <= 1 {
            // One copy is acknowledged by one holder: it affords no loss, however many there happen to be.
            return false;
        }
        let is_kept = |replica: ReplicaId| {
            let mut found = known.replicas.iter().filter(|known| known.id == replica);
            found.any(|known| known.state == ReplicaState::Normal && known.bad.is_none())
        };
        let holders = self.truth.holders(&self.agents, tablet, truth.committed);
        holders.iter().any(|spot| !is_lost(spot) && is_kept(spot.replica))
    }

    /// Damage that nobody has mended yet: a second one would be unfair.
    pub fn is_sick(&self, tablet: TabletId) -> bool {
        self.truth.is_damaged_somewhere(&self.agents, tablet)
    }
}

/// What a copy of the log lacks of what disks may show: a store that lacks none of it is as good as new. Nothing when
/// the log was written anew since the copy was made.
pub fn lost_decisions(log: &[Change], backup: &[Change]) -> BTreeSet<&'static str> {
    if log.get(..backup.len()) != Some(backup) {
        return BTreeSet::new();
    }
    let shown = log[backup.len()..].iter().filter_map(|change| match change {
        Change::LoadCommitted { .. } => Some("commits"),
        Change::ReplicaAdded { .. } => Some("new replicas"),
        Change::ReplicaDropped { .. } => Some("drops"),
        Change::TableAdded { .. } => Some("tables"),
        _ => None,
    });
    shown.collect()
}
