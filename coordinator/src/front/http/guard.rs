//! Who may ask what over HTTP, once there is a file of users: `Authorization: Bearer TOKEN`, or `Basic` with name and
//! password, which browsers ask for by themselves; and a role that fits.
//!
//! Without a file everybody on this machine may do everything, as ever. Probes, metrics and the page itself are open;
//! everything under `/v1` is not. It looks at methods and paths alone.

use super::{Front, Problem};
use crate::front::users::{ROOT, Role, Secret, User, Users};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, ResponseError};

/// Lets through whoever may, and leaves behind who it is.
pub async fn guard<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let user = match admit(&request) {
        Ok(user) => user,
        Err(problem) => {
            let mut response = problem.error_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                let way = HeaderValue::from_static("Basic realm=\"stele\", charset=\"UTF-8\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, way);
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

/// `None`: it is open to all.
fn admit(request: &ServiceRequest) -> Result<Option<User>, Problem> {
    let front = request.app_data::<Data<Front>>().expect("every route has the front");
    if front.users.is_open_house() {
        return Ok(Some(User::new(ROOT, Role::Admin)));
    }
    if !request.path().starts_with("/v1") {
        return Ok(None);
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let user = header.and_then(|header| whose(&front.users, header)).ok_or_else(|| {
        Problem::new(StatusCode::UNAUTHORIZED, "no_token", "a token, or a name and a password, is needed here")
            .next("set STELE_TOKEN to what `stele user add` or `stele user token` has printed")
    })?;
    let needed = needed(request.method(), request.path());
    if user.role < needed {
        let (needed, has) = (needed.as_str(), user.role.as_str());
        let detail = format!("this needs the role {needed}; user {} is {has}", user.name);
        return Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", detail));
    }
    Ok(Some(user))
}

/// The user that a header proves to be.
fn whose(users: &Users, header: &str) -> Option<User> {
    if let Some(token) = header.strip_prefix("Bearer ") {
        return users.with_token(token.trim());
    }
    let text = String::from_utf8(base64(header.strip_prefix("Basic ")?.trim())?).ok()?;
    let (name, password) = text.split_once(':')?;
    users.named(name).filter(|user| user.secret().is_some_and(|secret| secret == Secret::of(password)))
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == byte)?;
        bits = (bits << 6 | digit as u32) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

/// The least role that may ask this.
fn needed(method: &Method, path: &str) -> Role {
    let of_admin = ["/v1/tables", "/v1/config", "/v1/level", "/v1/disks/init", "/v1/nodes/admit"];
    if [Method::GET, Method::HEAD].contains(method) || path == "/v1/sql" {
        // What a statement needs is asked when it has been understood.
        Role::Viewer
    } else if of_admin.iter().any(|begin| path.starts_with(begin)) || path.ends_with("/remove") {
        Role::Admin
    } else {
        Role::Operator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What browsers send is read; what is no base64 is nobody.
    #[test]
    fn names_and_passwords() {
        assert_eq!(base64("YW5hOm9wZW4gc2VzYW1l").as_deref(), Some(&b"ana:open sesame"[..]));
        assert_eq!(base64("YTpi").as_deref(), Some(&b"a:b"[..]));
        assert_eq!(base64("YTo=").as_deref(), Some(&b"a:"[..]));
        assert_eq!(base64("Y!"), None);
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
        ] {
            assert_eq!(needed(&method, path), role, "{method} {path}");
        }
    }
}
