//! The peer port: gives manifests and files to other agents, takes forwarded loads from them.
//!
//! ```text
//! accept (one thread) ──▶ a thread a connection, at most `peers_max`; one more is told Busy and closed
//!    handshake ─▶ Manifest | Fetch | Load | ... until the caller hangs up, is silent, or talks nonsense
//! ```
//!
//! A connection pins every version that it named until it closes. Bytes are sent as they lie on the disk; the
//! receiver checks them. A file that is not what its manifest says is never begun: the answer is Damaged.

use super::host::{PeerCounter, PeerHost};
use super::peer_line::{Credentials, HANDSHAKE_WAIT, HandshakeError, Line, welcome};
use super::peer_stream::{SendError, Sender};
use crate::disk::{DiskDir, DiskError, LoadWriter, OpenVersion};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use stele_agent_rules::event::EventBody;
use stele_common::config::AgentLimits;
use stele_common::handshake::HANDSHAKE_FRAME_MAX;
use stele_common::peer::{
    FileHeader, FrameError, LoadBegin, PEER_FRAME_MAX, PeerError, PeerErrorCode, PeerReply, PeerRequest, read_frame,
    write_frame,
};
use stele_common::{DiskId, DiskState, RelPath, ReplicaId, TabletId, Version};

/// Bytes read from a caller's socket at a time.
const READ_BYTES: usize = 256 * 1024;
/// A caller that has named a version may work on what it holds for this many idle times before it asks for files.
const THINK_IDLES: u32 = 20;
/// A load that failed is read on for this many bytes, so that the reason reaches the primary before a reset does.
const DRAIN_BYTES: u64 = 16 * 1024 * 1024;
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

/// A version that this connection named and pins.
struct Named {
    disk: Arc<DiskDir>,
    open: OpenVersion,
}

