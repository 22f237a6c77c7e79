//! Ids as the file writes them, and as the world knows them.
//!
//! In: ids of any 64 bits, path hashes that are unique on their node only. Out: ids of the
//! world, and the way back. Whoever can keep its own number keeps it; the others get one above [`WILD`], so that texts
//! of the rules can be put back into the file's words. It must never give one number to two things of a kind.

use super::format::Id;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskId, NodeId};

/// Ids from here on are not the file's own, from [`WILD_DISK`] on they are disks'. No coordinator ever issues so many.
const WILD: u64 = 1 << 60;
const WILD_DISK: u64 = 1 << 61;
/// Ids of what has none in the file and is never shown.
const NAMELESS: u64 = 1 << 62;

/// Both directions, of every kind of id.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Those that are not the file's own.
    ids: BTreeMap<(Kind, i128), u64>,
    outside: BTreeMap<u64, i128>,
    /// The disks of nodes, and those that replicas name and no node has.
    disks: BTreeMap<(NodeId, i128), DiskId>,
    taken: BTreeSet<DiskId>,
    wild_disks: u64,
    nameless: u64,
    /// The largest id of the file's own.
    highest: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Node,
    Table,
    Tablet,
    Replica,
}

impl Names {
    /// The world's number of an id; the same each time.
    pub fn inside(&mut self, kind: Kind, id: Id) -> u64 {
        if !self.ids.is_empty()
            && let Some(known) = self.ids.get(&(kind, id.0))
        {
            return *known;
        }
        match tame(id) {
            Some(own) => {
                self.highest = self.highest.max(own);
                own
            }
            None => self.renumber(kind, id),
        }
    }

    fn renumber(&mut self, kind: Kind, id: Id) -> u64 {
        let number = WILD + self.ids.len() as u64;
        self.ids.insert((kind, id.0), number);
        self.outside.insert(number, id.0);
        number
    }

    /// The disk of a node by its path hash, whether or not the node has it.
    pub fn disk(&mut self, node: NodeId, path_hash: Id) -> DiskId {
        if let Some(known) = self.disks.get(&(node, path_hash.0)) {
            return *known;
        }
        let own = tame(path_hash).map(DiskId).filter(|own| !self.taken.contains(own));
        let disk = own.unwrap_or_else(|| {
            let number = WILD_DISK + self.wild_disks;
            self.wild_disks += 1;
            self.outside.insert(number, path_hash.0);
            DiskId(number)
        });
        self.taken.insert(disk);
        self.disks.insert((node, path_hash.0), disk);
        disk
    }

    /// An id that stands for itself, such as a task's: the world may not issue it again.
    pub fn keep(&mut self, own: u64) {
        self.highest = self.highest.max(own);
    }

    /// A number for what has none in the file.
    pub fn nameless(&mut self) -> u64 {
        self.nameless += 1;
        NAMELESS + self.nameless
    }

    /// The first id that the world may issue.
    pub fn free(&self) -> u64 {
        if self.ids.is_empty() { self.highest + 1 } else { WILD + self.ids.len() as u64 }
    }

    /// The file's word for a number of the world.
    pub fn outside(&self, number: u64) -> i128 {
        if number < WILD {
            return number.into();
        }
        // Issued after the file was read: shown as the next after the file's own.
        let issued = || i128::from(number) - i128::from(self.free()) + i128::from(self.highest) + 1;
        self.outside.get(&number).copied().unwrap_or_else(issued)
    }

    /// A sentence of the rules, with the file's numbers in it.
    pub fn say(&self, text: String) -> String {
        if self.outside.is_empty() {
            return text;
        }
        let mut said = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, digits) = rest.split_at(begin);
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let (number, after) = digits.split_at(end);
            let known = number.parse().ok().and_then(|number: u64| self.outside.get(&number));
            said += before;
            match known {
                Some(outside) => said += &outside.to_string(),
                None => said += number,
            }
            rest = after;
        }
        said + rest
    }
}

/// A number that can stand for itself.
fn tame(id: Id) -> Option<u64> {
    u64::try_from(id.0).ok().filter(|own| *own < WILD)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids keep their numbers where they can, path hashes may repeat on other nodes, and texts find back.
    #[test]
    fn every_name_finds_back() {
        let mut names = Names::default();
        assert_eq!(names.inside(Kind::Node, Id(10_001)), 10_001);
        let negative = names.inside(Kind::Node, Id(-7));
        assert!(negative >= WILD);
        assert_eq!((names.inside(Kind::Node, Id(-7)), names.outside(negative)), (negative, -7));
        let (one, other) = (NodeId(1), NodeId(2));
        let (a, b) = (names.disk(one, Id(11)), names.disk(other, Id(11)));
        assert_eq!((a, names.disk(one, Id(11))), (DiskId(11), DiskId(11)));
        assert_ne!(a, b);
        assert_eq!(names.outside(b.0), 11);
        let wild = names.disk(one, Id(-5_822_326_203_532_286_804));
        let said = names.say(format!("disk {wild} of node 3 has 12, disk {b}"));
        assert_eq!(said, "disk -5822326203532286804 of node 3 has 12, disk 11");
        assert!(names.free() > negative, "an id of the file would be issued again");
        assert_eq!(names.outside(names.free()), 10_002, "shown as the next one");
    }
}
