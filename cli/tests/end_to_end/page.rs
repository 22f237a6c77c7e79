//! The web page in a real browser, on a real cluster.

use crate::browser::Browser;
use crate::cluster::Cluster;
use crate::data;
use std::path::Path;

/// The pill in the bar says so.
fn pill(word: &str) -> String {
    format!("return document.querySelector('#pill')?.innerText.includes('{word}') ?? false")
}

/// The page is drawn: the one of this address, and nothing under way.
const DRAWN: &str =
    "return document.querySelector('main').dataset.state === 'ready' && document.querySelector('#live.on') !== null";

fn go(browser: &Browser, hash: &str) {
    browser.run(&format!("location.hash = '#/{hash}'"));
    browser.until(&format!("#/{hash} is drawn"), DRAWN);
}

/// A host dies and comes back, and the page that was loaded before shows both by itself; then a node is drained from the
/// page, and is empty. Nothing is written to the console on the way.
#[test]
fn the_page_lives() {
    let Some(browser) = Browser::open() else { return };
    let mut cluster = Cluster::up(5, 1);
    let source = cluster.root.path().join("source");
    data::write(&source, 24, 1);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "8"]);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.until_whole(3);

    browser.go(&format!("http://{}/", cluster.http));
    browser.until("it is healthy", &pill("healthy"));
    browser.run("window.loadedOnce = true");
    cluster.agents[1].process.kill();
    browser.until("the death shows", &pill("problem"));
    browser.until("the dead node is named", "return document.querySelector('#health').innerText.includes('node_')");
    cluster.until_whole(3);
    cluster.agents[1].process.start(&[]);
    browser.until("the return shows", &pill("healthy"));

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
    every_page(&browser, &node["id"].to_string(), &tablet);
    assert_eq!(browser.errors(), Vec::<String>::new());
}

fn pictures() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    folder
}

/// Each page, in both themes and on a phone, where nothing may stick out sideways; the pictures are kept.
fn every_page(browser: &Browser, node: &str, tablet: &str) {
    let (node, tablet) = (format!("nodes/{node}"), format!("tablets/{tablet}"));
    let pages = [
        ("overview", ""),
        ("nodes", "nodes"),
        ("node", &node),
        ("tables", "tables"),
        ("tablets", "tables/d/t"),
        ("tablet", &tablet),
        ("running", "tasks/running"),
        ("pending", "tasks/pending"),
        ("history", "tasks/history"),
        ("balance", "balance"),
        ("plans", "plans"),
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
        browser.size(400, 820);
        let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(wide.as_i64().is_some_and(|wide| wide <= 0), "{name} is {wide} too wide for a phone");
        browser.picture(&pictures().join(format!("{name}-phone.png")));
        browser.size(1360, 900);
    }
}
