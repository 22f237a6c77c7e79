//! The papers of a replica: where they lie, how they are read, and what "the head" is.
//!
//! ```text
//! tablets/<tablet>/<replica>/tablet      TabletLabel as TOML
//!                            head        "<version> <hash>\n", replaced by rename
//!                            <v>.b3 + <v>.meta   a kept version; without its .meta there is no such version
//!                            data/<added>/...    the files
//!                            bad         only there while the replica is quarantined: why (one line)
//! ```
//!
//! Reads only. A paper that is there and wrong is *damaged*; one that cannot be read is an error of the disk.

use super::beneath::Beneath;
use super::error::{DiskError, Tried};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use stele_common::manifest::data_name;
use stele_common::{Digest, LoadId, Manifest, Meta, ReplicaId, TabletId, TabletLabel, Version, VersionHash};

/// A version as it lies on the disk: its papers read and held against each other.
#[derive(Clone, Debug)]
pub struct OpenVersion {
    pub meta: Meta,
    pub manifest: Manifest,
    pub meta_text: String,
    pub b3_text: String,
}

impl OpenVersion {
    /// The version hash; the empty version's is zero.
    pub fn hash(&self) -> VersionHash {
        if self.meta.version == Version::EMPTY { Digest::ZERO } else { self.meta.manifest }
    }

    /// The version before the first load.
    pub fn empty() -> OpenVersion {
        let manifest = Manifest::default();
        let meta = manifest.meta(Version::EMPTY, Version::EMPTY, LoadId(0), 0);
        OpenVersion { meta_text: meta.encode(), b3_text: manifest.encode(), meta, manifest }
    }

    /// Reads the two texts of a version.
    pub fn read(meta_text: String, b3_text: String) -> Result<OpenVersion, stele_common::manifest::BadManifest> {
        let (meta, manifest) = Meta::open(&meta_text, &b3_text)?;
        Ok(OpenVersion { meta, manifest, meta_text, b3_text })
    }
}

pub(crate) fn replica_dir(tablet: TabletId, replica: ReplicaId) -> String {
    format!("tablets/{tablet}/{replica}")
}

pub(crate) fn load_dir(load: LoadId, tablet: TabletId) -> String {
    format!("staging/load-{load}/{tablet}")
}

pub(crate) fn task_dir(tablet: TabletId) -> String {
    format!("staging/task-{tablet}")
}

pub(crate) fn head_text(version: Version, hash: VersionHash) -> String {
    format!("{version} {hash}\n")
}

pub(crate) fn label_text(label: &TabletLabel) -> Result<String, DiskError> {
    toml::to_string(label).map_err(|error| DiskError::mismatch(format!("the label cannot be written: {error}")))
}

/// The head of the replica in `dir`.
pub(crate) fn read_head(beneath: &Beneath, dir: &str) -> Result<(Version, VersionHash), DiskError> {
    let name = format!("{dir}/head");
    let text = match beneath.text(&name).tried(|| name.clone()) {
        // A replica is born with its head: one without is not an empty one.
        Err(DiskError::NotFound { .. }) if beneath.exists(dir).tried(|| dir.to_string())? => {
            return Err(DiskError::damaged(name, "the file is missing"));
        }
        text => text_or_damage(text)?,
    };
    let parsed = text.strip_suffix('\n').and_then(|line| line.split_once(' '));
    let parsed = parsed.and_then(|(version, hash)| Some((version.parse().ok()?, hash.parse().ok()?)));
    parsed.ok_or_else(|| DiskError::damaged(name, "it is not `<version> <hash>`"))
}

/// The label of the replica in `dir`.
pub(crate) fn read_label(beneath: &Beneath, dir: &str) -> Result<TabletLabel, DiskError> {
    let name = format!("{dir}/tablet");
    let text = text_or_damage(beneath.text(&name).tried(|| name.clone()))?;
    toml::from_str(&text).map_err(|error| DiskError::damaged(name, error.message()))
}

