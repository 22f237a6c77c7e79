//! What a reader makes of a file: defaults, states, times, ids, and what it refuses.

use super::{BadFile, Reading, read};
use crate::policy::{LeaseScope, TableState};
use crate::world::Replica;
use crate::{invariants, schedule};
use serde_json::{Value, json};
use stele_common::status::Level;
use stele_common::{
    DiskId, DiskState, Liveness, Medium, NodeId, ReplicaId, ReplicaState, TableId, TabletId, TaskType, Tick, Version,
};

fn try_read(file: Value) -> Result<Reading, BadFile> {
    read(serde_json::from_value(file).expect("its shapes are right"))
}

fn reading(file: Value) -> Reading {
    let reading = try_read(file).expect("it makes sense");
    assert_eq!(invariants::check(&reading.world), Vec::<String>::new());
    reading
}

/// Two nodes with a disk each, one table of two copies, one tablet.
fn small() -> Value {
    json!({"nodes": [node(1), node(2)], "tables": [{"id": 1, "replication_num": 2}],
        "tablets": [{"id": 100, "table": 1, "replicas": [replica(1000, 1), replica(1001, 2)]}]})
}

fn node(id: u64) -> Value {
    json!({"id": id, "host": format!("h{id}"), "disks": [{"path_hash": id * 10, "total": 100, "used": 40}]})
}

fn replica(id: u64, node: u64) -> Value {
    json!({"id": id, "node": node, "path_hash": node * 10, "version": 7, "size": 5})
}

fn with(mut file: Value, pointer: &str, value: Value) -> Value {
    let (owner, key) = pointer.rsplit_once('/').expect("a pointer");
    let owner = file.pointer_mut(owner).unwrap_or_else(|| panic!("nothing at {pointer}"));
    match owner {
        Value::Array(list) => list[key.parse::<usize>().expect("an index")] = value,
        owner => owner[key] = value,
    }
    file
}

fn first(reading: &Reading) -> &Replica {
    &reading.world.tablets.get(TabletId(100)).expect("it is there").replicas[0]
}

/// What may be missing is as the format says; null is as good as missing.
#[test]
fn defaults() {
    let nothing = reading(json!({}));
    assert_eq!((nothing.world.level, nothing.world.tablets.len()), (Level::Lively, 0));
    let nulls = json!({"now_ms": null, "config": null, "groups": null, "tasks": null, "leases": null, "level": null});
    let mut file = small();
    file.as_object_mut().expect("an object").extend(nulls.as_object().expect("an object").clone());
    let read = reading(file);
    let world = &read.world;
    let node = &world.nodes[&NodeId(1)];
    assert_eq!(
        (node.liveness, node.draining, node.reported, node.tag.as_str()),
        (Liveness::Alive, false, true, "default")
    );
    let disk = &world.disks[&DiskId(10)];
    assert_eq!((disk.medium, disk.state, disk.draining), (Medium::Hdd, DiskState::Online, false));
    assert_eq!((disk.space.total, disk.space.used), (100, 40));
    let table = &world.tables[&TableId(1)];
    assert_eq!((table.state, table.tag.as_str(), table.group.as_ref()), (TableState::Normal, "default", None));
    let tablet = world.tablets.get(TabletId(100)).expect("it is there");
    assert_eq!((tablet.wanted, tablet.medium, tablet.bucket), (2, Medium::Hdd, 0));
    assert_eq!((tablet.visible, tablet.committed), (Version(7), Version(7)), "the highest of the replicas");
    let replica = first(&read);
    let seen = replica.seen.as_ref().expect("it has been seen");
    assert_eq!((replica.state, &replica.bad, replica.further_repair), (ReplicaState::Normal, &None, None));
    assert_eq!((seen.version, seen.pending, seen.failed, seen.size), (Version(7), Version(7), None, 5));
    assert_eq!((seen.verified, seen.behind), (Some(read.at), None), "verified just now");
    assert_eq!(read.nodes, [NodeId(1), NodeId(2)]);
    assert!(read.warnings.is_empty());
}

