//! A load being received for one tablet: staged, checked, made durable, and only then called prepared.
//!
//! ```text
//! stage_load ─▶ begin_file, write.., end_file (digest) .. ─▶ finish: all there? hash right? sync, then `prepared`
//!      └────────── dropped before finish: everything of it is removed
//! staging/load-<id>/<tablet>/data/<version>/...   the files
//!                            prepared             JSON: whose it is and what it changes; written last
//! ```
//!
//! Repeating a load that is prepared already is harmless: the bytes are checked again and thrown away. A prepared
//! load is never removed from here; that needs the coordinator's word (an op).

use super::beneath::Beneath;
use super::dir::DiskDir;
use super::error::{DiskError, Tried};
use super::papers::{load_dir, read_head_version, replica_dir};
use super::tree::{Incoming, Tree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use stele_agent_rules::book::Staged;
use stele_common::manifest::data_name;
use stele_common::peer::{FileHeader, LoadBegin};
use stele_common::{Ballot, Delta, Digest, ReplicaId, Version, VersionHash};

/// What the `prepared` file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub replica: ReplicaId,
    pub ballot: Ballot,
    pub parent: Version,
    pub parent_hash: VersionHash,
    pub version: Version,
    pub hash: VersionHash,
    pub bytes: u64,
    pub delta: Delta,
}

