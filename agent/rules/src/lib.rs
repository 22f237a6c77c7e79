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
//! | "an order *is refused* / *becomes* ..." | [`orders`] |
//! | "the *next* thing to do on a replica is ..." | [`next`] |
//! | "these bytes *need not travel*" | [`clone_plan`] |
//! | "these versions *may go*" | [`collect`] |
//! | "this replica *is read next*" | [`scrub_plan`] |
//! | "this trash *is due*" | [`trash`] |
//! | "the coordinator *is told*" | [`report`] |
//! | "it must *always* hold" | [`invariants`] |

pub mod book;
pub mod event;

pub use book::Book;
pub use event::{Action, Change, Event, Op, OpFailure, OpResult};
