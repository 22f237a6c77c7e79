//! The steps of an install, as values: so that a test can stop after any of them, as a crash does.
//!
//! A plan is worked out from what lies on the disk at that moment; after a crash the scan tidies, and the op is
//! planned anew. Each step is atomic by itself (a rename, a whole small file), and durable before the next one.

use super::beneath::{Beneath, create_in, split};
use super::error::{DiskError, Tried};
use rustix::fs::FileType;
use std::collections::BTreeSet;
use std::io::Write;

/// One step; names are relative to the data directory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    MakeDir(String),
    /// Renames a directory to a place where nothing lies.
    MoveDir {
        from: String,
        to: String,
    },
    /// Renames a file. A file at `to` is replaced; anything else there is moved into `aside` first.
    MoveFile {
        from: String,
        to: String,
        aside: String,
    },
    /// Makes the entries of these directories durable.
    SyncDirs(BTreeSet<String>),
    /// Writes small files of one directory, all durable together.
    Write {
        dir: String,
        files: Vec<(String, String)>,
    },
    RemoveFile(String),
    RemoveTree(String),
    /// Removes a directory if it is empty.
    RemoveEmpty(String),
}

/// Directories fsynced one by one; beyond, one syncfs costs less.
const SYNC_DIRS_MAX: usize = 24;

/// Carries out the steps in order and stops at the first that fails.
pub(crate) fn perform(beneath: &Beneath, steps: &[Step]) -> Result<(), DiskError> {
    // Opened before the first change, as for every syncfs.
    let handle = beneath.dir(".").tried(|| "open the data directory".to_string())?;
    for step in steps {
        match step {
            Step::MakeDir(dir) => make_dir(beneath, dir)?,
            Step::MoveDir { from, to } => {
                beneath.rename_new(from, to).tried(|| format!("rename `{from}` to `{to}`"))?;
            }
            Step::MoveFile { from, to, aside } => {
                clear(beneath, to, aside)?;
                beneath.rename(from, to).tried(|| format!("rename `{from}` to `{to}`"))?;
            }
            Step::SyncDirs(dirs) if dirs.len() > SYNC_DIRS_MAX => {
                beneath.synced(rustix::fs::syncfs(&handle), "many directories")?;
            }
            Step::SyncDirs(dirs) => dirs.iter().try_for_each(|dir| beneath.sync_dir(dir))?,
            Step::Write { dir, files } => write_all(beneath, dir, files)?,
            Step::RemoveFile(name) => beneath.remove_file(name).tried(|| format!("remove `{name}`"))?,
            Step::RemoveTree(name) => beneath.remove_tree(name).tried(|| format!("remove `{name}`"))?,
            Step::RemoveEmpty(name) => {
                beneath.remove_empty(name).tried(|| format!("remove `{name}`"))?;
            }
        }
    }
    Ok(())
}

fn make_dir(beneath: &Beneath, dir: &str) -> Result<(), DiskError> {
    let mut touched = BTreeSet::new();
    beneath.make_dirs(dir, &mut touched).tried(|| format!("make `{dir}`"))?;
    touched.iter().try_for_each(|dir| beneath.sync_dir(dir))
}

/// Makes way for a file or directory at `to`: whatever is there and is not a plain file goes to `aside`, and so
/// does a file or link that stands where one of its directories must be.
fn clear(beneath: &Beneath, to: &str, aside: &str) -> Result<(), DiskError> {
    let at = |name: &str| beneath.stat(name).tried(|| format!("stat `{name}`"));
    let kind = |mode| FileType::from_raw_mode(mode);
    let (dir, _) = split(to);
    if beneath.dir(dir).is_err() {
        for end in dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]) {
            match at(&dir[..end])? {
                Some(stat) if kind(stat.st_mode) != FileType::Directory => {
                    set_aside(beneath, &dir[..end], aside)?;
                    break;
                }
                Some(_) => {}
                None => break,
            }
        }
        make_dir(beneath, dir)?;
    }
    match at(to)? {
        Some(stat) if kind(stat.st_mode) != FileType::RegularFile => set_aside(beneath, to, aside),
        Some(_) | None => Ok(()),
    }
}

fn set_aside(beneath: &Beneath, name: &str, aside: &str) -> Result<(), DiskError> {
    make_dir(beneath, aside)?;
    let taken = beneath.names(aside).tried(|| format!("list `{aside}`"))?.len();
    tracing::warn!(name, "something that is not ours stood in the way of a file; it was moved aside");
    beneath.rename(name, &format!("{aside}/{taken}")).tried(|| format!("move `{name}` aside"))
}

fn write_all(beneath: &Beneath, dir: &str, files: &[(String, String)]) -> Result<(), DiskError> {
    let handle = beneath.dir(dir).tried(|| format!("open the directory `{dir}`"))?;
    for (name, text) in files {
        let temporary = format!(".{name}.tmp");
        let mut file = create_in(&handle, &temporary).tried(|| format!("create `{dir}/{temporary}`"))?;
        file.write_all(text.as_bytes()).tried(|| format!("write `{dir}/{name}`"))?;
        beneath.synced(rustix::fs::fsync(&file), name)?;
    }
    for (name, _) in files {
        let temporary = format!(".{name}.tmp");
        rustix::fs::renameat(&handle, temporary.as_str(), &handle, name.as_str())
            .tried(|| format!("rename to `{dir}/{name}`"))?;
    }
    beneath.synced(rustix::fs::fsync(&handle), dir)
}
