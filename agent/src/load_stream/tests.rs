//! Streams as clients send them, and as nobody should: each ends durable here or leaves nothing behind.

use super::*;
use crate::disk;
use crate::fanout::Forward;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use stele_agent_rules::{Op, OpResult};
use stele_common::peer::{Member, write_frame};
use stele_common::{
    Ballot, ClusterId, DatabaseId, Delta, Digest, DiskId, Epoch, LoadMode, Medium, NewFile, NodeId, PartitionId,
    RelPath, ReplicaId, TableId, TabletLabel, Version, VersionHash,
};

const LOAD: LoadId = LoadId(5);
const TABLET: TabletId = TabletId(7);

struct NoPeers;

impl disk::PeerSource for NoPeers {
    fn connect<'a>(
        &self,
        _: &stele_common::Source,
        _: TabletId,
        _: disk::Terms<'a>,
    ) -> Result<Box<dyn disk::PeerSession + 'a>, disk::PeerFailure> {
        Err(disk::PeerFailure::Lost { detail: "there are no peers in this test".to_string() })
    }
}

/// A formatted disk with one empty replica.
fn disk_with_replica() -> (tempfile::TempDir, Arc<DiskDir>) {
    let directory = tempfile::tempdir().unwrap();
    let cluster = ClusterId("c".repeat(32));
    disk::format(directory.path(), &cluster, DiskId(1), Medium::Ssd).unwrap();
    let dir = Arc::new(DiskDir::open(directory.path(), &cluster, DiskId(1), None).unwrap());
    let label = TabletLabel {
        cluster,
        database: "d".into(),
        database_id: DatabaseId(1),
        table: "t".into(),
        table_id: TableId(2),
        partition: "p0".into(),
        partition_id: PartitionId(3),
        tablet: TABLET,
        bucket: 0,
        buckets: 1,
        replication: 1,
        replica: ReplicaId(9),
        epoch: Epoch(1),
        ballot: Ballot(1),
    };
    let context = disk::OpContext {
        cancelled: &AtomicBool::new(false),
        progress: &|_, _| {},
        peers: &NoPeers,
        pacer: &crate::pace::Pacer::default(),
        now_wall_ms: 0,
    };
    assert_eq!(dir.run(&Op::Create { label }, &context), OpResult::Created);
    (directory, dir)
}

fn begin(files: &[(&str, &str)]) -> LoadBegin {
    let file = |(path, content): &(&str, &str)| NewFile {
        path: RelPath::new(*path).unwrap(),
        size: content.len() as u64,
        digest: Digest::of(content.as_bytes()),
    };
    LoadBegin {
        load: LOAD,
        tablet: TABLET,
        replica: ReplicaId(9),
        epoch: Epoch(1),
        ballot: Ballot(1),
        parent: Version(0),
        parent_hash: Digest::ZERO,
        version: Version(1),
        hash: None,
        delta: Delta { mode: LoadMode::Add, put: files.iter().map(file).collect(), remove: vec![] },
        forward: vec![Member { node: NodeId(2), replica: ReplicaId(10), peer: "elsewhere".into() }],
    }
}

/// The bytes that a client sends.
fn stream(begin: &LoadBegin, files: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, &PeerRequest::Load(begin.clone())).unwrap();
    for (file, (_, content)) in begin.delta.put.iter().zip(files) {
        let header = FileHeader { path: file.path.clone(), size: file.size, digest: file.digest };
        write_frame(&mut bytes, &header).unwrap();
        bytes.extend_from_slice(content.as_bytes());
    }
    write_frame(&mut bytes, &PeerRequest::StreamEnd).unwrap();
    bytes
}

/// What the other member saw.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    ended: bool,
}

struct Member10(Arc<Mutex<Seen>>, VersionHash);

impl Forward for Member10 {
    fn file(&mut self, _: &FileHeader) -> Result<(), String> {
        Ok(())
    }
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.lock().unwrap().bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<VersionHash, String> {
        self.0.lock().unwrap().ended = true;
        Ok(self.1)
    }
}

struct Outcome {
    result: Result<api::LoadStaged, LoadError>,
    staged: Option<Staged>,
    member: Arc<Mutex<Seen>>,
}

/// Sends `bytes` in pieces of `piece` through the whole path.
fn send(dir: &Arc<DiskDir>, bytes: &[u8], piece: usize, broken: Option<&str>) -> Outcome {
    let (chunks, body) = mpsc::channel(BODY_QUEUE);
    let pieces: Vec<Bytes> = bytes.chunks(piece).map(Bytes::copy_from_slice).collect();
    let broken = broken.map(str::to_string);
    let feeder = std::thread::spawn(move || {
        for piece in pieces {
            if chunks.blocking_send(Ok(piece)).is_err() {
                return;
            }
        }
        if let Some(broken) = broken {
            let _ = chunks.blocking_send(Err(broken));
        }
    });
    let member = Arc::new(Mutex::new(Seen::default()));
    let connect: Connect = {
        let member = Arc::clone(&member);
        Arc::new(move |_: &Member, begin: &LoadBegin| {
            let hash = begin.hash.expect("the primary tells the hash");
            Ok(Box::new(Member10(Arc::clone(&member), hash)) as Box<dyn Forward>)
        })
    };
    let mut body = Body::new(body);
    let mut staged = None;
    let result = read_begin(&mut body, LOAD, TABLET)
        .and_then(|begin| receive(body, &begin, dir, &connect, |done| staged = Some(done)));
    feeder.join().unwrap();
    Outcome { result, staged, member }
}

