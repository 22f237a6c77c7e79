//! The manifest: the complete list of a version's files, and the change that makes one version from another.
//!
//! On disk a version is two files in the replica's directory (DESIGN 3):
//!
//! ```text
//! <v>.b3     "<64 hex digits>  data/<version that added it>/<path>\n" per file, in path order: `b3sum -c` reads it
//! <v>.meta   TOML: version, parent, load, sizes in the order of the lines, digest of the .b3 file
//! ```
//!
//! The version hash is the BLAKE3 digest of the `.b3` bytes. Pure: text in, values out.

use crate::{Digest, LoadId, RelPath, Version, VersionHash, path::BadPath};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One file of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version that added or last replaced it; its bytes lie in `data/<added>/`.
    pub added: Version,
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3 of the content.
    pub digest: Digest,
}

/// The complete list of a version's files, in path order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest {
    /// Every file of the version.
    pub entries: BTreeMap<RelPath, Entry>,
}

/// One file that a load brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFile {
    pub path: RelPath,
    pub size: u64,
    pub digest: Digest,
}

/// How a load changes what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// Files are added or overwritten.
    Add,
    /// The tablet holds exactly the load's files afterwards.
    Replace,
}

/// What one load does to one tablet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    pub mode: LoadMode,
    /// Files added or overwritten.
    pub put: Vec<NewFile>,
    /// Paths removed; a path that is not there is no error (a repeat must be harmless).
    pub remove: Vec<RelPath>,
}

/// What `<v>.meta` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub version: Version,
    pub parent: Version,
    /// The load that made the version.
    pub load: LoadId,
    /// Wall clock at install, milliseconds since 1970; for people, decides nothing.
    pub installed_ms: u64,
    pub files: u64,
    pub bytes: u64,
    /// BLAKE3 of the `.b3` file: the version hash.
    pub manifest: VersionHash,
    /// Length of each file, in the order of the manifest's lines.
    pub sizes: Vec<u64>,
}

/// Why manifest bytes were refused.
#[derive(Debug, thiserror::Error)]
pub enum BadManifest {
    #[error("line {line} of the manifest is not `<digest>  data/<version>/<path>`")]
    Line { line: usize },
    #[error("line {line} of the manifest: {source}")]
    Path { line: usize, source: BadPath },
    #[error("line {line} of the manifest is out of order or twice")]
    Order { line: usize },
    #[error("the manifest has {lines} lines, its meta file {sizes} sizes")]
    Sizes { lines: usize, sizes: usize },
    #[error("the manifest's digest is {found}, its meta file says {expected}")]
    Hash { found: Digest, expected: Digest },
    #[error("the meta file is not valid: {0}")]
    Meta(String),
}

impl Manifest {
    /// The `.b3` text; its digest is the version hash.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(self.entries.len() * 100);
        for (path, entry) in &self.entries {
            let name = format!("data/{}/{}", entry.added, path);
            // b3sum escapes backslash and newline, and marks such a line with a leading backslash.
            if name.contains(['\\', '\n']) {
                text.push('\\');
                text += &format!("{}  {}\n", entry.digest, name.replace('\\', "\\\\").replace('\n', "\\n"));
            } else {
                text += &format!("{}  {}\n", entry.digest, name);
            }
        }
        text
    }

    /// The digest of [`Manifest::encode`].
    pub fn hash(&self) -> VersionHash {
        Digest::of(self.encode().as_bytes())
    }

    /// Reads `.b3` text with the sizes of its meta file. Order is part of the format: a manifest has one text only.
    pub fn decode(text: &str, sizes: &[u64]) -> Result<Manifest, BadManifest> {
        let mut entries = BTreeMap::new();
        let mut last: Option<RelPath> = None;
        let mut lines = 0;
        for (index, raw) in text.split_terminator('\n').enumerate() {
            let line = index + 1;
            lines = line;
            let (escaped, raw) = match raw.strip_prefix('\\') {
                Some(rest) => (true, rest),
                None => (false, raw),
            };
            let (digest, name) = raw.split_once("  ").ok_or(BadManifest::Line { line })?;
            let digest = digest.parse().map_err(|_| BadManifest::Line { line })?;
            let name = if escaped { unescape(name).ok_or(BadManifest::Line { line })? } else { name.to_string() };
            let rest = name.strip_prefix("data/").ok_or(BadManifest::Line { line })?;
            let (added, path) = rest.split_once('/').ok_or(BadManifest::Line { line })?;
            let added = added.parse().map_err(|_| BadManifest::Line { line })?;
            let path = RelPath::new(path).map_err(|source| BadManifest::Path { line, source })?;
            if last.as_ref().is_some_and(|last| *last >= path) {
                return Err(BadManifest::Order { line });
            }
            let size = *sizes.get(index).ok_or(BadManifest::Sizes { lines: line, sizes: sizes.len() })?;
            last = Some(path.clone());
            entries.insert(path, Entry { added, size, digest });
        }
        if lines != sizes.len() {
            return Err(BadManifest::Sizes { lines, sizes: sizes.len() });
        }
        Ok(Manifest { entries })
    }

    /// The manifest after `delta` became `version`. A file put again with the same content keeps its place.
    pub fn with(&self, delta: &Delta, version: Version) -> Manifest {
        let mut entries = match delta.mode {
            LoadMode::Add => self.entries.clone(),
            LoadMode::Replace => BTreeMap::new(),
        };
        for path in &delta.remove {
            entries.remove(path);
        }
        for file in &delta.put {
            let kept = self.entries.get(&file.path).filter(|old| old.digest == file.digest && old.size == file.size);
            let added = kept.map_or(version, |old| old.added);
            entries.insert(file.path.clone(), Entry { added, size: file.size, digest: file.digest });
        }
        Manifest { entries }
    }

    /// Sum of the files' lengths in bytes.
    pub fn bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.size).sum()
    }

    /// The meta file that goes with this manifest.
    pub fn meta(&self, version: Version, parent: Version, load: LoadId, installed_ms: u64) -> Meta {
        Meta {
            version,
            parent,
            load,
            installed_ms,
            files: self.entries.len() as u64,
            bytes: self.bytes(),
            manifest: self.hash(),
            sizes: self.entries.values().map(|entry| entry.size).collect(),
        }
    }

    /// The distinct contents of this version.
    pub fn digests(&self) -> BTreeSet<Digest> {
        self.entries.values().map(|entry| entry.digest).collect()
    }
}

