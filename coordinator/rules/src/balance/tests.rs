//! Whole plans: named houses, random ones, and tiny ones in which every other plan is tried.

mod house;
mod property;

use super::moves::{Scope, next_moves, still_worth};
use super::plan::{Method, Plan, plan};
use crate::schedule::slots::Ledger;
use house::House;
use std::collections::BTreeSet;
use stele_common::{Medium, TabletId};

/// The threshold of these houses.
const THRESHOLD: f64 = 0.1;

fn spread(plan: &Plan) -> f64 {
    plan.after.values().map(|after| after.width()).fold(0.0, f64::max)
}

fn is_once(plan: &Plan) -> bool {
    let tablets: BTreeSet<TabletId> = plan.moves.iter().map(|mv| mv.tablet).collect();
    tablets.len() == plan.moves.len()
}

/// `nodes` nodes of one host and disk each.
fn plain(nodes: usize, total: u64) -> House {
    let node = |index| (index as u64, "default", vec![(false, total, 0)]);
    House { nodes: (0..nodes).map(node).collect(), ..House::default() }
}

fn one_empty() -> House {
    let mut house = plain(3, 1_000);
    house.tables = vec![(2, false, "default")];
    house.tablets = (0..60).map(|_| (0, 10, vec![(0, 0), (1, 0)])).collect();
    house
}

/// A third moves to the empty node, and the first step of it is what the live balancer does first.
#[test]
fn to_an_empty_node() {
    let house = one_empty();
    let found = house.plan();
    assert_eq!((found.moves.len(), found.bytes, found.bytes_lower_bound, spread(&found)), (40, 400, 400, 0.0));
    assert!(is_once(&found));
    let reading = house.reading();
    let scope = Scope::all(reading.at);
    assert_eq!(next_moves(&reading.world, &scope, 3).expect("it is uneven"), found.moves[..3]);
    let after = house.after(&found).reading();
    let idle = next_moves(&after.world, &scope, 3).expect_err("it is even");
    assert_eq!(idle.code(), "balance_idle");
    assert!(idle.detail().contains("differ by 0.0 %") && idle.detail().contains("10.0 %"), "{}", idle.detail());
}

/// What the plan says first is worth it now; afterwards neither that nor the way back is.
#[test]
fn worth_and_no_longer() {
    let house = one_empty();
    let reading = house.reading();
    let (scope, ledger) = (Scope::all(reading.at), Ledger::default());
    let found = plan(&reading.world, &scope);
    let first = &found.moves[0];
    assert_eq!(still_worth(&reading.world, &scope, &ledger, first), Ok(()));
    let after = house.after(&found).reading();
    let gone = still_worth(&after.world, &scope, &ledger, first).expect_err("it has moved");
    assert_eq!(gone.code(), "not_worth");
    let mut back = first.clone();
    (back.from_node, back.from, back.to_node, back.to) = (first.to_node, first.to, first.from_node, first.from);
    let back = still_worth(&after.world, &scope, &ledger, &back).expect_err("nothing moves back");
    assert_eq!(back.code(), "not_worth");
    let held = Scope { held_nodes: [first.to_node].into(), ..scope.clone() };
    assert_eq!(still_worth(&reading.world, &held, &ledger, first).expect_err("it is held").code(), "balance_held");
    assert!(plan(&reading.world, &held).moves.iter().all(|mv| mv.to_node != first.to_node));
    let table = reading.world.tablets.get(first.tablet).expect("it is there").table;
    let held = Scope { held_tables: [table].into(), ..scope };
    assert_eq!(plan(&reading.world, &held).idle.expect("nothing may move").code(), "nothing_evens");
}