fn names_in(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// A good stream, cut into pieces of any size, is durable here and on the member, and its hash is the manifest's.
#[test]
fn a_good_stream_is_prepared_everywhere() {
    let files = [("a/one", "first content"), ("b", ""), ("c", "third")];
    for piece in [1, 7, 64 * 1024] {
        let (_keep, dir) = disk_with_replica();
        let begin = begin(&files);
        let outcome = send(&dir, &stream(&begin, &files), piece, None);
        let answer = outcome.result.unwrap();
        let expected = stele_common::Manifest::default().with(&begin.delta, Version(1)).hash();
        assert_eq!(answer.hash, expected);
        assert_eq!(answer.bytes, 18);
        assert_eq!(answer.prepared, [ReplicaId(9), ReplicaId(10)]);
        assert!(answer.failed.is_empty());
        assert_eq!(outcome.staged.unwrap().hash, expected);
        let member = outcome.member.lock().unwrap();
        assert!(member.ended);
        assert_eq!(member.bytes, b"first contentthird");
    }
}

/// Whatever is wrong with a stream, it is named, nothing stays staged, and no member sees its end.
#[test]
fn bad_streams_leave_nothing() {
    let files = [("a", "aaaa"), ("b", "bbbb")];
    let good = stream(&begin(&files), &files);
    let cut = |count: usize| good[..good.len() - count].to_vec();
    let flipped = {
        let mut bytes = good.clone();
        let place = bytes.windows(4).rposition(|window| window == b"bbbb").unwrap();
        bytes[place] = b'x';
        bytes
    };
    let swapped = {
        let mut other = begin(&files);
        other.delta.put.swap(0, 1);
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &PeerRequest::Load(begin(&files))).unwrap();
        let rest = stream(&other, &[files[1], files[0]]);
        let skip = 4 + u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        bytes.extend_from_slice(&rest[skip..]);
        bytes
    };
    let oversize = {
        let mut bytes = ((PEER_FRAME_MAX + 1) as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(b"whatever");
        bytes
    };
    let longer = {
        let mut bytes = cut(0);
        let end = bytes.len() - 4 - 11;
        bytes.insert(end, b'!');
        bytes
    };
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing at all", vec![], "stream_broken"),
        ("garbage", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "malformed"),
        ("an oversize frame", oversize, "malformed"),
        ("a frame that is no message", [&8u32.to_be_bytes()[..], &[0xc1; 8]].concat(), "malformed"),
        ("no end", cut(15), "stream_broken"),
        ("cut in the last file", cut(17), "stream_broken"),
        ("one byte wrong", flipped, "digest_mismatch"),
        ("one byte more", longer, "malformed"),
        ("files in another order", swapped, "malformed"),
    ];
    for (name, bytes, code) in rows {
        let (keep, dir) = disk_with_replica();
        let outcome = send(&dir, &bytes, 5, None);
        let error = outcome.result.unwrap_err();
        assert_eq!(error.code().1, code, "{name}: {error}");
        assert!(outcome.staged.is_none(), "{name}");
        assert!(!outcome.member.lock().unwrap().ended, "{name}");
        let staging = keep.path().join("staging");
        for load in names_in(&staging) {
            assert!(names_in(&staging.join(&load)).is_empty(), "{name}: {load}");
        }
    }
}

/// A client that goes away in the middle leaves nothing.
#[test]
fn a_client_that_goes_away() {
    let files = [("a", "aaaa")];
    let good = stream(&begin(&files), &files);
    let (_keep, dir) = disk_with_replica();
    let outcome = send(&dir, &good[..good.len() - 16], 64, Some("connection reset"));
    assert!(matches!(outcome.result, Err(LoadError::Broken(cause)) if cause.contains("connection reset")));
    assert!(!outcome.member.lock().unwrap().ended);
}

/// The address and the stream must speak of the same load, and a version must follow its parent.
#[test]
fn beginnings_that_do_not_fit() {
    let read = |begin: LoadBegin| {
        let (chunks, body) = mpsc::channel(1);
        let bytes = stream(&begin, &[]);
        let feeder = std::thread::spawn(move || chunks.blocking_send(Ok(bytes.into())));
        let result = read_begin(&mut Body::new(body), LOAD, TABLET);
        feeder.join().unwrap().unwrap();
        result.map_err(|error| error.code().1)
    };
    assert!(read(begin(&[])).is_ok());
    assert_eq!(read(LoadBegin { load: LoadId(6), ..begin(&[]) }), Err("malformed"));
    assert_eq!(read(LoadBegin { tablet: TabletId(8), ..begin(&[]) }), Err("malformed"));
    assert_eq!(read(LoadBegin { version: Version(0), ..begin(&[]) }), Err("malformed"));
}

/// The same load twice is the same as once.
#[test]
fn a_repeat_is_harmless() {
    let files = [("a", "aaaa")];
    let (_keep, dir) = disk_with_replica();
    let bytes = stream(&begin(&files), &files);
    let first = send(&dir, &bytes, 64, None).result.unwrap();
    let second = send(&dir, &bytes, 64, None).result.unwrap();
    assert_eq!(first.hash, second.hash);
}
