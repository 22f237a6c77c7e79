//! What is really so, known to nobody inside the simulation: every committed version's true content, what was
//! acknowledged, what was ever durable where, and which drops were ordered. The oracle and the fault budget read it.

use crate::agent::Agent;
use crate::disk::{ModelDisk, Papers, ReplicaDir};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stele_common::{Delta, LoadId, LoadKey, ReplicaId, TableId, TabletId, Version};

/// Everything that is known to be so.
#[derive(Debug, Default)]
pub struct Truth {
    pub tablets: BTreeMap<TabletId, TabletTruth>,
    /// What each load brings to each tablet.
    pub deltas: BTreeMap<LoadKey, BTreeMap<TabletId, Arc<Delta>>>,
    /// Loads whose durable stage was reached, per replica.
    pub durable: BTreeSet<(LoadId, ReplicaId)>,
    /// Versions that a replica ever had installed whole.
    pub installed: BTreeSet<(ReplicaId, Version)>,
    /// Replicas that the coordinator ordered to the trash, and out of it.
    pub dropped: BTreeSet<ReplicaId>,
    pub purged: BTreeSet<ReplicaId>,
    /// Tables that a user dropped.
    pub dropped_tables: BTreeSet<TableId>,
    /// Tablets all of whose copies are damaged, each in another place, and which can be put together.
    pub scattered: BTreeSet<TabletId>,
    /// Every id ever given to a replica, task, load or disk.
    pub ids: BTreeSet<u64>,
}

/// One tablet.
#[derive(Debug, Default)]
pub struct TabletTruth {
    pub table: TableId,
    /// Highest version whose commit record is durable.
    pub committed: Version,
    /// Highest version whose commit is decided in this leadership.
    pub decided: Version,
    /// Highest version that a client was told is safe.
    pub acked: Version,
    pub versions: BTreeMap<Version, (Arc<Papers>, LoadId)>,
}

/// Where a replica lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub agent: usize,
    pub disk: usize,
    pub replica: ReplicaId,
}

impl Truth {
    /// A commit is decided: the version that it follows.
    pub fn decide(&mut self, tablet: TabletId, version: Version) -> Version {
        let Some(truth) = self.tablets.get_mut(&tablet) else { return Version::EMPTY };
        std::mem::replace(&mut truth.decided, version)
    }

    /// The highest version that `dir` has whole, or would have after installing the committed loads staged beside it;
    /// `None` when what it has is wrong.
    pub fn reach(&self, tablet: TabletId, replica: ReplicaId, disk: &ModelDisk, dir: &ReplicaDir) -> Option<Version> {
        if !dir.is_whole(dir.head) {
            return None;
        }
        let truth = self.tablets.get(&tablet)?;
        if let Some((papers, _)) = truth.versions.get(&dir.head)
            && papers.hash != dir.hash()
        {
            return None;
        }
        let mut reached = dir.head;
        while let Some((_, load)) = truth.versions.get(&reached.next()) {
            match disk.staged.get(&(*load, tablet)) {
                Some(staged) if staged.replica == replica && staged.parent == reached => reached = reached.next(),
                Some(_) | None => break,
            }
        }
        Some(reached)
    }

    /// Replicas on disks that still exist and hold `version` (or a later one) with every byte right. Of a disk that was
    /// copied neither counts: the budget takes both for lost.
    pub fn holders(&self, agents: &[Agent], tablet: TabletId, version: Version) -> Vec<Spot> {
        let spots = self.holders_anywhere(agents, tablet, version).into_iter();
        let is_single = |spot: &Spot| {
            let model = &agents[spot.agent].disks[spot.disk];
            !model.doubled && !model.twin
        };
        spots.filter(is_single).collect()
    }

