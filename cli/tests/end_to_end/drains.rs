//! Hosts are emptied under load, proven empty and removed; what cannot be is refused and named.

use crate::cluster::{Cluster, get, text, until};
use crate::data;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn node(cluster: &Cluster, host: &str) -> String {
    let nodes = cluster.get("/v1/nodes")["nodes"].as_array().cloned().unwrap_or_default();
    let node =
        nodes.iter().find(|node| node["host"] == host).unwrap_or_else(|| panic!("no node on {host}: {nodes:#?}"));
    node["id"].to_string()
}

/// What is watched while hosts are being emptied.
#[derive(Default)]
struct Watch {
    over: AtomicBool,
    loads: AtomicU64,
    looks: AtomicU64,
}

/// Small loads one after the other, each with its own file.
fn keep_loading(http: &str, dir: &Path, watch: &Watch) {
    while !watch.over.load(Ordering::Relaxed) {
        let number = watch.loads.load(Ordering::Relaxed);
        let source = dir.join(format!("load-{number}"));
        std::fs::create_dir_all(&source).expect("made");
        std::fs::write(source.join(format!("more-{number}")), format!("load {number}")).expect("written");
        let load = Command::new(crate::cluster::STELE)
            .args(["load", "d.t", source.to_str().expect("utf-8"), "--timeout", "60"])
            .env("STELE_COORDINATOR", http)
            .output()
            .expect("stele runs");
        assert!(load.status.success(), "load {number} while draining: {}", text(&load));
        watch.loads.fetch_add(1, Ordering::Relaxed);
    }
}

/// No tablet ever has fewer than three living copies on different hosts, and no drain ever goes back.
fn keep_looking(http: &str, nodes: &[String], watch: &Watch) {
    let mut furthest: BTreeMap<&String, u64> = BTreeMap::new();
    while !watch.over.load(Ordering::Relaxed) {
        for tablet in get(http, "/v1/tablets?table=d.t")["tablets"].as_array().cloned().unwrap_or_default() {
            let replicas = tablet["replicas"].as_array().cloned().unwrap_or_default();
            let alive: std::collections::BTreeSet<&str> =
                replicas.iter().filter(|r| r["alive"] == true).filter_map(|r| r["host"].as_str()).collect();
            assert!(alive.len() >= 3, "fewer copies than wanted: {tablet:#}");
            watch.looks.fetch_add(1, Ordering::Relaxed);
        }
        for node in nodes {
            let Some(moved) = get(http, &format!("/v1/nodes/{node}/drain"))["tablets_moved"].as_u64() else { continue };
            let before = furthest.insert(node, moved).unwrap_or(0);
            assert!(moved >= before, "the drain of {node} went back from {before} to {moved}");
        }
    }
}

fn drain_under_load(cluster: &Cluster, hosts: &[&str], dir: &Path) {
    let (watch, http) = (Watch::default(), cluster.http.clone());
    let nodes: Vec<String> = hosts.iter().map(|host| node(cluster, host)).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| keep_loading(&http, dir, &watch));
        scope.spawn(|| keep_looking(&http, &nodes, &watch));
        let mut args = vec!["node", "drain", "--wait", "--timeout", "150s", "-o", "json"];
        args.extend(hosts);
        let drained = cluster.stele(&args);
        watch.over.store(true, Ordering::Relaxed);
        assert!(drained.status.success(), "{}", text(&drained));
        let drains = json(&drained)["drains"].as_array().cloned().unwrap_or_default();
        assert_eq!(drains.len(), hosts.len());
        for drain in drains {
            assert_eq!((&drain["state"], &drain["tablets_left"]), (&"DRAINED".into(), &0.into()), "{drain:#}");
            assert_eq!(drain["tablets_moved"], drain["tablets"], "{drain:#}");
        }
    });
    assert!(watch.loads.load(Ordering::Relaxed) > 0 && watch.looks.load(Ordering::Relaxed) > 0);
}

/// Every tablet of the certificate has its copies where it says, on other hosts.
fn check_certificate(cluster: &Cluster, host: &str) {
    let shown = cluster.stele(&["node", "certificate", host, "-o", "json"]);
    assert!(shown.status.success(), "{}", text(&shown));
    let certificate = json(&shown);
    assert_eq!(certificate["host"], host);
    assert_eq!(certificate["digest"].as_str().map(str::len), Some(64));
    let tablets: BTreeMap<u64, Value> =
        cluster.tablets().into_iter().map(|tablet| (tablet["id"].as_u64().expect("id"), tablet)).collect();
    let proven = certificate["proven"].as_array().cloned().unwrap_or_default();
    assert_eq!(certificate["tablets"].as_u64(), Some(proven.len() as u64));
    for one in proven {
        let known = &tablets[&one["tablet"].as_u64().expect("tablet")];
        let copies = one["copies"].as_array().cloned().unwrap_or_default();
        assert!(copies.len() >= 3, "{one:#}");
        for copy in copies {
            assert_ne!(copy["host"], host, "{one:#}");
            let replicas = known["replicas"].as_array().expect("replicas");
            assert!(replicas.iter().any(|r| r["id"] == copy["replica"]), "{one:#} against {known:#}");
        }
    }
}

/// One host of six is emptied, then two together, while loads go on; each ends by itself with a true certificate, is
/// removed, and its agent is refused until it is admitted. Nothing is lost.
#[test]
fn hosts_are_emptied_under_load() {
    let cluster = Cluster::up(6, 1);
    let root = cluster.root.path().to_path_buf();
    let source = root.join("source");
    data::write(&source, 40, 11);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "48"]);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    for (round, hosts) in [vec!["host-1"], vec!["host-2", "host-3"]].into_iter().enumerate() {
        drain_under_load(&cluster, &hosts, &root.join(format!("loads-{round}")));
        cluster.until_whole(3);
        for host in &hosts {
            check_certificate(&cluster, host);
            let removed = cluster.ok(&["node", "remove", host]);
            assert!(removed.contains("removed"), "{removed}");
        }
    }
    let hosts = |cluster: &Cluster| cluster.get("/v1/nodes")["nodes"].as_array().map_or(0, Vec::len);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(hosts(&cluster), 3, "removed agents stay away");
    cluster.ok(&["node", "admit", "host-1"]);
    until(Duration::from_secs(20), "the admitted agent is back", || hosts(&cluster) == 4);

    let export = root.join("export");
    cluster.ok(&["export", "d.t", "--to", export.to_str().expect("utf-8")]);
    let exported = data::digests(&export);
    for (path, digest) in data::digests(&source) {
        assert_eq!(exported.get(&path), Some(&digest), "{path:?}");
    }
    let verified = cluster.stele(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
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
