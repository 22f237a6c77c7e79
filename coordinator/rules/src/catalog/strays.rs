//! Replicas that the catalog does not know, and the trash: adopted, kept and shown, or let go on evidence.
//!
//! In: what reports show beyond the catalog. Out: an adoption where the tablet needs the copy; otherwise a round of
//! confirmations under a fresh nonce, and a drop (of a stray) or a purge (of trash) once n others have answered it.
//! It must never drop a stray of a tablet that was neither kept nor dropped by a user: that means our store is old.
//! A replica that was ordered to be dropped in this leadership is never adopted: the order may still be on its way.

use super::{Draft, deletion, evidence, level, tasks};
use crate::world::{NO_NONCE, Node, Stray, Tablet, Work};
use crate::{Change, World};
use std::collections::BTreeSet;
use stele_common::{
    DiskState, Evidence, Liveness, NodeId, OrderBody, ReplicaFact, ReplicaId, ReplicaState, TabletId, TrashFact,
    Version,
};

/// Rounds begun in one housekeeping at most: each asks n witnesses, and nothing here is urgent.
const ROUNDS_A_TICK: usize = 64;
/// A drop for a user's word is repeated this often while the replica is still seen.
const DROP_AGAIN_MS: u64 = 10_000;

/// Dropped tablets are forgotten this often, so many at a time: each is a durable record.
const FORGET_MS: u64 = 5_000;
const FORGOTTEN_A_TIME: usize = 1_024;
/// Dropped tablets that are remembered for nodes and disks that are away: a million takes some 50 MB of memory.
const REMEMBERED_MAX: usize = 1_000_000;

/// A replica of a tablet that is not in the catalog.
pub fn of_no_tablet(draft: &mut Draft, node: NodeId, fact: &ReplicaFact) {
    let (tablet, replica) = (fact.tablet, fact.replica);
    draft.record(Change::StraySeen { tablet, replica, stray: stray_of(draft, node, fact) });
    match draft.world.dropped_tablets.get(&tablet) {
        Some(table) if !draft.is_blind() => {
            let evidence = Evidence::TableDropped { table: *table };
            deletion::order_drop(draft, node, (tablet, replica), evidence);
        }
        Some(_) => {}
        // Dropped and gone long ago; its disk was away longer. It is kept and shown: whose it was is forgotten.
        None if draft.world.was_dropped(tablet) => {}
        None => {
            level::store_is_old(draft, format!("node {node} holds tablet {tablet}, which we neither have nor dropped"));
        }
    }
}

fn stray_of(draft: &Draft, node: NodeId, fact: &ReplicaFact) -> Stray {
    let (version, hash, size) = (fact.version, fact.hash, fact.size);
    Stray { node, disk: fact.disk, version, hash, bad: fact.bad.clone(), size, since: draft.at }
}

/// A replica of one of our tablets that is not on record.
pub fn seen(draft: &mut Draft, node: NodeId, fact: &ReplicaFact) {
    let (tablet, replica) = (fact.tablet, fact.replica);
    draft.record(Change::StraySeen { tablet, replica, stray: stray_of(draft, node, fact) });
    consider(draft, tablet, replica);
}

/// Adopts a stray that its tablet needs.
fn consider(draft: &mut Draft, id: TabletId, replica: ReplicaId) {
    let Some(stray) = draft.world.strays.get(&(id, replica)) else { return };
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    if level::forbids_repair(draft.world).is_some() || !is_good(draft, tablet, replica, stray) || !needs(draft, tablet)
    {
        return;
    }
    let (node, disk, version) = (stray.node, stray.disk, stray.version);
    let (state, ballot) = (ReplicaState::Normal, tablet.ballot.next());
    draft.record(Change::ReplicaAdded { tablet: id, replica, node, disk, state, ballot });
    draft.record(Change::ReplicaRose { tablet: id, replica, version });
    // What it holds besides its version comes with its node's next full report.
    draft.ask_full_report(node);
}

