//! Properties of rounds on any world: limits hold, hosts are never shared, deciding twice changes nothing, and a house
//! that can be healed heals without ever losing a complete copy.

use super::tests::Shop;
use super::tests::house::{House, drain, group, label, table};
use super::*;
use crate::checkup::count;
use crate::checkup::count::host_of;
use crate::event::Target;
use crate::sample::Sample;
use crate::{Change, policy};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stele_common::{DiskState, Liveness, NodeId, TabletStatus, TaskType, Version};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
enum Ill {
    Lost(usize),
    Silent(usize),
    DiskAway(usize),
    Bad(usize, usize),
    Behind(usize, usize),
    Wait(u64),
}

fn ill() -> impl Strategy<Value = Ill> {
    prop_oneof![
        (0..20usize).prop_map(Ill::Lost),
        (0..20usize).prop_map(Ill::Silent),
        (0..40usize).prop_map(Ill::DiskAway),
        (0..64usize, 0..3usize).prop_map(|(tablet, replica)| Ill::Bad(tablet, replica)),
        (0..64usize, 0..3usize).prop_map(|(tablet, replica)| Ill::Behind(tablet, replica)),
        (0..400_000u64).prop_map(Ill::Wait),
    ]
}

fn befall(shop: &mut Shop, tablets: &[TabletId], ill: Ill) {
    let nodes = shop.sample.nodes();
    let disks: Vec<DiskId> = shop.sample.world.disks.keys().copied().collect();
    match ill {
        Ill::Lost(node) => shop.sample.turn(nodes[node % nodes.len()], Liveness::Lost),
        Ill::Silent(node) => shop.sample.turn(nodes[node % nodes.len()], Liveness::Silent),
        Ill::DiskAway(disk) => shop.sample.disk_state(disks[disk % disks.len()], DiskState::Unavailable),
        Ill::Bad(tablet, replica) => {
            let tablet = tablets[tablet % tablets.len()];
            let replica = shop.sample.replicas(tablet)[replica];
            shop.sample.bad(tablet, replica);
        }
        Ill::Behind(tablet, replica) => {
            let tablet = tablets[tablet % tablets.len()];
            let mut holders = shop.sample.replicas(tablet);
            holders.remove(replica);
            // A bad or lagging one holds nothing new: the version would not be theirs.
            holders.retain(|id| {
                let known = shop.sample.replica(tablet, *id);
                known.bad.is_none() && known.version == shop.sample.tablet(tablet).committed
            });
            if holders.len() == 2 {
                shop.sample.load(tablet, &holders);
            }
        }
        Ill::Wait(ms) => shop.pass(ms),
    }
}

/// What must hold of every proposal, on the world that it was made for.
fn check(shop: &Shop, proposals: &[Proposal]) {
    let world = &shop.sample.world;
    let mut tablets = BTreeSet::new();
    for proposal in proposals {
        match proposal {
            Proposal::Clone { tablet, target, source, .. } => {
                assert!(tablets.insert(*tablet) && !world.tasks.contains_key(tablet), "one task a tablet");
                let tablet = world.tablets.get(*tablet).expect("it is there");
                let from = shop.sample.replica(tablet.id, *source);
                assert!(from.bad.is_none() && from.seen.as_ref().is_some_and(|seen| seen.version >= tablet.visible));
                match target {
                    Target::NewOn { node, .. } => {
                        let host = world.nodes[node].host.as_str();
                        assert!(tablet.replicas.iter().all(|replica| host_of(world, replica) != Some(host)));
                        assert!((tablet.replicas.len() as u32) < tablet.wanted + admit::SURPLUS_MAX);
                    }
                    Target::Existing(replica) => assert_ne!(replica, source),
                    Target::Beside { old, disk } => {
                        let (from, to) = (shop.sample.replica(tablet.id, *old), &world.disks[disk]);
                        assert!(
                            to.id != from.disk && host_of(world, from) == Some(world.nodes[&to.node].host.as_str())
                        );
                    }
                }
            }
            Proposal::Delete { tablet, victim, .. } => {
                assert!(tablets.insert(*tablet) && !world.tasks.contains_key(tablet), "one task a tablet");
                let tablet = world.tablets.get(*tablet).expect("it is there");
                let counts = count(world, tablet);
                let others = tablet.replicas.iter().zip(&counts.judged).filter(|(r, j)| r.id != *victim && j.complete);
                assert!(others.count() >= 1, "never the last complete copy");
            }
            // Nobody asks the planner here.
            Proposal::Cancel { .. } | Proposal::Move { .. } | Proposal::Turn(_) => {}
        }
    }
    let ledger = shop.desk.ledger(world);
    assert!(
        world.disks.keys().all(|disk| ledger.used(*disk, TaskType::Repair) <= world.knobs.schedule_slot_num_per_path)
    );
}

