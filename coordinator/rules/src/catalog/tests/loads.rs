//! Loads in six steps, and every way in which one does not happen.

use super::*;
use crate::event::Target;
use crate::world::LoadPhase;
use stele_common::status::Level;
use stele_common::{Digest, DiskState, Liveness, LoadFact, LoadState, ReplicaState};

fn phase(play: &Play, key: &str) -> LoadPhase {
    play.key(key).phase.clone()
}

fn commit(play: &mut Play, key: &str) -> Vec<Action> {
    play.happens(EventBody::CommitLoad { key: LoadKey(key.into()) })
}

/// A world with a table of `buckets` tablets, three copies each, at version 1.
fn play(hosts: u64, buckets: u32) -> (Play, Vec<TabletId>) {
    let mut sample = Sample::new(hosts, 1);
    let tablets = sample.table(3, buckets);
    tablets.iter().for_each(|tablet| {
        sample.load_all(*tablet);
    });
    (Play::new(sample), tablets)
}

/// Step by step: nothing is committed before a quorum of every tablet has it, nothing visible before a quorum of
/// every tablet has installed it, and all tablets go together.
#[test]
fn all_or_nothing() {
    let (mut play, tablets) = play(4, 2);
    let opened = play.open("a", &[0, 1]).unwrap();
    assert_eq!(opened.tablets.len(), 2);
    commit(&mut play, "a");
    let quorum: Vec<(usize, usize)> = vec![(0, 0), (0, 1), (1, 0), (1, 1)];
    for (step, (part, member)) in quorum.iter().enumerate() {
        assert_eq!(phase(&play, "a"), LoadPhase::Open, "step {step}");
        let (tablet, part) = (tablets[*part], opened.tablets[*part].clone());
        let replica = play.sample.replicas(tablet)[*member];
        let actions = play.prepares(opened.load, &part, replica);
        let told = names(&actions).iter().filter(|name| **name == "commit").count();
        assert_eq!(told, if step == 3 { 4 } else { 0 }, "step {step}");
    }
    assert_eq!(phase(&play, "a"), LoadPhase::Committed);
    for tablet in &tablets {
        assert_eq!(
            (play.sample.tablet(*tablet).committed, play.sample.tablet(*tablet).visible),
            (Version(2), Version(1))
        );
    }
    for (part, member) in quorum {
        assert_eq!(phase(&play, "a"), LoadPhase::Committed);
        let replica = play.sample.replicas(tablets[part])[member];
        play.sees(tablets[part], replica, 2);
    }
    assert_eq!(phase(&play, "a"), LoadPhase::Visible);
    assert!(tablets.iter().all(|tablet| play.sample.tablet(*tablet).visible == Version(2)));
    // The third member missed the stream and is told nothing; whoever reports it later installs it all the same.
    let late = play.sample.replicas(tablets[0])[2];
    let actions = play.prepares(opened.load, &opened.tablets[0], late);
    assert_eq!(names(&actions), ["commit"]);
}

/// What is prepared under another ballot, for another parent, by another load or by a stranger does not count.
#[test]
fn what_does_not_count() {
    type Spoil = fn(&mut LoadFact);
    let cases: [(&str, Spoil); 6] = [
        ("another ballot", |fact| fact.ballot = fact.ballot.next()),
        ("another parent", |fact| fact.parent = Version(0)),
        ("another version", |fact| fact.version = Version(3)),
        ("another load", |fact| fact.load = LoadId(fact.load.0 - 1)),
        ("a stranger", |fact| fact.replica = ReplicaId(10_001)),
        ("failed", |fact| fact.state = LoadState::Failed { cause: "disk full".into() }),
    ];
    for (name, spoil) in cases {
        let (mut play, tablets) = play(3, 1);
        let opened = play.open("a", &[0]).unwrap();
        commit(&mut play, "a");
        let replicas = play.sample.replicas(tablets[0]);
        play.prepares(opened.load, &opened.tablets[0], replicas[0]);
        let known = play.sample.replica(tablets[0], replicas[1]).clone();
        let mut fact = prepared(opened.load, &opened.tablets[0], replicas[1], known.disk);
        spoil(&mut fact);
        for _ in 0..3 {
            play.delta(known.node, vec![Fact::Load(fact.clone())]);
        }
        assert_eq!(phase(&play, "a"), LoadPhase::Open, "{name}");
        play.prepares(opened.load, &opened.tablets[0], replicas[2]);
        assert_eq!(phase(&play, "a"), LoadPhase::Committed, "{name}");
    }
}

