//! "An order *is refused* / *becomes* ...": what each of the coordinator's orders does to the book.
//!
//! In: the book and one order. Out: wishes and records, or the reason why not. The fence comes first: an order of a
//! leadership that is over changes nothing; one that names another replica than lies here changes nothing. An order that
//! comes again while its wish stands, or after it was followed, does nothing.

use crate::book::{Book, Held};
use crate::copies;
use crate::event::{Action, Change, CopyStep, LoadStep, Op, Refused, ReplicaStep, TrashStep};
use crate::next::begin;
use stele_common::{
    CloneOrder, DiskState, Evidence, LoadId, Order, OrderBody, ReplicaId, TabletId, TabletLabel, TaskFailure, TaskId,
    Tick, Version, VersionHash,
};

type Followed = Result<Vec<Action>, Refused>;

/// Follows or refuses one order.
pub(crate) fn decide(book: &Book, at: Tick, order: &Order) -> Vec<Action> {
    if order.epoch < book.epoch {
        return vec![Action::Explain(Refused::StaleEpoch)];
    }
    let mut actions = Vec::new();
    if order.epoch > book.epoch {
        actions.push(Action::Record(Change::EpochSeen { epoch: order.epoch }));
    }
    let followed = match &order.body {
        OrderBody::Create { disk, label } if *disk == book.disk => create(book, label),
        OrderBody::Clone(order) if order.disk == book.disk => clone(book, at, order),
        OrderBody::Create { .. } | OrderBody::Clone(_) => Err(Refused::OtherDisk),
        OrderBody::CancelTask { task } => cancel(book, at, *task),
        OrderBody::Drop { tablet, replica, evidence } => drop(book, at, *tablet, *replica, evidence),
        OrderBody::Purge { tablet, replica, evidence } => purge(book, *tablet, *replica, evidence),
        OrderBody::CommitLoad { load, tablet, replica, version, hash } => {
            commit(book, (*load, *tablet), *replica, *version, *hash)
        }
        OrderBody::AbortLoad { load } => abort(book, *load),
        OrderBody::DiscardLoad { load, tablet, replica } => discard(book, (*load, *tablet), *replica),
        OrderBody::Confirm { tablet, replica, nonce } => confirm(book, *tablet, *replica, *nonce),
        OrderBody::Verify { tablet, replica } => verify(book, *tablet, *replica),
        OrderBody::Collect { tablet, replica, below } => collect(book, *tablet, *replica, *below),
    };
    match followed {
        Ok(more) => actions.extend(more),
        Err(refused) => actions.push(Action::Explain(refused)),
    }
    actions
}

fn writable(book: &Book) -> Result<(), Refused> {
    if book.state == DiskState::Online { Ok(()) } else { Err(Refused::DiskNotOnline) }
}

fn readable(book: &Book) -> Result<(), Refused> {
    if book.state == DiskState::Unavailable { Err(Refused::DiskNotOnline) } else { Ok(()) }
}

/// The replica named, only if it lies here and belongs to the tablet named.
fn held(book: &Book, tablet: TabletId, replica: ReplicaId) -> Result<&Held, Refused> {
    let held = book.replicas.get(&replica).ok_or(Refused::NoSuchReplica)?;
    if held.label.tablet == tablet { Ok(held) } else { Err(Refused::OtherTablet) }
}

fn create(book: &Book, label: &TabletLabel) -> Followed {
    writable(book)?;
    if book.trash.contains_key(&label.replica) {
        return Err(Refused::NoSuchReplica);
    }
    match book.busy.get(&label.replica) {
        Some(Op::Create { .. }) => return Ok(Vec::new()),
        Some(_) => return Err(Refused::AlreadyThere),
        None => {}
    }
    let coming = book.copies.values().any(|copy| copy.order.label.replica == label.replica);
    if coming || book.replicas.contains_key(&label.replica) {
        return Err(Refused::AlreadyThere);
    }
    Ok(begin(Op::Create { label: label.clone() }))
}

