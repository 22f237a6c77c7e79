//! The only door from a face to the actors: reads take the newest snapshot, requests go to the Catalog and come back
//! after their commit, views of the queue come from the Scheduler.
//!
//! Requests under way at once are bounded here, because a mailbox's own bound does not hold across its senders.

use crate::actors::words::{
    BalanceNow, ExplainNode, ExplainTablet, ForeseeMoves, Happened, ListBalance, ListTasks, Pending, SelectMoves,
    Silences, SumPending, TaskFilter,
};
use crate::clock::Clock;
use crate::front::near;
use crate::published::{Published, Snapshots};
use actix::Recipient;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stele_common::{NodeId, TabletId, api};
use stele_coordinator_rules::balance::moves::Scope;
use stele_coordinator_rules::balance::selection::Selection;
use stele_coordinator_rules::{Answer, EventBody, Reason};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

/// Requests to the Catalog at once; more wait in line here.
const REQUESTS_MAX: usize = 256;

/// Why a request came to nothing.
#[derive(Debug)]
pub enum Sorry {
    Refused {
        reason: Reason,
        /// What may have been meant, where the reason is a name that is not there.
        meant: Option<String>,
    },
    /// This process is ending.
    Ending,
}

#[derive(Clone)]
pub struct Ask {
    catalog: Recipient<Happened>,
    explain: Recipient<ExplainTablet>,
    explain_node: Recipient<ExplainNode>,
    tasks: Recipient<ListTasks>,
    pending: Recipient<SumPending>,
    silences: Recipient<Silences>,
    balance: Recipient<ListBalance>,
    moves: Recipient<ForeseeMoves>,
    snapshots: Snapshots,
    clock: Clock,
    room: Arc<Semaphore>,
}

/// Whom a face may ask.
pub struct Doors {
    pub catalog: Recipient<Happened>,
    pub explain: Recipient<ExplainTablet>,
    pub explain_node: Recipient<ExplainNode>,
    pub tasks: Recipient<ListTasks>,
    pub pending: Recipient<SumPending>,
    pub silences: Recipient<Silences>,
    pub balance: Recipient<ListBalance>,
    pub moves: Recipient<ForeseeMoves>,
}

impl Ask {
    pub fn new(clock: Clock, snapshots: Snapshots, doors: Doors) -> Ask {
        let Doors { catalog, explain, explain_node, tasks, pending, silences, balance, moves } = doors;
        Ask {
            catalog,
            explain,
            explain_node,
            tasks,
            pending,
            silences,
            balance,
            moves,
            snapshots,
            clock,
            room: Arc::new(Semaphore::new(REQUESTS_MAX)),
        }
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The newest committed state.
    pub fn now(&self) -> Arc<Published> {
        self.snapshots.borrow().clone()
    }

    /// Asks the Catalog; what it answers is durable.
    pub async fn catalog(&self, body: EventBody) -> Result<Answer, Sorry> {
        let _room = self.room.acquire().await.map_err(|_| Sorry::Ending)?;
        let (answer, answered) = oneshot::channel();
        self.catalog.send(Happened { body, answer }).await.map_err(|_| Sorry::Ending)?;
        match answered.await.map_err(|_| Sorry::Ending)? {
            Answer::Refused(reason) => Err(self.refused(reason)),
            answer => Ok(answer),
        }
    }

    /// A refusal, with what may have been meant.
    pub fn refused(&self, reason: Reason) -> Sorry {
        Sorry::Refused { meant: near::refused(&self.now().world, &reason), reason }
    }

    /// Looks at each new snapshot until `look` finds something or patience is over.
    pub async fn until<T>(&self, patience: Duration, mut look: impl FnMut(&Published) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut snapshots = self.snapshots.clone();
        loop {
            let published = snapshots.borrow_and_update().clone();
            if let Some(found) = look(&published) {
                return Some(found);
            }
            timeout_at(deadline, snapshots.changed()).await.ok()?.ok()?;
        }
    }

    /// Why the tablet is as it is; `None` when there is no such tablet.
    pub async fn explain(&self, tablet: TabletId) -> Result<Option<api::Explanation>, Sorry> {
        self.explain.send(ExplainTablet(tablet)).await.map_err(|_| Sorry::Ending)
    }

    /// Why the node counts as it does; `None` when there is no such node.
    pub async fn explain_node(&self, node: NodeId) -> Result<Option<api::NodeExplanation>, Sorry> {
        self.explain_node.send(ExplainNode(node)).await.map_err(|_| Sorry::Ending)
    }

    pub async fn tasks(&self, which: TaskFilter) -> Result<Vec<api::TaskInfo>, Sorry> {
        self.some_tasks(which, 0, usize::MAX).await
    }

    /// So many of them, from a place in their order on.
    pub async fn some_tasks(&self, which: TaskFilter, skip: usize, limit: usize) -> Result<Vec<api::TaskInfo>, Sorry> {
        self.tasks.send(ListTasks { which, skip, limit }).await.map_err(|_| Sorry::Ending)
    }

    /// The snapshots, for who wants to see each.
    pub fn snapshots(&self) -> Snapshots {
        self.snapshots.clone()
    }

    pub async fn pending(&self) -> Result<Pending, Sorry> {
        self.pending.send(SumPending).await.map_err(|_| Sorry::Ending)
    }

    /// What balance is at.
    pub async fn balance(&self) -> Result<BalanceNow, Sorry> {
        self.balance.send(ListBalance).await.map_err(|_| Sorry::Ending)
    }

    /// What would be moved for evenness, at most so many, whatever holds balance back now. `None`: the planner is
    /// still at it after so long; what it finds is kept for those who ask again.
    pub async fn moves(
        &self,
        published: Arc<Published>,
        scope: Scope,
        limit: usize,
        patience: Duration,
    ) -> Result<Option<Selection>, Sorry> {
        let until = Instant::now() + patience;
        let select = SelectMoves { published, scope, limit };
        let asked = self.moves.send(ForeseeMoves { select, until: until.into_std() });
        match tokio::time::timeout_at(until, asked).await {
            Ok(answer) => answer.map_err(|_| Sorry::Ending),
            Err(_) => Ok(None),
        }
    }

    /// Milliseconds since each node's last beat; a node that was not heard in this epoch is not in it.
    pub async fn silences(&self) -> Result<BTreeMap<NodeId, u64>, Sorry> {
        self.silences.send(Silences).await.map_err(|_| Sorry::Ending)
    }
}
