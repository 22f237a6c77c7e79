//! The only writer of a [`Book`]. Applying cannot fail; a change about something unknown does nothing.
//!
//! In: a book and one change. Out: the book after it. It never decides: whoever made the change had the reason. Three
//! things it holds all the same, because nothing may ever break them: an epoch, a head and a commit never go back.

use crate::book::{Book, Confirmed, CopyPhase, Copying, ENDED_MAX, Ended, Held, LeftoverState, Staged};
use crate::event::{Change, CopyStep, LeftoverStep, LoadStep, Op, ReplicaStep, TrashStep};
use stele_common::{DiskState, LoadId, ReplicaId, TabletId, TaskId, TaskProgress, Tick, Version, VersionHash};

/// Applies one change.
pub fn apply(book: &mut Book, change: &Change) {
    match change {
        Change::EpochSeen { epoch } => book.epoch = book.epoch.max(*epoch),
        Change::DiskTurned { state, cause } => disk_turned(book, *state, cause.clone()),
        Change::Replica { replica, step } => of_replica(book, *replica, step),
        Change::Load { load, tablet, step } => of_load(book, (*load, *tablet), step),
        Change::Copy { task, step } => of_copy(book, *task, step),
        Change::Leftover { tablet, step } => of_leftover(book, *tablet, step),
        Change::Trash { replica, step } => of_trash(book, *replica, step),
        Change::Began { op } => began(book, op),
        Change::Ended { op } => ended(book, op),
    }
}

fn disk_turned(book: &mut Book, state: DiskState, cause: Option<String>) {
    if book.state == DiskState::Suspect || state == DiskState::Suspect {
        let because = if state == DiskState::Suspect { cause.clone() } else { book.cause.clone() };
        book.suspected.get_or_insert_with(|| because.unwrap_or_else(|| "it failed".to_string()));
    }
    if book.state == DiskState::Unavailable && state != DiskState::Unavailable {
        // What lay on a disk that was away is read again before it counts as proven.
        for held in book.replicas.values_mut() {
            (held.verified, held.scrubbed, held.confirmed) = (None, None, None);
        }
    }
    (book.state, book.cause) = (state, cause);
}

fn of_replica(book: &mut Book, replica: ReplicaId, step: &ReplicaStep) {
    if let ReplicaStep::Found(held) = step {
        book.replicas.entry(replica).or_insert_with(|| held.as_ref().clone());
    }
    let Some(held) = book.replicas.get_mut(&replica) else { return };
    match step {
        ReplicaStep::Found(_) => {}
        ReplicaStep::Gone => {
            book.replicas.remove(&replica);
        }
        ReplicaStep::Headed { version, hash, size, files, verified } => {
            headed(held, *version, *hash, (*size, *files), *verified)
        }
        ReplicaStep::Fresh => (held.bad, held.scrubbed) = (None, None),
        ReplicaStep::Bad { cause } => {
            held.bad.get_or_insert_with(|| cause.clone());
        }
        ReplicaStep::Verified { version, at } => {
            if held.hash_of(*version).is_some() {
                (held.verified, held.scrubbed) = (Some(*at), Some(*at));
            }
        }
        ReplicaStep::Confirmed { nonce, version, hash } => {
            held.confirmed = Some(Confirmed { nonce: *nonce, version: *version, hash: *hash });
        }
        ReplicaStep::Collected { older, size } => {
            held.older = older.iter().copied().filter(|(version, _)| *version < held.head).collect();
            held.size = *size;
        }
        ReplicaStep::WishDrop { evidence } => held.wishes.drop = Some(evidence.clone()),
        ReplicaStep::WishConfirm { nonce } => held.wishes.confirm = Some(*nonce),
        ReplicaStep::WishVerify => held.wishes.verify = true,
        ReplicaStep::WishScrub => held.wishes.scrub = true,
        ReplicaStep::WishCollect { below } => held.wishes.collect_below = Some(*below),
        ReplicaStep::Pinned { version } => *held.pins.entry(*version).or_default() += 1,
        ReplicaStep::Unpinned { version } => unpinned(held, *version),
    }
}

