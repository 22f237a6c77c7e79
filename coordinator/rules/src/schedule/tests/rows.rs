//! Each row of the law: a world, and the first step that it brings: status, priority, source, destination, victim.
//!
//! A step is written `STATUS PRIORITY source>place` for a copy (`h4` = a new one on that host, `r1` = brought up where
//! it is, `r0=h1:2` = the successor of `r0` on the host's disk 2), `STATUS PRIORITY -r3` for a deletion, and
//! `refused code` where nothing is done. Replicas are numbered in the tablet's order; `r0`, `r1`, `r2` are on h1 to h3.

use super::house::{drain, group, label, sample, table};
use super::*;
use crate::policy::{Lease, LeaseScope, TableState};
use stele_common::DiskId;
use stele_common::status::Level;

/// A world with one tablet.
pub struct Row {
    pub sample: Sample,
    pub tablet: TabletId,
}

impl Row {
    pub fn new(hosts: u64, disks: u64, n: u32) -> Row {
        let (sample, tablet) = sample(hosts, disks, n);
        Row { sample, tablet }
    }

    pub fn replica(&self, index: usize) -> ReplicaId {
        self.sample.replicas(self.tablet)[index]
    }

    pub fn host(&self, number: usize) -> NodeId {
        self.sample.nodes()[number - 1]
    }

    pub fn disk(&self, host: usize, number: usize) -> DiskId {
        self.sample.disks_of(self.host(host))[number - 1]
    }

    pub fn lose(&mut self, host: usize) {
        self.sample.turn(self.host(host), Liveness::Lost);
    }

    pub fn bad(&mut self, index: usize) {
        self.sample.bad(self.tablet, self.replica(index));
    }

    pub fn drain(&mut self, host: usize) {
        let node = self.host(host);
        drain(&mut self.sample, node);
    }

    pub fn drain_disk(&mut self, host: usize, number: usize) {
        let disk = self.disk(host, number);
        self.sample.apply(Change::DiskDrained { disk, on: true });
    }

    /// One more replica, at a version.
    pub fn extra(&mut self, host: usize, version: u64) -> ReplicaId {
        let replica = self.sample.replica_on(self.tablet, self.disk(host, 1), ReplicaState::Normal);
        self.sample.see(self.tablet, replica, Version(version));
        replica
    }

    /// What a replica is known to hold; its grace to install is over.
    pub fn holds(&mut self, index: usize, version: u64, pending: u64, failed: Option<u64>) {
        let tablet = self.sample.world.tablets.get_mut(self.tablet).expect("it is there");
        let seen = tablet.replicas[index].seen.as_mut().expect("it was seen");
        (seen.version, seen.pending) = (Version(version), Version(pending));
        (seen.failed, seen.behind) = (failed.map(Version), None);
    }

    /// Its versions rise to 4; then these fall behind.
    pub fn behind(&mut self, replicas: &[usize]) {
        (0..3).for_each(|_| _ = self.sample.load_all(self.tablet));
        replicas.iter().for_each(|index| self.holds(*index, 3, 3, None));
    }

    pub fn tag(&mut self, hosts: &[usize], tag: &str) {
        for host in hosts {
            let node = self.host(*host);
            label(&mut self.sample, node, "", tag);
        }
    }

    pub fn group(&mut self, hosts: &[usize]) {
        let nodes: Vec<NodeId> = hosts.iter().map(|host| self.host(*host)).collect();
        group(&mut self.sample, self.tablet, &nodes);
    }

    pub fn waits(&mut self, ms: u64) {
        self.sample.at = self.sample.at.plus(ms);
    }

    fn urgent(&mut self) {
        let table = self.sample.tablet(self.tablet).table;
        self.lease(LeaseScope::Urgent { table, partition: None });
    }

    fn maintain(&mut self, host: usize) {
        self.lease(LeaseScope::Maintenance { node: self.host(host) });
    }

    fn lease(&mut self, scope: LeaseScope) {
        let (owner, reason, until_wall_ms, until) = ("me".into(), "test".into(), Some(3_600_000), None);
        let lease = Lease { id: self.sample.id(), scope, owner, reason, until_wall_ms, until };
        self.sample.apply(Change::LeaseGranted { lease, at: self.sample.at, wall_ms: 0 });
    }

    fn mark(&mut self, index: usize) {
        let (tablet, replica, at) = (self.tablet, self.replica(index), self.sample.at);
        self.sample.apply(Change::FurtherRepairMarked { tablet, replica, at });
    }

