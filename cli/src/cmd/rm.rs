//! `stele rm`: removes paths from a table in one atomic load.

use crate::cmd::load::{LoadFlags, LoadReport, with_stop};
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::loader::Load;
use crate::names::TableName;
use crate::reader::Listing;
use clap::Args;
use std::collections::BTreeSet;
use std::time::Duration;
use stele_common::{LoadMode, RelPath};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stele rm d.t dir/file.txt other.txt\n  stele rm d.t -r dir")]
pub struct RmArgs {
    /// [DB.]TABLE[/PARTITION]
    table: TableName,
    /// Paths in the table
    #[arg(required = true)]
    paths: Vec<String>,
    /// Paths name directories too: everything beneath them goes
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    flags: LoadFlags,
}

pub fn run(global: &Global, args: &RmArgs) -> Outcome {
    let key = args.flags.key()?;
    let face = global.face();
    let listing = Listing::read(&face, &args.table, None)?;
    let held: BTreeSet<&RelPath> = listing.files.keys().collect();
    let mut remove = BTreeSet::new();
    for text in &args.paths {
        let path = RelPath::new(text.trim_end_matches('/')).map_err(|error| Failure::usage(error.to_string()))?;
        let before = remove.len();
        if args.recursive {
            remove.extend(beneath(&held, &path).cloned());
        }
        // A repeated load names the same paths again, though they went with the first.
        let again = args.flags.load_id.is_some() && !args.recursive;
        if held.contains(&path) || again {
            remove.insert(path.clone());
        }
        if remove.len() == before && !again {
            return Err(missing(args, &held, &path));
        }
    }
    let remove: Vec<RelPath> = remove.into_iter().collect();
    let load = Load {
        table: &args.table,
        files: &[],
        remove: &remove,
        mode: LoadMode::Add,
        key,
        jobs: args.flags.jobs,
        timeout: Duration::from_secs(args.flags.timeout),
    };
    let loaded = with_stop(&face, &load)?;
    let report = LoadReport::new(&args.table, &[], remove.len(), loaded);
    global.printer().one(&report, LoadReport::text)?;
    Ok(Exit::Done)
}

fn beneath<'a>(held: &'a BTreeSet<&'a RelPath>, dir: &RelPath) -> impl Iterator<Item = &'a RelPath> + use<'a> {
    let prefix = format!("{dir}/");
    held.iter().copied().filter(move |path| path.as_str().starts_with(&prefix))
}

fn missing(args: &RmArgs, held: &BTreeSet<&RelPath>, path: &RelPath) -> Failure {
    let failure = Failure::not_found(format!("table {} has no file {path}", args.table));
    match beneath(held, path).next() {
        Some(_) => failure.next("it is a directory: use -r"),
        None => failure.next(format!("see 'stele ls {}'", args.table)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory's files are those under its name and a slash, not those that merely begin alike.
    #[test]
    fn a_directory_ends_at_its_slash() {
        let paths: Vec<RelPath> =
            ["d", "d-e/x", "d/a", "d/b/c", "da", "e"].map(|path| RelPath::new(path).unwrap()).into();
        let held: BTreeSet<&RelPath> = paths.iter().collect();
        let dir = RelPath::new("d").unwrap();
        let found: Vec<&str> = beneath(&held, &dir).map(RelPath::as_str).collect();
        assert_eq!(found, ["d/a", "d/b/c"]);
    }
}