/// Members that disagree about what it becomes are no quorum.
#[test]
fn a_quorum_agrees_on_the_hash() {
    let (mut play, tablets) = play(3, 1);
    let opened = play.open("a", &[0]).unwrap();
    commit(&mut play, "a");
    for (index, replica) in play.sample.replicas(tablets[0]).into_iter().enumerate() {
        let known = play.sample.replica(tablets[0], replica).clone();
        let hash = Digest::of(&[index as u8]);
        let fact = LoadFact { hash, ..prepared(opened.load, &opened.tablets[0], replica, known.disk) };
        play.delta(known.node, vec![Fact::Load(fact)]);
    }
    assert_eq!(phase(&play, "a"), LoadPhase::Open);
}

/// A member that turned bad, or whose disk turned SUSPECT, or that lost what it staged, no longer counts.
#[test]
fn members_that_cannot_be_trusted() {
    type Spoil = fn(&mut Play, TabletId, ReplicaId);
    let cases: [(&str, Spoil); 3] = [
        ("bad", |play, tablet, replica| {
            let node = play.sample.replica(tablet, replica).node;
            let fact = ReplicaFact { bad: Some("rot".into()), ..play.fact(tablet, replica, 1) };
            play.delta(node, vec![Fact::Replica(fact)]);
        }),
        ("suspect", |play, tablet, replica| {
            let disk = play.sample.replica(tablet, replica).disk;
            play.sample.disk_state(disk, DiskState::Suspect);
        }),
        ("lost it", |play, tablet, replica| {
            let node = play.sample.replica(tablet, replica).node;
            let fact = Fact::Replica(play.fact(tablet, replica, 1));
            play.full(node, vec![fact]);
        }),
    ];
    for (name, spoil) in cases {
        let (mut play, tablets) = play(3, 1);
        let opened = play.open("a", &[0]).unwrap();
        let replicas = play.sample.replicas(tablets[0]);
        play.prepares(opened.load, &opened.tablets[0], replicas[0]);
        spoil(&mut play, tablets[0], replicas[0]);
        commit(&mut play, "a");
        play.prepares(opened.load, &opened.tablets[0], replicas[1]);
        assert_eq!(phase(&play, "a"), LoadPhase::Open, "{name}");
        play.prepares(opened.load, &opened.tablets[0], replicas[2]);
        assert_eq!(phase(&play, "a"), LoadPhase::Committed, "{name}");
        assert!(!play.sample.tablet(tablets[0]).versions[1].holders.contains(&replicas[0]), "{name}");
    }
}

/// When a quorum can no longer come about the client hears of it at once.
#[test]
fn a_hopeless_load_ends() {
    let (mut play, tablets) = play(3, 1);
    let opened = play.open("a", &[0]).unwrap();
    commit(&mut play, "a");
    for replica in &play.sample.replicas(tablets[0])[..2] {
        let known = play.sample.replica(tablets[0], *replica).clone();
        let fact = prepared(opened.load, &opened.tablets[0], *replica, known.disk);
        let fact = LoadFact { state: LoadState::Failed { cause: "disk full".into() }, ..fact };
        play.delta(known.node, vec![Fact::Load(fact)]);
    }
    assert!(matches!(phase(&play, "a"), LoadPhase::Aborted { cause: Reason::NoQuorum { complete: 1, needed: 2, .. } }));
}

