//! Worlds for tests, the simulator and examples: k hosts with disks, tables with tablets, all reported and healthy.
//!
//! Every world is built from [`Change`]s only, so whatever it shows can really come about. Nothing here decides
//! anything, and no rule may use it.

use crate::policy::DEFAULT_TAG;
use crate::world::{Load, LoadPart, LoadPhase, Partition, Replica, Table, TableState, Tablet, VersionRecord};
use crate::{Change, World};
use std::collections::BTreeMap;
use std::sync::Arc;
use stele_common::config::RepairKnobs;
use stele_common::{
    Ballot, BootId, ClusterId, DatabaseId, Digest, DiskFact, DiskId, DiskState, Epoch, Evidence, Liveness, LoadId,
    LoadKey, LoadMode, Medium, NodeId, PartitionId, ReplicaFact, ReplicaId, ReplicaState, Space, TableId, TabletId,
    Tick, Version, VersionHash,
};

/// A world being built. Its `at` is the time at which things happen next; move it at will.
#[derive(Clone, Debug)]
pub struct Sample {
    pub world: World,
    pub at: Tick,
}

/// Bytes of each disk: large enough that no reserve is in the way.
pub const DISK_BYTES: u64 = 4 << 40;
/// Bytes that each replica reports.
pub const REPLICA_BYTES: u64 = 1 << 20;

impl Sample {
    /// `hosts` hosts (`h1`, `h2`, ...) with one ALIVE node each, which has sent its full report, and `disks` ONLINE
    /// disks of 4 TiB on every node. Time is 100 s after the leadership began.
    pub fn new(hosts: u64, disks: u64) -> Sample {
        let mut sample = Sample { world: World::empty(Arc::new(RepairKnobs::default())), at: Tick(0) };
        sample.apply(Change::Born { cluster: ClusterId("5".repeat(32)) });
        sample.apply(Change::EpochBegan { epoch: Epoch(1) });
        sample.apply(Change::IdsReserved { end: 20_000 });
        let at = sample.at;
        sample.world.next_id = crate::apply::FIRST_ID;
        sample.world.began = at;
        sample.at = Tick(100_000);
        (0..hosts).for_each(|_| {
            sample.host(disks);
        });
        sample
    }

    /// One more host with an ALIVE, reported node.
    pub fn host(&mut self, disks: u64) -> NodeId {
        let node = NodeId(self.id());
        let name = format!("h{}", self.world.nodes.len() + 1);
        let (rack, tag) = (String::new(), "default".to_string());
        self.apply(Change::NodeAdded { node, host: name.clone(), name, rack, tag });
        self.connect(node, BootId(node.0));
        (0..disks).for_each(|_| {
            self.disk(node, Medium::Hdd);
        });
        node
    }

    /// One more ONLINE disk.
    pub fn disk(&mut self, node: NodeId, medium: Medium) -> DiskId {
        let disk = DiskId(self.id());
        self.apply(Change::DiskAdded { disk, node, path: format!("/data/{disk}"), medium });
        self.disk_state(disk, DiskState::Online);
        disk
    }

    /// The node's agent connects and sends its full report.
    pub fn connect(&mut self, node: NodeId, boot: BootId) {
        self.apply(Change::NodeConnected {
            node,
            boot,
            peer: format!("127.0.0.1:{}", 20_000 + node.0 % 10_000),
            http: format!("127.0.0.1:{}", 30_000 + node.0 % 10_000),
            build: "test".into(),
            rack: String::new(),
            tag: "default".into(),
            at: self.at,
        });
        self.apply(Change::ReportTaken { node, boot, seq: 1 });
        self.apply(Change::FullReportTaken { node });
    }

    pub fn turn(&mut self, node: NodeId, liveness: Liveness) {
        self.apply(Change::NodeLive { node, liveness, at: self.at });
    }

    pub fn disk_state(&mut self, disk: DiskId, state: DiskState) {
        let known = &self.world.disks[&disk];
        let space = Space { total: DISK_BYTES, used: 0, raw_total: DISK_BYTES, raw_free: DISK_BYTES };
        let (node, path, medium) = (known.node, known.path.clone(), known.medium);
        let fact = DiskFact { disk, path, medium, state, cause: None, space, device: disk.0 };
        self.apply(Change::DiskSeen { fact, node, at: self.at });
    }

    /// Space of a disk.
    pub fn fill(&mut self, disk: DiskId, used: u64, total: u64) {
        let known = &self.world.disks[&disk];
        let space = Space { total, used, raw_total: total, raw_free: total - used };
        let (node, path, medium) = (known.node, known.path.clone(), known.medium);
        let (state, device) = (known.state, known.device);
        let fact = DiskFact { disk, path, medium, state, cause: None, space, device };
        self.apply(Change::DiskSeen { fact, node, at: self.at });
    }

