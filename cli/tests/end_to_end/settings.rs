//! Knobs, levels and pauses on a real cluster, over a restart of its coordinator.

use crate::cluster::{Cluster, STELE, until};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn json(cluster: &Cluster, args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.extend(["-o", "json"]);
    serde_json::from_str(&cluster.ok(&all)).expect("JSON")
}

/// What is set holds at once and after the coordinator has been killed; refusals name the range; a level and a pause
/// are shown in `status` and end.
#[test]
fn settings_outlive_the_coordinator() {
    let mut cluster = Cluster::up(3, 1);
    cluster.ok(&["config", "set", "schedule_slot_num_per_path", "7", "--reason", "faster"]);
    assert_eq!(cluster.get("/v1/disks")["disks"][0]["slots_total"], 7);
    let refused = cluster.stele(&["config", "set", "keep_versions", "0"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("1..1000000"), "{refused:?}");
    assert_eq!(cluster.stele(&["config", "get", "no_such_knob"]).status.code(), Some(3));
    cluster.ok(&["level", "set", "steady", "--reason", "rehearsal"]);
    let paused = json(&cluster, &["pause", "--repair", "--all", "--for", "1h", "--reason", "rehearsal"]);

    cluster.coordinator.kill();
    cluster.coordinator.start(&[]);
    until(Duration::from_secs(20), "all agents are back", || {
        let status = cluster.stele(&["status", "-o", "json"]);
        serde_json::from_slice::<Value>(&status.stdout).is_ok_and(|status| status["nodes"]["alive"] == 3)
    });
    let knob = json(&cluster, &["config", "get", "slot_num_per_path"]);
    assert_eq!((&knob["value"], &knob["default"]), (&Value::from(7), &Value::from(2)));
    assert_eq!((&knob["source"], &knob["set_reason"]), (&Value::from("live"), &Value::from("faster")));
    assert_eq!(json(&cluster, &["config", "history"])["settings"][0]["name"], "schedule_slot_num_per_path");
    assert_eq!(json(&cluster, &["level", "get"])["level"], "STEADY");
    let status = cluster.ok(&["status"]);
    assert!(status.contains("STEADY") && status.contains("repair paused everywhere"), "{status}");

    cluster.ok(&["resume", &paused["id"].to_string()]);
    cluster.ok(&["level", "set", "lively"]);
    cluster.ok(&["config", "set", "schedule_slot_num_per_path", "default"]);
    let status = cluster.get("/v1/status");
    assert_eq!((&status["level"], &status["leases"]), (&Value::from("LIVELY"), &Value::from(Vec::<Value>::new())));
    assert_eq!(json(&cluster, &["config", "get", "schedule_slot_num_per_path"])["value"], 2);
}

/// A cluster that has users since is not waited for in vain: what is missing is said at once.
#[test]
fn up_wants_a_token() {
    let mut cluster = Cluster::up(1, 1);
    cluster.coordinator.kill();
    let users = cluster.root.path().join("users.toml");
    let mut add = Command::new(STELE);
    add.args(["user", "add", "ana", "--role", "admin", "--file"]).arg(&users).stdin(Stdio::null());
    assert!(add.output().expect("stele runs").status.success());
    let mut up = Command::new(STELE);
    up.args(["up", "--detach", "--dir"]).arg(cluster.root.path().join("cluster")).env_remove("STELE_TOKEN");
    let began = Instant::now();
    let refused = up.env("STELE__COORDINATOR__USERS_FILE", &users).output().expect("stele runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("STELE_TOKEN"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(30), "it waited for agents for {:?}", began.elapsed());
}

/// Two of three hosts gone: the level freezes by itself with its numbers and the way out, and lifts by itself.
#[test]
fn too_few_nodes_freeze() {
    let mut cluster = Cluster::up(3, 1);
    cluster.agents[0].process.kill();
    cluster.agents[1].process.kill();
    until(Duration::from_secs(20), "it freezes", || cluster.problem("level_freezed").is_some());
    let level = json(&cluster, &["level", "get"]);
    assert_eq!((&level["level"], &level["set"]), (&Value::from("FREEZED"), &Value::from("LIVELY")));
    assert!(level["cause"].as_str().is_some_and(|cause| cause.contains("1 of 3 nodes")), "{level}");
    let refused = cluster.stele(&["table", "create", "d.t", "--replication", "1", "--buckets", "1"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("1 of 3"), "{refused:?}");
    cluster.agents[0].process.start(&[]);
    until(Duration::from_secs(20), "it lifts", || json(&cluster, &["level", "get"])["level"] == "LIVELY");
    let counts = json(&cluster, &["node", "list", "--replicas"]);
    assert_eq!((&counts["alive_node_count"], &counts["unalive_node_count"]), (&Value::from(2), &Value::from(1)));
}
