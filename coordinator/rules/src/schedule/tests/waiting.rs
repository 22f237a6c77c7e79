//! What waits, for what, and what ends running work.

use super::super::queue::Place;
use super::*;
use stele_common::status::Level;

/// Refusals name their rule with its numbers, and the tablet is looked at again when a disk has come.
#[test]
fn refusals_and_what_wakes_them() {
    let (mut shop, ids) = Shop::new(3, 1, 1);
    let lost = shop.sample.nodes()[0];
    shop.lose(lost);
    shop.pass(300_000);
    assert_eq!(shop.round(), []);
    assert_eq!(shop.reason(ids[0]), Some("no_destination"));
    for _ in 0..5 {
        shop.pass(60_000);
        assert_eq!(shop.round(), []);
    }
    let Some(Place::Later { until, .. }) = shop.desk.entry(ids[0]).map(|entry| entry.place.clone()) else {
        panic!("it stands back")
    };
    assert!(until.since(shop.sample.at) > 10_000, "longer each time");
    let told = crate::explain::tablet(&shop.sample.world, &shop.desk, ids[0], shop.sample.at, 0).expect("it is there");
    assert_eq!(told.waits_for.iter().map(|why| why.code.as_str()).collect::<Vec<_>>(), ["no_destination", "backoff"]);
    let refused = |told: &[stele_common::api::Candidate]| -> Vec<String> {
        told.iter().filter_map(|candidate| Some(candidate.refused.as_ref()?.code.clone())).collect()
    };
    assert_eq!(refused(&told.candidates), ["node_not_alive", "host_has_copy", "host_has_copy"]);
    shop.sample.host(1);
    assert_eq!(shop.round().len(), 1, "a disk has come: at once");
}

/// A failed copy is tried again later, and later each time.
#[test]
fn failures_back_off() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let lost = shop.sample.tablet(ids[0]).replicas[0].node;
    shop.lose(lost);
    shop.pass(300_000);
    for wait in [1_000, 2_000, 4_000, 8_000] {
        let made = shop.round();
        assert_eq!(made.len(), 1);
        shop.accept(&made[0]);
        shop.fail(ids[0]);
        assert_eq!(shop.round(), []);
        shop.pass(wait - 1);
        assert_eq!(shop.round(), [], "not before {wait} ms");
        shop.pass(1);
    }
    assert_eq!(shop.sample.world.history.len(), 4);
}

/// After a failed copy another source is asked first, and the first again after that one failed, too.
#[test]
fn a_failed_source_is_asked_last() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let replicas = shop.sample.tablet(ids[0]).replicas.clone();
    shop.lose(replicas[0].node);
    shop.pass(300_000);
    for expected in [replicas[1].id, replicas[2].id, replicas[1].id] {
        let made = shop.round();
        let [Proposal::Clone { source, .. }] = &made[..] else { panic!("{made:?}") };
        assert_eq!(*source, expected);
        shop.accept(&made[0]);
        shop.fail(ids[0]);
        shop.pass(10_000);
    }
}

/// A task ends when its node is lost, when nothing moves, and when it is late and slow; not while it moves fast.
#[test]
fn tasks_end() {
    let start = |bytes_done, ms| {
        let (mut shop, ids) = Shop::new(5, 1, 1);
        let lost = shop.sample.tablet(ids[0]).replicas[0].node;
        shop.lose(lost);
        shop.pass(300_000);
        let made = shop.round();
        shop.accept(&made[0]);
        shop.pass(ms);
        let task = shop.sample.world.tasks[&ids[0]].id;
        let at = shop.sample.at;
        let (tablet, bytes_total) = (ids[0], bytes_done * 2);
        shop.sample.apply(Change::TaskProgressed { tablet, task, bytes_done, bytes_total, at });
        (shop, ids[0])
    };
    let cause = |shop: &mut Shop| match &shop.round()[..] {
        [Proposal::Cancel { cause, .. }] => Some(cause.code()),
        [] => None,
        other => panic!("{other:?}"),
    };
    let (mut shop, _) = start(1_000, 179_000);
    assert_eq!(cause(&mut shop), None);
    let (mut shop, _) = start(1_000, 181_000);
    assert_eq!(cause(&mut shop), Some("timed_out"));
    let (mut shop, _) = start(181 << 20, 181_000);
    assert_eq!(cause(&mut shop), None, "faster than 1 MiB/s");
    let (mut shop, _) = start(1_000, 10);
    shop.pass(60_001);
    assert_eq!(cause(&mut shop), Some("stalled"));
    let (mut shop, tablet) = start(1_000, 10);
    let Work::Clone { source_node, .. } = shop.sample.world.tasks[&tablet].work else { panic!("a copy") };
    shop.lose(source_node);
    assert_eq!(cause(&mut shop), Some("node_lost"));
}