fn complete(shop: &Shop, tablet: TabletId) -> u32 {
    count(&shop.sample.world, shop.sample.tablet(tablet)).complete
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// Any ills, then calm: every round keeps its promises, a second look at the same world proposes nothing, no
    /// repair lowers the number of complete copies below what is wanted, and what can be healed is healed.
    #[test]
    fn any_house_heals(hosts in 3u64..7, disks in 1u64..3, tablets in 1u32..24,
                       ills in proptest::collection::vec(ill(), 0..14)) {
        let (mut shop, ids) = Shop::new(hosts, disks, tablets);
        ids.iter().for_each(|id| assert_eq!(shop.sample.tablet(*id).visible, Version(1)));
        for ill in ills {
            befall(&mut shop, &ids, ill);
            let proposals = shop.round();
            check(&shop, &proposals);
            prop_assert_eq!(shop.round(), vec![], "deciding twice changes nothing");
            proposals.iter().for_each(|proposal| shop.accept(proposal));
        }
        // Calm: who is silent becomes lost, waits end, every task succeeds.
        for node in shop.sample.nodes() {
            if shop.sample.world.nodes[&node].liveness == Liveness::Silent {
                shop.lose(node);
            }
        }
        let mut quiet = 0;
        for _ in 0..2_000 {
            let proposals = shop.round();
            check(&shop, &proposals);
            let before: Vec<u32> = ids.iter().map(|id| complete(&shop, *id)).collect();
            proposals.iter().for_each(|proposal| shop.accept(proposal));
            let running: Vec<TabletId> = shop.sample.world.tasks.keys().copied().collect();
            running.iter().for_each(|tablet| shop.finish(*tablet));
            for (id, before) in ids.iter().zip(before) {
                prop_assert!(complete(&shop, *id) >= before.min(3), "tablet {} lost a complete copy", id);
            }
            shop.pass(20_000);
            quiet = if proposals.is_empty() && running.is_empty() { quiet + 1 } else { 0 };
            if quiet > 20 {
                break;
            }
        }
        prop_assert!(quiet > 20, "it never comes to rest");
        let usable: BTreeSet<&str> = shop.sample.world.disks.values()
            .filter(|disk| target::place_refusal(&shop.sample.world, disk).is_none())
            .map(|disk| shop.sample.world.nodes[&disk.node].host.as_str()).collect();
        for id in &ids {
            let found = verdict(&shop.sample.world, shop.sample.tablet(*id), shop.sample.at);
            let is_healed = matches!(found.status, TabletStatus::Healthy | TabletStatus::Unrecoverable);
            prop_assert!(is_healed || usable.len() < 3, "{:?}\n{:#?}", found, shop.sample.tablet(*id).replicas);
        }
    }
}

/// One thing that somebody wants, or that goes wrong.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Drain(usize),
    Undrain(usize),
    DrainDisk(usize),
    Maintain(usize),
    Lose(usize),
    Back(usize),
    Bad(usize, usize),
    /// The tables' tag changes, or their bucket moves on by a host.
    Elsewhere,
    Live(u64),
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        (0..20usize).prop_map(Wish::Drain),
        (0..20usize).prop_map(Wish::Undrain),
        (0..40usize).prop_map(Wish::DrainDisk),
        (0..20usize).prop_map(Wish::Maintain),
        (0..20usize).prop_map(Wish::Lose),
        (0..20usize).prop_map(Wish::Back),
        (0..64usize, 0..3usize).prop_map(|(tablet, replica)| Wish::Bad(tablet, replica)),
        Just(Wish::Elsewhere),
        (1..6u64).prop_map(Wish::Live),
    ]
}

fn come_true(house: &mut House, ids: &[TabletId], wish: Wish) {
    let nodes = house.play.sample.nodes();
    let pick = |at: usize| nodes[at % nodes.len()];
    match wish {
        Wish::Drain(at) => drain(house.sample(), pick(at)),
        Wish::Undrain(at) => house.sample().apply(Change::NodeDrained { node: pick(at), on: false }),
        Wish::DrainDisk(at) => {
            let disks: Vec<DiskId> = house.play.world().disks.keys().copied().collect();
            house.sample().apply(Change::DiskDrained { disk: disks[at % disks.len()], on: true });
        }
        Wish::Maintain(at) => {
            let (id, scope) = (house.sample().id(), policy::LeaseScope::Maintenance { node: pick(at) });
            let (owner, reason, until) = ("me".into(), "test".into(), None);
            let (at, wall_ms) = (house.play.sample.at, 1_000_000 + house.play.sample.at.0);
            let until_wall_ms = Some(wall_ms + 30_000);
            let lease = policy::Lease { id, scope, owner, reason, until_wall_ms, until };
            house.sample().apply(Change::LeaseGranted { lease, at, wall_ms });
        }
        Wish::Lose(at) => {
            // One node at most: two could take two copies of three with them, which is another test.
            if house.play.world().nodes.values().all(|node| node.liveness == Liveness::Alive) {
                house.sample().turn(pick(at), Liveness::Lost);
            }
        }
        Wish::Back(at) => house.sample().turn(pick(at), Liveness::Alive),
        Wish::Elsewhere => {
            let bucket = house.play.world().groups.get("g").map(|group| group.buckets[0].clone());
            match bucket {
                Some(nodes) => {
                    let hosts = one_node_a_host(house.play.world());
                    let step = |node: &NodeId| {
                        let host = &house.play.world().nodes[node].host;
                        let at = hosts.iter().position(|(name, _)| name == host).expect("it has a host");
                        hosts[(at + 1) % hosts.len()].1
                    };
                    let nodes: Vec<NodeId> = nodes.iter().map(step).collect();
                    group(house.sample(), ids[0], &nodes);
                }
                None => table(house.sample(), ids[0], |table| {
                    table.tag = if table.tag == "fast" { "default".into() } else { "fast".into() };
                }),
            }
        }
        Wish::Bad(tablet, replica) => {
            let tablet = ids[tablet % ids.len()];
            let replicas = house.play.sample.replicas(tablet);
            if house.complete(tablet) > 2 {
                house.sample().bad(tablet, replicas[replica % replicas.len()]);
            }
        }
        Wish::Live(seconds) => _ = live(house, ids, seconds),
    }
}

