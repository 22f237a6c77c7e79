//! What fits, what does not and by which rule; progress and proof over a drain.

use super::*;
use crate::Change;
use crate::policy::Drain;
use crate::sample::{DISK_BYTES, REPLICA_BYTES, Sample};
use stele_common::api::DrainState;

fn nodes(nodes: &[NodeId]) -> Leaving {
    Leaving { nodes: nodes.iter().copied().collect(), ..Leaving::default() }
}

fn loaded(hosts: u64, disks: u64, n: u32, buckets: u32) -> Sample {
    let mut sample = Sample::new(hosts, disks);
    for tablet in sample.table(n, buckets) {
        sample.load_all(tablet);
    }
    sample
}

/// Row by row: what stands in the way of emptying the first node, by its code.
#[test]
fn what_does_not_fit() {
    type Spoil = fn(&mut Sample);
    let fill_others: Spoil = |sample| {
        for disk in sample.world.disks.keys().copied().collect::<Vec<_>>() {
            sample.fill(disk, DISK_BYTES - (100 << 30), DISK_BYTES);
        }
    };
    let cases: [(&str, u64, u32, Spoil, Option<&str>); 7] = [
        ("a host to spare", 4, 3, |_| {}, None),
        ("every host holds a copy", 3, 3, |_| {}, Some("too_few_hosts")),
        ("one copy, others have room", 2, 1, |_| {}, None),
        ("the others are full", 4, 3, fill_others, Some("disk_would_overfill")),
        (
            "the spare is being drained itself",
            4,
            3,
            |sample| {
                let node = sample.nodes()[3];
                sample.apply(Change::NodeDrained { node, on: true });
            },
            Some("too_few_hosts"),
        ),
        (
            "the spare is silent",
            4,
            3,
            |sample| {
                let node = sample.nodes()[3];
                sample.turn(node, Liveness::Silent);
            },
            Some("too_few_hosts"),
        ),
        (
            "there are no slots",
            4,
            3,
            |sample| {
                let mut knobs = (*sample.world.knobs).clone();
                knobs.schedule_slot_num_per_path = 0;
                sample.world.knobs = std::sync::Arc::new(knobs);
            },
            Some("no_slots"),
        ),
    ];
    for (name, hosts, n, spoil, code) in cases {
        let mut sample = loaded(hosts, 1, n, 8);
        spoil(&mut sample);
        let first = sample.nodes()[0];
        let found = evacuate(&sample.world, &nodes(&[first]), sample.at);
        assert_eq!(found.blockers.first().map(|blocker| blocker.code.as_str()), code, "{name}: {found:?}");
        assert_eq!(found.fits, code.is_none(), "{name}");
        assert!(found.tablets > 0 && found.blockers.iter().all(|blocker| !blocker.detail.is_empty()), "{name}");
    }
}

/// Copies and bytes are those that must be made; a tablet of two leaving nodes needs two.
#[test]
fn what_moves() {
    let sample = loaded(6, 1, 3, 12);
    let two = sample.nodes()[..2].to_vec();
    let found = evacuate(&sample.world, &nodes(&two), sample.at);
    let copies = sample.world.tablets.iter().flat_map(|tablet| &tablet.replicas).filter(|r| two.contains(&r.node));
    let copies = copies.count() as u64;
    assert_eq!((found.fits, found.copies, found.bytes), (true, copies, copies * REPLICA_BYTES));
    assert!(found.tablets < copies && found.fullest.is_some(), "{found:?}");
}

/// The same room is never given twice: one tablet more than fits is named with the numbers.
#[test]
fn room_is_given_once() {
    let mut sample = loaded(2, 1, 1, 8);
    let (first, spare) = (sample.nodes()[0], sample.disks_of(sample.nodes()[1])[0]);
    let keep = sample.world.knobs.clone_reserve(1 << 30);
    sample.fill(spare, (1 << 30) - keep - 2 * REPLICA_BYTES, 1 << 30);
    let found = evacuate(&sample.world, &nodes(&[first]), sample.at);
    assert_eq!((found.tablets, found.copies, found.blocked), (4, 2, 2));
    let detail = &found.blockers[0].detail;
    assert!(detail.contains("1 would keep too little free") && detail.contains(&keep.to_string()), "{detail}");
}

/// A drained disk's replicas go beside it, or to another host; with neither they are named.
#[test]
fn a_disk_leaves() {
    let leaving = |sample: &Sample| Leaving {
        disks: sample.disks_of(sample.nodes()[0]).into_iter().take(1).collect(),
        ..Leaving::default()
    };
    for (hosts, disks, fits) in [(3, 2, true), (4, 1, true), (3, 1, false)] {
        let sample = loaded(hosts, disks, 3, 12);
        let found = evacuate(&sample.world, &leaving(&sample), sample.at);
        assert_eq!(found.fits, fits, "{hosts} hosts with {disks} disks: {found:?}");
    }
}

