//! The order of things: nothing is seen, ordered or answered before the commit of what it stands on.

use super::*;
use crate::published::{self, Snapshots};
use crate::store::memory::MemoryStore;
use crate::store::{MetaStore, StoreError};
use crate::testing::{WordyAgent, hello};
use std::sync::{Condvar, Mutex, PoisonError};
use stele_common::config::RepairKnobs;
use stele_common::{BootId, Epoch, OrderBody, api};
use tokio::sync::mpsc;

/// A store that commits only while its gate is open, and tells when a batch has come to it.
struct GatedStore {
    kept: MemoryStore,
    gate: Gate,
    came: mpsc::UnboundedSender<Vec<Change>>,
}

#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default, Clone, Copy, PartialEq)]
enum GateState {
    #[default]
    Open,
    Shut,
    Broken,
}

impl Gate {
    fn set(&self, state: GateState) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.0.1.notify_all();
    }

    fn pass(&self) -> Result<(), StoreError> {
        let mut state = self.0.0.lock().unwrap();
        while *state == GateState::Shut {
            state = self.0.1.wait(state).unwrap();
        }
        match *state {
            GateState::Open => Ok(()),
            _ => Err(StoreError::Failed { doing: "write", path: "gate".into(), detail: "broken".into() }),
        }
    }
}

impl MetaStore for GatedStore {
    fn load(&mut self) -> Result<Vec<Change>, StoreError> {
        self.kept.load()
    }

    fn append(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.came.send(changes.to_vec()).ok();
        self.gate.pass()?;
        self.kept.append(changes)
    }

    fn snapshot(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.kept.snapshot(changes)
    }

    fn appended(&self) -> u64 {
        self.kept.appended()
    }
}

/// Takes the Catalog's words; notes with each order whether the snapshot of that moment shows its tablet.
struct Neighbours {
    snapshots: Snapshots,
    orders: mpsc::UnboundedSender<(OrderBody, bool)>,
}

impl Actor for Neighbours {
    type Context = Context<Self>;
}

impl Handler<Orders> for Neighbours {
    type Result = ();

    fn handle(&mut self, orders: Orders, _: &mut Context<Self>) {
        let published = self.snapshots.borrow().clone();
        for (_, order) in orders.0 {
            let ToAgent::Order(order) = order else { continue };
            let OrderBody::Create { label, .. } = &order.body else { continue };
            let is_shown = published.world.tablets.get(label.tablet).is_some();
            self.orders.send((order.body, is_shown)).ok();
        }
    }
}

impl Handler<Changed> for Neighbours {
    type Result = ();

    fn handle(&mut self, _: Changed, _: &mut Context<Self>) {}
}

impl Handler<TasksEnded> for Neighbours {
    type Result = ();

    fn handle(&mut self, _: TasksEnded, _: &mut Context<Self>) {}
}

struct Scene {
    catalog: Addr<Catalog>,
    snapshots: Snapshots,
    gate: Gate,
    kept: MemoryStore,
    came: mpsc::UnboundedReceiver<Vec<Change>>,
    orders: mpsc::UnboundedReceiver<(OrderBody, bool)>,
    failed: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    /// A catalog that leads, with three reported agents.
    async fn new() -> Scene {
        let (gate, kept) = (Gate::default(), MemoryStore::default());
        let (came_in, came) = mpsc::unbounded_channel();
        let (orders_in, orders) = mpsc::unbounded_channel();
        let knobs = Arc::new(RepairKnobs::default());
        let (published, snapshots) = published::cell(knobs.clone());
        let store = GatedStore { kept: kept.clone(), gate: gate.clone(), came: came_in };
        let (writer, _) = Writer::start(Box::new(store)).unwrap();
        let catalog = Catalog::new(Clock::start(), World::empty(knobs), writer).start();
        let neighbours = Neighbours { snapshots: snapshots.clone(), orders: orders_in }.start();
        let failed = Arc::new(Mutex::new(Vec::new()));
        let failures = failed.clone();
        let outlets = Outlets {
            published,
            orders: neighbours.clone().recipient(),
            changed: neighbours.clone().recipient(),
            ended: neighbours.recipient(),
            on_failed_commit: Box::new(move |cause| failures.lock().unwrap().push(cause)),
        };
        let (began, begun) = oneshot::channel();
        catalog.do_send(Begin { outlets, cluster_if_new: "c".repeat(32), began });
        begun.await.unwrap();
        let scene = Scene { catalog, snapshots, gate, kept, came, orders, failed };
        for number in 1..=3 {
            let boot = BootId(number);
            let body = EventBody::Hello { hello: hello(&format!("h{number}"), boot, Epoch(0)), proof: [0; 32] };
            let mut agent = WordyAgent::of(boot, scene.ask(body).await.unwrap());
            scene.ask(agent.first_report()).await.unwrap();
        }
        scene
    }

