//! Everything that the agent shows of itself: metrics (one sentence each), and what a panic does. In: nothing.
//! Out: the Prometheus text of `/metrics`. A panic outside of a guarded job ends the process: a dead actor is worse
//! than a restart, and every step on disk is safe to be cut off.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::cell::Cell;
use std::sync::{Once, OnceLock};

pub const BEATS: &str = "stele_agent_beats_total";
pub const CONNECTS: &str = "stele_agent_coordinator_connects_total";
pub const REFUSED: &str = "stele_agent_coordinator_refused_total";
pub const CONNECTED: &str = "stele_agent_coordinator_connected";
pub const BAD_FRAMES: &str = "stele_agent_bad_frames_total";
pub const REPORTS: &str = "stele_agent_reports_total";
pub const FACTS: &str = "stele_agent_report_facts_total";
pub const ORDERS: &str = "stele_agent_orders_total";
pub const ORDERS_REFUSED: &str = "stele_agent_orders_refused_total";
pub const JOBS: &str = "stele_agent_jobs_total";
pub const JOBS_FAILED: &str = "stele_agent_jobs_failed_total";
pub const JOBS_WAITING: &str = "stele_agent_jobs_waiting";
pub const LANES_FULL: &str = "stele_agent_lane_full_total";
pub const DISK_ONLINE: &str = "stele_agent_disk_online";
pub const DISK_USED: &str = "stele_agent_disk_used_bytes";
pub const DISK_TOTAL: &str = "stele_agent_disk_total_bytes";
pub const REPLICAS: &str = "stele_agent_replicas";
pub const REPLICAS_BAD: &str = "stele_agent_replicas_bad";
pub const COPIES: &str = "stele_agent_copies_running";
pub const COPIED_BYTES: &str = "stele_agent_copied_bytes_total";
pub const THROTTLED_MS: &str = "stele_agent_copy_throttled_ms_total";
pub const REUSED_BYTES: &str = "stele_agent_reused_bytes_total";
pub const SCRUBBED_BYTES: &str = "stele_agent_scrubbed_bytes_total";
pub const DAMAGED: &str = "stele_agent_damage_found_total";
pub const LOAD_STREAMS: &str = "stele_agent_load_streams_total";
pub const LOAD_STREAMS_FAILED: &str = "stele_agent_load_streams_failed_total";
pub const LOAD_BYTES: &str = "stele_agent_load_bytes_total";
pub const LOAD_MEMBERS_FAILED: &str = "stele_agent_load_members_failed_total";
pub const HTTP_READ_BYTES: &str = "stele_agent_http_read_bytes_total";
pub const HTTP_SLOW: &str = "stele_agent_http_slow_total";
pub const PEER_CONNECTIONS: &str = "stele_agent_peer_connections_total";
pub const PEER_BUSY: &str = "stele_agent_peer_busy_total";
pub const PEER_REFUSED: &str = "stele_agent_peer_refused_total";
pub const PEER_MALFORMED: &str = "stele_agent_peer_malformed_total";
pub const PEER_SLOW: &str = "stele_agent_peer_slow_total";
pub const PEER_SENT_BYTES: &str = "stele_agent_peer_sent_bytes_total";
pub const PEER_SENT_FILES: &str = "stele_agent_peer_sent_files_total";
pub const PEER_LOAD_BYTES: &str = "stele_agent_peer_load_bytes_total";
pub const PEER_DOUBTED: &str = "stele_agent_peer_doubted_total";
pub const PEER_DAMAGED: &str = "stele_agent_peer_damaged_total";

