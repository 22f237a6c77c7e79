//! What a plan costs and what it is worth: bytes by disk and by pair of hosts, evenness and scores before and after, how
//! long it takes at the present limits, how few copies there are while it runs.
//!
//! In: what was drawn, and how fast copies have been. Out: the price. Moves add before they take away, so the fewest
//! complete copies on the way are those of today.

use super::Step;
use super::draw::Drawn;
use crate::World;
use crate::balance::moves::filled;
use crate::balance::score::{self, Replicas, Score};
use crate::balance::spread::spreads;
use crate::checkup::count;
use crate::schedule::rates::Rates;
use crate::schedule::slots::{self, Ledger};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::api::{DiskBytes, FullestDisk, LinkBytes, NodeChange, PlanPrice, Spread};
use stele_common::{DiskId, Medium, NodeId, TabletId, TaskType, Tick};

/// Bytes a second of a disk of which no copy was measured yet, from and to: a busy spinning disk, a flash disk.
const UNMEASURED: (u64, u64) = (30_000_000, 400_000_000);
/// What each copy takes beside its bytes, milliseconds, from and to: order, sync, report, and the leaving of the old one.
const EACH_MS: (u64, u64) = (50, 3_000);
/// The end is looked for every second, and the last deletion waits for evidence.
const TAIL_S: u64 = 10;

/// What comes to and leaves one disk.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    bytes_in: u64,
    bytes_out: u64,
    copies: u64,
    /// Leaves it for good.
    freed: u64,
}

/// The price of what was drawn.
pub fn price(drawn: &Drawn, rates: &Rates, at: Tick) -> PlanPrice {
    let Drawn { world, steps, .. } = drawn;
    let flows = flows(steps);
    let after = after(world, &flows);
    // The ladder makes the copies of a drain or a policy, the balancer those for evenness.
    let for_evenness = steps.iter().any(|step| step.why.is_some());
    let task_type = if for_evenness { TaskType::Balance } else { TaskType::Repair };
    let mut price = PlanPrice {
        moves: steps.len() as u64,
        bytes: steps.iter().fold(0, |sum: u64, step| sum.saturating_add(step.bytes)),
        bytes_lower_bound: drawn.bytes_lower_bounds.map(|(spread, _)| spread),
        bytes_lower_bound_fair: drawn.bytes_lower_bounds.map(|(_, fair)| fair),
        before: evenness(world, at),
        after: evenness(&after, at),
        links: links(world, steps),
        nodes: nodes(world, &after, steps),
        eta_s: eta(world, task_type, &flows, rates),
        copies_min: copies_min(world, steps),
        blocked: drawn.blocked,
        blockers: drawn.blockers.clone(),
        ..PlanPrice::default()
    };
    // As evenness counts: without trash, and with what is under way as done.
    let ledgers = (Ledger::of(world, std::iter::empty()), Ledger::of(&after, std::iter::empty()));
    for (id, flow) in &flows {
        let (Some(was), Some(is)) = (world.disks.get(id), after.disks.get(id)) else { continue };
        price.disks.push(DiskBytes {
            disk: *id,
            node: was.node,
            host: host(world, was.node),
            path: was.path.clone(),
            medium: was.medium,
            bytes_in: flow.bytes_in,
            bytes_out: flow.bytes_out,
            used_percent_before: filled(&ledgers.0, was).ppm() as f64 / 1e6,
            used_percent_after: filled(&ledgers.1, is).ppm() as f64 / 1e6,
        });
    }
    let taking = price.disks.iter().filter(|disk| disk.bytes_in > 0);
    let fullest = taking.max_by(|a, b| a.used_percent_after.total_cmp(&b.used_percent_after));
    price.fullest = fullest.map(|disk| FullestDisk {
        disk: disk.disk,
        host: disk.host.clone(),
        path: disk.path.clone(),
        used_percent: disk.used_percent_after * 100.0,
    });
    price
}

fn flows(steps: &[Step]) -> BTreeMap<DiskId, Flow> {
    let mut flows: BTreeMap<DiskId, Flow> = BTreeMap::new();
    for step in steps {
        let from = flows.entry(step.from).or_default();
        from.bytes_out = from.bytes_out.saturating_add(step.bytes);
        from.copies += 1;
        if step.leaves.is_some() {
            from.freed = from.freed.saturating_add(step.bytes);
        }
        let to = flows.entry(step.to).or_default();
        to.bytes_in = to.bytes_in.saturating_add(step.bytes);
        to.copies += 1;
    }
    flows
}

