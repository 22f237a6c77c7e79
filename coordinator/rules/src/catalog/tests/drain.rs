//! Drains begin after a check and end by themselves; nodes leave only when nothing is lost; leases end.

use super::*;
use crate::policy::{LeaseScope, Leaver};
use crate::world::Work;
use stele_common::handshake::RefusedCode;
use stele_common::{Liveness, Medium, ReplicaState, Tick};

fn drain(play: &mut Play, nodes: &[NodeId], force: bool) -> api::Evacuation {
    let ask = api::DrainAsk { nodes: nodes.to_vec(), force, owner: "o".into(), ..api::DrainAsk::default() };
    ask_drain(play, ask).expect("the nodes are there")
}

fn ask_drain(play: &mut Play, ask: api::DrainAsk) -> Result<api::Evacuation, Reason> {
    match answer(&play.happens(EventBody::Drain(ask))) {
        Answer::Evacuation(found) => Ok(found.clone()),
        Answer::Refused(reason) => Err(reason.clone()),
        other => panic!("{other:?}"),
    }
}

fn remove(play: &mut Play, node: NodeId, force: bool, check: bool) -> api::Removal {
    let ask = api::RemoveAsk { force, check, owner: "o".into() };
    match answer(&play.happens(EventBody::RemoveNode { node, ask })) {
        Answer::Removal(removal) => removal.clone(),
        other => panic!("{other:?}"),
    }
}

fn lease(play: &mut Play, on: api::LeaseOn, for_ms: u64) -> Result<u64, Reason> {
    let ask = api::LeaseAsk { on, for_ms, owner: "o".into(), reason: "r".into() };
    match answer(&play.happens(EventBody::GrantLease(ask))) {
        Answer::Lease(id) => Ok(*id),
        Answer::Refused(reason) => Err(reason.clone()),
        other => panic!("{other:?}"),
    }
}

/// A copy of the tablet moves from one node to a free one, as repair would do it.
fn moves(play: &mut Play, tablet: TabletId, from: NodeId, to: NodeId) {
    let old = play.sample.tablet(tablet).replicas.iter().find(|r| r.node == from).expect("it is there").id;
    let disk = play.sample.disks_of(to)[0];
    let source = play.sample.replicas(tablet)[1];
    play.copy(tablet, source, crate::event::Target::NewOn { node: to, disk }).expect("nothing is in its way");
    let new = *play.sample.replicas(tablet).last().expect("it was added just now");
    let version = play.sample.tablet(tablet).committed.0;
    play.sees(tablet, new, version);
    let nonce = play.delete(tablet, old).expect("three others are complete");
    for replica in play.sample.replicas(tablet).into_iter().filter(|id| *id != old) {
        play.confirms(tablet, replica, nonce);
    }
    assert!(!play.sample.replicas(tablet).contains(&old));
}

