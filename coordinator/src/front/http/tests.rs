//! The HTTP face over a whole house with a store in memory and agents that are only their words.

use super::*;
use crate::store::memory::MemoryStore;
use crate::testing::{WordyAgent, hello};
use crate::wiring::{self, House};
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::{Value, json};
use stele_common::config::RepairKnobs;
use stele_common::{BootId, Epoch, Version};
use stele_coordinator_rules::{EventBody, World};

mod scraped;
mod users;

struct Scene {
    house: House,
    agents: Vec<WordyAgent>,
}

impl Scene {
    async fn new(agents: u64) -> Scene {
        let fatal = |cause: String| panic!("{cause}");
        let store = Box::new(MemoryStore::default());
        let house = wiring::start(RepairKnobs::default(), None, store, Box::new(fatal)).await.unwrap();
        let mut scene = Scene { house, agents: vec![] };
        for number in 1..=agents {
            let boot = BootId(number);
            let body = EventBody::Hello { hello: hello(&format!("h{number}"), boot, Epoch(0)), proof: [0; 32] };
            let mut agent = WordyAgent::of(boot, scene.house.ask.catalog(body).await.unwrap());
            scene.tell(agent.first_report()).await;
            scene.agents.push(agent);
        }
        scene
    }

    async fn tell(&self, body: EventBody) {
        self.house.ask.catalog(body).await.unwrap();
    }

    fn front(&self) -> Data<Front> {
        let metrics = crate::telemetry::metrics_handle();
        Data::new(Front::new(self.house.ask.clone(), metrics, Users::open(None).map(Arc::new).unwrap()))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        ask(self.front(), method, path, body.map(|body| body.to_string().into_bytes())).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, None).await
    }

    /// All agents report what the catalog has placed on them, at `version`.
    async fn report_replicas(&mut self, version: Version) {
        let world = self.house.ask.now().world.clone();
        let mut agents = std::mem::take(&mut self.agents);
        for agent in &mut agents {
            let report = agent.replicas(&world, version);
            self.tell(report).await;
        }
        self.agents = agents;
    }

    /// A table with two tablets, reported by all.
    async fn table(&mut self) {
        let front = self.front();
        let body = json!({"db": "d", "name": "t", "replication": 3, "buckets": 2}).to_string().into_bytes();
        let created = actix_rt::spawn(ask(front, Method::POST, "/v1/tables", Some(body)));
        let is_there = |world: &World| (!world.tables.is_empty()).then_some(());
        self.house.ask.until(Duration::from_secs(5), |published| is_there(&published.world)).await.unwrap();
        self.report_replicas(Version::EMPTY).await;
        let (status, table) = created.await.unwrap();
        assert_eq!((status, &table["tablets"], &table["healthy"]), (StatusCode::OK, &json!(2), &json!(2)), "{table}");
    }
}

async fn ask(front: Data<Front>, method: Method, path: &str, body: Option<Vec<u8>>) -> (StatusCode, Value) {
    let app = init_service(app(front)).await;
    let mut request = TestRequest::default().method(method.clone()).uri(path);
    if let Some(body) = body {
        request = request.set_payload(body);
    }
    let response = call_service(&app, request.to_request()).await;
    let status = response.status();
    let is_json =
        response.headers().get("content-type").is_some_and(|it| it.to_str().is_ok_and(|it| it.contains("json")));
    let is_problem = response.headers().get("content-type").is_some_and(|it| it == "application/problem+json");
    let bytes = read_body(response).await;
    let value =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    assert_eq!(is_problem, !status.is_success(), "{path}: {status} {value}");
    if is_json {
        openapi::tests::check(&method, path, status, &value);
    }
    (status, value)
}

/// What a statement names and is not there is 404, so that `stele sql` ends as every command does; what is refused is not.
#[actix::test]
async fn statements_about_nothing() {
    let scene = Scene::new(0).await;
    for (sql, expected) in [
        ("SHOW PROC '/nowhere'", 404),
        ("SHOW TABLET 7", 404),
        ("ALTER SYSTEM DROP BACKEND 'h:1'", 404),
        ("SHOW TABLES FROM x", 404),
        ("SHWO", 400),
        ("SET GLOBAL a = 1", 400),
        ("SET PASSWORD = 'x'", 409),
    ] {
        let (status, body) = scene.ask(Method::POST, "/v1/sql", Some(json!({ "statement": sql }))).await;
        assert_eq!(status.as_u16(), expected, "{sql}: {body}");
    }
}