fn headed(held: &mut Held, version: Version, hash: VersionHash, sizes: (u64, u64), verified: Option<Tick>) {
    if version < held.head {
        return;
    }
    if version > held.head && held.head != Version::EMPTY {
        held.older.insert(held.head, held.hash);
    }
    (held.head, held.hash, held.verified) = (version, hash, verified);
    (held.size, held.files) = sizes;
}

fn unpinned(held: &mut Held, version: Version) {
    if let Some(readers) = held.pins.get_mut(&version) {
        *readers = readers.saturating_sub(1);
        if *readers == 0 {
            held.pins.remove(&version);
        }
    }
}

fn of_load(book: &mut Book, key: (LoadId, TabletId), step: &LoadStep) {
    match step {
        // Aborting comes too late for a load that was committed, postponed or not.
        LoadStep::Aborted => {}
        LoadStep::Staged(_)
        | LoadStep::Committed
        | LoadStep::Failed { .. }
        | LoadStep::Postponed { .. }
        | LoadStep::Gone => {
            book.postponed.remove(&key);
        }
    }
    match step {
        LoadStep::Staged(staged) => {
            let fresh = Staged { committed: false, aborted: false, failed: None, ..staged.clone() };
            book.staged.insert(key, fresh);
        }
        LoadStep::Committed => with_load(book, key, |staged| {
            if !staged.aborted {
                (staged.committed, staged.failed) = (true, None);
            }
        }),
        LoadStep::Aborted => with_load(book, key, |staged| staged.aborted = !staged.committed),
        LoadStep::Failed { cause } => with_load(book, key, |staged| staged.failed = Some(cause.clone())),
        LoadStep::Postponed { cause, until } => {
            with_load(book, key, |staged| staged.failed = Some(cause.clone()));
            if book.staged.contains_key(&key) {
                book.postponed.insert(key, *until);
            }
        }
        LoadStep::Gone => {
            book.staged.remove(&key);
        }
    }
}

fn with_load(book: &mut Book, key: (LoadId, TabletId), change: impl FnOnce(&mut Staged)) {
    if let Some(staged) = book.staged.get_mut(&key) {
        change(staged);
    }
}

fn of_copy(book: &mut Book, task: TaskId, step: &CopyStep) {
    if let CopyStep::Queued { order } = step {
        book.copies.insert(task, Copying::new(order.as_ref().clone()));
        return;
    }
    let Some(copy) = book.copies.get_mut(&task) else { return };
    match step {
        CopyStep::Queued { .. } => {}
        CopyStep::Progress { bytes_done, bytes_total } => {
            // Another source may begin by counting again; what was told never shrinks.
            copy.bytes_done = copy.bytes_done.max(*bytes_done);
            copy.bytes_total = copy.bytes_total.max(*bytes_total);
        }
        CopyStep::Fetched { version, hash, bytes_copied, bytes_reused } => {
            let (bytes_copied, bytes_reused) = (*bytes_copied, *bytes_reused);
            copy.phase = CopyPhase::Fetched { version: *version, hash: *hash, bytes_copied, bytes_reused };
        }
        CopyStep::Cancelled => copy.cancelled = true,
        CopyStep::Done => {
            let (bytes_copied, bytes_reused) = copy.bytes();
            copy_ended(book, task, TaskProgress::Done { bytes_copied, bytes_reused });
        }
        CopyStep::Failed { cause } => copy_ended(book, task, TaskProgress::Failed { cause: cause.clone() }),
    }
}

fn copy_ended(book: &mut Book, task: TaskId, progress: TaskProgress) {
    let Some(copy) = book.copies.remove(&task) else { return };
    let label = &copy.order.label;
    book.ended.insert(task, Ended { tablet: label.tablet, replica: label.replica, progress });
    while book.ended.len() > ENDED_MAX {
        // The lowest number is the oldest order; the one that has just ended is never forgotten before it was told.
        let oldest = book.ended.keys().copied().find(|id| *id != task);
        oldest.and_then(|id| book.ended.remove(&id));
    }
}

