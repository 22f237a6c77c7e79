//! The catalog's decisions: the only place where durable changes, orders and answers come from.
//!
//! In: the world and one event, stamped with its time. Out: actions in the order in which they are to be carried out.
//! Everything that others decided on a snapshot is checked again here, against the current tablet.
//!
//! | event | file |
//! |---|---|
//! | an agent introduces itself; a disk's place is given away | [`hello`] |
//! | reports: replicas, loads, copies, trash; what is absent | [`ingest`], [`facts`] |
//! | tables come and go; where first replicas are placed | [`tables`], [`placement`] |
//! | databases and partitions come and go | [`shapes`] |
//! | what is wanted of a table; colocation groups | [`policy`], [`groups`] |
//! | drains; nodes that leave for good | [`drain`], [`remove`] |
//! | maintenance and urgency, for a time | [`leases`] |
//! | which replica is the primary, but for a load's choice | [`roles`] |
//! | knobs, set live | [`knobs`] |
//! | plans: kept, begun, ended | [`plans`] |
//! | a person's word on one replica | [`pardon`] |
//! | loads, in six steps | [`loads`], [`commit`] |
//! | copies: start, end, adoption | [`tasks`] |
//! | deletions: guards and evidence | [`deletion`], [`evidence`] |
//! | replicas that the catalog does not know; trash | [`strays`] |
//! | everything that only time brings about | [`housekeeping`] |
//! | how much may be done at all | [`level`] |
//! | whether a disk knows of a later store than ours | [`sequence`] |
//! | tablets without a complete copy: what is left of them is put together | [`salvage`] |

use crate::{Action, Answer, Change, Event, EventBody, Proposal, World};
use stele_common::{ClusterId, Liveness, Priority, TabletId, TabletStatus, TaskType};

pub(crate) mod commit;
pub(crate) mod deletion;
mod draft;
pub(crate) mod drain;
pub(crate) mod evidence;
pub(crate) mod facts;
pub(crate) mod groups;
pub(crate) mod hello;
pub(crate) mod housekeeping;
pub(crate) mod ingest;
pub(crate) mod knobs;
pub(crate) mod landing;
pub(crate) mod leases;
pub(crate) mod level;
pub(crate) mod loads;
pub(crate) mod moving;
pub(crate) mod pardon;
pub(crate) mod placement;
pub(crate) mod plans;
pub(crate) mod policy;
pub(crate) mod remove;
pub(crate) mod roles;
pub(crate) mod salvage;
pub(crate) mod sequence;
pub(crate) mod shapes;
pub(crate) mod strays;
pub(crate) mod tables;
pub(crate) mod tasks;
pub(crate) mod verify;

pub(crate) use draft::Draft;

/// What is to be done about `event`; the caller applies the records.
pub fn decide(world: &World, event: &Event) -> Vec<Action> {
    step(&mut world.clone(), event)
}

