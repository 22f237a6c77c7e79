//! The thread that looks at one disk every second: is the directory still there, on the same device, with its own
//! identity; how full is it. In: commands of the Disk actor. Out: `Probed` every second, `Returned` when a lost
//! directory could be opened anew. It may hang with its disk; then its silence tells the actor. It holds no handle of
//! the directory between two looks: the actor owns it and closes it when the disk is unavailable.

use crate::actors::messages::{Probed, Returned};
use crate::actors::scrubber::Memory;
use crate::clock::Clock;
use crate::disk::{self, DiskDir};
use actix::Recipient;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use stele_agent_rules::Book;
use stele_common::handshake::DiskFound;
use stele_common::{ClusterId, DiskId, Space};

/// A directory is looked at this often: a lost one is known after a second, and a look costs two system calls.
const EVERY: Duration = Duration::from_secs(1);
/// Its space is read every so many looks.
const SPACE_EVERY: u32 = 5;

/// What the actor asks of the thread.
#[derive(Debug)]
pub enum Command {
    /// Try to open the directory anew, read what it holds.
    Reopen,
    /// Write down when replicas were scrubbed (only while the directory is proven to be ours).
    Remember(Memory),
}

/// What it takes to open a disk.
#[derive(Clone, Debug)]
pub struct DiskPlace {
    pub path: PathBuf,
    pub cluster: ClusterId,
    pub disk: DiskId,
    pub capacity_bytes: Option<u64>,
}

impl DiskPlace {
    /// Opens the directory and reads what it holds. Blocks.
    pub fn open(&self, clock: Clock) -> Result<(Arc<DiskDir>, Book), String> {
        let dir = DiskDir::open(&self.path, &self.cluster, self.disk, self.capacity_bytes);
        self.read(Arc::new(dir.map_err(|error| error.to_string())?), clock)
    }

    /// Opens it again only if our own identity lies there: a foreign or blank directory stays untouched. The very
    /// directory that somebody still has open (and locked) is only read anew.
    fn reopen(&self, open: Option<Arc<DiskDir>>, clock: Clock) -> Result<(Arc<DiskDir>, Book), String> {
        // Let go of before it is opened again: it holds the lock.
        if let Some(open) = open.filter(|open| open.probe().is_ok()) {
            return self.read(open, clock);
        }
        let (found, cluster, _) = disk::inspect(&self.path);
        match found {
            DiskFound::Known { disk } if disk == self.disk && cluster.as_ref() == Some(&self.cluster) => {
                self.open(clock)
            }
            DiskFound::Known { disk } => Err(format!("disk {disk} lies here, not disk {}", self.disk)),
            DiskFound::Blank => Err("the directory is empty".to_string()),
            DiskFound::Unusable { cause } => Err(cause),
        }
    }

    fn read(&self, dir: Arc<DiskDir>, clock: Clock) -> Result<(Arc<DiskDir>, Book), String> {
        let mut book = dir.scan(clock.now()).map_err(|error| error.to_string())?;
        Memory::read(&self.path).fill(&mut book, clock);
        Ok((dir, book))
    }
}

/// Where the thread's words go.
pub struct Listener {
    pub probed: Recipient<Probed>,
    pub returned: Recipient<Returned>,
}

/// Starts the thread; it ends when the returned sender is dropped.
pub fn start(place: DiskPlace, dir: Arc<DiskDir>, clock: Clock, to: Listener) -> std::io::Result<Sender<Command>> {
    // One command is enough: the actor repeats what it still wants.
    let (sender, receiver) = bounded(1);
    let thread = std::thread::Builder::new().name(format!("disk-{}-watch", place.disk));
    let dir = Arc::downgrade(&dir);
    thread.spawn(move || watch(&place, dir, clock, &to, &receiver))?;
    Ok(sender)
}

fn watch(place: &DiskPlace, mut dir: Weak<DiskDir>, clock: Clock, to: &Listener, commands: &Receiver<Command>) {
    let mut looks = 0u32;
    loop {
        let (result, space) = look(dir.upgrade(), looks.is_multiple_of(SPACE_EVERY));
        looks = looks.wrapping_add(1);
        let ours = result.is_ok();
        to.probed.do_send(Probed { result, space });
        match commands.recv_timeout(EVERY) {
            Ok(Command::Reopen) => match place.reopen(dir.upgrade(), clock) {
                Ok((opened, book)) => {
                    dir = Arc::downgrade(&opened);
                    looks = 0;
                    to.returned.do_send(Returned { dir: opened, book });
                }
                Err(reason) => tracing::debug!(disk = %place.disk, %reason, "the directory is not back yet"),
            },
            Ok(Command::Remember(memory)) if ours => {
                if let Err(error) = memory.write(&place.path) {
                    tracing::debug!(disk = %place.disk, %error, "cannot write the scrub memory");
                }
            }
            Ok(Command::Remember(_)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// One look at the directory, and how full it is when that is wanted.
fn look(dir: Option<Arc<DiskDir>>, measure: bool) -> (Result<(), String>, Option<(Space, u64)>) {
    let Some(dir) = dir else { return (Err("the directory is closed".to_string()), None) };
    let result = dir.probe().map_err(|error| error.to_string());
    let space = if measure && result.is_ok() { dir.space().ok() } else { None };
    (result, space)
}
