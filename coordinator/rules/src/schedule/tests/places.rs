//! Where copies go and who leaves, rule by rule: destinations, slots, victims, rates.

use super::house::{label, table};
use super::rows::Row;
use super::*;
use crate::checkup::count;
use crate::sample::DISK_BYTES;
use crate::schedule::victim::{Purpose, choose_victim};
use crate::settings::Setting;
use crate::world::SlotsElsewhere;
use stele_common::config::knobs::Value;
use stele_common::status::Priority;
use stele_common::{DiskFact, DiskState, Medium, ReplicaId, TaskType};

/// The step of a row whose first replica is bad: where its successor goes.
fn goes_to(arrange: impl FnOnce(&mut Row)) -> String {
    let mut row = Row::new(6, 1, 3);
    row.bad(0);
    arrange(&mut row);
    let step = row.step();
    step.split_once('>').map_or(step.clone(), |(_, place)| place.into())
}

/// The order of destinations: medium with a free slot, rack without a copy, used part, id.
#[test]
fn destinations_in_order() {
    let rack = |row: &mut Row, host: usize, rack: &str| {
        let node = row.host(host);
        label(&mut row.sample, node, rack, "default");
    };
    let used = |row: &mut Row, host: usize, percent: u64| {
        row.sample.fill(row.disk(host, 1), DISK_BYTES / 100 * percent, DISK_BYTES)
    };
    assert_eq!(goes_to(|_| {}), "h4", "all alike: the lowest id");
    assert_eq!(goes_to(|row| (used(row, 4, 20), used(row, 5, 10), used(row, 6, 15)).2), "h5", "the emptiest");
    let racks = |row: &mut Row| {
        for (host, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "b"), (5, "c"), (6, "d")] {
            rack(row, host, name);
        }
    };
    assert_eq!(goes_to(|row| racks(row)), "h6", "a rack without a copy");
    assert_eq!(goes_to(|row| (racks(row), used(row, 6, 50)).1), "h6", "though it is fuller");
    assert_eq!(goes_to(|row| (racks(row), row.drain(6)).1), "h4", "racks are soft");
    assert_eq!(goes_to(|row| (racks(row), rack(row, 5, "a")).1), "h5", "the rack of the bad one holds no copy");
    assert_eq!(goes_to(|row| (racks(row), rack(row, 5, ""), row.drain(6)).2), "h5", "no rack is another rack");
    let fast = |row: &mut Row| table(&mut row.sample, row.tablet, |table| table.partitions[0].medium = Medium::Ssd);
    let ssd = |row: &mut Row, host: usize| _ = row.sample.disk(row.host(host), Medium::Ssd);
    assert_eq!(goes_to(|row| (fast(row), ssd(row, 5)).1), "h5:2", "the partition's medium");
    assert_eq!(goes_to(|row| fast(row)), "h4", "any medium where there is none");
    let busy = |row: &mut Row, host: usize, number: usize, repair: u32| {
        let disk = row.disk(host, number);
        let disk = row.sample.world.disks.get_mut(&disk).expect("it is there");
        disk.slots_elsewhere = SlotsElsewhere { repair, balance: 9 };
    };
    assert_eq!(goes_to(|row| (fast(row), ssd(row, 5), busy(row, 5, 2, 2)).2), "h4", "no free slot on the right one");
    assert_eq!(goes_to(|row| (fast(row), ssd(row, 5), busy(row, 5, 2, 1)).2), "h5:2", "one slot is left");
    assert_eq!(goes_to(|row| (4..=6).for_each(|host| busy(row, host, 1, 2))), "refused no_destination_slot");
    assert_eq!(goes_to(|row| (1..=3).for_each(|host| busy(row, host, 1, 2))), "refused no_source_slot");
}

