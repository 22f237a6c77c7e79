//! A load stream: the bytes of an HTTP body become a load that is durable here and on the other members. In: body
//! chunks through a bounded channel. Out: who has it durable. Runs on a thread of its own; blocks as it likes.
//!
//! ```text
//! Load(begin) ─▶ may it come? ─▶ [FileHeader, bytes]* ─▶ StreamEnd ─▶ end to members ─▶ sync here ─▶ their answers
//!                                    │ each chunk at once: staged here, queued for each member
//! ```
//!
//! Trusts nothing in the stream: frames are bounded, names are checked, digests are held against the bytes. A stream
//! that breaks, lies or stops anywhere before its end leaves nothing prepared anywhere.

use crate::disk::{DiskDir, DiskError, LoadWriter};
use crate::fanout::{Connect, Fanout};
use bytes::{Buf as _, Bytes};
use std::io::{self, Read};
use std::sync::Arc;
use stele_agent_rules::book::Staged;
use stele_common::api;
use stele_common::peer::{FileHeader, FrameError, LoadBegin, PEER_FRAME_MAX, PeerRequest, read_frame};
use stele_common::{LoadId, TabletId};
use tokio::sync::mpsc;

/// Chunks of the body that may wait for the disk: actix hands out up to 64 KiB at a time.
pub const BODY_QUEUE: usize = 16;
/// A file's announcement: a path of at most 2 KiB and a few numbers.
const HEADER_MAX: usize = 16 * 1024;

/// Why a load did not become durable here.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the load stream is malformed: {0}")]
    Malformed(String),
    #[error("the load stream broke off: {0}")]
    Broken(String),
    #[error("replica {replica} is not on this agent")]
    NoSuchReplica { replica: stele_common::ReplicaId },
    #[error("epoch {given} is over; this disk has seen {seen}")]
    StaleEpoch { given: u64, seen: u64 },
    #[error("{0}")]
    StaleBallot(String),
    #[error("{0}")]
    NotAtParent(String),
    /// It may still get there: its last version is being installed.
    #[error("{0}")]
    Behind(String),
    #[error("replica {replica} cannot be trusted: {cause}")]
    Bad { replica: stele_common::ReplicaId, cause: String },
    #[error("{0}")]
    Digest(String),
    #[error("{0}")]
    Full(String),
    #[error("{0}")]
    Disk(String),
    #[error("{0}")]
    Busy(String),
    #[error("the coordinator has not heard this agent lately; it takes no loads until it does")]
    NoLease,
}

impl LoadError {
    /// Status and code on the wire.
    pub fn code(&self) -> (u16, &'static str) {
        match self {
            LoadError::Malformed(_) => (400, "malformed"),
            LoadError::Broken(_) => (400, "stream_broken"),
            LoadError::NoSuchReplica { .. } => (404, "no_such_replica"),
            LoadError::StaleEpoch { .. } => (409, "stale_epoch"),
            LoadError::StaleBallot(_) => (409, "stale_ballot"),
            LoadError::NotAtParent(_) | LoadError::Behind(_) => (409, "not_at_parent"),
            LoadError::Bad { .. } => (409, "replica_bad"),
            LoadError::Digest(_) => (422, "digest_mismatch"),
            LoadError::Full(_) => (507, "disk_full"),
            LoadError::Disk(_) => (503, "disk_failed"),
            LoadError::Busy(_) => (503, "busy"),
            LoadError::NoLease => (503, "no_lease"),
        }
    }
}

impl From<DiskError> for LoadError {
    fn from(error: DiskError) -> Self {
        let text = error.to_string();
        match error {
            DiskError::Full { .. } => LoadError::Full(text),
            DiskError::Busy { .. } => LoadError::Busy(text),
            DiskError::WrongBytes { .. } => LoadError::Digest(text),
            DiskError::Mismatch { .. } => LoadError::Malformed(text),
            DiskError::NotFound { .. } | DiskError::Damaged { .. } => LoadError::NotAtParent(text),
            DiskError::Io { .. } | DiskError::Unusable { .. } => LoadError::Disk(text),
        }
    }
}

impl From<FrameError> for LoadError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => LoadError::Broken(error.to_string()),
            FrameError::TooLarge(..) | FrameError::Malformed(_) => LoadError::Malformed(error.to_string()),
        }
    }
}

