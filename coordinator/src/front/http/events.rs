//! `/v1/events`: a stream of what changed (server-sent events), and `/v1/events/recent`: what happened lately.
//!
//! ```text
//! id: EPOCH-REVISION      a reader that comes back says its last one (Last-Event-ID), and is told what it missed
//! event: hello | change | reset
//! data: {"epoch":3,"revision":120,"changed":["nodes"],"happened":[...]}
//! ```
//!
//! Everything that a reader was not told yet is one message, so a slow one costs no more than a quick one. One that
//! takes nothing for a while loses its seat, and so does one whose user may not come in any more.

use super::{Front, Page, Problem, guard};
use crate::front::bulletin::{Bulletins, Mark, News};
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Bytes, Data, Json, Query};
use actix_web::{HttpRequest, HttpResponse, get};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use stele_common::api::{Changed, Happening, Happenings};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Readers at once: each holds a connection of the workers'.
pub const SEATS: usize = 256;
/// A comment this often keeps what lies between from closing a silent connection, and finds readers that are gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A reader that takes nothing for this long loses its seat.
const STALL: Duration = Duration::from_secs(30);
/// Messages under way to one reader.
const UNDER_WAY: usize = 2;
/// Without `limit`.
const RECENT: usize = 100;

#[get("/v1/events")]
pub async fn stream(front: Data<Front>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Ok(seat) = front.seats.clone().try_acquire_owned() else {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", format!("{SEATS} readers listen already"));
        return Err(problem.next("close a page, or ask /v1/status now and then"));
    };
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).map(mark);
    let (sender, receiver) = channel(UNDER_WAY);
    let (bulletins, headers) = (front.bulletins.clone(), request.headers().clone());
    let may_hear = move || guard::is_still_in(&front, &headers);
    actix_rt::spawn(tell(bulletins, last, sender, seat, may_hear));
    let messages = futures_util::stream::unfold(receiver, |mut receiver: Receiver<Bytes>| async move {
        receiver.recv().await.map(|bytes| (Ok::<_, Infallible>(bytes), receiver))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(messages))
}

/// `EPOCH-REVISION`; anything else is no place that we know, so its reader must look at everything again.
fn mark(id: &str) -> Mark {
    let parts = id.split_once('-');
    let known = parts.and_then(|(epoch, revision)| Some((epoch.parse().ok()?, revision.parse().ok()?)));
    let (epoch, revision) = known.unwrap_or((u64::MAX, u64::MAX));
    Mark { epoch, revision }
}

/// Tells a reader what is new to it until it goes away, takes nothing any more, or may not hear it: its session is over.
async fn tell(
    mut bulletins: Bulletins,
    last: Option<Mark>,
    reader: Sender<Bytes>,
    _seat: OwnedSemaphorePermit,
    may_hear: impl Fn() -> bool,
) {
    // Before the first snapshot has been looked at there is no epoch to be told.
    let Ok(Ok(first)) = timeout(STALL, bulletins.wait_for(|bulletin| bulletin.epoch > 0))
        .await
        .map(|ready| ready.map(|first| first.clone()))
    else {
        return;
    };
    let mut at = last.unwrap_or_else(|| first.mark());
    if last.is_none() && !is_sent(&reader, message("hello", &first.hello())).await {
        return;
    }
    while may_hear() {
        let now = bulletins.borrow_and_update().clone();
        let (kind, news) = match now.since(at) {
            News::Nothing => (None, None),
            News::Changed(news) => (Some("change"), Some(news)),
            News::Reset(news) => (Some("reset"), Some(news)),
        };
        at = now.mark();
        drop(now);
        if let (Some(kind), Some(news)) = (kind, news)
            && !is_sent(&reader, message(kind, &news)).await
        {
            return;
        }
        match timeout(KEEP_ALIVE, bulletins.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) if is_sent(&reader, Bytes::from_static(b":\n\n")).await => {}
            Err(_) => return,
        }
    }
}

async fn is_sent(reader: &Sender<Bytes>, bytes: Bytes) -> bool {
    reader.send_timeout(bytes, STALL).await.is_ok()
}

fn message(kind: &str, news: &Changed) -> Bytes {
    let data = serde_json::to_string(news).expect("a message is plain text and numbers");
    format!("retry: 1000\nid: {}-{}\nevent: {kind}\ndata: {data}\n\n", news.epoch, news.revision).into()
}

#[get("/v1/events/recent")]
pub async fn recent(front: Data<Front>, page: Query<Page<u64>>) -> Json<Happenings> {
    let bulletin = front.bulletins.borrow().clone();
    let limit = page.limit.unwrap_or(RECENT);
    let mut events: Vec<Happening> = bulletin.recent(page.after).take(limit.saturating_add(1)).cloned().collect();
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(|last| last.number);
    Json(Happenings { events, next })
}

/// The seats of all readers.
pub fn seats() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(SEATS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::bulletin::Bulletin;
    use std::cell::Cell;
    use std::rc::Rc;

    /// Whose session is over is told nothing more: the stream ends.
    #[actix_rt::test]
    async fn told_while_it_lasts() {
        let bulletin = |epoch| {
            let mut bulletin = Bulletin::default();
            bulletin.epoch = epoch;
            Arc::new(bulletin)
        };
        let (told, bulletins) = tokio::sync::watch::channel(bulletin(1));
        let (lasts, seat) = (Rc::new(Cell::new(true)), seats().try_acquire_owned().unwrap());
        let (sender, mut reader) = channel(UNDER_WAY);
        let may_hear = {
            let lasts = lasts.clone();
            move || lasts.get()
        };
        actix_rt::spawn(tell(bulletins, None, sender, seat, may_hear));
        for (epoch, event) in [(1, "hello"), (2, "reset")] {
            told.send_replace(bulletin(epoch));
            let message = reader.recv().await.unwrap();
            assert!(String::from_utf8_lossy(&message).contains(&format!("event: {event}")), "{message:?}");
        }
        lasts.set(false);
        told.send_replace(bulletin(3));
        assert_eq!(reader.recv().await, None);
    }

    /// What we gave out comes back; anything else is a place that nobody is at.
    #[test]
    fn marks() {
        assert_eq!(mark("3-120"), Mark { epoch: 3, revision: 120 });
        for odd in ["", "3", "3-", "-3", "a-b", "1-2-3"] {
            assert_eq!(mark(odd), Mark { epoch: u64::MAX, revision: u64::MAX }, "{odd}");
        }
    }
}
