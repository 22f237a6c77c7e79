//! Everything the catalog may do about an event. The shell carries actions out in their order: records are applied
//! and committed first, and only after the commit are orders sent, answers given and the snapshot published.

use crate::{Change, Reason};
use stele_common::handshake;
use stele_common::{NodeId, OrderBody, TableId, TaskId, api};

#[derive(Clone, Debug)]
pub enum Action {
    Record(Change),
    /// An order to an agent, under our epoch. Lost if it is away: reports make it be sent again.
    Send {
        node: NodeId,
        order: OrderBody,
    },
    /// Ask an agent for a full report.
    AskFullReport {
        node: NodeId,
    },
    /// To whoever sent the event.
    Answer(Answer),
    /// Why something was done or not done: counted, kept for `explain`.
    Explain(Reason),
}

#[derive(Clone, Debug)]
pub enum Answer {
    Handshake(handshake::Answer),
    Table(TableId),
    Load(api::LoadOpened),
    Verification(u64),
    /// What a drain moves, and whether it has begun.
    Evacuation(api::Evacuation),
    /// Whose drains were taken back.
    Undrained(api::Undrained),
    /// What the removal of a node costs, and whether it is gone.
    Removal(api::Removal),
    /// A plan was kept.
    Plan(u64),
    /// A lease was granted.
    Lease(u64),
    /// A proposal was accepted.
    Started(TaskId),
    Done,
    Refused(Reason),
}
