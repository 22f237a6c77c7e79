//! The coordinator's actors, each the only owner of its state. They meet in the messages of [`words`]; which mailbox
//! a message goes to is decided in [`crate::wiring`] alone.
//!
//! ```text
//!  agents ◀─ orders ── Agents ◀──── orders ─────┐
//!  agents ── reports ─────────────────────▶ Catalog ◀─ requests ── front
//!  agents ── beats ──▶ Roster ── liveness ──▶ │ ▲ ▲
//!                                    changed  ▼ │ └── proposals ──┐
//!                                          Checker ── verdicts ──▶ Scheduler
//! ```

pub mod agents;
pub mod balancer;
pub mod catalog;
pub mod checker;
pub mod dirty;
pub mod roster;
pub mod scheduler;
pub mod words;
