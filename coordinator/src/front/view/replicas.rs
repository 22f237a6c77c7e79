//! How many replicas each node holds, in which role, and how evenly: Pegasus' `nodes -d`. Pure functions.

use std::collections::BTreeMap;
use stele_common::api::{NodeReplicaCount, NodeReplicas};
use stele_common::{Liveness, NodeId};
use stele_coordinator_rules::World;

/// All nodes, by their ids.
pub fn of_nodes(world: &World) -> NodeReplicas {
    let mut counts: BTreeMap<NodeId, (u64, u64)> = BTreeMap::new();
    for tablet in world.tablets.iter() {
        for replica in &tablet.replicas {
            let count = counts.entry(replica.node).or_default();
            count.0 += 1;
            count.1 += u64::from(tablet.primary == Some(replica.id));
        }
    }
    let nodes: Vec<NodeReplicaCount> = world
        .nodes
        .values()
        .map(|node| {
            let (replicas, primaries) = counts.get(&node.id).copied().unwrap_or_default();
            let status = if node.liveness == Liveness::Alive { "ALIVE" } else { "UNALIVE" };
            NodeReplicaCount {
                id: node.id,
                host: node.host.clone(),
                address: if node.peer.is_empty() { node.host.clone() } else { node.peer.clone() },
                status: status.into(),
                replica_count: replicas,
                primary_count: primaries,
                secondary_count: replicas - primaries,
            }
        })
        .collect();
    let alive = nodes.iter().filter(|node| node.status == "ALIVE").count() as u64;
    let holding = || nodes.iter().filter(|node| node.status == "ALIVE" && node.replica_count > 0);
    let total = nodes.len() as u64;
    NodeReplicas {
        primary_replica_count_stddev: stddev(&holding().map(|node| node.primary_count).collect::<Vec<_>>()),
        total_replica_count_stddev: stddev(&holding().map(|node| node.replica_count).collect::<Vec<_>>()),
        nodes,
        total_node_count: total,
        alive_node_count: alive,
        unalive_node_count: total - alive,
    }
}

/// Over all of them, to two decimals.
fn stddev(counts: &[u64]) -> f64 {
    if counts.len() < 2 {
        return 0.0;
    }
    let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let squares: f64 = counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum();
    ((squares / counts.len() as f64).sqrt() * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_coordinator_rules::Change;
    use stele_coordinator_rules::sample::Sample;

    /// Counts add up, empty nodes do not bend the deviation, and who is away is UNALIVE.
    #[test]
    fn counts() {
        let mut sample = Sample::new(4, 1);
        let tablets = sample.table(3, 2);
        tablets.iter().for_each(|tablet| _ = sample.load_all(*tablet));
        let found = of_nodes(&sample.world);
        assert_eq!(found.nodes.iter().map(|node| node.replica_count).sum::<u64>(), 6);
        assert!(found.nodes.iter().all(|node| node.replica_count == node.primary_count + node.secondary_count));
        assert_eq!((found.total_node_count, found.alive_node_count, found.unalive_node_count), (4, 4, 0));
        let (node, at) = (sample.nodes()[0], sample.at);
        sample.apply(Change::NodeLive { node, liveness: Liveness::Lost, at });
        let found = of_nodes(&sample.world);
        assert_eq!((found.nodes[0].status.as_str(), found.unalive_node_count), ("UNALIVE", 1));
        assert_eq!(
            [stddev(&[]), stddev(&[5]), stddev(&[1, 3]), stddev(&[2, 4, 4, 4, 5, 5, 7, 9])],
            [0.0, 0.0, 1.0, 2.0]
        );
    }
}
