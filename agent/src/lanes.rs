//! The named threads of one disk: where blocking file work happens. In: jobs through bounded crossbeam channels. Out:
//! one `JobDone` for each job, whatever happens: a panic in a job becomes a failure of the disk.
//!
//! ```text
//! Disk actor ── try_give ──▶ short   (2 threads)  create, install, drop, confirm
//!                            copy    (n threads)  fetch from peers
//!                            verify  (1 thread)   read everything past the page cache
//!                            remove  (1 thread)   collect, discard: a load or a copy may wait for its end
//!                            purge   (1 thread)   free trash, for which nobody waits
//! ```
//!
//! A lane takes as many jobs as it has threads and as many again; a full lane refuses, and the actor keeps the job in
//! its own list. Nothing is ever dropped. Never runs on an arbiter.

use crate::actors::messages::JobDone;
use crate::clock::wall_ms;
use crate::disk::{DiskDir, OpContext};
use crate::net::peer_client::TcpPeers;
use crate::pace::Pacer;
use crate::telemetry;
use actix::Recipient;
use crossbeam_channel::{Sender, TrySendError, bounded};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use stele_agent_rules::{Op, OpFailure, OpResult};
use stele_common::DiskId;

/// A pool of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    Short,
    Copy,
    Verify,
    Remove,
    Purge,
}

impl Lane {
    /// All lanes, in the order of their numbers.
    pub const ALL: [Lane; 5] = [Lane::Short, Lane::Copy, Lane::Verify, Lane::Remove, Lane::Purge];

    /// The lane that an op runs in: what may take minutes never stands before what takes milliseconds.
    pub fn of(op: &Op) -> Lane {
        match op {
            Op::Create { .. }
            | Op::InstallCopy { .. }
            | Op::InstallLoad { .. }
            | Op::Drop { .. }
            | Op::Confirm { .. } => Lane::Short,
            Op::Fetch { .. } => Lane::Copy,
            Op::Verify { .. } => Lane::Verify,
            Op::DiscardCopy { .. } | Op::DiscardLoad { .. } | Op::Collect { .. } => Lane::Remove,
            // On a disk short of room thousands come at once: behind them no load would be installed on a replica that is
            // to be collected, and no copy begin where an earlier one lies.
            Op::Purge { .. } => Lane::Purge,
        }
    }

    /// Its name in thread names and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Short => "short",
            Lane::Copy => "copy",
            Lane::Verify => "verify",
            Lane::Remove => "remove",
            Lane::Purge => "purge",
        }
    }
}

/// How far a copy is, written by its thread and read by the actor once a second; and the way to stop it.
#[derive(Debug, Default)]
pub struct CopyGauge {
    pub cancelled: AtomicBool,
    pub done: AtomicU64,
    pub total: AtomicU64,
}

/// One op for a thread.
pub struct Job {
    pub op: Op,
    pub dir: Arc<DiskDir>,
    pub gauge: Arc<CopyGauge>,
    pub peers: Arc<TcpPeers>,
    pub pacer: Arc<Pacer>,
}

/// The threads of one disk.
pub struct Lanes {
    senders: [Sender<Job>; Lane::ALL.len()],
}

impl Lanes {
    /// Starts the threads; they end when the value is dropped and their last job is done.
    pub fn start(disk: DiskId, copies: usize, done: &Recipient<JobDone>) -> std::io::Result<Lanes> {
        let start = |lane: Lane, threads: usize| -> std::io::Result<Sender<Job>> {
            let (sender, receiver) = bounded::<Job>(threads);
            for number in 0..threads {
                let (receiver, done) = (receiver.clone(), done.clone());
                let name = format!("disk-{disk}-{}-{number}", lane.name());
                std::thread::Builder::new().name(name).spawn(move || {
                    for job in receiver {
                        let result = run(&job);
                        // A failure may be no more than a directory that was moved away: missing is not empty, and
                        // not damaged either. So the disk itself is looked at before the failure is judged.
                        let failed = matches!(result, OpResult::Failed(_));
                        let gone = if failed { job.dir.probe().err().map(|error| error.to_string()) } else { None };
                        done.do_send(JobDone { op: job.op, result, gone });
                    }
                })?;
            }
            Ok(sender)
        };
        Ok(Lanes {
            senders: [
                start(Lane::Short, 2)?,
                start(Lane::Copy, copies.max(1))?,
                start(Lane::Verify, 1)?,
                start(Lane::Remove, 1)?,
                start(Lane::Purge, 1)?,
            ],
        })
    }

    /// Hands a job to its lane, or back when the lane is full.
    pub fn try_give(&self, lane: Lane, job: Job) -> Result<(), Box<Job>> {
        self.senders[lane as usize].try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => Box::new(job),
        })
    }
}

