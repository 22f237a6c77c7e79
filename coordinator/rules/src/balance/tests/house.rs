//! Houses for the planner's tests, written as world files, and an inspector who walks through a plan move by move and
//! knows the rules by himself.

use crate::World;
use crate::balance::moves::{Scope, Why};
use crate::balance::plan::{Plan, plan};
use crate::world::Disk;
use crate::worldfile::{Reading, read};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{DiskId, Medium, NodeId, ReplicaId, TabletId};

/// A node: host, tag, and its disks as (SSD?, total, bytes that are not replicas').
pub type Node = (u64, &'static str, Vec<(bool, u64, u64)>);

/// A tablet: its table, its bytes, and where its copies stand, node and disk.
pub type Stood = (usize, u64, Vec<(usize, usize)>);

#[derive(Clone, Debug, Default)]
pub struct House {
    pub nodes: Vec<Node>,
    /// Copies, SSD?, tag.
    pub tables: Vec<(u32, bool, &'static str)>,
    pub tablets: Vec<Stood>,
}

impl House {
    pub fn reading(&self) -> Reading {
        let medium = |ssd: bool| if ssd { "SSD" } else { "HDD" };
        let mut used: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        for (_, bytes, places) in &self.tablets {
            places.iter().for_each(|place| *used.entry(*place).or_default() += bytes);
        }
        let nodes = self.nodes.iter().enumerate().map(|(node, (host, tag, disks))| {
            let disks = disks.iter().enumerate().map(|(disk, (ssd, total, foreign))| {
                let used = used.get(&(node, disk)).unwrap_or(&0) + foreign;
                json!({"path_hash": 1000 * (node + 1) + disk, "medium": medium(*ssd), "total": total, "used": used})
            });
            let disks: Vec<_> = disks.collect();
            json!({"id": node + 1, "host": format!("h{host}"), "tag": tag, "disks": disks})
        });
        let tables = self.tables.iter().enumerate().map(|(table, (copies, ssd, tag))| {
            json!({"id": table + 1, "replication_num": copies, "medium": medium(*ssd), "tag": tag})
        });
        let tablets = self.tablets.iter().enumerate().map(|(tablet, (table, bytes, places))| {
            let replicas = places.iter().enumerate().map(|(index, (node, disk))| {
                let id = 1_000_000 + tablet * 10 + index;
                json!({"id": id, "node": node + 1, "path_hash": 1000 * (node + 1) + disk, "version": 1, "size": bytes})
            });
            let replicas: Vec<_> = replicas.collect();
            json!({"id": 100_000 + tablet, "table": table + 1, "bucket": tablet, "replicas": replicas})
        });
        let (nodes, tables): (Vec<_>, Vec<_>) = (nodes.collect(), tables.collect());
        let file = json!({"format": "stele-world/1", "nodes": nodes, "tables": tables,
                          "tablets": tablets.collect::<Vec<_>>()});
        let file = serde_json::from_value(file).expect("it has the shapes of a world file");
        read(file).expect("it makes sense")
    }

    /// Plans, and has the plan inspected.
    pub fn plan(&self) -> Plan {
        let reading = self.reading();
        let plan = plan(&reading.world, &Scope::all(reading.at));
        Inspector::of(&reading.world).walk(&plan);
        plan
    }

    /// The house after the plan.
    pub fn after(&self, plan: &Plan) -> House {
        let mut house = self.clone();
        for mv in &plan.moves {
            let (tablet, index) = ((mv.tablet.0 - 100_000) as usize, (mv.replica.0 % 10) as usize);
            let (node, disk) = (mv.to_node.0 as usize - 1, mv.to.0 as usize % 1000);
            house.tablets[tablet].2[index] = (node, disk);
        }
        house
    }
}

/// Knows what stands where, and counts everything anew after each move.
pub struct Inspector<'a> {
    world: &'a World,
    stands: BTreeMap<(TabletId, ReplicaId), DiskId>,
    bytes: BTreeMap<(TabletId, ReplicaId), u64>,
    used: BTreeMap<DiskId, u64>,
    arrived: BTreeMap<DiskId, u64>,
}

impl<'a> Inspector<'a> {
    pub fn of(world: &'a World) -> Inspector<'a> {
        let all = || world.tablets.iter().flat_map(|tablet| tablet.replicas.iter().map(move |one| (tablet.id, one)));
        let stands = all().map(|(tablet, one)| ((tablet, one.id), one.disk)).collect();
        let size = |one: &crate::world::Replica| one.seen.as_ref().map_or(0, |seen| seen.size);
        let bytes = all().map(|(tablet, one)| ((tablet, one.id), size(one))).collect();
        let used = world.disks.values().map(|disk| (disk.id, disk.space.used)).collect();
        Inspector { world, stands, bytes, used, arrived: BTreeMap::new() }
    }

    fn disk(&self, id: DiskId) -> &'a Disk {
        &self.world.disks[&id]
    }

    fn host(&self, disk: DiskId) -> &'a str {
        &self.world.nodes[&self.disk(disk).node].host
    }

    pub fn spread(&self, medium: Medium) -> f64 {
        let disks = self.world.disks.values().filter(|disk| disk.medium == medium);
        let parts: Vec<f64> = disks.map(|disk| self.used[&disk.id] as f64 / disk.space.total as f64).collect();
        parts.iter().fold(0.0f64, |a, b| a.max(*b)) - parts.iter().fold(1e9f64, |a, b| a.min(*b))
    }

    /// Sum of squares of what places have beyond their share of a table, on one medium and tag.
    fn unfairness(&self, tablet: TabletId, medium: Medium, by_disk_of: Option<NodeId>) -> f64 {
        let table = self.world.tablets.get(tablet).expect("it is there").table;
        let tag = &self.world.tables[&table].tag;
        let disks = self.world.disks.values().filter(|disk| {
            disk.medium == medium
                && self.world.nodes[&disk.node].tag == *tag
                && by_disk_of.is_none_or(|node| node == disk.node)
        });
        let mut places: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        let place = |disk: &Disk| if by_disk_of.is_some() { disk.id.0 } else { disk.node.0 };
        for disk in disks {
            places.entry(place(disk)).or_default().1 += disk.space.total as f64;
        }
        for ((other, _), disk) in &self.stands {
            let disk = self.disk(*disk);
            let is_of_table = self.world.tablets.get(*other).is_some_and(|other| other.table == table);
            if is_of_table && disk.medium == medium && by_disk_of.is_none_or(|node| node == disk.node) {
                places.entry(place(disk)).or_default().0 += 1.0;
            }
        }
        let (copies, capacity) = places.values().fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
        places.values().map(|(count, room)| (count - copies * room / capacity).powi(2)).sum()
    }

    /// Every move keeps every rule at its turn and lowers what it is for; the plan's figures are right.
    pub fn walk(&mut self, plan: &Plan) {
        let mut moved = BTreeSet::new();
        for (index, mv) in plan.moves.iter().enumerate() {
            let key = (mv.tablet, mv.replica);
            assert_eq!(self.stands[&key], mv.from, "{mv:?} leaves from where it is not");
            assert!(moved.insert(key), "{mv:?} moves again");
            let (from, to) = (self.disk(mv.from), self.disk(mv.to));
            assert_eq!((from.node, to.node, from.medium), (mv.from_node, mv.to_node, to.medium), "{mv:?}");
            assert_ne!(from.id, to.id);
            assert_eq!(self.world.nodes[&from.node].tag, self.world.nodes[&to.node].tag, "{mv:?}");
            let mut others = self.stands.range((mv.tablet, ReplicaId(0))..=(mv.tablet, ReplicaId(u64::MAX)));
            let is_alone = others.all(|(other, disk)| *other == key || self.host(*disk) != self.host(mv.to));
            assert!(is_alone, "{mv:?} joins another copy on its host");
            assert_eq!(mv.bytes, self.bytes[&key]);
            let arrived = self.arrived.entry(mv.to).or_default();
            *arrived += mv.bytes;
            let keep = self.world.knobs.clone_reserve(to.space.total);
            assert!(to.space.used + *arrived + keep <= to.space.total, "{mv:?} overfills");
            let within = (from.node == to.node).then_some(from.node);
            let (spread, unfair) = (self.spread(to.medium), self.unfairness(mv.tablet, to.medium, within));
            let (source, target) = (i128::from(self.used[&mv.from]), i128::from(self.used[&mv.to]));
            let (s, a, b) = (i128::from(mv.bytes), i128::from(from.space.total), i128::from(to.space.total));
            let change = ((source - s).pow(2) - source.pow(2)) * b + ((target + s).pow(2) - target.pow(2)) * a;
            *self.used.entry(mv.from).or_default() -= mv.bytes;
            *self.used.entry(mv.to).or_default() += mv.bytes;
            self.stands.insert(key, mv.to);
            let threshold = self.world.knobs.balance_threshold;
            match mv.why {
                Why::Exchange { tablet, replica } => {
                    let back = &plan.moves[index + 1];
                    assert_eq!((back.tablet, back.replica, back.from, back.to), (tablet, replica, mv.to, mv.from));
                    // The second evens more than the first unevened.
                    let (s, source, target) = (i128::from(back.bytes), source - s, target + s);
                    let back = ((target - s).pow(2) - target.pow(2)) * a + ((source + s).pow(2) - source.pow(2)) * b;
                    assert!(change + back < 0 && back < 0, "{mv:?} and what comes for it even no bytes");
                }
                Why::Usage => assert!(change < 0, "{mv:?} evens no bytes"),
                Why::Primary => panic!("a plan moves no primary for its role: {mv:?}"),
                Why::Count => {
                    assert!(self.unfairness(mv.tablet, to.medium, within) < unfair, "{mv:?} is no fairer");
                    let now = self.spread(to.medium);
                    assert!(now < threshold || now <= spread + 1e-9, "{mv:?} widens {spread} to {now}");
                    assert!(spread < threshold || change <= 0, "{mv:?} undoes what evened bytes");
                }
            }
        }
        for (medium, after) in &plan.after {
            assert!((after.width() - self.spread(*medium)).abs() < 1e-9);
        }
        assert_eq!(plan.bytes, plan.moves.iter().map(|mv| mv.bytes).sum::<u64>());
        let bounds = [plan.bytes_lower_bound, plan.bytes_lower_bound_fair, plan.bytes];
        assert!(bounds.is_sorted(), "{bounds:?}");
        assert_eq!(plan.idle.is_some(), plan.moves.is_empty());
    }
}
