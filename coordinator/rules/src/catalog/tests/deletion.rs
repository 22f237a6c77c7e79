//! What may be deleted, on what evidence, and what undoes it.

use super::*;
use crate::world::LoadPhase;
use stele_common::{Liveness, ReplicaState};

/// Four complete copies where three are wanted; the fourth is the victim.
fn surplus() -> (Play, TabletId, Vec<ReplicaId>) {
    let (mut play, tablet) = Play::loaded(3);
    play.surplus(tablet);
    let replicas = play.sample.replicas(tablet);
    (play, tablet, replicas)
}

/// A good one goes only when n others have answered this decision, and then at once.
#[test]
fn a_good_surplus_goes_on_evidence() {
    let (mut play, tablet, replicas) = surplus();
    let task = play.delete(tablet, replicas[3]).unwrap();
    assert_eq!(play.sample.replica(tablet, replicas[3]).state, ReplicaState::Decommission);
    for (index, replica) in replicas[..3].iter().enumerate() {
        assert!(play.sample.replicas(tablet).contains(&replicas[3]), "after {index} answers");
        play.confirms(tablet, *replica, task - 1);
        assert!(play.sample.replicas(tablet).contains(&replicas[3]), "an answer to another question");
        let actions = play.confirms(tablet, *replica, task);
        assert_eq!(names(&actions), if index == 2 { vec!["drop"] } else { vec![] });
    }
    assert_eq!(play.sample.replicas(tablet), replicas[..3]);
    assert!(!play.world().tasks.contains_key(&tablet));
    assert!(play.world().condemned.contains(&(tablet, replicas[3])));
}

/// The answers of the victim, of another life, and about another version are no evidence.
#[test]
fn what_is_no_evidence() {
    let (mut play, tablet, replicas) = surplus();
    let task = play.delete(tablet, replicas[3]).unwrap();
    for replica in &replicas[..2] {
        play.confirms(tablet, *replica, task);
    }
    play.confirms(tablet, replicas[3], task);
    let known = play.sample.replica(tablet, replicas[2]).clone();
    let (replica, version) = (replicas[2], Version(0));
    let hash = hash_of(tablet, version);
    play.delta(known.node, vec![Fact::Confirmed { tablet, replica, version, hash, nonce: task }]);
    let other = play.sample.replica(tablet, replicas[0]).node;
    let version = Version(1);
    let hash = hash_of(tablet, version);
    play.delta(other, vec![Fact::Confirmed { tablet, replica, version, hash, nonce: task }]);
    play.confirms(tablet, replicas[2], task);
    assert_eq!(play.sample.replicas(tablet), replicas[..3], "the right answer ends it");
}

/// An answer counts for the life that gave it only.
#[test]
fn evidence_of_an_earlier_life() {
    let (mut play, tablet, replicas) = surplus();
    let task = play.delete(tablet, replicas[3]).unwrap();
    for replica in &replicas[..2] {
        play.confirms(tablet, *replica, task);
    }
    let node = play.sample.replica(tablet, replicas[0]).node;
    play.happens(EventBody::NodeTurned { node, liveness: Liveness::Silent });
    play.returns(node, 77);
    let fact = Fact::Replica(play.fact(tablet, replicas[0], 1));
    play.full(node, vec![fact]);
    play.confirms(tablet, replicas[2], task);
    assert!(play.sample.replicas(tablet).contains(&replicas[3]), "the first has not answered in this life");
    play.confirms(tablet, replicas[0], task);
    assert!(!play.sample.replicas(tablet).contains(&replicas[3]));
}

/// What the guard refuses, each with its reason.
#[test]
fn the_guard() {
    type Spoil = fn(&mut Play, TabletId, &[ReplicaId]);
    let cases: [(&str, Spoil, usize, Result<(), &str>); 9] = [
        ("a good surplus", |_, _, _| {}, 3, Ok(())),
        ("no surplus", |play, t, r| play.sample.bad(t, r[3]), 0, Err("not_proven")),
        ("bad, others complete", |play, t, r| play.sample.bad(t, r[0]), 0, Ok(())),
        ("bad, none complete", |play, t, r| r.iter().for_each(|id| play.sample.bad(t, *id)), 0, Err("last_complete")),
        (
            "the last complete one",
            |play, t, r| r[1..].iter().for_each(|id| play.sample.bad(t, *id)),
            0,
            Err("last_complete"),
        ),
        ("on a lost node", |play, t, r| turn(play, t, r[0], Liveness::Lost), 0, Ok(())),
        ("on a silent node", |play, t, r| turn(play, t, r[0], Liveness::Silent), 0, Ok(())),
        (
            "a holder that a version cannot spare",
            |play, t, r| {
                play.sample.commit(t, &r[..2]);
                turn(play, t, r[0], Liveness::Lost)
            },
            0,
            Err("too_few_holders"),
        ),
        (
            "counted by a load",
            |play, _, _| {
                play.open("a", &[0]).unwrap();
            },
            3,
            Err("load_counts_it"),
        ),
    ];
    for (name, spoil, victim, expected) in cases {
        let (mut play, tablet, replicas) = surplus();
        spoil(&mut play, tablet, &replicas);
        play.log = replay::as_changes(play.world());
        let before = durable(play.world());
        let got = play.delete(tablet, replicas[victim]);
        assert_eq!(got.as_ref().map(|_| ()).map_err(|reason| reason.code()), expected, "{name}");
        assert_eq!(durable(play.world()) == before, expected.is_err(), "{name}");
    }
}

