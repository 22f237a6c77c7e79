//! What operators set for a while: knobs, levels, pauses. All by the front door, drawn from a source of chance of their
//! own, so that whoever has none of it keeps its run.
//!
//! Each is taken back after a time, by another word or, a pause, by its own end; one may meet the other. Before the
//! calm is judged all is as it was: a careful person does not leave a cluster paused.

use crate::coordinator::Asker;
use crate::faults::Undo;
use crate::options::{HOUR, MINUTE, SECOND};
use crate::sim::Sim;
use std::collections::BTreeSet;
use stele_common::api::{KnobAsk, LeaseAsk, LeaseOn, LevelAsk, PauseWhat};
use stele_common::config::knobs::Value;
use stele_common::status::Level;
use stele_coordinator_rules::EventBody;
use stele_coordinator_rules::world::LeaseScope;

/// Knobs that people turn while the cluster runs, and to what.
const KNOBS: [(&str, &[&str]); 17] = [
    ("balance_threshold", &["0.002", "0.02", "0.2"]),
    ("balance_slot_num_per_path", &["1", "2", "8"]),
    ("max_balancing_tablets", &["1", "3", "1000"]),
    ("disable_balance", &["true"]),
    ("balancer_in_turn", &["true"]),
    ("only_primary_balancer", &["true"]),
    ("only_move_primary", &["true"]),
    ("disable_colocate_balance", &["true"]),
    ("colocate_balance_wait_ms", &["0", "1h"]),
    ("schedule_slot_num_per_path", &["1", "2", "8"]),
    ("queue_max", &["1", "5", "1000"]),
    ("history_max", &["0", "10"]),
    ("assign_delay_ms", &["0", "5s", "20m"]),
    ("assign_delay_below_majority_ms", &["0", "10m"]),
    ("install_grace_ms", &["0", "1m"]),
    ("add_secondary_enable_flow_control", &["true"]),
    ("lost_ms", &["30s", "5m"]),
];

const LEVELS: [Level; 4] = [Level::Lively, Level::Steady, Level::Freezed, Level::Blind];

impl Sim {
    /// Somebody turns a knob, and later turns it back.
    pub fn turn_knob(&mut self) -> bool {
        let Some((name, values)) = self.whim.pick(&KNOBS) else { return false };
        let Some(value) = self.whim.pick(values) else { return false };
        self.set_knob(name, value);
        let after = 5 * MINUTE + self.whim.below(4 * HOUR);
        self.undo_later(after, Undo::Knob { name });
        true
    }

    /// As the file has it.
    pub fn knob_back(&mut self, name: &str) {
        self.set_knob(name, "default");
    }

    fn set_knob(&mut self, name: &str, value: &str) {
        let ask = KnobAsk { value: Value::Text(value.to_string()), by: operator(), reason: String::new() };
        self.coordinate(EventBody::SetKnob { name: name.to_string(), ask }, Asker::Nobody);
    }

    /// Less, or more, is allowed for a while.
    pub fn change_level(&mut self) -> bool {
        let Some(level) = self.whim.pick(&LEVELS) else { return false };
        self.set_level(level);
        let after = MINUTE + self.whim.below(if level == Level::Steady { 4 * HOUR } else { 20 * MINUTE });
        self.undo_later(after, Undo::Level);
        true
    }

    pub fn set_level(&mut self, level: Level) {
        let ask = LevelAsk { level, by: operator(), reason: String::new() };
        self.coordinate(EventBody::SetLevel(ask), Asker::Nobody);
    }

    /// Balance or repair rests for a while: everywhere, or at one node, disk or table.
    pub fn pause(&mut self, agent: usize, disk: usize) -> bool {
        let what = self.whim.pick(&[PauseWhat::Balance, PauseWhat::Repair]).unwrap_or(PauseWhat::Balance);
        let (mut on_node, mut on_disk, mut table) = (None, None, None);
        match self.whim.below(4) {
            0 => on_node = self.node_of(agent),
            1 => on_disk = self.agents[agent].disks[disk].identity,
            2 => table = Some(format!("d.t{}", self.whim.below(self.mix.tables.len() as u64))),
            _ => {}
        }
        let for_ms = MINUTE + self.whim.below(3 * HOUR);
        let on = LeaseOn::Pause { what, node: on_node, disk: on_disk, table };
        let ask = LeaseAsk { on, for_ms, owner: operator(), reason: String::new() };
        self.coordinate(EventBody::GrantLease(ask), Asker::Nobody);
        true
    }

    /// With faults over, everything is as the file has it, and nothing is paused.
    pub fn settle_whims(&mut self) {
        let Some(life) = &self.coordinator.life else {
            // There is no one to ask: again when there is.
            return self.undo_later(10 * SECOND, Undo::Whims);
        };
        let set: BTreeSet<String> = life.world.settings.live.keys().map(ToString::to_string).collect();
        let leases = life.world.leases.values().filter(|lease| matches!(lease.scope, LeaseScope::Pause { .. }));
        let pauses: Vec<u64> = leases.map(|lease| lease.id).collect();
        let is_lively = life.world.settings.level.level == Level::Lively;
        set.iter().for_each(|name| self.knob_back(name));
        if !is_lively {
            self.set_level(Level::Lively);
        }
        pauses.into_iter().for_each(|id| self.coordinate(EventBody::EndLease { id }, Asker::Nobody));
    }
}

fn operator() -> String {
    "operator".to_string()
}
