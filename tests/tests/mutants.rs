//! The tests, tested: each named breach of a law must be noticed, by the simulation or by a scene made for it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use stele_common::{ReplicaState, Version};
use stele_coordinator_rules::Change;
use stele_coordinator_rules::sample::Sample;
use stele_coordinator_rules::world::Work;
use stele_sim::forecast::{Forecast, Happening, Plan};
use stele_sim::{Mutant, Options, run};
use stele_tests::THREADS;

/// Seeds that a mutant may survive.
const SEEDS: u64 = 200;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

fn options(mutant: Option<Mutant>) -> Options {
    Options { hours: 4, mutant, ..Options::default() }
}

/// A scene: what is wrong at its end, if anything.
type Scene = fn(Option<Mutant>) -> Option<String>;

/// Mutants that a seed's draw shows too seldom have a scene of their own.
const SCENES: [(Mutant, Scene); 3] = [
    (Mutant::FlapBoundLifted, flapping_is_bounded),
    (Mutant::FurtherRepairIgnored, marked_before_surplus),
    (Mutant::InFlightBytesNotCounted, disks_are_not_promised_twice),
];

/// A host that is away for twenty seconds of each minute, for two hours, while two good copies are left, is replaced.
fn flapping_is_bounded(mutant: Option<Mutant>) -> Option<String> {
    let mut sample = Sample::new(5, 1);
    let id = sample.table(3, 1)[0];
    sample.load_all(id);
    let node = sample.replica(id, sample.replicas(id)[0]).node;
    let mut stage = Forecast::new(sample.world.clone(), sample.at, Plan { for_ms: 150 * MINUTE, ..Plan::default() });
    stage.mutant = mutant;
    for minute in 0..120 {
        stage.kill(node);
        stage.run_until(minute * MINUTE + 20 * SECOND);
        stage.revive(node);
        stage.run_until((minute + 1) * MINUTE);
    }
    let tablet = stage.world.tablets.get(id)?;
    let elsewhere = tablet.replicas.iter().filter(|replica| replica.node != node).count();
    (elsewhere < 3).then(|| format!("{elsewhere} copies stand where nothing comes and goes"))
}

/// A fourth copy that landed behind is brought up, and only then the surplus is judged.
fn marked_before_surplus(mutant: Option<Mutant>) -> Option<String> {
    let mut sample = Sample::new(4, 1);
    let id = sample.table(3, 1)[0];
    sample.load_all(id);
    let free = *sample.nodes().last()?;
    let disk = sample.disks_of(free)[0];
    let late = sample.replica_on(id, disk, ReplicaState::Normal);
    sample.see(id, late, Version(1));
    let holders: Vec<_> = sample.replicas(id).into_iter().filter(|replica| *replica != late).collect();
    sample.load(id, &holders);
    // An hour later, so that an old mark can be told from a fresh one.
    let at = sample.at.plus(60 * MINUTE);
    sample.apply(Change::FurtherRepairMarked { tablet: id, replica: late, at });
    let mut stage = Forecast::new(sample.world.clone(), at, Plan::default());
    stage.mutant = mutant;
    while stage.world.tasks.is_empty() && stage.now() < MINUTE {
        stage.run_until(stage.now() + 1);
    }
    match stage.world.tasks.get(&id).map(|task| &task.work) {
        Some(Work::Clone { replica, .. }) if *replica == late => None,
        other => Some(format!("what is done first is {other:?}")),
    }
}

/// Two copies that a disk has room for one by one are not made there at once.
fn disks_are_not_promised_twice(mutant: Option<Mutant>) -> Option<String> {
    let mut sample = Sample::new(3, 1);
    let tablets = sample.table(3, 2);
    tablets.iter().for_each(|id| _ = sample.load_all(*id));
    let lost = sample.nodes()[0];
    let node = sample.host(1);
    let disk = sample.disks_of(node)[0];
    // Each copy of a sample is a mebibyte.
    let keep = sample.world.knobs.clone_reserve(TIB);
    sample.fill(disk, TIB - keep - MIB * 3 / 2, TIB);
    let plan = Plan { for_ms: 150 * MINUTE, net_mbps: 1, ..Plan::default() };
    let mut stage = Forecast::new(sample.world.clone(), sample.at, plan);
    stage.mutant = mutant;
    stage.happens(&Happening::Kill(lost));
    let mut under_way = 0;
    while stage.now() < 30 * MINUTE {
        stage.run_until(stage.now() + 100);
        under_way = under_way.max(stage.world.tasks.len());
    }
    (under_way != 1).then(|| format!("{under_way} copies were under way to a disk with room for one"))
}

/// Every mutant is killed within two hundred short seeds, and by a seed that is clean without it; or by its scene.
#[test]
fn every_mutant_is_killed() {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(mutant) = Mutant::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    found.lock().expect("no thread panics while it holds this").push((*mutant, killer(*mutant)));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("all threads have ended well");
    found.sort();
    for (mutant, killer) in &found {
        println!("{mutant:?}: {}", killer.as_deref().unwrap_or("SURVIVED"));
    }
    let survivors: Vec<_> = found.iter().filter(|(_, killer)| killer.is_none()).map(|(mutant, _)| mutant).collect();
    assert!(survivors.is_empty(), "survived {SEEDS} seeds: {survivors:?}");
}

/// Scenes end well when nothing is broken.
#[test]
fn scenes_are_sound() {
    for (mutant, scene) in SCENES {
        assert_eq!(scene(None), None, "{mutant:?}");
        assert!(scene(Some(mutant)).is_some(), "{mutant:?} survives its scene");
    }
}

fn killer(mutant: Mutant) -> Option<String> {
    if let Some((_, scene)) = SCENES.iter().find(|(of, _)| *of == mutant) {
        assert_eq!(scene(None), None, "{mutant:?}: its scene fails without it");
        return scene(Some(mutant)).map(|why| format!("its scene, {why}"));
    }
    (1..=SEEDS).find_map(|seed| {
        let violation = run(seed, &options(Some(mutant))).violation?;
        let clean = run(seed, &options(None)).violation;
        clean.is_none().then(|| format!("seed {seed}, {violation}"))
    })
}
