//! The forecast against figures that can be reckoned by hand.

use super::*;
use stele_coordinator_rules::sample::{REPLICA_BYTES, Sample as World3};

/// `hosts` hosts with one disk, `buckets` tablets with three copies at version 1.
fn house(hosts: u64, buckets: u32) -> World3 {
    let mut sample = World3::new(hosts, 1);
    for tablet in sample.table(3, buckets) {
        sample.load_all(tablet);
    }
    sample
}

fn told(sample: &World3, plan: Plan) -> Told {
    Forecast::new(sample.world.clone(), sample.at, plan).run()
}

/// Nothing happens: nothing is copied, nothing is ill, nothing is wrong.
#[test]
fn calm() {
    let told = told(&house(4, 8), Plan::default());
    assert_eq!((told.healthy_at_ms, told.bytes_copied, told.moves), (Some(0), 0, 0), "{told:#?}");
    assert_eq!((told.min_complete_copies, told.violations.len()), (3, 0), "{told:#?}");
}

/// A host dies: after the loss and the wait every tablet that it held is copied once, and two copies were the least.
#[test]
fn a_host_dies() {
    let sample = house(4, 8);
    let node = sample.nodes()[0];
    let held = sample.world.tablets.iter().flat_map(|t| &t.replicas).filter(|r| r.node == node).count() as u64;
    let plan = Plan { happenings: vec![(10_000, Happening::Kill(node))], ..Plan::default() };
    let told = told(&sample, plan);
    let healthy = told.healthy_at_ms.expect("it heals");
    let lost = 10_000 + sample.world.knobs.lost_ms + sample.world.knobs.assign_delay_ms;
    assert!((lost - 2_000..lost + 30_000).contains(&healthy), "{told:#?}");
    assert_eq!((told.bytes_copied, told.moves), (held * REPLICA_BYTES, held), "{told:#?}");
    assert_eq!((told.min_complete_copies, told.violations.clone()), (2, vec![]), "{told:#?}");
    assert_eq!(told.curve.len() as u64, super::curve::SAMPLES + 1);
}

/// The same plan gives the same answer, whatever is asked of it twice.
#[test]
fn same_seed_same_answer() {
    let sample = house(5, 16);
    let nodes = sample.nodes();
    let happenings = vec![(5_000, Happening::Kill(nodes[1])), (900_000, Happening::Revive(nodes[1]))];
    let plan = Plan { happenings, seed: 7, ..Plan::default() };
    assert_eq!(told(&sample, plan.clone()), told(&sample, plan));
}

/// Half the bandwidth takes about twice as long: 64 MiB at 1 MB/s and at 2 MB/s over one link.
#[test]
fn bandwidth_counts() {
    let mut sample = World3::new(4, 1);
    let tablets = sample.table(3, 64);
    for tablet in tablets {
        sample.load_all(tablet);
    }
    let took = |mbps| {
        let plan =
            Plan { happenings: vec![(0, Happening::Kill(sample.nodes()[0]))], net_mbps: mbps, ..Plan::default() };
        let begin = sample.world.knobs.lost_ms + sample.world.knobs.assign_delay_ms;
        told(&sample, plan).healthy_at_ms.expect("it heals") - begin
    };
    let (slow, fast) = (took(1), took(2));
    assert!(slow > fast * 3 / 2 && slow < fast * 5 / 2, "{slow} ms and {fast} ms");
}