    fn ask(&self, body: EventBody) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        self.catalog.do_send(Happened { body, answer });
        answered
    }

    fn create(&self) -> oneshot::Receiver<Answer> {
        let (db, name) = ("d".to_string(), "t".to_string());
        let medium = stele_common::Medium::Hdd;
        self.ask(EventBody::CreateTable(api::TableCreate {
            db,
            name,
            replication: 3,
            buckets: 2,
            medium,
            partitions: vec![],
            tag: None,
            colocate: None,
        }))
    }

    /// Waits until the store was asked for a table's record.
    async fn table_came(&mut self) {
        while let Some(changes) = self.came.recv().await {
            if changes.iter().any(|change| matches!(change, Change::TableAdded { .. })) {
                return;
            }
        }
    }
}

/// While the store has not committed, nobody sees, hears or is ordered anything; then the snapshot comes first.
#[actix::test]
async fn durable_before_visible_before_sent() {
    let mut scene = Scene::new().await;
    scene.gate.set(GateState::Shut);
    let mut answered = scene.create();
    scene.table_came().await;
    // A request that needs no commit must not overtake the one that waits for its own.
    let mut second = scene.ask(EventBody::AbortLoad { key: stele_common::LoadKey("none".into()) });
    assert!(scene.orders.try_recv().is_err(), "an order was sent before its commit");
    assert!(answered.try_recv().is_err(), "an answer was given before its commit");
    assert!(second.try_recv().is_err(), "a later answer overtook a commit");
    assert!(scene.snapshots.borrow().world.tables.is_empty(), "a table was seen before its commit");
    scene.gate.set(GateState::Open);
    assert!(matches!(answered.await.unwrap(), Answer::Table(_)));
    assert_eq!(scene.snapshots.borrow().world.tables.len(), 1);
    for _ in 0..6 {
        let (order, is_shown) = scene.orders.recv().await.unwrap();
        assert!(is_shown, "{order:?} was sent before its snapshot was published");
    }
    second.await.unwrap();
}

/// A store that fails: no order, no answer, no snapshot; the process is told to end.
#[actix::test]
async fn failed_commit() {
    let mut scene = Scene::new().await;
    scene.gate.set(GateState::Broken);
    assert!(scene.create().await.is_err(), "an answer was given on a failed commit");
    assert!(scene.orders.try_recv().is_err());
    assert!(scene.snapshots.borrow().world.tables.is_empty());
    assert_eq!(scene.failed.lock().unwrap().len(), 1);
}

/// What was answered is in the store: a coordinator that dies right after finds it.
#[actix::test]
async fn answered_is_kept() {
    let scene = Scene::new().await;
    let Answer::Table(id) = scene.create().await.unwrap() else { panic!("no table") };
    let mut next = World::empty(Arc::new(RepairKnobs::default()));
    scene.kept.kept().iter().for_each(|change| next.apply(change));
    assert!(next.tables.contains_key(&id));
    assert_eq!((next.nodes.len(), next.disks.len(), next.tablets.len()), (3, 3, 2));
}

/// A full inbox shares commits: many requests, few batches.
#[actix::test]
async fn group_commit() {
    let mut scene = Scene::new().await;
    scene.gate.set(GateState::Shut);
    let first = scene.create();
    scene.table_came().await;
    let waiting: Vec<_> = (4..20)
        .map(|number| {
            let hello = hello(&format!("h{number}"), BootId(number), Epoch(0));
            scene.ask(EventBody::Hello { hello, proof: [0; 32] })
        })
        .collect();
    scene.gate.set(GateState::Open);
    first.await.unwrap();
    for answer in waiting {
        answer.await.unwrap();
    }
    let mut batches = 0;
    while let Ok(changes) = scene.came.try_recv() {
        batches += usize::from(changes.iter().any(|change| matches!(change, Change::NodeAdded { .. })));
    }
    assert_eq!(batches, 1, "sixteen hellos that waited together took {batches} commits");
}
