//! `stele sim soak`: the whole cluster in virtual time, from seeds. Nothing outside this process is touched.

use crate::exit::{Exit, Failure, Outcome};
use crate::{bar, table};
use clap::Args;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use stele_sim::Options;

#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 no promise was broken, 1 one was; its seed is printed.

Examples:
  stele sim soak --seeds 2000
  stele sim soak --seed 17 --trace")]
pub struct SoakArgs {
    /// How many seeds; 200 unless given
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed, or with no --seeds the only one
    #[arg(long)]
    seed: Option<u64>,
    /// Virtual hours of faults
    #[arg(long, default_value_t = 24)]
    hours: u64,
    /// Threads
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Print the latest lines of a failing seed's log
    #[arg(long)]
    trace: bool,
}

pub fn run(args: &SoakArgs) -> Outcome {
    let first = args.seed.unwrap_or(1);
    let count = args.seeds.unwrap_or(if args.seed.is_some() { 1 } else { 200 });
    let options = Options { hours: args.hours, trace: args.trace, ..Options::default() };
    let (next, broken) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let (events, started, progress) = (AtomicU64::new(0), Instant::now(), bar::count("seeds", count));
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let outcome = stele_sim::run(first + index, &options);
                    events.fetch_add(outcome.events, Ordering::Relaxed);
                    progress.inc(1);
                    if outcome.violation.is_some() {
                        broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(outcome);
                    }
                }
            });
        }
    });
    progress.finish_and_clear();
    let mut broken = broken.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    broken.sort_by_key(|outcome| outcome.seed);
    for outcome in &broken {
        for line in &outcome.lines {
            table::line(line)?;
        }
        if let Some(violation) = &outcome.violation {
            table::line(&format!("seed {}: {violation}", outcome.seed))?;
            table::line(&format!("  again: stele sim soak --seed {} --hours {} --trace", outcome.seed, args.hours))?;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let events = events.into_inner();
    table::line(&format!(
        "{count} seeds of {} virtual hours in {seconds:.1} s, {events} events ({:.0} a second): {} broke a promise",
        args.hours,
        events as f64 / seconds.max(0.001),
        broken.len()
    ))?;
    if broken.is_empty() {
        Ok(Exit::Done)
    } else {
        Err(Failure::error(format!("{} of {count} seeds broke a promise", broken.len())))
    }
}
