//! `stele balance status`: how even the hosts are, what moves, and why nothing does.

use super::plan::{self, BalancePlanArgs};
use crate::exit::Outcome;
use crate::flags::Global;
use crate::shapes;
use crate::watch::Watch;
use clap::Subcommand;
use stele_common::api::BalanceStatus;

#[derive(Debug, Subcommand)]
pub enum BalanceVerb {
    /// How even disks are, what moves or would, and why nothing does
    #[command(after_help = "Examples:\n  stele balance status\n  stele balance status -o json")]
    Status(Watch),
    /// What would make disks even, and its price; nothing moves
    Plan(BalancePlanArgs),
}

pub fn run(global: &Global, verb: &BalanceVerb) -> Outcome {
    match verb {
        BalanceVerb::Status(watch) => {
            let face = global.face();
            watch.show(global, |printer| printer.one(&face.get::<BalanceStatus>("/v1/balance", &[])?, shapes::balance))
        }
        BalanceVerb::Plan(args) => plan::balance(global, args),
    }
}
