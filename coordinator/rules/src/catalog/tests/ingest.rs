//! Which reports are taken, and what facts and silence mean.

use super::*;
use stele_common::status::Level;
use stele_common::{Digest, DiskState, Liveness};

/// A report of another life, an old one, and one after a gap change nothing; the gap is asked about.
#[test]
fn stale_reports_change_nothing() {
    let (play, tablet) = Play::loaded(3);
    let replica = play.sample.replicas(tablet)[0];
    let node = play.sample.replica(tablet, replica).node;
    let known = play.world().nodes[&node].clone();
    let fact = ReplicaFact { bad: Some("old news".into()), ..play.fact(tablet, replica, 1) };
    let boot = known.boot.unwrap();
    // Life, sequence number, whether a full report is asked for.
    let cases = [
        ("another life", BootId(4242), known.seq + 1, false),
        ("the same again", boot, known.seq, false),
        ("an old one", boot, 0, false),
        ("after a gap", boot, known.seq + 2, true),
    ];
    for (name, boot, seq, asks) in cases {
        let mut play = Play::new(play.sample.clone());
        for kind in [ReportKind::Delta, ReportKind::FullMore, ReportKind::FullLast] {
            let before = durable(play.world());
            let report = Report { boot, seq, kind, facts: vec![Fact::Replica(fact.clone())] };
            let actions = play.happens(EventBody::Reported { node, report });
            assert_eq!(durable(play.world()), before, "{name}, {kind:?}");
            assert_eq!(play.sample.replica(tablet, replica).bad, None, "{name}, {kind:?}");
            assert!(asks_full_report(&actions) <= asks, "{name}, {kind:?}");
        }
        assert_eq!(play.world().nodes[&node].reported, !asks, "{name}");
    }
}

/// Facts about a replica, and what they do to it.
#[test]
fn what_a_replica_fact_means() {
    type Spoil = fn(&mut ReplicaFact);
    let cases: [(&str, Spoil, Option<&str>, bool); 7] = [
        ("the same again", |_| {}, None, false),
        ("its agent calls it bad", |fact| fact.bad = Some("rot".into()), Some("rot"), false),
        (
            "regressed",
            |fact| (fact.version, fact.hash) = (Version(1), hash_of(fact.tablet, Version(1))),
            Some("regressed"),
            false,
        ),
        (
            "other content",
            |fact| fact.hash = Digest::of(b"x"),
            Some("has other content than was committed as version 2"),
            false,
        ),
        ("a version that we never committed", |fact| fact.version = Version(3), None, true),
        ("emptied", |fact| (fact.version, fact.hash) = (Version(0), Digest::ZERO), Some("regressed"), false),
        ("of an id that we never issued", |fact| fact.replica = ReplicaId(999_999), None, true),
    ];
    for (name, spoil, cause, blind) in cases {
        let (mut play, tablet) = Play::loaded(3);
        play.sample.load_all(tablet);
        let replica = play.sample.replicas(tablet)[0];
        let node = play.sample.replica(tablet, replica).node;
        let mut fact = play.fact(tablet, replica, 2);
        spoil(&mut fact);
        let actions = play.delta(node, vec![Fact::Replica(fact)]);
        let bad = play.sample.replica(tablet, replica).bad.clone();
        assert_eq!(bad.is_some(), cause.is_some(), "{name}: {bad:?}");
        assert!(bad.unwrap_or_default().contains(cause.unwrap_or_default()), "{name}");
        assert_eq!(play.world().level == Level::Blind, blind, "{name}");
        assert_eq!(names(&actions).contains(&"verify"), cause == Some("regressed"), "{name}: its disk is read anew");
    }
}

/// What a full report does not name is missing on an ONLINE disk, and unknown on any other.
#[test]
fn missing_is_not_empty() {
    let cases = [
        ("online", Some(DiskState::Online), true),
        ("suspect", Some(DiskState::Suspect), false),
        ("unavailable", Some(DiskState::Unavailable), false),
        ("not named at all", None, false),
    ];
    for (name, state, is_bad) in cases {
        let (mut play, tablet) = Play::loaded(3);
        let replica = play.sample.replicas(tablet)[0];
        let node = play.sample.replica(tablet, replica).node;
        let mut facts = play.disk_facts(node);
        if let Some(Fact::Disk(fact)) = facts.first_mut() {
            fact.state = state.unwrap_or_default();
        }
        let facts = if state.is_some() { facts } else { vec![] };
        play.report(node, ReportKind::FullFirst, facts.clone());
        assert_eq!(play.sample.replica(tablet, replica).bad, None, "{name}: judged before the last page");
        play.report(node, ReportKind::FullLast, vec![]);
        assert_eq!(play.sample.replica(tablet, replica).bad.is_some(), is_bad, "{name}");
    }
}

