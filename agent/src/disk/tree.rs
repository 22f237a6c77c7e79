//! Files being written beneath `staging/`, and the one act that makes them durable.
//!
//! ```text
//! Tree::open ─▶ handle for syncfs (before the first write, so that no error can be missed)
//!   create ─▶ Incoming: write, write, ... hashed on the way ─▶ end ─▶ digest
//!   sync   ─▶ few files: fsync of each and of their directories; many: one syncfs
//! ```
//!
//! An error of `sync` is final: nothing in the tree may be called durable, and the disk says so from then on.

use super::beneath::{Beneath, LastDir, create_in, split};
use super::error::{DiskError, Tried};
use rustix::fs::Advice;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use stele_common::Digest;

/// Up to this many files each gets its own fsync; beyond, one syncfs is cheaper although it also writes what others
/// have dirty. With 8 the two cost about the same on an idle ext4.
const FSYNC_FILES_MAX: usize = 8;
/// Directories that are fsynced one by one at most.
const FSYNC_DIRS_MAX: usize = 24;
/// A large file's pages are sent on their way to the disk each time this many bytes have come, so that the sync at
/// the end finds little left to do. Smaller means more calls, larger means a longer sync.
const WRITE_BACK_BYTES: u64 = 8 * 1024 * 1024;

/// A directory beneath `staging/` that is being filled.
pub(crate) struct Tree {
    beneath: Arc<Beneath>,
    base: String,
    handle: OwnedFd,
    files: Vec<File>,
    dirs: BTreeSet<String>,
    many: bool,
    last: LastDir,
}

impl Tree {
    /// Opens (or makes) `base`.
    pub fn open(beneath: &Arc<Beneath>, base: &str) -> Result<Tree, DiskError> {
        beneath.fit()?;
        let handle = beneath.dir(".").tried(|| "open the data directory".to_string())?;
        let mut dirs = BTreeSet::new();
        beneath.make_dirs(base, &mut dirs).tried(|| format!("make `{base}`"))?;
        Ok(Tree {
            beneath: Arc::clone(beneath),
            base: base.to_string(),
            handle,
            files: Vec::new(),
            dirs,
            many: false,
            last: LastDir::default(),
        })
    }

    /// The full name of `name` in this tree.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// Begins the file `name` of `size` bytes; an older one of this name is written over.
    pub fn create(&mut self, name: &str, size: u64) -> Result<Incoming, DiskError> {
        let name = self.name(name);
        let (dir, leaf) = split(&name);
        let mut made = BTreeSet::new();
        let beneath = &self.beneath;
        let handle = self.last.get(dir, || beneath.make_dirs(dir, &mut made));
        let file = handle.and_then(|handle| create_in(handle, leaf)).tried(|| format!("create `{name}`"))?;
        if !self.many {
            self.dirs.extend(made);
            self.dirs.insert(dir.to_string());
        }
        Ok(Incoming { name, file, hasher: blake3::Hasher::new(), left: size, written: 0, sent: 0 })
    }

    /// Ends a file: all its bytes have come; answers their digest.
    pub fn end(&mut self, incoming: Incoming) -> Result<Digest, DiskError> {
        if incoming.left > 0 {
            return Err(DiskError::mismatch(format!("`{}` lacks {} bytes", incoming.name, incoming.left)));
        }
        self.keep(incoming.file);
        Ok(Digest::from(incoming.hasher.finalize()))
    }

    /// A file or directory that was changed otherwise and must be durable too.
    pub fn touched(&mut self, dir: &str) {
        self.dirs.insert(dir.to_string());
    }

    /// A file whose bytes must be durable after [`Tree::sync`].
    pub fn keep(&mut self, file: File) {
        if self.files.len() >= FSYNC_FILES_MAX {
            self.many = true;
            self.files.clear();
        }
        if !self.many {
            self.files.push(file);
        }
    }

    /// Makes everything durable, or fails for good.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        let (files, dirs) = (std::mem::take(&mut self.files), std::mem::take(&mut self.dirs));
        if std::mem::take(&mut self.many) || dirs.len() > FSYNC_DIRS_MAX {
            return self.beneath.synced(rustix::fs::syncfs(&self.handle), &self.base);
        }
        for file in &files {
            self.beneath.synced(rustix::fs::fsync(file), &self.base)?;
        }
        for dir in &dirs {
            match self.beneath.sync_dir(dir) {
                // It was moved or removed since; whoever did that made its parent durable.
                Err(DiskError::NotFound { .. }) => {}
                answer => answer?,
            }
        }
        self.beneath.fit()
    }
}

/// A file that is being written and hashed.
pub(crate) struct Incoming {
    name: String,
    file: File,
    hasher: blake3::Hasher,
    left: u64,
    written: u64,
    sent: u64,
}

impl Incoming {
    /// Bytes that have not come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.store(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Writes without hashing; whoever calls it hashes elsewhere.
    fn store(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        if bytes.len() as u64 > self.left {
            return Err(DiskError::mismatch(format!("`{}` gets more bytes than were announced", self.name)));
        }
        self.file.write_all(bytes).tried(|| format!("write `{}`", self.name))?;
        self.left -= bytes.len() as u64;
        self.written += bytes.len() as u64;
        if self.written - self.sent >= WRITE_BACK_BYTES {
            // Linux begins to write the range back when told that it will not be needed. Only a hint: the sync at
            // the end is what counts, so its answer decides nothing.
            let length = NonZeroU64::new(self.written - self.sent);
            rustix::fs::fadvise(&self.file, self.sent, length, Advice::DontNeed).ok();
            self.sent = self.written;
        }
        Ok(())
    }
}
