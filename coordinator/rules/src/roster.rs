//! When a node counts as there. Owns the times of beats; the Catalog only hears of turns.
//!
//! In: connections, beats, closings and ticks, each with its time. Out: the nodes whose liveness turned. It must never
//! mark a node by absence before one full grace of a leadership: at its beginning everybody is unheard, nobody silent.
//!
//! ```text
//! ALIVE ── connection closed, or `silent_ms` without a beat ──▶ SILENT ── `lost_ms` without a beat ──▶ LOST
//!   ▲                                                             │                                     │
//!   └──────────────────── a beat on a live session ───────────────┴─────────────────────────────────────┘
//! unheard in this leadership ── `lost_ms` after its beginning ──▶ LOST
//! ```

use std::collections::BTreeMap;
use stele_common::config::RepairKnobs;
use stele_common::{BootId, Liveness, NodeId, Tick};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RosterEvent {
    /// A handshake was accepted.
    Connected {
        node: NodeId,
        boot: BootId,
    },
    /// It came on that node's live connection.
    Beat {
        node: NodeId,
        boot: BootId,
    },
    /// The connection ended.
    Closed {
        node: NodeId,
        boot: BootId,
    },
    Tick,
}

/// All nodes' beats.
#[derive(Clone, Debug)]
pub struct Roster {
    began: Tick,
    nodes: BTreeMap<NodeId, Pulse>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pulse {
    /// The life that counts; beats of others are late.
    boot: Option<BootId>,
    /// Its connection is up.
    session: bool,
    /// The last beat, or the connection.
    heard: Option<Tick>,
    /// The last turn told; `None` = nothing told in this leadership.
    told: Option<Liveness>,
}

impl Roster {
    /// Nobody has been heard yet.
    pub fn new(began: Tick, known: &[NodeId]) -> Roster {
        Roster { began, nodes: known.iter().map(|node| (*node, Pulse::default())).collect() }
    }

    /// Takes an event; answers with the nodes that turned, in the order of their ids.
    pub fn step(&mut self, at: Tick, knobs: &RepairKnobs, event: RosterEvent) -> Vec<(NodeId, Liveness)> {
        match event {
            RosterEvent::Connected { node, boot } => {
                let pulse = self.nodes.entry(node).or_default();
                (pulse.boot, pulse.session, pulse.heard) = (Some(boot), true, Some(at));
                self.judge(at, knobs, node)
            }
            RosterEvent::Beat { node, boot } => {
                let Some(pulse) = self.nodes.get_mut(&node).filter(|pulse| pulse.boot == Some(boot)) else {
                    return Vec::new();
                };
                // The hub passes beats of live connections only: a beat after a closing means that the closing was
                // an older connection's.
                (pulse.session, pulse.heard) = (true, Some(at));
                self.judge(at, knobs, node)
            }
            RosterEvent::Closed { node, boot } => {
                let Some(pulse) = self.nodes.get_mut(&node).filter(|pulse| pulse.boot == Some(boot)) else {
                    return Vec::new();
                };
                pulse.session = false;
                self.judge(at, knobs, node)
            }
            RosterEvent::Tick => {
                let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
                nodes.into_iter().flat_map(|node| self.judge(at, knobs, node)).collect()
            }
        }
    }

    fn judge(&mut self, at: Tick, knobs: &RepairKnobs, node: NodeId) -> Vec<(NodeId, Liveness)> {
        let began = self.began;
        let Some(pulse) = self.nodes.get_mut(&node) else { return Vec::new() };
        let Some(now) = pulse.liveness(began, at, knobs) else { return Vec::new() };
        if pulse.told == Some(now) {
            return Vec::new();
        }
        pulse.told = Some(now);
        vec![(node, now)]
    }

    /// Milliseconds since its last beat; `None` when unheard in this leadership.
    pub fn silent_ms(&self, node: NodeId, at: Tick) -> Option<u64> {
        Some(at.since(self.nodes.get(&node)?.heard?))
    }

