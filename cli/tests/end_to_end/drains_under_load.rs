//! Hosts are emptied while loads go on: what is seen of every tablet and of every drain meanwhile, the certificates at
//! the end, and what loads alone do to the number of complete copies, to hold it against.
//!
//! `STELE_TEST_TABLETS=500 cargo test -p stele --test end_to_end -- hosts_are_emptied --nocapture` prints the figures.

use crate::cluster::{Cluster, get, text, until};
use crate::data;
use crate::drains::{json, node};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Wanted copies.
const COPIES: usize = 3;
/// What a load's commit needs, and so what every tablet keeps complete while one is being installed.
const QUORUM: usize = COPIES / 2 + 1;
/// Files of one load: it touches about as many tablets.
const FILES: u64 = 20;

/// What is seen while something goes on.
#[derive(Default)]
struct Watch {
    over: AtomicBool,
    loads: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    rounds: u64,
    looks: u64,
    /// Looks at which a tablet had fewer complete copies than wanted, and the fewest.
    below: u64,
    least: Option<usize>,
    /// The longest that one tablet was seen below without a break.
    longest: Duration,
    since: BTreeMap<u64, Instant>,
    /// By node: when it was asked, and the interval that it gave in seconds.
    estimates: BTreeMap<String, Vec<(Instant, u64, u64)>>,
    moved: BTreeMap<String, u64>,
}

/// Small loads one after the other, each with files of its own.
fn keep_loading(http: &str, dir: &Path, watch: &Watch) {
    while !watch.over.load(Ordering::Relaxed) {
        let number = watch.loads.load(Ordering::Relaxed);
        let source = dir.join(format!("load-{number}"));
        std::fs::create_dir_all(&source).expect("made");
        for file in 0..FILES {
            std::fs::write(source.join(format!("more-{number}-{file}")), format!("load {number}")).expect("written");
        }
        let load = Command::new(crate::cluster::STELE)
            .args(["load", "d.t", source.to_str().expect("utf-8"), "--timeout", "60"])
            .env("STELE_COORDINATOR", http)
            .output()
            .expect("stele runs");
        assert!(load.status.success(), "load {number}: {}", text(&load));
        watch.loads.fetch_add(1, Ordering::Relaxed);
    }
}

