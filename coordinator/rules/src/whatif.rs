//! What a loss would cost, before it happens: what is gone, what is degraded, where the copies would go, and what the
//! next loss after it would take.
//!
//! In: a world and the nodes and disks that are to be thought away. Out: the shape of [`stele_common::api::WhatIf`].
//! Counts are the ladder's own, on the world as it would be; places are those of [`crate::evacuation`]. It changes
//! nothing, and says nothing about time: that is the simulator's.

use crate::World;
use crate::checkup::count::host_of;
use crate::checkup::{Counts, count};
use crate::evacuation::{Leaving, evacuate, name_of};
use crate::explain::Margin;
use crate::world::Tablet;
use std::collections::BTreeMap;
use stele_common::api::{LostTablet, NextLoss, WhatIf};
use stele_common::{DiskId, DiskState, Liveness, NodeId, Tick};

/// Tablets that are named one by one; their number is always told.
const NAMED_MAX: usize = 50;

/// A loss that somebody thinks of: `host:h1`, `node:10001`, `rack:r1`, `disk:10005`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    Host(String),
    Node(NodeId),
    Rack(String),
    Disk(DiskId),
}

impl std::str::FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Loss, String> {
        let wrong = || format!("`{text}` is no loss: host:NAME, node:ID, rack:NAME or disk:ID");
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
        match kind {
            "host" => Ok(Loss::Host(name.into())),
            "rack" => Ok(Loss::Rack(name.into())),
            "node" => name.parse().map(|id| Loss::Node(NodeId(id))).map_err(|_| wrong()),
            "disk" => name.parse().map(|id| Loss::Disk(DiskId(id))).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

/// The nodes and disks that these losses name; the first that names nothing is the error.
pub fn named(world: &World, losses: &[Loss]) -> Result<Leaving, String> {
    let mut leaving = Leaving::default();
    for loss in losses {
        let before = leaving.nodes.len() + leaving.disks.len();
        let nodes = world.nodes.values();
        match loss {
            Loss::Host(host) => leaving.nodes.extend(nodes.filter(|node| node.host == *host).map(|node| node.id)),
            Loss::Rack(rack) => leaving.nodes.extend(nodes.filter(|node| node.rack == *rack).map(|node| node.id)),
            Loss::Node(id) => leaving.nodes.extend(world.nodes.get(id).map(|node| node.id)),
            Loss::Disk(id) => leaving.disks.extend(world.disks.get(id).map(|disk| disk.id)),
        }
        if leaving.nodes.len() + leaving.disks.len() == before && !is_there(world, loss) {
            return Err(format!("there is no {loss}: see `stele node list` and `stele disk list`"));
        }
    }
    Ok(leaving)
}

fn is_there(world: &World, loss: &Loss) -> bool {
    match loss {
        Loss::Host(host) => world.nodes.values().any(|node| node.host == *host),
        Loss::Rack(rack) => world.nodes.values().any(|node| node.rack == *rack),
        Loss::Node(id) => world.nodes.contains_key(id),
        Loss::Disk(id) => world.disks.contains_key(id),
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Loss::Host(name) => write!(f, "host {name}"),
            Loss::Rack(name) => write!(f, "rack {name}"),
            Loss::Node(id) => write!(f, "node {id}"),
            Loss::Disk(id) => write!(f, "disk {id}"),
        }
    }
}

/// The world without what is lost, as the ladder would see it once the nodes are given up.
pub fn without(world: &World, lost: &Leaving) -> World {
    let mut after = world.clone();
    for node in after.nodes.values_mut().filter(|node| lost.nodes.contains(&node.id)) {
        node.liveness = Liveness::Lost;
    }
    for disk in after.disks.values_mut().filter(|disk| lost.disks.contains(&disk.id)) {
        disk.state = DiskState::Unavailable;
    }
    after
}

/// The tablets that the loss touches, or one of so many of them where there are more than `most`: what a forecast of the
/// repair needs. The others only fill disks, and what the disks say of that stays.
pub fn touched_by(world: &World, lost: &Leaving, most: usize) -> (World, u64) {
    let touches = |tablet: &&Tablet| tablet.replicas.iter().any(|replica| lost.has(replica));
    let touched = world.tablets.iter().filter(touches).count();
    let one_of = touched.div_ceil(most.max(1)).max(1);
    let kept = world.tablets.iter().filter(touches).step_by(one_of);
    let tablets = kept.fold(crate::world::Tablets::default(), |mut kept, tablet| {
        kept.insert(tablet.clone());
        kept
    });
    let mut part = world.clone();
    part.tasks.retain(|tablet, _| tablets.get(*tablet).is_some());
    part.tablets = tablets;
    (part, one_of as u64)
}

/// What losing all of this at once would cost.
pub fn whatif(world: &World, lost: &Leaving, at: Tick) -> WhatIf {
    let after = without(world, lost);
    let mut answer = WhatIf {
        nodes: lost.nodes.iter().copied().collect(),
        disks: lost.disks.iter().copied().collect(),
        ..WhatIf::default()
    };
    let (mut margin, mut next) = (Margin::default(), BTreeMap::new());
    for tablet in world.tablets.iter() {
        let counts = count(&after, tablet);
        margin.add(&after, tablet, &counts);
        if let Some(host) = only_host(&after, tablet, &counts) {
            *next.entry(host).or_insert(0) += 1;
        }
        if tablet.replicas.iter().any(|replica| lost.has(replica)) {
            touched(world, tablet, &counts, &mut answer);
        }
    }
    let mut places = evacuate(&after, lost, at);
    // What is lost finds no place either, but that is told already.
    places.blockers.retain(|blocker| blocker.code != "unrecoverable");
    (answer.copies, answer.bytes, answer.fullest) = (places.copies, places.bytes, places.fullest);
    answer.blocked = places.blocked.saturating_sub(answer.lost);
    answer.fits = answer.blocked == 0 && places.blockers.is_empty();
    answer.blockers = places.blockers;
    answer.margin = margin.shown(&after);
    let worst = next.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
    answer.next = worst.map(|(host, tablets)| NextLoss { host: host.into(), tablets });
    answer
}

/// A tablet that loses at least one replica.
fn touched(world: &World, tablet: &Tablet, counts: &Counts, answer: &mut WhatIf) {
    let before = count(world, tablet).complete;
    if counts.complete == 0 && before > 0 {
        answer.lost += 1;
        let bytes = crate::schedule::slots::size_of(tablet);
        answer.lost_bytes = answer.lost_bytes.saturating_add(bytes);
        if answer.lost_tablets.len() < NAMED_MAX {
            answer.lost_tablets.push(LostTablet { tablet: tablet.id, table: name_of(world, tablet) });
        }
    } else if counts.complete < tablet.wanted && counts.complete < before {
        answer.degraded += 1;
        answer.without_quorum += u64::from(counts.complete < tablet.wanted / 2 + 1);
        answer.one_copy_left += u64::from(counts.complete == 1);
    }
}

/// The host that holds all of what is left of a tablet.
fn only_host<'a>(world: &'a World, tablet: &Tablet, counts: &Counts) -> Option<&'a str> {
    let mut complete = tablet.replicas.iter().zip(&counts.judged).filter(|(_, judged)| judged.complete);
    let (replica, _) = complete.next().filter(|_| counts.complete == 1)?;
    host_of(world, replica)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use std::collections::BTreeSet;

    fn lose(sample: &Sample, losses: &[&str]) -> WhatIf {
        let losses: Vec<Loss> = losses.iter().map(|text| text.parse().expect("it is a loss")).collect();
        let lost = named(&sample.world, &losses).expect("all are there");
        whatif(&sample.world, &lost, sample.at)
    }

    /// One host of five degrades what it holds and all of it fits elsewhere; three at once take tablets with them.
    #[test]
    fn what_hosts_cost() {
        let mut sample = Sample::new(5, 1);
        let tablets = sample.table(3, 10);
        tablets.iter().for_each(|tablet| {
            sample.load_all(*tablet);
        });
        let one = lose(&sample, &["host:h1"]);
        assert_eq!((one.lost, one.degraded, one.without_quorum), (0, 6, 0));
        assert!(one.fits && one.copies == 6, "{one:?}");
        assert_eq!(one.bytes, 6 * crate::sample::REPLICA_BYTES);
        assert_eq!(one.margin.as_ref().map(|margin| margin.hosts), Some(1));
        assert_eq!(one.next, None, "no single further host takes anything");

        let two = lose(&sample, &["host:h1", "host:h2"]);
        assert_eq!((two.lost, two.one_copy_left), (0, 4), "buckets that stand on both");
        let next = two.next.expect("one more host takes tablets");
        assert_eq!(next.tablets, 2, "{next:?}");

        let three = lose(&sample, &["host:h1", "host:h2", "host:h3"]);
        assert_eq!(three.lost, 2, "the buckets that stand on just these three");
        assert_eq!(three.lost_tablets.len(), 2);
        assert_eq!(three.lost_bytes, 2 * crate::sample::REPLICA_BYTES);
    }

    /// Nothing is changed by asking; what is not there is named.
    #[test]
    fn names_and_no_change() {
        let mut sample = Sample::new(3, 2);
        sample.table(3, 3);
        let disk = *sample.world.disks.keys().next().expect("there are disks");
        let found = lose(&sample, &[&format!("disk:{disk}")]);
        assert_eq!((found.lost, found.nodes.len(), found.disks.len()), (0, 0, 1));
        assert!(sample.world.disks[&disk].state == DiskState::Online);
        let none = named(&sample.world, &[Loss::Host("h9".into())]);
        assert_eq!(none, Err("there is no host h9: see `stele node list` and `stele disk list`".into()));
        assert!("h9".parse::<Loss>().is_err() && "node:x".parse::<Loss>().is_err());
        let twice = named(&sample.world, &[Loss::Host("h1".into()), Loss::Host("h1".into())]).expect("the same twice");
        assert_eq!(twice.nodes.len(), 1);
        assert_eq!(BTreeSet::from([sample.nodes()[0]]), twice.nodes);
    }
}