/// The disks as they will be used; placements stay as they are.
fn after(world: &World, flows: &BTreeMap<DiskId, Flow>) -> World {
    let mut after = world.clone();
    for (id, flow) in flows {
        if let Some(disk) = after.disks.get_mut(id) {
            disk.space.used = disk.space.used.saturating_add(flow.bytes_in).saturating_sub(flow.freed);
        }
    }
    after
}

fn evenness(world: &World, at: Tick) -> BTreeMap<Medium, Spread> {
    spreads(world, at).into_iter().map(|(medium, of)| (medium, of.spread)).collect()
}

fn links(world: &World, steps: &[Step]) -> Vec<LinkBytes> {
    let mut links: BTreeMap<(NodeId, NodeId), (u64, u64)> = BTreeMap::new();
    for step in steps {
        let link = links.entry((step.from_node, step.to_node)).or_default();
        *link = (link.0 + 1, link.1.saturating_add(step.bytes));
    }
    let mut by_host: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for ((from, to), (moves, bytes)) in links {
        let link = by_host.entry((host(world, from), host(world, to))).or_default();
        *link = (link.0 + moves, link.1.saturating_add(bytes));
    }
    let shown = |((from_host, to_host), (moves, bytes))| LinkBytes { from_host, to_host, moves, bytes };
    let mut links: Vec<LinkBytes> = by_host.into_iter().map(shown).collect();
    links.sort_by_key(|link| Reverse(link.bytes));
    links
}

fn host(world: &World, node: NodeId) -> String {
    world.nodes.get(&node).map(|node| node.host.clone()).unwrap_or_default()
}

/// Scores, replicas and usage of each node and medium, then and now.
fn nodes(world: &World, after: &World, steps: &[Step]) -> Vec<NodeChange> {
    let mut replicas = Replicas::default();
    world.tablets.iter().for_each(|tablet| score::count(world, tablet, &mut replicas));
    let before = score::scores_of(world, &replicas);
    for step in steps {
        let medium = |disk: DiskId| world.disks.get(&disk).map_or(Medium::Hdd, |disk| disk.medium);
        if step.leaves.is_some() {
            let from = replicas.entry((step.from_node, medium(step.from))).or_default();
            *from = from.saturating_sub(1);
        }
        *replicas.entry((step.to_node, medium(step.to))).or_default() += 1;
    }
    let after = score::scores_of(after, &replicas);
    let pairs = before.iter().zip(&after);
    pairs
        .map(|(before, after): (&Score, &Score)| NodeChange {
            node: before.node,
            host: host(world, before.node),
            medium: before.medium,
            score_before: before.score,
            score_after: after.score,
            replicas_before: before.replica_num,
            replicas_after: after.replica_num,
            used_percent_before: before.used_percent,
            used_percent_after: after.used_percent,
        })
        .collect()
}

/// Seconds to the end. The disk with most to do decides: at best its slots add up, at worst one copy runs at a time, and
/// a limit in force holds either way. Rates that were measured are taken a quarter wider.
fn eta(world: &World, task_type: TaskType, flows: &BTreeMap<DiskId, Flow>, rates: &Rates) -> (u64, u64) {
    let slots = u64::from(slots::limit(&world.knobs, task_type)).max(1);
    let limit = world.knobs.copy_limits().of(task_type).disk;
    let capped = |rate: u64| if limit == 0 { rate } else { rate.min(limit) }.max(1);
    let (mut least, mut most) = (0u64, 0u64);
    for (id, flow) in flows {
        let (slow, fast) = rates.of(*id).map_or(UNMEASURED, |rate| (rate - rate / 4, rate.saturating_add(rate / 4)));
        let bytes = flow.bytes_in.saturating_add(flow.bytes_out);
        let ms = |rate: u64| u64::try_from(u128::from(bytes) * 1000 / u128::from(rate)).unwrap_or(u64::MAX);
        let best = ms(capped(fast.saturating_mul(slots))).max(flow.copies * EACH_MS.0 / slots);
        least = least.max(best);
        most = most.max(ms(capped(slow)).saturating_add(flow.copies * EACH_MS.1));
    }
    match flows.is_empty() {
        true => (0, 0),
        false => (least / 1000, most / 1000 + TAIL_S),
    }
}

/// The fewest complete copies of any tablet that is touched.
fn copies_min(world: &World, steps: &[Step]) -> Option<u32> {
    let tablets: BTreeSet<TabletId> = steps.iter().map(|step| step.tablet).collect();
    let tablets = tablets.into_iter().filter_map(|id| world.tablets.get(id));
    tablets.map(|tablet| count(world, tablet).complete).min()
}
