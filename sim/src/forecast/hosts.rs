//! Modelled agents: what lies on whose disk, and what each would tell of it. Filled from a world once; from then on the
//! truth of the forecast, which the world only hears of by reports. Data and facts only: who acts is [`super::orders`].

use std::collections::{BTreeMap, BTreeSet};
use stele_common::report::TrashFact;
use stele_common::{
    BootId, Digest, DiskFact, DiskId, DiskState, Fact, Liveness, Medium, NodeId, ReplicaFact, ReplicaId, Space,
    TabletId, Tick, Version, VersionHash,
};
use stele_coordinator_rules::World;
use stele_coordinator_rules::world::{Disk, Replica, Tablet};

/// The place in [`Held::damage`] of a replica of which nothing is known but that it is bad.
pub const UNREADABLE: u8 = u8::MAX;
/// What a world that does not say knows of a replica's content: as old as its clock allows.
const NO_FILES: u64 = 1;

/// One agent and its disks.
#[derive(Clone, Debug)]
pub struct Host {
    pub node: NodeId,
    pub alive: bool,
    pub boot: BootId,
    /// Number of the latest report of this life.
    pub seq: u64,
    pub plates: BTreeMap<DiskId, Plate>,
}

/// One disk.
#[derive(Clone, Debug)]
pub struct Plate {
    pub path: String,
    pub medium: Medium,
    pub device: u64,
    pub state: DiskState,
    pub total: u64,
    /// Bytes that are none of the replicas known here.
    pub other: u64,
    pub full: bool,
    pub held: BTreeMap<ReplicaId, Held>,
    /// With their bytes and the moment of the drop.
    pub trash: BTreeMap<ReplicaId, (TabletId, u64, Tick)>,
}

/// One replica as it lies there.
#[derive(Clone, Debug)]
pub struct Held {
    pub tablet: TabletId,
    pub version: Version,
    pub hash: VersionHash,
    pub size: u64,
    pub files: u64,
    pub oldest: Version,
    /// Files with wrong bytes, by number; [`UNREADABLE`]: all of them.
    pub damage: BTreeSet<u8>,
    /// The agent knows of the damage.
    pub bad: Option<String>,
    pub verified: Option<Tick>,
}

impl Host {
    /// An agent for every node of the world, holding what the world says it holds.
    pub fn all(world: &World, at: Tick) -> BTreeMap<NodeId, Host> {
        let mut hosts: BTreeMap<NodeId, Host> = BTreeMap::new();
        for node in world.nodes.values() {
            let disks = world.disks.values().filter(|disk| disk.node == node.id);
            let plates = disks.map(|disk| (disk.id, Plate::of(disk))).collect();
            let (alive, boot) = (node.liveness == Liveness::Alive, node.boot.unwrap_or(BootId(node.id.0)));
            hosts.insert(node.id, Host { node: node.id, alive, boot, seq: node.seq, plates });
        }
        for tablet in world.tablets.iter() {
            for replica in &tablet.replicas {
                let plate = hosts.get_mut(&replica.node).and_then(|host| host.plates.get_mut(&replica.disk));
                let Some((plate, held)) = plate.zip(Held::of(tablet, replica, at)) else { continue };
                plate.other = plate.other.saturating_sub(held.size);
                plate.held.insert(replica.id, held);
            }
        }
        hosts
    }

    /// The disk that holds a replica.
    pub fn plate_of(&self, replica: ReplicaId) -> Option<(DiskId, &Plate)> {
        self.plates.iter().find(|(_, plate)| plate.held.contains_key(&replica)).map(|(disk, plate)| (*disk, plate))
    }

    pub fn held_mut(&mut self, replica: ReplicaId) -> Option<(DiskId, &mut Held)> {
        let mut plates = self.plates.iter_mut();
        plates.find_map(|(disk, plate)| plate.held.get_mut(&replica).map(|held| (*disk, held)))
    }

    /// Everything, as a full report tells it.
    pub fn facts(&self, at: Tick) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (disk, plate) in &self.plates {
            facts.push(Fact::Disk(plate.fact(*disk)));
            if plate.state == DiskState::Unavailable {
                continue;
            }
            facts.extend(plate.held.iter().map(|(replica, held)| Fact::Replica(held.fact(*replica, *disk, at))));
            facts.extend(plate.trash.iter().map(|(replica, trashed)| trash_fact(*replica, *disk, *trashed, at)));
        }
        facts
    }
}

impl Plate {
    fn of(disk: &Disk) -> Plate {
        Plate {
            path: disk.path.clone(),
            medium: disk.medium,
            device: disk.device,
            state: disk.state,
            total: disk.space.total,
            other: disk.space.used,
            full: false,
            held: BTreeMap::new(),
            trash: BTreeMap::new(),
        }
    }

    pub fn used(&self) -> u64 {
        let held: u64 = self.held.values().map(|held| held.size).sum();
        let trash: u64 = self.trash.values().map(|(_, bytes, _)| *bytes).sum();
        self.other.saturating_add(held).saturating_add(trash)
    }

    pub fn fact(&self, disk: DiskId) -> DiskFact {
        let used = self.used();
        let total = if self.full { used } else { self.total };
        DiskFact {
            disk,
            path: self.path.clone(),
            medium: self.medium,
            state: self.state,
            cause: None,
            space: Space { total, used, raw_total: self.total, raw_free: total.saturating_sub(used) },
            device: self.device,
        }
    }
}

impl Held {
    /// What the world says of a replica; nothing of one that is still being made.
    fn of(tablet: &Tablet, replica: &Replica, at: Tick) -> Option<Held> {
        let seen = replica.seen.as_ref();
        let version = seen.map_or(replica.version, |seen| seen.version);
        if seen.is_none() && replica.state == stele_common::ReplicaState::Clone {
            return None;
        }
        let record = tablet.versions.iter().find(|record| record.version == version);
        let others = tablet.replicas.iter().filter_map(|other| other.seen.as_ref());
        let bad = replica.bad.clone().or_else(|| seen.and_then(|seen| seen.bad.clone()));
        Some(Held {
            tablet: tablet.id,
            version,
            hash: seen.map(|seen| seen.hash).or_else(|| record.map(|record| record.hash)).unwrap_or(Digest::ZERO),
            size: seen.map_or_else(|| others.map(|seen| seen.size).max().unwrap_or(0), |seen| seen.size),
            files: seen.map_or(NO_FILES, |seen| seen.files),
            oldest: seen.map_or(version, |seen| seen.oldest),
            damage: bad.iter().map(|_| UNREADABLE).collect(),
            bad,
            verified: seen.map_or(Some(at), |seen| seen.verified),
        })
    }

    pub fn fact(&self, replica: ReplicaId, disk: DiskId, at: Tick) -> ReplicaFact {
        ReplicaFact {
            tablet: self.tablet,
            replica,
            disk,
            version: self.version,
            hash: self.hash,
            pending: self.version,
            bad: self.bad.clone(),
            size: self.size,
            files: self.files,
            verified_age_ms: self.verified.map(|verified| at.since(verified)),
            oldest: self.oldest,
        }
    }
}

pub fn trash_fact(replica: ReplicaId, disk: DiskId, (tablet, bytes, dropped): (TabletId, u64, Tick), at: Tick) -> Fact {
    Fact::Trash(TrashFact { tablet, replica, disk, bytes, age_ms: at.since(dropped), due: false })
}
