//! What may happen to a forecast, and how it is written: `kill:10001@10s`. Parses text; does nothing about it.

use stele_common::{DiskId, Medium, NodeId, ReplicaId};

/// Something that happens at a chosen moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// The agent dies with its connection.
    Kill(NodeId),
    /// It starts again, with all that its disks held.
    Revive(NodeId),
    /// Operators want these nodes empty, all at once.
    Drain(Vec<NodeId>),
    Undrain(Vec<NodeId>),
    DrainDisk(DiskId, bool),
    AddNode(NewNode),
    /// A scrub finds a file of it damaged.
    BadReplica(ReplicaId),
    /// No byte more fits, for as long as the forecast runs.
    DiskFull(DiskId),
}

/// A node that joins.
#[derive(Clone, Debug, PartialEq)]
pub struct NewNode {
    pub id: NodeId,
    pub host: String,
    pub rack: String,
    pub tag: String,
    pub disks: Vec<NewDisk>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewDisk {
    pub id: DiskId,
    pub path: String,
    pub medium: Medium,
    pub total: u64,
    pub used: u64,
}

/// As written, before files are read and disks are looked up.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheduled {
    Kill(NodeId),
    Revive(NodeId),
    Drain(Vec<NodeId>),
    Undrain(Vec<NodeId>),
    /// The file that describes it.
    AddNode(String),
    BadReplica(ReplicaId),
    DiskFull(NodeId, String),
    DrainDisk(NodeId, String, bool),
}

/// Why an event cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHappening {
    #[error("`{0}` is no event: write WHAT:WHOM@WHEN, such as kill:10001@10s")]
    Shape(String),
    #[error(
        "`{0}` is no kind of event: kill, revive, drain, undrain, add-node, bad-replica, disk-full, drain-disk, undrain-disk"
    )]
    Kind(String),
    #[error("`{0}` is no id")]
    Id(String),
    #[error("`{0}` is no disk: write NODE/PATH, such as 10001/11")]
    Disk(String),
    #[error("`{0}` is no time: write 250ms, 10s, 5m, 2h or 1d")]
    Time(String),
}

/// `10s` and the like, in milliseconds; a bare number is seconds.
pub fn duration_ms(text: &str) -> Result<u64, BadHappening> {
    let bad = || BadHappening::Time(text.to_string());
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).ok_or_else(bad);
    }
    let part: f64 = number.parse().map_err(|_| bad())?;
    let ms = part * unit as f64;
    if ms.is_finite() && ms < 1e15 { Ok(ms.round() as u64) } else { Err(bad()) }
}

/// `kill:10001@10s`: what happens, and when. The moment stands behind the last `@`; without one it is 0.
pub fn scheduled(text: &str) -> Result<(u64, Scheduled), BadHappening> {
    let (what, at_ms) = match text.rsplit_once('@') {
        Some((what, when)) => (what, duration_ms(when)?),
        None => (text, 0),
    };
    let (kind, whom) = what.split_once(':').ok_or_else(|| BadHappening::Shape(text.to_string()))?;
    let happening = match kind {
        "kill" => Scheduled::Kill(NodeId(id(whom)?)),
        "revive" => Scheduled::Revive(NodeId(id(whom)?)),
        "drain" => Scheduled::Drain(nodes(whom)?),
        "undrain" => Scheduled::Undrain(nodes(whom)?),
        "add-node" if !whom.is_empty() => Scheduled::AddNode(whom.to_string()),
        "add-node" => return Err(BadHappening::Shape(text.to_string())),
        "bad-replica" => Scheduled::BadReplica(ReplicaId(id(whom)?)),
        "disk-full" => disk(whom).map(|(node, path)| Scheduled::DiskFull(node, path))?,
        "drain-disk" => disk(whom).map(|(node, path)| Scheduled::DrainDisk(node, path, true))?,
        "undrain-disk" => disk(whom).map(|(node, path)| Scheduled::DrainDisk(node, path, false))?,
        other => return Err(BadHappening::Kind(other.to_string())),
    };
    Ok((at_ms, happening))
}

fn id(text: &str) -> Result<u64, BadHappening> {
    text.trim().parse().map_err(|_| BadHappening::Id(text.to_string()))
}

/// `10001,10002`.
fn nodes(text: &str) -> Result<Vec<NodeId>, BadHappening> {
    text.split(',').map(|one| id(one).map(NodeId)).collect()
}

fn disk(text: &str) -> Result<(NodeId, String), BadHappening> {
    let (node, path) = text.split_once('/').ok_or_else(|| BadHappening::Disk(text.to_string()))?;
    Ok((NodeId(id(node)?), path.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may be written, and what it means.
    #[test]
    fn written_events() {
        let rows = [
            ("kill:10001@10s", 10_000, Scheduled::Kill(NodeId(10001))),
            ("revive:10001@1.5m", 90_000, Scheduled::Revive(NodeId(10001))),
            ("drain:1,2@0", 0, Scheduled::Drain(vec![NodeId(1), NodeId(2)])),
            ("undrain:1@2h", 7_200_000, Scheduled::Undrain(vec![NodeId(1)])),
            ("add-node:dir/n@5.json@250ms", 250, Scheduled::AddNode("dir/n@5.json".into())),
            ("bad-replica:1000", 0, Scheduled::BadReplica(ReplicaId(1000))),
            ("disk-full:10001/11@1s", 1_000, Scheduled::DiskFull(NodeId(10001), "11".into())),
            ("disk-full:10001//data/a@1s", 1_000, Scheduled::DiskFull(NodeId(10001), "/data/a".into())),
        ];
        for (text, at, happening) in rows {
            assert_eq!(scheduled(text), Ok((at, happening)), "{text}");
        }
    }

    /// What is not understood is named.
    #[test]
    fn refused_events() {
        for (text, named) in [
            ("kill", "kill"),
            ("kil:1@1s", "kil"),
            ("kill:x@1s", "x"),
            ("kill:1@soon", "soon"),
            ("kill:1@-1s", "-1s"),
            ("disk-full:1@1s", "NODE/PATH"),
            ("add-node:@1s", "add-node"),
            ("kill:1@99999999999999999999h", "99999999999999999999h"),
        ] {
            let error = scheduled(text).expect_err(text).to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
