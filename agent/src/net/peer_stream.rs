//! Sending files to a peer: headers and small files together in few writes, large ones from file to socket.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use stele_common::peer::{FileHeader, PeerReply, write_frame};

/// Files up to this size are copied into the write buffer with their headers: one write carries dozens. Above it
/// a sendfile of its own saves the copy.
const SMALL_BYTES: u64 = 64 * 1024;
/// The write buffer. Larger saves little; half of it doubles the writes of a stream of small files.
const BUFFER_BYTES: usize = 256 * 1024;
/// Bytes given to one sendfile at most; the taker's pace is looked at between two.
const SENDFILE_BYTES: u64 = 4 * 1024 * 1024;
/// A taker that accepts fewer bytes than this in one idle time is cut off.
const LIVELY_BYTES: u64 = 64 * 1024;

/// The sending half of a connection.
pub(crate) struct Sender {
    taking: Taking,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
}

/// How fast bytes may go out.
pub(crate) struct Pace<'a> {
    /// The largest piece now; asked before each.
    pub piece: &'a dyn Fn() -> u64,
    /// Hears of each piece that has gone out, and may pause.
    pub passed: &'a dyn Fn(u64),
}

/// Why a file did not go out.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The connection is of no use any more.
    Line(io::Error),
    /// The file could not be read, and nothing of it has gone out.
    Unread(io::Error),
    /// The file could not be read to its end, after its header had gone out: the connection must be closed.
    File(io::Error),
}

/// A socket whose peer must keep taking.
struct Taking {
    stream: TcpStream,
    idle: Duration,
    deadline: Instant,
    since: u64,
}

impl Taking {
    fn took(&mut self, bytes: u64) -> io::Result<()> {
        self.since += bytes;
        if self.since >= LIVELY_BYTES {
            self.since = 0;
            self.deadline = Instant::now() + self.idle;
        } else if Instant::now() >= self.deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing, or too slowly"));
        }
        Ok(())
    }

    /// Lets somebody pause; the taker is not blamed for the time.
    fn pause(&mut self, pause: impl FnOnce()) {
        let began = Instant::now();
        pause();
        self.deadline += began.elapsed();
    }

    fn send_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = &bytes[n..];
                    self.took(n as u64)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Sender {
    /// `stream` has its write timeout set to `idle`.
    pub fn new(stream: TcpStream, idle: Duration) -> Sender {
        let taking = Taking { stream, idle, deadline: Instant::now() + idle, since: 0 };
        Sender { taking, buffer: Vec::with_capacity(BUFFER_BYTES), scratch: Vec::new() }
    }

    /// Sends one message at once.
    pub fn say(&mut self, reply: &PeerReply) -> io::Result<()> {
        self.queue(reply)?;
        self.flush()
    }

    /// Puts a message behind what waits in the buffer.
    pub fn queue(&mut self, reply: &PeerReply) -> io::Result<()> {
        write_frame(&mut self.buffer, reply)?;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Sends what waits in the buffer.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            // Whoever speaks now has been waited for by nobody until here.
            self.taking.deadline = Instant::now() + self.taking.idle;
            self.taking.send_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Sends a file's header and its bytes; the file has been found to be `header.size` long. `pace` says how
    /// large a piece may be, hears of each that has gone out, and may pause.
    pub fn file(&mut self, header: &FileHeader, file: &mut File, pace: &Pace) -> Result<(), SendError> {
        if header.size > SMALL_BYTES {
            self.queue(&PeerReply::File(header.clone())).map_err(SendError::Line)?;
            self.flush().map_err(SendError::Line)?;
            return self.large(file, header.size, pace);
        }
        // A small file is read before its header goes out.
        self.scratch.clear();
        self.scratch.reserve(header.size as usize);
        file.take(header.size).read_to_end(&mut self.scratch).map_err(SendError::Unread)?;
        if self.scratch.len() as u64 != header.size {
            return Err(SendError::Unread(io::ErrorKind::UnexpectedEof.into()));
        }
        self.queue(&PeerReply::File(header.clone())).map_err(SendError::Line)?;
        self.buffer.extend_from_slice(&self.scratch);
        (pace.passed)(header.size);
        if self.buffer.len() >= BUFFER_BYTES { self.flush().map_err(SendError::Line) } else { Ok(()) }
    }

    fn large(&mut self, file: &File, size: u64, pace: &Pace) -> Result<(), SendError> {
        let mut left = size;
        while left > 0 {
            let piece = left.min(SENDFILE_BYTES).min((pace.piece)());
            match rustix::fs::sendfile(&self.taking.stream, file, None, piece as usize) {
                Ok(0) => return Err(SendError::File(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => {
                    left -= n as u64;
                    self.taking.took(n as u64).map_err(SendError::Line)?;
                    self.taking.pause(|| (pace.passed)(n as u64));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::IO) => return Err(SendError::File(rustix::io::Errno::IO.into())),
                Err(rustix::io::Errno::AGAIN) => {
                    return Err(SendError::Line(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")));
                }
                Err(error) => return Err(SendError::Line(error.into())),
            }
        }
        Ok(())
    }
}
