//! Looks for moves that make hosts even. In: a snapshot and how many are wanted, from the Scheduler or a face. Out: the
//! planner's answer.
//!
//! It decides nothing; it has an arbiter of its own, because a plan for a large house takes seconds. What it found last,
//! for whomever, is what faces are answered for twenty times as long as it took, at most half a minute: those who watch
//! a large house hold up no balance.

use super::words::{ForeseeMoves, SelectMoves};
use actix::prelude::*;
use std::time::{Duration, Instant};
use stele_common::Tick;
use stele_coordinator_rules::balance::moves::Scope;
use stele_coordinator_rules::balance::selection::{Selection, select};

#[derive(Default)]
pub struct Balancer {
    last: Option<Look>,
}

/// What the planner found last.
struct Look {
    limit: usize,
    holds: Scope,
    until: Instant,
    found: Selection,
}

impl Look {
    /// As much of it as is asked for; `None` if it may not stand for a new look.
    fn stands_for(&self, SelectMoves { scope, limit, .. }: &SelectMoves) -> Option<Selection> {
        let has_enough = *limit <= self.limit || self.found.moves.len() < self.limit;
        (has_enough && Instant::now() < self.until && self.holds == holds(scope)).then(|| {
            let mut found = self.found.clone();
            found.moves.truncate(*limit);
            found
        })
    }
}

/// What operators hold back. What rests changes with each move, and a face may be told of it a little later.
fn holds(scope: &Scope) -> Scope {
    Scope { at: Tick::default(), resting: Default::default(), left: Default::default(), ..scope.clone() }
}

/// Moves that a look keeps at least, whatever the scheduler has room for: as many as a face shows.
const KEPT_MIN: usize = 20;
/// Below this, every face is answered anew.
const CHEAP: Duration = Duration::from_millis(20);
/// Longer no look is kept.
const KEPT_MAX: Duration = Duration::from_secs(30);

impl Actor for Balancer {
    type Context = Context<Self>;
}

impl Handler<SelectMoves> for Balancer {
    type Result = MessageResult<SelectMoves>;

    fn handle(&mut self, SelectMoves { published, scope, limit }: SelectMoves, _: &mut Context<Self>) -> Self::Result {
        let began = Instant::now();
        let wide = limit.max(KEPT_MIN);
        let mut found = select(&published.world, &scope, wide);
        let took = began.elapsed();
        metrics::histogram!("stele_plan_seconds").record(took.as_secs_f64());
        let until = Instant::now() + KEPT_MAX.min(took * 20);
        self.last = (took > CHEAP).then(|| Look { limit: wide, holds: holds(&scope), until, found: found.clone() });
        found.moves.truncate(limit);
        MessageResult(found)
    }
}

impl Handler<ForeseeMoves> for Balancer {
    type Result = MessageResult<ForeseeMoves>;

    fn handle(&mut self, ForeseeMoves { select, until }: ForeseeMoves, ctx: &mut Context<Self>) -> Self::Result {
        if let Some(found) = self.last.as_ref().and_then(|last| last.stands_for(&select)) {
            return MessageResult(Some(found));
        }
        if until <= Instant::now() {
            return MessageResult(None);
        }
        let MessageResult(found) = self.handle(select, ctx);
        MessageResult(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::Published;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use stele_common::{DiskId, NodeId, ReplicaId, TabletId};
    use stele_coordinator_rules::World;
    use stele_coordinator_rules::balance::moves::{Move, Why};

    fn asked(scope: Scope, limit: usize) -> SelectMoves {
        let published =
            Published { world: Arc::new(World::empty(Arc::default())), at: Tick::default(), wall_ms: 0, number: 0 };
        SelectMoves { published: Arc::new(published), scope, limit }
    }

    fn moves(count: u64) -> Selection {
        let mv = |n| Move {
            tablet: TabletId(n),
            replica: ReplicaId(n),
            from: DiskId(1),
            from_node: NodeId(1),
            to: DiskId(2),
            to_node: NodeId(2),
            bytes: 1,
            why: Why::Usage,
        };
        (1..=count).map(mv).collect::<Vec<Move>>().into()
    }

    fn look(limit: usize, found: u64) -> Look {
        Look { limit, holds: holds(&Scope::default()), until: Instant::now() + KEPT_MAX, found: moves(found) }
    }

    /// The last look stands for a new one as long as operators hold nothing else back and it has as much as is asked.
    #[test]
    fn looks_that_stand() {
        let held = Scope { held_nodes: BTreeSet::from([NodeId(7)]), ..Scope::default() };
        let later = Scope { at: Tick(9), resting: BTreeSet::from([ReplicaId(7)]), ..Scope::default() };
        let over = Look { until: Instant::now(), ..look(20, 5) };
        let cases = [
            ("asked again", look(20, 20), Scope::default(), 20, Some(20)),
            ("later, and something rests", look(20, 20), later, 20, Some(20)),
            ("fewer are asked for", look(20, 20), Scope::default(), 3, Some(3)),
            ("more are asked for", look(3, 3), Scope::default(), 20, None),
            ("more are asked for, and there were no more", look(6, 3), Scope::default(), 20, Some(3)),
            ("a node is held back", look(20, 20), held, 20, None),
            ("too old", over, Scope::default(), 20, None),
        ];
        for (name, look, scope, limit, expected) in cases {
            let found = look.stands_for(&asked(scope, limit)).map(|found| found.moves.len());
            assert_eq!(found, expected, "{name}");
        }
    }

    /// Whom nobody waits for any more costs no plan.
    #[actix::test]
    async fn too_late() {
        let balancer = Balancer::default().start();
        let now = Instant::now();
        let late = ForeseeMoves { select: asked(Scope::default(), 1), until: now };
        assert_eq!(balancer.send(late).await.unwrap(), None);
        let early = ForeseeMoves { select: asked(Scope::default(), 1), until: now + KEPT_MAX };
        assert!(balancer.send(early).await.unwrap().is_some());
    }
}
