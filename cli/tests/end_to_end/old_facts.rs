//! Yesterday's store, yesterday's replica: old facts undo nothing.

use crate::cluster::{Cluster, until};
use crate::data;
use std::fs;
use std::path::Path;
use std::time::Duration;

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("readable").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// The coordinator's store replaced by an older copy: level BLIND, the cause is shown, no byte is deleted.
#[test]
fn an_old_store_goes_blind() {
    let mut cluster = Cluster::up(4, 1);
    cluster.ok(&["table", "create", "d.a", "--replication", "3", "--buckets", "2"]);
    cluster.coordinator.kill();
    let store = cluster.root.path().join("cluster/coordinator");
    let kept = cluster.root.path().join("kept");
    copy_tree(&store, &kept);
    cluster.coordinator.start(&[]);
    until(Duration::from_secs(20), "agents are back", || cluster.get("/v1/status")["nodes"]["alive"] == 4);

    let source = cluster.root.path().join("source");
    data::write(&source, 2, 3);
    cluster.ok(&["table", "create", "d.b", "--replication", "3", "--buckets", "4"]);
    cluster.ok(&["load", "d.b", source.to_str().expect("utf-8")]);
    // Restarts raise the epoch that agents have seen above the one of the copy.
    for _ in 0..2 {
        cluster.coordinator.kill();
        cluster.coordinator.start(&[]);
        until(Duration::from_secs(20), "agents are back", || cluster.get("/v1/status")["nodes"]["alive"] == 4);
    }
    cluster.until_whole(3);
    let before: Vec<_> = cluster.agents.iter().flat_map(|agent| data::replicas_on(&agent.disks[0])).collect();

    cluster.coordinator.kill();
    fs::remove_dir_all(&store).expect("removed");
    copy_tree(&kept, &store);
    cluster.coordinator.start(&[]);
    until(Duration::from_secs(20), "the level is BLIND with its cause", || {
        let status = cluster.get("/v1/status");
        status["level"] == "BLIND" && status["level_cause"].as_str().is_some_and(|cause| !cause.is_empty())
    });
    assert!(
        cluster
            .problem("level_blind")
            .is_some_and(|p| p["cause"].as_str().unwrap_or_default().contains("store is older")),
        "{:#}",
        cluster.get("/v1/status")
    );
    std::thread::sleep(Duration::from_secs(3));
    let after: Vec<_> = cluster.agents.iter().flat_map(|agent| data::replicas_on(&agent.disks[0])).collect();
    assert_eq!(before, after, "no byte is deleted");
    for dir in after {
        data::check_replica(&dir).expect("untouched");
    }
}

/// A replica directory put back from an older copy is named `regressed` and mended.
#[test]
fn an_old_replica_is_mended() {
    let mut cluster = Cluster::up(4, 1);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "1"]);
    let first = cluster.root.path().join("first");
    data::write(&first, 1, 1);
    cluster.ok(&["load", "d.t", first.to_str().expect("utf-8")]);
    cluster.until_whole(3);
    let dir = cluster.replica_dirs().remove(0);
    let host = cluster.tablets()[0]["replicas"]
        .as_array()
        .expect("list")
        .iter()
        .find(|r| r["dir"] == dir.to_str().expect("utf-8"))
        .expect("listed")["host"]
        .as_str()
        .expect("host")
        .to_string();
    let tar = cluster.root.path().join("tar");
    copy_tree(&dir, &tar);
    let second = cluster.root.path().join("second");
    data::write(&second, 1, 2);
    cluster.ok(&["load", "d.t", second.to_str().expect("utf-8")]);
    cluster.until_whole(3);

    cluster.agent(&host).process.kill();
    fs::remove_dir_all(&dir).expect("removed");
    copy_tree(&tar, &dir);
    cluster.agent(&host).process.start(&[]);
    let tablet = cluster.tablets()[0]["id"].to_string();
    until(Duration::from_secs(30), "the replica was named regressed", || {
        let explained = cluster.get(&format!("/v1/tablets/{tablet}/explain")).to_string();
        explained.contains("regressed")
    });
    cluster.until_whole(3);
    for dir in cluster.replica_dirs() {
        data::check_replica(&dir).expect("a good copy");
    }
}
