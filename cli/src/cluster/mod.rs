//! A cluster of real processes on this machine: what lies in its directory, and `cluster.json`, which names its
//! processes and addresses.
//!
//! ```text
//! DIR/cluster.json                          written when all agents are ALIVE; gone while nothing runs
//! DIR/coordinator/coordinator.toml, store   layout.rs
//! DIR/agents/host-N/agent.toml, disk-K/
//! DIR/logs/coordinator.log, agent-host-N.log
//! ```
//!
//! [`layout`] decides what there is, [`process`] starts and ends single processes, [`start`] brings the whole up and down.

pub mod layout;
pub mod process;
pub mod start;

use crate::exit::Failure;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use stele_common::NodeId;

/// `DIR/cluster.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterFile {
    /// The coordinator's HTTP address.
    pub http: String,
    /// The MySQL address, where there is one.
    pub sql: Option<String>,
    pub coordinator: CoordinatorEntry,
    pub agents: Vec<AgentEntry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoordinatorEntry {
    pub pid: u32,
    /// Starts this process again, on the same ports.
    pub command: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentEntry {
    pub node_id: NodeId,
    pub host: String,
    pub pid: u32,
    /// Starts this process again, on the same ports.
    pub command: Vec<String>,
    pub http: String,
    pub peer: String,
    pub disks: Vec<PathBuf>,
}

impl ClusterFile {
    pub fn place(dir: &Path) -> PathBuf {
        dir.join("cluster.json")
    }

    /// Puts the file in place at once: whoever sees it sees all of it.
    pub fn write(&self, dir: &Path) -> Result<(), Failure> {
        let (place, part) = (ClusterFile::place(dir), dir.join(".cluster.json.part"));
        let failed = |error: std::io::Error| Failure::io(format_args!("cannot write {}", place.display()), error);
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        let mut file = std::fs::File::create(&part).map_err(failed)?;
        writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&part, &place).map_err(failed)
    }

    /// Takes the file away; without one there is nothing to do.
    pub fn remove(dir: &Path) -> Result<(), Failure> {
        let place = ClusterFile::place(dir);
        match std::fs::remove_file(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::io(format_args!("cannot remove {}", place.display()), error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ClusterFile {
        ClusterFile {
            http: "127.0.0.1:1".into(),
            sql: None,
            coordinator: CoordinatorEntry { pid: 1, command: vec!["stele".into(), "coordinator".into()] },
            agents: vec![AgentEntry {
                node_id: NodeId(10001),
                host: "host-1".into(),
                pid: 2,
                command: vec!["stele".into(), "agent".into()],
                http: "127.0.0.1:2".into(),
                peer: "127.0.0.1:3".into(),
                disks: vec!["/d/agents/host-1/disk-1".into()],
            }],
        }
    }

    /// Programs read this file: its keys are pinned.
    #[test]
    fn the_shape_is_pinned() {
        let text = serde_json::to_string(&sample()).unwrap();
        let pinned = concat!(
            r#"{"http":"127.0.0.1:1","sql":null,"coordinator":{"pid":1,"command":["stele","coordinator"]},"#,
            r#""agents":[{"node_id":10001,"host":"host-1","pid":2,"command":["stele","agent"],"#,
            r#""http":"127.0.0.1:2","peer":"127.0.0.1:3","disks":["/d/agents/host-1/disk-1"]}]}"#
        );
        assert_eq!(text, pinned);
    }

    /// Written, read, removed; removing twice is harmless.
    #[test]
    fn the_file_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        sample().write(dir.path()).unwrap();
        let text = std::fs::read_to_string(ClusterFile::place(dir.path())).unwrap();
        assert_eq!(serde_json::from_str::<ClusterFile>(&text).unwrap(), sample());
        ClusterFile::remove(dir.path()).unwrap();
        ClusterFile::remove(dir.path()).unwrap();
        assert!(!ClusterFile::place(dir.path()).exists());
    }
}