    /// Its connection is up and it has not been found silent on it.
    pub fn has_live_session(&self, node: NodeId, _at: Tick) -> bool {
        self.nodes.get(&node).is_some_and(|pulse| pulse.session && pulse.told == Some(Liveness::Alive))
    }
}

impl Pulse {
    /// `None`: unheard, and too early to say anything.
    fn liveness(&self, began: Tick, at: Tick, knobs: &RepairKnobs) -> Option<Liveness> {
        let in_grace = at.since(began) < knobs.lost_ms;
        let Some(heard) = self.heard else { return (!in_grace).then_some(Liveness::Lost) };
        let silence = at.since(heard);
        let now = if silence >= knobs.lost_ms {
            Liveness::Lost
        } else if !self.session || silence >= knobs.silent_ms {
            Liveness::Silent
        } else {
            Liveness::Alive
        };
        match now {
            Liveness::Alive => Some(Liveness::Alive),
            // What was told before stays true until the grace is over; only a connection that this leadership had and
            // lost is news already, or an agent that starts again at once would be taken for its own double.
            Liveness::Silent | Liveness::Lost if in_grace => {
                if self.session {
                    self.told
                } else {
                    Some(Liveness::Silent)
                }
            }
            Liveness::Silent | Liveness::Lost => Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);
    const A: BootId = BootId(7);
    const B: BootId = BootId(8);

    /// Walks through (time, event, what is told) rows; knobs are the defaults: 3 s, 10 s.
    fn walk(rows: &[(u64, RosterEvent, &[Liveness])]) -> Roster {
        let mut roster = Roster::new(Tick(0), &[NODE]);
        for (at, event, told) in rows {
            let turns = roster.step(Tick(*at), &RepairKnobs::default(), *event);
            let turns: Vec<Liveness> = turns.into_iter().map(|(_, liveness)| liveness).collect();
            assert_eq!(turns, *told, "at {at} ms after {event:?}");
        }
        roster
    }

    fn connected(boot: BootId) -> RosterEvent {
        RosterEvent::Connected { node: NODE, boot }
    }
    fn beat(boot: BootId) -> RosterEvent {
        RosterEvent::Beat { node: NODE, boot }
    }
    fn closed(boot: BootId) -> RosterEvent {
        RosterEvent::Closed { node: NODE, boot }
    }
    use Liveness::{Alive, Lost, Silent};
    use RosterEvent::Tick as T;

    /// Silence makes SILENT, then LOST, each told once; a beat brings it back.
    #[test]
    fn silence_then_loss_then_return() {
        walk(&[
            (100_000, connected(A), &[Alive]),
            (102_999, T, &[]),
            (103_000, T, &[Silent]),
            (103_100, T, &[]),
            (110_000, T, &[Lost]),
            (110_500, beat(A), &[Alive]),
            (110_600, T, &[]),
        ]);
    }

    /// A closed connection is silence at once; loss still counts from the last beat.
    #[test]
    fn closed_connection() {
        walk(&[
            (100_000, connected(A), &[Alive]),
            (101_000, beat(A), &[]),
            (101_200, closed(A), &[Silent]),
            (110_999, T, &[]),
            (111_000, T, &[Lost]),
        ]);
    }

    /// Before one grace of a leadership nobody is marked for being unheard, and nobody is lost; a connection that was
    /// there and closed is silence at once.
    #[test]
    fn grace_of_a_new_leadership() {
        walk(&[(0, T, &[]), (9_999, T, &[]), (10_000, T, &[Lost]), (10_001, T, &[]), (12_000, connected(A), &[Alive])]);
        walk(&[(500, connected(A), &[Alive]), (600, closed(A), &[Silent]), (9_999, T, &[]), (10_600, T, &[Lost])]);
    }

    /// Beats and closings of an earlier life change nothing; a beat after an older connection's closing heals it.
    #[test]
    fn late_words_of_an_earlier_life() {
        let roster = walk(&[
            (100_000, connected(A), &[Alive]),
            (101_000, connected(B), &[]),
            (101_100, closed(A), &[]),
            (103_500, beat(A), &[]),
            (104_000, T, &[Silent]),
            (104_100, beat(B), &[Alive]),
            (104_200, closed(B), &[Silent]),
            (104_300, beat(B), &[Alive]),
        ]);
        assert_eq!(roster.silent_ms(NODE, Tick(104_800)), Some(500));
        assert!(roster.has_live_session(NODE, Tick(104_800)));
        assert_eq!(roster.silent_ms(NodeId(2), Tick(0)), None);
    }
}
