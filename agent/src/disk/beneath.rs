//! Every touch of the file system beneath a data directory: no path leaves it, no link is followed.
//!
//! Names are relative to the data directory. Directories are opened with openat2 (BENEATH, NO_SYMLINKS), files by
//! their last name in such a directory with O_NOFOLLOW; only regular files are read. A failed sync is remembered
//! for the life of the process: after it nothing here may be called durable, and no sync is tried again.

use super::error::{DiskError, Tried};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

/// Longest text file that is read whole, bytes: a manifest of some million files. Not a limit in practice, but
/// a damaged length must not eat the memory.
const TEXT_MAX: u64 = 512 * 1024 * 1024;

/// A data directory, by handle.
pub struct Beneath {
    root: OwnedFd,
    /// Why syncs are not believed any more.
    failed: OnceLock<String>,
}

/// Splits `a/b/c` into `a/b` and `c`; the directory of a lone name is the data directory itself.
pub(crate) fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or((".", name))
}

const DIR_FLAGS: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

impl Beneath {
    /// Opens the data directory; only here symbolic links are followed (the operator's own).
    pub fn open(path: &Path) -> io::Result<Beneath> {
        let root = rustix::fs::open(path, DIR_FLAGS, Mode::empty())?;
        Ok(Beneath { root, failed: OnceLock::new() })
    }

    /// The handle of the data directory.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens the directory `name`.
    pub fn dir(&self, name: &str) -> io::Result<OwnedFd> {
        Ok(self.open_at(name, DIR_FLAGS)?)
    }

    /// Opens the directory `name`, making what is missing of it; tells the directories whose entries changed.
    pub fn make_dirs(&self, name: &str, touched: &mut BTreeSet<String>) -> io::Result<OwnedFd> {
        match self.open_at(name, DIR_FLAGS) {
            Ok(dir) => return Ok(dir),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let (parent, leaf) = split(name);
        let above = if parent == "." { self.dir(".")? } else { self.make_dirs(parent, touched)? };
        match rustix::fs::mkdirat(&above, leaf, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        touched.extend([parent.to_string(), name.to_string()]);
        self.dir(name)
    }

    /// Opens the regular file `name` for reading.
    pub fn file(&self, name: &str) -> io::Result<File> {
        let (dir, leaf) = split(name);
        file_in(&self.dir(dir)?, leaf)
    }

    /// What lies at `name`, links not followed; `None` when its directory was read and has no such name.
    pub fn stat(&self, name: &str) -> io::Result<Option<Stat>> {
        let (dir, leaf) = split(name);
        let found = self.open_at(dir, DIR_FLAGS | OFlags::PATH).and_then(|dir| stat_in(&dir, leaf));
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether something lies at `name`.
    pub fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.stat(name)?.is_some())
    }

    /// The names in a directory with their kinds, sorted; a directory that is not there has none.
    pub fn names(&self, dir: &str) -> io::Result<Vec<(String, FileType)>> {
        let handle = match self.open_at(dir, DIR_FLAGS) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(&handle)? {
            let entry = entry?;
            if let Some(kind) = kind_of(&handle, entry.file_name(), entry.file_type())? {
                names.push((entry.file_name().to_string_lossy().into_owned(), kind));
            }
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    /// Reads a small text file.
    pub fn text(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        let read = self.file(name)?.take(TEXT_MAX + 1).read_to_string(&mut text)?;
        if read as u64 > TEXT_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is absurdly large"));
        }
        Ok(text)
    }

    /// Writes a text file whole or not at all, durably: temporary name, fsync, rename, fsync of the directory.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), DiskError> {
        let (dir, leaf) = split(name);
        let handle = self.dir(dir).tried(|| format!("open the directory `{dir}`"))?;
        let temporary = format!(".{leaf}.tmp");
        let mut file = create_in(&handle, &temporary).tried(|| format!("create `{dir}/{temporary}`"))?;
        let written = file.write_all(text.as_bytes()).tried(|| format!("write `{name}`"));
        if let Err(error) = written.and_then(|()| self.synced(rustix::fs::fsync(&file), name)) {
            // Best effort: the name is ours and is written over by the next try.
            rustix::fs::unlinkat(&handle, temporary.as_str(), AtFlags::empty()).ok();
            return Err(error);
        }
        rustix::fs::renameat(&handle, temporary.as_str(), &handle, leaf).tried(|| format!("rename to `{name}`"))?;
        self.synced(rustix::fs::fsync(&handle), dir)
    }

    /// Renames within the data directory; an existing file at `to` is replaced.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_dir, from_leaf), (to_dir, to_leaf)) = (split(from), split(to));
        let (from_dir, to_dir) = (self.dir(from_dir)?, self.dir(to_dir)?);
        Ok(rustix::fs::renameat(&from_dir, from_leaf, &to_dir, to_leaf)?)
    }

