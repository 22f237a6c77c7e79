//! The forecast against figures that can be reckoned by hand.

use super::*;
use stele_coordinator_rules::evacuation::progress;
use stele_coordinator_rules::sample::{REPLICA_BYTES, Sample as World3};
use stele_coordinator_rules::world::Leaver;

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

/// Where some find no place, the forecast ends when nothing runs any more, and tells when the last of the others healed.
#[test]
fn what_heals_and_what_does_not() {
    let mut sample = house(4, 8);
    let wide = sample.table(4, 2);
    wide.iter().for_each(|tablet| _ = sample.load_all(*tablet));
    let node = sample.nodes()[0];
    let plan = Plan { happenings: vec![(0, Happening::Kill(node))], for_ms: 48 * 3_600_000, ..Plan::default() };
    let knobs = sample.world.knobs.clone();
    let patience = knobs.assign_delay_ms + knobs.lost_ms + 120_000;
    let told = Forecast::new(sample.world.clone(), sample.at, plan.clone()).run_until_calm(patience);
    let lost = knobs.lost_ms + knobs.assign_delay_ms;
    let healed = told.last_healed_ms.expect("three of four hosts are left for three copies");
    assert!((lost..lost + 30_000).contains(&healed), "{told:#?}");
    assert_eq!((told.healthy_at_ms, told.ill_count), (None, 2), "four copies find no place on three hosts");
    let end = told.curve.last().expect("it was sampled").at_ms;
    assert!(end < healed + 2 * patience + plan.for_ms / 60, "it does not go on for ever: {end}");

    let (part, one_of) = stele_coordinator_rules::whatif::touched_by(&sample.world, &leaving(node), 3);
    let touched = sample.world.tablets.iter().filter(|t| t.replicas.iter().any(|r| r.node == node)).count();
    assert_eq!(one_of as usize, touched.div_ceil(3));
    assert_eq!(part.tablets.len(), touched.div_ceil(one_of as usize));
    assert_eq!(part.disks, sample.world.disks, "disks stay as full as they are");
}

fn leaving(node: NodeId) -> stele_coordinator_rules::evacuation::Leaving {
    let nodes = BTreeSet::from([node]);
    stele_coordinator_rules::evacuation::Leaving { nodes, ..Default::default() }
}

/// The interval that a drain gives for its end holds it: at four of five moments, whatever the sizes and however many
/// drain together; and it is not so wide that it says nothing.
#[test]
fn the_time_left_is_told_rightly() {
    for (name, hosts, leaving, large) in
        [("one of six", 6, 1, 1), ("two of six", 6, 2, 1), ("three of six", 6, 3, 1), ("one large one", 6, 1, 400)]
    {
        let mut sample = house(hosts, 120);
        let first = sample.world.tablets.iter().next().expect("there are some").id;
        let size = |at: usize| if at == 0 { large << 30 } else { (64 << 20) + (at as u64 % 7) * (32 << 20) };
        let ids: Vec<_> = sample.world.tablets.iter().map(|tablet| tablet.id).collect();
        for (index, id) in ids.into_iter().enumerate() {
            sample.resize(id, size(if id == first { 0 } else { index + 1 }));
        }
        let nodes: Vec<NodeId> = sample.nodes().into_iter().take(leaving).collect();
        let plan = Plan { happenings: vec![(0, Happening::Drain(nodes.clone()))], ..Plan::default() };
        let mut forecast = Forecast::new(sample.world.clone(), sample.at, plan);
        let mut told: Vec<(NodeId, u64, u64, u64)> = Vec::new();
        let mut ends: BTreeMap<NodeId, u64> = BTreeMap::new();
        for second in 1..7_200 {
            forecast.run_until(second * 1_000);
            let (world, at) = (&forecast.world, forecast.at());
            for (of, drain) in &world.drains {
                let Leaver::Node(node) = *of else { continue };
                if drain.done_wall_ms.is_some() {
                    ends.entry(node).or_insert(second);
                } else if let Some((from, to)) = progress::of(world, drain, at, at.0).eta_s {
                    told.push((node, second, from, to));
                }
            }
            if ends.len() == leaving {
                break;
            }
        }
        assert_eq!(ends.len(), leaving, "{name}: all of them end");
        let is_inside =
            |(node, second, from, to): &&(NodeId, u64, u64, u64)| (*from..=*to + 1).contains(&(ends[node] - second));
        let inside = told.iter().filter(is_inside).count();
        println!("{name}: ends {ends:?}, inside {inside} of {}", told.len());
        for one in told.iter().step_by(told.len() / 12 + 1) {
            println!("  {} s were left, told {} to {}", ends[&one.0] - one.1, one.2, one.3);
        }
        assert!(inside * 5 >= told.len() * 4, "{name}: the end lay inside {inside} of {}", told.len());
    }
}
