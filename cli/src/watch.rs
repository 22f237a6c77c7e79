//! `--watch`: what a command shows, again and again until Ctrl-C (which ends the process as shells expect: 130).
//!
//! In place on a terminal, one below the other where the output goes elsewhere. A coordinator that starts again is
//! waited for; every other failure ends the watching.

use crate::exit::{Exit, Failure, Origin, Outcome};
use crate::flags::Global;
use crate::span::Span;
use crate::table::Printer;
use clap::Args;
use std::time::Duration;

/// The flag of every command that shows how things are.
#[derive(Clone, Copy, Debug, Args)]
pub struct Watch {
    /// Show it again every second, or every SPAN, until interrupted
    #[arg(long, value_name = "SPAN", num_args = 0..=1, require_equals = true, default_missing_value = "1s")]
    watch: Option<Span>,
}

impl Watch {
    pub fn show(self, global: &Global, show: impl Fn(Printer) -> Result<(), Failure>) -> Outcome {
        let printer = global.printer();
        show(if self.watch.is_some() { printer.in_place() } else { printer })?;
        let Some(Span(ms)) = self.watch else { return Ok(Exit::Done) };
        loop {
            std::thread::sleep(Duration::from_millis(ms));
            printer.separate()?;
            match show(printer.in_place()) {
                Err(failure) if is_starting(&failure) && printer.is_data() => eprintln!("{failure}"),
                Err(failure) if is_starting(&failure) => printer.in_place().text(&failure.to_string())?,
                shown => shown?,
            }
        }
    }
}

/// It cannot be reached, or says that it ends or has just begun.
fn is_starting(failure: &Failure) -> bool {
    match failure.origin {
        Origin::Unreachable => true,
        Origin::Problem { status, .. } => status == 503,
        Origin::Interrupted | Origin::BrokenPipe | Origin::Here => false,
    }
}
