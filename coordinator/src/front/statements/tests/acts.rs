//! What statements do, over a whole house with a store in memory and agents that are only their words.

use super::super::rows::{Rows, Value};
use super::*;
use crate::front::tally::TallyCell;
use crate::store::memory::MemoryStore;
use crate::testing::{WordyAgent, hello};
use crate::wiring::{self, House};
use stele_common::api::TableCreate;
use stele_common::config::RepairKnobs;
use stele_common::{BootId, Epoch, Medium, Version};
use stele_coordinator_rules::EventBody;

struct Scene {
    house: House,
    engine: Engine,
    agents: Vec<WordyAgent>,
}

impl Scene {
    /// Some agents, and the table d.t with the partitions p0, p1 and p2.
    async fn new(agents: u64) -> Scene {
        let fatal = |cause: String| panic!("{cause}");
        let store = Box::new(MemoryStore::default());
        let house = wiring::start(RepairKnobs::default(), None, store, Box::new(fatal)).await.unwrap();
        let engine = Engine::new(house.ask.clone(), Arc::new(TallyCell::default()));
        let mut scene = Scene { house, engine, agents: vec![] };
        for number in 1..=agents {
            scene.joins(number).await;
        }
        if agents > 0 {
            let create = TableCreate {
                db: "d".into(),
                name: "t".into(),
                replication: agents.min(3) as u32,
                buckets: 1,
                medium: Medium::Hdd,
                partitions: ["p0", "p1", "p2"].map(String::from).to_vec(),
                tag: None,
                colocate: None,
            };
            scene.tell(EventBody::CreateTable(create)).await;
            scene.report().await;
        }
        scene
    }

    async fn joins(&mut self, number: u64) {
        let boot = BootId(number);
        let mut hello = hello(&format!("h{number}"), boot, Epoch(0));
        (hello.peer, hello.http) = (format!("10.0.0.{number}:7410"), format!("10.0.0.{number}:7411"));
        let answer = self.house.ask.catalog(EventBody::Hello { hello, proof: [0; 32] }).await.unwrap();
        let mut agent = WordyAgent::of(boot, answer);
        self.tell(agent.first_report()).await;
        self.agents.push(agent);
    }

    async fn tell(&self, body: EventBody) {
        self.house.ask.catalog(body).await.unwrap();
    }

    async fn report(&mut self) {
        let world = self.house.ask.now().world.clone();
        for agent in &mut self.agents {
            self.house.ask.catalog(agent.replicas(&world, Version::EMPTY)).await.unwrap();
        }
    }

    /// By root, with d in use.
    async fn run(&self, sql: &str) -> Result<(Outcome, Rows), Fault> {
        let mut session = Session { db: Some("d".into()), ..Session::new("root", Role::Admin, "h", 1) };
        let mut rows = Rows::default();
        let raw = split(sql)?.remove(0);
        self.engine.run(&mut session, raw, &mut rows).await.map(|outcome| (outcome, rows))
    }

    async fn done(&self, sql: &str) -> Outcome {
        self.run(sql).await.unwrap_or_else(|fault| panic!("{sql}: {fault}")).0
    }

    async fn refused(&self, sql: &str) -> Fault {
        self.run(sql).await.expect_err(sql)
    }

    /// The cells of these columns, a row each.
    async fn cells(&self, sql: &str, columns: &[&str]) -> Vec<String> {
        let (_, rows) = self.run(sql).await.unwrap_or_else(|fault| panic!("{sql}: {fault}"));
        let place = |name: &&str| rows.columns.iter().position(|column| column.name == *name).expect("a column");
        let places: Vec<usize> = columns.iter().map(place).collect();
        let shown = |value: &Value| value.shown().into_owned();
        rows.rows.iter().map(|row| places.iter().map(|at| shown(&row[*at])).collect::<Vec<_>>().join(" ")).collect()
    }
}

