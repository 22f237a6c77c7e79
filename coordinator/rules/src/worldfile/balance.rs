//! What the planner says to a world file: `stele sim balance`.
//!
//! In: a [`Reading`]. Out: the plan to the end, in the file's ids. No rule lives here: the plan is
//! [`crate::balance::plan`]'s, the sequences of colocation groups are [`crate::balance::colocate`]'s.

use super::format::Id;
use super::read::Reading;
use crate::balance::colocate::{Swap, evened};
use crate::balance::moves::{Move, Scope, Why};
use crate::balance::plan::{Method, plan};
use serde::Serialize;
use std::collections::BTreeMap;
use stele_common::Medium;
use stele_common::api::{Refusal, Spread};

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Balanced {
    pub moves: Vec<BalanceMove>,
    pub before: BTreeMap<Medium, Spread>,
    pub after: BTreeMap<Medium, Spread>,
    pub bytes: u64,
    pub bytes_lower_bound: u64,
    pub bytes_lower_bound_fair: u64,
    /// Of `bytes`, those that are moved while a spread is above the threshold; the others even counts.
    pub bytes_usage: u64,
    pub method: Method,
    /// Nodes that take others' places in the bucket sequences of colocation groups: their tablets follow by repair.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupMove>,
    /// Why nothing moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Refusal>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BalanceMove {
    pub tablet: Id,
    pub replica: Id,
    pub from_node: Id,
    pub from_path: Id,
    pub to_node: Id,
    pub to_path: Id,
    pub bytes: u64,
    #[serde(serialize_with = "word")]
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupMove {
    pub group: String,
    pub bucket: u32,
    pub from_node: Id,
    pub to_node: Id,
}

/// One word: what it names would be in our ids, and is the next move.
fn word<S: serde::Serializer>(why: &Why, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(why.as_str())
}

/// The plan from the file's world to evenness.
pub fn balance(reading: &Reading) -> Balanced {
    let plan = plan(&reading.world, &Scope::all(reading.at));
    let outside = |number: u64| Id(reading.names.outside(number));
    let told = |mv: &Move| BalanceMove {
        tablet: outside(mv.tablet.0),
        replica: outside(mv.replica.0),
        from_node: outside(mv.from_node.0),
        from_path: outside(mv.from.0),
        to_node: outside(mv.to_node.0),
        to_path: outside(mv.to.0),
        bytes: mv.bytes,
        why: mv.why,
    };
    let world = &reading.world;
    let swaps = world.groups.values().flat_map(|group| {
        let swaps = evened(world, group, reading.at).map(|(_, swaps)| swaps).unwrap_or_default();
        swaps.into_iter().map(|swap| (group.name.clone(), swap))
    });
    let groups = swaps.map(|(group, Swap { bucket, from, to })| {
        let (from_node, to_node) = (outside(from.0), outside(to.0));
        GroupMove { group, bucket, from_node, to_node }
    });
    let groups: Vec<GroupMove> = groups.collect();
    let idle = plan.idle.as_ref();
    Balanced {
        moves: plan.moves.iter().map(told).collect(),
        before: plan.before,
        after: plan.after,
        bytes: plan.bytes,
        bytes_lower_bound: plan.bytes_lower_bound,
        bytes_lower_bound_fair: plan.bytes_lower_bound_fair,
        bytes_usage: plan.bytes_usage,
        method: plan.method,
        groups,
        idle: idle.map(|reason| Refusal { code: reason.code().into(), detail: reading.names.say(reason.detail()) }),
    }
}
