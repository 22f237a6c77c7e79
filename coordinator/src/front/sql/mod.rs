//! The MySQL port: stock clients log in and type statements; [`super::statements`] carries them out.
//!
//! ```text
//! accept ─▶ greeting ─▶ [TLS] ─▶ proof of the password ─▶ commands ... ─▶ quit, or idle for too long
//!           └──────────── 10 s for all of it ───────┘
//! ```
//!
//! It runs on a thread of its own, so that a long list holds up neither agents nor HTTP. Connections, packets, buffers
//! and times are bounded; it knows packets, and nothing of the cluster.

mod auth;
mod codec;
mod connection;
mod handshake;
mod login;
mod prepared;
mod session;
mod tls;
mod values;
mod wire;

pub use tls::{Files, acceptor};

use super::statements::Engine;
use super::statements::fault::Fault;
use super::users::Users;
use actix::Arbiter;
use codec::Outgoing;
use connection::End;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// From accepting to the welcome, all in all.
const LOGIN_DEADLINE: Duration = Duration::from_secs(10);
/// Connections at once, where the process may open so many files.
const CONNECTIONS_MAX: usize = 12_288;
/// Files that the rest of the process may open: 4 096 agents, 2 048 connections of HTTP, the store, and room.
const FILES_ELSEWHERE: u64 = 8_192;
/// After a failed accept (no file descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every connection needs.
#[derive(Clone)]
pub struct Port {
    pub engine: Engine,
    pub users: Arc<Users>,
    /// `None`: TLS is not offered.
    pub tls: Option<TlsAcceptor>,
    pub requires_tls: bool,
}

/// Serves on a thread of its own until that is stopped.
pub fn start(listener: std::net::TcpListener, port: Port) -> std::io::Result<Arbiter> {
    listener.set_nonblocking(true)?;
    let most = room();
    let arbiter = Arbiter::new();
    arbiter.spawn_fn(move || match TcpListener::from_std(listener) {
        Ok(listener) => drop(actix_rt::spawn(serve(listener, Rc::new(port), most))),
        Err(error) => tracing::error!(%error, "cannot serve the MySQL port"),
    });
    Ok(arbiter)
}

/// What of the files that we may open is left when agents, HTTP and the store have theirs; half, where there are few.
fn room() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = files.saturating_sub(FILES_ELSEWHERE).max(files / 2);
    usize::try_from(room).unwrap_or(usize::MAX).min(CONNECTIONS_MAX)
}

async fn serve(listener: TcpListener, port: Rc<Port>, most: usize) {
    let connections = Arc::new(Semaphore::new(most));
    let mut number = 0u32;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept on the MySQL port");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        metrics::counter!("stele_sql_accepted_total").increment(1);
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            turn_away(&stream);
            closed(End::TooMany);
            continue;
        };
        number = number.wrapping_add(1).max(1);
        let (port, number) = (port.clone(), number);
        actix_rt::spawn(async move {
            metrics::gauge!("stele_sql_connections").increment(1.0);
            closed(connection(&port, stream, peer, number).await);
            metrics::gauge!("stele_sql_connections").decrement(1.0);
            drop(permit);
        });
    }
}

async fn connection(port: &Port, stream: TcpStream, peer: SocketAddr, number: u32) -> End {
    // Answers are small and somebody waits for each.
    stream.set_nodelay(true).ok();
    let guest = match timeout(LOGIN_DEADLINE, Box::pin(login::admit(port, stream, peer, number))).await {
        Ok(Ok(guest)) => guest,
        Ok(Err(end)) => return end,
        Err(_) => return End::Slow,
    };
    session::serve(port, guest).await
}

/// Says that there are too many, if that can be said at once.
fn turn_away(stream: &TcpStream) {
    let mut out = Outgoing::default();
    out.packet(|bytes| wire::put_error(bytes, &Fault::too_many_connections()));
    stream.try_write(&out.bytes).ok();
}

fn closed(end: End) {
    metrics::counter!("stele_sql_closed_total", "cause" => end.as_str()).increment(1);
}
