//! Where the catalog's changes are kept: the one trait that a store has to offer, and what may go wrong.
//!
//! ```text
//! recovery:  load() ──▶ every change since birth, or since the last snapshot, in order
//! running:   append(batch)   all of it durable, or an error
//!            snapshot(world) takes the place of everything before it, in one transaction
//! ```
//!
//! An error of `append` or `snapshot` leaves open whether the batch is durable, so it ends the process: the next
//! start reads what is there. A store never interprets changes, and it belongs to one thread ([`writer`]).

pub mod embedded;
pub mod memory;
pub mod writer;

use std::path::PathBuf;
use stele_coordinator_rules::Change;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store {path} is in use by another coordinator")]
    InUse { path: PathBuf },
    #[error("the store {path} has format {found}, this build reads {reads}")]
    OtherFormat { path: PathBuf, found: String, reads: &'static str },
    #[error("the store {path} cannot be read at change {number}: {detail}")]
    Unreadable { path: PathBuf, number: u64, detail: String },
    #[error("cannot {doing} the store {path}: {detail}")]
    Failed { doing: &'static str, path: PathBuf, detail: String },
}

/// Keeps changes in order.
pub trait MetaStore: Send {
    /// Everything that is kept, oldest first.
    fn load(&mut self) -> Result<Vec<Change>, StoreError>;
    /// Durable when it returns.
    fn append(&mut self, changes: &[Change]) -> Result<(), StoreError>;
    /// `changes` take the place of everything kept so far; durable when it returns.
    fn snapshot(&mut self, changes: &[Change]) -> Result<(), StoreError>;
    /// Changes appended since the last snapshot.
    fn appended(&self) -> u64;
}
