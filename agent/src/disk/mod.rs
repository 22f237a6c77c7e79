//! The disk: every file of a data directory is written, read, moved and removed in here, and nowhere else.
//!
//! ```text
//! identity  whose directory is it?         dir      an opened one: probe, space, reading
//! scan      disk ─▶ Book                    run      Op ─▶ OpResult
//! load      stream ─▶ staged, prepared      fetch, gather   peers ─▶ staged copy
//! install   staged ─▶ head                  remove   drop, purge, collect, discard
//! verify    bytes against digests           giving   files for readers and peers
//! beneath, tree, steps, papers, cache, survey, trash, ledger: what these stand on
//! ```
//!
//! Blocking code for named threads. It decides nothing about *what* to do (that is the law book's) and everything
//! about *how* it survives a crash: nothing is called durable before its sync has succeeded, nothing is deleted that
//! could not be read, and a directory that is not ours is not touched.

mod beneath;
mod cache;
mod dir;
mod error;
mod fetch;
mod gather;
mod giving;
mod identity;
mod install;
mod ledger;
mod load;
mod papers;
mod remove;
mod run;
mod scan;
mod source;
mod steps;
mod survey;
mod trash;
mod tree;
mod verify;

#[cfg(test)]
mod tests;

pub use dir::DiskDir;
pub use error::DiskError;
pub use giving::Giver;
pub use identity::{FORMAT, IDENTITY, Identity, format, inspect, store_mark};
pub use load::LoadWriter;
pub use papers::OpenVersion;
pub use run::OpContext;
pub use source::{FetchFailure, FileSink, PeerFailure, PeerSession, PeerSource, Terms};
