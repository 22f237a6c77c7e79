//! A host that came late is filled by a plan: its price first, then its moves under loads; a second plan finds nothing,
//! and at level LIVELY nothing moves any more.

use crate::cluster::{Cluster, get, until};
use crate::data;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const BUCKETS: u64 = 12;

fn json(cluster: &Cluster, args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.extend(["-o", "json"]);
    serde_json::from_str(&cluster.ok(&all)).expect("JSON")
}

/// Replicas by host.
fn spread(cluster: &Cluster) -> BTreeMap<String, u64> {
    let mut spread = BTreeMap::new();
    for tablet in cluster.tablets() {
        for replica in tablet["replicas"].as_array().expect("replicas") {
            *spread.entry(replica["host"].as_str().expect("host").to_string()).or_insert(0) += 1;
        }
    }
    spread
}

/// Twelve tablets of two copies stand on three hosts. The fourth comes: a plan says what would move there and what that
/// costs, moves nothing until it is applied, then carries it out while loads go on; the copies end fair, whole and
/// readable. The limits of copies are shown and change live.
#[test]
fn a_late_host_is_filled_by_a_plan() {
    let mut cluster = Cluster::up(4, 1);
    cluster.agents[3].process.kill();
    let late = cluster.agents[3].host.clone();
    cluster.ok(&["table", "create", "d.t", "--replication", "2", "--buckets", &BUCKETS.to_string()]);
    let source = cluster.root.path().join("source");
    data::write(&source, 4, 7);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.until_whole(2);
    cluster.ok(&["level", "set", "steady", "--reason", "the plan comes first"]);
    cluster.agents[3].process.start(&[]);
    until(Duration::from_secs(20), "the late host is there", || {
        get(&cluster.http, "/v1/status")["nodes"]["alive"] == 4 && !spread(&cluster).contains_key(&late)
    });

    let gentle = json(&cluster, &["throttle", "gentle"]);
    assert_eq!((&gentle["preset"], &gentle["balance"]["disk"]), (&Value::from("gentle"), &Value::from(10 << 20)));
    assert!(cluster.ok(&["status"]).contains("gentle"), "the limits in force are shown");
    cluster.ok(&["throttle", "normal"]);

    // The disk of an agent that has just come says how full it is with its first report.
    let plan = json(&cluster, &["balance", "plan"]);
    let id = plan["id"].to_string();
    let moves = plan["price"]["moves"].as_u64().expect("moves");
    assert!((4..=8).contains(&moves), "a fourth of 24 copies, more or less: {plan:#}");
    assert_eq!(plan["price"]["copies_min"], 2);
    let to_late = |mv: &&Value| mv["to_host"] == late.as_str();
    assert_eq!(plan["moves"].as_array().expect("moves").iter().filter(to_late).count() as u64, moves, "{plan:#}");
    assert!(!spread(&cluster).contains_key(&late), "a plan moves nothing");

    let more = cluster.root.path().join("more");
    data::write(&more, 2, 8);
    let done = std::thread::scope(|scope| {
        let loading = scope.spawn(|| cluster.ok(&["load", "d.t", more.to_str().expect("utf-8")]));
        let done = json(&cluster, &["plan", "apply", &id, "--wait", "--timeout", "90s"]);
        loading.join().expect("the load was acknowledged");
        done
    });
    assert_eq!(done["state"], "DONE", "{done:#}");
    cluster.until_whole(2);
    let spread = spread(&cluster);
    assert!(spread.values().all(|count| (5..=7).contains(count)), "six of 24 are fair: {spread:?}");
    cluster.ok(&["verify", "d.t"]);

    let again = cluster.stele(&["balance", "plan"]);
    assert_eq!(again.status.code(), Some(2), "nothing is left to be made even: {again:?}");
    assert_eq!(cluster.stele(&["plan", "apply", &id]).status.code(), Some(2), "it is over");
    cluster.ok(&["level", "set", "lively"]);
    cluster.ok(&["config", "set", "disable_balance", "false"]);
    until(Duration::from_secs(40), "balance has looked and found nothing", || {
        let status = get(&cluster.http, "/v1/balance");
        status["idle"]["code"].as_str().is_some_and(|code| code == "balance_idle" || code == "nothing_evens")
    });
    assert_eq!(self::spread(&cluster), spread, "nothing moves back");
}