/// The counters, each with what it counts.
pub const COUNTERS: &[(&str, &str)] = &[
    (BEATS, "Beats sent to the coordinator."),
    (CONNECTS, "Sessions opened with the coordinator."),
    (REFUSED, "Handshakes that the coordinator refused, by code."),
    (BAD_FRAMES, "Frames from the coordinator that were malformed or too large; each closed the connection."),
    (REPORTS, "Reports sent, by kind."),
    (FACTS, "Facts sent in reports."),
    (ORDERS, "Orders received, by kind."),
    (ORDERS_REFUSED, "Orders that were not followed, by reason."),
    (JOBS, "Jobs that the disk threads finished, by lane."),
    (JOBS_FAILED, "Jobs that failed, by lane."),
    (LANES_FULL, "Times that a job had to wait because its lane was full, by lane."),
    (COPIED_BYTES, "Bytes received by finished copies."),
    (REUSED_BYTES, "Bytes that finished copies found here already."),
    (SCRUBBED_BYTES, "Bytes of replicas that were read past the page cache and held against their digests."),
    (DAMAGED, "Replicas found damaged, by who found it."),
    (LOAD_STREAMS, "Load streams begun over HTTP."),
    (LOAD_STREAMS_FAILED, "Load streams that ended without being durable here, by code."),
    (LOAD_BYTES, "Bytes of load streams that became durable here."),
    (LOAD_MEMBERS_FAILED, "Members that a load was not forwarded to completely."),
    (HTTP_READ_BYTES, "Bytes of files served over HTTP."),
    (HTTP_SLOW, "Readers of files over HTTP cut off for taking too little in time."),
    (PEER_CONNECTIONS, "Connections accepted on the peer port."),
    (PEER_BUSY, "Connections on the peer port refused because too many were open."),
    (PEER_REFUSED, "Callers of the peer port of another cluster or without its token."),
    (PEER_MALFORMED, "Garbage and oversize frames on the peer port; each closed its connection."),
    (PEER_SLOW, "Callers of the peer port cut off for saying or taking too little in time."),
    (PEER_SENT_BYTES, "Bytes of files sent to peers."),
    (PEER_SENT_FILES, "Files sent to peers."),
    (PEER_LOAD_BYTES, "Bytes of loads that other agents forwarded to us."),
    (PEER_DOUBTED, "Files of ours that a peer received with wrong bytes; each was read again here."),
    (PEER_DAMAGED, "Files that could not be sent to a peer because they are not what their manifest says."),
];

/// The gauges, each with what it shows.
pub const GAUGES: &[(&str, &str)] = &[
    (CONNECTED, "1 while there is a session with the coordinator."),
    (JOBS_WAITING, "Jobs that wait for a thread, by disk and lane."),
    (DISK_ONLINE, "1 while the disk is ONLINE."),
    (DISK_USED, "Bytes that Stele uses on the disk."),
    (DISK_TOTAL, "Bytes that Stele may use on the disk, used ones included."),
    (REPLICAS, "Replicas on the disk."),
    (REPLICAS_BAD, "Replicas on the disk that cannot be trusted."),
    (COPIES, "Copies being received on the disk."),
];

/// The recorder's handle. The recorder is the process's: agents that share a process (tests) share it.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("metrics of this process are kept by someone else; /metrics shows none of this agent");
        }
        for (name, text) in COUNTERS {
            metrics::describe_counter!(*name, *text);
        }
        for (name, text) in GAUGES {
            metrics::describe_gauge!(*name, *text);
        }
        handle
    })
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, which catches its own panics: they are logged and do not end the process.
pub fn panics_are_caught<T>(work: impl FnOnce() -> T) -> T {
    let before = GUARDED.replace(true);
    let result = work();
    GUARDED.set(before);
    result
}

/// From now on a panic anywhere else is logged and ends the process.
pub fn end_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            tracing::error!(thread = thread.name().unwrap_or("?"), panic = %info, "a thread panicked");
            before(info);
            if !GUARDED.get() {
                std::process::abort();
            }
        }));
    });
}

/// Ends the process: it lacks what it cannot run without.
pub fn give_up(why: &str) -> ! {
    tracing::error!(reason = why, "the agent cannot go on");
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every metric has our prefix and a sentence, and no name is given twice.
    #[test]
    fn metrics_have_sentences() {
        let all: Vec<_> = COUNTERS.iter().chain(GAUGES).collect();
        assert_eq!(all.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), all.len());
        for (name, text) in all {
            assert!(name.starts_with("stele_agent_"), "{name}");
            assert!(text.ends_with('.'), "{name}: {text}");
        }
        assert!(COUNTERS.iter().all(|(name, _)| name.ends_with("_total")));
    }

    /// What is counted is shown.
    #[test]
    fn counted_is_shown() {
        let handle = metrics();
        metrics::counter!(BEATS).increment(3);
        assert!(handle.render().contains(BEATS));
    }
}
