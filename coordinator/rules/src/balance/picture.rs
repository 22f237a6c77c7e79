//! The world as a planner needs it: disks, tablets and their copies by small numbers, in flat lists.
//!
//! In: the world, what is held back, what is under way. Out: a picture that a plan is drawn into, move by move, with
//! the rules asked at each. Built once a plan: afterwards nothing looks anything up by id. Only disks that take part
//! have a seat; copies elsewhere are known by their host alone, so that nothing joins them there.
//!
//! ```text
//! pools   medium and tag: nothing ever moves from one to another
//!   seats   disks that take part, each with its bytes now, at the start, and the room that is left
//! pieces  tablets ─▶ copies, in one list, those of a piece side by side ─▶ the seat they stand on
//! ```

use super::moves::{Move, Scope, Why, bytes_of, may_move, takes_part};
use super::worth::{Filled, lowers_usage};
use crate::World;
use crate::schedule::slots::{Ledger, size_of};
use std::collections::BTreeMap;
use stele_common::{DiskId, Medium, NodeId, ReplicaId, ReplicaState, TabletId};

/// No seat, or no host that is known.
pub const NONE: u32 = u32::MAX;

/// A disk that takes part.
#[derive(Clone, Debug)]
pub struct Seat {
    pub disk: DiskId,
    pub node_id: NodeId,
    pub node: u32,
    pub host: u32,
    pub pool: u32,
    pub total: u64,
    pub start: u64,
    pub used: u64,
    /// Copies that stand on it, of all tables.
    pub copies: u32,
    /// Index of its file system, whose room it shares.
    device: u32,
}

impl Seat {
    pub fn filled(&self) -> Filled {
        Filled { used: self.used, total: self.total }
    }

    /// Used part.
    pub fn part(&self) -> f64 {
        part(self.used, self.total)
    }
}

pub fn part(used: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { used as f64 / total as f64 }
}

#[derive(Clone, Debug)]
pub struct Pool {
    pub medium: Medium,
    pub seats: Vec<u32>,
    pub nodes: Vec<u32>,
    /// Copies for each byte of capacity: moves do not change it.
    copies_share: f64,
}

/// A node's seats in its one pool of a medium.
#[derive(Clone, Debug)]
pub struct Place {
    pub pool: u32,
    pub seats: Vec<u32>,
    pub capacity: u64,
}

#[derive(Clone, Debug)]
pub struct Piece {
    pub id: TabletId,
    pub table: u32,
    first: u32,
    len: u32,
    /// Bytes that a copy of it may need.
    pub size: u64,
    may: May,
    moves: u8,
}

/// Whether a tablet may be moved: asked when it is first wanted, for most never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    Unasked,
    Yes,
    No,
}

#[derive(Clone, Copy, Debug)]
pub struct Copy {
    pub piece: u32,
    pub seat: u32,
    /// Its seat at the start.
    pub start: u32,
    host: u32,
    pub bytes: u64,
    /// It stands there, and not only will.
    is_there: bool,
    moved: bool,
}

/// A move drawn into the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    pub copy: u32,
    pub from: u32,
    pub to: u32,
    /// What comes in exchange, as the next move.
    pub back: Option<u32>,
}

pub struct Picture<'a> {
    world: &'a World,
    scope: &'a Scope,
    pub seats: Vec<Seat>,
    pub pools: Vec<Pool>,
    /// Nodes, once for each medium that they have.
    pub places: Vec<Place>,
    pub pieces: Vec<Piece>,
    pub copies: Vec<Copy>,
    /// Copies by seat; those that have moved away may still be named.
    pub on: Vec<Vec<u32>>,
    /// By table: its pieces.
    pub tables: Vec<Vec<u32>>,
    /// Room left of each file system, arrivals counted and departures not.
    room: Vec<u64>,
    /// A tablet moves at most this often in one plan.
    pub moves_each: u8,
    pub drawn: Vec<Drawn>,
}

