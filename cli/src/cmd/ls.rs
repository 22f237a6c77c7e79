//! `stele ls`: the files of a table, as its visible versions name them.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::names::TableName;
use crate::reader::Listing;
use crate::table::Rows;
use clap::Args;
use serde::Serialize;
use stele_common::Version;
use stele_common::api::FileInfo;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stele ls d.t\n  stele ls d.t dir/ --version 3")]
pub struct LsArgs {
    /// [DB.]TABLE[/PARTITION]
    table: TableName,
    /// Only paths that begin so
    prefix: Option<String>,
    /// Read each tablet at its highest version up to this one
    #[arg(long, value_name = "V")]
    version: Option<Version>,
}

#[derive(Serialize)]
struct Files {
    files: Vec<FileInfo>,
}

impl Rows for Files {
    fn columns(&self) -> Vec<&'static str> {
        vec![">SIZE", "??>ADDED", "?BLAKE3", "PATH"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let short = |file: &FileInfo| file.digest.to_string()[..16].to_string();
        // Names are data from outside: a line break or an escape sequence must not reach the terminal.
        let shown = |path: &str| path.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let row = |file: &FileInfo| vec![file.size.to_string(), file.added.to_string(), short(file), shown(&file.path)];
        self.files.iter().map(row).collect()
    }

    fn empty(&self) -> &'static str {
        "no file"
    }
}

pub fn run(global: &Global, args: &LsArgs) -> Outcome {
    let listing = Listing::read(&global.face(), &args.table, args.version)?;
    let prefix = args.prefix.as_deref().unwrap_or("");
    let wanted = listing.files.iter().filter(|(path, _)| path.as_str().starts_with(prefix));
    let files = wanted.map(|(path, place)| FileInfo {
        path: path.to_string(),
        size: place.entry.size,
        digest: place.entry.digest,
        added: place.entry.added,
    });
    global.printer().list(&Files { files: files.collect() })?;
    Ok(Exit::Done)
}
