//! Two leaders: a new leadership begins while the old one's process still runs and does not know it.
//!
//! ```text
//! old: records no more (its store is the other's now), sends what it may without a record, hears those that stay with it
//! new: begins on what was stored;  agents come over one by one, and from then on refuse what the old one says
//! ```
//!
//! The old one lives in [`Sim::rival`]; while it acts it changes places with the other. It has no clients, and nothing it
//! decides is stored: whatever it orders stands on records from before.

use crate::coordinator::{Coordinator, Life, UpBody};
use crate::faults::Undo;
use crate::net::Place;
use crate::options::{MINUTE, SECOND};
use crate::sim::{Next, Sim};

/// Of a thousand introductions so many go to the old one's address.
const LOST_WAY: u64 = 250;

impl Sim {
    /// The old leadership goes on beside a new one.
    pub fn begin_rival(&mut self) -> bool {
        if self.coordinator.life.is_none() || self.rival.is_some() || self.on_old_store {
            return false;
        }
        let Some(life) = self.coordinator.life.take() else { return false };
        let (lives, conns) = (self.coordinator.lives, life.conns.clone());
        self.rival = Some(Coordinator { life: Some(life), lives, ..Coordinator::new() });
        self.as_rival(Sim::lose_store);
        self.queue.put(self.now + self.fate.below(5 * SECOND), Next::CoordinatorStart);
        for (agent, conn) in conns.into_values() {
            let Some(boot) = self.agents[agent].life.as_ref().map(|life| life.boot) else { continue };
            if self.fate.coin() {
                self.send(Place::Coordinator, Place::Agent(agent), || Next::LinkBroken { agent, boot, conn });
            }
        }
        let after = MINUTE + self.fate.below(15 * MINUTE);
        self.undo_later(after, Undo::Rival);
        true
    }

    /// What was on its way to the store may have reached it; nothing else ever does.
    fn lose_store(&mut self) {
        let Some(life) = &mut self.coordinator.life else { return };
        let reached = self.work.below(life.storing() as u64 + 1) as usize;
        let stored = life.take_batches(reached);
        for batch in stored {
            if let Some(new) = &mut self.rival {
                new.log.extend(batch.durable.iter().cloned());
            }
            batch.durable.iter().for_each(|change| self.learn_committed(change));
            self.carry_effects(batch.effects);
        }
    }

    /// It sees at last that it leads nobody.
    pub fn end_rival(&mut self) {
        let Some(life) = self.rival.take().and_then(|rival| rival.life) else { return };
        for (agent, conn) in life.conns.into_values() {
            let Some(boot) = self.agents[agent].life.as_ref().map(|life| life.boot) else { continue };
            self.send(Place::Coordinator, Place::Agent(agent), || Next::LinkBroken { agent, boot, conn });
        }
    }

    /// `act` by the old leadership.
    pub fn as_rival(&mut self, act: impl FnOnce(&mut Sim)) {
        let Some(rival) = self.rival.take() else { return };
        let new = std::mem::replace(&mut self.coordinator, rival);
        self.rival = Some(new);
        self.is_rival = true;
        act(self);
        self.is_rival = false;
        if let Some(new) = self.rival.take() {
            self.rival = Some(std::mem::replace(&mut self.coordinator, new));
        }
    }

    /// `act` by the leadership of this number, if it still runs.
    pub fn as_life(&mut self, number: u64, act: impl FnOnce(&mut Sim)) {
        let is = |life: &Life| life.number == number;
        if self.rival.as_ref().and_then(|rival| rival.life.as_ref()).is_some_and(is) {
            self.as_rival(act);
        } else {
            act(self);
        }
    }

    /// `act` by whoever a message on this connection reaches.
    pub fn as_hearer(&mut self, agent: usize, conn: u64, body: &UpBody, act: impl FnOnce(&mut Sim)) {
        let Some(life) = self.rival.as_ref().and_then(|rival| rival.life.as_ref()) else { return act(self) };
        let is_its = match body {
            UpBody::Hello(_) => self.fate.permille(LOST_WAY),
            UpBody::Beat { .. } | UpBody::Report { .. } => life.conns.values().any(|there| *there == (agent, conn)),
        };
        if is_its { self.as_rival(act) } else { act(self) }
    }

    /// The leadership that counts.
    pub fn leader(&self) -> Option<&Life> {
        let rival = || self.rival.as_ref().and_then(|new| new.life.as_ref());
        if self.is_rival { rival() } else { self.coordinator.life.as_ref() }
    }
}
