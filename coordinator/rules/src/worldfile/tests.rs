//! Written and read again a world gets the same answers; and each answer has the shape that the format promises.

use super::answers::{Check, schedule, score};
use super::{Reading, Written, read};
use crate::checkup::{Verdict, verdict};
use crate::policy::{Group, Lease, LeaseScope};
use crate::sample::Sample;
use crate::schedule::{Desk, one_round};
use crate::world::Work;
use crate::{Action, Change, Event, EventBody, Proposal, catalog, invariants};
use serde_json::{Value, json};
use stele_common::{DiskState, Liveness, ReplicaId, ReplicaState, TabletId, Tick, Version};

/// The wall clock when a sample begins.
const WALL_MS: u64 = 1_700_000_000_000;

fn wall_ms(sample: &Sample) -> u64 {
    WALL_MS + sample.at.since(Tick(100_000))
}

fn written(sample: &Sample) -> Value {
    let written = Written { world: &sample.world, at: sample.at, wall_ms: wall_ms(sample) };
    serde_json::to_value(&written).expect("every shape can be written")
}

fn read_back(sample: &Sample) -> Reading {
    let text = serde_json::to_string(&Written { world: &sample.world, at: sample.at, wall_ms: wall_ms(sample) });
    let file = serde_json::from_str(&text.expect("written")).expect("what we write has our shapes");
    let reading = read(file).expect("what we write makes sense");
    assert_eq!(invariants::check(&reading.world), invariants::check(&sample.world));
    assert_eq!(reading.warnings, Vec::<String>::new());
    reading
}

fn verdicts(world: &crate::World, at: Tick) -> Vec<(TabletId, Verdict)> {
    world.tablets.iter().map(|tablet| (tablet.id, verdict(world, tablet, at))).collect()
}

/// The file of a world and the world are answered alike, and the file of the file is the file.
#[track_caller]
fn same_answers(sample: &Sample, what: &str) {
    let reading = read_back(sample);
    assert_eq!(verdicts(&reading.world, reading.at), verdicts(&sample.world, sample.at), "{what}");
    for later in [1_000, 11_000, 400_000] {
        let (file, live) = (reading.at.plus(later), sample.at.plus(later));
        assert_eq!(verdicts(&reading.world, file), verdicts(&sample.world, live), "{what}, {later} ms later");
    }
    assert_eq!(crate::balance::score::scores(&reading.world), crate::balance::score::scores(&sample.world), "{what}");
    let order: Vec<TabletId> = sample.world.tablets.iter().map(|tablet| tablet.id).collect();
    assert_eq!(reading.order, order);
    let file = one_round(&mut Desk::new(), &reading.world, reading.at, &order);
    let live = one_round(&mut Desk::new(), &sample.world, sample.at, &order);
    assert_eq!(
        file.proposals.iter().map(essence).collect::<Vec<_>>(),
        live.proposals.iter().map(essence).collect::<Vec<_>>(),
        "{what}"
    );
    assert_eq!(file.refused, live.refused, "{what}");
    let wall_ms = u64::try_from(reading.now_ms).expect("a time of day");
    let again = serde_json::to_value(&Written { world: &reading.world, at: reading.at, wall_ms }).expect("written");
    assert_eq!(again, written(sample), "{what}: written again it is another file");
}

