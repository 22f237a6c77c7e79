//! Who is connected to whom: starts the agent's parts, hands each what it may use, and stops them in order. The only
//! place where sockets are bound and actors started. Decides nothing.
//!
//! ```text
//!   peer port (threads) ──┐                    ┌── Disk actors, one arbiter each ── lanes, watch (threads)
//!   http (2 workers) ─────┼── Shared (shelf) ──┤
//!   link ── settle ───────┘                    └── Reporter (main arbiter) ── link
//! ```

use crate::actors::reporter::{HostNews, Reporter};
use crate::clock::Clock;
use crate::lease::Lease;
use crate::medium::{HostGauge, host_name};
use crate::net::{http, link, peers};
use crate::pace::Pacer;
use crate::settle::Settler;
use crate::shelf::Shelf;
use crate::store_mark::Remembered;
use crate::telemetry;
use actix::{Actor as _, Addr, Arbiter};
use anyhow::{Context as _, bail};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use stele_common::config::AgentConfig;
use stele_common::handshake::{Welcome, token_from_text};
use stele_common::{BootId, ClusterId, NodeId};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The host's figures are read this often.
const HOST_EVERY: Duration = Duration::from_secs(30);
/// Metrics are tidied this often.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Where the agent listens, really: port 0 in the configuration has become a number here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub peer: SocketAddr,
    pub http: SocketAddr,
}

impl Addresses {
    /// The peer address as others can dial it: a wildcard bind is known by the address that the coordinator sees.
    pub fn peer_seen_from(&self, local: Option<SocketAddr>) -> String {
        seen(self.peer, local).to_string()
    }

    /// The same for HTTP.
    pub fn http_seen_from(&self, local: Option<SocketAddr>) -> String {
        seen(self.http, local).to_string()
    }
}

fn seen(bound: SocketAddr, local: Option<SocketAddr>) -> SocketAddr {
    match local {
        Some(local) if bound.ip().is_unspecified() => SocketAddr::new(local.ip(), bound.port()),
        Some(_) | None => bound,
    }
}

/// What every part of the agent may use.
pub struct Shared {
    pub config: Arc<AgentConfig>,
    pub token: Option<[u8; 32]>,
    pub clock: Clock,
    pub boot: BootId,
    pub addresses: Addresses,
    pub shelf: Arc<Shelf>,
    pub lease: Lease,
    /// How fast copies may be.
    pub pacer: Arc<Pacer>,
    /// How far the coordinator's store was, as it told.
    pub store_mark: Remembered,
    /// Who the coordinator says that we are.
    identity: RwLock<Option<(ClusterId, NodeId)>>,
    connected: AtomicBool,
    arbiters: Mutex<Vec<Arbiter>>,
}

impl Shared {
    /// The coordinator welcomed us.
    pub fn welcomed(&self, welcome: &Welcome) {
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Some((welcome.cluster.clone(), welcome.node));
        self.lease.granted(welcome.lease_ms);
    }

    /// Our cluster, once welcomed in this boot.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(cluster, _)| cluster.clone())
    }

    /// Our node id, once welcomed in this boot.
    pub fn node(&self) -> Option<NodeId> {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, node)| *node)
    }

    /// There is a session and the disks have settled, or not any more.
    pub fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Relaxed);
    }

    /// Whether there is a session with settled disks.
    pub fn connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// The arbiter of a disk, to be stopped with the rest.
    pub fn keep_arbiter(&self, arbiter: Arbiter) {
        self.arbiters.lock().unwrap_or_else(PoisonError::into_inner).push(arbiter);
    }

    fn stop_arbiters(&self) {
        for arbiter in self.arbiters.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            arbiter.stop();
        }
    }
}

/// A running agent, for whoever started it.
#[derive(Clone, Debug)]
pub struct Running {
    pub addresses: Addresses,
    stop: mpsc::UnboundedSender<()>,
}

impl Running {
    /// Asks the agent to stop; a second call does nothing.
    pub fn stop(&self) {
        // It has stopped already when nobody listens.
        let _ = self.stop.send(());
    }
}

/// Runs the agent until it is told to stop (SIGTERM, SIGINT, or [`Running::stop`]). Blocks the calling thread.
pub fn run_until(mut config: AgentConfig, ready: impl FnOnce(Running)) -> anyhow::Result<()> {
    fill(&mut config);
    let token = read_token(&config)?;
    let peer = bind("peer", &config.peer, token.is_some())?;
    let web = bind("http", &config.http, token.is_some())?;
    let addresses = Addresses { peer: peer.local_addr()?, http: web.local_addr()? };
    let mut boot = [0u8; 8];
    getrandom::fill(&mut boot).map_err(|error| anyhow::anyhow!("no random numbers from the system: {error}"))?;
    let clock = Clock::start();
    telemetry::metrics();
    let shared = Arc::new(Shared {
        config: Arc::new(config),
        token,
        clock,
        boot: BootId(u64::from_le_bytes(boot)),
        addresses,
        shelf: Arc::new(Shelf::default()),
        lease: Lease::new(clock),
        pacer: Arc::default(),
        store_mark: Remembered::new(clock),
        identity: RwLock::new(None),
        connected: AtomicBool::new(false),
        arbiters: Mutex::new(Vec::new()),
    });
    actix::System::new().block_on(live(shared, peer, web, ready))
}