impl Prepared {
    /// Reads the mark in `dir`; `None` when the load there is not prepared.
    pub fn read(beneath: &Beneath, dir: &str) -> Result<Option<Prepared>, DiskError> {
        let name = format!("{dir}/prepared");
        match beneath.text(&name).tried(|| name.clone()) {
            Ok(text) => {
                serde_json::from_str(&text).map(Some).map_err(|error| DiskError::damaged(name, error.to_string()))
            }
            Err(DiskError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As the disk's book has it.
    pub fn staged(&self) -> Staged {
        Staged {
            replica: self.replica,
            ballot: self.ballot,
            parent: self.parent,
            version: self.version,
            hash: self.hash,
            bytes: self.bytes,
            committed: false,
            aborted: false,
            failed: None,
        }
    }
}

/// Receives one load for one tablet.
pub struct LoadWriter {
    disk: Arc<DiskDir>,
    begin: LoadBegin,
    dir: String,
    hash: VersionHash,
    into: Target,
    /// The next of `begin.delta.put`.
    next: usize,
    bytes: u64,
}

/// Where the bytes go.
enum Target {
    Staging {
        tree: Box<Tree>,
        file: Option<Box<Incoming>>,
    },
    /// It is prepared already: the bytes are checked and thrown away.
    Nowhere {
        staged: Staged,
        hasher: Box<blake3::Hasher>,
        left: u64,
    },
    Finished,
}

impl DiskDir {
    /// Begins to receive a load. The replica may be absent (its first copy is still on the way) or behind: then the
    /// hash must be told, and is checked when the load is installed.
    pub fn stage_load(self: &Arc<Self>, begin: &LoadBegin) -> Result<LoadWriter, DiskError> {
        self.may_write()?;
        check_delta(&begin.delta)?;
        let hash = self.expected_hash(begin)?;
        let key = (begin.load, begin.tablet);
        if !self.streams().insert(key) {
            return Err(DiskError::Busy { what: format!("load {} of tablet {}", begin.load, begin.tablet) });
        }
        let dir = load_dir(begin.load, begin.tablet);
        let opened = self.open_staging(begin, hash, &dir);
        if opened.is_err() {
            self.streams().remove(&key);
        }
        let into = opened?;
        Ok(LoadWriter { disk: Arc::clone(self), begin: begin.clone(), dir, hash, into, next: 0, bytes: 0 })
    }

    fn open_staging(&self, begin: &LoadBegin, hash: VersionHash, dir: &str) -> Result<Target, DiskError> {
        if let Some(prepared) = Prepared::read(&self.beneath, dir)? {
            let same = prepared.replica == begin.replica
                && prepared.version == begin.version
                && prepared.hash == hash
                && prepared.delta == begin.delta;
            if !same {
                let detail = format!("load {} is prepared here already, with other content", begin.load);
                return Err(DiskError::mismatch(detail));
            }
            return Ok(Target::Nowhere { staged: prepared.staged(), hasher: Box::default(), left: 0 });
        }
        self.has_room(begin.delta.put.iter().map(|file| file.size).sum())?;
        // What a cut-off stream left.
        self.beneath.remove_tree(dir).tried(|| format!("remove `{dir}`"))?;
        self.ledger().clear_staging(dir);
        Ok(Target::Staging { tree: Box::new(Tree::open(&self.beneath, dir)?), file: None })
    }

    /// The hash that the new version will have.
    fn expected_hash(&self, begin: &LoadBegin) -> Result<VersionHash, DiskError> {
        let dir = replica_dir(begin.tablet, begin.replica);
        let head = match read_head_version(&self.beneath, &dir) {
            Ok(head) => Some(head),
            // Not there yet, or in quarantine: a catch-up decides later, the load is kept for it.
            Err(DiskError::NotFound { .. } | DiskError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(head) = head.filter(|head| head.meta.version >= begin.parent) {
            let at = head.meta.version;
            if at > begin.parent {
                let detail =
                    format!("replica {} is at version {at}, past the load's parent {}", begin.replica, begin.parent);
                return Err(DiskError::mismatch(detail));
            }
            if head.hash() != begin.parent_hash {
                let detail = format!("version {at} of replica {} differs from the load's parent", begin.replica);
                return Err(DiskError::mismatch(detail));
            }
            let hash = head.manifest.with(&begin.delta, begin.version).hash();
            if begin.hash.is_some_and(|told| told != hash) {
                return Err(DiskError::mismatch(format!("load {} would make another version here", begin.load)));
            }
            return Ok(hash);
        }
        // Its last version is being installed, or it was made primary before that: the client comes again.
        begin.hash.ok_or_else(|| DiskError::Busy {
            what: format!("replica {}, which is not at the load's parent {} yet,", begin.replica, begin.parent),
        })
    }
}

impl LoadWriter {
    /// The hash that the version will have; what the primary tells the other members.
    pub fn hash(&self) -> VersionHash {
        self.hash
    }

    /// Announces the next file; files come in the order of the delta.
    pub fn begin_file(&mut self, header: &FileHeader) -> Result<(), DiskError> {
        let expected = self.begin.delta.put.get(self.next);
        let fits = |file: &&stele_common::NewFile| {
            file.path == header.path && file.size == header.size && file.digest == header.digest
        };
        if expected.filter(fits).is_none() {
            return Err(DiskError::mismatch(format!("the file `{}` was not announced in this place", header.path)));
        }
        match &mut self.into {
            Target::Staging { tree, file } => {
                if file.is_some() {
                    return Err(DiskError::mismatch(format!("`{}` begins before its predecessor ended", header.path)));
                }
                *file = Some(Box::new(tree.create(&data_name(self.begin.version, &header.path), header.size)?));
            }
            Target::Nowhere { hasher, left, .. } => {
                **hasher = blake3::Hasher::new();
                *left = header.size;
            }
            Target::Finished => return Err(DiskError::mismatch("the load has ended")),
        }
        Ok(())
    }

    /// Takes the next bytes of the current file.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        match &mut self.into {
            Target::Staging { file: Some(file), .. } => file.write(bytes),
            Target::Nowhere { hasher, left, .. } if bytes.len() as u64 <= *left => {
                *left -= bytes.len() as u64;
                hasher.update(bytes);
                Ok(())
            }
            Target::Staging { file: None, .. } | Target::Nowhere { .. } | Target::Finished => {
                Err(DiskError::mismatch("bytes came that no file announced"))
            }
        }
    }

    /// Ends the current file and holds it against its digest.
    pub fn end_file(&mut self) -> Result<(), DiskError> {
        let announced = self.begin.delta.put.get(self.next).ok_or_else(|| DiskError::mismatch("no file is open"))?;
        let digest = match &mut self.into {
            Target::Staging { tree, file } => {
                let file = file.take().ok_or_else(|| DiskError::mismatch("no file is open"))?;
                tree.end(*file)?
            }
            Target::Nowhere { left: 0, hasher, .. } => Digest::from(hasher.finalize()),
            Target::Nowhere { .. } => return Err(DiskError::mismatch(format!("`{}` is too short", announced.path))),
            Target::Finished => return Err(DiskError::mismatch("the load has ended")),
        };
        if digest != announced.digest {
            return Err(DiskError::WrongBytes { path: announced.path.to_string() });
        }
        if let Target::Staging { .. } = self.into {
            self.disk.ledger().add_staging(&self.dir, announced.size);
        }
        self.bytes += announced.size;
        self.next += 1;
        Ok(())
    }

    /// Makes the load durable and marks it prepared.
    pub fn finish(mut self) -> Result<Staged, DiskError> {
        if self.next != self.begin.delta.put.len() {
            let missing = self.begin.delta.put.len() - self.next;
            return Err(DiskError::mismatch(format!("the stream ended and {missing} files have not come")));
        }
        let staged = match &mut self.into {
            Target::Nowhere { staged, .. } => staged.clone(),
            Target::Finished => return Err(DiskError::mismatch("the load has ended")),
            Target::Staging { tree, .. } => {
                tree.sync()?;
                let begin = &self.begin;
                let prepared = Prepared {
                    replica: begin.replica,
                    ballot: begin.ballot,
                    parent: begin.parent,
                    parent_hash: begin.parent_hash,
                    version: begin.version,
                    hash: self.hash,
                    bytes: self.bytes,
                    delta: begin.delta.clone(),
                };
                let text = serde_json::to_string(&prepared)
                    .map_err(|error| DiskError::mismatch(format!("the mark cannot be written: {error}")))?;
                self.disk.beneath.write_text(&format!("{}/prepared", self.dir), &text)?;
                prepared.staged()
            }
        };
        tracing::info!(
            load = self.begin.load.0,
            tablet = self.begin.tablet.0,
            replica = self.begin.replica.0,
            disk = self.disk.disk().0,
            bytes = staged.bytes,
            "load prepared"
        );
        self.into = Target::Finished;
        Ok(staged)
    }
}

impl Drop for LoadWriter {
    fn drop(&mut self) {
        if let Target::Staging { .. } = self.into {
            self.into = Target::Finished;
            if let Err(error) = self.disk.remove_load_dir(self.begin.load, self.begin.tablet) {
                // The next scan or the next try removes it: it has no mark.
                tracing::warn!(load = self.begin.load.0, reason = %error, "cannot remove a load that was cut off");
            }
        }
        self.disk.streams().remove(&(self.begin.load, self.begin.tablet));
    }
}

/// Paths of a delta are distinct, and none is a directory of another.
fn check_delta(delta: &Delta) -> Result<(), DiskError> {
    let mut paths = BTreeSet::new();
    for file in &delta.put {
        if !paths.insert(file.path.as_str()) {
            return Err(DiskError::mismatch(format!("the file `{}` comes twice", file.path)));
        }
    }
    for path in &paths {
        for (end, _) in path.match_indices('/') {
            if paths.contains(&path[..end]) {
                return Err(DiskError::mismatch(format!("`{}` is a file and a directory in one load", &path[..end])));
            }
        }
    }
    Ok(())
}