fn is_good(draft: &Draft, tablet: &Tablet, replica: ReplicaId, stray: &Stray) -> bool {
    let record = tablet.versions.iter().find(|record| record.version == stray.version);
    let is_committed = stray.version > Version::EMPTY && record.is_some_and(|record| record.hash == stray.hash);
    let Some(node) = draft.world.nodes.get(&stray.node) else { return false };
    let disk = draft.world.disks.get(&stray.disk);
    let is_placed = disk.is_some_and(|disk| disk.state == DiskState::Online && disk.replaced_by.is_none());
    let mut hosts = tablet.replicas.iter().filter_map(|replica| draft.world.nodes.get(&replica.node));
    stray.bad.is_none()
        && is_committed
        && is_placed
        && node.liveness == Liveness::Alive
        && hosts.all(|other| other.host != node.host)
        && !draft.world.condemned.contains(&(tablet.id, replica))
}

/// Whether copies are missing, those counted that may still come back, and there is room for one more.
fn needs(draft: &Draft, tablet: &Tablet) -> bool {
    let may_count = tablet.replicas.iter().filter(|replica| {
        let is_lost = draft.world.nodes.get(&replica.node).is_none_or(|node| node.liveness == Liveness::Lost);
        replica.bad.is_none() && replica.state == ReplicaState::Normal && !is_lost
    });
    let deletes = draft.world.tasks.get(&tablet.id).is_some_and(|task| match task.work {
        Work::Delete { .. } => true,
        Work::Clone { .. } => false,
    });
    let has_room = tablet.replicas.len() < tablet.wanted as usize + tasks::SURPLUS_MAX;
    !deletes && has_room && (may_count.count() as u32) < tablet.wanted
}

/// A replica in the trash.
pub fn trash_seen(draft: &mut Draft, node: NodeId, fact: &TrashFact) {
    let (tablet, replica) = (fact.tablet, fact.replica);
    draft.record(Change::TrashSeen { node, fact: fact.clone(), at: draft.at });
    if draft.world.condemned.contains(&(tablet, replica)) {
        draft.record(Change::Acquitted { tablet, replica });
    }
    if draft.world.strays.get(&(tablet, replica)).is_some_and(|stray| stray.node == node) {
        draft.record(Change::StrayGone { tablet, replica });
    }
}

/// A replica left the trash for good.
pub fn trash_gone(draft: &mut Draft, node: NodeId, replica: ReplicaId) {
    if draft.world.trash.get(&replica).is_none_or(|trashed| trashed.node != node) {
        return;
    }
    draft.record(Change::TrashGone { replica });
    if draft.world.rounds.contains_key(&replica) {
        draft.record(Change::RoundEnded { replica });
    }
}

/// What time brings: adoptions, rounds that begin, are asked again and end.
pub fn tick(draft: &mut Draft) {
    if level::forbids_repair(draft.world).is_some() {
        return;
    }
    let strays: Vec<(TabletId, ReplicaId)> = draft.world.strays.keys().copied().collect();
    for (tablet, replica) in strays {
        match draft.world.dropped_tablets.get(&tablet) {
            Some(table) => {
                let (table, stray) = (*table, &draft.world.strays[&(tablet, replica)]);
                if level::forbids_clearing(draft.world).is_none() && draft.comes_round(stray.since, DROP_AGAIN_MS) {
                    let evidence = Evidence::TableDropped { table };
                    deletion::order_drop(draft, stray.node, (tablet, replica), evidence);
                }
            }
            None => consider(draft, tablet, replica),
        }
    }
    if level::forbids_clearing(draft.world).is_none() {
        go_on(draft);
        begin(draft);
    }
    if draft.comes_round(draft.world.began, FORGET_MS) {
        forget(draft);
    }
}

/// Forgets dropped tablets of which nothing is left anywhere.
fn forget(draft: &mut Draft) {
    for tablet in forgettable(draft.world, REMEMBERED_MAX) {
        draft.record(Change::TabletForgotten { tablet });
    }
}

