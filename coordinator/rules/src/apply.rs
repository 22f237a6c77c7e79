//! Applying changes: the only writer of the [`World`], and at the same time the way of recovery.
//!
//! In: one [`Change`]. Out: the world after it. It never fails: a change about something that is not there does
//! nothing, and the same durable changes in the same order give the same durable state. It decides nothing: whether a
//! change may happen was asked before, in [`crate::catalog`].

use crate::Change;
use crate::world::{Finding, Past, Replica, Round, Settings, Tablet, Tablets, Verification, World};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stele_common::config::RepairKnobs;
use stele_common::status::Level;
use stele_common::{Ballot, ClusterId, Epoch, ReplicaId, TabletId, Tick, Version};

mod loads;
mod nodes;
mod policy;
mod reports;
mod tables;

pub(crate) use loads::is_stored as loads_are_stored;
pub(crate) use reports::is_known;

/// Ids begin here: numbers of five digits cannot be taken for counts, and nodes come first.
pub const FIRST_ID: u64 = 10_001;

/// Leaderships whose beginning is remembered: years of restarts; an agent that was away for longer is not judged.
pub const EPOCHS_MAX: usize = 1_000;

impl World {
    /// A world before its first record.
    pub fn empty(knobs: Arc<RepairKnobs>) -> World {
        World {
            settings: Arc::new(Settings::new(knobs.clone())),
            knobs,
            cluster: ClusterId(String::new()),
            epoch: Epoch(0),
            began: Tick(0),
            level: Level::Lively,
            level_cause: None,
            next_id: FIRST_ID,
            reserved_id: FIRST_ID,
            sequence: 0,
            sequences: BTreeMap::new(),
            forgotten: TabletId(0),
            nodes: BTreeMap::new(),
            disks: BTreeMap::new(),
            databases: BTreeMap::new(),
            tables: BTreeMap::new(),
            groups: BTreeMap::new(),
            leases: Default::default(),
            plans: Default::default(),
            drains: BTreeMap::new(),
            removed: BTreeMap::new(),
            expected: BTreeSet::new(),
            pardons: BTreeMap::new(),
            tablets: Tablets::default(),
            loads: Default::default(),
            load_keys: Default::default(),
            tasks: BTreeMap::new(),
            history: Default::default(),
            strays: BTreeMap::new(),
            trash: BTreeMap::new(),
            dropped_tablets: BTreeMap::new(),
            verifications: BTreeMap::new(),
            salvages: BTreeMap::new(),
            began_id: FIRST_ID,
            ticked: Tick(0),
            swept: None,
            condemned: BTreeSet::new(),
            rounds: BTreeMap::new(),
            orphans: BTreeMap::new(),
            cramped: BTreeMap::new(),
        }
    }

    /// See [`apply`].
    pub fn apply(&mut self, change: &Change) {
        apply(self, change);
    }
}

