//! The agent's HTTP face: read-only files and manifests for everybody, load streams for the client of a load, and what
//! the agent says of itself. Knows routes and shapes; reading is `files`, receiving is `load_stream`.

use crate::disk::DiskDir;
use crate::fanout::Connect;
use crate::load_stream::{self, BODY_QUEUE, Body, LoadError};
use crate::net::problem::Problem;
use crate::net::{files, logs, peers, slow};
use crate::shelf::OpenDisk;
use crate::telemetry;
use crate::wiring::Shared;
use actix_web::dev::Server;
use actix_web::error::JsonPayloadError;
use actix_web::{App, HttpResponse, HttpServer, ResponseError as _, web};
use anyhow::Context as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use stele_agent_rules::event::EventBody;
use stele_common::api::{self, DiskInfo, Disks};
use stele_common::config::RepairKnobs;
use stele_common::peer::LoadBegin;
use stele_common::{LoadId, NodeId, TabletId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

/// A client of a load that keeps us waiting for so long without having sent [`LIVELY_BYTES`] is as good as gone: a byte
/// a second must not hold a thread and a place.
const CLIENT_IDLE: Duration = Duration::from_secs(30);
const LIVELY_BYTES: usize = 64 * 1024;
/// After a refusal the rest of the body is read for so long, so that the client gets to see the answer.
const DRAIN: Duration = Duration::from_secs(5);
/// A primary that is behind gets so long to install what is committed: the quorum may have been faster than it.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Files read at once for HTTP clients, per worker.
const READERS: usize = 16;

/// Bytes of a JSON body.
const JSON_MAX: usize = 4 << 10;

/// Starts the server on its own worker threads.
pub fn start(listener: TcpListener, shared: Arc<Shared>) -> anyhow::Result<Server> {
    let connect = peers::connect(&shared);
    let idle = Duration::from_millis(shared.config.limits.peer_idle_ms);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(Arc::clone(&shared)))
            .app_data(web::Data::new(Arc::clone(&connect)))
            .configure(routes)
    });
    let server = server
        .on_connect(move |connection, extensions| slow::remember(connection, extensions, idle))
        .workers(2)
        .worker_max_blocking_threads(READERS)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)
        .context("cannot serve HTTP")?;
    Ok(server.run())
}

fn routes(config: &mut web::ServiceConfig) {
    let bodies = web::JsonConfig::default().limit(JSON_MAX).error_handler(|error, _| bad_body(&error).into());
    config
        .app_data(bodies)
        .route("/livez", web::get().to(livez))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics_page))
        .route("/v1/disks", web::get().to(disks))
        .route("/v1/log-level", web::get().to(logs::show))
        .route("/v1/log-level", web::put().to(logs::set))
        .route("/v1/loads/{load}/tablets/{tablet}", web::put().to(load))
        .route("/v1/replicas/{replica}/manifest", web::get().to(files::manifest))
        .route("/v1/replicas/{replica}/files/{path:.*}", web::get().to(files::file))
        .route("/v1/replicas/{replica}/files/{path:.*}", web::head().to(files::file))
        .default_service(web::to(nothing_here));
}

fn bad_body(error: &JsonPayloadError) -> Problem {
    let status = error.status_code().as_u16();
    let code = if status == 413 { "too_large" } else { "bad_request" };
    Problem::new(status, code, format!("the body is not what this path takes: {error}"))
}

async fn nothing_here() -> Result<HttpResponse, Problem> {
    Err(Problem::new(404, "not_found", "this agent has nothing under that address and method"))
}

async fn livez() -> &'static str {
    "ok\n"
}

/// Ready: the coordinator hears us and every disk is open and ONLINE.
async fn readyz(shared: web::Data<Arc<Shared>>) -> Result<&'static str, Problem> {
    if !shared.connected() {
        return Err(Problem::new(503, "no_coordinator", "there is no session with the coordinator"));
    }
    if !shared.lease.holds() {
        let silent = shared.lease.silent_ms().unwrap_or_default();
        let detail = format!("the coordinator has not answered for {silent} ms");
        return Err(Problem::new(503, "no_lease", detail));
    }
    let open = shared.shelf.disks();
    let out: Vec<String> = open.iter().filter(|disk| !disk.online()).map(|disk| disk.disk.to_string()).collect();
    let missing = shared.config.disks.len().saturating_sub(open.len());
    if !out.is_empty() || missing > 0 {
        let detail = format!("not ONLINE: disks [{}]; not open: {missing} of the configured ones", out.join(", "));
        return Err(Problem::new(503, "disks_out", detail).next("see GET /v1/disks and the agent's log"));
    }
    Ok("ok\n")
}

async fn metrics_page() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(telemetry::metrics().render())
}

