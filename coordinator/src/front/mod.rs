//! What people and scripts see: HTTP, and later other faces. A face reads snapshots and asks through [`ask`], the only
//! door; it never sees the store or anything mutable.

pub mod ask;
pub mod bulletin;
pub mod figures;
pub mod http;
pub mod tally;
pub mod view;
