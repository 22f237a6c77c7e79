//! What a scraper gets from real processes, and a log that says more when it is told to.

use crate::cluster::{Cluster, until};
use crate::data;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

fn scrape(address: &str) -> String {
    let answer = ureq::get(format!("http://{address}/metrics")).call().expect("it answers");
    answer.into_body().read_to_string().expect("text")
}

/// Prometheus' own tool finds nothing to mend; without it, where CI did not promise it, nothing is checked.
fn check(text: &str) {
    let started =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut tool = match started {
        Ok(tool) => tool,
        Err(error) => return assert!(std::env::var_os("CI").is_none(), "promtool is needed in CI: {error}"),
    };
    tool.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let output = tool.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
}

/// Coordinator and agents show what a stock scraper takes without complaint; the log's filter is changed live.
#[test]
fn metrics_and_logs() {
    let mut cluster = Cluster::up(3, 1);
    let source = cluster.root.path().join("source");
    data::write(&source, 6, 1);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "2"]);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.until_whole(3);
    let text = scrape(&cluster.http);
    for line in [
        "stele_coordinator_leader 1",
        "stele_fault_margin{domain=\"hosts\",table_class=\"HDD\"} 2",
        "stele_tablets{health=\"HEALTHY\"} 2",
        "stele_hosts{state=\"ALIVE\"} 3",
        "stele_tablet_copies{count=\"3\"} 2",
        "stele_queue_length{class=\"HIGH\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in {text}");
    }
    let (inflight, heard) = (",kind=\"inflight\"} 0", "stele_agent_heartbeat_age_seconds{host=\"host-2\",");
    assert_eq!(
        text.lines().filter(|line| line.starts_with("stele_disk_bytes{") && line.ends_with(inflight)).count(),
        3
    );
    assert_eq!(text.lines().filter(|line| line.starts_with(heard)).count(), 1, "{text}");
    check(&text);
    check(&scrape(&cluster.agents[0].http));

    assert!(cluster.ok(&["log-level", "info,stele_coordinator=debug"]).contains("stele_coordinator=debug"));
    assert!(cluster.ok(&["log-level", "-o", "json"]).contains("\"info,stele_coordinator=debug\""));
    let refused = cluster.stele(&["log-level", "info,=x=y"]);
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(cluster.ok(&["log-level", "--node", "host-2"]).trim(), "info,actix_server=warn");
    let finer = "info,stele_agent=debug";
    assert_eq!(cluster.ok(&["log-level", "--node", "host-2", finer]).trim(), finer);
    assert_eq!(cluster.ok(&["log-level", "--node", "host-2"]).trim(), finer);
    assert_ne!(cluster.ok(&["log-level", "--node", "host-1"]).trim(), finer, "the others stay as they were");

    let lacking = |cluster: &Cluster| {
        let text = scrape(&cluster.http);
        let value = text.lines().find_map(|line| line.strip_prefix("stele_under_copies_oldest_seconds "));
        value.and_then(|value| value.parse::<f64>().ok()).expect("a gauge")
    };
    until(Duration::from_secs(10), "no copy is lacking", || lacking(&cluster) == 0.0);
    cluster.agents[2].process.kill();
    until(Duration::from_secs(30), "a lost copy is timed", || lacking(&cluster) >= 1.0);
}
