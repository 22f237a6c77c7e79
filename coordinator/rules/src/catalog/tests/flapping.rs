//! A node that comes and goes, minute after minute: by the Roster's, the checker's, the scheduler's and the catalog's
//! own rules.

use super::*;
use crate::checkup::verdict::verdict;
use crate::roster::{Roster, RosterEvent};
use crate::schedule::{Desk, DeskAction, DeskEvent};
use crate::world::{Outcome, Task, Work};
use stele_common::{Liveness, Tick};

/// How long a copy takes: longer than the node is ever away.
const COPY_MS: u64 = 30_000;

struct House {
    play: Play,
    roster: Roster,
    desk: Desk,
    tablet: TabletId,
    flapping: NodeId,
    boot: u64,
    copies: usize,
    /// The task that the desk knows to be running.
    running: Option<Task>,
}

impl House {
    fn new(hosts: u64) -> House {
        let (play, tablet) = Play::loaded(hosts);
        let flapping = play.sample.tablet(tablet).replicas[0].node;
        let mut roster = Roster::new(Tick(0), &play.sample.nodes());
        for node in play.sample.nodes() {
            let boot = play.world().nodes[&node].boot.unwrap();
            roster.step(play.sample.at, &play.sample.world.knobs, RosterEvent::Connected { node, boot });
        }
        House { play, roster, desk: Desk::new(), tablet, flapping, boot: 0, copies: 0, running: None }
    }

    /// One second: beats, verdict, a round, and copies that are done.
    fn second(&mut self, is_up: bool) {
        self.play.sample.at = self.play.sample.at.plus(1_000);
        let (at, knobs) = (self.play.sample.at, self.play.sample.world.knobs.clone());
        let mut turns = Vec::new();
        for node in self.play.sample.nodes() {
            let boot = self.play.world().nodes[&node].boot.unwrap();
            if node != self.flapping || is_up {
                turns.extend(self.roster.step(at, &knobs, RosterEvent::Beat { node, boot }));
            }
        }
        turns.extend(self.roster.step(at, &knobs, RosterEvent::Tick));
        for (node, liveness) in turns {
            self.play.happens(EventBody::NodeTurned { node, liveness });
        }
        self.play.happens(EventBody::Tick);
        self.land();
        self.settle();
        let found = verdict(self.play.world(), self.play.sample.tablet(self.tablet), at);
        let mut actions = self.desk.step(self.play.world(), at, DeskEvent::Verdicts(vec![(self.tablet, found)]));
        actions.extend(self.desk.step(self.play.world(), at, DeskEvent::Round));
        for action in actions {
            if let DeskAction::Propose(proposal) = action {
                self.propose(proposal);
            }
        }
    }

    fn propose(&mut self, proposal: Proposal) {
        let (tablet, at) = (self.tablet, self.play.sample.at);
        self.copies += usize::from(matches!(proposal, Proposal::Clone { .. }));
        let actions = self.play.happens(EventBody::Propose(proposal));
        let answer = match answer(&actions) {
            Answer::Started(task) => Ok(*task),
            Answer::Refused(reason) => Err(reason.clone()),
            _ => return,
        };
        self.desk.step(self.play.world(), at, DeskEvent::Answered { tablet, answer });
        self.settle();
    }

    fn land(&mut self) {
        let Some(task) = self.play.world().tasks.get(&self.tablet).cloned() else { return };
        let (at, tablet) = (self.play.sample.at, self.tablet);
        match &task.work {
            Work::Clone { replica, version, .. } if at.since(task.started) >= COPY_MS => {
                self.play.sees(tablet, *replica, version.0);
            }
            Work::Delete { replica, nonce, .. } => {
                for other in self.play.sample.replicas(tablet) {
                    let node = self.play.sample.replica(tablet, other).node;
                    let is_there = self.play.world().nodes[&node].liveness == Liveness::Alive;
                    if other != *replica && is_there && self.play.world().tasks.contains_key(&tablet) {
                        self.play.confirms(tablet, other, *nonce);
                    }
                }
            }
            Work::Clone { .. } => {}
        }
    }

    /// Tells the desk of a task that is over.
    fn settle(&mut self) {
        let now = self.play.world().tasks.get(&self.tablet).cloned();
        if let Some(task) = self.running.take()
            && now.as_ref().is_none_or(|now| now.id != task.id)
        {
            let (at, outcome) = (self.play.sample.at, Outcome::Finished { evidence: None });
            self.desk.step(self.play.world(), at, DeskEvent::Ended { task, outcome });
        }
        self.running = now;
    }

    /// 20 s down, 40 s up.
    fn flap(&mut self, minutes: u64) {
        for second in 0..minutes * 60 {
            let is_up = second % 60 >= 20;
            if second % 60 == 20 {
                self.boot += 1;
                self.comes_back();
            }
            self.second(is_up);
        }
    }

    /// Its process was started again: a new life, all of whose replicas are whole.
    fn comes_back(&mut self) {
        let (node, boot) = (self.flapping, 50_000 + self.boot);
        self.play.returns(node, boot);
        let (at, knobs) = (self.play.sample.at, self.play.sample.world.knobs.clone());
        self.roster.step(at, &knobs, RosterEvent::Connected { node, boot: BootId(boot) });
        let here = self.play.sample.tablet(self.tablet).replicas.iter().find(|replica| replica.node == node);
        let facts = here.map(|replica| replica.id).map(|id| Fact::Replica(self.play.fact(self.tablet, id, 1)));
        self.play.full(node, facts.into_iter().collect());
    }

    fn steady(&self) -> usize {
        let replicas = &self.play.sample.tablet(self.tablet).replicas;
        replicas.iter().filter(|replica| replica.node != self.flapping && replica.bad.is_none()).count()
    }
}

/// Ten minutes of it, with two good copies left, move nothing.
#[test]
fn ten_minutes_move_nothing() {
    let mut house = House::new(5);
    house.flap(10);
    assert_eq!(house.copies, 0);
    assert_eq!(house.play.sample.replicas(house.tablet).len(), 3);
}

/// Two hours of it have the node replaced: three copies stand elsewhere, made by one copy, and nothing moves any more.
#[test]
fn two_hours_replace_it() {
    let mut house = House::new(5);
    house.flap(120);
    assert_eq!(house.steady(), 3, "{:?}", house.play.sample.tablet(house.tablet).replicas);
    let copies = house.copies;
    assert_eq!(copies, 1);
    house.flap(60);
    assert_eq!((house.copies, house.steady()), (copies, 3));
}
