//! `stele sim balance FILE`: the planner's way from a world file to evenness, with its price. Exit code 0 whatever it
//! says; 1 when the file cannot be read.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::table::{self, Rows, render};
use crate::world;
use clap::Args;
use std::path::PathBuf;
use stele_coordinator_rules::balance::moves::Why;
use stele_coordinator_rules::worldfile::balance::{Balanced, balance};

#[derive(Debug, Args)]
#[command(after_help = "\
The plan goes to the end: used parts of disks nearer than `balance_threshold` (10 %), counts of every table fair by
capacity, or no move helps. `bytes_lower_bound` is the least that any plan must move to end with the same spread,
`bytes_lower_bound_fair` to end with counts as fair as well, if no tablet moves twice.

Examples:
  stele sim balance world.json.zst
  stele sim balance - -o json < world.json")]
pub struct BalanceArgs {
    /// World file (JSON, or zstd of it); - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(global: &Global, args: &BalanceArgs) -> Outcome {
    global.printer().one(&balance(&world::read(&args.file)?), |answer| {
        let told = Told(answer);
        let summary = told.summary().join("\n");
        if answer.moves.is_empty() { summary } else { format!("{}\n\n{summary}", render(&told)) }
    })?;
    Ok(Exit::Done)
}

struct Told<'a>(&'a Balanced);

impl Told<'_> {
    fn summary(&self) -> Vec<String> {
        let percent = |part: f64| format!("{:.1} %", part * 100.0);
        let mut lines: Vec<String> = Vec::new();
        for (medium, before) in &self.0.before {
            let after = self.0.after.get(medium).copied().unwrap_or_default();
            lines.push(format!(
                "{}: fullest disk {} -> {}, emptiest {} -> {}, standard deviation {} -> {}",
                format!("{medium:?}").to_uppercase(),
                percent(before.used_percent_max),
                percent(after.used_percent_max),
                percent(before.used_percent_min),
                percent(after.used_percent_min),
                percent(before.used_percent_stddev),
                percent(after.used_percent_stddev),
            ));
        }
        for one in &self.0.groups {
            lines.push(format!(
                "group {}, bucket {}: node {} in place of node {}",
                one.group, one.bucket, one.to_node, one.from_node
            ));
        }
        match &self.0.idle {
            Some(idle) => lines.push(format!("nothing moves: {}", idle.detail)),
            None => lines.push(format!(
                "{} moves, {} ({} for counts); no plan that ends as even moves less than {}",
                self.0.moves.len(),
                table::size(self.0.bytes),
                table::size(self.0.bytes.saturating_sub(self.0.bytes_usage)),
                table::size(self.0.bytes_lower_bound_fair),
            )),
        }
        lines
    }
}

impl Rows for Told<'_> {
    fn columns(&self) -> Vec<&'static str> {
        vec![">TABLET", ">REPLICA", "FROM", "TO", ">BYTES", "EVENS"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let moves = self.0.moves.iter().map(|mv| {
            let why = match mv.why {
                Why::Usage => "bytes",
                Why::Count => "counts",
                Why::Primary => "primaries",
                Why::Exchange { .. } => "bytes, with the next",
            };
            vec![
                mv.tablet.to_string(),
                mv.replica.to_string(),
                format!("{}/{}", mv.from_node, mv.from_path),
                format!("{}/{}", mv.to_node, mv.to_path),
                table::size(mv.bytes),
                why.to_string(),
            ]
        });
        moves.collect()
    }

    fn empty(&self) -> &'static str {
        "nothing moves"
    }
}
