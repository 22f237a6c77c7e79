//! A live coordinator's world as a file: what `stele sim` says to it is what the coordinator itself says.

use crate::cluster::{Cluster, until};
use crate::data;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// With a host dead and its wait running, the saved world's verdicts and waits are the live checker's.
#[test]
fn a_saved_world_is_judged_as_the_live_one() {
    // The wait is long, so that nothing is repaired between the two looks.
    let mut cluster = Cluster::up_with(4, 2, &[("STELE__REPAIR__ASSIGN_DELAY_MS", "600000")]);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "12"]);
    let source = cluster.root.path().join("source");
    data::write(&source, 3, 24);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.until_whole(3);
    cluster.agents[0].process.kill();
    let states = |tablets: Vec<Value>| -> BTreeMap<u64, String> {
        let state = |tablet: &Value| {
            (tablet["id"].as_u64().expect("an id"), tablet["status"].as_str().expect("a status").to_string())
        };
        tablets.iter().map(state).collect()
    };
    until(Duration::from_secs(20), "the host is lost", || {
        cluster.get("/v1/status")["nodes"]["lost"] == 1 && states(cluster.tablets()).values().any(|s| s != "HEALTHY")
    });
    let path = cluster.root.path().join("world.json.zst");
    let path = path.to_str().expect("utf-8");
    cluster.ok(&["snapshot", "save", path]);
    let said: Value = serde_json::from_str(&cluster.ok(&["sim", "check", path, "-o", "json"])).expect("JSON");
    let said = said["tablets"].as_array().cloned().expect("a list");
    assert_eq!(states(said.clone()), states(cluster.tablets()));
    let waits = said.iter().filter(|tablet| tablet["status"] == "REPLICA_MISSING");
    let waits: Vec<u64> = waits.map(|tablet| tablet["ready_in_ms"].as_u64().expect("a wait")).collect();
    assert!(!waits.is_empty() && waits.iter().all(|ms| (400_000..600_000).contains(ms)), "{waits:?}");
    let scores: Value = serde_json::from_str(&cluster.ok(&["sim", "score", path, "-o", "json"])).expect("JSON");
    assert_eq!(scores["nodes"].as_array().map(Vec::len), Some(4));
    let round: Value = serde_json::from_str(&cluster.ok(&["sim", "schedule", path, "-o", "json"])).expect("JSON");
    assert!(round["refused"].as_array().is_some_and(|no| no.iter().all(|no| no["reason"] == "not_ready")), "{round}");
    let plain: Value = serde_json::from_str(&cluster.ok(&["snapshot", "save", "-"])).expect("JSON");
    assert_eq!(plain["format"], "stele-world/1");
}
