//! The coordinator, or an agent, dies between any two steps of a load.

use crate::cluster::{Cluster, until};
use crate::data;
use std::fs;
use std::time::Duration;

/// Killed again and again while loads over 16 tablets run: each load is there whole or not at all, none that was
/// acknowledged is lost, nothing stays stuck.
#[test]
fn loads_are_all_or_nothing() {
    let mut cluster = Cluster::up(4, 1);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "16"]);
    let mut expected = std::collections::BTreeMap::new();
    for round in 0..6u64 {
        let source = cluster.root.path().join(format!("source-{round}"));
        for index in 0..64 {
            let path = source.join(format!("r{round}/f{index}"));
            fs::create_dir_all(path.parent().expect("parent")).expect("made");
            fs::write(&path, format!("round {round} file {index}").repeat(200)).expect("written");
        }
        let key = format!("load-{round}");
        let dir = source.to_str().expect("utf-8").to_string();
        let http = cluster.http.clone();
        let client = std::thread::spawn(move || {
            std::process::Command::new(crate::cluster::STELE)
                .args(["load", "d.t", &dir, "--load-id", &key, "--timeout", "60"])
                .env("STELE_COORDINATOR", http)
                .output()
                .expect("stele load runs")
        });
        // Another instant in each round: from before the opening to after the commit.
        std::thread::sleep(Duration::from_millis(40 + round * 90));
        cluster.coordinator.kill();
        cluster.coordinator.start(&[]);
        let output = client.join().expect("the client does not panic");
        assert!(output.status.success(), "round {round}: {}", crate::cluster::text(&output));
        expected.extend(data::digests(&source));
        let export = cluster.root.path().join(format!("export-{round}"));
        until(Duration::from_secs(30), "the table can be read", || {
            let _ = fs::remove_dir_all(&export);
            cluster.stele(&["export", "d.t", "--to", export.to_str().expect("utf-8")]).status.success()
        });
        assert_eq!(data::digests(&export), expected, "after round {round}");
    }
    cluster.until_whole(3);
    history_survives(&mut cluster);
    let status = cluster.get("/v1/status");
    assert_eq!((status["loads_open"].as_u64(), status["tasks_running"].as_u64()), (Some(0), Some(0)), "{status:#}");
}

/// What was decided before the coordinator was killed is told after it, word for word.
fn history_survives(cluster: &mut Cluster) {
    cluster.ok(&["node", "drain", "host-1", "--wait", "--timeout", "60s"]);
    cluster.until_whole(3);
    let told = |cluster: &Cluster| -> Vec<serde_json::Value> {
        let tasks = cluster.get("/v1/tasks?state=history")["tasks"].as_array().cloned().unwrap_or_default();
        let words = ["id", "tablet", "kind", "state", "status", "bytes_done", "reason", "evidence", "ended"];
        tasks.iter().map(|task| words.iter().map(|word| task[*word].clone()).collect()).collect()
    };
    let before = told(cluster);
    assert!(before.len() > 4 && before.iter().any(|task| task[2] == "DELETE"), "{before:#?}");
    cluster.coordinator.kill();
    cluster.coordinator.start(&[]);
    cluster.until_whole(3);
    let after = told(cluster);
    assert_eq!(after[after.len() - before.len()..], before);
    let tablet = before[0][1].to_string();
    assert!(cluster.ok(&["tablet", "history", &tablet, "-o", "json"]).contains(&before[0][0].to_string()));
    cluster.ok(&["node", "undrain", "host-1"]);
}

/// An agent is killed in the middle of loads and comes back: loads go on with the others, and it catches up.
#[test]
fn an_agent_that_missed_loads_catches_up() {
    let mut cluster = Cluster::up_with(3, 1, &[("STELE__REPAIR__ASSIGN_DELAY_MS", "600000")]);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "4"]);
    let load = |cluster: &Cluster, round: u64| {
        let source = cluster.root.path().join(format!("s{round}"));
        data::write(&source, 2, round);
        cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    };
    load(&cluster, 1);
    cluster.agents[2].process.kill();
    load(&cluster, 2);
    load(&cluster, 3);
    assert!(!cluster.is_whole(3));
    cluster.agents[2].process.start(&[]);
    cluster.until_whole(3);
    for dir in cluster.replica_dirs() {
        data::check_replica(&dir).expect("a good copy");
    }
}

/// The coordinator dies in the middle of copies: they are taken over or made again, and the end is the same.
#[test]
fn copies_survive_the_coordinator() {
    let mut cluster = Cluster::up(4, 2);
    let source = cluster.root.path().join("source");
    data::write(&source, 24, 5);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "8"]);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.until_whole(3);
    cluster.agents[0].process.kill();
    until(Duration::from_secs(30), "copies have begun", || {
        cluster.get("/v1/status")["tasks_running"].as_u64().unwrap_or(0) > 0
    });
    for _ in 0..3 {
        cluster.coordinator.kill();
        cluster.coordinator.start(&[]);
        std::thread::sleep(Duration::from_millis(700));
    }
    cluster.until_whole(3);
    let running = |cluster: &Cluster| cluster.get("/v1/status")["tasks_running"].as_u64();
    until(Duration::from_secs(10), "no task is left", || running(&cluster) == Some(0));
    for dir in cluster.replica_dirs() {
        data::check_replica(&dir).expect("a good copy");
    }
}
