//! Sequences become even by the note's tie-breaks, only when all is at rest, and never at the price of two on a host.

use super::*;
use crate::Change;
use crate::policy::{DEFAULT_TAG, Lease, LeaseScope};
use crate::sample::{DISK_BYTES, Sample};
use proptest::prelude::*;
use stele_common::api::PauseWhat;
use stele_common::config::RepairKnobs;
use stele_common::{BootId, Liveness, Medium};

const WAIT: u64 = 15 * 60 * 1_000;

/// One node a host; its place in the alphabet is its number.
fn house(hosts: u64) -> Sample {
    let mut sample = Sample::new(hosts, 1);
    sample.at = sample.at.plus(WAIT);
    sample
}

/// One more node on the host of another.
fn twin(sample: &mut Sample, of: usize) {
    let host = sample.world.nodes[&sample.nodes()[of]].host.clone();
    let node = NodeId(sample.id());
    let (name, rack, tag) = (format!("twin of {host}"), String::new(), DEFAULT_TAG.to_string());
    sample.apply(Change::NodeAdded { node, host, name, rack, tag });
    let at = std::mem::replace(&mut sample.at, Tick(0));
    sample.connect(node, BootId(node.0));
    sample.at = at;
    sample.disk(node, Medium::Hdd);
}

/// `"abc bca"`: two buckets of three nodes.
fn group(sample: &Sample, text: &str) -> Group {
    let nodes = sample.nodes();
    let bucket = |word: &str| word.bytes().map(|letter| nodes[usize::from(letter - b'a')]).collect();
    Group::new("g".into(), text.split(' ').map(bucket).collect())
}

fn text(sample: &Sample, group: &Group) -> String {
    let nodes = sample.nodes();
    let letter = |node: &NodeId| (b'a' + nodes.iter().position(|other| other == node).unwrap() as u8) as char;
    let words: Vec<String> = group.buckets.iter().map(|bucket| bucket.iter().map(letter).collect()).collect();
    words.join(" ")
}

/// What becomes of a sequence: another one, or the code of the reason.
fn after(sample: &Sample, sequence: &str) -> String {
    match evened(&sample.world, &group(sample, sequence), sample.at) {
        Ok((group, _)) => text(sample, &group),
        Err(reason) => reason.code().into(),
    }
}

/// Bytes on a node's disk: what makes it busier than others.
fn fill(sample: &mut Sample, node: usize, used: u64) {
    let node = sample.nodes()[node];
    let disk = sample.disks_of(node)[0];
    sample.fill(disk, used, DISK_BYTES);
}

/// Who gives which place to whom, row by row.
#[test]
fn who_takes_whose_place() {
    type Deed = fn(&mut Sample);
    let nothing: Deed = |_| {};
    let busy_b: Deed = |sample| fill(sample, 1, 1 << 40);
    let busy_c: Deed = |sample| fill(sample, 2, 1 << 40);
    let twin_of_c: Deed = |sample| twin(sample, 2);
    let cases: [(&str, u64, Deed, &str, &str); 14] = [
        ("even already", 3, nothing, "abc bca", "group_even"),
        ("one apart is even", 4, nothing, "abc", "group_even"),
        ("an empty node takes the first places of the one with most", 4, nothing, "abc abc", "dbc abc"),
        ("of equals the smaller id gives", 3, nothing, "ab ab", "cb ab"),
        ("of equals the busier gives", 3, busy_b, "ab ab", "ac ab"),
        ("of equals the smaller id takes", 4, nothing, "ab ab ab", "cd ab ab"),
        ("of equals the less busy takes", 4, busy_c, "ab ab ab", "dc ab ab"),
        ("several at once", 5, nothing, "a a a a a a", "b c d e a a"),
        ("the least used takes until it is even", 3, nothing, "a a a b", "c a a b"),
        ("the taker's host is in the bucket: the next bucket", 3, twin_of_c, "ac ac ac ab", "bc ac ac db"),
        ("the taker is in the bucket: the next", 3, nothing, "ab ac ab ab", "cb ac ab ab"),
        ("a second node of the giver's host takes nothing of it", 1, |sample| twin(sample, 0), "a a", "group_uneven"),
        ("no host is free: named", 2, |sample| twin(sample, 1), "ab ab ab", "group_uneven"),
        ("one node", 1, nothing, "a a a", "group_alone"),
    ];
    for (name, hosts, deed, sequence, expected) in cases {
        let mut sample = house(hosts);
        deed(&mut sample);
        assert_eq!(after(&sample, sequence), expected, "{name}");
    }
}

/// What keeps a sequence as it is though it is uneven, row by row, and what does not.
#[test]
fn what_holds_it() {
    type Deed = fn(&mut Sample);
    let cases: [(&str, Deed, &str); 12] = [
        ("nothing", |_| {}, "dbc abc"),
        ("balance is off", |s| knob(s, |knobs| knobs.disable_balance = true), "group_balance_off"),
        ("balance of groups is off", |s| knob(s, |knobs| knobs.disable_colocate_balance = true), "group_balance_off"),
        (
            "a node was away a moment ago",
            |s| {
                let node = s.nodes()[1];
                s.turn(node, Liveness::Silent);
                s.turn(node, Liveness::Alive);
            },
            "nodes_unsettled",
        ),
        ("a node is lost", |s| s.turn(s.nodes()[3], Liveness::Lost), "nodes_unsettled"),
        (
            "a node has been lost for long: it takes nothing",
            |s| {
                s.turn(s.nodes()[3], Liveness::Lost);
                s.at = s.at.plus(WAIT);
            },
            "group_even",
        ),
        ("a leadership is new", |s| s.world.began = s.at, "nodes_unsettled"),
        ("an empty node is being drained", |s| drain(s, 3), "group_even"),
        ("an empty node is full of others", |s| fill(s, 3, DISK_BYTES - (1 << 30)), "group_even"),
        (
            "an empty node is on the black list",
            |s| knob(s, |k| k.assign_secondary_black_list = vec!["h4".into()]),
            "group_even",
        ),
        ("an empty node is paused", |s| pause_node(s, 3), "group_even"),
        ("the one with most is paused: the others give", |s| pause_node(s, 0), "adc abc"),
    ];
    for (name, deed, expected) in cases {
        let mut sample = house(4);
        deed(&mut sample);
        assert_eq!(after(&sample, "abc abc"), expected, "{name}");
    }
}

