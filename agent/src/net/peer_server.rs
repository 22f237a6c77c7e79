//! The peer port: gives manifests and files to other agents, takes forwarded loads from them.
//!
//! ```text
//! accept (one thread) ──▶ a thread a connection, at most `peers_max`; one more is told Busy and closed
//!    handshake ─▶ Manifest | Fetch | Doubt (giving) | Load (taking) | ... until the caller hangs up, is silent, or talks nonsense
//! ```
//!
//! A connection pins every version that it named until it closes.

mod giving;
mod taking;

use super::host::{PeerCounter, PeerHost};
use super::peer_line::{Credentials, HANDSHAKE_WAIT, HandshakeError, Line, welcome};
use super::peer_stream::Sender;
use crate::disk::{DiskDir, DiskError};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use stele_agent_rules::event::EventBody;
use stele_common::config::AgentLimits;
use stele_common::peer::{
    FrameError, PEER_FRAME_MAX, PeerError, PeerErrorCode, PeerReply, PeerRequest, read_frame, write_frame,
};
use stele_common::{DiskId, DiskState, ReplicaId, Version};

/// Bytes read from a caller's socket at a time.
const READ_BYTES: usize = 256 * 1024;
/// A caller that has named a version may work on what it holds for this many idle times before it asks for files.
const THINK_IDLES: u32 = 20;
/// How long after a failed accept (out of descriptors) the next is tried.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The running port.
pub struct PeerServer {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl PeerServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nobody any more; open connections go on to their end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        // The accepting thread looks at the flag when somebody comes.
        TcpStream::connect_timeout(&self.address, ACCEPT_PAUSE).ok();
    }
}

/// Serves the port on threads of its own.
pub fn serve(listener: TcpListener, host: Arc<dyn PeerHost>, limits: &AgentLimits) -> io::Result<PeerServer> {
    let stopped = Arc::new(AtomicBool::new(false));
    let server = PeerServer { address: listener.local_addr()?, stopped: Arc::clone(&stopped) };
    let (peers_max, idle) = (limits.peers_max, Duration::from_millis(limits.peer_idle_ms.max(1)));
    let accept = move || {
        let open = Arc::new(AtomicUsize::new(0));
        while let Some(stream) = next(&listener, &stopped) {
            host.count(PeerCounter::Connections, 1);
            let seat = Seat::take(&open);
            if seat.taken > peers_max {
                host.count(PeerCounter::Busy, 1);
                turn_away(stream, peers_max);
                continue;
            }
            let host = Arc::clone(&host);
            let talk = move || {
                let _seat = seat;
                converse(stream, host.as_ref(), idle);
            };
            if let Err(error) = std::thread::Builder::new().name("peer".into()).spawn(talk) {
                tracing::error!(reason = %error, "cannot start a thread for a peer");
            }
        }
    };
    std::thread::Builder::new().name("peer-accept".into()).spawn(accept)?;
    Ok(server)
}

