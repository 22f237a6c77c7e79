//! What may be said to a Disk actor. Plain values; the sender never waits for an answer.

use crate::disk::DiskDir;
use actix::Message;
use std::sync::Arc;
use stele_agent_rules::event::EventBody;
use stele_agent_rules::{Book, Op, OpResult};
use stele_common::Space;

/// Something happened to the disk.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Happened(pub EventBody);

/// A lane finished a job. `gone` = after a failure the directory itself was found missing or foreign.
#[derive(Message)]
#[rtype(result = "()")]
pub struct JobDone {
    pub op: Op,
    pub result: OpResult,
    pub gone: Option<String>,
}

/// The watch looked at the directory.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Probed {
    pub result: Result<(), String>,
    pub space: Option<(Space, u64)>,
}

/// The directory came back and was read anew.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Returned {
    pub dir: Arc<DiskDir>,
    pub book: Book,
}

/// The coordinator refuses this disk (`Some`), or lets it work again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Fence(pub Option<String>);