fn knob(sample: &mut Sample, change: fn(&mut RepairKnobs)) {
    change(std::sync::Arc::make_mut(&mut sample.world.knobs));
}

fn drain(sample: &mut Sample, node: usize) {
    let node = sample.nodes()[node];
    sample.apply(Change::NodeDrained { node, on: true });
}

fn pause_node(sample: &mut Sample, node: usize) {
    let scope = LeaseScope::Pause { what: PauseWhat::Balance, on: PauseOn::Node { node: sample.nodes()[node] } };
    let (owner, reason) = ("ann".into(), "rehearsal".into());
    let lease = Lease { id: 7, scope, owner, reason, until_wall_ms: Some(86_400_000), until: None };
    sample.apply(Change::LeaseGranted { lease, at: sample.at, wall_ms: 0 });
}

/// With tablets: none that stands elsewhere, and no bucket larger than the room of the one that would take it.
#[test]
fn tablets_stand_and_fit() {
    let mut sample = house(3);
    let tablets = sample.table(2, 3);
    tablets.iter().for_each(|id| _ = sample.load_all(*id));
    let mut table = (*sample.world.tables.values().next().unwrap().clone()).clone();
    table.group = Some("g".into());
    sample.apply(Change::TableChanged { table });
    let at = std::mem::replace(&mut sample.at, Tick(0));
    sample.host(1);
    sample.at = at;
    assert_eq!(after(&sample, "ab ab ab"), "group_unstable", "they stand on ab, bc, ca");
    assert_eq!(after(&sample, "ab bc ca"), "db bc ca");
    sample.resize(tablets[0], DISK_BYTES);
    assert_eq!(
        after(&sample, "ab bc ca"),
        "ab bc cd",
        "the first bucket would overfill it: the next of the same giver"
    );
}

prop_compose! {
    /// Nodes by host, and a sequence without two of one host in a bucket.
    fn houses()(nodes in proptest::collection::vec(0..5_usize, 1..8), n in 1..4_usize)
        (picks in proptest::collection::vec(proptest::collection::vec(0..nodes.len(), n), 1..9), nodes in Just(nodes))
        -> (Vec<usize>, Vec<Vec<usize>>) {
        let mut sequence: Vec<Vec<usize>> = Vec::new();
        for pick in picks {
            let mut bucket: Vec<usize> = Vec::new();
            for node in pick {
                if bucket.iter().all(|other| nodes[*other] != nodes[node]) {
                    bucket.push(node);
                }
            }
            sequence.push(bucket);
        }
        (nodes, sequence)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        cases: 300,
        ..ProptestConfig::default()
    })]

    /// Whatever the house: hosts stay apart, it ends at once and for good, and who differs by more than one can prove
    /// that no place may change hands.
    #[test]
    fn any_group((nodes, sequence) in houses()) {
        let mut sample = Sample::new(0, 0);
        for host in nodes {
            let (node, host) = (NodeId(sample.id()), format!("h{host}"));
            let (name, rack, tag) = (format!("n{node}"), String::new(), DEFAULT_TAG.to_string());
            sample.apply(Change::NodeAdded { node, host, name, rack, tag });
            sample.connect(node, BootId(node.0));
            sample.disk(node, Medium::Hdd);
        }
        sample.at = sample.at.plus(WAIT);
        let ids = sample.nodes();
        let buckets = sequence.iter().map(|bucket| bucket.iter().map(|node| ids[*node]).collect()).collect();
        let before = Group::new("g".into(), buckets);
        let host = |node: &NodeId| sample.world.nodes[node].host.clone();
        let uses = |group: &Group, id: NodeId| group.buckets.iter().flatten().filter(|node| **node == id).count();
        let after = match evened(&sample.world, &before, sample.at) {
            Ok((after, swaps)) => {
                prop_assert!(!swaps.is_empty());
                after
            }
            Err(_) => before.clone(),
        };
        for (old, new) in before.buckets.iter().zip(&after.buckets) {
            let hosts: BTreeSet<String> = new.iter().map(host).collect();
            prop_assert_eq!(hosts.len(), new.len());
            prop_assert_eq!(old.len(), new.len());
        }
        let again = evened(&sample.world, &after, sample.at);
        prop_assert!(again.is_err(), "{:?} goes on to {:?}", after.buckets, again);
        for giver in &ids {
            for taker in ids.iter().filter(|taker| uses(&after, **taker) + 1 < uses(&after, *giver)) {
                prop_assert_eq!(again.as_ref().unwrap_err().code(), "group_uneven");
                let can = after.buckets.iter().any(|bucket| {
                    bucket.contains(giver) && bucket.iter().all(|node| host(node) != host(taker))
                });
                prop_assert!(!can, "{giver} could give to {taker} in {:?}", after.buckets);
            }
        }
    }
}
