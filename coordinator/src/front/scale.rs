//! What a large house costs its faces: every route that is read and every statement that shows something, over many
//! tablets, with the first answer's time and the weight of all of it.
//!
//! The suite runs it small and holds work to bounds, not time. Figures of 100 000 tablets:
//! `STELE_TEST_TABLETS=100000 cargo test --release -p stele-coordinator --lib pages_are_light -- --nocapture`.

use super::http::{Front, app};
use super::statements::fault::Fault;
use super::statements::rows::{Column, Row, Sink};
use super::statements::{self, Outcome, Session};
use super::users::{Role, Users};
use crate::store::memory::MemoryStore;
use crate::testing::{WordyAgent, hello};
use crate::wiring::{self, House};
use actix_web::body::MessageBody;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::Data;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stele_common::api::{LoadOpen, TableCreate};
use stele_common::config::RepairKnobs;
use stele_common::{BootId, Digest, Epoch, Liveness, LoadKey, LoadMode, Medium, TabletId, Version};
use stele_coordinator_rules::EventBody;

const NODES: u64 = 40;
const TABLES: u32 = 20;

/// Many tablets with three copies each, all loaded once, over wordy agents.
struct Town {
    house: House,
    /// One for all questions, as in a coordinator: each keeps a bulletin of its own.
    front: Data<Front>,
    agents: Vec<WordyAgent>,
}

impl Town {
    async fn new(tablets: u32) -> Town {
        let fatal = |cause: String| panic!("{cause}");
        let store = Box::new(MemoryStore::default());
        let house = wiring::start(RepairKnobs::default(), None, store, Box::new(fatal)).await.unwrap();
        let metrics = crate::telemetry::metrics_handle();
        let front = Front::new(house.ask.clone(), metrics, Users::open(None).map(Arc::new).unwrap());
        let mut town = Town { house, front: Data::new(front), agents: vec![] };
        for _ in 0..NODES {
            town.add_a_node().await;
        }
        let names: Vec<String> = (0..TABLES).map(|n| if n == 0 { "t".into() } else { format!("t{n}") }).collect();
        let buckets = tablets / TABLES;
        for name in &names {
            let create = TableCreate {
                db: "d".into(),
                name: name.clone(),
                replication: 3,
                buckets,
                medium: Medium::Hdd,
                partitions: vec![],
                tag: None,
                colocate: None,
            };
            town.tell(EventBody::CreateTable(create)).await;
        }
        town.report(Version::EMPTY).await;
        for name in &names {
            town.load(name, buckets).await;
        }
        town.report(Version(1)).await;
        town
    }

    /// It is empty: whoever looks for evenness finds much to do.
    async fn add_a_node(&mut self) {
        let number = self.agents.len() as u64 + 1;
        let boot = BootId(number);
        let body = EventBody::Hello { hello: hello(&format!("h{number}"), boot, Epoch(0)), proof: [0; 32] };
        let mut agent = WordyAgent::of(boot, self.house.ask.catalog(body).await.unwrap());
        self.tell(agent.first_report()).await;
        self.agents.push(agent);
    }

    async fn tell(&self, body: EventBody) {
        self.house.ask.catalog(body).await.unwrap();
    }

    async fn report(&mut self, version: Version) {
        let world = self.house.ask.now().world.clone();
        let mut agents = std::mem::take(&mut self.agents);
        for agent in &mut agents {
            self.tell(agent.replicas(&world, version)).await;
        }
        self.agents = agents;
    }

    async fn load(&mut self, table: &str, buckets: u32) {
        let key: LoadKey = LoadKey(table.to_string());
        let open = LoadOpen {
            key: key.clone(),
            db: "d".into(),
            table: table.into(),
            partition: "p0".into(),
            mode: LoadMode::Add,
            content: Digest::ZERO,
            buckets: (0..buckets).map(|bucket| (bucket, 10)).collect::<BTreeMap<_, _>>(),
        };
        self.tell(EventBody::OpenLoad(open)).await;
        let world = self.house.ask.now().world.clone();
        let load = world.loads.values().find(|load| load.key == key).unwrap().clone();
        let mut agents = std::mem::take(&mut self.agents);
        for agent in &mut agents {
            self.tell(agent.prepared(&world, &load)).await;
        }
        self.agents = agents;
        self.tell(EventBody::CommitLoad { key }).await;
    }

