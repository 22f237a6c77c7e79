//! What waits, and what comes before what.
//!
//! In: verdicts, the outcome of visits. Out: the next tablet to look at. Each entry stands in exactly one place:
//!
//! ```text
//!            verdict               granted                       ended
//! (nowhere) ────────▶ READY ───────────────────▶ AWAY ──────────────────────▶ READY, or LATER after a failure
//!                     ▲  │ ▲ └── slots taken ──▶ BUSY (on disks) ── a slot frees ──▶ READY
//!                     │  │ └───────────────────── LATER (until) ◀── refused, or not ready
//!                     └──┴── time, or the cause changed
//! ```
//!
//! Order: priority, then earlier last visit, then who came in first. Bounded: beyond `queue_max` the idle give way to the
//! urgent.

use super::priority::Urgency;
use crate::Reason;
use crate::checkup::Verdict;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskId, Priority, TabletId, TabletStatus, Tick};

/// One tablet that needs something.
#[derive(Clone, Debug)]
pub struct Entry {
    pub tablet: TabletId,
    /// Its turn among those of one priority that were visited at the same time; given by the queue when it comes in.
    pub turn: u64,
    pub verdict: Verdict,
    pub urgency: Urgency,
    pub queued: Tick,
    pub visited: Tick,
    /// Tasks that ended without success, in a row.
    pub failures: u32,
    /// Refusals in a row, for the back-off.
    pub refusals: u32,
    /// Why it has not been done yet.
    pub reason: Option<Reason>,
    pub place: Place,
}

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Ready,
    Later {
        until: Tick,
        after: After,
    },
    Busy {
        disks: Vec<DiskId>,
    },
    /// Proposed or running.
    Away,
}

/// What it waits after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It may come back by itself.
    Wait,
    /// Impossible as things were.
    Refusal,
    /// Its task failed.
    Failure,
}

/// Field order is the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    priority: Priority,
    visited: Tick,
    turn: u64,
    pub tablet: TabletId,
}

/// All entries, indexed by place.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    entries: BTreeMap<TabletId, Entry>,
    /// Ready copies, which need slots, and ready deletions, which do not.
    copies: BTreeSet<Key>,
    deletions: BTreeSet<Key>,
    later: BTreeSet<(Tick, TabletId)>,
    refused: BTreeSet<TabletId>,
    busy: BTreeMap<DiskId, BTreeSet<Key>>,
    /// Everything but what is away: the last gives way when the queue is full.
    standing: BTreeSet<Key>,
    /// The turn of the next to come in.
    turn: u64,
}

