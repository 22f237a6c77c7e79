//! `stele status`: the cluster on one screen.

use crate::exit::Outcome;
use crate::flags::Global;
use crate::shapes;
use crate::watch::Watch;
use clap::Args;
use stele_common::api::Status;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stele status -o json\n  stele status --watch")]
pub struct StatusArgs {
    #[command(flatten)]
    watch: Watch,
}

pub fn run(global: &Global, args: &StatusArgs) -> Outcome {
    let face = global.face();
    args.watch.show(global, |printer| printer.one(&face.get::<Status>("/v1/status", &[])?, shapes::status))
}
