//! Looks for moves that make hosts even. In: a snapshot and how many are wanted, from the Scheduler or a face. Out: the
//! planner's answer.
//!
//! It decides nothing; it has an arbiter of its own, because a plan for a large house takes seconds. What a face was
//! answered is kept for twenty times as long as it took, at most half a minute, so that those who watch a large house
//! hold up no balance.

use super::words::{ForeseeMoves, SelectMoves};
use actix::prelude::*;
use std::time::{Duration, Instant};
use stele_common::Tick;
use stele_coordinator_rules::balance::moves::Scope;
use stele_coordinator_rules::balance::selection::{Selection, select};

#[derive(Default)]
pub struct Balancer {
    foreseen: Option<Foreseen>,
}

/// What a face was answered last.
struct Foreseen {
    limit: usize,
    /// What was held back, whenever that was.
    scope: Scope,
    until: Instant,
    answer: Selection,
}

/// Below this, every face is answered anew.
const CHEAP: Duration = Duration::from_millis(20);
/// Longer no answer is kept.
const KEPT_MAX: Duration = Duration::from_secs(30);

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

impl Handler<ForeseeMoves> for Balancer {
    type Result = MessageResult<ForeseeMoves>;

    fn handle(&mut self, ForeseeMoves(select): ForeseeMoves, ctx: &mut Context<Self>) -> Self::Result {
        let (began, limit) = (Instant::now(), select.limit);
        let scope = Scope { at: Tick::default(), ..select.scope.clone() };
        if let Some(foreseen) = &self.foreseen
            && (foreseen.limit, &foreseen.scope) == (limit, &scope)
            && began < foreseen.until
        {
            return MessageResult(foreseen.answer.clone());
        }
        let MessageResult(answer) = self.handle(select, ctx);
        let took = began.elapsed();
        let until = Instant::now() + KEPT_MAX.min(took * 20);
        let kept = Foreseen { limit, scope, until, answer: answer.clone() };
        self.foreseen = (took > CHEAP).then_some(kept);
        MessageResult(answer)
    }
}