/// An empty cluster answers everything, and is ready.
#[actix::test]
async fn an_empty_cluster() {
    let scene = Scene::new(0).await;
    let (status, body) = scene.get("/v1/status").await;
    assert_eq!((status, &body["epoch"], &body["tablets"]), (StatusCode::OK, &json!(1), &json!(0)), "{body}");
    assert_eq!(scene.get("/v1/nodes").await.1, json!({"nodes": []}));
    assert_eq!(scene.get("/v1/disks").await.1, json!({"disks": []}));
    assert_eq!(scene.get("/v1/tables").await.1, json!({"tables": []}));
    assert_eq!(scene.get("/v1/tablets").await.1, json!({"tablets": []}));
    for state in ["open", "pending", "running", "history"] {
        assert_eq!(scene.get(&format!("/v1/tasks?state={state}")).await.1, json!({"tasks": []}));
    }
    assert_eq!(scene.get("/livez").await, (StatusCode::OK, json!("ok\n")));
    assert_eq!(scene.get("/readyz").await.0, StatusCode::OK);
    let (status, text) = scene.get("/metrics").await;
    let text = text.as_str().unwrap_or_default().to_string();
    assert!(status.is_success() && text.contains("# HELP stele_events_total"), "{text}");
    for line in [
        "stele_drains{state=\"draining\"} 0",
        "stele_drain_tablets_left 0",
        "stele_drain_bytes_left 0",
        "stele_drain_bytes_per_second 0",
        "stele_leases{kind=\"maintenance\"} 0",
        "stele_leases{kind=\"urgent\"} 0",
        "stele_tablets_inconsistent 0",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} is not in {text}");
    }
    scene.house.close().await;
}

/// Each kind of refusal has its status, a stable code and words.
#[actix::test]
async fn refusals() {
    let scene = Scene::new(1).await;
    let table = json!({"db": "d", "name": "t", "replication": 3, "buckets": 2});
    let load = json!({"key": "k", "db": "d", "table": "x", "partition": "p0", "mode": "add",
        "content": "0".repeat(64), "buckets": {"0": 1}});
    let cases = [
        (Method::GET, "/v1/nothing", None, 404, "no_such_path"),
        (Method::GET, "/v1/nodes/5", None, 404, "no_such_node"),
        (Method::GET, "/v1/nodes/five", None, 400, "bad_request"),
        (Method::GET, "/v1/tables/d/t", None, 404, "no_such_table"),
        (Method::DELETE, "/v1/tables/d/t", None, 404, "no_such_table"),
        (Method::GET, "/v1/tablets?table=d.t", None, 404, "no_such_table"),
        (Method::GET, "/v1/tablets?tabel=d.t", None, 400, "bad_request"),
        (Method::GET, "/v1/tablets/7", None, 404, "no_such_tablet"),
        (Method::GET, "/v1/tablets/7/explain", None, 404, "no_such_tablet"),
        (Method::GET, "/v1/tasks?state=odd", None, 400, "bad_request"),
        (Method::POST, "/v1/tables", Some(table), 409, "too_few_hosts"),
        (Method::POST, "/v1/tables", Some(json!({"db": "d"})), 400, "bad_request"),
        (Method::POST, "/v1/loads", Some(load), 404, "no_such_table"),
        (Method::POST, "/v1/loads/k/commit", None, 404, "no_such_load"),
        (Method::GET, "/v1/loads/k", None, 404, "no_such_load"),
        (Method::POST, "/v1/verify", Some(json!({"table": "d.t"})), 404, "no_such_table"),
        (Method::GET, "/v1/verify/3", None, 404, "no_such_verification"),
        (Method::POST, "/v1/nodes/drain", Some(json!({"nodes": [5]})), 404, "no_such_node"),
        (Method::POST, "/v1/nodes/drain", Some(json!({})), 400, "bad_request"),
        (Method::POST, "/v1/nodes/drain", Some(json!({"node": 5})), 400, "bad_request"),
        (Method::POST, "/v1/nodes/undrain", Some(json!({"rack": "r"})), 404, "no_such_rack"),
        (Method::POST, "/v1/disks/drain", Some(json!({"disks": [5]})), 404, "no_such_disk"),
        (Method::GET, "/v1/nodes/5/drain", None, 404, "no_drain"),
        (Method::GET, "/v1/disks/5/drain", None, 404, "no_drain"),
        (Method::GET, "/v1/nodes/5/certificate", None, 404, "no_such_node"),
        (Method::POST, "/v1/nodes/5/remove", Some(json!({})), 404, "no_such_node"),
        (Method::POST, "/v1/nodes/admit", Some(json!({"host": "h1"})), 404, "no_such_node"),
        (
            Method::POST,
            "/v1/leases",
            Some(json!({"on": {"kind": "maintenance", "node": 5}, "for_ms": 1})),
            404,
            "no_such_node",
        ),
        (Method::DELETE, "/v1/leases/5", None, 404, "no_such_lease"),
        (Method::GET, "/v1/config/odd", None, 404, "no_such_knob"),
        (Method::PUT, "/v1/config/odd", Some(json!({"value": 1})), 404, "no_such_knob"),
        (Method::PUT, "/v1/config/keep_versions", Some(json!({"value": 0})), 400, "bad_knob"),
        (Method::PUT, "/v1/config/keep_versions", Some(json!({"value": "many"})), 400, "bad_knob"),
        (Method::PUT, "/v1/config/beat_ms", Some(json!({"value": 1})), 400, "bad_knob"),
        (Method::PUT, "/v1/level", Some(json!({"level": "odd"})), 400, "bad_request"),
        (Method::GET, "/v1/groups/g", None, 404, "no_such_group"),
        (Method::PATCH, "/v1/tables/d/t", Some(json!({"replication": 2})), 404, "no_such_table"),
        (Method::POST, "/v1/tablets/7/replicas/8", Some(json!({"state": "bad"})), 404, "no_such_replica"),
        (Method::POST, "/v1/disks/init", Some(json!({"host": "h", "path": "/p", "replace": 9})), 404, "no_such_disk"),
    ];
    for (method, path, body, expected, code) in cases {
        let (status, problem) = scene.ask(method, path, body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (expected, &json!(code)), "{path}: {problem}");
        assert_eq!(problem["status"], json!(expected));
        assert!(!problem["detail"].as_str().unwrap_or_default().is_empty(), "{path}: {problem}");
    }
    scene.house.close().await;
}

