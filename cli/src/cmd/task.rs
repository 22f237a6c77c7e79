//! `stele task list`: repairs and deletions, waiting, running and done.

use crate::exit::Outcome;
use crate::flags::Global;
use crate::watch::Watch;
use clap::{Args, Subcommand};
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
    #[command(flatten)]
    watch: Watch,
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
    args.watch.show(global, |printer| {
        let mut all = Tasks { tasks: Vec::new(), next: None };
        for state in args.states() {
            all.tasks.extend(face.list::<Tasks>("/v1/tasks", &[("state", state)])?.tasks);
        }
        printer.list(&all)
    })
}
