//! The one thread that owns the store. The Catalog hands it batches over a bounded channel and hears of each commit
//! through a oneshot; a batch is never split, and jobs are done in the order in which they came.
//!
//! Committing blocks (milliseconds, more on disks with a real flush), so it never happens on an arbiter.

use super::{MetaStore, StoreError};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use stele_coordinator_rules::{Change, World, world};
use tokio::sync::oneshot;

/// Batches under way at most. The Catalog has one in flight, and a snapshot behind it.
const JOBS_MAX: usize = 4;
/// Appended changes after which a snapshot is worth its price. A start replays a million changes a second, so it
/// could be ten times more; a tenth of it would write the whole catalog every few minutes under load.
const SNAPSHOT_AFTER: u64 = 50_000;

/// What a commit came to.
pub type Committed = Result<(), StoreError>;

enum Job {
    Append { changes: Vec<Change>, done: oneshot::Sender<Committed> },
    Snapshot { world: Arc<World>, done: oneshot::Sender<Committed> },
}

/// The Catalog's end; dropping it lets the thread finish its jobs and end.
pub struct Writer {
    jobs: Sender<Job>,
    /// Changes since the last snapshot, and what it held.
    appended: u64,
    snapshot_size: u64,
}

impl Writer {
    /// Starts the thread. Join the handle after dropping the writer to be sure that the file is closed.
    pub fn start(store: Box<dyn MetaStore>) -> io::Result<(Writer, JoinHandle<()>)> {
        let (jobs, work) = bounded(JOBS_MAX);
        let appended = store.appended();
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || write(store, &work))?;
        Ok((Writer { jobs, appended, snapshot_size: 0 }, thread))
    }

    /// Commits `changes`; the answer comes once they are durable. An ended thread shows as a closed oneshot.
    pub fn append(&mut self, changes: Vec<Change>) -> oneshot::Receiver<Committed> {
        self.appended += changes.len() as u64;
        let (done, answer) = oneshot::channel();
        self.hand_over(Job::Append { changes, done });
        answer
    }

    /// Whether the log has grown so long that a snapshot is worth it; never more often than the catalog's own size.
    pub fn wants_snapshot(&self) -> bool {
        self.appended > SNAPSHOT_AFTER.max(self.snapshot_size)
    }

    /// Replaces the log by `world`, which must be what all appended changes come to.
    pub fn snapshot(&mut self, world: Arc<World>) -> oneshot::Receiver<Committed> {
        self.appended = 0;
        self.snapshot_size = world.tablets.len() as u64;
        let (done, answer) = oneshot::channel();
        self.hand_over(Job::Snapshot { world, done });
        answer
    }

    pub fn appended(&self) -> u64 {
        self.appended
    }

    fn hand_over(&self, job: Job) {
        // With one batch and one snapshot in flight the channel always has room; a thread that has ended drops the
        // job's oneshot, which its waiter takes for a failed commit.
        if self.jobs.send(job).is_err() {
            tracing::error!("the store thread has ended");
        }
    }
}

fn write(mut store: Box<dyn MetaStore>, work: &Receiver<Job>) {
    for job in work {
        let began = Instant::now();
        match job {
            Job::Append { changes, done } => {
                let committed = store.append(&changes);
                metrics::histogram!("stele_commit_seconds").record(began.elapsed().as_secs_f64());
                metrics::histogram!("stele_commit_changes").record(changes.len() as f64);
                // Nobody waits any more only when the process is ending.
                done.send(committed).ok();
            }
            Job::Snapshot { world, done } => {
                let changes = world::as_changes(&world);
                let kept = store.snapshot(&changes);
                tracing::info!(changes = changes.len(), ms = began.elapsed().as_millis() as u64, "store compacted");
                done.send(kept).ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;
    use stele_coordinator_rules::sample::Sample;

    /// A long log is replaced by a snapshot of the world, which recovers to the same.
    #[test]
    fn compaction() {
        let mut sample = Sample::new(3, 1);
        let tablet = sample.table(3, 4)[0];
        sample.load_all(tablet);
        let store = MemoryStore::default();
        let (mut writer, thread) = Writer::start(Box::new(store.clone())).unwrap();
        let change = Change::IdsReserved { end: 1 };
        let commit = writer.append(vec![change; SNAPSHOT_AFTER as usize]);
        assert!(!writer.wants_snapshot());
        let commit = (commit, writer.append(world::as_changes(&sample.world)));
        assert!(writer.wants_snapshot());
        let kept = writer.snapshot(Arc::new(sample.world.clone()));
        assert!(!writer.wants_snapshot());
        drop(writer);
        thread.join().unwrap();
        for answer in [commit.0, commit.1, kept] {
            answer.blocking_recv().unwrap().unwrap();
        }
        let mut recovered = World::empty(sample.world.knobs.clone());
        store.kept().iter().for_each(|change| recovered.apply(change));
        assert!(store.kept().len() < 100);
        assert_eq!(world::as_changes(&recovered), world::as_changes(&sample.world));
    }
}
