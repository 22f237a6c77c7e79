//! Three small programs that use Stele's crates as libraries; each is one file in `src/bin/` and prints what it finds.
//!
//! ```text
//! cargo run -p stele-examples --bin verdict      a tablet is judged by hand
//! cargo run -p stele-examples --bin lost_host    a host dies; the scheduler refills the tablets
//! cargo run -p stele-examples --bin catch_up     what must travel between two versions
//! ```
