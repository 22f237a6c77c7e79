//! Logging in with the web page: `/v1/session`.

use serde::{Deserialize, Serialize};

/// `GET /v1/session`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Who asks; null before a login.
    pub name: Option<String>,
    /// `viewer`, `operator` or `admin`.
    pub role: Option<String>,
    /// There are users, so one has to log in.
    pub users: bool,
}

/// `POST /v1/session`: a name with its password, or a user's own token.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum SessionAsk {
    Password { name: String, password: String },
    Token { token: String },
}

/// What a login is changed for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionOpened {
    pub name: String,
    pub role: String,
    /// For `Authorization: Bearer`.
    pub token: String,
    /// RFC 3339.
    pub ends: String,
}
