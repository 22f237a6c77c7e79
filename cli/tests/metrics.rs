//! The list of metrics is one: what the code counts, what the manual says, what dashboard and alerts ask for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every source below the folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("telemetry/list.rs") {
            text += &fs::read_to_string(&path).expect("a source");
        }
    }
    text
}

fn coordinator() -> impl Iterator<Item = (&'static str, &'static str)> {
    use stele_coordinator::telemetry::list::{COUNTERS, GAUGES, HISTOGRAMS};
    COUNTERS.iter().chain(GAUGES).chain(HISTOGRAMS).copied()
}

fn agent() -> impl Iterator<Item = (&'static str, &'static str)> {
    use stele_agent::telemetry::{COUNTERS, GAUGES};
    COUNTERS.iter().chain(GAUGES).copied()
}

/// Names in a text that are ours.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("stele_")).map(str::to_string).collect()
}

/// What the coordinator counts is on its list, and the list names nothing else; names say their unit.
#[test]
fn what_is_counted() {
    let text = sources(&root().join("coordinator/src"));
    let mut counted = BTreeSet::new();
    for kind in ["counter!(", "gauge!(", "histogram!(", "page.gauge(", "page.histogram("] {
        for call in text.split(kind).skip(1) {
            let name = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            counted.extend(name.map(str::to_string));
        }
    }
    let listed: BTreeSet<String> = coordinator().map(|(name, _)| name.to_string()).collect();
    assert_eq!(counted, listed);
    assert_eq!(listed.len(), coordinator().count(), "a name is there twice");
    for (name, _) in stele_coordinator::telemetry::list::COUNTERS {
        assert!(name.ends_with("_total"), "{name}");
    }
}

/// The manual names each metric with the code's own sentence, and no other.
#[test]
fn the_manual() {
    let manual = read("docs/METRICS.md");
    let rows: BTreeSet<&str> = manual.lines().filter(|line| line.starts_with("| `stele_")).collect();
    let listed: Vec<String> = coordinator()
        .chain(agent())
        .map(|(name, text)| format!("| `{name}` | {} |", text.trim_end_matches('.')))
        .collect();
    let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    let missing: Vec<_> = listed.difference(&rows).collect();
    let stale: Vec<_> = rows.difference(&listed).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:#?}\nstale: {stale:#?}");
}

/// Whatever the dashboard draws and the alerts watch is there, and Prometheus' own tool takes the rules.
#[test]
fn what_is_deployed() {
    let listed: BTreeSet<String> = coordinator().chain(agent()).map(|(name, _)| name.to_string()).collect();
    for file in ["deploy/grafana.json", "deploy/alerts.yml"] {
        for name in names(&read(file)) {
            let base = ["_bucket", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
            assert!(listed.contains(base), "{file} asks for {name}, which nobody counts");
        }
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana.json")).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 15));
    let checked =
        std::process::Command::new("promtool").args(["check", "rules"]).arg(root().join("deploy/alerts.yml")).output();
    match checked {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => assert!(std::env::var_os("CI").is_none(), "promtool is needed in CI: {error}"),
    }
}
