//! Who may ask what over HTTP, once there is a file of users: `Authorization: Bearer TOKEN`, a user's own or that of a
//! session, or `Basic` with name and password, which browsers ask for by themselves; and a role that fits.
//!
//! Without a file everybody on this machine may do everything, and nobody else anything. With one, probes, metrics and
//! the page itself are open and nothing else is. It looks at methods and at the path that routing looks at: what stands
//! in the request line may be written in many ways. What it does not know needs the highest role.

use super::{Front, Problem};
use crate::front::users::{ROOT, Role, User};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, ResponseError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;
use std::time::Instant;

/// Lets through whoever may, and leaves behind who it is.
pub async fn guard<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let user = match admit(&request).await {
        Ok(user) => user,
        // Whoever logs in is nobody yet; where there are no users, nobody can.
        Err(problem) if request.match_info().as_str() == SESSION && problem.0.code != NO_USERS => None,
        Err(problem) => {
            let mut response = problem.error_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                // In the way in which it was tried: for a Basic one a browser opens a window of its own, which our page,
                // with its own form, does not want.
                let way = match scheme(request.headers()) {
                    Scheme::Bearer(_) => "Bearer realm=\"stele\"",
                    Scheme::None | Scheme::Basic(_) => "Basic realm=\"stele\", charset=\"UTF-8\"",
                };
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(way));
            }
            return Ok(request.into_response(response).map_into_right_body());
        }
    };
    if let Some(user) = user {
        if *request.method() != Method::GET {
            tracing::info!(target: "audit", user = user.name, method = %request.method(), path = request.path(), "asked");
        }
        request.extensions_mut().insert(user);
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

/// Open to all, as they are written: written otherwise they are not.
const OPEN: [&str; 5] = ["/", "/livez", "/readyz", "/metrics", "/openapi.json"];
/// Files of the page.
const PAGE: &str = "/web/";
/// Logging in.
pub const SESSION: &str = "/v1/session";

const NO_USERS: &str = "no_users";

/// How somebody says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    None,
    Bearer(&'a str),
    /// Name and password, as they are written.
    Basic(&'a str),
}

pub fn scheme(headers: &HeaderMap) -> Scheme<'_> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.and_then(|header| header.split_once(' ')) {
        Some(("Bearer", token)) => Scheme::Bearer(token.trim()),
        Some(("Basic", both)) => Scheme::Basic(both.trim()),
        _ => Scheme::None,
    }
}

/// `None`: it is open to all.
async fn admit(request: &ServiceRequest) -> Result<Option<User>, Problem> {
    let (written, meant) = (request.path(), request.match_info().as_str());
    if OPEN.contains(&written) || meant.starts_with(PAGE) {
        return Ok(None);
    }
    let front = request.app_data::<Data<Front>>().expect("every route has the front");
    if front.users.is_open_house() {
        let is_here = request.peer_addr().is_none_or(|peer| peer.ip().is_loopback());
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        return if is_here && host.is_none_or(is_plain) {
            Ok(Some(User::new(ROOT, Role::Admin)))
        } else {
            Err(no_users())
        };
    }
    let said = scheme(request.headers());
    let peer = request.peer_addr().map(|peer| peer.ip());
    let user = whose(front, said, peer).await?;
    let needed = needed(request.method(), meant);
    if user.role < needed {
        let (needed, has) = (needed.as_str(), user.role.as_str());
        let detail = format!("this needs the role {needed}; user {} is {has}", user.name);
        return Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", detail));
    }
    Ok(Some(user))
}

/// An address or `localhost`. A name of somebody else's may have been pointed at us, for a page that a browser here has
/// open: it would come from this machine, and from an origin of that name.
fn is_plain(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse::<IpAddr>().is_ok()
}

fn no_users() -> Problem {
    let detail = "there are no users, so only this machine itself may come in, by address or as localhost";
    Problem::new(StatusCode::UNAUTHORIZED, NO_USERS, detail)
        .next("make one with `stele user add` and name the file in `coordinator.users_file`")
}

