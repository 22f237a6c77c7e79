//! `stele replica set`: a person's word on one replica.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::shapes;
use crate::span::owner;
use clap::{Args, Subcommand, ValueEnum};
use stele_common::api::{ReplicaSet, ReplicaWord, TabletInfo};
use stele_common::{ReplicaId, TabletId};

#[derive(Debug, Subcommand)]
pub enum ReplicaVerb {
    /// Call a replica bad, or good again
    Set(SetArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "bad: another copy takes its place; its bytes are kept until all others are good. The last complete copy is never
called bad. ok: it is read through first, and counts when all its bytes hold.

Examples:
  stele replica set 10041 10077 bad --reason 'wrong content'
  stele replica set 10041 10077 ok"
)]
pub struct SetArgs {
    /// As 'stele tablet list' shows it
    tablet: TabletId,
    /// As 'stele tablet show' shows it
    replica: ReplicaId,
    #[arg(value_enum, ignore_case = true)]
    state: Word,
    /// Why; it is kept with the replica
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    Bad,
    Ok,
}

pub fn run(global: &Global, verb: &ReplicaVerb) -> Outcome {
    let ReplicaVerb::Set(args) = verb;
    let state = match args.state {
        Word::Bad => ReplicaWord::Bad,
        Word::Ok => ReplicaWord::Ok,
    };
    let wish = ReplicaSet { state, owner: owner(), reason: args.reason.clone() };
    let path = format!("/v1/tablets/{}/replicas/{}", args.tablet, args.replica);
    let tablet: TabletInfo = global.face().post(&path, &wish)?;
    global.printer().one(&tablet, shapes::tablet)?;
    Ok(Exit::Done)
}
