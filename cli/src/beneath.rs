//! Writing files with names from outside below one directory: never through a symbolic link, never half a file under
//! its real name.
//!
//! Each component is opened with O_NOFOLLOW from the one before it; a file is written under a temporary name in its own
//! directory and renamed when it is whole.

use crate::exit::Failure;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use stele_common::RelPath;

/// A directory that files are written below.
pub struct Beneath {
    root: OwnedFd,
    shown: PathBuf,
    next: AtomicU64,
    salt: u64,
}

impl Beneath {
    /// Opens a directory that exists; it may itself be reached through links, it is the user's choice.
    pub fn open(dir: &Path) -> Result<Beneath, Failure> {
        let root = rustix::fs::open(dir, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| Failure::io(format_args!("cannot open the directory {}", dir.display()), error))?;
        Ok(Beneath { root, shown: dir.to_path_buf(), next: AtomicU64::new(0), salt: salt()? })
    }

    /// Writes one file: `fill` puts the bytes in; if it fails nothing is left.
    pub fn write(&self, path: &RelPath, fill: impl FnOnce(&mut File) -> Result<(), Failure>) -> Result<(), Failure> {
        let shown = self.shown.join(path.as_str());
        let failed = |error: Errno| Failure::io(format_args!("cannot write {}", shown.display()), error);
        let (dir, name) = self.parent(path).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => {
                Failure::refused(format!("cannot write {}: a name on the way is a link or a file", shown.display()))
            }
            error => failed(error),
        })?;
        let dir = dir.as_ref().unwrap_or(&self.root);
        let part = format!(".stele-{:016x}-{}.part", self.salt, self.next.fetch_add(1, Ordering::Relaxed));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, part.as_str(), flags, Mode::from_raw_mode(0o666)).map_err(failed)?;
        let mut file = File::from(fd);
        let done = fill(&mut file).and_then(|()| rustix::fs::renameat(dir, part.as_str(), dir, name).map_err(failed));
        if done.is_err() {
            // Best effort: the failure that is told is the one that matters.
            let _ = rustix::fs::unlinkat(dir, part.as_str(), AtFlags::empty());
        }
        done
    }

    /// The directory that holds `path`, made where it is missing (`None`: the root itself), and the last name.
    fn parent<'a>(&self, path: &'a RelPath) -> Result<(Option<OwnedFd>, &'a str), Errno> {
        let Some((dirs, name)) = path.as_str().rsplit_once('/') else { return Ok((None, path.as_str())) };
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let mut at: Option<OwnedFd> = None;
        for dir in dirs.split('/') {
            let here = at.as_ref().unwrap_or(&self.root);
            let opened = match rustix::fs::openat(here, dir, flags, Mode::empty()) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(here, dir, Mode::from_raw_mode(0o777)) {
                        // Another thread may have made it meanwhile.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error),
                    }
                    rustix::fs::openat(here, dir, flags, Mode::empty())?
                }
                opened => opened?,
            };
            at = Some(opened);
        }
        Ok((at, name))
    }
}

/// A file without a name, gone when it is closed.
pub fn unlinked() -> Result<File, Failure> {
    let dir = std::env::temp_dir();
    let place = dir.join(format!(".stele-{:016x}", salt()?));
    let failed = |error| Failure::io(format_args!("cannot make a temporary file in {}", dir.display()), error);
    let file = File::options().read(true).write(true).create_new(true).open(&place).map_err(failed)?;
    std::fs::remove_file(&place).map_err(failed)?;
    Ok(file)
}

/// A random number for names that nobody else chose.
pub fn salt() -> Result<u64, Failure> {
    getrandom::u64().map_err(|error| Failure::io("cannot get random bytes", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn fill(text: &'static str) -> impl FnOnce(&mut File) -> Result<(), Failure> {
        move |file| file.write_all(text.as_bytes()).map_err(|error| Failure::io("write", error))
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Files come with their directories, and replace what was there.
    #[test]
    fn files_are_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(dir.path()).unwrap();
        for text in ["one", "two"] {
            beneath.write(&RelPath::new("a/b/c").unwrap(), fill(text)).unwrap();
            assert_eq!(std::fs::read_to_string(dir.path().join("a/b/c")).unwrap(), text);
        }
        assert_eq!(names(&dir.path().join("a/b")), ["c"]);
    }

    /// A failed file leaves nothing, and what stood there before stays.
    #[test]
    fn a_failed_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(dir.path()).unwrap();
        let path = RelPath::new("a").unwrap();
        beneath.write(&path, fill("old")).unwrap();
        let failed = beneath.write(&path, |file| fill("half")(file).and(Err(Failure::error("broke off"))));
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(dir.path().join("a")).unwrap(), "old");
        assert_eq!(names(dir.path()), ["a"]);
    }

    /// No link is followed: not on the way, and not as the last name, which is replaced.
    #[test]
    fn links_are_not_followed() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), dir.path().join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("victim"), dir.path().join("last")).unwrap();
        let beneath = Beneath::open(dir.path()).unwrap();
        let refused = beneath.write(&RelPath::new("out/x").unwrap(), fill("x")).unwrap_err();
        assert!(refused.to_string().contains("link"), "{refused}");
        beneath.write(&RelPath::new("last").unwrap(), fill("mine")).unwrap();
        assert!(names(outside.path()).is_empty());
        assert_eq!(std::fs::read_to_string(dir.path().join("last")).unwrap(), "mine");
    }
}