    /// A table `d.tN` of `buckets` empty tablets with `n` replicas each, spread over hosts in turn and all reported.
    pub fn table(&mut self, n: u32, buckets: u32) -> Vec<TabletId> {
        let (db_id, id, partition) = (DatabaseId(self.id()), TableId(self.id()), PartitionId(self.id()));
        let ids: Vec<TabletId> = (0..buckets).map(|_| TabletId(self.id())).collect();
        let tablets = ids.iter().zip(0..).map(|(tablet, bucket)| self.empty_tablet(*tablet, id, partition, bucket, n));
        let tablets: Vec<Tablet> = tablets.collect();
        self.apply(Change::DatabaseAdded { id: db_id, name: "d".into() });
        let name = format!("t{}", self.world.tables.len() + 1);
        let medium = Medium::Hdd;
        let partition = Partition { id: partition, name: "p0".into(), medium, replication: n, tablets: ids.clone() };
        let (tag, group, state) = (DEFAULT_TAG.into(), None, TableState::Normal);
        let partitions = vec![partition];
        let table =
            Table { id, db: "d".into(), db_id, name, buckets, tag, group, state, partitions, columns: String::new() };
        self.apply(Change::TableAdded { table, tablets });
        for tablet in &ids {
            for replica in self.replicas(*tablet) {
                self.see(*tablet, replica, Version::EMPTY);
            }
        }
        ids
    }

    fn empty_tablet(&mut self, id: TabletId, table: TableId, partition: PartitionId, bucket: u32, n: u32) -> Tablet {
        let nodes: Vec<NodeId> = self.world.nodes.keys().copied().collect();
        assert!(nodes.len() >= n as usize, "{n} replicas need {n} hosts, there are {}", nodes.len());
        let replicas = (0..n as usize).map(|index| {
            let node = nodes[(bucket as usize + index) % nodes.len()];
            let disks: Vec<DiskId> = self.disks_of(node);
            let disk = disks[(bucket as usize / nodes.len()) % disks.len()];
            let id = ReplicaId(self.id());
            let state = ReplicaState::Normal;
            Replica {
                id,
                node,
                disk,
                state,
                bad: None,
                version: Version(0),
                replaced_by: None,
                seen: None,
                further_repair: None,
            }
        });
        let replicas = replicas.collect();
        let (visible, committed, ballot) = (Version::EMPTY, Version::EMPTY, Ballot(1));
        let (wanted, medium) = (n, Medium::Hdd);
        let (versions, primary, revision, load, unhealthy_since) = (Vec::new(), None, 0, None, None);
        #[rustfmt::skip]
        let tablet = Tablet { id, table, partition, bucket, wanted, medium, visible, committed, versions, ballot, primary, replicas, revision, load, unhealthy_since };
        tablet
    }

    /// The next version is committed and visible; `holders` report it, the others stay behind.
    pub fn load(&mut self, tablet: TabletId, holders: &[ReplicaId]) -> Version {
        let version = self.commit(tablet, holders);
        holders.iter().for_each(|replica| self.see(tablet, *replica, version));
        let latest = self.world.loads.in_flight().max_by_key(|load| load.id);
        let key = latest.expect("a load was committed just now").key.clone();
        self.apply(Change::LoadVisible { key, at: self.at });
        version
    }

    /// The next version is committed, with these holders, and not yet installed anywhere.
    pub fn commit(&mut self, id: TabletId, holders: &[ReplicaId]) -> Version {
        let load = LoadId(self.id());
        let tablet = self.tablet(id);
        let (parent, version) = (tablet.committed, tablet.committed.next());
        let hash = hash_of(id, version);
        let part = LoadPart {
            parent,
            version,
            ballot: tablet.ballot,
            members: holders.to_vec(),
            bytes: REPLICA_BYTES,
            prepared: holders.iter().map(|replica| (*replica, hash)).collect(),
            failed: BTreeMap::new(),
        };
        let record = VersionRecord { version, parent, hash, load, holders: holders.to_vec(), superseded: None };
        let load = Load {
            id: load,
            key: LoadKey(format!("load-{load}")),
            table: tablet.table,
            mode: LoadMode::Add,
            content: Digest::of(load.to_string().as_bytes()),
            phase: LoadPhase::Committed,
            tablets: BTreeMap::from([(id, part)]),
            opened: self.at,
            commit_asked: true,
            ended_wall_ms: 0,
        };
        self.apply(Change::LoadCommitted { load, versions: vec![(id, record)], at: self.at });
        version
    }

    /// The next version, held by every replica of the tablet.
    pub fn load_all(&mut self, tablet: TabletId) -> Version {
        let holders = self.replicas(tablet);
        self.load(tablet, &holders)
    }

