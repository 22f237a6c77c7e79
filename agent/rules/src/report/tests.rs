//! What is told of a book, what is news, and how it is paged.

use super::*;
use crate::book::{Confirmed, Ended};
use crate::testing::*;
use stele_common::{Digest, TaskFailure};

fn world() -> World {
    World::new(vec![held(1, 10, 5), held(2, 11, 1)])
}

fn told(book: &Book) -> BTreeMap<Key, Fact> {
    facts(book, Tick(100))
}

/// What a replica's fact says of waiting loads, of its age, and of what it keeps.
#[test]
fn a_replica_in_full() {
    let mut world = world();
    let replica = world.book.replicas.get_mut(&ReplicaId(1)).unwrap();
    replica.verified = Some(Tick(40));
    replica.bad = Some("rot".into());
    replica.older.insert(Version(3), hash(3));
    for (load, version) in [(4, 7), (5, 8), (6, 9)] {
        world.turn(load_staged(load, 1, 10, version));
    }
    world.order(commit_of(4, 1, 10, 7));
    world.order(commit_of(5, 1, 10, 8));
    let Fact::Replica(fact) = &told(&world.book)[&Key::Replica(ReplicaId(1), Some(Tick(40)))] else { panic!() };
    assert_eq!((fact.version, fact.pending, fact.oldest), (Version(5), Version(8), Version(3)));
    assert_eq!((fact.verified_age_ms, fact.bad.as_deref(), fact.disk), (Some(60), Some("rot"), DISK));
    let states: Vec<_> = told(&world.book)
        .into_values()
        .filter_map(|fact| if let Fact::Load(load) = fact { Some((load.load.0, load.state)) } else { None })
        .collect();
    assert_eq!(states, [(4, LoadState::Pending), (5, LoadState::Pending), (6, LoadState::Prepared)]);
}

/// A load that cannot become its version says why, and does not count as pending; one being removed is not told.
#[test]
fn loads_that_failed_or_leave() {
    let mut world = world();
    world.turn(load_staged(4, 1, 10, 7));
    world.order(commit_of(4, 1, 10, 7));
    world.book.staged.get_mut(&(LoadId(4), TabletId(10))).unwrap().failed = Some("other hash".into());
    let facts = told(&world.book);
    let Fact::Load(load) = &facts[&Key::Load(LoadId(4), ReplicaId(1))] else { panic!() };
    assert_eq!(load.state, LoadState::Failed { cause: "other hash".into() });
    let Fact::Replica(replica) = &facts[&Key::Replica(ReplicaId(1), None)] else { panic!() };
    assert_eq!(replica.pending, Version(5));
    world.turn(load_staged(5, 1, 10, 8));
    world.order(abort_of(5));
    assert!(!told(&world.book).contains_key(&Key::Load(LoadId(5), ReplicaId(1))));
}

/// What counts as news, change by change.
#[test]
fn news() {
    type Change = fn(&mut Book);
    let rows: Vec<(&str, Change, Vec<&str>)> = vec![
        ("nothing", |_| {}, vec![]),
        ("a head", |book| book.replicas.get_mut(&ReplicaId(1)).unwrap().head = Version(6), vec!["replica 1"]),
        ("bad", |book| book.replicas.get_mut(&ReplicaId(1)).unwrap().bad = Some("x".into()), vec!["replica 1"]),
        (
            "verified again",
            |book| book.replicas.get_mut(&ReplicaId(2)).unwrap().verified = Some(Tick(90)),
            vec!["replica 2"],
        ),
        (
            "gone to the trash",
            |book| {
                book.replicas.remove(&ReplicaId(1));
                book.trash.insert(ReplicaId(1), trashed(10, 90));
            },
            vec!["gone 1", "trash 1"],
        ),
        (
            "out of the trash",
            |book| {
                book.trash.remove(&ReplicaId(9));
            },
            vec!["trash gone 9"],
        ),
        (
            "confirmed",
            |book| {
                let answer = Confirmed { nonce: 1, version: Version(5), hash: Digest::ZERO };
                book.replicas.get_mut(&ReplicaId(1)).unwrap().confirmed = Some(answer);
            },
            vec!["confirmed 1 #1"],
        ),
        (
            "a copy ended",
            |book| {
                let progress = TaskProgress::Failed { cause: TaskFailure::DiskFull };
                book.ended.insert(TaskId(7), Ended { tablet: TabletId(10), replica: ReplicaId(1), progress });
            },
            vec!["task 7"],
        ),
        ("the disk is away", |book| book.state = stele_common::DiskState::Unavailable, vec![]),
    ];
    for (name, change, expected) in rows {
        let mut world = world();
        world.book.replicas.get_mut(&ReplicaId(2)).unwrap().verified = Some(Tick(80));
        world.book.trash.insert(ReplicaId(9), trashed(10, 0));
        let before = told(&world.book);
        change(&mut world.book);
        let news = diff(&before, &facts(&world.book, Tick(5000)));
        assert_eq!(news.iter().map(short).collect::<Vec<_>>(), expected, "{name}");
    }
}