    /// The same with disks that were copied, and the copies.
    pub fn holders_anywhere(&self, agents: &[Agent], tablet: TabletId, version: Version) -> Vec<Spot> {
        let mut found = Vec::new();
        for (agent, disk, model) in disks_and_twins(agents) {
            let here = model.replicas.iter().filter(|(_, dir)| dir.label.tablet == tablet);
            for (replica, dir) in here {
                if self.reach(tablet, *replica, model, dir).is_some_and(|reached| reached >= version) {
                    found.push(Spot { agent, disk, replica: *replica });
                }
            }
        }
        found
    }

    /// Whether the newest acknowledged version of some tablet lies there and nowhere else.
    pub fn holds_alone(&self, agents: &[Agent], agent: usize, disk: usize) -> bool {
        let here = agents[agent].disks[disk].replicas.values().map(|dir| dir.label.tablet);
        here.collect::<BTreeSet<TabletId>>().into_iter().any(|tablet| {
            let Some(truth) = self.tablets.get(&tablet) else { return false };
            let holders = self.holders_anywhere(agents, tablet, truth.acked);
            !holders.is_empty() && holders.iter().all(|spot| (spot.agent, spot.disk) == (agent, disk))
        })
    }

    /// Whether a committed version from this one on can be put together from what lies on all disks.
    pub fn can_be_put_together(&self, agents: &[Agent], tablet: TabletId, from: Version) -> bool {
        let Some(truth) = self.tablets.get(&tablet) else { return true };
        let trashed = |model| ModelDisk::trashed(model);
        let dirs = disks(agents).flat_map(|(_, _, model)| model.replicas.values().chain(trashed(model)));
        let dirs: Vec<&ReplicaDir> = dirs.filter(|dir| dir.label.tablet == tablet).collect();
        truth.versions.range(from..).any(|(version, (papers, _))| {
            let has_papers =
                |dir: &&ReplicaDir| dir.versions.get(version).is_some_and(|found| found.hash == papers.hash);
            dirs.iter().any(has_papers)
                && papers.manifest.entries.iter().all(|(path, entry)| {
                    let body = |dir: &&ReplicaDir| dir.data.get(&(entry.added, path.clone())).copied();
                    dirs.iter().filter_map(body).any(|body| body.digest == entry.digest)
                })
        })
    }

    /// Replicas of a tablet with wrong bytes somewhere: damage that is not mended yet.
    pub fn is_damaged_somewhere(&self, agents: &[Agent], tablet: TabletId) -> bool {
        let mut dirs = disks(agents).flat_map(|(_, _, model)| &model.replicas);
        dirs.any(|(_, dir)| {
            dir.label.tablet == tablet
                && (dir.bad.is_some() || dir.versions.keys().any(|version| !dir.is_whole(*version)))
        })
    }
}

/// Disks that still exist, with their places; no copies of disks.
pub fn disks(agents: &[Agent]) -> impl Iterator<Item = (usize, usize, &ModelDisk)> {
    disks_and_twins(agents).filter(|(_, _, model)| !model.twin)
}

fn disks_and_twins(agents: &[Agent]) -> impl Iterator<Item = (usize, usize, &ModelDisk)> {
    agents.iter().enumerate().flat_map(|(agent, host)| {
        let here = host.disks.iter().enumerate().filter(|(_, model)| !model.destroyed);
        here.map(move |(disk, model)| (agent, disk, model))
    })
}

/// A replica's directory wherever it is, on its own disk before a doubled one.
pub fn find_anywhere(agents: &[Agent], replica: ReplicaId) -> Option<&ReplicaDir> {
    let twins = disks_and_twins(agents).filter(|(_, _, model)| model.twin);
    let on_twin = || twins.into_iter().find_map(|(_, _, model)| model.replicas.get(&replica));
    find(agents, replica).map(|(_, _, dir)| dir).or_else(on_twin)
}

/// Where a replica lies, on whatever disk still exists.
pub fn find(agents: &[Agent], replica: ReplicaId) -> Option<(Spot, &ModelDisk, &ReplicaDir)> {
    disks(agents).find_map(|(agent, disk, model)| {
        model.replicas.get(&replica).map(|dir| (Spot { agent, disk, replica }, model, dir))
    })
}
