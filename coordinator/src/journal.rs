//! The log line of each change that people want to read of: one line a state change, with the same keys everywhere.
//!
//! In: a change, with the world as it was last published. Out: lines and counters. It must never decide anything.

use stele_common::{Evidence, TaskType, Tick};
use stele_coordinator_rules::world::{Outcome, Task, Work};
use stele_coordinator_rules::{Change, Reason, World};

/// The log line and the counter of a change, if it is one that people want to read of. `world` does not show it yet.
pub fn recorded(world: &World, change: &Change, at: Tick) {
    use Change::*;
    match change {
        Born { cluster } => tracing::info!(cluster = %cluster, "cluster born"),
        EpochBegan { epoch } => tracing::info!(epoch = %epoch, "epoch began"),
        LevelTurned { level, cause } => {
            tracing::info!(level = %level, reason = cause.as_ref().map(Reason::code), "level turned");
        }
        NodeAdded { node, host, name, .. } => tracing::info!(node = %node, host, name, "node added"),
        NodeConnected { node, boot, build, .. } => tracing::info!(node = %node, boot = %boot, build, "node connected"),
        NodeLive { node, liveness, .. } => tracing::info!(node = %node, liveness = %liveness, "node turned"),
        FullReportTaken { node } => tracing::info!(node = %node, "full report taken in"),
        ReportsBroken { node } => tracing::info!(node = %node, "report missed: a full one is asked for"),
        DiskAdded { disk, node, path, .. } => tracing::info!(disk = %disk, node = %node, path, "disk added"),
        DiskMoved { disk, node, path } => tracing::info!(disk = %disk, node = %node, path, "disk moved"),
        DiskReplaced { disk, by } => tracing::info!(disk = %disk, by = %by, "disk replaced"),
        DiskTwinned { disk, twin } => {
            tracing::warn!(disk = %disk, twin = twin.map(|node| node.0), "disk seen twice, or no longer");
        }
        DiskUnseen { disk, cause, .. } => tracing::warn!(disk = %disk, cause, "disk out of sight"),
        DiskSeen { fact, node, .. } => {
            if world.disks.get(&fact.disk).is_none_or(|known| known.state != fact.state) {
                let cause = fact.cause.as_deref();
                tracing::info!(disk = %fact.disk, node = %node, state = ?fact.state, cause, "disk turned");
            }
        }
        TableAdded { table, tablets } => {
            tracing::info!(table = %table.id, name = %table.name, db = %table.db, tablets = tablets.len(), "table added");
        }
        NodeDrained { node, on } => tracing::info!(node = %node, on, "node drain turned"),
        NodeRemoved { node, .. } => tracing::info!(node = %node, "node removed"),
        DiskDrained { disk, on } => tracing::info!(disk = %disk, on, "disk drain turned"),
        DrainBegan { drain } => {
            let (tablets, owner) = (drain.held.len(), &drain.owner);
            tracing::info!(of = ?drain.of, tablets, owner, why = %drain.reason, "drain began");
        }
        DrainDone { of, .. } => tracing::info!(of = ?of, "drain done"),
        NodeAdmitted { host, name } => tracing::info!(host, name, "removed agent admitted again"),
        PardonAsked { tablet, replica, .. } => {
            tracing::info!(tablet = %tablet, replica = %replica, "replica called good: it is read first");
        }
        PardonEnded { tablet, replica } => tracing::info!(tablet = %tablet, replica = %replica, "pardon ended"),
        TableChanged { table } => tracing::info!(table = %table.id, name = %table.name, "table changed"),
        GroupSet { group } => tracing::info!(group = %group.name, buckets = group.buckets.len(), "group set"),
        GroupDropped { name } => tracing::info!(group = %name, "group dropped"),
        PlanKept { plan } => {
            let (kind, moves) = (plan.what.kind(), plan.steps.len());
            tracing::info!(plan = plan.id, kind, moves, owner = %plan.owner, why = %plan.reason, "plan made");
        }
        PlanTurned { id, state, cause, .. } => {
            tracing::info!(
                plan = *id,
                state = state.as_str(),
                reason = cause.as_ref().map(Reason::code),
                "plan turned"
            );
        }
        PlanForgotten { id } => tracing::debug!(plan = *id, "plan forgotten"),
        LeaseGranted { lease, .. } => {
            tracing::info!(lease = lease.id, scope = ?lease.scope, owner = %lease.owner, why = %lease.reason, "lease granted");
        }
        KnobSet { setting } => {
            let value = setting.value.as_ref().map_or("default".to_string(), ToString::to_string);
            let (knob, by, why) = (&setting.name, &setting.by, &setting.reason);
            tracing::info!(knob, value, by, why, "knob set");
        }
        LevelSet { setting } => {
            tracing::info!(level = %setting.level, by = %setting.by, why = %setting.reason, "level set");
        }
        LeaseEnded { id } => tracing::info!(lease = id, "lease ended"),
        FurtherRepairMarked { tablet, replica, .. } => {
            tracing::info!(tablet = %tablet, replica = %replica, "replica landed behind");
        }
        DatabaseDropped { name } => tracing::info!(name, "database dropped"),
        PartitionDropped { table, partition } => {
            tracing::info!(table = %table, partition = %partition, "partition dropped");
        }
        TableDropped { table } => tracing::info!(table = %table, "table dropped"),
        ReplicaAdded { tablet, replica, node, disk, .. } => {
            tracing::info!(tablet = %tablet, replica = %replica, node = %node, disk = %disk, "replica added");
        }
        ReplicaTurned { tablet, replica, state, .. } => {
            tracing::info!(tablet = %tablet, replica = %replica, state = %state, "replica turned");
        }
        ReplicaDropped { tablet, replica, evidence, .. } => {
            let (reason, cause) = grounds(evidence);
            tracing::info!(tablet = %tablet, replica = %replica, reason, cause, "replica dropped");
        }
        ReplicaMoved { tablet, replica, node, disk } => {
            tracing::info!(tablet = %tablet, replica = %replica, node = %node, disk = %disk, "replica moved");
        }
        ReplicaBad { tablet, replica, cause } => {
            metrics::counter!("stele_replicas_bad_total").increment(1);
            tracing::warn!(tablet = %tablet, replica = %replica, cause, "replica bad");
        }
        ReplicaGood { tablet, replica, version } => {
            tracing::info!(tablet = %tablet, replica = %replica, version = %version, "replica good again");
        }
        ReplicaReplaced { tablet, replica, by } => {
            tracing::info!(tablet = %tablet, replica = %replica, by = %by, "replica replaced");
        }
        PrimaryChosen { tablet, replica, ballot } => {
            tracing::info!(tablet = %tablet, replica = replica.map(|replica| replica.0), ballot = %ballot, "primary chosen");
        }
        LoadCommitted { load, versions, .. } => {
            tracing::info!(load = %load.id, key = %load.key, tablets = versions.len(), "load committed");
        }
        LoadVisible { key, .. } => {
            metrics::counter!("stele_loads_ended_total", "end" => "visible").increment(1);
            tracing::info!(key = %key, "load visible");
        }
        LoadAborted { key, cause, .. } => {
            metrics::counter!("stele_loads_ended_total", "end" => "aborted").increment(1);
            tracing::info!(key = %key, reason = cause.code(), "load aborted");
        }
        TaskStarted { task } => {
            metrics::counter!("stele_tasks_started_total", "status" => task.status.as_str()).increment(1);
            task_started(task);
        }
        TaskEnded { tablet, task, outcome, .. } => {
            let (end, reason) = match outcome {
                Outcome::Finished { .. } => ("finished", None),
                Outcome::Cancelled { cause } => ("cancelled", Some(cause.code())),
            };
            metrics::counter!("stele_tasks_ended_total", "outcome" => end).increment(1);
            if let Some(task) = world.tasks.get(tablet).filter(|running| running.id == *task) {
                task_ended(task, end, reason, at);
            }
            tracing::info!(tablet = %tablet, task = %task, outcome = end, reason, "task ended");
        }
        StraySeen { tablet, replica, stray } => {
            if !world.strays.contains_key(&(*tablet, *replica)) {
                tracing::info!(tablet = %tablet, replica = %replica, disk = %stray.disk, "stray seen");
            }
        }
        SalvageTried { tablet, salvage } => {
            let (sources, failures) = (salvage.sources.len(), salvage.failures);
            let reason = salvage.cause.as_ref().map(Reason::detail);
            tracing::warn!(tablet = %tablet, sources, failures, reason, "no complete copy: what is left is put together");
        }
        VerificationBegan { id, replicas, .. } => tracing::info!(id, replicas = replicas.len(), "verification began"),
        // Bookkeeping and observations: counted elsewhere, or seen in what follows from them.
        IdsReserved { .. }
        | TasksPast { .. }
        | Counted { .. }
        | SalvageOver { .. }
        | IdsIssued { .. }
        | DatabaseAdded { .. }
        | TabletsAdded { .. }
        | ReplicaRose { .. }
        | LoadForgotten { .. }
        | VersionsCollected { .. }
        | TabletForgotten { .. }
        | ReportTaken { .. }
        | NamingBegan { .. }
        | Named { .. }
        | HostSeen { .. }
        | ReplicaSeen { .. }
        | ReplicaUnseen { .. }
        | ReplicaConfirmed { .. }
        | LoadOpened { .. }
        | LoadPrepared { .. }
        | LoadPartFailed { .. }
        | LoadCommitAsked { .. }
        | TaskProgressed { .. }
        | TaskAgentDone { .. }
        | StrayGone { .. }
        | TrashSeen { .. }
        | TrashGone { .. }
        | TabletsDropped { .. }
        | LeadershipBegan { .. }
        | Condemned { .. }
        | Acquitted { .. }
        | RoundBegan { .. }
        | RoundEnded { .. }
        | OrphanSeen { .. }
        | OrphanGone { .. }
        | PlacesCramped { .. }
        | Ticked { .. } => {}
    }
}

