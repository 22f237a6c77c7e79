//! Judges one tablet by hand: a small world, a host that dies, and what the ladder says before and after, with its
//! reasons. No process, no disk: the law book is a library of functions over values.

use stele_common::Liveness;
use stele_coordinator_rules::checkup::{because, verdict};
use stele_coordinator_rules::sample::Sample;

fn main() {
    // Four hosts with one disk each, one tablet with three copies, one load.
    let mut sample = Sample::new(4, 1);
    let tablet = sample.table(3, 1)[0];
    sample.load_all(tablet);
    show("all is well", &sample, tablet);

    // The host of its first copy falls silent, and is lost ten seconds later.
    let node = sample.tablet(tablet).replicas[0].node;
    sample.turn(node, Liveness::Lost);
    show("a host is lost", &sample, tablet);

    // Time passes: the wait for its return is over.
    sample.at = sample.at.plus(sample.world.knobs.assign_delay_ms);
    show("it has not come back", &sample, tablet);
}

fn show(what: &str, sample: &Sample, tablet: stele_common::TabletId) {
    let judged = verdict(&sample.world, sample.tablet(tablet), sample.at);
    println!("{what}: {}", judged.status);
    println!("    alive {} of {}, complete {}", judged.alive, judged.wanted, judged.complete);
    match judged.priority {
        Some(priority) => println!("    priority {priority}, ready in {} ms", judged.ready_in_ms),
        None => println!("    nothing to do"),
    }
    for sentence in because(&sample.world, sample.tablet(tablet), sample.at) {
        println!("    - {sentence}");
    }
}
