//! The ladder: what is wrong with a tablet, how urgent it is, and how long to wait before something is done.
//!
//! | question | file |
//! |---|---|
//! | is this replica alive, complete, proven? | [`count`] |

pub mod count;

pub use count::{Counts, Flaw, Judged, count, judge, proven};