/// A ballot that moves before the commit ends the load; after it, nothing does.
#[test]
fn a_moved_ballot_ends_an_open_load() {
    for committed in [false, true] {
        let (mut play, tablets) = play(4, 1);
        let opened = play.open("a", &[0]).unwrap();
        commit(&mut play, "a");
        let replicas = play.sample.replicas(tablets[0]);
        let members = if committed { &replicas[..2] } else { &replicas[..1] };
        for replica in members {
            play.prepares(opened.load, &opened.tablets[0], *replica);
        }
        play.sample.bad(tablets[0], replicas[2]);
        play.delete(tablets[0], replicas[2]).expect("it is bad and two others are complete");
        let expected = if committed {
            LoadPhase::Committed
        } else {
            LoadPhase::Aborted { cause: Reason::BallotMoved { tablet: tablets[0] } }
        };
        assert_eq!(phase(&play, "a"), expected);
        let actions = play.prepares(opened.load, &opened.tablets[0], replicas[1]);
        assert_eq!(names(&actions), [if committed { "commit" } else { "abort" }]);
    }
}

/// A copy that nobody is short of lands between two loads and ends none: with the commit, with the abort, or when it
/// has waited long enough. Where a copy is missing, the copy goes first.
#[test]
fn a_landing_waits_for_an_open_load() {
    for how in ["commit", "abort", "time", "short"] {
        let (mut play, tablets) = play(4, 1);
        let (tablet, replicas) = (tablets[0], play.sample.replicas(tablets[0]));
        let nodes: Vec<NodeId> = replicas.iter().map(|id| play.sample.replica(tablet, *id).node).collect();
        let node = play.sample.nodes().into_iter().find(|node| !nodes.contains(node)).unwrap();
        let target = Target::NewOn { node, disk: play.sample.disks_of(node)[0] };
        play.copy(tablet, replicas[0], target).unwrap();
        if how == "short" {
            play.sample.bad(tablet, replicas[2]);
        }
        let fresh = *play.sample.replicas(tablet).last().unwrap();
        let opened = play.open("a", &[0]).unwrap();
        commit(&mut play, "a");
        play.sees(tablet, fresh, 1);
        let landed = |play: &Play| play.sample.replica(tablet, fresh).state == ReplicaState::Normal;
        assert_eq!(landed(&play), how == "short", "{how}");
        let moved = LoadPhase::Aborted { cause: Reason::BallotMoved { tablet } };
        match how {
            "commit" => {
                for replica in &replicas[..2] {
                    play.prepares(opened.load, &opened.tablets[0], *replica);
                }
                assert_eq!(phase(&play, "a"), LoadPhase::Committed);
                assert!(landed(&play) && play.world().tasks.is_empty());
            }
            "abort" => {
                play.happens(EventBody::AbortLoad { key: play.key("a").key.clone() });
                assert_eq!(phase(&play, "a"), LoadPhase::Aborted { cause: Reason::LoadAborted });
                assert!(landed(&play) && play.world().tasks.is_empty());
            }
            "time" => {
                play.passes(30_000);
                play.sees(tablet, fresh, 1);
                assert!(landed(&play));
                assert_eq!(phase(&play, "a"), moved);
            }
            _ => assert_eq!(phase(&play, "a"), moved),
        }
    }
}