/// The pages of a full report count together.
#[test]
fn pages_count_together() {
    let (mut play, tablet) = Play::loaded(3);
    let replica = play.sample.replicas(tablet)[0];
    let node = play.sample.replica(tablet, replica).node;
    let fact = Fact::Replica(play.fact(tablet, replica, 1));
    play.report(node, ReportKind::FullFirst, vec![fact]);
    play.report(node, ReportKind::FullMore, play.disk_facts(node));
    play.report(node, ReportKind::FullLast, vec![]);
    assert_eq!(play.sample.replica(tablet, replica).bad, None);
    assert!(play.world().nodes[&node].reported);
}

/// A replica that its agent finds gone is bad on an ONLINE disk; a late word about another disk is nothing.
#[test]
fn gone_from_its_disk() {
    let (mut play, tablet) = Play::loaded(3);
    let replica = play.sample.replicas(tablet)[0];
    let known = play.sample.replica(tablet, replica).clone();
    play.delta(known.node, vec![Fact::ReplicaGone { tablet, replica, disk: DiskId(1) }]);
    assert_eq!(play.sample.replica(tablet, replica).bad, None);
    play.delta(known.node, vec![Fact::ReplicaGone { tablet, replica, disk: known.disk }]);
    assert_eq!(play.sample.replica(tablet, replica).bad.as_deref(), Some("missing on its disk"));
}

/// A replica of a tablet that we neither have nor dropped: our store is old; nothing is ordered, nothing is dropped.
#[test]
fn an_old_store_goes_blind() {
    let (mut play, tablet) = Play::loaded(3);
    let node = play.sample.nodes()[0];
    let disk = play.sample.disks_of(node)[0];
    let fact = fact_of(TabletId(10_500), ReplicaId(10_501), disk, Version(1));
    let fact = ReplicaFact { tablet: TabletId(play.world().next_id - 1), ..fact };
    let before = durable(play.world());
    play.delta(node, vec![Fact::Replica(ReplicaFact { replica: ReplicaId(10_001), ..fact })]);
    assert_eq!(play.world().level, Level::Blind);
    assert_eq!(durable(play.world()), before);
    let replica = play.sample.replicas(tablet)[0];
    assert!(matches!(play.delete(tablet, replica), Err(Reason::StoreIsOld { .. })));
    assert!(matches!(play.open("a", &[0]), Err(Reason::StoreIsOld { .. })));
    let actions = play.passes(120_000);
    assert_eq!(names(&actions), Vec::<&str>::new());
    play.full(node, vec![]);
    assert_eq!(durable(play.world()), before, "nothing learned while blind becomes durable");
}

/// A staged load that we never opened, or a committed one that we have not, means the same.
#[test]
fn a_load_from_the_future_goes_blind() {
    for (load, state) in [(LoadId(900_000), LoadState::Prepared), (LoadId(10_002), LoadState::Pending)] {
        let (mut play, tablet) = Play::loaded(3);
        let replica = play.sample.replicas(tablet)[0];
        let known = play.sample.replica(tablet, replica).clone();
        let part = part_of(tablet);
        let fact = LoadFact { state, ..prepared(load, &part, replica, known.disk) };
        let actions = play.delta(known.node, vec![Fact::Load(fact)]);
        assert_eq!(play.world().level, Level::Blind, "{load}");
        assert_eq!(names(&actions), Vec::<&str>::new());
    }
}

pub(super) fn part_of(tablet: TabletId) -> api::LoadTablet {
    let member = api::LoadMember { node: NodeId(0), replica: ReplicaId(0), http: String::new(), peer: String::new() };
    api::LoadTablet {
        tablet,
        bucket: 0,
        ballot: stele_common::Ballot(1),
        parent: Version(1),
        parent_hash: hash_of(tablet, Version(1)),
        version: Version(2),
        primary: member,
        others: vec![],
    }
}

