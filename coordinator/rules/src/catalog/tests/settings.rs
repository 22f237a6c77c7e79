//! Knobs and the level, set while the coordinator runs.

use super::*;
use stele_common::config::knobs::Value;
use stele_common::status::Level;

fn set(play: &mut Play, name: &str, value: &str) -> Result<(), Reason> {
    let ask = api::KnobAsk { value: Value::Text(value.into()), by: "ann".into(), reason: "test".into() };
    match answer(&play.happens(EventBody::SetKnob { name: name.into(), ask })) {
        Answer::Done => Ok(()),
        Answer::Refused(reason) => Err(reason.clone()),
        other => panic!("{other:?}"),
    }
}

/// What is set is in force at once, goes on record, and is taken back to what the file says.
#[test]
fn knobs_are_set() {
    let (mut play, _) = Play::loaded(3);
    let record = play.log.len();
    set(&mut play, "assign_delay_ms", "30m").unwrap();
    set(&mut play, "meta.lb.assign_delay_ms", "5s").unwrap();
    assert_eq!(play.world().knobs.assign_delay_ms, 5_000);
    set(&mut play, "tablet_sched_repair_delay_factor_second", "60").unwrap();
    let knobs = &play.world().knobs;
    assert_eq!((knobs.assign_delay_ms, knobs.assign_delay_below_majority_ms), (120_000, 60_000));
    set(&mut play, "assign_delay_ms", "DEFAULT").unwrap();
    assert_eq!(play.world().knobs.assign_delay_ms, RepairKnobs::default().assign_delay_ms);
    assert_eq!((play.log.len() - record, play.world().settings.history.len()), (5, 5));
    let last = play.world().settings.history.back().unwrap();
    assert_eq!((last.by.as_str(), &last.value), ("ann", &None));
}

/// Each refusal has its code and writes nothing down.
#[test]
fn knobs_are_refused() {
    let (mut play, _) = Play::loaded(3);
    let record = play.log.len();
    for (name, value, code, says) in [
        ("no_such_knob", "1", "no_such_knob", "no_such_knob"),
        ("keep_versions", "0", "bad_knob", "range 1.."),
        ("keep_versions", "many", "bad_knob", "whole number"),
        ("lease_ms", "5000", "bad_knob", "restart"),
        ("lost_ms", "6s", "bad_knob", "lease_ms must be below lost_ms"),
        ("task_timeout_min_ms", "3h", "bad_knob", "above task_timeout_max_ms"),
    ] {
        let reason = set(&mut play, name, value).unwrap_err();
        assert_eq!(reason.code(), code, "{name}");
        assert!(reason.detail().contains(says), "{name}: {reason}");
    }
    assert_eq!(play.log.len(), record);
}

/// People can mend knobs and level at any level that they chose, but write nothing into a store that is old.
#[test]
fn at_every_level() {
    let (mut play, _) = Play::loaded(3);
    let level = |play: &mut Play, level| {
        let ask = api::LevelAsk { level, by: "ann".into(), reason: String::new() };
        answer(&play.happens(EventBody::SetLevel(ask))).clone()
    };
    for to in [Level::Stopped, Level::Blind, Level::Freezed, Level::Steady] {
        assert!(matches!(level(&mut play, to), Answer::Done), "{to}");
        set(&mut play, "assign_delay_ms", "1s").unwrap();
        assert_eq!(crate::level::in_force(play.world()), to);
    }
    let before = durable(play.world());
    play.happens(EventBody::HigherEpoch { node: None, epoch: play.world().epoch.next() });
    assert!(matches!(level(&mut play, Level::Lively), Answer::Refused(Reason::StoreIsOld { .. })));
    assert_eq!(set(&mut play, "assign_delay_ms", "2s").unwrap_err().code(), "store_is_old");
    assert_eq!(durable(play.world()), before);
}

/// A store that turns out to be old while people hold everything down is known as such when they let go.
#[test]
fn an_old_store_under_a_level() {
    let (mut play, _) = Play::loaded(3);
    let ask = api::LevelAsk { level: Level::Blind, by: "ann".into(), reason: String::new() };
    play.happens(EventBody::SetLevel(ask));
    play.happens(EventBody::HigherEpoch { node: None, epoch: play.world().epoch.next() });
    assert_eq!(play.world().level, Level::Blind);
}

/// What was told while we were to be blind is judged when we see again: everybody is asked anew, and a damage that was
/// known already is no old news. (Found by the simulator, seed 314.)
#[test]
fn what_was_told_to_the_blind() {
    let (mut play, tablet) = Play::loaded(3);
    let level = |level| EventBody::SetLevel(api::LevelAsk { level, by: "ann".into(), reason: String::new() });
    play.happens(level(Level::Blind));
    let replica = play.sample.replicas(tablet)[0];
    let node = play.sample.replica(tablet, replica).node;
    let fact = ReplicaFact { bad: Some("`f2`: digest mismatch".into()), ..play.fact(tablet, replica, 1) };
    play.delta(node, vec![Fact::Replica(fact.clone())]);
    assert_eq!(play.sample.replica(tablet, replica).bad, None, "the blind record nothing");
    let actions = play.happens(level(Level::Lively));
    let asked = actions.iter().filter(|action| matches!(action, Action::AskFullReport { .. })).count();
    assert_eq!(asked, 3, "everybody tells it again");
    play.full(node, vec![Fact::Replica(fact)]);
    assert_eq!(play.sample.replica(tablet, replica).bad.as_deref(), Some("`f2`: digest mismatch"));
    let actions = play.happens(level(Level::Steady));
    assert!(actions.iter().all(|action| !matches!(action, Action::AskFullReport { .. })), "it saw before");
}

/// At FREEZED no table is made and none re-shaped; one may be dropped.
#[test]
fn tables_while_freezed() {
    let (mut play, _) = Play::loaded(4);
    let ask = api::LevelAsk { level: Level::Freezed, by: String::new(), reason: String::new() };
    play.happens(EventBody::SetLevel(ask));
    let wish = api::TableSet { replication: Some(2), ..api::TableSet::default() };
    let bodies = [
        EventBody::SetTable { db: "d".into(), name: "t1".into(), wish },
        EventBody::CreateTable(api::TableCreate {
            db: "d".into(),
            name: "t2".into(),
            replication: 3,
            buckets: 1,
            medium: stele_common::Medium::Hdd,
            partitions: vec![],
            tag: None,
            colocate: None,
        }),
    ];
    for body in bodies {
        assert!(matches!(answer(&play.happens(body)), Answer::Refused(Reason::LevelForbids { .. })));
    }
    assert!(matches!(answer(&play.happens(EventBody::DropTable { db: "d".into(), name: "t1".into() })), Answer::Done));
}

/// At STEADY a stray stays where it is; at LIVELY it goes once enough others are proven.
#[test]
fn strays_while_steady() {
    for (level, goes) in [(Level::Steady, false), (Level::Lively, true)] {
        let (mut play, tablet) = Play::loaded(4);
        play.happens(EventBody::SetLevel(api::LevelAsk { level, by: String::new(), reason: String::new() }));
        let node = play.sample.nodes()[3];
        let disk = *play.world().disks.iter().find(|(_, disk)| disk.node == node).unwrap().0;
        let replica = ReplicaId(9_999);
        let fact = fact_of(tablet, replica, disk, Version(1));
        play.report(node, ReportKind::Delta, vec![Fact::Replica(fact)]);
        play.passes(10_000);
        assert_eq!(play.world().rounds.contains_key(&replica), goes, "{level}");
    }
}