/// Repeating a load: what its key and content make of it.
#[test]
fn repeating_is_harmless() {
    let (mut play, tablets) = play(3, 2);
    let first = play.open("a", &[0]).unwrap();
    assert!(matches!(play.open("b", &[0, 1]), Err(Reason::TabletBusy { .. })), "another load on the tablet");
    let second = play.open("a", &[0]).unwrap();
    assert_ne!(first.load, second.load, "the client began anew");
    let replicas = play.sample.replicas(tablets[0]);
    assert_eq!(names(&play.prepares(first.load, &first.tablets[0], replicas[0])), ["abort"], "the earlier attempt");
    for replica in &replicas[..2] {
        play.prepares(second.load, &second.tablets[0], *replica);
    }
    assert_eq!(phase(&play, "a"), LoadPhase::Open, "nobody asked for a commit yet");
    commit(&mut play, "a");
    for state in [api::LoadPhase::Committed, api::LoadPhase::Visible] {
        let done = play.open("a", &[0]).unwrap();
        assert_eq!((done.load, done.done.unwrap().state), (second.load, state));
        let other = api::LoadOpen { content: Digest::of(b"other"), ..play.wish("a", &[0]) };
        let refused = play.happens(EventBody::OpenLoad(other));
        assert!(matches!(answer(&refused), Answer::Refused(Reason::OtherContent { .. })));
        replicas.iter().for_each(|replica| {
            play.sees(tablets[0], *replica, 2);
        });
    }
    assert_eq!(play.sample.tablet(tablets[0]).committed, Version(2), "committed once");
    play.open("b", &[0]).unwrap();
}

/// Who is asked and refused, with numbers.
#[test]
fn what_is_refused() {
    type Spoil = fn(&mut Play, TabletId);
    let cases: [(&str, Spoil, Result<usize, &str>); 7] = [
        ("all there", |_, _| {}, Ok(3)),
        ("one silent", |play, t| turn(play, t, 1, Liveness::Silent), Ok(2)),
        ("two silent", |play, t| turn(play, t, 2, Liveness::Silent), Err("no_quorum")),
        (
            "one behind",
            |play, t| {
                let r = play.sample.replicas(t);
                play.sample.load(t, &r[..2]);
            },
            Ok(3),
        ),
        (
            "two behind",
            |play, t| {
                let r = play.sample.replicas(t);
                play.sample.load(t, &r[..1]);
            },
            Err("no_quorum"),
        ),
        ("one disk full", |play, t| fill(play, t, 1), Ok(2)),
        ("two disks full", |play, t| fill(play, t, 2), Err("disk_full_for_load")),
    ];
    for (name, spoil, expected) in cases {
        let (mut play, tablets) = play(3, 1);
        spoil(&mut play, tablets[0]);
        play.log = replay::as_changes(play.world());
        let got = play.open("a", &[0]).map(|opened| 1 + opened.tablets[0].others.len());
        assert_eq!(got.as_ref().map_err(|reason| reason.code()), expected.as_ref().map_err(|code| *code), "{name}");
    }
    let (mut play, _) = play(3, 1);
    for (buckets, code) in [(vec![], "bad_request"), (vec![9], "bad_request")] {
        assert_eq!(play.open("a", &buckets).unwrap_err().code(), code);
    }
    let wish = api::LoadOpen { table: "none".into(), ..play.wish("a", &[0]) };
    assert!(matches!(answer(&play.happens(EventBody::OpenLoad(wish))), Answer::Refused(Reason::NoSuchTable { .. })));
    let key = LoadKey("none".into());
    for body in [EventBody::CommitLoad { key: key.clone() }, EventBody::AbortLoad { key }] {
        assert!(matches!(answer(&play.happens(body)), Answer::Refused(Reason::NoSuchLoad { .. })));
    }
}

fn turn(play: &mut Play, tablet: TabletId, count: usize, liveness: Liveness) {
    for replica in &play.sample.replicas(tablet)[..count] {
        let node = play.sample.replica(tablet, *replica).node;
        play.sample.turn(node, liveness);
    }
}

fn fill(play: &mut Play, tablet: TabletId, count: usize) {
    for replica in &play.sample.replicas(tablet)[..count] {
        let disk = play.sample.replica(tablet, *replica).disk;
        play.sample.fill(disk, 960_000, 1_000_000);
    }
}