    /// Its tablets wait to be repaired; agents that are only words repair none.
    async fn lose_a_node(&self) {
        self.tell(EventBody::NodeTurned { node: self.agents[0].node, liveness: Liveness::Lost }).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    fn a_tablet(&self) -> TabletId {
        self.house.ask.now().world.tablets.iter().next().unwrap().id
    }
}

/// What one question cost.
struct Cost {
    what: String,
    first: Duration,
    all: Duration,
    /// Of a statement: the longest that others on its thread waited for their turn, and how many turns they had.
    waited: Duration,
    turns: u32,
    rows: usize,
    bytes: usize,
}

/// What each page of the browser asks for, as `web/pages` has it; all look at the status, too.
fn pages(town: &Town) -> Vec<(&'static str, Vec<String>)> {
    let (node, tablet) = (town.agents[1].node, town.a_tablet());
    let page = |name, asks: &[&str]| (name, ["status"].iter().chain(asks).map(|ask| format!("/v1/{ask}")).collect());
    vec![
        page("overview", &["nodes", "tasks?state=running&limit=200", "events/recent?limit=8"]),
        page("nodes", &["nodes", "balance?wait_ms=150"]),
        page("node", &[&format!("nodes/{node}"), &format!("nodes/{node}/explain")]),
        page("tables", &["tables?limit=200"]),
        page("tablets", &["tablets?limit=100", "nodes"]),
        page("tablets of a table", &["tablets?table=d.t&limit=100", "nodes", "tables/d/t"]),
        page("tablets of a node", &[&format!("tablets?node={node}&limit=100"), "nodes"]),
        page("ill tablets", &["tablets?status=REPLICA_MISSING&limit=100", "nodes"]),
        page("tablets of which there are none", &["tablets?status=REDUNDANT&limit=100", "nodes"]),
        page("tablet", &[&format!("tablets/{tablet}"), &format!("tablets/{tablet}/explain")]),
        page("tasks, running", &["tasks?state=running&limit=100"]),
        page("tasks, pending", &["tasks?state=pending&limit=100"]),
        page("tasks, pending, far behind", &["tasks?state=pending&limit=100&after=5000"]),
        page("tasks, ended", &["tasks?state=history&limit=100"]),
        page("balance", &["balance?wait_ms=150", "balance/history"]),
        page("plans", &["plans"]),
        page("events", &["events/recent?limit=200"]),
    ]
}

/// Routes that no page of the browser asks for.
fn other_routes(town: &Town) -> Vec<String> {
    let node = town.agents[1].node;
    let paths = [
        "/v1/nodes/replicas",
        "/v1/disks",
        "/v1/tablets",
        "/v1/tasks",
        "/v1/tasks?state=pending",
        "/v1/groups",
        "/v1/leases",
        "/v1/level",
        "/v1/config",
        "/v1/config/history",
        "/v1/loads/t",
        "/v1/world",
        "/metrics",
        "/readyz",
        "/livez",
        "/openapi.json",
        "/",
    ];
    let ill = format!("/v1/tablets?status=REPLICA_MISSING&node={node}");
    paths.into_iter().map(String::from).chain([ill]).collect()
}

async fn routes(town: &Town, paths: Vec<String>) -> Vec<Cost> {
    let app = init_service(app(town.front.clone())).await;
    let mut costs = Vec::new();
    for what in paths {
        let began = Instant::now();
        let answer = call_service(&app, TestRequest::get().uri(&what).to_request()).await;
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
        let mut body = answer.into_body();
        let (mut first, mut bytes) = (None, 0);
        while let Some(piece) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            first = first.or_else(|| Some(began.elapsed()));
            bytes += piece.unwrap_or_else(|_| panic!("{what} breaks off")).len();
        }
        let all = began.elapsed();
        let (waited, turns) = (Duration::ZERO, 0);
        costs.push(Cost { what, first: first.unwrap_or(all), all, waited, turns, rows: 0, bytes });
    }
    costs
}

/// Counts what an answer is made of, and forgets it.
struct Taken {
    began: Instant,
    first: Option<Duration>,
    rows: usize,
    bytes: usize,
}

impl Sink for Taken {
    async fn columns(&mut self, _: &[Column]) -> Result<(), Fault> {
        Ok(())
    }

    async fn row(&mut self, row: Row) -> Result<(), Fault> {
        self.first = self.first.or_else(|| Some(self.began.elapsed()));
        self.rows += 1;
        self.bytes += row.iter().map(|value| value.shown().len() + 1).sum::<usize>();
        Ok(())
    }
}

/// A neighbour on the same thread, who takes a turn whenever there is one.
struct Neighbour {
    turns: Rc<Cell<u32>>,
    waited: Rc<Cell<Duration>>,
    task: actix_rt::task::JoinHandle<()>,
}

