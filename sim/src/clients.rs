//! Clients: each makes tables at the beginning, then load after load, and repeats one by its key until it is told the
//! result. What a client was told is what the oracle holds the cluster to.
//!
//! ```text
//! think ─▶ open ─▶ stream to the primaries ─▶ ask for the commit ─▶ poll ─▶ VISIBLE: acknowledged
//!            ▲         refused, lost, too slow, aborted: wait, the same key again          │
//!            └──────────────────────────────────────────────────────────────◀─────────────┘
//! ```

use crate::net::Place;
use crate::options::{SECOND, TableMix};
use crate::sim::{Next, Phase, Sim};
use crate::streams::{Stream, agent_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stele_common::{Delta, Digest, Epoch, LoadKey, LoadMode, Medium, NewFile, RelPath, TabletId, api};
use stele_coordinator_rules::EventBody;
use stele_coordinator_rules::world::LoadPhase;

/// A try that has not ended by then is given up and made again.
const TRY_MS: u64 = 40 * SECOND;
/// Tries before a client forgets its load.
const TRIES_MAX: u64 = 12;
/// Distinct names in a tablet: few, so that files are overwritten and removed.
const NAMES: u64 = 10;

/// One client.
#[derive(Debug, Default)]
pub struct Client {
    jobs: u64,
    attempts: u64,
    job: Option<Job>,
}

/// A load that is being made.
#[derive(Clone, Debug)]
struct Job {
    key: LoadKey,
    open: api::LoadOpen,
    /// By bucket.
    deltas: BTreeMap<u32, Arc<Delta>>,
    attempt: u64,
    tries: u64,
    /// Tablets whose primary has not answered.
    waiting: BTreeSet<TabletId>,
}

/// What happens at a client.
#[derive(Clone, Debug)]
pub enum ClientNext {
    CreateTable { table: usize },
    DropTable,
    Think,
    Again { attempt: u64 },
    Opened { attempt: u64, opened: Box<api::LoadOpened> },
    Refused { attempt: u64, reason: &'static str },
    Streamed { attempt: u64, tablet: TabletId, durable: bool },
    Poll { attempt: u64 },
    TooSlow { attempt: u64 },
}

impl Sim {
    /// One step of a client.
    pub fn client_step(&mut self, client: usize, step: ClientNext) {
        match step {
            ClientNext::CreateTable { table } => self.create_table(client, table),
            ClientNext::DropTable => self.drop_table(client),
            ClientNext::Think => self.think(client),
            ClientNext::Again { attempt } if self.is_current(client, attempt) => self.open(client),
            ClientNext::Opened { attempt, opened } if self.is_current(client, attempt) => self.opened(client, *opened),
            ClientNext::Refused { attempt, reason } if self.is_current(client, attempt) => {
                self.trace.line(self.now, format_args!("client {client} is refused: {reason}"));
                self.try_again(client);
            }
            ClientNext::Streamed { attempt, tablet, durable } if self.is_current(client, attempt) => {
                self.streamed(client, tablet, durable);
            }
            ClientNext::Poll { attempt } if self.is_current(client, attempt) => self.poll(client),
            ClientNext::TooSlow { attempt } if self.is_current(client, attempt) => self.try_again(client),
            ClientNext::Again { .. }
            | ClientNext::Opened { .. }
            | ClientNext::Refused { .. }
            | ClientNext::Streamed { .. }
            | ClientNext::Poll { .. }
            | ClientNext::TooSlow { .. } => {}
        }
    }

    fn is_current(&self, client: usize, attempt: u64) -> bool {
        self.clients[client].job.as_ref().is_some_and(|job| job.attempt == attempt)
    }

    fn create_table(&mut self, client: usize, table: usize) {
        let name = format!("t{table}");
        let life = self.coordinator.life.as_ref();
        if life.is_some_and(|life| life.world.tables.values().any(|table| table.name == name)) {
            return;
        }
        let TableMix { replication, buckets, tag, colocate } = self.mix.tables[table].clone();
        let create = api::TableCreate {
            db: "d".to_string(),
            name,
            replication,
            buckets,
            medium: Medium::Hdd,
            partitions: Vec::new(),
            tag: Some(tag.to_string()),
            colocate: colocate.then(|| "g".to_string()),
        };
        self.ask(client, 0, EventBody::CreateTable(create));
        let step = ClientNext::CreateTable { table };
        self.queue.put(self.now + 20 * SECOND, Next::Client { client, step });
    }

    /// The last table goes, if there is another one; the word is repeated until the table is gone.
    fn drop_table(&mut self, client: usize) {
        let name = format!("t{}", self.drawn_tables - 1);
        let life = self.coordinator.life.as_ref();
        let is_there = life.is_none_or(|life| life.world.tables.values().any(|table| table.name == name));
        if self.drawn_tables < 2 || !is_there {
            return;
        }
        self.mix.tables.truncate(self.drawn_tables - 1);
        self.ask(client, 0, EventBody::DropTable { db: "d".to_string(), name });
        self.later(client, 20 * SECOND, ClientNext::DropTable);
    }

    fn ask(&mut self, client: usize, attempt: u64, event: EventBody) {
        let event = Box::new(event);
        let next = || Next::Asked { client, attempt, event: event.clone() };
        self.send(Place::Client(client), Place::Coordinator, next);
    }

    fn later(&mut self, client: usize, after: u64, step: ClientNext) {
        self.queue.put(self.now + after, Next::Client { client, step });
    }

    fn think(&mut self, client: usize) {
        if self.phase == Phase::Calm {
            return;
        }
        let tables = self.mix.tables.len() as u64;
        let index = self.wish.below(tables) as usize;
        let buckets = self.mix.tables[index].buckets;
        self.clients[client].jobs += 1;
        let key = LoadKey(format!("client-{client}-{}", self.clients[client].jobs));
        let touched: BTreeSet<u32> =
            (0..self.wish.between(1, 3)).map(|_| self.wish.below(buckets.into()) as u32).collect();
        let mode = if self.wish.permille(100) { LoadMode::Replace } else { LoadMode::Add };
        let deltas: BTreeMap<u32, Arc<Delta>> =
            touched.into_iter().map(|bucket| (bucket, Arc::new(self.delta(&key, bucket, mode)))).collect();
        let bytes = |delta: &Delta| delta.put.iter().map(|file| file.size).sum();
        let open = api::LoadOpen {
            key: key.clone(),
            db: "d".to_string(),
            table: format!("t{index}"),
            partition: "p0".to_string(),
            mode,
            content: Digest::of(key.0.as_bytes()),
            buckets: deltas.iter().map(|(bucket, delta)| (*bucket, bytes(delta))).collect(),
        };
        self.clients[client].job = Some(Job { key, open, deltas, attempt: 0, tries: 0, waiting: BTreeSet::new() });
        self.open(client);
    }

    fn delta(&mut self, key: &LoadKey, bucket: u32, mode: LoadMode) -> Delta {
        let name = |number: u64| RelPath::new(format!("f{number}")).expect("a letter and a number make a path");
        let put: BTreeSet<u64> = (0..self.wish.between(1, 4)).map(|_| self.wish.below(NAMES)).collect();
        let remove = (0..self.wish.below(2)).map(|_| self.wish.below(NAMES)).filter(|number| !put.contains(number));
        let remove: Vec<RelPath> = remove.map(name).collect();
        let file = |number: u64, size: u64| NewFile {
            path: name(number),
            size,
            digest: Digest::of(format!("{key} {bucket} {number}").as_bytes()),
        };
        let put = put.into_iter().map(|number| file(number, self.wish.between(1, 8 << 20))).collect();
        Delta { mode, put, remove }
    }

    fn open(&mut self, client: usize) {
        let own = &mut self.clients[client];
        own.attempts += 1;
        let attempt = own.attempts;
        let Some(job) = &mut own.job else { return };
        (job.attempt, job.tries) = (attempt, job.tries + 1);
        let open = job.open.clone();
        self.ask(client, attempt, EventBody::OpenLoad(open));
        self.later(client, TRY_MS, ClientNext::TooSlow { attempt });
    }

    fn try_again(&mut self, client: usize) {
        let pause = 2 * SECOND + self.wish.below(30 * SECOND);
        let own = &mut self.clients[client];
        own.attempts += 1;
        let attempt = own.attempts;
        let Some(job) = &mut own.job else { return };
        if job.tries >= TRIES_MAX || self.phase == Phase::Calm {
            let key = job.key.clone();
            own.job = None;
            self.stats.loads_given_up += 1;
            // A client that gives up says so; its word may be lost.
            self.ask(client, attempt, EventBody::AbortLoad { key });
            return self.rest(client);
        }
        job.attempt = attempt;
        self.later(client, pause, ClientNext::Again { attempt });
    }

    fn rest(&mut self, client: usize) {
        let pause = self.wish.around(self.mix.think_ms);
        self.later(client, pause, ClientNext::Think);
    }

    fn opened(&mut self, client: usize, opened: api::LoadOpened) {
        let Some(job) = self.clients[client].job.clone() else { return };
        let attempt = job.attempt;
        if opened.done.is_some() {
            return self.poll(client);
        }
        self.clients[client].job.as_mut().expect("cloned above").waiting =
            opened.tablets.iter().map(|tablet| tablet.tablet).collect();
        for tablet in &opened.tablets {
            let Some(delta) = job.deltas.get(&tablet.bucket).cloned() else { continue };
            self.truth.deltas.entry(job.key.clone()).or_default().insert(tablet.tablet, delta.clone());
            let member = |sim: &Sim, member: &api::LoadMember| Some((agent_of(sim, member.node)?, member.replica));
            let Some((agent, replica)) = member(self, &tablet.primary) else { continue };
            let forward = tablet.others.iter().filter_map(|other| member(self, other)).collect();
            let stream = Stream {
                agent,
                replica,
                load: opened.load,
                tablet: tablet.tablet,
                epoch: Epoch(opened.epoch),
                ballot: tablet.ballot,
                parent: tablet.parent,
                parent_hash: tablet.parent_hash,
                version: tablet.version,
                hash: None,
                delta,
                primary: true,
                forward,
                client,
                attempt,
            };
            let to = Place::Agent(agent);
            self.send(Place::Client(client), to, || Next::Stream { stream: Box::new(stream.clone()) });
        }
    }

    fn streamed(&mut self, client: usize, tablet: TabletId, durable: bool) {
        if !durable {
            return self.try_again(client);
        }
        let Some(job) = &mut self.clients[client].job else { return };
        let (attempt, key) = (job.attempt, job.key.clone());
        if job.waiting.remove(&tablet) && job.waiting.is_empty() {
            self.ask(client, attempt, EventBody::CommitLoad { key });
            self.later(client, SECOND, ClientNext::Poll { attempt });
        }
    }

    fn poll(&mut self, client: usize) {
        let Some(job) = &self.clients[client].job else { return };
        let (attempt, key) = (job.attempt, job.key.clone());
        match self.load_phase(&key) {
            Some(LoadPhase::Visible) => {
                self.acknowledge(&key);
                self.clients[client].job = None;
                self.rest(client);
            }
            Some(LoadPhase::Aborted { .. }) => self.try_again(client),
            Some(LoadPhase::Open | LoadPhase::Committed) | None => {
                self.later(client, 2 * SECOND, ClientNext::Poll { attempt });
            }
        }
    }
}
