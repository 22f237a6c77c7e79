//! The commands, one file a noun or a verb: what each takes, asks and answers.
//!
//! Each has `run(&Global, &Args) -> Outcome`. They speak to coordinator and agents over HTTP only; `serve` is the one
//! that links them in; `user` edits the coordinator's file of users.

pub mod balance;
pub mod bundle;
pub mod completions;
pub mod config;
pub mod demo;
pub mod disk;
pub mod drain;
pub mod events;
pub mod export;
pub mod get;
pub mod group;
pub mod knobs;
pub mod lease;
pub mod leave;
pub mod level;
pub mod load;
pub mod log_level;
pub mod ls;
pub mod man;
pub mod node;
pub mod pause;
pub mod plan;
pub mod replica;
pub mod rm;
pub mod serve;
pub mod sim;
pub mod snapshot;
pub mod sql;
pub mod status;
pub mod tables;
pub mod tablet;
pub mod task;
pub mod throttle;
pub mod token;
pub mod top;
pub mod up;
pub mod user;
pub mod verify;
pub mod whatif;
