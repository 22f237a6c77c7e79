//! "A finished op *means* ...": what its result says about the disk.
//!
//! In: the book, the op, its result. Out: records. A result of an op that is not in flight says nothing about the book and
//! is ignored, except that a failing disk is a failing disk. "Not found" makes a replica gone only on an ONLINE disk and
//! when nothing else works on it: cannot-see never becomes is-not-there.

use crate::book::{Book, CopyPhase, FULL_PAUSE_MS, Held, LeftoverState, Trashed};
use crate::event::{Action, Change, LeftoverStep, LoadStep, Op, OpFailure, OpResult, ReplicaStep, TrashStep};
use crate::{copies, orders};
use stele_common::{DiskState, LoadId, ReplicaId, TabletId, TabletLabel, Tick, Version, VersionHash};

/// Takes a result in.
pub(crate) fn decide(book: &Book, at: Tick, op: &Op, result: &OpResult) -> Vec<Action> {
    let mut actions = Vec::new();
    if is_in_flight(book, op) {
        actions.push(Action::Record(Change::Ended { op: op.clone() }));
        actions.extend(meaning(book, at, op, result));
    }
    if let OpResult::Failed(OpFailure::Disk { detail }) = result {
        actions.extend(disk_turned(book, at, DiskState::Suspect, Some(detail.clone())));
    }
    actions
}

fn is_in_flight(book: &Book, op: &Op) -> bool {
    match op {
        Op::Fetch { order, .. } => {
            book.copies.get(&order.task).is_some_and(|copy| copy.order == *order && copy.phase == CopyPhase::Fetching)
        }
        Op::DiscardCopy { tablet, .. } => {
            book.leftovers.get(tablet).is_some_and(|leftover| leftover.state == LeftoverState::Removing)
        }
        Op::DiscardLoad { load, tablet } => book.discarding.contains(&(*load, *tablet)),
        Op::Verify { replica, .. } => book.reading.contains(replica),
        Op::Create { .. }
        | Op::InstallCopy { .. }
        | Op::InstallLoad { .. }
        | Op::Drop { .. }
        | Op::Purge { .. }
        | Op::Confirm { .. }
        | Op::Collect { .. } => op.replica().is_some_and(|replica| book.busy.get(&replica) == Some(op)),
    }
}

fn meaning(book: &Book, at: Tick, op: &Op, result: &OpResult) -> Vec<Action> {
    match op {
        Op::Create { label } => created(at, label, result),
        Op::Fetch { order, .. } => copies::fetched(book, at, order, result),
        Op::InstallCopy { task, .. } => copies::installed(book, at, *task, op, result),
        Op::DiscardCopy { tablet, .. } => {
            let gone = is_removed(book, result).then(|| Change::leftover(*tablet, LeftoverStep::Gone));
            gone.into_iter().collect()
        }
        Op::InstallLoad { load, tablet, replica, .. } => load_installed(book, at, (*load, *tablet), *replica, result),
        Op::DiscardLoad { load, tablet } => {
            let gone = is_removed(book, result).then(|| Change::load((*load, *tablet), LoadStep::Gone));
            gone.into_iter().collect()
        }
        Op::Drop { tablet, replica, .. } => dropped(book, at, *tablet, *replica, result),
        Op::Purge { replica, .. } => {
            let gone = matches!(result, OpResult::Purged) || (is_absent(result) && book.state == DiskState::Online);
            gone.then(|| Change::trash(*replica, TrashStep::Gone)).into_iter().collect()
        }
        Op::Confirm { replica, nonce, .. } => confirmed(book, at, op, *replica, *nonce, result),
        Op::Verify { replica, .. } => verified(book, at, op, *replica, result),
        Op::Collect { replica, .. } => collected(book, at, op, *replica, result),
    }
}

