//! Tables of worlds and their verdicts.

use super::verdict::verdict;
use super::{Flaw, Verdict, because, count, proven};
use crate::change::Change;
use crate::sample::Sample;
use stele_common::{
    BootId, DiskState, Liveness, NodeId, Priority, ReplicaId, ReplicaState, TabletId, TabletStatus, Tick, Version,
};

use Priority::{High, Normal, VeryHigh};
use TabletStatus::{ForceRedundant, Healthy, Redundant, ReplicaMissing, Unrecoverable, VersionIncomplete};

/// A sample with one tablet at version 1.
struct Case {
    sample: Sample,
    tablet: TabletId,
}

impl Case {
    fn new(hosts: u64, n: u32) -> Case {
        let mut sample = Sample::new(hosts, 1);
        let tablet = sample.table(n, 1)[0];
        sample.load_all(tablet);
        Case { sample, tablet }
    }

    fn replica(&self, index: usize) -> ReplicaId {
        self.sample.replicas(self.tablet)[index]
    }

    fn node(&self, index: usize) -> NodeId {
        self.sample.tablet(self.tablet).replicas[index].node
    }

    fn turn(&mut self, index: usize, liveness: Liveness) {
        self.sample.turn(self.node(index), liveness);
    }

    fn lose(&mut self, indices: &[usize]) {
        indices.iter().for_each(|index| self.turn(*index, Liveness::Lost));
    }

    fn bad(&mut self, index: usize) {
        self.sample.bad(self.tablet, self.replica(index));
    }

    /// One more replica on a host that has none, seen at `version`.
    fn extra(&mut self, version: Version) -> ReplicaId {
        let held: Vec<NodeId> = self.sample.tablet(self.tablet).replicas.iter().map(|r| r.node).collect();
        let free = self.sample.nodes().into_iter().find(|node| !held.contains(node)).expect("a host is free");
        let disk = self.sample.disks_of(free)[0];
        let replica = self.sample.replica_on(self.tablet, disk, ReplicaState::Normal);
        self.sample.see(self.tablet, replica, version);
        replica
    }

    fn verdict(&self) -> Verdict {
        self.verdict_after(0)
    }

    fn verdict_after(&self, ms: u64) -> Verdict {
        verdict(&self.sample.world, self.sample.tablet(self.tablet), self.sample.at.plus(ms))
    }

    fn flaws(&self) -> Vec<Option<Flaw>> {
        let counts = count(&self.sample.world, self.sample.tablet(self.tablet));
        counts.judged.iter().map(|judged| judged.why).collect()
    }
}

fn expect(case: &Case, status: TabletStatus, priority: Option<Priority>, ready_in_ms: u64) {
    let found = case.verdict();
    let told = because(&case.sample.world, case.sample.tablet(case.tablet), case.sample.at);
    assert_eq!((found.status, found.priority, found.ready_in_ms), (status, priority, ready_in_ms), "{told:#?}");
}

