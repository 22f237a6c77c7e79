//! Which level is in force, and what it forbids.

use super::*;
use crate::Change;
use crate::sample::Sample;
use crate::world::{Lease, LevelSetting};
use std::sync::Arc;

fn turn(sample: &mut Sample, node: usize, liveness: Liveness) {
    let (id, at) = (*sample.world.nodes.keys().nth(node).unwrap(), sample.at);
    sample.apply(Change::NodeLive { node: id, liveness, at });
}

fn set(sample: &mut Sample, level: Level) {
    let setting = LevelSetting { level, by: "ann".into(), reason: "rehearsal".into(), wall_ms: 1 };
    sample.apply(Change::LevelSet { setting });
}

/// Less than half alive freezes, exactly half does not; who leaves as planned does not count; it lifts by itself.
#[test]
fn auto_freeze_by_percent() {
    for (nodes, away, freezes) in
        [(1, 0, false), (1, 1, true), (2, 1, false), (3, 1, false), (3, 2, true), (4, 2, false), (5, 3, true)]
    {
        for liveness in [Liveness::Silent, Liveness::Lost] {
            let mut sample = Sample::new(nodes, 1);
            (0..away).for_each(|node| turn(&mut sample, node, liveness));
            assert_eq!(auto_freeze(&sample.world).is_some(), freezes, "{away} of {nodes} {liveness}");
            assert_eq!(in_force(&sample.world) == Level::Freezed, freezes);
            assert_eq!(forbids_balance(&sample.world).is_some(), freezes);
            assert_eq!(forbids_work(&sample.world), None, "loads go on");
            (0..away).for_each(|node| turn(&mut sample, node, Liveness::Alive));
            assert_eq!(in_force(&sample.world), Level::Lively);
        }
    }
}

/// Draining and maintained nodes that are away freeze nothing; with them counted it would.
#[test]
fn planned_leavers() {
    let mut sample = Sample::new(3, 1);
    (0..2).for_each(|node| turn(&mut sample, node, Liveness::Lost));
    let reason = forbids_repair(&sample.world).expect("one of three");
    assert_eq!(reason, Reason::AutoFreezed { alive: 1, nodes: 3, percent: 50, least: 1 });
    assert_eq!(cause(&sample.world), Some(reason));
    let nodes: Vec<NodeId> = sample.world.nodes.keys().copied().collect();
    let mut drained = Sample { world: sample.world.clone(), ..Sample::new(3, 1) };
    drained.apply(Change::NodeDrained { node: nodes[0], on: true });
    assert_eq!(forbids_repair(&drained.world), None, "one of two that stay");
    let scope = LeaseScope::Maintenance { node: nodes[0] };
    let (owner, reason) = (String::new(), String::new());
    let lease = Lease { id: 1, scope, owner, reason, until_wall_ms: Some(9), until: None };
    sample.apply(Change::LeaseGranted { lease, at: sample.at, wall_ms: 0 });
    assert_eq!(forbids_repair(&sample.world), None, "one of two that should be there");
}

/// Nobody is called missing in a new leadership's grace; after it, who was not heard is.
#[test]
fn grace_of_a_leadership() {
    let mut sample = Sample::new(3, 1);
    sample.apply(Change::LeadershipBegan { at: sample.at, wall_ms: 0 });
    assert_eq!(auto_freeze(&sample.world), None);
    (0..3).for_each(|node| turn(&mut sample, node, Liveness::Lost));
    assert!(auto_freeze(&sample.world).is_some());
}

/// A least number of live nodes freezes by itself, percent or not.
#[test]
fn auto_freeze_by_count() {
    let mut sample = Sample::new(3, 1);
    Arc::make_mut(&mut sample.world.knobs).min_live_node_count_for_unfreeze = 3;
    assert_eq!(auto_freeze(&sample.world), None);
    turn(&mut sample, 0, Liveness::Lost);
    assert!(auto_freeze(&sample.world).is_some());
}

/// What each level forbids: the rows of docs/LEVELS.md.
#[test]
fn rows_of_levels() {
    for (level, everything, work, reshaping, repair, balance, clearing) in [
        (Level::Stopped, true, true, true, true, true, true),
        (Level::Blind, false, true, true, true, true, true),
        (Level::Freezed, false, false, true, true, true, true),
        (Level::Steady, false, false, false, false, true, true),
        (Level::Lively, false, false, false, false, false, false),
    ] {
        let mut sample = Sample::new(3, 1);
        set(&mut sample, level);
        let world = &sample.world;
        let forbids = |rule: fn(&World) -> Option<Reason>| rule(world).is_some();
        let rules =
            [forbids_everything, forbids_work, forbids_reshaping, forbids_repair, forbids_balance, forbids_clearing];
        assert_eq!(rules.map(forbids), [everything, work, reshaping, repair, balance, clearing], "{level}");
        assert_eq!((in_force(world), cause(world).is_some()), (level, level != Level::Lively));
        assert_eq!(store_is_old(world), None);
        if let Some(cause) = cause(world) {
            assert!(cause.detail().contains("set by ann: rehearsal"), "{cause}");
        }
    }
}

/// The lowest holds: people cannot lift what an old store or too few nodes hold down.
#[test]
fn the_lowest_holds() {
    let mut sample = Sample::new(3, 1);
    (0..2).for_each(|node| turn(&mut sample, node, Liveness::Lost));
    set(&mut sample, Level::Blind);
    assert_eq!(in_force(&sample.world), Level::Blind);
    set(&mut sample, Level::Lively);
    assert_eq!(in_force(&sample.world), Level::Freezed);
    let reason = Reason::NowHealthy;
    sample.apply(Change::LevelTurned { level: Level::Blind, cause: Some(reason.clone()) });
    assert_eq!((in_force(&sample.world), cause(&sample.world)), (Level::Blind, Some(reason)));
}
