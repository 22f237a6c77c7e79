//! What people are shown of a verification, and of disks that share their room.

use super::*;
use stele_common::Version;
use stele_coordinator_rules::Change;
use stele_coordinator_rules::sample::Sample;

fn verifying(sample: &mut Sample) -> Vec<(TabletId, ReplicaId, u64)> {
    let tablet = sample.table(3, 1)[0];
    sample.load_all(tablet);
    sample.at = Tick(200_000);
    let replicas: Vec<_> = sample.replicas(tablet).into_iter().map(|replica| (tablet, replica, 10)).collect();
    sample.apply(Change::VerificationBegan { id: 5, at: sample.at, replicas: replicas.clone(), unreachable: vec![] });
    replicas
}

fn shown(sample: &Sample) -> api::Verification {
    verification(&sample.world, &sample.world.verifications[&5])
}

/// It is done when each replica has been read, found bad or is out of reach; what was found stays found when it has
/// been mended since.
#[test]
fn a_verification() {
    let mut sample = Sample::new(3, 1);
    let replicas = verifying(&mut sample);
    let view = shown(&sample);
    assert_eq!((view.replicas, view.clean, view.bytes, view.bytes_done, view.done), (3, 0, 30, 0, false));

    sample.at = Tick(201_000);
    let (tablet, first, _) = replicas[0];
    sample.see(tablet, first, Version(1));
    let (_, second, _) = replicas[1];
    sample.bad(tablet, second);
    let view = shown(&sample);
    assert_eq!((view.clean, view.bytes_done, view.found.len(), view.done), (1, 20, 1, false));
    assert_eq!((view.found[0].replica, view.found[0].host.as_str()), (second, "h2"));

    sample.apply(Change::ReplicaGood { tablet, replica: second, version: Version(1) });
    sample.see(tablet, second, Version(1));
    let node = sample.replica(tablet, replicas[2].1).node;
    sample.turn(node, Liveness::Lost);
    let view = shown(&sample);
    assert_eq!((view.clean, view.found.len(), view.unreachable.len(), view.done), (1, 1, 1, true));
}

/// A replica that moved before it was read is no finding; one that was found bad stays one, wherever it went.
#[test]
fn a_verification_of_what_moves() {
    let mut sample = Sample::new(3, 1);
    let replicas = verifying(&mut sample);
    let (tablet, bad, _) = replicas[0];
    sample.bad(tablet, bad);
    sample.see(tablet, replicas[1].1, Version(1));
    for (tablet, gone) in [(tablet, bad), (tablet, replicas[2].1)] {
        sample.forget(tablet, gone);
    }
    let view = shown(&sample);
    assert_eq!((view.clean, view.left, view.bytes_done, view.done), (1, 1, 30, true));
    assert_eq!((view.found.len(), view.unreachable.len()), (1, 0));
}

/// What was known to be bad when it began is a finding, even if repair takes it away before it is looked at.
#[test]
fn a_verification_of_what_is_bad_already() {
    let mut sample = Sample::new(3, 1);
    let replicas = verifying(&mut sample);
    let (tablet, bad, _) = replicas[0];
    sample.bad(tablet, bad);
    sample.apply(Change::VerificationBegan { id: 5, at: sample.at, replicas, unreachable: vec![] });
    sample.forget(tablet, bad);
    let view = shown(&sample);
    assert_eq!((view.found.len(), view.left), (1, 0));
}

/// Nothing of a lost node's is there: its disks are shown and counted as away, with the cause, and their room is not room.
#[test]
fn disks_of_a_lost_node() {
    let mut sample = Sample::new(3, 2);
    for node in sample.nodes() {
        for disk in sample.disks_of(node) {
            sample.fill(disk, 10, 100);
        }
    }
    assert_eq!(bytes(&sample.world), (60, 600));
    let node = sample.nodes()[0];
    sample.turn(node, Liveness::Lost);
    assert_eq!(bytes(&sample.world), (40, 400));
    let placements = Placements::of(&sample.world);
    let shown = super::disk(&sample.world, &placements, &sample.world.disks[&sample.disks_of(node)[0]]);
    assert_eq!((shown.state, shown.cause), (DiskState::Unavailable, Some(format!("node {node} is lost"))));
    let world = std::sync::Arc::new(sample.world.clone());
    let published = Published { world, at: sample.at, wall_ms: 0, number: 1 };
    let pending = Pending { tasks: 0, by_priority: BTreeMap::new(), idle: None, oldest: None };
    let counts = status(&published, &Tally::of(&published, sample.at), pending, sample.at).disks;
    assert_eq!((counts.online, counts.unavailable), (4, 2));
}

/// Disks on one file system have its room once.
#[test]
fn shared_room() {
    let mut sample = Sample::new(1, 2);
    let (node, disks) = (sample.nodes()[0], sample.disks_of(sample.nodes()[0]));
    for disk in &disks {
        sample.fill(*disk, 10, 100);
    }
    assert_eq!(bytes(&sample.world), (20, 200));
    for id in &disks {
        let disk = &sample.world.disks[id];
        let fact = stele_common::DiskFact {
            disk: *id,
            path: disk.path.clone(),
            medium: disk.medium,
            state: disk.state,
            cause: None,
            space: disk.space,
            device: 1,
        };
        sample.apply(Change::DiskSeen { fact, node, at: Tick(1) });
    }
    assert_eq!(bytes(&sample.world), (20, 110));
}

/// Agents that are reached at one address share a file system, whatever hosts they call themselves.
#[test]
fn one_machine() {
    let mut sample = Sample::new(2, 1);
    for node in sample.nodes() {
        let disk = sample.disks_of(node)[0];
        sample.fill(disk, 10, 100);
        let fact = stele_common::DiskFact {
            disk,
            path: sample.world.disks[&disk].path.clone(),
            medium: sample.world.disks[&disk].medium,
            state: DiskState::Online,
            cause: None,
            space: sample.world.disks[&disk].space,
            device: 1,
        };
        sample.apply(Change::DiskSeen { fact, node, at: Tick(1) });
    }
    assert_eq!(bytes(&sample.world), (20, 110));
}
