//! `/v1/session`: logging in and out, for the web page. A name and a password, or a user's own token, are changed for a
//! token that ends by itself; the page never keeps a password, and nothing is sent without its doing, as cookies are.

use super::guard::{self, Scheme};
use super::{Front, Problem, body};
use crate::clock::rfc3339;
use crate::front::sessions::LASTS;
use crate::front::users::User;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Json, Payload, ReqData};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use serde_json::{Value, json};
use std::time::Instant;
use stele_common::api::{SessionAsk, SessionInfo, SessionOpened};

/// Open to all: it says whether one has to log in, and to whom the token belongs.
#[get("/v1/session")]
pub async fn show(front: Data<Front>, user: Option<ReqData<User>>) -> Json<SessionInfo> {
    let user = user.map(ReqData::into_inner);
    Json(SessionInfo {
        name: user.as_ref().map(|user| user.name.clone()),
        role: user.map(|user| user.role.as_str().to_string()),
        users: !front.users.is_open_house(),
    })
}

/// The proof is in the body: for a wrong one in `Authorization` a browser would open a window of its own.
#[post("/v1/session")]
pub async fn open(front: Data<Front>, request: HttpRequest, payload: Payload) -> Result<HttpResponse, Problem> {
    let ask: SessionAsk = body::read_of_nobody(payload).await?;
    if front.users.is_open_house() {
        let problem = Problem::new(StatusCode::CONFLICT, "no_users", "nobody needs to log in: there are no users");
        return Err(problem.next("make one with `stele user add`"));
    }
    let turn = front.turns.begin()?;
    let (user, name, said) = match &ask {
        SessionAsk::Password { name, password } => {
            (front.users.with_password(name, password), name.as_str(), Scheme::Basic(""))
        }
        // A user's own: a session opens no other, or it would last for ever.
        SessionAsk::Token { token } => (front.users.with_token(token), "", Scheme::Bearer("")),
    };
    let Some(user) = user else {
        turn.lost(request.peer_addr().map(|peer| peer.ip()), name).await;
        return Err(guard::unknown(said));
    };
    let (name, role) = (user.name.clone(), user.role.as_str().to_string());
    let opened = front.sessions.open(user, Instant::now());
    let token = opened.map_err(|error| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_random_numbers", format!("no random numbers: {error}"))
    })?;
    tracing::info!(target: "audit", user = name, "logged in");
    let ends = rfc3339(front.ask.clock().wall_ms() + LASTS.as_millis() as u64);
    let opened = SessionOpened { name, role, token, ends };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(opened))
}

#[delete("/v1/session")]
pub async fn close(front: Data<Front>, request: HttpRequest) -> Json<Value> {
    if let Scheme::Bearer(token) = guard::scheme(request.headers()) {
        front.sessions.close(token);
    }
    Json(json!({}))
}
