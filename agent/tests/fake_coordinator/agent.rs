//! One agent process.

use super::coordinator::{Coordinator, Heard};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use stele_common::peer::Member;
use stele_common::{DiskId, DiskState, Fact, NodeId, ReplicaId};

pub struct Agent {
    pub child: Child,
    pub name: String,
    /// The first of its disks, which most tests have alone.
    pub disk: PathBuf,
    pub disks: Vec<PathBuf>,
    pub config: PathBuf,
    pub peer: String,
    pub http: String,
    pub disk_id: DiskId,
    pub disk_ids: Vec<DiskId>,
}

impl Agent {
    pub fn start(coordinator: &Coordinator, name: &str, dir: &Path) -> Agent {
        Agent::start_with(coordinator, name, dir, 1, "")
    }

    /// An agent with several disks, and more lines in its configuration.
    pub fn start_with(coordinator: &Coordinator, name: &str, dir: &Path, disks: usize, more: &str) -> Agent {
        let disks: Vec<PathBuf> = (0..disks).map(|number| dir.join(name).join(format!("disk-{number}"))).collect();
        let config = dir.join(name).join("agent.toml");
        let mut text = format!(
            "coordinator = \"{}\"\nhost = \"{name}\"\npeer = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n{more}\n",
            coordinator.address,
        );
        for disk in &disks {
            std::fs::create_dir_all(disk).unwrap();
            text += &format!("[[disk]]\npath = \"{}\"\n", disk.display());
        }
        std::fs::write(&config, text).unwrap();
        let child = spawn(&config);
        let mut agent = Agent {
            child,
            name: name.to_string(),
            disk: disks[0].clone(),
            disks,
            config,
            peer: String::new(),
            http: String::new(),
            disk_id: DiskId(0),
            disk_ids: Vec::new(),
        };
        agent.meet(coordinator);
        agent
    }

    /// Waits for its hello and for its disks.
    pub fn meet(&mut self, coordinator: &Coordinator) {
        let hello = coordinator.wait("a hello", &self.name, |heard| match heard {
            Heard::Hello(hello) => Some(hello.clone()),
            Heard::Fact(_) | Heard::FullEnd | Heard::Gone => None,
        });
        (self.peer, self.http) = (hello.peer.clone(), hello.http.clone());
        let mut known = BTreeMap::new();
        while known.len() < self.disks.len() {
            let (path, disk) = coordinator.fact("an ONLINE disk", &self.name, |fact| match fact {
                Fact::Disk(disk) if disk.state == DiskState::Online && disk.space.total > 0 => {
                    Some((PathBuf::from(&disk.path), disk.disk))
                }
                _ => None,
            });
            known.insert(path, disk);
        }
        self.disk_ids = self.disks.iter().map(|path| known[path]).collect();
        self.disk_id = self.disk_ids[0];
    }

    pub fn restart(&mut self, coordinator: &Coordinator) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.config);
        self.meet(coordinator);
    }

    /// Whether the process has a file or directory open that lies at `place` now.
    pub fn holds_open(&self, place: &Path) -> bool {
        let handles = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        handles.flatten().any(|handle| std::fs::read_link(handle.path()).is_ok_and(|at| at.starts_with(place)))
    }

    pub fn member(&self, replica: u64) -> Member {
        Member { node: NodeId(1), replica: ReplicaId(replica), peer: self.peer.clone() }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn spawn(config: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(config.with_extension("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele-agent"));
    command.arg("--config").arg(config).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap()
}
