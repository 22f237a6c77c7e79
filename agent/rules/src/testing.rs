//! Small worlds for the tests of this crate.

use crate::book::{Book, Held, Staged, Trashed};
use crate::event::{Action, Event, EventBody, Op, OpResult};
use crate::{check, handle, next};
use stele_common::{
    Ballot, CloneOrder, ClusterId, DatabaseId, Digest, DiskId, DiskState, Epoch, Evidence, LoadId, NodeId, Order,
    OrderBody, PartitionId, ReplicaId, Source, TableId, TabletId, TabletLabel, TaskId, Tick, Version, VersionHash,
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
        purpose: stele_common::TaskType::Repair,
    }
}

pub fn at(tick: u64, body: EventBody) -> Event {
    Event { at: Tick(tick), body }
}

pub fn order(epoch: u64, body: OrderBody) -> Event {
    at(1000, EventBody::Order(Order { epoch: Epoch(epoch), body }))
}

/// A book, its turn and what came out of it, in few words.
pub struct World {
    pub book: Book,
}

impl World {
    pub fn new(replicas: Vec<Held>) -> World {
        World { book: book_of(replicas) }
    }

    /// One event; the answer in words, such as `install load 4 v3; no stale_epoch`. The book must stay consistent, and
    /// nothing that could run may be left lying.
    pub fn turn(&mut self, event: Event) -> String {
        let actions = handle(&mut self.book, &event);
        assert_eq!(check(&self.book), Vec::<String>::new(), "after {event:?}");
        assert_eq!(next::ops(&self.book), vec![], "left lying after {event:?}");
        actions.iter().map(short).collect::<Vec<_>>().join("; ")
    }

    pub fn order(&mut self, body: OrderBody) -> String {
        self.turn(order(5, body))
    }

    /// Ends the only op in flight on this replica.
    pub fn done(&mut self, replica: u64, result: OpResult) -> String {
        let op = self.book.busy.get(&ReplicaId(replica)).expect("the test began an op there").clone();
        self.end(op, result)
    }

    pub fn end(&mut self, op: Op, result: OpResult) -> String {
        self.turn(at(2000, EventBody::Done { op, result }))
    }

    pub fn held(&self, replica: u64) -> &Held {
        &self.book.replicas[&ReplicaId(replica)]
    }
}

fn short(action: &Action) -> String {
    let op = match action {
        Action::Explain(refused) => return format!("no {}", refused.as_str()),
        Action::Record(change) => return format!("{change:?}"),
        Action::Do(op) => op,
    };
    match op {
        Op::Create { label } => format!("create {}", label.replica),
        Op::Fetch { order, mend } => format!("fetch {}{}", order.task, if *mend { " to mend" } else { "" }),
        Op::InstallCopy { task, version, mend, .. } => {
            format!("install copy {task} v{version}{}", if *mend { " to mend" } else { "" })
        }
        Op::DiscardCopy { tablet, .. } => format!("discard copy of {tablet}"),
        Op::InstallLoad { load, version, .. } => format!("install load {load} v{version}"),
        Op::DiscardLoad { load, .. } => format!("discard load {load}"),
        Op::Drop { replica, .. } => format!("drop {replica}"),
        Op::Purge { replica, .. } => format!("purge {replica}"),
        Op::Confirm { replica, nonce, .. } => format!("confirm {replica} #{nonce}"),
        Op::Verify { replica, urgent, .. } => format!("{} {replica}", if *urgent { "verify" } else { "scrub" }),
        Op::Collect { replica, below, keep, .. } => format!("collect {replica} below {below} keep {keep:?}"),
    }
}

pub fn clone_of(task: u64, replica: u64, tablet: u64, version: u64) -> OrderBody {
    OrderBody::Clone(clone_order(task, replica, tablet, version))
}

pub fn fetch(task: u64, replica: u64, tablet: u64, version: u64, mend: bool) -> Op {
    Op::Fetch { order: clone_order(task, replica, tablet, version), mend }
}

pub fn fetched(version: u64) -> OpResult {
    OpResult::Fetched { version: Version(version), hash: hash(version), bytes_copied: 8, bytes_reused: 2 }
}

pub fn installed(version: u64, content_checked: bool) -> OpResult {
    OpResult::Installed { version: Version(version), hash: hash(version), size: 5, files: 1, content_checked }
}

pub fn drop_of(replica: u64, tablet: u64) -> OrderBody {
    OrderBody::Drop { tablet: TabletId(tablet), replica: ReplicaId(replica), evidence: evidence() }
}

pub fn purge_of(replica: u64, tablet: u64) -> OrderBody {
    OrderBody::Purge { tablet: TabletId(tablet), replica: ReplicaId(replica), evidence: evidence() }
}

pub fn commit_of(load: u64, replica: u64, tablet: u64, version: u64) -> OrderBody {
    OrderBody::CommitLoad {
        load: LoadId(load),
        tablet: TabletId(tablet),
        replica: ReplicaId(replica),
        version: Version(version),
        hash: hash(version),
    }
}

pub fn abort_of(load: u64) -> OrderBody {
    OrderBody::AbortLoad { load: LoadId(load) }
}

pub fn discard_of(load: u64, replica: u64, tablet: u64) -> OrderBody {
    OrderBody::DiscardLoad { load: LoadId(load), tablet: TabletId(tablet), replica: ReplicaId(replica) }
}

pub fn confirm_of(replica: u64, tablet: u64, nonce: u64) -> OrderBody {
    OrderBody::Confirm { tablet: TabletId(tablet), replica: ReplicaId(replica), nonce }
}

pub fn verify_of(replica: u64, tablet: u64) -> OrderBody {
    OrderBody::Verify { tablet: TabletId(tablet), replica: ReplicaId(replica) }
}

pub fn collect_of(replica: u64, tablet: u64, below: u64) -> OrderBody {
    OrderBody::Collect { tablet: TabletId(tablet), replica: ReplicaId(replica), below: Version(below) }
}

pub fn load_staged(load: u64, replica: u64, tablet: u64, version: u64) -> Event {
    let staged = staged(replica, version);
    at(900, EventBody::LoadStaged { load: LoadId(load), tablet: TabletId(tablet), staged })
}

pub fn turned(state: DiskState, cause: &str) -> Event {
    let cause = (state != DiskState::Online).then(|| cause.to_string());
    at(1500, EventBody::DiskTurned { state, cause })
}
