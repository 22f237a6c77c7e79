//! Which steps lead to what somebody wants: by the planner of balance, or by the places that repair would find.
//!
//! In: a world at rest and a wish. Out: steps, what finds no place, and the world that they were drawn in (with hosts or
//! policies that are not there yet). It changes nothing, and never gives the same room to two copies.

use super::Step;
use crate::balance::moves::Scope;
use crate::balance::plan::plan_with;
use crate::catalog::tables::bad_request;
use crate::catalog::{drain, tables};
use crate::checkup::count;
use crate::evacuation::{Leaving, evacuated, refill};
use crate::schedule::slots::{Ledger, size_of};
use crate::world::{Replica, Table, Tablet, apply};
use crate::{Action, Answer, Change, Event, EventBody, Reason, World, catalog};
use std::collections::BTreeSet;
use std::sync::Arc;
use stele_common::api::{Blocker, DrainAsk, NewHost, PlanWhat};
use stele_common::{BootId, DiskFact, DiskId, DiskState, NodeId, Space, TabletId, Tick};

/// Hosts that may be thought of at once, and disks of each.
const NEW_HOSTS_MAX: usize = 10_000;
const NEW_DISKS_MAX: usize = 256;

/// A wish, worked out in steps.
pub struct Drawn {
    /// The world that the steps are taken in: with the new hosts or the new policy.
    pub world: World,
    pub steps: Vec<Step>,
    /// For the same spreads, and for counts as fair as well.
    pub bytes_lower_bounds: Option<(u64, u64)>,
    pub blocked: u64,
    pub blockers: Vec<Blocker>,
    /// All that stands on what is to be emptied.
    pub held: BTreeSet<TabletId>,
}

/// Draws the steps, or says why there are none to draw.
pub fn draw(world: &World, what: &PlanWhat, at: Tick) -> Result<Drawn, Reason> {
    match what {
        PlanWhat::Balance { tables } => balance(world.clone(), tables, at),
        PlanWhat::Drain { .. } => emptied(world, what, at),
        PlanWhat::Policy { table, wish } => {
            let (db, name) = named(table)?;
            let body = EventBody::SetTable { db, name, wish: wish.clone() };
            let mut after = world.clone();
            let actions = catalog::step(&mut after, &Event { at, wall_ms: 0, body });
            for action in actions {
                if let Action::Answer(Answer::Refused(reason)) = action {
                    return Err(reason);
                }
            }
            filled(after, table, at)
        }
        PlanWhat::Hosts { hosts } => balance(with_hosts(world, hosts, at)?, &[], at),
    }
}

fn balance(world: World, only: &[String], at: Tick) -> Result<Drawn, Reason> {
    let mut only_tables = BTreeSet::new();
    for name in only {
        only_tables.insert(table_of(&world, name)?.id);
    }
    let only_tables = (!only_tables.is_empty()).then_some(only_tables);
    let scope = Scope { only_tables, ..Scope::all(at) };
    let plan = plan_with(&world, &scope, &Ledger::of(&world, std::iter::empty()));
    if let Some(reason) = plan.idle {
        return Err(reason);
    }
    let steps = plan.moves.iter().map(Step::of_move).collect();
    let bytes_lower_bounds = Some((plan.bytes_lower_bound, plan.bytes_lower_bound_fair));
    Ok(Drawn { world, steps, bytes_lower_bounds, blocked: 0, blockers: Vec::new(), held: BTreeSet::new() })
}

/// What a drain's wish means now; `None`: not all of it is there.
pub fn leaving_of(world: &World, what: &PlanWhat) -> Option<Leaving> {
    drain::meant(world, &drain_ask(what)?).ok()
}

/// The order that carries a drain's plan out.
pub fn drain_ask(what: &PlanWhat) -> Option<DrainAsk> {
    let PlanWhat::Drain { nodes, rack, disks } = what else { return None };
    Some(DrainAsk { nodes: nodes.clone(), rack: rack.clone(), disks: disks.clone(), ..DrainAsk::default() })
}

fn emptied(world: &World, what: &PlanWhat, at: Tick) -> Result<Drawn, Reason> {
    let ask = drain_ask(what).unwrap_or_default();
    let leaving = drain::meant(world, &ask)?;
    let mut steps = Vec::new();
    let answer = evacuated(world, &leaving, at, |tablet, leaves, disk| {
        steps.extend(step(world, tablet, leaves, disk));
    });
    let held = world.tablets.iter().filter(|tablet| tablet.replicas.iter().any(|replica| leaving.has(replica)));
    let held = held.map(|tablet| tablet.id).collect();
    let (blocked, blockers) = (answer.blocked, answer.blockers);
    Ok(Drawn { world: world.clone(), steps, bytes_lower_bounds: None, blocked, blockers, held })
}

