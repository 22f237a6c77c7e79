//! The ladder: what is wrong with a tablet, how urgent it is, and how long to wait before something is done.
//!
//! | question | file |
//! |---|---|
//! | is this replica alive, complete, proven? | [`mod@count`] |
//! | what is wrong with this tablet? | [`mod@verdict`]; in a colocation group [`colocate`] |
//! | may it come back by itself? | [`waits`] |

pub mod colocate;
pub mod count;
pub mod verdict;
pub mod waits;

pub use count::{Counts, Flaw, Judged, count, judge, proven};
pub use verdict::{Verdict, because, verdict};

#[cfg(test)]
mod tests;
