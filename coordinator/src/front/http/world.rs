//! `/v1/world`: the newest snapshot as a world file, for `stele snapshot save`.
//!
//! Written on a thread of its own and sent while it is written, so that neither a worker nor memory is held by a large
//! house. Few at once, and a reader that takes nothing is cut off: each holds a snapshot.

use super::{Front, Problem};
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{HttpResponse, get};
use std::io::{self, Write};
use std::time::Duration;
use stele_coordinator_rules::worldfile::Written;
use tokio::sync::{Semaphore, mpsc};

/// Writers at once.
static WRITERS: Semaphore = Semaphore::const_new(2);
/// Bytes in one piece, and pieces under way: enough to keep a fast reader busy.
const PIECE: usize = 64 << 10;
const PIECES: usize = 8;
/// A reader that takes no piece for this long is cut off.
const STALL: Duration = Duration::from_secs(30);

#[get("/v1/world")]
pub async fn show(front: Data<Front>) -> Result<HttpResponse, Problem> {
    let Ok(writer) = WRITERS.try_acquire() else {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "two snapshots are being read already");
        return Err(problem.next("try again in a moment"));
    };
    let published = front.ask.now();
    if published.number == 0 {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "the coordinator has no snapshot yet"));
    }
    let (at, wall_ms) = (front.ask.clock().tick(), front.ask.clock().wall_ms());
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let _writer = writer;
        let mut pipe = Pipe { sender, gathered: BytesMut::with_capacity(PIECE) };
        let written = Written { world: &published.world, at, wall_ms };
        let done = serde_json::to_writer(&mut pipe, &written).map_err(io::Error::from).and_then(|()| pipe.flush());
        if let Err(error) = done {
            // Told as a body that breaks off; nobody may be there to hear it.
            let _ = pipe.send(Err(error));
        }
    });
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let piece: Option<io::Result<Bytes>> = receiver.recv().await;
        piece.map(|piece| (piece, receiver))
    });
    Ok(HttpResponse::Ok().content_type("application/json").streaming(pieces))
}

/// From the thread that writes to the connection that sends.
struct Pipe {
    sender: mpsc::Sender<io::Result<Bytes>>,
    gathered: BytesMut,
}

impl Pipe {
    fn send(&self, piece: io::Result<Bytes>) -> io::Result<()> {
        let sent = tokio::runtime::Handle::current().block_on(self.sender.send_timeout(piece, STALL));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader went away, or took nothing for 30 s"))
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let gathered = self.gathered.split().freeze();
        if gathered.is_empty() { Ok(()) } else { self.send(Ok(gathered)) }
    }
}