/// Makes `change` part of the world.
pub fn apply(world: &mut World, change: &Change) {
    use Change::*;
    world.sequence += u64::from(change.is_durable());
    match change {
        Born { .. }
        | EpochBegan { .. }
        | IdsReserved { .. }
        | IdsIssued { .. }
        | LeadershipBegan { .. }
        | Counted { .. } => leadership(world, change),
        NodeAdded { .. }
        | DiskAdded { .. }
        | DiskMoved { .. }
        | DiskReplaced { .. }
        | NodeDrained { .. }
        | NodeRemoved { .. }
        | DiskDrained { .. }
        | DrainBegan { .. }
        | DrainDone { .. }
        | NodeAdmitted { .. }
        | NodeConnected { .. }
        | NodeLive { .. }
        | DiskSeen { .. }
        | DiskUnseen { .. }
        | DiskTwinned { .. }
        | HostSeen { .. } => nodes::apply(world, change),
        DatabaseAdded { .. }
        | TableAdded { .. }
        | TabletsAdded { .. }
        | DatabaseDropped { .. }
        | PartitionDropped { .. }
        | TableDropped { .. }
        | TabletsDropped { .. }
        | TabletForgotten { .. } => tables::apply(world, change),
        TableChanged { .. }
        | GroupSet { .. }
        | GroupDropped { .. }
        | PlacesCramped { .. }
        | LeaseGranted { .. }
        | LeaseEnded { .. }
        | KnobSet { .. }
        | LevelSet { .. }
        | PlanKept { .. }
        | PlanTurned { .. }
        | PlanForgotten { .. } => policy::apply(world, change),
        ReplicaAdded { .. }
        | ReplicaTurned { .. }
        | ReplicaDropped { .. }
        | ReplicaMoved { .. }
        | ReplicaRose { .. }
        | ReplicaBad { .. }
        | ReplicaGood { .. }
        | ReplicaReplaced { .. }
        | PrimaryChosen { .. } => replicas(world, change),
        LoadCommitted { .. }
        | LoadVisible { .. }
        | LoadForgotten { .. }
        | VersionsCollected { .. }
        | LoadOpened { .. }
        | LoadPrepared { .. }
        | LoadPartFailed { .. }
        | LoadCommitAsked { .. }
        | LoadAborted { .. }
        | OrphanSeen { .. }
        | OrphanGone { .. } => loads::apply(world, change),
        TaskStarted { .. }
        | TaskEnded { .. }
        | TasksPast { .. }
        | TaskProgressed { .. }
        | TaskAgentDone { .. }
        | SalvageTried { .. }
        | SalvageOver { .. } => tasks(world, change),
        ReportTaken { .. }
        | ReportsBroken { .. }
        | NamingBegan { .. }
        | Named { .. }
        | FullReportTaken { .. }
        | ReplicaSeen { .. }
        | ReplicaUnseen { .. }
        | ReplicaConfirmed { .. }
        | FurtherRepairMarked { .. }
        | StraySeen { .. }
        | StrayGone { .. }
        | TrashSeen { .. }
        | TrashGone { .. } => reports::apply(world, change),
        Condemned { .. }
        | Acquitted { .. }
        | PardonAsked { .. }
        | PardonEnded { .. }
        | RoundBegan { .. }
        | RoundEnded { .. }
        | Ticked { .. }
        | LevelTurned { .. }
        | VerificationBegan { .. } => housekeeping(world, change),
    }
}

fn leadership(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        Born { cluster } => world.cluster = cluster.clone(),
        EpochBegan { epoch } => {
            world.epoch = (*epoch).max(world.epoch);
            world.sequences.insert(*epoch, world.sequence - 1);
            while world.sequences.len() > EPOCHS_MAX {
                world.sequences.pop_first();
            }
        }
        Counted { sequence, sequences, forgotten } => {
            (world.sequence, world.forgotten) = (*sequence, *forgotten);
            world.sequences = sequences.iter().copied().collect();
        }
        IdsReserved { end } => {
            // A restart burns what was left of the block before: whether it was used is not stored.
            world.next_id = world.next_id.max(world.reserved_id);
            world.reserved_id = (*end).max(world.reserved_id);
        }
        IdsIssued { next } => world.next_id = (*next).max(world.next_id),
        LeadershipBegan { at, wall_ms } => began(world, *at, *wall_ms),
        _ => unreachable!("{change:?} is not about leadership"),
    }
}

/// Forgets what only reports of this leadership may say, and starts the clocks.
fn began(world: &mut World, at: Tick, wall_ms: u64) {
    world.next_id = world.next_id.max(world.reserved_id);
    world.began_id = world.next_id;
    (world.began, world.ticked, world.swept) = (at, at, None);
    (world.level, world.level_cause) = (Level::Lively, None);
    nodes::began(world, at);
    world.leases.set_clocks(at, wall_ms);
    let tablets: Vec<TabletId> = world.tablets.iter().map(|tablet| tablet.id).collect();
    for id in tablets {
        let tablet = world.tablets.get_mut(id).expect("it was listed just now");
        tablet.revision += 1;
        tablet.replicas.iter_mut().for_each(|replica| (replica.seen, replica.further_repair) = (None, None));
        tablet.versions.iter_mut().for_each(|record| record.superseded = None);
    }
    for task in world.tasks.values_mut() {
        (task.started, task.progressed, task.agent_done) = (at, at, false);
        (task.bytes_done, task.bytes_total) = (0, 0);
    }
    loads::began(world, at);
    world.strays.clear();
    world.trash.clear();
    world.disks.values_mut().for_each(|disk| disk.trash = 0);
    world.condemned.clear();
    world.rounds.clear();
    world.orphans.clear();
    world.cramped.clear();
    world.pardons.clear();
    world.verifications.clear();
    world.salvages.clear();
}

