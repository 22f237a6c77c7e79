//! Giving files of a replica away: opening them for a reader or a peer, out of wherever the replica lies.
//!
//! ```text
//! tablets/<tablet>/<replica>   good   file in its place; one that its head names and that is not so: the replica is marked bad
//!                              bad    file in its place, else any file of the replica that a manifest of it gives this digest
//! trash/<time>-<t>-<r>         gone   the same as bad
//! ```
//!
//! What is given is not checked here: whoever takes it holds it against its digest. So a bad replica may fail to help and
//! cannot harm. It never tells the head of a replica that is not trusted: what comes after a known version is believed.

use super::beneath::{LastDir, is_file_of};
use super::dir::DiskDir;
use super::error::{DiskError, Tried};
use super::papers::{OpenVersion, read_bad, read_version, replica_dir};
use super::{survey, trash};
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use stele_common::manifest::data_name;
use stele_common::{Digest, Entry, RelPath, ReplicaId, TabletId, Version};

/// Where a replica lies.
struct Place {
    dir: String,
    /// It is in its place and nothing is known against it.
    trusted: bool,
}

impl DiskDir {
    fn place(&self, tablet: TabletId, replica: ReplicaId) -> Result<Place, DiskError> {
        let dir = replica_dir(tablet, replica);
        if self.beneath.exists(&dir).tried(|| dir.clone())? {
            let trusted = read_bad(&self.beneath, &dir)?.is_none();
            return Ok(Place { dir, trusted });
        }
        let entry = trash::find(&self.beneath, tablet, replica)?.pop();
        let entry = entry.ok_or_else(|| DiskError::NotFound { what: format!("replica {replica}") })?;
        Ok(Place { dir: format!("trash/{}", entry.name), trusted: false })
    }

    /// The papers that a peer may have: of the head (`None`) of a trusted replica, which is marked when they are damaged, or
    /// of a version that it names, also of a bad or trashed one.
    pub fn offer(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        version: Option<Version>,
    ) -> Result<Arc<OpenVersion>, DiskError> {
        let place = self.place(tablet, replica)?;
        if place.trusted {
            let open = self.manifest(tablet, replica, version);
            if let Err(error @ DiskError::Damaged { .. }) = &open {
                self.quarantine(tablet, replica, &error.to_string());
            }
            return open;
        }
        match version {
            Some(version) => read_version(&self.beneath, &place.dir, version).map(Arc::new),
            None => Err(DiskError::NotFound { what: format!("a head of replica {replica} that can be trusted") }),
        }
    }

    /// Gives files of a replica that lies here, good, bad or in the trash.
    pub fn giver(&self, tablet: TabletId, replica: ReplicaId) -> Result<Giver<'_>, DiskError> {
        let Place { dir, trusted } = self.place(tablet, replica)?;
        let reader = Reader { disk: self, tablet, replica, dir, last: LastDir::default() };
        Ok(Giver { reader, trusted, elsewhere: None })
    }

    /// Opens one file of a version for reading. A file that its manifest names and that is not there or has another
    /// length is damage: the replica is marked.
    pub fn open_file(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        path: &RelPath,
        entry: &Entry,
    ) -> Result<File, DiskError> {
        let dir = replica_dir(tablet, replica);
        Reader { disk: self, tablet, replica, dir, last: LastDir::default() }.judged(path, entry)
    }
}

/// Opens files beneath one directory, keeping the directory of the last one.
struct Reader<'a> {
    disk: &'a DiskDir,
    tablet: TabletId,
    replica: ReplicaId,
    dir: String,
    last: LastDir,
}

impl Reader<'_> {
    /// The file in its place, or what is wrong with it.
    fn find(&mut self, path: &RelPath, entry: &Entry) -> Result<Result<File, String>, DiskError> {
        let name = format!("{}/{}", self.dir, data_name(entry.added, path));
        self.open(&name, entry.size)
    }

    fn open(&mut self, name: &str, size: u64) -> Result<Result<File, String>, DiskError> {
        match self.last.file(&self.disk.beneath, name).tried(|| name.to_string()) {
            Ok(file) => {
                let stat = rustix::fs::fstat(&file).tried(|| format!("stat `{name}`"))?;
                let fits = is_file_of(&stat, size);
                let cause = || format!("it has {} bytes, its manifest says {size}", stat.st_size);
                Ok(if fits { Ok(file) } else { Err(cause()) })
            }
            Err(DiskError::NotFound { .. }) => Ok(Err("it is missing".to_string())),
            Err(DiskError::Damaged { cause, .. }) => Ok(Err(cause)),
            Err(error) => Err(error),
        }
    }

    /// The file in its place; what is wrong with it is judged: damage if the head names it, else a version that has been
    /// collected.
    fn judged(&mut self, path: &RelPath, entry: &Entry) -> Result<File, DiskError> {
        let cause = match self.find(path, entry)? {
            Ok(file) => return Ok(file),
            Err(cause) => cause,
        };
        let head = self.disk.manifest(self.tablet, self.replica, None)?;
        if head.manifest.entries.get(path) != Some(entry) {
            return Err(DiskError::NotFound { what: format!("`{path}` of version {}", entry.added) });
        }
        self.disk.quarantine(self.tablet, self.replica, &format!("`{path}`: {cause}"));
        Err(DiskError::damaged(format!("`{path}`"), cause))
    }
}

/// Gives files of one replica to a peer.
pub struct Giver<'a> {
    reader: Reader<'a>,
    trusted: bool,
    /// Where the manifests of a replica that is not trusted say that a content lies, looked up when first needed.
    elsewhere: Option<BTreeMap<Digest, Vec<String>>>,
}

impl Giver<'_> {
    /// Opens a file that has the length of what is wanted.
    pub fn open(&mut self, path: &RelPath, entry: &Entry) -> Result<File, DiskError> {
        if self.trusted {
            let opened = self.reader.judged(path, entry);
            // Marked once is enough: with a directory gone, a mark for each of its files would take minutes.
            self.trusted = !matches!(opened, Err(DiskError::Damaged { .. }));
            return opened;
        }
        let cause = match self.reader.find(path, entry)? {
            Ok(file) => return Ok(file),
            Err(cause) => cause,
        };
        for name in self.with_digest(&entry.digest)? {
            if let Ok(file) = self.reader.open(&name, entry.size)? {
                return Ok(file);
            }
        }
        Err(DiskError::NotFound { what: format!("`{path}` of version {} ({cause})", entry.added) })
    }

    fn with_digest(&mut self, digest: &Digest) -> Result<Vec<String>, DiskError> {
        if self.elsewhere.is_none() {
            let mut named = BTreeMap::new();
            survey::name_versions(&self.reader.disk.beneath, &self.reader.dir, &mut named)?;
            self.elsewhere = Some(named);
        }
        let named = self.elsewhere.as_ref().and_then(|named| named.get(digest));
        Ok(named.cloned().unwrap_or_default())
    }
}