impl Neighbour {
    fn moves_in() -> Neighbour {
        let (turns, waited) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(Duration::ZERO)));
        let (counted, longest) = (turns.clone(), waited.clone());
        let task = actix_rt::spawn(async move {
            loop {
                let gone = Instant::now();
                tokio::task::yield_now().await;
                counted.set(counted.get() + 1);
                longest.set(longest.get().max(gone.elapsed()));
            }
        });
        Neighbour { turns, waited, task }
    }
}

async fn statements(town: &Town) -> Vec<Cost> {
    let (node, tablet) = (town.agents[1].node, town.a_tablet());
    let world = town.house.ask.now().world.clone();
    let db = world.databases["d"];
    let texts = [
        "SHOW PROC '/statistic'".to_string(),
        format!("SHOW PROC '/statistic/{db}'"),
        "SHOW PROC '/dbs'".into(),
        "SHOW PROC '/dbs/d'".into(),
        "SHOW PROC '/dbs/d/t/partitions'".into(),
        "SHOW PROC '/dbs/d/t/partitions/p0/t'".into(),
        format!("SHOW PROC '/dbs/d/t/partitions/p0/t/{tablet}'"),
        "SHOW PROC '/backends'".into(),
        format!("SHOW PROC '/backends/{node}'"),
        "SHOW PROC '/cluster_balance'".into(),
        "SHOW PROC '/cluster_balance/pending_tablets'".into(),
        "SHOW PROC '/cluster_balance/pending_tablets' LIMIT 100".into(),
        "SHOW PROC '/cluster_balance/running_tablets'".into(),
        "SHOW PROC '/cluster_balance/history_tablets'".into(),
        "SHOW PROC '/cluster_balance/cluster_load_stat'".into(),
        "SHOW PROC '/cluster_balance/cluster_load_stat/HDD'".into(),
        format!("SHOW PROC '/cluster_balance/cluster_load_stat/HDD/{node}'"),
        "SHOW PROC '/cluster_balance/working_slots'".into(),
        "SHOW PROC '/cluster_balance/sched_stat'".into(),
        "SHOW PROC '/cluster_balance/priority_repair'".into(),
        "SHOW PROC '/colocation_group'".into(),
        "ADMIN SHOW REPLICA STATUS FROM d.t".into(),
        "ADMIN SHOW REPLICA STATUS FROM d.t LIMIT 100".into(),
        "ADMIN SHOW REPLICA STATUS FROM d.t WHERE STATUS != 'OK'".into(),
        "ADMIN SHOW REPLICA DISTRIBUTION FROM d.t".into(),
        "SHOW TABLET FROM d.t".into(),
        "SHOW TABLET FROM d.t ORDER BY DataSize DESC LIMIT 10".into(),
        format!("SHOW TABLET {tablet}"),
        "SHOW BACKENDS".into(),
        "SHOW DATABASES".into(),
        "SHOW TABLES FROM d".into(),
        "SHOW PARTITIONS FROM d.t".into(),
        "SHOW CREATE TABLE d.t".into(),
        "ADMIN SHOW FRONTEND CONFIG".into(),
        "SELECT COUNT(*) FROM information_schema.tablets WHERE STATUS != 'HEALTHY'".into(),
        "SELECT COUNT(*) FROM information_schema.replicas".into(),
        "SELECT BE_ID, STATUS, COUNT(*), SUM(SIZE) FROM information_schema.replicas GROUP BY BE_ID, STATUS".into(),
        "SELECT TABLET_ID, COUNT(*) FROM information_schema.replicas GROUP BY TABLET_ID HAVING COUNT(*) < 3".into(),
        "SELECT * FROM information_schema.tablets".into(),
        "SELECT * FROM information_schema.tablets LIMIT 100".into(),
        "SELECT * FROM information_schema.replicas".into(),
        "SELECT * FROM information_schema.replicas LIMIT 100".into(),
        "SELECT REPLICA_ID FROM information_schema.replicas".into(),
        format!(
            "SELECT * FROM information_schema.replicas WHERE BE_ID = {node} AND STATUS != 'OK' ORDER BY SIZE DESC LIMIT 10"
        ),
        "SELECT * FROM information_schema.replicas ORDER BY SIZE DESC LIMIT 10".into(),
        "SELECT * FROM information_schema.replicas ORDER BY META_URL, SIZE DESC".into(),
        "SELECT * FROM information_schema.replicas WHERE META_URL LIKE '%none%'".into(),
        "SELECT * FROM information_schema.disks".into(),
        "SELECT * FROM information_schema.nodes".into(),
        "SELECT * FROM information_schema.tasks".into(),
        "SELECT * FROM information_schema.decisions".into(),
        "SELECT * FROM information_schema.tables".into(),
        "SELECT * FROM information_schema.schemata".into(),
        "SELECT * FROM information_schema.columns".into(),
        "SHOW TABLE STATUS FROM d".into(),
        "SHOW FULL TABLES FROM d".into(),
        "SHOW FULL COLUMNS FROM d.t".into(),
        "SHOW INDEX FROM d.t".into(),
        "SHOW CREATE DATABASE d".into(),
        "SHOW TRIGGERS FROM d".into(),
        "SHOW PROCEDURE STATUS WHERE Db = 'd'".into(),
        "SHOW VARIABLES WHERE Variable_name = 'language' OR Variable_name = 'wait_timeout'".into(),
        "SHOW SESSION STATUS LIKE 'Ssl_version'".into(),
        "SELECT @@session.auto_increment_increment AS a, @@character_set_client, @@init_connect, @@time_zone".into(),
        "SELECT DATABASE(), USER(), CURRENT_USER, VERSION() FROM DUAL LIMIT 1".into(),
    ];
    let mut costs = Vec::new();
    for what in texts {
        costs.push(statement(town, &what).await);
    }
    costs
}