/// The body of a request, read by a thread.
pub struct Body {
    chunks: mpsc::Receiver<Result<Bytes, String>>,
    current: Bytes,
}

impl Body {
    /// A body whose chunks come through `chunks`; the channel's end is the body's.
    pub fn new(chunks: mpsc::Receiver<Result<Bytes, String>>) -> Body {
        Body { chunks, current: Bytes::new() }
    }

    /// The next bytes, at most `max` of them, without copying.
    fn take_bytes(&mut self, max: u64) -> Result<Bytes, LoadError> {
        if self.fill().map_err(|error| LoadError::Broken(error.to_string()))? == 0 {
            return Err(LoadError::Broken("the body ended in the middle of a file".to_string()));
        }
        let count = (self.current.len() as u64).min(max) as usize;
        Ok(self.current.split_to(count))
    }

    /// Makes sure that there are bytes; 0 at the end of the body.
    fn fill(&mut self) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(Ok(chunk)) => self.current = chunk,
                Some(Err(cause)) => return Err(io::Error::other(cause)),
                None => return Ok(0),
            }
        }
        Ok(self.current.len())
    }
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill()?.min(out.len());
        self.current.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

/// Reads the first words of a stream.
pub fn read_begin(body: &mut Body, load: LoadId, tablet: TabletId) -> Result<LoadBegin, LoadError> {
    let begin = match read_frame::<PeerRequest>(body, PEER_FRAME_MAX)? {
        PeerRequest::Load(begin) => begin,
        PeerRequest::Hello { .. }
        | PeerRequest::Proof { .. }
        | PeerRequest::Manifest { .. }
        | PeerRequest::Fetch { .. }
        | PeerRequest::Doubt { .. }
        | PeerRequest::StreamEnd => {
            return Err(LoadError::Malformed("a load stream begins with its description".to_string()));
        }
    };
    if (begin.load, begin.tablet) != (load, tablet) {
        let (in_load, in_tablet) = (begin.load, begin.tablet);
        let detail = format!("the address says load {load} of tablet {tablet}, the stream {in_load} of {in_tablet}");
        return Err(LoadError::Malformed(detail));
    }
    if begin.version <= begin.parent {
        let (version, parent) = (begin.version, begin.parent);
        return Err(LoadError::Malformed(format!("version {version} cannot follow version {parent}")));
    }
    Ok(begin)
}

/// Receives the rest of the stream, makes it durable here and waits for the members. `staged` is told as soon as it
/// is durable here, before the members are waited for.
pub fn receive(
    mut body: Body,
    begin: &LoadBegin,
    dir: &Arc<DiskDir>,
    connect: &Connect,
    staged: impl FnOnce(Staged),
) -> Result<api::LoadStaged, LoadError> {
    let mut writer = dir.stage_load(begin)?;
    let hash = writer.hash();
    let mut members = Fanout::start(begin, hash, connect);
    for _ in &begin.delta.put {
        receive_file(&mut body, &mut writer, &mut members)?;
    }
    match read_frame::<PeerRequest>(&mut body, HEADER_MAX)? {
        PeerRequest::StreamEnd => {}
        PeerRequest::Hello { .. }
        | PeerRequest::Proof { .. }
        | PeerRequest::Manifest { .. }
        | PeerRequest::Fetch { .. }
        | PeerRequest::Doubt { .. }
        | PeerRequest::Load(_) => {
            return Err(LoadError::Malformed("after the last file comes the end of the stream".to_string()));
        }
    }
    // The members sync while we do.
    members.end();
    let done = writer.finish()?;
    let bytes = done.bytes;
    staged(done);
    let outcome = members.finish();
    let mut prepared = vec![begin.replica];
    prepared.extend(outcome.prepared);
    Ok(api::LoadStaged { hash, bytes, prepared, failed: outcome.failed })
}

fn receive_file(body: &mut Body, writer: &mut LoadWriter, members: &mut Fanout) -> Result<(), LoadError> {
    let header: FileHeader = read_frame(body, HEADER_MAX)?;
    writer.begin_file(&header)?;
    members.file(&header);
    let mut left = header.size;
    while left > 0 {
        let bytes = body.take_bytes(left)?;
        left -= bytes.len() as u64;
        members.bytes(&bytes);
        writer.write(&bytes)?;
    }
    writer.end_file()?;
    Ok(())
}

#[cfg(test)]
mod tests;
