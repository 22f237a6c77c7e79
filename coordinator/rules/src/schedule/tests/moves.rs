//! Rows of copies that leave a place for a reason of the place: a draining disk, a bucket elsewhere. As in [`rows`].

use super::rows::hold;
use super::*;
use stele_common::{DiskState, Medium};

/// DISK_MIGRATION: within the node, else to another host, else a reason.
#[test]
fn disk_migration() {
    hold(&[
        ("another disk", 3, 2, 3, |r| r.drain_disk(1, 1), "DISK_MIGRATION NORMAL r0>r0=h1:2"),
        (
            "the least used",
            3,
            3,
            3,
            |r| (r.sample.fill(r.disk(1, 2), 3 << 40, 4 << 40), r.drain_disk(1, 1)).1,
            "DISK_MIGRATION NORMAL r0>r0=h1:3",
        ),
        (
            "the same medium first",
            3,
            2,
            3,
            |r| {
                r.sample.disk(r.host(1), Medium::Ssd);
                r.sample.fill(r.disk(1, 2), 2 << 40, 4 << 40);
                r.drain_disk(1, 1)
            },
            "DISK_MIGRATION NORMAL r0>r0=h1:2",
        ),
        ("no other disk, a host free", 4, 1, 3, |r| r.drain_disk(1, 1), "DISK_MIGRATION NORMAL r0>h4"),
        ("no other disk, no host free", 3, 1, 3, |r| r.drain_disk(1, 1), "refused no_other_disk"),
        (
            "no other disk, a bad one on the only free host: it is mended there",
            4,
            1,
            3,
            |r| (_ = r.extra(4, 1), r.bad(3), r.drain_disk(1, 1)).2,
            "DISK_MIGRATION NORMAL r0>r3",
        ),
        (
            "the other disk drains too",
            4,
            2,
            3,
            |r| (r.drain_disk(1, 1), r.drain_disk(1, 2)).1,
            "DISK_MIGRATION NORMAL r0>h4",
        ),
        (
            "the other disk is away",
            4,
            2,
            3,
            |r| (r.drain_disk(1, 1), r.sample.disk_state(r.disk(1, 2), DiskState::Unavailable)).1,
            "DISK_MIGRATION NORMAL r0>h4",
        ),
        (
            "the successor has landed: the old one leaves, nothing is copied again",
            3,
            2,
            3,
            |r| {
                let replica = r.sample.replica_on(r.tablet, r.disk(1, 2), ReplicaState::Normal);
                r.sample.see(r.tablet, replica, Version(1));
                r.drain_disk(1, 1)
            },
            "DISK_MIGRATION NORMAL -r0",
        ),
    ]);
}

/// Colocation groups: all HIGH, and only the nodes of the bucket.
#[test]
fn colocate() {
    hold(&[
        ("as the group wants it", 4, 1, 3, |r| r.group(&[1, 2, 3]), "nothing"),
        ("a node lacks one", 5, 1, 3, |r| r.group(&[1, 2, 5]), "COLOCATE_MISMATCH HIGH r0>h5"),
        ("the wanted node is away", 5, 1, 3, |r| (r.group(&[1, 2, 5]), r.lose(5)).1, "refused no_destination"),
        ("one outside leaves", 5, 1, 3, |r| (r.group(&[1, 2, 5]), _ = r.extra(5, 1)).1, "COLOCATE_REDUNDANT HIGH -r2"),
        ("a bad one inside leaves", 4, 1, 3, |r| (r.group(&[1, 2, 3]), r.bad(1)).1, "COLOCATE_REDUNDANT HIGH -r1"),
        (
            "a bad one inside, and a good one outside that is still needed",
            5,
            1,
            3,
            |r| (r.group(&[1, 2, 3]), _ = r.extra(5, 1), r.bad(1)).2,
            "COLOCATE_REDUNDANT HIGH -r1",
        ),
        ("one inside is behind", 4, 1, 3, |r| (r.group(&[1, 2, 3]), r.behind(&[1])).1, "VERSION_INCOMPLETE HIGH r0>r1"),
        ("one inside is away", 4, 1, 3, |r| (r.group(&[1, 2, 3]), r.lose(1)).1, "refused bucket_node_away"),
        (
            "a disk inside drains",
            4,
            2,
            3,
            |r| (r.group(&[1, 2, 3]), r.drain_disk(2, 1)).1,
            "DISK_MIGRATION HIGH r1>r1=h2:2",
        ),
        (
            "at n + 2 one outside leaves first",
            6,
            1,
            3,
            |r| (_ = r.extra(4, 1), _ = r.extra(5, 1), r.group(&[4, 5, 6])).2,
            "COLOCATE_MISMATCH HIGH -r2",
        ),
    ]);
}
