//! The body of a load: the frames and raw bytes that a tablet's primary is sent, made while they are read.
//!
//! ```text
//! Load(LoadBegin) | FileHeader, `size` raw bytes | FileHeader, bytes | ... | StreamEnd
//! ```
//!
//! Never holds more than one buffer of a file. A file that changed its length since it was hashed ends the stream with
//! an error; one that changed its bytes is refused by the agent, which checks every digest.

use crate::tree::{self, Hashed};
use std::fs::File;
use std::io::{self, Read};
use stele_common::peer::{FileHeader, LoadBegin, PeerRequest, write_frame};

/// One tablet's part of a load as a stream of bytes.
pub struct LoadBody<'a> {
    /// Frames that are written and not read yet.
    pending: io::Cursor<Vec<u8>>,
    current: Option<(File, u64)>,
    files: std::slice::Iter<'a, &'a Hashed>,
    ended: bool,
    sent: &'a dyn Fn(u64),
    /// Why a file could not be sent, if that is what ended the stream.
    pub failure: Option<String>,
}

impl<'a> LoadBody<'a> {
    /// `files` are those of `begin.delta.put`, in its order; `sent` is told of file bytes as they leave.
    pub fn new(begin: LoadBegin, files: &'a [&'a Hashed], sent: &'a dyn Fn(u64)) -> io::Result<LoadBody<'a>> {
        debug_assert!(begin.delta.put.iter().map(|file| &file.path).eq(files.iter().map(|file| &file.path)));
        let mut first = Vec::new();
        write_frame(&mut first, &PeerRequest::Load(begin))?;
        Ok(LoadBody {
            pending: io::Cursor::new(first),
            current: None,
            files: files.iter(),
            ended: false,
            sent,
            failure: None,
        })
    }

    fn some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let copied = self.pending.read(buffer)?;
        if copied > 0 {
            return Ok(copied);
        }
        if let Some((file, left)) = &mut self.current {
            if *left == 0 {
                self.current = None;
                return self.some(buffer);
            }
            let want = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
            let read = file.read(&mut buffer[..want])?;
            if read == 0 {
                return Err(io::Error::other("a file became shorter while it was loaded"));
            }
            *left -= read as u64;
            (self.sent)(read as u64);
            return Ok(read);
        }
        let mut frame = Vec::with_capacity(256);
        match self.files.next() {
            Some(next) => {
                let named =
                    |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", next.place.display()));
                let file = tree::open(&next.place).map_err(named)?;
                if file.metadata()?.len() != next.size {
                    return Err(named(io::Error::other("it changed while it was loaded")));
                }
                let header = FileHeader { path: next.path.clone(), size: next.size, digest: next.digest };
                write_frame(&mut frame, &header)?;
                self.current = Some((file, next.size));
            }
            None if self.ended => return Ok(0),
            None => {
                self.ended = true;
                write_frame(&mut frame, &PeerRequest::StreamEnd)?;
            }
        }
        self.pending = io::Cursor::new(frame);
        self.some(buffer)
    }
}

impl Read for LoadBody<'_> {
    /// Fills the buffer as far as it can: thousands of small files go out in a few large writes.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if crate::stop::asked() {
            return Err(io::Error::other("interrupted"));
        }
        let mut filled = 0;
        while filled < buffer.len() {
            match self.some(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => {
                    self.failure = Some(error.to_string());
                    return Err(error);
                }
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use stele_common::peer::{PEER_FRAME_MAX, read_frame};
    use stele_common::{
        Ballot, Delta, Digest, Epoch, LoadId, LoadMode, NewFile, RelPath, ReplicaId, TabletId, Version,
    };

    fn begin(files: &[&Hashed]) -> LoadBegin {
        let put = files
            .iter()
            .map(|file| NewFile { path: file.path.clone(), size: file.size, digest: file.digest })
            .collect();
        LoadBegin {
            load: LoadId(1),
            tablet: TabletId(2),
            replica: ReplicaId(3),
            epoch: Epoch(4),
            ballot: Ballot(5),
            parent: Version(6),
            parent_hash: Digest::ZERO,
            version: Version(7),
            hash: None,
            delta: Delta { mode: LoadMode::Add, put, remove: vec![] },
            forward: vec![],
        }
    }

    fn local(dir: &std::path::Path, name: &str, text: &[u8]) -> Hashed {
        std::fs::write(dir.join(name), text).unwrap();
        let path = RelPath::new(name).unwrap();
        Hashed { path, place: dir.join(name), size: text.len() as u64, digest: Digest::of(text) }
    }

    /// What an agent reads back is the begin frame, each header with its bytes, and the end; nothing more.
    #[test]
    fn the_frames_are_those_of_the_peer_port() {
        let dir = tempfile::tempdir().unwrap();
        let big = vec![7u8; 300_000];
        let files = [local(dir.path(), "a", b"hello"), local(dir.path(), "b", b""), local(dir.path(), "c", &big)];
        let files: Vec<&Hashed> = files.iter().collect();
        let sent = Cell::new(0);
        let count = |n| sent.set(sent.get() + n);
        let mut bytes = Vec::new();
        LoadBody::new(begin(&files), &files, &count).unwrap().read_to_end(&mut bytes).unwrap();
        let mut input = bytes.as_slice();
        assert_eq!(read_frame::<PeerRequest>(&mut input, PEER_FRAME_MAX).unwrap(), PeerRequest::Load(begin(&files)));
        for file in &files {
            let header: FileHeader = read_frame(&mut input, PEER_FRAME_MAX).unwrap();
            assert_eq!((&header.path, header.size, header.digest), (&file.path, file.size, file.digest));
            let (raw, rest) = input.split_at(header.size as usize);
            assert_eq!(Digest::of(raw), file.digest);
            input = rest;
        }
        assert_eq!(read_frame::<PeerRequest>(&mut input, PEER_FRAME_MAX).unwrap(), PeerRequest::StreamEnd);
        assert!(input.is_empty());
        assert_eq!(sent.get(), 300_005);
    }

    /// A file that changed its length is an error before any of its bytes is sent.
    #[test]
    fn a_changed_file_ends_the_stream() {
        let dir = tempfile::tempdir().unwrap();
        let file = local(dir.path(), "a", b"hello");
        std::fs::write(&file.place, b"hello, world").unwrap();
        let files = [&file];
        let mut out = Vec::new();
        let mut body = LoadBody::new(begin(&files), &files, &|_| ()).unwrap();
        let error = body.read_to_end(&mut out).unwrap_err();
        assert!(error.to_string().contains("changed"), "{error}");
        assert_eq!(body.failure, Some(error.to_string()));
    }
}
