//! Tables of cases for the catalog's rules, and a player that makes things happen to a sample world.
//!
//! After every event the player holds the world against its invariants, and the actions against what no decision may
//! ever do. Nothing here is known to a rule.

use crate::sample::{Sample, fact_of, hash_of};
use crate::{Action, Answer, Change, Event, EventBody, Proposal, Reason, World, catalog, invariants, replay};
use stele_common::config::RepairKnobs;
use stele_common::handshake::{self, DiskFound, DiskHello, Hello};
use stele_common::{
    BootId, DiskFact, DiskId, Evidence, Fact, LoadFact, LoadId, LoadKey, LoadMode, LoadState, NodeId, OrderBody,
    Priority, ReplicaFact, ReplicaId, Report, ReportKind, TabletId, TabletStatus, Version, api,
};

mod deletion;
mod drain;
mod flapping;
mod groups;
mod hello;
mod ingest;
mod loads;
mod policy;
mod property;
mod salvage;
mod sequence;
mod settings;
mod shapes;
mod strays;
mod tables;
mod tasks;

/// A world to which things happen through the front door only.
pub struct Play {
    pub sample: Sample,
    /// Every durable change since the sample was made, in order.
    pub log: Vec<Change>,
}

impl Play {
    pub fn new(sample: Sample) -> Play {
        let log = replay::as_changes(&sample.world);
        Play { sample, log }
    }

    /// `hosts` hosts with one disk each and a table of one tablet with three copies at version 1.
    pub fn loaded(hosts: u64) -> (Play, TabletId) {
        let mut sample = Sample::new(hosts, 1);
        let tablet = sample.table(3, 1)[0];
        sample.load_all(tablet);
        (Play::new(sample), tablet)
    }

    pub fn world(&self) -> &World {
        &self.sample.world
    }

    /// Something happens now.
    pub fn happens(&mut self, body: EventBody) -> Vec<Action> {
        let before = self.sample.world.clone();
        let event = Event { at: self.sample.at, wall_ms: 1_000_000 + self.sample.at.0, body };
        let actions = catalog::decide(&before, &event);
        for action in &actions {
            if let Action::Record(change) = action {
                promises(&self.sample.world, change);
                self.sample.world.apply(change);
                if change.is_durable() {
                    self.log.push(change.clone());
                }
            }
        }
        for (node, order) in orders(&actions) {
            assert!(self.world().level != stele_common::status::Level::Blind, "an order while blind: {order:?}");
            if let OrderBody::Drop { tablet, replica, .. } | OrderBody::Purge { tablet, replica, .. } = order {
                let known = self.world().tablets.get(*tablet);
                let is_known = known.is_some_and(|tablet| tablet.replicas.iter().any(|r| r.id == *replica));
                assert!(!is_known, "node {node}: {order:?} names a replica of the catalog");
            }
        }
        let notes = invariants::check(self.world());
        assert!(notes.is_empty(), "after {:?}:\n{}\nactions: {actions:#?}", event.body, notes.join("\n"));
        actions
    }

    /// Time passes with housekeeping every second.
    pub fn passes(&mut self, ms: u64) -> Vec<Action> {
        let end = self.sample.at.plus(ms);
        let mut actions = Vec::new();
        while self.sample.at < end {
            self.sample.at = self.sample.at.plus(1_000).min(end);
            actions.extend(self.happens(EventBody::Tick));
        }
        actions
    }

    /// The node's next delta.
    pub fn delta(&mut self, node: NodeId, facts: Vec<Fact>) -> Vec<Action> {
        self.report(node, ReportKind::Delta, facts)
    }

    pub fn report(&mut self, node: NodeId, kind: ReportKind, facts: Vec<Fact>) -> Vec<Action> {
        let known = &self.world().nodes[&node];
        let report = Report { boot: known.boot.unwrap_or_default(), seq: known.seq + 1, kind, facts };
        self.happens(EventBody::Reported { node, report })
    }

    /// A full report of the node that names its disks and these facts.
    pub fn full(&mut self, node: NodeId, mut facts: Vec<Fact>) -> Vec<Action> {
        facts.extend(self.disk_facts(node));
        self.report(node, ReportKind::FullOnly, facts)
    }

    pub fn disk_facts(&self, node: NodeId) -> Vec<Fact> {
        let disks = self.world().disks.values().filter(|disk| disk.node == node);
        let facts = disks.map(|disk| DiskFact {
            disk: disk.id,
            path: disk.path.clone(),
            medium: disk.medium,
            state: stele_common::DiskState::Online,
            cause: None,
            space: disk.space,
            device: disk.device,
        });
        facts.map(Fact::Disk).collect()
    }

    /// What a whole replica of the catalog reports at `version`.
    pub fn fact(&self, tablet: TabletId, replica: ReplicaId, version: u64) -> ReplicaFact {
        let disk = self.sample.replica(tablet, replica).disk;
        fact_of(tablet, replica, disk, Version(version))
    }