/// A body beyond the bound is refused without being kept.
#[actix::test]
async fn oversize_body() {
    let scene = Scene::new(0).await;
    let big = vec![b' '; body::BODY_MAX + 1];
    let (status, problem) = ask(scene.front(), Method::POST, "/v1/tables", Some(big)).await;
    assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("too_large")));
    scene.house.close().await;
}

/// A table is answered once its replicas have been reported; lists and explanations show it.
#[actix::test]
async fn a_table() {
    let mut scene = Scene::new(3).await;
    scene.table().await;
    let (_, tablets) = scene.get("/v1/tablets?table=d.t&status=HEALTHY&partition=p0").await;
    let tablets = tablets["tablets"].as_array().unwrap().clone();
    assert_eq!(tablets.len(), 2);
    let id = &tablets[0]["id"];
    assert_eq!(scene.get(&format!("/v1/tablets/{id}")).await.1["replicas"].as_array().unwrap().len(), 3);
    let (status, explained) = scene.get(&format!("/v1/tablets/{id}/explain")).await;
    assert_eq!((status, &explained["tablet"]["status"]), (StatusCode::OK, &json!("HEALTHY")), "{explained}");
    let (_, status) = scene.get("/v1/status").await;
    assert_eq!((&status["verdicts"]["HEALTHY"], &status["copies"]["3"]), (&json!(2), &json!(2)), "{status}");
    assert_eq!((&status["nodes"]["alive"], &status["disks"]["online"]), (&json!(3), &json!(3)));
    let (_, nodes) = scene.get("/v1/nodes").await;
    assert_eq!(nodes["nodes"][0]["replicas"], json!(2), "{nodes}");
    let limits = Some(json!({"value": 1}));
    let slips = [
        (Method::GET, "/v1/tables/e/t", None, "did you mean d.t?"),
        (Method::DELETE, "/v1/tables/d/tt", None, "did you mean d.t?"),
        (Method::GET, "/v1/config/asign_delay_ms", None, "did you mean assign_delay_ms?"),
        (Method::PUT, "/v1/config/asign_delay_ms", limits, "did you mean assign_delay_ms?"),
    ];
    for (method, path, body, meant) in slips {
        assert_eq!(scene.ask(method, path, body).await.1["next"], json!(meant), "{path}");
    }
    assert_eq!(scene.ask(Method::DELETE, "/v1/tables/d/t", None).await.0, StatusCode::OK);
    assert_eq!(scene.get("/v1/tables/d/t").await.0, StatusCode::NOT_FOUND);
    scene.house.close().await;
}

