//! The connections of one agent take turns, and only the newest welcome one is listened to.
//!
//! A report that was sent on an older connection must not be decided after the hello of a newer one: what it says was
//! true before the agent began to tell everything anew. So a hello with its welcome, and each report, hold the
//! agent's lane while the Catalog decides them; whoever finds a newer connection there gives up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::{Mutex, MutexGuard};

/// An agent's host and name.
pub type Who = (String, String);

/// One lane an agent; gone with its last connection.
#[derive(Clone, Default)]
pub struct Lanes(Rc<RefCell<BTreeMap<Who, Rc<Lane>>>>);

#[derive(Default)]
struct Lane {
    /// Number of the newest connection that was welcomed.
    newest: Mutex<u64>,
}

/// One connection's place in its agent's lane.
pub struct Place {
    lanes: Lanes,
    who: Who,
    lane: Rc<Lane>,
    /// Connections are numbered as they were accepted.
    number: u64,
}

impl Lanes {
    pub fn place(&self, who: Who, number: u64) -> Place {
        let lane = self.0.borrow_mut().entry(who.clone()).or_default().clone();
        Place { lanes: self.clone(), who, lane, number }
    }
}

impl Place {
    /// Waits for its turn; `None` when a newer connection has been welcomed.
    pub async fn turn(&self) -> Option<Turn<'_>> {
        let newest = self.lane.newest.lock().await;
        (*newest <= self.number).then_some(Turn { newest, number: self.number })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The map's and ours.
        if Rc::strong_count(&self.lane) == 2 {
            self.lanes.0.borrow_mut().remove(&self.who);
        }
    }
}

/// Nothing else of this agent is decided while it is held.
pub struct Turn<'a> {
    newest: MutexGuard<'a, u64>,
    number: u64,
}

impl Turn<'_> {
    /// From now on, older connections are not listened to.
    pub fn welcomed(&mut self) {
        *self.newest = self.number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a() -> Who {
        ("h".into(), "a".into())
    }

    /// A newer welcome ends the older connection's turns, a newer one that was refused does not; nothing is left behind.
    #[actix::test]
    async fn newest_welcome_counts() {
        let lanes = Lanes::default();
        let (old, refused, new) = (lanes.place(a(), 1), lanes.place(a(), 2), lanes.place(a(), 3));
        old.turn().await.unwrap().welcomed();
        drop(refused.turn().await.unwrap());
        assert!(old.turn().await.is_some());
        new.turn().await.unwrap().welcomed();
        assert!(old.turn().await.is_none());
        assert!(refused.turn().await.is_none(), "a hello that comes late on an older connection");
        assert!(lanes.place(("h".into(), "b".into()), 1).turn().await.is_some());
        drop((old, refused, new));
        assert!(lanes.0.borrow().is_empty());
    }

    /// While one turn is held, nobody else of that agent gets one.
    #[actix::test]
    async fn one_at_a_time() {
        let lanes = Lanes::default();
        let (old, new) = (lanes.place(a(), 1), lanes.place(a(), 2));
        let held = old.turn().await;
        assert!(futures_util::FutureExt::now_or_never(new.turn()).is_none());
        drop(held);
        assert!(futures_util::FutureExt::now_or_never(new.turn()).is_some());
    }
}
