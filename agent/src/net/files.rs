//! Reading over HTTP: manifests and files of a replica, whole or in part. In: replica, path, version, `Range`. Out: bytes.
//!
//! A whole file is held against its digest while it is sent and its last piece goes out only when the digest holds, so
//! bytes that fail are never sent as good: the connection breaks, and the replica is reported. A part cannot be checked,
//! so parts of a replica that is known to be bad are refused. The version is pinned while it is read, and whoever reads too
//! slowly is cut off.

use crate::disk::DiskDir;
use crate::net::problem::Problem;
use crate::net::range::{self, Wanted};
use crate::net::slow::{Socket, Watch};
use crate::shelf::{OpenDisk, Pin, View};
use crate::telemetry;
use crate::wiring::Shared;
use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::time::Duration;
use stele_agent_rules::event::EventBody;
use stele_common::api::{FileInfo, ManifestInfo};
use stele_common::{Digest, DiskState, Entry, RelPath, ReplicaId, Version};

/// One read from the disk: large enough that the disk is busy, small enough that a hundred readers cost 25 MiB.
const PIECE: usize = 256 * 1024;

/// Which version is wanted; the head if none is named.
#[derive(Debug, Deserialize)]
pub struct AtVersion {
    version: Option<u64>,
}

/// `GET /v1/replicas/{id}/manifest?version=`.
pub async fn manifest(
    shared: web::Data<Arc<Shared>>,
    replica: web::Path<u64>,
    at: web::Query<AtVersion>,
) -> Result<HttpResponse, Problem> {
    let replica = ReplicaId(*replica);
    let (view, disk) = find(&shared, replica)?;
    let dir = opened(&disk)?;
    let wanted = at.version.map(Version);
    let opened = blocking(move || Ok(dir.manifest(view.tablet, replica, wanted)?)).await?;
    let files = opened.manifest.entries.iter().map(|(path, entry)| FileInfo {
        path: path.to_string(),
        size: entry.size,
        digest: entry.digest,
        added: entry.added,
    });
    Ok(HttpResponse::Ok().json(ManifestInfo {
        tablet: view.tablet,
        replica,
        version: opened.meta.version,
        hash: opened.hash(),
        files: files.collect(),
    }))
}

/// `GET` and `HEAD /v1/replicas/{id}/files/{path}?version=`.
pub async fn file(
    shared: web::Data<Arc<Shared>>,
    place: web::Path<(u64, String)>,
    at: web::Query<AtVersion>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (replica, path) = place.into_inner();
    let replica = ReplicaId(replica);
    let path = RelPath::new(path).map_err(|error| Problem::new(400, "bad_path", error.to_string()))?;
    let (view, disk) = find(&shared, replica)?;
    let version = at.version.map_or(view.head, Version);
    let pin = Pin::new(Arc::clone(&disk), replica, version);
    let (entry, file) = {
        let (dir, path, view) = (opened(&disk)?, path.clone(), view.clone());
        blocking(move || open(&dir, &view, replica, &path, version)).await?
    };
    let etag = format!("\"{}\"", entry.digest);
    let text = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|known| known == etag || known == "*") {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    // A part of another content than the reader has would be of no use to it.
    let same = text(header::IF_RANGE).is_none_or(|known| known == etag);
    let wanted = range::parse(text(header::RANGE).filter(|_| same), entry.size);
    let mut response = HttpResponse::Ok();
    let (start, length) = match wanted {
        Wanted::Whole => (0, entry.size),
        Wanted::Part { start, length } => {
            refuse_part_of_bad(&view, replica)?;
            let end = start + length - 1;
            response = HttpResponse::PartialContent();
            response.insert_header((header::CONTENT_RANGE, format!("bytes {start}-{end}/{}", entry.size)));
            (start, length)
        }
        Wanted::Unsatisfiable => {
            let mut response = Problem::new(416, "range_not_satisfiable", format!("`{path}` has {} bytes", entry.size));
            response.0.title = "range not satisfiable".to_string();
            let mut response = actix_web::ResponseError::error_response(&response);
            let range = header::HeaderValue::from_str(&format!("bytes */{}", entry.size));
            if let Ok(range) = range {
                response.headers_mut().insert(header::CONTENT_RANGE, range);
            }
            return Ok(response);
        }
    };
    let check = (wanted == Wanted::Whole).then(|| (Box::new(blake3::Hasher::new()), entry.digest));
    let mut reading = Reading { file, left: length, check, pin, disk, replica, path };
    let socket = request.conn_data::<Socket>().cloned();
    if start > 0 {
        reading
            .file
            .seek(SeekFrom::Start(start))
            .map_err(|error| Problem::new(503, "disk_failed", error.to_string()))?;
    }
    metrics::counter!(telemetry::HTTP_READ_BYTES).increment(length);
    response.insert_header((header::ETAG, etag));
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    response.insert_header((header::CONTENT_TYPE, "application/octet-stream"));
    response.insert_header(("x-stele-version", version.to_string()));
    if request.method() == actix_web::http::Method::HEAD {
        return Ok(response.no_chunking(length).finish());
    }
    // The first piece is read before the first header goes out: a small file that fails gets a proper error.
    let (first, reading) = blocking(move || reading.next_piece()).await?;
    let watch = Watch::start(socket, Duration::from_millis(shared.config.limits.peer_idle_ms));
    Ok(response.body(SizedStream::new(length, stream(first, reading, watch))))
}

