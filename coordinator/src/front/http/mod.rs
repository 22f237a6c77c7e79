//! The HTTP face: JSON under `/v1`, probes, metrics. One file a noun; this one binds, routes and guards.
//!
//! Handlers ask through [`Ask`] and shape snapshots with [`super::view`]; they hold no state of their own but the
//! last sums. It runs on two workers of its own and never touches an actor's state.

mod balance;
mod body;
mod cluster;
mod config;
mod drains;
mod events;
mod groups;
mod guard;
mod leases;
mod level;
mod loads;
mod logs;
mod openapi;
mod plans;
mod probes;
mod problem;
mod repeats;
mod session;
mod sql;
mod tables;
mod tablets;
mod turns;
mod verify;
mod web;
mod world;

pub use problem::Problem;

use super::ask::Ask;
use super::bulletin::{self, Bulletin, Bulletins};
use super::sessions::Sessions;
use super::statements::Engine;
use super::tally::{Tally, TallyCell};
use super::users::Users;
use crate::published::Published;
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::{Data, PathConfig, QueryConfig, ServiceConfig};
use actix_web::{App, Error, HttpResponse, HttpServer, middleware};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Workers. Handlers only wait and print; two keep one slow list from holding up the probes.
const WORKERS: usize = 2;
/// Connections at once on each worker.
const CONNECTIONS_MAX: usize = 1_024;
/// A request's head must be whole within this time.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// An idle connection is closed after this long; the CLI relies on it being more than three seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// On the way down, requests under way get this long.
const SHUTDOWN_S: u64 = 2;

/// What handlers share.
pub struct Front {
    pub ask: Ask,
    pub tally: Arc<TallyCell>,
    pub metrics: PrometheusHandle,
    pub engine: Engine,
    pub users: Arc<Users>,
    sessions: Sessions,
    /// At guessing passwords.
    turns: turns::Turns,
    bulletins: Bulletins,
    /// Of those that listen to events.
    seats: Arc<Semaphore>,
    /// Writes that came with a key.
    repeats: repeats::Repeats,
}

/// Items of a list's page, where nothing else is asked for.
const PAGE: usize = 1_000;

/// One page of a list: so many, after the one where the last page ended.
#[derive(Deserialize)]
struct Page<T> {
    limit: Option<usize>,
    after: Option<T>,
}

/// The first of what was found, and whether more follow.
fn first<T>(limit: Option<usize>, mut found: impl Iterator<Item = T>) -> (Vec<T>, bool) {
    let page = found.by_ref().take(limit.unwrap_or(PAGE)).collect();
    (page, found.next().is_some())
}

impl Front {
    /// Begins to keep the bulletin, too; it ends with the snapshots.
    pub fn new(ask: Ask, metrics: PrometheusHandle, users: Arc<Users>) -> Front {
        let tally = Arc::new(TallyCell::default());
        let (told, bulletins) = watch::channel(Arc::new(Bulletin::default()));
        actix_rt::spawn(bulletin::keep(ask.snapshots(), tally.clone(), ask.clock(), told));
        let engine = Engine::new(ask.clone(), tally.clone());
        Front {
            ask,
            tally,
            metrics,
            engine,
            users,
            sessions: Sessions::default(),
            turns: turns::Turns::default(),
            bulletins,
            seats: events::seats(),
            repeats: repeats::Repeats::default(),
        }
    }

    /// The sums for a snapshot.
    fn tally(&self, published: &Published) -> Arc<Tally> {
        self.tally.get(published, self.ask.clock().tick())
    }
}

/// Serves until its handle is told to stop.
pub fn serve(listener: TcpListener, front: Front) -> std::io::Result<Server> {
    let front = Data::new(front);
    let server = HttpServer::new(move || app(front.clone()))
        .workers(WORKERS)
        .disable_signals()
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(HEAD_DEADLINE)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_S)
        .listen(listener)?
        .run();
    Ok(server)
}

/// The application, as workers and tests run it.
pub fn app(
    front: Data<Front>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(front)
        .app_data(PathConfig::default().error_handler(|error, _| Problem::bad_request(error.to_string()).into()))
        .app_data(QueryConfig::default().error_handler(|error, _| Problem::bad_request(error.to_string()).into()))
        .wrap(middleware::from_fn(repeats::once))
        .wrap(middleware::from_fn(web::same_origin))
        .wrap(middleware::from_fn(guard::guard))
        .wrap(middleware::from_fn(count))
        .configure(routes)
        .default_service(actix_web::web::to(nowhere))
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(cluster::status)
        .service(cluster::nodes)
        .service(cluster::node_replicas)
        .service(cluster::node)
        .service(cluster::explain_node)
        .service(cluster::disks)
        .service(cluster::init_disk)
        .service(cluster::tasks)
        .service(balance::show)
        .service(balance::history)
        .service(drains::drain_nodes)
        .service(drains::undrain_nodes)
        .service(drains::drain_disks)
        .service(drains::undrain_disks)
        .service(drains::node_progress)
        .service(drains::disk_progress)
        .service(drains::certificate)
        .service(session::show)
        .service(session::open)
        .service(session::close)
        .service(sql::run)
        .service(events::stream)
        .service(events::recent)
        .service(plans::list)
        .service(plans::show)
        .service(plans::make)
        .service(plans::apply)
        .service(plans::cancel)
        .service(drains::admit)
        .service(drains::remove)
        .service(config::list)
        .service(config::history)
        .service(config::show)
        .service(config::set)
        .service(level::show)
        .service(level::set)
        .service(leases::list)
        .service(leases::grant)
        .service(leases::end)
        .service(groups::list)
        .service(groups::show)
        .service(tables::set)
        .service(tablets::set_replica)
        .service(tables::list)
        .service(tables::create)
        .service(tables::show)
        .service(tables::drop)
        .service(tablets::list)
        .service(tablets::show)
        .service(tablets::explain)
        .service(loads::open)
        .service(loads::commit)
        .service(loads::show)
        .service(loads::abort)
        .service(logs::show)
        .service(logs::set)
        .service(openapi::show)
        .service(verify::start)
        .service(verify::show)
        .service(world::show)
        .service(web::index)
        .service(web::asset)
        .service(probes::livez)
        .service(probes::readyz)
        .service(probes::metrics);
}

async fn nowhere(request: actix_web::HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("no_such_path", format!("there is nothing at {} {}", request.method(), request.path())))
}

/// Counts answers by class of status.
async fn count<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let answered = next.call(request).await;
    let status = match &answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let class = match status.as_u16() {
        ..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500.. => "5xx",
    };
    metrics::counter!("stele_http_requests_total", "class" => class).increment(1);
    answered
}

#[cfg(test)]
mod tests;
