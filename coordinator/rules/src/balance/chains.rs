//! What is still out of the band: evened pair by pair, where no pair may by chains over third disks, and where no single
//! copy is small enough by exchanges ([`super::exchanges`]).
//!
//! In: a picture after [`super::usage`]. Out: moves drawn into it. A disk may be too full while every tablet on it has
//! a copy on each disk that is too empty: then one goes to a third disk, and another of the third's goes on. The chain
//! is the shortest by breadth-first search over disks, an arc being one tablet that may go, so the fewest bytes are
//! added: flow, one tablet at a time. No tablet goes two hops, and each hop lowers the usage potential when it is its
//! turn. It ends when the band is reached or nothing helps: each step uses up a tablet.

use super::exchanges::exchange;
use super::picture::Picture;
use super::tally::Tally;
use super::worth::lowers_usage;
use std::collections::VecDeque;

/// Seats tried for one end of a pair. In a house with more some other disk may practically always take it.
pub(super) const ENDS_MAX: usize = 64;
/// Chains are looked for among this many disks at most: with more there is always a direct way.
const DISKS_MAX: usize = 256;

/// Returns whether chains were needed.
pub fn even_rest(picture: &mut Picture, tally: &mut Tally, seats: &[u32], width: f64) -> bool {
    let mut needed_chain = false;
    while picture.spread(seats) > width {
        let mut order: Vec<u32> = seats.to_vec();
        order.sort_by(|a, b| {
            let (a_part, b_part) = (picture.seats[*a as usize].part(), picture.seats[*b as usize].part());
            a_part.total_cmp(&b_part).then(a.cmp(b))
        });
        if pair(picture, tally, &order) {
            continue;
        }
        if chain(picture, tally, &order) {
            needed_chain = true;
        } else if !exchange(picture, tally, &order) {
            break;
        }
    }
    needed_chain
}

/// Draws a move and counts it.
pub(super) fn draw(picture: &mut Picture, tally: &mut Tally, copy: u32, to: u32) {
    let at = picture.copies[copy as usize];
    let table = picture.pieces[at.piece as usize].table;
    let (from_place, to_place) = (picture.seats[at.seat as usize].node, picture.seats[to as usize].node);
    picture.draw(copy, to);
    tally.moved(table, from_place, to_place);
}

/// The fullest gives to the emptiest that may take, or the emptiest takes from the fullest that may give.
fn pair(picture: &mut Picture, tally: &mut Tally, order: &[u32]) -> bool {
    let (Some(least), Some(most)) = (order.first(), order.last()) else { return false };
    let from_most = best(picture, &[*most], &order[..order.len().min(ENDS_MAX)]);
    let found = from_most.or_else(|| best(picture, &order[order.len().saturating_sub(ENDS_MAX)..], &[*least]));
    let Some((copy, to)) = found else { return false };
    draw(picture, tally, copy, to);
    true
}

/// The move between these ends after which the fuller of both is least full.
fn best(picture: &mut Picture, sources: &[u32], targets: &[u32]) -> Option<(u32, u32)> {
    let mut best: Option<(f64, u32, u32)> = None;
    for from in sources.iter().rev() {
        let copies: Vec<u32> = picture.standing(*from).collect();
        for copy in copies {
            let bytes = picture.copies[copy as usize].bytes;
            if bytes == 0 || !picture.may_leave(copy) {
                continue;
            }
            for to in targets.iter().filter(|to| picture.may_come(copy, **to) && picture.is_lowering(copy, **to)) {
                let (source, target) = (&picture.seats[*from as usize], &picture.seats[*to as usize]);
                let after = super::picture::part(source.used.saturating_sub(bytes), source.total);
                let after = after.max(super::picture::part(target.used.saturating_add(bytes), target.total));
                if best.is_none_or(|(known, ..)| after < known) {
                    best = Some((after, copy, *to));
                }
            }
        }
        if best.is_some() {
            break;
        }
    }
    best.map(|(_, copy, to)| (copy, to))
}

