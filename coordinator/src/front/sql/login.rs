//! Letting a client in: greeting, TLS, who it is and whether it can prove it.
//!
//! ```text
//! greeting ─▶ [SSLRequest ─▶ TLS, with the bytes that came along] ─▶ answer ─▶ [switch ─▶ answer] ─▶ OK
//! ```
//!
//! All of it under one deadline, and in small packets. Somebody unknown is answered exactly as a wrong password is.

use super::Port;
use super::auth::{self, Method, NONCE};
use super::codec::Packet;
use super::connection::{Connection, End};
use super::handshake::{self, Answer, Login};
use super::wire::{self, AUTOCOMMIT};
use crate::front::statements::Session;
use crate::front::statements::fault::Fault;
use crate::front::users::{ROOT, Secret, User};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;

/// The deadline of the whole login is outside; this only has to be longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream, plain or not.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Somebody who was let in.
pub struct Guest {
    pub connection: Connection<Box<dyn Stream>>,
    pub session: Session,
    /// Several statements at once.
    pub abilities: u32,
}

pub async fn admit(port: &Port, stream: TcpStream, peer: SocketAddr, number: u32) -> Result<Guest, End> {
    let nonce = auth::nonce().map_err(|error| {
        tracing::error!(%error, "no random numbers for a login");
        End::Closed
    })?;
    let mut plain = Connection::new(Box::new(stream) as Box<dyn Stream>);
    plain.put(|out| handshake::put_greeting(out, number, &nonce, port.tls.is_some()));
    plain.flush().await?;
    let first = plain.read(PATIENCE).await?;
    let (mut connection, answer, is_tls) = match (handshake::read_answer(&first.payload), &port.tls) {
        (Some(Answer::Tls), Some(tls)) => {
            let (stream, left) = plain.into_parts();
            // A client may send its first TLS bytes right behind the request.
            let (reader, writer) = tokio::io::split(stream);
            let replayed = tokio::io::join(std::io::Cursor::new(left).chain(reader), writer);
            let secret = tls.accept(replayed).await.map_err(|error| {
                tracing::debug!(%error, %peer, "TLS failed on the MySQL port");
                End::Malformed
            })?;
            let mut connection = Connection::new(Box::new(secret) as Box<dyn Stream>);
            connection.go_on_from(first.seq.wrapping_add(1));
            let Packet { payload, .. } = connection.read(PATIENCE).await?;
            (connection, handshake::read_answer(&payload), true)
        }
        (answer, _) => (plain, answer, false),
    };
    let Some(Answer::Login(login)) = answer else {
        return Err(connection.farewell(&Fault::bad_handshake(), End::Malformed).await);
    };
    if login.abilities & wire::capability::COMPRESS != 0 {
        return Err(connection.farewell(&Fault::no_compression(), End::Malformed).await);
    }
    if port.requires_tls && !is_tls {
        return Err(connection.farewell(&Fault::tls_required(), End::Denied).await);
    }
    let user = prove(port, &mut connection, &login, &nonce, peer).await?;
    let mut session = Session::new(&user.name, user.role, &peer.ip().to_string(), number);
    if let Some(db) = &login.db
        && let Err(fault) = port.engine.use_database(&mut session, db)
    {
        return Err(connection.farewell(&fault, End::Denied).await);
    }
    connection.logged_in();
    connection.put(|out| wire::put_ok(out, 0, AUTOCOMMIT, ""));
    connection.flush().await?;
    connection.rest();
    tracing::info!(user = user.name, role = user.role.as_str(), %peer, tls = is_tls, "logged in");
    Ok(Guest { connection, session, abilities: login.abilities })
}

/// The newest clients prove an empty password by a zero byte.
fn is_empty(proof: &[u8]) -> bool {
    matches!(proof, [] | [0])
}

/// Who it is, once that is proven.
async fn prove(
    port: &Port,
    connection: &mut Connection<Box<dyn Stream>>,
    login: &Login,
    nonce: &[u8; NONCE],
    peer: SocketAddr,
) -> Result<User, End> {
    let (method, mut proof) = (login.method.unwrap_or(Method::Native), login.proof.clone());
    let user = port.users.named(&login.user);
    // Who wants another method than the greeting's may wait to be asked for it before proving anything.
    let has_password = user.as_ref().is_none_or(|user| user.secret().is_some());
    let is_asked = login.method.is_none() || method != Method::Native && is_empty(&proof);
    if is_asked && (has_password || !is_empty(&proof)) {
        connection.put(|out| handshake::put_switch(out, method, nonce));
        connection.flush().await?;
        proof = connection.read(PATIENCE).await?.payload.to_vec();
    }
    if is_empty(&proof) {
        proof.clear();
    }
    let is_proven = match user.as_ref().map(User::secret) {
        Some(Some(secret)) => auth::is_proof(method, nonce, &proof, &secret),
        // No password: from this machine only.
        Some(None) => proof.is_empty() && peer.ip().is_loopback(),
        None => {
            // As long as for somebody who exists.
            auth::is_proof(method, nonce, &proof, &Secret::of(ROOT));
            false
        }
    };
    let Some(user) = user.filter(|_| is_proven) else {
        let shown: String = login.user.chars().take(64).collect();
        tracing::warn!(user = shown, %peer, "a login was refused");
        metrics::counter!("stele_sql_logins_total", "answer" => "denied").increment(1);
        let fault = Fault::access_denied(&shown, &peer.ip().to_string(), !proof.is_empty());
        return Err(connection.farewell(&fault, End::Denied).await);
    };
    metrics::counter!("stele_sql_logins_total", "answer" => "welcome").increment(1);
    if method == Method::Sha2 && !proof.is_empty() {
        // AuthMoreData: the digest was at hand, nothing more is asked.
        connection.put(|out| out.extend_from_slice(&[1, 3]));
    }
    Ok(user)
}
