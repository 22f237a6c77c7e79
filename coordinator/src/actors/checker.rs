//! Asks the ladder about tablets: those that changed at once, those whose wait is over when it is, all the others in
//! a slow sweep as a safety net. In: [`Changed`] from the Catalog. Out: verdicts to the Scheduler.
//!
//! It owns nothing but its place in the sweep and the list of ill tablets, and it decides nothing.

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
}

impl Checker {
    pub fn new(
        clock: Clock,
        snapshots: Snapshots,
        scheduler: Recipient<Verdicts>,
        catalog: Recipient<CheckerReady>,
    ) -> Checker {
        Checker { clock, snapshots, scheduler, catalog, swept: 0, ill: BTreeMap::new() }
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
                continue;
            };
            let verdict = checkup::verdict(&published.world, tablet, at);
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