/// Every second: no tablet has fewer complete copies for our own doing, none has more than n + 2 replicas.
fn live(house: &mut House, ids: &[TabletId], seconds: u64) -> usize {
    let mut copies = 0;
    for _ in 0..seconds {
        let before: Vec<u32> = ids.iter().map(|id| house.complete(*id)).collect();
        let proposed = house.lives(1);
        copies += proposed.iter().filter(|proposal| matches!(proposal, Proposal::Clone { .. })).count();
        for (id, before) in ids.iter().zip(before) {
            assert!(house.complete(*id) >= before.min(3), "tablet {id} lost a complete copy");
            assert!(house.play.sample.tablet(*id).replicas.len() <= 5, "tablet {id} has too many replicas");
        }
    }
    copies
}

/// Hosts where copies of these tablets may stand for good.
fn homes(house: &House, id: TabletId) -> usize {
    let (world, tablet) = (house.play.world(), house.play.sample.tablet(id));
    let fit = world
        .disks
        .values()
        .filter(|disk| target::place_refusal(world, disk).is_none() && target::unwanted(world, tablet, disk).is_none());
    fit.map(|disk| world.nodes[&disk.node].host.as_str()).collect::<BTreeSet<_>>().len()
}

/// Every host with its last node.
fn one_node_a_host(world: &World) -> Vec<(String, NodeId)> {
    let hosts: BTreeMap<String, NodeId> = world.nodes.values().map(|node| (node.host.clone(), node.id)).collect();
    hosts.into_iter().collect()
}

/// `twins` hosts have a second node; `fast` hosts have another tag, which the table asks for; a `bucket` begins at that
/// host, on the last node of each.
fn manor(size: (u64, u64, u32), twins: usize, fast: usize, bucket: Option<usize>) -> (House, Vec<TabletId>) {
    let (hosts, disks, tablets) = size;
    let mut sample = Sample::new(hosts, disks);
    let ids = sample.table(3, tablets);
    ids.iter().for_each(|id| _ = sample.load_all(*id));
    for twin in sample.nodes().into_iter().take(twins) {
        let node = NodeId(sample.id());
        let (host, name) = (sample.world.nodes[&twin].host.clone(), format!("twin-{twin}"));
        sample.apply(Change::NodeAdded { node, host, name, rack: String::new(), tag: "default".into() });
        sample.connect(node, stele_common::BootId(node.0));
        sample.disk(node, stele_common::Medium::Hdd);
    }
    let nodes = one_node_a_host(&sample.world);
    match bucket {
        Some(first) => {
            let wanted: Vec<NodeId> = (0..3).map(|step| nodes[(first + step) % nodes.len()].1).collect();
            group(&mut sample, ids[0], &wanted);
        }
        None if fast > 0 => {
            nodes.iter().rev().take(fast).for_each(|(_, node)| label(&mut sample, *node, "", "fast"));
            table(&mut sample, ids[0], |table| table.tag = "fast".into());
        }
        None => {}
    }
    (House::of(sample), ids)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// Drains, tags, groups, maintenance and ills in any order, decided by desk and Catalog: the invariants hold after
    /// every event, no repair costs a complete copy, and whatever has enough homes ends HEALTHY; then nothing moves.
    #[test]
    fn any_wish_is_fulfilled(size in (4u64..8, 1u64..3, 1u32..6), twins in 0usize..4, fast in 0usize..6,
                             bucket in proptest::option::weighted(0.4, 0..8usize),
                             wishes in proptest::collection::vec(wish(), 0..12)) {
        let size = if bucket.is_some() { (size.0, size.1, 1) } else { size };
        let (mut house, ids) = manor(size, twins, fast, bucket);
        for wish in wishes {
            come_true(&mut house, &ids, wish);
        }
        live(&mut house, &ids, 240);
        for id in &ids {
            let is_healed = house.status(*id) == TabletStatus::Healthy;
            let reason = house.desk.entry(*id).and_then(|entry| entry.reason.clone());
            let replicas = &house.play.sample.tablet(*id).replicas;
            prop_assert!(is_healed || homes(&house, *id) < 3, "{} {:?}\n{:?}", house.status(*id), reason, replicas);
        }
        prop_assert_eq!(live(&mut house, &ids, 60), 0, "something moves in the calm");
    }
}
