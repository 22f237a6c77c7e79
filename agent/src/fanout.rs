//! The primary's copies of a load stream: one thread and one bounded queue for each other member. In: headers and
//! bytes as they arrive from the client. Out: which members have the load durable, and why the others have not.
//!
//! ```text
//! stream ──▶ File, Bytes, ... ──▶ queue (2 MiB) ──▶ member thread ──▶ its peer port
//!               └ full for 10 s: this member is left out, the others go on
//! ```
//!
//! A fan-out that is dropped without [`Fanout::finish`] leaves nothing prepared on any member: no member is sent the
//! end of the stream before the primary has seen it.

use bytes::Bytes;
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stele_common::peer::{FileHeader, LoadBegin, Member};
use stele_common::{ReplicaId, VersionHash};

/// A member that takes nothing for so long is left out: the client waits for the slowest member that is in.
pub const SLOW: Duration = Duration::from_secs(10);
/// After the stream a member gets so long to make the load durable; a sync of a busy disk takes seconds.
pub const DURABLE: Duration = Duration::from_secs(30);
/// Pieces in a member's queue: 32 × 64 KiB keep a connection busy while another one syncs.
const QUEUE: usize = 32;

/// A stream to one member. The real one is a connection to its peer port; tests have their own.
pub trait Forward {
    /// Announces a file.
    fn file(&mut self, header: &FileHeader) -> Result<(), String>;
    /// Sends bytes of the file.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), String>;
    /// Ends the stream and waits until the member has the load durable; the hash of the version that it will become.
    fn finish(self: Box<Self>) -> Result<VersionHash, String>;
}

/// Opens the stream to a member.
pub type Connect = Arc<dyn Fn(&Member, &LoadBegin) -> Result<Box<dyn Forward>, String> + Send + Sync>;

#[derive(Clone)]
enum Piece {
    File(FileHeader),
    Bytes(Bytes),
    End,
}

struct Line {
    replica: ReplicaId,
    /// `None`: left out, or the stream to it has ended.
    pieces: Option<Sender<Piece>>,
    result: Receiver<Result<VersionHash, String>>,
    lost: Option<String>,
}

/// All other members of one load.
pub struct Fanout {
    lines: Vec<Line>,
}

/// What became of the members.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub prepared: Vec<ReplicaId>,
    pub failed: Vec<(ReplicaId, String)>,
}

impl Fanout {
    /// Starts a thread for each member that `begin` names; `hash` is what the version will be.
    pub fn start(begin: &LoadBegin, hash: VersionHash, connect: &Connect) -> Fanout {
        let line = |member: &Member| {
            let (pieces, queue) = bounded(QUEUE);
            let (answer, result) = bounded(1);
            let forwarded =
                LoadBegin { replica: member.replica, hash: Some(hash), forward: Vec::new(), ..begin.clone() };
            let (member, connect) = (member.clone(), Arc::clone(connect));
            let replica = member.replica;
            let name = format!("load-{}-to-{}", begin.load, member.node);
            let started = std::thread::Builder::new().name(name).spawn(move || {
                // The receiver is gone when nobody waits for the answer any more.
                let _ = answer.send(carry(&member, &forwarded, &queue, hash, &connect));
            });
            let lost = started.err().map(|error| format!("no thread for it: {error}"));
            Line { replica, pieces: lost.is_none().then_some(pieces), result, lost }
        };
        Fanout { lines: begin.forward.iter().map(line).collect() }
    }

    /// Passes a file's announcement on.
    pub fn file(&mut self, header: &FileHeader) {
        self.send(&Piece::File(header.clone()));
    }

    /// Passes bytes on; they are shared, not copied.
    pub fn bytes(&mut self, bytes: &Bytes) {
        self.send(&Piece::Bytes(bytes.clone()));
    }

    /// The client's stream has ended well: every member may prepare. Returns at once.
    pub fn end(&mut self) {
        self.send(&Piece::End);
        for line in &mut self.lines {
            line.pieces = None;
        }
    }

    /// Waits for the members' answers.
    pub fn finish(self) -> Outcome {
        let deadline = Instant::now() + DURABLE;
        let mut outcome = Outcome::default();
        for line in self.lines {
            let result = match line.lost {
                Some(lost) => Err(lost),
                None => line
                    .result
                    .recv_deadline(deadline)
                    .unwrap_or_else(|_| Err(format!("not durable after {} s", DURABLE.as_secs()))),
            };
            match result {
                Ok(_) => outcome.prepared.push(line.replica),
                Err(cause) => outcome.failed.push((line.replica, cause)),
            }
        }
        outcome
    }

    fn send(&mut self, piece: &Piece) {
        for line in &mut self.lines {
            let Some(pieces) = &line.pieces else { continue };
            let lost = match pieces.send_timeout(piece.clone(), SLOW) {
                Ok(()) => continue,
                Err(SendTimeoutError::Timeout(_)) => format!("it took nothing for {} s", SLOW.as_secs()),
                Err(SendTimeoutError::Disconnected(_)) => match line.result.try_recv() {
                    Ok(Err(cause)) => cause,
                    Ok(Ok(_)) | Err(_) => "its stream ended early".to_string(),
                },
            };
            line.lost = Some(lost);
            line.pieces = None;
        }
    }
}

