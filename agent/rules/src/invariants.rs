//! "It must *always* hold": recounts a book from nothing.
//!
//! In: a book. Out: one sentence per broken promise, naming the thing; empty = consistent. The simulator and the property
//! tests ask after every step. It changes nothing and trusts no other rule's arithmetic.

use crate::book::{Book, CopyPhase, ENDED_MAX, Held, LeftoverState, Staged};
use crate::event::Op;
use std::collections::BTreeSet;
use stele_common::{DiskState, ReplicaId, TabletId, Version, VersionHash};

/// What is wrong with the book.
pub fn check(book: &Book) -> Vec<String> {
    let mut notes = Vec::new();
    if book.state == DiskState::Online && book.suspected.is_some() {
        notes.push("the disk is ONLINE though it failed in this boot".to_string());
    }
    for (id, held) in &book.replicas {
        replica(book, *id, held, &mut notes);
    }
    loads(book, &mut notes);
    copies(book, &mut notes);
    for (id, op) in &book.busy {
        notes.extend(busy(book, *id, op).map(|what| format!("replica {id} is occupied by {op:?}: {what}")));
    }
    for id in book.reading.iter().filter(|id| !book.replicas.contains_key(id)) {
        notes.push(format!("replica {id} is being read and is not there"));
    }
    for id in &book.reading {
        let shared = match book.busy.get(id) {
            None | Some(Op::InstallLoad { .. } | Op::Confirm { .. }) => true,
            Some(
                Op::Create { .. }
                | Op::Fetch { .. }
                | Op::InstallCopy { .. }
                | Op::DiscardCopy { .. }
                | Op::DiscardLoad { .. }
                | Op::Drop { .. }
                | Op::Purge { .. }
                | Op::Verify { .. }
                | Op::Collect { .. },
            ) => false,
        };
        if !shared {
            notes.push(format!("files of replica {id} are removed or replaced while they are being verified"));
        }
    }
    notes
}

fn replica(book: &Book, id: ReplicaId, held: &Held, notes: &mut Vec<String>) {
    let mut note = |wrong: bool, what: &str| {
        if wrong {
            notes.push(format!("replica {id}: {what}"));
        }
    };
    note(held.label.replica != id, "its label names another");
    note(book.trash.contains_key(&id), "it is here and in the trash");
    note(held.head == Version::EMPTY && held.hash != VersionHash::ZERO, "the empty version has a hash");
    note(held.older.keys().any(|version| *version >= held.head), "an older version is not below the head");
    note(held.older.contains_key(&Version::EMPTY), "the empty version is kept");
    note(held.pins.values().any(|readers| *readers == 0), "a version is pinned by nobody");
}

fn loads(book: &Book, notes: &mut Vec<String>) {
    for ((load, tablet), staged) in &book.staged {
        if staged.committed && staged.aborted {
            notes.push(format!("load {load} of tablet {tablet} is committed and aborted"));
        }
        if book.discarding.contains(&(*load, *tablet))
            && !staged.committed
            && !staged.aborted
            && staged.failed.is_none()
        {
            notes.push(format!("load {load} of tablet {tablet} is removed without the coordinator's word"));
        }
    }
    for (load, tablet) in book.postponed.keys() {
        let waits = |staged: &Staged| staged.committed && staged.failed.is_some();
        if !book.staged.get(&(*load, *tablet)).is_some_and(waits) {
            notes.push(format!("load {load} of tablet {tablet} is postponed and does not wait"));
        }
    }
    for (load, tablet) in book.discarding.iter().filter(|key| !book.staged.contains_key(key)) {
        notes.push(format!("load {load} of tablet {tablet} is removed and is not staged"));
    }
}

fn copies(book: &Book, notes: &mut Vec<String>) {
    let mut wanted: BTreeSet<TabletId> = BTreeSet::new();
    let mut staging: BTreeSet<TabletId> = BTreeSet::new();
    for (task, copy) in &book.copies {
        let tablet = copy.order.label.tablet;
        if *task != copy.order.task || copy.order.disk != book.disk {
            notes.push(format!("copy {task} has the order of another task or disk"));
        }
        if !copy.cancelled && !wanted.insert(tablet) {
            notes.push(format!("tablet {tablet} is copied twice"));
        }
        if copy.has_begun() && !staging.insert(tablet) {
            notes.push(format!("two copies of tablet {tablet} share a staging directory"));
        }
        if copy.has_begun() && book.leftovers.contains_key(&tablet) {
            notes.push(format!("copy {task} works in a directory that counts as left over"));
        }
        let installs =
            matches!(book.busy.get(&copy.order.label.replica), Some(Op::InstallCopy { task: id, .. }) if id == task);
        if matches!(copy.phase, CopyPhase::Installing { .. }) != installs {
            notes.push(format!("copy {task} and what occupies its replica disagree about its install"));
        }
        if book.ended.contains_key(task) {
            notes.push(format!("copy {task} has ended and goes on"));
        }
        let waits = matches!(copy.phase, CopyPhase::Queued | CopyPhase::Fetched { .. });
        if waits && (copy.cancelled || book.state != DiskState::Online) {
            notes.push(format!("copy {task} waits for nothing"));
        }
    }
    if book.ended.len() > ENDED_MAX {
        notes.push(format!("{} ended copies are remembered, {ENDED_MAX} at most", book.ended.len()));
    }
    for (tablet, leftover) in &book.leftovers {
        let fetching = book.copies.values().any(|copy| copy.order.label.tablet == *tablet && copy.has_begun());
        if leftover.state == LeftoverState::Removing && fetching {
            notes.push(format!("the staging directory of tablet {tablet} is removed under a copy"));
        }
    }
}

