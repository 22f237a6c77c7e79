//! The agent: it owns the disks of one host, receives loads, copies replicas between peers, and reports what it holds.
//!
//! ```text
//!  coordinator ◀── link ── Reporter ◀── news ── Disk actors ── jobs ─▶ lanes (threads) ─▶ disk
//!       └── orders ──▶ link ───────────────────────▲  │
//!                                                  │  └─▶ shelf (views) ◀── http, peer port
//!                          staged loads, pins ─────┴─────────────────────────────┘
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`wiring`] | who is connected to whom; start and stop |
//! | [`actors`] | a disk's book, what the coordinator was told |
//! | [`settle`] | what becomes of each configured directory |
//! | [`shelf`] | the read-only view of replicas and disks |
//! | [`lanes`], [`watch`] | the named threads of a disk |
//! | [`load_stream`], [`fanout`] | a load on its way in, and on to the other members |
//! | [`net`] | the line to the coordinator, the peer port, HTTP |
//! | [`disk`] | everything that touches files |
//! | [`telemetry`], [`medium`], [`clock`], [`lease`] | metrics and logs, the machine, time |
//!
//! Every decision about data is the law book's (`agent/rules`); this crate carries them out.

pub mod actors;
pub mod clock;
pub mod disk;
pub mod fanout;
pub mod lanes;
pub mod lease;
pub mod load_stream;
pub mod medium;
pub mod net;
pub mod pace;
pub mod settle;
pub mod shelf;
pub mod store_mark;
pub mod telemetry;
pub mod watch;
pub mod wiring;

pub use wiring::{Addresses, Running, run_until};

use stele_common::config::AgentConfig;

/// Runs one agent as this process's business: logs to standard error, a panic ends the process, SIGTERM and SIGINT stop
/// it. Blocks until then.
pub fn run(config: AgentConfig) -> anyhow::Result<()> {
    stele_logs::start();
    telemetry::end_on_panic();
    run_until(config, |_| {})
}
