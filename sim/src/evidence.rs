//! What must hold of every order as it leaves, and of the evidence of each deletion: witnesses hold what is said of them,
//! the last good copy never goes, nothing is put in before its record is stored.

use crate::disk::ReplicaDir;
use crate::sim::Sim;
use crate::truth::find_anywhere;
use stele_common::{Evidence, OrderBody, ReplicaId, TabletId, ToAgent, Version, Witness};

impl Sim {
    /// An order as it leaves.
    pub fn check_order(&mut self, message: &ToAgent) {
        let ToAgent::Order(order) = message else { return };
        let old = self.on_old_store;
        match &order.body {
            OrderBody::Drop { tablet, replica, evidence } => {
                if old {
                    self.violate("I16 old store", || format!("an old store drops replica {replica}"));
                }
                self.check_evidence(*tablet, *replica, evidence, 1);
                self.truth.dropped.insert(*replica);
            }
            OrderBody::Purge { tablet, replica, evidence } => {
                if old {
                    self.violate("I16 old store", || format!("an old store purges replica {replica}"));
                }
                self.check_evidence(*tablet, *replica, evidence, 1);
                self.truth.purged.insert(*replica);
            }
            OrderBody::AbortLoad { load } => {
                // One that was committed so long ago that its version is collected may be cleared away.
                let Some(life) = self.leader() else { return };
                let is_kept =
                    life.world.tablets.iter().any(|tablet| tablet.versions.iter().any(|record| record.load == *load));
                if is_kept {
                    self.violate("I1 acknowledged", || format!("committed load {load} is aborted"));
                }
            }
            OrderBody::CommitLoad { load, tablet, version, .. } => {
                // Of a table that was dropped meanwhile nothing matters any more.
                let known = self.truth.tablets.get(tablet).map(|truth| truth.versions.get(version));
                if known.is_some_and(|record| record.is_none_or(|(_, id)| id != load)) {
                    self.violate("I2 commit", || format!("load {load} is ordered in before its record is stored"));
                }
            }
            OrderBody::DiscardLoad { load, tablet, replica } => {
                let Some(life) = self.leader() else { return };
                let tablet = life.world.tablets.get(*tablet);
                if tablet.is_some_and(|tablet| tablet.replicas.iter().any(|known| known.id == *replica)) {
                    self.violate("I1 acknowledged", || {
                        format!("load {load} is discarded at replica {replica}, which stays")
                    });
                }
            }
            OrderBody::Create { .. }
            | OrderBody::Clone(_)
            | OrderBody::CancelTask { .. }
            | OrderBody::Confirm { .. }
            | OrderBody::Verify { .. }
            | OrderBody::Collect { .. } => {}
        }
    }

    pub fn check_remaining(&mut self, tablet: TabletId, victim: ReplicaId) {
        let Some(truth) = self.truth.tablets.get(&tablet) else { return };
        if self.truth.scattered.contains(&tablet) {
            // Others that nobody knows to be damaged bear witness; that no piece goes is looked after byte by byte.
            return;
        }
        let holders = self.truth.holders_anywhere(&self.agents, tablet, truth.acked);
        let was_good = holders.iter().any(|spot| spot.replica == victim);
        let Some(life) = &self.coordinator.life else { return };
        let Some(known) = life.world.tablets.get(tablet) else { return };
        let is_listed = |id| known.replicas.iter().any(|replica| replica.id == id && replica.id != victim);
        if was_good && truth.acked > Version::EMPTY && !holders.iter().any(|spot| is_listed(spot.replica)) {
            self.violate("I2 last copy", || format!("replica {victim}, the last good one of {tablet}, is given up"));
        }
    }

    /// Every witness must really hold what the evidence says of it, unless a fault has touched it.
    /// `at_least`: what is wanted at the decision; an order is given again on the word of an older one.
    pub fn check_evidence(&mut self, tablet: TabletId, victim: ReplicaId, evidence: &Evidence, at_least: u32) {
        if self.is_rival {
            // Its witnesses were heard by a leadership that is over: they may have left since.
            return;
        }
        self.held("I2 evidence");
        let (witnesses, needed): (&[Witness], u32) = match evidence {
            Evidence::Others { replicas, wanted } => (replicas, (*wanted).max(at_least)),
            Evidence::Bad { others, .. } => (others, 1),
            Evidence::NeverComplete { .. } => (&[], 0),
            Evidence::TableDropped { table } if self.truth.dropped_tables.contains(table) => (&[], 0),
            Evidence::TableDropped { table } => {
                let table = *table;
                return self.violate("I2 evidence", || format!("table {table} was never dropped"));
            }
        };
        if (witnesses.len() as u32) < needed || witnesses.iter().any(|witness| witness.replica == victim) {
            let found = witnesses.len();
            return self.violate("I2 evidence", || format!("{found} witnesses for {victim}, {needed} are needed"));
        }
        for witness in witnesses {
            if let Some(lie) = self.lie_of(tablet, witness) {
                let id = witness.replica;
                return self.violate("I2 evidence", || format!("witness {id} for the drop of {victim}: {lie}"));
            }
        }
    }

    fn lie_of(&self, tablet: TabletId, witness: &Witness) -> Option<String> {
        let Some(dir) = find_anywhere(&self.agents, witness.replica) else {
            let dropped = self.truth.dropped.contains(&witness.replica);
            return dropped.then(|| "it was dropped itself".to_string());
        };
        if dir.damaged.is_some() {
            return None;
        }
        let holds =
            |dir: &ReplicaDir| dir.label.tablet == tablet && dir.head >= witness.version && dir.is_whole(dir.head);
        (!holds(dir)).then(|| format!("it is at {} and not whole, not at {}", dir.head, witness.version))
    }
}