/// Revisions are not in a file.
fn essence(proposal: &Proposal) -> String {
    let text = format!("{proposal:?}");
    let (before, rest) = text.split_once("revision: ").unwrap_or((&text, ""));
    format!("{before}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn house() -> (Sample, Vec<TabletId>) {
    let mut sample = Sample::new(6, 2);
    let tablets = sample.table(3, 12);
    for tablet in &tablets {
        sample.load_all(*tablet);
    }
    (sample, tablets)
}

/// Everything that can be the matter with nodes and disks survives the file, waits included.
#[test]
fn nodes_and_disks_come_back() {
    let (sample, _) = house();
    same_answers(&sample, "all well");
    let nodes = sample.nodes();
    for liveness in [Liveness::Silent, Liveness::Lost] {
        for waited in [0, 2_000, 200_000] {
            let mut sick = sample.clone();
            sick.turn(nodes[0], liveness);
            sick.at = sick.at.plus(waited);
            same_answers(&sick, &format!("{liveness} for {waited} ms"));
        }
    }
    let mut sick = sample.clone();
    sick.apply(Change::NodeDrained { node: nodes[1], on: true });
    sick.disk_state(sick.disks_of(nodes[2])[0], DiskState::Unavailable);
    sick.at = sick.at.plus(4_000);
    let disk = sick.disks_of(nodes[3])[0];
    sick.apply(Change::DiskDrained { disk, on: true });
    same_answers(&sick, "draining, a disk away, a disk draining");
    let mut sick = sample.clone();
    sick.connect(nodes[0], stele_common::BootId(999));
    same_answers(&sick, "another life that has not named its replicas");
    sick.apply(Change::NodeConnected {
        node: nodes[1],
        boot: stele_common::BootId(998),
        peer: String::new(),
        http: String::new(),
        build: String::new(),
        rack: "r2".into(),
        tag: "cold".into(),
        at: sick.at,
    });
    same_answers(&sick, "a node that has not reported, in another rack and cluster");
}

/// Everything that can be the matter with replicas survives the file.
#[test]
fn replicas_come_back() {
    let (mut sample, tablets) = house();
    let replicas: Vec<Vec<ReplicaId>> = tablets.iter().map(|tablet| sample.replicas(*tablet)).collect();
    sample.bad(tablets[0], replicas[0][0]);
    sample.load(tablets[1], &replicas[1][..2]);
    sample.commit(tablets[2], &replicas[2][..2]);
    sample.forget(tablets[3], replicas[3][0]);
    replicas[4].iter().for_each(|replica| sample.bad(tablets[4], *replica));
    let at = sample.at;
    sample.apply(Change::FurtherRepairMarked { tablet: tablets[1], replica: replicas[1][2], at });
    let spare = sample.nodes()[5];
    let disk = sample.disks_of(spare)[0];
    let extra = sample.replica_on(tablets[0], disk, ReplicaState::Normal);
    sample.see(tablets[0], extra, Version(1));
    same_answers(&sample, "bad, behind, committed without it, missing, all bad, one too many");
    sample.at = sample.at.plus(3_000);
    same_answers(&sample, "the same, three seconds later");
}

/// Policies, groups, leases and running tasks survive the file.
#[test]
fn policies_and_tasks_come_back() {
    let (mut sample, tablets) = house();
    let table = sample.tablet(tablets[0]).table;
    let mut other = (*sample.world.tables[&table]).clone();
    other.group = Some("g".into());
    let nodes = sample.nodes();
    let bucket = |bucket: usize| (0..3).map(|index| nodes[(bucket + index) % nodes.len()]).collect();
    let group = Group::new("g".into(), (0..12).map(bucket).collect());
    sample.apply(Change::TableChanged { table: other });
    sample.apply(Change::GroupSet { group });
    same_answers(&sample, "colocated");
    sample.apply(Change::GroupDropped { name: "g".into() });
    let lease = |id, scope, until_ms: Option<u64>| Change::LeaseGranted {
        lease: Lease {
            id,
            scope,
            owner: "o".into(),
            reason: "r".into(),
            until_wall_ms: until_ms.map(|ms| WALL_MS + ms),
            until: None,
        },
        at: Tick(100_000),
        wall_ms: WALL_MS,
    };
    let mut plain = (*sample.world.tables[&table]).clone();
    plain.group = None;
    sample.apply(Change::TableChanged { table: plain });
    sample.apply(lease(1, LeaseScope::Maintenance { node: nodes[0] }, Some(60_000)));
    sample.apply(lease(2, LeaseScope::Urgent { table, partition: None }, None));
    sample.turn(nodes[0], Liveness::Lost);
    sample.turn(nodes[1], Liveness::Lost);
    same_answers(&sample, "under maintenance and urgent");

    sample.at = sample.at.plus(400_000);
    let (world, at) = (sample.world.clone(), sample.at);
    let order: Vec<TabletId> = world.tablets.iter().map(|tablet| tablet.id).collect();
    let round = one_round(&mut Desk::new(), &world, at, &order);
    let mut started = 0;
    for proposal in round.proposals.iter().take(2) {
        let event = Event { at, wall_ms: wall_ms(&sample), body: EventBody::Propose(proposal.clone()) };
        for action in catalog::decide(&sample.world, &event) {
            if let Action::Record(change) = action {
                started += usize::from(matches!(change, Change::TaskStarted { .. }));
                sample.apply(change);
            }
        }
    }
    assert_eq!(started, 2, "two copies begin");
    same_answers(&sample, "with copies under way");
    let reading = read_back(&sample);
    for (tablet, task) in &sample.world.tasks {
        assert!(matches!(task.work, Work::Clone { .. }));
        assert_eq!(reading.world.tasks[tablet].work, task.work);
    }
}

fn asked(file: Value) -> Reading {
    read(serde_json::from_value(file).expect("its shapes are right")).expect("it makes sense")
}

/// Three of four hosts hold a copy; `sick` says what is the matter.
fn four_hosts(sick: impl Fn(&mut Value)) -> Reading {
    let node = |id: u64| json!({"id": id, "host": format!("h{id}"), "disks": [{"path_hash": id * 10, "total": 1000, "used": 100}]});
    let replica = |id: u64| json!({"id": 1000 + id, "node": id, "path_hash": id * 10, "version": 5, "size": 1});
    let mut file = json!({"now_ms": 1_000_000, "nodes": [node(1), node(2), node(3), node(4)],
        "tables": [{"id": 1, "replication_num": 3}],
        "tablets": [{"id": 100, "table": 1, "replicas": [replica(1), replica(2), replica(3)]}]});
    sick(&mut file);
    asked(file)
}

fn json_of<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("it can be written")
}

