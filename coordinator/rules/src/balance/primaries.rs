//! Evenness of primaries: each table's stand as equally often on every node as may be, the one or the other by one more.
//!
//! In: the world, what is held back, what is under way. Out, table by table: roles that change hands, for they cost no
//! byte; where no chain of them helps, copies of primaries to nodes that have none of theirs; or why there is neither.
//!
//! ```text
//! source ──(primaries above low)──▶ node ──(tablets whose primary is here, with a complete copy there)──▶ node ──▶ ...
//!                                                               ... node ──(primaries missing to low)──▶ sink
//! ```
//!
//! Each round takes the widest path through this graph and moves as many roles along each of its edges as it is wide.
//! Every path and every copy lowers the sum of squares of a table's primaries by node, so nothing turns back. A copy
//! never makes copies of its table less fair, nor a medium's spread as wide as what balance begins at.
//!
//! It must never turn a tablet that is ill, has a task or takes a load. Source: the note on Pegasus, 10.1.

use super::counts::places;
use super::moves::{Move, Scope, Why, bytes_of, filled, may_go, takes_part};
use super::worth::{Filled, count_gap, lowers_usage};
use crate::checkup::{self, verdict};
use crate::colocation::is_there;
use crate::policy::{PauseOn, Table, TableState};
use crate::schedule::balancing::grant_of;
use crate::schedule::slots::Ledger;
use crate::world::{Disk, Replica, Tablet};
use crate::{Reason, World, pause};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskId, NodeId, ReplicaId, TabletId, TabletStatus};

/// One tablet's primary in another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub tablet: TabletId,
    pub from: ReplicaId,
    pub to: ReplicaId,
}

/// What is to be done about primaries now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub turns: Vec<Turn>,
    /// Primaries that move with their bytes.
    pub copies: Vec<Move>,
    /// Why a table stays as uneven as it is; or why there is nothing to do at all.
    pub rest: Option<Reason>,
}

/// One round over all tables.
pub fn even_primaries(world: &World, scope: &Scope, ledger: &Ledger) -> Found {
    let (mut found, mut ledger) = (Found::default(), ledger.clone());
    let tables = world.tables.values().filter(|table| table.state == TableState::Normal);
    for table in tables.filter(|table| !scope.holds_table(table.id)) {
        let mut house = House::of(world, scope, table);
        if house.is_even() {
            continue;
        }
        let edges = house.edges();
        let turns = house.path(&edges);
        if !turns.is_empty() {
            found.turns.extend(turns);
        } else if !world.knobs.only_move_primary {
            let copies = house.copies(&mut ledger);
            let is_stuck = copies.is_empty();
            found.copies.extend(copies);
            found.rest = found.rest.filter(|_| !is_stuck).or_else(|| is_stuck.then(|| house.stuck()));
        } else {
            found.rest.get_or_insert(house.stuck());
        }
        if world.knobs.balancer_in_turn && !(found.turns.is_empty() && found.copies.is_empty()) {
            break;
        }
    }
    if found == Found::default() {
        found.rest = Some(Reason::PrimariesEven);
    }
    found
}

/// Why the tablet's primary may not change now, or not to this replica.
pub fn may_turn(world: &World, scope: &Scope, turn: &Turn) -> Result<(), Reason> {
    let tablet = world.tablets.get(turn.tablet).filter(|tablet| tablet.primary == Some(turn.from));
    let gone = || Reason::NotPrimary { tablet: turn.tablet, replica: turn.from };
    let tablet = tablet.ok_or_else(gone)?;
    may_change(world, scope, tablet)?;
    let to = secondaries(world, tablet).into_iter().any(|replica| replica.id == turn.to);
    if to { Ok(()) } else { Err(gone()) }
}

fn may_change(world: &World, scope: &Scope, tablet: &Tablet) -> Result<(), Reason> {
    if tablet.load.is_some() {
        return Err(Reason::LoadOnTablet { tablet: tablet.id });
    }
    if let Some(reason) = pause::holds_balance_at(world, PauseOn::Table { table: tablet.table }) {
        return Err(reason);
    }
    let status = verdict(world, tablet, scope.at).status;
    if status != TabletStatus::Healthy || world.tasks.contains_key(&tablet.id) {
        return Err(Reason::PrimaryRests { tablet: tablet.id, status });
    }
    Ok(())
}