/// Who waits for the planner gets what it finds; who does not is told that it is still looking.
#[actix::test]
async fn a_balance() {
    let mut scene = Scene::new(3).await;
    scene.table().await;
    let (status, balance) = scene.get("/v1/balance").await;
    assert_eq!((status, &balance["is_looking"]), (StatusCode::OK, &json!(false)), "{balance}");
    assert_eq!(balance["next_none"]["code"], "balance_idle", "{balance}");
    let (status, balance) = scene.get("/v1/balance?wait_ms=0").await;
    assert_eq!((status, &balance["is_looking"]), (StatusCode::OK, &json!(true)), "{balance}");
    assert_eq!((&balance["next"], &balance["next_none"]), (&json!([]), &Value::Null), "{balance}");
    assert_eq!(balance["nodes"].as_array().map(Vec::len), Some(3), "the rest is there: {balance}");
}

/// A drain that does not fit is a problem that carries what was found; one that fits goes on record, and an empty
/// node is drained, certified and removed.
#[actix::test]
async fn a_drain() {
    let mut scene = Scene::new(3).await;
    scene.table().await;
    let node = scene.agents[0].node;
    let (status, found) = scene.ask(Method::POST, "/v1/nodes/drain", Some(json!({"nodes": [node]}))).await;
    assert_eq!(
        (status.as_u16(), &found["code"], &found["blocked"]),
        (409, &json!("does_not_fit"), &json!(2)),
        "{found}"
    );
    assert_eq!(found["blockers"][0]["code"], json!("too_few_hosts"), "{found}");
    let forced = json!({"nodes": [node], "force": true, "owner": "ann"});
    let (status, found) = scene.ask(Method::POST, "/v1/nodes/drain", Some(forced)).await;
    assert_eq!((status.as_u16(), &found["begun"]), (200, &json!(true)), "{found}");
    let (_, drain) = scene.get(&format!("/v1/nodes/{node}/drain")).await;
    assert_eq!(
        (&drain["state"], &drain["tablets_left"], &drain["owner"]),
        (&json!("DRAINING"), &json!(2), &json!("ann"))
    );
    assert!(drain["left"][0]["why"]["detail"].as_str().is_some_and(|why| !why.is_empty()), "{drain}");
    let (_, info) = scene.get(&format!("/v1/nodes/{node}")).await;
    assert_eq!((&info["drain"], &info["drain_progress"]["tablets"]), (&json!("DRAINING"), &json!(2)), "{info}");
    let (status, missing) = scene.get(&format!("/v1/nodes/{node}/certificate")).await;
    assert_eq!((status.as_u16(), &missing["code"], &missing["missing"]), (409, &json!("not_drained"), &json!(2)));
    let (status, refused) = scene.ask(Method::POST, &format!("/v1/nodes/{node}/remove"), Some(json!({}))).await;
    assert_eq!((status.as_u16(), &refused["code"], &refused["tablets"]), (409, &json!("node_not_empty"), &json!(2)));

    assert_eq!(scene.ask(Method::DELETE, "/v1/tables/d/t", None).await.0, StatusCode::OK);
    let is_done = |published: &Published| {
        let done = published.world.drains.values().all(|drain| drain.done_wall_ms.is_some());
        done.then_some(())
    };
    scene.house.ask.until(Duration::from_secs(10), is_done).await.unwrap();
    let (status, certificate) = scene.get(&format!("/v1/nodes/{node}/certificate")).await;
    assert_eq!((status.as_u16(), &certificate["dropped"]), (200, &json!(2)), "{certificate}");
    let (_, brief) = scene.get(&format!("/v1/nodes/{node}/certificate?brief=true")).await;
    assert_eq!((&brief["proven"], &brief["dropped"]), (&json!([]), &json!(2)), "{brief}");
    let (status, removal) = scene.ask(Method::POST, &format!("/v1/nodes/{node}/remove"), Some(json!({}))).await;
    assert_eq!((status.as_u16(), &removal["removed"]), (200, &json!(true)), "{removal}");
    assert_eq!(scene.get(&format!("/v1/nodes/{node}")).await.0, StatusCode::NOT_FOUND);
    scene.house.close().await;
}

