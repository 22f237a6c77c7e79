//! The worked cases of the note on the originals (3.1), and what must never come out.

use super::{Class, Score, class, coefficient, scores, stands_in};
use crate::sample::Sample;
use std::sync::Arc;
use stele_common::config::RepairKnobs;
use stele_common::{DiskState, Medium, NodeId, ReplicaState};

use Class::{High, Low, Mid};

/// One disk a node: used, total, replicas.
fn house(nodes: &[(u64, u64, u32)]) -> Vec<Score> {
    let sample = sample_of(nodes);
    scores(&sample.world)
}

fn sample_of(nodes: &[(u64, u64, u32)]) -> Sample {
    let mut sample = Sample::new(nodes.len() as u64, 1);
    let most = nodes.iter().map(|(_, _, replicas)| *replicas).max().unwrap_or(0);
    for (index, node) in sample.nodes().into_iter().enumerate() {
        let disk = sample.disks_of(node)[0];
        let (used, total, _) = nodes[index];
        sample.fill(disk, used, total);
    }
    // One tablet a replica, so that each node has as many as it is to have.
    let tablets = if most == 0 { Vec::new() } else { sample.table(1, most) };
    for tablet in &tablets {
        let first = sample.replicas(*tablet)[0];
        sample.forget(*tablet, first);
    }
    for (index, node) in sample.nodes().into_iter().enumerate() {
        let disk = sample.disks_of(node)[0];
        for tablet in tablets.iter().take(nodes[index].2 as usize) {
            sample.replica_on(*tablet, disk, ReplicaState::Normal);
        }
    }
    sample
}

fn close(scores: &[Score], wanted: &[f64]) {
    assert_eq!(scores.len(), wanted.len());
    for (score, wanted) in scores.iter().zip(wanted) {
        assert!((score.score - wanted).abs() < 1e-9, "{} where {wanted} is wanted: {scores:#?}", score.score);
        assert!((score.capacity_coefficient + score.replica_num_coefficient - 1.0).abs() < 1e-12);
    }
}

fn classes(scores: &[Score]) -> Vec<Class> {
    scores.iter().map(|score| score.class).collect()
}

/// The fixture whose first score the originals assert; the others by exact fractions.
#[test]
fn the_originals_own_fixture() {
    let scores = house(&[(570_000, 1_660_000, 1), (560_000, 3_460_000, 3), (170_000, 860_000, 3)]);
    close(&scores, &[1.0040447504302925, 1.0151114781172585, 1.0975083056478405]);
    assert_eq!(classes(&scores), [Mid, Mid, Mid]);
    assert_eq!(scores[0].replica_num, 1);
}

/// Every other worked case of the note.
#[test]
fn worked_cases() {
    let full = house(&[(800, 1000, 100), (400, 1000, 100), (300, 1000, 100)]);
    close(&full, &[1.6, 0.9, 0.8]);
    assert_eq!(classes(&full), [High, Low, Low]);
    assert_eq!((full[0].used_percent, full[0].capacity_coefficient), (0.8, 1.0));

    let counts = house(&[(600, 1000, 20), (300, 1000, 40)]);
    close(&counts, &[0.7 * 0.6 / 0.45 + 0.3 * 20.0 / 30.0, 0.5 * 0.3 / 0.45 + 0.5 * 40.0 / 30.0]);
    close(&counts, &[1.1333333333333333, 1.0]);
    assert_eq!(classes(&counts), [Mid, Mid]);

    let new = house(&[(200, 1000, 50), (200, 1000, 50), (0, 1000, 0)]);
    close(&new, &[1.5, 1.5, 0.0]);
    assert_eq!(classes(&new), [High, High, Low]);

    let near = house(&[(490, 1000, 3), (510, 1000, 3), (500, 1000, 3)]);
    close(&near, &[0.99, 1.0104, 1.0]);
    assert_eq!(classes(&near), [Mid, Mid, Mid]);
}

