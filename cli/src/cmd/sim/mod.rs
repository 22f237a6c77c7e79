//! `stele sim`: world files asked, and the whole cluster in virtual time. Nothing outside this process is touched.
//!
//! | verb | file |
//! |---|---|
//! | `check`, `score`, `schedule`: what the rules say to a world file | [`asked`] |
//! | `balance`: which moves make it even, and their price | [`balance`] |
//! | `run`: a world file in virtual time, with events | [`run`](mod@run) |
//! | `soak`: seeds with faults, then calm | [`soak`] |

mod asked;
mod balance;
mod run;
mod soak;

use crate::exit::Outcome;
use crate::flags::Global;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum SimVerb {
    /// What is ill in a world file: status, priority and wait of every tablet
    Check(asked::CheckArgs),
    /// How busy each node of a world file is, per medium
    Score(asked::ScoreArgs),
    /// What one round of the scheduler does in a world file, and why not more
    Schedule(asked::ScheduleArgs),
    /// Which moves make a world file even, what they cost, and the least that any plan must move
    Balance(balance::BalanceArgs),
    /// What happens to a world file in virtual time: repairs, drains, losses, with how long they take
    Run(run::RunArgs),
    /// Run seeds with faults, then calm, and hold every promise against every step
    Soak(soak::SoakArgs),
}

pub fn run(global: &Global, verb: &SimVerb) -> Outcome {
    match verb {
        SimVerb::Check(args) => asked::check(global, args),
        SimVerb::Score(args) => asked::score(global, args),
        SimVerb::Schedule(args) => asked::schedule(global, args),
        SimVerb::Balance(args) => balance::run(global, args),
        SimVerb::Run(args) => run::run(global, args),
        SimVerb::Soak(args) => soak::run(args),
    }
}