/// Those of which every node has said that it has nothing, while no disk is away, and which no node that was removed may
/// bring back: what was made after it had left it never had. Of more than `max` the oldest that nobody who is there holds go
/// whoever may return, for some never do. (What turns up after that is kept and shown.)
fn forgettable(world: &World, max: usize) -> Vec<TabletId> {
    let tells = |node: &Node| node.liveness == Liveness::Alive && node.reported;
    let is_heard = world.nodes.values().all(tells);
    let is_settled = world.nodes.values().all(|node| tells(node) || node.liveness == Liveness::Lost);
    let is_seen = world.disks.values().all(|disk| disk.state == DiskState::Online || disk.replaced_by.is_some());
    let is_known = is_heard && is_seen && world.expected.is_empty();
    let excess = if is_settled { world.dropped_tablets.len().saturating_sub(max) } else { 0 };
    let dropped = &world.dropped_tablets;
    let removed = world.removed.values().map(|removed| removed.before).max().unwrap_or(0);
    // Beyond the oldest, those that nobody who was removed ever had.
    let rest = dropped.keys().nth(excess).filter(|_| is_known).map(|first| TabletId(removed).max(*first));
    let rest = rest.into_iter().flat_map(|first| dropped.range(first..)).map(|(tablet, _)| tablet);
    let mut old_enough = dropped.keys().take(excess).chain(rest).peekable();
    if old_enough.peek().is_none() {
        return Vec::new();
    }
    let mut held: BTreeSet<TabletId> = world.trash.values().map(|trashed| trashed.fact.tablet).collect();
    held.extend(world.strays.keys().chain(&world.condemned).map(|(tablet, _)| *tablet));
    held.extend(world.orphans.values().flatten());
    old_enough.filter(|tablet| !held.contains(tablet)).take(FORGOTTEN_A_TIME).copied().collect()
}

impl World {
    /// Whether a user dropped this tablet, as far back as ids go: what was forgotten is known by its number.
    pub fn was_dropped(&self, tablet: TabletId) -> bool {
        let is_old = tablet <= self.forgotten && self.tablets.get(tablet).is_none();
        is_old || self.dropped_tablets.contains_key(&tablet)
    }
}

/// Rounds under way.
fn go_on(draft: &mut Draft) {
    let ms = draft.world.knobs.evidence_timeout_ms;
    let rounds: Vec<_> = draft.world.rounds.iter().map(|(replica, round)| (*replica, *round)).collect();
    for (replica, round) in rounds {
        let known =
            draft.world.strays.contains_key(&(round.tablet, replica)) || draft.world.trash.contains_key(&replica);
        if !known || draft.at.since(round.began) >= ms {
            draft.record(Change::RoundEnded { replica });
        } else if round.nonce != NO_NONCE {
            settle(draft, round.tablet);
            if draft.comes_round(round.began, deletion::ASK_AGAIN_MS)
                && draft.world.rounds.get(&replica) == Some(&round)
            {
                evidence::ask(draft, round.tablet, None, round.nonce);
            }
        }
    }
}

/// New rounds, for strays and for trash that its agent would like to free.
fn begin(draft: &mut Draft) {
    let strays =
        draft.world.strays.iter().map(|((tablet, replica), stray)| (*tablet, *replica, stray.node, stray.disk));
    let trash = draft.world.trash.values().filter(|trashed| trashed.fact.due);
    let trash = trash.map(|trashed| (trashed.fact.tablet, trashed.fact.replica, trashed.node, trashed.fact.disk));
    let candidates = strays.chain(trash).filter(|(tablet, replica, node, disk)| {
        let is_online = draft.world.disks.get(disk).is_some_and(|disk| disk.state == DiskState::Online);
        let is_there =
            draft.world.nodes.get(node).is_some_and(|node| node.liveness == Liveness::Alive && node.reported);
        is_online && is_there && !draft.world.rounds.contains_key(replica) && may_go(draft, *tablet)
    });
    let chosen: Vec<_> = candidates.take(ROUNDS_A_TICK).collect();
    for (tablet, replica, node, _) in chosen {
        match draft.world.dropped_tablets.get(&tablet) {
            Some(table) if draft.world.trash.contains_key(&replica) => {
                let evidence = Evidence::TableDropped { table: *table };
                draft.send(node, OrderBody::Purge { tablet, replica, evidence });
                draft.record(Change::RoundBegan { tablet, replica, nonce: NO_NONCE, at: draft.at });
            }
            // Strays of dropped tables are ordered away as they are seen.
            Some(_) => {}
            None => {
                let nonce = draft.take_id();
                draft.record(Change::RoundBegan { tablet, replica, nonce, at: draft.at });
                evidence::ask(draft, tablet, None, nonce);
            }
        }
    }
}