/// The coefficient's edges belong to the slope, and a high water of one's own never weighs more than all.
#[test]
fn edges_of_the_coefficient() {
    for (used, wanted) in [(0.0, 0.5), (0.4999, 0.5), (0.5, 0.5), (0.6, 0.7), (0.75, 1.0), (0.7501, 1.0), (1.0, 1.0)] {
        assert!((coefficient(used, 0.75) - wanted).abs() < 1e-12, "{used}");
    }
    assert_eq!((coefficient(0.85, 0.9), coefficient(0.65, 0.6)), (1.0, 1.0));
}

/// Exactly at the threshold a node is MID still; an average of nothing is no division by nothing.
#[test]
fn edges_of_the_classes() {
    assert_eq!([0.874, 0.875, 1.0, 1.125, 1.126].map(|score| class(score, 1.0, 0.125)), [Low, Mid, Mid, Mid, High]);
    assert_eq!(class(0.0, 0.0, 0.1), Mid);
}

/// Nothing used, nothing stored, no bytes at all: figures, not NaN.
#[test]
fn nothing_is_no_trouble() {
    for nodes in [&[(0, 1000, 0), (0, 1000, 0)][..], &[(0, 0, 0)], &[(0, 0, 3), (0, 1000, 0)], &[(500, 1000, 0)]] {
        for score in house(nodes) {
            let figures = [score.used_percent, score.capacity_coefficient, score.replica_num_coefficient, score.score];
            assert!(figures.iter().all(|figure| figure.is_finite()), "{score:?}");
        }
    }
    assert!(scores(&Sample::new(0, 0).world).is_empty());
}

/// Each medium is reckoned apart; a node without a disk of it is not in its list; a disk that is not ONLINE gives no
/// bytes; a node's HDD comes before its SSD.
#[test]
fn media_apart() {
    let mut sample = sample_of(&[(400, 1000, 2), (200, 1000, 2)]);
    let [first, second] = sample.nodes()[..] else { panic!("two nodes") };
    let ssd = sample.disk(first, Medium::Ssd);
    sample.fill(ssd, 900, 1000);
    let away = sample.disk(second, Medium::Hdd);
    sample.fill(away, 1000, 1000);
    sample.disk_state(away, DiskState::Unavailable);
    let scores = scores(&sample.world);
    let shown: Vec<(NodeId, Medium)> = scores.iter().map(|score| (score.node, score.medium)).collect();
    assert_eq!(shown, [(first, Medium::Hdd), (first, Medium::Ssd), (second, Medium::Hdd)]);
    assert_eq!(scores.iter().map(|score| score.used_percent).collect::<Vec<_>>(), [0.4, 0.9, 0.2]);
    assert_eq!(scores[1].score, 1.0, "alone on its medium it is the average");
}

/// The high water is a knob.
#[test]
fn the_high_water_is_a_knob() {
    let mut sample = sample_of(&[(600, 1000, 1), (600, 1000, 1)]);
    assert!((scores(&sample.world)[0].capacity_coefficient - 0.7).abs() < 1e-12);
    let knobs = RepairKnobs { capacity_used_percent_high_water: 0.55, ..RepairKnobs::default() };
    sample.world.knobs = Arc::new(knobs);
    assert_eq!(scores(&sample.world)[0].capacity_coefficient, 1.0);
}

/// MID plays the part of an empty LOW, or else of an empty HIGH, never both; the classes stay what they are.
#[test]
fn who_stands_in() {
    let rows: [(&[Class], _, _); 5] = [
        (&[Low, Mid, High], Some(Low), Some(High)),
        (&[Mid, High], Some(Mid), Some(High)),
        (&[Low, Mid], Some(Low), Some(Mid)),
        (&[Mid, Mid], Some(Mid), None),
        (&[Low, High], Some(Low), Some(High)),
    ];
    for (classes, low, high) in rows {
        assert_eq!((stands_in(classes, Low), stands_in(classes, High)), (low, high), "{classes:?}");
    }
}
