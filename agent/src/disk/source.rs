//! What a copy needs of another agent; the peer port's client is one, a test's own another.

use super::error::DiskError;
use std::io::{self, BufRead};
use std::sync::atomic::AtomicBool;
use stele_common::peer::{FileHeader, PeerError, Wanted};
use stele_common::{RelPath, Source, TabletId, TaskType, Version};

/// Where copies come from.
pub trait PeerSource: Send + Sync {
    /// Connects to the agent of a source; what is asked on the session is about this source's replica.
    fn connect<'a>(
        &self,
        source: &Source,
        tablet: TabletId,
        terms: Terms<'a>,
    ) -> Result<Box<dyn PeerSession + 'a>, PeerFailure>;
}

/// What a source is asked for, and how long it is waited for while it is silent.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    pub purpose: TaskType,
    pub stall_ms: u64,
    /// Set: give up at once.
    pub cancelled: &'a AtomicBool,
}

/// One connection; the source keeps what it named until this is dropped.
pub trait PeerSession {
    /// The two texts of the head (`None`; only a good replica tells it) or of a kept version.
    fn manifest(&mut self, version: Option<Version>) -> Result<(String, String), PeerFailure>;
    /// Streams the files, in this order, into the sink; what the source cannot give is said to the sink, too.
    fn fetch(&mut self, files: &[Wanted], sink: &mut dyn FileSink) -> Result<(), FetchFailure>;
    /// Says that the bytes of this file failed their digest, so that the source looks at it.
    fn doubt(&mut self, file: &Wanted) -> Result<(), PeerFailure>;
}

/// Takes files as they come.
pub trait FileSink {
    /// Takes exactly `header.size` bytes from `body`.
    fn file(&mut self, header: &FileHeader, body: &mut dyn BufRead) -> Result<(), FetchFailure>;
    /// The source cannot give this file.
    fn lacks(&mut self, path: &RelPath, error: &PeerError) -> Result<(), FetchFailure>;
}

/// Why a peer gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum PeerFailure {
    /// It could not be reached, or broke off.
    #[error("{detail}")]
    Lost { detail: String },
    /// It was connected, and brought nothing for as long as it is waited for.
    #[error("{detail}")]
    Silent { detail: String },
    /// It answered, and said no.
    #[error("the peer refused: {0}")]
    Refused(#[from] PeerError),
    /// What it said makes no sense.
    #[error("the peer is not understood: {detail}")]
    Malformed { detail: String },
    #[error("cancelled")]
    Cancelled,
}

impl PeerFailure {
    /// What an error of the connection means.
    pub fn of_line(error: &io::Error) -> PeerFailure {
        let detail = error.to_string();
        match error.kind() {
            io::ErrorKind::TimedOut => PeerFailure::Silent { detail },
            _ => PeerFailure::Lost { detail },
        }
    }
}

/// Why a stream of files ended early.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailure {
    #[error(transparent)]
    Peer(#[from] PeerFailure),
    /// Our own disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