/// The user that somebody proves to be; whoever guesses passwords has to wait.
async fn whose(front: &Front, said: Scheme<'_>, peer: Option<IpAddr>) -> Result<User, Problem> {
    let turn = matches!(said, Scheme::Basic(_)).then(|| front.turns.begin()).transpose()?;
    if let Some(user) = proven(front, said) {
        return Ok(user);
    }
    if let (Some(turn), Scheme::Basic(both)) = (turn, said) {
        let (name, _) = name_and_password(both).unwrap_or_default();
        turn.lost(peer, &name).await;
    }
    Err(unknown(said))
}

fn proven(front: &Front, said: Scheme<'_>) -> Option<User> {
    let users = &front.users;
    match said {
        Scheme::None => None,
        // Long and random: nobody guesses one.
        Scheme::Bearer(token) => users.with_token(token).or_else(|| front.sessions.user(token, users, Instant::now())),
        Scheme::Basic(both) => {
            let (name, password) = name_and_password(both)?;
            users.with_password(&name, &password)
        }
    }
}

fn name_and_password(both: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(both).ok()?).ok()?;
    text.split_once(':').map(|(name, password)| (name.to_string(), password.to_string()))
}

/// Whether somebody who was let in with these headers still would be.
pub fn is_still_in(front: &Front, headers: &HeaderMap) -> bool {
    front.users.is_open_house() || proven(front, scheme(headers)).is_some()
}

/// Why that proves nothing.
pub fn unknown(said: Scheme<'_>) -> Problem {
    let (code, detail) = match said {
        Scheme::None => ("no_token", "a token, or a name and a password, is needed here"),
        Scheme::Bearer(_) => ("unknown_token", "this token is nobody's, or its session has ended"),
        Scheme::Basic(_) => ("wrong_password", "the name or the password is wrong"),
    };
    Problem::new(StatusCode::UNAUTHORIZED, code, detail)
        .next("set STELE_TOKEN to what `stele user add` or `stele user token` has printed, or log in on the page")
}

/// Writes of an operator; the rest is an administrator's.
const OF_OPERATORS: [&str; 10] = [
    "/v1/disks/drain",
    "/v1/disks/undrain",
    "/v1/leases",
    "/v1/loads",
    "/v1/log-level",
    "/v1/nodes/drain",
    "/v1/nodes/undrain",
    "/v1/plans",
    "/v1/tablets",
    "/v1/verify",
];

/// The least role that may ask this.
fn needed(method: &Method, path: &str) -> Role {
    let is_below = |begin: &str| path.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if [Method::GET, Method::HEAD].contains(method) || path == "/v1/sql" {
        // What a statement needs is asked when it has been understood.
        Role::Viewer
    } else if OF_OPERATORS.into_iter().any(is_below) {
        Role::Operator
    } else {
        Role::Admin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ports and brackets are no part of a name.
    #[test]
    fn plain_hosts() {
        for host in ["127.0.0.1:7401", "localhost", "localhost:7401", "[::1]:7401", "[::1]", "10.0.0.3"] {
            assert!(is_plain(host), "{host}");
        }
        for host in ["evil.example:7401", "evil.example", "", "localhost.evil.example"] {
            assert!(!is_plain(host), "{host}");
        }
    }

    /// Looking, repairing and changing what there is are told apart.
    #[test]
    fn roles() {
        for (method, path, role) in [
            (Method::GET, "/v1/tables", Role::Viewer),
            (Method::POST, "/v1/sql", Role::Viewer),
            (Method::POST, "/v1/leases", Role::Operator),
            (Method::POST, "/v1/nodes/drain", Role::Operator),
            (Method::POST, "/v1/nodes/10001/remove", Role::Admin),
            (Method::DELETE, "/v1/tables/d/t", Role::Admin),
            (Method::PUT, "/v1/config/queue_max", Role::Admin),
            (Method::POST, "/v1/nodes/admit", Role::Admin),
            (Method::POST, "/v1/disks/init", Role::Admin),
            (Method::POST, "/v1/tablets/1/replicas/2", Role::Operator),
            (Method::POST, "/v1/plansomething", Role::Admin),
            (Method::POST, "/v1/what-comes-next", Role::Admin),
        ] {
            assert_eq!(needed(&method, path), role, "{method} {path}");
        }
    }
}
