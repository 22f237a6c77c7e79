//! Who bears witness for a delete, and how they are asked.
//!
//! In: a tablet, the replica that is to go, the nonce of the decision. Out: the other replicas that are complete, on
//! different hosts, with a fresh content receipt and an answer to exactly this nonce. What counts as complete and as
//! proven is [`mod@crate::checkup::count`]'s word.

use super::Draft;
use crate::World;
use crate::checkup;
use crate::world::{Replica, Tablet};
use std::collections::BTreeSet;
use stele_common::{OrderBody, ReplicaId, TabletId, Tick, Witness};

/// Complete replicas other than `victim`, on different hosts.
pub fn complete_others<'a>(world: &World, tablet: &'a Tablet, victim: Option<ReplicaId>) -> Vec<&'a Replica> {
    let mut hosts: BTreeSet<&str> = BTreeSet::new();
    let mut complete = Vec::new();
    for replica in tablet.replicas.iter().filter(|replica| Some(replica.id) != victim) {
        let judged = checkup::judge(world, tablet, replica, &hosts);
        if judged.alive {
            hosts.extend(checkup::count::host_of(world, replica));
        }
        if judged.complete {
            complete.push(replica);
        }
    }
    complete
}

/// Those of them that are proven under this nonce (`None`: by a report of the present session).
pub fn witnesses(
    world: &World,
    tablet: &Tablet,
    victim: Option<ReplicaId>,
    at: Tick,
    nonce: Option<u64>,
) -> Vec<Witness> {
    let complete = complete_others(world, tablet, victim).into_iter();
    complete.filter(|replica| checkup::proven(world, tablet, replica, at, nonce)).filter_map(witness).collect()
}

/// What a replica's reports say for it.
pub fn witness(replica: &Replica) -> Option<Witness> {
    let seen = replica.seen.as_ref()?;
    Some(Witness {
        node: replica.node,
        replica: replica.id,
        version: seen.version,
        hash: seen.hash,
        verified_at: seen.verified.map_or(0, |at| at.0),
        confirmed_at: seen.confirmed.map_or(0, |(_, at, _, _)| at.0),
    })
}

/// Asks every complete other replica to confirm, and to read itself through where its receipt is too old.
pub fn ask(draft: &mut Draft, id: TabletId, victim: Option<ReplicaId>, nonce: u64) {
    let Some(tablet) = draft.world.tablets.get(id) else { return };
    let mut orders = Vec::new();
    for replica in complete_others(draft.world, tablet, victim) {
        let (node, tablet_id, replica_id) = (replica.node, id, replica.id);
        let is_answered = replica.seen.as_ref().and_then(|seen| seen.confirmed).is_some_and(|(to, ..)| to == nonce);
        if !is_answered {
            orders.push((node, OrderBody::Confirm { tablet: tablet_id, replica: replica_id, nonce }));
        }
        if !checkup::proven(draft.world, tablet, replica, draft.at, None) {
            orders.push((node, OrderBody::Verify { tablet: tablet_id, replica: replica_id }));
        }
    }
    for (node, order) in orders {
        draft.send(node, order);
    }
}
