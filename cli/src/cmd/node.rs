//! `stele node ...`: the agents, what is wanted of them, and how far that is.

use super::drain::{self, DrainArgs, UndrainArgs};
use super::lease::{self, MaintainArgs};
use super::leave::{self, AdmitArgs, CertificateArgs, RemoveArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::http::Face;
use crate::shapes;
use clap::Subcommand;
use stele_common::NodeId;
use stele_common::api::{NodeExplanation, NodeInfo, NodeReplicas, Nodes};

#[derive(Debug, Subcommand)]
pub enum NodeVerb {
    /// All agents, and whether they live
    #[command(after_help = "Examples:\n  stele node list\n  stele node list --replicas")]
    List {
        /// How many replicas each holds, and how evenly
        #[arg(long)]
        replicas: bool,
    },
    /// One agent with its disks
    #[command(after_help = "Examples:\n  stele node show 10001\n  stele node show host-1")]
    Show {
        /// Id, name or host
        node: String,
    },
    /// Why an agent counts as it does, whether it may take copies, and what waits for it
    #[command(after_help = "Example:\n  stele node explain host-1")]
    Explain {
        /// Id, name or host
        node: String,
    },
    /// Empty nodes, so that they may leave
    Drain(DrainArgs),
    /// Take a drain back
    Undrain(UndrainArgs),
    /// Announce that a node will be away for a time
    Maintain(MaintainArgs),
    /// Proof that a drained node may be removed
    Certificate(CertificateArgs),
    /// Take a node out of the cluster for good
    Remove(RemoveArgs),
    /// Let the agent of a removed node join again
    Admit(AdmitArgs),
}

/// The node that is meant by an id, a name or a host.
pub fn find(face: &Face, name: &str) -> Result<NodeId, Failure> {
    match name.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(named(face.get("/v1/nodes", &[])?, name)?.id),
    }
}

pub fn run(global: &Global, verb: &NodeVerb) -> Outcome {
    let face = global.face();
    match verb {
        NodeVerb::List { replicas: true } => {
            let counts: NodeReplicas = face.get("/v1/nodes/replicas", &[])?;
            global.printer().one(&counts, shapes::node_replicas)?;
        }
        NodeVerb::List { replicas: false } => global.printer().list(&face.get::<Nodes>("/v1/nodes", &[])?)?,
        NodeVerb::Show { node } => {
            let info: NodeInfo = face.get(&format!("/v1/nodes/{}", find(&face, node)?), &[])?;
            global.printer().one(&info, shapes::node)?;
        }
        NodeVerb::Drain(args) => return drain::nodes(global, args),
        NodeVerb::Undrain(args) => return drain::undrain_nodes(global, args),
        NodeVerb::Certificate(args) => return leave::certificate(global, args),
        NodeVerb::Remove(args) => return leave::remove(global, args),
        NodeVerb::Admit(args) => return leave::admit(global, args),
        NodeVerb::Maintain(args) => return lease::maintain(global, args),
        NodeVerb::Explain { node } => {
            let id = find(&face, node)?;
            let why: NodeExplanation = face.get(&format!("/v1/nodes/{id}/explain"), &[])?;
            global.printer().one(&why, shapes::node_explanation)?;
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
