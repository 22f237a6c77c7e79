//! Bodies of requests: JSON, bounded in size and in time, so that nobody can hold a worker by writing slowly.

use super::problem::Problem;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Largest body. The longest one opens a load over every bucket of a table: some 20 bytes a bucket.
pub const BODY_MAX: usize = 8 << 20;
/// A body must be whole within this time.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The body as `T`.
pub async fn read<T: DeserializeOwned>(payload: Payload) -> Result<T, Problem> {
    serde_json::from_slice(&whole(payload).await?)
        .map_err(|error| Problem::bad_request(format!("the body is not what this path takes: {error}")))
}

/// All its bytes.
pub async fn whole(payload: Payload) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_DEADLINE, gather(payload)).await {
        Ok(bytes) => bytes.map(BytesMut::freeze),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body took longer than 10 s")),
    }
}

async fn gather(mut payload: Payload) -> Result<BytesMut, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::bad_request(format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > BODY_MAX {
            let detail = format!("a body may have {BODY_MAX} bytes at most");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
