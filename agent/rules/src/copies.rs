//! "A copy *goes on*, *is finished* or *is given up* when ...": everything about receiving a replica from a peer.
//!
//! In: the book, a fetch's end, a cancellation, the loss of what it was for. Out: the next step of the copy. The staging
//! directory belongs to the tablet, so of two copies of one tablet (the first of them cancelled) the second waits. What a
//! failed copy leaves is kept for the next try ([`crate::book::RESUME_MS`]); what nobody wants is removed.

use crate::book::{Book, CopyPhase, Copying, Held, Leftover, LeftoverState, RESUME_MS};
use crate::event::{Action, Change, CopyStep, LeftoverStep, Op, OpFailure, OpResult, ReplicaStep};
use crate::next::begin;
use stele_common::{CloneOrder, DiskState, ReplicaId, TabletId, TaskFailure, TaskId, Tick, Version};

/// What a staged copy is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// It makes, advances or mends the replica.
    Install,
    /// A good replica is there already, or ahead.
    Nothing,
    /// The replica is bad and ahead of it; a head never goes back.
    TooOld,
    /// The replica was found bad after its files had been counted on: another copy must check them.
    Unchecked,
}

fn worth(book: &Book, copy: &Copying, version: Version) -> Worth {
    let Some(held) = book.replicas.get(&copy.order.label.replica) else { return Worth::Install };
    match &held.bad {
        None if version > held.head => Worth::Install,
        None => Worth::Nothing,
        Some(_) if copy.has_begun() && !copy.mend => Worth::Unchecked,
        Some(_) if version >= held.head => Worth::Install,
        Some(_) => Worth::TooOld,
    }
}

/// Starts what is queued and may start, and ends what is not needed any more.
pub(crate) fn start(book: &Book) -> Vec<Action> {
    let online = book.state == DiskState::Online;
    let mut actions = Vec::new();
    for (task, copy) in &book.copies {
        if copy.phase != CopyPhase::Queued {
            continue;
        }
        if worth(book, copy, copy.order.version) == Worth::Nothing {
            actions.push(Change::copy(*task, CopyStep::Done));
        } else if online && staging_is_free(book, *task, copy.order.label.tablet) {
            let mend = book.replicas.get(&copy.order.label.replica).is_some_and(|held| held.bad.is_some());
            actions.extend(begin(Op::Fetch { order: copy.order.clone(), mend }));
        }
    }
    actions
}

fn staging_is_free(book: &Book, task: TaskId, tablet: TabletId) -> bool {
    let removing = book.leftovers.get(&tablet).is_some_and(|leftover| leftover.state == LeftoverState::Removing);
    let taken = |(id, copy): (&TaskId, &Copying)| *id != task && copy.order.label.tablet == tablet && copy.has_begun();
    !removing && !book.copies.iter().any(taken)
}

/// What to do with the staged copy of an idle replica, if there is one.
pub(crate) fn install(book: &Book, replica: ReplicaId) -> Vec<Action> {
    let staged = book.copies.iter().find_map(|(task, copy)| match copy.phase {
        CopyPhase::Fetched { version, hash, .. } if copy.order.label.replica == replica => {
            Some((*task, copy, version, hash))
        }
        CopyPhase::Queued | CopyPhase::Fetching | CopyPhase::Fetched { .. } | CopyPhase::Installing { .. } => None,
    });
    let Some((task, copy, version, hash)) = staged else { return Vec::new() };
    let refused = |detail: String| Change::copy(task, CopyStep::Failed { cause: TaskFailure::Refused { detail } });
    match worth(book, copy, version) {
        Worth::Install => {
            begin(Op::InstallCopy { task, label: copy.order.label.clone(), version, hash, mend: copy.mend })
        }
        Worth::Nothing => vec![Change::copy(task, CopyStep::Done), unwanted(task, copy)],
        Worth::TooOld => {
            let detail = format!("the bad replica {replica} is ahead of the copy, which is at version {version}");
            vec![refused(detail), unwanted(task, copy)]
        }
        Worth::Unchecked => {
            let detail = format!("the replica {replica} was found bad while its copy was being received");
            vec![refused(detail), unwanted(task, copy)]
        }
    }
}