/// A default for partitions to come is no order to delete copies of those that are there.
#[actix::test]
async fn a_default_changes_no_copies() {
    let scene = Scene::new(3).await;
    for set in ["SET", "PARTITION p0 SET", "MODIFY PARTITION (*) SET", "MODIFY PARTITION (p0, p1) SET"] {
        for property in ["default.replication_num", "DEFAULT.replication_num"] {
            let fault = scene.refused(&format!("ALTER TABLE t {set} (\"{property}\" = \"2\")")).await;
            let says = "changes those that are there";
            assert!(fault.text.contains("future partitions") && fault.text.contains(says), "{fault}");
        }
    }
    assert!(scene.refused("ALTER TABLE t SET ('default.storage_medium' = 'SSD')").await.text.contains("future"));
    let copies = || scene.cells("SHOW PARTITIONS FROM t", &["ReplicationNum", "StorageMedium"]);
    assert_eq!(copies().await, ["3 HDD", "3 HDD", "3 HDD"]);
    scene.done("ALTER TABLE t MODIFY PARTITION (p0, p2) SET ('replication_num' = '2')").await;
    assert_eq!(copies().await, ["2 HDD", "3 HDD", "2 HDD"]);
    let unknown = scene.refused("ALTER TABLE t PARTITION (p1, p9) SET ('replication_num' = '2')").await;
    assert!(unknown.is_absent && unknown.text.contains("'p9'"), "{unknown}");
    assert_eq!(copies().await, ["2 HDD", "3 HDD", "2 HDD"], "a statement with an unknown partition changes none");
    scene.done("ALTER TABLE t MODIFY PARTITION (*) SET ('replication_num' = '2')").await;
    assert_eq!(copies().await, ["2 HDD", "2 HDD", "2 HDD"]);
}

/// The address that a backend was shown with lets its agent in again; what is no address is refused; of what nobody
/// removed it is said that nothing was written down.
#[actix::test]
async fn a_dropped_address_is_admitted() {
    let mut scene = Scene::new(4).await;
    let told = |outcome: Outcome| match outcome {
        Outcome::Done { affected, message } => (affected, message),
        Outcome::Rows => panic!("rows"),
    };
    assert_eq!(scene.cells("SHOW BACKENDS LIMIT 1", &["IP", "HeartbeatPort"]).await, ["10.0.0.1 7410"]);
    for form in ["10.0.0.5:7410", "10.0.0.6:7411", "h7:7410"] {
        let number = scene.agents.len() as u64 + 1;
        scene.joins(number).await;
        scene.done(&format!("ALTER SYSTEM DROP BACKEND \"10.0.0.{number}:7410\" FORCE")).await;
        let is_removed = || scene.house.ask.now().world.removed.len() == 1;
        assert!(is_removed(), "{form}");
        for nonsense in ["nonsense", "", ":7410", "h5:", "h5:x", "h5:70000", "h5", "http://h5:1"] {
            let fault = scene.refused(&format!("ALTER SYSTEM ADD BACKEND \"{form}\", \"{nonsense}\"")).await;
            assert!(fault.code == 1064 && fault.text.contains("host:port"), "{nonsense}: {fault}");
        }
        let (affected, message) = told(scene.done("ALTER SYSTEM ADD BACKEND '10.9.9.9:7410'").await);
        assert!(affected == 0 && message.contains("10.9.9.9:7410: no backend was removed there"), "{message}");
        assert!(is_removed(), "nothing else was admitted");
        let (affected, message) = told(scene.done(&format!("ALTER SYSTEM ADD BACKEND \"{form}\"")).await);
        assert!(affected == 1 && !is_removed(), "{form}: {message}");
    }
    assert!(scene.refused("ALTER SYSTEM ADD BACKEND '10.0.0.1:7410'").await.text.contains("is here already"));
}

