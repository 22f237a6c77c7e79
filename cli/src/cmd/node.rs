//! `stele node list|show`.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::shapes;
use clap::Subcommand;
use stele_common::NodeId;
use stele_common::api::{NodeInfo, Nodes};

#[derive(Debug, Subcommand)]
pub enum NodeVerb {
    /// All agents, and whether they live
    #[command(after_help = "Example:\n  stele node list")]
    List,
    /// One agent with its disks
    #[command(after_help = "Examples:\n  stele node show 10001\n  stele node show host-1")]
    Show {
        /// Id, name or host
        node: String,
    },
}

pub fn run(global: &Global, verb: &NodeVerb) -> Outcome {
    let face = global.face();
    match verb {
        NodeVerb::List => global.printer().list(&face.get::<Nodes>("/v1/nodes", &[])?)?,
        NodeVerb::Show { node } => {
            let info: NodeInfo = match node.parse::<NodeId>() {
                Ok(id) => face.get(&format!("/v1/nodes/{id}"), &[])?,
                Err(_) => named(face.get("/v1/nodes", &[])?, node)?,
            };
            global.printer().one(&info, shapes::node)?;
        }
    }
    Ok(Exit::Done)
}

fn named(nodes: Nodes, name: &str) -> Result<NodeInfo, Failure> {
    let mut fits: Vec<_> = nodes.nodes.into_iter().filter(|node| node.name == name || node.host == name).collect();
    if let Some(exact) = fits.iter().position(|node| node.name == name) {
        return Ok(fits.swap_remove(exact));
    }
    match fits.len() {
        0 => Err(Failure::not_found(format!("there is no node {name}")).next("see 'stele node list'")),
        1 => Ok(fits.swap_remove(0)),
        _ => {
            let ids: Vec<_> = fits.iter().map(|node| node.id.to_string()).collect();
            Err(Failure::usage(format!("host {name} has nodes {}", ids.join(", "))).next("name one by its id"))
        }
    }
}