/// Every state of nodes, disks, tables and replicas finds its own in the world.
#[test]
fn states() {
    let file = with(small(), "/now_ms", json!(1_000_000));
    let file = with(file, "/nodes/0/alive", json!(false));
    let file = with(file, "/nodes/0/silent_ms", json!(400_000));
    let file = with(file, "/nodes/1/decommission", json!(true));
    let file = with(file, "/nodes/1/rack", json!("r7"));
    let file = with(file, "/nodes/1/disks/0/drain", json!(true));
    let file = with(file, "/nodes/1/disks/0/state", json!("DECOMMISSIONED"));
    let file = with(file, "/nodes/1/disks/0/medium", json!("SSD"));
    let file = with(file, "/tables/0/state", json!("SCHEMA_CHANGE"));
    let file = with(file, "/tablets/0/committed_version", json!(9));
    let mut file = with(file, "/level", json!("steady"));
    let replica = json!({"last_failed_version": 8, "last_success_version": 9, "bad": true, "verified_ms": null,
        "further_repair_since_ms": 999_000, "role": "primary"});
    let replicas = &mut file["tablets"][0]["replicas"];
    replicas[0].as_object_mut().expect("an object").extend(replica.as_object().expect("an object").clone());
    let read = reading(file);
    let world = &read.world;
    let (lost, leaving) = (&world.nodes[&NodeId(1)], &world.nodes[&NodeId(2)]);
    assert_eq!((lost.liveness, read.at.since(lost.since)), (Liveness::Lost, 400_000));
    assert_eq!((leaving.draining, leaving.rack.as_str()), (true, "r7"));
    let disk = &world.disks[&DiskId(20)];
    assert_eq!((disk.state, disk.draining, disk.medium), (DiskState::Unavailable, true, Medium::Ssd));
    assert_eq!((world.tables[&TableId(1)].state, crate::level::in_force(world)), (TableState::Altering, Level::Steady));
    let replica = first(&read);
    let seen = replica.seen.as_ref().expect("it has been seen");
    assert_eq!((seen.failed, seen.pending, seen.verified), (Some(Version(8)), Version(9), None));
    assert_eq!(read.at.since(replica.further_repair.expect("marked")), 1_000);
    assert!(replica.bad.is_some());
    assert_eq!(world.tablets.get(TabletId(100)).expect("there").primary, Some(ReplicaId(1000)));
}

/// Since when a tablet is ill: told, told to be unknown, or from the beginning.
#[test]
fn since_when_it_is_ill() {
    let since = |value: Value| {
        let file = with(with(small(), "/now_ms", json!(5_000)), "/tablets/0/unhealthy_since_ms", value);
        let read = reading(file);
        read.world.tablets.get(TabletId(100)).expect("there").unhealthy_since.map(|since| read.at.since(since))
    };
    assert_eq!([since(json!(2_000)), since(json!(-1_000)), since(Value::Null)], [Some(3_000), Some(6_000), None]);
    let read = reading(with(small(), "/now_ms", json!(5_000)));
    let tablet = read.world.tablets.get(TabletId(100)).expect("there");
    assert_eq!(tablet.unhealthy_since.map(|since| read.at.since(since)), Some(5_000));
}

/// The past has ticks, however long ago it is.
#[test]
fn the_past_has_ticks() {
    let file = with(with(small(), "/nodes/0/alive", json!(false)), "/nodes/0/silent_ms", json!(1_u64 << 45));
    let read = reading(file);
    assert_eq!(read.at.since(read.world.nodes[&NodeId(1)].since), 1 << 45);
    let far = reading(with(small(), "/now_ms", json!(i64::MAX)));
    assert!(far.at > Tick(0) && far.at < Tick(u64::MAX));
}

