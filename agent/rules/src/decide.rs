//! What happens to a disk, and what follows: the door to the law book.
//!
//! In: the book and one event, with its time. Out: records for [`apply`], refusals to be explained, and the one op that
//! has no wish to wait in ([`crate::Op::Create`]). [`handle`] does the whole turn: decide, apply, and hand out whatever
//! may run next.

use crate::apply::apply;
use crate::book::{Book, Held, Staged};
use crate::event::{Action, Change, CopyStep, Event, EventBody, LoadStep, ReplicaStep};
use crate::{copies, done, next, orders};
use std::collections::BTreeSet;
use stele_common::{DiskState, LoadId, ReplicaId, TabletId, Tick};

/// What follows from an event, before [`crate::next`] is asked.
pub fn decide(book: &Book, event: &Event) -> Vec<Action> {
    match &event.body {
        EventBody::Order(order) => orders::decide(book, event.at, order),
        EventBody::LoadStaged { load, tablet, staged } => load_staged(book, (*load, *tablet), staged),
        EventBody::Done { op, result } => done::decide(book, event.at, op, result),
        EventBody::Progress { task, bytes_done, bytes_total } => {
            let (bytes_done, bytes_total) = (*bytes_done, *bytes_total);
            vec![Change::copy(*task, CopyStep::Progress { bytes_done, bytes_total })]
        }
        EventBody::Pinned { replica, version } => {
            vec![Change::replica(*replica, ReplicaStep::Pinned { version: *version })]
        }
        EventBody::Unpinned { replica, version } => {
            vec![Change::replica(*replica, ReplicaStep::Unpinned { version: *version })]
        }
        EventBody::FoundDamaged { replica, cause } => {
            vec![Change::replica(*replica, ReplicaStep::Bad { cause: cause.clone() })]
        }
        EventBody::Scrub { replica } => scrub(book, *replica),
        EventBody::DiskTurned { state, cause } => done::disk_turned(book, event.at, *state, cause.clone()),
        EventBody::Tick => {
            let mut actions = copies::stale_leftovers(book, event.at);
            actions.extend(postponed(book, event.at));
            actions
        }
    }
}

/// Loads that found no room and are tried again now.
fn postponed(book: &Book, now: Tick) -> Vec<Action> {
    let due = book.postponed.iter().filter(|(_, until)| **until <= now && book.state == DiskState::Online);
    due.map(|(key, _)| Change::load(*key, LoadStep::Committed)).collect()
}

/// A load that was staged before keeps what was said of it; only a try that was not decided on is replaced.
fn load_staged(book: &Book, key: (LoadId, TabletId), staged: &Staged) -> Vec<Action> {
    let decided =
        book.staged.get(&key).is_some_and(|old| old.committed || old.aborted) || book.discarding.contains(&key);
    if decided { Vec::new() } else { vec![Change::load(key, LoadStep::Staged(staged.clone()))] }
}

fn scrub(book: &Book, replica: ReplicaId) -> Vec<Action> {
    let may = |held: &&Held| {
        book.state == DiskState::Online && held.bad.is_none() && held.wishes.drop.is_none() && !held.wishes.verify
    };
    let held = book.replicas.get(&replica).filter(may);
    held.map(|_| Change::replica(replica, ReplicaStep::WishScrub)).into_iter().collect()
}

/// One turn of the owner of a book: decides, applies, and hands out what may run next. Only [`Action::Do`] and
/// [`Action::Explain`] come back; the records are in the book. The work grows with what the event touched, not with what
/// the disk holds, except on a tick or a turn of the disk, which look at everything.
pub fn handle(book: &mut Book, event: &Event) -> Vec<Action> {
    let mut turn = Turn { out: Vec::new(), touched: BTreeSet::new() };
    let actions = decide(book, event);
    turn.take(book, actions);
    match &event.body {
        EventBody::Tick | EventBody::DiskTurned { .. } => turn.touched.extend(next::wanted(book)),
        EventBody::Order(_)
        | EventBody::LoadStaged { .. }
        | EventBody::Done { .. }
        | EventBody::Progress { .. }
        | EventBody::Pinned { .. }
        | EventBody::Unpinned { .. }
        | EventBody::FoundDamaged { .. }
        | EventBody::Scrub { .. } => {}
    }
    loop {
        while let Some(replica) = turn.touched.pop_first() {
            let actions = next::for_replica(book, replica);
            turn.take(book, actions);
        }
        let actions = next::for_disk(book);
        if actions.is_empty() {
            return turn.out;
        }
        turn.take(book, actions);
    }
}

struct Turn {
    out: Vec<Action>,
    /// Replicas that may have something to do now.
    touched: BTreeSet<ReplicaId>,
}

impl Turn {
    fn take(&mut self, book: &mut Book, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Record(change) => {
                    self.touched.extend(concerns(book, &change));
                    apply(book, &change);
                }
                Action::Do(_) | Action::Explain(_) => self.out.push(action),
            }
        }
    }
}

/// The replica that a change is about, as the book knows it before the change.
fn concerns(book: &Book, change: &Change) -> Option<ReplicaId> {
    match change {
        Change::Replica { replica, .. } | Change::Trash { replica, .. } => Some(*replica),
        Change::Load { load, tablet, .. } => book.staged.get(&(*load, *tablet)).map(|staged| staged.replica),
        Change::Copy { task, .. } => book.copies.get(task).map(|copy| copy.order.label.replica),
        Change::Began { op } | Change::Ended { op } => op.replica(),
        Change::EpochSeen { .. } | Change::DiskTurned { .. } | Change::Leftover { .. } => None,
    }
}
