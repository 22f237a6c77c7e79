//! For tests: an agent that is only its words. It says hello and reports through the door that it is given; what it
//! is ordered goes nowhere.

use stele_common::handshake::{self, DiskFound, DiskHello, DiskWord, Hello, Welcome};
use stele_common::{
    BootId, Digest, DiskFact, DiskId, DiskState, Epoch, Fact, LoadFact, LoadState, Medium, NodeId, ReplicaFact, Report,
    ReportKind, Space, TabletId, Version, VersionHash,
};
use stele_coordinator_rules::world::Load;
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

    /// Its part of a load is prepared.
    pub fn prepared(&mut self, world: &World, load: &Load) -> EventBody {
        let prepared = load.tablets.iter().filter_map(|(id, part)| {
            let tablet = world.tablets.get(*id)?;
            let replica = tablet.replicas.iter().find(|replica| replica.disk == self.disk)?;
            Some(Fact::Load(LoadFact {
                load: load.id,
                tablet: *id,
                replica: replica.id,
                disk: self.disk,
                ballot: part.ballot,
                parent: part.parent,
                version: part.version,
                hash: hash_of(*id, part.version),
                bytes: 10,
                state: LoadState::Prepared,
            }))
        });
        let prepared = prepared.collect();
        self.report(ReportKind::Delta, prepared)
    }

    /// All replicas that the catalog has placed here, at `version`.
    pub fn replicas(&mut self, world: &World, version: Version) -> EventBody {
        let placed = world.tablets.iter().flat_map(|tablet| tablet.replicas.iter().map(move |r| (tablet.id, r)));
        let mine = placed.filter(|(_, replica)| replica.disk == self.disk);
        let facts = mine.map(|(tablet, replica)| {
            Fact::Replica(ReplicaFact {
                tablet,
                replica: replica.id,
                disk: self.disk,
                version,
                hash: hash_of(tablet, version),
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

/// What a tablet's content at a version has for a digest.
fn hash_of(tablet: TabletId, version: Version) -> VersionHash {
    if version == Version::EMPTY { Digest::ZERO } else { Digest::of(format!("{tablet} {version}").as_bytes()) }
}
