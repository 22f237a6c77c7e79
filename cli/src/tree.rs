//! A directory as a load sees it: the regular files below it, their names in the table, lengths and digests.
//!
//! Symbolic links, sockets and devices are counted, never followed. A name that a table cannot hold and a file that
//! cannot be read end the walk, unless the caller says that such files may be left out.

use crate::exit::Failure;
use crate::stop;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use stele_common::{Digest, LoadMode, RelPath};

/// Threads that hash: disks and BLAKE3 are both busy with two.
const HASH_THREADS: usize = 2;
const BUFFER: usize = 256 * 1024;

/// What happens to a file that cannot be read or named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    Fail,
    LeaveOut,
}

/// One regular file of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name in the table.
    pub path: RelPath,
    pub place: PathBuf,
    pub size: u64,
}

/// A file whose content is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    pub path: RelPath,
    pub place: PathBuf,
    pub size: u64,
    pub digest: Digest,
}

/// What a walk saw.
#[derive(Debug, Default)]
pub struct Walk {
    pub files: Vec<Found>,
    /// Symbolic links, and everything else that is no regular file.
    pub links: u64,
    pub others: u64,
    /// Left out because they could not be read or named.
    pub unfit: u64,
}

impl Walk {
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Adds the files below `dir` to `walk`, named `prefix` + their path beneath it, until `enough` says so.
pub fn walk_into(
    walk: &mut Walk,
    dir: &Path,
    prefix: &str,
    unfit: Unfit,
    enough: impl Fn(&Walk) -> bool,
) -> Result<(), Failure> {
    for entry in walkdir::WalkDir::new(dir).follow_links(false).sort_by_file_name() {
        stop::check()?;
        if enough(walk) {
            return Ok(());
        }
        let found = entry.map_err(|error| Failure::io(format_args!("cannot walk {}", dir.display()), error));
        let entry = match (found, unfit) {
            (Ok(entry), _) => entry,
            (Err(_), Unfit::LeaveOut) => {
                walk.unfit += 1;
                continue;
            }
            (Err(failure), Unfit::Fail) => return Err(failure),
        };
        let kind = entry.file_type();
        if kind.is_dir() {
            continue;
        } else if kind.is_symlink() {
            walk.links += 1;
            continue;
        } else if !kind.is_file() {
            walk.others += 1;
            continue;
        }
        match (name(dir, entry.path(), prefix, &entry), unfit) {
            (Ok(found), _) => walk.files.push(found),
            (Err(_), Unfit::LeaveOut) => walk.unfit += 1,
            (Err(failure), Unfit::Fail) => return Err(failure),
        }
    }
    Ok(())
}

/// The files below `dir`, in path order.
pub fn walk(dir: &Path, unfit: Unfit) -> Result<Walk, Failure> {
    let meta =
        std::fs::metadata(dir).map_err(|error| Failure::io(format_args!("cannot read {}", dir.display()), error))?;
    if !meta.is_dir() {
        return Err(
            Failure::usage(format!("{} is not a directory", dir.display())).next("name the directory that holds it")
        );
    }
    let mut walk = Walk::default();
    walk_into(&mut walk, dir, "", unfit, |_| false)?;
    walk.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk)
}

fn name(dir: &Path, place: &Path, prefix: &str, entry: &walkdir::DirEntry) -> Result<Found, Failure> {
    let shown = place.display();
    let beneath = place.strip_prefix(dir).expect("a walk stays beneath its root");
    let text = beneath
        .to_str()
        .ok_or_else(|| Failure::error(format!("the name of {shown} is not UTF-8")).next("rename it"))?;
    let path = RelPath::new(format!("{prefix}{text}"))
        .map_err(|error| Failure::error(format!("{shown} cannot be loaded: {error}")))?;
    let meta = entry.metadata().map_err(|error| Failure::io(format_args!("cannot stat {shown}"), error))?;
    Ok(Found { path, place: place.to_path_buf(), size: meta.len() })
}

/// Opens a file that was found as a regular one: a link or a pipe put in its place meanwhile is not followed.
pub fn open(place: &Path) -> std::io::Result<File> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let file = File::options().read(true).custom_flags(flags.cast_signed()).open(place)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("no longer a regular file"));
    }
    Ok(file)
}

