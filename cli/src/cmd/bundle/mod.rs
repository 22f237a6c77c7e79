//! `stele support-bundle`: one file with what somebody needs who is to find out from afar what is wrong. Secrets stay.
//!
//! In: the HTTP faces of the coordinator and its agents; with `--dir`, the logs and configuration that `stele up` keeps
//! there. Out: a tar, packed. What cannot be had is named in it and on the terminal, and stops nothing: a bundle is
//! wanted most when half of the house is down.

mod secrets;
mod tar;

use crate::cmd::snapshot;
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::http::Face;
use crate::table::{self, Rows};
use clap::Args;
use secrets::Secrets;
use serde::Serialize;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use stele_common::TabletStatus;
use stele_common::api::{Nodes, Tablets};
use tar::Archive;
use walkdir::WalkDir;

#[derive(Debug, Args)]
#[command(
    after_help = "Read it with: tar --zstd -xf FILE. Tokens, digests of passwords and private keys are taken out;
names of hosts, tables and files are in it.

Examples:
  stele support-bundle
  stele support-bundle --dir /tmp/c --out /tmp/bundle.tar.zst"
)]
pub struct BundleArgs {
    /// Where to [default: stele-support-TIME.tar.zst]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Logs and configuration too, from the directory that 'stele up' was given
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Sick tablets that are explained one by one: their causes repeat.
const EXPLAINED_MAX: usize = 20;
/// Of each log the end, where the trouble is.
const LOG_MAX: u64 = 1 << 20;
/// An answer that goes into memory; the world's is packed on its way.
const ANSWER_MAX: u64 = 256 << 20;

/// Names in the bundle, and what is asked of the coordinator for each.
const ASKED: [(&str, &str); 19] = [
    ("status.json", "/v1/status"),
    ("nodes.json", "/v1/nodes?limit=10000"),
    ("node-replicas.json", "/v1/nodes/replicas"),
    ("disks.json", "/v1/disks"),
    ("tables.json", "/v1/tables?limit=10000"),
    ("groups.json", "/v1/groups"),
    ("tasks-running.json", "/v1/tasks?state=running&limit=1000"),
    ("tasks-pending.json", "/v1/tasks?state=pending&limit=1000"),
    ("tasks-history.json", "/v1/tasks?state=history&limit=1000"),
    ("balance.json", "/v1/balance"),
    ("balance-history.json", "/v1/balance/history"),
    ("plans.json", "/v1/plans"),
    ("leases.json", "/v1/leases"),
    ("level.json", "/v1/level"),
    ("events.json", "/v1/events/recent?limit=1000"),
    ("config.json", "/v1/config"),
    ("config-history.json", "/v1/config/history"),
    ("log-level.json", "/v1/log-level"),
    ("metrics.txt", "/metrics"),
];

/// What was put together.
#[derive(Serialize)]
struct Bundle {
    file: String,
    bytes: u64,
    parts: Vec<Part>,
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct Part {
    name: String,
    bytes: u64,
    /// So many were taken out.
    secrets: usize,
}

#[derive(Serialize)]
struct Missing {
    name: String,
    why: String,
}

impl Rows for Bundle {
    fn columns(&self) -> Vec<&str> {
        vec!["PART", ">BYTES", ">SECRETS REMOVED"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |part: &Part| vec![part.name.clone(), part.bytes.to_string(), part.secrets.to_string()];
        self.parts.iter().map(row).collect()
    }

    fn empty(&self) -> &'static str {
        "nothing could be had"
    }
}

impl Bundle {
    fn text(&self) -> String {
        let mut text = table::render(self);
        for missing in &self.missing {
            text += &format!("\n{} {}: {}", table::bad("missing:"), missing.name, missing.why);
        }
        let secrets: usize = self.parts.iter().map(|part| part.secrets).sum();
        text + &format!("\n\n{}: {}, {secrets} secrets removed", self.file, table::size(self.bytes))
    }
}

/// What has been gathered so far.
#[derive(Default)]
struct Gathered {
    parts: Vec<(Part, Vec<u8>)>,
    missing: Vec<Missing>,
    secrets: Secrets,
}

pub fn run(global: &Global, args: &BundleArgs) -> Outcome {
    let now = jiff::Timestamp::now();
    let name = format!("stele-support-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let file = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.tar.zst")));
    let face = global.face();
    let mut gathered = Gathered::default();
    if let Ok(token) = std::env::var("STELE_TOKEN") {
        gathered.secrets.know(&token);
    }
    if let Some(dir) = &args.dir {
        gathered.directory(dir);
    }
    if let Err(failure) = face.get::<serde_json::Value>("/v1/status", &[]) {
        // Without the coordinator and without a directory there is nothing to put together.
        if args.dir.is_none() {
            return Err(failure.next("name the directory of 'stele up' with --dir for its logs alone"));
        }
        gathered.miss("the coordinator's answers", &failure.to_string());
    } else {
        gathered.house(&face);
    }
    let Gathered { parts, missing, .. } = gathered;
    let version = env!("CARGO_PKG_VERSION");
    let about = serde_json::json!({ "made": now.to_string(), "stele": version, "missing": &missing });
    let at = u64::try_from(now.as_second()).unwrap_or(0);
    let written = snapshot::appear(&file, |out| {
        let mut archive = Archive::new(zstd::Encoder::new(out, 3)?, at);
        archive.add(&format!("{name}/about.json"), format!("{about:#}\n").as_bytes())?;
        for (part, bytes) in &parts {
            archive.add(&format!("{name}/{}", part.name), bytes)?;
        }
        archive.finish()?.finish().map(drop)
    });
    let bytes = written.map_err(|error| Failure::io(format_args!("cannot write {}", file.display()), error))?;
    let parts = parts.into_iter().map(|(part, _)| part).collect();
    let bundle = Bundle { file: file.display().to_string(), bytes, parts, missing };
    global.printer().one(&bundle, Bundle::text)?;
    Ok(Exit::Done)
}

