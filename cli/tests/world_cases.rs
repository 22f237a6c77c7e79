//! World files with the answers beside them: `tests/cases/world/NAME.json` and `NAME.expected.json`. Each file's `note`
//! says what it proves. `REWRITE=1 cargo test -p stele --test world_cases` writes the answers anew; the diff is
//! what there is to review.

use serde_json::{Map, Value};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/world")
}

fn sim(verb: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.args(["sim", verb]).args(arguments).stdin(Stdio::null()).output().expect("it runs")
}

/// The answer; the exit code is 0 whatever it is.
fn answer(verb: &str, path: &Path) -> Value {
    let output = sim(verb, &[path.to_str().expect("utf-8"), "-o", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{verb} {}: {said}", path.display());
    assert!(said.is_empty(), "{verb} {}: {said}", path.display());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{verb} {}: {error}", path.display()))
}

/// One thing a line, as the files themselves are written.
fn text(answers: &Map<String, Value>) -> String {
    let mut lines = vec!["{".to_string()];
    for (index, (verb, answer)) in answers.iter().enumerate() {
        let lists: Vec<String> = answer
            .as_object()
            .expect("an object")
            .iter()
            .map(|(key, value)| {
                let Some(list) = value.as_array() else { return format!("    \"{key}\": {value}") };
                let rows: Vec<String> = list.iter().map(|row| format!("      {row}")).collect();
                match rows.is_empty() {
                    true => format!("    \"{key}\": []"),
                    false => format!("    \"{key}\": [\n{}\n    ]", rows.join(",\n")),
                }
            })
            .collect();
        let comma = if index + 1 < answers.len() { "," } else { "" };
        lines.push(format!("  \"{verb}\": {{\n{}\n  }}{comma}", lists.join(",\n")));
    }
    lines.push("}\n".to_string());
    lines.join("\n")
}

/// Every case is answered as it stands beside it.
#[test]
fn the_answers_beside_the_cases() {
    let rewrite = std::env::var_os("REWRITE").is_some_and(|value| value == "1");
    let mut names: Vec<PathBuf> = fs::read_dir(cases())
        .expect("tests/cases/world")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .filter(|path| !path.to_string_lossy().ends_with(".expected.json"))
        .collect();
    names.sort();
    assert!(names.len() > 60, "{} cases", names.len());
    let mut wrong = Vec::new();
    for path in &names {
        let case: Value = serde_json::from_slice(&fs::read(path).expect("it can be read")).expect("it is JSON");
        assert!(case["note"].as_str().is_some_and(|note| note.len() > 20), "{}: what does it prove?", path.display());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let verbs: &[&str] = match name.split('-').next() {
            Some("score") => &["score"],
            Some("balance") => &["balance"],
            _ => &["check", "schedule"],
        };
        let answers: Map<String, Value> = verbs.iter().map(|verb| (verb.to_string(), answer(verb, path))).collect();
        let beside = path.with_extension("expected.json");
        if rewrite {
            fs::write(&beside, text(&answers)).expect("it can be written");
            continue;
        }
        let expected: Value =
            fs::read(&beside).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        if expected != Value::Object(answers.clone()) {
            wrong.push(format!("{}\n  says {}  wanted {expected}", path.display(), text(&answers)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), names.len(), wrong.join("\n"));
}

/// Every case of the planner ends even, moves no tablet twice, and costs at most 5 % more than its bound.
#[test]
fn plans_end_even_and_cost_little() {
    let all = fs::read_dir(cases()).expect("tests/cases/world").map(|entry| entry.expect("an entry").path());
    let is_case = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with("balance-") && !name.ends_with(".expected.json")
    };
    let cases: Vec<PathBuf> = all.filter(is_case).collect();
    assert!(cases.len() >= 11, "{} cases", cases.len());
    for path in cases {
        let (plan, place) = (answer("balance", &path), path.display());
        let moves = plan["moves"].as_array().expect("a list");
        let tablets: std::collections::BTreeSet<u64> = moves.iter().filter_map(|mv| mv["tablet"].as_u64()).collect();
        assert_eq!(tablets.len(), moves.len(), "{place}: a tablet moves twice");
        for (medium, after) in plan["after"].as_object().expect("by medium") {
            let part = |name: &str| after[name].as_f64().expect("a part");
            let spread = part("used_percent_max") - part("used_percent_min");
            assert!(spread < 0.1, "{place}: {medium} ends at {spread}");
        }
        let figure = |name: &str| plan[name].as_u64().expect("bytes") as f64;
        let (bytes, bound) = (figure("bytes"), figure("bytes_lower_bound_fair"));
        assert!(bound <= bytes && bytes <= bound * 1.05, "{place}: {bytes} bytes, bound {bound}");
        assert_eq!(moves.is_empty(), plan["idle"].is_object(), "{place}: idle has a reason, and only idle has");
    }
}

/// Standard input, a file that is not there, one that makes no sense, a flag that is none: the right exit codes, and
/// the place of the mistake.
#[test]
fn files_that_cannot_be_answered() {
    let healthy = fs::read(cases().join("healthy.json")).expect("a case");
    let mut child = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(["sim", "check", "-", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("piped").write_all(&healthy).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &said["tablets"][0]["status"]), (Some(0), &Value::from("HEALTHY")));

    let dir = tempfile::tempdir().expect("a directory");
    let broken = dir.path().join("broken.json");
    let text = String::from_utf8(healthy).expect("utf-8").replacen("\"version\": 10, ", "", 1);
    fs::write(&broken, text).expect("written");
    for verb in ["check", "score", "schedule", "balance"] {
        let output = sim(verb, &[broken.to_str().expect("utf-8")]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("tablet 100, replica 1001: missing field `version`"), "{said}");
        assert_eq!(sim(verb, &["/nowhere/w.json"]).status.code(), Some(1));
        assert_eq!(sim(verb, &[]).status.code(), Some(64));
        assert_eq!(sim(verb, &["x", "--no-such-flag"]).status.code(), Some(64));
    }
}
