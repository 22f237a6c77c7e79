//! A coordinator process from its configuration to its end.
//!
//! ```text
//! check addresses and token ─▶ bind ─▶ open store ─▶ actors, epoch ─▶ serve ─▶ SIGTERM or SIGINT
//!                                                                                     │
//!  System ends ◀─ store closed ◀─ last batch committed ◀─ HTTP drained ◀─ no more agents ◀
//! ```
//!
//! None of the ordered end is needed: a killed coordinator finds everything acknowledged in its store.

use crate::front::http::{self, Front};
use crate::front::sql::{self, Port};
use crate::front::statements::Engine;
use crate::front::users::Users;
use crate::store::embedded::EmbeddedStore;
use crate::{link, telemetry, wiring};
use anyhow::{Context, bail};
use std::fs;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use stele_common::config::{CoordinatorConfig, CoordinatorSection};
use stele_common::handshake;
use tokio::signal::unix::{SignalKind, signal};

/// Where it listens in fact, ports filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub agents: SocketAddr,
    pub http: SocketAddr,
    /// `None`: it was configured away.
    pub sql: Option<SocketAddr>,
}

/// Bound, and not served yet.
struct Ports {
    agents: TcpListener,
    http: TcpListener,
    sql: Option<TcpListener>,
}

/// A coordinator until SIGTERM or SIGINT.
pub fn run(config: CoordinatorConfig) -> anyhow::Result<()> {
    stele_logs::start();
    telemetry::end_on_panic();
    run_until(config, |_| {}, async {
        let (term, int) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (mut term, mut int) = (term.context("cannot wait for SIGTERM")?, int.context("cannot wait for SIGINT")?);
        tokio::select! {
            _ = term.recv() => tracing::info!("SIGTERM: ending"),
            _ = int.recv() => tracing::info!("SIGINT: ending"),
        }
        Ok(())
    })
}

/// A coordinator until `end`; `ready` hears its addresses once they are served.
pub fn run_until(
    config: CoordinatorConfig,
    ready: impl FnOnce(Addresses) + 'static,
    end: impl Future<Output = anyhow::Result<()>> + 'static,
) -> anyhow::Result<()> {
    let token = token(&config.coordinator)?;
    let users = Users::open(config.coordinator.users_file.clone()).map_err(anyhow::Error::msg)?;
    let ports = Ports {
        agents: bind(&config.coordinator.agents, "agents", token.is_some())?,
        http: bind(&config.coordinator.http, "http", token.is_some())?,
        sql: bind_sql(&config.coordinator, &users)?,
    };
    actix::System::new().block_on(serve(config, token, Arc::new(users), ports, ready, end))
}

async fn serve(
    config: CoordinatorConfig,
    token: Option<[u8; 32]>,
    users: Arc<Users>,
    ports: Ports,
    ready: impl FnOnce(Addresses),
    end: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let metrics = telemetry::metrics_handle();
    let Ports { agents, http, sql } = ports;
    let sql_at = sql.as_ref().map(TcpListener::local_addr).transpose()?;
    let addresses = Addresses { agents: agents.local_addr()?, http: http.local_addr()?, sql: sql_at };
    let store = EmbeddedStore::open(&config.coordinator.dir)?;
    let fatal = |cause: String| {
        tracing::error!(cause, "ending: what was asked for may or may not be durable; the next start will tell");
        std::process::exit(1);
    };
    let house = wiring::start(config.repair, token, Box::new(store), Box::new(fatal)).await?;

    agents.set_nonblocking(true)?;
    let agents = tokio::net::TcpListener::from_std(agents)?;
    let accepting = actix_rt::spawn(link::serve(agents, Rc::new(house.link.clone())));
    let front = Front::new(house.ask.clone(), metrics, users.clone());
    let sql = match sql {
        Some(listener) => {
            let port = sql_port(&config.coordinator, front.engine.clone(), users)?;
            Some(sql::start(listener, port).context("cannot serve MySQL clients")?)
        }
        None => None,
    };
    let server = http::serve(http, front).context("cannot serve HTTP")?;
    let handle = server.handle();
    let serving = actix_rt::spawn(server);
    let shown = addresses.sql.map_or_else(|| "none".to_string(), |address| address.to_string());
    tracing::info!(agents = %addresses.agents, http = %addresses.http, sql = shown, "coordinator is ready");
    ready(addresses);

    end.await?;
    accepting.abort();
    if let Some(sql) = sql {
        sql.stop();
        sql.join().ok();
    }
    handle.stop(true).await;
    serving.await.ok();
    house.close().await;
    tracing::info!("coordinator has ended");
    Ok(())
}

