//! Looks for moves that make hosts even. In: a snapshot and how many are wanted, from the Scheduler or a face. Out: the
//! planner's answer.
//!
//! It owns nothing and decides nothing; it has an arbiter of its own, because a plan for a large house takes seconds.

use super::words::SelectMoves;
use actix::prelude::*;
use std::time::Instant;
use stele_coordinator_rules::balance::selection::select;

pub struct Balancer;

impl Actor for Balancer {
    type Context = Context<Self>;
}

impl Handler<SelectMoves> for Balancer {
    type Result = MessageResult<SelectMoves>;

    fn handle(&mut self, SelectMoves { published, scope, limit }: SelectMoves, _: &mut Context<Self>) -> Self::Result {
        let began = Instant::now();
        let answer = select(&published.world, &scope, limit);
        metrics::histogram!("stele_plan_seconds").record(began.elapsed().as_secs_f64());
        MessageResult(answer)
    }
}
