//! One op, carried out on the calling thread: the only door through which the law book's wishes reach the disk.
//!
//! Each op is safe to repeat. Bytes are only ever written where the directory is still ours and syncs are believed.

use super::dir::DiskDir;
use super::error::DiskError;
use super::install::LoadInstall;
use super::source::PeerSource;
use crate::pace::Pacer;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use stele_agent_rules::{Op, OpFailure, OpResult};
use stele_common::TaskFailure;

/// What an op needs beside the disk.
pub struct OpContext<'a> {
    /// Set: stop soon; what has been received stays for the next try.
    pub cancelled: &'a AtomicBool,
    /// Bytes done and in all.
    pub progress: &'a dyn Fn(u64, u64),
    pub peers: &'a dyn PeerSource,
    pub pacer: &'a Pacer,
    /// Wall clock, milliseconds since 1970: for names in the trash and for people.
    pub now_wall_ms: u64,
}

impl DiskDir {
    /// Carries out `op`.
    pub fn run(&self, op: &Op, ctx: &OpContext) -> OpResult {
        let result = self.carry_out(op, ctx);
        result.unwrap_or_else(|failure| {
            tracing::warn!(disk = self.disk().0, op = name(op), reason = ?failure, "an op failed");
            OpResult::Failed(failure)
        })
    }

    fn carry_out(&self, op: &Op, ctx: &OpContext) -> Result<OpResult, OpFailure> {
        match op {
            // A fetch works in its own staging only, and for long: a scan need not wait for it.
            Op::Fetch { order, mend } => self.fetch(order, *mend, ctx),
            // Reading may take as long as it likes, and goes on where nothing may be written any more.
            Op::Verify { tablet, replica, urgent } => {
                self.verify(*tablet, *replica, *urgent, ctx).map_err(DiskError::failure)
            }
            Op::Confirm { tablet, replica, .. } => self.confirm(*tablet, *replica).map_err(DiskError::failure),
            Op::InstallCopy { label, version, hash, .. } => {
                let installed = self.writing(|| self.install_copy(label, *version, *hash));
                installed.map_err(|error| match error {
                    DiskError::NotFound { what } => {
                        OpFailure::Copy(TaskFailure::Refused { detail: format!("{what} is not here") })
                    }
                    error => error.copy_failure(),
                })
            }
            Op::Create { label } => self.writing(|| self.create(label)).map_err(DiskError::failure),
            Op::DiscardCopy { tablet, .. } => {
                let gone = self.writing(|| self.remove_task_dir(*tablet));
                gone.map(|()| OpResult::Discarded).map_err(DiskError::failure)
            }
            Op::InstallLoad { load, tablet, replica, parent, version, hash } => {
                let install = LoadInstall {
                    load: *load,
                    tablet: *tablet,
                    replica: *replica,
                    parent: *parent,
                    version: *version,
                    hash: *hash,
                };
                self.writing(|| self.install_load(&install, ctx.now_wall_ms)).map_err(DiskError::failure)
            }
            Op::DiscardLoad { load, tablet } => {
                let gone = self.writing(|| self.remove_load_dir(*load, *tablet));
                gone.map(|()| OpResult::Discarded).map_err(DiskError::failure)
            }
            Op::Drop { tablet, replica, .. } => {
                self.writing(|| self.drop_replica(*tablet, *replica, ctx.now_wall_ms)).map_err(DiskError::failure)
            }
            Op::Purge { tablet, replica, .. } => {
                self.writing(|| self.purge(*tablet, *replica)).map_err(DiskError::failure)
            }
            Op::Collect { tablet, replica, below, keep } => {
                self.writing(|| self.collect(*tablet, *replica, *below, keep)).map_err(DiskError::failure)
            }
        }
    }

    /// Runs something that moves or removes files: not beside a scan, and only where writing makes sense.
    fn writing<T>(&self, work: impl FnOnce() -> Result<T, DiskError>) -> Result<T, DiskError> {
        let _at_work = self.at_work.read().unwrap_or_else(PoisonError::into_inner);
        self.may_write()?;
        work()
    }
}

fn name(op: &Op) -> &'static str {
    match op {
        Op::Create { .. } => "create",
        Op::Fetch { .. } => "fetch",
        Op::InstallCopy { .. } => "install copy",
        Op::DiscardCopy { .. } => "discard copy",
        Op::InstallLoad { .. } => "install load",
        Op::DiscardLoad { .. } => "discard load",
        Op::Drop { .. } => "drop",
        Op::Purge { .. } => "purge",
        Op::Confirm { .. } => "confirm",
        Op::Verify { .. } => "verify",
        Op::Collect { .. } => "collect",
    }
}