    fn alter(&mut self) {
        table(&mut self.sample, self.tablet, |table| table.state = TableState::Altering);
    }

    /// The first step, as text.
    pub fn step(&self) -> String {
        let round = one_round(&mut Desk::new(), &self.sample.world, self.sample.at, &[self.tablet]);
        match (&round.proposals[..], &round.refused[..]) {
            ([proposal], []) => self.text(proposal),
            ([], [(_, reason)]) => format!("refused {}", reason.code()),
            ([], []) => "nothing".into(),
            other => panic!("one tablet has one answer: {other:?}"),
        }
    }

    fn text(&self, proposal: &Proposal) -> String {
        let index = |id: &ReplicaId| self.sample.replicas(self.tablet).iter().position(|other| other == id).unwrap();
        let host = |node: &NodeId| self.sample.world.nodes[node].name.clone();
        let seat = |disk: &DiskId| {
            let node = self.sample.world.disks[disk].node;
            let number = self.sample.disks_of(node).iter().position(|other| other == disk).unwrap() + 1;
            format!("{}:{number}", host(&node))
        };
        match proposal {
            Proposal::Clone { status, priority, source, target, .. } => {
                let place = match target {
                    Target::Existing(replica) => format!("r{}", index(replica)),
                    Target::NewOn { node, disk } if self.sample.disks_of(*node).first() == Some(disk) => host(node),
                    Target::NewOn { disk, .. } => seat(disk),
                    Target::Beside { old, disk } => format!("r{}={}", index(old), seat(disk)),
                };
                format!("{status} {priority} r{}>{place}", index(source))
            }
            Proposal::Delete { status, priority, victim, .. } => format!("{status} {priority} -r{}", index(victim)),
            Proposal::Move { mv, .. } => format!("r{}~{}", index(&mv.replica), seat(&mv.to)),
            Proposal::Turn(turn) => format!("r{}^{}", index(&turn.from), index(&turn.to)),
            Proposal::Cancel { .. } => "cancel".into(),
        }
    }
}

/// What it is about, hosts, disks a host, copies wanted, what happens, the step.
pub type Rows<'a> = &'a [(&'a str, u64, u64, u32, fn(&mut Row), &'a str)];

pub fn hold(rows: Rows) {
    for (what, hosts, disks, n, arrange, expected) in rows {
        let mut row = Row::new(*hosts, *disks, *n);
        arrange(&mut row);
        let replicas = &row.sample.tablet(row.tablet).replicas;
        assert_eq!(row.step(), *expected, "{what}\n{replicas:#?}");
    }
}

/// REPLICA_MISSING and VERSION_INCOMPLETE.
#[test]
fn missing_and_incomplete() {
    hold(&[
        ("all well", 4, 1, 3, |_| {}, "nothing"),
        ("one lost, too soon", 4, 1, 3, |r| r.lose(1), "refused not_ready"),
        ("one lost for long", 4, 1, 3, |r| (r.lose(1), r.waits(300_000)).1, "REPLICA_MISSING NORMAL r1>h4"),
        ("two lost", 5, 1, 3, |r| (r.lose(1), r.lose(2)).1, "REPLICA_MISSING HIGH r2>h4"),
        ("one silent, a host free", 4, 1, 3, |r| r.sample.turn(r.host(1), Liveness::Silent), "refused not_ready"),
        ("one lost, no host free", 3, 1, 3, |r| (r.lose(1), r.waits(300_000)).1, "refused no_destination"),
        (
            "one lost, one behind: in place first",
            5,
            1,
            3,
            |r| (r.behind(&[2]), r.lose(1), r.waits(300_000)).2,
            "REPLICA_MISSING NORMAL r1>r2",
        ),
        ("one lost too soon, one behind", 5, 1, 3, |r| (r.behind(&[2]), r.lose(1)).1, "REPLICA_MISSING NORMAL r1>r2"),
        ("one behind", 4, 1, 3, |r| r.behind(&[1]), "VERSION_INCOMPLETE NORMAL r0>r1"),
        ("two behind", 4, 1, 3, |r| r.behind(&[0, 1]), "VERSION_INCOMPLETE HIGH r2>r0"),
        (
            "the lower version first",
            4,
            1,
            3,
            |r| (r.behind(&[0, 1]), r.holds(1, 2, 2, None)).1,
            "VERSION_INCOMPLETE HIGH r2>r1",
        ),
        (
            "the lower last failure first",
            4,
            1,
            3,
            |r| (r.behind(&[0, 1]), r.holds(0, 3, 3, Some(4)), r.holds(1, 3, 3, Some(3))).2,
            "VERSION_INCOMPLETE HIGH r2>r1",
        ),
        (
            "a hole before a lower version",
            4,
            1,
            3,
            |r| (r.behind(&[0, 1]), r.holds(0, 1, 1, Some(2)), r.holds(1, 3, 5, Some(4))).2,
            "VERSION_INCOMPLETE HIGH r2>r1",
        ),
        (
            "a mark before a hole",
            4,
            1,
            3,
            |r| (r.behind(&[0, 1]), r.holds(1, 3, 5, Some(4)), r.mark(0)).2,
            "VERSION_INCOMPLETE HIGH r2>r0",
        ),
        (
            "the newest gives",
            5,
            1,
            3,
            |r| {
                r.sample.load_all(r.tablet);
                r.sample.commit(r.tablet, &[r.replica(1), r.replica(2)]);
                r.sample.see(r.tablet, r.replica(1), Version(3));
                r.holds(0, 1, 1, None);
            },
            "VERSION_INCOMPLETE NORMAL r1>r0",
        ),
        ("all lost", 4, 1, 1, |r| r.lose(1), "refused unrecoverable"),
    ]);
}