/// Complete replicas on nodes that stay, but for the primary.
fn secondaries<'a>(world: &World, tablet: &'a Tablet) -> Vec<&'a Replica> {
    let judged = checkup::count(world, tablet).judged;
    let others = tablet.replicas.iter().zip(judged).filter(|(replica, judged)| {
        let is_at_head = replica.seen.as_ref().is_some_and(|seen| seen.version >= tablet.committed);
        judged.stable && is_at_head && Some(replica.id) != tablet.primary
    });
    others.map(|(replica, _)| replica).collect()
}

/// A tablet whose primary could change hands along an edge.
#[derive(Clone, Copy)]
struct Hand {
    turn: Turn,
    from: DiskId,
    to: DiskId,
}

type Edges = BTreeMap<(usize, usize), Vec<Hand>>;

/// One table.
struct House<'a> {
    world: &'a World,
    scope: &'a Scope,
    table: &'a Table,
    nodes: Vec<NodeId>,
    /// Primaries by node.
    counts: Vec<u64>,
    /// Primaries by disk.
    disks: BTreeMap<DiskId, i64>,
    low: u64,
    high: u64,
}

impl<'a> House<'a> {
    fn of(world: &'a World, scope: &'a Scope, table: &'a Table) -> House<'a> {
        let takes_part = |id: NodeId| {
            !scope.held_nodes.contains(&id)
                && world.maintenance_until(id, scope.at).is_none()
                && pause::holds_balance_at(world, PauseOn::Node { node: id }).is_none()
        };
        let nodes = world.nodes.values().filter(|node| is_there(node) && node.tag == table.tag);
        let nodes: Vec<NodeId> = nodes.map(|node| node.id).filter(|node| takes_part(*node)).collect();
        let (counts, disks) = (vec![0; nodes.len()], BTreeMap::new());
        let mut house = House { world, scope, table, nodes, counts, disks, low: 0, high: 0 };
        for tablet in house.tablets() {
            let Some((place, replica)) = house.primary(tablet) else { continue };
            house.counts[place] += 1;
            *house.disks.entry(replica.disk).or_default() += 1;
        }
        let (all, places) = (house.counts.iter().sum::<u64>(), house.nodes.len() as u64);
        house.low = all.checked_div(places).unwrap_or(0);
        house.high = if places == 0 { 0 } else { all.div_ceil(places) };
        house
    }

    fn tablets(&self) -> impl Iterator<Item = &'a Tablet> + use<'a> {
        let (world, table) = (self.world, self.table);
        let ids = table.partitions.iter().flat_map(|partition| &partition.tablets);
        ids.filter_map(|id| world.tablets.get(*id))
    }

    fn place(&self, node: NodeId) -> Option<usize> {
        self.nodes.binary_search(&node).ok()
    }

    /// The primary, if it stands on a node that takes part.
    fn primary<'t>(&self, tablet: &'t Tablet) -> Option<(usize, &'t Replica)> {
        let replica = tablet.replicas.iter().find(|replica| Some(replica.id) == tablet.primary)?;
        Some((self.place(replica.node)?, replica))
    }

    fn is_even(&self) -> bool {
        self.counts.iter().all(|count| (self.low..=self.high).contains(count))
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for tablet in self.tablets() {
            let Some((a, old)) = self.primary(tablet) else { continue };
            if may_change(self.world, self.scope, tablet).is_err() {
                continue;
            }
            for new in secondaries(self.world, tablet) {
                let Some(b) = self.place(new.node).filter(|b| *b != a) else { continue };
                let turn = Turn { tablet: tablet.id, from: old.id, to: new.id };
                edges.entry((a, b)).or_default().push(Hand { turn, from: old.disk, to: new.disk });
            }
        }
        edges
    }

    /// Roles that change hands along the widest path; none: there is no path.
    fn path(&mut self, edges: &Edges) -> Vec<Turn> {
        let (path, width) = widest(&self.capacities(edges));
        let mut turns = Vec::new();
        // From the sink to the source, without either.
        for hop in path.windows(2).rev() {
            let mut hands = edges.get(&(hop[0], hop[1])).cloned().unwrap_or_default();
            for _ in 0..width {
                let gain = |hand: &Hand| self.on(hand.from) - self.on(hand.to);
                let best = (0..hands.len()).max_by_key(|at| (gain(&hands[*at]), Reverse(hands[*at].turn.tablet)));
                let Some(best) = best else { break };
                let hand = hands.swap_remove(best);
                *self.disks.entry(hand.from).or_default() -= 1;
                *self.disks.entry(hand.to).or_default() += 1;
                turns.push(hand.turn);
            }
        }
        turns
    }

