//! "The coordinator *is told*": what a book says, as facts; what changed since it was last told; and a full report in
//! pages.
//!
//! In: the book and the time; the facts told before. Out: facts. The shell adds the disk's and the host's own facts under
//! [`Key::Disk`] and [`Key::Host`], merges the books of all its disks into one map, and remembers the map that it told
//! last. A disk that is away changes no replica's fact: its replicas are unknown, not gone.

use crate::book::{Book, Copying, Held, Staged};
use crate::trash;
use std::collections::BTreeMap;
use stele_common::{
    DiskId, Fact, LoadFact, LoadId, LoadState, ReplicaFact, ReplicaId, ReportKind, TabletId, TaskFact, TaskId,
    TaskProgress, Tick, TrashFact, Version,
};

/// What a fact is about. Two facts of one key replace each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Host,
    Disk(DiskId),
    /// With the moment of the last verification in this boot: ages grow by themselves and are not compared, so this is how
    /// a new verification becomes a change.
    Replica(ReplicaId, Option<Tick>),
    Load(LoadId, ReplicaId),
    Task(TaskId),
    Confirmed(ReplicaId),
    Trash(ReplicaId),
}

/// Everything that the book has to tell. [`TrashFact::due`] is false: see [`trash::mark`].
pub fn facts(book: &Book, now: Tick) -> BTreeMap<Key, Fact> {
    let mut facts = BTreeMap::new();
    let pending = pending(book);
    for (id, held) in &book.replicas {
        let waits = pending.get(id).copied().unwrap_or_default();
        facts.insert(Key::Replica(*id, held.verified), Fact::Replica(replica(book, *id, held, waits, now)));
        if let Some(answer) = held.confirmed {
            let fact = Fact::Confirmed {
                tablet: held.label.tablet,
                replica: *id,
                version: answer.version,
                hash: answer.hash,
                nonce: answer.nonce,
            };
            facts.insert(Key::Confirmed(*id), fact);
        }
    }
    for ((load, tablet), staged) in &book.staged {
        // What is being removed is not told as there.
        if !staged.aborted && !book.discarding.contains(&(*load, *tablet)) {
            facts.insert(Key::Load(*load, staged.replica), Fact::Load(load_fact(book, *load, *tablet, staged)));
        }
    }
    for (task, ended) in &book.ended {
        let state = ended.progress.clone();
        let fact = TaskFact { task: *task, tablet: ended.tablet, replica: ended.replica, state };
        facts.insert(Key::Task(*task), Fact::Task(fact));
    }
    for (task, copy) in &book.copies {
        facts.insert(Key::Task(*task), Fact::Task(running(*task, copy)));
    }
    for (id, trashed) in &book.trash {
        let fact = TrashFact {
            tablet: trashed.tablet,
            replica: *id,
            disk: book.disk,
            bytes: trashed.bytes,
            age_ms: trash::age(trashed, now),
            due: false,
        };
        facts.insert(Key::Trash(*id), Fact::Trash(fact));
    }
    facts
}

/// The highest version per replica that is committed here and waits for its parent.
fn pending(book: &Book) -> BTreeMap<ReplicaId, Version> {
    let mut pending = BTreeMap::new();
    for staged in book.staged.values().filter(|staged| staged.committed && staged.failed.is_none()) {
        let highest = pending.entry(staged.replica).or_insert(staged.version);
        *highest = staged.version.max(*highest);
    }
    pending
}

fn replica(book: &Book, id: ReplicaId, held: &Held, waits: Version, now: Tick) -> ReplicaFact {
    ReplicaFact {
        tablet: held.label.tablet,
        replica: id,
        disk: book.disk,
        version: held.head,
        hash: held.hash,
        pending: held.head.max(waits),
        bad: held.bad.clone(),
        size: held.size,
        files: held.files,
        verified_age_ms: held.verified.map(|at| now.since(at)),
        oldest: held.oldest(),
    }
}

