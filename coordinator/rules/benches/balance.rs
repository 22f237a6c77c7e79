//! The planner on large houses: 1000 disks with random skew, 5 % more hosts, 5 % more disks. Prints how even counts are
//! before and after, moves against the bound, seconds and memory. `cargo bench -p stele-coordinator-rules balance`.

mod house;

use house::{SIZE, Seat, fill, resident_mib, scattered, timed};
use std::collections::BTreeMap;
use stele_common::{DiskId, ReplicaId, Space, TabletId};
use stele_coordinator_rules::World;
use stele_coordinator_rules::balance::moves::{Move, Scope};
use stele_coordinator_rules::balance::plan::plan;
use stele_coordinator_rules::sample::Sample;

const HOSTS: u64 = 200;
const DISKS: u64 = 5;
/// Rounds after the plan: each must be idle.
const ROUNDS: usize = 100;

fn main() {
    skewed();
    more_hosts();
    more_disks();
}

/// 32 000 tablets at random places.
fn skewed() {
    let mut sample = Sample::new(HOSTS, DISKS);
    fill(&mut sample, 32_000, scattered);
    measure("random skew: 32 000 tablets x 3 on 1000 disks", sample, ROUNDS);
}

/// 262 144 tablets, evenly placed; then ten hosts join two hundred.
fn more_hosts() {
    let mut sample = Sample::new(HOSTS, DISKS);
    fill(&mut sample, 262_144, even);
    (0..HOSTS / 20).for_each(|_| {
        sample.host(DISKS);
    });
    measure("5 % more hosts: 262 144 tablets x 3 on 1000 + 50 disks", sample, 3);
}

/// 1 048 576 tablets, evenly placed; then fifty hosts get one disk more.
fn more_disks() {
    let mut sample = Sample::new(HOSTS, DISKS);
    fill(&mut sample, 1_048_576, even);
    for node in sample.nodes().into_iter().take(50) {
        sample.disk(node, stele_common::Medium::Hdd);
    }
    measure("5 % more disks: 1 048 576 tablets x 3 on 1000 + 50 disks", sample, 1);
}

/// Host by host, then disk by disk.
fn even(index: u64, disks: &[Seat]) -> Vec<Seat> {
    let place = |copy: u64| disks[((copy % HOSTS) * DISKS + (copy / HOSTS) % DISKS) as usize];
    (index * 3..index * 3 + 3).map(place).collect()
}

fn measure(what: &str, mut sample: Sample, rounds: usize) {
    // About 60 % used; the headroom of a real house would hide that in disks of a few hundred MiB.
    let mut counts = counts(&sample.world);
    let mean = counts.values().sum::<u64>() / counts.len() as u64;
    for (disk, count) in &counts {
        sample.fill(*disk, count * SIZE, mean * SIZE * 5 / 3);
    }
    println!("\n{what}; resident {} MiB", resident_mib());
    let (before, scope) = (deviation(&counts), Scope::all(sample.at));
    let found = timed("  plan", || plan(&sample.world, &scope));
    for mv in &found.moves {
        *counts.entry(mv.from).or_default() -= 1;
        *counts.entry(mv.to).or_default() += 1;
    }
    let (least, most) = (counts.values().min().copied(), counts.values().max().copied());
    println!("  resident {} MiB, method {:?}", resident_mib(), found.method);
    println!("  replicas a disk: deviation {before:.2} -> {:.3}, {least:?} to {most:?}", deviation(&counts));
    for (medium, after) in &found.after {
        println!(
            "  {medium:?}: spread {:.4} % -> {:.4} %",
            found.before[medium].width() * 100.0,
            after.width() * 100.0
        );
    }
    let (moves, bound) = (found.moves.len(), found.bytes_lower_bound / SIZE);
    println!("  moves {moves}, bound {bound}, ratio {:.4}", moves as f64 / bound.max(1) as f64);
    carry_out(&mut sample, found.moves);
    for round in 0..rounds {
        let again = plan(&sample.world, &scope);
        assert!(again.moves.is_empty(), "round {round} after the plan moves {}", again.moves.len());
    }
    println!("  {rounds} further rounds: 0 moves");
}

fn counts(world: &World) -> BTreeMap<DiskId, u64> {
    let mut counts: BTreeMap<DiskId, u64> = world.disks.keys().map(|disk| (*disk, 0)).collect();
    let replicas = world.tablets.iter().flat_map(|tablet| &tablet.replicas);
    replicas.for_each(|replica| *counts.entry(replica.disk).or_default() += 1);
    counts
}

fn deviation(counts: &BTreeMap<DiskId, u64>) -> f64 {
    let number = counts.len() as f64;
    let mean = counts.values().sum::<u64>() as f64 / number;
    (counts.values().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / number).sqrt()
}

/// The world after the moves.
fn carry_out(sample: &mut Sample, moves: Vec<Move>) {
    let by_tablet: BTreeMap<(TabletId, ReplicaId), Move> =
        moves.into_iter().map(|mv| ((mv.tablet, mv.replica), mv)).collect();
    let mut tablets = stele_coordinator_rules::world::Tablets::default();
    std::mem::swap(&mut tablets, &mut sample.world.tablets);
    let mut moved: Vec<_> = tablets.iter().cloned().collect();
    drop(tablets);
    let boots: BTreeMap<_, _> = sample.world.nodes.values().map(|node| (node.id, node.boot)).collect();
    for tablet in &mut moved {
        for replica in &mut tablet.replicas {
            let Some(mv) = by_tablet.get(&(tablet.id, replica.id)) else { continue };
            (replica.node, replica.disk) = (mv.to_node, mv.to);
            if let Some(seen) = &mut replica.seen {
                seen.boot = boots[&mv.to_node].unwrap_or_default();
            }
        }
    }
    sample.apply(stele_coordinator_rules::Change::TabletsAdded { tablets: moved });
    for (disk, count) in counts(&sample.world) {
        let Space { total, .. } = sample.world.disks[&disk].space;
        sample.fill(disk, count * SIZE, total);
    }
}