/// Runs one job; a panic in it is a failure of the disk, not of the process.
fn run(job: &Job) -> OpResult {
    let gauge = &job.gauge;
    let progress = |done: u64, total: u64| {
        gauge.done.store(done, Relaxed);
        gauge.total.store(total, Relaxed);
    };
    let context = OpContext {
        cancelled: &gauge.cancelled,
        progress: &progress,
        peers: job.peers.as_ref(),
        pacer: &job.pacer,
        now_wall_ms: wall_ms(),
    };
    let guarded =
        telemetry::panics_are_caught(|| std::panic::catch_unwind(AssertUnwindSafe(|| job.dir.run(&job.op, &context))));
    guarded.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        OpResult::Failed(OpFailure::Disk { detail: format!("the work on this disk panicked: {text}") })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{DiskDir, format};
    use crossbeam_channel::{Receiver, unbounded};
    use std::time::Duration;
    use stele_common::{
        Ballot, ClusterId, DatabaseId, Epoch, Evidence, Medium, PartitionId, ReplicaId, TableId, TabletId, TabletLabel,
        TaskId,
    };

    struct Ear(Sender<JobDone>);

    impl actix::Actor for Ear {
        type Context = actix::Context<Ear>;
    }

    impl actix::Handler<JobDone> for Ear {
        type Result = ();

        fn handle(&mut self, done: JobDone, _: &mut actix::Context<Ear>) {
            self.0.send(done).ok();
        }
    }

    /// Somebody who hears of ended jobs, on an arbiter of its own that lives as long as the test.
    fn ear() -> (Recipient<JobDone>, Receiver<JobDone>) {
        let (heard, hears) = unbounded();
        let (ready, is_ready) = bounded(1);
        std::thread::spawn(move || {
            actix::System::new().block_on(async move {
                ready.send(actix::Actor::start(Ear(heard)).recipient()).expect("the test waits for it");
                std::future::pending::<()>().await
            });
        });
        (is_ready.recv().expect("it starts"), hears)
    }

    fn label(tablet: TabletId, replica: ReplicaId) -> TabletLabel {
        TabletLabel {
            cluster: ClusterId("c".into()),
            database: "d".into(),
            database_id: DatabaseId(1),
            table: "t".into(),
            table_id: TableId(2),
            partition: "p".into(),
            partition_id: PartitionId(3),
            tablet,
            bucket: 0,
            buckets: 1,
            replication: 3,
            replica,
            epoch: Epoch(1),
            ballot: Ballot(1),
        }
    }

    /// While large trash is freed, what an earlier copy staged is removed, so that the next copy of the tablet may begin.
    #[test]
    fn a_discard_does_not_wait_for_purges() {
        let root = tempfile::tempdir().expect("a directory");
        format(root.path(), &ClusterId("c".into()), DiskId(1), Medium::Ssd).expect("formatted");
        let dir = DiskDir::open(root.path(), &ClusterId("c".into()), DiskId(1), None).expect("open");
        let dir = Arc::new(dir);
        let peers = Arc::new(TcpPeers { token: None, cluster: ClusterId("c".into()), idle: Duration::from_secs(1) });
        let pacer = Arc::new(Pacer::default());
        let job = |op| {
            let (dir, peers, pacer) = (Arc::clone(&dir), Arc::clone(&peers), Arc::clone(&pacer));
            Job { op, dir, gauge: Arc::default(), peers, pacer }
        };
        let evidence = || Evidence::TableDropped { table: TableId(2) };
        let of = |id: u64| (TabletId(id), ReplicaId(id * 10));
        for (tablet, replica) in [of(1), of(2)] {
            assert_eq!(run(&job(Op::Create { label: label(tablet, replica) })), OpResult::Created);
            let dropped = run(&job(Op::Drop { tablet, replica, evidence: evidence() }));
            assert!(matches!(dropped, OpResult::Dropped { .. }), "{dropped:?}");
        }
        for entry in std::fs::read_dir(root.path().join("trash")).expect("trash") {
            let much = entry.expect("an entry").path().join("data/much");
            std::fs::create_dir_all(&much).expect("made");
            (0..10_000).for_each(|n| std::fs::write(much.join(n.to_string()), "").expect("written"));
        }
        let staged = root.path().join("staging/task-7/replica/data");
        std::fs::create_dir_all(&staged).expect("made");

        let (done, ended) = ear();
        let lanes = Lanes::start(DiskId(1), 1, &done).expect("threads");
        let discard = Op::DiscardCopy { task: TaskId(5), tablet: TabletId(7), replica: ReplicaId(70) };
        let purge = |(tablet, replica)| Op::Purge { tablet, replica, evidence: evidence() };
        for op in [purge(of(1)), purge(of(2)), discard.clone()] {
            while lanes.try_give(Lane::of(&op), job(op.clone())).is_err() {
                std::thread::yield_now();
            }
        }
        let ops: Vec<Op> = (0..3)
            .map(|_| {
                let done = ended.recv_timeout(Duration::from_secs(20)).expect("it ends");
                assert!(!matches!(done.result, OpResult::Failed(_)), "{:?}", done.result);
                done.op
            })
            .collect();
        assert_ne!(ops[2], discard, "the last purge ends last");
        assert!(!staged.exists());
    }
}
