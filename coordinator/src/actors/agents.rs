//! The sessions to agents. In: orders from the Catalog, sessions that open and close. Out: orders to each session's
//! writer, in order; ends of sessions to the Roster.
//!
//! A node has one session; a newer one closes the older. An order for an agent that is away, or that has too many
//! waiting, is dropped and counted: orders may always be lost, and the Catalog gives them again.

use super::words::{Beat, BeatKind, Orders, SessionClosed, SessionOpened};
use actix::prelude::*;
use std::collections::BTreeMap;
use stele_common::{BootId, NodeId, ToAgent};
use tokio::sync::mpsc::{self, error::TrySendError};

/// Mailbox; senders wait beyond it.
const MAILBOX: usize = 256;

pub struct Agents {
    sessions: BTreeMap<NodeId, Session>,
    opened: u64,
    roster: Recipient<Beat>,
}

struct Session {
    number: u64,
    outbound: mpsc::Sender<ToAgent>,
}

impl Agents {
    pub fn new(roster: Recipient<Beat>) -> Agents {
        Agents { sessions: BTreeMap::new(), opened: 0, roster }
    }

    fn tell_roster(&self, node: NodeId, boot: BootId, kind: BeatKind) {
        // Rare: when a session opens or closes.
        self.roster.do_send(Beat { node, boot, kind });
    }

    fn send(&self, node: NodeId, order: ToAgent) {
        let Some(session) = self.sessions.get(&node) else { return lost("away") };
        match session.outbound.try_send(order) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => lost("away"),
            // It is not cut off for this: a large table is a large burst, and the link ends a session that takes
            // nothing at all.
            Err(TrySendError::Full(_)) => lost("slow"),
        }
    }
}

fn lost(cause: &'static str) {
    metrics::counter!("stele_orders_lost_total", "cause" => cause).increment(1);
}

impl Actor for Agents {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<SessionOpened> for Agents {
    type Result = MessageResult<SessionOpened>;

    fn handle(&mut self, SessionOpened { node, boot, outbound }: SessionOpened, _: &mut Context<Self>) -> Self::Result {
        self.opened += 1;
        // Dropping the older session's sender ends its writer, and that its connection.
        self.sessions.insert(node, Session { number: self.opened, outbound });
        metrics::gauge!("stele_sessions").set(self.sessions.len() as f64);
        self.tell_roster(node, boot, BeatKind::Connected);
        MessageResult(self.opened)
    }
}

impl Handler<SessionClosed> for Agents {
    type Result = ();

    fn handle(&mut self, SessionClosed { node, boot, session }: SessionClosed, _: &mut Context<Self>) {
        // The end of a session that was replaced says nothing about the node.
        if self.sessions.get(&node).is_some_and(|newest| newest.number == session) {
            self.sessions.remove(&node);
            self.tell_roster(node, boot, BeatKind::Closed);
        }
        metrics::gauge!("stele_sessions").set(self.sessions.len() as f64);
    }
}

impl Handler<Orders> for Agents {
    type Result = ();

    fn handle(&mut self, Orders(orders): Orders, _: &mut Context<Self>) {
        for (node, order) in orders {
            self.send(node, order);
        }
    }
}