/// A disk that is refused, and by which rule; the sum of them is the detail of "no destination".
#[test]
fn refusals_of_disks() {
    type Spoil = fn(&mut Row);
    let cases: [(Spoil, &str); 9] = [
        (|_| {}, ""),
        (|row| row.sample.turn(row.host(4), Liveness::Silent), "node_not_alive"),
        (|row| row.sample.apply(Change::ReportsBroken { node: row.host(4) }), "nodes_not_reported"),
        (|row| row.sample.disk_state(row.disk(4, 1), DiskState::Suspect), "disk_not_online"),
        (|row| row.drain(4), "node_draining"),
        (|row| row.drain_disk(4, 1), "disk_draining"),
        (|row| row.tag(&[4], "other"), "other_tag"),
        (|row| row.group(&[1, 2, 3]), "not_in_bucket"),
        (|row| row.sample.fill(row.disk(4, 1), 86, 100), "disk_would_overfill"),
    ];
    for (spoil, code) in cases {
        let mut row = Row::new(4, 1, 3);
        row.bad(0);
        spoil(&mut row);
        let (world, ledger) = (&row.sample.world, Ledger::of(&row.sample.world, std::iter::empty()));
        let (tablet, disk) = (row.sample.tablet(row.tablet), &world.disks[&row.disk(4, 1)]);
        let refused = target::candidate_refusal(world, &ledger, tablet, disk, REPLICA_BYTES);
        assert_eq!(refused.as_ref().map_or("", Reason::code), code);
        let held = target::candidate_refusal(world, &ledger, tablet, &world.disks[&row.disk(2, 1)], REPLICA_BYTES);
        assert_eq!(held.map(|reason| reason.code()), Some("host_has_copy"));
    }
    let mut row = Row::new(4, 1, 3);
    row.lose(1);
    row.drain(4);
    row.waits(300_000);
    let round = one_round(&mut Desk::new(), &row.sample.world, row.sample.at, &[row.tablet]);
    let (tablet, why) = (row.tablet, "2 host_has_copy, 1 node_draining, 1 node_not_alive".to_string());
    assert_eq!(round.refused, [(tablet, Reason::NoDestination { tablet, disks: 4, why })]);
}

/// Two disks of one file system share what is promised to either.
#[test]
fn disks_of_one_device() {
    let mut row = Row::new(4, 2, 3);
    let (total, room) = (100 * REPLICA_BYTES, 3 * REPLICA_BYTES / 2);
    for number in [1, 2] {
        let disk = row.disk(4, number);
        row.sample.fill(disk, total - 15 * REPLICA_BYTES - room, total);
        let known = row.sample.world.disks[&disk].clone();
        let (path, medium, state, space) = (known.path, known.medium, known.state, known.space);
        let fact = DiskFact { disk, path, medium, state, cause: None, space, device: 77 };
        row.sample.apply(Change::DiskSeen { fact, node: row.host(4), at: row.sample.at });
    }
    let (first, second) = (row.disk(4, 1), row.disk(4, 2));
    let world = &row.sample.world;
    let tablet = row.sample.tablet(row.tablet);
    let mut ledger = Ledger::of(world, std::iter::empty());
    let refusal = |ledger: &Ledger| target::disk_refusal(world, ledger, tablet, &world.disks[&second], REPLICA_BYTES);
    assert_eq!(refusal(&ledger), None);
    let grant = slots::Grant {
        task_type: TaskType::Repair,
        source_disk: first,
        node: row.host(4),
        disk: first,
        bytes: REPLICA_BYTES,
        leaves: None,
    };
    ledger.take(world, &grant);
    let refused = refusal(&ledger);
    assert!(
        matches!(refused, Some(Reason::DiskWouldOverfill { free, .. }) if free < 16 * REPLICA_BYTES),
        "{refused:?}"
    );
}