/// The answer to `check`, key by key.
#[test]
fn the_shape_of_check() {
    let healthy = four_hosts(|_| {});
    let said = json!({"tablets": [{"id": 100, "status": "HEALTHY", "priority": null, "ready_in_ms": 0,
        "reason": "3 of 3 replicas are complete"}]});
    assert_eq!(json_of(&Check(&healthy)), said);
    let away = four_hosts(|file| {
        file["nodes"][0]["alive"] = json!(false);
        file["tablets"][0]["unhealthy_since_ms"] = json!(900_000);
    });
    let answer = json_of(&Check(&away));
    assert_eq!(answer["tablets"][0]["status"], json!("REPLICA_MISSING"));
    assert_eq!(answer["tablets"][0]["priority"], json!("NORMAL"));
    assert_eq!(answer["tablets"][0]["ready_in_ms"], json!(200_000));
    assert_eq!(
        answer["tablets"][0]["reason"],
        json!("2 of 3 replicas are alive; replica 1001 on node 1: its node is lost")
    );
}

/// The answer to `score`, key by key; nodes stand as in the file.
#[test]
fn the_shape_of_score() {
    let reading = four_hosts(|file| file["nodes"].as_array_mut().expect("a list").reverse());
    let answer = json_of(&score(&reading));
    let ids: Vec<&Value> = answer["nodes"].as_array().expect("a list").iter().map(|node| &node["id"]).collect();
    assert_eq!(ids, [4, 3, 2, 1]);
    let first = json!({"id": 4, "medium": "HDD", "used_percent": 0.1, "replica_num": 0, "capacity_coefficient": 0.5,
        "replica_num_coefficient": 0.5, "score": 0.5, "class": "LOW"});
    assert_eq!(answer["nodes"][0], first);
}

