//! `stele tablet list|show|explain|history`.

use crate::exit::Outcome;
use crate::flags::Global;
use crate::names::TableName;
use crate::shapes;
use crate::watch::Watch;
use clap::{Args, Subcommand};
use stele_common::api::{Explanation, TabletInfo, Tablets, Tasks};
use stele_common::near::{did_you_mean, nearest};
use stele_common::{TabletId, TabletStatus};

#[derive(Debug, Subcommand)]
pub enum TabletVerb {
    /// Tablets with verdict and copies
    List(ListArgs),
    /// One tablet with all its replicas
    #[command(after_help = "Example:\n  stele tablet show 101")]
    Show(One),
    /// Why a tablet is as it is, what happens next, and why not sooner or elsewhere
    #[command(after_help = "Example:\n  stele tablet explain 101")]
    Explain(One),
    /// What was decided about a tablet, newest first, with the evidence of each deletion
    #[command(after_help = "Example:\n  stele tablet history 101")]
    History(One),
}

#[derive(Debug, Args)]
pub struct One {
    tablet: TabletId,
    #[command(flatten)]
    watch: Watch,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stele tablet list --table d.t\n  stele tablet list --status replica_missing")]
pub struct ListArgs {
    /// Only those of [DB.]TABLE[/PARTITION]
    #[arg(long)]
    table: Option<TableName>,
    /// Only those with this verdict, such as REPLICA_MISSING
    #[arg(long, ignore_case = true, value_parser = verdict)]
    status: Option<String>,
    #[command(flatten)]
    watch: Watch,
}

fn verdict(text: &str) -> Result<String, String> {
    let wanted = text.to_uppercase().replace('-', "_");
    let names = TabletStatus::ALL.map(TabletStatus::as_str);
    let next = || nearest(&wanted, names).map_or_else(|| format!("one of {}", names.join(", ")), did_you_mean);
    if names.contains(&wanted.as_str()) { Ok(wanted) } else { Err(next()) }
}

pub fn run(global: &Global, verb: &TabletVerb) -> Outcome {
    let face = global.face();
    let why = |tablet: TabletId| face.get::<Explanation>(&format!("/v1/tablets/{tablet}/explain"), &[]);
    match verb {
        TabletVerb::List(args) => {
            let full = args.table.as_ref().map(TableName::full);
            let mut query: Vec<(&str, &str)> = Vec::new();
            query.extend(full.as_deref().map(|table| ("table", table)));
            query.extend(
                args.table.as_ref().and_then(|table| table.partition.as_deref()).map(|name| ("partition", name)),
            );
            query.extend(args.status.as_deref().map(|status| ("status", status)));
            args.watch.show(global, |printer| printer.list(&face.list::<Tablets>("/v1/tablets", &query)?))
        }
        TabletVerb::Show(One { tablet, watch }) => {
            let path = format!("/v1/tablets/{tablet}");
            watch.show(global, |printer| printer.one(&face.get::<TabletInfo>(&path, &[])?, shapes::tablet))
        }
        TabletVerb::Explain(One { tablet, watch }) => {
            watch.show(global, |printer| printer.one(&why(*tablet)?, shapes::explanation))
        }
        TabletVerb::History(One { tablet, watch }) => {
            watch.show(global, |printer| printer.list(&Tasks { tasks: why(*tablet)?.history, next: None }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of verdicts are those of the vocabulary.
    #[test]
    fn verdicts_are_known() {
        for status in TabletStatus::ALL {
            assert_eq!(verdict(status.as_str()).unwrap(), status.as_str());
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert_eq!(verdict("replica-missing").unwrap(), "REPLICA_MISSING");
        assert!(verdict("ill").unwrap_err().starts_with("one of "));
        assert_eq!(verdict("replica_mising").unwrap_err(), "did you mean REPLICA_MISSING?");
    }
}