/// Why an op may not occupy this replica.
fn busy(book: &Book, id: ReplicaId, op: &Op) -> Option<&'static str> {
    let held = book.replicas.get(&id);
    if op.replica() != Some(id) {
        return Some("it is about another replica");
    }
    match op {
        Op::Create { .. } => held.is_some().then_some("it is there already"),
        Op::Purge { .. } => (!book.trash.contains_key(&id)).then_some("it is not in the trash"),
        Op::InstallCopy { .. } => book.trash.contains_key(&id).then_some("it was dropped"),
        Op::InstallLoad { load, tablet, parent, version, .. } => {
            let staged = book.staged.get(&(*load, *tablet));
            match (held, staged) {
                (None, _) => Some("it is not there"),
                (_, None) => Some("the load is not staged"),
                (Some(held), Some(staged)) => {
                    let fits = staged.committed && staged.replica == id && held.head == *parent && *version > *parent;
                    (!fits).then_some("the load is not committed, or does not follow the head")
                }
            }
        }
        Op::Drop { tablet, .. } | Op::Confirm { tablet, .. } | Op::Collect { tablet, .. } => {
            held.is_none_or(|held| held.label.tablet != *tablet).then_some("it is not there, or of another tablet")
        }
        Op::Fetch { .. } | Op::DiscardCopy { .. } | Op::DiscardLoad { .. } | Op::Verify { .. } => {
            Some("such an op occupies no replica")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Copying, Leftover};
    use crate::testing::*;
    use stele_common::{LoadId, TaskId, Tick};

    /// Each way to break a book is named; the book before it is clean.
    #[test]
    fn broken_books_are_named() {
        type Break = fn(&mut Book);
        let rows: &[(Break, &str)] = &[
            (|book| book.suspected = Some("EIO".into()), "ONLINE though it failed"),
            (|book| first(book).label.replica = ReplicaId(2), "its label names another"),
            (
                |book| {
                    book.trash.insert(ReplicaId(1), trashed(10, 0));
                },
                "here and in the trash",
            ),
            (|book| first(book).head = Version(0), "the empty version has a hash"),
            (
                |book| {
                    first(book).older.insert(Version(5), hash(5));
                },
                "not below the head",
            ),
            (
                |book| {
                    first(book).pins.insert(Version(5), 0);
                },
                "pinned by nobody",
            ),
            (|book| load(book).aborted = true, "committed and aborted"),
            (
                |book| {
                    book.discarding.insert((LoadId(9), TabletId(10)));
                },
                "is not staged",
            ),
            (
                |book| {
                    load(book).committed = false;
                    book.discarding.insert((LoadId(4), TabletId(10)));
                },
                "without the coordinator's word",
            ),
            (
                |book| {
                    book.postponed.insert((LoadId(4), TabletId(10)), Tick(9));
                },
                "is postponed and does not wait",
            ),
            (|book| copy(book, 8, 9, 30).phase = CopyPhase::Queued, "is copied twice"),
            (|book| copy(book, 8, 9, 30).cancelled = true, "share a staging directory"),
            (|book| copy(book, 7, 8, 30).order.task = TaskId(6), "the order of another task"),
            (
                |book| copy(book, 7, 8, 30).phase = CopyPhase::Installing { bytes_copied: 0, bytes_reused: 0 },
                "disagree",
            ),
            (|book| leftover(book, LeftoverState::Removing), "removed under a copy"),
            (|book| leftover(book, LeftoverState::Kept), "counts as left over"),
            (
                |book| {
                    book.reading.insert(ReplicaId(9));
                },
                "is not there",
            ),
            (
                |book| {
                    book.reading.insert(ReplicaId(1));
                    let op = Op::Drop { tablet: TabletId(10), replica: ReplicaId(1), evidence: evidence() };
                    book.busy.insert(ReplicaId(1), op);
                },
                "while they are being verified",
            ),
            (
                |book| {
                    book.busy.insert(ReplicaId(1), Op::Create { label: label(1, 10) });
                },
                "it is there already",
            ),
            (
                |book| {
                    book.busy.insert(ReplicaId(2), Op::Create { label: label(3, 10) });
                },
                "about another replica",
            ),
        ];
        for (spoil, named) in rows {
            let mut book = book_of(vec![held(1, 10, 5)]);
            let mut loaded = staged(1, 7);
            loaded.committed = true;
            book.staged.insert((LoadId(4), TabletId(10)), loaded);
            copy(&mut book, 7, 8, 30);
            assert_eq!(check(&book), Vec::<String>::new());
            spoil(&mut book);
            let notes = check(&book);
            assert!(notes.iter().any(|note| note.contains(named)), "`{named}` is not in {notes:?}");
        }
    }

    fn first(book: &mut Book) -> &mut Held {
        book.replicas.get_mut(&ReplicaId(1)).unwrap()
    }

    fn load(book: &mut Book) -> &mut crate::book::Staged {
        book.staged.get_mut(&(LoadId(4), TabletId(10))).unwrap()
    }

    fn copy(book: &mut Book, task: u64, replica: u64, tablet: u64) -> &mut Copying {
        let copy = Copying::new(clone_order(task, replica, tablet, 2));
        let copy = book.copies.entry(TaskId(task)).or_insert(copy);
        copy.phase = CopyPhase::Fetching;
        copy
    }

    fn leftover(book: &mut Book, state: LeftoverState) {
        let leftover = Leftover { task: TaskId(7), replica: ReplicaId(8), since: Tick(0), state };
        book.leftovers.insert(TabletId(30), leftover);
    }
}