fn replicas(world: &mut World, change: &Change) {
    use Change::*;
    let Some(tablet) = change.tablet().and_then(|id| world.tablets.get_mut(id)) else { return };
    tablet.revision += 1;
    match change {
        ReplicaAdded { tablet: id, replica, node, disk, state, ballot } => {
            if tablet.replicas.iter().all(|other| other.id != *replica) {
                let (node, disk, state) = (*node, *disk, *state);
                let version = Version::EMPTY;
                let (bad, replaced_by, seen, further_repair) = (None, None, None, None);
                let replica =
                    Replica { id: *replica, node, disk, state, bad, version, replaced_by, seen, further_repair };
                tablet.replicas.push(replica);
            }
            tablet.ballot = tablet.ballot.max(*ballot);
            world.strays.remove(&(*id, *replica));
            world.rounds.remove(replica);
        }
        ReplicaTurned { replica, state, ballot, .. } => {
            change_replica(tablet, *replica, |replica| replica.state = *state);
            tablet.ballot = tablet.ballot.max(*ballot);
        }
        ReplicaDropped { replica, ballot, .. } => {
            tablet.replicas.retain(|other| other.id != *replica);
            tablet.ballot = tablet.ballot.max(*ballot);
            if tablet.primary == Some(*replica) {
                tablet.primary = None;
            }
        }
        ReplicaMoved { replica, node, disk, .. } => {
            change_replica(tablet, *replica, |replica| {
                (replica.node, replica.disk, replica.seen) = (*node, *disk, None);
            });
        }
        ReplicaRose { replica, version, .. } => {
            change_replica(tablet, *replica, |replica| replica.version = replica.version.max(*version));
        }
        ReplicaBad { replica, cause, .. } => {
            change_replica(tablet, *replica, |replica| replica.bad = Some(cause.clone()));
            let node = tablet.replicas.iter().find(|known| known.id == *replica).map(|known| known.node);
            if let Some(node) = node {
                found_bad(
                    &mut world.verifications,
                    *replica,
                    Finding { tablet: tablet.id, node, cause: cause.clone() },
                );
            }
        }
        ReplicaGood { replica, version, .. } => {
            change_replica(tablet, *replica, |replica| {
                (replica.bad, replica.version) = (None, replica.version.max(*version));
            });
        }
        ReplicaReplaced { replica, by, .. } => {
            change_replica(tablet, *replica, |replica| replica.replaced_by = Some(*by));
        }
        PrimaryChosen { replica, ballot, .. } => {
            (tablet.primary, tablet.ballot) = (*replica, tablet.ballot.max(*ballot));
        }
        _ => unreachable!("{change:?} is not about replicas"),
    }
}

fn change_replica(tablet: &mut Tablet, id: ReplicaId, with: impl FnOnce(&mut Replica)) {
    if let Some(replica) = tablet.replicas.iter_mut().find(|replica| replica.id == id) {
        with(replica);
    }
}

