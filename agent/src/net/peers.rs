//! Where the peer port meets the agent: what its threads may ask (which disk, may a load come) and whom they tell. In:
//! the shelf, the lease. Out: answers at once, events to the Disk actors, counters. Opens no file.

use crate::disk::DiskDir;
use crate::fanout::{self, Connect, Forward};
use crate::net::host::{PeerCounter, PeerHost};
use crate::net::http::has_room;
use crate::net::peer_client::{LoadForward, TcpPeers};
use crate::net::peer_server::{self, PeerServer};
use crate::pace::Way;
use crate::telemetry;
use crate::wiring::Shared;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use stele_agent_rules::event::EventBody;
use stele_common::peer::{FileHeader, LoadBegin, Member, PeerError, PeerErrorCode};
use stele_common::{ClusterId, DiskId, ReplicaId, TaskType, VersionHash};

/// Serves the peer port.
pub fn start(listener: TcpListener, shared: &Arc<Shared>) -> io::Result<PeerServer> {
    peer_server::serve(listener, Arc::new(Port(Arc::clone(shared))), &shared.config.limits)
}

/// How the primary of a load reaches its other members.
pub fn connect(shared: &Arc<Shared>) -> Connect {
    let shared = Arc::clone(shared);
    Arc::new(move |member: &Member, begin: &LoadBegin| {
        let cluster = shared.cluster().ok_or("this agent has not been welcomed yet")?;
        // The primary decides about slowness while it sends; the connection itself waits for the member's sync.
        let peers = TcpPeers { token: shared.token, cluster, idle: fanout::DURABLE };
        let stream = LoadForward::connect(&peers, &member.peer, begin).map_err(|error| error.to_string())?;
        Ok(Box::new(Stream(stream)) as Box<dyn Forward>)
    })
}

/// A connection to a member's peer port.
struct Stream(LoadForward);

impl Forward for Stream {
    fn file(&mut self, header: &FileHeader) -> Result<(), String> {
        self.0.file(header).map_err(|error| error.to_string())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.bytes(bytes).map_err(|error| error.to_string())
    }

    fn finish(self: Box<Self>) -> Result<VersionHash, String> {
        self.0.finish().map(|(hash, _)| hash).map_err(|error| error.to_string())
    }
}

/// The agent as its peer port sees it.
struct Port(Arc<Shared>);

impl PeerHost for Port {
    fn cluster(&self) -> Option<ClusterId> {
        self.0.cluster()
    }

    fn token(&self) -> Option<[u8; 32]> {
        self.0.token
    }

    fn disk_of(&self, replica: ReplicaId) -> Option<Arc<DiskDir>> {
        let shelf = &self.0.shelf;
        let here = shelf.find(replica).map(|(_, disk)| disk);
        here.or_else(|| shelf.find_trashed(replica)).and_then(|disk| disk.dir())
    }

    fn admit_load(&self, begin: &LoadBegin) -> Result<(), PeerError> {
        let no = |code, detail: String| Err(PeerError { code, detail });
        if !self.0.lease.holds() {
            return no(PeerErrorCode::Busy, "the coordinator has not heard this agent lately".to_string());
        }
        let Some((view, disk)) = self.0.shelf.find(begin.replica) else {
            return no(PeerErrorCode::NoSuchReplica, format!("replica {} is not on this agent", begin.replica));
        };
        if view.tablet != begin.tablet {
            let detail = format!("replica {} belongs to tablet {}", begin.replica, view.tablet);
            return no(PeerErrorCode::Malformed, detail);
        }
        let seen = disk.epoch();
        if begin.epoch < seen {
            return no(PeerErrorCode::StaleEpoch, format!("epoch {} is over; this disk has seen {seen}", begin.epoch));
        }
        if begin.ballot < view.ballot {
            let detail = format!("ballot {} is older than replica {}", begin.ballot, begin.replica);
            return no(PeerErrorCode::StaleBallot, detail);
        }
        if !disk.online() {
            let cause = disk.fact().cause.unwrap_or_default();
            return no(PeerErrorCode::DiskFailed, format!("disk {} takes nothing new: {cause}", disk.disk));
        }
        let Some(dir) = disk.dir() else {
            return no(PeerErrorCode::DiskFailed, format!("disk {} is not open", disk.disk));
        };
        if dir.streams().len() >= self.0.config.limits.loads_per_disk {
            return no(PeerErrorCode::Busy, format!("disk {} receives enough loads already", disk.disk));
        }
        has_room(&dir, begin).map_err(|error| {
            let full = error.code().0 == 507;
            let code = if full { PeerErrorCode::DiskFull } else { PeerErrorCode::DiskFailed };
            PeerError { code, detail: error.to_string() }
        })
    }

    fn tell(&self, disk: DiskId, event: EventBody) {
        if let Some(disk) = self.0.shelf.disk(disk) {
            disk.tell(event);
        }
    }

    fn piece(&self, purpose: TaskType) -> u64 {
        self.0.pacer.piece(purpose)
    }

    fn passed(&self, purpose: TaskType, disk: DiskId, bytes: u64) {
        // Whoever hangs up is noticed at the next write: no pause is longer than one piece takes.
        self.0.pacer.passed(purpose, Way::Out, disk, bytes, &AtomicBool::new(false));
    }

    fn count(&self, counter: PeerCounter, by: u64) {
        let name = match counter {
            PeerCounter::Connections => telemetry::PEER_CONNECTIONS,
            PeerCounter::Busy => telemetry::PEER_BUSY,
            PeerCounter::Refused => telemetry::PEER_REFUSED,
            PeerCounter::Malformed => telemetry::PEER_MALFORMED,
            PeerCounter::Slow => telemetry::PEER_SLOW,
            PeerCounter::BytesSent => telemetry::PEER_SENT_BYTES,
            PeerCounter::FilesSent => telemetry::PEER_SENT_FILES,
            PeerCounter::LoadBytes => telemetry::PEER_LOAD_BYTES,
            PeerCounter::Doubted => telemetry::PEER_DOUBTED,
            PeerCounter::Damaged => telemetry::PEER_DAMAGED,
        };
        metrics::counter!(name).increment(by);
    }
}
