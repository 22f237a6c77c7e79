//! A store that is only a little old: no id, no load and no epoch tells it, the count of its records does.

use super::*;
use stele_common::Epoch;
use stele_common::handshake::StoreMark;
use stele_common::status::Level;

fn mark(epoch: u64, sequence: u64) -> StoreMark {
    StoreMark { epoch: Epoch(epoch), sequence }
}

fn returns_with(play: &mut Play, node: NodeId, boot: u64, store_seen: StoreMark) -> handshake::Answer {
    let host = play.world().nodes[&node].host.clone();
    let hello = Hello { store_seen, ..play.hello_of(&host, boot, vec![]) };
    play.hello(hello)
}

/// Which marks our store can have given: anything up to the end of the leadership that gave it.
#[test]
fn marks_that_were_ours() {
    let (mut play, tablet) = Play::loaded(3);
    let replica = play.sample.replicas(tablet)[0];
    play.delta(play.sample.replica(tablet, replica).node, vec![]);
    play.restarts();
    let end_of_first = play.world().sequences[&Epoch(2)];
    play.happens(EventBody::DropTable { db: "d".into(), name: "t1".into() });
    let grace = play.world().knobs.lost_ms;
    play.passes(grace);
    let now = play.world().sequence;
    assert!(end_of_first < now, "{end_of_first} records, then {now}");
    let cases = [
        ("nothing told", mark(2, 0), false),
        ("all of the first", mark(1, end_of_first), false),
        ("more than the first had", mark(1, end_of_first + 1), true),
        ("of the second, that began with them", mark(2, end_of_first + 1), false),
        ("all of now", mark(2, now), false),
        ("more than now", mark(2, now + 1), true),
        ("of long ago", mark(0, 1), false),
        ("of a leadership after ours", mark(3, 1), true),
    ];
    for (name, mark, is_old) in cases {
        let mut play = Play { sample: play.sample.clone(), log: play.log.clone() };
        let node = play.sample.nodes()[0];
        let answer = returns_with(&mut play, node, 500, mark);
        assert!(matches!(answer, handshake::Answer::Welcome(_)), "{name}: it may report");
        assert_eq!(play.world().level == Level::Blind, is_old, "{name}: {:?}", play.world().level_cause);
        if is_old {
            let cause = play.world().level_cause.clone().map(|cause| cause.detail()).unwrap_or_default();
            assert!(cause.contains("was told of") && cause.contains(&node.to_string()), "{cause}");
        }
    }
}

/// Before the grace of a leadership is over it has told nobody anything: a mark that bears its number is another's,
/// whatever the count. (A copy of the store that lacked nothing but the beginning of the last leadership.)
#[test]
fn a_leadership_that_was_given_twice() {
    for (has_told, expected) in [(false, Level::Blind), (true, Level::Lively)] {
        let (mut play, _) = Play::loaded(3);
        play.restarts();
        let told = mark(play.world().epoch.0, play.world().sequence);
        let nodes = play.sample.nodes();
        if has_told {
            nodes[1..].iter().for_each(|node| play.returns(*node, 700));
            play.passes(play.world().knobs.lost_ms);
        }
        returns_with(&mut play, nodes[0], 900, told);
        assert_eq!(play.world().level, expected, "{has_told}");
    }
}

/// A copy of the store of some minutes ago, with no load and no restart since: found out by the first agent that
/// returns, whether one record is missing or many, and also when the true store had been restarted meanwhile.
#[test]
fn a_young_old_store() {
    for (lost, restarted) in [(1, false), (3, false), (1, true)] {
        let (mut play, tablet) = Play::loaded(4);
        let backup = play.log.clone();
        if restarted {
            play.restarts();
        }
        for _ in 0..lost {
            let replica = play.sample.replicas(tablet)[0];
            let change = Change::ReplicaBad { tablet, replica, cause: "rot".into() };
            play.sample.apply(change.clone());
            play.log.push(change);
        }
        let told = mark(play.world().epoch.0, play.world().sequence);
        let node = play.sample.nodes()[0];
        // The true store knows the mark, now and after a restart.
        let mut truly = Play { sample: play.sample.clone(), log: play.log.clone() };
        truly.restarts();
        returns_with(&mut truly, node, 900, told);
        assert_eq!(truly.world().level, Level::Lively, "{lost} lost, {restarted}");

        play.log = backup;
        play.restarts();
        assert!(play.world().epoch >= told.epoch, "no epoch tells it");
        returns_with(&mut play, node, 900, told);
        assert_eq!(play.world().level, Level::Blind, "{lost} lost, restarted {restarted}");
        assert_eq!(play.world().sequence_to_tell(), 0, "what a blind store counts is told to nobody");
    }
}

/// Nothing is told before the agents had a grace to object; a snapshot counts like the changes that it stands for.
#[test]
fn what_is_told() {
    let (mut play, tablet) = Play::loaded(3);
    play.restarts();
    assert_eq!(play.world().sequence_to_tell(), 0);
    play.passes(play.world().knobs.lost_ms + 1_000);
    let told = play.world().sequence_to_tell();
    assert_eq!(told, play.world().sequence);
    assert!(told > 0);
    let mut compacted = World::empty(std::sync::Arc::clone(&play.world().knobs));
    replay::as_changes(play.world()).iter().for_each(|change| compacted.apply(change));
    assert_eq!((compacted.sequence, &compacted.sequences), (play.world().sequence, &play.world().sequences));
    let change = Change::ReplicaBad { tablet, replica: play.sample.replicas(tablet)[0], cause: "rot".into() };
    compacted.apply(&change);
    assert_eq!(compacted.sequence, told + 1);
    let volatile = Change::Ticked { at: stele_common::Tick(1), swept: None };
    compacted.apply(&volatile);
    assert_eq!(compacted.sequence, told + 1);
}