/// What the end of a fetch means.
pub(crate) fn fetched(book: &Book, at: Tick, order: &CloneOrder, result: &OpResult) -> Vec<Action> {
    let Some(copy) = book.copies.get(&order.task) else { return Vec::new() };
    // Even if it was made durable: on a disk that has failed meanwhile that is not to be trusted.
    if book.state != DiskState::Online {
        let detail = out(book.state, book.cause.as_ref());
        return fail(at, order.task, copy, TaskFailure::Disk { detail });
    }
    if copy.cancelled {
        return fail(at, order.task, copy, TaskFailure::Cancelled);
    }
    let OpResult::Fetched { version, hash, bytes_copied, bytes_reused } = result else {
        return fail(at, order.task, copy, failure(&result.failure()));
    };
    if *version < order.version || (*version == order.version && *hash != order.hash) {
        let detail = format!("the source gave version {version}, which is not what was ordered ({})", order.version);
        return fail(at, order.task, copy, TaskFailure::Refused { detail });
    }
    let (bytes_copied, bytes_reused) = (*bytes_copied, *bytes_reused);
    vec![Change::copy(order.task, CopyStep::Fetched { version: *version, hash: *hash, bytes_copied, bytes_reused })]
}

/// What the end of an install means. `op` is out of the book already.
pub(crate) fn installed(book: &Book, at: Tick, task: TaskId, op: &Op, result: &OpResult) -> Vec<Action> {
    let Op::InstallCopy { label, .. } = op else { return Vec::new() };
    let OpResult::Installed { version, hash, size, files, content_checked } = result else {
        let copy = book.copies.get(&task);
        return copy.map(|copy| fail(at, task, copy, failure(&result.failure()))).unwrap_or_default();
    };
    // What was there and good keeps its receipt: only what came in was checked now.
    let before = book.replicas.get(&label.replica);
    let verified = content_checked.then_some(at).or(before.and_then(|held| held.verified));
    let mut actions = Vec::new();
    if before.is_none() {
        let held = Held::new(label.clone(), *version, *hash, *size, *files);
        actions.push(Change::replica(label.replica, ReplicaStep::Found(Box::new(held))));
    }
    let (version, hash, size, files) = (*version, *hash, *size, *files);
    actions.push(Change::replica(label.replica, ReplicaStep::Headed { version, hash, size, files, verified }));
    if *content_checked {
        actions.push(Change::replica(label.replica, ReplicaStep::Fresh));
    }
    actions.push(Change::copy(task, CopyStep::Done));
    actions
}

/// Gives a copy up, as ordered.
pub(crate) fn cancel(at: Tick, task: TaskId, copy: &Copying) -> Vec<Action> {
    give_up(at, task, copy, TaskFailure::Cancelled)
}

/// Every copy into this replica ends: it was dropped, or it is not there any more.
pub(crate) fn lose_target(book: &Book, at: Tick, tablet: TabletId, replica: ReplicaId) -> Vec<Action> {
    let is_into = |copy: &Copying| (copy.order.label.tablet, copy.order.label.replica) == (tablet, replica);
    let into = book.copies.iter().filter(|(_, copy)| is_into(copy));
    into.flat_map(|(task, copy)| cancel(at, *task, copy)).collect()
}

/// Every copy on this disk ends: it is not ONLINE any more.
pub(crate) fn lose_disk(book: &Book, at: Tick, state: DiskState, cause: Option<&String>) -> Vec<Action> {
    let detail = out(state, cause);
    let all = book.copies.iter();
    all.flat_map(|(task, copy)| give_up(at, *task, copy, TaskFailure::Disk { detail: detail.clone() })).collect()
}

