//! The coordinator's law book: values in, values out; no IO, no clock, no actor, no random.
//!
//! ```text
//! agent report ──▶ ingest ──▶ Change ──▶ World ──▶ checkup: Verdict ──▶ schedule: queue, slots, source, target
//!      ▲                                   ▲                                      │ Proposal
//!      └── agent ◀── Order ◀── catalog::decide (re-checks everything) ◀───────────┘
//!
//! catalog::decide(&World, &Event) -> Vec<Action>   reads; time is event.at
//! world::apply(&mut World, &Change)                the only writer; cannot fail; also the recovery path
//! invariants::check(&World) -> Vec<Note>           recounts from nothing; empty = consistent
//! ```

pub mod action;
pub mod apply;
pub mod balance;
pub mod catalog;
pub mod change;
pub mod checkup;
pub mod colocation;
pub mod evacuation;
pub mod event;
pub mod explain;
pub mod history;
pub mod invariants;
pub mod leases;
pub mod level;
mod loads;
pub mod pause;
pub mod plans;
pub mod policy;
pub mod reason;
mod reason_text;
pub mod replay;
pub mod roster;
pub mod sample;
pub mod schedule;
pub mod settings;
pub mod tablets;
pub mod whatif;
pub mod world;
pub mod worldfile;

pub use action::{Action, Answer};
pub use change::Change;
pub use event::{Event, EventBody, Proposal};
pub use reason::Reason;
pub use world::World;