/// Urgency of one partition can be taken back where the whole table was made urgent: the others keep theirs.
#[actix::test]
async fn urgency_goes_by_partition() {
    let scene = Scene::new(1).await;
    let urgent = || async {
        let shown = scene.cells("SHOW PROC '/cluster_balance/priority_repair'", &["Table", "Partition"]).await;
        shown.join(", ")
    };
    scene.done("ADMIN REPAIR TABLE t").await;
    let whole = urgent().await;
    scene.done("ADMIN CANCEL REPAIR TABLE t PARTITION (p1)").await;
    assert_eq!(urgent().await, "t p0, t p2", "before: {whole}");
    scene.done("ADMIN CANCEL REPAIR TABLE t PARTITION (p1)").await;
    assert_eq!(urgent().await, "t p0, t p2");
    scene.done("ADMIN REPAIR TABLE t PARTITION (p1)").await;
    scene.done("ADMIN CANCEL REPAIR TABLE t").await;
    assert_eq!(urgent().await, "");
}

/// What is there already, or is not, is no fault where the statement says so.
#[actix::test]
async fn if_exists() {
    let scene = Scene::new(1).await;
    let fault = scene.refused("ALTER TABLE t ADD PARTITION p1").await;
    assert!(fault.text.contains("exists already"), "{fault}");
    let nothing = Outcome::done();
    assert_eq!(scene.done("ALTER TABLE t ADD PARTITION IF NOT EXISTS p1 ('replication_num' = '1')").await, nothing);
    assert!(scene.refused("ALTER TABLE t DROP PARTITION p9").await.is_absent);
    assert_eq!(scene.done("ALTER TABLE t DROP PARTITION IF EXISTS p9").await, nothing);
    assert_eq!(scene.done("DROP TABLE IF EXISTS x").await, nothing);
    assert_eq!(scene.cells("SHOW PARTITIONS FROM t", &["PartitionName"]).await, ["p0", "p1", "p2"]);
}

/// A misspelt database is told, not made.
#[actix::test]
async fn an_unknown_database() {
    let scene = Scene::new(1).await;
    let fault = scene.refused("CREATE TABLE nodb.x (k INT) PROPERTIES ('replication_num' = '1')").await;
    assert!((fault.code, fault.is_absent) == (1049, true) && fault.text.contains("'nodb'"), "{fault}");
    assert_eq!(scene.refused("CREATE TABLE information_schema.x (k INT)").await.code, 1044);
    assert_eq!(scene.refused("CREATE DATABASE Information_Schema").await.code, 1007);
    assert_eq!(scene.cells("SHOW DATABASES", &["Database"]).await, ["information_schema", "d"]);
}

/// A pattern finds knobs by every name that SET takes, and no others; times are as all times here.
#[actix::test]
async fn knobs_by_the_originals_names() {
    let scene = Scene::new(0).await;
    let keys = async |like: &str| scene.cells(&format!("ADMIN SHOW FRONTEND CONFIG LIKE '{like}'"), &["Key"]).await;
    assert_eq!(keys("tablet_sched_slot_num_per_path").await, keys("slot_num_per_path").await);
    assert_eq!(keys("tablet\\_sched\\_disable_balance").await, ["disable_balance"]);
    assert!(!keys("tablet_sched%").await.is_empty() && !keys("%tablet_sched_disable%").await.is_empty());
    assert_eq!(keys("tablet_sched_no_such").await, Vec::<String>::new());
    let all = scene.cells("ADMIN SHOW FRONTEND CONFIG", &["Key"]).await;
    assert!(keys("%tablet%").await.len() < all.len(), "a part of a prefix is in no name");
    scene.done("ADMIN SET FRONTEND CONFIG ('tablet_sched_disable_balance' = 'true')").await;
    let at = scene.cells("ADMIN SHOW FRONTEND CONFIG LIKE 'tablet_sched_disable_balance'", &["SetAt"]).await.remove(0);
    let shape: String = at.chars().map(|one| if one.is_ascii_digit() { '9' } else { one }).collect();
    assert_eq!(shape, "9999-99-99 99:99:99", "{at}");
}