/// A copy is taken up or answered: what is refused in silence keeps the coordinator waiting until it calls it stalled.
fn clone(book: &Book, at: Tick, order: &CloneOrder) -> Followed {
    if book.copies.contains_key(&order.task) || book.ended.contains_key(&order.task) {
        return Ok(Vec::new());
    }
    let queued = Change::copy(order.task, CopyStep::Queued { order: Box::new(order.clone()) });
    Ok(match taken_up(book, at, order) {
        Ok(mut actions) => {
            actions.push(queued);
            actions
        }
        Err(refused) => {
            let detail = refused.as_str().to_string();
            let is_of_disk = refused == Refused::DiskNotOnline;
            let cause = if is_of_disk { TaskFailure::Disk { detail } } else { TaskFailure::Refused { detail } };
            vec![queued, Change::copy(order.task, CopyStep::Failed { cause }), Action::Explain(refused)]
        }
    })
}

/// What comes before the copy: a newer task of a tablet takes the place of an older one, whose end was not heard here.
fn taken_up(book: &Book, at: Tick, order: &CloneOrder) -> Followed {
    writable(book)?;
    let (tablet, replica) = (order.label.tablet, order.label.replica);
    let mut actions = Vec::new();
    match held(book, tablet, replica) {
        Ok(held) if held.wishes.drop.is_some() => return Err(Refused::NoSuchReplica),
        Ok(held) => actions.extend(differs(held, replica, order.version, order.hash)),
        Err(Refused::NoSuchReplica) if !book.trash.contains_key(&replica) => {}
        Err(refused) => return Err(refused),
    }
    if matches!(book.busy.get(&replica), Some(Op::Create { .. })) {
        return Err(Refused::TabletBusy);
    }
    let others = book.copies.iter().filter(|(_, copy)| copy.order.label.tablet == tablet && !copy.cancelled);
    for (task, copy) in others {
        if *task > order.task {
            return Err(Refused::TabletBusy);
        }
        actions.extend(copies::cancel(at, *task, copy));
    }
    Ok(actions)
}

/// The recorded hash is the truth about a version: a replica that holds another content under that number is bad.
fn differs(held: &Held, replica: ReplicaId, version: Version, hash: VersionHash) -> Option<Action> {
    let found = held.hash_of(version).filter(|found| *found != hash && held.bad.is_none())?;
    let cause = format!("version {version} has the hash {found}, the committed one is {hash}");
    Some(Change::replica(replica, ReplicaStep::Bad { cause }))
}

/// Writes nothing, so it is followed on any disk.
fn cancel(book: &Book, at: Tick, task: TaskId) -> Followed {
    match book.copies.get(&task) {
        Some(copy) => Ok(copies::cancel(at, task, copy)),
        None if book.ended.contains_key(&task) => Ok(Vec::new()),
        None => Err(Refused::NoSuchTask),
    }
}

fn drop(book: &Book, at: Tick, tablet: TabletId, replica: ReplicaId, evidence: &Evidence) -> Followed {
    writable(book)?;
    match held(book, tablet, replica) {
        Ok(held) if held.wishes.drop.is_some() => Ok(Vec::new()),
        Ok(_) => Ok(vec![Change::replica(replica, ReplicaStep::WishDrop { evidence: evidence.clone() })]),
        Err(Refused::NoSuchReplica) if book.trash.get(&replica).is_some_and(|trashed| trashed.tablet == tablet) => {
            Ok(Vec::new())
        }
        Err(Refused::NoSuchReplica) => {
            // Not there, but perhaps on its way: this incarnation shall not be.
            let mut actions = lose_replica(book, at, tablet, replica);
            actions.push(Action::Explain(Refused::NoSuchReplica));
            Ok(actions)
        }
        Err(refused) => Err(refused),
    }
}

/// What was under way for a replica that is gone for good: copies end, committed loads cannot be installed.
/// Loads that wait for the coordinator's word keep waiting.
pub(crate) fn lose_replica(book: &Book, at: Tick, tablet: TabletId, replica: ReplicaId) -> Vec<Action> {
    let mut actions = copies::lose_target(book, at, tablet, replica);
    for (key, staged) in &book.staged {
        if key.1 == tablet && staged.replica == replica && staged.committed && staged.failed.is_none() {
            actions.push(Change::load(*key, dropped(replica)));
        }
    }
    actions
}

fn dropped(replica: ReplicaId) -> LoadStep {
    LoadStep::Failed { cause: format!("replica {replica} is not on this disk any more") }
}

