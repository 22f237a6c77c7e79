//! What must hold of moves for evenness: none turns back while nothing else has happened, and none moves what is ill.
//! Roles come to an end: a path that makes primaries more even may lead one back over a node that it has left (that is how
//! flows get wider), but none turns more often than there are nodes.
//! A sequence of a colocation group never comes back while nodes and tables stay what they are.
//!
//! "Nothing else" is what may change what is even: faults, loads, repairs, deletions of versions, operators. A tablet
//! that returns to a disk which it left for evenness after the last of these has been moved for nothing.

use crate::options::MINUTE;
use crate::sim::Sim;
use std::collections::BTreeMap;
use stele_common::{DiskId, NodeId, ReplicaId, TabletId, TabletStatus, TaskType};
use stele_coordinator_rules::world::{Outcome, Task, Work};
use stele_coordinator_rules::{Change, Proposal, checkup};

/// Where tablets have left for evenness, and when something else last happened.
#[derive(Clone, Debug, Default)]
pub struct Evenness {
    left: BTreeMap<(TabletId, DiskId), u64>,
    /// Sequences that groups have had since nodes or tables last changed.
    sequences: BTreeMap<String, Vec<Vec<Vec<NodeId>>>>,
    stirred: u64,
    /// The planner's wish that is before the catalog: a primary is to change place.
    turning: Option<TabletId>,
    /// By tablet: how often its primary has changed place for evenness since something else happened, and when it last did.
    turned: BTreeMap<TabletId, (usize, u64)>,
    /// When roles last changed for another reason.
    roles_stirred: u64,
}

/// So long after something happened every disk has told what it holds.
const TOLD_MS: u64 = MINUTE;

impl Sim {
    /// Something that may change what is even.
    pub fn stir(&mut self) {
        self.evenness.stirred = self.now;
    }

    /// A decision, just applied.
    pub fn check_evenness(&mut self, change: &Change) {
        self.check_sequence(change);
        match change {
            Change::TaskStarted { task } if task.task_type == TaskType::Balance => self.check_move(task),
            Change::ReplicaReplaced { tablet, replica, by } => self.check_shrunk(*tablet, [*replica, *by]),
            Change::TaskEnded { outcome: Outcome::Finished { .. }, .. }
            | Change::ReplicaAdded { .. }
            | Change::ReplicaTurned { .. }
            | Change::ReplicaDropped { .. }
            | Change::ReplicaRose { .. }
            | Change::IdsReserved { .. } => {}
            Change::PrimaryChosen { tablet, .. } => self.check_role(*tablet),
            Change::NodeLive { .. }
            | Change::LoadOpened { .. }
            | Change::LoadAborted { .. }
            | Change::DiskUnseen { .. } => {
                self.stir();
            }
            change if change.is_durable() => self.stir(),
            _ => {}
        }
    }

    /// A leadership begins: of the last turns of the one before it some were never stored.
    pub fn forget_roles(&mut self) {
        self.evenness.turned.clear();
    }

    /// A wish of the desk is before the catalog.
    pub fn turning(&mut self, proposal: Option<&Proposal>) {
        self.evenness.turning = if let Some(Proposal::Turn(turn)) = proposal { Some(turn.tablet) } else { None };
    }

    fn check_role(&mut self, tablet: TabletId) {
        let Some(life) = &self.coordinator.life else { return };
        let (nodes, now) = (life.world.nodes.len(), self.now);
        let state = &mut self.evenness;
        // A load or a move chose it: what was fair may have become another thing.
        if state.turning != Some(tablet) {
            state.roles_stirred = now;
            return;
        }
        let since = state.stirred.max(state.roles_stirred);
        let (times, last) = state.turned.get(&tablet).copied().unwrap_or_default();
        let times = if last > since { times + 1 } else { 1 };
        state.turned.insert(tablet, (times, now));
        *self.stats.checks.entry("roles").or_default() += 1;
        if times > nodes {
            self.violate("roles", || format!("the primary of tablet {tablet} has turned {times} times for evenness"));
        }
    }

    fn check_sequence(&mut self, change: &Change) {
        match change {
            Change::GroupSet { group } => {
                *self.stats.checks.entry("group sequence").or_default() += 1;
                let had = self.evenness.sequences.entry(group.name.clone()).or_default();
                // What a bucket was is forgotten under the sequence that is there.
                if had.last() == Some(&group.buckets) {
                    return;
                }
                let is_back = had.contains(&group.buckets);
                had.push(group.buckets.clone());
                if is_back {
                    self.violate("group sequence", || format!("group {} is again {:?}", group.name, group.buckets));
                }
            }
            // What came, went or filled up is a new house: evening it may lead to a sequence that was there before. (Where
            // nothing fills up any more, at rest, bytes that still move are a violation of their own.)
            Change::NodeLive { .. }
            | Change::NodeConnected { .. }
            | Change::NodeDrained { .. }
            | Change::NodeRemoved { .. }
            | Change::PlacesCramped { .. }
            | Change::GroupDropped { .. }
            | Change::TableChanged { .. } => self.evenness.sequences.clear(),
            _ => {}
        }
    }

    /// A copy has only the newest version: where it is smaller than what it replaces, less lies on the disks now.
    fn check_shrunk(&mut self, tablet: TabletId, replicas: [ReplicaId; 2]) {
        let Some(life) = &self.coordinator.life else { return };
        let Some(known) = life.world.tablets.get(tablet) else { return };
        let size = |id| known.replicas.iter().find(|replica| replica.id == id)?.seen.as_ref().map(|seen| seen.size);
        if size(replicas[0]) != size(replicas[1]) {
            self.stir();
        }
    }

    fn check_move(&mut self, task: &Task) {
        let Work::Clone { disk, source_disk, .. } = &task.work else { return };
        *self.stats.checks.entry("balance").or_default() += 1;
        let (tablet, disk, now) = (task.tablet, *disk, self.now);
        self.evenness.left.insert((tablet, *source_disk), now);
        let stirred = self.evenness.stirred;
        if self.evenness.left.get(&(tablet, disk)).is_some_and(|left| *left > stirred + TOLD_MS) {
            return self.violate("balance", || format!("tablet {tablet} goes back to disk {disk}, which it left"));
        }
        let Some(at) = self.tick_of() else { return };
        let Some(life) = &self.coordinator.life else { return };
        let Some(known) = life.world.tablets.get(tablet) else { return };
        let status = checkup::verdict(&life.world, known, at).status;
        if status != TabletStatus::Healthy {
            self.violate("balance", || format!("tablet {tablet} is moved for evenness, and is {status}"));
        }
    }
}