/// REPLICA_RELOCATING, and what FORCE_REDUNDANT means for it.
#[test]
fn relocating() {
    hold(&[
        ("one drains", 4, 1, 3, |r| r.drain(1), "REPLICA_RELOCATING LOW r0>h4"),
        ("two drain", 5, 1, 3, |r| (r.drain(1), r.drain(2)).1, "REPLICA_RELOCATING NORMAL r0>h4"),
        ("the only one drains", 3, 1, 1, |r| r.drain(1), "REPLICA_RELOCATING NORMAL r0>h2"),
        (
            "one behind elsewhere is brought up first",
            6,
            1,
            3,
            |r| (_ = r.extra(5, 0), r.drain(1), r.waits(10_000)).2,
            "REPLICA_RELOCATING LOW r0>r3",
        ),
        (
            "one that may still install is waited for",
            6,
            1,
            3,
            |r| (_ = r.extra(5, 0), r.drain(1)).1,
            "refused not_ready",
        ),
        (
            "one behind that has to leave too does not help",
            6,
            1,
            3,
            |r| (_ = r.extra(5, 0), r.drain(1), r.drain(5), r.waits(10_000)).3,
            "REPLICA_RELOCATING LOW r0>h4",
        ),
        (
            "at n + 2 something useless leaves first",
            7,
            1,
            3,
            |r| (_ = r.extra(5, 1), _ = r.extra(6, 1), r.lose(5), r.bad(4), r.drain(1)).4,
            "REPLICA_RELOCATING LOW -r4",
        ),
        ("no host free, all good", 3, 1, 3, |r| r.drain(1), "refused no_free_host"),
        (
            "no host free, a bad one in the way",
            4,
            1,
            3,
            |r| (_ = r.extra(4, 1), r.bad(3), r.drain(1)).2,
            "FORCE_REDUNDANT VERY_HIGH -r3",
        ),
        (
            "no host free, one behind on a host that stays",
            4,
            1,
            3,
            |r| (_ = r.extra(4, 0), r.drain(1), r.waits(10_000)).2,
            "FORCE_REDUNDANT VERY_HIGH r0>r3",
        ),
        (
            "made elsewhere: the draining one leaves",
            5,
            1,
            3,
            |r| (_ = r.extra(4, 1), r.drain(2)).1,
            "REDUNDANT VERY_HIGH -r1",
        ),
        ("the new place drains too", 5, 1, 3, |r| (r.drain(1), r.drain(4)).1, "REPLICA_RELOCATING LOW r0>h5"),
    ]);
}

