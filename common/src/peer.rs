//! The language of the agents' peer port, and of load streams: small framed messages, file bytes raw behind them.
//!
//! A frame is a big-endian u32 length and that many bytes of MessagePack (named fields). A [`FileHeader`] frame is
//! followed by exactly `size` raw bytes. A load stream over HTTP is the same bytes as its body.
//!
//! ```text
//! caller ── PeerHello ──▶            callee answers PeerWelcome{nonce, proof} | PeerError
//! caller ── PeerProof ──▶
//! caller ── Manifest{..} ──▶         callee: ManifestReply | PeerError
//! caller ── Fetch{files} ──▶         callee: for each file FileHeader + bytes | Lacks, then FetchEnd | PeerError in place of a header
//! caller ── Doubt{file} ──▶          callee: (nothing; it reads the file and judges for itself)
//! caller ── Load(LoadBegin) ──▶      callee: LoadReady | PeerError; caller: FileHeader + bytes ..., StreamEnd;  callee: LoadStaged | PeerError
//! ```

use crate::{
    Ballot, ClusterId, Delta, Digest, Entry, Epoch, LoadId, NodeId, RelPath, ReplicaId, TabletId, TaskType, Version,
    VersionHash,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

/// Largest frame on the peer port, bytes: a manifest of some 100 000 files.
pub const PEER_FRAME_MAX: usize = 16 * 1024 * 1024;

/// What a caller of the peer port may say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerRequest {
    Hello {
        cluster: ClusterId,
        nonce: [u8; 16],
    },
    Proof {
        proof: [u8; 32],
    },
    /// The manifest of the head (`version` None; told of a good replica only) or of a kept version (of any replica that lies there, bad
    /// and trashed ones too: the caller knows the hash). The connection pins what it names until it closes.
    Manifest {
        tablet: TabletId,
        replica: ReplicaId,
        version: Option<Version>,
    },
    /// Files of a replica, wherever it lies on its disk, streamed in this order. The replica may be bad: the caller checks each digest.
    Fetch {
        tablet: TabletId,
        replica: ReplicaId,
        files: Vec<Wanted>,
        #[serde(default)]
        purpose: TaskType,
    },
    /// The bytes that came for this file failed their digest. Never answered and never believed: the callee reads the file itself.
    Doubt {
        tablet: TabletId,
        replica: ReplicaId,
        file: Wanted,
    },
    /// Begins the forwarding of a load to this member.
    Load(LoadBegin),
    /// Ends a stream of files.
    StreamEnd,
}

/// What the callee may answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerReply {
    Welcome {
        nonce: [u8; 16],
        proof: [u8; 32],
    },
    Ready,
    Manifest {
        meta: String,
        b3: String,
    },
    /// `size` raw bytes follow.
    File(FileHeader),
    /// This file cannot be given; the next one follows.
    Lacks {
        path: RelPath,
        error: PeerError,
    },
    FetchEnd,
    LoadStaged {
        hash: VersionHash,
        bytes: u64,
    },
    Error(PeerError),
}

/// Why a peer would not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code:?}: {detail}")]
pub struct PeerError {
    pub code: PeerErrorCode,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerErrorCode {
    OtherCluster,
    BadProof,
    Malformed,
    NoSuchReplica,
    NoSuchVersion,
    /// The bytes here fail their digest: this replica is being quarantined.
    Damaged,
    DiskFull,
    DiskFailed,
    StaleEpoch,
    StaleBallot,
    Busy,
    Internal,
}

/// A file that is asked for: where its version put it, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub path: RelPath,
    pub entry: Entry,
}

/// Announces a file's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHeader {
    pub path: RelPath,
    pub size: u64,
    pub digest: Digest,
}

/// The head of a load stream to the primary (over HTTP) or from it to a member (peer port).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadBegin {
    pub load: LoadId,
    pub tablet: TabletId,
    /// The replica that this stream is for.
    pub replica: ReplicaId,
    pub epoch: Epoch,
    pub ballot: Ballot,
    /// The version that it follows and the one that it will become, with the hash of the parent's manifest.
    pub parent: Version,
    pub parent_hash: VersionHash,
    pub version: Version,
    /// The hash of the new manifest. From the client `None`: the primary works it out and tells the members.
    pub hash: Option<VersionHash>,
    pub delta: Delta,
    /// Members that the primary forwards to; empty on a forwarded stream.
    pub forward: Vec<Member>,
}

/// One member of a tablet as a load sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub node: NodeId,
    pub replica: ReplicaId,
    pub peer: String,
}

/// Why a frame was refused; the connection is closed.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a frame of {0} bytes is over the limit of {1}")]
    TooLarge(usize, usize),
    #[error("a frame is not a message: {0}")]
    Malformed(String),
}

/// Writes one message as a frame.
pub fn write_frame<T: Serialize>(out: &mut impl Write, message: &T) -> io::Result<()> {
    let body = rmp_serde::to_vec_named(message).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(&body)
}

/// Reads one message of at most `max` bytes. Memory grows with what arrives, never with what a length claims.
pub fn read_frame<T: DeserializeOwned>(input: &mut impl Read, max: usize) -> Result<T, FrameError> {
    let mut length = [0u8; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > max {
        return Err(FrameError::TooLarge(length, max));
    }
    let mut body = Vec::with_capacity(length.min(64 * 1024));
    input.by_ref().take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    rmp_serde::from_slice(&body).map_err(|error| FrameError::Malformed(error.to_string()))
}
