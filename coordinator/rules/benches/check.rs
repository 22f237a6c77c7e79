//! Times of the law book on a large house: a full check of 1 000 000 tablets with three replicas, a node's death, and
//! rounds of the scheduler with 100 000 tablets pending, explanations, leases. `cargo bench -p stele-coordinator-rules`.

mod house;

use house::{fill, ms, resident_mib, scattered, timed};
use std::time::{Duration, Instant};
use stele_common::{Liveness, NodeId, Priority, ReplicaId, TabletId, TabletStatus, Tick};
use stele_coordinator_rules::Change;
use stele_coordinator_rules::checkup::verdict;
use stele_coordinator_rules::explain;
use stele_coordinator_rules::sample::Sample;
use stele_coordinator_rules::schedule::{Desk, DeskAction, DeskEvent};
use stele_coordinator_rules::world::{Lease, LeaseScope, Tablet};

const HOSTS: u64 = 250;
const DISKS: u64 = 4;
const TABLETS: u64 = 1_000_000;
const PENDING: usize = 100_000;

fn main() {
    for tablets in [10_000, 100_000, TABLETS] {
        one_change(tablets);
    }
    let mut sample = Sample::new(HOSTS, DISKS);
    fill(&mut sample, TABLETS, scattered);
    println!("{TABLETS} tablets x 3 on {} disks of {HOSTS} hosts; resident {} MiB", HOSTS * DISKS, resident_mib());

    let healthy = timed("full check, all healthy", || check(&sample, TabletStatus::Healthy));
    assert_eq!(healthy, TABLETS as usize);

    let dead = sample.nodes()[0];
    sample.turn(dead, Liveness::Lost);
    let ill = timed("full check, one node lost", || check(&sample, TabletStatus::ReplicaMissing));
    let of_node: Vec<TabletId> = sample.world.tablets.iter().filter(|t| has(t, dead)).map(|tablet| tablet.id).collect();
    assert_eq!(ill, of_node.len());
    let piece = &of_node[..of_node.len().min(10_000)];
    timed(&format!("verdicts of {} tablets of the dead node", piece.len()), || {
        let tablets = piece.iter().filter_map(|id| sample.world.tablets.get(*id));
        tablets.map(|tablet| verdict(&sample.world, tablet, sample.at)).filter(|v| v.priority.is_some()).count()
    });
    let desk = rounds(&mut sample);
    explanations(&sample, &desk);
    urgent(&mut sample);
}

/// What `tablet explain`, `node explain` and `status` cost in this house, with all that is pending.
fn explanations(sample: &Sample, desk: &Desk) {
    let (world, at) = (&sample.world, sample.at);
    let ids: Vec<TabletId> = world.tablets.iter().step_by(TABLETS as usize / 100).map(|tablet| tablet.id).collect();
    let mut slowest = Duration::ZERO;
    for id in &ids {
        let began = Instant::now();
        let why = explain::tablet(world, desk, *id, at, 0).expect("it is there");
        assert_eq!(why.candidates.len(), (HOSTS * DISKS) as usize);
        slowest = slowest.max(began.elapsed());
    }
    println!("slowest of {} explanations of a tablet: {:.2} ms", ids.len(), ms(slowest));
    let node = sample.nodes()[20];
    timed("explanation of a node", || explain::node(world, desk, node, at).expect("it is there").replicas.len());
    timed("problems of everything, as `status` sums them", || explain::problems(world, at).len());
}

/// Ten thousand tablets are urgent, one by one: a verdict finds out at once, whatever it is about.
fn urgent(sample: &mut Sample) {
    for id in 0..10_000 {
        let scope = LeaseScope::UrgentTablet { tablet: TabletId(10_000_000 + id * 7) };
        let (owner, reason) = (String::new(), String::new());
        let lease = Lease { id, scope, owner, reason, until_wall_ms: None, until: None };
        sample.apply(Change::LeaseGranted { lease, at: sample.at, wall_ms: 0 });
    }
    let (world, at) = (&sample.world, sample.at);
    let first = timed("full check, with 10 000 leases", || {
        let urgent = |tablet: &&Tablet| verdict(world, tablet, at).priority == Some(Priority::VeryHigh);
        world.tablets.iter().filter(urgent).count()
    });
    println!("    {first} tablets first");
}

/// What one change costs in a house of this size, from the report to the published snapshot with its new verdict.
fn one_change(tablets: u64) {
    let mut sample = Sample::new(HOSTS, DISKS);
    fill(&mut sample, tablets, scattered);
    let changed: Vec<(TabletId, ReplicaId)> =
        sample.world.tablets.iter().step_by(tablets as usize / 1_000).map(|t| (t.id, t.replicas[0].id)).collect();
    let mut published = std::sync::Arc::new(sample.world.clone());
    let began = Instant::now();
    for (tablet, replica) in &changed {
        let (tablet, replica) = (*tablet, *replica);
        sample.apply(Change::ReplicaBad { tablet, replica, cause: "a file fails its digest".into() });
        let status = verdict(&sample.world, sample.tablet(tablet), sample.at).status;
        assert_eq!(status, TabletStatus::ReplicaMissing);
        published = std::sync::Arc::new(sample.world.clone());
    }
    let each = began.elapsed() / changed.len() as u32;
    println!("one change among {} tablets: {:.1} µs", published.tablets.len(), each.as_secs_f64() * 1e6);
}

/// Takes further nodes away until enough is pending, then times rounds: full of grants, and with no slot left.
fn rounds(sample: &mut Sample) -> Desk {
    std::sync::Arc::make_mut(&mut sample.world.knobs).queue_max = 1_000_000;
    for node in sample.nodes().into_iter().take(9) {
        sample.turn(node, Liveness::Lost);
    }
    sample.at = Tick(sample.at.0 + 400_000);
    let (world, at) = (&sample.world, sample.at);
    let ill = world.tablets.iter().map(|tablet| (tablet.id, verdict(world, tablet, at)));
    let ill: Vec<_> = ill.filter(|(_, verdict)| verdict.priority.is_some()).take(PENDING).collect();
    let mut desk = Desk::new();
    timed(&format!("{} verdicts into the queue", ill.len()), || desk.step(world, at, DeskEvent::Verdicts(ill)).len());
    println!("pending: {}", desk.pending().count());
    for round in 1..=5 {
        let actions = timed(&format!("round {round}"), || desk.step(world, at, DeskEvent::Round));
        let granted = actions.iter().filter(|action| matches!(action, DeskAction::Propose(_))).count();
        println!("    {granted} granted, {} in flight", desk.in_flight());
    }
    desk
}

fn check(sample: &Sample, status: TabletStatus) -> usize {
    let (world, at) = (&sample.world, sample.at);
    world.tablets.iter().filter(|tablet| verdict(world, tablet, at).status == status).count()
}

fn has(tablet: &Tablet, node: NodeId) -> bool {
    tablet.replicas.iter().any(|replica| replica.node == node)
}
