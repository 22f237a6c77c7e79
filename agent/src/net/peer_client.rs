//! Calling another agent's peer port: to copy from it, or to forward a load to it.
//!
//! One connection a copy: while it is open the source keeps the version that it named. Every wait is bounded by the
//! order's patience with one source, and ends at once when the copy is cancelled.

use super::peer_line::{Credentials, HANDSHAKE_WAIT, HandshakeError, Line, dial, introduce};
use crate::disk::{FetchFailure, FileSink, PeerFailure, PeerSession, PeerSource, Terms};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stele_common::peer::{
    FileHeader, FrameError, LoadBegin, PEER_FRAME_MAX, PeerReply, PeerRequest, Wanted, read_frame, write_frame,
};
use stele_common::{ClusterId, ReplicaId, Source, TabletId, TaskType, Version, VersionHash};

/// Bytes read from the socket at a time: with less, a fast stream costs more in system calls than in hashing.
const READ_BYTES: usize = 1024 * 1024;
/// Bytes of names in one request; a longer list is asked for in several, so that no frame nears its limit.
const NAMES_BYTES: usize = 4 * 1024 * 1024;
/// What a file costs in a request beside its name: its entry, with the names of the fields.
const ENTRY_BYTES: usize = 96;
/// How long a member that broke a load stream off is listened to for its reason.
const REASON_WAIT: Duration = Duration::from_secs(1);

/// Other agents, over TCP.
#[derive(Clone, Debug)]
pub struct TcpPeers {
    pub token: Option<[u8; 32]>,
    pub cluster: ClusterId,
    /// Terms where an order names none.
    pub idle: Duration,
}

impl TcpPeers {
    fn credentials(&self) -> Credentials {
        Credentials { cluster: self.cluster.clone(), token: self.token }
    }

    fn line<'a>(&self, peer: &str, idle: Duration, cancelled: Option<&'a AtomicBool>) -> Result<Line<'a>, PeerFailure> {
        let lost = |error: io::Error| PeerFailure::Lost { detail: format!("cannot reach {peer}: {error}") };
        let stream = dial(peer).map_err(lost)?;
        let mut line = Line::new(stream, idle, cancelled).map_err(lost)?;
        line.all_within(HANDSHAKE_WAIT.min(idle));
        introduce(&mut line, &self.credentials()).map_err(|error| match error {
            HandshakeError::Refused(error) => PeerFailure::Refused(error),
            error => PeerFailure::Lost { detail: format!("no handshake with {peer}: {error}") },
        })?;
        Ok(line)
    }
}

impl PeerSource for TcpPeers {
    fn connect<'a>(
        &self,
        source: &Source,
        tablet: TabletId,
        terms: Terms<'a>,
    ) -> Result<Box<dyn PeerSession + 'a>, PeerFailure> {
        if terms.cancelled.load(Ordering::Relaxed) {
            return Err(PeerFailure::Cancelled);
        }
        let Terms { purpose, stall_ms, cancelled } = terms;
        let idle = if stall_ms > 0 { Duration::from_millis(stall_ms) } else { self.idle };
        let line = self.line(&source.peer, idle, Some(cancelled))?;
        let reader = BufReader::with_capacity(READ_BYTES, line);
        Ok(Box::new(Session { reader, tablet, replica: source.replica, purpose, idle, cancelled }))
    }
}

/// One source's replica, over one connection.
struct Session<'a> {
    reader: BufReader<Line<'a>>,
    tablet: TabletId,
    replica: ReplicaId,
    purpose: TaskType,
    idle: Duration,
    cancelled: &'a AtomicBool,
}

impl Session<'_> {
    fn ask(&mut self, request: &PeerRequest) -> Result<(), PeerFailure> {
        let mut frame = Vec::new();
        let asked = write_frame(&mut frame, request).and_then(|()| self.reader.get_mut().write_all(&frame));
        asked.map_err(|error| self.lost(error.into()))
    }

    fn answer(&mut self) -> Result<PeerReply, PeerFailure> {
        read_frame(&mut self.reader, PEER_FRAME_MAX).map_err(|error| self.lost(error))
    }

    fn lost(&self, error: FrameError) -> PeerFailure {
        if self.cancelled.load(Ordering::Relaxed) { PeerFailure::Cancelled } else { failure(error) }
    }
}