impl Queue {
    pub fn get(&self, tablet: TabletId) -> Option<&Entry> {
        self.entries.get(&tablet)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// In the order in which they would be looked at; those away are not among them.
    pub fn standing(&self) -> impl Iterator<Item = &Entry> {
        self.standing.iter().filter_map(|key| self.entries.get(&key.tablet))
    }

    /// Changes an entry, and where it stands with it. Does nothing when there is none.
    pub fn update(&mut self, tablet: TabletId, change: impl FnOnce(&mut Entry)) {
        let Some(mut entry) = self.entries.remove(&tablet) else { return };
        self.unlink(&entry);
        change(&mut entry);
        self.link(&entry);
        self.entries.insert(tablet, entry);
    }

    pub fn remove(&mut self, tablet: TabletId) -> Option<Entry> {
        let entry = self.entries.remove(&tablet)?;
        self.unlink(&entry);
        Some(entry)
    }

    /// Adds a new entry. When the queue is full the least urgent leaves and is returned: maybe the new one itself.
    pub fn insert(&mut self, mut entry: Entry, queue_max: usize) -> Option<TabletId> {
        let tablet = entry.tablet;
        self.remove(tablet);
        (entry.turn, self.turn) = (self.turn, self.turn + 1);
        self.link(&entry);
        self.entries.insert(tablet, entry);
        if self.standing.len() <= queue_max {
            return None;
        }
        let last = self.standing.last().expect("it is longer than its bound").tablet;
        self.remove(last);
        Some(last)
    }

    /// The next copy and the next deletion that are ready.
    pub fn next_copy(&self) -> Option<Key> {
        self.copies.first().copied()
    }

    pub fn next_deletion(&self) -> Option<Key> {
        self.deletions.first().copied()
    }

    /// Entries whose time has come stand ready again; at most `most`.
    pub fn wake_due(&mut self, at: Tick, most: usize) {
        let due: Vec<TabletId> =
            self.later.iter().take_while(|(until, _)| *until <= at).take(most).map(|(_, tablet)| *tablet).collect();
        self.ready(due);
    }

    /// Refused entries stand ready again, for a cause of refusals has changed; at most `most`. True: all of them.
    pub fn wake_refused(&mut self, most: usize) -> bool {
        let refused: Vec<TabletId> = self.refused.iter().take(most).copied().collect();
        self.ready(refused);
        self.refused.is_empty()
    }

    /// For each free slot on a disk, the first two that wait for it stand ready again (one of the two may be stopped by
    /// the other end), but for those that were looked at in this round. False: there were none.
    pub fn wake_busy(&mut self, free: impl Fn(DiskId) -> u32, seen: &BTreeSet<TabletId>) -> bool {
        let mut woken = BTreeSet::new();
        for (disk, keys) in &self.busy {
            let unseen = keys.iter().filter(|key| !seen.contains(&key.tablet));
            woken.extend(unseen.take(free(*disk) as usize * 2).map(|key| key.tablet));
        }
        let is_any = !woken.is_empty();
        self.ready(woken);
        is_any
    }

    fn ready(&mut self, tablets: impl IntoIterator<Item = TabletId>) {
        for tablet in tablets {
            self.update(tablet, |entry| entry.place = Place::Ready);
        }
    }

    /// Up to `most` entries after a tablet, in id order: for walking through all of them in pieces.
    pub fn after(&self, tablet: Option<TabletId>, most: usize) -> Vec<&Entry> {
        let from = tablet.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.entries.range((from, std::ops::Bound::Unbounded)).take(most).map(|(_, entry)| entry).collect()
    }

    fn link(&mut self, entry: &Entry) {
        let key = entry.key();
        match &entry.place {
            Place::Ready => {
                self.ready_set(entry.verdict.status).insert(key);
            }
            Place::Later { until, after } => {
                self.later.insert((*until, entry.tablet));
                if *after == After::Refusal {
                    self.refused.insert(entry.tablet);
                }
            }
            Place::Busy { disks } => {
                for disk in disks {
                    self.busy.entry(*disk).or_default().insert(key);
                }
            }
            Place::Away => return,
        }
        self.standing.insert(key);
    }

    fn unlink(&mut self, entry: &Entry) {
        let key = entry.key();
        self.standing.remove(&key);
        match &entry.place {
            Place::Ready => {
                self.ready_set(entry.verdict.status).remove(&key);
            }
            Place::Later { until, .. } => {
                self.later.remove(&(*until, entry.tablet));
                self.refused.remove(&entry.tablet);
            }
            Place::Busy { disks } => {
                for disk in disks {
                    if let Some(keys) = self.busy.get_mut(disk) {
                        keys.remove(&key);
                        if keys.is_empty() {
                            self.busy.remove(disk);
                        }
                    }
                }
            }
            Place::Away => {}
        }
    }

    fn ready_set(&mut self, status: TabletStatus) -> &mut BTreeSet<Key> {
        match status {
            TabletStatus::Redundant | TabletStatus::ForceRedundant | TabletStatus::ColocateRedundant => {
                &mut self.deletions
            }
            TabletStatus::Unrecoverable
            | TabletStatus::NeedFurtherRepair
            | TabletStatus::ReplicaMissing
            | TabletStatus::VersionIncomplete
            | TabletStatus::ReplicaRelocating
            | TabletStatus::ReplicaMissingInCluster
            | TabletStatus::DiskMigration
            | TabletStatus::ColocateMismatch
            | TabletStatus::Healthy => &mut self.copies,
        }
    }
}

impl Entry {
    fn key(&self) -> Key {
        Key { priority: self.urgency.now, visited: self.visited, turn: self.turn, tablet: self.tablet }
    }
}