/// Maintenance and urgency are leases, with their ends or without.
#[test]
fn leases() {
    let file = with(with(small(), "/now_ms", json!(1_000)), "/nodes/0/maintenance_until_ms", json!(61_000));
    let file = with(file, "/tablets/0/urgent", json!(true));
    let read = reading(file.clone());
    let world = &read.world;
    assert_eq!(world.maintenance_until(NodeId(1), read.at), Some(read.at.plus(60_000)));
    let tablet = world.tablets.get(TabletId(100)).expect("there");
    assert!(world.is_urgent(tablet, read.at.plus(1 << 40)), "no end");
    let read = reading(with(file.clone(), "/tablets/0/urgent_until_ms", json!(999)));
    assert!(!read.world.is_urgent(read.world.tablets.get(TabletId(100)).expect("there"), read.at), "over");
    let lease =
        json!([{"id": 9, "scope": {"maintenance": {"node": 1}}, "owner": "a", "reason": "b", "until_wall_ms": 61_000}]);
    let read = reading(with(file, "/leases", lease));
    let kept: Vec<_> =
        read.world.leases.values().filter(|l| matches!(l.scope, LeaseScope::Maintenance { .. })).collect();
    assert_eq!((kept.len(), kept[0].owner.as_str(), kept[0].until), (1, "a", Some(read.at.plus(60_000))));
}

/// Partitions have policies of their own; one that the table does not list has the table's.
#[test]
fn partitions() {
    let table = json!({"id": 1, "replication_num": 2, "medium": "SSD",
        "partitions": [{"name": "p0"}, {"name": "p1", "medium": "HDD", "replication_num": 1}]});
    let file = with(small(), "/tables/0", table);
    let of = |partition: Value| {
        let read = reading(with(file.clone(), "/tablets/0/partition", partition));
        let tablet = read.world.tablets.get(TabletId(100)).expect("there").clone();
        (tablet.wanted, tablet.medium)
    };
    let rows = [of(Value::Null), of(json!("p0")), of(json!("p1")), of(json!("p9"))];
    assert_eq!(rows, [(2, Medium::Ssd), (2, Medium::Ssd), (1, Medium::Hdd), (2, Medium::Ssd)]);
}

/// A node that is not there is a dropped one, a path that its node has not is a disk that is not online: both are
/// facts about the world, not mistakes in the file.
#[test]
fn what_is_gone() {
    let file = with(small(), "/tablets/0/replicas/0/node", json!(77));
    let read = try_read(file).expect("a node may have been dropped");
    let counts =
        |read: &Reading| crate::checkup::count(&read.world, read.world.tablets.get(TabletId(100)).expect("there"));
    assert_eq!(counts(&read).judged[0].why, Some(crate::checkup::Flaw::NodeUnknown));
    let read = try_read(with(small(), "/tablets/0/replicas/0/path_hash", json!(20))).expect("a path may be gone");
    assert_eq!(counts(&read).judged[0].why, Some(crate::checkup::Flaw::DiskNotOnline));
}

/// The same path hash may stand on several nodes, and any 64 bits may be an id.
#[test]
fn ids_of_any_kind() {
    let mut file = small();
    for node in 0..2 {
        file["nodes"][node]["disks"][0]["path_hash"] = json!(-5_822_326_203_532_286_804_i64);
        file["tablets"][0]["replicas"][node]["path_hash"] = json!(-5_822_326_203_532_286_804_i64);
    }
    file["nodes"][1]["id"] = json!(u64::MAX);
    file["tablets"][0]["replicas"][1]["node"] = json!(u64::MAX);
    file["tablets"][0]["id"] = json!(-3);
    let read = reading(file);
    let tablet = read.world.tablets.get(read.order[0]).expect("there");
    assert_eq!(crate::checkup::count(&read.world, tablet).complete, 2);
    assert_eq!(read.names.outside(read.order[0].0), -3);
    assert_eq!(read.names.outside(read.nodes[1].0), i128::from(u64::MAX));
    assert_ne!(tablet.replicas[0].disk, tablet.replicas[1].disk);
}