/// Each rung of the ladder by the smallest world that stands on it.
#[test]
fn every_rung() {
    type Row = (&'static str, u64, u32, fn(&mut Case), TabletStatus, Option<Priority>, u64);
    let rows: &[Row] = &[
        ("all well", 4, 3, |_| {}, Healthy, None, 0),
        ("all lost", 4, 3, |c| c.lose(&[0, 1, 2]), Unrecoverable, None, 0),
        ("the only one bad", 4, 1, |c| c.bad(0), Unrecoverable, None, 0),
        ("one lost", 4, 3, |c| c.lose(&[0]), ReplicaMissing, Some(Normal), 300_000),
        ("two of three lost: one left", 4, 3, |c| c.lose(&[0, 1]), ReplicaMissing, Some(High), 0),
        ("three of five lost: below majority", 6, 5, |c| c.lose(&[0, 1, 2]), ReplicaMissing, Some(High), 10_000),
        ("one bad, a host is free", 4, 3, |c| c.bad(0), ReplicaMissing, Some(Normal), 0),
        ("one bad, no host is free", 3, 3, |c| c.bad(0), ForceRedundant, Some(VeryHigh), 0),
        ("one lost, no host is free", 3, 3, |c| c.lose(&[0]), ReplicaMissing, Some(Normal), 300_000),
        ("one bad, one lost, too few live hosts", 3, 3, |c| (c.bad(0), c.lose(&[1])).1, ReplicaMissing, Some(High), 0),
        ("one more than wanted", 4, 3, |c| _ = c.extra(Version(1)), Redundant, Some(VeryHigh), 0),
        ("one more, but behind", 4, 3, |c| _ = c.extra(Version(0)), Redundant, Some(VeryHigh), 0),
        ("one more, on a lost node", 4, 3, |c| (c.extra(Version(1)), c.lose(&[0])).1, Redundant, Some(VeryHigh), 0),
    ];
    for (what, hosts, n, arrange, status, priority, ready_in_ms) in rows {
        let mut case = Case::new(*hosts, *n);
        arrange(&mut case);
        println!("{what}");
        expect(&case, *status, *priority, *ready_in_ms);
    }
}

/// Silence alone starts nothing; the wait counts from LOST and ends on the millisecond.
#[test]
fn waits_count_from_lost() {
    let mut case = Case::new(4, 3);
    case.turn(0, Liveness::Silent);
    assert_eq!(case.verdict().status, ReplicaMissing);
    assert_eq!(case.verdict().ready_in_ms, 307_000, "7 s to LOST, then the delay");
    assert!(case.verdict_after(999_999).ready_in_ms > 0, "never before the Roster has called it lost");
    case.lose(&[0]);
    assert_eq!(case.verdict_after(299_999).ready_in_ms, 1);
    assert_eq!(case.verdict_after(300_000).ready_in_ms, 0);
}

/// A disk that is away counts like a silent node, from when it went away.
#[test]
fn a_disk_away_is_not_a_disk_gone() {
    for state in [DiskState::Suspect, DiskState::Unavailable] {
        let mut case = Case::new(4, 3);
        let disk = case.sample.replica(case.tablet, case.replica(0)).disk;
        case.sample.disk_state(disk, state);
        expect(&case, ReplicaMissing, Some(Normal), 310_000);
        assert_eq!(case.flaws(), [Some(Flaw::DiskNotOnline), None, None]);
        assert_eq!(case.verdict_after(310_000).ready_in_ms, 0, "it stays away: it is replaced");
    }
}

/// What waiting cannot cure waits for nothing, even while something else is waited for.
#[test]
fn bad_ones_wait_for_nothing() {
    let mut case = Case::new(5, 3);
    case.bad(0);
    case.turn(1, Liveness::Silent);
    expect(&case, ReplicaMissing, Some(High), 0);
    let mut case = Case::new(5, 3);
    case.sample.load(case.tablet, &[case.replica(1), case.replica(2)]);
    case.turn(1, Liveness::Silent);
    assert_eq!(case.verdict().ready_in_ms, 2_000, "the lagging one is mended when its grace is over");
}

/// A node that has connected is heard out before anything about it is judged missing.
#[test]
fn unheard_is_unknown() {
    let mut case = Case::new(4, 3);
    let node = case.node(0);
    case.sample.apply(Change::NodeConnected {
        node,
        boot: BootId(77),
        peer: String::new(),
        http: String::new(),
        build: String::new(),
        rack: String::new(),
        tag: String::new(),
        at: case.sample.at,
    });
    assert_eq!(case.flaws()[0], Some(Flaw::NodeUnheard));
    case.lose(&[1, 2]);
    assert_eq!(case.verdict().status, Unrecoverable);
    case.sample.turn(case.node(1), Liveness::Alive);
    assert_eq!(case.verdict().ready_in_ms, 10_000, "one left, but another is about to speak");
    assert_eq!(case.verdict_after(10_000).ready_in_ms, 0, "not for ever");
}

/// Behind the visible version: a grace to install, then repair; the majority makes it urgent.
#[test]
fn behind_has_a_grace() {
    let mut case = Case::new(4, 3);
    let all = case.sample.replicas(case.tablet);
    case.sample.load(case.tablet, &all[..2]);
    expect(&case, VersionIncomplete, Some(Normal), 2_000);
    assert_eq!(case.verdict_after(2_000).ready_in_ms, 0);
    assert_eq!(case.flaws(), [None, None, Some(Flaw::Behind)]);
    case.sample.load(case.tablet, &all[..1]);
    assert_eq!(case.verdict().priority, Some(High));
}

/// Committed and not yet visible: who held it at the commit is complete, who was passed by is not.
#[test]
fn a_commit_that_passed_one_by() {
    let mut case = Case::new(4, 3);
    let all = case.sample.replicas(case.tablet);
    case.sample.commit(case.tablet, &all[..2]);
    assert_eq!(case.flaws(), [None, None, Some(Flaw::MissedCommit)]);
    expect(&case, VersionIncomplete, Some(Normal), 2_000);
    case.sample.see(case.tablet, all[2], Version(2));
    expect(&case, Healthy, None, 0);
}

/// Two on one host are one: the second does not count, and leaves when it is in the way.
#[test]
fn second_on_a_host() {
    let mut case = Case::new(3, 3);
    let (first, third) = (case.node(0), case.replica(2));
    let disk = case.sample.disk(first, stele_common::Medium::Hdd);
    case.sample.forget(case.tablet, third);
    let second = case.sample.replica_on(case.tablet, disk, ReplicaState::Normal);
    case.sample.see(case.tablet, second, Version(1));
    assert_eq!(case.flaws(), [None, None, Some(Flaw::SameHost)]);
    expect(&case, ReplicaMissing, Some(Normal), 0);
    // With the first out of the way the second counts.
    case.bad(0);
    assert_eq!(case.flaws()[2], None);
}

/// A surplus replica out of sight is no surplus before its node is lost.
#[test]
fn surplus_out_of_sight_waits() {
    let mut case = Case::new(4, 3);
    case.extra(Version(1));
    case.turn(0, Liveness::Silent);
    assert_eq!(case.verdict().status, Redundant);
    assert!(case.verdict().ready_in_ms > 0);
    case.turn(0, Liveness::Lost);
    expect(&case, Redundant, Some(VeryHigh), 0);
}

/// States that do not count.
#[test]
fn clone_and_decommission_do_not_count() {
    for (state, flaw) in [(ReplicaState::Clone, Flaw::Clone), (ReplicaState::Decommission, Flaw::Decommission)] {
        let mut case = Case::new(4, 3);
        let (tablet, replica) = (case.tablet, case.replica(0));
        let ballot = case.sample.tablet(tablet).ballot.next();
        case.sample.apply(Change::ReplicaTurned { tablet, replica, state, ballot });
        assert_eq!(case.flaws(), [Some(flaw), None, None]);
        assert_eq!(case.verdict().status, ReplicaMissing);
    }
}

/// Proof asks for the committed version with its recorded hash, a fresh receipt and, with a nonce, an answer to it.
#[test]
fn proof() {
    let mut case = Case::new(4, 3);
    let (tablet, replica) = (case.tablet, case.replica(0));
    let proven_at = |case: &Case, at: Tick, nonce| {
        let sample = &case.sample;
        proven(&sample.world, sample.tablet(tablet), sample.replica(tablet, replica), at, nonce)
    };
    let now = case.sample.at;
    assert!(proven_at(&case, now, None));
    assert!(!proven_at(&case, now, Some(9)), "not asked yet");
    let period = case.sample.world.knobs.scrub_period_ms;
    assert!(proven_at(&case, now.plus(2 * period), None));
    assert!(!proven_at(&case, now.plus(2 * period + 1), None), "the receipt is too old");
    let hash = crate::sample::hash_of(tablet, Version(1));
    let confirm = |nonce| Change::ReplicaConfirmed { tablet, replica, nonce, version: Version(1), hash, at: now };
    case.sample.apply(confirm(8));
    assert!(!proven_at(&case, now, Some(9)), "an answer to another question");
    case.sample.apply(confirm(9));
    assert!(proven_at(&case, now, Some(9)));
    let others = [case.replica(1), case.replica(2)];
    case.sample.commit(tablet, &others);
    assert!(!proven_at(&case, now, Some(9)), "a later version is committed");
}

/// The same world gives the same verdict, and judging changes nothing that it reads.
#[test]
fn pure() {
    let mut case = Case::new(5, 3);
    case.bad(1);
    case.lose(&[2]);
    let first: Vec<Verdict> = (0..50).map(|second| case.verdict_after(second * 10_000)).collect();
    let again: Vec<Verdict> = (0..50).map(|second| case.verdict_after(second * 10_000)).collect();
    assert_eq!(first, again);
}