/// A full queue keeps the urgent: the idle give way, and are told so.
#[test]
fn the_urgent_evict_the_idle() {
    let (mut shop, ids) = Shop::new(5, 1, 4);
    std::sync::Arc::make_mut(&mut shop.sample.world.knobs).queue_max = 2;
    let of = |priority, status| Verdict {
        status,
        priority: Some(priority),
        ready_in_ms: 60_000,
        wanted: 3,
        alive: 2,
        complete: 2,
        stable: 2,
        in_tag: 2,
        replicas: 3,
    };
    use stele_common::Priority::{High, Normal};
    let normal = of(Normal, TabletStatus::ReplicaMissing);
    let told = shop.step(DeskEvent::Verdicts(ids[..3].iter().map(|id| (*id, normal)).collect()));
    let full = Reason::QueueFull { max: 2 };
    assert_eq!(told, [DeskAction::Explain { tablet: ids[2], reason: full.clone() }]);
    let told = shop.step(DeskEvent::Verdicts(vec![(ids[3], of(High, TabletStatus::ReplicaMissing))]));
    assert_eq!(told, [DeskAction::Explain { tablet: ids[1], reason: full }]);
    assert_eq!(shop.desk.pending().map(|entry| entry.tablet).collect::<Vec<_>>(), [ids[3], ids[0]]);
}

/// Below STEADY nothing is proposed.
#[test]
fn the_level_holds_back() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let replica = shop.sample.replicas(ids[0])[0];
    shop.sample.bad(ids[0], replica);
    for level in [Level::Stopped, Level::Blind, Level::Freezed] {
        shop.sample.apply(Change::LevelTurned { level, cause: None });
        assert_eq!(shop.round(), []);
    }
    shop.sample.apply(Change::LevelTurned { level: Level::Steady, cause: None });
    assert_eq!(shop.round().len(), 1);
}

/// A proposal refused for its revision is decided again at once; another refusal stands back.
#[test]
fn answers() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let replica = shop.sample.replicas(ids[0])[0];
    shop.sample.bad(ids[0], replica);
    assert_eq!(shop.round().len(), 1);
    let refuse = |reason| DeskEvent::Answered { tablet: ids[0], answer: Err(reason) };
    shop.step(refuse(Reason::RevisionMoved { tablet: ids[0] }));
    assert_eq!(shop.round().len(), 1);
    shop.step(refuse(Reason::LoadCountsIt { replica }));
    assert_eq!(shop.round(), []);
    assert_eq!(shop.reason(ids[0]), Some("load_counts_it"));
    shop.pass(1_000);
    assert_eq!(shop.round().len(), 1);
    shop.pass(FLIGHT_MS);
    assert_eq!(shop.round().len(), 1, "an answer that never came is not waited for");
}

/// A deletion whose other copies go missing is called off.
#[test]
fn a_deletion_is_called_off() {
    let (mut shop, ids) = Shop::new(5, 1, 1);
    let disk = shop.sample.disks_of(*shop.sample.nodes().last().expect("five"))[0];
    let extra = shop.sample.replica_on(ids[0], disk, ReplicaState::Normal);
    shop.sample.see(ids[0], extra, Version(1));
    let deleted = shop.round();
    let [Proposal::Delete { victim, .. }] = &deleted[..] else { panic!("{deleted:?}") };
    shop.accept(&deleted[0]);
    let other = shop.sample.replicas(ids[0]).into_iter().find(|replica| replica != victim).expect("four");
    shop.sample.bad(ids[0], other);
    let ended = shop.round();
    let [Proposal::Cancel { cause: Reason::CopiesLost { complete: 2, wanted: 3 }, .. }] = &ended[..] else {
        panic!("{ended:?}")
    };
}
