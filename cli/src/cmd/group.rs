//! `stele group list|show`: tables that stand together.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::http::encode_path;
use crate::shapes;
use clap::Subcommand;
use stele_common::api::{GroupInfo, Groups};

#[derive(Debug, Subcommand)]
pub enum GroupVerb {
    /// All colocation groups, and whether they are stable
    #[command(after_help = "Example:\n  stele group list")]
    List,
    /// One group with the nodes of each bucket
    #[command(after_help = "Example:\n  stele group show g")]
    Show { group: String },
}

pub fn run(global: &Global, verb: &GroupVerb) -> Outcome {
    let (face, printer) = (global.face(), global.printer());
    match verb {
        GroupVerb::List => printer.list(&face.get::<Groups>("/v1/groups", &[])?)?,
        GroupVerb::Show { group } => {
            let info: GroupInfo = face.get(&format!("/v1/groups/{}", encode_path(group)), &[])?;
            printer.one(&info, shapes::group)?;
        }
    }
    Ok(Exit::Done)
}
