//! `stele get`: one file to standard output or into a file. Nothing is handed on before all its bytes were held
//! against the digest.

use crate::beneath::{Beneath, unlinked};
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::names::TableName;
use crate::reader::Listing;
use clap::Args;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use stele_common::{RelPath, Version};

/// Files up to this size wait for their check in memory, larger ones in a temporary file.
const MEMORY_MAX: u64 = 64 << 20;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stele get d.t dir/file.txt | less\n  stele get d.t dir/file.txt -O file.txt")]
pub struct GetArgs {
    /// [DB.]TABLE[/PARTITION]
    table: TableName,
    /// Path in the table
    path: String,
    /// Write to this file, not to standard output
    #[arg(short = 'O', long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
    /// Read the tablet at its highest version up to this one
    #[arg(long, value_name = "V")]
    version: Option<Version>,
}

pub fn run(global: &Global, args: &GetArgs) -> Outcome {
    let path = RelPath::new(args.path.as_str()).map_err(|error| Failure::usage(error.to_string()))?;
    let listing = Listing::read(&global.face(), &args.table, args.version)?;
    let place = listing.place(&args.table, &path)?;
    if let Some(out) = &args.out {
        let (dir, name) = split(out)?;
        let beneath = Beneath::open(&dir)?;
        beneath.write(&name, |file| listing.fetch(&path, &place, file, &|_| ()))?;
        return Ok(Exit::Done);
    }
    let mut stdout = std::io::stdout().lock();
    if place.entry.size <= MEMORY_MAX {
        let mut bytes = Vec::new();
        listing.fetch(&path, &place, &mut bytes, &|_| ())?;
        stdout.write_all(&bytes).and_then(|()| stdout.flush()).map_err(Failure::output)?;
    } else {
        let mut spool = unlinked()?;
        listing.fetch(&path, &place, &mut spool, &|_| ())?;
        spool.rewind().map_err(|error| Failure::io("cannot read the temporary file", error))?;
        std::io::copy(&mut spool, &mut stdout).map_err(Failure::output)?;
    }
    Ok(Exit::Done)
}

/// The directory and the name of a file to be written.
fn split(out: &Path) -> Result<(PathBuf, RelPath), Failure> {
    let name = out.file_name().and_then(|name| name.to_str()).and_then(|name| RelPath::new(name).ok());
    let name = name.ok_or_else(|| Failure::usage(format!("{} is not a file name", out.display())))?;
    let dir = match out.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok((dir, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file is written beside where it will stand.
    #[test]
    fn targets_are_split() {
        let read = |text: &str| split(Path::new(text)).map(|(dir, name)| (dir.display().to_string(), name.to_string()));
        assert_eq!(read("a/b").unwrap(), ("a".into(), "b".into()));
        assert_eq!(read("b").unwrap(), (".".into(), "b".into()));
        assert!(read("..").is_err() && read("/").is_err());
    }
}