/// A drain that nothing is done for says what stands in its way, and no time; one with room does not.
#[test]
fn a_drain_is_stuck() {
    for (hosts, code) in [(3, Some("too_few_hosts")), (4, None)] {
        let sample = loaded(hosts, 1, 3, 4);
        let of = Leaver::Node(sample.nodes()[0]);
        let held = held(&sample.world, of);
        let (owner, reason) = (String::new(), String::new());
        let drain = Drain { of, owner, reason, began_wall_ms: 0, held, done_wall_ms: None };
        let found = progress::of(&sample.world, &drain, sample.at, 10_000);
        assert_eq!(found.stuck.as_ref().map(|blocker| blocker.code.as_str()), code, "{hosts} hosts: {found:?}");
        assert!(found.stuck.is_none() || found.eta_s.is_none(), "{found:?}");
        assert_eq!(progress::stuck(&sample.world, &drain, sample.at), found.stuck);
        let done = Drain { done_wall_ms: Some(1), ..drain.clone() };
        assert_eq!(progress::stuck(&sample.world, &done, sample.at), None);
        // Where nothing may be copied nothing is left to be copied, either.
        let mut slotless = sample.clone();
        let mut knobs = (*slotless.world.knobs).clone();
        knobs.schedule_slot_num_per_path = 0;
        slotless.world.knobs = knobs.into();
        let found = progress::stuck(&slotless.world, &drain, sample.at);
        assert_eq!(found.map(|blocker| blocker.code), Some("no_slots".into()));
        let empty = Drain { held: vec![], ..drain };
        assert_eq!(progress::stuck(&slotless.world, &empty, sample.at), None);
        assert_eq!(progress::of(&slotless.world, &empty, sample.at, 10_000).stuck, None);
    }
}

/// A drain is at its end when its tablets have left and are proven elsewhere, and says what is missing before.
#[test]
fn progress_and_proof() {
    let mut sample = loaded(4, 1, 3, 4);
    let node = sample.nodes()[0];
    let of = Leaver::Node(node);
    let drain = Drain {
        of,
        owner: "o".into(),
        reason: String::new(),
        began_wall_ms: 0,
        held: held(&sample.world, of),
        done_wall_ms: None,
    };
    let (at, all) = (sample.at, drain.held.len() as u64);
    let before = progress::of(&sample.world, &drain, at, 10_000);
    assert_eq!((before.tablets, before.tablets_moved, before.bytes_left()), (3, 0, all * REPLICA_BYTES));
    let mut moved = 0;
    for (tablet, _) in drain.held.clone() {
        assert!(!proof::is_done(&sample.world, &drain, at));
        let old = sample.replicas(tablet).into_iter().find(|id| sample.replica(tablet, *id).node == node).unwrap();
        let free = sample.nodes().into_iter().find(|n| sample.tablet(tablet).replicas.iter().all(|r| r.node != *n));
        let disk = sample.disks_of(free.unwrap())[0];
        sample.forget(tablet, old);
        let found = proof::recount(&sample.world, &drain, at);
        assert_eq!(found.missing, all - moved, "two copies are too few: {found:?}");
        let new = sample.replica_on(tablet, disk, ReplicaState::Normal);
        let version = sample.tablet(tablet).committed;
        sample.see(tablet, new, version);
        moved += 1;
        let now = progress::of(&sample.world, &drain, at, 10_000);
        assert_eq!((now.tablets_moved, now.tablets_left(), now.bytes), (moved, all - moved, all * REPLICA_BYTES));
    }
    assert!(proof::is_done(&sample.world, &drain, at));
    let (busy, _) = drain.held[0];
    let holders = sample.replicas(busy)[..2].to_vec();
    let mut loading = sample.clone();
    loading.load(busy, &holders);
    assert!(proof::is_done(&loading.world, &drain, at), "the third copy is installing a load that never stood there");
    let late = at.plus(sample.world.knobs.install_grace_ms);
    assert!(!proof::is_done(&loading.world, &drain, late), "it has had its time");
    let proof = proof::recount(&sample.world, &drain, at);
    assert_eq!((proof.missing, proof.proven.len() as u64), (0, all));
    assert!(proof.proven.iter().all(|one| one.copies.len() == 3));
    let done = Drain { done_wall_ms: Some(1), ..drain };
    assert_eq!(progress::of(&sample.world, &done, at, 10_000).state, DrainState::Drained);
    sample.turn(sample.nodes()[1], Liveness::Lost);
    assert!(proof::recount(&sample.world, &done, at).missing > 0, "what was true then counts for nothing now");
}
