//! One connection between agents: its handshake, and how long it may be silent.
//!
//! A [`Line`] is a TCP stream on which every wait is bounded: by a deadline for what must come soon (handshake,
//! one frame), or by progress (at least [`LIVELY_BYTES`] in each idle time that was spent waiting). A peer that sends a byte a
//! second is cut off by the first and by the second.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stele_common::ClusterId;
use stele_common::handshake::{HANDSHAKE_FRAME_MAX, Speaker, proof, proof_holds};
use stele_common::peer::{FrameError, PeerError, PeerErrorCode, PeerReply, PeerRequest, read_frame, write_frame};

/// A stream that brings fewer bytes than this in one idle time is as good as silent: 3 to 13 KiB/s, by how
/// many sources there are.
const LIVELY_BYTES: u64 = 64 * 1024;
/// A waiting reader looks up this often whether it is cancelled.
const LOOK_UP: Duration = Duration::from_millis(200);
/// A peer on the same network answers a connect at once; waiting longer only delays the next source.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// The whole handshake takes two round trips.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);

/// What both ends of a connection prove.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub cluster: ClusterId,
    pub token: Option<[u8; 32]>,
}

/// A stream with bounded waits.
pub struct Line<'a> {
    stream: TcpStream,
    idle: Duration,
    cancelled: Option<&'a AtomicBool>,
    /// What must have come by when.
    deadline: Instant,
    /// Bytes since the deadline was moved; `None`: this deadline does not move.
    since: Option<u64>,
    /// When the last read came back.
    read: Instant,
}

impl<'a> Line<'a> {
    /// Takes over an accepted or connected stream.
    pub fn new(stream: TcpStream, idle: Duration, cancelled: Option<&'a AtomicBool>) -> io::Result<Line<'a>> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(idle))?;
        // A cancelled reader must notice; without anybody to cancel it, one long wait will do.
        Ok(Line { stream, idle, cancelled, deadline: Instant::now() + idle, since: Some(0), read: Instant::now() })
    }

    /// From now on until the next call, everything must have come within `wait`.
    pub fn all_within(&mut self, wait: Duration) {
        self.deadline = Instant::now() + wait;
        self.since = None;
    }

    /// From now on bytes must keep coming.
    pub fn lively(&mut self) {
        self.deadline = Instant::now() + self.idle;
        self.since = Some(0);
        self.read = Instant::now();
    }

    /// The stream for writing.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since.is_some() {
            // What a slow disk or a limit on this side took meanwhile is not the peer's silence.
            self.deadline += self.read.elapsed();
        }
        let result = self.wait(buffer);
        self.read = Instant::now();
        result
    }
}

impl Line<'_> {
    fn wait(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
                return Err(io::Error::other("cancelled"));
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer says nothing, or too slowly"));
            }
            let wait = if self.cancelled.is_some() { left.min(LOOK_UP) } else { left };
            // A timeout of zero would mean none.
            self.stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
            match self.stream.read(buffer) {
                Ok(n) => {
                    if let Some(since) = &mut self.since {
                        *since += n as u64;
                        if *since >= LIVELY_BYTES {
                            *since = 0;
                            self.deadline = Instant::now() + self.idle;
                        }
                    }
                    return Ok(n);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Why a handshake ended early.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the peer refused: {0}")]
    Refused(PeerError),
    #[error("the peer does not know this cluster's token")]
    BadProof,
    #[error("the peer belongs to another cluster")]
    OtherCluster,
    #[error("the peer answers something else than a handshake")]
    Unexpected,
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        HandshakeError::Frame(error.into())
    }
}

/// Connects to `peer` (`ip:port`).
pub fn dial(peer: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "not an address");
    for address in peer.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_WAIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The caller's half. `line` is bounded by the caller.
pub fn introduce(line: &mut (impl Read + Write), me: &Credentials) -> Result<(), HandshakeError> {
    let mine = nonce()?;
    write_frame(line, &PeerRequest::Hello { cluster: me.cluster.clone(), nonce: mine })?;
    match read_frame(line, HANDSHAKE_FRAME_MAX)? {
        PeerReply::Welcome { nonce: theirs, proof: given } => {
            let expected = proof(me.token.as_ref(), Speaker::PeerCallee, &mine, &theirs);
            if !proof_holds(&expected, &given) {
                return Err(HandshakeError::BadProof);
            }
            let proof = proof(me.token.as_ref(), Speaker::PeerCaller, &theirs, &mine);
            Ok(write_frame(line, &PeerRequest::Proof { proof })?)
        }
        PeerReply::Error(error) => Err(HandshakeError::Refused(error)),
        PeerReply::Ready
        | PeerReply::Manifest { .. }
        | PeerReply::File(_)
        | PeerReply::Lacks { .. }
        | PeerReply::FetchEnd
        | PeerReply::LoadStaged { .. } => Err(HandshakeError::Unexpected),
    }
}

/// The callee's half; what is wrong is told to the caller.
pub fn welcome(line: &mut (impl Read + Write), me: &Credentials) -> Result<(), HandshakeError> {
    let refuse = |line: &mut dyn Write, code, detail: &str, why: HandshakeError| {
        let mut line = line;
        let error = PeerError { code, detail: detail.to_string() };
        // It is being turned away; whether it hears why is its own affair.
        write_frame(&mut line, &PeerReply::Error(error)).ok();
        Err(why)
    };
    let PeerRequest::Hello { cluster, nonce: theirs } = read_frame(line, HANDSHAKE_FRAME_MAX)? else {
        return refuse(line, PeerErrorCode::Malformed, "a hello comes first", HandshakeError::Unexpected);
    };
    if cluster != me.cluster {
        let detail = "this agent belongs to another cluster";
        return refuse(line, PeerErrorCode::OtherCluster, detail, HandshakeError::OtherCluster);
    }
    let mine = nonce()?;
    let shown = proof(me.token.as_ref(), Speaker::PeerCallee, &theirs, &mine);
    write_frame(line, &PeerReply::Welcome { nonce: mine, proof: shown })?;
    let PeerRequest::Proof { proof: given } = read_frame(line, HANDSHAKE_FRAME_MAX)? else {
        return refuse(line, PeerErrorCode::Malformed, "a proof comes second", HandshakeError::Unexpected);
    };
    if !proof_holds(&proof(me.token.as_ref(), Speaker::PeerCaller, &mine, &theirs), &given) {
        let detail = "the proof of the cluster's token does not hold";
        return refuse(line, PeerErrorCode::BadProof, detail, HandshakeError::BadProof);
    }
    Ok(())
}

fn nonce() -> io::Result<[u8; 16]> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    Ok(nonce)
}

impl Write for Line<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
