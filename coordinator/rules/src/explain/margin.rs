//! How much more may be lost before data is: hosts, disks, racks.
//!
//! In: tablets with their counts, one after the other. Out: the margin of the weakest, and which one that is. A tablet
//! without a complete copy is lost already and has no margin; it is named elsewhere. A copy counts as in the ladder.

use crate::World;
use crate::checkup::Counts;
use crate::checkup::count::host_of;
use crate::world::Tablet;
use std::collections::BTreeSet;
use stele_common::TabletId;
use stele_common::api;

/// The weakest tablet so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Margin {
    weakest: Option<Weakest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Weakest {
    tablet: TabletId,
    /// Different ones that hold a complete copy.
    hosts: u32,
    disks: u32,
    racks: u32,
}

impl Margin {
    /// One more tablet.
    pub fn add(&mut self, world: &World, tablet: &Tablet, counts: &Counts) {
        if counts.complete == 0 {
            return;
        }
        // A complete copy is the only one that counts on its host, so hosts and disks need no set.
        let copies = counts.complete;
        let racks = match self.weakest {
            // Racks can only matter where there are not fewer than known: a full pass asks this of every tablet.
            Some(known) if known.racks <= 1 => copies.min(known.racks),
            Some(_) | None => racks_of(world, tablet, counts),
        };
        let known = self.weakest.get_or_insert(Weakest { tablet: tablet.id, hosts: copies, disks: copies, racks });
        if copies < known.hosts {
            known.tablet = tablet.id;
        }
        (known.hosts, known.disks) = (known.hosts.min(copies), known.disks.min(copies));
        known.racks = known.racks.min(racks);
    }

    /// What `status` shows; `None`: there is no data.
    pub fn shown(&self, world: &World) -> Option<api::Margin> {
        let weakest = self.weakest?;
        let has_racks = world.nodes.values().any(|node| !node.rack.is_empty());
        let tablet = world.tablets.get(weakest.tablet)?;
        let table = world.tables.get(&tablet.table);
        Some(api::Margin {
            hosts: weakest.hosts - 1,
            disks: weakest.disks - 1,
            racks: has_racks.then(|| weakest.racks - 1),
            weakest: weakest.tablet,
            table: table.map(|table| format!("{}.{}", table.db, table.name)).unwrap_or_default(),
        })
    }
}

/// Racks with a complete copy; hosts without a rack are a rack of their own each.
fn racks_of(world: &World, tablet: &Tablet, counts: &Counts) -> u32 {
    let complete = tablet.replicas.iter().zip(&counts.judged).filter(|(_, judged)| judged.complete);
    let racks: BTreeSet<(&str, &str)> = complete
        .filter_map(|(replica, _)| {
            let node = world.nodes.get(&replica.node)?;
            Some(if node.rack.is_empty() { ("", host_of(world, replica)?) } else { (node.rack.as_str(), "") })
        })
        .collect();
    racks.len() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkup::count;
    use crate::sample::Sample;
    use stele_common::Liveness;

    fn shown(world: &World) -> Option<api::Margin> {
        let mut margin = Margin::default();
        world.tablets.iter().for_each(|tablet| margin.add(world, tablet, &count(world, tablet)));
        margin.shown(world)
    }

    /// The weakest tablet is the margin; a lost host takes one away; what is lost already has none.
    #[test]
    fn the_weakest_counts() {
        let mut sample = Sample::new(4, 1);
        assert_eq!(shown(&sample.world), None, "no data, no margin");
        let strong = sample.table(3, 4);
        assert_eq!(shown(&sample.world).map(|margin| (margin.hosts, margin.disks, margin.racks)), Some((2, 2, None)));
        let weak = sample.table(2, 1)[0];
        let margin = shown(&sample.world).expect("there is data");
        assert_eq!((margin.hosts, margin.weakest), (1, weak));
        let nodes: Vec<_> = sample.tablet(weak).replicas.iter().map(|replica| replica.node).collect();
        sample.turn(nodes[0], Liveness::Lost);
        assert_eq!(shown(&sample.world).map(|margin| margin.hosts), Some(0));
        sample.turn(nodes[1], Liveness::Lost);
        let margin = shown(&sample.world).expect("the strong ones have copies");
        assert_ne!(margin.weakest, weak, "what is lost has no margin");
        assert!(strong.contains(&margin.weakest));
    }

    /// Two copies in one rack go with it.
    #[test]
    fn racks_have_a_margin_of_their_own() {
        let mut sample = Sample::new(3, 1);
        sample.table(3, 3);
        for (node, rack) in sample.nodes().into_iter().zip(["a", "a", "b"]) {
            sample.world.nodes.get_mut(&node).expect("it was listed").rack = rack.into();
        }
        let margin = shown(&sample.world).expect("there is data");
        assert_eq!((margin.hosts, margin.racks), (2, Some(1)));
    }
}