fn filled(world: World, table: &str, at: Tick) -> Result<Drawn, Reason> {
    let table = table_of(&world, table)?;
    let tablets = table.partitions.iter().flat_map(|partition| &partition.tablets);
    let tablets = tablets.filter_map(|id| world.tablets.get(*id));
    let mut steps = Vec::new();
    let (blocked, blockers) =
        refill(&world, tablets, at, |tablet, leaves, disk| steps.extend(step(&world, tablet, leaves, disk)));
    Ok(Drawn { world, steps, bytes_lower_bounds: None, blocked, blockers, held: BTreeSet::new() })
}

fn step(world: &World, tablet: &Tablet, leaves: Option<&Replica>, to: DiskId) -> Option<Step> {
    let counts = count(world, tablet);
    let mut complete = tablet.replicas.iter().zip(&counts.judged).filter(|(_, judged)| judged.complete);
    let from = leaves.or_else(|| complete.next().map(|(replica, _)| replica))?;
    Some(Step {
        tablet: tablet.id,
        leaves: leaves.map(|replica| replica.id),
        from_node: from.node,
        from: from.disk,
        to_node: world.disks.get(&to)?.node,
        to,
        bytes: size_of(tablet),
        why: None,
    })
}

/// The table that is called so.
pub(super) fn table_of(world: &World, name: &str) -> Result<Arc<Table>, Reason> {
    let (db, name) = named(name)?;
    tables::find(world, &db, &name)
}

/// `db.table` in its two parts.
pub(crate) fn named(table: &str) -> Result<(String, String), Reason> {
    let parts = table.split_once('.').filter(|(db, name)| !db.is_empty() && !name.is_empty());
    let (db, name) = parts.ok_or_else(|| bad_request(format!("`{table}` is not of the form db.table")))?;
    Ok((db.into(), name.into()))
}

/// The world with hosts that are not there yet, empty and alive, under ids that nobody has.
fn with_hosts(world: &World, hosts: &[NewHost], at: Tick) -> Result<World, Reason> {
    let is_odd = |host: &NewHost| {
        let is_odd_disk = host.disks.iter().any(|disk| disk.total == 0 || disk.total > 1 << 60);
        host.host.is_empty() || host.disks.is_empty() || host.disks.len() > NEW_DISKS_MAX || is_odd_disk
    };
    if hosts.is_empty() || hosts.len() > NEW_HOSTS_MAX || hosts.iter().any(is_odd) {
        let wanted = format!("1 to {NEW_HOSTS_MAX} hosts, each with a name and 1 to {NEW_DISKS_MAX} disks with bytes");
        return Err(bad_request(wanted));
    }
    let mut after = world.clone();
    // Ids that nobody has; they are never recorded.
    let mut next = world.next_id;
    for new in hosts {
        next += 1;
        let node = NodeId(next);
        join(&mut after, node, new, at);
        for (index, wish) in new.disks.iter().enumerate() {
            next += 1;
            let path = if wish.path.is_empty() { format!("disk-{}", index + 1) } else { wish.path.clone() };
            let (disk, medium) = (DiskId(next), wish.medium);
            apply(&mut after, &Change::DiskAdded { disk, node, path: path.clone(), medium });
            let space = Space { total: wish.total, used: 0, raw_total: wish.total, raw_free: wish.total };
            let (state, device) = (DiskState::Online, index as u64);
            let fact = DiskFact { disk, path, medium, state, cause: None, space, device };
            apply(&mut after, &Change::DiskSeen { fact, node, at });
        }
    }
    Ok(after)
}

/// As if its agent had come and told all.
fn join(world: &mut World, node: NodeId, new: &NewHost, at: Tick) {
    let NewHost { host, rack, tag, .. } = new;
    let (name, boot) = (host.clone(), BootId(0));
    let added = Change::NodeAdded { node, host: host.clone(), name, rack: rack.clone(), tag: tag.clone() };
    let connected = Change::NodeConnected {
        node,
        boot,
        peer: String::new(),
        http: String::new(),
        build: String::new(),
        rack: rack.clone(),
        tag: tag.clone(),
        at,
    };
    for change in [added, connected, Change::FullReportTaken { node }] {
        apply(world, &change);
    }
}
