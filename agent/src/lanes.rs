//! The named threads of one disk: where blocking file work happens. In: jobs through bounded crossbeam channels. Out:
//! one `JobDone` for each job, whatever happens: a panic in a job becomes a failure of the disk.
//!
//! ```text
//! Disk actor ── try_give ──▶ short   (2 threads)  create, install, drop, confirm
//!                            copy    (n threads)  fetch from peers
//!                            verify  (1 thread)   read everything past the page cache
//!                            remove  (1 thread)   purge, collect, discard
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
}

impl Lane {
    /// All lanes, in the order of their numbers.
    pub const ALL: [Lane; 4] = [Lane::Short, Lane::Copy, Lane::Verify, Lane::Remove];

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
            Op::DiscardCopy { .. } | Op::DiscardLoad { .. } | Op::Purge { .. } | Op::Collect { .. } => Lane::Remove,
        }
    }

    /// Its name in thread names and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Short => "short",
            Lane::Copy => "copy",
            Lane::Verify => "verify",
            Lane::Remove => "remove",
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
    senders: [Sender<Job>; 4],
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
