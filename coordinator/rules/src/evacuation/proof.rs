//! Whether the end of a drain can be proven: nothing left there, everything it held complete and proven elsewhere.
//!
//! In: a world and a drain on record. Out: where each tablet stands now, or what is missing. Everything is recounted
//! from the catalog when asked: what was true earlier counts for nothing.

use super::{name_of, progress};
use crate::World;
use crate::checkup::{count, proven};
use crate::world::{Drain, Leaver, Replica, Tablet};
use stele_common::api::Blocker;
use stele_common::{ReplicaId, TabletId, Tick};

/// Where one tablet stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Proven {
    pub tablet: TabletId,
    pub copies: Vec<ReplicaId>,
}

/// What a recount found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proof {
    pub proven: Vec<Proven>,
    /// Dropped with their tables since the drain began.
    pub dropped: u64,
    /// What stands in the way, the first of it named.
    pub missing: u64,
    pub blockers: Vec<Blocker>,
}

/// Things in the way that are named one by one.
const NAMED_MAX: usize = 50;

/// Recounts everything that the drain is about, and whether anything else stands there.
pub fn recount(world: &World, drain: &Drain, at: Tick) -> Proof {
    let mut proof = Proof::default();
    for (id, _) in &drain.held {
        match world.tablets.get(*id) {
            None => proof.dropped += 1,
            Some(tablet) => match flaw(world, drain, tablet, at) {
                Ok(copies) => proof.proven.push(Proven { tablet: *id, copies }),
                Err((code, detail)) => proof.miss(world, tablet, code, detail),
            },
        }
    }
    // What came there after the drain began: a stray that was needed, say.
    for tablet in world.tablets.iter().filter(|tablet| progress::is_there(drain, tablet)) {
        if drain.held.binary_search_by_key(&tablet.id, |(id, _)| *id).is_err() {
            proof.miss(world, tablet, "still_there", "a replica of it came there since".into());
        }
    }
    proof
}

/// Whether everything it held is proven elsewhere; ends at the first that is not.
pub fn is_done(world: &World, drain: &Drain, at: Tick) -> bool {
    let held = drain.held.iter().filter_map(|(id, _)| world.tablets.get(*id));
    held.clone().all(|tablet| !progress::is_there(drain, tablet))
        && held.clone().all(|tablet| flaw(world, drain, tablet, at).is_ok())
        && !world.tablets.iter().any(|tablet| progress::is_there(drain, tablet))
}

impl Proof {
    fn miss(&mut self, world: &World, tablet: &Tablet, code: &str, detail: String) {
        self.missing += 1;
        if self.blockers.len() < NAMED_MAX {
            let table = Some(name_of(world, tablet));
            self.blockers.push(Blocker { code: code.into(), tablet: Some(tablet.id), table, detail });
        }
    }
}

/// The copies that prove it, or what is missing.
fn flaw(world: &World, drain: &Drain, tablet: &Tablet, at: Tick) -> Result<Vec<ReplicaId>, (&'static str, String)> {
    if let Some(replica) = tablet.replicas.iter().find(|replica| drain.of.has(replica)) {
        return Err(("still_there", format!("replica {} stands there", replica.id)));
    }
    let copies = copies(world, tablet, at);
    let (have, wanted) = (copies.len() as u32, tablet.wanted);
    if have < wanted {
        return Err(("not_proven", format!("{have} of {wanted} copies elsewhere are complete and proven")));
    }
    Ok(copies)
}

/// The copies that prove it, on different hosts. One on another disk that is to leave proves as much: it leaves under
/// the same law. One that is installing a load proves as much, too: what left had n proven others at that moment, so
/// only a later load can be missing, and that never stood there.
fn copies(world: &World, tablet: &Tablet, at: Tick) -> Vec<ReplicaId> {
    let counts = count(world, tablet);
    let judged = tablet.replicas.iter().zip(&counts.judged);
    let good = judged.filter(|(replica, judged)| {
        let is_proven = judged.complete && proven(world, tablet, replica, at, None);
        judged.alive && (is_proven || is_installing(world, replica, at))
    });
    good.map(|(replica, _)| replica.id).collect()
}

fn is_installing(world: &World, replica: &Replica, at: Tick) -> bool {
    let Some(seen) = &replica.seen else { return false };
    let is_young = |since: Tick, ms: u64| at.since(since) < ms;
    seen.behind.is_some_and(|since| is_young(since, world.knobs.install_grace_ms))
        && seen.verified.is_some_and(|since| is_young(since, world.knobs.scrub_period_ms.saturating_mul(2)))
}

/// What it is called.
pub fn subject(of: Leaver) -> String {
    match of {
        Leaver::Node(node) => format!("node {node}"),
        Leaver::Disk(disk) => format!("disk {disk}"),
    }
}
