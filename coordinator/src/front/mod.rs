//! What people and scripts see: HTTP and the MySQL port. A face reads snapshots and asks through [`ask`], the only
//! door; it never sees the store or anything mutable. Faces never import each other: what they share is the engine of
//! statements, the shapes of [`view`], and who may come in ([`users`]).

pub mod ask;
pub mod bulletin;
pub mod figures;
pub mod http;
pub mod near;
#[cfg(test)]
mod scale;
pub mod sessions;
pub mod sql;
pub mod statements;
pub mod tally;
pub mod users;
pub mod view;

/// What MySQL clients are told that they speak with: a number that drivers know, so that they ask for what we answer.
pub fn sql_version() -> &'static str {
    concat!("8.0.33-stele-", env!("CARGO_PKG_VERSION"))
}