    pub fn sees(&mut self, tablet: TabletId, replica: ReplicaId, version: u64) -> Vec<Action> {
        let (node, fact) = (self.sample.replica(tablet, replica).node, self.fact(tablet, replica, version));
        self.delta(node, vec![Fact::Replica(fact)])
    }

    /// A replica answers a Confirm.
    pub fn confirms(&mut self, tablet: TabletId, replica: ReplicaId, nonce: u64) -> Vec<Action> {
        let known = self.sample.replica(tablet, replica);
        let (node, seen) = (known.node, known.seen.clone().expect("only a replica that was seen confirms"));
        let (version, hash) = (seen.version, seen.hash);
        self.delta(node, vec![Fact::Confirmed { tablet, replica, version, hash, nonce }])
    }

    pub fn hello(&mut self, hello: Hello) -> handshake::Answer {
        let actions = self.happens(EventBody::Hello { hello, proof: [7; 32] });
        match answer(&actions) {
            Answer::Handshake(answer) => answer.clone(),
            other => panic!("a hello was answered with {other:?}"),
        }
    }

    pub fn hello_of(&self, host: &str, boot: u64, disks: Vec<DiskHello>) -> Hello {
        Hello {
            magic: handshake::MAGIC.into(),
            min: handshake::PROTOCOL_MIN,
            max: handshake::PROTOCOL_MAX,
            cluster: Some(self.world().cluster.clone()),
            host: host.into(),
            name: host.into(),
            rack: String::new(),
            tag: "default".into(),
            boot: BootId(boot),
            epoch_seen: self.world().epoch,
            store_seen: Default::default(),
            peer: "127.0.0.1:1".into(),
            http: "127.0.0.1:2".into(),
            disks,
            build: "test".into(),
            nonce: [1; 16],
            proof: [0; 32],
        }
    }

    /// The coordinator dies and comes back with what its store held.
    pub fn restarts(&mut self) {
        let mut world = World::empty(std::sync::Arc::clone(&self.sample.world.knobs));
        self.log.iter().for_each(|change| world.apply(change));
        self.sample.world = world;
        self.happens(EventBody::Began { cluster_if_new: String::new() });
    }

    /// A node connects again (after a restart of either side) with the disks on record.
    pub fn returns(&mut self, node: NodeId, boot: u64) {
        let disks = self.world().disks.values().filter(|disk| disk.node == node);
        let known = disks.map(|disk| DiskHello {
            path: disk.path.clone(),
            medium: disk.medium,
            found: DiskFound::Known { disk: disk.id },
        });
        let hello = self.hello_of(&self.world().nodes[&node].host.clone(), boot, known.collect());
        assert!(matches!(self.hello(hello), handshake::Answer::Welcome(_)));
    }

    pub fn propose(&mut self, proposal: Proposal) -> Result<stele_common::TaskId, Reason> {
        let actions = self.happens(EventBody::Propose(proposal));
        match answer(&actions) {
            Answer::Started(task) => Ok(*task),
            Answer::Refused(reason) => Err(reason.clone()),
            other => panic!("a proposal was answered with {other:?}"),
        }
    }

    pub fn copy(&mut self, tablet: TabletId, source: ReplicaId, target: crate::event::Target) -> Result<u64, Reason> {
        let revision = self.sample.tablet(tablet).revision;
        let (status, priority) = (TabletStatus::ReplicaMissing, Priority::Normal);
        self.propose(Proposal::Clone { tablet, revision, status, priority, source, target }).map(|task| task.0)
    }

    pub fn delete(&mut self, tablet: TabletId, victim: ReplicaId) -> Result<u64, Reason> {
        let revision = self.sample.tablet(tablet).revision;
        let (status, priority) = (TabletStatus::Redundant, Priority::VeryHigh);
        self.propose(Proposal::Delete { tablet, revision, status, priority, victim }).map(|task| task.0)
    }

    /// A fourth, complete copy on a host of its own.
    pub fn surplus(&mut self, tablet: TabletId) -> ReplicaId {
        let node = self.sample.host(1);
        self.log = replay::as_changes(self.world());
        let disk = self.sample.disks_of(node)[0];
        let source = self.sample.replicas(tablet)[0];
        self.copy(tablet, source, crate::event::Target::NewOn { node, disk }).expect("nothing stands in its way");
        let replica = *self.sample.replicas(tablet).last().expect("it was added just now");
        let version = self.sample.tablet(tablet).committed;
        self.sees(tablet, replica, version.0);
        replica
    }

    pub fn open(&mut self, key: &str, buckets: &[u32]) -> Result<api::LoadOpened, Reason> {
        let wish = self.wish(key, buckets);
        let actions = self.happens(EventBody::OpenLoad(wish));
        match answer(&actions) {
            Answer::Load(opened) => Ok(opened.clone()),
            Answer::Refused(reason) => Err(reason.clone()),
            other => panic!("an opening was answered with {other:?}"),
        }
    }

