//! What the benches share: houses with many tablets, and a watch. Each bench uses a part of it.
#![allow(dead_code)]

use std::time::{Duration, Instant};
use stele_common::{
    Ballot, DiskId, LoadId, Medium, NodeId, PartitionId, ReplicaId, ReplicaState, TableId, TabletId, Version,
};
use stele_coordinator_rules::Change;
use stele_coordinator_rules::sample::{Sample, hash_of};
use stele_coordinator_rules::world::{Partition, Replica, SeenReplica, Table, Tablet, VersionRecord};

/// Bytes of each replica.
pub const SIZE: u64 = 1 << 20;
/// A disk and its node.
pub type Seat = (NodeId, DiskId);

pub fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (began, cpu) = (Instant::now(), on_cpu());
    let found = work();
    let (took, cpu) = (began.elapsed(), on_cpu().saturating_sub(cpu));
    println!("{what}: {:.2} ms, of which on the processor {:.2} ms", ms(took), ms(cpu));
    found
}

pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Processor time of this thread, so that a busy machine does not blur the figure. Linux only; 0 elsewhere.
pub fn on_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// One table, each of its tablets at version 1 with three replicas where `places` says.
pub fn fill(sample: &mut Sample, tablets: u64, places: impl Fn(u64, &[Seat]) -> Vec<Seat>) {
    let disks: Vec<Seat> = sample.world.disks.values().map(|disk| (disk.node, disk.id)).collect();
    let (table, partition) = (TableId(1_000_000), PartitionId(1_000_001));
    let first = 10_000_000;
    let ids: Vec<TabletId> = (0..tablets).map(|index| TabletId(first + index)).collect();
    let parts =
        Partition { id: partition, name: "p0".into(), medium: Medium::Hdd, replication: 3, tablets: ids.clone() };
    let (db, db_id, name) = ("d".to_string(), stele_common::DatabaseId(999_999), "t".to_string());
    let (tag, group, state) = ("default".into(), None, stele_coordinator_rules::policy::TableState::Normal);
    let (buckets, partitions) = (tablets as u32, vec![parts]);
    let table_of = Table { id: table, db, db_id, name, buckets, tag, group, state, partitions, columns: String::new() };
    sample.apply(Change::TableAdded { table: table_of, tablets: Vec::new() });
    for chunk in ids.chunks(10_000) {
        let tablets = chunk.iter().map(|id| tablet(*id, table, partition, &places(id.0 - first, &disks))).collect();
        sample.apply(Change::TabletsAdded { tablets });
    }
}

fn tablet(id: TabletId, table: TableId, partition: PartitionId, places: &[Seat]) -> Tablet {
    let hash = hash_of(id, Version(1));
    let replica = |index: u64| {
        let (node, disk) = places[index as usize];
        let seen = SeenReplica {
            boot: stele_common::BootId(node.0),
            seq: 1,
            version: Version(1),
            hash,
            pending: Version(1),
            failed: None,
            size: SIZE,
            files: 1,
            oldest: Version(1),
            verified: None,
            confirmed: None,
            bad: None,
            behind: None,
        };
        let (id, state) = (ReplicaId(20_000_000 + id.0 * 3 + index), ReplicaState::Normal);
        Replica {
            id,
            node,
            disk,
            state,
            bad: None,
            version: Version(1),
            replaced_by: None,
            seen: Some(seen),
            further_repair: None,
        }
    };
    let replicas: Vec<Replica> = (0..3).map(replica).collect();
    let holders = replicas.iter().map(|replica| replica.id).collect();
    let (version, parent, load) = (Version(1), Version::EMPTY, LoadId(1));
    Tablet {
        id,
        table,
        partition,
        bucket: 0,
        wanted: 3,
        medium: Medium::Hdd,
        visible: version,
        committed: version,
        versions: vec![VersionRecord { version, parent, hash, load, holders, superseded: None }],
        ballot: Ballot(1),
        primary: Some(replicas[0].id),
        replicas,
        revision: 1,
        load: None,
        unhealthy_since: None,
    }
}

/// Three disks of different hosts, scattered by the tablet's id.
pub fn scattered(seed: u64, disks: &[Seat]) -> Vec<Seat> {
    let mut places: Vec<Seat> = Vec::with_capacity(3);
    let mut scattered = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    while places.len() < 3 {
        scattered = (scattered ^ (scattered >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(1);
        let place = disks[(scattered >> 33) as usize % disks.len()];
        if places.iter().all(|(node, _)| *node != place.0) {
            places.push(place);
        }
    }
    places
}

/// Linux only; 0 elsewhere.
pub fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
