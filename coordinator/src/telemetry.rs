//! What the coordinator says of itself: the metrics with their doc sentences ([`list`]), and the panic hook. Which changes make a log line: [`crate::journal`].
//!
//! All metrics begin with `stele_`; labels are enums or stable codes, never ids. Figures of the world are set when
//! somebody scrapes ([`crate::front::figures`]); counters are counted where things happen.

pub mod list;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use stele_common::{NodeId, OrderBody};
use stele_coordinator_rules::{EventBody, Proposal, Reason};

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder once a process; later calls get the same one.
pub fn metrics_handle() -> PrometheusHandle {
    let make = || {
        let seconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
        let builder = PrometheusBuilder::new().set_buckets(&seconds).expect("the list of buckets is not empty");
        // Copies take from moments to hours.
        let long = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];
        let tasks = Matcher::Full("stele_task_duration_seconds".to_string());
        let builder = builder.set_buckets_for_metric(tasks, &long).expect("the list of buckets is not empty");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // A process that hosts something else may have a recorder of its own; then ours shows nothing.
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("metrics go to a recorder that was there before");
        }
        describe();
        handle
    };
    RECORDER.get_or_init(make).clone()
}

fn describe() {
    for (name, text) in list::COUNTERS {
        metrics::describe_counter!(*name, *text);
    }
    for (name, text) in list::GAUGES {
        metrics::describe_gauge!(*name, *text);
    }
    for (name, text) in list::HISTOGRAMS {
        metrics::describe_histogram!(*name, *text);
    }
    metrics::gauge!("stele_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// A dead actor is worse than a restart: a panic anywhere is logged and ends the process.
pub fn end_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        let thread = std::thread::current().name().unwrap_or("unnamed").to_string();
        tracing::error!(thread, panic = %panic, "a panic ends this process");
        std::process::abort();
    }));
}

/// Counts a reason; rules explain more often than people want to read.
pub fn explained(reason: &Reason) {
    metrics::counter!("stele_reasons_total", "code" => reason.code()).increment(1);
}

pub fn order_given(node: NodeId, order: &OrderBody) {
    let kind = match order {
        OrderBody::Create { .. } => "create",
        OrderBody::Clone(_) => "clone",
        OrderBody::CancelTask { .. } => "cancel_task",
        OrderBody::Drop { .. } => "drop",
        OrderBody::Purge { .. } => "purge",
        OrderBody::CommitLoad { .. } => "commit_load",
        OrderBody::AbortLoad { .. } => "abort_load",
        OrderBody::DiscardLoad { .. } => "discard_load",
        OrderBody::Confirm { .. } => "confirm",
        OrderBody::Verify { .. } => "verify",
        OrderBody::Collect { .. } => "collect",
    };
    metrics::counter!("stele_orders_total", "kind" => kind).increment(1);
    tracing::debug!(node = %node, order = ?order, "ordered");
}

/// One word a proposal, for counting.
pub fn proposal_kind(proposal: &Proposal) -> &'static str {
    match proposal {
        Proposal::Clone { .. } => "repair",
        Proposal::Move { .. } => "balance",
        Proposal::Turn(_) => "primary",
        Proposal::Delete { .. } => "delete",
        Proposal::Cancel { .. } => "cancel",
    }
}

/// One word an event, for counting.
pub fn event_kind(body: &EventBody) -> &'static str {
    match body {
        EventBody::Began { .. } => "began",
        EventBody::Hello { .. } => "hello",
        EventBody::Reported { .. } => "reported",
        EventBody::HigherEpoch { .. } => "higher_epoch",
        EventBody::NodeTurned { .. } => "node_turned",
        EventBody::CreateTable(_) => "create_table",
        EventBody::DropTable { .. } => "drop_table",
        EventBody::CreateDatabase { .. } => "create_database",
        EventBody::DropDatabase { .. } => "drop_database",
        EventBody::AddPartition { .. } => "add_partition",
        EventBody::DropPartition { .. } => "drop_partition",
        EventBody::InitDisk(_) => "init_disk",
        EventBody::SetTable { .. } => "set_table",
        EventBody::Drain(_) => "drain",
        EventBody::Undrain(_) => "undrain",
        EventBody::RemoveNode { .. } => "remove_node",
        EventBody::AdmitNode(_) => "admit_node",
        EventBody::GrantLease(_) => "grant_lease",
        EventBody::EndLease { .. } => "end_lease",
        EventBody::KeepPlan(_) => "keep_plan",
        EventBody::ApplyPlan { .. } => "apply_plan",
        EventBody::CancelPlan { .. } => "cancel_plan",
        EventBody::SetKnob { .. } => "set_knob",
        EventBody::SetLevel(_) => "set_level",
        EventBody::SetReplica { .. } => "set_replica",
        EventBody::OpenLoad(_) => "open_load",
        EventBody::CommitLoad { .. } => "commit_load",
        EventBody::AbortLoad { .. } => "abort_load",
        EventBody::Verify(_) => "verify",
        EventBody::Propose(_) => "propose",
        EventBody::Tick => "tick",
    }
}