    pub fn wish(&self, key: &str, buckets: &[u32]) -> api::LoadOpen {
        api::LoadOpen {
            key: LoadKey(key.into()),
            db: "d".into(),
            table: "t1".into(),
            partition: "p0".into(),
            mode: LoadMode::Add,
            content: stele_common::Digest::of(b"content"),
            buckets: buckets.iter().map(|bucket| (*bucket, 100)).collect(),
        }
    }

    /// A replica reports an opened load durable.
    pub fn prepares(&mut self, load: LoadId, part: &api::LoadTablet, replica: ReplicaId) -> Vec<Action> {
        let known = self.sample.replica(part.tablet, replica);
        let (node, disk) = (known.node, known.disk);
        let fact = prepared(load, part, replica, disk);
        self.delta(node, vec![Fact::Load(fact)])
    }

    pub fn key(&self, key: &str) -> &crate::world::Load {
        &self.world().loads[&LoadKey(key.into())]
    }
}

pub fn prepared(load: LoadId, part: &api::LoadTablet, replica: ReplicaId, disk: DiskId) -> LoadFact {
    LoadFact {
        load,
        tablet: part.tablet,
        replica,
        disk,
        ballot: part.ballot,
        parent: part.parent,
        version: part.version,
        hash: hash_of(part.tablet, part.version),
        bytes: 100,
        state: LoadState::Prepared,
    }
}

/// What no record may ever do, judged on the world before it.
fn promises(before: &World, change: &Change) {
    if let Change::ReplicaAdded { tablet, node, state: stele_common::ReplicaState::Clone, .. } = change {
        let replaces = before.tasks.get(tablet).and_then(|task| match task.work {
            crate::world::Work::Clone { replaces, .. } => replaces,
            crate::world::Work::Delete { .. } => None,
        });
        let host = before.nodes.get(node).map(|node| node.host.as_str());
        let tablet = before.tablets.get(*tablet).expect("a copy of a known tablet");
        let mut others = tablet.replicas.iter().filter(|other| Some(other.id) != replaces);
        let is_alone = others.all(|other| crate::checkup::count::host_of(before, other) != host);
        assert!(is_alone, "two copies on one host: {change:?}");
    }
    if let Change::ReplicaDropped { tablet, replica, evidence, .. } = change {
        let tablet = before.tablets.get(*tablet).expect("a drop of a replica of a known tablet");
        let others = catalog::evidence::complete_others(before, tablet, Some(*replica));
        match evidence {
            Evidence::Others { replicas, wanted } => {
                assert!(others.len() as u32 >= *wanted && replicas.len() as u32 >= *wanted, "{change:?}")
            }
            Evidence::Bad { others: witnesses, .. } => {
                assert!(!others.is_empty() && !witnesses.is_empty(), "{change:?}")
            }
            Evidence::NeverComplete { .. } => {
                let state = tablet.replicas.iter().find(|other| other.id == *replica).map(|other| other.state);
                assert_eq!(state, Some(stele_common::ReplicaState::Clone), "{change:?}")
            }
            Evidence::TableDropped { .. } => panic!("a table goes as a whole: {change:?}"),
        }
    }
}

/// The orders among actions.
pub fn orders(actions: &[Action]) -> Vec<(NodeId, &OrderBody)> {
    let orders = actions.iter().filter_map(|action| match action {
        Action::Send { node, order } => Some((*node, order)),
        Action::Record(_) | Action::AskFullReport { .. } | Action::Answer(_) | Action::Explain(_) => None,
    });
    orders.collect()
}

/// Short names of the orders, for tables.
pub fn names(actions: &[Action]) -> Vec<&'static str> {
    let name = |order: &OrderBody| match order {
        OrderBody::Create { .. } => "create",
        OrderBody::Clone(_) => "clone",
        OrderBody::CancelTask { .. } => "cancel",
        OrderBody::Drop { .. } => "drop",
        OrderBody::Purge { .. } => "purge",
        OrderBody::CommitLoad { .. } => "commit",
        OrderBody::AbortLoad { .. } => "abort",
        OrderBody::DiscardLoad { .. } => "discard",
        OrderBody::Confirm { .. } => "confirm",
        OrderBody::Verify { .. } => "verify",
        OrderBody::Collect { .. } => "collect",
    };
    orders(actions).into_iter().map(|(_, order)| name(order)).collect()
}

pub fn answer(actions: &[Action]) -> &Answer {
    let answer = actions.iter().find_map(|action| match action {
        Action::Answer(answer) => Some(answer),
        Action::Record(_) | Action::Send { .. } | Action::AskFullReport { .. } | Action::Explain(_) => None,
    });
    answer.expect("whoever asks is answered")
}

pub fn asks_full_report(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::AskFullReport { .. }))
}

/// A world and the world after nothing but bookkeeping compare equal by what is durable.
pub fn durable(world: &World) -> Vec<Change> {
    replay::as_changes(world)
}

pub fn knobs(play: &mut Play, with: impl FnOnce(&mut RepairKnobs)) {
    let mut knobs = (*play.sample.world.knobs).clone();
    with(&mut knobs);
    play.sample.world.knobs = std::sync::Arc::new(knobs);
}
