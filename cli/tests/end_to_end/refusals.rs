//! Disks that are full or fail: refused with a reason, nothing half-written stays, others take over.

use crate::cluster::{Cluster, until};
use crate::data;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// A library that makes every fsync, fdatasync and syncfs fail once the file named by `SYNC_FAILS_WHEN` exists.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int failing(void) { const char *f = getenv("SYNC_FAILS_WHEN"); return f && access(f, F_OK) == 0; }
int fsync(int fd) { if (failing()) { errno = EIO; return -1; } int (*real)(int) = dlsym(RTLD_NEXT, "fsync"); return real(fd); }
int fdatasync(int fd) { if (failing()) { errno = EIO; return -1; } int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync"); return real(fd); }
int syncfs(int fd) { if (failing()) { errno = EIO; return -1; } int (*real)(int) = dlsym(RTLD_NEXT, "syncfs"); return real(fd); }
"#;

/// An agent whose syncs fail acknowledges nothing: its disk turns SUSPECT, loads go on with the others.
#[test]
fn a_failed_sync_is_never_acknowledged() {
    let mut cluster = Cluster::up(4, 1);
    let root = cluster.root.path().to_path_buf();
    fs::write(root.join("shim.c"), SHIM).expect("written");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(root.join("shim.so"))
        .arg(root.join("shim.c"))
        .arg("-ldl")
        .status();
    assert!(built.expect("a C compiler, as for any Rust build").success());
    let trigger = root.join("fail-now");
    cluster.agents[0].process.kill();
    let (shim, when) = (root.join("shim.so"), trigger.clone());
    cluster.agents[0]
        .process
        .start(&[("LD_PRELOAD", shim.to_str().expect("utf-8")), ("SYNC_FAILS_WHEN", when.to_str().expect("utf-8"))]);
    let log = cluster.root.path().join("cluster/logs").join(format!("{}-again.log", cluster.agents[0].host));
    until(Duration::from_secs(20), "the new process was welcomed", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("welcomed by the coordinator"))
    });
    until(Duration::from_secs(20), "all agents are there", || cluster.get("/v1/status")["nodes"]["alive"] == 4);

    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "8"]);
    fs::write(&trigger, "").expect("written");
    let source = root.join("source");
    data::write(&source, 2, 9);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    until(Duration::from_secs(20), "the disk is SUSPECT and named", || cluster.problem("disk_suspect").is_some());
    cluster.until_whole(3);
    let suspect = cluster.agents[0].host.clone();
    for tablet in cluster.tablets() {
        let replicas = tablet["replicas"].as_array().cloned().unwrap_or_default();
        assert!(replicas.iter().all(|r| r["host"] != suspect.as_str() || r["complete"] == false), "{tablet:#}");
    }
}

/// Disks too small for a load refuse it with a reason; nothing half-written stays; larger ones take the copies.
#[test]
fn a_full_disk_refuses_and_others_take_over() {
    let mut cluster = Cluster::up(5, 1);
    for agent in &mut cluster.agents[..2] {
        let config = agent.disks[0].parent().expect("the agent's directory").join("agent.toml");
        let text = fs::read_to_string(&config).expect("agent.toml");
        let small: Vec<String> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("capacity_bytes"))
            .map(|line| {
                if line.trim() == "[[disk]]" {
                    "[[disk]]\ncapacity_bytes = 4194304".to_string()
                } else {
                    line.to_string()
                }
            })
            .collect();
        fs::write(&config, small.join("\n")).expect("written");
        agent.process.kill();
        agent.process.start(&[]);
    }
    until(Duration::from_secs(20), "the small disks are known", || {
        let disks = cluster.get("/v1/disks")["disks"].as_array().cloned().unwrap_or_default();
        disks
            .iter()
            .filter(|disk| disk["total"].as_u64().unwrap_or(u64::MAX) <= 4 << 20 && disk["state"] == "ONLINE")
            .count()
            == 2
    });
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "4"]);
    let source = cluster.root.path().join("source");
    data::write(&source, 16, 4);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8"), "--timeout", "90"]);
    for agent in &cluster.agents[..2] {
        let used: u64 = data::digests(&agent.disks[0])
            .keys()
            .map(|path| fs::metadata(agent.disks[0].join(path)).map_or(0, |m| m.len()))
            .sum();
        assert!(used < 6 << 20, "{used} bytes on a disk of 4 MiB");
        let staging = agent.disks[0].join("staging");
        assert_eq!(fs::read_dir(staging).expect("there").count(), 0, "nothing half-written stays");
    }
    for dir in cluster.replica_dirs() {
        data::check_replica(&dir).expect("no half replica");
    }
    let export = cluster.root.path().join("export");
    cluster.ok(&["export", "d.t", "--to", export.to_str().expect("utf-8")]);
    assert_eq!(data::digests(&export), data::digests(&source));
}
