//! Plans from the wish to the end, on small houses.

use super::*;
use crate::Change;
use crate::catalog;
use crate::sample::{REPLICA_BYTES, Sample};
use crate::schedule::rates::Rates;
use crate::{Action, Answer, Event, EventBody};
use stele_common::Medium;
use stele_common::api::{NewDisk, NewHost, TableSet};

/// A house of `hosts` with one disk each, and a table of 12 tablets with `n` copies on the first of them.
fn house(hosts: u64, n: u32) -> (Sample, Vec<TabletId>) {
    let mut sample = Sample::new(hosts, 1);
    let tablets = sample.table(n, 12);
    tablets.iter().for_each(|tablet| _ = sample.load_all(*tablet));
    (sample, tablets)
}

/// The id of a plan that was kept, if it was about that.
fn told(sample: &mut Sample, body: EventBody) -> Result<Option<u64>, Reason> {
    let event = Event { at: sample.at, wall_ms: 1_000, body };
    let actions = catalog::step(&mut sample.world, &event);
    let answer = actions.into_iter().find_map(|action| match action {
        Action::Answer(answer) => Some(answer),
        _ => None,
    });
    match answer.expect("every wish is answered") {
        Answer::Done => Ok(None),
        Answer::Plan(id) => Ok(Some(id)),
        Answer::Refused(reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

fn made(sample: &mut Sample, what: PlanWhat) -> Result<u64, Reason> {
    let drawn = draw::draw(&sample.world, &what, sample.at)?;
    let plan = Plan::of(&sample.world, what, drawn, &Rates::default(), sample.at);
    told(sample, EventBody::KeepPlan(Box::new(plan))).map(|id| id.expect("it was kept"))
}

fn drain(sample: &Sample, host: usize) -> PlanWhat {
    PlanWhat::Drain { nodes: vec![sample.nodes()[host]], rack: None, disks: Vec::new() }
}

/// A drain's plan names a place for every copy, its bytes add up by disk and by pair of hosts, nothing moves before it is
/// applied; applied at once it is never refused, and the ladder's own choice follows it.
#[test]
fn a_drain_is_priced_then_begun() {
    let (mut sample, _) = house(5, 3);
    let what = drain(&sample, 0);
    let id = made(&mut sample, what).expect("it fits");
    let plan = sample.world.plans.get(id).expect("it was kept").clone();
    let held = plan.base.held.len();
    assert!(held > 0 && plan.steps.len() == held, "{plan:?}");
    let price = &plan.price;
    assert_eq!(price.bytes, held as u64 * REPLICA_BYTES);
    assert_eq!(price.disks.iter().map(|disk| disk.bytes_in).sum::<u64>(), price.bytes);
    assert_eq!(price.links.iter().map(|link| link.bytes).sum::<u64>(), price.bytes);
    assert_eq!((price.copies_min, price.blocked), (Some(3), 0));
    assert!(price.eta_s.0 <= price.eta_s.1 && price.fullest.is_some());
    let node = sample.nodes()[0];
    assert!(!sample.world.nodes[&node].draining, "a plan moves nothing");
    assert_eq!(told(&mut sample, EventBody::ApplyPlan { id }), Ok(None));
    assert!(sample.world.nodes[&node].draining);
    let step = &plan.steps[0];
    assert_eq!(sample.world.plans.targets_of(step.tablet), [step.to]);
    assert_eq!(told(&mut sample, EventBody::ApplyPlan { id }), Ok(None), "twice is the same as once");
}

/// What a plan rests on may not move under it: a disk that is gone or has come, a policy, a placement, a tablet that came
/// to the node. Each refusal names it. Loads spoil nothing.
#[test]
fn a_stale_plan_is_refused() {
    type Spoil = fn(&mut Sample, &[TabletId]);
    let spoils: [(&str, Spoil); 4] = [
        ("takes nothing any more", |sample, _| {
            let disk = *sample.world.disks.keys().next_back().expect("there are disks");
            sample.apply(Change::DiskDrained { disk, on: true });
        }),
        ("can take copies now", |sample, _| {
            let node = sample.nodes()[1];
            sample.disk(node, Medium::Hdd);
        }),
        ("something else is wanted", |sample, tablets| {
            let table = sample.world.tablets.get(tablets[0]).expect("it is there").table;
            let mut table = (*sample.world.tables[&table]).clone();
            table.partitions[0].replication = 2;
            sample.apply(Change::TableChanged { table });
        }),
        ("stands there now", |sample, _| {
            sample.table(3, 5);
        }),
    ];
    for (named, spoil) in spoils {
        let (mut sample, tablets) = house(5, 3);
        let what = drain(&sample, 0);
        let id = made(&mut sample, what).expect("it fits");
        spoil(&mut sample, &tablets);
        match told(&mut sample, EventBody::ApplyPlan { id }) {
            Err(reason @ Reason::PlanStale { .. }) => {
                assert!(reason.to_string().contains(named), "{named}: {reason}");
            }
            other => panic!("{named}: {other:?}"),
        }
    }
    let (mut sample, tablets) = house(5, 3);
    let what = drain(&sample, 0);
    let id = made(&mut sample, what).expect("it fits");
    tablets.iter().for_each(|tablet| _ = sample.load_all(*tablet));
    assert_eq!(told(&mut sample, EventBody::ApplyPlan { id }), Ok(None), "loads go on all the time");
}

/// A plan about hosts that are not there shows what they would take, and cannot be applied.
#[test]
fn new_hosts_are_only_shown() {
    let (mut sample, _) = house(3, 2);
    for disk in sample.world.disks.keys().copied().collect::<Vec<_>>() {
        sample.fill(disk, 800, 1_000);
    }
    let total = 1_000;
    let disks = vec![NewDisk { path: String::new(), medium: Medium::Hdd, total }];
    let hosts = vec![NewHost { host: "new".into(), rack: String::new(), tag: "default".into(), disks }];
    let drawn = draw::draw(&sample.world, &PlanWhat::Hosts { hosts: hosts.clone() }, sample.at);
    let Ok(drawn) = drawn else { return assert!(matches!(drawn.err(), Some(Reason::NothingEvens { .. }))) };
    assert!(drawn.steps.iter().all(|step| !sample.world.disks.contains_key(&step.to)), "all go to the new host");
    let id = made(&mut sample, PlanWhat::Hosts { hosts }).expect("it was kept");
    let refused = told(&mut sample, EventBody::ApplyPlan { id });
    assert_eq!(refused, Err(Reason::PlanOnlyShown { plan: id }));
}

/// More copies wanted: one step a tablet, nothing leaves; applied, the table wants them.
#[test]
fn a_policy_is_priced_then_made() {
    let (mut sample, tablets) = house(5, 2);
    let table = sample.world.tablets.get(tablets[0]).expect("it is there").table;
    let name = sample.world.tables[&table].name.clone();
    let wish = TableSet { replication: Some(3), ..TableSet::default() };
    let id = made(&mut sample, PlanWhat::Policy { table: format!("d.{name}"), wish }).expect("there are hosts");
    let plan = sample.world.plans.get(id).expect("it was kept").clone();
    assert_eq!(plan.steps.len(), tablets.len());
    assert!(plan.steps.iter().all(|step| step.leaves.is_none()));
    assert_eq!(sample.world.tables[&table].partitions[0].replication, 2, "a plan changes nothing");
    assert_eq!(progress::of(&sample.world, &plan).left, tablets.len() as u64, "nothing of it has come about");
    assert_eq!(told(&mut sample, EventBody::ApplyPlan { id }), Ok(None));
    assert_eq!(sample.world.tables[&table].partitions[0].replication, 3);
    let plan = sample.world.plans.get(id).expect("it is there").clone();
    assert_eq!(progress::of(&sample.world, &plan).left, tablets.len() as u64, "no copy was made yet");
    let too_many = TableSet { replication: Some(6), ..TableSet::default() };
    let refused = made(&mut sample, PlanWhat::Policy { table: format!("d.{name}"), wish: too_many });
    assert!(matches!(refused, Err(Reason::TooFewHosts { .. })), "{refused:?}");
}

/// Kept plans are bounded, survive as changes, and one runs at a time; what is over stays over.
#[test]
fn plans_on_record() {
    let (mut sample, _) = house(6, 3);
    let (first, second) = (drain(&sample, 0), drain(&sample, 1));
    let running = made(&mut sample, first).expect("it fits");
    let other = made(&mut sample, second.clone()).expect("it fits");
    assert_eq!(told(&mut sample, EventBody::ApplyPlan { id: running }), Ok(None));
    let refused = told(&mut sample, EventBody::ApplyPlan { id: other });
    assert_eq!(refused, Err(Reason::PlanRunning { plan: running }));
    for _ in 0..KEPT_MAX + 3 {
        made(&mut sample, second.clone()).expect("it fits");
    }
    assert_eq!(sample.world.plans.len(), KEPT_MAX);
    assert!(sample.world.plans.get(running).is_some(), "what runs is not forgotten");
    assert_eq!(told(&mut sample, EventBody::ApplyPlan { id: other }), Err(Reason::NoSuchPlan { plan: other }));
    let mut again = World::empty(std::sync::Arc::clone(&sample.world.knobs));
    crate::world::as_changes(&sample.world).iter().for_each(|change| again.apply(change));
    assert_eq!(again.plans, sample.world.plans);
    assert_eq!(told(&mut sample, EventBody::CancelPlan { id: running }), Ok(None));
    let over = told(&mut sample, EventBody::CancelPlan { id: running });
    assert!(matches!(over, Err(Reason::PlanOver { .. })), "{over:?}");
    assert!(sample.world.plans.running().is_none());
}

/// A drain that is taken back ends its plan: nobody waits for what is not wished for, and another may run.
#[test]
fn a_drain_taken_back_stops_its_plan() {
    let (mut sample, _) = house(5, 3);
    let what = drain(&sample, 0);
    let id = made(&mut sample, what).expect("it fits");
    assert_eq!(told(&mut sample, EventBody::ApplyPlan { id }), Ok(None));
    let node = sample.nodes()[0];
    let look = |sample: &mut Sample| {
        sample.at = sample.at.plus(1_500);
        let event = Event { at: sample.at, wall_ms: 1_000, body: EventBody::Tick };
        catalog::step(&mut sample.world, &event);
        sample.world.plans.get(id).expect("it is kept").state
    };
    assert_eq!(look(&mut sample), PlanState::Running);
    sample.apply(Change::NodeDrained { node, on: false });
    assert_eq!(look(&mut sample), PlanState::Stopped);
    let plan = sample.world.plans.get(id).expect("it is kept").clone();
    assert!(matches!(plan.cause, Some(Reason::PlanStale { .. })), "{plan:?}");
    assert!(sample.world.plans.running().is_none() && sample.world.plans.targets_of(plan.steps[0].tablet).is_empty());
}