/// The whole order in which replicas leave: each is chosen before all that follow it.
#[test]
fn victims_one_by_one() {
    let mut row = Row::new(14, 1, 1);
    let tablet = row.tablet;
    (0..3).for_each(|_| _ = row.sample.load_all(tablet));
    // Nothing is wrong with the first three.
    let good = [row.replica(0), row.extra(2, 4), row.extra(3, 4)];
    let fullest = row.extra(4, 4);
    row.sample.fill(row.disk(4, 1), 3 << 40, 4 << 40);
    let replaced = row.extra(5, 4);
    let other_tag = row.extra(6, 4);
    row.tag(&[6], "other");
    let behind = row.extra(7, 3);
    row.holds(row.sample.replicas(tablet).len() - 1, 3, 3, None);
    let missed = row.extra(8, 4);
    row.holds(row.sample.replicas(tablet).len() - 1, 4, 4, Some(5));
    let leftover = row.sample.replica_on(tablet, row.disk(9, 1), ReplicaState::Clone);
    let drained = row.extra(10, 4);
    row.drain(10);
    let lost = row.extra(11, 4);
    let bad = row.extra(12, 4);
    let dropped = row.extra(13, 4);
    let second = row.sample.disk(row.host(2), Medium::Hdd);
    let same_host = row.sample.replica_on(tablet, second, ReplicaState::Normal);
    row.sample.see(tablet, same_host, Version(4));
    row.lose(11);
    row.sample.bad(tablet, bad);
    row.sample.apply(Change::NodeRemoved { node: row.host(13), peer: String::new(), http: String::new() });
    row.sample.apply(Change::ReplicaReplaced { tablet, replica: replaced, by: good[0] });
    // One that has left has no place to take.
    row.sample.apply(Change::ReplicaReplaced { tablet, replica: good[0], by: ReplicaId(1) });
    let expected = [
        dropped, bad, lost, drained, leftover, missed, behind, same_host, other_tag, replaced, fullest, good[2],
        good[1],
    ];
    for (turn, victim) in expected.into_iter().enumerate() {
        let (world, at) = (&row.sample.world, row.sample.at);
        let counts = count(world, row.sample.tablet(tablet));
        let chosen = choose_victim(world, row.sample.tablet(tablet), &counts, at, Purpose::Surplus, &Scores::default());
        assert_eq!(chosen, Some(victim), "turn {turn}");
        row.sample.forget(tablet, victim);
    }
    let (world, at) = (&row.sample.world, row.sample.at);
    let counts = count(world, row.sample.tablet(tablet));
    let chosen = choose_victim(world, row.sample.tablet(tablet), &counts, at, Purpose::Surplus, &Scores::default());
    assert_eq!(chosen, None, "the last one stays");
}

/// Of two on one host the one on the fuller disk leaves, whichever came first; among equals the later one.
#[test]
fn one_of_two_on_a_host() {
    for (full, expected) in [(None, 1), (Some(0), 0), (Some(1), 1)] {
        let mut row = Row::new(4, 1, 3);
        let tablet = row.tablet;
        let disk = row.sample.disk(row.host(1), Medium::Hdd);
        let pair = [row.replica(0), row.sample.replica_on(tablet, disk, ReplicaState::Normal)];
        row.sample.see(tablet, pair[1], Version(1));
        let disks = pair.map(|id| row.sample.replica(tablet, id).disk);
        disks.iter().for_each(|disk| row.sample.fill(*disk, 1 << 30, 4 << 40));
        full.into_iter().for_each(|index: usize| row.sample.fill(disks[index], 2 << 40, 4 << 40));
        let (world, at) = (&row.sample.world, row.sample.at);
        let counts = count(world, row.sample.tablet(tablet));
        let chosen = choose_victim(world, row.sample.tablet(tablet), &counts, at, Purpose::Surplus, &Scores::default());
        assert_eq!(chosen, Some(pair[expected]), "{full:?}");
    }
}

/// A good copy on a draining node stays while fewer than n others are complete.
#[test]
fn a_draining_copy_is_no_surplus_by_itself() {
    let mut row = Row::new(5, 1, 3);
    row.extra(4, 1);
    row.drain(1);
    row.bad(3);
    assert_eq!(row.step(), "REPLICA_RELOCATING LOW r0>h5", "the bad one does not make it one too many");
    let mut row = Row::new(5, 1, 3);
    row.extra(4, 1);
    row.extra(5, 1);
    row.drain(1);
    row.bad(1);
    row.bad(2);
    assert_eq!(row.step(), "FORCE_REDUNDANT VERY_HIGH -r2");
}

/// The average rate of a disk is over all finished copies that it gave or took; failed ones say nothing.
#[test]
fn rates_of_disks() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let lost = shop.sample.tablet(ids[0]).replicas[0].node;
    shop.lose(lost);
    shop.pass(300_000);
    let made = shop.round();
    shop.accept(&made[0]);
    let task = shop.sample.world.tasks[&ids[0]].clone();
    let Work::Clone { source_disk, disk, .. } = task.work else { panic!("a copy") };
    assert_eq!(shop.desk.rates().of(disk), None);
    shop.pass(2_000);
    let (tablet, task, at) = (ids[0], task.id, shop.sample.at);
    shop.sample.apply(Change::TaskProgressed { tablet, task, bytes_done: 6_000, bytes_total: 6_000, at });
    shop.finish(ids[0]);
    assert_eq!([source_disk, disk].map(|disk| shop.desk.rates().of(disk)), [Some(3_000); 2]);
    let mut rates = shop.desk.rates().clone();
    rates.finished([disk, source_disk], 9_000, 1_000);
    assert_eq!(rates.of(disk), Some(5_000));
    rates.finished([disk, source_disk], 0, 1_000);
    assert_eq!(rates.of(disk), Some(5_000), "nothing moved");
}

