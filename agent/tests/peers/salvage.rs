//! Salvage over the wire: replicas that are damaged in different files, one of them in the trash.

use super::copying::hundred;
use super::*;
use stele_agent_rules::OpFailure;
use stele_common::{Evidence, TaskFailure, Version};

fn flip(agent: &Agent, name: &str) {
    let file = agent.data(&format!("1/{name}"));
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// Three replicas of a hundred files, small and large.
fn three() -> ([Agent; 3], VersionHash) {
    let [first, second, third] = [Agent::with_replica(1), Agent::new(2), Agent::new(3)];
    let hash = first.load(1, &hundred());
    second.copy(1, hash, vec![first.source()]);
    third.copy(1, hash, vec![first.source()]);
    ([first, second, third], hash)
}

fn drop_to_trash(agent: &Agent) {
    let evidence = Evidence::TableDropped { table: TableId(2) };
    let op = Op::Drop { tablet: TABLET, replica: agent.replica, evidence };
    assert!(matches!(agent.run(&op), OpResult::Dropped { .. }));
}

/// Each replica has other files damaged (a flipped byte in a small and in a large one, a missing one); one is bad, one
/// lies in the trash. The copy into the first brings back every byte and moves only what it lacks.
#[test]
fn three_damaged_replicas_make_a_whole_one() {
    let ([first, second, third], hash) = three();
    flip(&first, "dir2/file2");
    flip(&first, "dir1/file50");
    std::fs::remove_file(first.data("1/dir3/file3")).unwrap();
    flip(&second, "dir4/file4");
    std::fs::remove_file(second.data("1/dir2/file2")).unwrap();
    flip(&third, "dir5/file5");
    flip(&third, "dir3/file3");
    assert!(matches!(second.verify(), OpResult::Damaged { .. }));
    drop_to_trash(&third);
    let missing = 2_000 + 3_000 + (3 << 20);
    assert_eq!(first.copy(1, hash, vec![second.source(), third.source()]).0, missing);
    assert_eq!(first.verify(), OpResult::Verified { version: Version(1) });
    assert_eq!(first.disk.bad(TABLET, first.replica).unwrap(), None);
    for (name, content) in hundred() {
        assert_eq!(std::fs::read(first.data(&format!("1/{name}"))).unwrap(), content, "{name}");
    }

    // A new replica, from a bad one and a trashed one alone; neither tells a head, both give what was ordered.
    let fresh = Agent::new(4);
    fresh.copy(1, hash, vec![third.source(), second.source()]);
    assert_eq!(fresh.verify(), OpResult::Verified { version: Version(1) });
}

/// What is damaged everywhere is named with the replicas that gave it, and every source looks for itself.
#[test]
fn damaged_everywhere() {
    let ([first, second, third], hash) = three();
    for agent in [&first, &second, &third] {
        flip(agent, "dir2/file2");
    }
    let fresh = Agent::new(4);
    let order = fresh.order(1, hash, vec![first.source(), second.source(), third.source()]);
    let failed = fresh.run(&Op::Fetch { order, mend: false });
    let OpResult::Failed(OpFailure::Copy(TaskFailure::SourceDamaged { path })) = failed else { panic!("{failed:?}") };
    assert_eq!(path, "dir2/file2 (damaged in replica 10 and 20 and 30)");
    for agent in [&first, &second, &third] {
        agent.wait_for(PeerCounter::Damaged);
        assert!(agent.disk.bad(TABLET, agent.replica).unwrap().is_some_and(|cause| cause.contains("dir2/file2")));
    }
}

/// A doubt about a file that is good, or that is not there at all, changes nothing: the agent believes its own eyes.
#[test]
fn a_doubt_is_not_believed() {
    let ([first, ..], _) = three();
    let patience = stele_agent::disk::Terms {
        purpose: stele_common::TaskType::Repair,
        stall_ms: 5_000,
        cancelled: &AtomicBool::new(false),
    };
    let mut session = peers(TOKEN).connect(&first.source(), TABLET, patience).unwrap();
    let head = first.disk.manifest(TABLET, first.replica, None).unwrap();
    let (path, entry) = head.manifest.entries.iter().next().unwrap();
    let good = Wanted { path: path.clone(), entry: *entry };
    let made_up = Wanted { path: RelPath::new("dir1/nothing").unwrap(), entry: *entry };
    for file in [&good, &made_up] {
        session.doubt(file).unwrap();
    }
    // Requests of one line are followed in order: with an answer to this one, the doubts are done with.
    session.manifest(None).unwrap();
    assert_eq!((first.count(PeerCounter::Doubted), first.count(PeerCounter::Damaged)), (2, 0));
    assert_eq!(first.disk.bad(TABLET, first.replica).unwrap(), None);
}
