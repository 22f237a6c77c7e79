//! Primaries become even, by roles where a chain leads there and by copies where none does, and nothing turns back.

use super::*;
use crate::Change;
use crate::sample::Sample;
use proptest::prelude::*;
use stele_common::config::RepairKnobs;
use stele_common::{LoadId, Tick};

/// `"Abc bAc"`: a table of two tablets on hosts a, b, c, whose primary is the capital.
fn table(sample: &mut Sample, text: &str) -> Vec<TabletId> {
    let (nodes, words) = (sample.nodes(), text.split(' ').collect::<Vec<_>>());
    let tablets = sample.table(1, words.len() as u32);
    for (tablet, word) in tablets.iter().zip(words) {
        let first = sample.replicas(*tablet)[0];
        let mut primary = None;
        for letter in word.bytes() {
            let node = nodes[usize::from(letter.to_ascii_lowercase() - b'a')];
            let disk = sample.disks_of(node)[0];
            let replica = sample.replica_on(*tablet, disk, stele_common::ReplicaState::Normal);
            if letter.is_ascii_uppercase() {
                primary = Some(replica);
            }
        }
        sample.forget(*tablet, first);
        sample.load_all(*tablet);
        let ballot = sample.world.next_ballot(*tablet);
        sample.apply(Change::PrimaryChosen { tablet: *tablet, replica: primary, ballot });
    }
    wish(sample, text.split(' ').next().unwrap_or_default().len() as u32);
    tablets
}

fn wish(sample: &mut Sample, copies: u32) {
    let mut table = (**sample.world.tables.values().next_back().unwrap()).clone();
    table.partitions.iter_mut().for_each(|partition| partition.replication = copies);
    sample.apply(Change::TableChanged { table });
}

fn knob(sample: &mut Sample, change: fn(&mut RepairKnobs)) {
    change(std::sync::Arc::make_mut(&mut sample.world.knobs));
}

fn found(sample: &Sample) -> Found {
    let ledger = Ledger::of(&sample.world, std::iter::empty());
    even_primaries(&sample.world, &Scope::all(sample.at), &ledger)
}

/// Primaries by host, as they are.
fn primaries(sample: &Sample) -> Vec<usize> {
    let on = |node: &NodeId| {
        let tablets = sample.world.tablets.iter();
        let has = |tablet: &&Tablet| {
            tablet.replicas.iter().any(|replica| Some(replica.id) == tablet.primary && replica.node == *node)
        };
        tablets.filter(has).count()
    };
    sample.nodes().iter().map(on).collect()
}

/// Rounds of roles until none is left, each decided by the same rule as in the Catalog; how many there were.
fn turned(sample: &mut Sample) -> usize {
    let mut rounds = 0;
    loop {
        let turns = found(sample).turns;
        if turns.is_empty() {
            return rounds;
        }
        rounds += 1;
        assert!(rounds < 100, "it goes on and on");
        for turn in turns {
            may_turn(&sample.world, &Scope::all(sample.at), &turn).expect("what was planned may be done");
            let (tablet, ballot) = (turn.tablet, sample.world.next_ballot(turn.tablet));
            sample.apply(Change::PrimaryChosen { tablet, replica: Some(turn.to), ballot });
        }
    }
}

/// Where primaries end by roles alone, row by row.
#[test]
fn roles_change_hands() {
    let cases: [(&str, u64, &str, &[usize], usize); 8] = [
        ("even", 3, "Abc aBc abC", &[1, 1, 1], 0),
        ("one more is even", 3, "Abc aBc abC Abc", &[2, 1, 1], 0),
        ("all on one", 3, "Abc Abc Abc", &[1, 1, 1], 2),
        ("through a third: a has no copy with c", 3, "Ab Ab Bc Bc Ab Ab", &[2, 2, 2], 1),
        ("nobody below, one above: it gives one", 3, "Abc Abc Abc aBc aBc abC abC", &[3, 2, 2], 0),
        ("nobody below, one two above", 3, "Abc Abc Abc Abc Abc aBc aBc aBc abC abC abC", &[4, 4, 3], 1),
        ("no chain leads to every one", 4, "Ab Ab Cd Cd Cd Cd", &[1, 1, 2, 2], 3),
        ("copies of one host only", 3, "A A A", &[3, 0, 0], 0),
    ];
    for (name, hosts, text, expected, rounds) in cases {
        let mut sample = Sample::new(hosts, 1);
        table(&mut sample, text);
        let took = turned(&mut sample);
        assert_eq!((primaries(&sample).as_slice(), took), (expected, rounds), "{name}");
    }
}

/// What is held back by something stays, and the reason is told.
#[test]
fn what_holds_roles() {
    type Deed = fn(&mut Sample, TabletId);
    let cases: [(&str, Deed, usize); 6] = [
        ("nothing", |_, _| {}, 1),
        (
            "a load is open on one: the other turns",
            |sample, tablet| sample.world.tablets.get_mut(tablet).unwrap().load = Some(LoadId(1)),
            1,
        ),
        (
            "a load is open on each",
            |sample, _| {
                let ids: Vec<TabletId> = sample.world.tablets.iter().map(|tablet| tablet.id).collect();
                ids.into_iter().for_each(|id| sample.world.tablets.get_mut(id).unwrap().load = Some(LoadId(1)));
            },
            0,
        ),
        (
            "they are ill",
            |sample, _| {
                let ids: Vec<TabletId> = sample.world.tablets.iter().map(|tablet| tablet.id).collect();
                ids.into_iter().for_each(|id| {
                    let replica = sample.replicas(id)[1];
                    sample.bad(id, replica);
                });
            },
            0,
        ),
        (
            "the node that would get one leaves: the others are even",
            |sample, _| {
                let node = sample.nodes()[1];
                sample.apply(Change::NodeDrained { node, on: true });
            },
            0,
        ),
        ("a node is paused", |sample, _| pause_node(sample), 0),
    ];
    for (name, deed, turns) in cases {
        let mut sample = Sample::new(2, 1);
        let tablets = table(&mut sample, "Ab Ab");
        deed(&mut sample, tablets[0]);
        let found = found(&sample);
        assert_eq!(found.turns.len(), turns, "{name}: {found:?}");
        assert!(turns > 0 || found.rest.is_some(), "{name}");
    }
}