fn refuse_part_of_bad(view: &View, replica: ReplicaId) -> Result<(), Problem> {
    match &view.bad {
        None => Ok(()),
        Some(cause) => {
            let detail = format!("replica {replica} cannot be trusted ({cause}); parts of its files cannot be checked");
            Err(Problem::new(409, "replica_bad", detail).next("read the whole file, or another replica"))
        }
    }
}

/// The replica, if its disk can be read.
fn find(shared: &Shared, replica: ReplicaId) -> Result<(View, Arc<OpenDisk>), Problem> {
    let found = shared.shelf.find(replica).filter(|(view, _)| !view.coming);
    let (view, disk) = found.ok_or_else(|| {
        Problem::new(404, "no_such_replica", format!("replica {replica} is not on this agent"))
            .next("ask the coordinator where the tablet is: stele tablet show")
    })?;
    let fact = disk.fact();
    match fact.state {
        DiskState::Online | DiskState::Suspect => Ok((view, disk)),
        DiskState::Unavailable => Err(unreadable(&disk)),
    }
}

/// The disk's directory; one that has become unavailable meanwhile is closed.
fn opened(disk: &OpenDisk) -> Result<Arc<DiskDir>, Problem> {
    disk.dir().ok_or_else(|| unreadable(disk))
}

fn unreadable(disk: &OpenDisk) -> Problem {
    let cause = disk.fact().cause.unwrap_or_default();
    Problem::new(503, "disk_unavailable", format!("disk {} cannot be read: {cause}", disk.disk))
        .next("read another replica")
}

fn open(
    dir: &DiskDir,
    view: &View,
    replica: ReplicaId,
    path: &RelPath,
    version: Version,
) -> Result<(Entry, File), Problem> {
    let opened = dir.manifest(view.tablet, replica, Some(version))?;
    let entry = opened.manifest.entries.get(path).copied();
    let entry = entry.ok_or_else(|| {
        let shown: String = path.as_str().chars().take(200).collect();
        Problem::new(404, "no_such_file", format!("`{shown}` is not in version {version} of tablet {}", view.tablet))
    })?;
    Ok((entry, dir.open_file(view.tablet, replica, path, &entry)?))
}

/// Runs disk work on the blocking pool.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let done = web::block(work).await;
    done.map_err(|error| Problem::new(503, "busy", error.to_string()))?
}

/// A file being read for a client; keeps the version pinned.
struct Reading {
    file: File,
    left: u64,
    /// The digest so far and the one that it must be.
    check: Option<(Box<blake3::Hasher>, Digest)>,
    pin: Pin,
    disk: Arc<OpenDisk>,
    replica: ReplicaId,
    path: RelPath,
}

impl Reading {
    /// The next piece; the last one only if the whole holds its digest.
    fn next_piece(mut self) -> Result<(Bytes, Reading), Problem> {
        let mut piece = vec![0u8; (PIECE as u64).min(self.left) as usize];
        if let Err(error) = self.file.read_exact(&mut piece) {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                self.found_damaged("it is shorter than its manifest says");
            }
            return Err(Problem::new(503, "disk_failed", format!("cannot read `{}`: {error}", self.path)));
        }
        self.left -= piece.len() as u64;
        if let Some((hasher, expected)) = &mut self.check {
            hasher.update(&piece);
            if self.left == 0 && Digest::from(hasher.finalize()) != *expected {
                self.found_damaged("its bytes do not match their digest");
                let detail = format!("`{}` of replica {} does not match its digest", self.path, self.replica);
                return Err(Problem::new(409, "damaged", detail).next("read another replica"));
            }
        }
        Ok((piece.into(), self))
    }

    fn found_damaged(&self, what: &str) {
        let cause = format!("`{}`: {what}", self.path);
        self.disk.tell(EventBody::FoundDamaged { replica: self.replica, cause });
    }
}

/// The pieces after the first.
fn stream(
    first: Bytes,
    reading: Reading,
    watch: Watch,
) -> impl futures_util::Stream<Item = Result<Bytes, Box<dyn std::error::Error>>> {
    try_unfold((Some(first), reading, watch), |(first, reading, watch)| async move {
        if let Some(first) = first.filter(|first| !first.is_empty()) {
            watch.given();
            return Ok(Some((first, (None, reading, watch))));
        }
        watch.taken();
        if reading.left == 0 {
            // Held until here: what is being sent must not be collected.
            drop(reading.pin);
            return Ok(None);
        }
        let (piece, reading) = web::block(move || reading.next_piece()).await??;
        watch.given();
        Ok(Some((piece, (None, reading, watch))))
    })
}
