//! `stele status`: the cluster on one screen.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::shapes;
use stele_common::api::Status;

pub fn run(global: &Global) -> Outcome {
    let status: Status = global.face().get("/v1/status", &[])?;
    global.printer().one(&status, shapes::status)?;
    Ok(Exit::Done)
}
