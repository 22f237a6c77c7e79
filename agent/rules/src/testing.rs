//! Small worlds for the tests of this crate.

use crate::book::{Book, Held, Staged, Trashed};
use crate::event::{Event, EventBody};
use stele_common::{
    Ballot, CloneOrder, ClusterId, DatabaseId, Digest, DiskId, Epoch, Evidence, NodeId, Order, OrderBody, PartitionId,
    ReplicaId, Source, TableId, TabletId, TabletLabel, TaskId, Tick, Version, VersionHash,
};

pub const DISK: DiskId = DiskId(3);

pub fn hash(version: u64) -> VersionHash {
    if version == 0 { Digest::ZERO } else { Digest([version as u8; 32]) }
}

pub fn label(replica: u64, tablet: u64) -> TabletLabel {
    TabletLabel {
        cluster: ClusterId("c".into()),
        database: "db".into(),
        database_id: DatabaseId(1),
        table: "t".into(),
        table_id: TableId(2),
        partition: "p0".into(),
        partition_id: PartitionId(3),
        tablet: TabletId(tablet),
        bucket: 0,
        buckets: 1,
        replication: 3,
        replica: ReplicaId(replica),
        epoch: Epoch(1),
        ballot: Ballot(1),
    }
}

pub fn held(replica: u64, tablet: u64, head: u64) -> Held {
    Held::new(label(replica, tablet), Version(head), hash(head), head * 100, head)
}

pub fn book_of(replicas: Vec<Held>) -> Book {
    let mut book = Book::new(DISK);
    book.epoch = Epoch(5);
    book.replicas = replicas.into_iter().map(|held| (held.label.replica, held)).collect();
    book
}

pub fn staged(replica: u64, version: u64) -> Staged {
    Staged {
        replica: ReplicaId(replica),
        ballot: Ballot(1),
        parent: Version(version - 1),
        version: Version(version),
        hash: hash(version),
        bytes: 10,
        committed: false,
        aborted: false,
        failed: None,
    }
}

pub fn trashed(tablet: u64, dropped: u64) -> Trashed {
    Trashed { tablet: TabletId(tablet), bytes: 7, dropped: Tick(dropped), age_at_boot: 0, purge: None }
}

pub fn evidence() -> Evidence {
    Evidence::TableDropped { table: TableId(2) }
}

pub fn clone_order(task: u64, replica: u64, tablet: u64, version: u64) -> CloneOrder {
    CloneOrder {
        task: TaskId(task),
        disk: DISK,
        label: label(replica, tablet),
        version: Version(version),
        hash: hash(version),
        sources: vec![Source { node: NodeId(9), replica: ReplicaId(99), peer: "127.0.0.1:1".into() }],
        stall_ms: 60_000,
    }
}

pub fn at(tick: u64, body: EventBody) -> Event {
    Event { at: Tick(tick), body }
}

pub fn order(epoch: u64, body: OrderBody) -> Event {
    at(1000, EventBody::Order(Order { epoch: Epoch(epoch), body }))
}
