//! What a disk already holds of a tablet, so that it need not travel again.
//!
//! Looked at, in this order: what an earlier try staged, the replica itself, other replicas of the tablet on this
//! disk, its trash. Only a replica's own good head is believed without reading; everything else is hashed before it
//! is used. Nothing is written here.

use super::beneath::{Beneath, LastDir, is_file_of};
use super::error::{DiskError, Tried};
use super::papers::{OpenVersion, listed_versions, read_bad, read_head_version, read_version, replica_dir};
use super::trash::trash_entries;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use stele_common::manifest::data_name;
use stele_common::{Digest, Entry, Manifest, RelPath, ReplicaId, TabletId, Version};

/// Bytes read at a time when hashing: large enough that a spinning disk streams.
const READ_BYTES: usize = 1024 * 1024;
/// Places remembered for one content. Each is a chance more to find it undamaged here; a tablet with ten thousand empty
/// files must not cost ten thousand places each.
const PLACES_MAX: usize = 8;

/// Hashes a file of `size` bytes that lies open; `None` when it is shorter or longer, or when `cancelled`.
pub(crate) fn digest_of(
    file: &mut impl Read,
    size: u64,
    cancelled: &AtomicBool,
    mut read_so_far: impl FnMut(u64),
) -> std::io::Result<Option<Digest>> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES.min(size as usize + 1)];
    let mut seen = 0u64;
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok((seen == size).then(|| Digest::from(hasher.finalize()))),
            Ok(n) => {
                seen += n as u64;
                if seen > size {
                    return Ok(None);
                }
                hasher.update(&buffer[..n]);
                read_so_far(n as u64);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the file `name` is exactly this content; absent and damaged are a no, unreadable is an error. `read` hears of
/// bytes that were read for it.
pub(crate) fn holds(
    beneath: &Beneath,
    last: &mut LastDir,
    name: &str,
    entry: &Entry,
    cancelled: &AtomicBool,
    read: &mut dyn FnMut(u64),
) -> Result<bool, DiskError> {
    let mut file = match last.file(beneath, name).tried(|| name.to_string()) {
        Ok(file) => file,
        Err(DiskError::NotFound { .. } | DiskError::Damaged { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let stat = rustix::fs::fstat(&file).tried(|| format!("stat `{name}`"))?;
    if !is_file_of(&stat, entry.size) {
        return Ok(false);
    }
    let digest = digest_of(&mut file, entry.size, cancelled, read).tried(|| format!("read `{name}`"))?;
    Ok(digest == Some(entry.digest))
}

/// The replica that a copy is for, as it lies here.
pub(crate) struct Own {
    pub dir: String,
    /// Its head, when the papers hold; `None` when they do not, or for a new replica.
    pub head: Option<OpenVersion>,
    /// Nothing in it is believed without reading.
    pub doubted: bool,
}

impl Own {
    /// `None`: the replica is new.
    pub fn find(
        beneath: &Beneath,
        tablet: TabletId,
        replica: ReplicaId,
        wanted: Version,
    ) -> Result<Option<Own>, DiskError> {
        let dir = replica_dir(tablet, replica);
        if !beneath.exists(&dir).tried(|| dir.clone())? {
            return Ok(None);
        }
        let head = match read_head_version(beneath, &dir) {
            Ok(head) => Some(head),
            Err(DiskError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        // A copy at or below the head is only ordered for a replica that somebody found bad.
        let mended = head.as_ref().is_none_or(|head| head.meta.version >= wanted);
        let doubted = mended || read_bad(beneath, &dir)?.is_some();
        Ok(Some(Own { dir, head, doubted }))
    }

    /// Whether this file of the target lies in its place already.
    pub fn keeps(
        &self,
        beneath: &Beneath,
        last: &mut LastDir,
        path: &RelPath,
        entry: &Entry,
        cancelled: &AtomicBool,
        read: &mut dyn FnMut(u64),
    ) -> Result<Kept, DiskError> {
        let name = format!("{}/{}", self.dir, data_name(entry.added, path));
        let believed =
            !self.doubted && self.head.as_ref().is_some_and(|head| head.manifest.entries.get(path) == Some(entry));
        if !believed {
            return Ok(if holds(beneath, last, &name, entry, cancelled, read)? { Kept::Read } else { Kept::Not });
        }
        match last.stat(beneath, &name).tried(|| name.clone()) {
            Ok(Some(stat)) if is_file_of(&stat, entry.size) => Ok(Kept::Believed),
            Ok(_) | Err(DiskError::NotFound { .. } | DiskError::Damaged { .. }) => Ok(Kept::Not),
            Err(error) => Err(error),
        }
    }
}

/// How a file of the target is known to be in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Not,
    /// It is there with its length, and the head that names it is good.
    Believed,
    /// Its bytes were read and match.
    Read,
}

/// Where contents of this tablet may lie on this disk, by digest, the best place last; hashed before use.
pub(crate) fn held(
    beneath: &Beneath,
    tablet: TabletId,
    own: ReplicaId,
    staged: Option<(&str, &Manifest)>,
) -> Result<BTreeMap<Digest, Vec<String>>, DiskError> {
    let mut held = BTreeMap::new();
    let mut dirs: Vec<String> = trash_entries(beneath)?
        .into_iter()
        .filter(|entry| entry.tablet == tablet)
        .map(|entry| format!("trash/{}", entry.name))
        .collect();
    let of_tablet = format!("tablets/{tablet}");
    for (name, _) in beneath.names(&of_tablet).tried(|| format!("list `{of_tablet}`"))? {
        if name != own.to_string() {
            dirs.push(format!("{of_tablet}/{name}"));
        }
    }
    dirs.push(replica_dir(tablet, own));
    // The replica itself is better than others, what is staged better than all.
    for dir in dirs {
        name_versions(beneath, &dir, &mut held)?;
    }
    if let Some((dir, manifest)) = staged {
        name_all(&mut held, dir, manifest);
    }
    Ok(held)
}

/// Adds where the kept manifests in `dir` say that contents lie; papers that are damaged say nothing.
pub(crate) fn name_versions(
    beneath: &Beneath,
    dir: &str,
    held: &mut BTreeMap<Digest, Vec<String>>,
) -> Result<(), DiskError> {
    for version in listed_versions(beneath, dir)? {
        match read_version(beneath, dir, version) {
            Ok(open) => name_all(held, dir, &open.manifest),
            Err(DiskError::Damaged { .. } | DiskError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn name_all(held: &mut BTreeMap<Digest, Vec<String>>, dir: &str, manifest: &Manifest) {
    for (path, entry) in &manifest.entries {
        let name = format!("{dir}/{}", data_name(entry.added, path));
        let places = held.entry(entry.digest).or_default();
        // Versions share files, so most names come once for each.
        if !places.contains(&name) {
            if places.len() == PLACES_MAX {
                places.remove(0);
            }
            places.push(name);
        }
    }
}
