//! The tests, tested: each named breach of a law must be noticed by the simulation.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use stele_sim::{Mutant, Options, run};
use stele_tests::THREADS;

/// Seeds that a mutant may survive.
const SEEDS: u64 = 200;

fn options(mutant: Option<Mutant>) -> Options {
    Options { hours: 4, mutant, ..Options::default() }
}

/// Every mutant is killed within two hundred short seeds, and by a seed that is clean without it.
#[test]
fn every_mutant_is_killed() {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(mutant) = Mutant::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let killer = (1..=SEEDS).find_map(|seed| {
                        let violation = run(seed, &options(Some(*mutant))).violation?;
                        let clean = run(seed, &options(None)).violation;
                        clean.is_none().then_some((seed, violation.to_string()))
                    });
                    found.lock().expect("no thread panics while it holds this").push((*mutant, killer));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("all threads have ended well");
    found.sort();
    for (mutant, killer) in &found {
        match killer {
            Some((seed, violation)) => println!("{mutant:?}: seed {seed}, {violation}"),
            None => println!("{mutant:?}: SURVIVED"),
        }
    }
    let survivors: Vec<_> = found.iter().filter(|(_, killer)| killer.is_none()).map(|(mutant, _)| mutant).collect();
    assert!(survivors.is_empty(), "survived {SEEDS} seeds: {survivors:?}");
}
