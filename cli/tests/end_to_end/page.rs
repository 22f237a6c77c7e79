//! The web page in a real browser, on a real cluster.

use crate::browser::Browser;
use crate::cluster::{Cluster, STELE};
use crate::data;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// The pill in the bar says so.
fn pill(word: &str) -> String {
    format!("return document.querySelector('#pill')?.innerText.includes('{word}') ?? false")
}

/// No name is too long for a phone.
const LONG: &str = "d.a_table_with_a_very_long_name_for_a_phone";

/// The page is drawn: the one of this address, and nothing under way.
const DRAWN: &str =
    "return document.querySelector('main').dataset.state === 'ready' && document.querySelector('#live.on') !== null";

fn go(browser: &Browser, hash: &str) {
    browser.run(&format!("location.hash = '#/{hash}'"));
    browser.until(&format!("#/{hash} is drawn"), DRAWN);
}

/// A host dies and comes back, and so does the coordinator: the page that was loaded before shows all of it by itself.
/// Then a node is drained from the page, and is empty. Nothing is written to the console on the way.
#[test]
fn the_page_lives() {
    let Some(browser) = Browser::open() else { return };
    let mut cluster = Cluster::up(5, 1);
    let source = cluster.root.path().join("source");
    data::write(&source, 24, 1);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "8"]);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.ok(&["table", "create", LONG, "--replication", "3", "--buckets", "2"]);
    cluster.until_whole(3);

    browser.go(&format!("http://{}/", cluster.http));
    browser.until("it is healthy", &pill("healthy"));
    browser.run("window.loadedOnce = true");
    cluster.agents[1].process.kill();
    browser.until("the death shows", &pill("problem"));
    browser.until("the dead node is named", "return document.querySelector('#health').innerText.includes('node_')");
    for (name, hash) in [("overview", ""), ("pending", "tasks/pending"), ("nodes", "nodes"), ("events", "events")] {
        go(&browser, hash);
        fits_a_phone(&browser, &format!("ill-{name}"));
    }
    go(&browser, "nodes");
    cluster.until_whole(3);
    cluster.agents[1].process.start(&[]);
    browser.until("the return shows", &pill("healthy"));
    the_coordinator_goes(&browser, &mut cluster);
    cluster.until_whole(3);

    let nodes = cluster.get("/v1/nodes");
    let node = nodes["nodes"].as_array().expect("nodes").iter().find(|node| node["host"] == "host-3").expect("host-3");
    go(&browser, &format!("nodes/{}", node["id"]));
    browser.click("//main//button[.='Drain']");
    browser.until("the check is shown", "return document.querySelector('dialog')?.innerText.includes('finds a place')");
    browser.picture(&pictures().join("drain-dialog.png"));
    browser.click("//dialog//button[.='Drain it']");
    browser.until("the drain shows", "return document.querySelector('#drain') !== null");
    browser.until("it is drained", "return document.querySelector('#drain').innerText.includes('Certificate')");
    cluster.until_whole(3);
    browser.click("//main//button[.='Undrain']");
    browser.click("//dialog//button[.='Take it back']");
    browser.until("it takes copies again", "return document.querySelector('#drain') === null");
    assert_eq!(browser.run("return window.loadedOnce"), true, "the page was loaded anew");

    let tablet = cluster.tablets()[0]["id"].to_string();
    cluster.ok(&["node", "drain", "host-1", "--plan"]);
    every_page(&browser, &node["id"].to_string(), &tablet);
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// A coordinator that is gone is told, and nothing is offered meanwhile; when it is back, so is the page.
fn the_coordinator_goes(browser: &Browser, cluster: &mut Cluster) {
    let deeds = |is_off: bool| {
        format!(
            "return [...document.querySelectorAll('main td.deeds button')].every((one) => one.disabled === {is_off})"
        )
    };
    cluster.coordinator.kill();
    browser.until(
        "its silence shows",
        "return document.querySelector('#away').innerText.includes('no answer from the coordinator since')",
    );
    browser.until("nothing is known", &pill("unknown"));
    browser.until("nothing is offered", &deeds(true));
    assert!(browser.text("main").contains("host-3"), "what was shown is gone");
    browser.picture(&pictures().join("away.png"));
    fits_a_phone(browser, "away");
    cluster.coordinator.start(&[]);
    browser.until("its return shows", "return document.querySelector('#away').innerText === ''");
    browser.until("it is healthy again", &pill("healthy"));
    browser.until("all is offered again", &deeds(false));
    // Chromium itself writes a line for each question that nobody answers.
    browser.errors();
}

