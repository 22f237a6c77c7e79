//! What people asked for until some time, found by what it is about: a check asks for every tablet whether it is urgent
//! and for every silent node whether it is under maintenance, however many leases there are.
//!
//! In: leases as they are granted and end. Out: look-ups by id (as the map that it shows itself as), by tablet and by
//! node. It must never decide what holds: [`Lease::is_over`] says so, and whoever asks brings the time.

use crate::policy::{Lease, LeaseScope, PauseOn};
use crate::world::Tablet;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use stele_common::Tick;
use stele_common::api::PauseWhat;

/// All leases; two about the same thing may hold at once.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    by_id: BTreeMap<u64, Lease>,
    about: BTreeMap<LeaseScope, BTreeSet<u64>>,
}

impl Leases {
    /// One more, or another one with an id that is there.
    pub(crate) fn insert(&mut self, lease: Lease) {
        self.remove(lease.id);
        self.about.entry(lease.scope.clone()).or_default().insert(lease.id);
        self.by_id.insert(lease.id, lease);
    }

    pub(crate) fn remove(&mut self, id: u64) {
        let Some(lease) = self.by_id.remove(&id) else { return };
        if let Some(ids) = self.about.get_mut(&lease.scope) {
            ids.remove(&id);
            if ids.is_empty() {
                self.about.remove(&lease.scope);
            }
        }
    }

    /// A leadership begins: their ends on its clock.
    pub(crate) fn set_clocks(&mut self, at: Tick, wall_ms: u64) {
        self.by_id.values_mut().for_each(|lease| lease.set_clock(at, wall_ms));
    }

    /// None holds any more.
    pub fn clear(&mut self) {
        *self = Leases::default();
    }

    /// Those about exactly this.
    pub fn about<'a>(&'a self, scope: &LeaseScope) -> impl Iterator<Item = &'a Lease> + use<'a> {
        self.about.get(scope).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// The pauses among them, by id.
    pub fn pauses(&self) -> BTreeSet<u64> {
        // Of all scopes these are the last.
        let first = LeaseScope::Pause { what: PauseWhat::Balance, on: PauseOn::Everything };
        self.about.range(first..).flat_map(|(_, ids)| ids).copied().collect()
    }

    /// Whether one that is not over wants this tablet repaired first: by itself, by its partition, by its table.
    pub fn want_first(&self, tablet: &Tablet, at: Tick) -> bool {
        let table = tablet.table;
        let scopes = [
            LeaseScope::Urgent { table, partition: Some(tablet.partition) },
            LeaseScope::Urgent { table, partition: None },
            LeaseScope::UrgentTablet { tablet: tablet.id },
        ];
        scopes.iter().any(|scope| self.about(scope).any(|lease| !lease.is_over(at)))
    }
}

impl Deref for Leases {
    type Target = BTreeMap<u64, Lease>;

    /// By id, to read.
    fn deref(&self) -> &BTreeMap<u64, Lease> {
        &self.by_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use stele_common::{PartitionId, TableId, TabletId};

    fn lease(id: u64, scope: LeaseScope, until: u64) -> Lease {
        let (owner, reason) = ("ann".to_string(), "a test".to_string());
        Lease { id, scope, owner, reason, until_wall_ms: Some(until), until: Some(Tick(until)) }
    }

    /// Pauses are told from all others.
    #[test]
    fn pauses_are_found() {
        let mut leases = Leases::default();
        let pause = |what, on| LeaseScope::Pause { what, on };
        leases.insert(lease(1, LeaseScope::UrgentTablet { tablet: TabletId(u64::MAX) }, 10));
        leases.insert(lease(2, pause(PauseWhat::Balance, PauseOn::Everything), 10));
        leases.insert(lease(3, pause(PauseWhat::Repair, PauseOn::Table { table: TableId(1) }), 10));
        leases.insert(lease(4, LeaseScope::Urgent { table: TableId(u64::MAX), partition: None }, 10));
        assert_eq!(leases.pauses(), BTreeSet::from([2, 3]));
    }

    /// Urgency by table, partition and tablet: found for what it is about alone, until the last about it is over or gone.
    #[test]
    fn found_by_what_they_are_about() {
        let mut sample = Sample::new(3, 1);
        let id = sample.table(3, 1)[0];
        let tablet = sample.tablet(id).clone();
        let (table, partition) = (tablet.table, tablet.partition);
        for (name, scope, expected) in [
            ("its table", LeaseScope::Urgent { table, partition: None }, true),
            ("its partition", LeaseScope::Urgent { table, partition: Some(partition) }, true),
            ("itself", LeaseScope::UrgentTablet { tablet: id }, true),
            ("another partition", LeaseScope::Urgent { table, partition: Some(PartitionId(1)) }, false),
            ("another table", LeaseScope::Urgent { table: TableId(1), partition: None }, false),
            ("another tablet", LeaseScope::UrgentTablet { tablet: TabletId(1) }, false),
            ("maintenance", LeaseScope::Maintenance { node: tablet.replicas[0].node }, false),
        ] {
            let mut leases = Leases::default();
            leases.insert(lease(1, scope.clone(), 10));
            leases.insert(lease(2, scope.clone(), 20));
            assert_eq!(leases.want_first(&tablet, Tick(19)), expected, "{name}");
            assert!(!leases.want_first(&tablet, Tick(20)), "{name}: over");
            leases.remove(2);
            assert!(!leases.want_first(&tablet, Tick(10)), "{name}: the longer one was taken back");
            assert_eq!(leases.about(&scope).count(), 1, "{name}");
            leases.insert(lease(1, LeaseScope::UrgentTablet { tablet: TabletId(2) }, 10));
            assert_eq!(leases.about(&scope).count(), 0, "{name}: the same id is about something else now");
            assert_eq!(leases.len(), 1);
        }
    }
}
