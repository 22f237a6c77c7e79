//! The agent's law book: values in, values out; no IO, no clock, no actor, no random.
//!
//! ```text
//!  order, stream, finished op, tick ──▶ decide(&Book, &Event) ──▶ Record(change)  apply() to the book
//!                                                                  Do(op)          the disk's threads
//!  Book ──▶ report::facts ──▶ report::diff ──▶ coordinator
//! ```
//!
//! | the sentence begins | it lives in |
//! |---|---|
//! | "a disk *holds* ..." | [`book`] |
//! | "what can *happen*, be *done*, be *changed*" | [`event`] |
//! | "an order *is refused* / *becomes* ..." | `orders` |
//! | "a finished op *means* ..." | `done` |
//! | "a copy *goes on* / *is given up* when ..." | `copies` |
//! | "the *next* thing to do on a replica is ..." | [`next`] |
//! | "a book *changes* by ..." | [`mod@apply`] |
//! | "these bytes *need not travel*" | [`clone_plan`] |
//! | "these versions *may go*" | [`collect`] |
//! | "this replica *is read next*" | [`scrub_plan`] |
//! | "this trash *is due*" | [`trash`] |
//! | "the coordinator *is told*" | [`report`] |
//! | "it must *always* hold" | [`invariants`] |
//!
//! The shell, per event: stamp the time, call [`handle`], carry out each [`Op`], count each refusal. If the book's epoch
//! rose, it is made durable before any op runs.

pub mod apply;
pub mod book;
pub mod clone_plan;
pub mod collect;
mod copies;
pub mod decide;
mod done;
pub mod event;
pub mod invariants;
pub mod next;
mod orders;
pub mod report;
pub mod scrub_plan;
pub mod trash;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use apply::apply;
pub use book::Book;
pub use decide::{decide, handle};
pub use event::{Action, Change, Event, EventBody, Op, OpFailure, OpResult, Refused};
pub use invariants::check;
