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

/// The same of whoever is nobody yet.
pub const NOBODYS_MAX: usize = 4 << 10;
const NOBODYS_DEADLINE: Duration = Duration::from_secs(2);

/// The body as `T`.
pub async fn read<T: DeserializeOwned>(payload: Payload) -> Result<T, Problem> {
    parsed(&whole(payload).await?)
}

/// The same of whoever is nobody yet: little, and soon.
pub async fn read_of_nobody<T: DeserializeOwned>(payload: Payload) -> Result<T, Problem> {
    parsed(&within(payload, NOBODYS_MAX, NOBODYS_DEADLINE).await?)
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not what this path takes: {error}")))
}

/// All its bytes.
pub async fn whole(payload: Payload) -> Result<Bytes, Problem> {
    within(payload, BODY_MAX, BODY_DEADLINE).await
}

async fn within(payload: Payload, max: usize, deadline: Duration) -> Result<Bytes, Problem> {
    match tokio::time::timeout(deadline, gather(payload, max)).await {
        Ok(bytes) => bytes.map(BytesMut::freeze),
        Err(_) => {
            let detail = format!("the body took longer than {} s", deadline.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail))
        }
    }
}

async fn gather(mut payload: Payload, max: usize) -> Result<BytesMut, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::bad_request(format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > max {
            let detail = format!("this body may have {max} bytes at most");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