impl<'a> Picture<'a> {
    pub fn of(world: &'a World, scope: &'a Scope, ledger: &Ledger) -> Picture<'a> {
        let mut picture = Picture {
            world,
            scope,
            seats: Vec::new(),
            pools: Vec::new(),
            places: Vec::new(),
            pieces: Vec::with_capacity(world.tablets.len()),
            copies: Vec::with_capacity(world.tablets.len() * 3),
            on: Vec::new(),
            tables: Vec::new(),
            room: Vec::new(),
            moves_each: 1,
            drawn: Vec::new(),
        };
        let hosts = hosts(world);
        let seat_of = picture.seat_all(ledger, &hosts);
        picture.place_tablets(ledger, &hosts, &seat_of);
        picture.share_out();
        picture
    }

    fn share_out(&mut self) {
        for pool in &mut self.pools {
            let seats = pool.seats.iter().map(|seat| &self.seats[*seat as usize]);
            let (copies, capacity) = seats.fold((0.0, 0.0), |(copies, capacity), seat| {
                (copies + f64::from(seat.copies), capacity + seat.total as f64)
            });
            pool.copies_share = copies / capacity;
        }
    }

    fn seat_all(&mut self, ledger: &Ledger, hosts: &BTreeMap<NodeId, u32>) -> BTreeMap<DiskId, u32> {
        let world = self.world;
        let (mut pools, mut places, mut devices) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut seat_of = BTreeMap::new();
        for disk in world.disks.values().filter(|disk| takes_part(world, self.scope, disk).is_ok()) {
            let Some(node) = world.nodes.get(&disk.node).filter(|_| disk.space.total > 0) else { continue };
            let seat = self.seats.len() as u32;
            let pool = *pools.entry((disk.medium, node.tag.as_str())).or_insert_with(|| {
                let (medium, seats, nodes) = (disk.medium, Vec::new(), Vec::new());
                self.pools.push(Pool { medium, seats, nodes, copies_share: 0.0 });
                self.pools.len() as u32 - 1
            });
            let place = *places.entry((disk.node, disk.medium)).or_insert_with(|| {
                self.places.push(Place { pool, seats: Vec::new(), capacity: 0 });
                self.pools[pool as usize].nodes.push(self.places.len() as u32 - 1);
                self.places.len() as u32 - 1
            });
            let keep =
                world.knobs.clone_reserve(disk.space.total).saturating_add(ledger.reserved(disk.node, disk.device));
            let room = disk.space.available().saturating_sub(keep);
            let device = *devices.entry((disk.node, disk.device)).or_insert_with(|| {
                self.room.push(room);
                self.room.len() as u32 - 1
            });
            // Of disks that share a file system the one that says least is believed.
            self.room[device as usize] = self.room[device as usize].min(room);
            self.pools[pool as usize].seats.push(seat);
            let at = &mut self.places[place as usize];
            at.seats.push(seat);
            at.capacity = at.capacity.saturating_add(disk.space.total);
            let (used, total, host) = (ledger.settled(disk), disk.space.total, hosts[&disk.node]);
            let (disk, node_id) = (disk.id, disk.node);
            self.seats.push(Seat {
                disk,
                node_id,
                node: place,
                host,
                pool,
                total,
                start: used,
                used,
                copies: 0,
                device,
            });
            seat_of.insert(disk, seat);
        }
        self.on = vec![Vec::new(); self.seats.len()];
        seat_of
    }

    fn place_tablets(&mut self, ledger: &Ledger, hosts: &BTreeMap<NodeId, u32>, seat_of: &BTreeMap<DiskId, u32>) {
        let world = self.world;
        let tables: BTreeMap<_, u32> = world.tables.keys().zip(0..).map(|(id, index)| (*id, index)).collect();
        self.tables = vec![Vec::new(); tables.len()];
        let mut last = None;
        for tablet in world.tablets.iter() {
            // Neighbours are mostly of one table.
            let table = match last {
                Some((id, index)) if id == tablet.table => index,
                _ => match tables.get(&tablet.table) {
                    Some(index) => *index,
                    None => continue,
                },
            };
            last = Some((tablet.table, table));
            let (piece, first) = (self.pieces.len() as u32, self.copies.len() as u32);
            let moving = ledger.moving(tablet.id);
            for replica in &tablet.replicas {
                let (disk, is_there) = match (replica.state, moving) {
                    (ReplicaState::Normal, Some((from, to))) if replica.disk == from => (Some(to), false),
                    // Being made: of a move it was counted just now.
                    (ReplicaState::Clone, Some(_)) | (ReplicaState::Decommission, _) => (None, false),
                    (ReplicaState::Clone, None) => (Some(replica.disk), false),
                    (ReplicaState::Normal, _) => (Some(replica.disk), true),
                };
                let seat = disk.and_then(|disk| seat_of.get(&disk)).copied();
                let on_its_node =
                    seat.map(|seat| &self.seats[seat as usize]).filter(|seat| seat.node_id == replica.node);
                let host = on_its_node.map(|seat| seat.host).or_else(|| hosts.get(&replica.node).copied());
                let (seat, host) = (seat.unwrap_or(NONE), host.unwrap_or(NONE));
                if let Some(on) = self.on.get_mut(seat as usize) {
                    on.push(self.copies.len() as u32);
                    self.seats[seat as usize].copies += 1;
                }
                let moved = self.scope.resting.contains(&replica.id);
                self.copies.push(Copy { piece, seat, start: seat, host, bytes: bytes_of(replica), is_there, moved });
            }
            let (len, size) = (self.copies.len() as u32 - first, size_of(tablet));
            self.pieces.push(Piece { id: tablet.id, table, first, len, size, may: May::Unasked, moves: 0 });
            self.tables[table as usize].push(piece);
        }
    }

    pub fn copies_of(&self, piece: u32) -> std::ops::Range<u32> {
        let piece = &self.pieces[piece as usize];
        piece.first..piece.first + piece.len
    }

    /// The replica's place among those of its tablet.
    fn rank(&self, copy: u32) -> usize {
        (copy - self.pieces[self.copies[copy as usize].piece as usize].first) as usize
    }

    /// Whether this copy may leave its seat at all.
    pub fn may_leave(&mut self, copy: u32) -> bool {
        let at = self.copies[copy as usize];
        let piece = &mut self.pieces[at.piece as usize];
        if at.moved || !at.is_there || piece.moves >= self.moves_each {
            return false;
        }
        if piece.may == May::Unasked {
            let tablet = self.world.tablets.get(piece.id);
            let may = tablet.is_some_and(|tablet| may_move(self.world, self.scope, tablet).is_ok());
            piece.may = if may { May::Yes } else { May::No };
        }
        piece.may == May::Yes
    }

    /// Whether a seat may take it: pool, host and room.
    pub fn may_come(&self, copy: u32, to: u32) -> bool {
        let (at, seat) = (self.copies[copy as usize], &self.seats[to as usize]);
        let Some(from) = self.seats.get(at.seat as usize) else { return false };
        let piece = &self.pieces[at.piece as usize];
        at.seat != to
            && from.pool == seat.pool
            && self.room[seat.device as usize] >= piece.size
            && (self.scope.left.is_empty() || !self.scope.left.contains(&(piece.id, seat.disk)))
            && self.copies_of(at.piece).all(|other| other == copy || self.copies[other as usize].host != seat.host)
    }

    /// Whether moving it there lowers the usage potential.
    pub fn is_lowering(&self, copy: u32, to: u32) -> bool {
        let at = self.copies[copy as usize];
        lowers_usage(self.seats[at.seat as usize].filled(), self.seats[to as usize].filled(), at.bytes)
    }

    /// Draws a move that has been asked for with [`Picture::may_leave`] and [`Picture::may_come`].
    pub fn draw(&mut self, copy: u32, to: u32) {
        let at = &mut self.copies[copy as usize];
        let (from, bytes, piece) = (at.seat, at.bytes, at.piece);
        (at.seat, at.host, at.moved) = (to, self.seats[to as usize].host, true);
        let piece = &mut self.pieces[piece as usize];
        piece.moves += 1;
        let source = &mut self.seats[from as usize];
        source.used = source.used.saturating_sub(bytes);
        source.copies -= 1;
        let target = &mut self.seats[to as usize];
        target.used = target.used.saturating_add(bytes);
        target.copies += 1;
        let room = &mut self.room[target.device as usize];
        *room = room.saturating_sub(piece.size);
        self.on[to as usize].push(copy);
        self.drawn.push(Drawn { copy, from, to, back: None });
    }

    /// A copy, in the world's words.
    fn name(&self, copy: u32) -> (TabletId, ReplicaId) {
        let tablet = self.pieces[self.copies[copy as usize].piece as usize].id;
        let known = self.world.tablets.get(tablet).expect("the picture was made from this world's tablets");
        (tablet, known.replicas[self.rank(copy)].id)
    }

    /// A drawn move, in the world's words.
    pub fn told(&self, drawn: Drawn, why: Why) -> Move {
        let (from, to) = (&self.seats[drawn.from as usize], &self.seats[drawn.to as usize]);
        let why = drawn.back.map_or(why, |back| {
            let (tablet, replica) = self.name(back);
            Why::Exchange { tablet, replica }
        });
        let (tablet, replica) = self.name(drawn.copy);
        Move {
            tablet,
            replica,
            from_node: from.node_id,
            from: from.disk,
            to_node: to.node_id,
            to: to.disk,
            bytes: self.copies[drawn.copy as usize].bytes,
            why,
        }
    }

    /// Copies that a seat has above its share, of all tables; below zero: what it lacks.
    pub fn copies_above(&self, seat: u32) -> f64 {
        let seat = &self.seats[seat as usize];
        f64::from(seat.copies) - self.pools[seat.pool as usize].copies_share * seat.total as f64
    }

    /// Of copies in order of their bytes, the place of the one nearest to so many, of those up to `most`.
    pub fn nearest(&self, copies: &[u32], wanted: f64, most: f64) -> Option<usize> {
        let bytes = |index: usize| self.copies[copies[index] as usize].bytes as f64;
        let end = copies.partition_point(|copy| self.copies[*copy as usize].bytes as f64 <= most);
        let above = copies[..end].partition_point(|copy| (self.copies[*copy as usize].bytes as f64) < wanted);
        match above.checked_sub(1) {
            Some(below) if above == end || wanted - bytes(below) < bytes(above) - wanted => Some(below),
            Some(_) | None => (above < end).then_some(above),
        }
    }

    /// Copies that stand on a seat now.
    pub fn standing(&self, seat: u32) -> impl Iterator<Item = u32> {
        self.on[seat as usize].iter().copied().filter(move |copy| self.copies[*copy as usize].seat == seat)
    }

    pub fn bytes_drawn(&self) -> u64 {
        self.drawn.iter().fold(0, |sum, drawn| sum.saturating_add(self.copies[drawn.copy as usize].bytes))
    }

    /// Seats of a medium.
    pub fn seats_of(&self, medium: Medium) -> Vec<u32> {
        let pools = self.pools.iter().filter(|pool| pool.medium == medium);
        pools.flat_map(|pool| pool.seats.iter().copied()).collect()
    }

    /// Difference of the used parts of these seats.
    pub fn spread(&self, seats: &[u32]) -> f64 {
        let parts = seats.iter().map(|seat| self.seats[*seat as usize].part());
        let (low, high) = parts.fold((f64::MAX, 0.0f64), |(low, high), part| (low.min(part), high.max(part)));
        (high - low).max(0.0)
    }
}

/// Small numbers of hosts, by node.
fn hosts(world: &World) -> BTreeMap<NodeId, u32> {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut number = |host| {
        let next = numbers.len() as u32;
        *numbers.entry(host).or_insert(next)
    };
    world.nodes.values().map(|node| (node.id, number(node.host.as_str()))).collect()
}