/// With users the page asks who one is: a wrong password says so, a viewer sees everything and may press nothing, an
/// operator drains in its own name, and after logging out nothing is to be seen.
#[test]
fn the_page_with_users() {
    let Some(browser) = Browser::open() else { return };
    let root = tempfile::tempdir().expect("a directory");
    let file = root.path().join("users.toml");
    let add = |name: &str, role: &str| add_user(&file, name, role, "open sesame");
    add("vic", "viewer");
    add("ola", "operator");
    let admin = add("ana", "admin");
    let env = [("STELE__COORDINATOR__USERS_FILE", file.to_str().expect("utf-8")), ("STELE_TOKEN", admin.as_str())];
    let cluster = Cluster::up_with(4, 1, &env);
    let stele = |args: &[&str]| {
        let mut command = std::process::Command::new(STELE);
        let output = command.args(args).env("STELE_COORDINATOR", &cluster.http).env("STELE_TOKEN", &admin).output();
        String::from_utf8_lossy(&output.expect("stele runs").stdout).into_owned()
    };
    stele(&["table", "create", "d.t", "--replication", "2", "--buckets", "4"]);

    browser.go(&format!("http://{}/#/nodes", cluster.http));
    let form = "return document.querySelector('main').dataset.state === 'login'";
    browser.until("it asks who one is", form);
    assert!(!browser.text("body").contains("host-1"), "something is seen before the login");
    browser.picture(&pictures().join("login.png"));
    log_in(&browser, "vic", "wrong");
    browser.until(
        "a wrong password says so",
        "return document.querySelector('main [role=alert]')?.innerText.includes('wrong')",
    );
    browser.picture(&pictures().join("login-wrong.png"));
    // Chromium itself writes a line for an answer of 401.
    browser.errors();

    log_in(&browser, "vic", "open sesame");
    browser.until("the nodes are there, live", DRAWN);
    assert!(browser.text("main").contains("host-3"), "a viewer sees the nodes");
    let held = "const all = [...document.querySelectorAll('main button')]; \
                return all.length > 3 && all.every((one) => one.disabled && one.title.includes('needs the role operator'))";
    assert_eq!(browser.run(held), true, "{}", browser.text("main"));
    browser.picture(&pictures().join("viewer.png"));
    browser.click("//button[.='Log out']");
    browser.until("it asks again", form);

    log_in(&browser, "ola", "open sesame");
    browser.until("the nodes are there again", DRAWN);
    browser.run("window.loadedOnce = true");
    browser.click("(//main//button[.='Drain'])[1]");
    browser.until("the check is shown", "return document.querySelector('dialog')?.innerText.includes('finds a place')");
    assert!(!browser.text("dialog").contains("Your name"), "who is logged in is not asked for a name");
    browser.click("//dialog//button[.='Drain it']");
    browser.until("it drains and is empty", "return document.querySelector('main').innerText.includes('drained')");
    assert_eq!(browser.run("return window.loadedOnce"), true, "the page was loaded anew");
    assert!(stele(&["node", "list", "-o", "json"]).contains("\"owner\": \"ola\""), "the drain has another owner");
    assert_eq!(browser.errors(), Vec::<String>::new());
    browser.run("location.reload()");
    browser.until("a reload asks nothing", DRAWN);
    browser.size(400, 820);
    let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
    assert!(wide.as_i64().is_some_and(|wide| wide <= 0), "the bar is {wide} too wide for a phone");
    browser.picture(&pictures().join("operator-phone.png"));

    // The login ends behind the page's back, as it does by itself after a time: the page asks, and then asks nobody else.
    browser.run(
        "fetch('v1/session', {method: 'DELETE', headers: {Authorization: `Bearer ${localStorage.getItem('stele.session')}`}})",
    );
    browser.until("it asks who one is when the login is over", form);
    assert!(!browser.text("body").contains("host-3"), "something is seen after the login");
    browser.run("performance.clearResourceTimings(); window.asked = performance.now()");
    browser.until("time passes", "return performance.now() - window.asked > 3500");
    let asked = browser.run("return performance.getEntriesByType('resource').map((one) => one.name)");
    assert_eq!(asked, serde_json::json!([]), "the page goes on asking");
    assert_eq!(browser.run("return document.activeElement.name"), "name", "the form is drawn again and again");
    browser.errors();
    log_in(&browser, "ola", "open sesame");
    browser.until("the page is there again", DRAWN);
    browser.until("and live", "return document.querySelector('#live').className.includes('on')");
}