    fn on(&self, disk: DiskId) -> i64 {
        self.disks.get(&disk).copied().unwrap_or(0)
    }

    /// Of the flow graph; the last but one place is the source, the last the sink.
    fn capacities(&self, edges: &Edges) -> Vec<Vec<u64>> {
        let (nodes, source, sink) = (self.nodes.len(), self.nodes.len(), self.nodes.len() + 1);
        let mut capacities = vec![vec![0; nodes + 2]; nodes + 2];
        // With nobody below, whoever has more than the other may have takes from nobody who has less than that.
        let none_below = self.counts.iter().all(|count| *count >= self.low);
        for (node, count) in self.counts.iter().enumerate() {
            let (above, below) = (count.saturating_sub(self.low), self.low.saturating_sub(*count));
            let (above, below) = match none_below && self.low != self.high {
                true => (above.saturating_sub(1), if above == 0 { 1 } else { 0 }),
                false => (above, below),
            };
            (capacities[source][node], capacities[node][sink]) = (above, below);
        }
        for ((a, b), hands) in edges {
            capacities[*a][*b] = hands.len() as u64;
        }
        capacities
    }

    /// Primaries that move with their bytes from the node with most to the one with fewest, until that is even.
    fn copies(&mut self, ledger: &mut Ledger) -> Vec<Move> {
        let has_below = self.counts.iter().any(|count| *count < self.low);
        let mut open: BTreeSet<usize> = (0..self.nodes.len()).collect();
        let mut copies: Vec<Move> = Vec::new();
        while let Some(min) = open.iter().copied().min_by_key(|place| (self.counts[*place], *place)) {
            let Some(max) = open.iter().copied().max_by_key(|place| (self.counts[*place], Reverse(*place))) else {
                break;
            };
            let is_done = match has_below {
                true => self.counts[min] >= self.low,
                false => self.counts[max] - self.counts[min] <= 1,
            };
            if is_done || self.counts[max] - self.counts[min] <= 1 {
                break;
            }
            let Some(copy) = self.copy(max, min, &copies, ledger) else {
                open.remove(&max);
                continue;
            };
            (self.counts[max], self.counts[min]) = (self.counts[max] - 1, self.counts[min] + 1);
            *self.disks.entry(copy.from).or_default() -= 1;
            *self.disks.entry(copy.to).or_default() += 1;
            ledger.take(self.world, &grant_of(&copy));
            copies.push(copy);
        }
        copies
    }

    /// One primary from the disk with most of them, to the disk with fewest that may take it.
    fn copy(&self, max: usize, min: usize, planned: &[Move], ledger: &Ledger) -> Option<Move> {
        let here = self.tablets().filter_map(|tablet| {
            let (place, replica) = self.primary(tablet)?;
            let is_free = place == max && planned.iter().all(|other| other.tablet != tablet.id);
            (is_free && may_change(self.world, self.scope, tablet).is_ok()).then_some((tablet, replica))
        });
        let mut here: Vec<_> = here.collect();
        here.sort_by_key(|(tablet, replica)| (Reverse(self.on(replica.disk)), tablet.id));
        let targets = self.world.disks.values().filter(|disk| disk.node == self.nodes[min]);
        let mut targets: Vec<&Disk> = targets.collect();
        targets.sort_by_key(|disk| (self.on(disk.id), filled(ledger, disk).ppm(), disk.id));
        here.into_iter().find_map(|(tablet, replica)| {
            let from = self.world.disks.get(&replica.disk)?;
            let fits = |to: &&&Disk| self.may_copy(ledger, tablet, replica, from, to);
            let to = targets.iter().find(fits)?;
            Some(Move {
                tablet: tablet.id,
                replica: replica.id,
                from_node: from.node,
                from: from.id,
                to_node: to.node,
                to: to.id,
                bytes: bytes_of(replica),
                why: Why::Primary,
            })
        })
    }