/// The same for the owner of the world: the records among the actions have been applied to `world` already.
pub fn step(world: &mut World, event: &Event) -> Vec<Action> {
    let mut draft = Draft::new(world, event);
    match &event.body {
        EventBody::Began { cluster_if_new } => began(&mut draft, cluster_if_new),
        EventBody::Hello { hello, proof } => hello::hello(&mut draft, hello, *proof),
        EventBody::Reported { node, report } => ingest::reported(&mut draft, *node, report),
        EventBody::HigherEpoch { node, epoch } => level::higher_epoch(&mut draft, *node, *epoch),
        EventBody::NodeTurned { node, liveness } => {
            let (node, liveness, at) = (*node, *liveness, draft.at);
            draft.record(Change::NodeLive { node, liveness, at });
            if liveness == Liveness::Lost {
                hello::twin_gone(&mut draft, node, &[]);
            }
        }
        EventBody::CreateTable(wish) => tables::create(&mut draft, wish),
        EventBody::DropTable { db, name } => tables::drop(&mut draft, db, name),
        EventBody::CreateDatabase { name } => shapes::create_database(&mut draft, name),
        EventBody::DropDatabase { name } => shapes::drop_database(&mut draft, name),
        EventBody::AddPartition { db, name, wish } => shapes::add_partition(&mut draft, db, name, wish),
        EventBody::DropPartition { db, name, partition } => {
            shapes::drop_partition(&mut draft, db, name, partition);
        }
        EventBody::InitDisk(wish) => hello::init_disk(&mut draft, wish),
        EventBody::SetTable { db, name, wish } => policy::set(&mut draft, db, name, wish),
        EventBody::Drain(ask) => drain::begin(&mut draft, ask),
        EventBody::Undrain(ask) => drain::end(&mut draft, ask),
        EventBody::RemoveNode { node, ask } => remove::asked(&mut draft, *node, ask),
        EventBody::AdmitNode(ask) => remove::admit(&mut draft, ask),
        EventBody::GrantLease(ask) => leases::grant(&mut draft, ask),
        EventBody::EndLease { id } => leases::end(&mut draft, *id),
        EventBody::SetKnob { name, ask } => knobs::set(&mut draft, name, ask),
        EventBody::SetLevel(ask) => level::set(&mut draft, ask),
        EventBody::KeepPlan(plan) => plans::keep(&mut draft, plan),
        EventBody::ApplyPlan { id } => plans::apply(&mut draft, *id),
        EventBody::CancelPlan { id } => plans::cancel(&mut draft, *id),
        EventBody::SetReplica { tablet, replica, wish } => pardon::set(&mut draft, *tablet, *replica, wish),
        EventBody::OpenLoad(wish) => loads::open(&mut draft, wish),
        EventBody::CommitLoad { key } => commit::asked(&mut draft, key),
        EventBody::AbortLoad { key } => loads::abort_asked(&mut draft, key),
        EventBody::Verify(wish) => verify::start(&mut draft, wish),
        EventBody::Propose(proposal) => proposed(&mut draft, proposal),
        EventBody::Tick => housekeeping::tick(&mut draft),
    }
    draft.into_actions()
}

/// A leadership begins: its epoch is durable before anything else happens under it.
fn began(draft: &mut Draft, cluster_if_new: &str) {
    if draft.world.cluster.0.is_empty() {
        draft.record(Change::Born { cluster: ClusterId(cluster_if_new.into()) });
    }
    let (epoch, at, wall_ms) = (draft.world.epoch.next(), draft.at, draft.wall_ms);
    draft.record(Change::EpochBegan { epoch });
    draft.record(Change::LeadershipBegan { at, wall_ms });
}

fn proposed(draft: &mut Draft, proposal: &Proposal) {
    let answer = match proposal {
        Proposal::Clone { tablet, revision, status, priority, source, target } => {
            let wish = repair(*tablet, *revision, *status, *priority);
            tasks::start_copy(draft, wish, *source, *target).map(Answer::Started)
        }
        Proposal::Move { revision, mv } => moving::start(draft, *revision, mv).map(Answer::Started),
        Proposal::Turn(turn) => Ok(roles::turn(draft, turn)),
        Proposal::Delete { tablet, revision, status, priority, victim } => {
            let wish = repair(*tablet, *revision, *status, *priority);
            deletion::start(draft, wish, *victim).map(Answer::Started)
        }
        Proposal::Cancel { tablet, task, cause } => {
            tasks::cancel(draft, *tablet, *task, cause.clone()).map(|()| Answer::Done)
        }
    };
    draft.answer(answer.unwrap_or_else(Answer::Refused));
}

fn repair(tablet: TabletId, revision: u64, status: TabletStatus, priority: Priority) -> tasks::Wish {
    tasks::Wish { tablet, revision, status, priority, task_type: TaskType::Repair }
}

#[cfg(test)]
pub(crate) mod tests;