/// Lagging copies and copies in the making get the stream and do not count; one that leaves gets nothing.
#[test]
fn others_get_the_stream() {
    let (mut play, tablets) = play(5, 1);
    let replicas = play.sample.replicas(tablets[0]);
    play.sample.load(tablets[0], &replicas[..2]);
    let nodes = play.sample.nodes();
    let clone = play.sample.replica_on(tablets[0], play.sample.disks_of(nodes[3])[0], ReplicaState::Clone);
    let leaving = play.sample.replica_on(tablets[0], play.sample.disks_of(nodes[4])[0], ReplicaState::Decommission);
    let before = invariants::check(play.world()).len();
    assert_eq!(before, 2, "the sample has no tasks for them");
    let mut world = play.world().clone();
    let event = Event { at: play.sample.at, wall_ms: 0, body: EventBody::OpenLoad(play.wish("a", &[0])) };
    let actions = catalog::step(&mut world, &event);
    let Answer::Load(opened) = answer(&actions) else { panic!() };
    let part = &world.loads[&LoadKey("a".into())].tablets[&tablets[0]];
    assert_eq!(part.members, replicas[..2]);
    let streams: Vec<_> = opened.tablets[0].others.iter().map(|member| member.replica).collect();
    assert!(streams.contains(&replicas[2]) && streams.contains(&clone) && !streams.contains(&leaving));
}

/// The primary stays while it is complete; else the emptiest disk's replica takes over, under a new ballot.
#[test]
fn who_is_primary() {
    let (mut play, tablets) = play(3, 1);
    let first = play.open("a", &[0]).unwrap();
    let again = play.open("a", &[0]).unwrap();
    assert_eq!(first.tablets[0].ballot, again.tablets[0].ballot, "nothing changed");
    let node = first.tablets[0].primary.node;
    play.sample.turn(node, Liveness::Silent);
    let next = play.open("a", &[0]).unwrap();
    assert_ne!(next.tablets[0].primary.node, node);
    assert_eq!(next.tablets[0].ballot, first.tablets[0].ballot.next());
    assert_eq!(play.sample.tablet(tablets[0]).primary, Some(next.tablets[0].primary.replica));
}

/// An open load ends with its time or with the leadership; a committed one goes on after a restart.
#[test]
fn time_and_restarts() {
    let (mut play, tablets) = play(3, 1);
    knobs(&mut play, |knobs| knobs.load_timeout_ms = 5_000);
    play.open("late", &[0]).unwrap();
    play.passes(6_000);
    assert!(matches!(phase(&play, "late"), LoadPhase::Aborted { cause: Reason::LoadTimedOut { ms: 5_000 } }));

    let opened = play.open("a", &[0]).unwrap();
    let replicas = play.sample.replicas(tablets[0]);
    for replica in &replicas[..2] {
        play.prepares(opened.load, &opened.tablets[0], *replica);
    }
    commit(&mut play, "a");
    play.restarts();
    assert_eq!(phase(&play, "a"), LoadPhase::Committed);
    assert!(!play.world().loads.contains_key(&LoadKey("late".into())));
    assert!(matches!(play.open("b", &[0]), Err(Reason::TabletBusy { .. })), "its tablets are still held");
    for (index, replica) in replicas.iter().take(2).enumerate() {
        let known = play.sample.replica(tablets[0], *replica).clone();
        play.returns(known.node, 50 + index as u64);
        let staged = prepared(opened.load, &opened.tablets[0], *replica, known.disk);
        let facts = vec![Fact::Replica(play.fact(tablets[0], *replica, 1)), Fact::Load(staged)];
        assert_eq!(names(&play.full(known.node, facts)), ["commit"], "the word is given again");
        play.sees(tablets[0], *replica, 2);
    }
    assert_eq!(phase(&play, "a"), LoadPhase::Visible);
    play.passes(8 * 24 * 3_600_000 / 100);
    assert!(play.world().loads.contains_key(&LoadKey("a".into())), "kept for seven days");
}