fn turn(play: &mut Play, tablet: TabletId, replica: ReplicaId, liveness: Liveness) {
    let node = play.sample.replica(tablet, replica).node;
    play.sample.turn(node, liveness);
}

/// A bad one goes at once and its bytes to the trash; one on a lost node leaves the catalog and nothing is touched.
#[test]
fn useless_ones_go_at_once() {
    for (lost, expected) in [(false, vec!["drop"]), (true, vec![])] {
        let (mut play, tablet) = Play::loaded(3);
        let replica = play.sample.replicas(tablet)[0];
        if lost {
            turn(&mut play, tablet, replica, Liveness::Lost)
        } else {
            play.sample.bad(tablet, replica)
        }
        play.log = replay::as_changes(play.world());
        let revision = play.sample.tablet(tablet).revision;
        let (status, priority, victim) = (TabletStatus::ForceRedundant, Priority::VeryHigh, replica);
        let proposal = Proposal::Delete { tablet, revision, status, priority, victim };
        assert_eq!(names(&play.happens(EventBody::Propose(proposal))), expected);
        assert!(!play.sample.replicas(tablet).contains(&replica));
        assert!(play.world().tasks.is_empty());
    }
}

/// Without evidence in time the victim is a full member again; so it is when others become too few.
#[test]
fn undone() {
    let (mut play, tablet, replicas) = surplus();
    play.delete(tablet, replicas[3]).unwrap();
    let asked = names(&play.passes(6_000)).iter().filter(|name| **name == "confirm").count();
    assert_eq!(asked, 3, "witnesses are asked again");
    play.passes(60_000);
    assert_eq!(play.sample.replica(tablet, replicas[3]).state, ReplicaState::Normal);
    assert!(play.world().tasks.is_empty());

    let task = play.delete(tablet, replicas[3]).unwrap();
    play.sample.bad(tablet, replicas[0]);
    play.passes(1_000);
    assert_eq!(play.sample.replica(tablet, replicas[3]).state, ReplicaState::Normal);
    for replica in &replicas[..3] {
        play.confirms(tablet, *replica, task);
    }
    assert_eq!(play.sample.replicas(tablet), replicas, "late answers to a decision that was undone");
}

/// A version that was committed meanwhile must be with the witnesses before the victim goes.
#[test]
fn counted_from_the_committed_version() {
    let (mut play, tablet, replicas) = surplus();
    let task = play.delete(tablet, replicas[3]).unwrap();
    let opened = play.open("a", &[0]).unwrap();
    assert!(!play.key("a").tablets[&tablet].members.contains(&replicas[3]), "no new load counts it");
    for replica in &replicas[..3] {
        play.prepares(opened.load, &opened.tablets[0], *replica);
    }
    play.happens(EventBody::CommitLoad { key: LoadKey("a".into()) });
    for replica in &replicas[..3] {
        play.confirms(tablet, *replica, task);
    }
    assert!(play.sample.replicas(tablet).contains(&replicas[3]), "they are not at the committed version");
    for replica in &replicas[..3] {
        play.sees(tablet, *replica, 2);
        play.confirms(tablet, *replica, task);
    }
    assert_eq!(play.key("a").phase, LoadPhase::Visible);
    assert_eq!(play.sample.replicas(tablet), replicas[..3]);
}

