//! "It must *always* hold": recounts a book from nothing.
//!
//! In: a book. Out: one sentence per broken promise, naming the thing; empty = consistent. The simulator and the property
//! tests ask after every step. It changes nothing and trusts no other rule's arithmetic.

use crate::book::{Book, CopyPhase, ENDED_MAX, Held, LeftoverState};
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
