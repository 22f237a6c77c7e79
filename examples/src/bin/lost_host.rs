//! A host dies and the real scheduler refills its tablets, in virtual time; a curve shows the copies coming back.
//! Copies are only pretended: each takes two seconds, and then the new replica reports.

use std::collections::BTreeMap;
use stele_common::{Liveness, ReplicaState, TabletId, TabletStatus, TaskId, TaskType};
use stele_coordinator_rules::checkup::verdict;
use stele_coordinator_rules::event::Target;
use stele_coordinator_rules::sample::Sample;
use stele_coordinator_rules::schedule::{Desk, DeskAction, DeskEvent};
use stele_coordinator_rules::world::{Outcome, Task, Work};
use stele_coordinator_rules::{Change, Proposal};

const COPY_MS: u64 = 2_000;
const ROUND_MS: u64 = 500;

fn main() {
    let mut sample = Sample::new(6, 2);
    let tablets = sample.table(3, 48);
    for tablet in &tablets {
        sample.load_all(*tablet);
    }
    let lost = sample.nodes()[0];
    sample.turn(lost, Liveness::Lost);
    sample.at = sample.at.plus(sample.world.knobs.assign_delay_ms);
    println!("host h1 is lost; 48 tablets x 3 on the other 5 hosts, 2 slots a disk, a copy takes 2 s\n");

    let mut desk = Desk::new();
    let mut ends: BTreeMap<(u64, TabletId), Task> = BTreeMap::new();
    for round in 0..200 {
        while let Some(((_, _), task)) = ends.first_key_value().filter(|((at, _), _)| *at <= sample.at.0) {
            let task = task.clone();
            ends.pop_first();
            arrive(&mut sample, &mut desk, task);
        }
        let verdicts = tablets.iter().map(|id| (*id, verdict(&sample.world, sample.tablet(*id), sample.at))).collect();
        desk.step(&sample.world, sample.at, DeskEvent::Verdicts(verdicts));
        for action in desk.step(&sample.world, sample.at, DeskEvent::Round) {
            if let DeskAction::Propose(proposal) = action
                && let Some(task) = start(&mut sample, proposal)
            {
                let (tablet, answer) = (task.tablet, Ok(task.id));
                ends.insert((sample.at.0 + COPY_MS, tablet), task);
                desk.step(&sample.world, sample.at, DeskEvent::Answered { tablet, answer });
            }
        }
        let is_whole = |id: &&TabletId| {
            let verdict = verdict(&sample.world, sample.tablet(**id), sample.at);
            verdict.alive == 3 && verdict.status != TabletStatus::ReplicaMissing
        };
        let whole = tablets.iter().filter(is_whole).count();
        if round % 2 == 0 || whole == tablets.len() {
            println!("{:5.1} s  {whole:2} {}  {} copies run", round as f64 * 0.5, "#".repeat(whole), ends.len());
        }
        if whole == tablets.len() {
            println!("\nevery tablet has 3 living copies again");
            return;
        }
        sample.at = sample.at.plus(ROUND_MS);
    }
    println!("not healed in time");
}

/// What the catalog would do with a proposal to copy.
fn start(sample: &mut Sample, proposal: Proposal) -> Option<Task> {
    let Proposal::Clone { tablet, status, priority, source, target, .. } = proposal else { return None };
    let Target::NewOn { node, disk } = target else { return None };
    let from = sample.replica(tablet, source).clone();
    let version = sample.tablet(tablet).visible;
    let replica = sample.replica_on(tablet, disk, ReplicaState::Clone);
    let work = Work::Clone {
        replica,
        node,
        disk,
        fresh: true,
        source,
        source_node: from.node,
        source_disk: from.disk,
        version,
        replaces: None,
    };
    let task = Task {
        id: TaskId(sample.id()),
        tablet,
        status,
        priority,
        task_type: TaskType::Repair,
        work,
        started: sample.at,
        bytes_done: 0,
        bytes_total: 0,
        progressed: sample.at,
        agent_done: false,
        timeout_ms: 180_000,
    };
    sample.apply(Change::TaskStarted { task: task.clone() });
    Some(task)
}

/// The copy is there and its agent has reported it.
fn arrive(sample: &mut Sample, desk: &mut Desk, task: Task) {
    let Work::Clone { replica, version, .. } = task.work.clone() else { return };
    let tablet = task.tablet;
    sample.see(tablet, replica, version);
    let ballot = sample.world.next_ballot(tablet);
    sample.apply(Change::ReplicaTurned { tablet, replica, state: ReplicaState::Normal, ballot });
    let outcome = Outcome::Finished { evidence: None };
    sample.apply(Change::TaskEnded { tablet, task: task.id, outcome: outcome.clone(), end: Default::default() });
    desk.step(&sample.world, sample.at, DeskEvent::Ended { task, outcome });
}
