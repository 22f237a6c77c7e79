//! Sequences are even, never double on a host, and replace exactly those who must go.

use super::*;
use crate::Change;
use crate::sample::Sample;
use stele_common::BootId;

fn group(sample: &Sample, buckets: u32, n: u32) -> Group {
    let buckets = fresh(&sample.world, buckets, n, "default").expect("hosts enough");
    Group::new("g".into(), buckets)
}

fn hosts_differ(world: &World, sequence: &[Vec<NodeId>]) -> bool {
    sequence.iter().all(|bucket| {
        let hosts: BTreeSet<&str> = bucket.iter().map(|node| world.nodes[node].host.as_str()).collect();
        hosts.len() == bucket.len()
    })
}

fn spread(sequence: &[Vec<NodeId>], nodes: &[NodeId]) -> (usize, usize) {
    let uses = nodes.iter().map(|node| sequence.iter().flatten().filter(|other| *other == node).count());
    let uses: Vec<usize> = uses.collect();
    (*uses.iter().min().unwrap(), *uses.iter().max().unwrap())
}

/// Every bucket on n hosts, every node used as often as any other give or take one; too few hosts are none.
#[test]
fn fresh_sequences_are_even() {
    for (hosts, buckets, n) in [(3, 8, 3), (5, 7, 3), (6, 16, 2), (4, 1, 1), (7, 33, 3)] {
        let sample = Sample::new(hosts, 1);
        let group = group(&sample, buckets, n);
        assert!(hosts_differ(&sample.world, &group.buckets));
        let (least, most) = spread(&group.buckets, &sample.nodes());
        assert!(most - least <= 1, "{hosts} hosts: {:?}", group.buckets);
    }
    assert_eq!(fresh(&Sample::new(2, 1).world, 4, 3, "default"), None);
    assert_eq!(fresh(&Sample::new(3, 1).world, 4, 3, "other"), None);
}

/// Who goes: row by row, what happened to the first node and whether it is replaced then.
#[test]
fn who_is_replaced() {
    type Deed = fn(&mut Sample, NodeId);
    let lost: Deed = |sample, node| sample.turn(node, Liveness::Lost);
    let cases: [(&str, u32, Deed, u64, bool); 10] = [
        ("nothing happened", 3, |_, _| {}, 0, false),
        ("it is silent", 3, |sample, node| sample.turn(node, Liveness::Silent), 900_000, false),
        ("lost, within the wait", 3, lost, 299_999, false),
        ("lost for as long as repair waits", 3, lost, 300_000, true),
        ("lost, one other of two left", 2, lost, 0, true),
        ("lost, and the only one", 1, lost, 9_000_000, false),
        ("draining", 3, |sample, node| sample.apply(Change::NodeDrained { node, on: true }), 0, true),
        ("draining, and the only one", 1, |sample, node| sample.apply(Change::NodeDrained { node, on: true }), 0, true),
        (
            "of another tag by now",
            3,
            |sample, node| sample.world.nodes.get_mut(&node).unwrap().tag = "x".into(),
            0,
            true,
        ),
        (
            "removed",
            3,
            |sample, node| sample.apply(Change::NodeRemoved { node, peer: String::new(), http: String::new() }),
            0,
            true,
        ),
    ];
    for (name, n, deed, later, is_replaced) in cases {
        let mut sample = Sample::new(5, 1);
        let group = group(&sample, 4, n);
        let first = group.buckets[0][0];
        deed(&mut sample, first);
        let (sequence, stuck) = replaced(&sample.world, &group, &BTreeSet::new(), sample.at.plus(later));
        assert_eq!(!sequence.iter().flatten().any(|node| *node == first), is_replaced, "{name}");
        assert_eq!(sequence == group.buckets, !is_replaced, "{name}");
        assert!(stuck.is_empty() && hosts_differ(&sample.world, &sequence), "{name}");
        let (again, _) = replaced(
            &sample.world,
            &Group { buckets: sequence.clone(), ..group },
            &BTreeSet::new(),
            sample.at.plus(later),
        );
        assert_eq!(again, sequence, "{name}: deciding twice changes nothing");
    }
}

/// With nobody to take its place a node stays, and the bucket is named.
#[test]
fn nobody_is_left() {
    let sample = Sample::new(3, 1);
    let group = group(&sample, 2, 3);
    let leaving = BTreeSet::from([group.buckets[0][0]]);
    let (sequence, stuck) = replaced(&sample.world, &group, &leaving, sample.at);
    assert_eq!((sequence, stuck), (group.buckets, vec![0, 1]));
}

/// A second node on the host of a member never joins it in one bucket.
#[test]
fn hosts_stay_different() {
    let mut sample = Sample::new(3, 1);
    let group = group(&sample, 3, 2);
    let host = sample.world.nodes[&group.buckets[0][1]].host.clone();
    let twin = NodeId(sample.id());
    let (rack, tag) = (String::new(), "default".to_string());
    sample.apply(Change::NodeAdded { node: twin, host, name: "twin".into(), rack, tag });
    sample.connect(twin, BootId(99));
    sample.disk(twin, stele_common::Medium::Hdd);
    let leaving = BTreeSet::from([group.buckets[0][0]]);
    let (sequence, stuck) = replaced(&sample.world, &group, &leaving, sample.at);
    assert!(stuck.is_empty() && hosts_differ(&sample.world, &sequence), "{sequence:?}");
}
