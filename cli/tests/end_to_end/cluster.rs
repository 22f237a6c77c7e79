//! A cluster of real processes for one test: started by `stele up`, driven over HTTP and the CLI, killed by pid,
//! and stopped when the test ends, however it ends.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The binary under test.
pub const STELE: &str = env!("CARGO_BIN_EXE_stele");

pub struct Cluster {
    pub root: tempfile::TempDir,
    pub http: String,
    pub agents: Vec<Agent>,
    pub coordinator: Process,
}

/// A process that the test may kill and start again.
pub struct Process {
    pub pid: i32,
    pub command: Vec<String>,
    child: Option<std::process::Child>,
    log: PathBuf,
}

pub struct Agent {
    pub host: String,
    pub http: String,
    pub disks: Vec<PathBuf>,
    pub process: Process,
}

impl Process {
    fn new(value: &Value, log: PathBuf) -> Process {
        let command = value["command"].as_array().expect("cluster.json names commands");
        Process {
            pid: value["pid"].as_i64().expect("cluster.json names pids") as i32,
            command: command.iter().map(|word| word.as_str().expect("words").to_string()).collect(),
            child: None,
            log,
        }
    }

    /// Sends SIGKILL and waits until the process is gone.
    pub fn kill(&mut self) {
        signal(self.pid, "-KILL");
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        until(Duration::from_secs(10), "a killed process is gone", || gone(self.pid));
    }

    /// Runs the same command again, with `env` added.
    pub fn start(&mut self, env: &[(&str, &str)]) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("the log opens");
        let child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log is cloned"))
            .stderr(log)
            .spawn()
            .expect("the command starts again");
        self.pid = child.id() as i32;
        self.child = Some(child);
    }

    fn stop(&mut self) {
        if !gone(self.pid) {
            signal(self.pid, "-KILL");
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

/// `kill` by pid; only pids that this test started are ever passed.
pub fn signal(pid: i32, name: &str) {
    let _ = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
}

fn gone(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    // A zombie is dead; its parent (a detached `up` that ended) may be slow to reap it. While another of its threads is
    // on its way out, its ports are still taken.
    let is_zombie = stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'));
    is_zombie && std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count) <= 1
}

/// Waits for `what` to come true.
pub fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "after {limit:?} it is still not true that {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Cluster {
    /// `stele up` with fast repair.
    pub fn up(agents: usize, disks: usize) -> Cluster {
        Cluster::up_with(agents, disks, &[])
    }

    pub fn up_with(agents: usize, disks: usize, env: &[(&str, &str)]) -> Cluster {
        let root = tempfile::tempdir().expect("a temporary directory");
        let dir = root.path().join("cluster");
        let output = Command::new(STELE)
            .args(["up", "--detach", "--assign-delay-ms", "500"])
            .args(["--agents", &agents.to_string(), "--disks", &disks.to_string()])
            .arg("--dir")
            .arg(&dir)
            // Replicas move for a reason of the test alone.
            .env("STELE__REPAIR__DISABLE_BALANCE", "true")
            .env("STELE__REPAIR__LOST_MS", "3500")
            .env("STELE__REPAIR__ASSIGN_DELAY_BELOW_MAJORITY_MS", "500")
            .envs(env.iter().copied())
            .output()
            .expect("stele up runs");
        assert!(output.status.success(), "stele up: {}", text(&output));
        let json: Value =
            serde_json::from_slice(&std::fs::read(dir.join("cluster.json")).expect("cluster.json is written"))
                .expect("cluster.json is JSON");
        let log = |name: &str| dir.join("logs").join(format!("{name}-again.log"));
        let agents = json["agents"].as_array().expect("agents").iter().map(|agent| Agent {
            host: agent["host"].as_str().expect("host").into(),
            http: agent["http"].as_str().expect("http").into(),
            disks: agent["disks"].as_array().expect("disks").iter().map(|d| d.as_str().expect("path").into()).collect(),
            process: Process::new(agent, log(agent["host"].as_str().expect("host"))),
        });
        Cluster {
            http: json["http"].as_str().expect("http").to_string(),
            agents: agents.collect(),
            coordinator: Process::new(&json["coordinator"], log("coordinator")),
            root,
        }
    }

    /// Runs the CLI against this cluster.
    pub fn stele(&self, args: &[&str]) -> Output {
        Command::new(STELE).args(args).env("STELE_COORDINATOR", &self.http).output().expect("stele runs")
    }

    /// Runs the CLI and expects success.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.stele(args);
        assert!(output.status.success(), "stele {args:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `GET` as JSON; `Null` when the coordinator does not answer.
    pub fn get(&self, path: &str) -> Value {
        get(&self.http, path)
    }

    pub fn tablets(&self) -> Vec<Value> {
        self.get("/v1/tablets")["tablets"].as_array().cloned().unwrap_or_default()
    }

    /// Every tablet healthy with exactly `copies` complete copies on different hosts.
    pub fn is_whole(&self, copies: usize) -> bool {
        let tablets = self.tablets();
        !tablets.is_empty()
            && tablets.iter().all(|tablet| {
                let replicas = tablet["replicas"].as_array().cloned().unwrap_or_default();
                let hosts: std::collections::BTreeSet<&str> =
                    replicas.iter().filter(|r| r["complete"] == true).filter_map(|r| r["host"].as_str()).collect();
                tablet["status"] == "HEALTHY" && replicas.len() == copies && hosts.len() == copies
            })
    }

    pub fn until_whole(&self, copies: usize) {
        let start = Instant::now();
        while !self.is_whole(copies) {
            if start.elapsed() > Duration::from_secs(60) {
                let sick: Vec<Value> = self.tablets().into_iter().filter(|t| t["status"] != "HEALTHY").collect();
                let first = sick.first().map(|t| self.get(&format!("/v1/tablets/{}/explain", t["id"])));
                panic!(
                    "not whole after 60 s; {} sick tablets; the first: {first:#?}\nstatus {:#}",
                    sick.len(),
                    self.get("/v1/status")
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Replica directories in the catalog, on disks of running agents.
    pub fn replica_dirs(&self) -> Vec<PathBuf> {
        let tablets = self.tablets();
        let replicas = tablets.iter().flat_map(|t| t["replicas"].as_array().cloned().unwrap_or_default());
        replicas.map(|r| PathBuf::from(r["dir"].as_str().expect("dir"))).collect()
    }

    /// The problem of this code in `status`, if any.
    pub fn problem(&self, code: &str) -> Option<Value> {
        let status = self.get("/v1/status");
        status["problems"].as_array()?.iter().find(|problem| problem["code"] == code).cloned()
    }

    pub fn agent(&mut self, host: &str) -> &mut Agent {
        self.agents.iter_mut().find(|agent| agent.host == host).expect("a host of this cluster")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.coordinator.stop();
        for agent in &mut self.agents {
            agent.process.stop();
        }
        if std::thread::panicking() {
            // The second log is that of a coordinator which the test has started again.
            for log in ["coordinator.log", "coordinator-again.log"] {
                let words = last_lines(&self.root.path().join("cluster/logs").join(log));
                eprintln!("last words in {log}:\n{words}");
            }
        }
    }
}

fn last_lines(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// `GET` of any face; `Null` when it does not answer with JSON.
pub fn get(address: &str, path: &str) -> Value {
    let config =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).http_status_as_error(false).build();
    let answer = ureq::Agent::from(config).get(format!("http://{address}{path}")).call();
    answer.ok().and_then(|mut answer| answer.body_mut().read_json().ok()).unwrap_or(Value::Null)
}

pub fn text(output: &Output) -> String {
    format!(
        "exit {:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