/// Whether something staged is out of the book. What could not be removed for lack of room or the like is found again by
/// the next scan; trying it at once and for ever helps nobody.
fn is_removed(book: &Book, result: &OpResult) -> bool {
    match result {
        OpResult::Discarded => true,
        OpResult::Failed(OpFailure::Disk { .. }) => false,
        OpResult::Failed(OpFailure::NotFound) => book.state == DiskState::Online,
        OpResult::Failed(OpFailure::Full | OpFailure::Mismatch { .. } | OpFailure::Copy(_))
        | OpResult::Damaged { .. }
        | OpResult::Created
        | OpResult::Fetched { .. }
        | OpResult::Installed { .. }
        | OpResult::Dropped { .. }
        | OpResult::Purged
        | OpResult::Confirmed { .. }
        | OpResult::Verified { .. }
        | OpResult::Collected { .. } => true,
    }
}

fn is_absent(result: &OpResult) -> bool {
    *result == OpResult::Failed(OpFailure::NotFound)
}

fn created(at: Tick, label: &TabletLabel, result: &OpResult) -> Vec<Action> {
    if *result != OpResult::Created {
        return Vec::new();
    }
    // An empty replica holds no byte that was not checked.
    let held = Held { verified: Some(at), ..Held::new(label.clone(), Version::EMPTY, VersionHash::ZERO, 0, 0) };
    vec![Change::replica(label.replica, ReplicaStep::Found(Box::new(held)))]
}

fn load_installed(
    book: &Book,
    at: Tick,
    key: (LoadId, TabletId),
    replica: ReplicaId,
    result: &OpResult,
) -> Vec<Action> {
    let failed = |cause: String| vec![Change::load(key, LoadStep::Failed { cause })];
    if let OpResult::Installed { version, hash, size, files, content_checked } = result {
        // The load's own files were checked as they came in; the others keep their receipt.
        let before = book.replicas.get(&replica).and_then(|held| held.verified);
        let verified = content_checked.then_some(at).or(before);
        let (version, hash, size, files) = (*version, *hash, *size, *files);
        let headed = ReplicaStep::Headed { version, hash, size, files, verified };
        return vec![Change::replica(replica, headed), Change::load(key, LoadStep::Gone)];
    }
    if let OpResult::Damaged { cause } = result {
        // What it builds on is damaged: it waits until that is mended.
        return vec![Change::replica(replica, ReplicaStep::Bad { cause: cause.clone() })];
    }
    match result.failure() {
        OpFailure::Disk { .. } => Vec::new(),
        OpFailure::Full => {
            let step = LoadStep::Postponed { cause: "the disk is full".to_string(), until: at.plus(FULL_PAUSE_MS) };
            vec![Change::load(key, step)]
        }
        OpFailure::Mismatch { detail } => failed(detail),
        OpFailure::Copy(cause) => failed(format!("{cause:?}")),
        OpFailure::NotFound => {
            // Either the load or the replica is not there; reading the replica tells which.
            let mut actions = failed("it is not on the disk any more".to_string());
            actions.push(Change::replica(replica, ReplicaStep::WishVerify));
            actions
        }
    }
}

fn dropped(book: &Book, at: Tick, tablet: TabletId, replica: ReplicaId, result: &OpResult) -> Vec<Action> {
    let OpResult::Dropped { bytes } = result else {
        return if is_absent(result) { gone(book, at, replica) } else { Vec::new() };
    };
    let trashed = Trashed { tablet, bytes: *bytes, dropped: at, age_at_boot: 0, purge: None };
    let mut actions = orders::lose_replica(book, at, tablet, replica);
    actions.push(Change::replica(replica, ReplicaStep::Gone));
    actions.push(Change::trash(replica, TrashStep::Dropped(trashed)));
    actions
}

/// A replica that was looked for on a readable disk and is not there.
fn gone(book: &Book, at: Tick, replica: ReplicaId) -> Vec<Action> {
    if book.state != DiskState::Online {
        return Vec::new();
    }
    let tablet = book.replicas.get(&replica).map(|held| held.label.tablet).unwrap_or_default();
    let mut actions = copies::lose_target(book, at, tablet, replica);
    actions.push(Change::replica(replica, ReplicaStep::Gone));
    actions
}

