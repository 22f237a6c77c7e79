//! Turns at guessing: how fast anybody may try names and passwords over HTTP.
//!
//! In: tries. Out: a turn, or `too_many_tries`. One who was right gives the turn back at once; one who was wrong is written
//! to the audit log and keeps it for a while, though the caller may have gone. It never judges a password itself.

use super::Problem;
use actix_web::http::StatusCode;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Wrong ones that wait at once, whosever they are.
const WRONG_MAX: usize = 8;
/// A wrong one is answered after this long, so that there are 16 a second at most.
const WAIT: Duration = Duration::from_millis(500);
/// Letters of a name that the log is told: no user's is longer.
const NAME_MAX: usize = 64;

#[derive(Debug)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Semaphore::new(WRONG_MAX)))
    }
}

impl Turns {
    /// To be taken before the password is looked at: who is refused must not learn whether it was right.
    pub fn begin(&self) -> Result<Turn, Problem> {
        self.0.clone().try_acquire_owned().map(Turn).map_err(|_| {
            let detail = "too many names and passwords were wrong just now";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", detail)
                .next("try again in a second, or use a token; the audit log says who tries")
        })
    }
}

/// Given back when it is dropped.
#[derive(Debug)]
pub struct Turn(OwnedSemaphorePermit);

impl Turn {
    /// It was wrong: resolves when that may be said.
    pub async fn lost(self, peer: Option<IpAddr>, name: &str) {
        let name: String = name.chars().take(NAME_MAX).collect();
        let peer = peer.map_or_else(|| "unknown".to_string(), |peer| peer.to_string());
        tracing::warn!(target: "audit", peer, user = ?name, "wrong name, password or token");
        let Turn(permit) = self;
        // On its own, or hanging up would give the turn back.
        let wait = actix_rt::spawn(async move {
            tokio::time::sleep(WAIT).await;
            drop(permit);
        });
        // It ends early only when the process does.
        let _ = wait.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    /// So many wrong ones wait, whether or not their callers do; then nobody has a turn until one of them is over.
    #[actix_rt::test]
    async fn wrong_ones_wait() {
        let turns = Turns::default();
        for _ in 0..WRONG_MAX * 3 {
            drop(turns.begin().expect("who was right gives it back"));
        }
        for _ in 0..WRONG_MAX {
            let lost = turns.begin().unwrap().lost(None, "ana");
            assert_eq!(lost.now_or_never(), None, "it is not said at once");
        }
        assert_eq!(turns.begin().unwrap_err().0.code, "too_many_tries", "their callers are gone, and still");
        let _over = turns.0.acquire().await.unwrap();
    }
}
