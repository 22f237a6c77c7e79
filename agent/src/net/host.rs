//! What the peer port needs of the agent around it.
//!
//! The port's threads read disks by themselves (`Arc<DiskDir>`), but own nothing: pins, damage and prepared loads
//! are told to the Disk actor that owns the book, through here. Called from many threads; must not block for long.

use crate::disk::DiskDir;
use std::sync::Arc;
use stele_agent_rules::event::EventBody;
use stele_common::peer::{LoadBegin, PeerError};
use stele_common::{ClusterId, DiskId, ReplicaId, TaskType};

/// The agent as its peer port sees it.
pub trait PeerHost: Send + Sync + 'static {
    /// The cluster, once the coordinator's welcome or a disk told it; before that every caller is refused.
    fn cluster(&self) -> Option<ClusterId>;
    fn token(&self) -> Option<[u8; 32]>;
    /// The open disk that holds this replica, good, bad or in its trash, or on which its first copy is being received.
    fn disk_of(&self, replica: ReplicaId) -> Option<Arc<DiskDir>>;
    /// Whether a forwarded load may begin: lease, epoch, disk state, space that loads must leave.
    fn admit_load(&self, begin: &LoadBegin) -> Result<(), PeerError>;
    /// Something happened to a disk: Pinned, Unpinned, FoundDamaged or LoadStaged. A load is told before the peer
    /// hears that it is prepared, so that no commit can overtake it.
    fn tell(&self, disk: DiskId, event: EventBody);
    /// The most bytes of a copy that may go to a peer in one piece now.
    fn piece(&self, purpose: TaskType) -> u64;
    /// Bytes of a copy have gone from this disk to a peer: sleeps while the limits want it.
    fn passed(&self, purpose: TaskType, disk: DiskId, bytes: u64);
    /// Adds to a counter.
    fn count(&self, counter: PeerCounter, by: u64);
}

/// What the peer port counts; `stele_agent_` goes before each name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerCounter {
    /// `peer_connections_total`: connections accepted.
    Connections,
    /// `peer_busy_total`: connections refused because `peers_max` are open.
    Busy,
    /// `peer_refused_total`: wrong cluster or proof.
    Refused,
    /// `peer_malformed_total`: garbage, oversize frames, words out of order.
    Malformed,
    /// `peer_slow_total`: cut off for saying or taking too little in time.
    Slow,
    /// `peer_sent_bytes_total`: bytes of files sent.
    BytesSent,
    /// `peer_sent_files_total`: files sent.
    FilesSent,
    /// `peer_load_bytes_total`: bytes of forwarded loads received.
    LoadBytes,
    /// `peer_doubted_total`: files that a receiver said came damaged.
    Doubted,
    /// `peer_damaged_total`: files that could not be sent because they are not what their manifest says.
    Damaged,
}
