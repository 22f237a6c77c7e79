//! When each node was last heard. In: beats and ends of sessions. Out: words on a node's liveness, to the Catalog.
//!
//! The rule is [`stele_coordinator_rules::roster`]; this file gives it the time. It decides nothing about replicas.

use super::words::{Beat, BeatKind, Silences, Told};
use crate::clock::Clock;
use crate::published::Snapshots;
use actix::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stele_common::NodeId;
use stele_coordinator_rules::EventBody;
use stele_coordinator_rules::roster::{Roster as Rule, RosterEvent};

/// Silence is looked for this often; a tenth of the shortest wait there is.
const TICK: Duration = Duration::from_millis(100);
/// Mailbox; senders wait beyond it.
const MAILBOX: usize = 256;

pub struct Roster {
    clock: Clock,
    /// The knobs in force are the newest snapshot's.
    snapshots: Snapshots,
    rule: Rule,
    /// Whom the rule has been told of.
    known: BTreeSet<NodeId>,
    catalog: Recipient<Told>,
}

impl Roster {
    /// `known`: the nodes that the catalog remembers; none is called silent before a full grace from now.
    pub fn new(clock: Clock, snapshots: Snapshots, known: &[NodeId], catalog: Recipient<Told>) -> Roster {
        let (rule, known) = (Rule::new(clock.tick(), known), known.iter().copied().collect());
        Roster { clock, snapshots, rule, known, catalog }
    }

    fn step(&mut self, event: RosterEvent) {
        let knobs = self.snapshots.borrow().world.knobs.clone();
        for (node, liveness) in self.rule.step(self.clock.tick(), &knobs, event) {
            // Rare: only when a node's liveness turns.
            self.catalog.do_send(Told(EventBody::NodeTurned { node, liveness }));
        }
    }
}

impl Actor for Roster {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(TICK, |roster, _| roster.step(RosterEvent::Tick));
    }
}

impl Handler<Beat> for Roster {
    type Result = ();

    fn handle(&mut self, Beat { node, boot, kind }: Beat, _: &mut Context<Self>) {
        self.known.insert(node);
        self.step(match kind {
            BeatKind::Connected => RosterEvent::Connected { node, boot },
            BeatKind::Beat => RosterEvent::Beat { node, boot },
            BeatKind::Closed => RosterEvent::Closed { node, boot },
        });
    }
}

impl Handler<Silences> for Roster {
    type Result = MessageResult<Silences>;

    fn handle(&mut self, _: Silences, _: &mut Context<Self>) -> Self::Result {
        let at = self.clock.tick();
        let heard = self.known.iter().filter_map(|node| Some((*node, self.rule.silent_ms(*node, at)?)));
        MessageResult(heard.collect::<BTreeMap<_, _>>())
    }
}
