//! `stele node ...`: the agents, what is wanted of them, and how far that is.

use super::drain::{self, DrainArgs, UndrainArgs};
use super::lease::{self, MaintainArgs};
use super::leave::{self, AdmitArgs, CertificateArgs, RemoveArgs};
use crate::exit::{Failure, Outcome};
use crate::flags::Global;
use crate::http::Face;
use crate::shapes;
use crate::watch::Watch;
use clap::{Args, Subcommand};
use stele_common::NodeId;
use stele_common::api::{NodeExplanation, NodeInfo, NodeReplicas, Nodes};
use stele_common::near::{did_you_mean, nearest};

#[derive(Debug, Subcommand)]
pub enum NodeVerb {
    /// All agents, and whether they live
    #[command(after_help = "Examples:\n  stele node list\n  stele node list --replicas")]
    List {
        /// How many replicas each holds, and how evenly
        #[arg(long)]
        replicas: bool,
        #[command(flatten)]
        watch: Watch,
    },
    /// One agent with its disks
    #[command(after_help = "Examples:\n  stele node show 10001\n  stele node show host-1")]
    Show(One),
    /// Why an agent counts as it does, whether it may take copies, and what waits for it
    #[command(after_help = "Example:\n  stele node explain host-1")]
    Explain(One),
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

#[derive(Debug, Args)]
pub struct One {
    /// Id, name or host
    node: String,
    #[command(flatten)]
    watch: Watch,
}

/// The node that is meant by an id, a name or a host.
pub fn find(face: &Face, name: &str) -> Result<NodeId, Failure> {
    match name.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(named(face.list("/v1/nodes", &[])?, name)?.id),
    }
}

pub fn run(global: &Global, verb: &NodeVerb) -> Outcome {
    let face = global.face();
    match verb {
        NodeVerb::List { replicas: true, watch } => watch.show(global, |printer| {
            printer.one(&face.get::<NodeReplicas>("/v1/nodes/replicas", &[])?, shapes::node_replicas)
        }),
        NodeVerb::List { replicas: false, watch } => {
            watch.show(global, |printer| printer.list(&face.list::<Nodes>("/v1/nodes", &[])?))
        }
        NodeVerb::Show(One { node, watch }) => {
            let path = format!("/v1/nodes/{}", find(&face, node)?);
            watch.show(global, |printer| printer.one(&face.get::<NodeInfo>(&path, &[])?, shapes::node))
        }
        NodeVerb::Explain(One { node, watch }) => {
            let path = format!("/v1/nodes/{}/explain", find(&face, node)?);
            watch.show(global, |printer| {
                printer.one(&face.get::<NodeExplanation>(&path, &[])?, shapes::node_explanation)
            })
        }
        NodeVerb::Drain(args) => drain::nodes(global, args),
        NodeVerb::Undrain(args) => drain::undrain_nodes(global, args),
        NodeVerb::Certificate(args) => leave::certificate(global, args),
        NodeVerb::Remove(args) => leave::remove(global, args),
        NodeVerb::Admit(args) => leave::admit(global, args),
        NodeVerb::Maintain(args) => lease::maintain(global, args),
    }
}

fn named(nodes: Nodes, name: &str) -> Result<NodeInfo, Failure> {
    let names: Vec<String> = nodes.nodes.iter().flat_map(|node| [node.host.clone(), node.name.clone()]).collect();
    let near = nearest(name, names.iter().map(String::as_str));
    let mut fits: Vec<_> = nodes.nodes.into_iter().filter(|node| node.name == name || node.host == name).collect();
    if let Some(exact) = fits.iter().position(|node| node.name == name) {
        return Ok(fits.swap_remove(exact));
    }
    match fits.len() {
        0 => Err(Failure::not_found(format!("there is no node {name}"))
            .next("see 'stele node list'")
            .maybe_next(near.map(did_you_mean))),
        1 => Ok(fits.swap_remove(0)),
        _ => {
            let ids: Vec<_> = fits.iter().map(|node| node.id.to_string()).collect();
            Err(Failure::usage(format!("host {name} has nodes {}", ids.join(", "))).next("name one by its id"))
        }
    }
}
