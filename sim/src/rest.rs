//! What must hold *at rest*: faults are over, and after a while every tablet has exactly the wanted copies, all good,
//! nothing is left over, nothing waits and no byte moves any more (I10). Names the first thing that is not so.

use crate::options::MINUTE;
use crate::sim::Sim;
use crate::truth::find;
use stele_common::{DiskState, Liveness, ReplicaState, TabletId, TabletStatus, Tick};
use stele_coordinator_rules::balance::colocate::evened;
use stele_coordinator_rules::balance::moves::Scope;
use stele_coordinator_rules::balance::primaries::even_primaries;
use stele_coordinator_rules::schedule::slots::Ledger;
use stele_coordinator_rules::world::{LoadPhase, Stray, Tablet, World};
use stele_coordinator_rules::{Reason, checkup, explain};

/// No byte may have moved for so long.
const STILL_MS: u64 = 20 * MINUTE;

impl Sim {
    /// The last look.
    pub fn check_rest(&mut self) {
        self.check_everything();
        *self.stats.checks.entry("I10 rest").or_default() += 1;
        if let Some(problem) = self.rest_problem() {
            self.violate("I10 rest", || problem);
        }
    }

    /// The first thing that keeps the cluster from being at rest.
    pub fn rest_problem(&self) -> Option<String> {
        let life = self.coordinator.life.as_ref()?;
        let world = &life.world;
        let at = Tick(self.now - life.began);
        if world.level_cause.is_some() {
            return Some(format!("the level is {}: {:?}", world.level, world.level_cause));
        }
        self.hosts_problem(world)
            .or_else(|| world.tablets.iter().find_map(|tablet| self.tablet_problem(world, tablet, at)))
            .or_else(|| self.drain_problem(world))
            .or_else(|| world_problem(world))
            .or_else(|| if world.knobs.disable_balance { None } else { evenness_problem(world, at) })
            .or_else(|| self.disk_problem(world))
            .or_else(|| {
                let still = self.now - self.moved_at >= STILL_MS;
                (!still).then(|| "bytes still move".to_string())
            })
    }

    fn hosts_problem(&self, world: &World) -> Option<String> {
        self.agents.iter().filter(|agent| !agent.gone).find_map(|agent| {
            let node = world.nodes.values().find(|node| node.host == agent.host);
            match node {
                Some(node) if node.liveness == Liveness::Alive && node.reported => None,
                Some(node) => Some(format!("{} is {} (reported: {})", node.host, node.liveness, node.reported)),
                None => Some(format!("{} is unknown", agent.host)),
            }
        })
    }

    fn tablet_problem(&self, world: &World, tablet: &Tablet, at: Tick) -> Option<String> {
        let id = tablet.id;
        let verdict = checkup::verdict(world, tablet, at);
        if verdict.status != TabletStatus::Healthy {
            return Some(format!("tablet {id} is {}: {}", verdict.status, self.explained(world, id, at)));
        }
        if tablet.replicas.len() as u32 != tablet.wanted {
            return Some(format!("tablet {id} has {} replicas, wanted {}", tablet.replicas.len(), tablet.wanted));
        }
        if tablet.visible != tablet.committed {
            return Some(format!("tablet {id} shows {}, committed {}", tablet.visible, tablet.committed));
        }
        tablet.replicas.iter().find_map(|replica| {
            let found = find(&self.agents, replica.id);
            let good = found.is_some_and(|(_, _, dir)| dir.head == tablet.committed && dir.is_whole(dir.head));
            let normal = replica.state == ReplicaState::Normal && replica.bad.is_none();
            (!good || !normal).then(|| format!("replica {} of tablet {id} is not good: {replica:?}", replica.id))
        })
    }

    /// What an operator would be told.
    fn explained(&self, world: &World, id: TabletId, at: Tick) -> String {
        let desk = self.coordinator.life.as_ref().map(|life| &life.desk);
        let told = desk.and_then(|desk| explain::tablet(world, desk, id, at, self.wall_ms + self.now));
        let Some(told) = told else { return "unknown".to_string() };
        let (task, waits, candidates) = (told.task, told.waits_for, told.candidates);
        format!("{}; task {task:?}; waits for {waits:?}; {candidates:?}", told.because.join("; "))
    }

    fn disk_problem(&self, world: &World) -> Option<String> {
        let lives = self.agents.iter().filter_map(|agent| agent.life.as_ref().map(|life| (agent, life)));
        lives.flat_map(|(agent, life)| life.books.values().map(move |book| (agent, book))).find_map(|(agent, book)| {
            let listed = |replica| {
                let held = &book.replicas[replica];
                let tablet = world.tablets.get(held.label.tablet);
                tablet.is_some_and(|tablet| tablet.replicas.iter().any(|known| known.id == *replica))
            };
            let stray = book.replicas.keys().find(|replica| !listed(replica));
            let place = format!("{} disk {}", agent.host, book.disk);
            match stray {
                Some(stray) => Some(format!("{place} holds stray replica {stray}")),
                None if !book.staged.is_empty() => Some(format!("{place} holds staged loads {:?}", book.staged)),
                None if !book.copies.is_empty() => Some(format!("{place} receives copies {:?}", book.copies)),
                None if !book.busy.is_empty() => Some(format!("{place} is busy with {:?}", book.busy)),
                None if !book.leftovers.is_empty() => Some(format!("{place} has leftovers {:?}", book.leftovers)),
                None if book.state != DiskState::Online => Some(format!("{place} is {:?}", book.state)),
                None => None,
            }
        })
    }
}

fn evenness_problem(world: &World, at: Tick) -> Option<String> {
    groups_problem(world, at).or_else(|| primaries_problem(world, at))
}

/// A primary that would still change place.
fn primaries_problem(world: &World, at: Tick) -> Option<String> {
    let found = even_primaries(world, &Scope::all(at), &Ledger::of(world, std::iter::empty()));
    (!found.turns.is_empty()).then(|| format!("primaries are to change place: {:?}", found.turns))
}

/// A group that would still change, or that is uneven without a reason that is named.
fn groups_problem(world: &World, at: Tick) -> Option<String> {
    world.groups.values().find_map(|group| match evened(world, group, at) {
        Ok((_, swaps)) => Some(format!("group {} is to be evened: {swaps:?}", group.name)),
        Err(Reason::GroupEven { .. } | Reason::GroupUneven { .. } | Reason::GroupAlone { .. }) => None,
        Err(reason) => Some(format!("group {} is not even: {reason}", group.name)),
    })
}

fn world_problem(world: &World) -> Option<String> {
    if let Some(task) = world.tasks.values().next() {
        return Some(format!("task {task:?} still runs"));
    }
    // What lies on a host that is gone for ever cannot be let go.
    let is_reached = |stray: &Stray| world.nodes.get(&stray.node).is_some_and(|n| n.liveness == Liveness::Alive);
    if let Some(((tablet, replica), stray)) = world.strays.iter().find(|(_, stray)| is_reached(stray)) {
        return Some(format!("stray {replica} of tablet {tablet} is left: {stray:?}"));
    }
    let mut open = world.loads.values();
    let open = open.find(|load| match load.phase {
        LoadPhase::Open | LoadPhase::Committed => true,
        LoadPhase::Visible | LoadPhase::Aborted { .. } => false,
    });
    open.map(|load| format!("load {} is {:?}", load.key, load.phase))
}