fn of_leftover(book: &mut Book, tablet: TabletId, step: &LeftoverStep) {
    match step {
        LeftoverStep::Kept(leftover) => {
            book.leftovers.insert(tablet, leftover.clone());
        }
        LeftoverStep::Due => leftover_turned(book, tablet, LeftoverState::Due),
        LeftoverStep::Gone => {
            book.leftovers.remove(&tablet);
        }
    }
}

fn leftover_turned(book: &mut Book, tablet: TabletId, state: LeftoverState) {
    if let Some(leftover) = book.leftovers.get_mut(&tablet) {
        leftover.state = state;
    }
}

fn of_trash(book: &mut Book, replica: ReplicaId, step: &TrashStep) {
    match step {
        TrashStep::Dropped(trashed) => {
            book.trash.insert(replica, trashed.clone());
        }
        TrashStep::WishPurge { evidence } => {
            if let Some(trashed) = book.trash.get_mut(&replica) {
                trashed.purge = Some(evidence.clone());
            }
        }
        TrashStep::Gone => {
            book.trash.remove(&replica);
        }
    }
}

fn began(book: &mut Book, op: &Op) {
    match op {
        Op::Fetch { order, mend } => {
            book.leftovers.remove(&order.label.tablet);
            if let Some(copy) = book.copies.get_mut(&order.task) {
                (copy.phase, copy.mend) = (CopyPhase::Fetching, *mend);
            }
        }
        Op::DiscardCopy { tablet, .. } => leftover_turned(book, *tablet, LeftoverState::Removing),
        Op::DiscardLoad { load, tablet } => {
            book.discarding.insert((*load, *tablet));
        }
        Op::Verify { replica, .. } => {
            book.reading.insert(*replica);
        }
        Op::InstallCopy { task, label, .. } => {
            book.busy.insert(label.replica, op.clone());
            if let Some(copy) = book.copies.get_mut(task) {
                let (bytes_copied, bytes_reused) = copy.bytes();
                copy.phase = CopyPhase::Installing { bytes_copied, bytes_reused };
            }
        }
        Op::Create { label } => {
            book.busy.insert(label.replica, op.clone());
        }
        Op::InstallLoad { replica, .. }
        | Op::Drop { replica, .. }
        | Op::Purge { replica, .. }
        | Op::Confirm { replica, .. }
        | Op::Collect { replica, .. } => {
            book.busy.insert(*replica, op.clone());
        }
    }
}

/// Frees what the op occupied, and strikes out the wish that it carried out: done or failed, an order is followed once,
/// and the coordinator, who sees the state, repeats what it still wants.
fn ended(book: &mut Book, op: &Op) {
    if let Some(replica) = op.replica()
        && book.busy.get(&replica) == Some(op)
    {
        book.busy.remove(&replica);
    }
    match op {
        Op::Create { .. } | Op::Fetch { .. } | Op::InstallCopy { .. } | Op::InstallLoad { .. } => {}
        Op::DiscardCopy { tablet, .. } => leftover_turned(book, *tablet, LeftoverState::Due),
        Op::DiscardLoad { load, tablet } => {
            book.discarding.remove(&(*load, *tablet));
        }
        Op::Verify { replica, urgent, .. } => {
            book.reading.remove(replica);
            if let Some(held) = book.replicas.get_mut(replica) {
                held.wishes.scrub = false;
                held.wishes.verify &= !urgent;
            }
        }
        Op::Drop { replica, .. } => with_wishes(book, *replica, |held| held.wishes.drop = None),
        Op::Purge { replica, .. } => {
            if let Some(trashed) = book.trash.get_mut(replica) {
                trashed.purge = None;
            }
        }
        Op::Confirm { replica, nonce, .. } => with_wishes(book, *replica, |held| {
            held.wishes.confirm = held.wishes.confirm.filter(|wanted| wanted != nonce);
        }),
        Op::Collect { replica, below, .. } => with_wishes(book, *replica, |held| {
            held.wishes.collect_below = held.wishes.collect_below.filter(|wanted| wanted > below);
        }),
    }
}