fn next(listener: &TcpListener, stopped: &AtomicBool) -> Option<TcpStream> {
    loop {
        let accepted = listener.accept();
        if stopped.load(Ordering::Relaxed) {
            return None;
        }
        match accepted {
            Ok((stream, _)) => return Some(stream),
            Err(error) => {
                tracing::warn!(reason = %error, "the peer port cannot accept");
                std::thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// One of the connections at once; given back when dropped.
struct Seat {
    open: Arc<AtomicUsize>,
    taken: usize,
}

impl Seat {
    fn take(open: &Arc<AtomicUsize>) -> Seat {
        Seat { open: Arc::clone(open), taken: open.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn turn_away(mut stream: TcpStream, peers_max: usize) {
    stream.set_write_timeout(Some(ACCEPT_PAUSE)).ok();
    let detail = format!("{peers_max} peers are connected");
    // Whether it hears the reason is its own affair.
    write_frame(&mut stream, &PeerReply::Error(PeerError { code: PeerErrorCode::Busy, detail })).ok();
}

/// Why a conversation ended.
#[derive(Debug)]
enum Ended {
    /// The caller hung up between two requests.
    Done,
    /// The caller said something that is not the protocol.
    Malformed(String),
    /// The line broke or was too slow.
    Line(io::Error),
}

impl From<FrameError> for Ended {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => Ended::Line(error),
            FrameError::TooLarge(..) | FrameError::Malformed(_) => Ended::Malformed(error.to_string()),
        }
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Ended::Line(error)
    }
}

fn converse(stream: TcpStream, host: &dyn PeerHost, idle: Duration) {
    let from = stream.peer_addr().map(|address| address.to_string()).unwrap_or_default();
    match begin(stream, host, idle).map(|mut conversation| conversation.run()) {
        Ok(Ended::Done) => {}
        Ok(Ended::Malformed(detail)) => {
            host.count(PeerCounter::Malformed, 1);
            tracing::warn!(from, reason = detail, "a peer talks nonsense; its connection is closed");
        }
        Ok(Ended::Line(error)) => {
            if error.kind() == io::ErrorKind::TimedOut {
                host.count(PeerCounter::Slow, 1);
            }
            tracing::debug!(from, reason = %error, "a peer's connection ended");
        }
        Err(error) => {
            let counter = match &error {
                HandshakeError::Frame(FrameError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    PeerCounter::Slow
                }
                HandshakeError::BadProof | HandshakeError::OtherCluster | HandshakeError::Refused(_) => {
                    PeerCounter::Refused
                }
                HandshakeError::Frame(_) | HandshakeError::Unexpected => PeerCounter::Malformed,
            };
            host.count(counter, 1);
            tracing::info!(from, reason = %error, "a peer's handshake failed");
        }
    }
}

fn begin<'h>(stream: TcpStream, host: &'h dyn PeerHost, idle: Duration) -> Result<Conversation<'h>, HandshakeError> {
    // Before an agent knows its cluster nobody can prove to belong to it.
    let cluster = host.cluster().ok_or(HandshakeError::OtherCluster)?;
    let writer = stream.try_clone()?;
    let mut line = Line::new(stream, idle, None)?;
    line.all_within(HANDSHAKE_WAIT.min(idle));
    welcome(&mut line, &Credentials { cluster, token: host.token() })?;
    Ok(Conversation {
        host,
        reader: BufReader::with_capacity(READ_BYTES, line),
        sender: Sender::new(writer, idle),
        idle,
        named: BTreeMap::new(),
    })
}

/// One caller after its handshake.
struct Conversation<'h> {
    host: &'h dyn PeerHost,
    reader: BufReader<Line<'static>>,
    sender: Sender,
    idle: Duration,
    /// What this connection named and pins, and on which disk.
    named: BTreeMap<(ReplicaId, Version), DiskId>,
}

impl Conversation<'_> {
    fn run(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.one() {
                return ended;
            }
        }
    }

    /// Hears one request and answers it.
    fn one(&mut self) -> Result<(), Ended> {
        let think = if self.named.is_empty() { self.idle } else { self.idle.saturating_mul(THINK_IDLES) };
        self.reader.get_mut().all_within(think);
        if self.reader.fill_buf()?.is_empty() {
            return Err(Ended::Done);
        }
        self.reader.get_mut().all_within(self.idle);
        match read_frame(&mut self.reader, PEER_FRAME_MAX)? {
            PeerRequest::Manifest { tablet, replica, version } => {
                let reply = self.manifest(tablet, replica, version).unwrap_or_else(PeerReply::Error);
                Ok(self.sender.say(&reply)?)
            }
            PeerRequest::Fetch { tablet, replica, files, purpose } => self.send(tablet, replica, &files, purpose),
            PeerRequest::Doubt { tablet, replica, file } => {
                self.doubted(tablet, replica, &file);
                Ok(())
            }
            PeerRequest::Load(begin) => self.load(begin),
            PeerRequest::Hello { .. } | PeerRequest::Proof { .. } | PeerRequest::StreamEnd => {
                let error = PeerError { code: PeerErrorCode::Malformed, detail: "out of order".into() };
                self.sender.say(&PeerReply::Error(error))?;
                Err(Ended::Malformed("a word out of order".into()))
            }
        }
    }

    fn disk_of(&self, replica: ReplicaId) -> Result<Arc<DiskDir>, PeerError> {
        let none = || PeerError {
            code: PeerErrorCode::NoSuchReplica,
            detail: format!("replica {replica} is on no open disk of this agent"),
        };
        self.host.disk_of(replica).ok_or_else(none)
    }

    /// An error of the disk as the caller hears it; what the disk's owner must know is told to it.
    fn refusal(&self, disk: DiskId, replica: ReplicaId, error: DiskError) -> PeerError {
        let detail = error.to_string();
        let code = match error {
            DiskError::NotFound { .. } => PeerErrorCode::NoSuchVersion,
            DiskError::Damaged { .. } => {
                self.host.count(PeerCounter::Damaged, 1);
                self.host.tell(disk, EventBody::FoundDamaged { replica, cause: detail.clone() });
                PeerErrorCode::Damaged
            }
            DiskError::Io { .. } => {
                self.disk_failed(disk, detail.clone());
                PeerErrorCode::DiskFailed
            }
            DiskError::Unusable { .. } => PeerErrorCode::DiskFailed,
            DiskError::Full { .. } => PeerErrorCode::DiskFull,
            DiskError::Mismatch { .. } => PeerErrorCode::StaleBallot,
            DiskError::WrongBytes { .. } => PeerErrorCode::Malformed,
            DiskError::Busy { .. } => PeerErrorCode::Busy,
        };
        PeerError { code, detail }
    }

    fn disk_failed(&self, disk: DiskId, cause: String) {
        tracing::error!(disk = disk.0, reason = cause, "the disk failed while a peer was served");
        self.host.tell(disk, EventBody::DiskTurned { state: DiskState::Suspect, cause: Some(cause) });
    }
}

impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        for ((replica, version), disk) in &self.named {
            let (replica, version) = (*replica, *version);
            self.host.tell(*disk, EventBody::Unpinned { replica, version });
        }
    }
}