impl Gathered {
    fn miss(&mut self, name: &str, why: &str) {
        self.missing.push(Missing { name: name.to_string(), why: why.to_string() });
    }

    /// A text, without what is nobody's business.
    fn text(&mut self, name: &str, text: &str) {
        let (clean, secrets) = self.secrets.scrub(text);
        self.raw(name, clean.into_bytes(), secrets);
    }

    fn raw(&mut self, name: &str, bytes: Vec<u8>, secrets: usize) {
        let part = Part { name: name.to_string(), bytes: bytes.len() as u64, secrets };
        self.parts.push((part, bytes));
    }

    fn ask(&mut self, name: &str, face: &Face, path: &str) {
        let read = face.bytes(path, &[]).map_err(|failure| failure.to_string()).and_then(|answer| {
            let mut text = String::new();
            let read = answer.take(ANSWER_MAX).read_to_string(&mut text);
            read.map(|_| text).map_err(|error| error.to_string())
        });
        match read {
            // JSON in lines, for whoever reads it with nothing but eyes.
            Ok(text) => match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(value) if name.ends_with(".json") => self.text(name, &format!("{value:#}\n")),
                Ok(_) | Err(_) => self.text(name, &text),
            },
            Err(why) => self.miss(name, &why),
        }
    }

    /// What the coordinator and the agents say.
    fn house(&mut self, face: &Face) {
        for (name, path) in ASKED {
            self.ask(name, face, path);
        }
        self.sick(face);
        match face.list::<Nodes>("/v1/nodes", &[]) {
            Ok(nodes) => {
                for node in nodes.nodes {
                    let agent = face.agent_at(&node.http);
                    self.ask(&format!("agents/{}/metrics.txt", node.id), &agent, "/metrics");
                    self.ask(&format!("agents/{}/disks.json", node.id), &agent, "/v1/disks");
                }
            }
            Err(failure) => self.miss("agents", &failure.to_string()),
        }
        match world(face, &self.secrets) {
            Ok((packed, secrets)) => self.raw("world.json.zst", packed, secrets),
            Err(why) => self.miss("world.json.zst", &why),
        }
    }

    /// Tablets that are not HEALTHY, and why.
    fn sick(&mut self, face: &Face) {
        let mut left = EXPLAINED_MAX;
        for status in TabletStatus::ALL.into_iter().filter(|status| *status != TabletStatus::Healthy) {
            let limit = left.to_string();
            match face.get::<Tablets>("/v1/tablets", &[("status", status.as_str()), ("limit", &limit)]) {
                Ok(found) => {
                    left -= found.tablets.len().min(left);
                    for tablet in found.tablets {
                        let path = format!("/v1/tablets/{}/explain", tablet.id);
                        self.ask(&format!("sick/{}.json", tablet.id), face, &path);
                    }
                }
                Err(failure) => return self.miss("sick", &failure.to_string()),
            }
            if left == 0 {
                return;
            }
        }
    }

    /// Configuration and the ends of logs. The files of secrets that configuration names are learnt, not taken.
    fn directory(&mut self, dir: &Path) {
        let files = WalkDir::new(dir).max_depth(3).sort_by_file_name().into_iter().filter_map(Result::ok);
        let ends = |entry: &walkdir::DirEntry, end: &str| entry.path().extension().is_some_and(|kind| kind == end);
        let (configs, others): (Vec<_>, Vec<_>) = files.partition(|entry| ends(entry, "toml"));
        let inside = |path: &Path| path.strip_prefix(dir).unwrap_or(path).display().to_string();
        let mut read: Vec<(PathBuf, String)> = Vec::new();
        for entry in configs {
            match std::fs::read_to_string(entry.path()) {
                // Who may come in is nobody's business.
                Ok(text) if text.contains("[[user") => {}
                Ok(text) => read.push((entry.path().to_path_buf(), text)),
                Err(error) => self.miss(&inside(entry.path()), &error.to_string()),
            }
        }
        for (_, text) in &read {
            files_of_secrets(text).iter().for_each(|file| self.secrets.know_file(file));
        }
        for (path, text) in &read {
            self.text(&format!("files/{}", inside(path)), text);
        }
        for entry in others.iter().filter(|entry| ends(entry, "log")) {
            match tail(entry.path()) {
                Ok(text) => self.text(&format!("files/{}", inside(entry.path())), &text),
                Err(error) => self.miss(&inside(entry.path()), &error.to_string()),
            }
        }
        if read.is_empty() {
            self.miss("files", &format!("{} holds no configuration of 'stele up'", dir.display()));
        }
    }
}