fn chain(picture: &mut Picture, tally: &mut Tally, order: &[u32]) -> bool {
    let (Some(least), Some(most)) = (order.first(), order.last()) else { return false };
    if order.len() > DISKS_MAX {
        return false;
    }
    let used: f64 = order.iter().map(|seat| picture.seats[*seat as usize].used as f64).sum();
    let total: f64 = order.iter().map(|seat| picture.seats[*seat as usize].total as f64).sum();
    let mean = used / total.max(1.0);
    let is_below = |seat: &&u32| picture.seats[**seat as usize].part() < mean;
    let (below, above): (Vec<u32>, Vec<u32>) = order.iter().partition(is_below);
    let path = shortest(picture, &[*most], &below, order).or_else(|| shortest(picture, &above, &[*least], order));
    let Some(path) = path else { return false };
    path.into_iter().for_each(|(copy, to)| draw(picture, tally, copy, to));
    true
}

/// The shortest way from any source to any target, in an order in which every hop lowers.
fn shortest(picture: &mut Picture, sources: &[u32], targets: &[u32], all: &[u32]) -> Option<Vec<(u32, u32)>> {
    // By seat: the copy that came there on the way.
    let mut came: Vec<Option<u32>> = vec![None; picture.seats.len()];
    let mut seen = vec![false; picture.seats.len()];
    sources.iter().for_each(|seat| seen[*seat as usize] = true);
    let mut queue: VecDeque<u32> = sources.iter().rev().copied().collect();
    while let Some(from) = queue.pop_front() {
        let copies: Vec<u32> = picture.standing(from).collect();
        for copy in copies {
            if picture.copies[copy as usize].bytes == 0 || !picture.may_leave(copy) {
                continue;
            }
            for to in all {
                if seen[*to as usize] || !picture.may_come(copy, *to) {
                    continue;
                }
                came[*to as usize] = Some(copy);
                if targets.contains(to)
                    && let Some(path) = falling(picture, &way(picture, &came, *to))
                {
                    return Some(path);
                }
                // A target that could not be had this way may yet be reached over another disk.
                seen[*to as usize] = !targets.contains(to);
                if seen[*to as usize] {
                    queue.push_back(*to);
                }
            }
        }
    }
    None
}

fn way(picture: &Picture, came: &[Option<u32>], end: u32) -> Vec<(u32, u32)> {
    let (mut path, mut at) = (Vec::new(), end);
    while let Some(copy) = came[at as usize] {
        path.push((copy, at));
        at = picture.copies[copy as usize].seat;
    }
    path.reverse();
    path
}

/// The path, or the path backwards, if each hop lowers the potential then and no tablet is in it twice.
fn falling(picture: &Picture, path: &[(u32, u32)]) -> Option<Vec<(u32, u32)>> {
    let piece = |index: usize| picture.copies[path[index].0 as usize].piece;
    let is_twice = (0..path.len()).any(|index| (0..index).any(|earlier| piece(earlier) == piece(index)));
    let falls = |path: &[(u32, u32)]| {
        let mut used: Vec<(u32, u64)> = Vec::new();
        path.iter().all(|(copy, to)| {
            let at = picture.copies[*copy as usize];
            let now = |seat: u32, used: &[(u32, u64)]| {
                let mut filled = picture.seats[seat as usize].filled();
                filled.used =
                    used.iter().rev().find(|(known, _)| *known == seat).map_or(filled.used, |(_, used)| *used);
                filled
            };
            let (from, target) = (now(at.seat, &used), now(*to, &used));
            used.push((at.seat, from.used.saturating_sub(at.bytes)));
            used.push((*to, target.used.saturating_add(at.bytes)));
            lowers_usage(from, target, at.bytes)
        })
    };
    let backwards: Vec<(u32, u32)> = path.iter().rev().copied().collect();
    if is_twice {
        return None;
    }
    if falls(path) { Some(path.to_vec()) } else { Some(backwards).filter(|backwards| falls(backwards)) }
}
