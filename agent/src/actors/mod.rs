//! The agent's actors: each owns one piece of state and nobody else writes it.
//!
//! | actor | owns | hears | tells |
//! |---|---|---|---|
//! | [`disk::Disk`], one a data directory | the disk's `Book` | orders, ends of ops, pins, ticks | jobs to its lanes, news to the reporter, views to the shelf |
//! | [`reporter::Reporter`] | what the coordinator was told, the report numbers | news of disks, the link's state | reports to the link |
//!
//! [`scrubber`] is the Disk actor's sense of pace, not an actor: it decides when the next background reading may begin.

pub mod disk;
pub mod messages;
pub mod ops;
pub mod reporter;
pub mod scrubber;