async fn disks(shared: web::Data<Arc<Shared>>) -> HttpResponse {
    let node = shared.node().unwrap_or(NodeId(0));
    let info = |disk: Arc<OpenDisk>| {
        let fact = disk.fact();
        let space = fact.space;
        DiskInfo {
            id: fact.disk,
            node,
            host: shared.config.host.clone(),
            path: fact.path,
            medium: fact.medium,
            state: fact.state,
            cause: fact.cause,
            drain: None,
            total: space.total,
            used: space.used,
            available: space.available(),
            used_percent: space.used_fraction() * 100.0,
            raw_total: space.raw_total,
            raw_free: space.raw_free,
            replicas: shared.shelf.count(disk.disk),
            slots_used: disk.copies.load(std::sync::atomic::Ordering::Relaxed) as u32,
            slots_total: shared.config.limits.copies_per_disk as u32,
            // Here a copy is a copy: what it is for is the coordinator's to know.
            balance_slots_used: 0,
            balance_slots_total: 0,
            trash_bytes: disk.trash_bytes.load(std::sync::atomic::Ordering::Relaxed),
        }
    };
    HttpResponse::Ok().json(Disks { disks: shared.shelf.disks().into_iter().map(info).collect() })
}

/// `PUT /v1/loads/{load}/tablets/{tablet}`: this agent is the primary of that tablet.
async fn load(
    shared: web::Data<Arc<Shared>>,
    connect: web::Data<Connect>,
    place: web::Path<(u64, u64)>,
    mut payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (load, tablet) = (LoadId(place.0), TabletId(place.1));
    metrics::counter!(telemetry::LOAD_STREAMS).increment(1);
    let (chunks, body) = mpsc::channel(BODY_QUEUE);
    let (answer, mut answered) = oneshot::channel();
    let work = {
        let (shared, connect) = (Arc::clone(&shared), Arc::clone(&connect));
        move || {
            // The client may be gone; then nobody waits for the answer.
            let _ = answer.send(receive(&shared, &connect, load, tablet, Body::new(body)));
        }
    };
    let name = format!("load-{load}-{tablet}");
    let thread = std::thread::Builder::new().name(name).spawn(work);
    thread.map_err(|error| Problem::new(503, "busy", format!("no thread for the load: {error}")))?;
    let fed = feed(&mut payload, &chunks).await;
    drop(chunks);
    if fed == Fed::Refused {
        drain(&mut payload).await;
    }
    let result = (&mut answered).await;
    let result = result.unwrap_or_else(|_| Err(LoadError::Disk("the thread of the load has died".to_string())));
    match result {
        Ok(staged) => {
            metrics::counter!(telemetry::LOAD_BYTES).increment(staged.bytes);
            metrics::counter!(telemetry::LOAD_MEMBERS_FAILED).increment(staged.failed.len() as u64);
            for (replica, reason) in &staged.failed {
                tracing::warn!(%load, %tablet, %replica, %reason, "a member does not have the load");
            }
            Ok(HttpResponse::Ok().json(staged))
        }
        Err(error) => {
            metrics::counter!(telemetry::LOAD_STREAMS_FAILED, "code" => error.code().1).increment(1);
            tracing::warn!(%load, %tablet, reason = %error, "load stream failed");
            Err(error.into())
        }
    }
}

/// How the feeding of the body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    Whole,
    Broken,
    /// The reader has seen enough.
    Refused,
}

/// Body chunks to the reader, as fast as it takes them. Only the time that the client takes is counted against it.
async fn feed(payload: &mut web::Payload, chunks: &mpsc::Sender<Result<Bytes, String>>) -> Fed {
    let mut waited = Duration::ZERO;
    let mut brought = 0;
    loop {
        let began = Instant::now();
        let chunk = match timeout(CLIENT_IDLE.saturating_sub(waited), payload.next()).await {
            Ok(Some(Ok(chunk))) => Ok(chunk),
            Ok(Some(Err(error))) => Err(error.to_string()),
            Ok(None) => return Fed::Whole,
            Err(_) => Err(format!("the client sent {brought} bytes in {} s", CLIENT_IDLE.as_secs())),
        };
        waited += began.elapsed();
        brought += chunk.as_ref().map_or(0, Bytes::len);
        if brought >= LIVELY_BYTES {
            (waited, brought) = (Duration::ZERO, 0);
        }
        let broken = chunk.is_err();
        if chunks.send(chunk).await.is_err() {
            return if broken { Fed::Broken } else { Fed::Refused };
        }
        if broken {
            return Fed::Broken;
        }
    }
}