fn keep_looking(http: &str, nodes: &[String], watch: &Watch) {
    while !watch.over.load(Ordering::Relaxed) {
        let tablets = get(http, "/v1/tablets?table=d.t")["tablets"].as_array().cloned().unwrap_or_default();
        let drains: Vec<(&String, Value)> =
            nodes.iter().map(|node| (node, get(http, &format!("/v1/nodes/{node}/drain")))).collect();
        let mut seen = watch.seen.lock().expect("nobody panics with it");
        seen.rounds += 1;
        tablets.iter().for_each(|tablet| seen.look(tablet));
        drains.iter().for_each(|(node, drain)| seen.look_at_drain(node, drain));
        drop(seen);
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Seen {
    /// There are always as many living copies on different hosts as are wanted. One that is alive and not complete has
    /// not installed a load that a quorum has: nothing else may explain it, and a quorum is always complete.
    fn look(&mut self, tablet: &Value) {
        let (id, now) = (tablet["id"].as_u64().expect("id"), Instant::now());
        let replicas = tablet["replicas"].as_array().expect("replicas");
        let hosts = |word: &str| -> BTreeSet<&str> {
            replicas.iter().filter(|r| r[word] == true).filter_map(|r| r["host"].as_str()).collect()
        };
        let (alive, complete) = (hosts("alive").len(), hosts("complete").len());
        assert!(alive >= COPIES, "fewer living copies than wanted: {tablet:#}");
        assert!(complete >= QUORUM, "fewer complete copies than a quorum: {tablet:#}");
        for replica in replicas.iter().filter(|r| r["alive"] == true && r["complete"] == false) {
            let why = replica["why"].as_str().unwrap_or_default();
            assert!(why.contains("behind") || why.contains("committed without it"), "no load explains it: {tablet:#}");
        }
        self.looks += 1;
        self.least = self.least.into_iter().chain([complete]).min();
        if complete < COPIES {
            self.below += 1;
            let since = *self.since.entry(id).or_insert(now);
            self.longest = self.longest.max(now - since);
        } else {
            self.since.remove(&id);
        }
    }

    /// A drain never goes back.
    fn look_at_drain(&mut self, node: &str, drain: &Value) {
        let Some(moved) = drain["tablets_moved"].as_u64() else { return };
        let before = self.moved.insert(node.into(), moved).unwrap_or(0);
        assert!(moved >= before, "the drain of {node} went back from {before} to {moved}");
        if let (Some(from), Some(to)) = (drain["eta_s"][0].as_u64(), drain["eta_s"][1].as_u64()) {
            self.estimates.entry(node.into()).or_default().push((Instant::now(), from, to));
        }
    }

    fn tell(&self, what: &str, loads: u64) {
        println!(
            "{what}: {loads} loads; {} looks in {} rounds, {} below {COPIES} complete, never below {:?}, longest {:?}",
            self.looks, self.rounds, self.below, self.least, self.longest
        );
        for (node, estimates) in &self.estimates {
            let Some((end, ..)) = estimates.last() else { continue };
            let left = |asked: &Instant| (*end - *asked).as_secs_f64();
            let is_inside = |(asked, from, to): &&(Instant, u64, u64)| {
                (*from as f64 - 1.0..=*to as f64 + 1.0).contains(&left(asked))
            };
            let inside = estimates.iter().filter(is_inside).count();
            println!("  node {node}: the end lay inside {inside} of {} estimates", estimates.len());
            for (asked, from, to) in estimates.iter().step_by(estimates.len() / 8 + 1) {
                println!("    {:.1} s were left, told {from} to {to} s", left(asked));
            }
        }
    }
}

/// Loads and looks while `what` goes on.
fn under_load(cluster: &Cluster, nodes: &[String], dir: &Path, name: &str, what: impl FnOnce()) -> Seen {
    let (watch, http) = (Watch::default(), cluster.http.clone());
    std::thread::scope(|scope| {
        scope.spawn(|| keep_loading(&http, dir, &watch));
        scope.spawn(|| keep_looking(&http, nodes, &watch));
        what();
        watch.over.store(true, Ordering::Relaxed);
    });
    let (loads, seen) = (watch.loads.into_inner(), watch.seen.into_inner().expect("nobody panicked"));
    seen.tell(name, loads);
    assert!(loads > 0 && seen.rounds > 1, "nothing went on meanwhile");
    seen
}

fn drain(cluster: &Cluster, hosts: &[&str]) {
    let mut args = vec!["node", "drain", "--wait", "--timeout", "280s", "-o", "json"];
    args.extend(hosts);
    let began = Instant::now();
    let drained = cluster.stele(&args);
    assert!(drained.status.success(), "{}", text(&drained));
    let drains = json(&drained)["drains"].as_array().cloned().unwrap_or_default();
    assert_eq!(drains.len(), hosts.len());
    for drain in drains {
        assert_eq!((&drain["state"], &drain["tablets_left"]), (&"DRAINED".into(), &0.into()), "{drain:#}");
        assert_eq!(drain["tablets_moved"], drain["tablets"], "{drain:#}");
        println!("{hosts:?}: {} tablets, {} bytes, {:?}", drain["tablets"], drain["bytes"], began.elapsed());
    }
}

/// Every tablet of the certificate has its copies where it says, none on a host that was emptied, and each lies there
/// with exactly the manifest that the certificate names.
fn check_certificate(cluster: &Cluster, host: &str, emptied: &[&str]) {
    let shown = cluster.stele(&["node", "certificate", host, "-o", "json"]);
    assert!(shown.status.success(), "{}", text(&shown));
    let certificate = json(&shown);
    assert_eq!(certificate["host"], host);
    assert_eq!(certificate["digest"].as_str().map(str::len), Some(64));
    let tablets: BTreeMap<u64, Value> =
        cluster.tablets().into_iter().map(|tablet| (tablet["id"].as_u64().expect("id"), tablet)).collect();
    let proven = certificate["proven"].as_array().cloned().unwrap_or_default();
    assert_eq!(certificate["tablets"].as_u64(), Some(proven.len() as u64));
    assert!(!proven.is_empty(), "it held something");
    for one in proven {
        let known = &tablets[&one["tablet"].as_u64().expect("tablet")];
        let hash = one["version_hash"].as_str().expect("a hash");
        let (copies, version) = (one["copies"].as_array().cloned().unwrap_or_default(), &one["version"]);
        let mut hosts = BTreeSet::new();
        for copy in &copies {
            let on = copy["host"].as_str().expect("host");
            assert!(!emptied.contains(&on) && hosts.insert(on.to_string()), "{one:#}");
            let replicas = known["replicas"].as_array().expect("replicas");
            let replica = replicas.iter().find(|r| r["id"] == copy["replica"]);
            let replica = replica.unwrap_or_else(|| panic!("{one:#} against {known:#}"));
            if *version == 0 {
                // Nothing was ever loaded into it.
                continue;
            }
            let manifest = Path::new(replica["dir"].as_str().expect("dir")).join(format!("{version}.b3"));
            let bytes = std::fs::read(&manifest).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
            assert_eq!(blake3::hash(&bytes).to_hex().as_str(), hash, "{}", manifest.display());
        }
        assert!(hosts.len() >= COPIES, "{one:#}");
    }
}

/// One host of six is emptied, then two together, while loads go on. Meanwhile every tablet keeps as many living copies
/// as are wanted, and as many complete ones as loads alone leave; no drain goes back, each ends by itself with a true
/// certificate and leaves for good. Nothing is lost.
#[test]
fn hosts_are_emptied_under_load() {
    let tablets = std::env::var("STELE_TEST_TABLETS").unwrap_or_else(|_| "100".into());
    let cluster = Cluster::up(6, 1);
    let root = cluster.root.path().to_path_buf();
    let source = root.join("source");
    data::write(&source, 40, 11);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", &tablets]);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    under_load(&cluster, &[], &root.join("alone"), "loads alone", || std::thread::sleep(Duration::from_secs(4)));
    let mut emptied = Vec::new();
    for (round, hosts) in [vec!["host-1"], vec!["host-2", "host-3"]].into_iter().enumerate() {
        let nodes: Vec<String> = hosts.iter().map(|host| node(&cluster, host)).collect();
        let dir = root.join(format!("loads-{round}"));
        under_load(&cluster, &nodes, &dir, &format!("{hosts:?}"), || drain(&cluster, &hosts));
        cluster.until_whole(COPIES);
        emptied.extend(&hosts);
        for host in &hosts {
            check_certificate(&cluster, host, &emptied);
            let removed = cluster.ok(&["node", "remove", host]);
            assert!(removed.contains("removed"), "{removed}");
        }
    }
    let hosts = |cluster: &Cluster| cluster.get("/v1/nodes")["nodes"].as_array().map_or(0, Vec::len);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(hosts(&cluster), 3, "removed agents stay away");
    cluster.ok(&["node", "admit", "host-1"]);
    until(Duration::from_secs(20), "the admitted agent is back", || hosts(&cluster) == 4);

    let export = root.join("export");
    cluster.ok(&["export", "d.t", "--to", export.to_str().expect("utf-8")]);
    let exported = data::digests(&export);
    for (path, digest) in data::digests(&source) {
        assert_eq!(exported.get(&path), Some(&digest), "{path:?}");
    }
    let verified = cluster.stele(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
}