/// Prepared loads of an earlier leadership go only after enough replicas have shown that our store is not old.
#[test]
fn orphaned_loads_wait_for_the_others() {
    let (mut play, tablet) = Play::loaded(3);
    let replicas = play.sample.replicas(tablet);
    let opened = play.open("a", &[0]).unwrap();
    let part = opened.tablets[0].clone();
    play.restarts();
    let mut aborted = Vec::new();
    for (index, replica) in replicas.iter().enumerate() {
        let known = play.sample.replica(tablet, *replica).clone();
        play.returns(known.node, 100 + index as u64);
        let load = prepared(opened.load, &part, *replica, known.disk);
        let facts = vec![Fact::Replica(play.fact(tablet, *replica, 1)), Fact::Load(load)];
        let mut actions = play.full(known.node, facts);
        actions.extend(play.passes(2_000));
        aborted.push(names(&actions).iter().filter(|name| **name == "abort").count());
    }
    assert_eq!(aborted, [0, 0, 3], "all are told once the last has reported");
    assert_eq!(play.world().orphans.len(), 0);
}

/// A lost node's replica does not hold the others up for ever.
#[test]
fn orphaned_loads_do_not_wait_for_the_lost() {
    let (mut play, tablet) = Play::loaded(3);
    let replicas = play.sample.replicas(tablet);
    let opened = play.open("a", &[0]).unwrap();
    let part = opened.tablets[0].clone();
    play.restarts();
    for replica in &replicas[..2] {
        let known = play.sample.replica(tablet, *replica).clone();
        play.returns(known.node, 100);
        let load = prepared(opened.load, &part, *replica, known.disk);
        play.full(known.node, vec![Fact::Replica(play.fact(tablet, *replica, 1)), Fact::Load(load)]);
    }
    assert_eq!(names(&play.passes(5_000)), Vec::<&str>::new());
    let third = play.sample.replica(tablet, replicas[2]).node;
    play.happens(EventBody::NodeTurned { node: third, liveness: Liveness::Lost });
    assert_eq!(names(&play.passes(2_000)), ["abort", "abort"]);
}

/// A full report that repeats what is known changes nothing and has nothing checked anew; whatever differs is taken.
#[test]
fn a_report_reckons_only_with_what_changed() {
    let (mut play, tablet) = Play::loaded(3);
    let replica = play.sample.replicas(tablet)[0];
    let node = play.sample.replica(tablet, replica).node;
    let touches = |actions: &[Action]| {
        actions
            .iter()
            .filter(|action| matches!(action, Action::Record(change) if change.tablet() == Some(tablet)))
            .count()
    };
    let fact = ReplicaFact { verified_age_ms: Some(0), ..play.fact(tablet, replica, 1) };
    assert_eq!(touches(&play.full(node, vec![Fact::Replica(fact.clone())])), 0);
    play.sample.at = play.sample.at.plus(60_000);
    let aged = ReplicaFact { verified_age_ms: Some(60_000), ..fact.clone() };
    assert_eq!(touches(&play.full(node, vec![Fact::Replica(aged.clone())])), 0, "the same receipt, older");
    assert_eq!(touches(&play.full(node, vec![Fact::Replica(fact.clone())])), 1, "read anew");
    let grown = ReplicaFact { size: 7, ..fact.clone() };
    assert_eq!(touches(&play.full(node, vec![Fact::Replica(grown)])), 1);
    let bad = ReplicaFact { bad: Some("rot".into()), ..fact };
    assert!(touches(&play.full(node, vec![Fact::Replica(bad)])) >= 2);
    assert!(play.sample.replica(tablet, replica).bad.is_some());
}

/// A replica that waits with a later version for one that it never got shows the hole; the version it waits with is
/// none, and filling the hole ends it.
#[test]
fn a_hole_below_what_waits() {
    let (mut play, tablet) = Play::loaded(3);
    let replicas = play.sample.replicas(tablet);
    play.sample.load(tablet, &replicas[..2]);
    play.sample.load(tablet, &replicas);
    play.log = crate::replay::as_changes(play.world());
    let node = play.sample.replica(tablet, replicas[2]).node;
    let mut told = |head: u64, pending: u64| {
        let fact = ReplicaFact { pending: Version(pending), ..play.fact(tablet, replicas[2], head) };
        play.delta(node, vec![Fact::Replica(fact)]);
        play.sample.replica(tablet, replicas[2]).seen.as_ref().unwrap().failed
    };
    assert_eq!(told(1, 1), Some(Version(2)), "nothing waits");
    assert_eq!(told(1, 3), Some(Version(2)), "3 waits for 2, which it missed");
    assert_eq!(told(1, 2), None, "2 waits: it is not missed; 3 it held at the commit");
    assert_eq!(told(3, 3), None);
}
