//! Bytes rot, files vanish, directories are emptied or moved away: each is named, and mended from good copies.

use crate::cluster::{Cluster, until};
use crate::data;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn loaded(agents: usize) -> (Cluster, PathBuf) {
    let cluster = Cluster::up(agents, 1);
    let source = cluster.root.path().join("source");
    data::write(&source, 6, 2);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "4"]);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.until_whole(3);
    (cluster, source)
}

fn some_file(replica: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> =
        data::digests(&replica.join("data")).into_keys().map(|p| replica.join("data").join(p)).collect();
    files.retain(|path| fs::metadata(path).expect("there").len() > 10);
    files.into_iter().next().expect("a replica with a file")
}

/// A flipped byte, a truncated and a deleted file: `verify` names all three and exits 2, then all is mended.
#[test]
fn three_kinds_of_damage_are_found_and_mended() {
    let (cluster, source) = loaded(4);
    let dirs = cluster.replica_dirs();
    // One replica of three different tablets, so that good copies remain.
    let mut tablets = std::collections::BTreeSet::new();
    let chosen: Vec<&PathBuf> = dirs
        .iter()
        .filter(|dir| {
            tablets.insert(dir.parent().and_then(|tablet| tablet.file_name()).expect("tablet").to_os_string())
        })
        .take(3)
        .collect();
    assert_eq!(chosen.len(), 3);

    let flipped = some_file(chosen[0]);
    let mut bytes = fs::read(&flipped).expect("read");
    bytes[7] ^= 0x40;
    fs::write(&flipped, bytes).expect("written");
    let cut = some_file(chosen[1]);
    fs::OpenOptions::new().write(true).open(&cut).expect("opened").set_len(3).expect("cut");
    fs::remove_file(some_file(chosen[2])).expect("removed");

    let found = cluster.stele(&["verify", "d.t", "-o", "json"]);
    assert_eq!(found.status.code(), Some(2), "{}", crate::cluster::text(&found));
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    for dir in &chosen {
        let replica = dir.file_name().expect("named").to_string_lossy().into_owned();
        assert!(said.contains(&replica), "verify does not name replica {replica}: {said}");
    }
    cluster.until_whole(3);
    for dir in cluster.replica_dirs() {
        data::check_replica(&dir).expect("mended");
    }
    assert_eq!(cluster.stele(&["verify", "d.t"]).status.code(), Some(0));
    let export = cluster.root.path().join("export");
    cluster.ok(&["export", "d.t", "--to", export.to_str().expect("utf-8")]);
    assert_eq!(data::digests(&export), data::digests(&source));
}

/// A data directory that was moved away is unavailable, not empty: it is named, healed around, and taken back.
#[test]
fn a_moved_data_directory_is_not_empty() {
    let (mut cluster, _) = loaded(4);
    let disk = cluster.agents[0].disks[0].clone();
    let aside = disk.with_extension("aside");
    fs::rename(&disk, &aside).expect("moved");
    until(Duration::from_secs(20), "status names the disk", || cluster.problem("disk_unavailable").is_some());
    until(Duration::from_secs(60), "copies stand elsewhere", || {
        let host = cluster.agents[0].host.clone();
        cluster.is_whole(3)
            && cluster
                .tablets()
                .iter()
                .all(|t| t["replicas"].as_array().expect("list").iter().all(|r| r["host"] != host.as_str()))
    });
    assert!(!disk.exists() || data::replicas_on(&disk).is_empty(), "nothing is made anew at the old place");
    let _ = fs::remove_dir_all(&disk);
    fs::rename(&aside, &disk).expect("back");
    until(Duration::from_secs(30), "the disk is taken back", || cluster.problem("disk_unavailable").is_none());
    until(Duration::from_secs(60), "all is whole", || cluster.is_whole(3));
    cluster.agents[0].process.kill();
}

/// A data directory that was emptied is refused with the command that replaces it; only that disk is out.
#[test]
fn an_emptied_data_directory_waits_for_a_word() {
    let (mut cluster, _) = loaded(4);
    let disk = cluster.agents[0].disks[0].clone();
    cluster.agents[0].process.kill();
    fs::remove_dir_all(&disk).expect("emptied");
    fs::create_dir(&disk).expect("made");
    cluster.agents[0].process.start(&[]);
    until(Duration::from_secs(20), "status names the blank disk and the command", || {
        cluster
            .problem("disk_unavailable")
            .is_some_and(|p| p["next"].as_str().unwrap_or_default().contains("disk init"))
    });
    cluster.until_whole(3);
    assert!(fs::read_dir(&disk).expect("readable").next().is_none(), "nothing was written to the blank directory");

    let id = cluster.get("/v1/disks")["disks"]
        .as_array()
        .expect("disks")
        .iter()
        .find(|d| d["path"] == disk.to_str().expect("utf-8"))
        .expect("registered")["id"]
        .clone();
    let host = cluster.agents[0].host.clone();
    cluster.ok(&["disk", "init", disk.to_str().expect("utf-8"), "--host", &host, "--replace", &id.to_string()]);
    until(Duration::from_secs(30), "the new disk is online", || {
        cluster.get("/v1/disks")["disks"].as_array().is_some_and(|disks| {
            disks.iter().any(|d| d["path"] == disk.to_str().expect("utf-8") && d["state"] == "ONLINE" && d["id"] != id)
        })
    });
}
