//! How far a drain is: what is left, how fast it goes, and when it will have ended.
//!
//! In: a world and a drain on record. Out: numbers. What has moved never becomes less while nothing returns. It looks
//! only at the tablets that the drain is about, so asking often costs little.

use super::{Leaving, evacuated_of};
use crate::World;
use crate::catalog::evidence::complete_others;
use crate::world::{Drain, Replica, Tablet, Work};
use stele_common::api::{Blocker, DrainState};
use stele_common::{TabletId, Tick};

/// Tablets named among those that are left.
pub const NAMED_MAX: usize = 20;

#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub state: DrainState,
    pub tablets: u64,
    pub tablets_moved: u64,
    pub bytes: u64,
    pub bytes_moved: u64,
    pub bytes_per_s: u64,
    pub copies_running: u64,
    /// Of those that are left, what running copies have made already.
    pub bytes_running: u64,
    /// Why it cannot go on: nothing runs, and this stands in the way of the first of those that are left.
    pub stuck: Option<Blocker>,
    pub eta_s: Option<(u64, u64)>,
    /// The first of those that are left.
    pub left: Vec<TabletId>,
}

impl Progress {
    pub fn tablets_left(&self) -> u64 {
        self.tablets - self.tablets_moved
    }

    pub fn bytes_left(&self) -> u64 {
        self.bytes - self.bytes_moved
    }
}

/// How far it is. `wall_ms` only serves to say how long it has taken.
pub fn of(world: &World, drain: &Drain, at: Tick, wall_ms: u64) -> Progress {
    let Sums { tablets_left, bytes_left, bytes_moved, bytes_running, rate, running, left, steps } =
        sum(world, drain, at);
    let (tablets, done) = (drain.held.len() as u64, drain.done_wall_ms);
    let state = match done {
        Some(_) if tablets_left == 0 => DrainState::Drained,
        Some(_) | None => DrainState::Draining,
    };
    let elapsed_ms = wall_ms.saturating_sub(drain.began_wall_ms);
    let stuck = if running == 0 { blocker(world, drain, &left, at) } else { None };
    let eta_s = match state {
        DrainState::Draining if stuck.is_none() => {
            eta(&Pace { elapsed_ms, rate, steps, beside: beside(world, drain, at) })
        }
        DrainState::Draining | DrainState::Drained => None,
    };
    let (bytes, tablets_moved) = (bytes_moved + bytes_left, tablets - tablets_left);
    Progress {
        state,
        tablets,
        tablets_moved,
        bytes,
        bytes_moved,
        bytes_per_s: rate,
        copies_running: running,
        bytes_running,
        stuck,
        eta_s,
        left,
    }
}

/// What stands in the way of a drain that nothing is done for.
pub fn stuck(world: &World, drain: &Drain, at: Tick) -> Option<Blocker> {
    if drain.done_wall_ms.is_some() {
        return None;
    }
    let mut left = Vec::new();
    for (id, _) in &drain.held {
        let is_copied = || world.tasks.get(id).is_some_and(|task| matches!(task.work, Work::Clone { .. }));
        match there(world, drain, *id) {
            Some(_) if is_copied() => return None,
            Some(_) if left.len() < NAMED_MAX => left.push(*id),
            Some(_) | None => {}
        }
    }
    blocker(world, drain, &left, at)
}

/// Of these tablets alone: where they find room, so does the first of them.
fn blocker(world: &World, drain: &Drain, left: &[TabletId], at: Tick) -> Option<Blocker> {
    if left.is_empty() {
        return None;
    }
    let tablets = left.iter().filter_map(|id| world.tablets.get(*id));
    evacuated_of(world, tablets, &Leaving::from(drain.of), at, |_, _, _| {}).blockers.into_iter().next()
}

/// What one walk over a drain's tablets comes to.
#[derive(Default)]
struct Sums {
    tablets_left: u64,
    bytes_left: u64,
    bytes_moved: u64,
    bytes_running: u64,
    rate: u64,
    running: u64,
    left: Vec<TabletId>,
    steps: Steps,
}

/// Work done and left. Each tablet takes two steps: others become complete without the replica there, and that one
/// leaves. The bytes are those of the first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Steps {
    done: u64,
    left: u64,
    bytes_done: u64,
    bytes_left: u64,
}

fn sum(world: &World, drain: &Drain, at: Tick) -> Sums {
    let mut sums = Sums::default();
    for (id, bytes) in &drain.held {
        let Some((tablet, replica)) = there(world, drain, *id) else {
            sums.bytes_moved += bytes;
            (sums.steps.done, sums.steps.bytes_done) = (sums.steps.done + 2, sums.steps.bytes_done + bytes);
            continue;
        };
        let size = replica.seen.as_ref().map_or(0, |seen| seen.size);
        (sums.tablets_left, sums.bytes_left) = (sums.tablets_left + 1, sums.bytes_left + size);
        if sums.left.len() < NAMED_MAX {
            sums.left.push(*id);
        }
        let mut copied = 0;
        if let Some(task) = world.tasks.get(id)
            && matches!(task.work, Work::Clone { .. })
        {
            sums.running += 1;
            sums.rate += task.bytes_done.saturating_mul(1000) / at.since(task.started).max(1);
            copied = task.bytes_done.min(size);
            sums.bytes_running += copied;
        }
        let is_copied = complete_others(world, tablet, Some(replica.id)).len() as u32 >= tablet.wanted;
        let (steps, bytes) = if is_copied { (1, size) } else { (0, copied) };
        (sums.steps.done, sums.steps.left) = (sums.steps.done + steps, sums.steps.left + 2 - steps);
        sums.steps.bytes_done += bytes;
        sums.steps.bytes_left += size - bytes;
    }
    sums
}

