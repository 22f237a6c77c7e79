//! How far a drain is: what is left, how fast it goes, and when it will have ended.
//!
//! In: a world and a drain on record. Out: numbers. What has moved never becomes less while nothing returns. It looks
//! only at the tablets that the drain is about, so asking often costs little.

use crate::World;
use crate::world::{Drain, Tablet, Work};
use stele_common::api::DrainState;
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
    let (mut left, mut tablets_left, mut bytes_left, mut bytes_moved) = (Vec::new(), 0_u64, 0_u64, 0_u64);
    let (mut rate, mut running) = (0_u64, 0_u64);
    for (id, bytes) in &drain.held {
        let Some(size) = size_there(world, drain, *id) else {
            bytes_moved += bytes;
            continue;
        };
        tablets_left += 1;
        bytes_left += size;
        if left.len() < NAMED_MAX {
            left.push(*id);
        }
        if let Some(task) = world.tasks.get(id)
            && matches!(task.work, Work::Clone { .. })
        {
            running += 1;
            rate += task.bytes_done.saturating_mul(1000) / at.since(task.started).max(1);
        }
    }
    let tablets = drain.held.len() as u64;
    let state = match drain.done_wall_ms {
        Some(_) if tablets_left == 0 => DrainState::Drained,
        Some(_) | None => DrainState::Draining,
    };
    let pace = Pace {
        elapsed_ms: wall_ms.saturating_sub(drain.began_wall_ms),
        tablets_moved: tablets - tablets_left,
        tablets_left,
        bytes_moved,
        bytes_left,
        bytes_per_s: rate,
    };
    let eta_s = if state == DrainState::Drained { None } else { eta(&pace) };
    let bytes = bytes_moved + bytes_left;
    let (tablets_moved, bytes_per_s) = (tablets - tablets_left, rate);
    Progress { state, tablets, tablets_moved, bytes, bytes_moved, bytes_per_s, copies_running: running, eta_s, left }
}

/// Bytes of the tablet's replica there; `None`: it has none there any more.
fn size_there(world: &World, drain: &Drain, id: TabletId) -> Option<u64> {
    let replica = world.tablets.get(id)?.replicas.iter().find(|replica| drain.of.has(replica))?;
    Some(replica.seen.as_ref().map_or(0, |seen| seen.size))
}

/// Whether the tablet has a replica there.
pub fn is_there(drain: &Drain, tablet: &Tablet) -> bool {
    tablet.replicas.iter().any(|replica| drain.of.has(replica))
}

/// What an estimate is made from.
#[derive(Clone, Copy, Debug)]
struct Pace {
    elapsed_ms: u64,
    tablets_moved: u64,
    tablets_left: u64,
    bytes_moved: u64,
    bytes_left: u64,
    bytes_per_s: u64,
}

/// The last ones leave on evidence, which is asked for again after 5 s where an answer was lost.
const TAIL_S: u64 = 5;

/// Seconds to the end, from and to: between the most and the least hopeful of three measures (bytes at the rate of now,
/// bytes at the rate so far, tablets at the rate so far), a quarter wider at either end, and the tail. `None` before anything moved.
fn eta(pace: &Pace) -> Option<(u64, u64)> {
    let so_far = |left: u64, moved: u64| {
        let ms = u128::from(pace.elapsed_ms) * u128::from(left);
        ms.checked_div(u128::from(moved)).map(|ms| ms as u64 / 1000)
    };
    let measures = [
        pace.bytes_left.checked_div(pace.bytes_per_s),
        so_far(pace.bytes_left, pace.bytes_moved),
        so_far(pace.tablets_left, pace.tablets_moved),
    ];
    let known: Vec<u64> = measures.into_iter().flatten().collect();
    let (least, most) = (known.iter().min()?, known.iter().max()?);
    Some((least - least / 4, most + most / 4 + TAIL_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval holds every measure there is; nothing is said before anything is known.
    #[test]
    fn estimates() {
        let none = Pace {
            elapsed_ms: 10_000,
            tablets_moved: 0,
            tablets_left: 10,
            bytes_moved: 0,
            bytes_left: 1000,
            bytes_per_s: 0,
        };
        assert_eq!(eta(&none), None);
        assert_eq!(eta(&Pace { bytes_per_s: 10, ..none }), Some((75, 130)));
        // Half of the tablets in 10 s, a fifth of the bytes: 10 s to 40 s.
        let half = Pace { tablets_moved: 10, bytes_moved: 250, bytes_per_s: 50, ..none };
        assert_eq!(eta(&half), Some((8, 55)));
        assert_eq!(eta(&Pace { tablets_left: 0, bytes_left: 0, ..half }), Some((0, 5)));
    }
}