/// Of the slots that a disk has used, the file's own tasks are counted once; the others stay taken.
#[test]
fn slots() {
    let task = json!([{"id": 5000, "tablet": 100, "status": "REPLICA_MISSING", "priority": "NORMAL", "timeout_ms": 180_000,
        "work": {"Clone": {"replica": 1002, "node": 3, "disk": 30, "fresh": true, "source": 1000, "source_node": 1,
            "source_disk": 10, "version": 7}}, "started_ms": 400}]);
    let mut file = with(with(small(), "/now_ms", json!(1_000)), "/tasks", task);
    file["nodes"].as_array_mut().expect("a list").push(node(3));
    file["tables"][0]["replication_num"] = json!(3);
    let made = json!({"id": 1002, "node": 3, "path_hash": 30, "version": -1, "size": 0, "state": "CLONE"});
    file["tablets"][0]["replicas"].as_array_mut().expect("a list").push(made);
    let file = with(
        with(file, "/nodes/0/disks/0/repair_slots_used", json!(2)),
        "/nodes/1/disks/0/balance_slots_used",
        json!(1),
    );
    let read = reading(file);
    let world = &read.world;
    let elsewhere = |disk: u64| world.disks[&DiskId(disk)].slots_elsewhere;
    assert_eq!((elsewhere(10).repair, elsewhere(20).balance, elsewhere(30).repair), (1, 1, 0));
    assert_eq!(read.at.since(world.tasks[&TabletId(100)].started), 600);
    let ledger = schedule::Desk::new().ledger(world);
    assert_eq!(
        (ledger.used(DiskId(10), TaskType::Repair), ledger.used(DiskId(30), TaskType::Repair)),
        (2, 1),
        "as the file says"
    );
    assert_eq!(ledger.used(DiskId(20), TaskType::Balance), 1, "a pool of its own");
}

/// The recorded hash is the truth: who has another one is bad; where none is recorded nobody is judged.
#[test]
fn hashes() {
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    let file = with(small(), "/tablets/0/replicas/0/version_hash", json!(b));
    assert_eq!(first(&reading(file.clone())).bad, None);
    let read = reading(with(file.clone(), "/tablets/0/version_hash", json!(a)));
    assert!(first(&read).bad.as_ref().is_some_and(|cause| cause.contains("not the one that was committed")));
    assert_eq!(first(&reading(with(file, "/tablets/0/version_hash", json!(b)))).bad, None);
}

/// What makes no sense is refused with its place.
#[test]
fn refusals() {
    let twice = |pointer: &str| {
        let mut file = small();
        let list = file.pointer_mut(pointer).and_then(Value::as_array_mut).expect("a list");
        let again = list[0].clone();
        list.push(again);
        file
    };
    let rows = [
        (twice("/nodes"), "node 1: it stands in the file twice"),
        (twice("/nodes/0/disks"), "node 1, disk 10: it stands in the file twice"),
        (twice("/tables"), "table 1: it stands in the file twice"),
        (twice("/tablets"), "tablet 100: it stands in the file twice"),
        (twice("/tablets/0/replicas"), "tablet 100, replica 1000: it stands in the tablet twice"),
        (with(small(), "/tablets/0/table", json!(9)), "tablet 100: there is no table 9"),
        (with(small(), "/level", json!("busy")), "level: there is no level `busy`"),
        (with(small(), "/tables/0/medium", json!("TAPE")), "table 1: medium `TAPE` is neither HDD nor SSD"),
        (with(small(), "/format", json!("stele-world/2")), "format: `stele-world/2` is not `stele-world/1`"),
        (with(small(), "/config", json!({"queue_max": "many"})), "config `queue_max`: "),
    ];
    for (file, wanted) in rows {
        let error = try_read(file).map(|_| ()).expect_err(wanted).to_string();
        assert!(error.starts_with(wanted), "{error} where {wanted} is wanted");
    }
}

/// Without any table three copies on HDD are taken as wanted, and that is said.
#[test]
fn no_tables_at_all() {
    let mut file = small();
    file.as_object_mut().expect("an object").remove("tables");
    let read = reading(file);
    assert_eq!(read.world.tablets.get(TabletId(100)).expect("there").wanted, 3);
    assert_eq!(read.warnings.len(), 1);
}
