//! The messages between actors. Data, no behaviour.
//!
//! Requests flow one way (link and front → Catalog, Checker → Scheduler → Catalog); what flows back is an answer over
//! a oneshot or a message that is bounded by what it answers, so no two mailboxes can wait for each other.

use super::dirty::Dirty;
use crate::published::Published;
use actix::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use stele_common::api::Sick;
use stele_common::{BootId, NodeId, Priority, TabletId, ToAgent, api};
use stele_coordinator_rules::balance::moves::Scope;
use stele_coordinator_rules::balance::selection::Selection;
use stele_coordinator_rules::checkup::Verdict;
use stele_coordinator_rules::schedule::balancing::Done;
use stele_coordinator_rules::world::{Outcome, Task};
use stele_coordinator_rules::{Answer, EventBody, Reason};
use tokio::sync::{mpsc, oneshot};

/// To the Catalog: something happened. The answer comes after the commit of everything that it changed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Happened {
    pub body: EventBody,
    pub answer: oneshot::Sender<Answer>,
}

/// To the Catalog: something happened, and nobody waits for a word on it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Told(pub EventBody);

/// To the Catalog: the Checker has taken in the last [`Changed`] and may be given the next.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CheckerReady;

/// To the Catalog: finish the batch in flight, take no more, close the store. Answered when it is done.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Close {
    pub done: oneshot::Sender<()>,
}

/// To the Agents hub: send these, in order. An agent that is away misses them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Orders(pub Vec<(NodeId, ToAgent)>);

/// To the Agents hub: an agent has been welcomed. Answered with the number of its session; an older session of the
/// same node is closed.
#[derive(Message)]
#[rtype(result = "u64")]
pub struct SessionOpened {
    pub node: NodeId,
    pub boot: BootId,
    pub outbound: mpsc::Sender<ToAgent>,
}

/// To the Agents hub: a connection ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SessionClosed {
    pub node: NodeId,
    pub boot: BootId,
    pub session: u64,
}

/// To the Roster.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Beat {
    pub node: NodeId,
    pub boot: BootId,
    pub kind: BeatKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeatKind {
    Connected,
    Beat,
    Closed,
}

/// To the Checker: look at these again, on this snapshot.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Changed {
    pub published: Arc<Published>,
    pub dirty: Dirty,
}

/// To the Scheduler: what the Checker says of these tablets.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Verdicts {
    pub published: Arc<Published>,
    pub verdicts: Vec<(TabletId, Verdict)>,
}

/// To the Scheduler: these tasks ended, by the wall clock.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TasksEnded(pub Vec<(Task, Outcome)>);

/// To the Scheduler: why is this tablet as it is, and what does it wait for?
#[derive(Message)]
#[rtype(result = "Option<api::Explanation>")]
pub struct ExplainTablet(pub TabletId);

/// To the Scheduler: the tasks of these states, so many of them from a place in their order on.
#[derive(Message)]
#[rtype(result = "Vec<api::TaskInfo>")]
pub struct ListTasks {
    pub which: TaskFilter,
    pub skip: usize,
    pub limit: usize,
}

/// Which tasks to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskFilter {
    /// Pending and running.
    #[default]
    Open,
    Pending,
    Running,
    /// Ended, newest first.
    History,
}

/// To the Scheduler: why a node counts as it does; `None`: there is no such node.
#[derive(Message)]
#[rtype(result = "Option<api::NodeExplanation>")]
pub struct ExplainNode(pub NodeId);

/// To the Roster: milliseconds since each node's last beat.
#[derive(Message)]
#[rtype(result = "BTreeMap<NodeId, u64>")]
pub struct Silences;

/// To the Balancer: what makes hosts even, best first, or why there is nothing.
#[derive(Message)]
#[rtype(result = "Selection")]
pub struct SelectMoves {
    pub published: Arc<Published>,
    pub scope: Scope,
    pub limit: usize,
}

/// To the Balancer: the same for somebody who only looks, and may see what is some seconds old; nobody waits for it
/// after `until`, and then there is no answer.
#[derive(Message)]
#[rtype(result = "Option<Selection>")]
pub struct ForeseeMoves {
    pub select: SelectMoves,
    pub until: Instant,
}

/// To the Scheduler: what balance is at.
#[derive(Message)]
#[rtype(result = "BalanceNow")]
pub struct ListBalance;

/// What balance is at.
#[derive(Clone, Debug)]
pub struct BalanceNow {
    pub idle: Option<Reason>,
    pub running: u64,
    pub waiting: u64,
    pub done: Done,
    /// What it may touch now.
    pub scope: Scope,
}

/// To the Scheduler: what is pending, summed up.
#[derive(Message)]
#[rtype(result = "Pending")]
pub struct SumPending;

/// What waits in the queue.
#[derive(Clone, Debug)]
pub struct Pending {
    pub tasks: u64,
    pub by_priority: BTreeMap<Priority, u64>,
    /// Why balance does nothing, if it does nothing.
    pub idle: Option<&'static str>,
    /// The tablet that has been ill for longest.
    pub oldest: Option<Sick>,
}