/// The agent's life inside its runtime.
async fn live(
    shared: Arc<Shared>,
    peer: TcpListener,
    web: TcpListener,
    ready: impl FnOnce(Running),
) -> anyhow::Result<()> {
    let Addresses { peer: peer_at, http: http_at } = shared.addresses;
    let (stop, mut stopped) = mpsc::unbounded_channel();
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let reporter = Reporter::new(shared.boot).start();
    let port = peers::start(peer, &shared).context("cannot serve the peer port")?;
    let server = http::start(web, Arc::clone(&shared))?;
    let handle = server.handle();
    let serving = actix_rt::spawn(server);
    let settler = Settler::new(Arc::clone(&shared), reporter.clone());
    let line = actix_rt::spawn(link::keep(Arc::clone(&shared), reporter.clone(), settler));
    let chores = actix_rt::spawn(chores(reporter));
    tracing::info!(
        host = %shared.config.host, name = %shared.config.name, peer = %peer_at, http = %http_at,
        coordinator = %shared.config.coordinator, disks = shared.config.disks.len(), boot = %shared.boot, "agent started"
    );
    ready(Running { addresses: shared.addresses, stop });
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
        // A caller that let go of its end does not mean to stop us.
        Some(()) = stopped.recv() => {}
    }
    // Nothing needs to be finished: every step on disk may be cut off. Clients get a moment for a clean end.
    tracing::info!("agent stops");
    port.stop();
    line.abort();
    chores.abort();
    let graceful = handle.stop(true);
    if tokio::time::timeout(Duration::from_secs(2), graceful).await.is_err() {
        serving.abort();
    }
    shared.stop_arbiters();
    Ok(())
}

/// The host's figures and the metrics' upkeep.
async fn chores(reporter: Addr<Reporter>) {
    let mut gauge = HostGauge::new();
    let mut host = tokio::time::interval(HOST_EVERY);
    let mut upkeep = tokio::time::interval(UPKEEP_EVERY);
    loop {
        tokio::select! {
            _ = host.tick() => {
                let reading = actix_rt::task::spawn_blocking(move || {
                    let figures = gauge.read();
                    (gauge, figures)
                });
                let Ok((back, figures)) = reading.await else { return };
                gauge = back;
                reporter.do_send(HostNews(figures));
            }
            _ = upkeep.tick() => telemetry::metrics().run_upkeep(),
        }
    }
}

/// Defaults that only the machine knows.
fn fill(config: &mut AgentConfig) {
    if config.host.is_empty() {
        config.host = host_name();
    }
    if config.name.is_empty() {
        config.name.clone_from(&config.host);
    }
}

fn read_token(config: &AgentConfig) -> anyhow::Result<Option<[u8; 32]>> {
    let Some(file) = &config.token_file else { return Ok(None) };
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the token file {shown}"))?;
    let token = token_from_text(&text);
    Ok(Some(
        token.with_context(|| {
            format!("the token file {shown} does not hold 64 hex digits; make one with `stele token`")
        })?,
    ))
}

/// Binds a port; outside of loopback only with a token.
fn bind(what: &str, address: &str, token: bool) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address} ({what})"))?;
    let bound = listener.local_addr()?;
    if !token && !is_loopback(bound.ip()) {
        bail!(
            "{what} = \"{address}\" can be reached from outside and there is no cluster token; set `token_file`, or bind to 127.0.0.1"
        );
    }
    Ok(listener)
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port that others can reach needs a token; loopback does not.
    #[test]
    fn outside_needs_a_token() {
        assert!(bind("peer", "127.0.0.1:0", false).is_ok());
        let error = bind("peer", "0.0.0.0:0", false).unwrap_err().to_string();
        assert!(error.contains("token_file"), "{error}");
        assert!(bind("peer", "0.0.0.0:0", true).is_ok());
    }

    /// A wildcard bind is told as the address that the coordinator sees; any other as it is.
    #[test]
    fn wildcards_are_told_as_addresses() {
        let wild = Addresses { peer: "0.0.0.0:7".parse().unwrap(), http: "127.0.0.1:8".parse().unwrap() };
        let local = "10.0.0.5:4000".parse().ok();
        assert_eq!(wild.peer_seen_from(local), "10.0.0.5:7");
        assert_eq!(wild.http_seen_from(local), "127.0.0.1:8");
        assert_eq!(wild.peer_seen_from(None), "0.0.0.0:7");
    }

    /// Host and name have values after filling; a token file that holds no token is refused by name.
    #[test]
    fn defaults_and_tokens() {
        let mut config = AgentConfig::default();
        fill(&mut config);
        assert!(!config.host.is_empty() && config.name == config.host);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "not hex").unwrap();
        config.token_file = Some(file.path().to_path_buf());
        assert!(read_token(&config).unwrap_err().to_string().contains("64 hex digits"));
        std::fs::write(file.path(), format!("{}\n", "ab".repeat(32))).unwrap();
        assert_eq!(read_token(&config).unwrap(), Some([0xab; 32]));
    }
}