/// What does not fit does not begin, unless it is forced; a check begins nothing; a rack is all its nodes.
#[test]
fn a_drain_begins() {
    let (mut play, _) = Play::loaded(3);
    let first = play.sample.nodes()[0];
    let found = drain(&mut play, &[first], false);
    assert_eq!((found.fits, found.begun, found.blocked), (false, false, 1));
    assert!(!play.world().nodes[&first].draining && play.world().drains.is_empty());
    let found = drain(&mut play, &[first], true);
    assert_eq!((found.fits, found.begun), (false, true));
    assert_eq!(play.world().drains[&Leaver::Node(first)].held.len(), 1);

    let (mut play, _) = Play::loaded(4);
    let first = play.sample.nodes()[0];
    let check = api::DrainAsk { nodes: vec![first], check: true, ..api::DrainAsk::default() };
    let found = ask_drain(&mut play, check).unwrap();
    assert_eq!((found.fits, found.begun, found.tablets), (true, false, 1));
    assert!(drain(&mut play, &[first], false).begun);
    let log = play.log.len();
    assert!(drain(&mut play, &[first], false).begun, "once more is as good as once");
    assert_eq!(play.log.len(), log);
    let mut undrained = || {
        let ask = api::DrainAsk { nodes: vec![first], ..api::DrainAsk::default() };
        match answer(&play.happens(EventBody::Undrain(ask))) {
            Answer::Undrained(undrained) => undrained.nodes.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((undrained(), undrained()), (vec![first], vec![]), "the second one finds no drain");
    assert!(!play.world().nodes[&first].draining && play.world().drains.is_empty());

    for (ask, code) in [
        (api::DrainAsk { nodes: vec![NodeId(5)], ..api::DrainAsk::default() }, "no_such_node"),
        (api::DrainAsk { rack: Some("r".into()), ..api::DrainAsk::default() }, "no_such_rack"),
        (api::DrainAsk { disks: vec![DiskId(5)], ..api::DrainAsk::default() }, "no_such_disk"),
        (api::DrainAsk::default(), "bad_request"),
    ] {
        assert_eq!(ask_drain(&mut play, ask).unwrap_err().code(), code);
    }
    let rack = api::DrainAsk { rack: Some(String::new()), force: true, ..api::DrainAsk::default() };
    assert!(ask_drain(&mut play, rack).unwrap().begun);
    assert!(play.world().nodes.values().all(|node| node.draining));
}

/// It ends once nothing is left and all of it is proven elsewhere, outlives a restart, and then the node may go.
#[test]
fn a_drain_ends_and_the_node_leaves() {
    let (mut play, tablet) = Play::loaded(4);
    let (first, spare) = (play.sample.nodes()[0], play.sample.nodes()[3]);
    drain(&mut play, &[first], false);
    play.passes(5_000);
    let of = Leaver::Node(first);
    assert_eq!(play.world().drains[&of].done_wall_ms, None);
    let refused = remove(&mut play, first, false, false);
    assert_eq!((refused.removed, refused.safe, refused.tablets, refused.last), (false, false, 1, 0));
    moves(&mut play, tablet, first, spare);
    let refused = remove(&mut play, first, false, false);
    assert_eq!((refused.removed, refused.blockers[0].code.as_str()), (false, "not_drained"));
    play.passes(2_000);
    assert!(play.world().drains[&of].done_wall_ms.is_some());
    let held = play.world().drains[&of].clone();
    play.restarts();
    assert_eq!(play.world().drains[&of], held);
    let gone = remove(&mut play, first, false, false);
    assert!(gone.removed && gone.safe);
    assert!(!play.world().nodes.contains_key(&first) && play.world().disks.values().all(|disk| disk.node != first));
}

/// By force a node goes with its replicas while others are complete, but never with the last complete copy.
#[test]
fn a_removal_by_force() {
    let (mut play, tablet) = Play::loaded(3);
    let first = play.sample.nodes()[0];
    let cost = remove(&mut play, first, true, true);
    assert_eq!((cost.removed, cost.tablets, cost.below_majority, cost.last), (false, 1, 0, 0));
    assert!(remove(&mut play, first, true, false).removed);
    assert_eq!(play.sample.replicas(tablet).len(), 2);
    let second = play.sample.nodes()[0];
    assert_eq!(remove(&mut play, second, true, true).below_majority, 1);
    assert!(remove(&mut play, second, true, false).removed);
    let last = play.sample.nodes()[0];
    let refused = remove(&mut play, last, true, false);
    assert_eq!((refused.removed, refused.last, refused.blockers[0].code.as_str()), (false, 1, "last_complete"));
    assert_eq!(play.sample.replicas(tablet).len(), 1);
}

/// A copy that runs to a removed node ends with it, and a load that counts on it is begun again under a new ballot.
#[test]
fn what_runs_ends_with_the_node() {
    let (mut play, tablet) = Play::loaded(4);
    let (spare, source) = (play.sample.nodes()[3], play.sample.replicas(tablet)[0]);
    let disk = play.sample.disks_of(spare)[0];
    play.copy(tablet, source, crate::event::Target::NewOn { node: spare, disk }).unwrap();
    assert!(play.world().tasks.values().any(|task| matches!(task.work, Work::Clone { .. })));
    assert!(remove(&mut play, spare, true, false).removed);
    assert!(play.world().tasks.is_empty() && play.sample.replicas(tablet).len() == 3);
    play.open("a", &[0]).unwrap();
    let ballot = play.sample.tablet(tablet).ballot;
    let first = play.sample.nodes()[0];
    assert!(remove(&mut play, first, true, false).removed);
    assert!(play.sample.tablet(tablet).ballot > ballot && play.sample.tablet(tablet).load.is_none());
}

/// The agent of a removed node is refused, in its old session and in a new one, until it is admitted; then it is new.
#[test]
fn a_removed_agent_returns() {
    let (mut play, _) = Play::loaded(4);
    let spare = play.sample.nodes()[3];
    let host = play.world().nodes[&spare].host.clone();
    let (peer, http) = (play.world().nodes[&spare].peer.clone(), play.world().nodes[&spare].http.clone());
    assert!(remove(&mut play, spare, false, false).removed);
    let report = Report { boot: BootId(spare.0), seq: 2, kind: ReportKind::FullOnly, facts: vec![] };
    let actions = play.happens(EventBody::Reported { node: spare, report });
    assert!(matches!(answer(&actions), Answer::Refused(Reason::NodeRemoved { .. })));
    let knock = |play: &mut Play| play.hello(play.hello_of(&host, 77, vec![]));
    let handshake::Answer::Refused(refused) = knock(&mut play) else { panic!("it was let in") };
    assert_eq!(refused.code, RefusedCode::NodeRemoved);
    assert!(refused.detail.contains("stele node admit"), "{}", refused.detail);
    play.restarts();
    assert!(matches!(knock(&mut play), handshake::Answer::Refused(_)), "it outlives a restart");
    let kept = play.world().removed.values().next().expect("it is kept");
    assert_eq!((kept.node, &kept.peer, &kept.http), (spare, &peer, &http), "with its addresses");
    let admit = api::AdmitAsk { host: host.clone(), name: None };
    assert!(matches!(answer(&play.happens(EventBody::AdmitNode(admit.clone()))), Answer::Done));
    let handshake::Answer::Welcome(welcome) = knock(&mut play) else { panic!("it was not let in") };
    assert!(welcome.node > spare);
    let again = play.happens(EventBody::AdmitNode(admit));
    assert!(matches!(answer(&again), Answer::Refused(Reason::NoSuchNode { .. })));
}

/// A lease holds until its time is over, also over a restart; a new one for the same thing replaces it.
#[test]
fn leases_end_by_themselves() {
    let (mut play, tablet) = Play::loaded(3);
    let node = play.sample.nodes()[0];
    let on = || api::LeaseOn::Maintenance { node };
    let first = lease(&mut play, on(), 60_000).unwrap();
    let second = lease(&mut play, on(), 30_000).unwrap();
    assert!(!play.world().leases.contains_key(&first));
    assert_eq!(play.world().maintenance_until(node, play.sample.at), Some(play.sample.at.plus(30_000)));
    let urgent = api::LeaseOn::Urgent { table: "d.t1".into(), partition: None };
    lease(&mut play, urgent, 90_000).unwrap();
    assert!(play.world().is_urgent(play.sample.tablet(tablet), play.sample.at));
    play.passes(20_000);
    play.restarts();
    assert!(play.world().leases.contains_key(&second));
    play.passes(15_000);
    assert!(!play.world().leases.contains_key(&second), "35 s have gone by");
    play.passes(60_000);
    assert!(play.world().leases.is_empty());
    for (ask, for_ms, code) in [
        (api::LeaseOn::UrgentTablet { tablet: TabletId(1) }, 1, "bad_request"),
        (api::LeaseOn::Maintenance { node: NodeId(1) }, 1, "no_such_node"),
        (api::LeaseOn::Urgent { table: "d.x".into(), partition: None }, 1, "no_such_table"),
        (api::LeaseOn::Urgent { table: "d.t1".into(), partition: Some("p9".into()) }, 1, "no_such_partition"),
        (on(), 0, "bad_request"),
        (on(), u64::MAX, "bad_request"),
    ] {
        assert_eq!(lease(&mut play, ask, for_ms).unwrap_err().code(), code);
    }
    lease(&mut play, api::LeaseOn::Urgent { table: "d.t1".into(), partition: None }, 1_000_000).unwrap();
    play.happens(EventBody::DropTable { db: "d".into(), name: "t1".into() });
    assert!(play.world().leases.is_empty(), "it ended with its table");
    let id = lease(&mut play, on(), 1_000_000).unwrap();
    let end = |play: &mut Play| answer(&play.happens(EventBody::EndLease { id })).clone();
    assert!(matches!(end(&mut play), Answer::Done));
    assert!(matches!(end(&mut play), Answer::Refused(Reason::NoSuchLease { .. })));
    assert_eq!(play.world().leases.values().filter(|l| l.scope == LeaseScope::Maintenance { node }).count(), 0);
}

/// First replicas avoid what is being drained and other tags, and prefer different racks.
#[test]
fn first_placement() {
    let mut sample = Sample::new(6, 2);
    let nodes = sample.nodes();
    for (node, rack) in nodes.iter().zip(["a", "a", "b", "b", "c", "c"]) {
        sample.world.nodes.get_mut(node).expect("it is there").rack = rack.into();
    }
    let mut play = Play::new(sample);
    let wish = |name: &str, replication, tag: Option<&str>| api::TableCreate {
        db: "d".into(),
        name: name.into(),
        replication,
        buckets: 12,
        medium: Medium::Hdd,
        partitions: vec![],
        tag: tag.map(Into::into),
        colocate: None,
    };
    play.happens(EventBody::CreateTable(wish("t", 3, None)));
    for tablet in play.world().tablets.iter() {
        let racks: std::collections::BTreeSet<_> =
            tablet.replicas.iter().map(|r| play.world().nodes[&r.node].rack.clone()).collect();
        assert_eq!(racks.len(), 3, "{tablet:?}");
    }
    play.sample.apply(Change::NodeDrained { node: nodes[0], on: true });
    let disk = play.sample.disks_of(nodes[1])[0];
    play.sample.apply(Change::DiskDrained { disk, on: true });
    for node in &nodes[4..] {
        play.sample.world.nodes.get_mut(node).expect("it is there").tag = "cold".into();
    }
    play.happens(EventBody::CreateTable(wish("u", 2, None)));
    play.happens(EventBody::CreateTable(wish("v", 2, Some("cold"))));
    let refused = play.happens(EventBody::CreateTable(wish("w", 3, Some("cold"))));
    assert!(matches!(answer(&refused), Answer::Refused(Reason::TooFewHosts { wanted: 3, hosts: 2 })));
    for table in play.world().tables.values().filter(|table| table.name != "t") {
        for id in table.partitions.iter().flat_map(|partition| &partition.tablets) {
            for replica in &play.sample.tablet(*id).replicas {
                let node = &play.world().nodes[&replica.node];
                assert!(!node.draining && replica.disk != disk && node.tag == table.tag, "{}: {replica:?}", table.name);
                assert_eq!(replica.state, ReplicaState::Normal);
            }
        }
    }
}

/// A silent node's drain goes on: its copies are made from others, and it ends all the same.
#[test]
fn a_lost_node_is_drained() {
    let (mut play, tablet) = Play::loaded(4);
    let (first, spare) = (play.sample.nodes()[0], play.sample.nodes()[3]);
    drain(&mut play, &[first], false);
    play.happens(EventBody::NodeTurned { node: first, liveness: Liveness::Lost });
    play.sample.at = Tick(play.sample.at.0 + 400_000);
    let (old, source) = (play.sample.replicas(tablet)[0], play.sample.replicas(tablet)[1]);
    let disk = play.sample.disks_of(spare)[0];
    play.copy(tablet, source, crate::event::Target::NewOn { node: spare, disk }).unwrap();
    let new = *play.sample.replicas(tablet).last().unwrap();
    play.sees(tablet, new, 1);
    play.delete(tablet, old).unwrap();
    play.passes(2_000);
    assert!(play.world().drains[&Leaver::Node(first)].done_wall_ms.is_some());
    assert!(remove(&mut play, first, false, false).removed);
}
