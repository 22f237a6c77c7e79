//! The ladder of tablets in a colocation group: their copies stand on the nodes of their bucket, and nowhere else.
//!
//! | rung | status |
//! |---|---|
//! | nothing alive, or nothing complete | UNRECOVERABLE |
//! | a node of the bucket has no replica | COLOCATE_MISMATCH |
//! | a replica on a node of the bucket is behind, or out of sight | VERSION_INCOMPLETE |
//! | a replica on a node of the bucket is bad | COLOCATE_REDUNDANT |
//! | one is on a disk that is being drained | DISK_MIGRATION |
//! | more replicas than the bucket has nodes | COLOCATE_REDUNDANT |
//! | otherwise | HEALTHY |
//!
//! Each is HIGH. Replicas outside the bucket are not judged before the last rung. A node that stays away is replaced
//! in the bucket by the group's own rule, never here. Source: the note on the originals, 1.5.

use super::count::{Counts, Flaw, Judged};
use super::verdict::Found;
use super::waits;
use crate::World;
use crate::world::{Replica, Tablet};
use stele_common::{NodeId, Priority, TabletStatus, Tick};

pub(super) fn ladder(world: &World, tablet: &Tablet, nodes: &[NodeId], counts: &Counts, at: Tick) -> Found {
    let inside = || members(tablet, nodes, counts);
    let is_bad = |judged: &Judged| matches!(judged.why, Some(Flaw::Bad | Flaw::SameHost));
    let has = |node: &NodeId| tablet.replicas.iter().any(|replica| replica.node == *node);
    if counts.alive == 0 || counts.complete == 0 {
        Found::none(TabletStatus::Unrecoverable)
    } else if !nodes.iter().all(has) {
        Found::now(TabletStatus::ColocateMismatch, Priority::High)
    } else if inside().any(|(_, judged)| !judged.complete && !is_bad(judged)) {
        let ready_in_ms = waits::behind_in(world, tablet, counts, at).unwrap_or(0);
        Found { ready_in_ms, ..Found::now(TabletStatus::VersionIncomplete, Priority::High) }
    } else if inside().any(|(_, judged)| is_bad(judged)) {
        Found::now(TabletStatus::ColocateRedundant, Priority::High)
    } else if inside().any(|(_, judged)| judged.must_move) {
        Found::now(TabletStatus::DiskMigration, Priority::High)
    } else if tablet.replicas.len() > nodes.len() {
        Found::now(TabletStatus::ColocateRedundant, Priority::High)
    } else {
        Found::none(TabletStatus::Healthy)
    }
}

/// The replicas on nodes of the bucket, judged.
pub fn members<'a>(
    tablet: &'a Tablet,
    nodes: &'a [NodeId],
    counts: &'a Counts,
) -> impl Iterator<Item = (&'a Replica, &'a Judged)> {
    tablet.replicas.iter().zip(&counts.judged).filter(|(replica, _)| nodes.contains(&replica.node))
}