/// Fills in the form as a person does.
fn log_in(browser: &Browser, name: &str, password: &str) {
    for (field, text) in [("name", name), ("password", password)] {
        browser.run(&format!("document.querySelector('input[name={field}]').value = '{text}'"));
    }
    browser.click("//button[.='Log in']");
}

/// `stele user add`; answers the token.
fn add_user(file: &Path, name: &str, role: &str, password: &str) -> String {
    let mut command = std::process::Command::new(STELE);
    command.args(["user", "add", name, "--role", role, "--file"]).arg(file);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("stele runs");
    writeln!(child.stdin.take().expect("piped"), "{password}").expect("written");
    let said = String::from_utf8_lossy(&child.wait_with_output().expect("it ends").stdout).into_owned();
    said.lines().find_map(|line| line.strip_prefix("token  ")).expect("a token").to_string()
}

fn pictures() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    folder
}

/// Each page, in both themes and on a phone, where nothing may stick out sideways; the pictures are kept.
fn every_page(browser: &Browser, node: &str, tablet: &str) {
    let (node, tablet) = (format!("nodes/{node}"), format!("tablets/{tablet}"));
    go(browser, "plans");
    let plan = browser.run("return document.querySelector('main a[href*=\"plans/\"]').hash.slice(2)");
    let plan = plan.as_str().expect("the plan's page").to_string();
    let long = format!("tables/{}", LONG.replace('.', "/"));
    let pages = [
        ("overview", ""),
        ("nodes", "nodes"),
        ("node", &node),
        ("tables", "tables"),
        ("tablets", "tables/d/t"),
        ("long", &long),
        ("tablet", &tablet),
        ("running", "tasks/running"),
        ("pending", "tasks/pending"),
        ("history", "tasks/history"),
        ("balance", "balance"),
        ("plans", "plans"),
        ("plan", &plan),
        ("events", "events"),
    ];
    for (name, hash) in pages {
        go(browser, hash);
        for theme in ["dark", "light"] {
            if browser.run("return document.documentElement.dataset.theme") != theme {
                browser.click("//button[@id='theme']");
            }
            browser.picture(&pictures().join(format!("{name}-{theme}.png")));
        }
        fits_a_phone(browser, name);
    }
}

/// Nothing sticks out sideways; the picture is kept.
fn fits_a_phone(browser: &Browser, name: &str) {
    browser.size(390, 820);
    let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
    assert!(wide.as_i64().is_some_and(|wide| wide <= 0), "{name} is {wide} too wide for a phone");
    browser.picture(&pictures().join(format!("{name}-phone.png")));
    browser.size(1280, 900);
}
