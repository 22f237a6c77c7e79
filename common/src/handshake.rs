//! The first words on an agent's connection, before anything else is believed.
//!
//! ```text
//! coordinator ── Challenge{magic, versions, nonce} ──▶ agent
//! coordinator ◀── Hello{versions, identity, nonce, proof, disks} ── agent
//! coordinator ── Welcome{version, node, epoch, proof, disks} | Refused{code, detail} ──▶ agent
//! ```
//!
//! The proof is BLAKE3 keyed with the cluster's token over both nonces and the speaker's name, so a proof
//! cannot be replayed or reflected. Unknown fields are ignored; the highest common version is used.

use crate::{BootId, ClusterId, DiskId, Epoch, Medium, NodeId};
use serde::{Deserialize, Serialize};

/// First field of a challenge: a stray connection is told apart at once.
pub const MAGIC: &str = "stele-agents";
/// Protocol versions that this build speaks.
pub const PROTOCOL_MIN: u16 = 1;
pub const PROTOCOL_MAX: u16 = 1;
/// Largest frame before the handshake is over, bytes: an unknown peer can make us allocate no more.
pub const HANDSHAKE_FRAME_MAX: usize = 64 * 1024;
/// Largest frame after it, bytes.
pub const FRAME_MAX: usize = 16 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    pub magic: String,
    pub min: u16,
    pub max: u16,
    pub nonce: [u8; 16],
    /// Whether an empty proof is accepted (no token configured).
    pub open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub magic: String,
    pub min: u16,
    pub max: u16,
    /// `None`: no disk of this agent belongs to a cluster yet.
    pub cluster: Option<ClusterId>,
    /// The failure domain: two replicas of a tablet never share one.
    pub host: String,
    /// Names the agent among those of its host; one agent a host is the rule, then it is the host's name.
    pub name: String,
    pub rack: String,
    pub tag: String,
    pub boot: BootId,
    /// The highest epoch that this agent has seen.
    pub epoch_seen: Epoch,
    /// How far the coordinator's store was, as far as this agent was told and remembers.
    #[serde(default)]
    pub store_seen: StoreMark,
    /// `ip:port` where peers and HTTP clients reach it.
    pub peer: String,
    pub http: String,
    pub disks: Vec<DiskHello>,
    /// The agent's build, for `node list`.
    pub build: String,
    pub nonce: [u8; 16],
    pub proof: [u8; 32],
}

/// How far a coordinator's store was: its leadership, and how many records it had. A store that cannot know of a mark
/// is an old copy. Marks of one history only rise; the later one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoreMark {
    pub epoch: Epoch,
    /// 0 = nothing was told.
    pub sequence: u64,
}

/// A data directory as the agent found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskHello {
    pub path: String,
    pub medium: Medium,
    pub found: DiskFound,
}

/// What lay in the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskFound {
    /// One of ours, with its identity.
    Known { disk: DiskId },
    /// Readable and empty: may be formatted, if the coordinator knows no disk at this host and path.
    Blank,
    /// Absent, unreadable, foreign or of an unknown format: nothing was touched.
    Unusable { cause: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Welcome(Welcome),
    Refused(Refused),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub version: u16,
    pub cluster: ClusterId,
    pub node: NodeId,
    pub epoch: Epoch,
    pub proof: [u8; 32],
    /// One for each of the hello's disks, in its order.
    pub disks: Vec<DiskWord>,
    pub beat_ms: u64,
    /// The agent stops acting on its own when it heard nothing for this long.
    pub lease_ms: u64,
}

/// The coordinator's word on one data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskWord {
    Use {
        disk: DiskId,
    },
    /// A blank directory becomes this disk.
    Format {
        disk: DiskId,
    },
    /// Leave it alone; the text names the next step.
    Refuse {
        cause: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the coordinator refused this agent ({code:?}): {detail}")]
pub struct Refused {
    pub code: RefusedCode,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedCode {
    WrongMagic,
    NoCommonVersion,
    OtherCluster,
    BadProof,
    /// An agent of this name is connected already.
    DuplicateNode,
    /// A disk id is in use by another live agent.
    DuplicateDisk,
    /// The agent has seen a higher epoch: this coordinator's store is old.
    StoreIsOld,
    /// Its node was removed; an operator may admit it again.
    NodeRemoved,
    Malformed,
}

/// Who speaks, so that a proof cannot be reflected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    Coordinator,
    Agent,
    /// The agent that dials another agent's peer port, and the one that answers.
    PeerCaller,
    PeerCallee,
}

/// The proof that the speaker knows `token`; all zero without one.
pub fn proof(token: Option<&[u8; 32]>, speaker: Speaker, theirs: &[u8; 16], mine: &[u8; 16]) -> [u8; 32] {
    let Some(token) = token else { return [0; 32] };
    let mut hasher = blake3::Hasher::new_keyed(token);
    hasher.update(match speaker {
        Speaker::Coordinator => b"coordinator",
        Speaker::Agent => b"agent",
        Speaker::PeerCaller => b"peer-caller",
        Speaker::PeerCallee => b"peer-callee",
    });
    hasher.update(theirs).update(mine);
    *hasher.finalize().as_bytes()
}

/// Compares in constant time.
pub fn proof_holds(expected: &[u8; 32], given: &[u8; 32]) -> bool {
    blake3::Hash::from_bytes(*expected) == blake3::Hash::from_bytes(*given)
}

/// The token of a token file: 64 hex digits.
pub fn token_from_text(text: &str) -> Option<[u8; 32]> {
    text.trim().parse::<crate::Digest>().ok().map(|digest| digest.0)
}

/// The highest version that both sides speak.
pub fn common_version(theirs_min: u16, theirs_max: u16) -> Option<u16> {
    let highest = theirs_max.min(PROTOCOL_MAX);
    (highest >= theirs_min.max(PROTOCOL_MIN)).then_some(highest)
}
