//! What the planner says to a world file: `stele sim balance`.
//!
//! In: a [`Reading`]. Out: the plan to the end, in the file's ids. No rule lives here: the plan is
//! [`crate::balance::plan`]'s.

use super::format::Id;
use super::read::Reading;
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
    /// Of `bytes`, those that are moved to even bytes; the others even counts.
    pub bytes_usage: u64,
    pub method: Method,
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
    pub why: Why,
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
    let idle = plan.idle.as_ref();
    Balanced {
        moves: plan.moves.iter().map(told).collect(),
        before: plan.before,
        after: plan.after,
        bytes: plan.bytes,
        bytes_lower_bound: plan.bytes_lower_bound,
        bytes_usage: plan.bytes_usage,
        method: plan.method,
        idle: idle.map(|reason| Refusal { code: reason.code().into(), detail: reading.names.say(reason.detail()) }),
    }
}