    /// Renames to a name that is free; an error if something lies there.
    pub fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_dir, from_leaf), (to_dir, to_leaf)) = (split(from), split(to));
        let (from_dir, to_dir) = (self.dir(from_dir)?, self.dir(to_dir)?);
        match rustix::fs::renameat_with(&from_dir, from_leaf, &to_dir, to_leaf, RenameFlags::NOREPLACE) {
            // A file system that does not know the flag: look first. Ops on one replica never run side by side.
            Err(Errno::INVAL) if matches!(stat_in(&to_dir, to_leaf), Err(Errno::NOENT)) => {
                Ok(rustix::fs::renameat(&from_dir, from_leaf, &to_dir, to_leaf)?)
            }
            answer => Ok(answer?),
        }
    }

    /// Makes the entries of a directory durable.
    pub fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        let handle = self.dir(dir).tried(|| format!("open the directory `{dir}`"))?;
        self.synced(rustix::fs::fsync(&handle), dir)
    }

    /// Judges the answer of a sync. The first failure is final: a later success would say nothing about the bytes
    /// that were lost (the kernel reports a lost page once).
    pub fn synced(&self, answer: rustix::io::Result<()>, what: &str) -> Result<(), DiskError> {
        if let Err(error) = answer {
            self.failed.get_or_init(|| format!("cannot make `{what}` durable: {error}"));
        }
        self.fit()
    }

    /// An error once a sync has failed on this disk.
    pub fn fit(&self) -> Result<(), DiskError> {
        match self.failed.get() {
            None => Ok(()),
            Some(cause) => {
                Err(DiskError::Io { what: cause.clone(), source: io::Error::other("nothing here is durable any more") })
            }
        }
    }

    /// Removes one file; its absence is no error.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        let (dir, leaf) = split(name);
        match self.open_at(dir, DIR_FLAGS).and_then(|dir| rustix::fs::unlinkat(&dir, leaf, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an empty directory; false when it is not empty or not there.
    pub fn remove_empty(&self, name: &str) -> io::Result<bool> {
        let (dir, leaf) = split(name);
        match self.open_at(dir, DIR_FLAGS).and_then(|dir| rustix::fs::unlinkat(&dir, leaf, AtFlags::REMOVEDIR)) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes whatever lies at `name`, links themselves and never what they point at; its absence is no error.
    pub fn remove_tree(&self, name: &str) -> io::Result<()> {
        let (dir, leaf) = split(name);
        let dir = match self.open_at(dir, DIR_FLAGS) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let leaf = std::ffi::CString::new(leaf)?;
        match stat_in(&dir, leaf.as_c_str()) {
            Ok(stat) => Ok(remove_in(&dir, &leaf, FileType::from_raw_mode(stat.st_mode))?),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn open_at(&self, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(&self.root, name, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // openat2 asks for another try when a rename elsewhere raced with the walk.
                Err(Errno::AGAIN | Errno::INTR) => continue,
                answer => return answer,
            }
        }
    }
}

fn remove_in(dir: &OwnedFd, leaf: &CStr, kind: FileType) -> rustix::io::Result<()> {
    if kind != FileType::Directory {
        return rustix::fs::unlinkat(dir, leaf, AtFlags::empty());
    }
    let inner = rustix::fs::openat(dir, leaf, DIR_FLAGS | OFlags::NOFOLLOW, Mode::empty())?;
    for entry in Dir::read_from(&inner)? {
        let entry = entry?;
        if let Some(kind) = kind_of(&inner, entry.file_name(), entry.file_type())? {
            remove_in(&inner, entry.file_name(), kind)?;
        }
    }
    rustix::fs::unlinkat(dir, leaf, AtFlags::REMOVEDIR)
}

/// The kind of a directory's entry, asked for where the listing does not tell; `None` for `.` and `..`.
fn kind_of(dir: &OwnedFd, name: &CStr, listed: FileType) -> rustix::io::Result<Option<FileType>> {
    if name == c"." || name == c".." {
        return Ok(None);
    }
    match listed {
        FileType::Unknown => Ok(Some(FileType::from_raw_mode(stat_in(dir, name)?.st_mode))),
        known => Ok(Some(known)),
    }
}

fn stat_in(dir: &OwnedFd, leaf: impl rustix::path::Arg) -> rustix::io::Result<Stat> {
    rustix::fs::statat(dir, leaf, AtFlags::SYMLINK_NOFOLLOW)
}

/// Opens a regular file by its last name. NONBLOCK, so that a fifo put there cannot hold us.
pub(crate) fn file_in(dir: &OwnedFd, leaf: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(dir, leaf, flags, Mode::empty())?);
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file),
        FileType::Directory => Err(Errno::ISDIR.into()),
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(Errno::NXIO.into()),
    }
}

/// Creates a file by its last name; an old one of that name is emptied, a link is refused.
pub(crate) fn create_in(dir: &OwnedFd, leaf: &str) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(dir, leaf, flags, Mode::from_raw_mode(0o644))?))
}

/// The directory that was used last, kept open: paths come in order, so their directories do too.
#[derive(Default)]
pub(crate) struct LastDir {
    last: Option<(String, OwnedFd)>,
}

impl LastDir {
    /// The directory `name`, opened with `open` if it is not the last one.
    pub fn get(&mut self, name: &str, open: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<&OwnedFd> {
        if self.last.as_ref().is_none_or(|(last, _)| last != name) {
            self.last = Some((name.to_string(), open()?));
        }
        Ok(self.last.as_ref().map(|(_, dir)| dir).expect("set on the line above"))
    }

    /// The regular file `name`, opened through its directory.
    pub fn file(&mut self, beneath: &Beneath, name: &str) -> io::Result<File> {
        let (dir, leaf) = split(name);
        file_in(self.get(dir, || beneath.dir(dir))?, leaf)
    }

    /// What lies at `name`; `None` when it is not there.
    pub fn stat(&mut self, beneath: &Beneath, name: &str) -> io::Result<Option<Stat>> {
        let (dir, leaf) = split(name);
        let found = self.get(dir, || beneath.dir(dir)).and_then(|dir| Ok(stat_in(dir, leaf)?));
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether this is a regular file of `size` bytes.
pub(crate) fn is_file_of(stat: &Stat, size: u64) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size as u64 == size
}
