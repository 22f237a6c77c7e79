//! `stele node certificate|remove|admit`: proof that a node may go, its going, and its coming back.

use super::node;
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::http::Checked;
use crate::shapes;
use crate::span::owner;
use clap::Args;
use stele_common::api::{AdmitAsk, Blocker, Certificate, Removal, RemoveAsk};

#[derive(Debug, Args)]
#[command(
    after_help = "Counted anew when it is asked for: every tablet that stood on the node has all its copies complete and proven
elsewhere. Refused with exit code 2, and what is missing, when that is not true now.

Example:
  stele node certificate host-1 -o json > host-1.certificate"
)]
pub struct CertificateArgs {
    /// Id, name or host
    node: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --force a node goes only when nothing stands on it and its drain has ended. With --force the cost is told,
and --yes pays it; the last complete copy of a tablet never goes, only 'stele table drop' gives data up.
Its agent is refused from then on, until 'stele node admit'.

Examples:
  stele node remove host-1
  stele node remove host-1 --force
  stele node remove host-1 --force --yes"
)]
pub struct RemoveArgs {
    /// Id, name or host
    node: String,
    /// Remove it although replicas stand on it
    #[arg(long)]
    force: bool,
    /// Pay what --force costs
    #[arg(long)]
    yes: bool,
    /// Only say what it would cost
    #[arg(long, alias = "dry-run")]
    check: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "It joins as a new node; what lies on its disks is kept and judged.

Example:
  stele node admit host-1")]
pub struct AdmitArgs {
    host: String,
    /// The agent's name; the host's, unless given
    #[arg(long)]
    name: Option<String>,
}

/// What is missing of a certificate.
#[derive(serde::Deserialize, serde::Serialize)]
struct Missing {
    missing: u64,
    blockers: Vec<Blocker>,
}

pub fn certificate(global: &Global, args: &CertificateArgs) -> Outcome {
    let (face, printer) = (global.face(), global.printer());
    let id = node::find(&face, &args.node)?;
    match face.get_checked::<Certificate, Missing>(&format!("/v1/nodes/{id}/certificate"))? {
        Checked::Done(certificate) => printer.one(&certificate, shapes::certificate)?,
        Checked::Refused(missing, failure) => {
            printer.one(&missing, |missing| shapes::blockers(&missing.blockers, missing.missing))?;
            return Err(failure);
        }
    }
    Ok(Exit::Done)
}

pub fn remove(global: &Global, args: &RemoveArgs) -> Outcome {
    let (face, printer) = (global.face(), global.printer());
    let id = node::find(&face, &args.node)?;
    let check = args.check || (args.force && !args.yes);
    let ask = RemoveAsk { force: args.force, check, owner: owner() };
    match face.post_checked::<_, Removal, Removal>(&format!("/v1/nodes/{id}/remove"), &ask)? {
        Checked::Done(removal) => printer.one(&removal, shapes::removal)?,
        Checked::Refused(removal, failure) => {
            printer.one(&removal, shapes::removal)?;
            let is_priced = args.force && !args.yes && removal.last == 0;
            return Err(if is_priced {
                Failure::refused(format!("node {id} was not removed"))
                    .next("--force costs what is told; pay it with --yes")
            } else {
                failure
            });
        }
    }
    Ok(Exit::Done)
}

pub fn admit(global: &Global, args: &AdmitArgs) -> Outcome {
    let ask = AdmitAsk { host: args.host.clone(), name: args.name.clone() };
    let answer: serde_json::Value = global.face().post("/v1/nodes/admit", &ask)?;
    global.printer().one(&answer, |_| format!("the agent of {} may join again, as a new node", args.host))?;
    Ok(Exit::Done)
}