/// Whether a tablet can spare bytes outside the catalog: it was dropped, or n are complete and nothing goes on in it.
fn may_go(draft: &Draft, id: TabletId) -> bool {
    let Some(tablet) = draft.world.tablets.get(id) else { return draft.world.dropped_tablets.contains_key(&id) };
    let complete = evidence::complete_others(draft.world, tablet, None).len() as u32;
    complete >= tablet.wanted && !draft.world.tasks.contains_key(&id)
}

/// Ends the rounds of a tablet whose witnesses have answered.
pub fn settle(draft: &mut Draft, id: TabletId) {
    if level::forbids_clearing(draft.world).is_some() {
        return;
    }
    let rounds = draft.world.rounds.iter().filter(|(_, round)| round.tablet == id && round.nonce != NO_NONCE);
    let rounds: Vec<_> = rounds.map(|(replica, round)| (*replica, round.nonce)).collect();
    for (replica, nonce) in rounds {
        let Some(tablet) = draft.world.tablets.get(id) else { return };
        let witnesses = evidence::witnesses(draft.world, tablet, None, draft.at, Some(nonce));
        if (witnesses.len() as u32) < tablet.wanted || !may_go(draft, id) {
            continue;
        }
        assert!(witnesses.iter().all(|witness| witness.replica != replica && witness.version >= tablet.committed));
        let evidence = Evidence::Others { replicas: witnesses, wanted: tablet.wanted };
        // From here on the round only keeps the next one waiting.
        draft.record(Change::RoundBegan { tablet: id, replica, nonce: NO_NONCE, at: draft.at });
        let stray = draft.world.strays.get(&(id, replica)).map(|stray| stray.node);
        let trash = draft.world.trash.get(&replica).map(|trashed| trashed.node);
        match (stray, trash) {
            (Some(node), _) => deletion::order_drop(draft, node, (id, replica), evidence),
            (None, Some(node)) => draft.send(node, OrderBody::Purge { tablet: id, replica, evidence }),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use stele_common::TableId;

    /// What no removed node can have is forgotten beside what it may have; of too many the oldest go, but nothing that
    /// somebody holds.
    #[test]
    fn what_is_forgotten() {
        let mut sample = Sample::new(1, 1);
        let node = sample.host(1);
        let tablets = [1, 2, 3, 25_000, 25_001].map(TabletId);
        sample.apply(Change::TabletsDropped { tablets: tablets.map(|tablet| (tablet, TableId(9))).to_vec() });
        sample.apply(Change::IdsReserved { end: 20_000 });
        assert_eq!(forgettable(&sample.world, 9), tablets);
        sample.world.condemned.insert((TabletId(2), ReplicaId(7)));
        sample.world.condemned.insert((TabletId(25_000), ReplicaId(8)));
        assert_eq!(forgettable(&sample.world, 9), [1, 3, 25_001].map(TabletId));
        sample.apply(Change::NodeRemoved { node, peer: String::new(), http: String::new() });
        assert_eq!(forgettable(&sample.world, 9), [25_001].map(TabletId));
        assert_eq!(forgettable(&sample.world, 3), [1, 25_001].map(TabletId));
        let away = sample.host(1);
        sample.turn(away, Liveness::Silent);
        assert_eq!(forgettable(&sample.world, 2), [], "it may be about to tell");
        sample.turn(away, Liveness::Lost);
        assert_eq!(forgettable(&sample.world, 5), []);
        assert_eq!(forgettable(&sample.world, 2), [1, 3].map(TabletId));
    }
}