/// A member's thread.
fn carry(
    member: &Member,
    begin: &LoadBegin,
    queue: &Receiver<Piece>,
    hash: VersionHash,
    connect: &Connect,
) -> Result<VersionHash, String> {
    let mut stream = connect(member, begin)?;
    for piece in queue {
        match piece {
            Piece::File(header) => stream.file(&header)?,
            Piece::Bytes(bytes) => stream.bytes(&bytes)?,
            Piece::End => {
                let found = stream.finish()?;
                return if found == hash { Ok(found) } else { Err(format!("it would become {found}, not {hash}")) };
            }
        }
    }
    // Dropping the stream without its end makes the member remove what it has staged.
    Err("the client's stream broke".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use stele_common::{Ballot, Delta, Digest, Epoch, LoadId, LoadMode, NodeId, RelPath, TabletId, Version};

    type Log = Arc<Mutex<Vec<String>>>;

    /// A member that writes down what it is sent.
    struct Recorder {
        name: String,
        log: Log,
        finished: bool,
    }

    impl Recorder {
        fn note(&self, what: &str) {
            self.log.lock().unwrap().push(format!("{} {what}", self.name));
        }
    }

    impl Forward for Recorder {
        fn file(&mut self, header: &FileHeader) -> Result<(), String> {
            self.note(header.path.as_str());
            Ok(())
        }
        fn bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
            self.note(&String::from_utf8_lossy(bytes));
            Ok(())
        }
        fn finish(mut self: Box<Self>) -> Result<VersionHash, String> {
            self.finished = true;
            self.note("end");
            Ok(Digest([7; 32]))
        }
    }

    impl Drop for Recorder {
        fn drop(&mut self) {
            if !self.finished {
                self.note("broken");
            }
        }
    }

    fn begin() -> LoadBegin {
        let member = |id: u64| Member { node: NodeId(id), replica: ReplicaId(id), peer: format!("p{id}") };
        LoadBegin {
            load: LoadId(1),
            tablet: TabletId(2),
            replica: ReplicaId(9),
            epoch: Epoch(1),
            ballot: Ballot(1),
            parent: Version(0),
            parent_hash: Digest::ZERO,
            version: Version(1),
            hash: None,
            delta: Delta { mode: LoadMode::Add, put: vec![], remove: vec![] },
            forward: vec![member(1), member(2)],
        }
    }

    fn recording(log: &Log, dead: Option<u64>) -> Connect {
        let log = Arc::clone(log);
        Arc::new(move |member: &Member, begin: &LoadBegin| {
            assert!(begin.forward.is_empty() && begin.replica == member.replica && begin.hash.is_some());
            if Some(member.node.0) == dead {
                return Err("connection refused".to_string());
            }
            Ok(Box::new(Recorder { name: member.peer.clone(), log: Arc::clone(&log), finished: false }) as _)
        })
    }

    fn header() -> FileHeader {
        FileHeader { path: RelPath::new("f").unwrap(), size: 2, digest: Digest::ZERO }
    }

    /// Every member gets everything in order; one that cannot be reached is named and does not disturb the others.
    #[test]
    fn members_get_everything() {
        let log = Log::default();
        let mut fanout = Fanout::start(&begin(), Digest([7; 32]), &recording(&log, Some(2)));
        fanout.file(&header());
        fanout.bytes(&Bytes::from_static(b"xy"));
        fanout.end();
        let outcome = fanout.finish();
        assert_eq!(outcome.prepared, [ReplicaId(1)]);
        assert_eq!(outcome.failed, [(ReplicaId(2), "connection refused".to_string())]);
        assert_eq!(*log.lock().unwrap(), ["p1 f", "p1 xy", "p1 end"]);
    }

    /// A member whose version would differ is not counted.
    #[test]
    fn another_hash_is_a_failure() {
        let log = Log::default();
        let mut fanout = Fanout::start(&begin(), Digest([8; 32]), &recording(&log, None));
        fanout.end();
        let outcome = fanout.finish();
        assert!(outcome.prepared.is_empty() && outcome.failed.len() == 2, "{outcome:?}");
    }

    /// A stream that breaks before its end leaves nothing prepared on any member.
    #[test]
    fn a_broken_stream_prepares_nothing() {
        let log = Log::default();
        let mut fanout = Fanout::start(&begin(), Digest([7; 32]), &recording(&log, None));
        fanout.file(&header());
        let results: Vec<_> = fanout.lines.iter().map(|line| line.result.clone()).collect();
        drop(fanout);
        for result in results {
            assert!(result.recv().unwrap().is_err());
        }
        let log = log.lock().unwrap();
        assert!(!log.iter().any(|line| line.ends_with("end")), "{log:?}");
        assert_eq!(log.iter().filter(|line| line.ends_with("broken")).count(), 2, "{log:?}");
    }
}