fn load_fact(book: &Book, load: LoadId, tablet: TabletId, staged: &Staged) -> LoadFact {
    let state = match &staged.failed {
        Some(cause) => LoadState::Failed { cause: cause.clone() },
        None if staged.committed => LoadState::Pending,
        None => LoadState::Prepared,
    };
    LoadFact {
        load,
        tablet,
        replica: staged.replica,
        disk: book.disk,
        ballot: staged.ballot,
        parent: staged.parent,
        version: staged.version,
        hash: staged.hash,
        bytes: staged.bytes,
        state,
    }
}

fn running(task: TaskId, copy: &Copying) -> TaskFact {
    let state = TaskProgress::Running { bytes_done: copy.bytes_done, bytes_total: copy.bytes_total };
    TaskFact { task, tablet: copy.order.label.tablet, replica: copy.order.label.replica, state }
}

/// What to tell so that one who was told `told` knows `now`. Ages alone are no change.
pub fn diff(told: &BTreeMap<Key, Fact>, now: &BTreeMap<Key, Fact>) -> Vec<Fact> {
    let mut news = Vec::new();
    // Departures first: a replica that moved to the trash leaves before its trash is told.
    for (key, fact) in told.iter().filter(|(key, _)| !is_there(now, **key)) {
        news.extend(departure(*key, fact));
    }
    let is_news = |old: &Fact, fact: &Fact| old != fact && ageless(old) != ageless(fact);
    let changed = now.iter().filter(|(key, fact)| told.get(key).is_none_or(|old| is_news(old, fact)));
    news.extend(changed.map(|(_, fact)| fact.clone()));
    news
}

fn is_there(facts: &BTreeMap<Key, Fact>, key: Key) -> bool {
    match key {
        Key::Replica(id, _) => {
            facts.range(Key::Replica(id, None)..=Key::Replica(id, Some(Tick(u64::MAX)))).next().is_some()
        }
        Key::Host | Key::Disk(_) | Key::Load(..) | Key::Task(_) | Key::Confirmed(_) | Key::Trash(_) => {
            facts.contains_key(&key)
        }
    }
}

/// How a fact that is no more is told; loads and tasks end by what they became.
fn departure(key: Key, fact: &Fact) -> Option<Fact> {
    match (key, fact) {
        (Key::Replica(..), Fact::Replica(old)) => {
            Some(Fact::ReplicaGone { tablet: old.tablet, replica: old.replica, disk: old.disk })
        }
        (Key::Trash(_), Fact::Trash(old)) => Some(Fact::TrashGone { tablet: old.tablet, replica: old.replica }),
        (
            Key::Host
            | Key::Disk(_)
            | Key::Replica(..)
            | Key::Load(..)
            | Key::Task(_)
            | Key::Confirmed(_)
            | Key::Trash(_),
            _,
        ) => None,
    }
}

fn ageless(fact: &Fact) -> Fact {
    let mut fact = fact.clone();
    match &mut fact {
        Fact::Replica(replica) => replica.verified_age_ms = replica.verified_age_ms.map(|_| 0),
        Fact::Trash(trash) => trash.age_ms = 0,
        Fact::Disk(_)
        | Fact::ReplicaGone { .. }
        | Fact::Load(_)
        | Fact::Task(_)
        | Fact::Confirmed { .. }
        | Fact::TrashGone { .. }
        | Fact::Host(_) => {}
    }
    fact
}

/// All facts in pages of at most `facts_per_page`; an agent that has nothing says so with one empty page.
pub fn full(facts: &BTreeMap<Key, Fact>, facts_per_page: usize) -> Vec<(ReportKind, Vec<Fact>)> {
    let all: Vec<Fact> = facts.values().cloned().collect();
    let mut pages: Vec<Vec<Fact>> = all.chunks(facts_per_page.max(1)).map(<[Fact]>::to_vec).collect();
    if pages.is_empty() {
        pages.push(Vec::new());
    }
    let last = pages.len() - 1;
    let kind = |page| match page {
        0 if last == 0 => ReportKind::FullOnly,
        0 => ReportKind::FullFirst,
        page if page == last => ReportKind::FullLast,
        _ => ReportKind::FullMore,
    };
    pages.into_iter().enumerate().map(|(page, facts)| (kind(page), facts)).collect()
}

#[cfg(test)]
mod tests;