/// One caller after its handshake.
struct Conversation<'h> {
    host: &'h dyn PeerHost,
    reader: BufReader<Line<'static>>,
    sender: Sender,
    idle: Duration,
    named: BTreeMap<(ReplicaId, Version), Named>,
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
            PeerRequest::Manifest { tablet, replica, version } => match self.name(tablet, replica, version) {
                Ok(key) => {
                    let open = &self.named[&key].open;
                    let reply = PeerReply::Manifest { meta: open.meta_text.clone(), b3: open.b3_text.clone() };
                    Ok(self.sender.say(&reply)?)
                }
                Err(error) => Ok(self.sender.say(&PeerReply::Error(error))?),
            },
            PeerRequest::Fetch { tablet, replica, version, files } => self.send(tablet, replica, version, &files),
            PeerRequest::Load(begin) => self.load(begin),
            PeerRequest::Hello { .. } | PeerRequest::Proof { .. } | PeerRequest::StreamEnd => {
                let error = PeerError { code: PeerErrorCode::Malformed, detail: "out of order".into() };
                self.sender.say(&PeerReply::Error(error))?;
                Err(Ended::Malformed("a word out of order".into()))
            }
        }
    }

    /// Opens and pins a version.
    fn name(
        &mut self,
        tablet: TabletId,
        replica: ReplicaId,
        version: Option<Version>,
    ) -> Result<(ReplicaId, Version), PeerError> {
        let disk = self.disk_of(replica)?;
        let open = disk.manifest(tablet, replica, version).map_err(|error| {
            if let DiskError::Damaged { .. } = error {
                disk.quarantine(tablet, replica, &error.to_string());
            }
            self.refusal(disk.disk(), replica, error)
        })?;
        let key = (replica, open.meta.version);
        if !self.named.contains_key(&key) {
            self.host.tell(disk.disk(), EventBody::Pinned { replica, version: key.1 });
            self.named.insert(key, Named { disk, open });
        }
        Ok(key)
    }

    fn disk_of(&self, replica: ReplicaId) -> Result<Arc<DiskDir>, PeerError> {
        let none = || PeerError {
            code: PeerErrorCode::NoSuchReplica,
            detail: format!("replica {replica} is on no disk of this agent"),
        };
        self.host.disk_of(replica).ok_or_else(none)
    }

    /// Streams files of a version; ends with an error in place of a header when one cannot be given.
    fn send(&mut self, tablet: TabletId, replica: ReplicaId, version: Version, files: &[RelPath]) -> Result<(), Ended> {
        let key = (replica, version);
        if !self.named.contains_key(&key)
            && let Err(error) = self.name(tablet, replica, Some(version))
        {
            return Ok(self.sender.say(&PeerReply::Error(error))?);
        }
        let Named { disk, open } = &self.named[&key];
        let mut reader = disk.reader(tablet, replica);
        let (mut bytes, mut sent) = (0, 0);
        for path in files {
            let Some(entry) = open.manifest.entries.get(path) else {
                let detail = format!("version {version} has no file `{path}`");
                let error = PeerError { code: PeerErrorCode::NoSuchVersion, detail };
                return Ok(self.sender.say(&PeerReply::Error(error))?);
            };
            let mut file = match reader.open(path, entry) {
                Ok(file) => file,
                Err(error) => {
                    let error = self.refusal(disk.disk(), replica, error);
                    return Ok(self.sender.say(&PeerReply::Error(error))?);
                }
            };
            let header = FileHeader { path: path.clone(), size: entry.size, digest: entry.digest };
            match self.sender.file(&header, &mut file) {
                Ok(()) => {}
                Err(SendError::Line(error)) => return Err(Ended::Line(error)),
                Err(SendError::File(error)) => {
                    // Its header may be on the way: only closing the connection says that it is not whole.
                    let detail = format!("`{path}` cannot be read: {error}");
                    self.disk_failed(disk.disk(), detail);
                    return Err(Ended::Line(error));
                }
            }
            bytes += entry.size;
            sent += 1;
        }
        self.sender.say(&PeerReply::FetchEnd)?;
        self.host.count(PeerCounter::BytesSent, bytes);
        self.host.count(PeerCounter::FilesSent, sent);
        Ok(())
    }

    /// Takes a forwarded load.
    fn load(&mut self, begin: LoadBegin) -> Result<(), Ended> {
        let admitted = self.host.admit_load(&begin).and_then(|()| {
            let disk = self.disk_of(begin.replica)?;
            let writer = disk.stage_load(&begin).map_err(|error| self.refusal(disk.disk(), begin.replica, error))?;
            Ok((disk, writer))
        });
        let (disk, writer) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return Ok(self.sender.say(&PeerReply::Error(error))?),
        };
        self.sender.say(&PeerReply::Ready)?;
        self.reader.get_mut().lively();
        match receive(&mut self.reader, writer, &begin) {
            Ok(staged) => {
                let (hash, bytes) = (staged.hash, staged.bytes);
                let told = EventBody::LoadStaged { load: begin.load, tablet: begin.tablet, staged };
                self.host.tell(disk.disk(), told);
                self.host.count(PeerCounter::LoadBytes, bytes);
                Ok(self.sender.say(&PeerReply::LoadStaged { hash, bytes })?)
            }
            Err(LoadFailure::Ended(ended)) => Err(ended),
            Err(LoadFailure::Disk(error)) => {
                let error = self.refusal(disk.disk(), begin.replica, error);
                let detail = error.to_string();
                self.sender.say(&PeerReply::Error(error))?;
                self.drain()?;
                Err(Ended::Line(io::Error::other(detail)))
            }
        }
    }

    /// Reads on for a moment after an error was said, so that it is not lost in a reset.
    fn drain(&mut self) -> io::Result<()> {
        self.reader.get_ref().stream().shutdown(Shutdown::Write)?;
        self.reader.get_mut().all_within(HANDSHAKE_WAIT.min(self.idle));
        io::copy(&mut (&mut self.reader).take(DRAIN_BYTES), &mut io::sink())?;
        Ok(())
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
        for ((replica, version), named) in &self.named {
            let (replica, version) = (*replica, *version);
            self.host.tell(named.disk.disk(), EventBody::Unpinned { replica, version });
        }
    }
}

/// Why a forwarded load was not staged.
enum LoadFailure {
    Ended(Ended),
    Disk(DiskError),
}

impl<E: Into<Ended>> From<E> for LoadFailure {
    fn from(error: E) -> Self {
        LoadFailure::Ended(error.into())
    }
}

/// The files of a load in the order of its delta, then its end. Dropping the writer removes what came.
fn receive(
    reader: &mut BufReader<Line<'static>>,
    mut writer: LoadWriter,
    begin: &LoadBegin,
) -> Result<stele_agent_rules::book::Staged, LoadFailure> {
    for _ in &begin.delta.put {
        let header: FileHeader = read_frame(reader, HANDSHAKE_FRAME_MAX)?;
        writer.begin_file(&header).map_err(LoadFailure::Disk)?;
        let mut left = header.size;
        while left > 0 {
            let bytes = reader.fill_buf()?;
            if bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            writer.write(&bytes[..taken]).map_err(LoadFailure::Disk)?;
            reader.consume(taken);
            left -= taken as u64;
        }
        writer.end_file().map_err(LoadFailure::Disk)?;
    }
    match read_frame(reader, HANDSHAKE_FRAME_MAX)? {
        PeerRequest::StreamEnd => writer.finish().map_err(LoadFailure::Disk),
        PeerRequest::Hello { .. }
        | PeerRequest::Proof { .. }
        | PeerRequest::Manifest { .. }
        | PeerRequest::Fetch { .. }
        | PeerRequest::Load(_) => Err(LoadFailure::Ended(Ended::Malformed("a load ends with its end".into()))),
    }
}