/// What is done and left of the other drains under way: they want the same slots.
fn beside(world: &World, drain: &Drain, at: Tick) -> Steps {
    let others = world.drains.values().filter(|other| other.of != drain.of && other.done_wall_ms.is_none());
    others.map(|other| sum(world, other, at).steps).fold(Steps::default(), |all, one| Steps {
        done: all.done + one.done,
        left: all.left + one.left,
        bytes_done: all.bytes_done + one.bytes_done,
        bytes_left: all.bytes_left + one.bytes_left,
    })
}

/// The tablet and its replica there; `None`: it has none there any more.
fn there<'a>(world: &'a World, drain: &Drain, id: TabletId) -> Option<(&'a Tablet, &'a Replica)> {
    let tablet = world.tablets.get(id)?;
    tablet.replicas.iter().find(|replica| drain.of.has(replica)).map(|replica| (tablet, replica))
}

/// Whether the tablet has a replica there.
pub fn is_there(drain: &Drain, tablet: &Tablet) -> bool {
    tablet.replicas.iter().any(|replica| drain.of.has(replica))
}

/// What an estimate is made from.
#[derive(Clone, Copy, Debug)]
struct Pace {
    elapsed_ms: u64,
    /// Bytes a second of the copies that run; 0: none, or nothing is known yet.
    rate: u64,
    steps: Steps,
    beside: Steps,
}

/// The last ones may wait so long for loads to end before they land ([`crate::catalog`]'s landing), and leave on evidence,
/// which is asked for again after 5 s where an answer was lost.
const TAIL_S: u64 = 35;
/// Steps without which nothing is said: the first copies start together and say little about the rest.
const STEPS_MIN: u64 = 4;

/// Seconds to the end, from and to. The measures are steps and bytes at the rate so far; where other drains go on, the
/// same for all of them together, as they share slots: one may end with the other, or hurry when the other has ended. Half of the least to twice the most, and the
/// tail: rates change by as much when slots are few or one disk takes most. The bytes at the rate of now are one more
/// measure of the most: what went before a throttle was set says little. `None` before anything is known.
fn eta(pace: &Pace) -> Option<(u64, u64)> {
    let Pace { elapsed_ms, rate, steps, beside } = pace;
    let so_far = |left: u64, done: u64| {
        let ms = u128::from(*elapsed_ms) * u128::from(left);
        ms.checked_div(u128::from(done)).map(|ms| ms as u64 / 1000)
    };
    let total = steps.done + steps.left;
    if steps.done < STEPS_MIN.min(total) && steps.bytes_done < steps.bytes_left {
        return None;
    }
    let own = [so_far(steps.left, steps.done), so_far(steps.bytes_left, steps.bytes_done)];
    let all = [
        so_far(steps.left + beside.left, steps.done + beside.done),
        so_far(steps.bytes_left + beside.bytes_left, steps.bytes_done + beside.bytes_done),
    ];
    let now = [steps.bytes_left.checked_div(*rate)];
    let least = own.iter().chain(&all).flatten().min()?;
    let most = own.iter().chain(&all).chain(&now).flatten().max()?;
    Some((least / 2, most * 2 + TAIL_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval holds every measure there is; nothing is said before anything is known.
    #[test]
    fn estimates() {
        let none = Steps { done: 0, left: 40, bytes_done: 0, bytes_left: 1000 };
        let pace = |steps: Steps| Pace { elapsed_ms: 10_000, rate: 0, steps, beside: Steps::default() };
        assert_eq!(eta(&pace(none)), None);
        assert_eq!(eta(&pace(Steps { done: 3, left: 37, ..none })), None, "three steps of forty say nothing");
        // One large tablet, half copied: its bytes say enough.
        let large = Steps { done: 0, left: 2, bytes_done: 500, bytes_left: 500 };
        assert_eq!(eta(&pace(large)), Some((5, 55)));
        // Half of the steps in 10 s, a fifth of the bytes: 10 s to 40 s.
        let half = Steps { done: 20, left: 20, bytes_done: 200, bytes_left: 800 };
        assert_eq!(eta(&pace(half)), Some((5, 115)));
        let beside = Steps { done: 0, left: 40, bytes_done: 0, bytes_left: 1000 };
        assert_eq!(eta(&Pace { beside, ..pace(half) }), Some((5, 215)), "it may end with the other");
        assert_eq!(eta(&Pace { rate: 1, ..pace(half) }), Some((5, 1635)), "it was faster before");
        assert_eq!(eta(&Pace { rate: 800, ..pace(half) }), Some((5, 115)), "it was slower before");
        let end = Steps { done: 40, left: 0, bytes_done: 1000, bytes_left: 0 };
        assert_eq!(eta(&pace(end)), Some((0, 35)));
    }
}
