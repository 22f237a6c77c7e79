//! Asks the ladder about tablets: those that changed at once, those whose wait is over when it is, all the others in
//! a slow sweep as a safety net. In: [`Changed`] from the Catalog. Out: verdicts to the Scheduler.
//!
//! It owns nothing but its place in the sweep, the list of ill tablets and since when each has lacked copies, and it decides
//! nothing.

use super::dirty::Dirty;
use super::words::{Changed, CheckerReady, Verdicts};
use crate::clock::Clock;
use crate::published::{Published, Snapshots};
use actix::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stele_common::{TabletId, TabletStatus, Tick};
use stele_coordinator_rules::checkup;

const TICK: Duration = Duration::from_millis(100);
/// Chunks (of at most 256 tablets) that the sweep looks at per tick: a million tablets in under four minutes.
const SWEEP_CHUNKS: usize = 2;
/// An ill tablet is looked at again after this long, whatever happens: it may wait for something that no change tells.
const ILL_AGAIN_MS: u64 = 2_000;

pub struct Checker {
    clock: Clock,
    snapshots: Snapshots,
    scheduler: Recipient<Verdicts>,
    catalog: Recipient<CheckerReady>,
    /// The chunk where the sweep goes on; chunks that come and go shift it, which a later round makes good.
    swept: usize,
    /// Tablets that were not HEALTHY when last seen, and when to look again.
    ill: BTreeMap<TabletId, Tick>,
    lacking: Lacking,
}

/// Since when tablets have had fewer complete copies than wanted. Whatever else is wrong with them meanwhile, or was before,
/// does not matter.
#[derive(Default)]
struct Lacking {
    since: BTreeMap<TabletId, Tick>,
    by_age: BTreeSet<(Tick, TabletId)>,
}

impl Lacking {
    fn saw(&mut self, tablet: TabletId, lacks: bool, at: Tick) {
        if lacks {
            let since = *self.since.entry(tablet).or_insert(at);
            self.by_age.insert((since, tablet));
        } else if let Some(since) = self.since.remove(&tablet) {
            self.by_age.remove(&(since, tablet));
        }
    }

    /// For how long the one that has lacked them for longest has, in ms.
    fn longest(&self, at: Tick) -> u64 {
        self.by_age.first().map_or(0, |(since, _)| at.since(*since))
    }
}

impl Checker {
    pub fn new(
        clock: Clock,
        snapshots: Snapshots,
        scheduler: Recipient<Verdicts>,
        catalog: Recipient<CheckerReady>,
    ) -> Checker {
        let (ill, lacking) = (BTreeMap::new(), Lacking::default());
        Checker { clock, snapshots, scheduler, catalog, swept: 0, ill, lacking }
    }

    fn check(&mut self, published: &Arc<Published>, tablets: BTreeSet<TabletId>) {
        if tablets.is_empty() {
            return;
        }
        let (began, at) = (Instant::now(), self.clock.tick());
        metrics::counter!("stele_checked_tablets_total").increment(tablets.len() as u64);
        let mut verdicts = Vec::with_capacity(tablets.len());
        for id in tablets {
            let Some(tablet) = published.world.tablets.get(id) else {
                self.ill.remove(&id);
                self.lacking.saw(id, false, at);
                continue;
            };
            let verdict = checkup::verdict(&published.world, tablet, at);
            self.lacking.saw(id, verdict.complete < verdict.wanted, at);
            if verdict.status == TabletStatus::Healthy {
                self.ill.remove(&id);
            } else {
                let wait = if verdict.ready_in_ms == 0 { ILL_AGAIN_MS } else { verdict.ready_in_ms.min(ILL_AGAIN_MS) };
                self.ill.insert(id, at.plus(wait));
            }
            verdicts.push((id, verdict));
        }
        metrics::histogram!("stele_check_seconds").record(began.elapsed().as_secs_f64());
        metrics::gauge!("stele_tablets_ill").set(self.ill.len() as f64);
        // Bounded by the Catalog, which waits for our CheckerReady, and by the tick.
        self.scheduler.do_send(Verdicts { published: published.clone(), verdicts });
    }

    /// Those whose wait is over, and the next few of the sweep.
    fn tick(&mut self) {
        let now = self.clock.tick();
        let published = self.snapshots.borrow().clone();
        let mut due: BTreeSet<TabletId> =
            self.ill.iter().filter(|(_, again)| **again <= now).map(|(tablet, _)| *tablet).collect();
        let chunks = published.world.tablets.chunks().skip(self.swept).take(SWEEP_CHUNKS);
        let mut swept = 0;
        for chunk in chunks {
            due.extend(chunk.keys());
            swept += 1;
        }
        self.swept = if swept < SWEEP_CHUNKS { 0 } else { self.swept + swept };
        self.check(&published, due);
        let lacking = self.lacking.longest(now);
        metrics::gauge!("stele_under_copies_oldest_seconds").set(lacking as f64 / 1000.0);
    }
}

/// The tablets behind tables and nodes.
fn resolve(published: &Published, dirty: Dirty) -> BTreeSet<TabletId> {
    let Dirty { mut tablets, nodes, tables } = dirty;
    let world = &published.world;
    for table in tables.iter().filter_map(|table| world.tables.get(table)) {
        tablets.extend(table.partitions.iter().flat_map(|partition| &partition.tablets));
    }
    if !nodes.is_empty() {
        let touched = world.tablets.iter().filter(|tablet| tablet.replicas.iter().any(|r| nodes.contains(&r.node)));
        tablets.extend(touched.map(|tablet| tablet.id));
    }
    tablets
}

impl Actor for Checker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(TICK, |checker, _| checker.tick());
    }
}

impl Handler<Changed> for Checker {
    type Result = ();

    fn handle(&mut self, Changed { published, dirty }: Changed, _: &mut Context<Self>) {
        let tablets = resolve(&published, dirty);
        self.check(&published, tablets);
        self.catalog.do_send(CheckerReady);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time counts from the copy that went, not from an earlier illness, and ends when all are back.
    #[test]
    fn lacking_copies_is_timed() {
        let mut lacking = Lacking::default();
        let (first, second) = (TabletId(1), TabletId(2));
        assert_eq!(lacking.longest(Tick(900)), 0);
        // Ill, with all its copies.
        lacking.saw(first, false, Tick(1_000));
        lacking.saw(second, true, Tick(4_000));
        lacking.saw(first, true, Tick(5_000));
        // Seen again and again.
        lacking.saw(second, true, Tick(6_000));
        assert_eq!(lacking.longest(Tick(7_000)), 3_000);
        lacking.saw(second, false, Tick(8_000));
        assert_eq!(lacking.longest(Tick(9_000)), 4_000);
        lacking.saw(second, true, Tick(9_000));
        lacking.saw(first, false, Tick(9_500));
        assert_eq!(lacking.longest(Tick(10_000)), 1_000);
        assert_eq!((lacking.since.len(), lacking.by_age.len()), (1, 1));
    }
}