/// Tags: the seed's clusters.
#[test]
fn in_cluster() {
    fn fast(row: &mut Row) {
        table(&mut row.sample, row.tablet, |table| table.tag = "fast".into());
    }
    hold(&[
        (
            "one outside the tag",
            5,
            1,
            3,
            |r| (fast(r), r.tag(&[1, 2, 5], "fast")).1,
            "REPLICA_MISSING_IN_CLUSTER LOW r0>h5",
        ),
        ("no host in the tag", 4, 1, 3, |r| (fast(r), r.tag(&[1, 2], "fast")).1, "refused no_destination"),
        (
            "missing: only a host in the tag",
            5,
            1,
            3,
            |r| (fast(r), r.tag(&[1, 2, 3, 5], "fast"), r.bad(0)).2,
            "REPLICA_MISSING NORMAL r1>h5",
        ),
        (
            "every host of the tag holds one, one of them bad",
            5,
            1,
            3,
            |r| (fast(r), r.tag(&[1, 2, 3], "fast"), r.bad(0)).2,
            "FORCE_REDUNDANT VERY_HIGH -r0",
        ),
        (
            "the one outside the tag leaves",
            5,
            1,
            3,
            |r| (fast(r), r.tag(&[1, 2, 5], "fast"), _ = r.extra(5, 1)).2,
            "REDUNDANT VERY_HIGH -r2",
        ),
        (
            "one in the tag is behind: in place",
            6,
            1,
            3,
            |r| (fast(r), r.tag(&[1, 2, 5, 6], "fast"), _ = r.extra(6, 0), r.waits(10_000)).3,
            "REPLICA_MISSING_IN_CLUSTER LOW r0>r3",
        ),
    ]);
}

/// REDUNDANT, FORCE_REDUNDANT, NEED_FURTHER_REPAIR.
#[test]
fn surplus() {
    hold(&[
        ("one more", 4, 1, 3, |r| _ = r.extra(4, 1), "REDUNDANT VERY_HIGH -r3"),
        (
            "the fullest disk",
            4,
            1,
            3,
            |r| (_ = r.extra(4, 1), r.sample.fill(r.disk(2, 1), 3 << 30, 4 << 30)).1,
            "REDUNDANT VERY_HIGH -r1",
        ),
        ("a lost one more", 4, 1, 3, |r| (_ = r.extra(4, 1), r.lose(1)).1, "REDUNDANT VERY_HIGH -r0"),
        (
            "a silent one more",
            4,
            1,
            3,
            |r| (_ = r.extra(4, 1), r.sample.turn(r.host(1), Liveness::Silent)).1,
            "refused not_ready",
        ),
        ("one bad, no host free", 3, 1, 3, |r| r.bad(1), "FORCE_REDUNDANT VERY_HIGH -r1"),
        ("one bad, a host free", 4, 1, 3, |r| r.bad(1), "REPLICA_MISSING NORMAL r0>h4"),
        (
            "one bad, one silent, no host free",
            4,
            1,
            3,
            |r| (r.bad(1), r.sample.turn(r.host(4), Liveness::Silent)).1,
            "FORCE_REDUNDANT VERY_HIGH -r1",
        ),
        (
            "a marked one is behind",
            5,
            1,
            3,
            |r| (_ = r.extra(4, 1), _ = r.extra(5, 1), r.behind(&[1]), r.mark(1)).3,
            "NEED_FURTHER_REPAIR HIGH r0>r1",
        ),
        (
            "the mark is old",
            5,
            1,
            3,
            |r| (_ = r.extra(4, 1), _ = r.extra(5, 1), r.behind(&[1]), r.mark(1), r.waits(1_200_000)).4,
            "REDUNDANT VERY_HIGH -r1",
        ),
    ]);
}

/// What holds everything back, and what lifts it.
#[test]
fn policies() {
    hold(&[
        ("the table is altered", 4, 1, 3, |r| (r.alter(), r.bad(0)).1, "refused table_not_normal"),
        ("versions go on", 4, 1, 3, |r| (r.alter(), r.behind(&[1])).1, "VERSION_INCOMPLETE NORMAL r0>r1"),
        ("urgent", 4, 1, 3, |r| (r.urgent(), r.drain(1)).1, "REPLICA_RELOCATING VERY_HIGH r0>h4"),
        (
            "maintenance: nothing is copied",
            4,
            1,
            3,
            |r| (r.maintain(1), r.lose(1), r.waits(3_000_000)).2,
            "refused not_ready",
        ),
        (
            "maintenance, one copy left",
            4,
            1,
            3,
            |r| (r.maintain(1), r.lose(1), r.bad(1)).2,
            "REPLICA_MISSING HIGH r2>h4",
        ),
        (
            "the level holds back",
            4,
            1,
            3,
            |r| (r.bad(0), r.sample.apply(Change::LevelTurned { level: Level::Freezed, cause: None })).1,
            "refused level_forbids",
        ),
        (
            "the node is gone from the catalog",
            4,
            1,
            3,
            |r| r.sample.apply(Change::NodeRemoved { node: r.host(1), peer: String::new(), http: String::new() }),
            "REPLICA_MISSING NORMAL r1>h4",
        ),
    ]);
}
