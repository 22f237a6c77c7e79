//! `stele snapshot save`: the live coordinator's world as a file that `stele sim` reads.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::table;
use crate::world::is_standard;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub enum SnapshotVerb {
    /// Write the coordinator's world into a file that 'stele sim' reads
    Save(SaveArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "A name that ends in .zst is packed, others and standard output are plain JSON.

Examples:
  stele snapshot save && stele sim check world.json.zst
  stele snapshot save - | jq .level")]
pub struct SaveArgs {
    /// Where to; - is standard output
    #[arg(value_name = "FILE", default_value = "world.json.zst")]
    file: PathBuf,
}

/// Packs JSON to a tenth in the time that it takes to come in; higher levels cost seconds for little.
const LEVEL: i32 = 3;

#[derive(Serialize)]
struct Saved {
    file: String,
    bytes: u64,
}

pub fn run(global: &Global, verb: &SnapshotVerb) -> Outcome {
    let SnapshotVerb::Save(args) = verb;
    let mut world = global.face().bytes("/v1/world", &[])?;
    if is_standard(&args.file) {
        let mut out = io::stdout().lock();
        io::copy(&mut world, &mut out).map_err(Failure::output)?;
        out.flush().map_err(Failure::output)?;
        return Ok(Exit::Done);
    }
    let bytes = save(&mut world, &args.file)
        .map_err(|error| Failure::io(format_args!("cannot write {}", args.file.display()), error))?;
    let saved = Saved { file: args.file.display().to_string(), bytes };
    global.printer().one(&saved, |saved| format!("{}: {}", saved.file, table::size(saved.bytes)))?;
    Ok(Exit::Done)
}

fn save(world: &mut impl Read, path: &Path) -> io::Result<u64> {
    let pack = path.extension().is_some_and(|extension| extension == "zst");
    appear(path, |file| {
        if pack {
            let mut encoder = zstd::Encoder::new(file, LEVEL)?;
            encoder.include_checksum(true)?;
            io::copy(world, &mut encoder)?;
            encoder.finish()?;
            Ok(())
        } else {
            let mut out = BufWriter::new(file);
            io::copy(world, &mut out)?;
            out.flush()
        }
    })
}

/// A file that appears when it is whole; only its owner may read it.
pub fn appear(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<u64> {
    let mut name = path.file_name().ok_or_else(|| io::Error::other("it is no file name"))?.to_os_string();
    name.push(format!(".part-{}", std::process::id()));
    let part = path.with_file_name(name);
    let made = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part);
    let written = made.and_then(|file| write(&file).and_then(|()| file.sync_all()));
    let done = written.and_then(|()| Ok(std::fs::metadata(&part)?.len()));
    let done = done.and_then(|bytes| std::fs::rename(&part, path).map(|()| bytes));
    if done.is_err() {
        // What cannot be removed is named by its ending.
        let _ = std::fs::remove_file(&part);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packed by its name, plain else; what broke off leaves nothing behind.
    #[test]
    fn files_are_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = "{\"format\": \"stele-world/1\"}".repeat(50);
        let (packed, plain) = (dir.path().join("w.json.zst"), dir.path().join("w.json"));
        assert!(save(&mut text.as_bytes(), &packed).expect("written") < 200);
        assert_eq!(save(&mut text.as_bytes(), &plain).expect("written"), text.len() as u64);
        assert_eq!(std::fs::read(&plain).expect("it is there"), text.as_bytes());
        let unpacked = zstd::stream::decode_all(File::open(&packed).expect("it is there")).expect("whole");
        assert_eq!(unpacked, text.as_bytes());

        struct Breaks;
        impl Read for Breaks {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the connection broke"))
            }
        }
        let broken = dir.path().join("broken.json");
        assert!(save(&mut Breaks, &broken).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 2, "nothing half is left");
    }
}
