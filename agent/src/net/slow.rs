//! Readers that do not take what is sent to them: their HTTP connections are cut off and counted, so that a stalled client
//! holds neither a version nor a place for ever.
//!
//! ```text
//! a piece is handed out ──▶ the clock runs ──the next is asked for──▶ the clock stops (our own disk's time is not theirs)
//!                                   └── `limits.peer_idle_ms` over ──▶ the socket is shut down, the body is dropped
//! ```
//!
//! The kernel takes some pieces into its own buffer at once, so what counts is some 2 MiB in one idle time, not one piece.

use crate::telemetry;
use actix_web::dev::Extensions;
use actix_web::rt;
use std::any::Any;
use std::cell::Cell;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// The socket of a connection, for cutting it off.
#[derive(Clone)]
pub struct Socket(Arc<TcpStream>);

/// Keeps a connection's socket with it. What has no watched body (a long answer in one piece) is left to the kernel, which
/// gives up a peer that takes nothing at all for twice the idle time.
pub fn remember(connection: &dyn Any, extensions: &mut Extensions, idle: Duration) {
    let Some(stream) = connection.downcast_ref::<rt::net::TcpStream>() else { return };
    let limit = u32::try_from(idle.as_millis().saturating_mul(2)).unwrap_or(u32::MAX);
    // Without it a stalled client is only found by its keep-alive or not at all; nothing else depends on it.
    rustix::net::sockopt::set_tcp_user_timeout(stream, limit).ok();
    if let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(stream, 0) {
        extensions.insert(Socket(Arc::new(TcpStream::from(socket))));
    }
}

/// Watches one body; dropped with it.
pub struct Watch {
    /// When the piece that the reader has to take was handed out.
    given: Rc<Cell<Option<Instant>>>,
    task: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch; without a socket nothing can be cut off.
    pub fn start(socket: Option<Socket>, idle: Duration) -> Watch {
        let given = Rc::new(Cell::new(None));
        let task = socket.map(|socket| rt::spawn(watch(socket, idle, Rc::clone(&given))));
        Watch { given, task }
    }

    /// A piece goes out.
    pub fn given(&self) {
        self.given.set(Some(Instant::now()));
    }

    /// The reader wants the next one.
    pub fn taken(&self) {
        self.given.set(None);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn watch(socket: Socket, idle: Duration, given: Rc<Cell<Option<Instant>>>) {
    loop {
        let now = Instant::now();
        let due = given.get().unwrap_or(now) + idle;
        if due <= now {
            metrics::counter!(telemetry::HTTP_SLOW).increment(1);
            tracing::info!(peer = ?socket.0.peer_addr().ok(), "a reader takes nothing, or too slowly; it is cut off");
            // It may be closed already.
            socket.0.shutdown(Shutdown::Both).ok();
            return;
        }
        sleep_until(due).await;
    }
}
