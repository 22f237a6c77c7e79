//! Reading a table back: which files its visible versions hold, and each one's bytes from any copy that gives them whole.
//!
//! A manifest counts only when it hashes to what the coordinator recorded; a file only when its bytes match the
//! manifest. A copy that fails is left for the next; only when none is left is it an error.

use crate::exit::{Exit, Failure, Origin};
use crate::http::{Face, encode_path};
use crate::names::TableName;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use stele_common::api::{ManifestInfo, TabletInfo, Tablets};
use stele_common::{Digest, Entry, Manifest, RelPath, ReplicaId, Version};

const BUFFER: usize = 256 * 1024;

/// One copy of a tablet, and where it is read.
#[derive(Clone, Debug)]
struct Copy {
    replica: ReplicaId,
    host: String,
    face: Face,
}

/// One tablet at the version that is read.
#[derive(Debug)]
pub struct Shelf {
    pub version: Version,
    copies: Vec<Copy>,
}

/// A file and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub shelf: usize,
    pub entry: Entry,
}

/// All files of a table.
#[derive(Debug)]
pub struct Listing {
    pub shelves: Vec<Shelf>,
    pub files: BTreeMap<RelPath, Place>,
}

/// Somewhere to put a file's bytes, which can begin anew with another copy.
pub trait Sink: Write {
    fn restart(&mut self) -> std::io::Result<()>;
}

impl Sink for std::fs::File {
    fn restart(&mut self) -> std::io::Result<()> {
        self.set_len(0)?;
        self.seek(SeekFrom::Start(0)).map(drop)
    }
}

impl Sink for Vec<u8> {
    fn restart(&mut self) -> std::io::Result<()> {
        self.clear();
        Ok(())
    }
}

impl Listing {
    /// Asks for the tablets of `table`, and one copy of each for its manifest: the visible one, or that of the highest
    /// version up to `version`.
    pub fn read(face: &Face, table: &TableName, version: Option<Version>) -> Result<Listing, Failure> {
        let tablets = tablets(face, table)?;
        let mut listing = Listing { shelves: Vec::new(), files: BTreeMap::new() };
        for tablet in &tablets {
            let wanted = version.map_or(tablet.visible_version, |version| version.min(tablet.visible_version));
            if wanted == Version::EMPTY {
                continue;
            }
            let shelf = Shelf { version: wanted, copies: copies(face, tablet) };
            let hash =
                (wanted == tablet.visible_version && tablet.committed_version == wanted).then_some(tablet.version_hash);
            let manifest = manifest(&shelf, tablet, hash)?;
            let index = listing.shelves.len();
            let places = manifest.entries.into_iter().map(|(path, entry)| (path, Place { shelf: index, entry }));
            listing.files.extend(places);
            listing.shelves.push(shelf);
        }
        Ok(listing)
    }

    pub fn bytes(&self) -> u64 {
        self.files.values().map(|place| place.entry.size).sum()
    }

    /// Only these files are looked for: a tablet is chosen by the bucket of the path, so nothing else is read.
    pub fn place(&self, table: &TableName, path: &RelPath) -> Result<Place, Failure> {
        self.files.get(path).copied().ok_or_else(|| {
            Failure::not_found(format!("table {table} has no file {path}")).next(format!("see 'stele ls {table}'"))
        })
    }

    /// Writes the file's bytes, which match its digest when this answers; `progress` is told of them as they come.
    pub fn fetch(
        &self,
        path: &RelPath,
        place: &Place,
        sink: &mut impl Sink,
        progress: &dyn Fn(u64),
    ) -> Result<(), Failure> {
        let shelf = &self.shelves[place.shelf];
        let mut failures = Vec::new();
        // Readers of many files begin at different copies, so that all hosts work.
        let first = usize::from(place.entry.digest.0[0]);
        for turn in 0..shelf.copies.len() {
            let copy = &shelf.copies[(first + turn) % shelf.copies.len()];
            match copy.give(path, shelf.version, &place.entry, sink, progress) {
                Ok(()) => return Ok(()),
                Err(failure) if failure.origin == Origin::Interrupted => return Err(failure),
                Err(failure) => failures.push(format!("replica {} on {}: {failure}", copy.replica, copy.host)),
            }
            sink.restart().map_err(|error| Failure::io(format_args!("cannot write {path}"), error))?;
        }
        Err(no_copy(&format!("{path} could not be read from any copy"), &failures))
    }
}

impl Copy {
    fn give(
        &self,
        path: &RelPath,
        version: Version,
        entry: &Entry,
        sink: &mut impl Sink,
        progress: &dyn Fn(u64),
    ) -> Result<(), Failure> {
        let url = format!("/v1/replicas/{}/files/{}", self.replica, encode_path(path.as_str()));
        let mut input = self.face.bytes(&url, &[("version", &version.to_string())])?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER.min(usize::try_from(entry.size).unwrap_or(BUFFER).max(1))];
        let mut size = 0;
        loop {
            crate::stop::check()?;
            let read = input.read(&mut buffer).map_err(|error| Failure::io("the stream broke off", error))?;
            if read == 0 {
                break;
            }
            size += read as u64;
            hasher.update(&buffer[..read]);
            sink.write_all(&buffer[..read]).map_err(|error| Failure::io(format_args!("cannot write {path}"), error))?;
            progress(read as u64);
        }
        let found = Digest::from(hasher.finalize());
        if (size, found) != (entry.size, entry.digest) {
            return Err(Failure::error(format!("its bytes do not match the digest {}", entry.digest)));
        }
        Ok(())
    }
}

