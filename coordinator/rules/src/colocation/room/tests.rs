//! Who gives a place away for want of room, and who takes it.

use super::*;
use crate::Change;
use crate::sample::{DISK_BYTES, Sample};
use stele_common::{Evidence, ReplicaId, TabletId, TrashFact};

/// Four hosts; a table of one bucket on the first three, in a group; the third has lost its copy.
fn house() -> (Sample, TabletId, Group) {
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
    (sample, tablet, group)
}

fn disk_of(sample: &Sample, node: NodeId) -> stele_common::DiskId {
    sample.world.disks.values().find(|disk| disk.node == node).expect("a disk each").id
}

fn fill(sample: &mut Sample, node: NodeId, percent: u64) {
    let disk = disk_of(sample, node);
    sample.fill(disk, DISK_BYTES / 100 * percent, DISK_BYTES);
}

/// Row by row: what is full, and whether the place changes hands.
#[test]
fn who_gives_its_place_away() {
    let spare = |sample: &Sample, group: &Group| {
        sample.nodes().into_iter().find(|node| !group.buckets[0].contains(node)).expect("a fourth host")
    };
    let (sample, _, group) = house();
    assert_eq!(relieved(&sample.world, &group), None, "there is room for what it lacks");

    let (mut sample, tablet, group) = house();
    fill(&mut sample, group.buckets[0][0], 99);
    assert_eq!(relieved(&sample.world, &group), None, "a full node that lacks nothing keeps its place");
    fill(&mut sample, group.buckets[0][2], 99);
    let mut known = group.clone();
    known.former.insert(0, group.buckets[0].clone());
    let next = relieved(&sample.world, &known).expect("no room for what it lacks");
    let expected = vec![group.buckets[0][0], group.buckets[0][1], spare(&sample, &group)];
    assert_eq!(next.buckets, [expected]);
    assert!(next.former.is_empty(), "what stood there before is there all the time: it would get its place back");
    assert_eq!(relieved(&sample.world, &next), None, "deciding twice changes nothing");

    let (node, disk) = (group.buckets[0][2], disk_of(&sample, group.buckets[0][2]));
    let fact = TrashFact { tablet, replica: ReplicaId(7_777), disk, bytes: DISK_BYTES / 2, age_ms: 1, due: false };
    sample.apply(Change::TrashSeen { node, fact, at: sample.at });
    assert_eq!(relieved(&sample.world, &group), None, "its trash will make room");

    let (mut sample, _, group) = house();
    fill(&mut sample, group.buckets[0][2], 99);
    let fourth = spare(&sample, &group);
    fill(&mut sample, fourth, 99);
    assert_eq!(relieved(&sample.world, &group), None, "nobody has more");
}
