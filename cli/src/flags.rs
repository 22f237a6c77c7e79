//! The command line: which words there are, and what may stand behind them. What a word does is in `cmd/`.
//!
//! Global flags may stand anywhere; every command shows an example under `--help`.

use crate::cmd;
use crate::http::Face;
use crate::table::Printer;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "Examples:
  stele demo                                     see it lose a host and heal
  stele up --detach                              start a cluster on this machine
  stele table create d.t --replication 3 --buckets 16
  stele load d.t DIR && stele verify d.t

Exit codes: 0 done, 1 error, 2 refused by a check or something found, 3 not found,
5 timeout, 64 usage, 130 interrupted";

/// Keeps N verified copies of versioned file sets on plain disks of plain hosts.
#[derive(Debug, Parser)]
#[command(name = "stele", version, about, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// How results are printed; wide is a table with all columns
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: Format,
    /// HTTP address of the coordinator
    #[arg(long, global = true, env = "STELE_COORDINATOR", default_value = "127.0.0.1:7401", value_name = "IP:PORT")]
    pub coordinator: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    // No doc comments here: clap would print them in every `--help`, and take a page for it.
    Table,
    Wide,
    Json,
    Yaml,
}

impl Global {
    pub fn face(&self) -> Face {
        Face::coordinator(&self.coordinator)
    }

    pub fn printer(&self) -> Printer {
        Printer::new(self.output)
    }
}

/// The definition, with texts that are broken where the terminal ends.
pub fn command() -> clap::Command {
    with_unfolded(Cli::command())
}

fn with_unfolded(command: clap::Command) -> clap::Command {
    let after = command.get_after_help().map(|text| unfold(&text.to_string()));
    let command = command.mut_subcommands(with_unfolded);
    match after {
        Some(text) => command.after_help(text),
        None => command,
    }
}

