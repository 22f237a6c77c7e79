//! "The *next* thing to do on a replica is ...": turns wishes, commits and staged copies into ops.
//!
//! In: the book. Out: ops with the records that they began. One op at a time occupies a replica; the first that may run,
//! in this order, does:
//!
//! ```text
//! drop ▶ confirm ▶ install copy ▶ install load (lowest version first) ▶ verify ▶ collect
//! ```
//!
//! A confirmation is quick and somebody waits for it; a verification takes minutes, so loads go on beside it, while drop,
//! collection and the install of a copy wait for its end. Nothing is written to a disk that is not ONLINE; a SUSPECT one
//! is still read.

use crate::book::{Book, CopyPhase, Copying, Held, Staged};
use crate::event::{Action, Change, Op};
use crate::{collect, copies};
use std::collections::BTreeSet;
use stele_common::{DiskState, LoadId, ReplicaId, TabletId};

/// Everything that may be done now, looked for at every replica. After [`crate::handle`] nothing is left of it.
pub fn ops(book: &Book) -> Vec<Action> {
    let mut actions = for_disk(book);
    let coming = book.copies.values().map(|copy| copy.order.label.replica);
    let all: BTreeSet<ReplicaId> =
        coming.chain(book.replicas.keys().copied()).chain(book.trash.keys().copied()).collect();
    for replica in all {
        actions.extend(for_replica(book, replica));
    }
    actions
}

/// Hands an op out.
pub(crate) fn begin(op: Op) -> Vec<Action> {
    vec![Action::Record(Change::Began { op: op.clone() }), Action::Do(op)]
}

/// Replicas that something may be waiting for.
pub(crate) fn wanted(book: &Book) -> BTreeSet<ReplicaId> {
    let mut wanted: BTreeSet<ReplicaId> = book.copies.values().map(|copy| copy.order.label.replica).collect();
    wanted.extend(book.staged.values().filter(|staged| staged.committed).map(|staged| staged.replica));
    wanted.extend(book.trash.iter().filter(|(_, trashed)| trashed.purge.is_some()).map(|(id, _)| *id));
    wanted.extend(book.replicas.iter().filter(|(_, held)| has_wish(held)).map(|(id, _)| *id));
    wanted
}

fn has_wish(held: &Held) -> bool {
    let wishes = &held.wishes;
    wishes.drop.is_some() || wishes.confirm.is_some() || wishes.verify || wishes.scrub || wishes.collect_below.is_some()
}

/// Replicas whose reading keeps a drop, the install of a copy or an ordered reading waiting: a background one gives way, and
/// comes again. Where a collection waits, it goes on to its end, or a replica with many loads would never be read.
pub fn in_the_way(book: &Book) -> Vec<ReplicaId> {
    let waits = |id: &ReplicaId| {
        let is_fetched = |copy: &Copying| {
            copy.order.label.replica == *id && matches!(copy.phase, CopyPhase::Fetched { .. }) && !copy.cancelled
        };
        book.replicas.get(id).is_some_and(|held| held.wishes.drop.is_some() || held.wishes.verify)
            || book.copies.values().any(is_fetched)
    };
    book.reading.iter().copied().filter(waits).collect()
}

/// What occupies no replica: fetches, and the removal of what is staged and not wanted.
pub(crate) fn for_disk(book: &Book) -> Vec<Action> {
    let mut actions = copies::start(book);
    actions.extend(copies::discards(book));
    if book.state == DiskState::Online {
        let useless = book.staged.iter().filter(|(key, staged)| is_useless(book, **key, staged));
        actions.extend(useless.flat_map(|((load, tablet), _)| begin(Op::DiscardLoad { load: *load, tablet: *tablet })));
    }
    actions
}

/// Whether a staged load will never be installed. One that waits for the coordinator's word never is useless.
fn is_useless(book: &Book, key: (LoadId, TabletId), staged: &Staged) -> bool {
    let installing = matches!(book.busy.get(&staged.replica), Some(Op::InstallLoad { load, .. }) if *load == key.0);
    if book.discarding.contains(&key) || installing {
        return false;
    }
    let decided = staged.committed || staged.failed.is_some();
    let overtaken = match book.replicas.get(&staged.replica) {
        Some(held) => held.head >= staged.version,
        // Not there: it may be on its way here as a copy, unless it was dropped, which failed the load.
        None => staged.failed.is_some() && !is_coming(book, staged.replica),
    };
    staged.aborted || (decided && overtaken)
}

fn is_coming(book: &Book, replica: ReplicaId) -> bool {
    book.copies.values().any(|copy| copy.order.label.replica == replica)
}

/// The op that an idle replica gets, if any.
pub(crate) fn for_replica(book: &Book, id: ReplicaId) -> Vec<Action> {
    if book.busy.contains_key(&id) || book.state == DiskState::Unavailable {
        return Vec::new();
    }
    let online = book.state == DiskState::Online;
    let Some(held) = book.replicas.get(&id) else {
        return if online { for_absent(book, id) } else { Vec::new() };
    };
    let undisturbed = online && !book.reading.contains(&id);
    let tablet = held.label.tablet;
    if let Some(evidence) = &held.wishes.drop {
        let op = Op::Drop { tablet, replica: id, evidence: evidence.clone() };
        return if undisturbed { begin(op) } else { Vec::new() };
    }
    if let Some(nonce) = held.wishes.confirm {
        return begin(Op::Confirm { tablet, replica: id, nonce });
    }
    if undisturbed {
        let actions = copies::install(book, id);
        if !actions.is_empty() {
            return actions;
        }
    }
    if let Some(op) = install_load(book, id, held) {
        return begin(op);
    }
    if (held.wishes.verify || held.wishes.scrub) && !book.reading.contains(&id) {
        return begin(Op::Verify { tablet, replica: id, urgent: held.wishes.verify });
    }
    match held.wishes.collect_below {
        Some(below) if undisturbed && !collect::removable(held, below).is_empty() => {
            begin(Op::Collect { tablet, replica: id, below, keep: collect::keep(held, below) })
        }
        Some(_) | None => Vec::new(),
    }
}

fn for_absent(book: &Book, id: ReplicaId) -> Vec<Action> {
    if let Some(trashed) = book.trash.get(&id)
        && let Some(evidence) = &trashed.purge
    {
        return begin(Op::Purge { tablet: trashed.tablet, replica: id, evidence: evidence.clone() });
    }
    copies::install(book, id)
}

/// The committed load that follows the head of a good replica.
fn install_load(book: &Book, id: ReplicaId, held: &Held) -> Option<Op> {
    if book.state != DiskState::Online || held.bad.is_some() {
        return None;
    }
    let ready = |key: &(LoadId, TabletId), staged: &Staged| {
        staged.replica == id
            && staged.committed
            && staged.failed.is_none()
            && staged.parent == held.head
            && staged.version > held.head
            && !book.discarding.contains(key)
    };
    let next = book.staged.iter().filter(|(key, staged)| ready(key, staged)).min_by_key(|(_, staged)| staged.version);
    next.map(|((load, tablet), staged)| Op::InstallLoad {
        load: *load,
        tablet: *tablet,
        replica: id,
        parent: staged.parent,
        version: staged.version,
        hash: staged.hash,
    })
}
