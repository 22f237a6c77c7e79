//! What the coordinator says of itself: how log lines are written, the metrics with their doc sentences, and the
//! panic hook. Which changes make a log line: [`crate::journal`].
//!
//! All metrics begin with `stele_`; labels are enums or stable codes, never ids. Figures of the world are set when
//! somebody scrapes ([`crate::front::figures`]); counters are counted where things happen.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use stele_common::{NodeId, OrderBody};
use stele_coordinator_rules::{EventBody, Reason};

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder once a process; later calls get the same one.
pub fn metrics_handle() -> PrometheusHandle {
    let make = || {
        let seconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
        let builder = PrometheusBuilder::new().set_buckets(&seconds).expect("the list of buckets is not empty");
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
    describe_catalog();
    describe_link();
    describe_sql();
    describe_world();
}

fn describe_catalog() {
    describe_counter!("stele_events_total", "Events that the catalog decided, by kind");
    describe_gauge!("stele_catalog_queue_length", "Events that waited for the last turn of the catalog");
    describe_gauge!("stele_catalog_queue_oldest_seconds", Unit::Seconds, "Age of the oldest event at the last turn");
    describe_histogram!("stele_turn_seconds", Unit::Seconds, "Time that deciding one batch of events took");
    describe_histogram!("stele_publish_seconds", Unit::Seconds, "Time that copying the world for its readers took");
    describe_histogram!("stele_commit_seconds", Unit::Seconds, "Time that one commit of the store took");
    describe_histogram!("stele_commit_changes", "Changes in one commit of the store");
    describe_gauge!("stele_store_log_changes", "Changes in the store since its last snapshot");
    describe_counter!("stele_reasons_total", "Refusals and explanations, by code of the reason");
    describe_counter!("stele_tasks_started_total", "Repairs and deletions that the catalog started, by verdict");
    describe_counter!("stele_tasks_ended_total", "Repairs and deletions that ended, by outcome");
    describe_counter!("stele_replicas_bad_total", "Replicas that were found to be bad");
    describe_counter!("stele_loads_ended_total", "Loads by how they ended");
    describe_counter!("stele_checked_tablets_total", "Verdicts that were computed");
    describe_histogram!("stele_check_seconds", Unit::Seconds, "Time that one pass of the checker took");
    describe_gauge!("stele_tablets_ill", "Tablets that were not HEALTHY when last checked");
    describe_histogram!("stele_round_seconds", Unit::Seconds, "Time that one round of the scheduler took");
    describe_counter!("stele_proposals_total", "Proposals of the scheduler, by answer of the catalog");
    describe_histogram!("stele_plan_seconds", Unit::Seconds, "Time that one look for moves took");
    describe_counter!("stele_balance_moves_total", "Moves for evenness that ended, by outcome");
    describe_counter!("stele_balance_bytes_total", Unit::Bytes, "Bytes that finished moves for evenness copied");
    describe_gauge!("stele_proposals_waiting", "Proposals that have no answer yet");
}

fn describe_link() {
    describe_gauge!("stele_sessions", "Agents that are connected and welcome");
    describe_gauge!("stele_link_connections", "Open connections on the agent port");
    describe_counter!("stele_link_accepted_total", "Connections accepted on the agent port");
    describe_counter!("stele_link_closed_total", "Connections on the agent port that ended, by cause");
    describe_counter!("stele_link_refused_total", "Handshakes that were refused, by code");
    describe_counter!("stele_beats_total", "Beats of agents");
    describe_counter!("stele_reports_total", "Reports of agents, by kind");
    describe_counter!("stele_facts_total", "Facts in reports of agents");
    describe_counter!("stele_orders_total", "Orders to agents, by kind");
    describe_counter!("stele_orders_lost_total", "Orders that had no session to go to, by cause");
    describe_counter!("stele_http_requests_total", "Answers of the HTTP face, by class of status");
}

fn describe_sql() {
    describe_gauge!("stele_sql_connections", "Open connections on the MySQL port");
    describe_counter!("stele_sql_accepted_total", "Connections accepted on the MySQL port");
    describe_counter!("stele_sql_closed_total", "Connections on the MySQL port that ended, by cause");
    describe_counter!("stele_sql_logins_total", "Logins on the MySQL port, by answer");
    describe_counter!("stele_sql_statements_total", "Statements of MySQL clients, by answer");
    describe_histogram!("stele_sql_statement_seconds", Unit::Seconds, "Time that one statement took");
}

fn describe_world() {
    describe_gauge!("stele_epoch", "Epoch of this leadership");
    describe_gauge!("stele_uptime_seconds", Unit::Seconds, "Time since this process started");
    describe_gauge!("stele_level", "1 for the level in force");
    describe_gauge!("stele_nodes", "Nodes by liveness");
    describe_gauge!("stele_disks", "Disks by state");
    describe_gauge!("stele_tables", "Tables");
    describe_gauge!("stele_tablets", "Tablets by verdict");
    describe_gauge!("stele_tablets_by_copies", "Tablets by number of complete copies");
    describe_gauge!("stele_tasks", "Repairs and deletions, by state");
    describe_gauge!("stele_tablets_inconsistent", "Tablets whose replicas differ about a version, or from its record");
    describe_gauge!("stele_tasks_history", "Ended repairs and deletions that are remembered");
    describe_gauge!("stele_drains", "Nodes and disks that an operator wants empty, by state");
    describe_gauge!("stele_drain_tablets_left", "Tablets that still stand on what is being emptied");
    describe_gauge!("stele_drain_bytes_left", Unit::Bytes, "Bytes of these tablets there");
    describe_gauge!("stele_drain_bytes_per_second", Unit::Bytes, "What the copies of drains under way carry a second");
    describe_gauge!("stele_drain_copies_running", "Copies of drains under way");
    describe_gauge!("stele_leases", "What people asked for until some time and is in force, by kind");
    describe_gauge!("stele_balance_spread", "Used part of the fullest disk less that of the emptiest, by medium");
    describe_gauge!("stele_loads_open", "Loads in flight");
    describe_gauge!("stele_strays", "Replicas on disks that the catalog does not know");
    describe_gauge!("stele_bytes_used", Unit::Bytes, "Bytes that Stele uses on all disks");
    describe_gauge!("stele_bytes_total", Unit::Bytes, "Bytes that Stele may use on all disks");
}

/// Log lines to stderr; `RUST_LOG` filters, `STELE_LOG_JSON=1` makes them JSON. Does nothing when they are set up.
pub fn start_logging() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let json = std::env::var("STELE_LOG_JSON").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    // An error means that whoever started us logs already.
    if json {
        lines.json().try_init().ok()
    } else {
        lines.with_ansi(false).try_init().ok()
    };
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
        OrderBody::Confirm { .. } => "confirm",
        OrderBody::Verify { .. } => "verify",
        OrderBody::Collect { .. } => "collect",
    };
    metrics::counter!("stele_orders_total", "kind" => kind).increment(1);
    tracing::debug!(node = %node, order = ?order, "ordered");
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
