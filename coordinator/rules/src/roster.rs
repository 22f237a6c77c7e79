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
//!
//! [`Flaps`] keeps what a node's coming and going has cost: each return restarts the wait for it, up to a budget.

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

/// A return restarts the wait for a node, but restarts add at most this much in any [`FLAP_WINDOW_MS`]. Less, and three
/// reboots in a row move data; more, and a node that comes and goes keeps its tablets thin for an hour.
const FLAP_BUDGET_MS: u64 = 30 * 60_000;
const FLAP_WINDOW_MS: u64 = 60 * 60_000;
/// A node that has stayed for so long has come back: its next absence is a new one and costs nothing. Twice the longest
/// usual wait, so that a reboot after a reboot counts as one trouble.
const STEADY_MS: u64 = 10 * 60_000;

/// How a node has come and gone: kept with the node, of this leadership only (a new one starts all clocks anew).
///
/// ```text
/// gone ─ wait ─▶ back ── stays STEADY ──▶ (forgotten)
///  ▲              │
///  └── restart ───┘ moves the beginning of the wait on, while the budget of the last hour lasts; the rest is the lag
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flaps {
    /// From when its absence is waited for.
    from: Option<Tick>,
    /// When it last came back.
    back: Option<Tick>,
    /// What restarts have added in the last hour, and when.
    added: Vec<(Tick, u64)>,
    /// How much earlier than the present absence the wait began.
    lag_ms: u64,
}

impl Flaps {
    /// It went out of sight.
    pub fn gone(&mut self, at: Tick) {
        let restarts = self.back.is_some_and(|back| at.since(back) < STEADY_MS);
        let Some(from) = self.from.filter(|_| restarts) else {
            (self.from, self.back, self.lag_ms) = (Some(at), None, 0);
            return;
        };
        self.added.retain(|(when, _)| at.since(*when) < FLAP_WINDOW_MS);
        let spent: u64 = self.added.iter().map(|(_, ms)| ms).sum();
        let granted = at.since(from).min(FLAP_BUDGET_MS.saturating_sub(spent));
        if granted > 0 {
            self.added.push((at, granted));
        }
        let from = from.plus(granted);
        (self.from, self.back, self.lag_ms) = (Some(from), None, at.since(from));
    }

    /// It is there again.
    pub fn back(&mut self, at: Tick) {
        self.back = Some(at);
    }

    /// How much earlier than its absence the wait for it began: more than nothing once the budget is spent.
    pub fn lag_ms(&self) -> u64 {
        self.lag_ms
    }

    /// It has come and gone so often that it is not relied on, though it may be there just now.
    pub fn is_spent(&self, at: Tick) -> bool {
        self.lag_ms > 0 && self.back.is_none_or(|back| at.since(back) < STEADY_MS)
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

    /// Absences as (gone, back) in seconds; the lag, in seconds, at the last going, and whether it is relied on then.
    fn lag(walk: &[(u64, u64)]) -> (u64, bool) {
        let mut flaps = Flaps::default();
        let mut last = 0;
        for (gone, back) in walk {
            flaps.gone(Tick(gone * 1_000));
            last = flaps.lag_ms() / 1_000;
            flaps.back(Tick(back * 1_000));
        }
        (last, flaps.is_spent(Tick(walk.last().map_or(0, |(_, back)| back * 1_000 + 1))))
    }

    /// Down 20 s in every minute.
    fn flapping(minutes: u64) -> Vec<(u64, u64)> {
        (0..minutes).map(|minute| (minute * 60, minute * 60 + 20)).collect()
    }

    /// What restarts cost, and when the budget is spent.
    #[test]
    fn restarts_have_a_budget() {
        type Row = (&'static str, Vec<(u64, u64)>, u64);
        let cases: [Row; 7] = [
            ("one absence", vec![(0, 200)], 0),
            ("ten minutes of flapping", flapping(10), 0),
            ("half an hour spends it", flapping(31), 0),
            ("then the wait stands still", flapping(37), 6 * 60),
            ("for two hours", flapping(120), 59 * 60),
            ("a reboot a day", vec![(0, 200), (86_400, 86_600), (172_800, 173_000)], 0),
            ("steady in between: forgotten", [flapping(40), vec![(40 * 60 + 700, 40 * 60 + 720)]].concat(), 0),
        ];
        for (name, walk, expected) in cases {
            let (lag, spent) = lag(&walk);
            assert_eq!((lag, spent), (expected, expected > 0), "{name}");
        }
    }

    /// In any hour restarts add at most the budget, however long it goes on.
    #[test]
    fn no_hour_adds_more_than_the_budget() {
        for (down, up) in [(20, 40), (5, 5), (100, 500), (299, 599), (1, 1)] {
            let mut flaps = Flaps::default();
            let mut grants: Vec<(u64, u64)> = Vec::new();
            let mut at = 0;
            while at < 6 * 3_600_000 {
                let before = flaps.from;
                flaps.gone(Tick(at));
                let moved = before.map_or(0, |before| flaps.from.map_or(0, |from| from.since(before)));
                grants.push((at, moved));
                flaps.back(Tick(at + down * 1_000));
                at += (down + up) * 1_000;
            }
            for (end, _) in &grants {
                let hour = grants.iter().filter(|(when, _)| when <= end && end - when < FLAP_WINDOW_MS);
                let sum: u64 = hour.map(|(_, ms)| ms).sum();
                assert!(sum <= FLAP_BUDGET_MS, "down {down}, up {up}: {sum} ms in the hour before {end}");
            }
            assert!(flaps.is_spent(Tick(at)), "down {down}, up {up}");
        }
    }
}