fn pause_node(sample: &mut Sample) {
    use crate::policy::{Lease, LeaseScope};
    let on = PauseOn::Node { node: sample.nodes()[1] };
    let scope = LeaseScope::Pause { what: stele_common::api::PauseWhat::Balance, on };
    let (owner, reason) = ("ann".into(), String::new());
    let lease = Lease { id: 7, scope, owner, reason, until_wall_ms: Some(86_400_000), until: None };
    sample.apply(Change::LeaseGranted { lease, at: sample.at, wall_ms: 0 });
}

/// No chain leads to an empty host: primaries are copied there until it has its share, unless that is forbidden, and
/// never so that copies become less fair.
#[test]
fn primaries_are_copied() {
    let mut sample = Sample::new(3, 1);
    table(&mut sample, "Ab Ab Ab Ba Ba Ba");
    let copies = found(&sample).copies;
    let nodes = sample.nodes();
    assert_eq!(copies.len(), 2, "two is the share of the third");
    assert!(copies.iter().all(|copy| copy.to_node == nodes[2] && copy.why == Why::Primary), "{copies:?}");
    assert_ne!(copies[0].from_node, copies[1].from_node, "each from the one with most");
    for copy in &copies {
        let (ledger, scope) = (Ledger::of(&sample.world, std::iter::empty()), Scope::all(sample.at));
        super::super::moves::still_worth(&sample.world, &scope, &ledger, copy).expect("it is asked again");
    }
    knob(&mut sample, |knobs| knobs.only_move_primary = true);
    let found_now = found(&sample);
    assert!(found_now.copies.is_empty());
    assert_eq!(found_now.rest.map(|reason| reason.code()), Some("primaries_uneven"));

    let mut sample = Sample::new(3, 1);
    table(&mut sample, "Ab Ab Ab cb cb cb");
    turned(&mut sample);
    let found = found(&sample);
    assert!(found.copies.is_empty(), "a and c hold equally many copies: a copy would make them unfair");
    assert_eq!(found.rest.map(|reason| reason.code()), Some("primaries_uneven"));
}

/// Table by table: the second waits until the first needs nothing.
#[test]
fn tables_in_turn() {
    let mut sample = Sample::new(2, 1);
    let first = table(&mut sample, "Ab Ab");
    table(&mut sample, "Ab Ab");
    assert_eq!(found(&sample).turns.len(), 2);
    knob(&mut sample, |knobs| knobs.balancer_in_turn = true);
    let turns = found(&sample).turns;
    assert_eq!((turns.len(), first.contains(&turns[0].tablet)), (1, true));
}

/// The widest of several ways is taken.
#[test]
fn the_widest_path() {
    // 0 and 1 are nodes, 2 the source, 3 the sink: over 0 there is room for 2, over 1 for 3.
    let graph = vec![vec![0, 0, 0, 5], vec![0, 0, 0, 3], vec![2, 4, 0, 0], vec![0, 0, 0, 0]];
    assert_eq!(widest(&graph), (vec![1], 3));
    let chain = vec![vec![0, 2, 0, 0], vec![0, 0, 0, 9], vec![7, 0, 0, 0], vec![0, 0, 0, 0]];
    assert_eq!(widest(&chain), (vec![0, 1], 2));
    let none = vec![vec![0, 0, 0, 0], vec![0, 0, 0, 9], vec![7, 0, 0, 0], vec![0, 0, 0, 0]];
    assert_eq!(widest(&none), (vec![], 0));
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        cases: 120,
        ..ProptestConfig::default()
    })]

    /// Whatever the table: every round lowers the sum of squares, it ends, and when every host has a copy of every
    /// tablet it ends even.
    #[test]
    fn any_table(hosts in 1..5_usize, picks in proptest::collection::vec((any::<u8>(), any::<u8>()), 1..16), all in any::<bool>()) {
        let mut sample = Sample::new(hosts as u64, 1);
        let copies = if all { hosts } else { hosts.min(2) };
        let words: Vec<String> = picks.iter().map(|(first, primary)| {
            (0..copies).map(|at| {
                let letter = (b'a' + ((usize::from(*first) + at) % hosts) as u8) as char;
                if usize::from(*primary) % copies == at { letter.to_ascii_uppercase() } else { letter }
            }).collect()
        }).collect();
        table(&mut sample, &words.join(" "));
        let squares = |sample: &Sample| primaries(sample).iter().map(|count| count * count).sum::<usize>();
        loop {
            let before = squares(&sample);
            let turns = found(&sample).turns;
            if turns.is_empty() {
                break;
            }
            for turn in turns {
                let (tablet, ballot) = (turn.tablet, sample.world.next_ballot(turn.tablet));
                sample.apply(Change::PrimaryChosen { tablet, replica: Some(turn.to), ballot });
            }
            prop_assert!(squares(&sample) < before);
        }
        let counts = primaries(&sample);
        if all {
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
        prop_assert_eq!(sample.at, Tick(100_000));
    }
}
