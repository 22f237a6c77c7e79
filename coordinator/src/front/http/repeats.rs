//! `Idempotency-Key`: a write that is asked again under the same key is answered again and not done again, for a while.
//!
//! ```text
//! key is new ─▶ under way ─▶ answered: its answer is kept, and given again
//!                   └─ its asker went away ─▶ unknown: nobody knows whether it was done, so it is not done again
//! ```
//!
//! In: writes with a key, of somebody who is known. Out: the first answer. Memory is bounded in number, bytes and time; a
//! coordinator's restart forgets all. Answers that say "not now" (5xx) are not kept: the same key may try again. Logins
//! are never kept: their answer is a secret.

use super::guard::SESSION;
use super::{Front, Problem, body};
use crate::front::ask::Sorry;
use crate::front::users::User;
use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes, Data};
use actix_web::{Error, HttpMessage, HttpResponse};
use futures_util::Stream;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use stele_common::Digest;

/// Longer than any client goes on asking.
const KEPT: Duration = Duration::from_secs(600);
/// Keys remembered.
const KEYS_MAX: usize = 1_000;
/// Bytes of answers remembered, all of them together and one alone.
const BYTES_MAX: usize = 8 << 20;
const ANSWER_MAX: usize = 256 << 10;
/// Length of a key.
const KEY_MAX: usize = 200;

/// What is known of the writes that came with a key.
#[derive(Clone, Default)]
pub struct Repeats(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    by_key: BTreeMap<Digest, Entry>,
    /// Oldest first.
    order: VecDeque<(Instant, Digest)>,
    bytes: usize,
}

#[derive(Clone)]
struct Entry {
    /// Of method, path and body: the same key must ask for the same.
    asked: Digest,
    since: Instant,
    state: State,
}

#[derive(Clone)]
enum State {
    UnderWay,
    Unknown,
    Answered {
        status: StatusCode,
        kind: Option<String>,
        body: Bytes,
    },
    /// Done, but its answer was too large to be kept.
    TooLarge,
}

impl Known {
    fn forget_old(&mut self, now: Instant) {
        while let Some((since, key)) = self.order.front().copied() {
            let is_over = now.duration_since(since) > KEPT;
            if !is_over && self.order.len() <= KEYS_MAX && self.bytes <= BYTES_MAX {
                return;
            }
            self.order.pop_front();
            // The key may have been used anew since.
            if self.by_key.get(&key).is_some_and(|entry| entry.since == since) {
                self.forget(&key);
            }
        }
    }

    fn forget(&mut self, key: &Digest) {
        if let Some(Entry { state: State::Answered { body, .. }, .. }) = self.by_key.remove(key) {
            self.bytes -= body.len();
        }
    }
}

impl Repeats {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of this key; if it is new, it is under way from now on.
    fn begin(&self, key: Digest, asked: Digest, now: Instant) -> Result<Begun, Box<Entry>> {
        let mut known = self.known();
        known.forget_old(now);
        if let Some(entry) = known.by_key.get(&key) {
            return Err(Box::new(entry.clone()));
        }
        known.by_key.insert(key, Entry { asked, since: now, state: State::UnderWay });
        known.order.push_back((now, key));
        Ok(Begun { repeats: self.clone(), key, is_over: false })
    }
}

/// A write under way. Dropped before its end, nobody knows what came of it.
struct Begun {
    repeats: Repeats,
    key: Digest,
    is_over: bool,
}

impl Begun {
    /// Its end; `None`: it may be tried again.
    fn end(mut self, state: Option<State>) {
        self.is_over = true;
        let mut known = self.repeats.known();
        match state {
            None => known.forget(&self.key),
            Some(state) => {
                if let State::Answered { body, .. } = &state {
                    known.bytes += body.len();
                }
                match known.by_key.get_mut(&self.key) {
                    Some(entry) => entry.state = state,
                    // So many came meanwhile that it was forgotten: so is its answer.
                    None => {
                        if let State::Answered { body, .. } = &state {
                            known.bytes -= body.len();
                        }
                    }
                }
            }
        }
        known.forget_old(Instant::now());
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.is_over
            && let Some(entry) = self.repeats.known().by_key.get_mut(&self.key)
        {
            entry.state = State::Unknown;
        }
    }
}