/// Reads on and throws away: a client that is still writing would else see a broken connection, not the reason.
async fn drain(payload: &mut web::Payload) {
    let deadline = Instant::now() + DRAIN;
    while let Ok(Some(Ok(_))) = timeout_at(deadline, payload.next()).await {}
}

/// The load's thread: judges the beginning, then receives.
fn receive(
    shared: &Arc<Shared>,
    connect: &Connect,
    load: LoadId,
    tablet: TabletId,
    mut body: Body,
) -> Result<api::LoadStaged, LoadError> {
    let begin = load_stream::read_begin(&mut body, load, tablet)?;
    let patience = std::time::Instant::now() + CATCH_UP;
    let (disk, dir) = loop {
        match admit(shared, &begin) {
            Err(LoadError::Behind(_)) if std::time::Instant::now() < patience => std::thread::sleep(CATCH_UP / 100),
            answer => break answer?,
        }
    };
    load_stream::receive(body, &begin, &dir, connect, |staged| {
        disk.tell(EventBody::LoadStaged { load, tablet, staged });
    })
}

/// Whether this agent may take the load as the primary.
fn admit(shared: &Shared, begin: &LoadBegin) -> Result<(Arc<OpenDisk>, Arc<DiskDir>), LoadError> {
    if !shared.lease.holds() {
        return Err(LoadError::NoLease);
    }
    let replica = begin.replica;
    let found = shared.shelf.find(replica).filter(|(view, _)| !view.coming);
    let (view, disk) = found.ok_or(LoadError::NoSuchReplica { replica })?;
    if view.tablet != begin.tablet {
        return Err(LoadError::Malformed(format!("replica {replica} belongs to tablet {}", view.tablet)));
    }
    let seen = disk.epoch();
    if begin.epoch < seen {
        return Err(LoadError::StaleEpoch { given: begin.epoch.0, seen: seen.0 });
    }
    if begin.ballot < view.ballot {
        let (given, made) = (begin.ballot, view.ballot);
        return Err(LoadError::StaleBallot(format!("ballot {given} is older than replica {replica}, made at {made}")));
    }
    if let Some(cause) = view.bad {
        return Err(LoadError::Bad { replica, cause });
    }
    if (view.head, view.hash) != (begin.parent, begin.parent_hash) {
        let (head, parent) = (view.head, begin.parent);
        if head < parent {
            return Err(LoadError::Behind(format!(
                "replica {replica} is at version {head}, behind the load's parent {parent}"
            )));
        }
        let what = if head == parent { "its content differs" } else { "it is elsewhere" };
        let detail = format!("replica {replica} is at version {head}; the load follows version {parent}: {what}");
        return Err(LoadError::NotAtParent(detail));
    }
    let fact = disk.fact();
    if !disk.online() {
        let cause = fact.cause.unwrap_or_default();
        return Err(LoadError::Disk(format!("disk {} takes nothing new: {cause}", fact.disk)));
    }
    let limit = shared.config.limits.loads_per_disk;
    let dir = disk.dir().ok_or_else(|| LoadError::Disk(format!("disk {} is not open", fact.disk)))?;
    if dir.streams().len() >= limit {
        return Err(LoadError::Busy(format!("disk {} receives {limit} loads already", fact.disk)));
    }
    has_room(&dir, begin)?;
    Ok((disk, dir))
}

/// Loads leave a reserve free on the disk: the rest belongs to repair.
pub fn has_room(dir: &DiskDir, begin: &LoadBegin) -> Result<(), LoadError> {
    let (space, _) = dir.space()?;
    let bytes: u64 = begin.delta.put.iter().map(|file| file.size).fold(0, u64::saturating_add);
    let reserve = RepairKnobs::default().load_reserve(space.total);
    if space.available() < bytes.saturating_add(reserve) {
        let (disk, free) = (dir.disk(), space.available());
        let detail = format!("disk {disk} has {free} bytes left, the load brings {bytes} and {reserve} stay free");
        return Err(LoadError::Full(detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};

    /// A body that is not what is asked for, and one that is too long, are problems as every other.
    #[actix_web::test]
    async fn bad_bodies() {
        let app = init_service(App::new().configure(routes)).await;
        for (body, status, code) in
            [("{", 400, "bad_request"), ("{}", 400, "bad_request"), (&" ".repeat(JSON_MAX + 1), 413, "too_large")]
        {
            let request = TestRequest::put().uri("/v1/log-level").insert_header(("Content-Type", "application/json"));
            let response = call_service(&app, request.set_payload(body.to_string()).to_request()).await;
            assert_eq!(response.headers().get("Content-Type").unwrap(), "application/problem+json");
            assert_eq!(response.status().as_u16(), status);
            let problem: api::ErrorBody = read_body_json(response).await;
            assert_eq!(problem.code, code, "{}", problem.detail);
        }
    }
}
