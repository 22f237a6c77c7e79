//! Hosts die, copies come back, hosts return.

use crate::cluster::{Cluster, until};
use crate::data;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Two of five hosts die one after the other: three copies on three hosts each time, every digest good, the export
/// equal to the source; when they return, exactly three copies are left and nothing unreferenced outside the trash.
#[test]
fn two_hosts_die_and_return() {
    let mut cluster = Cluster::up(5, 2);
    let source = cluster.root.path().join("source");
    data::write(&source, 24, 1);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "8"]);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.until_whole(3);

    for victim in [1, 3] {
        cluster.agents[victim].process.kill();
        let host = cluster.agents[victim].host.clone();
        until(Duration::from_secs(20), "the dead host holds nothing that counts", || {
            cluster.tablets().iter().any(|tablet| tablet["status"] != "HEALTHY") || cluster.is_whole(3)
        });
        until(Duration::from_secs(60), "no replica is left on the dead host", || {
            cluster.is_whole(3)
                && cluster
                    .tablets()
                    .iter()
                    .all(|t| t["replicas"].as_array().expect("list").iter().all(|r| r["host"] != host.as_str()))
        });
        for dir in cluster.replica_dirs() {
            data::check_with_b3sum(&dir);
        }
    }

    let export = cluster.root.path().join("export");
    cluster.ok(&["export", "d.t", "--to", export.to_str().expect("utf-8")]);
    assert_eq!(data::digests(&export), data::digests(&source));

    for victim in [1, 3] {
        cluster.agents[victim].process.start(&[]);
    }
    until(Duration::from_secs(60), "what returned is either used or in the trash", || {
        let catalog: BTreeSet<PathBuf> = cluster.replica_dirs().into_iter().collect();
        let on_disks: BTreeSet<PathBuf> = cluster
            .agents
            .iter()
            .flat_map(|agent| agent.disks.iter().flat_map(|disk| data::replicas_on(disk)))
            .collect();
        cluster.is_whole(3) && catalog == on_disks
    });
    for dir in cluster.replica_dirs() {
        data::check_replica(&dir).expect("a good copy");
    }
}