/// The MySQL port, unless it is configured away.
fn bind_sql(section: &CoordinatorSection, users: &Users) -> anyhow::Result<Option<TcpListener>> {
    let address = &section.sql;
    if address.is_empty() {
        return Ok(None);
    }
    if users.is_open_house() && resolve(address, "sql")?.iter().any(|address| !address.ip().is_loopback()) {
        bail!(
            "coordinator.sql = {address} is outside loopback and there are no users: anybody could come in; make one \
             with 'stele user add' and set coordinator.users_file"
        );
    }
    bind(address, "sql", true).map(Some)
}

fn sql_port(section: &CoordinatorSection, engine: Engine, users: Arc<Users>) -> anyhow::Result<Port> {
    let files = match (&section.sql_certificate, &section.sql_key) {
        (Some(certificate), Some(key)) => Some(sql::Files { certificate, key }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            bail!("coordinator.sql_certificate and coordinator.sql_key go together: set both or neither")
        }
    };
    let tls = Some(sql::acceptor(files)?);
    Ok(Port { engine, users, tls, requires_tls: section.sql_requires_tls })
}

/// The cluster's token, if a file is configured.
fn token(section: &CoordinatorSection) -> anyhow::Result<Option<[u8; 32]>> {
    section.token_file.as_deref().map(read_token).transpose()
}

fn read_token(path: &Path) -> anyhow::Result<[u8; 32]> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the token file {}", path.display()))?;
    let Some(token) = handshake::token_from_text(&text) else {
        bail!("the token file {} does not hold 64 hex digits; make one with 'stele token'", path.display());
    };
    Ok(token)
}

fn resolve(address: &str, key: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let resolved =
        address.to_socket_addrs().with_context(|| format!("coordinator.{key}: `{address}` is no address"))?;
    Ok(resolved.collect())
}

/// Binds; outside loopback only with a token.
fn bind(address: &str, key: &str, has_token: bool) -> anyhow::Result<TcpListener> {
    let resolved = resolve(address, key)?;
    if !has_token && resolved.iter().any(|address| !address.ip().is_loopback()) {
        bail!(
            "coordinator.{key} = {address} is outside loopback and no token is configured: anybody could join; \
             make one with 'stele token' and set coordinator.token_file"
        );
    }
    TcpListener::bind(&resolved[..]).with_context(|| format!("cannot listen on {address} (coordinator.{key})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is served outside loopback without a token, and the error names the way out.
    #[test]
    fn outside_loopback() {
        let error = bind("0.0.0.0:0", "agents", false).unwrap_err().to_string();
        assert!(error.contains("coordinator.agents = 0.0.0.0:0") && error.contains("stele token"), "{error}");
        bind("127.0.0.1:0", "agents", false).unwrap();
        bind("0.0.0.0:0", "agents", true).unwrap();
    }

    /// A token file that holds no token is named.
    #[test]
    fn token_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "abc\n").unwrap();
        assert!(read_token(&path).unwrap_err().to_string().contains("64 hex digits"));
        fs::write(&path, format!("{}\n", "0a".repeat(32))).unwrap();
        assert_eq!(read_token(&path).unwrap(), [10; 32]);
    }
}