/// Receipts that are too old are renewed before anything goes.
#[test]
fn old_receipts_are_renewed() {
    let (mut play, tablet, replicas) = surplus();
    let node = play.sample.replica(tablet, replicas[1]).node;
    let fact = ReplicaFact { verified_age_ms: None, ..play.fact(tablet, replicas[1], 1) };
    play.delta(node, vec![Fact::Replica(fact)]);
    let revision = play.sample.tablet(tablet).revision;
    let (status, priority, victim) = (TabletStatus::Redundant, Priority::VeryHigh, replicas[3]);
    let actions = play.happens(EventBody::Propose(Proposal::Delete { tablet, revision, status, priority, victim }));
    assert_eq!(names(&actions), ["confirm", "confirm", "verify", "confirm"]);
    let Answer::Started(task) = *answer(&actions) else { panic!() };
    for replica in &replicas[..3] {
        play.confirms(tablet, *replica, task.0);
    }
    assert!(play.sample.replicas(tablet).contains(&replicas[3]));
    play.sees(tablet, replicas[1], 1);
    play.passes(1_000);
    assert!(!play.sample.replicas(tablet).contains(&replicas[3]));
}

/// A restart between decision and evidence: the decision is taken up again, the answers are asked for anew.
#[test]
fn a_restart_in_between() {
    let (mut play, tablet, replicas) = surplus();
    let task = play.delete(tablet, replicas[3]).unwrap();
    play.confirms(tablet, replicas[0], task);
    play.restarts();
    for (index, replica) in replicas.iter().enumerate() {
        let node = play.sample.replica(tablet, *replica).node;
        play.returns(node, 60 + index as u64);
        let fact = Fact::Replica(play.fact(tablet, *replica, 1));
        play.full(node, vec![fact]);
    }
    let asked = names(&play.passes(6_000)).iter().filter(|name| **name == "confirm").count();
    assert!(asked >= 3);
    assert!(play.sample.replicas(tablet).contains(&replicas[3]), "an answer from before the restart is none");
    for replica in &replicas[..3] {
        play.confirms(tablet, *replica, task);
    }
    assert_eq!(play.sample.replicas(tablet), replicas[..3]);
}

/// Three wanted, and no host but two: the pair on the second host counts once.
fn pair() -> (Play, TabletId, Vec<ReplicaId>) {
    let mut sample = Sample::new(3, 1);
    let tablet = sample.table(3, 1)[0];
    sample.load_all(tablet);
    let nodes = sample.nodes();
    let host = sample.world.nodes[&nodes[1]].host.clone();
    sample.world.nodes.get_mut(&nodes[2]).unwrap().host = host;
    let replicas = sample.replicas(tablet);
    (Play::new(sample), tablet, replicas)
}

/// Where every host holds a copy and one holds two, one of the two leaves once all others that count are proven, though
/// they are fewer than wanted; a single host's only copy does not.
#[test]
fn one_of_two_on_a_host_leaves_a_full_house() {
    let (mut play, tablet, replicas) = pair();
    assert_eq!(play.delete(tablet, replicas[0]), Err(Reason::NotProven { proven: 1, needed: 3 }));
    let task = play.delete(tablet, replicas[2]).unwrap();
    play.confirms(tablet, replicas[0], task);
    assert!(play.sample.replicas(tablet).contains(&replicas[2]), "its fellow has not answered");
    let actions = play.confirms(tablet, replicas[1], task);
    assert_eq!(names(&actions), ["drop"]);
    assert_eq!(play.sample.replicas(tablet), replicas[..2]);
}

/// It stays when its fellow is worth nothing, when a quorum of holders would not be left, when another host is free, and
/// when a copy is lost while it is on its way out.
#[test]
fn one_of_two_on_a_host_stays() {
    let (mut play, tablet, replicas) = pair();
    play.sample.bad(tablet, replicas[1]);
    let too_few = Reason::TooFewHolders { version: Version(1), holders: 1, needed: 2 };
    assert_eq!(play.delete(tablet, replicas[2]), Err(too_few), "its fellow is bad");

    let (mut play, tablet, replicas) = pair();
    play.sample.host(1);
    assert_eq!(play.delete(tablet, replicas[2]), Err(Reason::NotProven { proven: 2, needed: 3 }), "a host is free");

    let (mut play, tablet, replicas) = pair();
    let lost = play.sample.replica(tablet, replicas[0]).node;
    play.sample.turn(lost, Liveness::Silent);
    assert_eq!(play.delete(tablet, replicas[2]), Err(Reason::NotProven { proven: 1, needed: 3 }), "no quorum");

    let (mut play, tablet, replicas) = pair();
    let task = play.delete(tablet, replicas[2]).unwrap();
    play.confirms(tablet, replicas[0], task);
    let lost = play.sample.replica(tablet, replicas[0]).node;
    play.sample.turn(lost, Liveness::Silent);
    play.confirms(tablet, replicas[1], task);
    assert!(play.sample.replicas(tablet).contains(&replicas[2]), "one was lost on the way");
    let running = &play.world().tasks[&tablet];
    let end = crate::schedule::lifecycle::end_of(play.world(), running, play.sample.at);
    assert_eq!(end, Some(Reason::CopiesLost { complete: 1, wanted: 3 }));
}