/// Lines of a paragraph become one; those that are indented, such as examples, stay.
fn unfold(text: &str) -> String {
    let mut unfolded = String::new();
    for line in text.lines() {
        let is_next = !unfolded.is_empty() && !unfolded.ends_with('\n') && !line.is_empty() && !line.starts_with(' ');
        let follows = is_next && unfolded.lines().last().is_some_and(|last| !last.starts_with(' '));
        unfolded += if unfolded.is_empty() {
            ""
        } else if follows {
            " "
        } else {
            "\n"
        };
        unfolded += line;
    }
    unfolded
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a cluster of real processes on this machine
    Up(cmd::up::UpArgs),
    /// Stop a cluster that 'up' started
    Down(cmd::up::DownArgs),
    /// Load real files, lose a host, heal, find a flipped byte, and prove every byte
    Demo(cmd::demo::DemoArgs),
    /// Run a coordinator
    Coordinator(cmd::serve::CoordinatorArgs),
    /// Run an agent on a storage host
    Agent(cmd::serve::AgentArgs),
    /// Show how the cluster is, and what is wrong with it
    Status(cmd::status::StatusArgs),
    /// The cluster on a live screen
    Top(cmd::top::TopArgs),
    /// What happened lately, and what happens from now on
    Events(cmd::events::EventsArgs),
    /// Storage hosts' agents
    #[command(subcommand)]
    Node(cmd::node::NodeVerb),
    /// Data directories
    #[command(subcommand)]
    Disk(cmd::disk::DiskVerb),
    /// Tables
    #[command(subcommand)]
    Table(cmd::tables::TableVerb),
    /// Tablets, the units of placement
    #[command(subcommand)]
    Tablet(cmd::tablet::TabletVerb),
    /// Load a directory's files as one atomic addition
    Load(cmd::load::LoadArgs),
    /// Remove files from a table, atomically
    Rm(cmd::rm::RmArgs),
    /// List the files of a table
    Ls(cmd::ls::LsArgs),
    /// Read one file, its digest checked
    Get(cmd::get::GetArgs),
    /// Read all files of a table into a directory, digests checked
    Export(cmd::export::ExportArgs),
    /// Read every copy and hold each byte against its digest
    Verify(cmd::verify::VerifyArgs),
    /// Repair a table's sick tablets before all others, for a time
    Repair(cmd::lease::RepairArgs),
    /// How fast copies may be
    Throttle(cmd::throttle::ThrottleArgs),
    /// Begin no balance, or no repair, somewhere for a time
    Pause(cmd::pause::PauseArgs),
    /// End a pause before its time
    Resume(cmd::pause::ResumeArgs),
    /// Single copies
    #[command(subcommand)]
    Replica(cmd::replica::ReplicaVerb),
    /// Colocation groups: tables that stand together
    #[command(subcommand)]
    Group(cmd::group::GroupVerb),
    /// What would move and what it costs, before anything moves
    #[command(subcommand)]
    Plan(cmd::plan::PlanVerb),
    /// Repairs and deletions
    #[command(subcommand)]
    Task(cmd::task::TaskVerb),
    /// How much the coordinator may do
    #[command(subcommand)]
    Level(cmd::level::LevelVerb),
    /// Statements, as a mysql client takes them
    Sql(cmd::sql::SqlArgs),
    /// Who may come in: users, roles, passwords, tokens
    #[command(subcommand)]
    User(cmd::user::UserVerb),
    /// What the coordinator writes to its log, now and from now on
    LogLevel(cmd::log_level::LogLevelArgs),
    /// Knobs of the running coordinator; configuration files
    #[command(subcommand)]
    Config(cmd::config::ConfigVerb),
    /// The coordinator's world as a file
    #[command(subcommand)]
    Snapshot(cmd::snapshot::SnapshotVerb),
    /// Ask a world file, or simulate a whole cluster from seeds
    #[command(subcommand)]
    Sim(cmd::sim::SimVerb),
    /// How even the hosts are, and what moves
    #[command(subcommand)]
    Balance(cmd::balance::BalanceVerb),
    /// What a loss would cost: what is gone, degraded, and how long healing takes
    #[command(name = "whatif")]
    WhatIf(cmd::whatif::WhatIfArgs),
    /// Make a cluster token for binding outside loopback
    Token(cmd::token::TokenArgs),
    /// Put into one file what somebody needs who is to help from afar
    SupportBundle(cmd::bundle::BundleArgs),
    /// Print a manual page, or write all of them
    Man(cmd::man::ManArgs),
    /// Print a completion script
    Completions(cmd::completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paragraphs become one line each; examples and lists stay as they are.
    #[test]
    fn paragraphs_unfold() {
        let text = "One\ntwo.\nThree\n\nExamples:\n  stele a\n  stele b\n\nEnd\nof it";
        assert_eq!(unfold(text), "One two. Three\n\nExamples:\n  stele a\n  stele b\n\nEnd of it");
        let up = command().find_subcommand("up").and_then(|up| up.get_after_help()).map(ToString::to_string).unwrap();
        assert!(up.contains("brings the same cluster back on the same ports; parts that run"), "{up}");
    }

    /// The definition itself is sound: no double flags, no impossible defaults.
    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    /// Every command that does something shows an example.
    #[test]
    fn every_command_has_an_example() {
        fn walk(command: &clap::Command, missing: &mut Vec<String>) {
            let leaf = command.get_subcommands().next().is_none();
            let example = command.get_after_help().is_some_and(|text| text.to_string().contains("stele "));
            if leaf && !example {
                missing.push(command.get_name().to_string());
            }
            command.get_subcommands().for_each(|inner| walk(inner, missing));
        }
        let mut missing = Vec::new();
        walk(&Cli::command(), &mut missing);
        assert!(missing.is_empty(), "without an example: {missing:?}");
    }

    /// Long help is as long as short help is: one line a flag.
    #[test]
    fn help_is_short() {
        let long = Cli::command().render_long_help().to_string();
        assert!(!long.contains("Possible values:"), "{long}");
    }

    /// Global flags stand before or behind the words.
    #[test]
    fn global_flags_stand_anywhere() {
        for line in ["stele -o json node list", "stele node list -o json", "stele node -o json list"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.global.output, Format::Json, "{line}");
        }
        let cli = Cli::try_parse_from("stele ls d.t --coordinator 1.2.3.4:5".split(' ')).unwrap();
        assert_eq!(cli.global.coordinator, "1.2.3.4:5");
    }
}
