//! The coordinator's shell: clocks, sockets, the store, mailboxes. It asks the law book
//! ([`stele_coordinator_rules`]) and carries out the answers; it never decides.
//!
//! | module | what |
//! |---|---|
//! | [`actors`] | the owners of state |
//! | [`wiring`] | who may send to whom |
//! | [`store`] | where the catalog's changes are kept |
//! | [`link`] | the agent port |
//! | [`front`] | what people see |
//! | [`published`] | read-only snapshots of the world |
//! | [`telemetry`], [`journal`] | metrics, log lines |
//!
//! [`run`] is a whole coordinator process; [`run_until`] tells its addresses and can be ended by the caller.

pub mod actors;
pub mod clock;
pub mod front;
pub mod journal;
pub mod link;
pub mod published;
pub mod start;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod wiring;

pub use start::{Addresses, run, run_until};