fn with_wishes(book: &mut Book, replica: ReplicaId, change: impl FnOnce(&mut Held)) {
    if let Some(held) = book.replicas.get_mut(&replica) {
        change(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use crate::testing::*;
    use stele_common::{Epoch, TaskFailure};

    fn replica(replica: u64, step: ReplicaStep) -> Change {
        Change::Replica { replica: ReplicaId(replica), step }
    }

    fn load(step: LoadStep) -> Change {
        Change::Load { load: LoadId(4), tablet: TabletId(10), step }
    }

    /// Whoever asks: an epoch, a head and a commit do not go back, and an aborted load is not committed.
    #[test]
    fn nothing_goes_back() {
        let mut book = book_of(vec![held(1, 10, 5)]);
        let lower = ReplicaStep::Headed { version: Version(4), hash: hash(4), size: 1, files: 1, verified: None };
        apply(&mut book, &Change::EpochSeen { epoch: Epoch(1) });
        apply(&mut book, &replica(1, lower));
        assert_eq!(book, book_of(vec![held(1, 10, 5)]));

        apply(&mut book, &load(LoadStep::Staged(Staged { committed: true, aborted: true, ..staged(1, 6) })));
        assert_eq!(book.staged[&(LoadId(4), TabletId(10))], staged(1, 6), "staging decides nothing");
        let mut aborted = book.clone();
        for (book, first, second) in [
            (&mut book, LoadStep::Committed, LoadStep::Aborted),
            (&mut aborted, LoadStep::Aborted, LoadStep::Committed),
        ] {
            apply(book, &load(first));
            let before = book.clone();
            apply(book, &load(second));
            assert_eq!(*book, before);
        }
    }

    /// A change about something that is not there does nothing.
    #[test]
    fn unknown_things() {
        let before = book_of(vec![held(1, 10, 5)]);
        let changes = [
            replica(9, ReplicaStep::Gone),
            replica(9, ReplicaStep::WishVerify),
            replica(9, ReplicaStep::Bad { cause: "rot".into() }),
            replica(1, ReplicaStep::Unpinned { version: Version(1) }),
            replica(1, ReplicaStep::Found(Box::new(held(1, 10, 1)))),
            load(LoadStep::Committed),
            load(LoadStep::Failed { cause: "x".into() }),
            Change::Copy { task: TaskId(7), step: CopyStep::Done },
            Change::Copy { task: TaskId(7), step: CopyStep::Failed { cause: TaskFailure::Cancelled } },
            Change::Leftover { tablet: TabletId(10), step: LeftoverStep::Due },
            Change::Trash { replica: ReplicaId(9), step: TrashStep::WishPurge { evidence: evidence() } },
            Change::Ended { op: fetch(7, 8, 30, 2, false) },
        ];
        for change in changes {
            let mut book = before.clone();
            apply(&mut book, &change);
            assert_eq!(book, before, "{change:?}");
            assert_eq!(check(&book), Vec::<String>::new());
        }
    }

    /// The newest head pushes the old one among the kept versions; the empty version is never kept.
    #[test]
    fn heads_leave_their_versions() {
        let mut book = book_of(vec![held(1, 10, 0)]);
        for version in [1, 2, 2] {
            let (version, hash) = (Version(version), hash(version));
            apply(&mut book, &replica(1, ReplicaStep::Headed { version, hash, size: 1, files: 1, verified: None }));
        }
        let kept: Vec<_> = book.replicas[&ReplicaId(1)].older.keys().map(|version| version.0).collect();
        assert_eq!(kept, [1]);
    }
}
