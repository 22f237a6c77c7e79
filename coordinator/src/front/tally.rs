//! Sums over all tablets for lists and `status`: verdicts, complete copies, problems, healthy tablets and bytes per table.
//!
//! Computed from a snapshot when somebody asks. A million tablets take a second or so; then the sums are kept for
//! twenty times as long as they took, so that watching a large cluster costs a twentieth of a core at most. Small
//! clusters always see the newest.

use crate::published::Published;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use stele_common::api::Problem;
use stele_common::{Medium, ReplicaState, TableId, TabletStatus, Tick};
use stele_coordinator_rules::checkup::{self, verdict::verdict_on};
use stele_coordinator_rules::explain::{Margin, Problems};
use stele_coordinator_rules::world::Tablet;

/// Sums at one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub verdicts: BTreeMap<TabletStatus, u64>,
    /// Tablets by number of complete copies.
    pub copies: BTreeMap<u32, u64>,
    pub tables: BTreeMap<TableId, TableTally>,
    /// Tablets whose replicas do not agree about a version, or differ from its record.
    pub inconsistent: u64,
    pub margin: Margin,
    /// The same by the medium that tablets want.
    pub margins: BTreeMap<Medium, Margin>,
    /// How long ago replicas were read in full, those that were.
    pub read_ages: Ages,
    /// Replicas of which no full read is known that is young enough to prove anything.
    pub scrub_overdue: u64,
    pub problems: Vec<Problem>,
}

/// Bounds of ages: an hour, a day, a week, two, four, twelve weeks.
pub const AGES_S: [u64; 6] = [3_600, 86_400, 604_800, 1_209_600, 2_419_200, 7_257_600];

/// Ages by the bound that they are not above; the last ones are above all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    pub by_bound: [u64; AGES_S.len() + 1],
    pub sum_s: u64,
}

impl Ages {
    pub fn add(&mut self, age_s: u64) {
        let place = AGES_S.iter().position(|bound| age_s <= *bound).unwrap_or(AGES_S.len());
        self.by_bound[place] += 1;
        self.sum_s = self.sum_s.saturating_add(age_s);
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableTally {
    pub tablets: u64,
    pub healthy: u64,
    pub files: u64,
    /// Of one copy.
    pub bytes: u64,
    pub replicas: u64,
    /// Tablets whose replicas differ, that are being copied, that have a bad replica.
    pub inconsistent: u64,
    pub cloning: u64,
    pub bad: u64,
}

impl TableTally {
    pub fn add(&mut self, other: &TableTally) {
        let TableTally { tablets, healthy, files, bytes, replicas, inconsistent, cloning, bad } = *other;
        self.tablets += tablets;
        self.healthy += healthy;
        self.files += files;
        self.bytes += bytes;
        self.replicas += replicas;
        self.inconsistent += inconsistent;
        self.cloning += cloning;
        self.bad += bad;
    }
}

impl Tally {
    pub fn of(published: &Published, at: Tick) -> Tally {
        let world = &*published.world;
        let mut tally = Tally::default();
        let mut problems = Problems::default();
        for tablet in world.tablets.iter() {
            let counts = checkup::count(world, tablet);
            let verdict = verdict_on(world, tablet, &counts, at);
            problems.add(world, tablet, &counts, verdict, at);
            tally.margin.add(world, tablet, &counts);
            tally.margins.entry(tablet.medium).or_default().add(world, tablet, &counts);
            for replica in &tablet.replicas {
                let verified = replica.seen.as_ref().and_then(|seen| seen.verified);
                if let Some(verified) = verified {
                    tally.read_ages.add(at.since(verified) / 1_000);
                }
                let is_whole = replica.state != ReplicaState::Clone;
                let overdue = is_whole && is_overdue(verified, at, world.knobs.scrub_period_ms);
                tally.scrub_overdue += u64::from(overdue);
            }
            tally.inconsistent += u64::from(tablet.is_inconsistent());
            *tally.verdicts.entry(verdict.status).or_default() += 1;
            *tally.copies.entry(verdict.complete).or_default() += 1;
            let (files, bytes) = content(tablet);
            let of_one = TableTally {
                tablets: 1,
                healthy: u64::from(verdict.status == TabletStatus::Healthy),
                files,
                bytes,
                replicas: tablet.replicas.len() as u64,
                inconsistent: u64::from(tablet.is_inconsistent()),
                cloning: u64::from(tablet.replicas.iter().any(|replica| replica.state == ReplicaState::Clone)),
                bad: u64::from(tablet.replicas.iter().any(|replica| replica.bad.is_some())),
            };
            tally.tables.entry(tablet.table).or_default().add(&of_one);
        }
        tally.problems = problems.shown(world, at);
        tally
    }
}

/// Older than twice the period proves nothing. Of what came before this leadership nothing is known, so that none counts
/// as overdue until it has lasted as long.
fn is_overdue(verified: Option<Tick>, at: Tick, scrub_ms: u64) -> bool {
    at.since(verified.unwrap_or_default()) > scrub_ms.saturating_mul(2)
}

/// Files and bytes of one copy: of a replica at the visible version, the one that keeps the least besides it.
pub fn content(tablet: &Tablet) -> (u64, u64) {
    let seen = tablet.replicas.iter().filter_map(|replica| replica.seen.as_ref());
    let at_visible = seen.filter(|seen| seen.version >= tablet.visible);
    at_visible.map(|seen| (seen.files, seen.size)).min_by_key(|(_, size)| *size).unwrap_or_default()
}

/// The last sums.
#[derive(Default)]
pub struct TallyCell(Mutex<Option<Kept>>);

struct Kept {
    number: u64,
    made: Instant,
    took: Duration,
    tally: Arc<Tally>,
}

/// Below this, sums are made anew for every new snapshot.
const CHEAP: Duration = Duration::from_millis(20);

impl TallyCell {
    pub fn get(&self, published: &Published, at: Tick) -> Arc<Tally> {
        // Held while summing, so that many askers do not sum at once.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref()
            && (kept.number == published.number || (kept.took > CHEAP && kept.made.elapsed() < kept.took * 20))
        {
            return kept.tally.clone();
        }
        let began = Instant::now();
        let tally = Arc::new(Tally::of(published, at));
        *kept =
            Some(Kept { number: published.number, made: Instant::now(), took: began.elapsed(), tally: tally.clone() });
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever was never read counts, too, once there was time for it.
    #[test]
    fn overdue_reads() {
        for (verified, at, expected) in [
            (None, 200, false),
            (None, 201, true),
            (Some(Tick(0)), 201, true),
            (Some(Tick(1)), 201, false),
            (Some(Tick(150)), 351, true),
        ] {
            assert_eq!(is_overdue(verified, Tick(at), 100), expected, "{verified:?} {at}");
        }
    }
}