/// The limit of slots may change while copies run: what runs goes on, new ones wait until there is room under it.
#[test]
fn the_limit_changes_live() {
    let (mut shop, _) = Shop::new(4, 1, 40);
    let lost = shop.sample.nodes()[0];
    shop.lose(lost);
    shop.pass(300_000);
    let limit = |shop: &mut Shop, slots| {
        let (name, value) = ("schedule_slot_num_per_path".into(), Some(Value::Whole(slots)));
        let (by, reason, wall_ms) = (String::new(), String::new(), 0);
        shop.sample.apply(Change::KnobSet { setting: Setting { name, value, by, reason, wall_ms } });
    };
    limit(&mut shop, 4);
    let made = shop.round();
    made.iter().for_each(|proposal| shop.accept(proposal));
    let most = |shop: &Shop| {
        let ledger = shop.desk.ledger(&shop.sample.world);
        shop.sample.world.disks.keys().map(|disk| ledger.used(*disk, TaskType::Repair)).max().unwrap_or(0)
    };
    assert_eq!(most(&shop), 4);
    limit(&mut shop, 5);
    let more = shop.round();
    assert!(!more.is_empty(), "one more slot a disk is granted in the next round");
    more.iter().for_each(|proposal| shop.accept(proposal));
    assert_eq!(most(&shop), 5);
    limit(&mut shop, 2);
    assert_eq!(shop.round(), [], "three too many run already");
    let ledger = shop.desk.ledger(&shop.sample.world);
    assert!(
        shop.sample.world.disks.keys().all(|disk| ledger.free(*disk, TaskType::Repair) <= 2),
        "never less than none"
    );
    for _ in 0..40 {
        let made = shop.round();
        let ledger = shop.desk.ledger(&shop.sample.world);
        for proposal in &made {
            let Proposal::Clone { target: Target::NewOn { disk, .. }, .. } = proposal else { continue };
            assert!(ledger.used(*disk, TaskType::Repair) <= 2, "{proposal:?}");
        }
        made.iter().for_each(|proposal| shop.accept(proposal));
        let Some(tablet) = shop.sample.world.tasks.keys().next().copied() else { return };
        shop.finish(tablet);
    }
}

/// Somebody's wish lifts what is pending already, and taking it back lowers it again.
#[test]
fn urgency_lifts_and_lowers() {
    let (mut shop, ids) = Shop::new(4, 1, 2);
    let lost = shop.sample.nodes()[0];
    shop.lose(lost);
    shop.round();
    let now = |shop: &Shop, id| shop.desk.entry(id).expect("it waits").urgency.now;
    assert_eq!([now(&shop, ids[0])], [Priority::Normal]);
    let scope = crate::world::LeaseScope::UrgentTablet { tablet: ids[0] };
    let (id, owner, reason, until_wall_ms, until) = (1, "me".into(), "test".into(), None, None);
    let lease = crate::world::Lease { id, scope, owner, reason, until_wall_ms, until };
    shop.sample.apply(Change::LeaseGranted { lease, at: shop.sample.at, wall_ms: 0 });
    shop.round();
    assert_eq!([now(&shop, ids[0])], [Priority::VeryHigh]);
    shop.sample.apply(Change::LeaseEnded { id: 1 });
    shop.round();
    assert_eq!([now(&shop, ids[0])], [Priority::Normal]);
}

/// Whoever came in first goes first among equals, whatever its id.
#[test]
fn turns_among_equals() {
    let (mut shop, ids) = Shop::new(5, 1, 3);
    for id in &ids {
        let replica = shop.sample.replicas(*id)[0];
        shop.sample.bad(*id, replica);
    }
    let (world, at) = (shop.sample.world.clone(), shop.sample.at);
    for id in [ids[2], ids[0], ids[1]] {
        let found = verdict(&world, shop.sample.tablet(id), at);
        shop.step(DeskEvent::Verdicts(vec![(id, found)]));
    }
    let order: Vec<TabletId> = shop.desk.pending().map(|entry| entry.tablet).collect();
    assert_eq!(order, [ids[2], ids[0], ids[1]]);
}