    fn may_copy(&self, ledger: &Ledger, tablet: &Tablet, replica: &Replica, from: &Disk, to: &Disk) -> bool {
        self.world.bucket_nodes(tablet).is_none()
            && may_go(self.world, self.scope, ledger, tablet, replica, from, to).is_ok()
            && is_harmless(self.world, self.scope, ledger, tablet, from, to, bytes_of(replica)).is_ok()
    }

    fn stuck(&self) -> Reason {
        let table = format!("{}.{}", self.table.db, self.table.name);
        let (most, fewest) = (self.counts.iter().max(), self.counts.iter().min());
        let (most, fewest) = (most.copied().unwrap_or(0), fewest.copied().unwrap_or(0));
        Reason::PrimariesUneven { table, most, fewest }
    }
}

/// Whether a primary that is to move with its bytes still makes its table's primaries more even, and harms nothing.
pub fn still_worth(
    world: &World,
    scope: &Scope,
    ledger: &Ledger,
    tablet: &Tablet,
    replica: &Replica,
    ends: (&Disk, &Disk),
) -> Result<(), String> {
    let Some(table) = world.tables.get(&tablet.table).filter(|_| tablet.primary == Some(replica.id)) else {
        return Err("it is not the primary any more".into());
    };
    if tablet.load.is_some() {
        return Err("a load is open on it".into());
    }
    let (from, to) = ends;
    let house = House::of(world, scope, table);
    let count = |node| house.place(node).map_or(0, |place| house.counts[place]);
    let (had, has) = (count(from.node), count(to.node));
    if had <= has + 1 {
        return Err(format!("of its table one node has {had} primaries and the other {has}"));
    }
    is_harmless(world, scope, ledger, tablet, from, to, bytes_of(replica))
}

/// Copies of the table stay as fair as they are, and the medium's spread below what balance begins at.
fn is_harmless(
    world: &World,
    scope: &Scope,
    ledger: &Ledger,
    tablet: &Tablet,
    from: &Disk,
    to: &Disk,
    bytes: u64,
) -> Result<(), String> {
    let places = places(world, scope, ledger, tablet, from, to);
    let (source, target) = (places.source, places.target);
    if count_gap(source, target, places.copies, places.capacity) < i128::from(places.capacity) {
        return Err(format!("of its table one node has {} copies and the other {}", source.count, target.count));
    }
    let (source, target) = (filled(ledger, from), filled(ledger, to));
    if bytes == 0 || lowers_usage(source, target, bytes) {
        return Ok(());
    }
    let of_medium = |disk: &&Disk| disk.medium == from.medium && takes_part(world, scope, disk).is_ok();
    let parts = world.disks.values().filter(of_medium).map(|disk| filled(ledger, disk).ppm());
    let after = [
        Filled { used: source.used.saturating_sub(bytes), ..source }.ppm(),
        Filled { used: target.used.saturating_add(bytes), ..target }.ppm(),
    ];
    let (low, high) = parts.chain(after).fold((u64::MAX, 0), |(low, high), part| (low.min(part), high.max(part)));
    match high.saturating_sub(low) < world.knobs.balance_threshold_ppm() {
        true => Ok(()),
        false => Err("disks would be too uneven".into()),
    }
}

/// The widest path from the last place but one to the last, without these two, and its width.
fn widest(capacities: &[Vec<u64>]) -> (Vec<usize>, u64) {
    let (source, sink) = (capacities.len() - 2, capacities.len() - 1);
    let mut width = vec![0; capacities.len()];
    let mut before = vec![source; capacities.len()];
    let mut open: BTreeSet<usize> = (0..capacities.len()).collect();
    width[source] = u64::MAX;
    while let Some(at) = open.iter().copied().max_by_key(|at| (width[*at], Reverse(*at))).filter(|at| width[*at] > 0) {
        open.remove(&at);
        for next in open.iter().copied() {
            let through = width[at].min(capacities[at][next]);
            if through > width[next] {
                (width[next], before[next]) = (through, at);
            }
        }
    }
    let mut path = Vec::new();
    let mut at = sink;
    while width[sink] > 0 && before[at] != source {
        at = before[at];
        path.insert(0, at);
    }
    (path, width[sink])
}

#[cfg(test)]
mod tests;
