//! `/openapi.json`: what this face takes and answers, for tools and people who write clients.
//!
//! The document is kept by hand beside this file. Tests hold it to the handlers: each route is in it and no other, and
//! each answer that the tests of this face get is as it says.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, get};

pub const DOCUMENT: &str = include_str!("openapi.json");

#[get("/openapi.json")]
pub async fn show() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").insert_header((CACHE_CONTROL, "no-cache")).body(DOCUMENT)
}

#[cfg(test)]
pub mod tests;
