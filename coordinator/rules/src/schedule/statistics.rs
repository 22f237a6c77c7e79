//! How busy each node is, for the order of candidates: the load score, kept at hand.
//!
//! In: the world, a few thousand tablets at a time, so that no round ever walks over all of a large house. Out: scores
//! by node, made anew every 20 s (the originals' period). It decides nothing: [`super::target`] and [`super::victim`]
//! order by it.

use crate::World;
use crate::balance::score::{self, Replicas};
use std::collections::BTreeMap;
use stele_common::{Medium, NodeId, TabletId, Tick};

/// Time from the end of one pass over all tablets to the next.
const EVERY_MS: u64 = 20_000;
/// Tablets counted in one round: about a millisecond; a million are through in ten seconds of rounds.
pub const EACH_ROUND: usize = 10_000;

/// Replicas by node and medium, as the last pass found them.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    counted: Replicas,
    gathering: Replicas,
    /// How far the pass under way has come.
    next: Option<TabletId>,
    ended: Option<Tick>,
}

/// Scores in parts per million, so that their order is total.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    of: BTreeMap<(NodeId, Medium), u64>,
    mixed: BTreeMap<NodeId, u64>,
}

impl Statistics {
    /// Counts up to `most` tablets further, when it is time to.
    pub fn walk(&mut self, world: &World, at: Tick, most: usize) {
        if self.next.is_none() && self.ended.is_some_and(|ended| at.since(ended) < EVERY_MS) {
            return;
        }
        let mut tablets = world.tablets.iter_from(self.next.take().unwrap_or(TabletId(0)));
        for tablet in tablets.by_ref().take(most) {
            score::count(world, tablet, &mut self.gathering);
        }
        self.next = tablets.next().map(|tablet| tablet.id);
        if self.next.is_none() {
            self.counted = std::mem::take(&mut self.gathering);
            self.ended = Some(at);
        }
    }

    /// The scores now: counts of the last pass, disks as they are.
    pub fn scores(&self, world: &World) -> Scores {
        let mut scores = Scores::default();
        let mut media: BTreeMap<NodeId, u64> = BTreeMap::new();
        for score in score::scores_of(world, &self.counted) {
            let ppm = (score.score * 1e6) as u64;
            scores.of.insert((score.node, score.medium), ppm);
            *scores.mixed.entry(score.node).or_default() += ppm;
            *media.entry(score.node).or_default() += 1;
        }
        for (node, sum) in &mut scores.mixed {
            *sum /= media[node];
        }
        scores
    }
}

impl Scores {
    /// The mean over the media that the node has: what orders destinations.
    pub fn of_node(&self, node: NodeId) -> u64 {
        self.mixed.get(&node).copied().unwrap_or(0)
    }

    /// On a medium; the mean where the node has none of it: what orders victims.
    pub fn on(&self, node: NodeId, medium: Medium) -> u64 {
        self.of.get(&(node, medium)).copied().unwrap_or_else(|| self.of_node(node))
    }

    /// On a medium, as the formula has it; `None`: nothing is known of it.
    pub fn shown(&self, node: NodeId, medium: Medium) -> Option<f64> {
        self.of.get(&(node, medium)).map(|ppm| *ppm as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    /// A pass in pieces ends at the counts of a pass at once, and the next waits for its time.
    #[test]
    fn pieces_and_periods() {
        let mut sample = Sample::new(4, 1);
        sample.table(3, 10);
        let (mut whole, mut pieces) = (Statistics::default(), Statistics::default());
        whole.walk(&sample.world, sample.at, usize::MAX);
        (0..4).for_each(|_| pieces.walk(&sample.world, sample.at, 3));
        assert_eq!(pieces.counted, whole.counted);
        assert_eq!(whole.counted.values().sum::<u64>(), 30);
        sample.table(3, 10);
        whole.walk(&sample.world, sample.at.plus(EVERY_MS - 1), usize::MAX);
        assert_eq!(whole.counted.values().sum::<u64>(), 30, "not before its time");
        whole.walk(&sample.world, sample.at.plus(EVERY_MS), usize::MAX);
        assert_eq!(whole.counted.values().sum::<u64>(), 60);
    }

    /// More replicas, or more bytes, is a higher score; a node of another medium is judged by what it has.
    #[test]
    fn more_is_busier() {
        let mut sample = Sample::new(3, 1);
        sample.table(1, 4);
        let (nodes, disks) = (sample.nodes(), sample.world.disks.keys().copied().collect::<Vec<_>>());
        for (disk, used) in disks.iter().zip([300, 200, 100]) {
            sample.fill(*disk, used, 1_000);
        }
        let mut statistics = Statistics::default();
        statistics.walk(&sample.world, sample.at, usize::MAX);
        let scores = statistics.scores(&sample.world);
        assert!(scores.of_node(nodes[0]) > scores.of_node(nodes[1]));
        assert!(scores.of_node(nodes[1]) > scores.of_node(nodes[2]));
        assert_eq!(scores.on(nodes[0], Medium::Ssd), scores.of_node(nodes[0]));
        assert_eq!(scores.shown(nodes[0], Medium::Ssd), None);
    }
}
