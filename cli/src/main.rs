//! `stele`: the operator's command line, and the all-in-one binary.
//!
//! ```text
//! flags ─▶ cmd/* ─▶ http (coordinator, agents)      clients: everything but the next line
//!                └▶ stele_coordinator, stele_agent  `stele coordinator`, `stele agent` (cmd/serve.rs)
//! ```
//!
//! Parses, runs one command, prints its failure once, and returns its exit code.

mod bar;
mod beneath;
mod cluster;
mod cmd;
#[cfg(test)]
mod documented;
mod exit;
mod flags;
mod http;
mod layout;
mod loader;
mod names;
mod reader;
mod shapes;
mod span;
mod stop;
mod stream;
mod table;
mod tree;
mod watch;
mod world;
mod yaml;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use exit::{Exit, Failure, Origin, Outcome};
use flags::{Cli, Verb};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nobody is left to tell when this fails.
            let _ = error.print();
            return ExitCode::from(if asked { Exit::Done } else { Exit::Usage }.code());
        }
    };
    match run(&cli) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            tell(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}

/// Words without an end, such as `stele node`, are answered with what may follow.
fn parse(mut args: Vec<OsString>) -> Result<Cli, clap::Error> {
    let matches = flags::command().try_get_matches_from(&args).map_err(|error| match error.kind() {
        ErrorKind::MissingSubcommand => {
            args.push("--help".into());
            let help = flags::command().try_get_matches_from(&args).expect_err("--help ends every line");
            clap::Error::raw(ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, help.render().ansi())
        }
        _ => error,
    })?;
    Cli::from_arg_matches(&matches)
}

fn tell(failure: &Failure) {
    // Nobody is left to tell when a write fails.
    let _ = match failure.origin {
        Origin::BrokenPipe => Ok(()),
        Origin::Interrupted => writeln!(anstream::stderr(), "{failure}"),
        Origin::Unreachable | Origin::Problem { .. } | Origin::Here => {
            writeln!(anstream::stderr(), "{}", table::for_errors(&format!("{} {failure}", table::bad("error:"))))
        }
    };
}

/// Ends the process now: for a command that was asked to stop while one of its threads hangs in a request.
fn leave(failure: &Failure) -> ! {
    tell(failure);
    std::process::exit(failure.exit.code().into())
}

fn run(cli: &Cli) -> Outcome {
    let global = &cli.global;
    match &cli.verb {
        Verb::Up(args) => cmd::up::up(global, args),
        Verb::Down(args) => cmd::up::down(args),
        Verb::Demo(args) => cmd::demo::run(args),
        Verb::Coordinator(args) => cmd::serve::coordinator(args),
        Verb::Agent(args) => cmd::serve::agent(args),
        Verb::Status(args) => cmd::status::run(global, args),
        Verb::Node(verb) => cmd::node::run(global, verb),
        Verb::Disk(verb) => cmd::disk::run(global, verb),
        Verb::Table(verb) => cmd::tables::run(global, verb),
        Verb::Tablet(verb) => cmd::tablet::run(global, verb),
        Verb::Load(args) => cmd::load::run(global, args),
        Verb::Rm(args) => cmd::rm::run(global, args),
        Verb::Ls(args) => cmd::ls::run(global, args),
        Verb::Get(args) => cmd::get::run(global, args),
        Verb::Export(args) => cmd::export::run(global, args),
        Verb::Verify(args) => cmd::verify::run(global, args),
        Verb::Repair(args) => cmd::lease::repair(global, args),
        Verb::Pause(args) => cmd::pause::pause(global, args),
        Verb::Resume(args) => cmd::pause::resume(global, args),
        Verb::Replica(verb) => cmd::replica::run(global, verb),
        Verb::Group(verb) => cmd::group::run(global, verb),
        Verb::Plan(verb) => cmd::plan::run(global, verb),
        Verb::Task(verb) => cmd::task::run(global, verb),
        Verb::Level(verb) => cmd::level::run(global, verb),
        Verb::LogLevel(args) => cmd::log_level::run(global, args),
        Verb::Config(verb) => cmd::config::run(global, verb),
        Verb::Snapshot(verb) => cmd::snapshot::run(global, verb),
        Verb::Sim(verb) => cmd::sim::run(global, verb),
        Verb::Throttle(args) => cmd::throttle::run(global, args),
        Verb::Balance(verb) => cmd::balance::run(global, verb),
        Verb::WhatIf(args) => cmd::whatif::run(global, args),
        Verb::Sql(args) => cmd::sql::run(global, args),
        Verb::User(verb) => cmd::user::run(global, verb),
        Verb::Token(args) => cmd::token::run(args),
        Verb::Top(args) => cmd::top::run(global, args),
        Verb::SupportBundle(args) => cmd::bundle::run(global, args),
        Verb::Events(args) => cmd::events::run(global, args),
        Verb::Man(args) => cmd::man::run(global, args),
        Verb::Completions(args) => cmd::completions::run(args),
    }
}