impl PeerSession for Session<'_> {
    fn manifest(&mut self, version: Option<Version>) -> Result<(String, String), PeerFailure> {
        self.ask(&PeerRequest::Manifest { tablet: self.tablet, replica: self.replica, version })?;
        self.reader.get_mut().all_within(self.idle);
        match self.answer()? {
            PeerReply::Manifest { meta, b3 } => Ok((meta, b3)),
            other => Err(unexpected(other)),
        }
    }

    fn fetch(&mut self, files: &[Wanted], sink: &mut dyn FileSink) -> Result<(), FetchFailure> {
        let mut rest = files;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |file: &&Wanted| {
                bytes += file.path.as_str().len() + ENTRY_BYTES;
                bytes <= NAMES_BYTES
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (now, later) = rest.split_at(count);
            rest = later;
            let (tablet, replica, purpose) = (self.tablet, self.replica, self.purpose);
            self.ask(&PeerRequest::Fetch { tablet, replica, files: now.to_vec(), purpose })?;
            self.reader.get_mut().lively();
            loop {
                match self.answer()? {
                    PeerReply::File(header) => {
                        let mut body = (&mut self.reader).take(header.size);
                        sink.file(&header, &mut body)?;
                        if body.limit() > 0 {
                            let detail = format!("`{}` was left unread", header.path);
                            return Err(PeerFailure::Malformed { detail }.into());
                        }
                    }
                    PeerReply::Lacks { path, error } => sink.lacks(&path, &error)?,
                    PeerReply::FetchEnd => break,
                    other => return Err(unexpected(other).into()),
                }
            }
        }
        Ok(())
    }

    fn doubt(&mut self, file: &Wanted) -> Result<(), PeerFailure> {
        self.ask(&PeerRequest::Doubt { tablet: self.tablet, replica: self.replica, file: file.clone() })
    }
}

/// A load being forwarded to one member.
pub struct LoadForward {
    writer: BufWriter<TcpStream>,
    line: Line<'static>,
    idle: Duration,
}

impl LoadForward {
    /// Offers the load; answers when the member is ready for its bytes. `peers.idle` is how long it is waited for.
    pub fn connect(peers: &TcpPeers, peer: &str, begin: &LoadBegin) -> Result<LoadForward, PeerFailure> {
        let lost = |error: io::Error| PeerFailure::Lost { detail: format!("{peer}: {error}") };
        let mut line = peers.line(peer, peers.idle, None)?;
        let mut writer = BufWriter::with_capacity(READ_BYTES, line.stream().try_clone().map_err(lost)?);
        write_frame(&mut writer, &PeerRequest::Load(begin.clone())).map_err(lost)?;
        writer.flush().map_err(lost)?;
        line.all_within(peers.idle);
        match read_frame(&mut line, PEER_FRAME_MAX).map_err(failure)? {
            PeerReply::Ready => Ok(LoadForward { writer, line, idle: peers.idle }),
            other => Err(unexpected(other)),
        }
    }

    /// Announces the next file of the delta.
    pub fn file(&mut self, header: &FileHeader) -> Result<(), PeerFailure> {
        write_frame(&mut self.writer, header).map_err(|error| self.reason(error))
    }

    /// Passes on the next bytes of the file that was announced.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), PeerFailure> {
        self.writer.write_all(bytes).map_err(|error| self.reason(error))
    }

    /// Ends the stream; answers when the member has it durable.
    pub fn finish(mut self) -> Result<(VersionHash, u64), PeerFailure> {
        let ended = write_frame(&mut self.writer, &PeerRequest::StreamEnd).and_then(|()| self.writer.flush());
        ended.map_err(|error| self.reason(error))?;
        self.line.all_within(self.idle);
        match read_frame(&mut self.line, PEER_FRAME_MAX).map_err(failure)? {
            PeerReply::LoadStaged { hash, bytes } => Ok((hash, bytes)),
            other => Err(unexpected(other)),
        }
    }

    /// The member hung up: perhaps it said why.
    fn reason(&mut self, error: io::Error) -> PeerFailure {
        self.line.all_within(REASON_WAIT);
        match read_frame(&mut self.line, PEER_FRAME_MAX) {
            Ok(PeerReply::Error(error)) => PeerFailure::Refused(error),
            Ok(_) | Err(_) => failure(error.into()),
        }
    }
}

impl Drop for LoadForward {
    fn drop(&mut self) {
        // What waits in the buffer of an unfinished stream must not go out as if all were well.
        self.line.stream().shutdown(std::net::Shutdown::Both).ok();
    }
}

fn failure(error: FrameError) -> PeerFailure {
    match error {
        FrameError::Io(error) => PeerFailure::of_line(&error),
        FrameError::TooLarge(..) | FrameError::Malformed(_) => PeerFailure::Malformed { detail: error.to_string() },
    }
}

fn unexpected(reply: PeerReply) -> PeerFailure {
    let what = match reply {
        PeerReply::Error(error) => return PeerFailure::Refused(error),
        PeerReply::Welcome { .. } => "a welcome",
        PeerReply::Ready => "ready",
        PeerReply::Manifest { .. } => "a manifest",
        PeerReply::File(_) => "a file",
        PeerReply::Lacks { .. } => "a lacking file",
        PeerReply::FetchEnd => "the end of a stream",
        PeerReply::LoadStaged { .. } => "the end of a load",
    };
    PeerFailure::Malformed { detail: format!("{what} came where something else was asked for") }
}