fn tasks(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        TaskStarted { task } => {
            world.tasks.insert(task.tablet, task.clone());
            touch(world, task.tablet);
        }
        TaskEnded { tablet, task, outcome, end } => {
            if world.tasks.get(tablet).is_some_and(|running| running.id == *task) {
                let task = world.tasks.remove(tablet).expect("it was looked at just now").into_ordered();
                world.history.push(Past { task, outcome: outcome.clone(), end: *end }, world.knobs.history_max);
                touch(world, *tablet);
            }
        }
        TasksPast { past } => {
            let max = world.knobs.history_max;
            past.iter().for_each(|past| world.history.push(past.clone(), max));
        }
        TaskProgressed { tablet, task, bytes_done, bytes_total, at } => {
            let Some(task) = world.tasks.get_mut(tablet).filter(|running| running.id == *task) else { return };
            if *bytes_done > task.bytes_done {
                (task.bytes_done, task.progressed) = (*bytes_done, *at);
            }
            task.bytes_total = *bytes_total;
        }
        TaskAgentDone { tablet, task, at } => {
            let Some(task) = world.tasks.get_mut(tablet).filter(|running| running.id == *task) else { return };
            (task.agent_done, task.progressed) = (true, *at);
        }
        SalvageTried { tablet, salvage } => {
            world.salvages.insert(*tablet, salvage.clone());
        }
        SalvageOver { tablet } => {
            world.salvages.remove(tablet);
        }
        _ => unreachable!("{change:?} is not about tasks"),
    }
}

fn touch(world: &mut World, tablet: TabletId) {
    if let Some(tablet) = world.tablets.get_mut(tablet) {
        tablet.revision += 1;
    }
}

fn housekeeping(world: &mut World, change: &Change) {
    use Change::*;
    match change {
        Condemned { tablet, replica } => {
            world.condemned.insert((*tablet, *replica));
        }
        Acquitted { tablet, replica } => {
            world.condemned.remove(&(*tablet, *replica));
        }
        PardonAsked { tablet, replica, at } => {
            world.pardons.insert((*tablet, *replica), *at);
        }
        PardonEnded { tablet, replica } => {
            world.pardons.remove(&(*tablet, *replica));
        }
        RoundBegan { tablet, replica, nonce, at } => {
            world.rounds.insert(*replica, Round { tablet: *tablet, nonce: *nonce, began: *at });
        }
        RoundEnded { replica } => {
            world.rounds.remove(replica);
        }
        Ticked { at, swept } => (world.ticked, world.swept) = (*at, *swept),
        LevelTurned { level, cause } => (world.level, world.level_cause) = (*level, cause.clone()),
        VerificationBegan { id, at, replicas, unreachable } => {
            let unreachable = unreachable.iter().cloned().collect();
            let (id, started, replicas) = (*id, *at, Arc::new(replicas.clone()));
            // What is known to be bad is found, even if repair takes it away before it is looked at.
            let bad = replicas.iter().filter_map(|(tablet, replica, _)| {
                let known = world.tablets.get(*tablet)?.replicas.iter().find(|known| known.id == *replica)?;
                let finding = Finding { tablet: *tablet, node: known.node, cause: known.bad.clone()? };
                Some((*replica, finding))
            });
            let found = bad.collect();
            world.verifications.insert(id, Verification { id, started, replicas, unreachable, found });
            while world.verifications.len() > VERIFICATIONS_MAX {
                world.verifications.pop_first();
            }
        }
        _ => unreachable!("{change:?} is not about housekeeping"),
    }
}

/// A verification that reads this replica remembers what it found, whatever is done about it later.
fn found_bad(verifications: &mut BTreeMap<u64, Verification>, replica: ReplicaId, finding: Finding) {
    for verification in verifications.values_mut() {
        let first = verification.replicas.partition_point(|(tablet, ..)| *tablet < finding.tablet);
        let mut asked = verification.replicas[first..].iter().take_while(|(tablet, ..)| *tablet == finding.tablet);
        if asked.any(|(_, id, _)| *id == replica) {
            verification.found.entry(replica).or_insert_with(|| finding.clone());
        }
    }
}

/// Verifications remembered: people look at the latest; each may list every replica.
const VERIFICATIONS_MAX: usize = 8;

impl World {
    /// The ballot after the tablet's present one; the first for a tablet that is not there.
    pub fn next_ballot(&self, tablet: TabletId) -> Ballot {
        self.tablets.get(tablet).map_or(Ballot(1), |tablet| tablet.ballot.next())
    }
}
