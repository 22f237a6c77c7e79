//! Who gives a place away for want of room, and who takes it.

use super::*;
use crate::Change;
use crate::sample::{DISK_BYTES, REPLICA_BYTES, Sample};
use stele_common::Evidence;
use stele_common::config::RepairKnobs;

/// Four hosts; a table of one bucket on the first three, in a group; the third has lost its copy.
fn house() -> (Sample, Group) {
    let mut sample = Sample::new(4, 1);
    let tablet = sample.table(3, 1)[0];
    sample.load_all(tablet);
    let mut table = (*sample.world.tables.values().next().expect("it was made").clone()).clone();
    table.group = Some("g".into());
    sample.apply(Change::TableChanged { table });
    let replicas = sample.replicas(tablet);
    let nodes = replicas.iter().map(|id| sample.replica(tablet, *id).node).collect();
    let ballot = sample.tablet(tablet).ballot.next();
    let evidence = Evidence::Others { replicas: Vec::new(), wanted: 3 };
    sample.apply(Change::ReplicaDropped { tablet, replica: replicas[2], ballot, evidence });
    let group = Group::new("g".into(), vec![nodes]);
    (sample, group)
}

fn disk_of(sample: &Sample, node: NodeId) -> stele_common::DiskId {
    sample.world.disks.values().find(|disk| disk.node == node).expect("a disk each").id
}

fn fill(sample: &mut Sample, node: NodeId, percent: u64) {
    let disk = disk_of(sample, node);
    sample.fill(disk, DISK_BYTES / 100 * percent, DISK_BYTES);
}

/// The group after `wait_ms` of looks at the same world.
fn after(sample: &mut Sample, group: &Group, wait_ms: u64) -> Option<Group> {
    sample.world.groups.insert(group.name.clone(), std::sync::Arc::new(group.clone()));
    let places = cramped(&sample.world, sample.at);
    sample.apply(Change::PlacesCramped { places });
    let later = sample.at.plus(wait_ms);
    let again = cramped(&sample.world, later);
    assert_eq!(again, sample.world.cramped, "since when is kept in mind");
    relieved(&sample.world, group, later)
}

/// Row by row: what is full, and whether the place changes hands.
#[test]
fn who_gives_its_place_away() {
    let wait = RepairKnobs::default().assign_delay_ms;
    let (mut sample, group) = house();
    assert_eq!(after(&mut sample, &group, wait), None, "there is room for what it lacks");
    fill(&mut sample, group.buckets[0][0], 99);
    assert_eq!(after(&mut sample, &group, wait), None, "a full node that lacks nothing keeps its place");

    fill(&mut sample, group.buckets[0][2], 99);
    let mut known = group.clone();
    known.former.insert(0, group.buckets[0].clone());
    assert_eq!(after(&mut sample, &known, wait - 1), None, "room may come by itself");
    let next = after(&mut sample, &known, wait).expect("no room for what it lacks");
    let fourth = sample.nodes().into_iter().find(|node| !group.buckets[0].contains(node)).expect("a fourth host");
    assert_eq!(next.buckets, [[group.buckets[0][0], group.buckets[0][1], fourth]]);
    assert!(next.former.is_empty(), "what stood there before is there all the time: it would get its place back");
    assert_eq!(relieved(&sample.world, &next, sample.at.plus(wait)), None, "deciding twice changes nothing");

    let other = Group::new("h".into(), vec![vec![fourth]]);
    let mut table = (*sample.world.tables.values().next().expect("it was made").clone()).clone();
    (table.id, table.group) = (stele_common::TableId(sample.id()), Some("h".into()));
    sample.world.groups.insert("h".into(), std::sync::Arc::new(other));
    sample.world.tables.insert(table.id, std::sync::Arc::new(table));
    assert_eq!(after(&mut sample, &group, wait), None, "the fourth waits for what another place brings");
    sample.world.groups.remove("h");
    let second = sample.disk(fourth, stele_common::Medium::Hdd);
    let disk = disk_of(&sample, fourth);
    for disk in [disk, second] {
        let reserve = sample.world.knobs.clone_reserve(DISK_BYTES);
        sample.fill(disk, DISK_BYTES - reserve - REPLICA_BYTES / 2, DISK_BYTES);
    }
    assert_eq!(after(&mut sample, &group, wait), None, "room enough, in pieces that hold no tablet");
    for disk in [disk, second] {
        sample.fill(disk, DISK_BYTES / 100 * 99, DISK_BYTES);
    }
    assert_eq!(after(&mut sample, &group, wait), None, "nobody has more");
    fill(&mut sample, group.buckets[0][2], 10);
    assert!(cramped(&sample.world, sample.at).is_empty(), "there is room again");
}