/// The tablets that hold `table`, of its partition if one is named.
pub fn tablets(face: &Face, table: &TableName) -> Result<Vec<TabletInfo>, Failure> {
    // An unknown table is an error of its own, not an empty list.
    let info = table.info(face)?;
    if table.partition.is_some() {
        table.one_partition(&info)?;
    }
    let full = table.full();
    let mut query = vec![("table", full.as_str())];
    query.extend(table.partition.as_deref().map(|partition| ("partition", partition)));
    let tablets: Tablets = face.list("/v1/tablets", &query)?;
    Ok(tablets.tablets)
}

/// Complete copies first; then every other one that might have kept the version.
fn copies(face: &Face, tablet: &TabletInfo) -> Vec<Copy> {
    let mut replicas: Vec<_> = tablet.replicas.iter().filter(|replica| !replica.http.is_empty()).collect();
    replicas.sort_by_key(|replica| (!replica.complete, !replica.alive, replica.id));
    // While there are complete copies nobody waits for a dead host.
    if replicas.iter().any(|replica| replica.complete) {
        replicas.retain(|replica| replica.complete);
    }
    let copy = |replica: &&stele_common::api::ReplicaInfo| Copy {
        replica: replica.id,
        host: replica.host.clone(),
        face: face.agent_at(&replica.http),
    };
    replicas.iter().map(copy).collect()
}

fn manifest(shelf: &Shelf, tablet: &TabletInfo, hash: Option<Digest>) -> Result<Manifest, Failure> {
    let mut failures = Vec::new();
    for copy in &shelf.copies {
        let url = format!("/v1/replicas/{}/manifest", copy.replica);
        let answer: Result<ManifestInfo, Failure> = copy.face.get(&url, &[("version", &shelf.version.to_string())]);
        match answer.and_then(|info| checked(info, shelf.version, hash)) {
            Ok(manifest) => return Ok(manifest),
            Err(failure) if failure.origin == Origin::Interrupted => return Err(failure),
            Err(failure) => {
                failures.push((failure.exit, format!("replica {} on {}: {failure}", copy.replica, copy.host)))
            }
        }
    }
    let gone = !failures.is_empty() && failures.iter().all(|(exit, _)| *exit == Exit::NotFound);
    let texts: Vec<String> = failures.into_iter().map(|(_, text)| text).collect();
    let mut failure =
        no_copy(&format!("version {} of tablet {} could not be read from any copy", shelf.version, tablet.id), &texts);
    if gone {
        failure.exit = Exit::NotFound;
    }
    Err(failure.next(format!("see 'stele tablet explain {}'", tablet.id)))
}

fn no_copy(what: &str, failures: &[String]) -> Failure {
    match failures {
        [] => Failure::error(format!("{what}: no copy is alive")),
        some => Failure::error(format!("{what}: {}", some.join("; "))),
    }
}

/// The manifest as a value, held against its version and, where it is known, the recorded hash.
fn checked(info: ManifestInfo, version: Version, hash: Option<Digest>) -> Result<Manifest, Failure> {
    let mut entries = BTreeMap::new();
    for file in info.files {
        let path = RelPath::new(file.path).map_err(|error| Failure::error(error.to_string()))?;
        entries.insert(path, Entry { added: file.added, size: file.size, digest: file.digest });
    }
    let manifest = Manifest { entries };
    if info.version != version {
        return Err(Failure::error(format!("it answered with version {} for {version}", info.version)));
    }
    let found = manifest.hash();
    if found != hash.unwrap_or(info.hash) {
        return Err(Failure::error(format!("its manifest of version {version} has another hash than was recorded")));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::TabletId;
    use stele_common::api::FileInfo;

    fn info(path: &str) -> ManifestInfo {
        let files = vec![FileInfo { path: path.into(), size: 1, digest: Digest::of(b"x"), added: Version(2) }];
        ManifestInfo { tablet: TabletId(1), replica: ReplicaId(2), version: Version(2), hash: Digest::ZERO, files }
    }

    /// A manifest with another hash than the recorded one, of another version or with a climbing name is refused.
    #[test]
    fn manifests_are_checked() {
        let good = checked(ManifestInfo { hash: Digest::ZERO, ..info("a") }, Version(2), None);
        assert!(good.unwrap_err().to_string().contains("hash"));
        let entries = BTreeMap::from([(
            RelPath::new("a").unwrap(),
            Entry { added: Version(2), size: 1, digest: Digest::of(b"x") },
        )]);
        let hash = Manifest { entries }.hash();
        assert_eq!(checked(info("a"), Version(2), Some(hash)).unwrap().entries.len(), 1);
        assert!(checked(info("a"), Version(3), Some(hash)).is_err());
        assert!(checked(info("../a"), Version(2), Some(hash)).is_err());
    }
}
