//! `stele export`: every file of a table into a directory, several at once, each digest checked.

use crate::beneath::Beneath;
use crate::exit::{Exit, Failure, Origin, Outcome};
use crate::flags::Global;
use crate::names::TableName;
use crate::reader::Listing;
use crate::table::size;
use crate::{bar, stop};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use stele_common::Version;

#[derive(Debug, Args)]
#[command(after_help = "Files are written beside their names and renamed when they are whole and checked.
Other files in the directory stay; no symbolic link in it is followed.

Examples:
  stele export d.t --to ./copy
  stele export d.t/p0 --to ./copy --version 3")]
pub struct ExportArgs {
    /// [DB.]TABLE[/PARTITION]
    table: TableName,
    /// Directory to write into; made if it is missing
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Read each tablet at its highest version up to this one
    #[arg(long, value_name = "V")]
    version: Option<Version>,
    /// Files read at once
    #[arg(long, default_value_t = 4, value_name = "N")]
    jobs: usize,
}

/// What an export answers.
#[derive(Debug, Serialize)]
pub struct ExportReport {
    pub table: String,
    pub to: PathBuf,
    pub files: u64,
    pub bytes: u64,
    pub seconds: f64,
}

pub fn run(global: &Global, args: &ExportArgs) -> Outcome {
    let began = Instant::now();
    let listing = Listing::read(&global.face(), &args.table, args.version)?;
    write_all(&listing, &args.to, args.jobs)?;
    let report = ExportReport {
        table: args.table.to_string(),
        to: args.to.clone(),
        files: listing.files.len() as u64,
        bytes: listing.bytes(),
        seconds: began.elapsed().as_secs_f64(),
    };
    global.printer().one(&report, |report| {
        let (bytes, to) = (size(report.bytes), report.to.display());
        format!("wrote {} files, {bytes}, to {to} in {:.2} s; every digest checked", report.files, report.seconds)
    })?;
    Ok(Exit::Done)
}

/// Writes every file of the listing below `to`; a file that fails is named and the others go on.
pub fn write_all(listing: &Listing, to: &Path, jobs: usize) -> Result<(), Failure> {
    std::fs::create_dir_all(to).map_err(|error| Failure::io(format_args!("cannot make {}", to.display()), error))?;
    let beneath = Beneath::open(to)?;
    let progress = bar::bytes("export", listing.bytes());
    let files: Vec<_> = listing.files.iter().collect();
    let next = AtomicUsize::new(0);
    let failures: Mutex<Vec<Failure>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, 64) {
            scope.spawn(|| {
                while let Some((path, place)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if stop::asked() {
                        return;
                    }
                    let done =
                        beneath.write(path, |file| listing.fetch(path, place, file, &|bytes| progress.inc(bytes)));
                    if let (Err(failure), Ok(mut failures)) = (done, failures.lock()) {
                        failures.push(failure);
                    }
                }
            });
        }
    });
    progress.finish_and_clear();
    stop::check()?;
    let failures = failures.into_inner().map_err(|_| Failure::error("a thread of the export panicked"))?;
    match failures.as_slice() {
        [] => Ok(()),
        [first, rest @ ..] if first.origin == Origin::Here && !rest.is_empty() => {
            Err(Failure::error(format!("{} of {} files failed; the first: {first}", rest.len() + 1, files.len())))
        }
        [first, ..] => Err(first.clone()),
    }
}
