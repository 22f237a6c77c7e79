//! The shapes that HTTP and the CLI show: JSON, lists as objects with the plural as key, sizes integers in bytes,
//! times RFC 3339 text. One file a noun. Never used inside a rule except to explain.

mod balance;
mod config;
mod events;
mod explain;
mod loads;
mod nodes;
mod operate;
mod plans;
mod session;
mod sql;
mod status;
mod tables;
mod tasks;
mod verify;
mod whatif;
pub use balance::*;
pub use config::*;
pub use events::*;
pub use explain::*;
pub use loads::*;
pub use nodes::*;
pub use operate::*;
pub use plans::*;
pub use session::*;
pub use sql::*;
pub use status::*;
pub use tables::*;
pub use tasks::*;
pub use verify::*;
pub use whatif::*;

use serde::{Deserialize, Serialize};

/// `application/problem+json` (RFC 9457): every error of every HTTP face.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable code, such as `no_quorum`.
    pub code: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