async fn statement(town: &Town, what: &str) -> Cost {
    let mut session = Session::new("root", Role::Admin, "here", 1);
    let neighbour = Neighbour::moves_in();
    tokio::task::yield_now().await;
    let began = Instant::now();
    let mut taken = Taken { began, first: None, rows: 0, bytes: 0 };
    let raw = statements::split(what).unwrap().remove(0);
    let outcome = town.front.engine.run(&mut session, raw, &mut taken).await;
    assert_eq!(outcome.unwrap_or_else(|fault| panic!("{what}: {fault}")), Outcome::Rows, "{what}");
    let all = began.elapsed();
    tokio::task::yield_now().await;
    neighbour.task.abort();
    let Taken { first, rows, bytes, .. } = taken;
    let (turns, waited) = (neighbour.turns.get(), neighbour.waited.get());
    Cost { what: what.into(), first: first.unwrap_or(all), all, waited, turns, rows, bytes }
}

fn print(of: &str, costs: &[Cost]) {
    println!("\n{of}\n| asked | first ms | all ms | others waited ms | rows | KB |\n|---|---|---|---|---|---|");
    for Cost { what, first, all, waited, rows, bytes, .. } in costs {
        let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
        let kb = *bytes as f64 / 1000.0;
        println!("| {what} | {:.1} | {:.1} | {:.1} | {rows} | {kb:.1} |", ms(first), ms(all), ms(waited));
    }
}

/// With a lost node, as a browser and as scripts and clients ask.
async fn print_all(town: &Town, how: &str) {
    for (page, asks) in pages(town) {
        print(&format!("{how}: the page {page}"), &routes(town, asks).await);
    }
    print(&format!("{how}: other routes"), &routes(town, other_routes(town)).await);
    print(&format!("{how}: statements"), &statements(town).await);
}

/// No page of the browser weighs more than 500 KB, however many tablets there are; each route answers; and while a
/// statement goes through all of them, others on its thread have their turns.
#[actix::test]
async fn pages_are_light_and_statements_take_turns() {
    let asked = std::env::var("STELE_TEST_TABLETS").ok().and_then(|text| text.parse().ok());
    let tablets: u32 = asked.unwrap_or(1_000);
    let mut town = Town::new(tablets).await;
    if asked.is_some() {
        print_all(&town, "all is well").await;
    }
    town.add_a_node().await;
    if asked.is_some() {
        let at_once = "/v1/balance?wait_ms=150";
        let asks = [at_once, at_once, "/v1/balance", at_once].map(String::from);
        print(
            "a node is new: balance, asked first, again, with patience, and again",
            &routes(&town, asks.into()).await,
        );
    }
    town.lose_a_node().await;
    if asked.is_some() {
        print_all(&town, "a node is lost").await;
    }
    for (page, asks) in pages(&town) {
        let weight: usize = routes(&town, asks).await.iter().map(|cost| cost.bytes).sum();
        assert!((1..500_000).contains(&weight), "{page}: {weight} bytes");
    }
    routes(&town, other_routes(&town)).await;
    let costs = statements(&town).await;
    let long = statement(&town, "SELECT * FROM information_schema.replicas WHERE META_URL LIKE '%none%'").await;
    assert_eq!(long.rows, 0);
    assert!(long.turns >= 5, "{} turns in all rows", long.turns);
    let of = |what: &str| costs.iter().find(|cost| cost.what == what).unwrap().rows;
    assert_eq!(of("SELECT * FROM information_schema.replicas"), tablets as usize * 3);
    assert_eq!(of("ADMIN SHOW REPLICA STATUS FROM d.t LIMIT 100"), 100);
    town.house.close().await;
}