/// A commit whose word was lost is told again until a quorum has installed it.
#[test]
fn a_commit_is_told_again() {
    let (mut play, tablets) = play(3, 1);
    let opened = play.open("a", &[0]).unwrap();
    commit(&mut play, "a");
    let replicas = play.sample.replicas(tablets[0]);
    for replica in &replicas {
        play.prepares(opened.load, &opened.tablets[0], *replica);
    }
    let told = names(&play.passes(6_000)).iter().filter(|name| **name == "commit").count();
    assert_eq!(told, 3);
    replicas.iter().for_each(|replica| {
        play.sees(tablets[0], *replica, 2);
    });
    assert_eq!(names(&play.passes(6_000)), Vec::<&str>::new());
}

/// What is staged of a decided load for a replica that has left the catalog is told to go, whether it waits for our word
/// or for its parent; while we must not clear, nothing is said.
#[test]
fn what_is_staged_for_a_gone_replica_goes() {
    let (mut play, tablets) = play(4, 1);
    let opened = play.open("a", &[0]).unwrap();
    commit(&mut play, "a");
    let replicas = play.sample.replicas(tablets[0]);
    let (node, disk) =
        (play.sample.replica(tablets[0], replicas[0]).node, play.sample.replica(tablets[0], replicas[0]).disk);
    let gone = ReplicaId(999);
    let fact = |state| LoadFact { state, ..prepared(opened.load, &opened.tablets[0], gone, disk) };
    assert_eq!(names(&play.delta(node, vec![Fact::Load(fact(LoadState::Prepared))])), Vec::<&str>::new(), "undecided");
    for replica in &replicas {
        play.prepares(opened.load, &opened.tablets[0], *replica);
    }
    for state in [LoadState::Prepared, LoadState::Pending] {
        assert_eq!(names(&play.delta(node, vec![Fact::Load(fact(state))])), ["discard"]);
    }
    // Its version long since collected, all the same.
    let old = LoadFact { load: LoadId(1), version: Version(1), ..fact(LoadState::Pending) };
    assert_eq!(names(&play.delta(node, vec![Fact::Load(old)])), ["discard"]);
    let waiting = LoadFact { replica: replicas[2], ..fact(LoadState::Pending) };
    assert_eq!(names(&play.delta(node, vec![Fact::Load(waiting)])), Vec::<&str>::new(), "it waits for its parent");
    play.happens(EventBody::SetLevel(api::LevelAsk { level: Level::Steady, by: String::new(), reason: String::new() }));
    assert_eq!(names(&play.delta(node, vec![Fact::Load(fact(LoadState::Prepared))])), Vec::<&str>::new());
}

/// Superseded versions go after their time: from the record, then from the disks; the latest ones stay.
#[test]
fn old_versions_are_collected() {
    let (mut play, tablets) = play(3, 1);
    knobs(&mut play, |knobs| knobs.keep_for_ms = 60_000);
    for _ in 0..4 {
        play.sample.load_all(tablets[0]);
    }
    play.log = replay::as_changes(play.world());
    let kept = |play: &Play| play.sample.tablet(tablets[0]).versions.iter().map(|r| r.version.0).collect::<Vec<_>>();
    play.passes(30_000);
    assert_eq!(kept(&play), [1, 2, 3, 4, 5]);
    play.passes(60_000);
    assert_eq!(kept(&play), [4, 5]);
    for replica in play.sample.replicas(tablets[0]) {
        let node = play.sample.replica(tablets[0], replica).node;
        let fact = ReplicaFact { oldest: Version(1), ..play.fact(tablets[0], replica, 5) };
        play.delta(node, vec![Fact::Replica(fact)]);
    }
    let actions = play.passes(2_000);
    let below = orders(&actions).into_iter().map(|(_, order)| match order {
        OrderBody::Collect { below, .. } => *below,
        other => panic!("{other:?}"),
    });
    assert_eq!(below.collect::<Vec<_>>(), [Version(4); 3]);
}
