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
/// The toolchain's libraries are large: they give the big files and leave room for the small ones.
const TOOLCHAIN_MAX: u64 = 160 << 20;
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

/// Directories with real files, and the most bytes to take from each.
fn usual_places() -> Vec<(&'static str, PathBuf, u64)> {
    let mut places = Vec::new();
    if let Ok(output) = Command::new("rustc").args(["--print", "sysroot"]).output()
        && let Ok(sysroot) = String::from_utf8(output.stdout)
        && !sysroot.trim().is_empty()
    {
        let sysroot = PathBuf::from(sysroot.trim());
        places.push(("toolchain/lib", sysroot.join("lib"), TOOLCHAIN_MAX));
        places.push(("toolchain/share", sysroot.join("share"), TOOLCHAIN_MAX));
    }
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    places.extend(cargo.or(home).map(|cargo| ("registry", cargo.join("registry/src"), BYTES_MAX)));
    places.push(("usr-share", "/usr/share".into(), BYTES_MAX));
    places.push(("usr-lib", "/usr/lib".into(), BYTES_MAX));
    places
}

fn pick(places: &[(&str, PathBuf, u64)]) -> (Walk, Vec<String>) {
    let mut all = Walk::default();
    let mut from = Vec::new();
    for (prefix, dir, most) in places {
        let (files, bytes) = (all.files.len(), all.bytes());
        if is_enough(files, bytes) || !dir.is_dir() {
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
            sum >= *most || is_enough(files + count, bytes + sum)
        };
        // A place that cannot be walked is left out like an unreadable file.
        if tree::walk_into(&mut part, dir, &format!("{prefix}/"), Unfit::LeaveOut, enough).is_err() {
            continue;
        }
        part.files.retain(|file| file.size <= FILE_MAX);
        if !part.files.is_empty() {
            from.push(dir.display().to_string());
        }
        all.links += part.links;
        all.others += part.others;
        all.unfit += part.unfit;
        all.files.append(&mut part.files);
    }
    (all, from)
}

fn is_enough(files: usize, bytes: u64) -> bool {
    files >= FILES_MIN && bytes >= BYTES_MIN || bytes >= BYTES_MAX
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
        let places = [("first", dir.path().join("none"), 10), ("second", dir.path().join("one"), 10)];
        let (walk, from) = pick(&places);
        assert_eq!(walk.files[0].path.as_str(), "second/x");
        assert_eq!(from.len(), 1);
        assert!(is_enough(FILES_MIN, BYTES_MIN) && is_enough(1, BYTES_MAX) && !is_enough(FILES_MIN, 1));
    }
}
