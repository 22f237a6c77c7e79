//! `/v1/balance`: how even the hosts are, what moves, and why nothing does.

use super::{Front, Problem};
use crate::front::view::balance::{self, Sums};
use actix_web::get;
use actix_web::web::{Data, Json, Query};
use serde::Deserialize;
use std::time::Duration;
use stele_common::api::{BalanceHistory, BalanceStatus};

/// Moves shown of those that would come next.
const NEXT_MAX: usize = 20;

/// How even they were.
#[get("/v1/balance/history")]
pub async fn history(front: Data<Front>) -> Json<BalanceHistory> {
    let curve = front.bulletins.borrow().spread.clone();
    Json(BalanceHistory { samples: curve.points() })
}

#[derive(Deserialize)]
pub struct Wait {
    wait_ms: Option<u64>,
}

/// In milliseconds; who wants to be answered at once, as a page does, says so.
const WAIT_MS_MAX: u64 = 30_000;

#[get("/v1/balance")]
pub async fn show(front: Data<Front>, wait: Query<Wait>) -> Result<Json<BalanceStatus>, Problem> {
    let patience = Duration::from_millis(wait.wait_ms.unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX));
    let now = front.ask.balance().await?;
    let published = front.ask.now();
    let at = front.ask.clock().tick();
    // The planner looks on a thread of its own; meanwhile the sums are made on this one.
    let next = front.ask.moves(published.clone(), now.scope.clone(), NEXT_MAX, patience);
    let (next, sums) = futures_util::join!(next, async { Sums::of(&published.world, at) });
    Ok(Json(balance::status(&published.world, &now, next?, sums)))
}
