//! Errors of the agent's HTTP face as problem+json (RFC 9457): a stable code, a sentence, a next step. Out only.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use std::fmt;
use stele_common::api::ErrorBody;

use crate::disk::DiskError;
use crate::load_stream::LoadError;

/// An error that is shown to a client.
#[derive(Debug)]
pub struct Problem(pub ErrorBody);

impl Problem {
    /// A problem with a status and a stable code.
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Problem {
        let title = code.replace('_', " ");
        Problem(ErrorBody { code: code.to_string(), title, status, detail: detail.into(), next: None })
    }

    /// Adds what to do about it.
    pub fn next(mut self, next: &str) -> Problem {
        self.0.next = Some(next.to_string());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        HttpResponse::build(self.status_code()).content_type("application/problem+json").body(body)
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        let (status, code) = error.code();
        let problem = Problem::new(status, code, error.to_string());
        match error {
            LoadError::StaleEpoch { .. }
            | LoadError::StaleBallot(_)
            | LoadError::NotAtParent(_)
            | LoadError::Behind(_) => problem.next("open the load again and repeat it"),
            LoadError::Busy(_) | LoadError::NoLease => problem.next("repeat the load after a moment"),
            LoadError::Full(_) => problem.next("free space on the disk, or add one"),
            LoadError::Malformed(_)
            | LoadError::Broken(_)
            | LoadError::NoSuchReplica { .. }
            | LoadError::Bad { .. }
            | LoadError::Digest(_)
            | LoadError::Disk(_) => problem,
        }
    }
}

impl From<DiskError> for Problem {
    fn from(error: DiskError) -> Self {
        let (status, code) = match &error {
            DiskError::NotFound { .. } => (404, "not_found"),
            DiskError::Damaged { .. } | DiskError::WrongBytes { .. } => (409, "damaged"),
            DiskError::Mismatch { .. } => (409, "mismatch"),
            DiskError::Busy { .. } => (503, "busy"),
            DiskError::Full { .. } => (507, "disk_full"),
            DiskError::Io { .. } | DiskError::Unusable { .. } => (503, "disk_failed"),
        };
        Problem::new(status, code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A problem has its type, its status and a code that scripts can rely on.
    #[test]
    fn shape() {
        let problem = Problem::from(LoadError::Full("no room".to_string()));
        let response = problem.error_response();
        assert_eq!(response.status().as_u16(), 507);
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        assert_eq!(problem.0.code, "disk_full");
        assert!(problem.0.next.is_some());
    }
}
