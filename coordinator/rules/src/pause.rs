//! Scoped pauses: what nobody may begin for a time, everywhere or at one node, disk or table.
//!
//! In: the leases on record. Out: the lease that holds something back, or nothing. A pause holds back beginnings only:
//! what runs goes on, a deletion under way ends safely or is undone. A pause of repair pauses balance too.
//!
//! | pause of repair | holds back |
//! |---|---|
//! | everything | every repair and salvage, also of tablets with one copy left: whoever says so means it |
//! | a table | its repairs, but not where one copy of several is left |
//! | a node, a disk | new copies there, deletions there; reading from there, unless nobody else has a complete copy |

use crate::policy::{Lease, LeaseScope, PauseOn};
use crate::reason_text::utc;
use crate::world::{Disk, Replica, Tablet};
use crate::{Reason, World};
use stele_common::api::PauseWhat;
use stele_common::{DiskId, NodeId};

/// Why nothing may be balanced, wherever.
pub fn holds_balance(world: &World) -> Option<Reason> {
    held(world, PauseWhat::Balance, [PauseOn::Everything])
}

/// Why nothing may be balanced at this place; a pause of everything is asked apart.
pub fn holds_balance_at(world: &World, on: PauseOn) -> Option<Reason> {
    held(world, PauseWhat::Balance, [on])
}

/// Why this tablet may not be moved between these disks only to even out.
pub fn holds_move(world: &World, tablet: &Tablet, from: &Disk, to: &Disk) -> Option<Reason> {
    let nodes = [from.node, to.node].map(|node| PauseOn::Node { node });
    let disks = [from.id, to.id].map(|disk| PauseOn::Disk { disk });
    let wider = [PauseOn::Everything, PauseOn::Table { table: tablet.table }];
    held(world, PauseWhat::Balance, wider.into_iter().chain(nodes).chain(disks))
}

/// Why nothing at all may be repaired.
pub fn holds_all_repair(world: &World) -> Option<Reason> {
    held(world, PauseWhat::Repair, [PauseOn::Everything])
}

/// Why this tablet may not be repaired, of which so many copies are complete.
pub fn holds_repair(world: &World, tablet: &Tablet, complete: u32) -> Option<Reason> {
    let is_urgent = complete <= 1 && tablet.wanted > 1;
    let table = (!is_urgent).then_some(PauseOn::Table { table: tablet.table });
    held(world, PauseWhat::Repair, [PauseOn::Everything].into_iter().chain(table))
}

/// Why no repair may write to this disk.
pub fn holds_disk(world: &World, disk: &Disk) -> Option<Reason> {
    holds_place(world, disk.node, disk.id)
}

/// Why no repair may read or delete this replica.
pub fn holds_replica(world: &World, replica: &Replica) -> Option<Reason> {
    holds_place(world, replica.node, replica.disk)
}

fn holds_place(world: &World, node: NodeId, disk: DiskId) -> Option<Reason> {
    held(world, PauseWhat::Repair, [PauseOn::Node { node }, PauseOn::Disk { disk }])
}

/// The first pause of this at any of these places.
fn held(world: &World, what: PauseWhat, places: impl IntoIterator<Item = PauseOn>) -> Option<Reason> {
    let kinds = match what {
        PauseWhat::Balance => &[PauseWhat::Balance, PauseWhat::Repair][..],
        PauseWhat::Repair => &[PauseWhat::Repair],
    };
    places.into_iter().find_map(|on| {
        kinds.iter().find_map(|what| {
            let scope = LeaseScope::Pause { what: *what, on: on.clone() };
            world.leases.about(&scope).next().map(reason)
        })
    })
}

fn reason(lease: &Lease) -> Reason {
    let until = lease.until_wall_ms.map_or("it is taken back".to_string(), utc);
    let why = if lease.reason.is_empty() { String::new() } else { format!(": {}", lease.reason) };
    Reason::Paused { lease: lease.id, until, by: format!("{}{why}", lease.owner) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;
    use crate::sample::Sample;

    fn paused(sample: &mut Sample, what: PauseWhat, on: PauseOn) {
        let scope = LeaseScope::Pause { what, on };
        let (owner, reason) = ("ann".into(), "rehearsal".into());
        let lease = Lease { id: 7, scope, owner, reason, until_wall_ms: Some(86_400_000), until: None };
        sample.apply(Change::LeaseGranted { lease, at: sample.at, wall_ms: 0 });
    }

    /// Each scope holds back what lies in it, and nothing else.
    #[test]
    fn scopes() {
        let mut sample = Sample::new(3, 1);
        let id = sample.table(3, 1)[0];
        let nodes = sample.nodes();
        let disks: Vec<Disk> = sample.world.disks.values().cloned().collect();
        let table = sample.tablet(id).table;
        for (what, on, balance, the_move, all_repair, repair, disk) in [
            (PauseWhat::Balance, PauseOn::Everything, true, true, false, false, false),
            (PauseWhat::Balance, PauseOn::Table { table }, false, true, false, false, false),
            (PauseWhat::Balance, PauseOn::Node { node: nodes[1] }, false, true, false, false, false),
            (PauseWhat::Balance, PauseOn::Node { node: nodes[2] }, false, false, false, false, false),
            (PauseWhat::Repair, PauseOn::Everything, true, true, true, true, false),
            (PauseWhat::Repair, PauseOn::Table { table }, false, true, false, true, false),
            (PauseWhat::Repair, PauseOn::Disk { disk: disks[0].id }, false, true, false, false, true),
            (PauseWhat::Repair, PauseOn::Disk { disk: disks[2].id }, false, false, false, false, false),
        ] {
            let mut sample = sample.clone();
            paused(&mut sample, what, on.clone());
            let (world, tablet) = (&sample.world, sample.tablet(id));
            let found = [
                holds_balance(world),
                holds_move(world, tablet, &disks[0], &disks[1]),
                holds_all_repair(world),
                holds_repair(world, tablet, 2),
                holds_disk(world, &disks[0]),
            ];
            let expected = [balance, the_move, all_repair, repair, disk];
            assert_eq!(found.clone().map(|reason| reason.is_some()), expected, "{what:?} {on:?}");
            let text = found.into_iter().flatten().next().map(|reason| reason.detail()).unwrap_or_default();
            assert!(text.is_empty() || text.contains("lease 7") && text.contains("1970-01-02T00:00:00Z"), "{text}");
        }
    }

    /// One copy of several left: a table's pause lets it be repaired, a pause of everything does not.
    #[test]
    fn one_copy_left() {
        let mut sample = Sample::new(3, 1);
        let id = sample.table(3, 1)[0];
        let table = sample.tablet(id).table;
        for (on, holds) in [(PauseOn::Table { table }, false), (PauseOn::Everything, true)] {
            let mut sample = sample.clone();
            paused(&mut sample, PauseWhat::Repair, on);
            assert_eq!(holds_repair(&sample.world, sample.tablet(id), 1).is_some(), holds);
        }
    }
}
