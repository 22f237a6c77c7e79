//! `stele task list`: repairs and deletions, waiting, running and done.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::table::{self, render};
use clap::{Args, Subcommand};
use std::io::IsTerminal;
use std::time::Duration;
use stele_common::api::Tasks;

#[derive(Debug, Subcommand)]
pub enum TaskVerb {
    /// Tasks; pending and running ones unless told otherwise
    List(ListArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stele task list\n  stele task list --watch\n  stele task list --history -o json")]
pub struct ListArgs {
    /// Those that wait
    #[arg(long)]
    pending: bool,
    /// Those under way
    #[arg(long)]
    running: bool,
    /// Those that ended
    #[arg(long)]
    history: bool,
    /// Show again every second until interrupted
    #[arg(long)]
    watch: bool,
}

impl ListArgs {
    fn states(&self) -> Vec<&'static str> {
        let asked = [(self.running, "running"), (self.pending, "pending"), (self.history, "history")];
        let states: Vec<_> = asked.into_iter().filter(|(asked, _)| *asked).map(|(_, state)| state).collect();
        if states.is_empty() { vec!["running", "pending"] } else { states }
    }
}

pub fn run(global: &Global, verb: &TaskVerb) -> Outcome {
    let TaskVerb::List(args) = verb;
    let face = global.face();
    loop {
        let mut all = Tasks { tasks: Vec::new(), next: None };
        for state in args.states() {
            all.tasks.extend(face.get::<Tasks>("/v1/tasks", &[("state", state)])?.tasks);
        }
        if args.watch && !global.printer().is_json() && std::io::stdout().is_terminal() {
            // Home, clear below: the table stays in place.
            table::line(&format!("\x1b[H\x1b[J{}", render(&all)))?;
        } else {
            global.printer().list(&all)?;
        }
        if !args.watch {
            return Ok(Exit::Done);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
