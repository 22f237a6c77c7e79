//! Ended tasks: what was decided and what came of it, kept over restarts and bounded in number.
//!
//! In: one [`Past`] as each task ends. Out: a walk over them, newest first. Snapshots of the world share all but the
//! newest chunk, so that a thousand of them cost a clone some twenty pointers. No promise may hang on it: all that is
//! read from it is what rests after a restart (`schedule::rests`).

use crate::world::{Outcome, Task};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use stele_common::TabletId;

/// Entries of one chunk. A push copies as many pointers at most; half of it doubles the pointers of a snapshot.
const CHUNK: usize = 64;

/// An ended task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// As it was ordered; how far it came is in `end`.
    pub task: Task,
    pub outcome: Outcome,
    pub end: TaskEnd,
}

/// When a task ended and what it took; measured by the leadership that saw it end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnd {
    /// Wall clock; shown only. 0: recorded before this was kept.
    pub wall_ms: u64,
    pub took_ms: u64,
    pub bytes_done: u64,
    pub bytes_total: u64,
}

/// The latest ended tasks.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Oldest first; all but the last are full.
    chunks: VecDeque<Arc<Vec<Arc<Past>>>>,
    len: usize,
}

impl History {
    /// Newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Past> {
        let newest_first = self.chunks.iter().rev().flat_map(|chunk| chunk.iter().rev());
        newest_first.map(|past| &**past)
    }

    /// What has ended of one tablet, newest first.
    pub fn of(&self, tablet: TabletId) -> impl Iterator<Item = &Past> {
        self.iter().filter(move |past| past.task.tablet == tablet)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One more; the oldest beyond `max` go.
    pub(crate) fn push(&mut self, past: Past, max: usize) {
        if self.chunks.back().is_none_or(|chunk| chunk.len() >= CHUNK) {
            self.chunks.push_back(Arc::default());
        }
        let chunk = self.chunks.back_mut().expect("it was pushed if there was none");
        Arc::make_mut(chunk).push(Arc::new(past));
        self.len += 1;
        while self.len > max {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(first) = self.chunks.front_mut() else { return };
        Arc::make_mut(first).remove(0);
        self.len -= 1;
        if first.is_empty() {
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Work;
    use stele_common::status::TaskType;
    use stele_common::{LoadId, NodeId, Priority, ReplicaId, TabletStatus, TaskId, Tick};

    fn past(number: u64) -> Past {
        let (node, nonce, watermark) = (NodeId(1), number, LoadId(1));
        let task = Task {
            id: TaskId(number),
            tablet: TabletId(number % 3),
            status: TabletStatus::Redundant,
            priority: Priority::High,
            task_type: TaskType::Repair,
            work: Work::Delete { replica: ReplicaId(number), node, nonce, watermark },
            started: Tick(0),
            bytes_done: 0,
            bytes_total: 0,
            progressed: Tick(0),
            agent_done: false,
            timeout_ms: 0,
        };
        Past { task, outcome: Outcome::Finished { evidence: None }, end: TaskEnd::default() }
    }

    /// The latest are kept, in order, whatever the bound; what a snapshot holds stays as it was.
    #[test]
    fn the_latest_stay() {
        for max in [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 1] {
            let mut history = History::default();
            for number in 0..5 * CHUNK as u64 {
                let (snapshot, before) = (history.clone(), history.iter().cloned().collect::<Vec<_>>());
                history.push(past(number), max);
                let expected = (0..=number).rev().take(max).collect::<Vec<_>>();
                assert_eq!(history.iter().map(|past| past.task.id.0).collect::<Vec<_>>(), expected, "of {max}");
                assert_eq!(history.len(), expected.len());
                assert!(snapshot.iter().eq(&before));
            }
        }
    }

    /// One tablet's ends are found among all.
    #[test]
    fn of_one_tablet() {
        let mut history = History::default();
        (0..10).for_each(|number| history.push(past(number), 8));
        let found: Vec<u64> = history.of(TabletId(1)).map(|past| past.task.id.0).collect();
        assert_eq!(found, [7, 4]);
    }
}