/// Files that a configuration names and that hold secrets.
fn files_of_secrets(config: &str) -> Vec<PathBuf> {
    let Ok(config) = config.parse::<toml::Table>() else { return Vec::new() };
    let section = config.get("coordinator").and_then(toml::Value::as_table);
    let named = ["token_file", "users_file", "sql_key"].into_iter().flat_map(|key| {
        let places = [config.get(key), section.and_then(|section| section.get(key))];
        places.into_iter().flatten().filter_map(toml::Value::as_str).map(PathBuf::from)
    });
    named.collect()
}

/// As `stele sim` reads it, without the secrets that are known: what it holds besides are names, and reasons of people.
fn world(face: &Face, secrets: &Secrets) -> Result<(Vec<u8>, usize), String> {
    let mut text = String::new();
    let mut answer = face.bytes("/v1/world", &[]).map_err(|failure| failure.to_string())?;
    answer.read_to_string(&mut text).map_err(|error| error.to_string())?;
    let (clean, removed) = secrets.scrub_known(&text);
    let packed = zstd::encode_all(clean.as_bytes(), 3).map_err(|error| error.to_string())?;
    Ok((packed, removed))
}

/// The end of a file, from the beginning of a line on.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let cut = file.metadata()?.len().saturating_sub(LOG_MAX);
    file.seek(SeekFrom::Start(cut))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(if cut == 0 { text } else { text.split_once('\n').map_or(text.clone(), |(_, rest)| rest.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No secret of a directory gets into what is gathered of it: neither those that its configuration names nor those
    /// that a log tells; the file of users stays out whole.
    #[test]
    fn a_directory_without_its_secrets() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        let token = "0123456789abcdef".repeat(4);
        let hash = "fedcba9876543210fedcba";
        let named = |name: &str| dir.path().join(name).display().to_string();
        put("token", &token);
        put("users.toml", &format!("[[user]]\nname = \"ann\"\nrole = \"admin\"\nsha2 = \"{hash}\"\n"));
        let (tokens, users) = (named("token"), named("users.toml"));
        let config = format!("[coordinator]\ntoken_file = \"{tokens}\"\nusers_file = \"{users}\"\n");
        put("coordinator/coordinator.toml", &config);
        put("logs/coordinator.log", &format!("dialled with {token}\nann has {hash}\npassword=hunter2\nall well\n"));
        let mut gathered = Gathered::default();
        gathered.directory(dir.path());
        let names: Vec<&str> = gathered.parts.iter().map(|(part, _)| part.name.as_str()).collect();
        assert_eq!(names, ["files/coordinator/coordinator.toml", "files/logs/coordinator.log"]);
        let all: Vec<u8> = gathered.parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let all = String::from_utf8(all).expect("text");
        for secret in [token.as_str(), hash, "hunter2"] {
            assert!(!all.contains(secret), "{secret} is in {all}");
        }
        assert!(all.contains("all well") && all.contains(&tokens));
        assert_eq!(gathered.parts[1].0.secrets, 3);
    }

    /// Of a long log the end is taken, from a whole line on.
    #[test]
    fn ends_of_logs() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "x".repeat(LOG_MAX as usize) + "\nlast\n").expect("written");
        assert_eq!(tail(file.path()).expect("read"), "last\n");
        std::fs::write(file.path(), "one\ntwo\n").expect("written");
        assert_eq!(tail(file.path()).expect("read"), "one\ntwo\n");
    }
}
