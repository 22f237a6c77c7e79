//! The sessions to agents. In: orders from the Catalog, sessions that open and close. Out: orders to each session's
//! writer, in order; ends of sessions to the Roster.
//!
//! A node has one session; a newer one closes the older. An order for an agent that is away is dropped and counted:
//! its full report makes the Catalog give it again. An agent that does not take its orders is cut off.

use super::words::{Beat, BeatKind, Orders, SessionClosed, SessionOpened};
use actix::prelude::*;
use std::collections::BTreeMap;
use stele_common::{BootId, NodeId, ToAgent};
use tokio::sync::mpsc;

/// Mailbox; senders wait beyond it.
const MAILBOX: usize = 256;

pub struct Agents {
    sessions: BTreeMap<NodeId, Session>,
    opened: u64,
    roster: Recipient<Beat>,
}

struct Session {
    number: u64,
    boot: BootId,
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

    fn send(&mut self, node: NodeId, order: ToAgent) {
        let Some(session) = self.sessions.get(&node) else {
            metrics::counter!("stele_orders_lost_total", "cause" => "away").increment(1);
            return;
        };
        if session.outbound.try_send(order).is_err() {
            metrics::counter!("stele_orders_lost_total", "cause" => "slow").increment(1);
            // Later orders must not pass a lost one on the same session; a new session begins with a full report.
            tracing::warn!(node = %node, "agent cut off: it does not take its orders");
            let boot = session.boot;
            self.sessions.remove(&node);
            self.tell_roster(node, boot, BeatKind::Closed);
        }
    }
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
        self.sessions.insert(node, Session { number: self.opened, boot, outbound });
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