    /// The replica reports `version` whole and freshly verified.
    pub fn see(&mut self, tablet: TabletId, replica: ReplicaId, version: Version) {
        let known = self.replica(tablet, replica);
        let (node, disk, highest) = (known.node, known.disk, known.version);
        let fact = fact_of(tablet, replica, disk, version);
        let node_now = &self.world.nodes[&node];
        let (boot, seq) = (node_now.boot.unwrap_or_default(), node_now.seq);
        self.apply(Change::ReplicaSeen { fact, node, boot, seq, at: self.at });
        if version > highest {
            self.apply(Change::ReplicaRose { tablet, replica, version });
        }
    }

    /// All its replicas report their version with this size.
    pub fn resize(&mut self, tablet: TabletId, size: u64) {
        for replica in self.tablet(tablet).replicas.clone() {
            let Some(seen) = &replica.seen else { continue };
            let (node, boot, seq, at) = (replica.node, seen.boot, seen.seq, self.at);
            let fact = ReplicaFact { size, ..fact_of(tablet, replica.id, replica.disk, seen.version) };
            self.apply(Change::ReplicaSeen { fact, node, boot, seq, at });
        }
    }

    /// One more replica of the tablet, in this state and not yet reported.
    pub fn replica_on(&mut self, tablet: TabletId, disk: DiskId, state: ReplicaState) -> ReplicaId {
        let replica = ReplicaId(self.id());
        let (node, ballot) = (self.world.disks[&disk].node, self.world.next_ballot(tablet));
        self.apply(Change::ReplicaAdded { tablet, replica, node, disk, state, ballot });
        replica
    }

    pub fn bad(&mut self, tablet: TabletId, replica: ReplicaId) {
        self.apply(Change::ReplicaBad { tablet, replica, cause: "data/1/a fails its digest".into() });
    }

    /// Takes a replica out of the catalog.
    pub fn forget(&mut self, tablet: TabletId, replica: ReplicaId) {
        let ballot = self.world.next_ballot(tablet);
        let evidence = Evidence::NeverComplete { task: stele_common::TaskId(0) };
        self.apply(Change::ReplicaDropped { tablet, replica, ballot, evidence });
    }

    pub fn apply(&mut self, change: Change) {
        self.world.apply(&change);
    }

    /// A fresh id.
    pub fn id(&mut self) -> u64 {
        let id = self.world.next_id;
        if id == self.world.reserved_id {
            self.apply(Change::IdsReserved { end: id + 10_000 });
        }
        self.apply(Change::IdsIssued { next: id + 1 });
        id
    }

    pub fn tablet(&self, id: TabletId) -> &Tablet {
        self.world.tablets.get(id).expect("the sample has this tablet")
    }

    pub fn replica(&self, tablet: TabletId, id: ReplicaId) -> &Replica {
        let replicas = &self.tablet(tablet).replicas;
        replicas.iter().find(|replica| replica.id == id).expect("the sample has this replica")
    }

    /// Ids of the tablet's replicas, in its order.
    pub fn replicas(&self, tablet: TabletId) -> Vec<ReplicaId> {
        self.tablet(tablet).replicas.iter().map(|replica| replica.id).collect()
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.world.nodes.keys().copied().collect()
    }

    pub fn disks_of(&self, node: NodeId) -> Vec<DiskId> {
        let disks = self.world.disks.values().filter(|disk| disk.node == node);
        disks.map(|disk| disk.id).collect()
    }
}

/// The hash that version `version` of the tablet has in every sample.
pub fn hash_of(tablet: TabletId, version: Version) -> VersionHash {
    if version == Version::EMPTY { Digest::ZERO } else { Digest::of(format!("{tablet}/{version}").as_bytes()) }
}

/// What a whole, freshly verified replica reports.
pub fn fact_of(tablet: TabletId, replica: ReplicaId, disk: DiskId, version: Version) -> ReplicaFact {
    ReplicaFact {
        tablet,
        replica,
        disk,
        version,
        hash: hash_of(tablet, version),
        pending: version,
        bad: None,
        size: REPLICA_BYTES,
        files: version.0,
        verified_age_ms: Some(0),
        oldest: Version(version.0.saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkup::count;

    /// A sample is what it says: reported, healthy, spread over hosts.
    #[test]
    fn a_fresh_sample_is_healthy() {
        let mut sample = Sample::new(4, 2);
        let tablets = sample.table(3, 8);
        for id in &tablets {
            assert_eq!(count(&sample.world, sample.tablet(*id)).complete, 3, "before the first load");
            sample.load_all(*id);
            assert_eq!(count(&sample.world, sample.tablet(*id)).complete, 3);
        }
        let first = sample.replicas(tablets[0]);
        sample.load(tablets[0], &first[..2]);
        let counts = count(&sample.world, sample.tablet(tablets[0]));
        assert_eq!((counts.alive, counts.complete), (3, 2));
    }
}
