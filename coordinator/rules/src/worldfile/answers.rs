//! What the rules say to a world file: `stele sim check`, `score` and `schedule`.
//!
//! In: a [`Reading`]. Out: the shapes of the answers, in the file's ids and order. No rule lives here: verdicts are
//! [`crate::checkup`]'s, scores [`crate::balance`]'s, a round is the scheduler's own, and each of its proposals is
//! decided by the Catalog as if it had come from there.

use super::format::Id;
use super::read::Reading;
use crate::action::Action;
use crate::balance::score::{Class, scores};
use crate::checkup::verdict::{flaw_text, rung, verdict_on};
use crate::checkup::{Verdict, count};
use crate::schedule::{Desk, one_round};
use crate::world::{Tablet, Task, Work};
use crate::{Answer, Change, Event, EventBody, Reason, catalog};
use serde::{Serialize, Serializer};
use stele_common::{DiskId, Medium, NodeId, Priority, ReplicaId, TabletId, TabletStatus, TaskType};

/// `{"tablets": [...]}`, judged while it is written: a large world's answer need not stand in memory.
pub struct Check<'a>(pub &'a Reading);

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckedTablet {
    pub id: Id,
    pub status: TabletStatus,
    pub priority: Option<Priority>,
    pub ready_in_ms: u64,
    pub reason: String,
}

impl<'a> Check<'a> {
    pub fn tablets(&self) -> impl Iterator<Item = CheckedTablet> + use<'a> {
        let reading = self.0;
        let tablets = reading.order.iter().filter_map(|id| reading.world.tablets.get(*id));
        tablets.map(|tablet| checked(reading, tablet))
    }
}

impl Serialize for Check<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Answer<T> {
            tablets: T,
        }
        Answer { tablets: Many(|| self.tablets()) }.serialize(serializer)
    }
}

/// A list that is made while it is written.
pub(super) struct Many<F>(pub F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Many<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

fn checked(reading: &Reading, tablet: &Tablet) -> CheckedTablet {
    let counts = count(&reading.world, tablet);
    let verdict = verdict_on(&reading.world, tablet, &counts, reading.at);
    let mut reason = rung(verdict);
    for (replica, judged) in tablet.replicas.iter().zip(&counts.judged) {
        if let Some(flaw) = judged.why {
            reason += &format!("; replica {} on node {}: {}", replica.id, replica.node, flaw_text(flaw, replica));
        }
    }
    let Verdict { status, priority, ready_in_ms, .. } = verdict;
    let reason = reading.names.say(reason);
    CheckedTablet { id: outside(reading, tablet.id.0), status, priority, ready_in_ms, reason }
}

fn outside(reading: &Reading, number: u64) -> Id {
    Id(reading.names.outside(number))
}

/// `{"nodes": [...]}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    pub nodes: Vec<NodeScore>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeScore {
    pub id: Id,
    pub medium: Medium,
    /// 0 to 1, as in the seed.
    pub used_percent: f64,
    pub replica_num: u64,
    pub capacity_coefficient: f64,
    pub replica_num_coefficient: f64,
    pub score: f64,
    pub class: Class,
}

/// Nodes in the file's order, HDD before SSD.
pub fn score(reading: &Reading) -> Scored {
    let all = scores(&reading.world);
    let of = |node: &NodeId| {
        let first = all.partition_point(|score| score.node < *node);
        let node = *node;
        all[first..].iter().take_while(move |score| score.node == node)
    };
    let nodes = reading.nodes.iter().flat_map(of).map(|score| NodeScore {
        id: outside(reading, score.node.0),
        medium: score.medium,
        used_percent: score.used_percent,
        replica_num: score.replica_num,
        capacity_coefficient: score.capacity_coefficient,
        replica_num_coefficient: score.replica_num_coefficient,
        score: score.score,
        class: score.class,
    });
    Scored { nodes: nodes.collect() }
}

/// `{"tasks": [...], "refused": [...]}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scheduled {
    pub tasks: Vec<ScheduledTask>,
    pub refused: Vec<Refused>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScheduledTask {
    pub tablet: Id,
    pub kind: Kind,
    #[serde(rename = "type")]
    pub task_type: TaskType,
    pub status: TabletStatus,
    pub priority: Priority,
    pub src_node: Option<Id>,
    pub src_path: Option<Id>,
    pub dest_node: Option<Id>,
    pub dest_path: Option<Id>,
    /// The one that is made, brought up, or deleted.
    pub replica: Id,
    pub timeout_s: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    Clone,
    Delete,
    /// A copy from disk to disk of one node.
    Migrate,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    pub tablet: Id,
    pub reason: &'static str,
    pub detail: String,
}

/// One round at the file's time: what the scheduler proposes, and what the Catalog makes of it.
pub fn schedule(reading: &Reading) -> Scheduled {
    let mut world = reading.world.clone();
    let round = one_round(&mut Desk::new(), &reading.world, reading.at, &reading.order);
    let mut scheduled = Scheduled::default();
    // By the tablet's place in the file, whoever refused it.
    let mut refused: Vec<(TabletId, Reason)> = round.refused;
    let desk_refused = refused.len();
    for proposal in round.proposals {
        let tablet = proposal.tablet();
        let wall_ms = u64::try_from(reading.now_ms).unwrap_or(0);
        let event = Event { at: reading.at, wall_ms, body: EventBody::Propose(proposal) };
        for action in catalog::step(&mut world, &event) {
            match action {
                Action::Record(Change::TaskStarted { task }) => scheduled.tasks.push(task_of(reading, &task)),
                Action::Answer(Answer::Refused(reason)) => refused.push((tablet, reason)),
                Action::Record(_) | Action::Send { .. } | Action::AskFullReport { .. } => {}
                Action::Answer(_) | Action::Explain(_) => {}
            }
        }
    }
    if refused.len() > desk_refused {
        let places: std::collections::BTreeMap<TabletId, usize> = reading.order.iter().copied().zip(0..).collect();
        refused.sort_by_key(|(tablet, _)| places.get(tablet).copied());
    }
    scheduled.refused.extend(refused.into_iter().map(|(tablet, reason)| Refused {
        tablet: outside(reading, tablet.0),
        reason: reason.code(),
        detail: reading.names.say(reason.detail()),
    }));
    scheduled
}

fn task_of(reading: &Reading, task: &Task) -> ScheduledTask {
    let node = |id: &NodeId| Some(outside(reading, id.0));
    let path = |id: &DiskId| Some(outside(reading, id.0));
    let id = |id: &ReplicaId| outside(reading, id.0);
    let whole = ScheduledTask {
        tablet: outside(reading, task.tablet.0),
        kind: Kind::Clone,
        task_type: task.task_type,
        status: task.status,
        priority: task.priority,
        src_node: None,
        src_path: None,
        dest_node: None,
        dest_path: None,
        replica: Id(0),
        timeout_s: task.timeout_ms / 1_000,
    };
    match &task.work {
        Work::Delete { replica, .. } => ScheduledTask { kind: Kind::Delete, replica: id(replica), ..whole },
        Work::Clone { replica, node: to, disk, source_node, source_disk, .. } => ScheduledTask {
            kind: if source_node == to { Kind::Migrate } else { Kind::Clone },
            src_node: node(source_node),
            src_path: path(source_disk),
            dest_node: node(to),
            dest_path: path(disk),
            replica: id(replica),
            ..whole
        },
    }
}