/// A kept version of the replica in `dir`.
pub(crate) fn read_version(beneath: &Beneath, dir: &str, version: Version) -> Result<OpenVersion, DiskError> {
    if version == Version::EMPTY {
        return Ok(OpenVersion::empty());
    }
    let meta =
        text_or_damage(beneath.text(&format!("{dir}/{version}.meta")).tried(|| format!("{dir}/{version}.meta")))?;
    let b3 = text_or_damage(beneath.text(&format!("{dir}/{version}.b3")).tried(|| format!("{dir}/{version}.b3")))?;
    let open =
        OpenVersion::read(meta, b3).map_err(|e| DiskError::damaged(format!("{dir}/{version}.b3"), e.to_string()))?;
    if open.meta.version != version {
        let cause = format!("it speaks of version {}", open.meta.version);
        return Err(DiskError::damaged(format!("{dir}/{version}.meta"), cause));
    }
    Ok(open)
}

/// The head of the replica in `dir`, its manifest held against the head's hash.
pub(crate) fn read_head_version(beneath: &Beneath, dir: &str) -> Result<OpenVersion, DiskError> {
    let (version, hash) = read_head(beneath, dir)?;
    of_head(dir, (version, hash), read_version(beneath, dir, version))
}

/// What the papers of a head's version mean: missing ones, or ones of another hash, are damage.
pub(crate) fn of_head<O: Borrow<OpenVersion>>(
    dir: &str,
    (version, hash): (Version, VersionHash),
    open: Result<O, DiskError>,
) -> Result<O, DiskError> {
    let open = match open {
        Err(DiskError::NotFound { what }) => return Err(DiskError::damaged(what, "the file is missing")),
        open => open?,
    };
    let found = open.borrow().hash();
    if found != hash {
        let cause = format!("its hash is {found}, the head says {hash}");
        return Err(DiskError::damaged(format!("{dir}/{version}.b3"), cause));
    }
    Ok(open)
}

/// The versions that have a `.meta` in `dir`.
pub(crate) fn listed_versions(beneath: &Beneath, dir: &str) -> Result<Vec<Version>, DiskError> {
    let names = beneath.names(dir).tried(|| format!("list `{dir}`"))?;
    let mut versions: Vec<Version> =
        names.iter().filter_map(|(name, _)| name.strip_suffix(".meta")?.parse().ok()).collect();
    versions.sort();
    Ok(versions)
}

/// Why the replica in `dir` is quarantined.
pub(crate) fn read_bad(beneath: &Beneath, dir: &str) -> Result<Option<String>, DiskError> {
    match beneath.text(&format!("{dir}/bad")).tried(|| format!("{dir}/bad")) {
        Ok(cause) => Ok(Some(cause.trim_end().to_string())),
        Err(DiskError::NotFound { .. }) => Ok(None),
        // Whatever lies there instead, somebody or something marked it.
        Err(DiskError::Damaged { cause, .. }) => Ok(Some(cause)),
        Err(error) => Err(error),
    }
}

/// Bytes of the distinct files that these versions name.
pub(crate) fn bytes_of<'a>(versions: impl IntoIterator<Item = &'a Manifest>) -> u64 {
    let mut files: BTreeMap<String, u64> = BTreeMap::new();
    let mut versions = versions.into_iter().peekable();
    let Some(first) = versions.next() else { return 0 };
    if versions.peek().is_none() {
        return first.bytes();
    }
    for manifest in std::iter::once(first).chain(versions) {
        for (path, entry) in &manifest.entries {
            files.insert(data_name(entry.added, path), entry.size);
        }
    }
    files.values().sum()
}

/// Text that is not UTF-8 is damage, not a failing disk.
fn text_or_damage(text: Result<String, DiskError>) -> Result<String, DiskError> {
    match text {
        Err(DiskError::Io { what, source }) if source.kind() == std::io::ErrorKind::InvalidData => {
            Err(DiskError::damaged(what, source.to_string()))
        }
        text => text,
    }
}