fn purge(book: &Book, tablet: TabletId, replica: ReplicaId, evidence: &Evidence) -> Followed {
    writable(book)?;
    let trashed = book.trash.get(&replica).ok_or(Refused::NoSuchReplica)?;
    if trashed.tablet != tablet {
        return Err(Refused::OtherTablet);
    }
    let wish = Change::trash(replica, TrashStep::WishPurge { evidence: evidence.clone() });
    Ok(if trashed.purge.is_some() { Vec::new() } else { vec![wish] })
}

fn commit(book: &Book, key: (LoadId, TabletId), replica: ReplicaId, version: Version, hash: VersionHash) -> Followed {
    writable(book)?;
    let held = match held(book, key.1, replica) {
        Ok(held) => Some(held),
        Err(Refused::NoSuchReplica) => None,
        Err(refused) => return Err(refused),
    };
    let mut actions: Vec<Action> = held.and_then(|held| differs(held, replica, version, hash)).into_iter().collect();
    let staged = book.staged.get(&key).filter(|staged| staged.replica == replica && !staged.aborted);
    let Some(staged) = staged else {
        // Installed before, or overtaken by a copy: followed. Otherwise it never became durable here.
        let done = held.is_some_and(|held| held.head >= version);
        return if done { Ok(actions) } else { Err(Refused::NoSuchLoad) };
    };
    if version != staged.version || hash != staged.hash {
        if !staged.committed && staged.failed.is_none() {
            let cause = format!(
                "prepared as version {} with the hash {}, committed as version {version} with the hash {hash}",
                staged.version, staged.hash
            );
            actions.push(Change::load(key, LoadStep::Failed { cause }));
        }
    } else if book.trash.contains_key(&replica) {
        actions.extend(staged.failed.is_none().then(|| Change::load(key, dropped(replica))));
    } else if (!staged.committed || staged.failed.is_some())
        && !book.discarding.contains(&key)
        && !book.postponed.contains_key(&key)
    {
        actions.push(Change::load(key, LoadStep::Committed));
    }
    Ok(actions)
}

/// A part whose replica is gone, decided or not: what was dropped and purged here left no trace that could say so.
fn discard(book: &Book, key: (LoadId, TabletId), replica: ReplicaId) -> Followed {
    writable(book)?;
    let staged = book.staged.get(&key).filter(|staged| staged.replica == replica).ok_or(Refused::NoSuchLoad)?;
    let is_coming = book.copies.values().any(|copy| copy.order.label.replica == replica);
    if is_coming || book.replicas.contains_key(&replica) || book.busy.contains_key(&replica) {
        return Err(Refused::AlreadyThere);
    }
    Ok(staged.failed.is_none().then(|| Change::load(key, dropped(replica))).into_iter().collect())
}

/// The only way an uncommitted load of a replica that stays goes. A committed one never does by this.
fn abort(book: &Book, load: LoadId) -> Followed {
    writable(book)?;
    let parts: Vec<_> = book.staged.iter().filter(|((id, _), _)| *id == load).collect();
    if parts.is_empty() {
        return Err(Refused::NoSuchLoad);
    }
    let open = parts.into_iter().filter(|(_, staged)| !staged.committed && !staged.aborted);
    Ok(open.map(|(key, _)| Change::load(*key, LoadStep::Aborted)).collect())
}

fn confirm(book: &Book, tablet: TabletId, replica: ReplicaId, nonce: u64) -> Followed {
    readable(book)?;
    let held = held(book, tablet, replica)?;
    let known = held.wishes.confirm == Some(nonce) || held.confirmed.is_some_and(|answer| answer.nonce == nonce);
    let wish = Change::replica(replica, ReplicaStep::WishConfirm { nonce });
    Ok(if known { Vec::new() } else { vec![wish] })
}

fn verify(book: &Book, tablet: TabletId, replica: ReplicaId) -> Followed {
    readable(book)?;
    let held = held(book, tablet, replica)?;
    let wish = Change::replica(replica, ReplicaStep::WishVerify);
    Ok(if held.wishes.verify { Vec::new() } else { vec![wish] })
}

fn collect(book: &Book, tablet: TabletId, replica: ReplicaId, below: Version) -> Followed {
    writable(book)?;
    let held = held(book, tablet, replica)?;
    let below = below.min(held.head);
    let known = held.wishes.collect_below.is_some_and(|wanted| wanted >= below);
    let nothing = held.older.range(..below).next().is_none();
    let wish = Change::replica(replica, ReplicaStep::WishCollect { below });
    Ok(if known || nothing { Vec::new() } else { vec![wish] })
}
