//! For tests: an agent that is only its words. It says hello and reports through the door that it is given; what it
//! is ordered goes nowhere.

use stele_common::handshake::{self, DiskFound, DiskHello, DiskWord, Hello, Welcome};
use stele_common::{
    BootId, DiskFact, DiskId, DiskState, Epoch, Fact, Medium, NodeId, ReplicaFact, Report, ReportKind, Space, TabletId,
    Version, VersionHash,
};
use stele_coordinator_rules::{Answer, EventBody, World};

/// One host with one blank disk.
pub struct WordyAgent {
    pub node: NodeId,
    pub boot: BootId,
    pub disk: DiskId,
    seq: u64,
}

pub fn hello(host: &str, boot: BootId, epoch_seen: Epoch) -> Hello {
    Hello {
        magic: handshake::MAGIC.into(),
        min: handshake::PROTOCOL_MIN,
        max: handshake::PROTOCOL_MAX,
        cluster: None,
        host: host.into(),
        name: host.into(),
        rack: String::new(),
        tag: "default".into(),
        boot,
        epoch_seen,
        store_seen: Default::default(),
        peer: "127.0.0.1:1".into(),
        http: "127.0.0.1:2".into(),
        disks: vec![DiskHello { path: format!("/{host}"), medium: Medium::Hdd, found: DiskFound::Blank }],
        build: "test".into(),
        nonce: [0; 16],
        proof: [0; 32],
    }
}

impl WordyAgent {
    /// What a welcomed agent is.
    pub fn of(boot: BootId, answer: Answer) -> WordyAgent {
        let Answer::Handshake(handshake::Answer::Welcome(Welcome { node, disks, .. })) = answer else {
            panic!("not welcomed: {answer:?}");
        };
        let [DiskWord::Format { disk }] = disks[..] else { panic!("the disk was not accepted: {disks:?}") };
        WordyAgent { node, boot, disk, seq: 0 }
    }

    pub fn report(&mut self, kind: ReportKind, facts: Vec<Fact>) -> EventBody {
        self.seq += 1;
        let report = Report { boot: self.boot, seq: self.seq, kind, facts };
        EventBody::Reported { node: self.node, report }
    }

    /// Its disk is there and empty.
    pub fn first_report(&mut self) -> EventBody {
        const SIZE: u64 = 1 << 40;
        let disk = DiskFact {
            disk: self.disk,
            path: format!("/h{}", self.node),
            medium: Medium::Hdd,
            state: DiskState::Online,
            cause: None,
            space: Space { total: SIZE, used: 0, raw_total: SIZE, raw_free: SIZE },
            device: self.disk.0,
        };
        self.report(ReportKind::FullOnly, vec![Fact::Disk(disk)])
    }

    /// All replicas that the catalog has placed here, at `version` with what `hash` says.
    pub fn replicas(&mut self, world: &World, version: Version, hash: impl Fn(TabletId) -> VersionHash) -> EventBody {
        let placed = world.tablets.iter().flat_map(|tablet| tablet.replicas.iter().map(move |r| (tablet.id, r)));
        let mine = placed.filter(|(_, replica)| replica.disk == self.disk);
        let facts = mine.map(|(tablet, replica)| {
            Fact::Replica(ReplicaFact {
                tablet,
                replica: replica.id,
                disk: self.disk,
                version,
                hash: hash(tablet),
                pending: version,
                bad: None,
                size: 10,
                files: 1,
                verified_age_ms: Some(0),
                oldest: version,
            })
        });
        let facts = facts.collect();
        self.report(ReportKind::Delta, facts)
    }
}