/// Progress of a copy is news.
#[test]
fn progress_is_news() {
    let mut world = world();
    world.order(clone_of(7, 8, 30, 2));
    let before = told(&world.book);
    let (task, bytes_total) = (TaskId(7), 9);
    world.turn(at(1, crate::EventBody::Progress { task, bytes_done: 3, bytes_total }));
    assert_eq!(diff(&before, &told(&world.book)).iter().map(short).collect::<Vec<_>>(), ["task 7"]);
}

/// A replica verified anew is told even when its age reads the same or more than what was told.
#[test]
fn ages_do_not_hide_a_verification() {
    let mut world = world();
    world.book.replicas.get_mut(&ReplicaId(1)).unwrap().verified = Some(Tick(100));
    let before = facts(&world.book, Tick(100));
    world.book.replicas.get_mut(&ReplicaId(1)).unwrap().verified = Some(Tick(900));
    assert_eq!(diff(&before, &facts(&world.book, Tick(900))).len(), 1, "same age");
    assert_eq!(diff(&before, &facts(&world.book, Tick(950))).len(), 1, "greater age");
}

/// Pages: one, two, many, and the empty agent's.
#[test]
fn pages() {
    use ReportKind::{FullFirst, FullLast, FullMore, FullOnly};
    type Row = (u64, usize, &'static [(ReportKind, usize)]);
    let rows: [Row; 5] = [
        (0, 2, &[(FullOnly, 0)]),
        (2, 2, &[(FullOnly, 2)]),
        (3, 2, &[(FullFirst, 2), (FullLast, 1)]),
        (5, 2, &[(FullFirst, 2), (FullMore, 2), (FullLast, 1)]),
        (1, 0, &[(FullOnly, 1)]),
    ];
    for (replicas, per_page, expected) in rows {
        let book = book_of((0..replicas).map(|id| held(id, id, 1)).collect());
        let pages = full(&told(&book), per_page);
        let shape: Vec<_> = pages.iter().map(|(kind, facts)| (*kind, facts.len())).collect();
        assert_eq!(shape, expected, "{replicas} replicas, {per_page} a page");
    }
}

fn short(fact: &Fact) -> String {
    match fact {
        Fact::Disk(fact) => format!("disk {}", fact.disk),
        Fact::Replica(fact) => format!("replica {}", fact.replica),
        Fact::ReplicaGone { replica, .. } => format!("gone {replica}"),
        Fact::Load(fact) => format!("load {}", fact.load),
        Fact::Task(fact) => format!("task {}", fact.task),
        Fact::Confirmed { replica, nonce, .. } => format!("confirmed {replica} #{nonce}"),
        Fact::Trash(fact) => format!("trash {}", fact.replica),
        Fact::TrashGone { replica, .. } => format!("trash gone {replica}"),
        Fact::Host(_) => "host".to_string(),
    }
}
