//! The house's style as a test: what no compiler forbids and no reviewer should have to look for.

use std::collections::{BTreeMap, BTreeSet};
use stele_tests::{root, sources};

/// Folders with our sources.
const HOUSE: [&str; 8] = ["common", "logs", "coordinator", "agent", "cli", "sim", "tests", "examples"];
/// Folders of the law books: no IO, no clock, no thread, no chance, no order that differs from run to run.
const LAW: [&str; 2] = ["coordinator/rules/src", "agent/rules/src"];
/// At this length a file is two files.
const LINES_MAX: usize = 600;
/// From this length on one thinks about it.
const LINES_THINK: usize = 450;

fn house() -> Vec<(String, String)> {
    HOUSE.iter().flat_map(|folder| sources(folder)).collect()
}

fn law() -> Vec<(String, String)> {
    LAW.iter().flat_map(|folder| sources(folder)).collect()
}

/// This file names what it bans.
fn is_this(path: &str) -> bool {
    path == "tests/tests/tidy.rs"
}

/// The code of a source: without comments, and without the unit tests at its end.
fn code(path: &str, text: &str) -> String {
    let is_test = path.contains("/tests") || path.ends_with("testing.rs") || path.ends_with("property.rs");
    let text = if is_test { "" } else { text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text) };
    let code = text.lines().map(|line| line.split("//").next().unwrap_or(line));
    code.collect::<Vec<_>>().join("\n")
}

fn none(found: Vec<String>, what: &str) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// Finds any of `words` in the code of `files`.
fn naming(files: &[(String, String)], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| !is_this(path)) {
        for (number, line) in code(path, text).lines().enumerate() {
            found.extend(
                words
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{path}:{} names {word}", number + 1)),
            );
        }
    }
    found
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let path = root().join(manifest);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{manifest}: {error}"));
    let table: toml::Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{manifest}: {error}"));
    let section = table.get("dependencies").and_then(toml::Value::as_table);
    section.map(|section| section.keys().cloned().collect()).unwrap_or_default()
}

/// The law books could not do IO if they wanted to: their manifests list nothing that can.
#[test]
fn law_books_depend_on_values_only() {
    let allowed: BTreeSet<String> = ["serde", "stele-common", "thiserror"].map(String::from).into();
    for manifest in ["coordinator/rules/Cargo.toml", "agent/rules/Cargo.toml"] {
        let more: Vec<String> = dependencies(manifest).difference(&allowed).cloned().collect();
        none(more, &format!("{manifest} lists dependencies that a law book may not have"));
    }
    let io = ["tokio", "actix", "actix-rt", "actix-web", "redb", "sysinfo", "ureq", "rustix", "crossbeam-channel"];
    for manifest in ["common/Cargo.toml", "sim/Cargo.toml"] {
        let found: Vec<String> =
            dependencies(manifest).into_iter().filter(|name| io.contains(&name.as_str())).collect();
        none(found, &format!("{manifest} lists dependencies that do IO"));
    }
}

/// No clock, thread, socket, file, chance or unordered map in a law book.
#[test]
fn law_books_are_pure() {
    let banned = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::process",
        "std::env",
        "Instant",
        "SystemTime",
        "rand::",
        "getrandom",
        "tokio",
        "actix",
        "HashMap",
        "HashSet",
        "println!",
        "eprintln!",
        "tracing::",
    ];
    none(naming(&law(), &banned), "law books are values in, values out");
}

/// Coordinator and agent know each other by `common` only.
#[test]
fn neither_side_imports_the_other() {
    let mut found = naming(&sources("agent"), &["stele_coordinator"]);
    // A metric of agents that the coordinator shows is called by their name.
    found.extend(naming(&sources("coordinator"), &["stele_agent::", "use stele_agent"]));
    for (manifest, other) in [
        ("agent/Cargo.toml", "stele-coordinator"),
        ("agent/rules/Cargo.toml", "stele-coordinator"),
        ("coordinator/Cargo.toml", "stele-agent"),
        ("coordinator/rules/Cargo.toml", "stele-agent"),
    ] {
        let names = dependencies(manifest);
        found
            .extend(names.into_iter().filter(|name| name.starts_with(other)).map(|name| format!("{manifest}: {name}")));
    }
    none(found, "coordinator and agent never import each other");
}

/// Faces meet in the engine of statements, which alone knows a grammar; they never import each other.
#[test]
fn faces_are_apart() {
    let front = "coordinator/src/front";
    let mut found = naming(&sources(&format!("{front}/http")), &["front::sql::", "sqlparser"]);
    found.extend(naming(&sources(&format!("{front}/sql")), &["front::http", "sqlparser", "actix_web"]));
    found.extend(naming(&sources(&format!("{front}/statements")), &["front::http", "front::sql::", "actix_web"]));
    none(found, "HTTP and the MySQL port never import each other");
}