/// A load from opening to acknowledgement: the commit answers VISIBLE only after a quorum has installed it.
#[actix::test]
async fn a_load() {
    let mut scene = Scene::new(3).await;
    scene.table().await;
    let open = json!({"key": "k", "db": "d", "table": "t", "partition": "p0", "mode": "add",
        "content": "0".repeat(64), "buckets": {"0": 10, "1": 10}});
    let (status, opened) = scene.ask(Method::POST, "/v1/loads", Some(open.clone())).await;
    assert_eq!((status, opened["tablets"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{opened}");
    let (_, result) = scene.ask(Method::POST, "/v1/loads/k/commit?wait_ms=0", None).await;
    assert_eq!(result["state"], json!("OPEN"), "{result}");

    let world = scene.house.ask.now().world.clone();
    let load = world.loads.values().next().unwrap().clone();
    let mut agents = std::mem::take(&mut scene.agents);
    for agent in &mut agents {
        scene.tell(agent.prepared(&world, &load)).await;
    }
    scene.agents = agents;
    let (_, result) = scene.get("/v1/loads/k").await;
    assert_eq!(result["state"], json!("COMMITTED"), "{result}");
    let waiting = actix_rt::spawn(ask(scene.front(), Method::POST, "/v1/loads/k/commit?wait_ms=20000", None));
    scene.report_replicas(Version(1)).await;
    let (status, result) = waiting.await.unwrap();
    assert_eq!((status, &result["state"]), (StatusCode::OK, &json!("VISIBLE")), "{result}");
    assert!(result["versions"].as_object().unwrap().values().all(|version| *version == json!(1)), "{result}");
    let (_, again) = scene.ask(Method::POST, "/v1/loads", Some(open)).await;
    assert_eq!(again["done"]["state"], json!("VISIBLE"), "{again}");
    scene.house.close().await;
}

/// Reads the stream until a message of this kind, and gives its id and its data.
async fn heard<B: MessageBody + Unpin>(stream: &mut B, kind: &str) -> (String, Value) {
    let mut text = String::new();
    loop {
        while let Some((message, rest)) = text.split_once("\n\n") {
            let field = |name: &str| {
                let value = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                value.unwrap_or_default().to_string()
            };
            if field("event") == kind {
                return (field("id"), serde_json::from_str(&field("data")).unwrap());
            }
            text = rest.to_string();
        }
        let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *stream).poll_next(cx));
        let bytes = tokio::time::timeout(Duration::from_secs(20), next).await.unwrap().unwrap();
        text += &String::from_utf8_lossy(&bytes.unwrap_or_else(|_| panic!("the stream broke off")));
    }
}

/// A listener hears of a table that is created; one that comes back with its last id is told what it missed, and one
/// with an id of another epoch to read everything again.
#[actix::test]
async fn events() {
    let mut scene = Scene::new(3).await;
    let front = scene.front();
    let app = init_service(app(front.clone())).await;
    let listen = |id: Option<&str>| {
        let mut request = TestRequest::get().uri("/v1/events");
        if let Some(id) = id {
            request = request.insert_header(("Last-Event-ID", id));
        }
        request.to_request()
    };
    let mut stream = call_service(&app, listen(None)).await.into_body();
    let (first, hello) = heard(&mut stream, "hello").await;
    assert_eq!((&hello["epoch"], &hello["changed"]), (&json!(1), &json!([])), "{hello}");
    scene.table().await;
    let (_, news) = loop {
        let (id, news) = heard(&mut stream, "change").await;
        if news["changed"].as_array().unwrap().contains(&json!("tables")) {
            break (id, news);
        }
    };
    assert!(news["happened"].as_array().unwrap().iter().any(|line| line["kind"] == "table_added"), "{news}");
    let mut again = call_service(&app, listen(Some(&first))).await.into_body();
    let (_, missed) = heard(&mut again, "change").await;
    assert!(missed["changed"].as_array().unwrap().contains(&json!("tables")), "{missed}");
    let mut stranger = call_service(&app, listen(Some("77-1"))).await.into_body();
    let (_, reset) = heard(&mut stranger, "reset").await;
    assert_eq!(reset["changed"].as_array().map(Vec::len), Some(stele_common::api::Topic::ALL.len()), "{reset}");
    let (_, recent) = {
        let app = call_service(&app, TestRequest::get().uri("/v1/events/recent?limit=1").to_request()).await;
        (app.status(), serde_json::from_slice::<Value>(&read_body(app).await).unwrap())
    };
    assert_eq!(recent["events"].as_array().map(Vec::len), Some(1), "{recent}");
    drop((stream, again, stranger));
    scene.house.close().await;
}

/// Lists come in pages: `next` leads through all of them, and is not there at the end.
#[actix::test]
async fn pages() {
    let mut scene = Scene::new(3).await;
    scene.table().await;
    let (_, all) = scene.get("/v1/tablets").await;
    assert!(all.get("next").is_none(), "{all}");
    for filter in ["", "&table=d.t", "&status=HEALTHY"] {
        let (_, first) = scene.get(&format!("/v1/tablets?limit=1{filter}")).await;
        assert_eq!(first["tablets"].as_array().map(Vec::len), Some(1), "{first}");
        assert_eq!(first["next"], first["tablets"][0]["id"], "{first}");
        let (_, last) = scene.get(&format!("/v1/tablets?limit=1&after={}{filter}", first["next"])).await;
        assert_eq!((&last["tablets"][0]["id"], last.get("next")), (&all["tablets"][1]["id"], None), "{last}");
    }
    let (status, absent) = scene.get("/v1/tablets?table=d.t&partition=p1").await;
    assert_eq!((status, &absent["code"]), (StatusCode::NOT_FOUND, &json!("no_such_partition")), "{absent}");
    assert_eq!(absent["next"], "did you mean p0?", "{absent}");
    let (_, absent) = scene.get("/v1/tablets?table=d.t&partition=NOPE").await;
    assert_eq!(absent["next"], "it has p0", "{absent}");
    let node = scene.agents[0].node;
    let (_, here) = scene.get(&format!("/v1/tablets?node={node}&disk={}", scene.agents[0].disk)).await;
    assert_eq!(here["tablets"].as_array().map(Vec::len), Some(2), "{here}");
    let (_, nowhere) = scene.get(&format!("/v1/tablets?node={node}&disk={}", scene.agents[1].disk)).await;
    assert_eq!(nowhere, json!({"tablets": []}));
    assert_eq!(scene.get("/v1/tasks?state=history&limit=0").await.1, json!({"tasks": []}));
    let another = json!({"db": "d", "name": "s", "replication": 3, "buckets": 1});
    scene.tell(EventBody::CreateTable(serde_json::from_value(another).unwrap())).await;
    for (list, next) in [("nodes", "id"), ("tables", "name")] {
        let (_, all) = scene.get(&format!("/v1/{list}")).await;
        let all = all[list].as_array().expect("a list").clone();
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let (_, page) = scene.get(&format!("/v1/{list}?limit=1{after}")).await;
            seen.extend(page[list].as_array().expect("a list").clone());
            let Some(last) = page.get("next") else { break };
            assert!(last == &page[list][0][next] || last == "d.s", "{page}");
            after = format!("&after={}", last.to_string().trim_matches('"'));
        }
        assert!(all.len() > 1 && seen == all, "{list}: {seen:?}");
    }
    scene.house.close().await;
}

/// A write that is asked again under its key is not done again, and answered as before; the key of another wish is
/// refused.
#[actix::test]
async fn idempotency() {
    let mut scene = Scene::new(3).await;
    scene.table().await;
    let front = scene.front();
    let app = init_service(app(front)).await;
    let lease = |key: &str, minutes: u64| {
        let node = scene.agents[0].node;
        let body = json!({"on": {"kind": "maintenance", "node": node}, "for_ms": minutes * 60_000, "owner": "ann"});
        let request = TestRequest::post().uri("/v1/leases").insert_header(("Idempotency-Key", key));
        request.set_payload(body.to_string()).to_request()
    };
    let mut ids = Vec::new();
    for (key, minutes) in [("a", 60), ("a", 60), ("b", 60)] {
        let answer = call_service(&app, lease(key, minutes)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let value: Value = serde_json::from_slice(&read_body(answer).await).unwrap();
        ids.push(value["id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    let Err(refused) = actix_web::test::try_call_service(&app, lease("a", 30)).await else { panic!("not refused") };
    assert_eq!(refused.as_response_error().status_code(), StatusCode::UNPROCESSABLE_ENTITY);
    scene.house.close().await;
}
