//! The demo's files: the user's, or real ones that every machine with Rust has: the toolchain's, the registry's sources,
//! the system's shared files.
//!
//! Files are read where they lie and never changed. What cannot be read or named is left out and counted.

use crate::bar;
use crate::exit::Failure;
use crate::table::size;
use crate::tree::{self, Hashed, Unfit, Walk};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Enough to be real: this many files and bytes, of mixed sizes ...
const FILES_MIN: usize = 10_000;
const BYTES_MIN: u64 = 320 << 20;
/// ... and not more than a demo should take.
const BYTES_MAX: u64 = 600 << 20;
/// A single file above this would be most of the demo.
const FILE_MAX: u64 = 64 << 20;

/// What the demo loads.
#[derive(Debug)]
pub struct Source {
    pub files: Vec<Hashed>,
    from: Vec<String>,
    left_out: u64,
}

impl Source {
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    pub fn described(&self) -> String {
        let mut text = format!("{} files, {}, from {}", self.files.len(), size(self.bytes()), self.from.join(", "));
        if self.left_out > 0 {
            text += &format!(" ({} links and unreadable files left out)", self.left_out);
        }
        text
    }
}

/// What a place is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gives {
    /// Small files: walked until there are enough files.
    Many,
    /// Large files: walked until there are enough bytes.
    Large,
}

/// A directory with real files, and what its files are called in the table.
struct Place {
    prefix: &'static str,
    dir: PathBuf,
    gives: Gives,
}

/// Picks and hashes the files.
pub fn choose(given: Option<&Path>) -> Result<Source, Failure> {
    let (walk, from) = match given {
        Some(dir) => (tree::walk(dir, Unfit::LeaveOut)?, vec![dir.display().to_string()]),
        None => pick(&usual_places()),
    };
    let mut left_out = walk.links + walk.others + walk.unfit;
    let progress = bar::bytes("hash", walk.bytes());
    let (files, unread) = tree::hash(walk.files, Unfit::LeaveOut, &|bytes| progress.inc(bytes))?;
    progress.finish_and_clear();
    left_out += unread;
    if files.is_empty() {
        return Err(Failure::refused("found no files to load").next("name a directory with --data"));
    }
    Ok(Source { files, from, left_out })
}

/// Where a machine with Rust has real files: first many small ones, then large ones.
fn usual_places() -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |prefix, dir: PathBuf, gives| places.push(Place { prefix, dir, gives });
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().ok();
    let sysroot = sysroot.and_then(|output| String::from_utf8(output.stdout).ok());
    let sysroot = sysroot.map(|text| PathBuf::from(text.trim())).filter(|dir| dir.is_absolute());
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    if let Some(cargo) = cargo.or(home) {
        add("registry", cargo.join("registry/src"), Gives::Many);
    }
    if let Some(sysroot) = &sysroot {
        add("toolchain/share", sysroot.join("share"), Gives::Many);
    }
    add("usr-share", "/usr/share".into(), Gives::Many);
    if let Some(sysroot) = &sysroot {
        add("toolchain/lib", sysroot.join("lib"), Gives::Large);
    }
    add("usr-lib", "/usr/lib".into(), Gives::Large);
    places
}

fn pick(places: &[Place]) -> (Walk, Vec<String>) {
    let mut all = Walk::default();
    let mut from = Vec::new();
    for place in places {
        let (files, bytes) = (all.files.len(), all.bytes());
        if is_enough(place.gives, files, bytes) || !place.dir.is_dir() {
            continue;
        }
        let mut part = Walk::default();
        // Counted as it grows; summing anew for each file would be slow.
        let seen = std::cell::Cell::new((0usize, 0u64));
        let enough = |walk: &Walk| {
            let (mut count, mut sum) = seen.get();
            walk.files[count..].iter().filter(|file| file.size <= FILE_MAX).for_each(|file| sum += file.size);
            count = walk.files.len();
            seen.set((count, sum));
            is_enough(place.gives, files + count, bytes + sum)
        };
        // A place that cannot be walked is left out like an unreadable file.
        let prefix = format!("{}/", place.prefix);
        if tree::walk_into(&mut part, &place.dir, &prefix, Unfit::LeaveOut, enough).is_err() {
            continue;
        }
        part.files.retain(|file| file.size <= FILE_MAX);
        if !part.files.is_empty() {
            from.push(place.dir.display().to_string());
        }
        all.links += part.links;
        all.others += part.others;
        all.unfit += part.unfit;
        all.files.append(&mut part.files);
    }
    (all, from)
}

fn is_enough(gives: Gives, files: usize, bytes: u64) -> bool {
    let enough = match gives {
        Gives::Many => files >= FILES_MIN,
        Gives::Large => bytes >= BYTES_MIN,
    };
    enough || bytes >= BYTES_MAX
}

/// What is missing, too much or different, one sentence each.
pub fn differences(source: &[Hashed], found: &[Hashed]) -> Vec<String> {
    let by_path = |files: &[Hashed]| -> BTreeMap<String, (u64, stele_common::Digest)> {
        files.iter().map(|file| (file.path.to_string(), (file.size, file.digest))).collect()
    };
    let (source, found) = (by_path(source), by_path(found));
    let mut wrong = Vec::new();
    for (path, file) in &source {
        match found.get(path) {
            None => wrong.push(format!("{path} is missing")),
            Some(other) if other != file => wrong.push(format!("{path} has other content")),
            Some(_) => {}
        }
    }
    wrong.extend(
        found.keys().filter(|path| !source.contains_key(*path)).map(|path| format!("{path} is not in the source")),
    );
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::{Digest, RelPath};

    fn file(path: &str, text: &str) -> Hashed {
        let digest = Digest::of(text.as_bytes());
        Hashed { path: RelPath::new(path).unwrap(), place: PathBuf::new(), size: text.len() as u64, digest }
    }

    /// A missing, a changed and a surplus file are each found and named.
    #[test]
    fn every_difference_is_named() {
        let source = [file("a", "1"), file("b", "2"), file("c", "3")];
        assert!(differences(&source, &source).is_empty());
        let found = [file("a", "1"), file("b", "x"), file("d", "4")];
        assert_eq!(differences(&source, &found), ["b has other content", "c is missing", "d is not in the source"]);
    }

    /// Places are taken in order until there is enough; names carry the place they came from.
    #[test]
    fn places_are_taken_in_order() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("one")).unwrap();
        std::fs::write(dir.path().join("one/x"), b"x").unwrap();
        let place = |prefix, name: &str| Place { prefix, dir: dir.path().join(name), gives: Gives::Large };
        let (walk, from) = pick(&[place("first", "none"), place("second", "one")]);
        assert_eq!(walk.files[0].path.as_str(), "second/x");
        assert_eq!(from.len(), 1);
        assert!(is_enough(Gives::Many, FILES_MIN, 0) && !is_enough(Gives::Large, FILES_MIN, 0));
        assert!(is_enough(Gives::Large, 1, BYTES_MIN) && is_enough(Gives::Many, 1, BYTES_MAX));
    }
}