/// The fullest may give to none but the second, which is too full for it, and that one to none but the third: the second
/// gives first, then the fullest to the second.
#[test]
fn over_a_third_disk() {
    let mut house = plain(4, 1_000);
    house.tables = vec![(3, false, "default"), (2, false, "default")];
    house.tablets = vec![(0, 70, vec![(0, 0), (2, 0), (3, 0)]), (1, 70, vec![(1, 0), (2, 0)])];
    // With what is not ours: 545, 480, 399, 400.
    for (node, foreign) in [475, 410, 259, 330].into_iter().enumerate() {
        house.nodes[node].2[0].2 = foreign;
    }
    let found = house.plan();
    let hops: Vec<(u64, u64)> = found.moves.iter().map(|mv| (mv.from_node.0, mv.to_node.0)).collect();
    assert_eq!((hops, found.method), (vec![(2, 4), (1, 2)], Method::Flow));
    assert!(spread(&found) < THRESHOLD && is_once(&found), "{}", spread(&found));
}

/// Three disks with 400, 300 and 300 of 1000, and no copy below 100: no single one evens anything. One of 150 goes, one of
/// 100 comes.
#[test]
fn few_huge_tablets() {
    let mut house = plain(3, 1_000);
    house.tables = vec![(1, false, "default")];
    let stood = [(150, 0), (150, 0), (100, 0), (150, 1), (150, 1), (100, 2), (100, 2), (100, 2)];
    house.tablets = stood.into_iter().map(|(bytes, node)| (0, bytes, vec![(node, 0)])).collect();
    let found = house.plan();
    let moves: Vec<(u64, &str)> = found.moves.iter().map(|mv| (mv.bytes, mv.why.as_str())).collect();
    assert_eq!(moves, [(150, "exchange"), (100, "usage")]);
    assert!((spread(&found) - 0.05).abs() < 1e-9, "{}", spread(&found));
    assert_eq!((found.bytes, found.bytes_usage), (250, 250));
    // Where what would come back may not move, nothing goes.
    let reading = house.reading();
    let (scope, ledger) = (Scope::all(reading.at), Ledger::default());
    assert_eq!(still_worth(&reading.world, &scope, &ledger, &found.moves[0]), Ok(()));
    let held = Scope { resting: [found.moves[1].replica].into(), ..scope };
    let refused = still_worth(&reading.world, &held, &ledger, &found.moves[0]).expect_err("half of it");
    assert_eq!(refused.code(), "balance_held");
}

/// Colocated, ill and altered tablets stay; so does everything on a medium that is even.
#[test]
fn media_are_apart() {
    let mut house = plain(3, 1_000);
    house.nodes.iter_mut().for_each(|node| node.2.push((true, 500, 0)));
    house.tables = vec![(2, false, "default"), (1, true, "default")];
    house.tablets = (0..60).map(|_| (0, 10, vec![(0, 0), (1, 0)])).collect();
    house.tablets.extend((0..30).map(|index| (1, 10, vec![(index % 3, 1)])));
    let found = house.plan();
    assert!(found.moves.iter().all(|mv| mv.tablet.0 < 100_060), "the even medium is left alone");
    assert_eq!(found.after[&Medium::Ssd], found.before[&Medium::Ssd]);
    assert_eq!((found.moves.len(), found.method), (40, Method::Greedy));
}

/// Tables with opposite skew change places although bytes are even, with not a byte more than that takes.
#[test]
fn opposite_skews() {
    let mut house = plain(4, 1_000);
    house.tables = vec![(2, false, "default"), (2, false, "default")];
    house.tablets = (0..20).map(|_| (0, 10, vec![(0, 0), (1, 0)])).collect();
    house.tablets.extend((0..20).map(|_| (1, 10, vec![(2, 0), (3, 0)])));
    let found = house.plan();
    let bounds = (found.bytes_lower_bound, found.bytes_lower_bound_fair);
    assert_eq!((found.bytes_usage, found.bytes, bounds), (0, 400, (0, 400)));
    let again = house.after(&found).plan();
    assert_eq!(again.moves, vec![], "it went to the end");
    let after = house.after(&found);
    let on_first = after.tablets.iter().flat_map(|(table, _, at)| at.iter().map(move |at| (*table, *at)));
    assert_eq!(on_first.filter(|(table, at)| (*table, at.0) == (0, 0)).count(), 10);
}