/// A type is named after what it is.
#[test]
fn types_have_names() {
    let mut found = Vec::new();
    for (path, text) in house() {
        for line in text.lines().map(str::trim_start) {
            let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let Some(rest) = ["struct ", "enum ", "trait ", "type "].iter().find_map(|kind| line.strip_prefix(kind))
            else {
                continue;
            };
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if ["Service", "Manager", "Helper", "Helpers", "Util", "Utils"].iter().any(|bad| name.ends_with(bad)) {
                found.push(format!("{path}: {name}"));
            }
        }
    }
    none(found, "a type called Service, Manager, Helper or Util hides a second owner");
}

/// Nothing is left for later in the code.
#[test]
fn nothing_is_left_for_later() {
    let banned = ["todo!", "unimplemented!", "FIXME", "XXX", "HACK", "TODO", "#[ignore"];
    let mut found = Vec::new();
    for (path, text) in house().into_iter().filter(|(path, _)| !is_this(path)) {
        for (number, line) in text.lines().enumerate() {
            found.extend(
                banned.iter().filter(|word| line.contains(*word)).map(|word| format!("{path}:{} {word}", number + 1)),
            );
        }
    }
    none(found, "write it, or open an issue");
}

/// Every file says what it owns; none is too long for one owner.
#[test]
fn files_are_short_and_say_what_they_own() {
    let (mut nameless, mut long, mut think) = (Vec::new(), Vec::new(), Vec::new());
    for (path, text) in house() {
        let lines = text.lines().count();
        if !text.starts_with("//!") {
            nameless.push(path.clone());
        }
        if lines > LINES_MAX {
            long.push(format!("{path}: {lines} lines"));
        } else if lines > LINES_THINK {
            think.push(format!("{path}: {lines} lines"));
        }
    }
    println!("over {LINES_THINK} lines, worth a thought:\n  {}", think.join("\n  "));
    none(nameless, "a file opens with //!: what it decides or owns, what goes in and out, what it must never do");
    none(long, &format!("over {LINES_MAX} lines: split by owner"));
}

/// A reason is a rule's: it is made in one file, so that a search for it ends at the rule.
#[test]
fn a_reason_is_made_in_one_place() {
    let reasons = sources("coordinator/rules/src");
    let text = reasons.iter().find(|(path, _)| path.ends_with("/reason.rs")).map(|(_, text)| text.as_str());
    let body = text.and_then(|text| text.split("pub enum Reason {").nth(1)).and_then(|rest| rest.split("\n}").next());
    let body = body.expect("reason.rs holds `pub enum Reason`");
    let names = body.lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    let names: BTreeSet<String> =
        names.map(|line| line.chars().take_while(|c| c.is_alphanumeric()).collect()).collect();
    assert!(names.len() > 20, "{names:?}");
    let mut makers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, text) in
        reasons.iter().filter(|(path, _)| !path.ends_with("/reason.rs") && !path.ends_with("/reason_text.rs"))
    {
        let code = code(path, text);
        for name in &names {
            if code.match_indices(&format!("Reason::{name}")).any(|(at, found)| is_made(&code, at, found.len())) {
                makers.entry(name).or_default().insert(path);
            }
        }
    }
    let many = makers.iter().filter(|(_, files)| files.len() > 1);
    none(many.map(|(name, files)| format!("{name}: {files:?}")).collect(), "a reason is constructed in one file");
}

/// Whether `Reason::Name` at `at` is built there, not matched: a pattern is followed by `=>`, `|`, `=` or `)` after
/// its fields, or begins with `matches!`.
fn is_made(code: &str, at: usize, length: usize) -> bool {
    if code[at + length..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return false;
    }
    let line_begin = code[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let before = &code[line_begin..at];
    let mut rest = code[at + length..].trim_start();
    if rest.starts_with('{') {
        let mut depth = 0;
        let end = rest.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '{') - i32::from(*c == '}');
            depth == 0
        });
        rest = end.map_or("", |(index, _)| rest[index + 1..].trim_start());
    }
    let is_arm =
        rest.starts_with("=>") || rest.starts_with('|') || rest.trim_start_matches(')').trim_start().starts_with("=>");
    let is_let = before.contains("let ") && rest.trim_start_matches(')').trim_start().starts_with("= ");
    let is_matches = before.contains("matches!") || before.trim_end().ends_with('|');
    !(is_arm || is_let || is_matches)
}
