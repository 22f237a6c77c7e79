//! Hosts of different size and an empty one beside them: balance evens them out by used part while loads go on, a host
//! dies in the middle of it, and everything ends even, whole and unchanged.

use crate::cluster::{Cluster, until};
use crate::data;
use serde_json::Value;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Capacity of each host's disk, MiB.
const CAPACITY_MIB: [u64; 5] = [24, 24, 48, 48, 48];
const BUCKETS: u64 = 16;
/// The balance threshold, in percent of a disk, and a little for loads that are under way.
const EVEN: f64 = 12.0;

/// The difference between the used percents of the fullest and the emptiest disk that take part.
fn spread(cluster: &Cluster) -> f64 {
    let balance = cluster.get("/v1/balance");
    let part = |key: &str| 100.0 * balance["media"][0][key].as_f64().unwrap_or(f64::NAN);
    part("used_percent_max") - part("used_percent_min")
}

fn moved(cluster: &Cluster) -> u64 {
    cluster.get("/v1/balance")["done"]["moves"].as_u64().unwrap_or(0)
}

fn is_calm(cluster: &Cluster) -> bool {
    let (balance, status) = (cluster.get("/v1/balance"), cluster.get("/v1/status"));
    let is_even =
        balance["idle"]["code"].as_str().is_some_and(|code| code == "balance_idle" || code == "nothing_evens");
    is_even && status["tasks_running"] == 0
}

fn keep_loading(http: &str, root: &std::path::Path, over: &AtomicBool) -> u64 {
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        let source = root.join(format!("load-{number}"));
        std::fs::create_dir_all(&source).expect("made");
        for file in 0..3 {
            std::fs::write(source.join(format!("late-{number}-{file}")), format!("{number} {file}")).expect("written");
        }
        let load = Command::new(crate::cluster::STELE)
            .args(["load", "d.t", source.to_str().expect("utf-8"), "--timeout", "60"])
            .env("STELE_COORDINATOR", http)
            .output()
            .expect("stele runs");
        assert!(load.status.success(), "load {number}: {}", crate::cluster::text(&load));
        number += 1;
    }
    number
}

/// Four hosts are filled with balance off, a fifth comes empty. Balance evens out, survives the death of a host in the
/// middle of it, ends by itself, and no byte was lost or changed.
#[test]
fn uneven_hosts_even_out() {
    let mut cluster = Cluster::up(CAPACITY_MIB.len(), 1);
    for (agent, mib) in cluster.agents.iter_mut().zip(CAPACITY_MIB) {
        agent.process.kill();
        let config = agent.disks[0].parent().expect("below the agent's home").join("agent.toml");
        let text = std::fs::read_to_string(&config).expect("readable") + &format!("capacity_bytes = {}\n", mib << 20);
        std::fs::write(&config, text).expect("written");
    }
    let (late, first) = (CAPACITY_MIB.len() - 1, &mut cluster.agents[..CAPACITY_MIB.len() - 1]);
    first.iter_mut().for_each(|agent| agent.process.start(&[]));
    until(Duration::from_secs(30), "four hosts tell their size", || {
        let nodes = cluster.get("/v1/nodes");
        let nodes = nodes["nodes"].as_array().cloned().unwrap_or_default();
        let told = |node: &&Value| node["liveness"] == "ALIVE" && node["disks"][0]["total"].as_u64() <= Some(48 << 20);
        nodes.iter().filter(told).count() == late
    });
    cluster.ok(&["table", "create", "d.t", "--replication", "2", "--buckets", &BUCKETS.to_string()]);
    let source = cluster.root.path().join("source");
    data::write(&source, 20, 11);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.until_whole(2);

    cluster.agents[late].process.start(&[]);
    // How full a disk is comes with its next report.
    until(Duration::from_secs(30), "an empty host stands beside full ones", || {
        cluster.get("/v1/balance")["media"][0]["disks"] == CAPACITY_MIB.len() && spread(&cluster) > 2.0 * EVEN
    });
    let before = spread(&cluster);
    let (http, root, over) = (cluster.http.clone(), cluster.root.path().to_path_buf(), AtomicBool::new(false));
    let loads = std::thread::scope(|scope| {
        let loading = scope.spawn(|| keep_loading(&http, &root, &over));
        cluster.ok(&["config", "set", "disable_balance", "false"]);
        until(Duration::from_secs(60), "something has moved", || moved(&cluster) >= 2);
        cluster.agents[2].process.kill();
        until(Duration::from_secs(60), "the dead host was missed and repaired around", || {
            cluster.get("/v1/status")["nodes"]["alive"] == 4 && cluster.is_whole(2)
        });
        over.store(true, Ordering::Relaxed);
        loading.join().expect("every load was acknowledged")
    });
    until(Duration::from_secs(120), "all is even, and nothing moves", || spread(&cluster) < EVEN && is_calm(&cluster));
    cluster.until_whole(2);
    let after = spread(&cluster);
    println!("spread {before:.1} % -> {after:.1} %, {} moves, {loads} loads", moved(&cluster));
    let at_rest = moved(&cluster);
    cluster.ok(&["verify", "d.t"]);
    let out = cluster.root.path().join("out");
    cluster.ok(&["export", "d.t", "--to", out.to_str().expect("utf-8")]);
    for number in 0..loads {
        let late = root.join(format!("load-{number}"));
        for entry in std::fs::read_dir(late).expect("readable") {
            let entry = entry.expect("readable");
            std::fs::copy(entry.path(), source.join(entry.file_name())).expect("copied");
        }
    }
    assert!(data::digests(&source) == data::digests(&out), "what was read back is not what was loaded");
    assert_eq!(moved(&cluster), at_rest, "nothing moves any more");
}