/// Hashes all files on two threads; `progress` is told of bytes as they are read. Answers in the order given,
/// and how many were left out.
pub fn hash(files: Vec<Found>, unfit: Unfit, progress: &(dyn Fn(u64) + Sync)) -> Result<(Vec<Hashed>, u64), Failure> {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..HASH_THREADS.min(files.len()) {
            let (send, next, files) = (send.clone(), &next, &files);
            scope.spawn(move || {
                let mut buffer = vec![0; BUFFER];
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = stop::check().and_then(|()| {
                        hash_one(&file.place, &mut buffer, progress)
                            .map_err(|error| Failure::io(format_args!("cannot read {}", file.place.display()), error))
                    });
                    let ends = done.is_err() && unfit == Unfit::Fail || stop::asked();
                    if send.send((file, done)).is_err() || ends {
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut hashed = Vec::with_capacity(files.len());
        let mut left_out = 0;
        for (file, done) in receive {
            match done {
                Ok((size, digest)) => {
                    hashed.push(Hashed { path: file.path.clone(), place: file.place.clone(), size, digest });
                }
                Err(_) if unfit == Unfit::LeaveOut && !stop::asked() => left_out += 1,
                Err(failure) => return Err(failure),
            }
        }
        hashed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((hashed, left_out))
    })
}

/// Length and digest of a file as it is read now.
pub fn hash_one(place: &Path, buffer: &mut [u8], progress: &(dyn Fn(u64) + Sync)) -> std::io::Result<(u64, Digest)> {
    let mut file = open(place)?;
    let mut hasher = blake3::Hasher::new();
    let mut size = 0;
    loop {
        match file.read(buffer)? {
            0 => return Ok((size, hasher.finalize().into())),
            n => {
                hasher.update(&buffer[..n]);
                size += n as u64;
                progress(n as u64);
            }
        }
    }
}

/// The digest of everything that a load brings and removes: the same load has the same, in whatever order it was walked.
pub fn content(mode: LoadMode, files: &[Hashed], remove: &[RelPath]) -> Digest {
    let mut lines: Vec<String> =
        files.iter().map(|file| format!("{}\0{}\0{}\n", file.path, file.size, file.digest)).collect();
    lines.sort();
    let mut removed: Vec<String> = remove.iter().map(|path| format!("{path}\n")).collect();
    removed.sort();
    let mut hasher = blake3::Hasher::new();
    for line in &lines {
        hasher.update(line.as_bytes());
    }
    hasher.update(match mode {
        LoadMode::Add => b"\0add\n",
        LoadMode::Replace => b"\0replace\n",
    });
    for line in &removed {
        hasher.update(line.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("d/e")).unwrap();
        std::fs::write(dir.path().join("d/e/b"), b"hello").unwrap();
        std::fs::write(dir.path().join("a"), b"").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        dir
    }

    /// Regular files only, named by their path beneath the root, links counted and not followed.
    #[test]
    fn a_walk_names_regular_files() {
        let dir = sample();
        let walk = walk(dir.path(), Unfit::Fail).unwrap();
        let names: Vec<_> = walk.files.iter().map(|file| (file.path.as_str(), file.size)).collect();
        assert_eq!(names, [("a", 0), ("d/e/b", 5)]);
        assert_eq!((walk.links, walk.others, walk.bytes()), (1, 0, 5));
    }

    /// Digests are BLAKE3 of the content, sizes what was read.
    #[test]
    fn files_are_hashed() {
        let dir = sample();
        let files = walk(dir.path(), Unfit::Fail).unwrap().files;
        let seen = std::sync::atomic::AtomicU64::new(0);
        let count = |bytes| {
            seen.fetch_add(bytes, Ordering::Relaxed);
        };
        let (hashed, left_out) = hash(files, Unfit::Fail, &count).unwrap();
        assert_eq!((hashed[1].digest, hashed[1].size, left_out), (Digest::of(b"hello"), 5, 0));
        assert_eq!(hashed[0].digest, Digest::of(b""));
        assert_eq!(seen.into_inner(), 5);
    }

    /// A file that vanished ends the hashing, or is left out and counted, as the caller chose.
    #[test]
    fn a_vanished_file() {
        let dir = sample();
        let files = walk(dir.path(), Unfit::Fail).unwrap().files;
        std::fs::remove_file(dir.path().join("d/e/b")).unwrap();
        assert!(hash(files.clone(), Unfit::Fail, &|_| ()).unwrap_err().to_string().contains("d/e/b"));
        let (hashed, left_out) = hash(files, Unfit::LeaveOut, &|_| ()).unwrap();
        assert_eq!((hashed.len(), left_out), (1, 1));
    }

    /// A link that took the place of a file is not followed.
    #[test]
    fn links_are_not_opened() {
        assert!(open(&sample().path().join("link")).is_err());
    }

    /// Names that are no UTF-8 are refused by name, or left out.
    #[test]
    fn a_name_that_is_not_utf8() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"x\xff")), b"").unwrap();
        assert!(walk(dir.path(), Unfit::Fail).unwrap_err().to_string().contains("not UTF-8"));
        assert_eq!(walk(dir.path(), Unfit::LeaveOut).unwrap().unfit, 1);
    }

    /// The content digest depends on mode, files and removals, and on nothing else.
    #[test]
    fn content_is_order_free() {
        let file = |path: &str, text: &str| Hashed {
            path: RelPath::new(path).unwrap(),
            place: PathBuf::new(),
            size: text.len() as u64,
            digest: Digest::of(text.as_bytes()),
        };
        let (a, b) = (file("a", "1"), file("b", "2"));
        let gone = [RelPath::new("c").unwrap()];
        let base = content(LoadMode::Add, &[a.clone(), b.clone()], &[]);
        assert_eq!(base, content(LoadMode::Add, &[b.clone(), a.clone()], &[]));
        assert_ne!(base, content(LoadMode::Replace, &[a.clone(), b.clone()], &[]));
        assert_ne!(base, content(LoadMode::Add, &[a.clone(), b.clone()], &gone));
        assert_ne!(base, content(LoadMode::Add, &[a, file("b", "3")], &[]));
    }
}