/// How long it took, what it copied, and why it failed.
fn task_ended(task: &Task, end: &'static str, reason: Option<&'static str>, at: Tick) {
    let (kind, class) = match (&task.work, task.task_type) {
        (Work::Delete { .. }, _) => ("delete", None),
        (Work::Clone { .. }, TaskType::Repair) => ("repair", Some("repair")),
        (Work::Clone { .. }, TaskType::Balance) => ("balance", Some("balance")),
    };
    let took = at.since(task.started) as f64 / 1e3;
    metrics::histogram!("stele_task_duration_seconds", "kind" => kind, "result" => end).record(took);
    if let Some(reason) = reason {
        metrics::counter!("stele_task_failures_total", "kind" => kind, "reason" => reason).increment(1);
    }
    if let Some(class) = class.filter(|_| reason.is_none()) {
        metrics::counter!("stele_copy_bytes_total", "class" => class).increment(task.bytes_done);
    }
    if class == Some("balance") {
        metrics::counter!("stele_balance_moves_total", "outcome" => end).increment(1);
    }
}

fn task_started(task: &Task) {
    let (tablet, id, reason, kind) = (task.tablet, task.id, task.status, task.task_type);
    match &task.work {
        Work::Clone { replica, node, disk, fresh, source, source_node, version, .. } => tracing::info!(
            tablet = %tablet, task = %id, r#type = %kind, reason = %reason, replica = %replica, node = %node, disk = %disk, fresh,
            source = %source, source_node = %source_node, version = %version, "copy started"
        ),
        Work::Delete { replica, node, .. } => {
            tracing::info!(
                tablet = %tablet, task = %id, r#type = %kind, reason = %reason, replica = %replica, node = %node,
                "deletion started"
            );
        }
    }
}

/// The kind of evidence, and what was wrong with the replica; all of it stays in the store and in the history. A replica
/// that does not count is not always damaged: its node may be lost.
fn grounds(evidence: &Evidence) -> (&'static str, Option<&str>) {
    match evidence {
        Evidence::Others { .. } => ("others_proven", None),
        Evidence::TableDropped { .. } => ("table_dropped", None),
        Evidence::Bad { cause, .. } => ("does_not_count", Some(cause)),
        Evidence::NeverComplete { .. } => ("never_complete", None),
    }
}