/// The name of an entry's file beneath the replica's directory.
pub fn data_name(added: Version, path: &RelPath) -> String {
    format!("data/{added}/{path}")
}

fn unescape(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                '\\' => out.push('\\'),
                'n' => out.push('\n'),
                _ => return None,
            },
            _ => out.push(c),
        }
    }
    Some(out)
}

impl Meta {
    /// The `.meta` text (TOML).
    pub fn encode(&self) -> String {
        toml::to_string(self).expect("a struct of numbers and digests is always valid TOML")
    }

    /// Reads a `.meta` file.
    pub fn decode(text: &str) -> Result<Meta, BadManifest> {
        toml::from_str(text).map_err(|error| BadManifest::Meta(error.message().to_string()))
    }

    /// Reads the pair of files of a version, and holds one against the other.
    pub fn open(meta: &str, b3: &str) -> Result<(Meta, Manifest), BadManifest> {
        let meta = Meta::decode(meta)?;
        let found = Digest::of(b3.as_bytes());
        if found != meta.manifest {
            return Err(BadManifest::Hash { found, expected: meta.manifest });
        }
        let manifest = Manifest::decode(b3, &meta.sizes)?;
        Ok((meta, manifest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(path: &str, content: &str) -> NewFile {
        NewFile {
            path: RelPath::new(path).unwrap(),
            size: content.len() as u64,
            digest: Digest::of(content.as_bytes()),
        }
    }

    fn add(put: Vec<NewFile>) -> Delta {
        Delta { mode: LoadMode::Add, put, remove: vec![] }
    }

    /// The bytes of a manifest are a format that other programs read: a change here is a change of version.
    #[test]
    fn golden_bytes() {
        let manifest = Manifest::default().with(&add(vec![file("b/x.txt", "hello"), file("a\n\\b", "")]), Version(3));
        assert_eq!(
            manifest.encode(),
            "\\af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262  data/3/a\\n\\\\b\n\
             ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f  data/3/b/x.txt\n"
        );
        let meta = manifest.meta(Version(3), Version(2), LoadId(9), 7).encode();
        assert_eq!(
            meta,
            format!(
                "version = 3\nparent = 2\nload = 9\ninstalled_ms = 7\nfiles = 2\nbytes = 5\nmanifest = \"{}\"\nsizes = [0, 5]\n",
                manifest.hash()
            )
        );
        assert_eq!(Meta::open(&meta, &manifest.encode()).unwrap().1, manifest);
    }

    /// Unchanged content keeps the version that brought it; replace forgets what it does not name.
    #[test]
    fn versions_build_on_each_other() {
        let one = Manifest::default().with(&add(vec![file("a", "1"), file("b", "1")]), Version(1));
        let two = one.with(&add(vec![file("a", "1"), file("b", "2")]), Version(2));
        let added: Vec<_> = two.entries.values().map(|entry| entry.added.0).collect();
        assert_eq!(added, [1, 2]);
        let three = two.with(&Delta { mode: LoadMode::Replace, put: vec![file("a", "1")], remove: vec![] }, Version(3));
        assert_eq!(three.entries.len(), 1);
        assert_eq!(three.entries.values().next().unwrap().added, Version(1));
        let gone =
            two.with(&Delta { mode: LoadMode::Add, put: vec![], remove: vec![RelPath::new("b").unwrap()] }, Version(3));
        assert_eq!(gone.entries.len(), 1);
    }

    /// A manifest that was tampered with, in either file, is refused.
    #[test]
    fn tampering_is_seen() {
        let manifest = Manifest::default().with(&add(vec![file("a", "1")]), Version(1));
        let meta = manifest.meta(Version(1), Version(0), LoadId(1), 0).encode();
        assert!(matches!(Meta::open(&meta, &manifest.encode().replace("/a", "/b")), Err(BadManifest::Hash { .. })));
        for text in ["x", "data/1/a", "zz  data/1/a", &manifest.encode().replace("data/1/", "data/1/../")] {
            assert!(Manifest::decode(text, &[1]).is_err(), "{text}");
        }
        assert!(matches!(Manifest::decode(&manifest.encode(), &[]), Err(BadManifest::Sizes { .. })));
        assert!(matches!(Manifest::decode(&manifest.encode(), &[1, 2]), Err(BadManifest::Sizes { .. })));
    }

    proptest! {
        /// Whatever the names, encoding and decoding are inverse.
        #[test]
        fn round_trip(names in proptest::collection::btree_set("[a-z\\\\\n /]{1,12}", 0..8)) {
            let put: Vec<_> = names.iter().filter_map(|name| RelPath::new(name.as_str()).ok())
                .map(|path| NewFile { size: 1, digest: Digest::of(path.as_str().as_bytes()), path }).collect();
            let manifest = Manifest::default().with(&add(put), Version(1));
            let sizes: Vec<_> = manifest.entries.values().map(|entry| entry.size).collect();
            prop_assert_eq!(Manifest::decode(&manifest.encode(), &sizes).unwrap(), manifest);
        }
    }
}
