//! `stele disk list|init|drain|undrain`.

use super::drain::{self, DiskDrainArgs, DiskUndrainArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::watch::Watch;
use clap::{Args, Subcommand};
use stele_common::DiskId;
use stele_common::api::{DiskInit, Disks};

#[derive(Debug, Subcommand)]
pub enum DiskVerb {
    /// All data directories with space and state
    #[command(after_help = "Example:\n  stele disk list")]
    List(Watch),
    /// Let a blank directory take the place of a registered disk
    Init(InitArgs),
    /// Empty disks, so that they may leave
    Drain(DiskDrainArgs),
    /// Take a drain back
    Undrain(DiskUndrainArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "A blank directory where a disk is expected is left alone, for it may be an unmounted one.
This says that the old disk is gone for good; its replicas are made anew from the other copies.

Example:
  stele disk init /data/disk-1 --replace 20003")]
pub struct InitArgs {
    /// Path as the agent's configuration names it
    path: String,
    /// The disk that was there, as 'stele disk list' shows it
    #[arg(long, value_name = "DISK")]
    replace: DiskId,
    /// Host of the directory; the old disk's, unless given
    #[arg(long)]
    host: Option<String>,
}

pub fn run(global: &Global, verb: &DiskVerb) -> Outcome {
    let face = global.face();
    match verb {
        DiskVerb::List(watch) => watch.show(global, |printer| printer.list(&face.get::<Disks>("/v1/disks", &[])?)),
        DiskVerb::Drain(args) => drain::disks(global, args),
        DiskVerb::Undrain(args) => drain::undrain_disks(global, args),
        DiskVerb::Init(args) => {
            let host = match &args.host {
                Some(host) => host.clone(),
                None => host_of(face.get("/v1/disks", &[])?, args.replace)?,
            };
            let body = DiskInit { host, path: args.path.clone(), replace: args.replace };
            let answer: serde_json::Value = face.post("/v1/disks/init", &body)?;
            global
                .printer()
                .one(&answer, |_| format!("{} on {} takes the place of disk {}", body.path, body.host, body.replace))?;
            Ok(Exit::Done)
        }
    }
}

fn host_of(disks: Disks, id: DiskId) -> Result<String, Failure> {
    let disk = disks.disks.into_iter().find(|disk| disk.id == id);
    disk.map(|disk| disk.host)
        .ok_or_else(|| Failure::not_found(format!("there is no disk {id}")).next("see 'stele disk list'"))
}