/// The answer to `schedule`, key by key: a copy, a deletion, and what is refused.
#[test]
fn the_shape_of_schedule() {
    let missing = four_hosts(|file| _ = file["tablets"][0]["replicas"].as_array_mut().expect("a list").pop());
    let answer = json_of(&schedule(&missing));
    let task = json!({"tablet": 100, "kind": "CLONE", "type": "REPAIR", "status": "REPLICA_MISSING", "priority": "NORMAL",
        "src_node": 1, "src_path": 10, "dest_node": 3, "dest_path": 30, "replica": answer["tasks"][0]["replica"],
        "timeout_s": 180});
    assert_eq!(answer, json!({"tasks": [task], "refused": []}));
    assert!(answer["tasks"][0]["replica"].as_u64().is_some_and(|fresh| fresh > 1003), "a fresh id: {answer}");

    let surplus = four_hosts(|file| {
        let extra = json!({"id": 1004, "node": 4, "path_hash": 40, "version": 5, "size": 1});
        file["tablets"][0]["replicas"].as_array_mut().expect("a list").push(extra);
        file["nodes"][1]["disks"][0]["used"] = json!(700);
    });
    let answer = json_of(&schedule(&surplus));
    assert_eq!(answer["tasks"][0]["kind"], json!("DELETE"), "{answer}");
    assert_eq!((&answer["tasks"][0]["replica"], &answer["tasks"][0]["src_node"]), (&json!(1002), &Value::Null));

    let bad = four_hosts(|file| {
        file["nodes"].as_array_mut().expect("a list").pop();
        file["tablets"][0]["replicas"][2]["bad"] = json!(true);
    });
    let answer = json_of(&schedule(&bad));
    assert_eq!(
        (&answer["tasks"][0]["status"], &answer["tasks"][0]["replica"]),
        (&json!("FORCE_REDUNDANT"), &json!(1003))
    );
    assert_eq!(answer["tasks"].as_array().map(Vec::len), Some(1), "what is dropped at once is listed too");

    let reason = |reading: &Reading| {
        let answer = json_of(&schedule(reading));
        assert_eq!(answer["tasks"], json!([]), "{answer}");
        answer["refused"][0]["reason"].as_str().expect("a code").to_string()
    };
    let away = four_hosts(|file| {
        file["nodes"][0]["alive"] = json!(false);
        file["tablets"][0]["unhealthy_since_ms"] = json!(900_000);
    });
    assert_eq!(reason(&away), "not_ready");
    let gone = four_hosts(|file| (0..3).for_each(|node| file["nodes"][node]["alive"] = json!(false)));
    assert_eq!(reason(&gone), "unrecoverable");
    let nowhere = four_hosts(|file| {
        file["tablets"][0]["replicas"].as_array_mut().expect("a list").pop();
        file["nodes"][2]["disks"][0]["used"] = json!(990);
        file["nodes"][3]["disks"][0]["state"] = json!("OFFLINE");
    });
    assert_eq!(reason(&nowhere), "no_destination");
}

/// A tablet with a task of the file's own is in neither list, and its slots are taken.
#[test]
fn what_runs_is_not_listed() {
    let running = four_hosts(|file| {
        file["tablets"][0]["replicas"][2] =
            json!({"id": 1003, "node": 3, "path_hash": 30, "version": 0, "size": 0, "state": "CLONE"});
        file["tasks"] = json!([{"id": 7, "tablet": 100, "status": "REPLICA_MISSING", "priority": "NORMAL", "timeout_ms": 1,
            "work": {"Clone": {"replica": 1003, "node": 3, "disk": 30, "fresh": true, "source": 1001, "source_node": 1,
                "source_disk": 10, "version": 5}}}]);
    });
    assert_eq!(json_of(&schedule(&running)), json!({"tasks": [], "refused": []}));
}

/// Refusals and verdicts stand in the file's order, however its ids run.
#[test]
fn the_files_order() {
    let reading = four_hosts(|file| {
        let tablet = file["tablets"][0].clone();
        let ids = [30, 10, 20];
        file["tablets"] = ids
            .iter()
            .map(|id| {
                let mut tablet = tablet.clone();
                tablet["id"] = json!(id);
                tablet
            })
            .collect();
        (0..3).for_each(|node| file["nodes"][node]["alive"] = json!(false));
    });
    let ids = |list: &Value, key: &str| {
        list.as_array().expect("a list").iter().map(|one| one[key].as_u64().expect("an id")).collect::<Vec<_>>()
    };
    assert_eq!(ids(&json_of(&Check(&reading))["tablets"], "id"), [30, 10, 20]);
    assert_eq!(ids(&json_of(&schedule(&reading))["refused"], "tablet"), [30, 10, 20]);
}
