//! `stele group list|show`: tables that stand together.

use crate::exit::Outcome;
use crate::flags::Global;
use crate::http::encode_path;
use crate::shapes;
use crate::watch::Watch;
use clap::Subcommand;
use stele_common::api::{GroupInfo, Groups};

#[derive(Debug, Subcommand)]
pub enum GroupVerb {
    /// All colocation groups, and whether they are stable
    #[command(after_help = "Example:\n  stele group list")]
    List(Watch),
    /// One group with the nodes of each bucket
    #[command(after_help = "Example:\n  stele group show g")]
    Show {
        group: String,
        #[command(flatten)]
        watch: Watch,
    },
}

pub fn run(global: &Global, verb: &GroupVerb) -> Outcome {
    let face = global.face();
    match verb {
        GroupVerb::List(watch) => watch.show(global, |printer| printer.list(&face.get::<Groups>("/v1/groups", &[])?)),
        GroupVerb::Show { group, watch } => {
            let path = format!("/v1/groups/{}", encode_path(group));
            watch.show(global, |printer| printer.one(&face.get::<GroupInfo>(&path, &[])?, shapes::group))
        }
    }
}
