//! Two copies that change places: where every single copy is larger than what would have to move.
//!
//! ```text
//! P0, uneven ──the larger copy goes──▶ P1 ≥ P0 ──the smaller one comes──▶ P2 < P0
//! ```
//!
//! In: a picture that no pair or chain evens any more; later, when its turn comes, the world. Out: two moves drawn into
//! the picture; whether the first of them is still worth it. Between the two disks an exchange moves the difference, and
//! it is made only if that lowers the usage potential. The second waits until the first has landed: since P2 < P0 ≤ P1 it
//! then lowers the potential by itself, as any move does. If the first fails the second is not worth it; if the second
//! never comes a later plan evens what the first has left behind.

use super::chains::{ENDS_MAX, draw};
use super::moves::{Scope, bytes_of, may_go, may_move, not_there};
use super::picture::{Picture, part};
use super::tally::Tally;
use super::worth::lowers_usage;
use crate::schedule::slots::Ledger;
use crate::world::Disk;
use crate::{Reason, World};
use stele_common::{ReplicaId, TabletId};

/// Copies looked at on each disk, the largest: a disk with more has small ones, which go by themselves.
const COPIES_MAX: usize = 64;

/// The bytes that come from `to` to `from` in exchange; or why that copy may not.
pub fn comes_back(
    world: &World,
    scope: &Scope,
    ledger: &Ledger,
    (tablet, replica): (TabletId, ReplicaId),
    (from, to): (&Disk, &Disk),
) -> Result<u64, Reason> {
    let gone = || not_there(tablet);
    let tablet = world.tablets.get(tablet).ok_or_else(gone)?;
    let mut replicas = tablet.replicas.iter();
    let replica = replicas.find(|known| known.id == replica && known.disk == to.id).ok_or_else(gone)?;
    may_move(world, scope, tablet)?;
    may_go(world, scope, ledger, tablet, replica, to, from)?;
    Ok(bytes_of(replica))
}

/// Draws the exchange between the fullest and any other disk, or any and the emptiest, that leaves the fuller of both
/// least full. `order` is from the emptiest to the fullest.
pub fn exchange(picture: &mut Picture, tally: &mut Tally, order: &[u32]) -> bool {
    let (Some(least), Some(most)) = (order.first(), order.last()) else { return false };
    let emptiest = order.iter().take(ENDS_MAX).map(|to| (*most, *to));
    let fullest = order.iter().rev().take(ENDS_MAX).map(|from| (*from, *least));
    let mut found = best(picture, emptiest);
    if found.is_none() {
        found = best(picture, fullest);
    }
    let Some(Exchange { goes, comes, from, to, .. }) = found else { return false };
    draw(picture, tally, goes, to);
    if let Some(first) = picture.drawn.last_mut() {
        first.back = Some(comes);
    }
    draw(picture, tally, comes, from);
    true
}

struct Exchange {
    goes: u32,
    comes: u32,
    from: u32,
    to: u32,
    /// The used part of the fuller disk, and the bytes that it costs.
    after: (f64, u64),
}

fn best(picture: &mut Picture, ends: impl Iterator<Item = (u32, u32)>) -> Option<Exchange> {
    let mut best: Option<Exchange> = None;
    for (from, to) in ends.filter(|(from, to)| from != to) {
        let (larger, smaller) = (movable(picture, from, to), movable(picture, to, from));
        for (goes, comes) in larger.iter().flat_map(|goes| smaller.iter().map(move |comes| (*goes, *comes))) {
            let (gone, come) = (picture.copies[goes as usize].bytes, picture.copies[comes as usize].bytes);
            let (source, target) = (picture.seats[from as usize].filled(), picture.seats[to as usize].filled());
            let is_one_piece = picture.copies[goes as usize].piece == picture.copies[comes as usize].piece;
            if gone <= come || is_one_piece || !lowers_usage(source, target, gone - come) {
                continue;
            }
            let parts =
                (part(source.used - (gone - come), source.total), part(target.used + (gone - come), target.total));
            let after = (parts.0.max(parts.1), gone + come);
            if best.as_ref().is_none_or(|known| after < known.after) {
                best = Some(Exchange { goes, comes, from, to, after });
            }
        }
    }
    best
}

/// Copies that may go from seat to seat, largest first.
fn movable(picture: &mut Picture, from: u32, to: u32) -> Vec<u32> {
    let mut copies: Vec<u32> = picture.standing(from).filter(|copy| picture.copies[*copy as usize].bytes > 0).collect();
    copies.sort_by_key(|copy| (std::cmp::Reverse(picture.copies[*copy as usize].bytes), *copy));
    copies.retain(|copy| picture.may_come(*copy, to) && picture.may_leave(*copy));
    copies.truncate(COPIES_MAX);
    copies
}