/// Ends what no thread works on; tells the thread of what is being fetched; lets an install end by itself.
fn give_up(at: Tick, task: TaskId, copy: &Copying, cause: TaskFailure) -> Vec<Action> {
    match copy.phase {
        CopyPhase::Queued => vec![Change::copy(task, CopyStep::Failed { cause })],
        CopyPhase::Fetched { .. } => fail(at, task, copy, cause),
        CopyPhase::Fetching | CopyPhase::Installing { .. } if copy.cancelled => Vec::new(),
        CopyPhase::Fetching | CopyPhase::Installing { .. } => vec![Change::copy(task, CopyStep::Cancelled)],
    }
}

/// Leftovers that nobody came back for.
pub(crate) fn stale_leftovers(book: &Book, now: Tick) -> Vec<Action> {
    let stale = |leftover: &Leftover| leftover.state == LeftoverState::Kept && now.since(leftover.since) >= RESUME_MS;
    let stale = book.leftovers.iter().filter(|(_, leftover)| stale(leftover));
    stale.map(|(tablet, _)| Change::leftover(*tablet, LeftoverStep::Due)).collect()
}

/// Removes the leftovers that are due, unless a copy of the tablet works there or is about to take them over.
pub(crate) fn discards(book: &Book) -> Vec<Action> {
    if book.state != DiskState::Online {
        return Vec::new();
    }
    let wanted = |tablet: TabletId| book.copies.values().any(|copy| copy.order.label.tablet == tablet);
    let is_due = |tablet: TabletId, leftover: &Leftover| leftover.state == LeftoverState::Due && !wanted(tablet);
    let due = book.leftovers.iter().filter(|(tablet, leftover)| is_due(**tablet, leftover));
    due.flat_map(|(tablet, leftover)| {
        begin(Op::DiscardCopy { task: leftover.task, tablet: *tablet, replica: leftover.replica })
    })
    .collect()
}

fn fail(at: Tick, task: TaskId, copy: &Copying, cause: TaskFailure) -> Vec<Action> {
    let state = match cause {
        // Nobody will come back for it, or its space is needed.
        TaskFailure::Cancelled | TaskFailure::DiskFull => LeftoverState::Due,
        TaskFailure::SourceDamaged { .. }
        | TaskFailure::SourceLost { .. }
        | TaskFailure::Disk { .. }
        | TaskFailure::Refused { .. } => LeftoverState::Kept,
    };
    let leftover = Leftover { task, replica: copy.order.label.replica, since: at, state };
    let kept = Change::leftover(copy.order.label.tablet, LeftoverStep::Kept(leftover));
    vec![Change::copy(task, CopyStep::Failed { cause }), kept]
}

fn unwanted(task: TaskId, copy: &Copying) -> Action {
    let replica = copy.order.label.replica;
    let leftover = Leftover { task, replica, since: Tick(0), state: LeftoverState::Due };
    Change::leftover(copy.order.label.tablet, LeftoverStep::Kept(leftover))
}

fn failure(failure: &OpFailure) -> TaskFailure {
    match failure {
        OpFailure::NotFound => TaskFailure::Refused { detail: "what was staged is not there any more".to_string() },
        OpFailure::Disk { detail } => TaskFailure::Disk { detail: detail.clone() },
        OpFailure::Full => TaskFailure::DiskFull,
        OpFailure::Mismatch { detail } => TaskFailure::Refused { detail: detail.clone() },
        OpFailure::Copy(cause) => cause.clone(),
    }
}

fn out(state: DiskState, cause: Option<&String>) -> String {
    let state = match state {
        DiskState::Online => "ONLINE",
        DiskState::Suspect => "SUSPECT",
        DiskState::Unavailable => "UNAVAILABLE",
    };
    cause.map_or_else(|| format!("the disk is {state}"), |cause| format!("the disk is {state}: {cause}"))
}