/// Around all handlers: writes with a key are done once.
pub async fn once(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    // Whoever is nobody must not push out what is remembered for others, nor have a body read that nobody asked for.
    let is_kept = !is_read && request.extensions().contains::<User>() && request.match_info().as_str() != SESSION;
    let Some(given) = request.headers().get("idempotency-key").filter(|_| is_kept).cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let given = given.to_str().ok().map(str::trim).filter(|key| !key.is_empty() && key.len() <= KEY_MAX);
    let Some(given) = given.map(str::to_string) else {
        let detail = format!("`Idempotency-Key` has 1 to {KEY_MAX} letters, digits or signs");
        return Err(Problem::bad_request(detail).into());
    };
    let who = request.headers().get(AUTHORIZATION).map(|who| who.as_bytes().to_vec()).unwrap_or_default();
    let key = Digest::of(&[given.as_bytes(), b"\0", &who].concat());
    let content = body::whole(request.extract::<web::Payload>().await?).await?;
    let asked = format!("{} {}\0", request.method(), request.uri());
    let asked = Digest::of(&[asked.as_bytes(), &content].concat());
    let content: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(once_more(content));
    request.set_payload(Payload::from(content));
    let front = request.app_data::<Data<Front>>().expect("the application has its front").clone();
    match front.repeats.begin(key, asked, Instant::now()) {
        Ok(begun) => Ok(keep(begun, next.call(request).await?).await?),
        Err(entry) => Ok(request.into_response(again(*entry, asked)?)),
    }
}

/// The body that was read, to be read again.
fn once_more(content: Bytes) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    futures_util::stream::once(std::future::ready(Ok(content)))
}

/// Keeps the answer on its way out.
async fn keep(begun: Begun, answer: ServiceResponse<impl MessageBody + 'static>) -> Result<ServiceResponse, Error> {
    let (request, answer) = answer.into_parts();
    let (head, body) = answer.into_parts();
    let body = to_bytes(body).await.map_err(|_| Problem::from(Sorry::Ending))?;
    let kind = head.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_string);
    begun.end(match head.status() {
        status if status.is_server_error() => None,
        _ if body.len() > ANSWER_MAX => Some(State::TooLarge),
        status => Some(State::Answered { status, kind, body: body.clone() }),
    });
    Ok(ServiceResponse::new(request, head.set_body(body).map_into_boxed_body()))
}

fn again(entry: Entry, asked: Digest) -> Result<HttpResponse, Problem> {
    if entry.asked != asked {
        let detail = "this idempotency key came with another request before";
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", detail);
        return Err(problem.next("use a new key for each wish"));
    }
    let conflict = |code, detail: &str| Problem::new(StatusCode::CONFLICT, code, detail);
    match entry.state {
        State::Answered { status, kind, body } => {
            metrics::counter!("stele_http_repeated_total").increment(1);
            let mut answer = HttpResponse::build(status);
            answer.insert_header(("Idempotency-Replayed", "true"));
            answer.content_type(kind.unwrap_or_else(|| "application/json".into()));
            Ok(answer.body(body))
        }
        State::UnderWay => {
            Err(conflict("under_way", "the request with this key is under way").next("ask again in a moment"))
        }
        State::Unknown => Err(conflict("unknown_end", "whoever asked with this key did not wait for the answer")
            .next("look whether it was done; to do it again, use a new key")),
        State::TooLarge => Err(conflict("done_before", "it was done; its answer was too large to be kept")
            .next("look at what came of it; to do it again, use a new key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::of(number.to_string().as_bytes())
    }

    fn answered(bytes: usize) -> Option<State> {
        Some(State::Answered { status: StatusCode::OK, kind: None, body: Bytes::from(vec![0; bytes]) })
    }

    /// A key is known from its beginning until it is old; one whose asker went away is not done again; one that may be
    /// tried again is new.
    #[test]
    fn one_key() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        let state = |at| repeats.begin(digest(1), digest(2), at).err().map(|entry| entry.state);
        let begun = repeats.begin(digest(1), digest(2), now).ok().unwrap();
        assert!(matches!(state(now), Some(State::UnderWay)));
        begun.end(answered(3));
        assert!(matches!(state(now + KEPT), Some(State::Answered { .. })));
        let begun = repeats.begin(digest(1), digest(2), now + KEPT * 2).ok().unwrap();
        drop(begun);
        assert!(matches!(state(now + KEPT * 2), Some(State::Unknown)));
        repeats.begin(digest(1), digest(2), now + KEPT * 4).ok().unwrap().end(None);
        assert!(repeats.begin(digest(1), digest(2), now + KEPT * 4).is_ok());
    }

    /// However many come and however large their answers are, memory is bounded, and the sums are right.
    #[test]
    fn bounded() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        for number in 0..KEYS_MAX * 3 {
            let begun = repeats.begin(digest(number), digest(0), now).ok().unwrap();
            begun.end(answered(if number % 2 == 0 { ANSWER_MAX } else { 10 }));
        }
        let known = repeats.known();
        assert!(known.by_key.len() <= KEYS_MAX && known.bytes <= BYTES_MAX, "{}", known.bytes);
        let held = known.by_key.values().map(|entry| match &entry.state {
            State::Answered { body, .. } => body.len(),
            State::UnderWay | State::Unknown | State::TooLarge => 0,
        });
        assert_eq!(held.sum::<usize>(), known.bytes);
    }
}