/// Gone, unless another op works on the replica: then that one will say.
fn gone_if_idle(book: &Book, at: Tick, op: &Op, replica: ReplicaId) -> Vec<Action> {
    let other = book.busy.get(&replica).is_some_and(|busy| busy != op);
    let read = book.reading.contains(&replica) && !matches!(op, Op::Verify { .. });
    if other || read { Vec::new() } else { gone(book, at, replica) }
}

fn bad(replica: ReplicaId, cause: String) -> Vec<Action> {
    vec![Change::replica(replica, ReplicaStep::Bad { cause })]
}

fn confirmed(book: &Book, at: Tick, op: &Op, replica: ReplicaId, nonce: u64, result: &OpResult) -> Vec<Action> {
    let (OpResult::Confirmed { version, hash }, Some(held)) = (result, book.replicas.get(&replica)) else {
        return unread(book, at, op, replica, result);
    };
    let (version, hash) = (*version, *hash);
    let mut actions = vec![Change::replica(replica, ReplicaStep::Confirmed { nonce, version, hash })];
    // Nobody moved the head meanwhile: a confirmation occupies the replica.
    if (version, hash) != (held.head, held.hash) {
        actions.extend(bad(replica, regressed(held, version)));
    }
    actions
}

fn verified(book: &Book, at: Tick, op: &Op, replica: ReplicaId, result: &OpResult) -> Vec<Action> {
    let (OpResult::Verified { version }, Some(held)) = (result, book.replicas.get(&replica)) else {
        return unread(book, at, op, replica, result);
    };
    // Loads may have been installed meanwhile, so the version that was read may lie below the head.
    if held.hash_of(*version).is_none() {
        return bad(replica, regressed(held, *version));
    }
    vec![Change::replica(replica, ReplicaStep::Verified { version: *version, at })]
}

fn collected(book: &Book, at: Tick, op: &Op, replica: ReplicaId, result: &OpResult) -> Vec<Action> {
    let OpResult::Collected { older, size } = result else { return unread(book, at, op, replica, result) };
    vec![Change::replica(replica, ReplicaStep::Collected { older: older.clone(), size: *size })]
}

/// An op that reads a replica did not get through it.
fn unread(book: &Book, at: Tick, op: &Op, replica: ReplicaId, result: &OpResult) -> Vec<Action> {
    if let OpResult::Damaged { cause } = result {
        return bad(replica, cause.clone());
    }
    if is_absent(result) { gone_if_idle(book, at, op, replica) } else { Vec::new() }
}

fn regressed(held: &Held, found: Version) -> String {
    if found == held.head {
        format!("version {found} on the disk has another hash than it had")
    } else {
        format!("regressed: the disk has version {found}, it had version {}", held.head)
    }
}

/// The disk's state changes. SUSPECT is for good in this boot, even over an absence: only a restart judges anew.
pub(crate) fn disk_turned(book: &Book, at: Tick, state: DiskState, cause: Option<String>) -> Vec<Action> {
    let suspected = book.suspected.clone().or(book.cause.clone().filter(|_| book.state == DiskState::Suspect));
    let (state, cause) = match (book.state, state) {
        // What fails on an absent disk fails because it is absent.
        (DiskState::Unavailable, DiskState::Suspect) => return Vec::new(),
        (DiskState::Suspect, DiskState::Online | DiskState::Suspect) => return Vec::new(),
        (DiskState::Unavailable, DiskState::Online) if suspected.is_some() => (DiskState::Suspect, suspected),
        (DiskState::Online, DiskState::Online) => return Vec::new(),
        (DiskState::Unavailable, DiskState::Unavailable) if cause == book.cause => return Vec::new(),
        (DiskState::Online | DiskState::Suspect | DiskState::Unavailable, turned) => {
            (turned, cause.filter(|_| turned != DiskState::Online))
        }
    };
    let mut actions = vec![Action::Record(Change::DiskTurned { state, cause: cause.clone() })];
    if state != DiskState::Online {
        actions.extend(copies::lose_disk(book, at, state, cause.as_ref()));
    }
    actions
}
