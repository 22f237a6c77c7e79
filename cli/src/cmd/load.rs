//! `stele load`: a directory becomes one version of every tablet that it touches, all or nothing.

use crate::bar;
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::loader::{self, Load, Loaded};
use crate::names::TableName;
use crate::stop;
use crate::table::size;
use crate::tree::{self, Hashed, Unfit};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use stele_common::{LoadKey, LoadMode, TabletId, Version};

/// How long a load may take and under what name.
#[derive(Clone, Debug, Args)]
pub struct LoadFlags {
    /// Name of this load; repeating a load under the same name is harmless
    #[arg(long, value_name = "KEY")]
    pub load_id: Option<String>,
    /// Tablets streamed at once
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub jobs: usize,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub timeout: u64,
}

impl LoadFlags {
    pub fn key(&self) -> Result<LoadKey, Failure> {
        match &self.load_id {
            Some(text) if text.is_empty() || text.len() > 200 => Err(Failure::usage("a load id has 1 to 200 bytes")),
            Some(text) => Ok(LoadKey(text.clone())),
            None => loader::fresh_key(),
        }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Files are added and overwritten; those that the directory lacks stay, unless --replace is given.
Symbolic links are left out and counted.

Examples:
  stele load d.t ./data
  stele load d.t/p1 ./data --replace --load-id nightly-2026-07-30"
)]
pub struct LoadArgs {
    /// [DB.]TABLE[/PARTITION]
    table: TableName,
    /// Directory whose files are loaded
    dir: PathBuf,
    /// Make the partition equal the directory: files that it lacks are removed
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    flags: LoadFlags,
}

/// What a load answers.
#[derive(Debug, Serialize)]
pub struct LoadReport {
    pub key: LoadKey,
    pub table: String,
    pub files: u64,
    pub removed: u64,
    pub bytes: u64,
    pub seconds: f64,
    pub repeats: u32,
    pub versions: BTreeMap<TabletId, Version>,
    pub links_left_out: u64,
    pub others_left_out: u64,
}

impl LoadReport {
    pub fn new(table: &TableName, files: &[Hashed], removed: usize, loaded: Loaded) -> LoadReport {
        LoadReport {
            key: loaded.result.key,
            table: table.to_string(),
            files: files.len() as u64,
            removed: removed as u64,
            bytes: files.iter().map(|file| file.size).sum(),
            seconds: loaded.took.as_secs_f64(),
            repeats: loaded.repeats,
            versions: loaded.result.versions,
            links_left_out: 0,
            others_left_out: 0,
        }
    }

    pub fn text(&self) -> String {
        let rate = (self.bytes as f64 / self.seconds.max(1e-3)) as u64;
        let mut text = if self.files == 0 && self.removed > 0 {
            format!("removed {} files from {} in {:.2} s", self.removed, self.table, self.seconds)
        } else {
            let (bytes, rate) = (size(self.bytes), size(rate));
            format!("loaded {} files, {bytes}, into {} in {:.2} s ({rate}/s)", self.files, self.table, self.seconds)
        };
        let versions: Vec<Version> = self.versions.values().copied().collect();
        if let (Some(low), Some(high)) = (versions.iter().min(), versions.iter().max()) {
            let range = if low == high { format!("version {low}") } else { format!("versions {low} to {high}") };
            let tablets =
                if versions.len() == 1 { "1 tablet".to_string() } else { format!("{} tablets", versions.len()) };
            text += &format!("\n{range} visible in {tablets}; load id {}", self.key);
        }
        match self.repeats {
            0 => {}
            1 => text += "\nit took a second try",
            more => text += &format!("\nit took {} tries", more + 1),
        }
        if self.links_left_out + self.others_left_out > 0 {
            let (links, others) = (self.links_left_out, self.others_left_out);
            text += &format!("\nleft out: {links} symbolic links, {others} other special files");
        }
        text
    }
}

pub fn run(global: &Global, args: &LoadArgs) -> Outcome {
    let key = args.flags.key()?;
    let face = global.face();
    // A wrong name is told before gigabytes are read.
    args.table.one_partition(&args.table.info(&face)?)?;
    let walk = tree::walk(&args.dir, Unfit::Fail)?;
    let (links, others) = (walk.links, walk.others);
    let hashing = bar::bytes("hash", walk.bytes());
    let hashed = tree::hash(walk.files, Unfit::Fail, &|bytes| hashing.inc(bytes));
    hashing.finish_and_clear();
    let (files, _) = hashed?;
    if files.is_empty() && !args.replace {
        return Err(Failure::refused(format!("{} holds no regular file", args.dir.display()))
            .next("--replace empties the partition"));
    }
    let load = Load {
        table: &args.table,
        files: &files,
        remove: &[],
        mode: if args.replace { LoadMode::Replace } else { LoadMode::Add },
        key,
        jobs: args.flags.jobs,
        timeout: Duration::from_secs(args.flags.timeout),
    };
    let loaded = with_stop(&global.face(), &load)?;
    let mut report = LoadReport::new(&args.table, &files, 0, loaded);
    (report.links_left_out, report.others_left_out) = (links, others);
    global.printer().one(&report, LoadReport::text)?;
    Ok(Exit::Done)
}

/// Carries a load through; Ctrl-C aborts it and ends the command.
pub fn with_stop(face: &crate::http::Face, load: &Load) -> Result<Loaded, Failure> {
    stop::watch()?;
    let progress = bar::bytes("load", load.files.iter().map(|file| file.size).sum());
    let loaded = loader::run_or_leave(face, load, &progress);
    progress.finish_and_clear();
    loaded
}

/// Carries a load through under a bar of its bytes.
pub fn with_bar(face: &crate::http::Face, load: &Load) -> Result<Loaded, Failure> {
    let progress = bar::bytes("load", load.files.iter().map(|file| file.size).sum());
    let loaded = loader::run(face, load, &progress);
    progress.finish_and_clear();
    loaded
}
