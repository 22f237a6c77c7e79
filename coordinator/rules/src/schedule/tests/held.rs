//! What people hold back: pauses, the black list, flow control.

use super::*;
use crate::policy::{Lease, LeaseScope, PauseOn};
use crate::settings::Setting;
use stele_common::api::PauseWhat;
use stele_common::config::knobs::Value;

fn pause(shop: &mut Shop, on: PauseOn) {
    let scope = LeaseScope::Pause { what: PauseWhat::Repair, on };
    let lease = Lease { id: 7, scope, owner: "ann".into(), reason: String::new(), until_wall_ms: None, until: None };
    shop.sample.apply(Change::LeaseGranted { lease, at: shop.sample.at, wall_ms: 0 });
}

fn set(shop: &mut Shop, name: &str, value: Value) {
    let (by, reason, wall_ms) = (String::new(), String::new(), 0);
    let setting = Setting { name: name.into(), value: Some(value), by, reason, wall_ms };
    shop.sample.apply(Change::KnobSet { setting });
}

fn reason(shop: &Shop, tablet: TabletId) -> &'static str {
    shop.desk.entry(tablet).and_then(|entry| entry.reason.as_ref()).map_or("none", Reason::code)
}

/// Nodes that new copies are made on.
fn destinations(proposals: &[Proposal]) -> Vec<NodeId> {
    let targets = proposals.iter().filter_map(|proposal| match proposal {
        Proposal::Clone { target: Target::NewOn { node, .. }, .. } => Some(*node),
        Proposal::Clone { .. } | Proposal::Move { .. } | Proposal::Turn(_) => None,
        Proposal::Delete { .. } | Proposal::Cancel { .. } => None,
    });
    targets.collect()
}

/// A tablet of three with one bad copy on five hosts; the free hosts.
fn one_bad() -> (Shop, TabletId, Vec<NodeId>) {
    let (mut shop, ids) = Shop::new(5, 1, 1);
    let replica = shop.sample.replicas(ids[0])[0];
    shop.sample.bad(ids[0], replica);
    let used: Vec<NodeId> = shop.sample.tablet(ids[0]).replicas.iter().map(|replica| replica.node).collect();
    let free = shop.sample.nodes().into_iter().filter(|node| !used.contains(node)).collect();
    (shop, ids[0], free)
}

/// A paused table, or everything: nothing begins, the lease is named, and its end lets the repair begin in the next
/// round, without waiting for a back-off.
#[test]
fn a_pause_holds_and_lets_go() {
    for everything in [false, true] {
        let (mut shop, id, _) = one_bad();
        let table = shop.sample.tablet(id).table;
        pause(&mut shop, if everything { PauseOn::Everything } else { PauseOn::Table { table } });
        for _ in 0..6 {
            assert_eq!(shop.round(), []);
            shop.pass(1_000);
        }
        assert_eq!(reason(&shop, id), "paused");
        shop.sample.apply(Change::LeaseEnded { id: 7 });
        assert_eq!(shop.round().len(), 1, "everything: {everything}");
    }
}

/// One copy of three left: a table's pause lets it be repaired, a pause of everything does not.
#[test]
fn one_copy_left_goes_on() {
    for (everything, begun) in [(false, 1), (true, 0)] {
        let (mut shop, id, _) = one_bad();
        let replica = shop.sample.replicas(id)[1];
        shop.sample.bad(id, replica);
        let table = shop.sample.tablet(id).table;
        pause(&mut shop, if everything { PauseOn::Everything } else { PauseOn::Table { table } });
        assert_eq!(shop.round().len(), begun, "everything: {everything}");
    }
}

/// A paused node gets nothing new and gives nothing, as long as others can.
#[test]
fn a_paused_node_is_left_alone() {
    let (mut shop, id, free) = one_bad();
    pause(&mut shop, PauseOn::Node { node: free[0] });
    assert_eq!(destinations(&shop.round()), [free[1]]);
    let (mut shop, id2, _) = one_bad();
    assert_eq!(id, id2);
    let givers = shop.sample.replicas(id);
    let node = shop.sample.replica(id, givers[1]).node;
    pause(&mut shop, PauseOn::Node { node });
    let made = shop.round();
    let [Proposal::Clone { source, .. }] = &made[..] else { panic!("{made:?}") };
    assert_eq!(*source, givers[2]);
}

/// A node on the black list gets no new replica, by any of its names; explained as such where no other is left.
#[test]
fn the_black_list() {
    let (shop, id, free) = one_bad();
    let hosts: Vec<String> = free.iter().map(|node| shop.sample.world.nodes[node].host.clone()).collect();
    for name in [free[0].to_string(), hosts[0].clone()] {
        let (mut shop, ..) = one_bad();
        set(&mut shop, "assign_secondary_black_list", Value::Names(vec![name]));
        assert_eq!(destinations(&shop.round()), [free[1]]);
    }
    // Nothing is there that could be mended in place.
    let (mut shop, _) = Shop::new(5, 1, 1);
    let lost = shop.sample.replica(id, shop.sample.replicas(id)[0]).node;
    shop.lose(lost);
    shop.pass(300_000);
    set(&mut shop, "assign_secondary_black_list", Value::Names(hosts));
    assert_eq!(destinations(&shop.round()), []);
    let why = shop.desk.entry(id).and_then(|entry| entry.reason.clone()).expect("it was refused");
    assert!(why.detail().contains("2 black_listed"), "{why}");
    set(&mut shop, "assign_secondary_black_list", Value::Names(vec![]));
    assert_eq!(destinations(&shop.round()).len(), 1, "a knob that changes wakes what was refused");
}

/// Flow control: no more copies under way to a node than it says; the next begins when one has ended; 0 is none.
#[test]
fn flow_control() {
    for (most, slots) in [(1, 2), (2, 4), (0, 4)] {
        let (mut shop, ids) = Shop::new(4, 4, 24);
        set(&mut shop, "schedule_slot_num_per_path", Value::Whole(slots));
        set(&mut shop, "add_secondary_max_count_for_one_node", Value::Whole(most));
        set(&mut shop, "add_secondary_enable_flow_control", Value::Flag(true));
        let lost = shop.sample.nodes()[0];
        shop.lose(lost);
        shop.pass(300_000);
        let mut begun = 0;
        for _ in 0..ids.len() {
            shop.round().iter().for_each(|proposal| shop.accept(proposal));
            let ledger = shop.desk.ledger(&shop.sample.world);
            let coming: Vec<u32> = shop.sample.nodes().iter().map(|node| ledger.coming_to(*node)).collect();
            assert!(coming.iter().all(|coming| u64::from(*coming) <= most), "{coming:?} of {most}");
            let Some(tablet) = shop.sample.world.tasks.keys().next().copied() else { break };
            begun += 1;
            shop.finish(tablet);
        }
        assert_eq!(begun > 2, most > 0, "{begun} with {most} at once");
    }
}
