//! What cannot be emptied or removed is refused and named; leases, policies and groups as an operator gives them.

use crate::cluster::{Cluster, text, until};
use serde_json::Value;
use std::time::Duration;

pub fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

pub fn node(cluster: &Cluster, host: &str) -> String {
    let nodes = cluster.get("/v1/nodes")["nodes"].as_array().cloned().unwrap_or_default();
    let node =
        nodes.iter().find(|node| node["host"] == host).unwrap_or_else(|| panic!("no node on {host}: {nodes:#?}"));
    node["id"].to_string()
}

/// What would find no place is refused with every blocker named; removal by force has its price, and the last complete
/// copy has none.
#[test]
fn what_cannot_go_is_refused() {
    let mut cluster = Cluster::up(3, 2);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "4"]);
    cluster.ok(&["table", "create", "d.one", "--replication", "1", "--buckets", "3"]);
    let refused = cluster.stele(&["node", "drain", "host-1", "-o", "json"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    let found = json(&refused);
    assert_eq!(
        (&found["fits"], &found["begun"], &found["blocked"]),
        (&false.into(), &false.into(), &4.into()),
        "{found:#}"
    );
    assert_eq!(found["blockers"][0]["code"], "too_few_hosts");
    assert_eq!(cluster.get(&format!("/v1/nodes/{}", node(&cluster, "host-1")))["drain"], Value::Null);

    let disk = cluster.get("/v1/disks")["disks"][0]["id"].to_string();
    cluster.ok(&["disk", "drain", &disk, "--wait", "--timeout", "60s"]);
    let on_it = |cluster: &Cluster| {
        let disks = cluster.get("/v1/disks")["disks"].as_array().cloned().unwrap_or_default();
        disks.iter().find(|one| one["id"].as_u64() == disk.parse().ok()).cloned().unwrap_or_default()
    };
    assert_eq!((&on_it(&cluster)["replicas"], &on_it(&cluster)["drain"]), (&0.into(), &"DRAINED".into()));
    cluster.ok(&["disk", "undrain", &disk]);

    let missing = cluster.stele(&["node", "certificate", "host-1"]);
    assert_eq!(missing.status.code(), Some(3), "{}", text(&missing));
    let priced = cluster.stele(&["node", "remove", "host-2", "--force"]);
    assert_eq!(priced.status.code(), Some(2), "{}", text(&priced));
    let last = cluster.stele(&["node", "remove", "host-2", "--force", "--yes", "-o", "json"]);
    assert_eq!((last.status.code(), json(&last)["last"].as_u64()), (Some(2), Some(1)), "{}", text(&last));
    cluster.ok(&["table", "drop", "d.one"]);
    let gone = cluster.ok(&["node", "remove", "host-2", "--force", "--yes"]);
    assert!(gone.contains("removed"), "{gone}");
    cluster.agent("host-2").process.kill();
    cluster.agent("host-2").process.start(&[]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(cluster.get("/v1/nodes")["nodes"].as_array().map_or(0, Vec::len), 2, "it stays away");
}

/// Leases, policies, groups and a word on a replica, as an operator gives them.
#[test]
fn operators_words() {
    let cluster = Cluster::up(4, 1);
    cluster.ok(&["table", "create", "d.a", "--buckets", "4", "--colocate", "g"]);
    cluster.ok(&["table", "create", "d.b", "--buckets", "4", "--colocate", "g"]);
    let group = cluster.get("/v1/groups/g");
    assert_eq!((&group["stable"], &group["tables"]), (&true.into(), &serde_json::json!(["d.a", "d.b"])), "{group:#}");
    let mismatch = cluster.stele(&["table", "create", "d.c", "--buckets", "5", "--colocate", "g"]);
    assert_eq!(mismatch.status.code(), Some(2), "{}", text(&mismatch));
    cluster.ok(&["node", "drain", "host-1", "--wait", "--timeout", "60s"]);
    until(Duration::from_secs(20), "the group is stable on other nodes", || {
        let (group, node) = (cluster.get("/v1/groups/g"), node(&cluster, "host-1"));
        group["stable"] == true && !group["sequence"].to_string().contains(&node)
    });
    cluster.ok(&["node", "undrain", "host-1"]);

    cluster.ok(&["node", "maintain", "host-1", "--for", "30m", "--reason", "new kernel"]);
    cluster.ok(&["repair", "d.a", "--for", "1s"]);
    let leases = cluster.get("/v1/status")["leases"].as_array().cloned().unwrap_or_default();
    assert_eq!(leases.len(), 2, "{leases:#?}");
    assert!(cluster.ok(&["status"]).contains("new kernel"));
    until(Duration::from_secs(10), "the short lease is over", || {
        cluster.get("/v1/leases")["leases"].as_array().map_or(0, Vec::len) == 1
    });
    cluster.ok(&["node", "maintain", "host-1", "--end"]);
    assert_eq!(cluster.stele(&["node", "maintain", "host-1", "--end"]).status.code(), Some(3));

    cluster.ok(&["table", "set", "d.a", "--colocate", "none"]);
    cluster.ok(&["table", "set", "d.a", "--replication", "2"]);
    until(Duration::from_secs(30), "two copies are left", || {
        let tablets = cluster.get("/v1/tablets?table=d.a")["tablets"].as_array().cloned().unwrap_or_default();
        tablets.iter().all(|t| t["status"] == "HEALTHY" && t["replicas"].as_array().map_or(0, Vec::len) == 2)
    });
    let tablet = cluster.get("/v1/tablets?table=d.b")["tablets"][0].clone();
    let (id, replica) = (tablet["id"].to_string(), tablet["replicas"][0]["id"].to_string());
    cluster.ok(&["replica", "set", &id, &replica, "bad", "--reason", "it smells"]);
    until(Duration::from_secs(30), "another copy has taken its place", || {
        let tablet = cluster.get(&format!("/v1/tablets/{id}"));
        let replicas = tablet["replicas"].as_array().cloned().unwrap_or_default();
        tablet["status"] == "HEALTHY" && replicas.iter().all(|r| r["bad"].is_null())
    });
}
