//! `stele completions`: what a shell needs to complete our words.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Cli;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::Write;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stele completions bash > ~/.local/share/bash-completion/completions/stele")]
pub struct CompletionsArgs {
    shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stele", &mut script);
    std::io::stdout().lock().write_all(&script).map_err(Failure::output)?;
    Ok(Exit::Done)
}