/// A table is described as it was made: by its columns, by a statement that makes it again, by its comment.
#[actix::test]
async fn columns_are_kept() {
    let mut scene = Scene::new(1).await;
    let sql = "CREATE TABLE x (k BIGINT NOT NULL COMMENT 'it''s', v VARCHAR(8) DEFAULT 'a') DUPLICATE KEY(k) COMMENT \"a 'c'\" \
               PARTITION BY (p0) DISTRIBUTED BY HASH(k) BUCKETS 1 ORDER BY (k) PROPERTIES (\"replication_num\" = \"1\")";
    let create = async |sql: &str, scene: &mut Scene| {
        let (run, report) = (scene.house.ask.clone(), Engine::new(scene.house.ask.clone(), Default::default()));
        let sql = sql.to_string();
        let made = actix_rt::spawn(async move {
            let mut session = Session { db: Some("d".into()), ..Session::new("root", Role::Admin, "h", 1) };
            report.run(&mut session, split(&sql).unwrap().remove(0), &mut Rows::default()).await
        });
        let is_there = |world: &World| world.tables.values().any(|table| table.name == "x").then_some(());
        run.until(std::time::Duration::from_secs(5), |published| is_there(&published.world)).await.unwrap();
        scene.report().await;
        made.await.unwrap().unwrap();
    };
    let fields = ["Field", "Type", "Null", "Key", "Default", "Extra"];
    for round in ["as typed", "as shown"] {
        let sql = match round {
            "as typed" => sql.to_string(),
            _ => {
                let shown = scene.cells("SHOW CREATE TABLE x", &["Create Table"]).await.remove(0);
                scene.done("DROP TABLE x").await;
                shown
            }
        };
        create(&sql, &mut scene).await;
        assert_eq!(
            scene.cells("DESC x", &fields).await,
            ["k bigint NO true  ", "v varchar(8) YES false a "],
            "{round}"
        );
        assert_eq!(scene.cells("SHOW FULL COLUMNS FROM x LIKE 'k'", &["Field", "Comment"]).await, ["k it's"]);
        let of_all = "SELECT COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, ORDINAL_POSITION FROM information_schema.columns \
                      WHERE TABLE_NAME = 'x'";
        let columns = ["COLUMN_NAME", "COLUMN_TYPE", "DATA_TYPE", "ORDINAL_POSITION"];
        assert_eq!(scene.cells(of_all, &columns).await, ["k bigint bigint 1", "v varchar(8) varchar 2"]);
        assert_eq!(scene.cells("SHOW TABLE STATUS LIKE 'x'", &["Comment"]).await, ["a 'c'"]);
    }
    assert!(scene.cells("DESC t", &fields).await.is_empty());
    let session = Session { db: Some("d".into()), ..Session::new("root", Role::Viewer, "h", 1) };
    assert_eq!(scene.engine.has_table(&session, "t"), Ok(()));
    assert!(scene.engine.statistics().ends_with("Backends: 1  Databases: 1  Tables: 2  Tablets: 4"));
    assert_eq!(scene.engine.has_table(&session, "no").unwrap_err().code, 1146);
}

/// What is not there is told as such, whatever its number: scripts end with their own code.
#[actix::test]
async fn absence() {
    let scene = Scene::new(1).await;
    for sql in [
        "SHOW PROC '/nowhere'",
        "SHOW PROC '/backends/7'",
        "SHOW TABLET 7",
        "SHOW PARTITIONS FROM x",
        "SHOW TABLES FROM x",
        "ALTER SYSTEM DECOMMISSION BACKEND 'h9:1'",
        "ADMIN SET FRONTEND CONFIG ('no_such_knob' = '1')",
        "ADMIN CHECK TABLET (7)",
    ] {
        assert!(scene.refused(sql).await.is_absent, "{sql}");
    }
    for sql in ["SHOW", "ALTER TABLE t SET ('replication_num' = '9')", "ALTER TABLE t ADD PARTITION p0"] {
        assert!(!scene.refused(sql).await.is_absent, "{sql}");
    }
}
